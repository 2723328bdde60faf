# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small piece of a node, real enough that every module has something to report."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.tests.contract.plays import run_tasks
from ansible_collections.kubenode.doctor.tests.support import pod_cgroup
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import Pod
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi, seed_000_service
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.fake_journalctl import FakeJournalctl
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_engine import (
    SECOND,
    Made,
    MadeUpEngine,
)

# Takes the process name of a kubelet, listens on a port that the kernel draws, hangs up on a client of its own, which does
# not notice (CLOSE-WAIT), and prints the port.
KUBELET = """
import ctypes, socket
ctypes.CDLL(None).prctl(15, b"kubelet")  # PR_SET_NAME
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
server.accept()[0].close()
print(server.getsockname()[1], flush=True)
input()
"""


# Listens, and ends with its standard input.
WEB = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print("ready", flush=True)
input()
"""
POD_UID, CONTAINER_ID = "909a2aa1-bf6a-4a8c-a274-3180ea640fb1", "6c" * 32


class Scene(NamedTuple):
    """A folder with a kubeconfig for the fake API server, a judged audit and a journal, the kubelet's port, and a Docker Engine.

    ``has_pod`` says whether a process that listens is taken for a pod, POD_UID: that takes a cgroup, and root.
    """

    directory: Path
    port: int
    docker_host: str
    has_pod: bool

    @property
    def kubeconfig(self) -> str:
        return str(self.directory / "kubeconfig")

    @property
    def journal(self) -> str:
        """What the made-up journalctl tells is told of any journal that has a file."""
        return str(self.directory / "journal")

    @property
    def audit(self) -> str:
        """Where the modules' examples have theirs, seen from the folder."""
        return "audits/20261121T080000Z"


class ForgetfulEngine(MadeUpEngine):
    """A Docker Engine with two name conflicts; whoever asks for its version finds all containers back in their places.

    In one of them the dead container is started when it is about to be removed.
    """

    STARTED_AGAIN = f"{123:064x}"

    def __init__(self) -> None:
        super().__init__(before=self._happen)

    def _happen(self, _number: int, request: str) -> None:
        if request == "GET /_ping":
            self.containers = {one.id: one for one in conflicting_containers()}
        if request.startswith(f"DELETE /v1.41/containers/{self.STARTED_AGAIN}"):
            self.containers[self.STARTED_AGAIN].state = "running"


def conflicting_containers() -> Iterator[Made]:
    """Yield attempts 24 and 23 of two API servers, 24 alive and created first, and a container that is somebody else's."""
    ago = time.time_ns() - 3600 * SECOND
    for number, uid in ((0, "1403dda53affdfee1130475a6d9609da"), (100, "7f3c9a1d5b2e4f60889bd4a1c35e7e02")):
        pod = Pod("kube-system", f"kube-apiserver-pi-master{number}", uid)
        for attempt, state, age in ((24, "running", 0), (23, "exited", 1)):
            name, created = pod.container_name("kube-apiserver", attempt), ago + age * SECOND
            yield Made(number + attempt, name, state, pod.labels("kube-apiserver"), created, created, created)
    yield Made(1, "registry", "running")


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other worker has a scene: the kubelets of two would be taken for one that has two listeners."""
    with (Path(tempfile.gettempdir()) / "kubenode-doctor-contract.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    command = [sys.executable, "-c", KUBELET]
    with (
        alone(),
        FakeApi() as api,
        ForgetfulEngine() as engine,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as kubelet,
        pytest.MonkeyPatch.context() as patch,
        pod() as has_pod,
    ):
        assert kubelet.stdout is not None
        scene = Scene(tmp_path_factory.mktemp("scene"), int(kubelet.stdout.readline()), engine.host, has_pod)
        api.kubeconfig(Path(scene.kubeconfig))
        api.add("services", colliding_service(scene.port))
        patch.setenv("PATH", str(make_journal(scene)), prepend=":")
        make_audit(scene)
        yield scene
        kubelet.kill()


@contextmanager
def pod() -> Iterator[bool]:
    """Start what listens in the cgroup of a pod, where that is possible."""
    if not pod_cgroup.are_possible():
        yield False
        return
    command = [sys.executable, "-c", WEB]
    with (
        pod_cgroup.PodCgroups("contract") as cgroups,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as web,
    ):
        cgroups.add(POD_UID, CONTAINER_ID).write_text(str(web.pid), "ascii")
        assert web.stdout is not None
        web.stdout.readline()
        try:
            yield True
        finally:
            web.kill()


def colliding_service(port: int) -> dict[str, Any]:
    """Return seed 000's Service on the kubelet's port, with a load balancer's address, which the captured ones lack."""
    service = seed_000_service()
    service["spec"]["ports"][0]["nodePort"] = port
    service["status"]["loadBalancer"]["ingress"] = [{"ip": "192.0.2.80", "ipMode": "VIP"}]
    return service


def make_journal(scene: Scene) -> Path:
    """Let kubelet complain, and a container through Docker's log driver. Return the folder of the journalctl that tells it."""
    journal = FakeJournalctl(scene.directory)
    Path(scene.journal).mkdir()
    (Path(scene.journal) / "system.journal").touch()
    now = time.time()
    name = Pod("kube-system", "calico-node-x7k2p", "0d8e6c1a-1f0b-4b2c-9e57-6a0b3d1f2c44").container_name(
        "calico-node", 3
    )
    journal.say(now - 20, 'Conflict. The container name "/k8s_web_1" is already in use by container "%s".' % ("4" * 64))
    journal.say(now - 10, "health.go: BGP not established with 10.0.0.2", unit="docker.service", CONTAINER_NAME=name)
    return journal.folder


def make_audit(scene: Scene) -> None:
    """Do what playbooks/diagnose.yml does, up to the findings."""
    begun = run_tasks([{"kubenode.doctor.bundle": {"audits": "made", "hosts": ["localhost"]}}], {}, scene.directory)
    audits = scene.directory / "audits"
    audits.mkdir()
    Path(begun[0]["path"]).rename(scene.directory / scene.audit)
    tasks: list[dict[str, Any]] = [
        {"kubenode.doctor.cluster_snapshot": {"kubeconfig": scene.kubeconfig, "bundle": scene.audit}},
        {"kubenode.doctor.node_snapshot": {"ports": [scene.port], "bundle": scene.audit}},
        {"kubenode.doctor.judge": {"bundle": scene.audit}},
    ]
    done = run_tasks(tasks, {}, scene.directory)
    assert not done[-1].get("failed"), done[-1].get("msg", done[-1])
