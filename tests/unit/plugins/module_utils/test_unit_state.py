# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""unit_state: what systemctl show prints, and a systemctl that does not answer, floods, or is somebody else's."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import unit_state
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.unit_state import UnitError, UnitState

# systemctl show, systemd 252: in its own order, whatever was asked.
KUBELET = "MainPID=712\nId=kubelet.service\nControlGroup=/system.slice/kubelet.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"


@pytest.fixture
def systemctl(node):
    """Writes a systemctl that runs these lines of shell."""

    def write(script):
        program = node.file("/usr/bin/systemctl", f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return str(node.root)

    return write


def says(text):
    return f"cat <<'END'\n{text}END"


def read(root, unit="kubelet.service", seconds=5):
    return unit_state.read(unit, Deadline(seconds), root)


def test_a_unit(systemctl):
    root = systemctl(says(KUBELET))
    assert read(root) == UnitState(
        "kubelet.service", "loaded", "active", "enabled", 712, "/system.slice/kubelet.service"
    )


def test_what_is_asked(systemctl):
    root = systemctl('printf "%s\n" "$@" >&2; exit 1')
    with pytest.raises(UnitError, match=r"show; --no-pager; --property=Id,LoadState,.*; --; kubelet\.service"):
        read(root)


def test_several_units(systemctl):
    root = systemctl(says("Id=a.service\nKillMode=process\n\nId=b.socket\n"))
    told = unit_state.show(["a.service", "b.socket"], ("Id", "KillMode"), Deadline(5), root)
    assert told == [{"Id": "a.service", "KillMode": "process"}, {"Id": "b.socket", "KillMode": ""}]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            "echo 'System has not been booted with systemd as init system (PID 1). Can'\"'\"'t operate.' >&2; exit 1",
            "not been booted with systemd",
        ),
        ("exit 3", "exit status 3"),
        ("yes", "within its limit of time or bytes"),
        ("true", "has no unit kubelet.service .LoadState not told"),
        (says("Id=kubelet.service\nLoadState=not-found\n"), "has no unit kubelet.service .LoadState not-found"),
        (says("Id=a\n\nId=b\n"), "has told of 2 units"),
    ],
)
def test_it_does_not_tell(systemctl, script, why):
    with pytest.raises(UnitError, match=why):
        read(systemctl(script))


def test_it_hangs(systemctl):
    with pytest.raises(UnitError, match="within its limit of time"):
        read(systemctl("sleep 60"), seconds=0.05)


@pytest.mark.parametrize("pid", ["", "-1", "x", "9" * 5000, "²"])
def test_a_pid_that_is_none(systemctl, pid):
    assert read(systemctl(says(KUBELET.replace("712", pid)))).main_pid == 0


def test_one_that_others_may_change(systemctl, node):
    root = systemctl(says(KUBELET))
    (node.root / "usr/bin/systemctl").chmod(0o777)
    with pytest.raises(UnitError, match="others may change"):
        read(root)


def test_there_is_none(node):
    with pytest.raises(UnitError, match="this machine has no systemctl"):
        read(str(node.root))


@pytest.mark.parametrize(
    "unit",
    ["", ".service", "-x.service", "a b.service", "a\n.service", "é.service", "a/b.service", "x" * 260 + ".service"],
)
def test_what_is_no_name(systemctl, unit):
    assert not unit_state.is_service(unit)
    if unit != ".service":
        with pytest.raises(UnitError, match="no name of a "):
            read(systemctl("exit 9"), unit)


@pytest.mark.parametrize(
    "unit", ["kubelet.service", "snap.microk8s.daemon-kubelite.service", "getty@tty1.service", "a\\x2db.service"]
)
def test_what_is_one(unit):
    assert unit_state.is_service(unit)
