# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix pin-stream-port: a CRI runtime's streaming server gets a fixed port on loopback, which is no NodePort and which the kernel does not draw.

The runtime's unit is restarted; pods survive that where restart_reach says so. What the diagnosis said is looked at again first: whose listener it
is, what the runtime is told and by which file, and that nobody has the new port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    kernel_settings,
    nodeport_range,
    owner_restart,
    port_ranges,
    procfs,
    sockets,
    stream_port_change,
    tcp_reader,
    unit_state,
    unix_doors,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Restart
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import (
    AGAIN,
    DONE,
    NEEDED,
    STOPPED,
    Places,
    Plan,
    TargetError,
    done,
    read_target,
    stopped,
    target_text,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.port_ranges import Intervals
from ansible_collections.kubenode.doctor.plugins.module_utils.stream_port_change import LOOPBACK, ChangeRefusedError
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_now import Owner, TcpNow
from ansible_collections.kubenode.doctor.plugins.module_utils.wait_until import wait_until

FIX = "pin-stream-port"

_FIELDS = {
    "runtime": (str,),
    "address": (str,),
    "port": (int,),
    "to": (int,),
    "file": (str, type(None)),
    "unit": (str,),
    "node_ports": (str,),
}
_CMDLINE_LIMIT = 128 << 10
_LOOK_SECONDS = 10.0  # for one look at all open files; a tenth of a second is usual
_COST = (
    "running kubectl exec, attach and port-forward sessions on this node end, pods and their containers keep running; for some seconds no "
    "container can be started, stopped or probed with a command"
)


class _Wish(NamedTuple):
    """A target: which runtime listens where, and is to listen on the port ``to`` of loopback."""

    runtime: str
    address: str
    port: int
    to: int
    file: Optional[str]
    unit: str
    node_ports: str

    @property
    def owner(self) -> Owner:
        return Owner(stream_port_change.COMMS[self.runtime], self.unit, None)

    @property
    def old(self) -> tuple[str, int]:
        return self.address, self.port

    @property
    def new(self) -> tuple[str, int]:
        return LOOPBACK, self.to


class _StoppedError(Exception):
    """What stands against it."""


def target(
    runtime: str, address: str, port: int, to: int, file: Optional[str], unit: str, node_ports: Intervals
) -> str:
    """The target for a runtime's server at an address and port: the new port, the file to change (None for a command line), the unit
    to restart, and what must not be the new port.
    """
    fields = {"runtime": runtime, "address": address, "port": port, "to": to, "file": file, "unit": unit}
    return target_text(**fields, node_ports=port_ranges.format_ports(node_ports))


def plan(targets: Sequence[str], _choices: Mapping[str, Any], places: Places, deadline: Deadline) -> Plan:
    """What the fix does about these targets on this node. Raises TargetError."""
    wishes = sorted({_wish(text) for text in targets}, key=str)
    if len({wish.runtime for wish in wishes}) < len(wishes) or len({wish.to for wish in wishes}) < len(wishes):
        return stopped(f"the findings do not agree on which server is to get which port. {AGAIN}")
    try:
        now = TcpNow(deadline, places.proc)
    except tcp_reader.ReaderError as error:
        return stopped(f"the sockets of this node could not be seen: {error}")
    plans = []
    for wish in wishes:
        try:
            plans.append(_plan(wish, now, places, deadline))
        except (_StoppedError, ChangeRefusedError, unit_state.UnitError) as error:
            plans.append(stopped(f"{wish.runtime}: {error}"))
    return _joined(plans)


def _wish(text: str) -> _Wish:
    wish = _Wish(**read_target(text, _FIELDS))
    if wish.runtime not in stream_port_change.RUNTIMES:
        raise TargetError(f"what is to be cured has a runtime that is not known: {text[:100]}")
    if not 0 < wish.to <= port_ranges.HIGHEST or not unit_state.is_service(wish.unit):
        raise TargetError(f"what is to be cured has no usable port or unit: {text[:100]}")
    return wish


def _joined(plans: Sequence[Plan]) -> Plan:
    for state in (STOPPED, NEEDED, DONE):
        chosen = [one for one in plans if one.state == state]
        if chosen:
            return _together(state, chosen)
    return done("no server is to get another port")


def _together(state: str, plans: Sequence[Plan]) -> Plan:
    """Plans of one state as one."""
    return Plan(
        state,
        "; ".join(one.why for one in plans if one.why),
        [line for one in plans for line in one.told],
        [line for one in plans for line in one.undo],
        [step for one in plans for step in one.steps],
        lambda deadline: next(filter(None, (one.verify(deadline) for one in plans)), ""),
    )


def _plan(wish: _Wish, now: TcpNow, places: Places, deadline: Deadline) -> Plan:
    """Raises _StoppedError, ChangeRefusedError and UnitError."""
    mine = now.owned(now.listeners, wish.owner)
    at_old = [entry for entry in mine if (entry.address, entry.port) == wish.old]
    at_new = [entry for entry in mine if (entry.address, entry.port) == wish.new]
    if not at_old and not at_new:
        raise _StoppedError(_lost(wish, now))
    pid = min(now.pids(at_old or at_new, wish.owner))
    told = stream_port_change.read(wish.runtime, _argv(pid, places), places)
    if at_new and told.says(wish.to):
        return done(f"{wish.runtime} listens on {LOOPBACK}:{wish.to}, as {told.where} says")
    if not at_old:
        raise _StoppedError(_lost(wish, now))
    _check_port(wish, pid, now, places)
    refusal = owner_restart.why_not(wish.owner, [pid], places, deadline)
    if refusal:
        raise _StoppedError(refusal)
    lines = [f"{wish.unit} is restarted: {_COST}"]
    lines += filter(None, [owner_restart.also(wish.owner, places, deadline)])
    if told.says(wish.to):
        lines.insert(0, f"{told.where} sets the port {wish.to} already")
        change = stream_port_change.Change((), (), ())
    else:
        change = stream_port_change.to(told, wish.to, wish.file, wish.unit, pid, places, deadline)
    verify = _Verify(wish, pid, places)
    return Plan(
        NEEDED,
        told=[
            f"{wish.runtime}'s streaming server moves from {_place(wish.old)} to {_place(wish.new)}",
            *change.told,
            *lines,
        ],
        undo=[*change.undo, f"{wish.unit} is restarted again"],
        steps=[*change.steps, Restart(wish.unit)],
        verify=verify,
    )


def _lost(wish: _Wish, now: TcpNow) -> str:
    unseen = now.unseen(now.listeners)
    if unseen:
        return f"whether it still listens on {_place(wish.old)} could not be seen: {unseen}"
    return f"no {wish.owner.words} listens on {_place(wish.old)} any more. {AGAIN}"


def _argv(pid: int, places: Places) -> list[str]:
    try:
        return procfs.text(f"{places.proc}/{pid}/cmdline", _CMDLINE_LIMIT).rstrip("\0").split("\0")
    except OSError as error:
        raise _StoppedError(f"its command line could not be read: {error.strerror}") from error


def _check_port(wish: _Wish, pid: int, now: TcpNow, places: Places) -> None:
    """The new port is nobody's, and stays so. Raises _StoppedError."""
    kernel = kernel_settings.collect(f"{places.proc}/sys")["sysctl"]
    try:
        unfit = port_ranges.parse_reserved(wish.node_ports)
        local = port_ranges.parse_local_range(kernel["ip_local_port_range"] or "")
        drawn = port_ranges.subtract([local], port_ranges.parse_reserved(kernel["ip_local_reserved_ports"] or ""))
    except ValueError as error:
        raise _StoppedError(f"whether {wish.to} is a port that others get is not known: {error}") from error
    given = nodeport_range.find(places.proc, places.root)["range"]
    if port_ranges.contains(unfit, wish.to) or (given and given[0] <= wish.to <= given[1]):
        raise _StoppedError(f"{wish.to} is a NodePort, or may become one. {AGAIN}")
    if port_ranges.contains(drawn, wish.to):
        raise _StoppedError(f"the kernel may give {wish.to} to others, which is in its ephemeral range. {AGAIN}")
    try:
        held = sockets.collect(("tcp",), ports={wish.to}).entries
    except sockets.SocketsError as error:
        raise _StoppedError(f"who holds port {wish.to} could not be seen: {error}") from error
    others = [
        entry
        for entry in held
        if entry.state != "time_wait" and pid not in (process["pid"] for process in now.processes(entry))
    ]
    if others:
        names = sorted({str(process["name"]) for entry in others for process in now.processes(entry)})
        raise _StoppedError(
            f"port {wish.to} is in use now, by {', '.join(names) or 'a program that was not seen'}. {AGAIN}"
        )


class _Verify:
    """Asks whether the server has moved, and whether the runtime's Unix sockets are open. Made before the restart."""

    def __init__(self, wish: _Wish, pid: int, places: Places) -> None:
        self._wish = wish
        self._places = places
        try:
            self._doors = unix_doors.of(pid, places.proc)
        except OSError as error:
            raise _StoppedError(f"at which Unix sockets it waits could not be seen: {error.strerror}") from error

    def __call__(self, deadline: Deadline) -> str:
        return wait_until(self._amiss, deadline)

    def _amiss(self) -> str:
        wish = self._wish
        try:
            now = TcpNow(Deadline(_LOOK_SECONDS), self._places.proc)
        except tcp_reader.ReaderError as error:
            return f"the sockets of this node could not be seen: {error}"
        mine = {(entry.address, entry.port) for entry in now.owned(now.listeners, wish.owner)}
        if wish.new not in mine:
            return f"{wish.owner.words} does not listen on {_place(wish.new)}"
        if wish.old in mine - {wish.new}:
            return f"{wish.owner.words} still listens on {_place(wish.old)}"
        closed = [door for door in self._doors if unix_doors.closed(door, self._places.root)]
        return f"{wish.owner.words} lets nobody in at {closed[0]}" if closed else ""


def _place(where: tuple[str, int]) -> str:
    address, port = where
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
