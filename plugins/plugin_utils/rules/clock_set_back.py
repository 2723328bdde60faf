# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock of a machine was set back."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import clock_traces
from ansible_collections.kubenode.doctor.plugins.module_utils.signature_words import CLOCK
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    clock_evidence,
    limits,
    logged,
    moments,
    section_gaps,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.clock_evidence import Trace
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule, Unknown
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings

Sections = Mapping[str, dict[str, Any]]

_READS = ("containers", "host_pressure", "logs")
_SHOWN = 5  # traces of one kind: a clock that was set back a day leaves them everywhere
_DROP_IN = "/etc/systemd/system/kubelet.service.d"
_WAIT = ("printf", "%s\\n", "[Unit]", "Wants=time-sync.target", "After=time-sync.target")
# What is missing where a log was not read that tells of the clock.
_LOGS = ("logs:", "journal:", *(f"{unit}.service:" for unit in (*CLOCK, "systemd-journald")))
# Where clock_traces looks, by the names that it gives to its gaps.
_PLACES = frozenset(clock_traces.FOLDERS) | {path.rpartition("/")[0] for path in clock_traces.FILES}


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    gaps = {name: section_gaps.gap(node.sections, name) for name in _READS}
    here = {name: node[name] for name, gap in gaps.items() if not gap}
    kinds = [list(traces) for traces in _kinds(here, context.settings)]
    if any(kinds):
        clock = here.get("host_pressure", {}).get("clock") or {}
        yield _fail(kinds, clock.get("keepers", []))
    yield from map(Unknown, filter(None, gaps.values()))
    yield from map(Unknown, _unseen(here))


def _kinds(here: Sections, settings: Settings) -> Iterator[Iterable[Trace]]:
    """The traces of each kind, the strongest proof first, in the sections that are there."""
    if "containers" in here:
        yield clock_evidence.inverted(here["containers"])
        yield clock_evidence.from_future(here["containers"], settings)
    if "host_pressure" in here and here["host_pressure"]["clock"]:
        yield clock_evidence.between_samples(here["host_pressure"]["clock"], settings)
        yield clock_evidence.in_files(here["host_pressure"]["clock"], settings)
    if "logs" in here:
        yield clock_evidence.in_logs(here["logs"], settings)


def _unseen(here: Sections) -> Iterator[str]:
    """What these sections did not show, where it may have been a trace."""
    if "containers" in here:
        yield from (f"{gap['what']}: {gap['why']}" for gap in here["containers"]["missing"])
    if "host_pressure" in here:
        pressure = here["host_pressure"]
        if not pressure["clock"]:
            yield limits.unseen(pressure, "the clock", "clock")
        yield from (f"{gap['what']}: {gap['why']}" for gap in pressure["missing"] if gap["what"] in _PLACES)
    if "logs" in here:
        yield from (why for why in logged.unread(here["logs"]) if why.startswith(_LOGS))


def _fail(kinds: list[list[Trace]], keepers: list[str]) -> Fail:
    traces = [trace for kind in kinds for trace in kind]
    at_hand = any(trace.at_hand for trace in traces)
    return Fail(
        subject="clock",
        title="the clock was set back",  # not by how much: what befell a whole fleet is told once
        explanation=(
            f"{_by_how_much(traces)}kubelet takes the container that was created last for the latest attempt. After the clock went back, a dead "
            "attempt looks later than the living one that follows it, and kubelet asks for a container that exists already. Leases, "
            f"certificates and the order of log lines are wrong for as long. {'' if at_hand else _REMEMBERED}"
        ).rstrip(),
        evidence=tuple(_evidence(kinds)),
        remedies=tuple(_remedies(keepers)),
        severity="warning" if at_hand else "info",
    )


def _by_how_much(traces: list[Trace]) -> str:
    known = [trace.seconds for trace in traces if trace.seconds is not None]
    return f"It went back by {moments.span(max(known))} or more. " if known else ""


_REMEMBERED = "Nothing of it was seen any more but these lines of the log; it comes again with the next boot where the hardware clock is the reason."


def _evidence(kinds: Iterable[list[Trace]]) -> Iterator[str]:
    for kind in kinds:
        yield from (trace.text for trace in itertools.islice(kind, _SHOWN))
        if len(kind) > _SHOWN:
            yield f"and {len(kind) - _SHOWN} more like the {_SHOWN} before"


# Who tells of it in the journal. The first is systemd's "Time has been changed" (sd-messages.h, SD_MESSAGE_TIME_CHANGE).
_TOLD_BY = (
    "MESSAGE_ID=c7a787079b354eaaa9e77b371893cd27",
    *(f"SYSLOG_IDENTIFIER={name}" for name in ("chronyd", "ntpd", "systemd-timesyncd", "systemd-journald")),
)


def _remedies(keepers: list[str]) -> Iterator[Remedy]:
    yield Remedy(
        "see who set it, when and by how much, and whether the hardware clock (RTC time) is right",
        (f"journalctl --no-pager -o short-iso {' + '.join(_TOLD_BY)}", "timedatectl"),
        "none",
    )
    yield Remedy(
        "from the next boot on, let kubelet wait until the clock is right (k3s, RKE2 and others: the same for their unit)",
        (
            shlex.join(("systemctl", "enable", _waits(keepers))),
            f"mkdir -p {_DROP_IN}",
            f"{shlex.join(_WAIT)} > {_DROP_IN}/20-time-sync.conf",
            "systemctl daemon-reload",
        ),
        f"a node that reaches no time server when it boots starts no pods {_how_long(keepers)}",
        by_hand="whether a node without a time server is to start its pods all the same is a choice, and each distribution has a unit of its own",
    )
    if "chronyd" in keepers:
        yield Remedy(
            "let chronyd set the clock in one step only right after its start, and correct it slowly after that: makestep 1 3 in its configuration, "
            "and no -1 in place of the 3; what it thinks of its sources",
            ("chronyc -n tracking", "chronyc -n sources"),
            "an error that comes up later takes hours to be corrected",
        )
    yield Remedy(
        "where it comes with every boot: replace the battery of the hardware clock, or give the board one when it has none; let it hold UTC, and set "
        "it once the system's clock is right",
        ("timedatectl set-local-rtc 0", "hwclock --systohc --utc"),
        "another system on the machine that expects local time in the hardware clock sets it wrong again",
        by_hand="only when the system's clock is right may it be written into the hardware clock, and the battery is not seen from here",
    )


def _waits(keepers: list[str]) -> str:
    """The unit that is done when the clock is right. What tells systemd's own, chronyd leaves undone without rtcsync."""
    return "chrony-wait.service" if "chronyd" in keepers else "systemd-time-wait-sync.service"


def _how_long(keepers: list[str]) -> str:
    return "for three minutes" if "chronyd" in keepers else "until it does"


RULE = Rule(
    id="clock-set-back",
    group="host",
    severity="warning",
    claim="the clock of the machine was not set back",
    why="kubelet tells a container's attempts apart by their creation times, and creates one again that lives; leases and certificates go wrong",
    sources=(
        "kubernetes/kubernetes pkg/kubelet/kuberuntime/helpers.go (containerStatusByCreated); issues 83050, 90298, 94557, 134153",
        "chrony reference.c and local.c: System clock was stepped by N seconds, negative for a step back",
        "systemd src/journal/journald-manager.c: Time jumped backwards, rotating; units/systemd-time-wait-sync.service.in",
        "chrony examples/chrony-wait.service: waits for chronyd, for three minutes at most, before time-sync.target",
    ),
    judge=_judge,
    reads=_READS,
    thresholds=("clock_step_seconds", "log_recent_seconds"),
    see_also=("clock-unsynchronized",),
)
