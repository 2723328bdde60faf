# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix redraw-random-port: restart a program that listens on a port which the kernel drew, and which a NodePort has taken.

It listens on another one then, drawn as the first was: whether that is a NodePort again is looked at, and can only be told. The program is
found by its unit; sources on who may be restarted are in restart_limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Iterator, List, NamedTuple, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    fix_plan,
    owner_restart,
    port_ranges,
    restart_limits,
    tcp_reader,
    unit_state,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Restart
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import NEEDED, Places, Plan, TargetError
from ansible_collections.kubenode.doctor.plugins.module_utils.owner_restart import Back
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_now import Owner, TcpNow

FIX = "redraw-random-port"
_FIELDS = {"program": (str,), "unit": (str,), "address": (str,), "port": (int,), "node_ports": (str,)}
# What a restart costs. kubelet: a node is NotReady when it has not been heard of for --node-monitor-grace-period (40 s; 50 s since
# Kubernetes 1.32); containers have shims or conmon of their own, so that runtimes and kubelet leave them alone.
_SESSIONS = "kubectl exec, attach and port-forward sessions on this node end; pods keep running"
_COSTS = {"kubelet": f"the node may be NotReady for up to 40 s; {_SESSIONS}"}
_COSTS.update(dict.fromkeys(("containerd", "crio", "cri-dockerd"), _SESSIONS))
_COSTS_OF_OTHERS = "its clients are cut off while it restarts"


class _Target(NamedTuple):
    """A listener, and the NodePorts that the kernel could draw for it again."""

    owner: Owner
    address: str
    port: int
    node_ports: port_ranges.Intervals

    @property
    def words(self) -> str:
        place = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.owner.words} on {place}:{self.port}"


class _Look(NamedTuple):
    """What became of a target: ``listeners`` of the program there, or why nothing is to be done (``gone``) or can be (``refusal``)."""

    target: _Target
    listeners: List[Entry]
    gone: str = ""
    refusal: str = ""


def target(program: str, unit: str, address: str, port: int, node_ports: str) -> str:
    """What is to be cured: the program that listens there; ``node_ports`` ("31000,32000-32010") are not to be drawn again."""
    return fix_plan.target_text(program=program, unit=unit, address=address, port=port, node_ports=node_ports)


def plan(targets: Sequence[str], _choices: Mapping[str, Any], places: Places, deadline: Deadline) -> Plan:
    """Restart the unit of each target whose program still listens on the number."""
    try:
        wanted = list(dict.fromkeys(map(_read, targets)))
        now = TcpNow(deadline, places.proc)
    except (TargetError, tcp_reader.ReaderError) as error:
        return fix_plan.stopped(str(error))
    looks = [_look(one, now, places, deadline) for one in wanted]
    refusals = [look.refusal for look in looks if look.refusal]
    if refusals:
        return fix_plan.stopped("; ".join(dict.fromkeys(refusals)))
    there = [look for look in looks if look.listeners]
    if not there:
        return fix_plan.done("; ".join(look.gone for look in looks))
    owners = list(dict.fromkeys(look.target.owner for look in there))
    moved = [entry for look in there for entry in look.listeners]
    back = [Back(owner, now, places, moved) for owner in owners]
    return Plan(
        NEEDED,
        told=tuple(
            filter(None, (*_told(there, owners), *(owner_restart.also(owner, places, deadline) for owner in owners)))
        ),
        undo=tuple(
            f"the old number was drawn by chance; systemctl restart {owner.unit} draws yet another one"
            for owner in owners
        ),
        steps=tuple(Restart(owner.unit or "") for owner in owners),
        verify=lambda deadline: owner_restart.verify(
            back, places, deadline, lambda later: (_ill_drawn(look.target, later) for look in there)
        ),
    )


def _read(text: str) -> _Target:
    """Raises TargetError."""
    found = fix_plan.read_target(text, _FIELDS)
    if not 0 < found["port"] <= port_ranges.HIGHEST or not unit_state.is_service(found["unit"]):
        raise TargetError(f"what is to be cured names no port, or no service of systemd: {text[:100]}")
    try:
        node_ports = port_ranges.parse_reserved(found["node_ports"])
    except ValueError as error:
        raise TargetError(f"the NodePorts of what is to be cured cannot be read: {error}") from error
    return _Target(Owner(found["program"], found["unit"], None), found["address"], found["port"], node_ports)


def _look(wanted: _Target, now: TcpNow, places: Places, deadline: Deadline) -> _Look:
    there = [entry for entry in now.listeners if (entry.address, entry.port) == (wanted.address, wanted.port)]
    own = now.owned(there, wanted.owner)
    if not own:
        gone, refusal = _nobody(wanted, there, now, places, deadline)
        return _Look(wanted, [], gone, refusal)
    if wanted.owner.program == restart_limits.API_SERVER:
        refusal = f"{wanted.owner.unit} is not restarted by a fix: the API server's ports are not drawn"
    else:
        refusal = owner_restart.why_not(wanted.owner, now.pids(own, wanted.owner), places, deadline)
    return _Look(wanted, own, "", refusal)


def _nobody(
    wanted: _Target, there: Sequence[Entry], now: TcpNow, places: Places, deadline: Deadline
) -> Tuple[str, str]:
    """Why the fault is gone, or what stands there instead, when the program does not listen on the number any more."""
    if there:
        unseen = now.unseen(there)
        names = sorted({str(process["name"]) for entry in there for process in now.processes(entry)})
        who = (
            f"whose listener that is could not be seen: {unseen}"
            if unseen
            else f"{', '.join(names) or 'nobody'} listens there"
        )
        return "", f"{wanted.words} is not what was diagnosed ({who}). {fix_plan.AGAIN}"
    try:
        state = unit_state.read(wanted.owner.unit or "", deadline, places.root)
    except unit_state.UnitError as error:
        return "", str(error)
    if state.active != "active":
        return "", f"{wanted.owner.unit} does not run any more (it is {state.active}). {fix_plan.AGAIN}"
    return f"{wanted.words} does not listen there any more", ""


def _told(there: Sequence[_Look], owners: Sequence[Owner]) -> Iterator[str]:
    for owner in owners:
        numbers = sorted({look.target.port for look in there if look.target.owner == owner})
        ports = ", ".join(map(str, numbers))
        yield f"restart {owner.unit}: {owner.program} then draws another port in place of {ports}"
        yield _COSTS.get(owner.program, _COSTS_OF_OTHERS)
    yield "the new port is random too; when it is a NodePort again, this fix says so: the fix reserve-nodeports keeps the kernel from drawing those"


def _ill_drawn(wanted: _Target, now: TcpNow) -> str:
    """What is wrong with the ports on which it listens at the address now; empty when nothing is."""
    ports = {entry.port for entry in now.owned(now.listeners, wanted.owner) if entry.address == wanted.address}
    if wanted.port in ports:
        return f"{wanted.words} listens there again: its port is a fixed one, or was drawn once more"
    taken = sorted(port for port in ports if port_ranges.contains(wanted.node_ports, port))
    return f"{wanted.owner.words} has drawn {taken[0]}, which is a NodePort too: run the fix again" if taken else ""
