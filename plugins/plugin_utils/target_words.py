# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a Service whose packets arrive at pods that do not answer: what fails and why, and what each pod showed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cluster_gaps, describe, target_verdict, tcp_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePort, Target
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_faults import Fault, FaultyPort
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_verdict import Listening

if TYPE_CHECKING:
    from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context

MOST_PODS = 5  # shown one by one
_MOST_PORTS = 3


def title(fault: Fault, cause: str) -> str:
    """What fails, and why: ``Service shop/ui, NodePort 32530/TCP refuses connections: CAUSE``."""
    return f"Service {fault.subject}, {fronts([port.entry for port in fault.ports])} {_fails(fault)}: {cause}"


def fronts(entries: Iterable[ServicePort]) -> str:
    """``NodePort 30053/UDP and 30053/TCP, port 80/TCP``: where clients knock."""
    places: dict[str, list[str]] = {}
    for entry in entries:
        kind = "NodePort" if entry.port["node_port"] else "port"
        number = entry.port["node_port"] or entry.port["port"]
        places.setdefault(kind, []).append(f"{number}/{entry.port['protocol']}")
    return ", ".join(f"{kind} {joined(numbers)}" for kind, numbers in places.items())


def _fails(fault: Fault) -> str:
    """What a client sees. A TCP port without listener refuses; from UDP there is just no answer."""
    if fault.is_whole:
        mixed = len({port.entry.port["protocol"] for port in fault.ports}) > 1
        return "reaches nobody" if mixed else "refuses connections" if is_tcp(fault) else "gives no answer"
    return "refuses a part of its connections" if is_tcp(fault) else "leaves a part of its packets without an answer"


def who(fault: Fault) -> str:
    """``its 2 pods``, ``1 of its 3 pods``, and how many of them were seen where not all were."""
    faulty, all_of = len(fault.targets), len(fault.pods)
    if faulty == all_of:
        return "its pod" if faulty == 1 else f"its {faulty} pods"
    seen = f" ({all_of - fault.unseen} were seen)" if fault.unseen else ""
    return f"{faulty} of its {all_of} pods{seen}"


def verb(fault: Fault, one: str, many: str) -> str:
    """The verb that goes with ``who``."""
    return one if len(fault.targets) == 1 else many


def wanted(fault: Fault) -> str:
    """The numbers in the pods that the Service wants: ``9292``, or with their protocols ``5353/UDP and 5353/TCP``."""
    numbers = [(target.port, port.entry.port["protocol"]) for port in fault.ports for target in port.targets]
    return joined([_number(number, protocol, fault) for number, protocol in dict.fromkeys(numbers)])


def ports_of(fault: Fault) -> str:
    """What the pods listen on instead: ``5000``, or ``127.0.0.1:9000`` where nobody else may reach any of it."""
    open_to_all = [one for one in fault.instead if not target_verdict.address_of(one).is_loopback]
    words = [_number(one.port, one.protocol.upper(), fault) for one in open_to_all] or [
        f"{_host(one)}:{_number(one.port, one.protocol.upper(), fault)}" for one in fault.instead
    ]
    return joined(list(dict.fromkeys(words)))


def _number(port: int, protocol: str, fault: Fault) -> str:
    """A port's number; its protocol goes without saying where all of the Service's are TCP."""
    return str(port) if protocol == "TCP" and is_tcp(fault) else f"{port}/{protocol}"


def is_tcp(fault: Fault) -> bool:
    """Whether all that is wrong is TCP."""
    return all(port.entry.port["protocol"] == "TCP" for port in fault.ports)


def programs(fault: Fault) -> str:
    """Who listens, by the kernel's names: ``httpd``."""
    names = sorted({one.process for one in fault.instead if one.process})
    return describe.listed(names, _MOST_PORTS) if names else "the program"


def _host(one: Listening) -> str:
    return f"[{one.address}]" if one.family == "ipv6" else one.address


def joined(words: list[str]) -> str:
    """``1, 2 and 3``, of not too many."""
    if len(words) > _MOST_PORTS:
        return describe.listed(words, _MOST_PORTS)
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


# -- evidence -------------------------------------------------------------------------------------------------------


def evidence(fault: Fault, context: Context) -> Iterator[str]:
    """The way of a packet, what each pod showed, and why the API is content all the same."""
    for port in fault.ports:
        yield _way(port)
        yield from _on_nodes(port)
    for target in fault.targets[:MOST_PODS]:
        yield pod_line(target)
    if len(fault.targets) > MOST_PODS:
        yield f"and {len(fault.targets) - MOST_PODS} more pods of which the same is true"
    yield from _programmed(fault, context)
    yield from _endpoints(fault)
    yield from _readiness(fault, context)


def _way(port: FaultyPort) -> str:
    """``port 9292/TCP, NodePort 32530 leads to 9292 in the pods: 2 endpoints in use, none of them answers``."""
    entry, own = port.entry, port.entry.port
    node_port = f", NodePort {own['node_port']}" if own["node_port"] else ""
    named = f" ({own['target_port']})" if isinstance(own["target_port"], str) else ""
    numbers = describe.listed(sorted({target.port for target in entry.targets}), _MOST_PORTS)
    return f"port {own['port']}/{own['protocol']}{node_port} leads to {numbers}{named} in the pods: {_endpoints_in_use(port)}, {_share(port)}"


def _endpoints_in_use(port: FaultyPort) -> str:
    count = tcp_words.count(len(port.entry.targets), "endpoint")
    return f"{port.seen} of {count} in use were seen" if port.seen < len(port.entry.targets) else f"{count} in use"


def _share(port: FaultyPort) -> str:
    """What part of the connections fails when each endpoint gets as many as the next, which is how kube-proxy draws them."""
    if not port.answering:
        return "none of them answers"
    answer = f"{len(port.answering)} of them answer"
    dead = _without_answer(port, lambda target: target.family)
    if dead:
        return f"{answer}, and over {joined(dead)} every connection fails"
    if _local_policies(port.entry.service):
        return f"{answer}: how many connections fail depends on the node"
    least = "at least " if port.seen < len(port.entry.targets) else ""
    share = tcp_words.share(len(port.targets) / len(port.entry.targets))
    return f"{answer}: where each endpoint gets as many as the next (no session affinity, no topology hints), {least}{share} of new connections fail"


def _without_answer(port: FaultyPort, place_of: Callable[[Target], str | None]) -> list[str]:
    """The places (families, nodes) that endpoints in use have of which all were seen, and none answers."""
    deaf = {place_of(target) for target in port.entry.by_kind(*target_verdict.DEAF)}
    others = {place_of(target) for target in port.entry.by_kind(target_verdict.LISTENS, target_verdict.UNSEEN)}
    return sorted(place for place in deaf - others if place)


def _local_policies(service: dict[str, Any]) -> list[str]:
    """The policies by which a node sends packets to its own endpoints only; the external one has nothing to do without clients from outside."""
    outside = service["external_traffic_policy"] if service["type"] in ("NodePort", "LoadBalancer") else None
    named = (("externalTrafficPolicy", outside), ("internalTrafficPolicy", service["internal_traffic_policy"]))
    return [name for name, policy in named if policy == "Local"]


def _on_nodes(port: FaultyPort) -> Iterator[str]:
    """Under a policy Local, the nodes on which nobody answers: there all connections fail, whatever other nodes have."""
    policies, nodes = _local_policies(port.entry.service), _without_answer(port, lambda one: one.endpoint["node_name"])
    if not policies or not nodes or not port.answering:
        return
    whose = {
        "externalTrafficPolicy": "what comes to it from outside",
        "internalTrafficPolicy": "what its own pods send",
    }
    what = " and ".join(whose[policy] for policy in policies)
    yield (
        f"{' and '.join(policies)} Local: a node gives {what} to endpoints of its own only, and no endpoint on "
        f"{describe.listed(nodes, MOST_PODS)} answers: there all of these connections fail"
    )


def pod_line(target: Target) -> str:
    """``pod shop/ui-1 on node-a, 10.244.0.19:9292: it listens on [::]:5000/tcp (httpd, container ui)``."""
    node = target.endpoint["node_name"]
    where = f" on {node}" if node else ""
    host = ", in the network of its host" if target.seen and target.seen.host_network else ""
    address = f"[{target.address}]" if target.family == "IPv6" else target.address
    sockets = (*target.verdict.instead, *((target.seen.listeners if target.seen else None) or ()))
    return f"{target.name}{where}{host}, {address}:{target.port}: {listens_on(sockets)}"


def listens_on(sockets: Iterable[Listening]) -> str:
    """``it listens on [::]:5000/tcp (process httpd, container ui)``."""
    told = list(dict.fromkeys(map(socket_words, sockets)))
    return f"it listens on {describe.listed(told, MOST_PODS)}" if told else "it listens on no port at all"


def socket_words(one: Listening) -> str:
    """``[::]:5000/tcp (httpd, container ui)``; [::] says so where it takes no IPv4."""
    whose = [f"process {one.process}"] if one.process else ["process not seen"]
    whose += [f"container {one.container}"] if one.container else []
    whose += ["IPv6 only"] if one.v6only and target_verdict.address_of(one).is_unspecified else []
    return f"{_host(one)}:{one.port}/{one.protocol} ({', '.join(whose)})"


def _programmed(fault: Fault, context: Context) -> Iterator[str]:
    for port in fault.ports:
        own = port.entry.port
        if own["node_port"]:
            places = [one.places for one in context.node_port_paths if one.path is port.entry]
            yield from context.proxies.lines(own["protocol"], own["node_port"], frozenset().union(*places))


def _endpoints(fault: Fault) -> Iterator[str]:
    if fault.service["publish_not_ready_addresses"]:
        yield "publishNotReadyAddresses is set: the API calls every pod of this Service ready, whatever its probes say"
    else:
        yield f"endpoints are complete: the API calls {'this pod' if len(fault.targets) == 1 else 'all these pods'} ready"


def _readiness(fault: Fault, context: Context) -> Iterator[str]:
    pods = [target.pod for target in fault.targets if target.pod]
    if not pods:
        if context.cluster["pods"] is None:
            why = cluster_gaps.gap(context.cluster, "pods")
            yield f"whether these pods have readiness probes was not seen ({why})"
        return
    probed = Counter(one["name"] for pod in pods for one in pod["containers"] if one["readiness"])
    if not probed:
        those = "this pod has" if len(pods) == 1 else "these pods has"
        yield (
            f"no container of {those} a readiness probe: kubelet calls them ready as soon as they run, so endpoints prove nothing"
        )
    elif len(pods) == len(fault.targets) and all(pod["ready"] == "True" for pod in pods):
        names = describe.listed(sorted(probed), _MOST_PORTS)
        yield (
            f"container {names} has a readiness probe, and the pods are ready all the same: what it asks was not read; it may ask something else "
            "than this port from outside, or not have failed as often yet as its failureThreshold wants"
        )
