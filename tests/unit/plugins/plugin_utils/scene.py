# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audits for tests: captured snapshots and a captured cluster, with minimal and named changes.

Scene({"node-a": changed(captured("node-a"), "nodeport_conflict.proxy.mode", "nftables")}, kubernetes_136()).judged()
"""

from __future__ import annotations

import copy
import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    cluster_trim,
    known_ports,
    listener_origin,
    origin_words,
    reach,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, judge, settings
from ansible_collections.kubenode.doctor.tests.support import findings_schema

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"


@functools.cache
def _read(path):
    return json.loads((FIXTURES / path).read_text(encoding="utf-8"))


# Sections that captured snapshots lack, because they are older: what a quiet machine showed of them.
_QUIET = {
    "tcp_states": "tcp-quiet",
    "host_pressure": "host-pressure-quiet",
    "proxy_rules": "proxy-rules-quiet",
    "containers": "containers-quiet",
    "pod_listeners": "pod-listeners-quiet",
    "logs": "logs-quiet",
}
# What the captured cluster's node showed of them itself.
_OWN = {"node-a": {"proxy_rules": "proxy-rules-node-a", "pod_listeners": "pod-listeners-node-a"}}
# Nobody keeps the clock of the machine that was captured. That is a fault, which scenes are not about; cases of their rule undo it.
_KEPT = {"synchronized": True, "max_error_seconds": 0.021, "keepers": ["chronyd"]}


_GROUND = origin_words.Ground((30000, 32767), (32768, 60999))


def captured(name):
    """A node's snapshot as node_snapshot returned it; tests/fixtures/bundle/README.md says which there are."""
    snapshot = copy.deepcopy(_read(f"bundle/{name}.json"))
    for section, file in {**_QUIET, **_OWN.get(name, {})}.items():
        snapshot["sections"].setdefault(section, captured_section(file))
    waiting = snapshot["sections"]["listen_ports"]
    snapshot["sections"]["listener_origin"] = {
        "listeners": [
            origin(listener) for listener in waiting["listeners"] if listener_origin.needs_explanation(listener)
        ],
        "complete": True,  # what was not seen of them, listen_ports says
        "missing": [],
    }
    return snapshot


def origin(listener, **owner):
    """What the section listener_origin says of a listener of listen_ports; of containerd what a real one showed."""
    seen = copy.deepcopy(_read("bundle/listener-origin-containerd.json"))
    process = next(iter(listener["processes"]), None)
    if (listener["known_as"] or {}).get("component") != "containerd" or not process:
        seen["configuration"] = None
        seen["owner"] = {**dict.fromkeys(seen["owner"]), "missing": []} if process else None
    if process:
        seen["owner"].update(process, **owner)
    told = {**copy.deepcopy(listener), "reach": reach.of(listener["address"]), **seen}
    return {**told, **origin_words.tell(told, _GROUND)}


def captured_section(name):
    """One section as it was captured, but for a clock that somebody keeps; tests/fixtures/bundle/README.md says which there are."""
    section = copy.deepcopy(_read(f"bundle/{name}.json"))
    if "clock" in section:
        section["clock"].update(_KEPT)
    return section


def seed_000():
    """The cluster of seed 000: one Service, NodePort 36527, no endpoints; Nodes sick and healthy."""
    return {**bundle.silent_cluster(""), **copy.deepcopy(_read("bundle/cluster-seed-000.json"))}


def kubernetes_136():
    """The captured cluster, as cluster_snapshot trims it."""
    return {
        **bundle.silent_cluster(""),
        "schema": 1,
        "complete": True,
        "missing": [],
        "server": "https://127.0.0.1:6443",
        "server_version": "1.36",
        "services": [cluster_trim.service(raw) for raw in copy.deepcopy(_read("api/services.json"))["items"]],
        "endpoint_slices": [
            cluster_trim.endpoint_slice(raw) for raw in copy.deepcopy(_read("api/endpointslices.json"))["items"]
        ],
        "nodes": [cluster_trim.node(raw) for raw in copy.deepcopy(_read("api/nodes.json"))["items"]],
    }


def no_cluster(why="connection refused"):
    """What an API server that does not answer leaves."""
    return bundle.silent_cluster(why)


def changed(document, *changes):
    """A copy with other values: ``changed(snapshot, "host.root", False, "nodeport_conflict.proxy.mode", None)``.

    A path starts at a snapshot's sections, or at the top of any other document; a number is an index of a list.
    """
    document = copy.deepcopy(document)
    for path, value in zip(changes[::2], changes[1::2]):
        place = document.get("sections", document)
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in way:
            place = place[part]
        assert isinstance(place, list) or last in place, f"{path}: there is no such thing to change"
        place[last] = value
    return document


def gap(snapshot, section, what, why):
    """A copy in which a section says that it could not see something."""
    snapshot = copy.deepcopy(snapshot)
    place = snapshot["sections"]
    for part in section.split("."):
        place = place[part]
    place["complete"] = False
    place["missing"] = [*place["missing"], {"what": what, "why": why}]
    return snapshot


def lost(snapshot, section, what, why):
    """A copy without a section: what node_snapshot leaves of one that broke or was not reached in time."""
    return changed(snapshot, section, {"complete": False, "missing": [{"what": what, "why": why}]})


def with_socket(snapshot, name="java", **fields):
    """A copy with one more socket, made from the captured one of ``hostnet``, in both sections that show it."""
    snapshot = copy.deepcopy(snapshot)
    sections = snapshot["sections"]
    sockets = _read("bundle/node-a.json")["sections"]["nodeport_conflict"]["sockets"]
    entry = copy.deepcopy(next(socket for socket in sockets if socket["port"] == 31999))
    entry.update(
        family="ipv4", address="0.0.0.0", v6only=None, inode=4_000_000 + len(sections["listen_ports"]["listeners"])
    )
    entry["processes"][0]["name"] = name
    entry.update(fields)
    if name is None:
        entry["processes"] = []
    low, high = map(int, sections["port_settings"]["kernel"]["sysctl"]["ip_local_port_range"].split())
    entry["ephemeral"] = low <= entry["port"] <= high
    names = [process["name"] for process in entry["processes"]]
    if "known_as" not in fields:
        entry["known_as"] = known_ports.known_as(
            entry["protocol"], entry["address"], entry["port"], names, entry["ephemeral"]
        )
    sections["nodeport_conflict"]["sockets"].append(entry)
    if entry["state"] in ("listen", "bound", "unconnected"):
        waiting = {key: value for key, value in entry.items() if key not in ("peer", "peer_port")}
        queue = entry["state"] == "listen" and entry["protocol"] == "tcp"
        listener = {**waiting, "accept_queue": 0 if queue else None, "backlog": 128 if queue else None}
        sections["listen_ports"]["listeners"].append(listener)
        if listener_origin.needs_explanation(listener):
            sections["listener_origin"]["listeners"].append(origin(listener))
    return snapshot


def without_sockets(snapshot, *ports):
    """A copy in which nobody uses these port numbers."""
    snapshot = copy.deepcopy(snapshot)
    for section, key in (
        ("listen_ports", "listeners"),
        ("listener_origin", "listeners"),
        ("nodeport_conflict", "sockets"),
    ):
        place = snapshot["sections"][section]
        place[key] = [socket for socket in place[key] if socket["port"] not in ports]
    return snapshot


def in_unit(snapshot, port, unit):
    """A copy in which a unit of the host's systemd runs what listens on a port."""
    snapshot = copy.deepcopy(snapshot)
    for section, key in (("listen_ports", "listeners"), ("nodeport_conflict", "sockets")):
        for socket in snapshot["sections"][section][key]:
            if socket["port"] == port:
                socket["processes"] = [{**process, "unit": unit} for process in socket["processes"]]
    return snapshot


def runtime(**fields):
    """What a node tells of containerd's settings when nothing sets its streaming port."""
    section = '[plugins."io.containerd.grpc.v1.cri"]'
    return {
        "runtime": "containerd",
        "key": "stream_server_port",
        "value": None,
        "default": "0",
        "address": "127.0.0.1",
        "file": None,
        "fixed": False,
        "edit": {"file": "/etc/containerd/config.toml", "section": section, "new": False},
        **fields,
    }


def ipv6_of(snapshot, address="2001:db8::2"):
    """A copy of a node that has an IPv6 address as well."""
    snapshot = copy.deepcopy(snapshot)
    snapshot["sections"]["host"]["addresses"].append({"interface": "eth0", "address": address})
    return snapshot


def service(cluster, name):
    """A Service of a cluster, to be changed in place: only for a cluster that was made for one test."""
    return next(entry for entry in cluster["services"] if entry["name"] == name)


def with_service(cluster, service_name, /, **fields):
    """A copy of a cluster in which one Service has other values."""
    cluster = copy.deepcopy(cluster)
    place = service(cluster, service_name)
    assert fields.keys() <= place.keys()
    place.update(fields)
    return cluster


@dataclass
class Scene:
    """An audit in memory, which judge() reads as it reads a bundle. ``snapshots`` by host; a text says why a host is silent."""

    snapshots: dict[str, Any]
    cluster_document: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    folder: Path = Path("audits/20261121T080000Z")
    damaged: dict[str, str] = field(default_factory=dict)
    earlier: dict[str, Any] = field(default_factory=dict)  # the audits before it, the latest first: scenes by folder
    document: dict[str, Any] | None = field(default=None, compare=False)  # of findings.json
    audit: dict[str, Any] = field(
        default_factory=lambda: {"schema": 1, "version": "0.1.0", "started": "2026-11-21T08:00:00+00:00"}
    )

    def __post_init__(self):
        if self.earlier:
            self.audit["earlier"] = list(self.earlier)
        self.audit.setdefault("asked", sorted(self.snapshots))

    def beside(self, name):
        """As a bundle's: an audit that is damaged is given as the text of the error, None is one that is gone."""
        found = self.earlier[name]
        if isinstance(found, str):
            raise bundle.BundleError(found)
        return found

    def findings(self, keep=None):
        """As a bundle's: what judge found, once it was asked."""
        if self.document is None:
            raise bundle.BundleError(f"{self.folder / 'findings.json'} does not exist")
        return json.loads(json.dumps(self.document), object_hook=keep)

    def cluster(self):
        return {**bundle.silent_cluster(""), **self.cluster_document}

    def node(self, host):
        snapshot = self.snapshots[host]
        if isinstance(snapshot, str):
            return {"host": host, "answered": False, "why": snapshot, "snapshot": None}
        return {"host": host, "answered": True, "why": None, "snapshot": snapshot}

    @property
    def hosts(self):
        return sorted(self.snapshots)

    def nodes(self):
        return map(self.node, self.hosts)

    def judged(self):
        """The document of findings.json."""
        text = json.dumps(judge.judge(self, settings.read(self.options)))
        self.document = json.loads(text)
        findings_schema.check(self.document)
        return json.loads(text)  # a test may change its own; many times as fast as a deep copy


@dataclass
class Case:
    """What one rule must say of one host (None: of the cluster) in a scene.

    ``answer`` is fail, pass, unknown or not_applicable. ``words`` must stand in the finding, ``absent`` must not;
    ``commands`` are all of its commands that are named here, in any order; ``causes`` are rule ids.
    """

    name: str
    answer: str
    scene: Scene
    host: str | None
    severity: str = ""
    words: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    causes: tuple[str, ...] | None = None


def live(*changes, snapshot=None, cluster=None, **options):
    """The captured node of the captured cluster, with changes (see changed)."""
    node = changed(captured("node-a") if snapshot is None else snapshot, *changes)
    return Scene({"node-a": node}, kubernetes_136() if cluster is None else cluster, options)


def seed(*changes, cluster=None, sick="sick", **options):
    """Both nodes of seed 000, with changes on the sick one."""
    nodes = {"sick": changed(captured(sick), *changes), "healthy": captured("healthy")}
    return Scene(nodes, seed_000() if cluster is None else cluster, options)


def seed_000_with_endpoints():
    """The cluster of seed 000 after somebody corrected the selector."""
    pod = {
        "addresses": ["10.244.0.9"],
        "ready": True,
        "serving": True,
        "terminating": False,
        "node_name": None,
        "target": None,
    }
    ports = [{"name": "", "protocol": "TCP", "port": 8080}]
    return changed(seed_000(), "endpoint_slices.0.endpoints", [pod], "endpoint_slices.0.ports", ports)


def unknowns(rule_sections, host="node-a"):
    """The cases that every rule on nodes has: the host is silent, or a section that it needs is not there or is broken."""
    scene = live()
    yield Case(
        "the host did not answer",
        "unknown",
        Scene({host: "Connection timed out"}, scene.cluster_document),
        host,
        words=("the host did not answer: Connection timed out",),
    )
    for section in rule_sections:
        why = "the budget of 20 s ended before it"
        yield Case(
            f"{section} was not reached",
            "unknown",
            live(snapshot=lost(captured("node-a"), section, section, why)),
            host,
            words=(f"{section}: {why}",),
        )
        yield Case(
            f"{section} is of another form",
            "unknown",
            live(section, ["junk"]),
            host,
            words=(f"the section {section} was not collected",),
        )


BARE = Scene({"bare": captured("bare")}, kubernetes_136())


def contained(address="0.0.0.0"):
    """The bare host as a container with its own pid namespace, in which nobody is seen to hold one socket."""
    snapshot = captured("bare")
    snapshot["sections"]["host"]["host_pid_namespace"] = False
    return Scene({"bare": changed(snapshot, "listen_ports.listeners.0.address", address)}, kubernetes_136())


def no_node():
    """The case of a host on which no Kubernetes runs."""
    return Case("a host that is no node", "not_applicable", BARE, "bare")
