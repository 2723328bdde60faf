# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd: systemctl is really run, within limits."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import systemd
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import ChangeError
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.systemd import Systemd


@pytest.fixture
def systemctl(node):
    """Write a systemctl that is a shell script."""
    (node.root / "run/systemd/system").mkdir(parents=True)

    def write(script):
        node.file("/usr/bin/systemctl", f"#!/bin/sh\n{script}\n").chmod(0o755)
        return Systemd(str(node.root))

    return write


# systemctl 252 show --property=LoadState,ActiveState,UnitFileState,InvocationID,ActiveEnterTimestampMonotonic,Job -- containerd.service
SHOWN = r"""LoadState=loaded
ActiveState=active
UnitFileState=enabled
ActiveEnterTimestampMonotonic=14829311
InvocationID=4a0b3b7d8f0e4a55b0f2f0b1d7d1b6a9"""


def test_a_unit(systemctl):
    unit = systemctl(f"echo '{SHOWN}'").unit("containerd.service")
    assert unit == (True, "active", "enabled", "4a0b3b7d8f0e4a55b0f2f0b1d7d1b6a9", False)


def test_before_systemd_232_a_start_is_known_by_its_time(systemctl):
    old = SHOWN.rpartition("\n")[0]
    assert systemctl(f"echo '{old}'; echo Job=4711").unit("containerd.service") == (
        True,
        "active",
        "enabled",
        "14829311",
        True,
    )


def test_one_that_fails_is_told_in_its_words(systemctl):
    asked = systemctl("echo 'Failed to reload: \x1b[31mConnection timed out' >&2; exit 1")
    with pytest.raises(ChangeError) as caught:
        asked.reload(Deadline(10))
    assert str(caught.value) == "systemctl daemon-reload failed: Failed to reload: ?[31mConnection timed out"


def test_one_that_hangs_is_not_waited_for(systemctl):
    with pytest.raises(ChangeError, match=r"systemctl daemon-reload took more than 0.05 s"):
        systemctl("exec sleep 60").reload(Deadline(0.05))


def test_names_go_behind_the_options(systemctl):
    asked = systemctl(
        """for word; do [ "$word" = -- ] && ended=1; [ "$word" = -.service ] && [ -z "$ended" ] && exit 7; done; exit 0"""
    )
    asked.command("stop", "-.service", Deadline(10))
    asked.unit("-.service")


def states(monkeypatch, *told):
    """Let a unit be asked about without a systemctl: (state, invocation) one after the other."""
    monkeypatch.setattr(systemd, "_POLL_SECONDS", 0)
    monkeypatch.setattr(systemd, "_STAYS_SECONDS", 0)
    units = iter([systemd.Unit(True, state, "enabled", invocation, False) for state, invocation in told])
    monkeypatch.setattr(Systemd, "unit", lambda _self, _name: next(units))


def test_what_came_while_it_was_waited_for(systemctl, monkeypatch):
    """A unit that is activating is asked again, until it has settled."""
    states(monkeypatch, ("activating", "2"), ("activating", "2"), ("active", "2"), ("active", "2"))
    assert systemctl("").run("restart", "containerd.service", Deadline(10)).active == "active"


@pytest.mark.parametrize("then", [("failed", "2"), ("active", "3")])
def test_a_unit_that_is_active_for_a_moment_only(systemctl, monkeypatch, then):
    """Type=simple is active as soon as it was forked."""
    states(monkeypatch, ("active", "2"), then)
    with pytest.raises(ChangeError, match=r"containerd.service (is failed|started again just after)"):
        systemctl("").run("restart", "containerd.service", Deadline(10))


def test_a_unit_that_does_not_settle(systemctl, monkeypatch):
    unit = systemd.Unit(True, "activating", "enabled", "2", False)
    monkeypatch.setattr(Systemd, "unit", lambda _self, _name: unit)
    with pytest.raises(ChangeError, match=r"restart took more than 0 s; containerd.service is activating$"):
        systemctl('[ "$1" = status ] || exec sleep 60').run("restart", "containerd.service", Deadline(0))
