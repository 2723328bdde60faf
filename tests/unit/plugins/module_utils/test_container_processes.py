# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""container_processes: a pid is not enough."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.container_processes import ContainerProcesses
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_runtime import ID, UID

OTHER = "f" * 64


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (f"0::/kubepods/besteffort/pod{UID}/{ID}\n", True),
        (f"0::/kubepods.slice/kubepods-pod{UID}.slice/cri-containerd-{ID}.scope\n", True),
        (f"0::/kubepods.slice/kubepods-pod{UID}.slice/crio-{ID}.scope/container\n", True),
        (f"0::/../../pod{UID}/{ID}\n", True),  # seen from another cgroup namespace
        (f"4:memory:/\n1:name=systemd:/kubepods/pod{UID}/{ID}\n", True),
        (f"0::/kubepods/besteffort/pod{UID}/{OTHER}\n", None),  # the pid was given to another
        ("0::/system.slice/kata-shim.service\n", None),  # or it is a virtual machine's
        ("0::/\n", None),
        ("", None),
    ],
)
def test_whose_process_it_is(node, groups, expected):
    node.process(42, "sleep", [])
    (node.proc / "42" / "cgroup").write_text(groups)
    assert ContainerProcesses(str(node.proc)).runs(42, ID) is expected


@pytest.mark.parametrize(
    ("pid", "expected"), [(43, False), (0, False), (-1, None), ("42", None), (None, None), (1.5, None)]
)
def test_no_process(node, pid, expected):
    assert ContainerProcesses(str(node.proc)).runs(pid, ID) is expected


@pytest.mark.parametrize(
    ("host", "runtime", "expected"),
    [(True, False, False), (None, False, False), (False, True, False), (False, False, None)],
)
def test_a_container_shows_its_own_processes_only(node, monkeypatch, host, runtime, expected):
    """Unless the runtime is among them: a node may be a container itself (kind)."""
    monkeypatch.setattr(procfs, "in_host_pid_namespace", lambda _proc: host)
    if runtime:
        node.process(7, "containerd", [])
    assert ContainerProcesses(str(node.proc)).runs(43, ID) is expected


def test_a_process_that_is_hidden(node, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(procfs, "text", refuse)
    assert ContainerProcesses(str(node.proc)).runs(1, ID) is None
