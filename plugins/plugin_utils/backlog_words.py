# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a listener's backlog comes from, and what changes it.

The kernel takes min(what the program asked for, net.core.somaxconn), once, when the program calls listen() (net/socket.c,
__sys_listen). Go programs ask for what somaxconn is when they begin to listen (Go src/net/sock_linux.go, maxListenerBacklog).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_raise_backlog, host_identity, restart_limits
from ansible_collections.kubenode.doctor.plugins.plugin_utils import listening, restarts, sysctl
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy

SOMAXCONN_FILE = "/etc/sysctl.d/60-somaxconn.conf"
DEFAULT_SOMAXCONN = 4096  # Linux 5.4 and newer, include/linux/socket.h SOMAXCONN; 128 before
RESTART = "a program that listens already keeps its backlog until it is restarted"

# All of these are written in Go.
_GO = host_identity.COMPONENTS | {
    "calico-typha",
    "coredns",
    "dns-controller",
    "kops-controller",
    "kube-router",
    "protokube",
}


def origin(socket: dict[str, Any], somaxconn: int | None) -> str:
    """Who set a listener's backlog (``listening.as_socket``): somaxconn or the program."""
    if socket["netns"] != listening.HOST:
        return "the program's wish or somaxconn of its pod's own network namespace, whichever is less"
    if somaxconn is None:
        return "whether somaxconn or the program set it is not known, because somaxconn could not be read"
    if socket["backlog"] > somaxconn:
        return f"net.core.somaxconn is {somaxconn} today, so it was lowered after the program began to listen"
    asked = ", and most Go programs ask for just that" if _is_go(socket) else ""
    if socket["backlog"] == somaxconn:
        wish = asked or ": the program asked for as much or for more"
        return f"net.core.somaxconn set it, which is {somaxconn}{wish}"
    if asked:
        return f"net.core.somaxconn is {somaxconn} today{asked}: it was raised after this one began to listen, or this one asks for less"
    return f"net.core.somaxconn is {somaxconn}, so the program asked for less, or began to listen before somaxconn was raised"


def restart(socket: dict[str, Any], why: str, somaxconn: int | None = None) -> Remedy:
    """Restart the program, which makes it listen anew.

    ``somaxconn`` is given where it leaves room for more than the listener has: a program that asks for all of it wants a restart, and nothing else.
    """
    risk = "its connections are cut, also those that wait in the queue"
    remedy = restarts.remedy(_process(socket), socket["processes"], why, risk, socket["netns"] != listening.HOST)
    if somaxconn is None or not (_is_go(socket) and remedy.commands):
        return remedy
    if restart_limits.why_not(
        [process["name"] for process in socket["processes"]], restarts.own_unit(socket["processes"])
    ):
        return remedy
    targets = _targets([socket], somaxconn, somaxconn)
    return dataclasses.replace(remedy, fix=fix_raise_backlog.FIX, targets=targets, by_hand="")


def raise_somaxconn(value: int, sockets: Sequence[dict[str, Any]], somaxconn: int) -> Remedy:
    """Set net.core.somaxconn, which is ``somaxconn`` today; then the programs of these listeners have to be restarted."""
    return Remedy(
        f"let somaxconn be {value}, then restart the program: {RESTART}",
        sysctl.commands(fix_raise_backlog.KEY, value, SOMAXCONN_FILE),
        "more connections wait, and longer; a program that accepts too slowly fills any queue; pods have a somaxconn of their own; "
        f"{sysctl.LATER_BUT_FOR_FIX}",
        fix_raise_backlog.FIX,
        _targets(sockets, value, somaxconn),
    )


def _targets(sockets: Sequence[dict[str, Any]], value: int, somaxconn: int) -> tuple[str, ...]:
    return tuple(
        fix_raise_backlog.target(
            value=value,
            somaxconn=somaxconn,
            unit=(unit := restarts.own_unit(socket["processes"])),
            program=_in_unit(socket, unit) or _process(socket),
            address=socket["address"],
            port=socket["port"],
            backlog=socket["backlog"],
        )
        for socket in sockets
    )


def _in_unit(socket: dict[str, Any], unit: str | None) -> str | None:
    """The name of the process that a unit restarts."""
    return next((process["name"] for process in socket["processes"] if unit and process["unit"] == unit), None)


def _process(socket: dict[str, Any]) -> str:
    names = sorted({process["name"] for process in socket["processes"] if process["name"]})
    return names[0] if names else listening.program(socket)


def _is_go(socket: dict[str, Any]) -> bool:
    return any(process["name"] in _GO for process in socket["processes"])
