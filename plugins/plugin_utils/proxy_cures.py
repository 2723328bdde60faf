# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to make kube-proxy write its rules anew on one node, with exact commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils.service_proxy import OWN_NAMES
from ansible_collections.kubenode.doctor.plugins.plugin_utils import restarts
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy

HEALTH_PORT = 10256  # --healthz-bind-address of kube-proxy
_NAMESPACE, _LABEL = "kube-system", "k8s-app=kube-proxy"  # as kubeadm, kops and kubespray install it
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_WHY = "so that it writes all of its rules anew"
_RISK = "connections that are open stay; changes of Services are not followed for the seconds that it takes"
_BY_HAND = "its log says first why the rules are not there: a restart that fails for the same reason leaves the node without kube-proxy"
_LINES = 20  # of the log


def remedies(node: NodeView, context: Context) -> Iterator[Remedy]:
    """Look at kube-proxy, then restart it."""
    found = context.node_object(node.host)
    name = found["name"] if found and _NAME.fullmatch(found["name"]) else None
    program = node["nodeport_conflict"]["proxy"]["program"]
    processes = _processes(node, program)
    pod = _pod(processes, context)
    if program is None:
        yield Remedy("find out why no kube-proxy runs on this node", _list_pods(name), "none")
        return
    unit = restarts.own_unit(processes)
    yield Remedy(
        "look whether kube-proxy is well and what it complains of: its health port answers 503 when it has not written its rules for long",
        (*_health(name), *_logs(pod, unit, name)),
        "none",
    )
    if unit or program != "kube-proxy":
        yield restarts.remedy(program, processes, _WHY, _RISK)
    else:
        commands = _delete_pod(pod, name)
        yield Remedy(f"restart its pod, {_WHY}", commands, _RISK, by_hand=_BY_HAND if commands else "")


def _processes(node: NodeView, program: str | None) -> list[dict[str, Any]]:
    """The processes of kube-proxy that hold a socket: it always listens for its health and its metrics."""
    listeners = (node.sections.get("listen_ports") or {}).get("listeners") or ()
    return [
        process
        for socket in listeners
        for process in socket["processes"]
        if process["name"] == program and process["name"] in OWN_NAMES
    ]


def _pod(processes: list[dict[str, Any]], context: Context) -> tuple[str, str] | None:
    """The namespace and name of its pod, where its node showed it."""
    for process in processes:
        seen = context.pods.find(process["pod_uid"], None, None) if process["pod_uid"] else None
        names = (seen.namespace or "", seen.name or "") if seen else ("", "")
        if all(map(_NAME.fullmatch, names)):
            return names
    return None


def _health(name: str | None) -> Iterator[str]:
    if name:
        yield shlex.join(("kubectl", "get", "--raw", f"/api/v1/nodes/{name}:{HEALTH_PORT}/proxy/healthz"))


def _logs(pod: tuple[str, str] | None, unit: str | None, name: str | None) -> Iterator[str]:
    if unit:
        yield shlex.join(("journalctl", f"--unit={unit}", f"--lines={_LINES}", "--no-pager"))
    elif pod:
        yield shlex.join(("kubectl", "-n", pod[0], "logs", pod[1], "--all-containers", f"--tail={_LINES}"))
    else:
        yield from _list_pods(name)


def _list_pods(name: str | None) -> tuple[str, ...]:
    where = ("--field-selector", f"spec.nodeName={name}") if name else ()
    return (shlex.join(("kubectl", "-n", _NAMESPACE, "get", "pods", "-l", _LABEL, *where, "-o", "wide")),)


def _delete_pod(pod: tuple[str, str] | None, name: str | None) -> tuple[str, ...]:
    if pod:
        return (shlex.join(("kubectl", "-n", pod[0], "delete", "pod", pod[1])),)
    if name is None:
        return ()
    selector = ("-l", _LABEL, "--field-selector", f"spec.nodeName={name}")
    return (shlex.join(("kubectl", "-n", _NAMESPACE, "delete", "pod", *selector)),)
