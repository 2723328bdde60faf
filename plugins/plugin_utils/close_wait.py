# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that the other end has closed and this one has not: which of three faults it is, whose, and what cures it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_restart_leaker, restart_limits, static_pod
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_now import Owner
from ansible_collections.kubenode.doctor.plugins.plugin_utils import listening, restarts
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy
from ansible_collections.kubenode.doctor.plugins.plugin_utils.stuck_groups import Gathered

NEVER_READ = "never_read"
LEAKED = "leaked"
NEVER_ACCEPTED = "never_accepted"
CAUSES = (NEVER_READ, LEAKED, NEVER_ACCEPTED)

# What each cause is, and how it shows: Recv-Q counts an unread FIN as 1, and a socket that nobody accepted has no inode (Linux
# net/ipv4/tcp_diag.c, tcp_diag_get_info; net/ipv4/tcp.c, tcp_close).
MEANING = {
    NEVER_READ: (
        "the end that the other side sent is still unread (Recv-Q 1, or more where data waits in front of it): whoever should read is stuck, or "
        "waits for something else"
    ),
    LEAKED: "the program has read the end (Recv-Q 0) and has not closed: it forgot its descriptor, which is a bug of the program",
    NEVER_ACCEPTED: "the program never accepted them (they have no inode): the listener is at fault, not the connections",
}
_API_SERVER = "kube-apiserver"
_KUBELET_PORT = 10250


def causes(gathered: Gathered) -> dict[str, int] | None:
    """How many connections have each cause; None where the backend does not tell."""
    told = [group["causes"] for group in gathered.groups if group["causes"] is not None]
    return {cause: sum(entry[cause] for entry in told) for cause in CAUSES} if told else None


def main_cause(gathered: Gathered) -> str | None:
    """The cause of most of them; None where none is known."""
    told = causes(gathered)
    if not told or not any(told.values()):
        return None
    return max(CAUSES, key=lambda cause: told[cause])


def listener(gathered: Gathered) -> dict[str, Any] | None:
    """The listener that connections came in to (``listening.as_socket``); None for outgoing ones, and where it is gone."""
    if not gathered.came_in:
        return None
    namespaces = {group["netns"] for group in gathered.groups}
    for entry in gathered.section["accept_queues"]:
        if entry["port"] == gathered.port and entry["netns"] in namespaces:
            return listening.as_socket(entry, gathered.section)
    return None


def is_opener(gathered: Gathered) -> bool:
    """True for connections to the sockets with which kube-proxy before 1.24 holds NodePorts and from which it never accepts."""
    return gathered.came_in and gathered.process == "kube-proxy" and main_cause(gathered) == NEVER_ACCEPTED


def is_exec_leak(gathered: Gathered) -> bool:
    """True for API server to kubelet."""
    return not gathered.came_in and gathered.process == _API_SERVER and gathered.port == _KUBELET_PORT


def background(gathered: Gathered) -> str:
    """What is known of just this program and port; empty for most."""
    if is_exec_leak(gathered):
        return (
            "kube-apiserver dials kubelets for exec, attach, port-forward, logs and proxied requests, and has leaked these connections before: "
            "kubernetes issues 67913 and 67659."
        )
    if is_opener(gathered):
        return (
            "kube-proxy before 1.24 holds NodePorts with sockets from which it never accepts; what connected before the NodePort's rules were "
            "written stays in them for ever: kubernetes issue 106713."
        )
    return ""


def remedies(gathered: Gathered, node: NodeView) -> Iterator[Remedy]:
    """Cures, the lasting one first."""
    if is_exec_leak(gathered):
        yield Remedy(
            "upgrade Kubernetes, if its version has the known leak",
            ("kubectl version",),
            "the usual ones of an upgrade",
        )
        restart = Remedy(
            "restart the API servers one after the other, each only while the others and etcd's quorum are healthy: a static pod's by moving its "
            "manifest away and back",
            ("kubectl get --raw '/readyz?verbose'",),
            "watches and exec sessions through it are cut; with a single API server the API is away meanwhile",
        )
        yield _offered(restart, gathered, node)
    elif is_opener(gathered):
        yield Remedy(
            "restart kube-proxy, which closes them, and upgrade it: since 1.24 (and 1.23.7, 1.22.10, 1.21.13) it holds no NodePorts",
            (),
            "rules stay in place while it restarts",
        )
    else:
        yield _restart(gathered, node)
    if main_cause(gathered) != NEVER_ACCEPTED and not gathered.in_pod:  # ss of the host would abort others' connections
        yield _kill(gathered)


def _restart(gathered: Gathered, node: NodeView) -> Remedy:
    lasting = "correct or upgrade the program, which must close what the other side has closed"
    restart = restarts.remedy(
        gathered.process or "the program",
        _processes(gathered, node),
        f"which frees them until they come back; {lasting}",
        "all of its connections are cut",
        gathered.in_pod,
    )
    return _offered(restart, gathered, node)


def _offered(restart: Remedy, gathered: Gathered, node: NodeView) -> Remedy:
    """The remedy as what the fix does, or with the reason why none does it."""
    owners = list(dict.fromkeys(map(_owner, _processes(gathered, node))))
    why = _why_not(gathered, owners)
    if why:
        return replace(restart, by_hand=why)
    target = fix_restart_leaker.target(owners[0], gathered.port, gathered.came_in, gathered.count)
    return replace(restart, fix=fix_restart_leaker.FIX, targets=(target,), by_hand="")


def _owner(process: dict[str, Any]) -> Owner:
    uid = process["pod_uid"]
    return Owner(process["name"] or "", None if uid else restarts.own_unit([process]), uid)


def _why_not(gathered: Gathered, owners: Sequence[Owner]) -> str:
    """Why no fix restarts who holds the connections; empty where one does."""
    if gathered.in_pod:
        return "of a pod with a network of its own, who made it knows how it is restarted, and what waits for it"
    if not owners:
        return "in which unit or static pod the program runs was not seen, because none of its listeners were"
    if len(owners) > 1:
        return (
            "the connections are of several programs or units: which of them is to be restarted is for a person to say"
        )
    (owner,) = owners
    if owner.pod_uid and not static_pod.is_static(owner.pod_uid):
        return "the program is in a pod that the API server knows: who made it knows how it is restarted, and what waits for it"
    if not owner.pod_uid and not owner.unit:
        return "the program is neither in a unit of this machine's systemd nor in a static pod"
    return restart_limits.why_not([owner.program], owner.unit)


def _processes(gathered: Gathered, node: NodeView) -> Iterator[dict[str, Any]]:
    """What is known of the processes that hold the connections, as far as their listeners tell it."""
    pids = {sample["pid"] for sample in gathered.samples} - {None}
    listeners = (node.sections.get("listen_ports") or {}).get("listeners", ())
    for socket in (*gathered.section["accept_queues"], *listeners):
        for process in socket["processes"]:
            if process["pid"] in pids:
                yield process


def _kill(gathered: Gathered) -> Remedy:
    end = "sport" if gathered.came_in else "dport"
    return Remedy(
        "as a last resort, let the kernel abort them",
        (f"ss -K -t state close-wait {end} = :{gathered.port}",),
        "aborts streams, and those of other programs on this port too; frees the kernel's memory and not the descriptor that the program has leaked",
        by_hand="it aborts what other programs have on this port as well, and leaves the leak where it is",
    )
