# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cures for containers, with their exact commands: what is removed is saved first, by its full id, and never by force.

Sources: moby/moby daemon/delete.go (a running container is refused without force); kubernetes-sigs/cri-tools cmd/crictl/container.go
and sandbox.go (rm and rmp refuse what runs, unless forced; rm deletes the log unless --keep-logs, which crictl 1.30 brought with
that habit); kubernetes/cri-api api.proto (RemoveContainer: "if the container is running, the container must be forcibly removed").
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import kube_container
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import Identity, is_id
from ansible_collections.kubenode.doctor.plugins.plugin_utils import container_words, restarts
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import DOCKER
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy

FIX = "container-name-conflict"  # the fix of the role containers; it knows Docker only

_FOLDER = "/root"  # what an inspection shows is not for everybody's eyes
_BY_HAND_DOCKER = "the fix removes what hides a living instance, and nothing else: that this one is not needed has to be seen by a person"
_BY_HAND_CRI = "a runtime that is told to remove a container stops it first (RemoveContainer): only crictl's own refusal keeps one that came to life meanwhile"
_ENDPOINT = re.compile(r"(unix://)?(/[A-Za-z0-9._/-]+)")
# Units of the packages that own these sockets; of k3s, RKE2 and the like the runtime is a part, and has no unit.
_UNITS = {
    "/run/containerd/containerd.sock": "containerd.service",
    "/run/crio/crio.sock": "crio.service",
    "/var/run/crio/crio.sock": "crio.service",
}


def remove(runtime: str, endpoint: str | None, ids: Sequence[str], sandbox: bool, summary: str, risk: str) -> Remedy:
    """Save what is known of dead containers and remove them, in this order; no commands for ids that are none."""
    if not all(map(is_id, ids)):
        return Remedy(f"{summary}: their ids are not of the usual form, so look at them by hand", (), risk)
    commands = (command for id_ in ids for command in _removal(runtime, endpoint, id_, sandbox))
    return Remedy(summary, tuple(commands), risk, by_hand=_BY_HAND_DOCKER if runtime == DOCKER else _BY_HAND_CRI)


def _removal(runtime: str, endpoint: str | None, id_: str, sandbox: bool) -> Iterator[str]:
    file = f"{_FOLDER}/{id_[:12]}"
    program = _program(runtime, endpoint)
    inspect = "inspectp" if sandbox and runtime != DOCKER else "inspect"
    yield f"{shlex.join((*program, inspect, id_))} > {file}.json"
    if not sandbox:
        yield f"{shlex.join((*program, 'logs', id_))} > {file}.log 2>&1"
    yield shlex.join((*program, *_remove_words(runtime, sandbox), id_))


def _remove_words(runtime: str, sandbox: bool) -> tuple[str, ...]:
    if runtime == DOCKER:
        return ("rm",)
    return ("rmp",) if sandbox else ("rm", "--keep-logs")


def removal_risk(runtime: str, sandbox: bool) -> str:
    """What can go wrong with ``remove``."""
    if runtime == DOCKER:
        return (
            "docker rm refuses a container that runs: never add -f, which would stop it, nor -v; kubectl logs --previous ends with the removed "
            "container"
        )
    if sandbox:
        return "crictl rmp refuses a sandbox that is ready: never add -f; dead containers that are left in the sandbox go with it"
    return (
        "crictl rm refuses a container that runs: never add -f, and use no other client, since the call RemoveContainer itself stops what "
        "runs; a crictl before 1.30 does not know --keep-logs and keeps the log anyway: leave the option out there"
    )


def listing(runtime: str, endpoint: str | None, identity: Identity) -> tuple[str, ...]:
    """Commands that list all instances of a pod, dead ones too."""
    program, label = _program(runtime, endpoint), f"{kube_container.LABEL_POD_UID}={identity.pod_uid}"
    if runtime == DOCKER:
        return (shlex.join((*program, "ps", "--all", "--no-trunc", "--filter", f"label={label}")),)
    return (
        shlex.join((*program, "pods", "--no-trunc", "--label", label)),
        shlex.join((*program, "ps", "--all", "--no-trunc", "--label", label)),
    )


def inspection(runtime: str, endpoint: str | None, id_: str, sandbox: bool) -> tuple[str, ...]:
    """The command that shows one container; none for an id that is none."""
    inspect = "inspectp" if sandbox and runtime != DOCKER else "inspect"
    return (shlex.join((*_program(runtime, endpoint), inspect, id_)),) if is_id(id_) else ()


def last_words(runtime: str, endpoint: str | None, id_: str) -> tuple[str, ...]:
    """The command that shows the end of a container's log; none for an id that is none."""
    return (shlex.join((*_program(runtime, endpoint), "logs", "--tail", "50", id_)),) if is_id(id_) else ()


def rename(id_: str) -> tuple[str, ...]:
    """Free the name that a Docker container has without touching anything else; none for an id that is none."""
    return (shlex.join((DOCKER, "rename", id_, f"kept-{id_[:12]}")),) if is_id(id_) else ()


def restart_runtime(runtime: str, endpoint: str | None, why: str) -> Remedy:
    """Restart the runtime, which forgets names that it keeps for nothing; ``why`` ends the sentence "restart it, ..."."""
    if runtime == DOCKER:
        return replace(restarts.remedy("dockerd", (), why, ""), commands=("docker info",))
    name, path = container_words.RUNTIMES[runtime], _path(endpoint)
    unit = _UNITS.get(path or "")
    risk = "pods keep running, kubectl exec and attach sessions end, and nothing is started meanwhile"
    if runtime == "containerd":
        risk += (
            "; some versions do not come up again where two containers of one name are on disk (containerd issues 6095 and 7247): have a way in "
            "that does not need this node's pods"
        )
    if unit is None:
        return Remedy(f"restart {name}, or the program that it is a part of (k3s, rke2-server, …), {why}", (), risk)
    by_hand = "it frees a name only if the runtime keeps it for nothing, which a person has to see first"
    return Remedy(f"restart {unit}, {why}", (shlex.join(("systemctl", "restart", unit)),), risk, by_hand=by_hand)


def restart_kubelet(node: NodeView, why: str) -> Remedy:
    """Make kubelet read everything anew; ``why`` ends the sentence "restart it, ..."."""
    risk = "pods keep running; the node may be NotReady for up to 40 s"
    if "kubelet" not in ((node.sections.get("host") or {}).get("components") or ("kubelet",)):
        return Remedy(f"restart the program that kubelet is a part of (k3s, rke2-server, …), {why}", (), risk)
    by_hand = "most refusals are over by themselves at kubelet's next sync: only one that goes on is worth a restart"
    return Remedy(f"restart kubelet, {why}", ("systemctl restart kubelet",), risk, by_hand=by_hand)


def start_kubelet(summary: str) -> Remedy:
    """Start kubelet, which does not run."""
    by_hand = "why kubelet does not run is not known: who stopped it for a repair does not want it back yet"
    return Remedy(summary, ("systemctl start kubelet",), "none", by_hand=by_hand)


def clock_first(node: NodeView, context: Context) -> Remedy | None:
    """What comes before all else while nothing keeps the clock right; None where something does, or nobody knows."""
    clock: dict[str, Any] = (node.sections.get("host_pressure") or {}).get("clock") or {}
    error, least = clock.get("max_error_seconds"), context.settings.threshold("clock_max_error_seconds")
    if clock.get("synchronized") is not False or error is None or error < least:
        return None
    return Remedy(
        "first of all, synchronise the clock, which nothing keeps right now: the next step back makes the same trouble anew "
        "(clock-unsynchronized says what keeps it)",
        (),
        "a clock that is ahead is set back by this, so containers that were created meanwhile look too new",
    )


def _program(runtime: str, endpoint: str | None) -> tuple[str, ...]:
    if runtime == DOCKER:
        return (DOCKER,)
    path = _path(endpoint)
    return ("crictl", "--runtime-endpoint", f"unix://{path}") if path else ("crictl",)


def _path(endpoint: str | None) -> str | None:
    found = _ENDPOINT.fullmatch(endpoint or "")
    return found.group(2) if found else None
