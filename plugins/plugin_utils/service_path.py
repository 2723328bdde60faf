# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a packet from a Service's port to a socket in a pod, for all Services at once: what the rules on Services stand on.

    Service reddit-entry/ui 9292/TCP, NodePort 32530 -> endpoint 10.244.0.19:9292 -> pod ui-5b66… on node-a -> nobody on 9292, but 5000

Which Services kube-proxy handles and which endpoints it uses is decided in module_utils/node_ports, whether a pod answers in
target_verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import node_ports
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    cluster_gaps,
    describe,
    target_doubts,
    target_verdict,
    tcp_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.pods_seen import PodSeen
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import NotApplicable, Unknown
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_verdict import UNSEEN, Verdict

if TYPE_CHECKING:
    from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context

Object = dict[str, Any]

_GONE = "its node shows no process of the pod, which may have ended or moved meanwhile"
NO_POD = "the endpoint is no pod, so nobody here can look into it"
_PROTOCOLS = frozenset({"TCP", "UDP"})


class Target(NamedTuple):
    """One endpoint that kube-proxy sends a Service port's packets to.

    ``endpoint`` is the EndpointSlice's entry, ``port`` the number it resolved targetPort to, ``pod`` the API's object, ``seen``
    what its node showed; None where there is none or it is not known.
    """

    endpoint: Object
    family: str
    address: str
    port: int
    pod: Object | None
    seen: PodSeen | None
    verdict: Verdict

    @property
    def name(self) -> str:
        """``pod shop/cart-54…``, or the address of an endpoint that is no pod."""
        target = self.endpoint["target"]
        return f"pod {target['namespace']}/{target['name']}" if is_pod(target) else f"endpoint {self.address}"


class ServicePort(NamedTuple):
    """One port of a Service that kube-proxy handles.

    ``targets`` are the endpoints in use, ``unnamed`` the endpoints (addresses of pods) of slices that lack this port, because
    targetPort is a name that no container of those pods has.
    """

    service: Object
    port: Object
    targets: tuple[Target, ...]
    unnamed: tuple[Object, ...]

    @property
    def subject(self) -> str:
        """``namespace/service``: the ports of one Service are one finding."""
        return f"{self.service['namespace']}/{self.service['name']}"

    @property
    def words(self) -> str:
        """``Service shop/cart, port 80/TCP (web), NodePort 30081``."""
        name = f" ({self.port['name']})" if self.port["name"] else ""
        node_port = f", NodePort {self.port['node_port']}" if self.port["node_port"] else ""
        return f"Service {self.subject}, port {self.port['port']}/{self.port['protocol']}{name}{node_port}"

    def by_kind(self, *kinds: str) -> list[Target]:
        """The targets of which the verdict is one of these."""
        return [target for target in self.targets if target.verdict.kind in kinds]


class ServicePaths:
    """All Service ports of a bundle. ``refusal`` says why there are none to judge, and is None when there are."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.refusal = _refusal(context)
        self.ports: list[ServicePort] = []
        if self.refusal is None:
            for service in context.cluster["services"]:
                if not node_ports.left_alone(service):
                    self.ports += self._ports(service)

    def by_service(self) -> Iterator[tuple[Object, list[ServicePort]]]:
        """Yield each Service with its ports."""
        found: dict[str, list[ServicePort]] = {}
        for entry in self.ports:
            found.setdefault(entry.subject, []).append(entry)
        for ports in found.values():
            yield ports[0].service, ports

    @cached_property
    def deaf(self) -> frozenset[str]:
        """The Services (``namespace/name``) with an endpoint in use where nobody answers: of these a rule service-target-… tells."""
        return frozenset(entry.subject for entry in self.ports if entry.by_kind(*target_verdict.DEAF))

    @cached_property
    def answered(self) -> dict[str, list[str]]:
        """The Services' ports that each pod answers, in words, by the target's name."""
        found: dict[str, list[str]] = {}
        for entry in self.ports:
            for target in entry.by_kind(target_verdict.LISTENS):
                found.setdefault(target.name, []).append(entry.words)
        return found

    def unseen(self) -> Iterator[Unknown | NotApplicable]:
        """What is not known of endpoints in use, one answer a reason. Whether what is no pod listens is nobody's claim."""
        reasons: dict[str, list[tuple[str, str]]] = {}
        for entry in self.ports:
            for target in entry.by_kind(UNSEEN):
                if is_pod(target.endpoint["target"]):
                    reasons.setdefault(target.verdict.why, []).append((entry.subject, target.verdict.place))
        for why, entries in sorted(reasons.items()):
            yield Unknown(_unseen(why, entries))
        targets = [target for entry in self.ports for target in entry.targets]
        if not any(is_pod(target.endpoint["target"]) for target in targets):
            others = f", but to {len(targets)} endpoints that are none" if targets else ""
            yield NotApplicable(f"no Service sends packets to a pod{others}")

    def _ports(self, service: Object) -> Iterator[ServicePort]:
        slices = self._context.slices_of(service["namespace"], service["name"])
        for port in service["ports"]:
            targets = [
                self._target(endpoint, family, number, port["protocol"])
                for family in node_ports.FAMILIES
                for endpoint, number in node_ports.used_endpoints(slices, family, port["name"] or "", port["protocol"])
            ]
            yield ServicePort(service, port, tuple(targets), tuple(_unnamed(slices, port)))

    def _target(self, endpoint: Object, family: str, number: int, protocol: str) -> Target:
        address, target = endpoint["addresses"][0], endpoint["target"]
        pod = seen = None
        if is_pod(target):
            pod = self._context.pod(target["namespace"], target["name"], target["uid"])
            seen = self._context.pods.find(target["uid"], target["namespace"], target["name"])
        verdict = self._verdict(endpoint, (protocol, address, number), pod, seen)
        return Target(endpoint, family, address, number, pod, seen, verdict)

    def _verdict(
        self, endpoint: Object, place: tuple[str, str, int], pod: Object | None, seen: PodSeen | None
    ) -> Verdict:
        """Whether one endpoint answers; ``place`` is its protocol, address and port."""
        if not is_pod(endpoint["target"]):
            return Verdict(UNSEEN, (), NO_POD)
        if seen is None:
            return self._absent(endpoint["node_name"])
        protocol, address, number = place
        name = f"pod {endpoint['target']['namespace']}/{endpoint['target']['name']}"
        why = _hidden(seen, protocol, address)
        if why:
            return Verdict(UNSEEN, (), why, name)
        wanted = (protocol.lower(), address, number)
        verdict = target_verdict.judge(seen.listeners or (), *wanted)
        if verdict.kind == target_verdict.LISTENS:
            return verdict
        why = verdict.why or self._doubt(endpoint, wanted, pod, seen)
        return Verdict(UNSEEN, verdict.instead, why, name) if why else verdict

    def _doubt(self, endpoint: Object, wanted: tuple[str, str, int], pod: Object | None, seen: PodSeen) -> str:
        """Why a pod that was not seen to listen may answer all the same; empty when nothing speaks for that."""
        young = self._context.settings.threshold("service_target_start_seconds")
        why = target_doubts.of_pod(seen, endpoint, pod, young)
        beside = () if why else self._context.pods.beside(seen)
        if beside is None:
            return "the pod is in its host's network, and what else listens there was not seen"
        if target_verdict.judge(beside, *wanted).kind in (target_verdict.LISTENS, UNSEEN):
            return "the pod is in its host's network, and a process listens there that was not seen to be its own"
        return why

    def _absent(self, node: str | None) -> Verdict:
        """Why a pod was not seen."""
        pods = self._context.pods
        if node is None:
            return Verdict(UNSEEN, (), "the EndpointSlice does not say on which node the pod is")
        if not pods.was_asked(node):
            return Verdict(UNSEEN, (), "its node is not among the hosts that were asked", node)
        why = pods.why_unseen(node)
        return Verdict(UNSEEN, (), why or _GONE, node)


def _hidden(seen: PodSeen, protocol: str, address: str) -> str:
    """Why the sockets that matter were not seen at all; empty when they were."""
    if seen.listeners is None:
        return seen.why or "its sockets were not seen"
    if protocol not in _PROTOCOLS:
        return f"sockets of {protocol} are not collected"
    return target_doubts.elsewhere(seen, address)


def is_pod(target: Object | None) -> bool:
    """Whether an endpoint's targetRef names a pod."""
    return bool(target and target["kind"] == "Pod")


def _refusal(context: Context) -> Unknown | NotApplicable | None:
    why = context.why_no_services()
    if why:
        return Unknown(f"the cluster's Services are not known ({why})")
    if context.cluster["endpoint_slices"] is None:
        return Unknown(f"the EndpointSlices are not known ({cluster_gaps.gap(context.cluster, 'endpoint_slices')})")
    if all(map(node_ports.left_alone, context.cluster["services"])):
        return NotApplicable("the cluster has no Service that kube-proxy handles")
    return None


def _unnamed(slices: Iterable[Object], port: Object) -> Iterator[Object]:
    """The endpoints of slices that lack a port which is wanted by name."""
    if not isinstance(port["target_port"], str):
        return
    wanted = (port["name"] or "", port["protocol"])
    for piece in slices:
        if not any((entry["name"], entry["protocol"]) == wanted and entry["port"] for entry in piece["ports"]):
            yield from (endpoint for endpoint in piece["endpoints"] if endpoint["addresses"])


def _unseen(why: str, entries: list[tuple[str, str]]) -> str:
    services = {subject for subject, _place in entries}
    places = sorted({place for _subject, place in entries if place})
    where = f" ({describe.listed(places, 5)})" if places else ""
    ends, of = tcp_words.count(len(entries), "endpoint"), tcp_words.count(len(services), "Service")
    return f"{ends} of {of} could not be judged: {why}{where}"
