# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix reserve-nodeports: ports that somebody needs are kept out of what the kernel draws at random.

A write to net.ipv4.ip_local_reserved_ports replaces the whole list (Documentation/networking/ip-sysctl.rst), and so does each file that sets
it. The new list is therefore the union of what the kernel has, of what any file sets, and of what is to be reserved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import conf_folders, port_ranges, sysctl_setting
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import (
    AGAIN,
    NEEDED,
    Places,
    Plan,
    TargetError,
    done,
    read_target,
    stopped,
    target_text,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.port_ranges import Interval, Intervals
from ansible_collections.kubenode.doctor.plugins.module_utils.sysctl_setting import Setting, SettingError

FIX = "reserve-nodeports"
KEY = "net.ipv4.ip_local_reserved_ports"
IN_USE, OVERLAP = "in-use", "overlap"
_RANGE_KEY = "net.ipv4.ip_local_port_range"
_NAME = "nodeports"
_COMMENTS = (
    "fix reserve-nodeports. The kernel must not draw these ports at random: NodePorts of Services, and fixed",
    "ports of programs, are among them. The list is whole: what was reserved before is in it, since it replaces that.",
)
_DRAWS = {"listen": "random listeners", "bind": "bind() to port 0", "connect": "outgoing connections"}


class _Wish(NamedTuple):
    """What is to be reserved: ``ports`` in any case, ``span`` (the NodePort range; empty where it is not known) when the overlap is asked for.

    ``drawn_from`` is the ephemeral range that was diagnosed.
    """

    ports: Intervals
    span: Intervals
    drawn_from: Interval


def target(ports: Intervals, span: Optional[Interval], drawn_from: Interval) -> str:
    """As rules write it: the ports, the NodePort range where it is known, and the ephemeral range."""
    return target_text(
        ports=port_ranges.format_ports(ports),
        span=port_ranges.format_ports([span] if span else []),
        drawn_from=port_ranges.format_ports([drawn_from]),
    )


def plan(targets: Sequence[str], choices: Mapping[str, Any], places: Places, deadline: Deadline) -> Plan:
    """Reserve what the targets tell, or with ``choices["reserve"]`` "overlap" all of the NodePort range that the kernel could draw."""
    try:
        wish = _joined([_read(text) for text in targets])
        local = port_ranges.parse_local_range(sysctl_setting.live_value(_RANGE_KEY, places))
        setting = sysctl_setting.look(KEY, places, deadline)
        listed = port_ranges.parse_reserved(setting.live)
    except (SettingError, TargetError) as error:
        return stopped(str(error))
    except ValueError as error:
        return stopped(f"the kernel's own setting is not understood: {error}")
    refusal = _why_not(wish, choices.get("reserve", IN_USE))
    if refusal:
        return stopped(refusal)
    asked = wish.ports if choices.get("reserve", IN_USE) == IN_USE else port_ranges.union(wish.ports, wish.span)
    wanted = port_ranges.intersect(asked, [local])
    if not wanted:
        return done(f"none of these ports lies in the ephemeral range, which is {local[0]} to {local[1]} now")
    if local != wish.drawn_from:
        was = wish.drawn_from
        return stopped(f"the ephemeral range is {local[0]} to {local[1]} now, and was {was[0]} to {was[1]}. {AGAIN}")
    return _plan(setting, local, listed, wanted, wish, places)


def _plan(setting: Setting, local: Interval, listed: Intervals, wanted: Intervals, wish: _Wish, places: Places) -> Plan:
    def enough(text: str) -> bool:
        return not port_ranges.subtract(wanted, _understood(text) or ())

    after = port_ranges.union(listed, wanted, *(_understood(value) or () for value in _values(setting)))
    if not port_ranges.subtract([local], after):
        return stopped("no port would be left that the kernel may draw: nothing on this node could open a connection")
    try:
        change = sysctl_setting.change(setting, port_ranges.format_ports(after), enough, _NAME, _COMMENTS)
    except SettingError as error:
        return stopped(str(error))
    if not change.steps:
        but = sysctl_setting.but_for_conf(setting, enough)
        when = "now, and the files of sysctl.d set them" if but else "now and at each boot"
        return done(f"{KEY} holds all of these ports, {when}{but}")
    told = (*change.told, *_told(setting, local, listed, after, wanted, wish))
    return Plan(
        NEEDED,
        "",
        told,
        change.undo,
        change.steps,
        lambda deadline: sysctl_setting.verify(setting, enough, places, deadline),
    )


def _read(text: str) -> _Wish:
    fields = read_target(text, {"ports": (str,), "span": (str,), "drawn_from": (str,)})
    try:
        ports, span, (drawn_from,) = (
            port_ranges.parse_reserved(fields[name]) for name in ("ports", "span", "drawn_from")
        )
    except ValueError as error:
        raise TargetError(f"what is to be reserved is not understood: {error}") from error
    return _Wish(ports, span, drawn_from)


def _joined(wishes: Sequence[_Wish]) -> _Wish:
    """Raises TargetError where they were diagnosed on different ranges, or there is none."""
    if len({(wish.span, wish.drawn_from) for wish in wishes}) != 1:
        raise TargetError("the findings tell of different ranges of ports" if wishes else "nothing is to be reserved")
    return wishes[0]._replace(ports=port_ranges.union(*(wish.ports for wish in wishes)))


def _why_not(wish: _Wish, choice: Any) -> str:
    if choice not in (IN_USE, OVERLAP):
        return f"reserve is {IN_USE} or {OVERLAP}, and not {str(choice)[:40]!r}"
    if choice == OVERLAP and not wish.span:
        return "how far the NodePort range goes is not known: diagnose again with -e nodeport_range=LOW-HIGH"
    return ""


def _understood(text: str) -> Optional[Intervals]:
    try:
        return port_ranges.parse_reserved(text)
    except ValueError:
        return None


def _values(setting: Setting) -> list[str]:
    """What all files set, whether it counts or not."""
    found = (*setting.files.assignments, *setting.files.in_conf)
    return [assignment.value for assignment in found if assignment.value is not None]


def _told(
    setting: Setting, local: Interval, listed: Intervals, after: Intervals, wanted: Intervals, wish: _Wish
) -> Iterator[str]:
    kept = port_ranges.subtract(after, port_ranges.union(listed, wanted))
    if kept:
        yield f"{sysctl_setting.shown(port_ranges.format_ports(kept))} is in it because a file sets it, though the kernel has it not now"
    for found in (*setting.files.assignments, *setting.files.in_conf):
        if found.value is not None and _understood(found.value) is None:
            yield f"what {conf_folders.shown(found.file)} sets is no list of ports, which the kernel refuses: {sysctl_setting.shown(found.value[:80])}"
    yield "nothing is restarted and no connection is cut: a socket that has such a port keeps it until it is closed"
    left = port_ranges.subtract([local], after)
    yield f"{port_ranges.count(left)} of the ephemeral range's {local[1] - local[0] + 1} ports are left for the kernel to draw"
    open_ = port_ranges.subtract(port_ranges.intersect(wish.span, [local]), after)
    if open_:
        yield (
            f"{port_ranges.count(open_)} numbers of the NodePort range, which no Service has today, may still be drawn: a Service that is given one "
            f"later may meet a socket on it. -e reserve={OVERLAP} reserves these, too"
        )
    yield from _skew(local, listed, after)
    if len(port_ranges.format_ports(after)) > sysctl_setting.ONE_WRITE:
        yield (
            f"sysctl -p and sysctl --system set only the first {sysctl_setting.ONE_WRITE} bytes of so long a list; this fix, and systemd-sysctl at boot, "
            "set all of it"
        )


def _skew(local: Interval, before: Intervals, after: Intervals) -> Iterator[str]:
    """What a reserved block does to the port behind it, where that is more than before."""
    worst = next(iter(port_ranges.selection_skew(local, after)), None)
    was = next(iter(port_ranges.selection_skew(local, before)), None)
    if worst and worst["share"] >= 0.01 and (was is None or worst["share"] > was["share"]):
        low, high = worst["block"]
        yield (
            f"port {worst['port']} then gets {worst['share']:.0%} of the ports that are drawn for {_DRAWS[worst['selection']]}: it is the first free "
            f"one behind {low}-{high}, and the kernel's search for a free port goes upwards. An ephemeral range that begins above the block "
            f"({_RANGE_KEY}) has no such favourite"
        )
