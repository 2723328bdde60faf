# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed 002 as the collectors would have stored it: tests/fixtures/seed_002, whose README tells the origin and what is inferred.

Docker's answers are made from what ``docker ps`` printed and are read by docker_containers; log lines are matched by log_matcher with the whole
catalogue. What the seed does not tell is missing.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from ansible_collections.kubenode.doctor.plugins.module_utils import docker_containers, kube_container, signatures
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import DEFAULT_HOST, Engine
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import (
    JOURNAL,
    KERNEL,
    POD,
    LogLine,
    Origin,
    PodLog,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.log_matcher import Matcher

FOLDER = Path(__file__).resolve().parents[1] / "fixtures" / "seed_002"
HOST = "pi-master1"
ADDRESS = "192.168.6.11"
DEAD_ATTEMPT, LIVING_ATTEMPT = "8470235abd66", "eced85378630"
_NOT_CAPTURED = "not captured"
_ID_LENGTH = 64
_HOST_ZONE = datetime.timezone(datetime.timedelta(hours=8))
_LOOK_AFTER_SECONDS = 10

#   8470235abd66   4958a2396b16   "kube-apiserver --ad…"   10 days ago   Exited (0) 10 days ago   k8s_kube-apiserver_…_23
_ROW = re.compile(r'([0-9a-f]{12}) {2,}(\S+) {2,}"[^"]*" {2,}(\d+) days ago {2,}(Up|Exited \((\d+)\)) .* (\S+)')
#   Mar 22 21:05:33 pi-master1 kubelet[1115805]: E0322 …
_JOURNAL = re.compile(r"(\w{3} +\d+ \d\d:\d\d:\d\d) \S+ (\w+)\[\d+\]: (.*)", re.DOTALL)
#   I0312 03:29:07.332584       1 server.go:625] …
_KLOG = re.compile(r"[IWEF](\d{4} \d\d:\d\d:\d\d\.\d{6}) ")
#   [Mon Mar 22 11:01:52 2021] RPC: …
_DMESG = re.compile(r"\[\w{3} (\w{3} +\d+ \d\d:\d\d:\d\d \d{4})\] (.*)")


class Row(NamedTuple):
    """What docker ps told of a container."""

    id: str
    image: str
    days: int
    exit_code: int | None
    name: str

    @property
    def identity(self) -> kube_container.Identity:
        """Whose it is, by its name."""
        found = kube_container.parse_name(self.name)
        if found is None:
            raise ValueError(f"no name of Kubernetes: {self.name!r}")
        return found


def rows() -> list[Row]:
    """The containers as docker ps printed them: the one that was created last first."""
    found = [_ROW.fullmatch(line) for line in _lines("docker-ps.txt")]
    return [
        Row(match[1], match[2], int(match[3]), None if match[5] is None else int(match[5]), match[6])
        for match in found
        if match
    ]


def full_id(short: str) -> str:
    """The whole id: as kubelet's message has it, else with zeros."""
    whole = re.search(rf"{short}[0-9a-f]{{{_ID_LENGTH - len(short)}}}", (FOLDER / "kubelet.txt").read_text("utf-8"))
    return whole[0] if whole else short.ljust(_ID_LENGTH, "0")


def log_lines() -> Iterator[LogLine]:
    """All lines of logs that the seed quotes, where the collectors would have found them."""
    yield from kubelet()
    yield from api_server()
    for line in _lines("dmesg.txt"):
        when, text = _found(_DMESG, line).groups()
        moment = datetime.datetime.strptime(when, "%b %d %H:%M:%S %Y").replace(tzinfo=_HOST_ZONE)
        yield LogLine(text, moment.timestamp(), Origin(KERNEL))


def kubelet() -> Iterator[LogLine]:
    """What kubelet wrote to the journal; the notes broke the message at a space."""
    when, unit, text = _found(_JOURNAL, " ".join(_lines("kubelet.txt"))).groups()
    moment = datetime.datetime.strptime(f"{_year()} {when}", "%Y %b %d %H:%M:%S").replace(tzinfo=_HOST_ZONE)
    yield LogLine(text, moment.timestamp(), Origin(JOURNAL, f"{unit}.service"))


def api_server() -> Iterator[LogLine]:
    """What kubectl logs showed: the log of the attempt that kubelet takes for the latest."""
    who = rows()[0].identity
    origin = Origin(POD, None, PodLog(who.namespace, who.pod, who.pod_uid, who.container, who.attempt))
    when: float | None = None
    for line in _lines("kube-apiserver.txt"):
        if line != "...":
            stamp = _KLOG.match(line)
            when = _klog_time(stamp[1]) if stamp else when
            yield LogLine(line, when, origin)


def now() -> float:
    """When the node is looked at, epoch seconds."""
    return max(line.when or 0.0 for line in kubelet()) + _LOOK_AFTER_SECONDS


def containers() -> dict[str, Any]:
    """The section ``containers``, read by the module's own code from what the engine would have answered."""
    listing = docker_containers.collect(cast(Engine, _Engine()), Deadline(60.0))
    runtime = {"name": docker_containers.RUNTIME, "version": None, "endpoint": DEFAULT_HOST, "method": "engine api"}
    return {
        "now_ns": listing.now_ns,
        "runtimes": [{**runtime, "complete": not listing.missing}],
        "groups": listing.groups,
        "strangers": listing.strangers,
        "others": len(listing.others),
        "truncated": {"groups": 0, "instances": 0},
        "complete": not listing.missing,
        "missing": listing.missing,
    }


def logs() -> dict[str, Any]:
    """The section ``logs``, found by the whole catalogue."""
    matcher = Matcher(signatures.SIGNATURES)
    for line in log_lines():
        matcher.feed(line)
    found, other = matcher.found(200)
    return {
        "now": now(),
        "window_seconds": 86400,
        "found": found,
        "other": other,
        "scanned": [
            _scanned("journal", "kubelet.service"),
            _scanned("kernel", "kernel ring"),
            _scanned("pod", "pod logs"),
        ],
        "complete": True,
        "missing": [],
    }


def snapshot() -> dict[str, Any]:
    """The control plane's snapshot."""
    absent = ("port_settings", "listen_ports", "nodeport_conflict", "tcp_states", "host_pressure")
    sections = {
        "host": {
            "hostname": HOST,
            "kernel": None,
            "python": None,
            "root": True,
            "host_pid_namespace": True,
            "addresses": [{"interface": "eth0", "address": ADDRESS}],
            "components": ["dockerd", "etcd", "kube-apiserver", "kubelet"],
            "complete": True,
            "missing": [],
        },
        **{name: _gap(name) for name in absent},
        "containers": containers(),
        "logs": logs(),
    }
    return {"schema": 1, "sections": sections, "seconds": None, **_gap(*absent)}


class _Engine:
    """Answers as Docker's API, with what docker ps told."""

    def __init__(self) -> None:
        self._told = {full_id(row.id): _inspection(row) for row in rows()}

    def containers(self) -> list[dict[str, Any]]:
        """GET /containers/json."""
        return [
            {
                "Id": id_,
                "Names": [told["Name"]],
                "Labels": told["Config"]["Labels"],
                "State": told["State"]["Status"],
                "Created": int(_parsed(told["Created"]).timestamp()),
                "Image": told["Config"]["Image"],
                "HostConfig": {"NetworkMode": told["HostConfig"]["NetworkMode"]},
            }
            for id_, told in self._told.items()
        ]

    def inspect(self, id_: str) -> dict[str, Any] | None:
        """GET /containers/{id}/json."""
        return self._told.get(id_)

    def now_ns(self) -> int:
        """The engine's clock."""
        return int(now() * 1e9)


def _inspection(row: Row) -> dict[str, Any]:
    created, ended = _times(row)
    sandbox = _sandbox_of(row)
    return {
        "Id": full_id(row.id),
        "Name": f"/{row.name}",
        "Created": _rfc3339(created),
        "State": {
            "Status": "running" if row.exit_code is None else "exited",
            "Running": row.exit_code is None,
            "Paused": False,
            "Restarting": False,
            "Pid": 0,
            "ExitCode": row.exit_code or 0,
            "StartedAt": _rfc3339(created + datetime.timedelta(seconds=1)),
            "FinishedAt": "0001-01-01T00:00:00Z" if row.exit_code is None else _rfc3339(ended),
        },
        "Config": {"Image": row.image, "Labels": _labels(row)},
        "HostConfig": {"NetworkMode": f"container:{sandbox}" if sandbox else "host"},
    }


def _times(row: Row) -> tuple[datetime.datetime, datetime.datetime]:
    """When a container was created and ended: rows above were created later; attempt 23 began and ended with its log."""
    logged = [line.when for line in api_server() if line.when is not None]
    first, last = (datetime.datetime.fromtimestamp(when, datetime.UTC) for when in (min(logged), max(logged)))
    return first - datetime.timedelta(minutes=10 * rows().index(row), seconds=2), last + datetime.timedelta(seconds=1)


def _sandbox_of(row: Row) -> str | None:
    """The dead sandbox for the dead attempt, the living one for the living one; None for a sandbox."""
    if row.identity.container == kube_container.SANDBOX:
        return None
    alike = [
        other
        for other in rows()
        if other.identity.container == kube_container.SANDBOX and other.exit_code == row.exit_code
    ]
    return full_id(alike[0].id)


def _labels(row: Row) -> dict[str, str]:
    who, sandbox = row.identity, _sandbox_of(row)
    labels = {
        kube_container.LABEL_POD_UID: who.pod_uid,
        kube_container.LABEL_CONTAINER: who.container,
        kube_container.LABEL_POD: who.pod,
        kube_container.LABEL_NAMESPACE: who.namespace,
    }
    return {**labels, kube_container.LABEL_SANDBOX_ID: sandbox} if sandbox else labels


def _scanned(source: str, name: str) -> dict[str, Any]:
    lines = [line for line in log_lines() if line.origin.source == source]
    times = [line.when for line in lines if line.when is not None]
    size = sum(len(line.text) for line in lines)
    span = {"from": min(times), "to": max(times)}
    return {"source": source, "name": name, **span, "bytes": size, "lines": len(lines), "stopped": "window"}


def _year() -> int:
    return int(_found(_DMESG, _lines("dmesg.txt")[0])[1].split()[-1])


def _klog_time(text: str) -> float:
    moment = datetime.datetime.strptime(f"{_year()}{text}", "%Y%m%d %H:%M:%S.%f")
    return moment.replace(tzinfo=datetime.UTC).timestamp()


def _rfc3339(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _parsed(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def _found(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(f"not of the form {pattern.pattern!r}: {text!r}")
    return found


def _lines(file: str) -> list[str]:
    return (FOLDER / file).read_text("utf-8").splitlines()


def _gap(*what: str) -> dict[str, Any]:
    return {"complete": False, "missing": [{"what": each, "why": _NOT_CAPTURED} for each in what]}
