# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix raise-backlog: let more connections wait to be accepted, now and at each boot.

The kernel takes min(what the program asked for, net.core.somaxconn) once, when the program calls listen() (net/socket.c, __sys_listen): a program that
listens already keeps its backlog until it is restarted. Which ones are, the operator says by their units; without that none is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, List, NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    owner_restart,
    port_ranges,
    restart_limits,
    sysctl_setting,
    tcp_reader,
    unit_state,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Restart
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
from ansible_collections.kubenode.doctor.plugins.module_utils.owner_restart import Back
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.sysctl_setting import Setting, SettingError
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_now import Owner, TcpNow

FIX = "raise-backlog"
KEY = "net.core.somaxconn"
_MOST = 2**31 - 1  # the setting is an int
_NAME = "somaxconn"
_COMMENTS = (
    "fix raise-backlog. So many connections may wait for a program that asks for no less when it begins to listen.",
)
_SERVICE = ".service"
_FIELDS = {
    "value": (int,),
    "somaxconn": (int,),
    "program": (str,),
    "unit": (str, type(None)),
    "address": (str,),
    "port": (int,),
    "backlog": (int,),
}


class _Listener(NamedTuple):
    """A listener with a backlog that is too small; ``value`` is what somaxconn is to be, ``somaxconn`` what it was at the diagnosis."""

    value: int
    somaxconn: int
    program: str
    unit: Optional[str]
    address: str
    port: int
    backlog: int

    @property
    def owner(self) -> Owner:
        return Owner(self.program, self.unit, None)

    @property
    def words(self) -> str:
        """kubelet on port 10250."""
        return f"{self.program[:60]} on port {self.port}"

    def is_grown(self, backlog: int) -> bool:
        """Whether this is a larger backlog; where somaxconn was lowered since the program began to listen, the same is one."""
        return backlog > self.backlog or (self.backlog > self.somaxconn and backlog == self.backlog)


class _Restart(NamedTuple):
    """A unit that is to be restarted, for what listeners, and how it is told that it is back."""

    unit: str
    listeners: List[_Listener]
    back: Back
    also: str


def target(value: int, somaxconn: int, program: str, unit: Optional[str], address: str, port: int, backlog: int) -> str:
    """As rules write it: what somaxconn is to be and is, and one listener whose backlog is too small; ``unit`` None where nothing restarts it."""
    return target_text(
        value=value, somaxconn=somaxconn, program=program, unit=unit, address=address, port=port, backlog=backlog
    )


def plan(targets: Sequence[str], choices: Mapping[str, Any], places: Places, deadline: Deadline) -> Plan:
    """Raise somaxconn where it is too low, and restart those of the listeners' units that ``choices["restart"]`` names."""
    try:
        wanted = _read_all(targets)
        now = TcpNow(deadline, places.proc)
        setting = sysctl_setting.look(KEY, places, deadline)
        low = [one for one in wanted if _small(one, now)]
        if not low:
            return done("none of these listeners is there any more with so small a backlog")
        value = max(one.value for one in low)
        _check(setting, low[0].somaxconn, value)
        restarts = _restarts(low, choices.get("restart") or (), now, places, deadline)
        change = sysctl_setting.change(setting, str(value), sysctl_setting.at_least(value), _NAME, _COMMENTS)
    except (TargetError, SettingError, tcp_reader.ReaderError) as error:
        return stopped(str(error))
    left = list(_told_of_others(low, restarts))
    if not change.steps and not restarts:
        but = sysctl_setting.but_for_conf(setting, sysctl_setting.at_least(value))
        return done(f"{KEY} is {setting.live} already{but}; {'; '.join(left)}")
    steps = (*change.steps, *(Restart(one.unit) for one in restarts))
    told = (*change.told, *_told_of_restarts(restarts), *left)
    return Plan(NEEDED, "", told, _undo(change.undo, restarts), steps, _Verify(setting, value, restarts, places))


class _Verify:
    """Asks whether the value is set and those that were restarted listen again, with a larger backlog."""

    def __init__(self, setting: Setting, value: int, restarts: Sequence[_Restart], places: Places) -> None:
        self._setting = setting
        self._enough = sysctl_setting.at_least(value)
        self._restarts = restarts
        self._places = places

    def __call__(self, deadline: Deadline) -> str:
        amiss = sysctl_setting.verify(self._setting, self._enough, self._places, deadline)
        for one in self._restarts:
            amiss = amiss or one.back.wait(deadline) or self._small(one, deadline)
        return amiss

    def _small(self, restart: _Restart, deadline: Deadline) -> str:
        try:
            now = TcpNow(deadline, self._places.proc)
        except tcp_reader.ReaderError as error:
            return str(error)
        for one in restart.listeners:
            backlogs = [entry.wqueue or 0 for entry in _there(one, now)]
            if not backlogs or not all(map(one.is_grown, backlogs)):
                has = f"has a backlog of {min(backlogs)}: it asks for no more" if backlogs else "does not listen"
                return f"{one.words} was restarted and {has}"
        return ""


def _read_all(targets: Sequence[str]) -> List[_Listener]:
    """Raises TargetError, also where they were diagnosed with different values of somaxconn, or there is none."""
    found = list(dict.fromkeys(map(_read, targets)))
    if len({one.somaxconn for one in found}) != 1:
        raise TargetError(f"the findings tell of different values of {KEY}" if found else "there is nothing to raise")
    return found


def _read(text: str) -> _Listener:
    one = _Listener(**read_target(text, _FIELDS))
    if not 0 < one.value <= _MOST or not 0 < one.port <= port_ranges.HIGHEST:
        raise TargetError(f"what is to be cured names no port, or no value for {KEY}: {text[:100]}")
    if one.unit is not None and not unit_state.is_service(one.unit):
        raise TargetError(f"what is to be cured names no service of systemd: {text[:100]}")
    return one


def _there(one: _Listener, now: TcpNow) -> List[Entry]:
    return [entry for entry in now.listeners if (entry.address, entry.port) == (one.address, one.port)]


def _small(one: _Listener, now: TcpNow) -> bool:
    """Whether a listener is there with no larger backlog. Raises SettingError where that cannot be seen."""
    there = _there(one, now)
    if any(entry.wqueue is None for entry in there):
        raise SettingError(
            "the backlogs of this node's listeners cannot be seen: only the kernel's sock_diag shows them"
        )
    return any((entry.wqueue or 0) <= one.backlog for entry in there)


def _check(setting: Setting, somaxconn: int, value: int) -> None:
    """Raises SettingError where somebody else has set it since."""
    if setting.live != str(somaxconn) and not sysctl_setting.at_least(value)(setting.live):
        raise SettingError(f"{KEY} is {sysctl_setting.shown(setting.live)} now, and was {somaxconn}. {AGAIN}")


def _restarts(
    low: Sequence[_Listener], named: Sequence[str], now: TcpNow, places: Places, deadline: Deadline
) -> List[_Restart]:
    """Of the units that are named those that one of the listeners is of. Raises SettingError where one may not be restarted."""
    names = {name if name.endswith(_SERVICE) else f"{name}{_SERVICE}" for name in map(str, named)}
    found = []
    for unit in sorted({one.unit for one in low if one.unit in names} - {None}, key=str):
        listeners = [one for one in low if one.unit == unit]
        for owner in dict.fromkeys(one.owner for one in listeners):
            _check_owner(owner, [one for one in listeners if one.owner == owner], now, places, deadline)
        owner = listeners[0].owner
        found.append(
            _Restart(str(unit), listeners, Back(owner, now, places), owner_restart.also(owner, places, deadline))
        )
    return found


def _check_owner(owner: Owner, listeners: Sequence[_Listener], now: TcpNow, places: Places, deadline: Deadline) -> None:
    """Raises SettingError where the owner does not hold its listeners, or may not be restarted."""
    for one in listeners:
        there = _there(one, now)
        if len(now.owned(there, owner)) != len(there):
            unseen = now.unseen(there)
            raise SettingError(
                f"that {one.words} is {owner.words} {f'could not be seen: {unseen}' if unseen else f'is not so any more. {AGAIN}'}"
            )
    pids = now.pids([entry for one in listeners for entry in _there(one, now)], owner)
    refusal = owner_restart.why_not(owner, pids, places, deadline)
    if refusal:
        raise SettingError(refusal)


def _told_of_restarts(restarts: Sequence[_Restart]) -> Iterator[str]:
    if not restarts:
        yield "nothing is restarted and no connection is cut"
    for one in restarts:
        yield f"{one.unit} is restarted: all connections of its program are cut, also those that wait to be accepted"
        if one.also:
            yield one.also


def _told_of_others(low: Sequence[_Listener], restarts: Sequence[_Restart]) -> Iterator[str]:
    """Who needs a restart and gets none."""
    units = {one.unit for one in restarts}
    for one in low:
        if one.unit in units:
            continue
        keeps = f"{one.words} keeps its backlog of {one.backlog} until it is restarted"
        limit = restart_limits.why_not([one.program], one.unit)
        if one.unit is None:
            yield f"{keeps}: by hand, since it has no unit of its own"
        elif limit:
            yield f"{keeps}: by hand, since {limit}"
        else:
            yield f"{keeps}, which was not asked for: -e restart={one.unit}"


def _undo(undo: Sequence[str], restarts: Sequence[_Restart]) -> Tuple[str, ...]:
    return (*undo, *(f"systemctl restart {one.unit}" for one in restarts))
