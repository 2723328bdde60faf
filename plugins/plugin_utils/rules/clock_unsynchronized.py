# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody keeps a machine's clock right, as far as its kernel knows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_sync_clock
from ansible_collections.kubenode.doctor.plugins.plugin_utils import limits
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule, Unknown

# The kernel's flag alone proves nothing: chronyd without rtcsync never clears it, nor does systemd-timesyncd where the hardware clock
# holds local time. Both tell the kernel the error all the same, which otherwise grows by 500 ppm, to 16 s in nearly nine hours. These
# set the clock from the hypervisor's and tell the kernel nothing:
_SILENT = frozenset({"vmtoolsd", "VBoxService"})
# What each of them says of its sources.
_ASK = {
    "chronyd": ("chronyc -n tracking", "chronyc -n sources"),
    "systemd-timesyn": ("timedatectl timesync-status",),
    "ntpd": ("ntpq -pn",),
}
_RISK = (
    "the first correction is made in one step: where the clock is ahead of the true time, it goes back, and clock-set-back tells what that means; "
    "stop kubelet for that moment"
)


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["host_pressure"]
    clock, most = section["clock"], context.settings.threshold("clock_max_error_seconds")
    if clock is None or clock["synchronized"] is None:
        yield Unknown(limits.unseen(section, "what the kernel knows of its clock", "clock synchronisation"))
    elif not clock["synchronized"] and clock["max_error_seconds"] >= most:
        settle = context.settings.threshold("clock_settle_seconds")
        yield _unsettled(clock, settle) or _fail(clock, limits.gap(section, "time daemons"))


def _unsettled(clock: dict[str, Any], settle: float) -> Unknown | None:
    """Nothing can be said of a daemon that was just started."""
    kept, keepers = clock.get("kept_seconds"), clock["keepers"]
    if kept is None or kept >= settle or _is_silent(keepers):
        return None
    return Unknown(
        f"{_names(keepers)} runs since {kept:.0f} s only, which may be too short to find the right time: look again in some minutes"
    )


def _is_silent(keepers: list[str]) -> bool:
    return bool(keepers) and _SILENT.issuperset(keepers)


def _fail(clock: dict[str, Any], hidden: str) -> Fail:
    keepers, silent = clock["keepers"], _is_silent(clock["keepers"])
    return Fail(
        subject="clock",
        title=_title(keepers, silent, hidden),
        explanation=(
            "A clock that nobody corrects is off by seconds after some days, differently on each node, and is then set in one step: leases, "
            "certificates and tokens are judged by it, and kubelet tells containers apart by it. "
            f"{_reason(keepers, silent)}"
        ),
        evidence=tuple(_evidence(clock, hidden)),
        remedies=tuple(_remedies(clock, hidden)),
        severity="info" if silent else "warning",
    )


def _title(keepers: list[str], silent: bool, hidden: str) -> str:
    if silent:
        return f"whether the clock is right is not known: nothing but {_names(keepers)} was seen to keep it"
    if keepers:
        return f"the clock is not synchronized, although {_names(keepers)} run{'s' if len(keepers) == 1 else ''}"
    return f"the clock is not synchronized{'' if hidden else ', and no program that would do it was seen'}"


def _reason(keepers: list[str], silent: bool) -> str:
    if silent:
        return "These take the time from the hypervisor and tell the kernel nothing of it, so the clock may well be right; ask the hypervisor's."
    if keepers:
        return "A daemon that reaches none of its servers, or trusts none of them, leaves the clock as it is; UDP port 123 may be shut."
    return "Whoever keeps a clock tells the kernel how far it may be off. Here nobody has since the start of the machine, or not for hours."


def _evidence(clock: dict[str, Any], hidden: str) -> Iterator[str]:
    yield f"the kernel (adjtimex): not synchronized, and off by up to {clock['max_error_seconds']:g} s as far as it knows"
    if clock["keepers"]:
        yield f"running: {_names(clock['keepers'])}"
    elif not hidden:
        yield "running: none of chronyd, ntpd, systemd-timesyncd, ptp4l and the like"
    if hidden:
        yield f"not all of the machine's programs could be seen: {hidden}"


def _remedies(clock: dict[str, Any], hidden: str) -> Iterator[Remedy]:
    keepers = clock["keepers"]
    for name in keepers:
        if name in _ASK:
            yield Remedy(f"see what {_names([name])} thinks of its servers, and let it reach them", _ASK[name], "none")
    if not keepers or _is_silent(keepers):
        yield _switch_on(clock.get("services"), keepers, hidden)


def _switch_on(services: list[str] | None, keepers: list[str], hidden: str) -> Remedy:
    """Let a time service keep the clock: by a fix where one is installed, and certainly none runs."""
    if services and not keepers and not hidden:
        return Remedy(
            f"switch on {services[0]}, which is installed and does not run, and look again after a few minutes",
            (shlex.join(("systemctl", "enable", "--now", services[0])), "timedatectl"),
            _RISK,
            fix=fix_sync_clock.FIX,
            targets=(fix_sync_clock.target(services[0]),),
        )
    if services == []:
        return Remedy(
            "on the machine itself (a container shares its clock): install chrony, switch it on, and look again after a few minutes",
            ("timedatectl",),
            _RISK,
            by_hand="no time service is installed, and a fix installs no programs",
        )
    return Remedy(
        "on the machine itself (a container shares its clock): install chrony, or switch on the time service that is installed, and look again "
        "after a few minutes",
        ("timedatectl set-ntp true", "timedatectl"),
        _RISK,
        by_hand=_why_by_hand(keepers, hidden),
    )


def _why_by_hand(keepers: list[str], hidden: str) -> str:
    if keepers:
        return "the clock may well be kept by the hypervisor, which another time service would work against"
    if hidden:
        return "not all programs of the machine could be seen, so another one may keep its clock"
    return "which time services are installed was not seen"


def _names(keepers: list[str]) -> str:
    # The kernel cuts a program's name to 15 characters.
    return ", ".join("systemd-timesyncd" if name == "systemd-timesyn" else name for name in keepers)


RULE = Rule(
    id="clock-unsynchronized",
    group="host",
    severity="warning",
    claim="something keeps the machine's clock right",
    why="nodes disagree about the time: leases are lost, certificates and tokens are refused, and a clock that is corrected late jumps",
    sources=(
        "node-exporter docs/node-mixin, NodeClockNotSynchronising: not synchronized, and an error of 16 s or more",
        "Linux kernel/time/ntp.c: NTP_PHASE_LIMIT, MAXFREQ; ntp_clear when the clock is set",
        "chrony sys_timex.c, set_sync_status: without rtcsync the flag stays set, and the error is told all the same",
        "systemd src/timesync/timesyncd-manager.c, manager_adjust_clock: so it is with a hardware clock in local time",
    ),
    judge=_judge,
    needs=("host_pressure",),
    thresholds=("clock_max_error_seconds", "clock_settle_seconds"),
    see_also=("clock-set-back",),
)
