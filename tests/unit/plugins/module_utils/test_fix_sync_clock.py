# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sync-clock: a time service that is installed and off, and a clock that may, and may not, be set."""

from __future__ import annotations

import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import clock, time_services
from ansible_collections.kubenode.doctor.plugins.module_utils import fix_sync_clock as fix
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Enable
from ansible_collections.kubenode.doctor.plugins.module_utils.clock import KernelClock
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import DONE, NEEDED, STOPPED
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_machine import Machine

NOW = 1_795_255_113.25
CHRONY = "chrony.service"


@pytest.fixture
def machine(node, monkeypatch):
    """Debian with chrony, which somebody has switched off."""
    monkeypatch.setattr(clock, "kernel_clock", lambda: KernelClock(False, 0.0, 16.0))
    monkeypatch.setattr(time, "time", lambda: NOW)
    made = Machine(node)
    made.node.file(f"/lib/systemd/system/{CHRONY}", "[Service]\n")
    made.unit(CHRONY, ActiveState="inactive", UnitFileState="disabled")
    return made


def planned(machine, *targets, ahead=0.0, **choices):
    told = {"controller_time": NOW - ahead, **choices}
    return fix.plan(targets or (fix.target(CHRONY),), told, machine.places, machine.deadline)


def test_it_is_switched_on(machine):
    plan = planned(machine)
    assert (plan.state, plan.steps) == (NEEDED, (Enable(CHRONY),))
    assert plan.told[0] == "switch on chrony.service, also for the next start of the machine"
    assert plan.undo == ("systemctl disable --now chrony.service: the clock stays as it is by then",)
    assert plan.verify(Deadline(0)) == "chrony.service does not run: it is inactive"
    machine.unit(CHRONY)
    assert plan.verify(Deadline(0)) == ""
    again = planned(machine)
    assert again.state == DONE
    assert "is switched on and runs" in again.why


@pytest.mark.parametrize("ahead", [-86400.0, -0.5, 0.0, 1.0, 3.0])
def test_a_clock_that_is_right_or_behind(machine, ahead):
    plan = planned(machine, ahead=ahead)
    assert plan.state == NEEDED
    assert ("it is set forward in one step" in plan.told[1]) is (ahead < -1)


@pytest.mark.parametrize("ahead", [3.1, 3600.0, 1e9])
def test_a_clock_that_would_go_back(machine, ahead):
    plan = planned(machine, ahead=ahead)
    assert (plan.state, plan.steps) == (STOPPED, ())
    assert f"this clock is {ahead:.1f} s ahead of the controller's" in plan.why
    assert "systemctl stop kubelet; systemctl enable --now chrony.service; wait" in plan.why


@pytest.mark.parametrize("told", [None, "now", True, float("nan"), float("inf"), [NOW]])
def test_the_controllers_time_is_not_known(machine, told):
    plan = planned(machine, controller_time=told)
    assert (plan.state, plan.steps) == (STOPPED, ())
    assert "the controller's time was not told" in plan.why


def test_the_kernel_says_that_it_is_kept(machine, monkeypatch):
    monkeypatch.setattr(clock, "kernel_clock", lambda: KernelClock(True, 0.0, 0.1))
    assert planned(machine).state == DONE


def test_another_daemon_runs_by_now(machine):
    machine.node.process(10, "ntpd", [])
    plan = planned(machine)
    assert (plan.state, plan.why) == (DONE, "ntpd runs by now, which keeps the clock")


def test_the_kernel_does_not_tell(machine, monkeypatch):
    def refuses():
        raise clock.ClockError("adjtimex: Operation not permitted")

    monkeypatch.setattr(clock, "kernel_clock", refuses)
    assert planned(machine).why == "adjtimex: Operation not permitted"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda machine: machine.unit(CHRONY, LoadState="not-found"), "systemd has no unit chrony.service"),
        (
            lambda machine: machine.unit(CHRONY, LoadState="masked"),
            "systemd has no unit chrony.service (LoadState masked)",
        ),
        (
            lambda machine: machine.unit(CHRONY, ActiveState="inactive", UnitFileState="static"),
            "cannot be switched on: it is static",
        ),
        (lambda machine: (machine.node.root / "lib/systemd/system" / CHRONY).unlink(), "cannot be switched on"),
        (
            lambda machine: (machine.node.root / "usr/bin/systemctl").write_text(
                "#!/bin/sh\necho no dbus >&2; exit 1\n"
            ),
            "no dbus",
        ),
    ],
)
def test_what_stops_it(machine, change, why):
    change(machine)
    plan = planned(machine)
    assert (plan.state, plan.steps) == (STOPPED, ())
    assert why in plan.why


@pytest.mark.parametrize(
    "targets", [(fix.target(CHRONY), fix.target("ntp.service")), (fix.target("evil.service"),), ("{}",), ("",)]
)
def test_targets_that_are_none(machine, targets):
    assert planned(machine, *targets).state == STOPPED


def test_another_service_is_not_switched_on(machine):
    assert (
        planned(machine, fix.target("sshd.service")).why
        == "what is to be switched on is no time service that is known: sshd.service"
    )


def test_the_same_target_twice(machine):
    assert planned(machine, fix.target(CHRONY), fix.target(CHRONY)).steps == (Enable(CHRONY),)


# Which are installed


def test_none_is_installed(node):
    assert time_services.installed(str(node.root)) == []


def test_the_best_comes_first(node):
    for unit in ("systemd-timesyncd.service", "ntpsec.service", "chronyd.service", "sshd.service"):
        node.file(f"/usr/lib/systemd/system/{unit}", "[Unit]\n")
    assert time_services.installed(str(node.root)) == ["chronyd.service", "ntpsec.service", "systemd-timesyncd.service"]


def test_another_name_of_a_unit_is_not_another_unit(node):
    node.file("/lib/systemd/system/chrony.service", "[Unit]\n")
    (node.root / "etc/systemd/system").mkdir(parents=True)
    (node.root / "etc/systemd/system/chronyd.service").symlink_to("/lib/systemd/system/chrony.service")
    assert time_services.installed(str(node.root)) == ["chrony.service"]


@pytest.mark.parametrize("mask", ["/dev/null", None])
def test_a_masked_unit_cannot_be_switched_on(node, mask):
    node.file("/usr/lib/systemd/system/chrony.service", "[Unit]\n")
    place = node.file("/etc/systemd/system/chrony.service", "")
    if mask:
        place.unlink()
        place.symlink_to(mask)
    assert time_services.installed(str(node.root)) == []


def test_a_unit_that_is_linked_from_elsewhere(node):
    (node.root / "etc/systemd/system").mkdir(parents=True)
    (node.root / "etc/systemd/system/ntpd.service").symlink_to("/opt/ntp/ntpd.service")
    assert time_services.installed(str(node.root)) == ["ntpd.service"]


def test_folders_that_may_not_be_looked_into(node, monkeypatch):
    def refuses(_path):
        raise PermissionError

    monkeypatch.setattr("os.lstat", refuses)
    assert time_services.installed(str(node.root)) is None
