# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarting the program that holds sockets: may it be, what would its restart leave out, and is it back?

A unit may only be restarted for what its main process does: docker-proxy is in docker.service, which is dockerd's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    cgroup,
    kernel_settings,
    procfs,
    restart_limits,
    restart_reach,
    tcp_reader,
    unit_state,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_now import Owner, TcpNow
from ansible_collections.kubenode.doctor.plugins.module_utils.unit_state import UnitError, UnitState
from ansible_collections.kubenode.doctor.plugins.module_utils.wait_until import wait_until

_START = 19  # of procfs.stat_fields
_SHOWN = 5
_LOOK_SECONDS = 10.0  # for one look after the change: the last one is not to be cut short by the deadline of all


class _Door(NamedTuple):
    """Where a program listens; the port is None where the kernel drew it, which comes back with another one."""

    family: str
    address: str
    port: Optional[int]


def why_not(owner: Owner, pids: Iterable[int], places: Places, deadline: Deadline) -> str:
    """Why the unit of an owner, which holds the sockets by these processes, may not be restarted; empty where it may."""
    unit = owner.unit or ""
    try:
        state = unit_state.read(unit, deadline, places.root)
        if state.active != "active":
            return f"{unit} is not active but {state.active or 'in no state that systemd tells'}"
        limit = _limit(owner, state, places) or restart_reach.why_not(unit, deadline, places.root, places.proc)
    except UnitError as error:
        return str(error)
    strangers = [pid for pid in pids if not _is_in(pid, state.control_group, places.proc)]
    if not limit and strangers:
        limit = f"process {strangers[0]} is in a unit of this name that this machine's systemd does not run: another machine's inside this one, or a user's"
    return f"{unit} is not restarted by a fix: {limit}" if limit else ""


def also(owner: Owner, places: Places, deadline: Deadline) -> str:
    """What to tell of the units that systemd restarts with an owner's; empty where there are none."""
    try:
        names = restart_reach.also(owner.unit or "", deadline, places.root)
    except UnitError as error:
        return str(error)
    return f"systemd restarts with it, because they depend on it: {', '.join(names)}" if names else ""


def started(pid: int, proc: str) -> int:
    """When a process was started, in clock ticks since boot: with its number what tells it from all others. Raises OSError and ValueError."""
    try:
        return int(procfs.stat_fields(f"{proc}/{pid}/stat")[_START])
    except IndexError as error:
        raise ValueError(f"{proc}/{pid}/stat is cut short") from error


class Back:
    """Asks whether an owner is back after its restart: other processes, which listen where the old ones did. Made before."""

    def __init__(self, owner: Owner, now: TcpNow, places: Places, drawn: Sequence[Entry] = ()) -> None:
        """``drawn`` are listeners that come back on other ports, also where these are outside of the range from which the kernel draws now."""
        self._owner = owner
        self._places = places
        self._range = kernel_settings.ephemeral_range(f"{places.proc}/sys")
        before = now.owned(now.listeners, owner)
        self._doors = self._doors_of([entry._replace(port=0) if entry in drawn else entry for entry in before])
        self._old = self._instances(now.pids((*before, *now.close_wait), owner))

    def wait(self, deadline: Deadline) -> str:
        """Wait until it is; return "", or what is not as it was when the deadline ends."""
        return wait_until(self._look, deadline)

    def _look(self) -> str:
        try:
            return self.amiss(TcpNow(Deadline(_LOOK_SECONDS), self._places.proc))
        except tcp_reader.ReaderError as error:
            return f"the sockets of this node could not be seen: {error}"

    def amiss(self, now: TcpNow) -> str:
        """What is not as it was before; empty when all is."""
        listeners = now.owned(now.listeners, self._owner)
        lost = self._doors - self._doors_of(listeners)
        if lost:
            told = ", ".join(_words(door) for door in sorted(lost, key=str)[:_SHOWN])
            return f"{self._owner.words} does not listen again on {told}"
        if not self._instances(now.pids(listeners, self._owner)).isdisjoint(self._old):
            return f"{self._owner.words} still runs as the same process as before"
        return ""

    def _doors_of(self, entries: Iterable[Entry]) -> Counter[_Door]:
        return Counter(_Door(entry.family, entry.address, self._fixed(entry.port)) for entry in entries)

    def _fixed(self, port: int) -> Optional[int]:
        low, high = self._range or (1, 0)
        return None if port == 0 or low <= port <= high else port

    def _instances(self, pids: Iterable[int]) -> set[Tuple[int, int]]:
        found = set()
        for pid in pids:
            try:
                found.add((pid, started(pid, self._places.proc)))
            except (OSError, ValueError):  # it ended under our eyes
                continue
        return found


def verify(back: Iterable[Back], places: Places, deadline: Deadline, amiss: Callable[[TcpNow], Iterable[str]]) -> str:
    """Wait until all are back; then what ``amiss`` says of the node's sockets. Empty when nothing is wrong."""
    for one in back:
        why = one.wait(deadline)
        if why:
            return why
    try:
        now = TcpNow(Deadline(_LOOK_SECONDS), places.proc)
    except tcp_reader.ReaderError as error:
        return f"the sockets of this node could not be seen: {error}"
    return "; ".join(filter(None, amiss(now)))


def _limit(owner: Owner, state: UnitState, places: Places) -> str:
    """What is against it by the names of the program, of the unit, which may have been told by another name of it, and of its main process."""
    main = procfs.comm(state.main_pid, places.proc) if state.main_pid else None
    limit = restart_limits.why_not([owner.program, main, owner.unit], state.id)
    if not limit and main != owner.program:
        return f"its main process is {main or 'not known'}, and not {owner.program}: more than that would be restarted"
    return limit


def _is_in(pid: int, control_group: str, proc: str) -> bool:
    if not control_group.startswith("/"):
        return False
    try:
        path = cgroup.path_of(procfs.text(f"{proc}/{pid}/cgroup"))
    except OSError:
        return False
    return path == control_group or path.startswith(f"{control_group}/")


def _words(door: _Door) -> str:
    place = f"[{door.address}]" if door.family == "ipv6" else door.address
    return f"{place}:{door.port}" if door.port is not None else f"{place}, on a port that the kernel draws"
