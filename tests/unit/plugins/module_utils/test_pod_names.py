# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_names: who tells what pods and containers are called, and what nobody tells."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.container_groups import grouped
from ansible_collections.kubenode.doctor.plugins.module_utils.containers import Seen, _Docker
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_containers import Listing
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_names import ContainerName, PodName, PodNames
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_pods import (
    ID,
    IMAGE,
    NO_RUNTIME,
    OTHER_UID,
    SANDBOX_ID,
    SIDE_ID,
    STATIC_UID,
    UID,
    runtime,
    ui,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_runtime import link

FOLDER = "/var/log/pods/"


def by_docker(*found):
    return Seen(_Docker({}, Listing(0, grouped("docker", found), [], [], {}, []), []), [])


CONTAINERD = Seen(None, [runtime("containerd", ui(), ui(SANDBOX_ID, "POD"))])


@pytest.mark.parametrize(
    ("folders", "seen", "expected"),
    [
        ([f"reddit-entry_ui-1_{UID}"], NO_RUNTIME, PodName("reddit-entry", "ui-1", "logs")),
        ([f"reddit-entry_ui-1_{UID}"], CONTAINERD, PodName("reddit-entry", "ui-1", "logs")),
        ([], CONTAINERD, PodName("reddit-entry", "ui-1", "containerd")),
        ([], Seen(None, [runtime("cri-o", ui())]), PodName("reddit-entry", "ui-1", "cri-o")),
        ([], by_docker(ui()), PodName("reddit-entry", "ui-1", "docker")),
        ([], NO_RUNTIME, None),
        ([f"shop_other_{OTHER_UID}"], NO_RUNTIME, None),
        # Folders that lie
        ([f"kube-system_dns_{UID}"], CONTAINERD, PodName("reddit-entry", "ui-1", "containerd")),
        (
            [f"kube-system_dns_{UID}", f"reddit-entry_ui-1_{UID}"],
            CONTAINERD,
            PodName("reddit-entry", "ui-1", "containerd"),
        ),
        ([f"kube-system_dns_{UID}", f"reddit-entry_ui-1_{UID}"], NO_RUNTIME, None),
        # Folders that are none of kubelet's
        ([UID, f"_{UID}", f"a_b_c_{UID}", f"a b_c_{UID}", f"\x1b[31m_c_{UID}", "lost+found"], NO_RUNTIME, None),
    ],
)
def test_pod(node, folders, seen, expected):
    for folder in folders:
        (node.root / "var" / "log" / "pods" / folder).mkdir(parents=True)
    names = PodNames(seen, str(node.root))
    assert names.pod(UID, [ID]) == expected
    assert [gap["what"] for gap in names.missing()] == ([] if expected else ["names"])


def test_a_static_pod(node):
    node.file(f"{FOLDER}kube-system_etcd-master_{STATIC_UID}/etcd/0.log", "")
    assert PodNames(NO_RUNTIME, str(node.root)).pod(STATIC_UID, []) == PodName("kube-system", "etcd-master", "logs")


def linked(node, uid=UID, pod="ui-1", id_=ID):
    link(node, f"/var/log/containers/{pod}_reddit-entry_ui-{id_}.log", f"/data/logs/reddit-entry_{pod}_{uid}/ui/0.log")


@pytest.mark.parametrize(
    ("uid", "ids", "expected"),
    [
        (UID, [ID], PodName("reddit-entry", "ui-1", "logs")),
        (OTHER_UID, [ID], None),  # another pod's
        (UID, [SIDE_ID], None),
        (UID, [], None),
    ],
)
def test_where_logs_lie_elsewhere_links_tell(node, uid, ids, expected):
    """kubelet's podLogsDir may be any folder; the links to them are where they always were."""
    linked(node)
    names = PodNames(NO_RUNTIME, str(node.root))
    assert names.pod(uid, ids) == expected


def test_links_that_differ_tell_nothing(node):
    linked(node)
    linked(node, pod="ui-2", id_=SIDE_ID)
    assert PodNames(NO_RUNTIME, str(node.root)).pod(UID, [ID, SIDE_ID]) is None


def test_a_link_decides_between_folders(node):
    linked(node)
    for folder in ("kube-system_dns", "reddit-entry_ui-1"):
        node.file(f"{FOLDER}{folder}_{UID}/x", "")
    assert PodNames(NO_RUNTIME, str(node.root)).pod(UID, [ID]) == PodName("reddit-entry", "ui-1", "logs")


@pytest.mark.parametrize(
    ("seen", "id_", "expected"),
    [
        (CONTAINERD, ID, ContainerName("ui", IMAGE)),
        (CONTAINERD, SANDBOX_ID, ContainerName("POD", IMAGE)),
        (NO_RUNTIME, ID, ContainerName("ui", None)),  # by its link
        (NO_RUNTIME, SANDBOX_ID, ContainerName(None, None)),
    ],
)
def test_container(node, seen, id_, expected):
    linked(node)
    names = PodNames(seen, str(node.root))
    assert names.container(id_) == expected
    assert bool(names.missing()) is (expected.name is None)


def test_what_runtimes_know_of_ids(node):
    names = PodNames(CONTAINERD, str(node.root))
    assert [names.pod_of(id_) for id_ in (ID, SIDE_ID)] == [UID, None]
    assert [names.is_sandbox(id_) for id_ in (ID, SANDBOX_ID, SIDE_ID)] == [False, True, False]


def test_more_containers_than_the_section_tells(node):
    """The section containers tells 1,000 instances; names come from all."""
    found = [ui(f"{number:064x}") for number in range(1500)]
    names = PodNames(Seen(None, [runtime("containerd", *found)]), str(node.root))
    assert {names.container(f"{number:064x}").name for number in range(1500)} == {"ui"}


def test_why_names_are_missing(node):
    seen = Seen(None, [runtime("containerd", missing=[{"what": "files of containerd", "why": "Permission denied"}])])
    names = PodNames(seen, str(node.root))
    names.pod(UID, [])
    for id_ in (ID, ID, SIDE_ID):
        names.container(id_)
    (gap,) = names.missing()
    assert gap == {
        "what": "names",
        "why": "those of 1 pod and 2 containers are not known (files of containerd: containerd: Permission denied)",
    }
