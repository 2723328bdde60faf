# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containers: the section, with Docker and with other runtimes, and bounded."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import containers, cri_containers, docker_containers
from ansible_collections.kubenode.doctor.plugins.module_utils.container_groups import Told, instance, stranger
from ansible_collections.kubenode.doctor.plugins.module_utils.containers import Known
from ansible_collections.kubenode.doctor.plugins.module_utils.cri_containers import Runtime
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_containers import Listing
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import EngineError
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import Identity
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_runtime import (
    SOCKET,
    Crictl,
    answers,
    captured,
    listen,
    place,
)

CAPTURE = captured("containerd-1.6.json")
DOCKER_SOCKET = "/var/run/docker.sock"
WHERE = "unix:///var/run/docker.sock"
GAP = {"what": "containers", "why": "1 was not inspected"}


class FakeEngine:
    """Stands for docker_engine.Engine: it only counts who asks."""

    version = "20.10.24"

    def __init__(self, host, deadline):
        self.host = host
        self.deadline = deadline

    def begin(self):
        if "broken" in self.host:
            raise EngineError(f"{self.host}: nobody answers")


@pytest.fixture
def docker(monkeypatch):
    """What a Docker Engine tells, to be changed; ``hosts`` are those that were asked, ``seconds`` the time that they were given."""

    told = SimpleNamespace(hosts=[], seconds=[])
    told.listing = Listing(
        7, [group("docker", "web", 1)], [stranger("docker", "s" * 64, "exited", "odd")], [{}, {}], {}, []
    )

    def collect(engine, deadline):
        told.hosts.append(engine.host)
        told.seconds.append(deadline.seconds)
        return told.listing

    monkeypatch.setattr(containers, "Engine", FakeEngine)
    monkeypatch.setattr(docker_containers, "collect", collect)
    return told


def group(runtime, container, number, state="exited"):
    instances = [instance(f"{container}-{attempt}", state, attempt=attempt) for attempt in range(number)]
    keys = {"runtime": runtime, "pod_uid": "u", "namespace": "n", "pod": "p", "container": container, "sandbox": False}
    return {**keys, "instances": instances}


def collect(node, **options):
    section = containers.collect(Deadline(options.pop("seconds", 60)), str(node.root), **options)
    assert section["complete"] is not bool(section["missing"])
    json.dumps(section).encode("ascii")
    return section


def test_no_runtime(node):
    section = collect(node)
    assert abs(section.pop("now_ns") - time.time_ns()) < 60 * 10**9
    assert section == {
        "runtimes": [],
        "groups": [],
        "strangers": [],
        "others": 0,
        "truncated": {"groups": 0, "instances": 0},
        "complete": True,
        "missing": [],
    }


def test_containerd(node):
    place(node, CAPTURE)
    listen(node, SOCKET)
    Crictl(node, answers(CAPTURE))
    section = collect(node)
    assert section["runtimes"] == [
        {
            "name": "containerd",
            "version": CAPTURE["version"]["runtimeVersion"],
            "endpoint": f"unix://{SOCKET}",
            "method": "crictl",
            "complete": True,
        }
    ]
    assert [
        (one["namespace"], one["container"], [each["attempt"] for each in one["instances"]])
        for one in section["groups"]
    ] == [
        ("kube-system", "POD", [17, 15]),
        ("kube-system", "kube-apiserver", [24, 23]),
        ("shop", "POD", [0]),
        ("shop", "side", [1]),
        ("shop", "web", [0]),
    ]
    assert {one["runtime"] for one in section["groups"]} == {"containerd"}
    assert section["complete"] is True


def test_containerd_by_its_files(node):
    place(node, CAPTURE)
    section = collect(node)
    (runtime,) = section["runtimes"]
    assert (runtime["method"], runtime["version"], runtime["complete"]) == ("files", None, False)
    assert [gap["what"] for gap in section["missing"]] == ["names", "attempts"]
    assert all(
        gap["why"].startswith("containerd: ") and "crictl tells them" in gap["why"] for gap in section["missing"]
    )
    assert (len(section["strangers"]), section["others"]) == (2, 1)


def test_docker(node, docker):
    listen(node, DOCKER_SOCKET)
    section = collect(node, seconds=100)
    assert section["now_ns"] == 7
    assert section["runtimes"] == [
        {"name": "docker", "version": "20.10.24", "endpoint": WHERE, "method": "engine api", "complete": True}
    ]
    assert section["groups"] == docker.listing.groups
    assert (len(section["strangers"]), section["others"], section["complete"]) == (1, 2, True)
    assert docker.hosts == [f"unix://{node.root}{DOCKER_SOCKET}"]
    assert 50 < docker.seconds[0] <= 60  # what hangs leaves time for the others


def test_docker_with_gaps(node, docker):
    docker.listing = docker.listing._replace(missing=[GAP])
    listen(node, DOCKER_SOCKET)
    section = collect(node)
    assert section["runtimes"][0]["complete"] is False
    assert section["missing"] == [{"what": "containers", "why": "docker: 1 was not inspected"}]


def test_docker_and_containerd(node, docker):
    listen(node, DOCKER_SOCKET)
    listen(node, SOCKET)
    assert [one["name"] for one in collect(node)["runtimes"]] == ["docker"]
    place(node, CAPTURE)
    section = collect(node)
    assert [one["name"] for one in section["runtimes"]] == ["docker", "containerd"]
    assert {one["runtime"] for one in section["groups"]} == {"docker", "containerd"}
    assert (len(section["strangers"]), section["others"]) == (1 + 2, 2 + 1)
    assert docker.hosts


@pytest.mark.parametrize("host", [None, "tcp://broken.example:2375"])
def test_docker_that_does_not_answer(node, docker, host):
    """Then its containers may be behind cri-dockerd, and containerd may not be Docker's own."""
    if host is None:
        node.file("/broken", "")
    listen(node, DOCKER_SOCKET)
    listen(node, SOCKET)
    section = collect(node, docker_host=host or "unix:///broken/docker.sock")
    assert [(one["name"], one["method"], one["complete"]) for one in section["runtimes"]] == [
        ("docker", "engine api", False),
        ("containerd", "files", True),
    ]
    assert section["missing"][0]["what"] == "docker"
    assert section["missing"][0]["why"].endswith("nobody answers")
    assert docker.hosts == []


def test_a_host_that_is_named_is_asked_without_a_socket(node, docker):
    assert collect(node, docker_host="tcp://192.0.2.1:2375")["runtimes"][0]["endpoint"] == "tcp://192.0.2.1:2375"
    assert docker.hosts == ["tcp://192.0.2.1:2375"]


def test_a_host_that_is_none(node):
    section = collect(node, docker_host="ssh://somewhere")
    assert [one["name"] for one in section["runtimes"]] == ["docker"]
    assert [gap["what"] for gap in section["missing"]] == ["docker"]


def many(monkeypatch, found=(), strangers=(), others=0):
    told = Told(list(found), list(strangers), others, [])
    runtime = Runtime("cri-o", "1.30.1", "unix:///run/crio/crio.sock", "crictl", told)
    monkeypatch.setattr(cri_containers, "collect", lambda *_arguments, **_options: [runtime])


def test_more_than_is_told(node, monkeypatch):
    dead = [
        (Identity("u", "n", "p", "dead", number), instance(f"d{number}", "exited", attempt=number))
        for number in range(700)
    ]
    quiet = [
        (Identity("u", "n", f"p{number}", "quiet", 0), instance(f"q{number}", "running", attempt=0))
        for number in range(700)
    ]
    many(monkeypatch, dead + quiet, [stranger("cri-o", str(number), "exited", "odd") for number in range(1200)], 5)
    section = collect(node)
    assert sum(len(one["instances"]) for one in section["groups"]) == 1000
    assert len(next(one for one in section["groups"] if one["container"] == "dead")["instances"]) == 700
    assert section["truncated"] == {"groups": 400, "instances": 400}
    assert len(section["strangers"]) == 1000
    assert section["missing"] == [
        {"what": "containers", "why": "400 instances of 400 containers are beyond the 1000 that are told"},
        {"what": "strangers", "why": "200 are beyond the 1000 that are told"},
    ]
    assert section["runtimes"][0]["complete"] is True


def test_no_time_left(node):
    place(node, CAPTURE)
    listen(node, DOCKER_SOCKET)
    section = collect(node, seconds=0)
    assert [one["complete"] for one in section["runtimes"]] == [False, False]
    assert [gap["what"] for gap in section["missing"]] == ["docker", "containers"]


def test_one_look_serves_more_than_the_section(node, docker):
    """All that is known, of all runtimes, those that have ended and those that the section has no room for too."""
    listen(node, DOCKER_SOCKET)
    place(node, CAPTURE)
    seen = containers.look(Deadline(60), str(node.root))
    assert len(docker.hosts) == 1
    assert containers.section(seen) == collect(node)
    known = list(seen.known())
    assert known[0] == Known("docker", "web-0", "u", "n", "p", "web", None)
    told = {instance["id"]: group for group in collect(node)["groups"] for instance in group["instances"]}
    assert {one.id for one in known} == set(told)
    assert all(
        (one.runtime, one.pod_uid, one.namespace, one.pod, one.container)
        == tuple(told[one.id][key] for key in ("runtime", "pod_uid", "namespace", "pod", "container"))
        for one in known
    )
    assert {one.image for one in known if one.runtime == "containerd"} > {None}


def test_more_is_known_than_is_told(node, monkeypatch):
    found = [(Identity("u", "n", f"p{number}", "c", 0), instance(f"c{number}", "running")) for number in range(1500)]
    many(monkeypatch, found)
    assert len(list(containers.look(Deadline(60), str(node.root)).known())) == 1500


def test_what_no_runtime_tells(node):
    seen = containers.look(Deadline(60), str(node.root), "ssh://somewhere")
    assert list(seen.known()) == []
    assert [gap["what"] for gap in seen.missing()] == ["docker"]
