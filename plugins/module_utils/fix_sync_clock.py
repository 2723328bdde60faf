# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix sync-clock: switch on a time service that is installed and does not run.

The service corrects the clock in one step, and a clock that is set back lets kubelet take an exited container for the newest one, since it
tells attempts apart by when they were created (Kubernetes pkg/kubelet/kuberuntime/helpers.go, containerStatusByCreated; kubernetes issue
90298). So a clock that is ahead is left to a person, who stops kubelet for as long.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Iterator, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import clock, fix_plan, time_services, unit_state
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Enable
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import NEEDED, Places, Plan, TargetError
from ansible_collections.kubenode.doctor.plugins.module_utils.unit_state import UnitError, UnitState
from ansible_collections.kubenode.doctor.plugins.module_utils.wait_until import wait_until

FIX = "sync-clock"
_FIELDS = {"unit": (str,)}
# As far as a leap second takes a clock back, and as clock-set-back tolerates it.
_MOST_BACK_SECONDS = 1.0
# The controller reads its clock, then the request travels: by so much a clock may seem to be ahead that is not. A step of as much can only
# mix up containers that were created within it.
_ON_THE_WAY_SECONDS = 2.0
_ASK_SECONDS = 10.0  # for one look after the change: the last one is not to be cut short by the deadline of all


def target(unit: str) -> str:
    """What is to be cured: nobody keeps the clock, and this unit could."""
    return fix_plan.target_text(unit=unit)


def plan(targets: Sequence[str], choices: Mapping[str, Any], places: Places, deadline: Deadline) -> Plan:
    """Switch on the unit. ``controller_time`` of the choices is the controller's clock, in seconds since 1970, just before this was asked."""
    try:
        unit = _read(targets)
        state = unit_state.read(unit, deadline, places.root)
        kernel = clock.kernel_clock()
    except (TargetError, UnitError, clock.ClockError) as error:
        return fix_plan.stopped(str(error))
    gone = _gone(state, kernel, clock.keepers(places.proc))
    if gone:
        return fix_plan.done(gone)
    ahead = _ahead(choices.get("controller_time"))
    refusal = _refusal(unit, state, ahead, places)
    if refusal or ahead is None:
        return fix_plan.stopped(refusal)
    return Plan(
        NEEDED,
        told=tuple(_told(unit, ahead)),
        undo=(f"systemctl disable --now {unit}: the clock stays as it is by then",),
        steps=(Enable(unit),),
        verify=lambda deadline: wait_until(lambda: _amiss(unit, places), deadline),
    )


def _read(targets: Sequence[str]) -> str:
    """The one unit of all targets. Raises TargetError."""
    units = sorted({str(fix_plan.read_target(text, _FIELDS)["unit"]) for text in targets})
    if len(units) != 1:
        raise TargetError("not one time service is to be switched on, and only one can keep a clock")
    if units[0] not in time_services.UNITS:
        raise TargetError(f"what is to be switched on is no time service that is known: {units[0][:100]}")
    return units[0]


def _gone(state: UnitState, kernel: clock.KernelClock, keepers: Sequence[str]) -> str:
    """Why nothing is to be done; empty when the clock is left to itself."""
    if kernel.synchronized:
        return "the kernel says that something keeps the clock right"
    if state.active == "active" and state.enabled == "enabled":
        return f"{state.id} is switched on and runs; until it trusts its servers, which takes minutes, the clock is as it was"
    return f"{', '.join(keepers)} runs by now, which keeps the clock" if keepers else ""


def _ahead(controller_time: Any) -> Optional[float]:
    """By how many seconds this clock is ahead of the controller's, as it seems; None where that is not known."""
    if type(controller_time) not in (int, float) or not math.isfinite(controller_time):
        return None
    return time.time() - float(controller_time)


def _refusal(unit: str, state: UnitState, ahead: Optional[float], places: Places) -> str:
    if unit not in (time_services.installed(places.root) or ()) or state.enabled not in ("enabled", "disabled"):
        return (
            f"{unit} cannot be switched on: it is {state.enabled or 'of no state that systemd tells'}. {fix_plan.AGAIN}"
        )
    if ahead is None:
        return "the controller's time was not told, so whether the clock would be set back is not known"
    if ahead <= _MOST_BACK_SECONDS + _ON_THE_WAY_SECONDS:
        return ""
    seconds = math.ceil(ahead)
    return (
        f"this clock is {ahead:.1f} s ahead of the controller's and would be set back in one step, and kubelet, which tells containers apart by when "
        "they were created, could take exited ones for the newest (rule clock-set-back). Where the controller's clock is right: "
        f"systemctl stop kubelet; systemctl enable --now {unit}; wait until timedatectl says that the clock is synchronized, and {seconds} s more; "
        "systemctl start kubelet"
    )


def _told(unit: str, ahead: float) -> Iterator[str]:
    yield f"switch on {unit}, also for the next start of the machine"
    if ahead < -_MOST_BACK_SECONDS:
        yield f"this clock is {-ahead:.1f} s behind the controller's: it is set forward in one step, and what has a time limit ends that much earlier"
    else:
        yield "this clock agrees with the controller's within seconds: what is left is corrected"
    yield "whether its servers answer (UDP port 123) shows within minutes: chronyc tracking, timedatectl"


def _amiss(unit: str, places: Places) -> str:
    try:
        state = unit_state.read(unit, Deadline(_ASK_SECONDS), places.root)
    except UnitError as error:
        return str(error)
    return (
        ""
        if state.active == "active"
        else f"{unit} does not run: it is {state.active or 'in no state that systemd tells'}"
    )
