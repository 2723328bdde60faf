# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_store and whole_file: a cluster written piece by piece is the same JSON, private, and there as a whole or not at all."""

from __future__ import annotations

import json
import os
import stat

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_store, whole_file

MANY = [{"name": f"pod-{number}", "labels": {"a": "\x1b[31m\u202e"}} for number in range(1201)]


@pytest.mark.parametrize(
    "cluster",
    [
        {"schema": 1, "complete": True, "missing": [], "pods_of": None, "services": None, "pods": MANY},
        {"pods": MANY[:500]},
        {"pods": MANY[:501], "nodes": [], "server": "https://127.0.0.1"},
        {"missing": [{"what": "Pods", "why": "ядро \udcff"}]},
    ],
)
def test_what_is_stored_is_what_was_read(tmp_path, cluster):
    path = cluster_store.store(str(tmp_path), cluster)
    assert path == str(tmp_path / "cluster.json")
    raw = (tmp_path / "cluster.json").read_bytes()
    assert raw.isascii()
    assert raw.decode() == json.dumps(cluster, separators=(",", ":")) + "\n"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.listdir(str(tmp_path)) == ["cluster.json"]


def test_a_failure_leaves_the_old_file_and_no_new_one(tmp_path):
    path = tmp_path / "file"
    whole_file.write(str(path), ["old"])

    def broken():
        yield "new"
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        whole_file.write(str(path), broken())
    assert (path.read_text(), os.listdir(str(tmp_path))) == ("old", ["file"])


def test_a_folder_that_is_not_there():
    with pytest.raises(OSError) as error:  # noqa: PT011 (the errno is what counts)
        cluster_store.store("/nonexistent/audit", {})
    told = cluster_store.unwritten("/nonexistent/audit", error.value)
    assert told == "/nonexistent/audit/cluster.json could not be written: No such file or directory"


@pytest.mark.parametrize(
    ("node_ports", "ports"),
    [
        (None, None),
        ([], []),
        ([{"node_port": 31000}, {"node_port": 30080}, {"node_port": 31000}], [30080, 31000]),
        ([{"health_check_node_port": 30787}], [30787]),
    ],
)
def test_summary(node_ports, ports):
    result = {"changed": False, "cluster": {"pods": MANY}, "node_ports": node_ports, "complete": True, "missing": []}
    assert cluster_store.summary(result, "a/cluster.json") == {
        "changed": False,
        "file": "a/cluster.json",
        "ports": ports,
        "complete": True,
        "missing": [],
    }
