# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""log_links: kubelet's links to logs, as they were seen and as nobody made them."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import Identity
from ansible_collections.kubenode.doctor.plugins.module_utils.log_links import FOLDER, LogLinks, parse
from ansible_collections.kubenode.doctor.plugins.module_utils.runtime_files import RuntimeFiles
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_runtime import ID, UID, link

TARGET = f"/var/log/pods/kube-system_etcd-m_{UID}/etcd/4.log"
ETCD = Identity(UID, "kube-system", "etcd-m", "etcd", 4)
LONG = "a" * 150


def name(pod="etcd-m", container="etcd", id_=ID):
    return f"{pod}_kube-system_{container}-{id_}"[:251] + ".log"


@pytest.mark.parametrize(
    ("link_name", "target", "expected"),
    [
        (name(), TARGET, (ID, ETCD)),
        (name(), TARGET.replace("/var/log/pods", "/data/pods"), (ID, ETCD)),  # podLogsDir
        (
            name("web-0-0", "web-1"),
            f"/var/log/pods/kube-system_web-0-0_{UID}/web-1/0.log",
            (ID, Identity(UID, "kube-system", "web-0-0", "web-1", 0)),
        ),
        # 255 bytes: the id is cut.
        (
            name(LONG, "b" * 50),
            f"/var/log/pods/kube-system_{LONG}_{UID}/{'b' * 50}/7.log",
            (ID[: 251 - 150 - 1 - 11 - 1 - 50 - 1], Identity(UID, "kube-system", LONG, "b" * 50, 7)),
        ),
        (name(id_=ID[:40]), TARGET, None),  # cut, but not for its length
        (name(id_=ID[:40] + "G" * 24), TARGET, None),
        (name("a" * 230), f"/var/log/pods/kube-system_{'a' * 230}_{UID}/etcd/4.log", None),  # nothing of the id is left
        (name("other"), TARGET, None),
        (name(), "", None),
        (name(), "4.log", None),
        (name(), TARGET.replace("4.log", "x.log"), None),
        (name(), TARGET.replace("4.log", "99999999999.log"), None),
        (name(), TARGET + "\n", None),
        (name(), f"/var/log/pods/kube-system_etcd\n-m_{UID}/etcd/4.log", None),
        (name(), f"/var/log/pods/kube-system_etcd_m_{UID}/etcd/4.log", None),
        (name() + "\udc80", TARGET, None),
    ],
)
def test_parse(link_name, target, expected):
    assert parse(link_name, target) == expected


def test_links_of_a_node(node):
    other = "f" * 64
    link(node, f"{FOLDER}/{name()}", TARGET)
    link(node, f"{FOLDER}/{name(LONG, 'b' * 50)}", f"/var/log/pods/kube-system_{LONG}_{UID}/{'b' * 50}/7.log")
    link(node, f"{FOLDER}/notes.txt", TARGET)
    node.file(f"{FOLDER}/{name(id_=other)}", "no link at all")
    os.mkfifo(str(node.root / FOLDER[1:] / name("pipe")))
    files = RuntimeFiles(str(node.root))
    links = LogLinks(files)
    assert links.identity(ID) == ETCD
    assert links.identity(ID[:63] + "0") == Identity(UID, "kube-system", LONG, "b" * 50, 7)
    assert links.identity(other) is None
    assert files.missing("files") == []


def test_a_cut_id_that_may_be_anybodys(node):
    for container in ("b", "c"):
        target = f"/var/log/pods/kube-system_{LONG}_{UID}/{container * 60}/7.log"
        link(node, f"{FOLDER}/{name(LONG, container * 60)}", target)
    assert LogLinks(RuntimeFiles(str(node.root))).identity(ID) is None


def test_no_links(node):
    assert LogLinks(RuntimeFiles(str(node.root))).identity(ID) is None
