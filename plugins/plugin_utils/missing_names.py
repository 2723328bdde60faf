# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service ports that are wanted by a name which the pods do not have: what they have instead, and how the two are brought together."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    cluster_gaps,
    describe,
    kubectl,
    service_path,
    target_verdict,
    target_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.pods_seen import PodSeen
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePort
from ansible_collections.kubenode.doctor.plugins.plugin_utils.workloads import Workload, Workloads

if TYPE_CHECKING:
    from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context

Object = dict[str, Any]

_CHOICE = "whether the Service or the pods have the wrong name, only who wrote them knows, and one of the two has to be changed where it is written"
_BACK = "a manifest or chart that holds the old value brings it back"


class NamelessPod(NamedTuple):
    """A pod that lacks the name: the EndpointSlice's entry, the API's object and what its node showed, None where not known."""

    endpoint: Object
    pod: Object | None
    seen: PodSeen | None

    @property
    def name(self) -> str:
        """``pod shop/cart-1``."""
        return f"pod {self.endpoint['target']['namespace']}/{self.endpoint['target']['name']}"

    @property
    def containers(self) -> list[Object]:
        """Those in which the endpoint controller looks for names."""
        return [one for one in (self.pod or {"containers": ()})["containers"] if one["kind"] != "init"]


class Nameless(NamedTuple):
    """A Service port with the pods that lack its name."""

    entry: ServicePort
    pods: tuple[NamelessPod, ...]

    @property
    def wanted(self) -> str:
        """The name."""
        return str(self.entry.port["target_port"])

    @property
    def is_dead(self) -> bool:
        """Whether no endpoint is left, and at least one of the pods is ready to be one."""
        return not self.entry.targets and any(one.endpoint["ready"] is not False for one in self.pods)

    def ports(self) -> list[Object]:
        """What ports of this protocol the containers of all these pods have, with and without names."""
        common: list[Object] | None = None
        for one in self.pods:
            own = [port for container in one.containers for port in container["ports"] if _fits(port, self.entry)]
            common = own if common is None else [port for port in common if port in own]
        return common or []


def of(entry: ServicePort, context: Context) -> Nameless:
    """The pods behind a Service port that lack its name; an endpoint that is no pod has no names, and one that goes away no future."""
    found: dict[tuple[str, str], NamelessPod] = {}
    for endpoint in entry.unnamed:
        target = endpoint["target"]
        if service_path.is_pod(target) and endpoint["terminating"] is not True:
            pod = context.pod(target["namespace"], target["name"], target["uid"])
            seen = context.pods.find(target["uid"], target["namespace"], target["name"])
            found.setdefault((target["namespace"], target["name"]), NamelessPod(endpoint, pod, seen))
    return Nameless(entry, tuple(found.values()))


def title(found: Sequence[Nameless]) -> str:
    """``Service shop/cart, NodePort 30081/TCP refuses connections: no container of its pod has a port named web``."""
    fronts = target_words.fronts([one.entry for one in found])
    dead = any(one.is_dead for one in found)
    what = "refuses connections" if dead else "leaves out some of its pods"
    pods = max((one.pods for one in found), key=len)
    every = len(pods) + max(len({target.name for target in one.entry.targets}) for one in found)
    whose = (
        f"{len(pods)} of its {every} pods" if len(pods) < every else "its pod" if every == 1 else f"its {every} pods"
    )
    names = target_words.joined(list(dict.fromkeys(one.wanted for one in found)))
    protocols = {one.entry.port["protocol"] for one in found}
    kind = f"{protocols.pop()} port" if len(protocols) == 1 else "port"
    return f"Service {found[0].entry.subject}, {fronts} {what}: no container of {whose} has a {kind} named {names}"


def evidence(found: Sequence[Nameless], context: Context) -> Iterator[str]:
    """What the EndpointSlices have, and what the pods have instead."""
    for one in found:
        left = f"{len(one.entry.targets)} other endpoints are in use" if one.entry.targets else "no endpoint is left"
        yield (
            f"{one.entry.words}, targetPort {one.wanted}: EndpointSlices have {describe.listed(_addresses(one), 3)} without a number for it; {left}"
        )
    for pod in found[0].pods[: target_words.MOST_PODS]:
        yield f"{pod.name}: {_names(pod, found, context)}{_listens(pod)}"
    if len(found[0].pods) > target_words.MOST_PODS:
        yield f"and {len(found[0].pods) - target_words.MOST_PODS} more pods"


def _addresses(one: Nameless) -> list[str]:
    return [pod.endpoint["addresses"][0] for pod in one.pods]


def _names(pod: NamelessPod, found: Sequence[Nameless], context: Context) -> str:
    if pod.pod is None:
        why = cluster_gaps.gap(context.cluster, "pods") or "this pod was not read"
        return f"which names its containers have was not seen ({why})"
    told = []
    for one in pod.containers:
        ports = [f"{port['name'] or 'no name'} ({port['port']}/{port['protocol']})" for port in one["ports"]]
        told.append(f"container {one['name']} has {describe.listed(ports, 5) if ports else 'no ports in its spec'}")
    wanted = {one.wanted for one in found}
    other = any(port["name"] in wanted for one in pod.containers for port in one["ports"])
    return "; ".join(told) + ("; the name is there, but for another protocol" if other else "")


def _listens(pod: NamelessPod) -> str:
    if pod.seen is None or pod.seen.listeners is None:
        return ""
    return f"; {target_words.listens_on(pod.seen.listeners)}"


def remedies(service: Object, found: Sequence[Nameless], workloads: Workloads) -> Iterator[Remedy]:
    """For each port: the Service takes another name or a number, or the pods get the name."""
    for one in found:
        number = _number(one)
        choices = [*_another_name(service, one), *_by_number(service, one, number), _give_name(one, number, workloads)]
        for place, choice in enumerate(choices):
            yield replace(choice, summary=f"{'or ' if place else ''}{choice.summary}")


def _another_name(service: Object, one: Nameless) -> Iterator[Remedy]:
    """The name that comes nearest, or the only one that all of these pods have."""
    names = [port["name"] for port in one.ports() if port["name"]]
    near = difflib.get_close_matches(one.wanted, names, 1)
    chosen = near[0] if near else names[0] if len(names) == 1 else None
    if chosen is not None:
        summary = f"let the Service want {chosen}, the name that these pods have, in place of {one.wanted}"
        yield _let_service_want(summary, _patch(service, one, chosen))


def _by_number(service: Object, one: Nameless, number: int | None) -> Iterator[Remedy]:
    if number is not None:
        summary = f"let the Service want the number: these pods have {number}/{one.entry.port['protocol']}"
        yield _let_service_want(summary, _patch(service, one, number))


def _let_service_want(summary: str, commands: tuple[str, ...]) -> Remedy:
    return Remedy(summary, commands, _BACK, by_hand=_CHOICE if commands else "")


def _patch(service: Object, one: Nameless, value: str | int) -> tuple[str, ...]:
    """What changes the Service; nothing where other pods are found by what it wants now."""
    index = next(index for index, port in enumerate(service["ports"]) if port is one.entry.port)
    return () if one.entry.targets else kubectl.service_patch(service, index, "targetPort", value)


def _give_name(one: Nameless, number: int | None, workloads: Workloads) -> Remedy:
    """Write the name into the pod template: a name of a port changes nothing but that it is found."""
    protocol = one.entry.port["protocol"]
    container = _container(one, number)
    workload = workloads.of(one.pods[0].pod)
    alike = workload is not None and all(_is_of(pod, workload, workloads) for pod in one.pods)
    command: tuple[str, ...] = ()
    if workload and alike and workload.is_rolled_out and container and number is not None:
        ports = {"ports": [{"name": one.wanted, "containerPort": number, "protocol": protocol}]}
        sidecar = any((own["name"], own["kind"]) == (container, "sidecar") for own in one.pods[0].containers)
        names = (workload.namespace, workload.kind, workload.name, container)
        command = kubectl.container_patch(*names, ports, sidecar=sidecar)
    whose = f"container {container}" if container else "the container that listens"
    which = f"{number}/{protocol}" if number is not None else f"its {protocol} port"
    return Remedy(
        f"give {which} of {whose} the name {one.wanted} in the pod template",
        command,
        "the pods are replaced one after the other; a port has one name, so what else wants the old one must follow",
        by_hand=_CHOICE if command else "",
    )


def _is_of(pod: NamelessPod, workload: Workload, workloads: Workloads) -> bool:
    other = workloads.of(pod.pod)
    return other is not None and (other.kind, other.name) == (workload.kind, workload.name)


def _number(one: Nameless) -> int | None:
    """The only port that all these pods listen on where others reach it, else the only one that their specs have."""
    protocol = one.entry.port["protocol"].lower()
    heard = [
        {
            socket.port
            for socket in pod.seen.listeners or ()
            if socket.protocol == protocol and not target_verdict.address_of(socket).is_loopback
        }
        for pod in one.pods
        if pod.seen is not None
    ]
    common = set.intersection(*heard) if len(heard) == len(one.pods) else set()
    if len(common) == 1:
        return common.pop()
    declared = {port["port"] for port in one.ports()}
    fitting = declared & common if common else declared
    return fitting.pop() if len(fitting) == 1 else None


def _container(one: Nameless, number: int | None) -> str | None:
    """The container that has the number in its spec, or listens on it, or is the only one."""
    first = one.pods[0]
    named = {container["name"] for container in first.containers}
    declaring = {
        container["name"] for container in first.containers if number in [port["port"] for port in container["ports"]]
    }
    listening = {
        socket.container
        for socket in (first.seen.listeners if first.seen else None) or ()
        if socket.port == number and socket.container in named
    }
    for chosen in (declaring, listening, named):
        if len(chosen) == 1:
            return str(next(iter(chosen)))
    return None


def _fits(port: Object, entry: ServicePort) -> bool:
    return bool(port["port"] and port["protocol"] == entry.port["protocol"])
