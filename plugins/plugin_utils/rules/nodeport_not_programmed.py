# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Service has endpoints, and this node's rules for its NodePort are missing, refuse, lead nowhere, or lead to endpoints it does not have."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_capture, proxy_entry
from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe, encounters, proxy_cures, proxy_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_port_paths import NodePortPath
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, NotApplicable, Rule, Unknown
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePort, Target

# The modes of kube-proxy of which the rules are read.
_MODES = frozenset({"iptables", "nftables", "ipvs"})
# Calico's eBPF data plane does without kube-proxy and is no program of its own (docs.tigera.io, "Enable the eBPF data plane").
_MAY_REPLACE = frozenset({"calico-node"})
_JUST_CREATED = 60.0  # seconds: the cluster is read before the nodes, and clocks differ
_MANY = 5  # Services: from then on it is kube-proxy that is at fault, not their rules
_SHOWN = 10  # NodePorts of one finding, in its evidence
MISSING, UNREACHED, NOWHERE, REFUSED, DROPPED, STALE = "missing", "unreached", "nowhere", "refused", "dropped", "stale"
# Of these, it may be that the Service is gone, or its endpoints have changed, since the cluster was read.
_MAY_BE_NEWER = frozenset({MISSING, REFUSED, DROPPED, STALE})
_REFUSALS = frozenset({"reject", "drop"})
_TITLES = {
    MISSING: "kube-proxy has not programmed {port} on this node",
    UNREACHED: "no packet reaches the rules for {port} on this node",
    NOWHERE: "the rules for {port} on this node lead nowhere",
    REFUSED: "this node refuses {port}, although the Service has endpoints",
    DROPPED: "this node turns away what comes from outside for {port}, although an endpoint runs here",
    STALE: "the rules for {port} on this node lead to endpoints that the Service does not have",
}
_MEANINGS = {
    MISSING: "No rule takes the packets, so the node answers them itself: refused, unless a program of the node listens on this number.",
    UNREACHED: "The chain that leads to them is not called for any address, so the node answers the packets itself.",
    NOWHERE: "The packets pass the rules unchanged, so the node answers them itself.",
    REFUSED: "kube-proxy knows of no endpoint for it, and the EndpointSlices do.",
    DROPPED: "externalTrafficPolicy is Local, and kube-proxy knows of no endpoint on this node.",
    STALE: "Connections run into timeouts, are refused, or are answered by whoever has the addresses now.",
}
_NO_RESYNC = (
    "With more than 1000 endpoints kube-proxy in iptables mode writes only what changed: a rule that somebody else deleted stays away until "
    "its Service changes or kube-proxy restarts."
)


class _Judged(NamedTuple):
    """One NodePort in one family and its entries: what is wrong with it, "" for nothing, and why that is not certain, "" where it is."""

    wanted: NodePortPath
    entries: Sequence[dict[str, Any]]
    fault: str = ""
    doubt: str = ""

    @property
    def path(self) -> ServicePort:
        return self.wanted.path

    @property
    def family(self) -> str:
        return self.wanted.family


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    refusal = encounters.refusal(node, context) or context.paths.refusal or _not_ours(node, context)
    if refusal:
        yield refusal
        return
    wanted = _wanted(node, context)
    if not wanted:
        yield NotApplicable("no Service with a NodePort has endpoints")
        return
    excluded = {family for family in ("ipv4", "ipv6") if _is_excluded(family, node, context)}
    wanted = [one for one in wanted if one.family not in excluded]
    if not wanted:
        listed = describe.listed(node["nodeport_conflict"]["proxy"]["nodeport_addresses"], 5)
        yield NotApplicable(f"kube-proxy's nodePortAddresses ({listed}) have none of this node's addresses")
        return
    if not _runs(node) and not _has_rules(node):
        yield from _without_proxy(node, context, wanted)
        return
    found = proxy_words.by_port(node[proxy_words.SECTION])
    judged = [_judged(one, found.get(one.key, ()), node, context) for one in wanted]
    yield from _findings([one for one in judged if one.fault and not one.doubt], judged, node, context)
    yield from _unknowns(judged)


def _not_ours(node: NodeView, context: Context) -> NotApplicable | None:
    """Why the rules of this node are not kube-proxy's; None when they are, or when that is not known."""
    mode = encounters.proxy_mode(node, context)
    if mode is None or mode in _MODES:
        return None
    if mode == "userspace":
        return NotApplicable("kube-proxy in userspace mode listens on the NodePorts itself")
    return NotApplicable(f"{mode} serves the NodePorts here, not kube-proxy")


def _wanted(node: NodeView, context: Context) -> list[NodePortPath]:
    """The NodePorts, by family, that lead to endpoints by what the cluster says."""
    families, now = _families(node, context), node[proxy_words.SECTION].get("now")
    return [
        one
        for one in context.node_port_paths
        if one.family in families and not _is_new(one.path.service.get("created"), now)
    ]


def _families(node: NodeView, context: Context) -> set[str]:
    """The families of the node's addresses. kube-proxy may have no rules for another one, and nobody would miss them."""
    found = context.node_object(node.host)
    addresses = found["internal_ips"] if found else []
    addresses = addresses or [entry["address"] for entry in node["host"]["addresses"] or ()]
    known = [ipaddress.ip_address(address.partition("%")[0]) for address in addresses]
    return {f"ipv{address.version}" for address in known if not (address.is_loopback or address.is_link_local)}


def _is_excluded(family: str, node: NodeView, context: Context) -> bool:
    """Whether kube-proxy was told to take NodePorts on none of the node's addresses of a family, but loopback perhaps."""
    facts = node["nodeport_conflict"]["proxy"]
    if not facts["nodeport_addresses"] or node["host"]["addresses"] is None:
        return False
    found = context.node_object(node.host)
    mode = encounters.proxy_mode(node, context)
    proxy = nodeport_capture.proxy_from({**facts, "mode": mode}, found["internal_ips"] if found else ())
    local = nodeport_capture.locals_of(node["host"]["addresses"], proxy.mode)
    others = [one for one in local if f"ipv{one.version}" == family and not one.is_loopback]
    return all(nodeport_capture.captures(proxy, address) is False for address in others)


def _is_new(created: float | None, now: float | None) -> bool:
    return created is not None and now is not None and abs(now - created) < _JUST_CREATED


def _runs(node: NodeView) -> bool:
    return node["nodeport_conflict"]["proxy"]["program"] is not None


def _has_rules(node: NodeView) -> bool:
    section = node[proxy_words.SECTION]
    return bool(section["node_ports"] or section["mode"])


def _without_proxy(node: NodeView, context: Context, wanted: Sequence[NodePortPath]) -> Iterator[Answer]:
    """Neither a kube-proxy nor rules of one were seen."""
    section = node[proxy_words.SECTION]
    other = _MAY_REPLACE & set(node["host"]["components"])
    why = encounters.unseen_programs(node) or next(
        filter(None, (proxy_words.unseen(section, family) for family in ("ipv4", "ipv6"))), ""
    )
    if other:
        yield NotApplicable(f"no kube-proxy runs here, and {', '.join(sorted(other))} may do its work")
    elif why:
        yield Unknown(why)
    else:
        paths = _paths(wanted)
        yield Fail(
            subject="kube-proxy",
            title=f"no kube-proxy runs on this node, and none of {_count(paths)} is programmed",
            explanation="Nothing that this collection knows serves NodePorts here: the node refuses them, and most likely cluster IPs as well.",
            evidence=("no kube-proxy and no known replacement was seen running", *_evidence(node), *_ports(paths)),
            remedies=tuple(proxy_cures.remedies(node, context)),
            severity="warning",
        )


def _judged(wanted: NodePortPath, entries: Sequence[dict[str, Any]], node: NodeView, context: Context) -> _Judged:
    fault = _fault(wanted, entries, node, context)
    if not fault:
        return _Judged(wanted, entries)
    doubt = "" if entries else proxy_words.unseen(node[proxy_words.SECTION], wanted.family)
    if not doubt and fault in _MAY_BE_NEWER and _runs(node):
        doubt = _newer(wanted, node, context)
    return _Judged(wanted, entries, fault, doubt)


def _fault(wanted: NodePortPath, found: Sequence[dict[str, Any]], node: NodeView, context: Context) -> str:
    """What is wrong with the rules that are there; empty for nothing."""
    if not found:
        return MISSING
    leading = [entry for entry in found if entry["action"] == "endpoints"]
    if any(_is_stale(entry, wanted.places) for entry in leading):
        return STALE
    if leading and all(entry["addresses"] == [] for entry in leading):
        return UNREACHED
    is_refused = any(entry["action"] in _REFUSALS or entry["local"] in _REFUSALS for entry in found)
    if is_refused and wanted.path.service["external_traffic_policy"] == "Local":
        return DROPPED if _local(wanted, node, context) else ""  # without an endpoint of its own it has to refuse
    if leading:
        return ""
    return REFUSED if is_refused else NOWHERE


def _is_stale(entry: dict[str, Any], places: Set[str]) -> bool:
    """Whether all endpoints of an entry are known, and none of them is one of the Service's."""
    return entry["endpoint_count"] == len(entry["endpoints"]) and places.isdisjoint(entry["endpoints"])


def _local(wanted: NodePortPath, node: NodeView, context: Context) -> list[Target]:
    """The endpoints in use that are on this node."""
    found = context.node_object(node.host)
    return wanted.by_node.get(found["name"], []) if found else []


def _newer(wanted: NodePortPath, node: NodeView, context: Context) -> str:
    """Why the rules may be newer than what the cluster said; empty when an endpoint was seen alive, and is not a new one."""
    young = context.settings.threshold("service_target_start_seconds")
    targets = _local(wanted, node, context) or wanted.targets
    if any(_has_lived(target, young) for target in targets):
        return ""
    return (
        "the cluster is read before its nodes, and no endpoint was seen that has lived on all the while: the Service may be gone, or its pods "
        "may be other ones by now; run again, on the nodes of the endpoints too"
    )


def _has_lived(target: Target, seconds: float) -> bool:
    ages = [one.age_seconds for one in target.seen.containers] if target.seen else []
    return bool(ages) and all(age is not None and age >= seconds for age in ages)


def _findings(faulty: Sequence[_Judged], judged: Sequence[_Judged], node: NodeView, context: Context) -> Iterator[Fail]:
    """One finding for all of it when kube-proxy is at fault; else one for each Service."""
    if not faulty:
        return
    absent = [one for one in faulty if one.fault in (MISSING, UNREACHED)]
    for family in sorted({one.family for one in absent}):
        here = [one for one in judged if one.family == family]
        lost = [one for one in absent if one.family == family]
        others = [one for one in judged if one.family != family]
        if len(lost) == len(here) > 1 and len(absent) < len(judged) and others:
            faulty = [one for one in faulty if one not in lost]
            yield _of_family(family, lost, node, context)
    if len(absent) == len(judged) and len(_paths(absent)) > 1:
        yield _of_all(absent, node, context)
    elif len({one.path.subject for one in faulty}) >= _MANY:
        yield _of_many(faulty, judged, node, context)
    else:
        for subject in sorted({one.path.subject for one in faulty}):
            yield _of_service(subject, [one for one in faulty if one.path.subject == subject], judged, node, context)


def _of_all(lost: Sequence[_Judged], node: NodeView, context: Context) -> Fail:
    who = "kube-proxy has" if _runs(node) else "no kube-proxy runs on this node, and it has"
    return Fail(
        subject="NodePorts",
        title=f"{who} programmed none of {_count(_paths(lost))} on this node",
        explanation=f"{_meanings(lost)} Most likely cluster IPs do not work from this node either.",
        evidence=(*_evidence(node), *_ports(_paths(lost))),
        remedies=tuple(proxy_cures.remedies(node, context)),
    )


def _of_family(family: str, lost: Sequence[_Judged], node: NodeView, context: Context) -> Fail:
    name = _family_name(family)
    return Fail(
        subject=f"{name} NodePorts",
        title=f"kube-proxy has programmed none of {_count(_paths(lost))} for {name} on this node",
        explanation=f"{_meanings(lost)} The other family is programmed, so kube-proxy runs without {name}, or cannot write its rules.",
        evidence=(*_evidence(node), *_ports(_paths(lost))),
        remedies=tuple(proxy_cures.remedies(node, context)),
        severity="warning",
    )


def _of_many(faulty: Sequence[_Judged], judged: Sequence[_Judged], node: NodeView, context: Context) -> Fail:
    count = f"{len(_paths(faulty))} of {_count(_paths(judged))}"
    lines = [line for one in faulty[:_SHOWN] for line in _lines(one, node)]
    return Fail(
        subject="NodePorts",
        title=f"kube-proxy has not programmed {count} on this node as they are in the cluster",
        explanation=f"{_meanings(faulty)} So many at once are not the fault of single rules: kube-proxy does not follow the cluster.",
        evidence=(*_evidence(node), *lines),
        remedies=tuple(proxy_cures.remedies(node, context)),
    )


def _of_service(
    subject: str, faulty: Sequence[_Judged], judged: Sequence[_Judged], node: NodeView, context: Context
) -> Fail:
    first = faulty[0]
    numbers = sorted({f"{one.path.port['node_port']}/{one.path.port['protocol']}" for one in faulty})
    alone = {(one.path.subject, one.path.port["node_port"]): one for one in judged if not one.fault}
    is_half = all((subject, one.path.port["node_port"]) in alone for one in faulty)
    port = f"NodePort {', '.join(numbers)} of Service {subject}"
    return Fail(
        subject=subject,
        title=_TITLES[first.fault].format(port=f"{port} for {_family_name(first.family)}" if is_half else port),
        explanation=" ".join(filter(None, (_meanings(faulty), _frozen(node), _resync(first, node)))),
        evidence=(*(line for one in faulty for line in _lines(one, node)), *_evidence(node)),
        remedies=tuple(proxy_cures.remedies(node, context)),
        severity="warning" if is_half else "",
    )


def _unknowns(judged: Iterable[_Judged]) -> Iterator[Unknown]:
    """One answer for each reason."""
    reasons: dict[str, list[ServicePort]] = {}
    for one in judged:
        if one.doubt:
            reasons.setdefault(one.doubt, []).append(one.path)
    for why, paths in sorted(reasons.items()):
        names = describe.listed(sorted({path.subject for path in paths}), 5)
        yield Unknown(f"{_count(paths)} ({names}): {why}")


def _lines(one: _Judged, node: NodeView) -> Iterator[str]:
    """The two sides of one fault: what the cluster has, and what the node."""
    wanted = sorted(set(filter(None, (proxy_entry.at(target.address, target.port) for target in one.wanted.targets))))
    yield f"{one.path.words}: the EndpointSlices have {describe.listed(wanted, 5)}"
    for entry in one.entries:
        yield f"the rules of {node.host} ({_family_name(one.family)}): {proxy_words.line(entry)}"


def _evidence(node: NodeView) -> Iterator[str]:
    section, proxy = node[proxy_words.SECTION], node["nodeport_conflict"]["proxy"]
    yield f"on {node.host}, {proxy_words.source(section)}"
    if proxy["mode"]:
        yield f"kube-proxy mode {proxy['mode']}: {proxy['source']}"
    yield from proxy_words.remarks(section)


def _frozen(node: NodeView) -> str:
    return (
        ""
        if _runs(node)
        else "No kube-proxy was seen on this node: what one has left here follows the cluster no more."
    )


def _resync(first: _Judged, node: NodeView) -> str:
    is_iptables = node[proxy_words.SECTION]["mode"] == "iptables"
    return _NO_RESYNC if first.fault == MISSING and is_iptables else ""


def _meanings(faulty: Iterable[_Judged]) -> str:
    kinds = Counter(one.fault for one in faulty)
    return " ".join(meaning for kind, meaning in _MEANINGS.items() if kind in kinds)


def _paths(judged: Iterable[_Judged | NodePortPath]) -> list[ServicePort]:
    """Each Service port once, whatever its families."""
    return list({id(one.path): one.path for one in judged}.values())


def _count(paths: Sequence[ServicePort]) -> str:
    count = len({id(path) for path in paths})
    return f"{count} NodePorts" if count > 1 else "1 NodePort"


def _ports(paths: Sequence[ServicePort]) -> Iterator[str]:
    yield from (f"{path.words}: it has endpoints" for path in paths[:_SHOWN])
    if len(paths) > _SHOWN:
        yield f"and {len(paths) - _SHOWN} more"


def _family_name(family: str) -> str:
    return f"IPv{family[-1]}"


RULE = Rule(
    id="nodeport-not-programmed",
    group="services",
    severity="critical",
    claim="kube-proxy has programmed every NodePort of a Service with endpoints on this node",
    why="a node without the rules refuses the NodePort while others serve it, so that part of the connections fails",
    sources=(
        "Kubernetes 1.36 pkg/proxy/iptables/proxier.go, pkg/proxy/nftables/proxier.go, pkg/proxy/ipvs/proxier.go, syncProxyRules",
        "https://github.com/kubernetes/kubernetes/pull/138635 (large clusters: no full rewriting by the clock)",
        "Kubernetes 1.36 pkg/proxy/healthcheck/proxy_health.go",
    ),
    judge=_judge,
    needs=("host", "nodeport_conflict", "proxy_rules"),
    reads=("listen_ports", "pod_listeners"),
    settings=("proxy_mode",),
    thresholds=("service_target_start_seconds",),
    see_also=("service-without-endpoints", "service-local-policy-without-endpoint"),
)
