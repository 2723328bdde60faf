# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""program_arguments: flags as Go's programs take them."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import program_arguments


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        (["--config"], ""),
        (["--config=/a"], "/a"),
        (["--config", "/a"], "/a"),
        (["-c", "/a", "--config=/b"], "/b"),
        (["--config="], ""),
        (["--config=/a=b"], "/a=b"),
        (["--configs=/a", "config=/b"], None),
        ([], None),
    ],
)
def test_flag(argv, value):
    assert program_arguments.flag(["--config=/0", *argv], "--config", "-c") == value


@pytest.mark.parametrize(
    ("argv", "value"), [([], None), (["--on"], "true"), (["--on", "false"], "true"), (["--on", "--on=false"], "false")]
)
def test_switch(argv, value):
    assert program_arguments.switch(["--on", *argv], "--on") == value


def test_running(node):
    node.process(600, "kubelet", ["kubelet", "--v=2"])
    node.process(601, "kubelet", ["kubelet"], netns="other")
    node.process(602, "nginx", ["nginx"])
    gaps = []
    assert list(program_arguments.running(["kubelet"], "kubelet", gaps, str(node.proc))) == [
        ("kubelet", ["kubelet", "--v=2"])
    ]
    assert gaps == []


def test_a_process_that_ends_meanwhile_hides_no_other(node):
    node.process(599, "kubelet", ["kubelet"])
    (node.proc / "599" / "cmdline").unlink()
    node.process(600, "kubelet", ["kubelet"])
    assert len(list(program_arguments.running(["kubelet"], "kubelet", [], str(node.proc)))) == 1


def test_what_is_hidden_is_told_and_the_rest_is_seen(node, monkeypatch):
    real = program_arguments.procfs.text

    def text(path, *limit):
        if "/599/" in path:
            raise PermissionError(13, "Permission denied", path)
        return real(path, *limit)

    monkeypatch.setattr(program_arguments.procfs, "text", text)
    node.process(599, "kubelet", ["kubelet"])
    node.process(600, "kubelet", ["kubelet"])
    gaps = []
    assert len(list(program_arguments.running(["kubelet"], "kubelet", gaps, str(node.proc)))) == 1
    assert gaps == [{"what": "kubelet", "why": "1 processes are hidden (hidepid): run with become (-b)"}]
