# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix restart-leaker: restart a program that holds connections which their other end has closed, or never accepted them.

A unit is restarted; of a static pod the process is ended, which makes kubelet start its container again. What a program leaks it never
gives back, so less than half of what was seen to be held shows that it does close, only late: then nothing is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Iterator, List, NamedTuple, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    fix_plan,
    owner_restart,
    port_ranges,
    restart_limits,
    static_pod,
    tcp_reader,
    unit_state,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Restart, Step
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import NEEDED, Places, Plan, TargetError
from ansible_collections.kubenode.doctor.plugins.module_utils.listener_index import ListenerIndex
from ansible_collections.kubenode.doctor.plugins.module_utils.owner_restart import Back
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.static_pod import StaticPodError
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_now import Owner, TcpNow

FIX = "restart-leaker"
_FIELDS = {
    "program": (str,),
    "unit": (str, type(None)),
    "pod_uid": (str, type(None)),
    "port": (int,),
    "came_in": (bool,),
    "count": (int,),
}
_API_COST = (
    "watches, exec and port-forward sessions and requests through this API server are cut; with a single one the API is away until it is back, "
    "which takes a minute and more: it lets requests end first"
)
_COST = "all of its connections are cut while it restarts"
_LASTING = "it leaks again: correct or upgrade the program"


class _Target(NamedTuple):
    """What is held: of connections that came in ``port`` is the program's own, of others their peers'."""

    owner: Owner
    port: int
    came_in: bool
    seen: int

    @property
    def words(self) -> str:
        return f"{self.owner.words} {'on' if self.came_in else 'to'} port {self.port}"


class _Look(NamedTuple):
    """What of a target is held now, and by which processes."""

    target: _Target
    held: List[Entry]
    pids: List[int]
    unseen: str

    @property
    def is_gone(self) -> bool:
        return 2 * len(self.held) < self.target.seen


def target(owner: Owner, port: int, came_in: bool, count: int) -> str:
    """What is to be cured: the owner, a program in one unit or one pod, and the connections that it was seen to hold."""
    return fix_plan.target_text(**owner._asdict(), port=port, came_in=came_in, count=count)


def plan(targets: Sequence[str], _choices: Mapping[str, Any], places: Places, deadline: Deadline) -> Plan:
    """Restart each owner that holds at least half of what it was seen to hold."""
    try:
        wanted = list(dict.fromkeys(map(_read, targets)))
        now = TcpNow(deadline, places.proc)
    except (TargetError, tcp_reader.ReaderError) as error:
        return fix_plan.stopped(str(error))
    looks = [_look(one, now) for one in wanted]
    unseen = [look.unseen for look in looks if look.is_gone and look.unseen]
    if unseen:
        return fix_plan.stopped(f"who holds the connections could not be seen: {unseen[0]}")
    there = [look for look in looks if not look.is_gone]
    if not there:
        return fix_plan.done("; ".join(map(_gone, looks)))
    owners = list(dict.fromkeys(look.target.owner for look in there))
    try:
        made = [_step(owner, there, places, deadline) for owner in owners]
    except TargetError as error:
        return fix_plan.stopped(str(error))
    back = [Back(owner, now, places) for owner in owners]
    return Plan(
        NEEDED,
        told=(*(line for _step, lines in made for line in lines), *map(_freed, there), _LASTING),
        undo=("connections that were cut do not come back; the program runs as before, and leaks as before",),
        steps=tuple(step for step, _lines in made),
        verify=lambda deadline: owner_restart.verify(back, places, deadline, lambda later: _still_held(there, later)),
    )


def _read(text: str) -> _Target:
    """Raises TargetError."""
    found = fix_plan.read_target(text, _FIELDS)
    unit, uid = found["unit"], found["pod_uid"]
    if (unit is None) == (uid is None):
        raise TargetError(f"what is to be cured names a unit and a pod, or neither: {text[:100]}")
    if not 0 < found["port"] <= port_ranges.HIGHEST or found["count"] < 1 or not (uid or unit_state.is_service(unit)):
        raise TargetError(f"what is to be cured names no port, no connections, or no service of systemd: {text[:100]}")
    return _Target(Owner(found["program"], unit, uid), found["port"], found["came_in"], found["count"])


def _look(wanted: _Target, now: TcpNow) -> _Look:
    doors = ListenerIndex(now.listeners)
    own_doors = now.owned(doors.on(wanted.port), wanted.owner) if wanted.came_in else []
    meant = [entry for entry in now.close_wait if _is_meant(entry, wanted, doors)]
    held = now.owned(meant, wanted.owner)
    # Nobody holds what was never accepted: it is in the queue of its listener.
    waiting = [entry for entry in meant if entry.inode == 0 and doors.of(entry) in own_doors]
    pids = now.pids([*held, *(own_doors if waiting else ())], wanted.owner)
    return _Look(wanted, [*held, *waiting], sorted(pids), now.unseen(meant))


def _is_meant(entry: Entry, wanted: _Target, doors: ListenerIndex) -> bool:
    if wanted.came_in:
        return entry.port == wanted.port
    return entry.peer_port == wanted.port and doors.of(entry) is None


def _gone(look: _Look) -> str:
    return f"{look.target.words} holds {len(look.held)} closed connections of the {look.target.seen} that were seen: it closes them, or was restarted"


def _freed(look: _Look) -> str:
    return f"this frees {len(look.held)} connections in CLOSE-WAIT of {look.target.words}"


def _step(owner: Owner, there: Iterable[_Look], places: Places, deadline: Deadline) -> Tuple[Step, List[str]]:
    """The step that restarts an owner, and what is to be told of it. Raises TargetError."""
    pids = sorted({pid for look in there if look.target.owner == owner for pid in look.pids})
    cost = _API_COST if owner.program == restart_limits.API_SERVER else _COST
    if owner.pod_uid is None:
        refusal = owner_restart.why_not(owner, pids, places, deadline)
        if refusal:
            raise TargetError(refusal)
        told = [
            f"restart {owner.unit}, in which {owner.program} runs",
            cost,
            owner_restart.also(owner, places, deadline),
        ]
        return Restart(owner.unit or ""), list(filter(None, told))
    refusal = restart_limits.why_not([owner.program], None)
    if refusal:
        raise TargetError(f"{owner.words} is not restarted by a fix: {refusal}")
    if len(pids) != 1:
        raise TargetError(f"{owner.words} runs as {len(pids)} processes: which of them is to end, a person has to say")
    try:
        found = static_pod.find(pids[0], owner.program, owner.pod_uid, places)
    except StaticPodError as error:
        raise TargetError(str(error)) from error
    ended = (
        f"end {owner.program} (pid {pids[0]}) of the static pod {found.pod} by SIGTERM: kubelet starts its container again, unless the manifest sets "
        "another restartPolicy than Always"
    )
    return found.step, [ended, cost]


def _still_held(there: Sequence[_Look], now: TcpNow) -> Iterator[str]:
    for look in there:
        left = len(_look(look.target, now).held)
        if 2 * left >= look.target.seen:
            yield f"{look.target.words} holds {left} closed connections again, as many as before"
