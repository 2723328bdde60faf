# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a Service has no endpoint: what its selector matches, and what became of the pods that it does match."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    cluster_gaps,
    describe,
    endpoint_cures,
    events_seen,
    why_not_ready,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.events_seen import Events
from ansible_collections.kubenode.doctor.plugins.plugin_utils.nearest_labels import Labels
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePort, is_pod

Object = dict[str, Any]

API_SERVICE = ("default", "kubernetes")
_DNS = 53
_SHOWN = 5
_EVENTS = 3


def is_vital(service: Object, bare: Sequence[ServicePort]) -> bool:
    """Whether the cluster itself does not work without these ports: its API by its usual name, its DNS.

    The DNS is what has the selector k8s-app=kube-dns (kubeadm, k3s), or takes 53 over UDP and TCP (the chart coredns), in kube-system.
    """
    if (service["namespace"], service["name"]) == API_SERVICE:
        return True
    if service["namespace"] != "kube-system" or not any(port.port["port"] == _DNS for port in bare):
        return False
    asked = {port["protocol"] for port in service["ports"] if port["port"] == _DNS}
    return (service["selector"] or {}).get("k8s-app") == "kube-dns" or asked >= {"UDP", "TCP"}


class Cause(NamedTuple):
    """``told`` ends the title, ``text`` explains, ``facts`` are evidence.

    ``wanted`` is True where somebody wants it so (scaled to 0), ``missed`` where pods are there, or are to be, and none is ready,
    ``stale`` where nobody may need the Service any more, and that is known of its owner too.
    """

    told: str
    text: str
    facts: tuple[str, ...]
    remedies: tuple[Remedy, ...] = ()
    wanted: bool = False
    missed: bool = False
    stale: bool = False


class NoEndpoints:
    """Finds the causes for all Services of a bundle."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._events = Events(context.cluster)
        self._labels = Labels(context.cluster)
        self._nodes = {node["name"]: node for node in context.cluster["nodes"] or ()}
        self._pods_gap = cluster_gaps.pods_gap(context.cluster)

    def cause(self, service: Object, bare: Sequence[ServicePort]) -> Cause:
        """Why these ports of a Service have no endpoint in use."""
        endpoints = self._endpoints(service)
        if any(endpoint["ready"] is not False for endpoint in endpoints):
            return self._other_ports(service, bare)
        if endpoints:
            return self._not_ready(service, endpoints)
        return self._selected(service) if service["selector"] else _by_hand(service)

    def events(self, service: Object) -> list[str]:
        """What Events say about a Service, as evidence."""
        return events_seen.lines(self._events.of("Service", service["namespace"], service["name"]), _EVENTS)

    def _endpoints(self, service: Object) -> list[Object]:
        """The endpoints of all slices; a pod of two address families, which is in a slice of each, once."""
        found: dict[Any, Object] = {}
        for piece in self._context.slices_of(service["namespace"], service["name"]):
            for endpoint in piece["endpoints"]:
                if endpoint["addresses"]:
                    target = endpoint["target"]
                    key = (target["namespace"], target["name"]) if is_pod(target) else endpoint["addresses"][0]
                    found.setdefault(key, endpoint)
        return list(found.values())

    def _other_ports(self, service: Object, bare: Sequence[ServicePort]) -> Cause:
        """Some endpoints are ready, but in no slice that kube-proxy joins with these ports."""
        pieces = self._context.slices_of(service["namespace"], service["name"])
        there = {_port(entry["name"], entry["protocol"]) for piece in pieces for entry in piece["ports"]}
        families = ", ".join(sorted({str(piece["address_type"]) for piece in pieces}))
        wanted = ", ".join(_port(entry.port["name"], entry.port["protocol"]) for entry in bare)
        writer = (
            "The endpoint controller writes these slices, so it is behind or does not run."
            if service["selector"]
            else "The Service has no selector, so somebody else writes these slices."
        )
        return Cause(
            "its EndpointSlices have ready endpoints, but not for this port",
            f"kube-proxy joins a Service's port with a slice's by name and protocol, and needs addresses of type IPv4 or IPv6. {writer}",
            (
                f"the Service has {wanted}, its EndpointSlices ({families}) {describe.listed(sorted(there)) or 'no port'}",
            ),
            (endpoint_cures.correct_slices(service),),
        )

    def _not_ready(self, service: Object, endpoints: Sequence[Object]) -> Cause:
        pods = [self._pod(endpoint) for endpoint in endpoints]
        facts = list(_listed(map(self._endpoint, endpoints)))
        if None in pods and service["selector"] and self._pods_gap:
            facts.append(f"why is not known of all: {self._pods_gap}")
        writer = "" if service["selector"] else " The Service has no selector: whoever writes its slices says so."
        return Cause(
            "its only endpoint is not ready"
            if len(endpoints) == 1
            else f"none of its {len(endpoints)} endpoints is ready",
            f"kube-proxy sends nothing to endpoints that are not ready.{writer}",
            tuple(facts),
            tuple(endpoint_cures.look_at(service, [pod for pod in pods if pod is not None])),
            missed=True,
        )

    def _pod(self, endpoint: Object) -> Object | None:
        target = endpoint["target"]
        return self._context.pod(target["namespace"], target["name"], target["uid"]) if is_pod(target) else None

    def _endpoint(self, endpoint: Object) -> str:
        """One endpoint that is not ready, and why, as far as it is known."""
        target, pod = endpoint["target"], self._pod(endpoint)
        if pod is not None:
            return self._told(pod)
        who = f"pod {target['namespace']}/{target['name']}" if is_pod(target) else "endpoint"
        node = f" on node {endpoint['node_name']}" if endpoint["node_name"] else ""
        state = "is going away" if endpoint["terminating"] else "is not ready"
        return f"{who} ({endpoint['addresses'][0]}){node} {state}"

    def _told(self, pod: Object) -> str:
        facts = why_not_ready.facts(pod, self._events, self._nodes)
        node = f" on node {pod['node']}" if pod["node"] else ""
        return f"pod {pod['namespace']}/{pod['name']}{node}: {'; '.join(facts) or 'it is ready'}"

    def _selected(self, service: Object) -> Cause:
        """No slice has any endpoint, so it is for the selector to say why."""
        found = self._labels.matching(service["namespace"], service["selector"])
        pods = [one.what for one in found if one.kind == "pod"]
        deployments = [one.what for one in found if one.kind == "Deployment"]
        if pods:
            return self._left_out(service, pods)
        return self._no_pods(deployments) if deployments else self._no_match(service)

    def _left_out(self, service: Object, pods: Sequence[Object]) -> Cause:
        """Pods match, and are in no slice, where those that are not ready belong too: all have ended, or the controller is behind."""
        facts = tuple(_listed(map(self._told, pods)))
        if any(pod["ips"] and not why_not_ready.has_ended(pod) for pod in pods):
            return Cause(
                "pods match its selector, but no EndpointSlice has them",
                "The endpoint controller, in kube-controller-manager, writes them within a second or so: it does not run or is far "
                "behind, or labels, selector or pods changed a moment before this was read.",
                facts,
                (endpoint_cures.wait_for_controller(),),
                missed=True,
            )
        ended = all(map(why_not_ready.has_ended, pods))
        return Cause(
            f"the pods that match its selector {'have ended' if ended else 'do not run'}",
            "The selector fits, but a pod that has ended or has no address yet is no endpoint.",
            facts,
            tuple(endpoint_cures.look_at(service, pods)),
            # Pods that have done their work are missed by nobody.
            missed=any(pod["phase"] != "Succeeded" for pod in pods),
        )

    def _no_pods(self, deployments: Sequence[Object]) -> Cause:
        """The selector fits the template of a Deployment, of which no pod is known."""
        names = describe.listed([f"Deployment {entry['namespace']}/{entry['name']}" for entry in deployments], _SHOWN)
        if all(entry["replicas"] == 0 for entry in deployments):
            return Cause(
                f"{names} {'is' if len(deployments) == 1 else 'are'} scaled to 0",
                "Somebody wants no pod to run, so nothing is wrong as long as nobody connects.",
                (f"the selector matches the pods of {names}, of which none is wanted",),
                tuple(map(endpoint_cures.scale, deployments[:_SHOWN])),
                wanted=True,
            )
        seen = self._pods_gap or "there is none"
        facts = (f"the selector matches the pods of {names}: {seen}", *self._refusals(deployments[:_SHOWN]))
        return Cause(
            f"no pod of {names} runs",
            "The selector fits. A pod that is only not ready would be in an EndpointSlice, so the pods were not created (a quota or an "
            "admission webhook refuses them), have no address yet, or have ended.",
            facts,
            tuple(map(endpoint_cures.look_at_deployment, deployments[:_SHOWN])),
            missed=True,
        )

    def _refusals(self, deployments: Sequence[Object]) -> Iterator[str]:
        """What Events say of Deployments and of their ReplicaSets, which create the pods."""
        uids = {entry["uid"] for entry in deployments}
        for entry in deployments:
            yield from events_seen.lines(self._events.of("Deployment", entry["namespace"], entry["name"]), 1)
        for entry in self._context.cluster["replica_sets"] or ():
            if entry["owner"]["uid"] in uids:
                yield from events_seen.lines(self._events.of("ReplicaSet", entry["namespace"], entry["name"]), 1)

    def _no_match(self, service: Object) -> Cause:
        namespace, selector = service["namespace"], service["selector"]
        words = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        facts = [f"nothing in namespace {namespace} has {words}", *self._labels.nearest(namespace, selector)]
        elsewhere = describe.listed(self._labels.elsewhere(namespace, selector), _SHOWN)
        if elsewhere:
            facts.append(f"the same labels are in namespace {elsewhere}; a Service selects in its own only")
        unread = [gap for gap in (self._pods_gap, self._deployments_gap()) if gap]
        facts += [f"not all labels were seen: {gap}" for gap in unread]
        return Cause(
            f"{'nothing that was seen' if unread else 'no pod'} matches {words}",
            "The selector and the labels of the pods differ, or the pods are gone and the Service stayed. (Of workloads only Deployments "
            "are read: a StatefulSet that is scaled to 0 looks the same.)",
            tuple(facts),
            # Never with a command that deletes: it may be a StatefulSet's, or that of another owner that nobody here knows.
            (endpoint_cures.correct_labels(service), endpoint_cures.look_whether_stale(service)),
        )

    def _deployments_gap(self) -> str:
        why = cluster_gaps.gap(self._context.cluster, "deployments")
        return f"the Deployments are not known ({why})" if why else ""


def _by_hand(service: Object) -> Cause:
    """No selector, no endpoint: who should have written them?"""
    if (service["namespace"], service["name"]) == API_SERVICE:
        return Cause(
            "the API servers did not write their own addresses",
            "Each API server writes its address (--advertise-address) into the endpoints of this Service by itself, unless "
            "--endpoint-reconciler-type is none or that is a loopback address. Without it no pod reaches the API by its usual name: "
            "DNS, network plugins and controllers that run in pods do not work.",
            ("no EndpointSlice of it has an endpoint",),
            (endpoint_cures.advertise(),),
        )
    return Cause(
        "it has no selector, and nobody wrote endpoints for it",
        "No controller fills a Service without a selector: somebody has to write its EndpointSlices.",
        ("it has no selector, and no EndpointSlice of it has an endpoint",),
        (Remedy("write an EndpointSlice for it, or give it a selector"),),
        stale=True,
    )


def _port(name: str | None, protocol: str) -> str:
    return f"port {name or 'without a name'}, {protocol}"


def _listed(given: Iterable[str]) -> Iterator[str]:
    facts = list(given)
    yield from facts[:_SHOWN]
    if len(facts) > _SHOWN:
        yield f"and {len(facts) - _SHOWN} more"
