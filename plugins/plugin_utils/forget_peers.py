# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Peers that no Node names: what proves that they are gone for good, and what makes their protocol's program forget them.

Never done automatically: two sources have to say that a peer is gone (no Node has its address, and it does not answer), and that it
will not come back is known to a person only. Commands are exact: where the program wants a name that only its own list tells, the
command that shows the list is all that is offered, and ``by_hand`` says so.

Sources: docs.tigera.io calicoctl node status (the column SINCE); etcd.io/docs runtime reconfiguration, and the paths in
kubernetes cmd/kubeadm/app/constants/constants.go; weave.works/docs/net/latest/kubernetes/kube-addon (weave --local in the pod).
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ansible_collections.kubenode.doctor.plugins.plugin_utils import kubectl
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_protocols import ETCD, WEAVE, Protocol
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy

_SHOWN = 10  # addresses that a command is told for
_AGAIN = "ansible-playbook kubenode.doctor.diagnose"
_PKI = "/etc/kubernetes/pki/etcd"
_MEMBERS = (
    "etcdctl",
    "--endpoints=https://127.0.0.1:2379",
    f"--cacert={_PKI}/ca.crt",
    f"--cert={_PKI}/healthcheck-client.crt",
    f"--key={_PKI}/healthcheck-client.key",
    "member",
    "list",
    "-w",
    "table",
)


def look(protocol: Protocol, node: NodeView, context: Context) -> Remedy:
    """Show the program's own list of peers."""
    pod = _pod(protocol, node, context)
    if protocol is ETCD and pod:
        members = kubectl.about(pod[0], "exec", pod[1], "--", *_MEMBERS, names=(pod[1],))
        return replace(protocol.look, commands=(*protocol.look.commands, *members))
    if protocol is WEAVE:
        return replace(
            protocol.look, commands=(*protocol.look.commands, *_weave(node, context, "status", "connections"))
        )
    return protocol.look


def cures(
    protocol: Protocol, addresses: Sequence[str], port: int, in_pod: bool, node: NodeView, context: Context
) -> Iterator[Remedy]:
    """The proof, then what makes the program forget these addresses."""
    if protocol.removes:
        yield _prove(protocol, port, in_pod)
    if protocol is WEAVE:
        forget = tuple(one for address in _plain(addresses) for one in _weave(node, context, "forget", address))
        yield from (replace(remedy, commands=forget) for remedy in protocol.cures)
    else:
        yield from protocol.cures


def _prove(protocol: Protocol, port: int, in_pod: bool) -> Remedy:
    """Two sources now, and the same a day later."""
    dialled = () if in_pod else (f"ss -tnpo state syn-sent dport = :{port}",)
    since = f", {protocol.since[0]}" if protocol.since else ""
    return Remedy(
        "before anything is forgotten, prove that it is gone, by two sources: no Node has the address, and its SYNs stay unanswered from here; and "
        f"that it has been so for a day{since}: an audit of tomorrow finds the very same addresses",
        ("kubectl get nodes -o wide", *dialled, *protocol.since[1:], _AGAIN),
        "none",
    )


def _plain(addresses: Sequence[str]) -> Iterator[str]:
    for address in addresses[:_SHOWN]:
        try:
            yield str(ipaddress.ip_address(address))
        except ValueError:
            continue


def _weave(node: NodeView, context: Context, *words: str) -> tuple[str, ...]:
    """A command of Weave's script: in its pod, or on the host where its program runs there without one."""
    pod = _pod(WEAVE, node, context)
    if pod:
        return kubectl.about(
            pod[0], "exec", pod[1], "-c", "weave", "--", "/home/weave/weave", "--local", *words, names=(pod[1],)
        )
    on_host = set(_pod_uids(WEAVE, node)) == {None}
    return (shlex.join(("weave", *words)),) if on_host else ()


def _pod(protocol: Protocol, node: NodeView, context: Context) -> tuple[str, str] | None:
    """Namespace and name of the pod in which this node's program runs, where the node showed it."""
    for uid in _pod_uids(protocol, node):
        seen = context.pods.find(uid, None, None) if uid else None
        if seen and seen.namespace and seen.name:
            return seen.namespace, seen.name
    return None


def _pod_uids(protocol: Protocol, node: NodeView) -> Iterator[str | None]:
    """Of each process of the program that listens on this node, the pod that it belongs to, if any."""
    for socket in (node.sections.get("listen_ports") or {}).get("listeners") or ():
        for process in socket["processes"]:
            if process["name"] in protocol.names:
                yield process["pod_uid"]
