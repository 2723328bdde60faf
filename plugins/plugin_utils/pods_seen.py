# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes of a bundle showed of their pods: who listens on what. Kept for tens of thousands of pods, so equal parts are kept once."""

from __future__ import annotations

import ipaddress
import operator
import re
import socket
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import section_gaps
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_verdict import Listening, address_of

SECTION = "pod_listeners"
HOST = "host"  # what the section calls the host's own network namespace
# kubelet's own for a pod of its manifests: an MD5 sum (kubernetes/kubernetes pkg/kubelet/config/common.go, applyDefaults).
_STATIC_UID = re.compile("[0-9a-f]{32}")
_FLAGS = (True, False, None)
_WAITING = frozenset({"listen", "unconnected"})


class ContainerSeen(NamedTuple):
    """A container that has processes: its name and image as the runtime has them, seconds since it began; None where not seen."""

    name: str | None
    image: str | None
    age_seconds: float | None


class PodSeen(NamedTuple):
    """A pod as its node showed it. ``listeners`` is None where they could not be read, and ``why`` then says why; ``unlisted`` are left out.

    ``addresses`` are those of a network of its own, None where it has none or they were not seen. ``redirects`` is True where packets are
    redirected inside the pod's network, None where that was not seen. ``uid`` is that of the
    cgroup, which for a static pod is not the one that the API knows.
    """

    host: str
    uid: str
    namespace: str | None
    name: str | None
    host_network: bool | None
    netns: str | None
    addresses: tuple[str, ...] | None
    listeners: tuple[Listening, ...] | None
    unlisted: int
    why: str
    redirects: bool | None
    own_kernel: str | None
    containers: tuple[ContainerSeen, ...]


@dataclass
class PodsSeen:
    """Filled by one pass over the hosts (``learn``, ``learn_silence``), then asked with ``find`` and ``why_unseen``."""

    hosts: int = 0  # of which the section was read
    pods: int = 0
    _by_uid: dict[str, PodSeen] = field(default_factory=dict)
    _by_name: dict[tuple[str, str], PodSeen] = field(default_factory=dict)
    _on_host: dict[str, tuple[Listening, ...] | None] = field(default_factory=dict)
    _gaps: dict[str, str] = field(default_factory=dict)  # by Node: why its pods were not seen, "" where they were
    _same: dict[Any, Any] = field(default_factory=dict)

    def learn(self, host: str, node: str | None, sections: dict[str, Any]) -> None:
        """Keep a host's pods; ``node`` is its Node's name, where it is known. A section of another form costs that host's pods only."""
        gap = section_gaps.gap(sections, SECTION)
        try:
            pods = [] if gap else [self._read(host, pod) for pod in sections[SECTION]["pods"]]
            gap = gap or "; ".join(f"{entry['what']}: {entry['why']}" for entry in sections[SECTION]["missing"])
        except MISSHAPEN as error:
            gap, pods = f"what {host} tells of its pods cannot be read: {type(error).__name__}: {error}", []
        if node is not None:
            self._gaps[node] = gap
        self.hosts += bool(pods or not gap)
        for pod in pods:
            self._keep(pod)
        if any(pod.netns == HOST for pod in pods):
            self._on_host[host] = self._beside(sections)

    def learn_silence(self, node: str | None, why: str) -> None:
        """Remember that a Node's host did not answer."""
        if node is not None:
            self._gaps[node] = why

    def find(self, uid: str | None, namespace: str | None, name: str | None) -> PodSeen | None:
        """The pod that the API has under this uid and name; None where no host showed it.

        A static pod has another uid in the API, and is found by its name. Any other pod that was made anew has its name again, as a
        StatefulSet's has, but what a host showed of the old one says nothing about it.
        """
        seen = self._by_uid.get(uid or "")
        if seen is None and namespace and name:
            named = self._by_name.get((namespace, name))
            seen = named if named and (not uid or _STATIC_UID.fullmatch(named.uid)) else None
        return seen

    def was_asked(self, node: str) -> bool:
        """Whether a host was asked for this Node."""
        return node in self._gaps

    def why_unseen(self, node: str) -> str:
        """Why the pods of a Node that was asked were not seen, or not all of them; empty when they were."""
        return self._gaps.get(node, "")

    def beside(self, seen: PodSeen) -> tuple[Listening, ...] | None:
        """What listens in the network that a pod shares with its host, whoever it is; nothing for a pod that has its own.

        None where the host did not tell.
        """
        return self._on_host.get(seen.host, ()) if seen.netns == HOST else ()

    def _keep(self, seen: PodSeen) -> None:
        self.pods += 1
        self._by_uid[seen.uid] = seen
        if seen.namespace and seen.name:
            self._by_name[seen.namespace, seen.name] = seen

    def _read(self, host: str, pod: dict[str, Any]) -> PodSeen:
        told = pod["listeners"]
        containers = tuple(
            ContainerSeen(self._name(one["name"]), self._name(one["image"]), _seconds(one["age_seconds"]))
            for one in pod["containers"]
            if one["name"] != "POD"
        )
        return PodSeen(
            self._once(host),
            _text(pod["uid"]),
            self._name(pod["namespace"]),
            _name(pod["name"]),
            _one_of(_FLAGS, pod["host_network"]),
            self._name(pod["netns"]),
            None if pod["addresses"] is None else tuple(map(_address, pod["addresses"])),
            None if told is None else self._once(tuple(self._once(_listening(entry)) for entry in told)),
            operator.index(pod["unlisted"]),
            self._name(pod["why"]) or "",
            _one_of(_FLAGS, pod["redirects"]),
            self._name(pod["own_kernel"]),
            containers,
        )

    def _beside(self, sections: dict[str, Any]) -> tuple[Listening, ...] | None:
        if section_gaps.gap(sections, "listen_ports"):
            return None
        try:
            found = tuple(map(self._once, _host_listeners(sections["listen_ports"])))
        except MISSHAPEN:
            return None
        kept: tuple[Listening, ...] = self._once(found)
        return kept

    def _name(self, value: Any) -> str | None:
        kept: str | None = self._once(_name(value))
        return kept

    def _once(self, value: Any) -> Any:
        return self._same.setdefault(value, value)


def _listening(entry: dict[str, Any]) -> Listening:
    told = Listening(
        _text(entry["protocol"]),
        _text(entry["family"]),
        _text(entry["address"]),
        _one_of(range(1, 65536), entry["port"]),
        _one_of(_FLAGS, entry["v6only"]),
        _name(entry["process"]),
        _name(entry["container"]),
    )
    address_of(told)  # raises ValueError for what is none
    return told


def _host_listeners(section: dict[str, Any]) -> Iterator[Listening]:
    for entry in section["listeners"]:
        if entry["state"] in _WAITING:
            name = next((process["name"] for process in entry["processes"]), None)
            yield _listening({**entry, "process": name, "container": None})


def _one_of(values: Container[Any], value: Any) -> Any:
    if value not in values:
        raise ValueError(f"{value!r} is out of place")
    return value


def _address(value: Any) -> str:
    if not _is_plain(value):
        ipaddress.ip_address(value)
    return str(value)


def _is_plain(value: Any) -> bool:
    """Whether it is an IPv4 address, as most are: ten times as fast as by ipaddress."""
    try:
        return isinstance(value, str) and bool(socket.inet_pton(socket.AF_INET, value))
    except (OSError, ValueError):
        return False


def _text(value: Any) -> str:
    # The rules of the whole cluster rest on it: what is none would cost every node its answers.
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _name(value: Any) -> str | None:
    return None if value is None else _text(value)


def _seconds(value: Any) -> float | None:
    return None if value is None else float(value)
