# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node for tests whose container runtime is a real Docker Engine: a private node with a dockerd of its own.

The engine's socket is /var/run/docker.sock there and its data lies in /var/lib/docker, as on any node. Its one image is Debian's
busybox, a single static program, unless more are loaded. ``create`` makes any container; ``sandbox`` and ``container`` make them as
cri-dockerd does, in the node's network or, for a pod that wants one, in a network of its own.

    with EngineNode("node", folder) as node:
        pod = Pod("kube-system", "kube-apiserver-master", "1403dda53affdfee1130475a6d9609da")
        sandbox = node.sandbox(pod, 17)
        running = node.container(pod, "kube-apiserver", 24, sandbox)
        node.age(3600)
        status, answer = node.engine("DELETE", f"/containers/{running}")
"""

from __future__ import annotations

import datetime
import http.client
import json
import re
import socket
import subprocess
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.tests.support import docker_daemon, images, pod_network
from ansible_collections.kubenode.doctor.tests.support.docker_daemon import DockerDaemon
from ansible_collections.kubenode.doctor.tests.support.private_node import PrivateNode

COMMANDS = ("busybox", *docker_daemon.COMMANDS)
SOCKET = "/run/docker.sock"  # /var/run is a link to /run, which cannot be followed from outside
IMAGE = images.BUSYBOX.names[0]
DATA = "/var/lib/docker"
# Ends at once when it is stopped: process 1 of a container has no default handler for SIGTERM.
STAY = ("sh", "-c", "trap exit TERM; sleep infinity & wait")
# What a dead container leaves of its life.
LEAVE = ("true",)
_TIMEOUT_SECONDS = 60
# Of config.v2.json and of the JSON log: "Created":"2026-11-21T08:00:00.123456789Z"
_TIME = re.compile(r'("(?:Created|StartedAt|FinishedAt|time)":")(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z"')


class Pod(NamedTuple):
    """Whose containers they are."""

    namespace: str
    name: str
    uid: str
    own_network: bool = False  # else the node's
    qos: str = "besteffort"  # or burstable, guaranteed
    sysctls: tuple[tuple[str, str], ...] = ()

    def container_name(self, container: str, attempt: int) -> str:
        """What kubelet's shims for Docker call it (cri-dockerd core/naming.go)."""
        return f"k8s_{container}_{self.name}_{self.namespace}_{self.uid}_{attempt}"

    def labels(self, container: str) -> dict[str, str]:
        """What all containers of the pod carry (kubernetes/kubernetes pkg/kubelet/kuberuntime/labels.go)."""
        return {
            "io.kubernetes.container.name": container,
            "io.kubernetes.pod.name": self.name,
            "io.kubernetes.pod.namespace": self.namespace,
            "io.kubernetes.pod.uid": self.uid,
        }

    @property
    def logs(self) -> str:
        """The folder of its logs."""
        return f"/var/log/pods/{self.namespace}_{self.name}_{self.uid}"

    @property
    def cgroup(self) -> str:
        """Its cgroup by kubelet's driver cgroupfs (kubernetes/kubernetes pkg/kubelet/cm/pod_container_manager_linux.go)."""
        quality = "" if self.qos == "guaranteed" else f"/{self.qos}"
        return f"/kubepods{quality}/pod{self.uid}"


class EngineNode(PrivateNode):
    """One such node; gone at the end of the with block, with all its containers."""

    def __enter__(self) -> EngineNode:
        super().__enter__()
        self._daemon = DockerDaemon(self._namespaces, DATA, SOCKET)
        try:
            self._daemon.start()
            pod_network.install(self)
            self.load(images.BUSYBOX)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._daemon.remove()

    @property
    def docker_command(self) -> tuple[str, ...]:
        """The command docker as this machine runs it to ask the node's engine."""
        return self._daemon.docker

    def docker(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command docker, which asks the node's engine."""
        return self._daemon.run(*words, check=check)

    def load(self, *more: images.Image) -> None:
        """Give the engine more images."""
        path = self._daemon.folder / "images.tar"
        images.archive(path, more)
        self.docker("load", "--input", str(path))

    def engine(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send one request to the engine; return the status and the document, None when there is none."""
        connection = _Connection(str(self.path(SOCKET)))
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            connection.close()

    def create(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        command: Sequence[str] = STAY,
        host_config: Mapping[str, object] | None = None,
        image: str = IMAGE,
    ) -> str:
        """Create a container and return its id."""
        body = {
            "Image": image,
            "Cmd": list(command),
            "Labels": dict(labels or {}),
            "HostConfig": {"NetworkMode": "none", **(host_config or {})},
        }
        status, answer = self.engine("POST", f"/containers/create?name={name}", body)
        assert status == 201, answer
        return str(answer["Id"])

    def run_container(self, id_: str, leave: bool = False) -> None:
        """Start a created container; with ``leave`` wait for its end."""
        status, answer = self.engine("POST", f"/containers/{id_}/start")
        assert status == 204, answer
        if leave:
            status, answer = self.engine("POST", f"/containers/{id_}/wait")
            assert status == 200, answer

    def sandbox(self, pod: Pod, attempt: int, leave: bool = False) -> str:
        """Create and start a pod's sandbox; with ``leave`` it ends at once."""
        network = "none" if pod.own_network else "host"
        config = {"Sysctls": dict(pod.sysctls), **self._host_config(pod, network)}
        name = pod.container_name("POD", attempt)
        id_ = self.create(name, sandbox_labels(pod), LEAVE if leave else STAY, config)
        self.run_container(id_, leave)
        if pod.own_network:
            pod_network.attach(self, id_, self.pid(id_))
        return id_

    def container(
        self,
        pod: Pod,
        container: str,
        attempt: int,
        sandbox: str,
        leave: bool = False,
        command: Sequence[str] | None = None,
        image: str = IMAGE,
        machine: bool = False,
    ) -> str:
        """Create and start a container of a pod, with its log where kubelet has it; with ``leave`` wait for its end.

        ``machine``: with the folders that images.fake_program needs.
        """
        config = self._host_config(pod, f"container:{sandbox}" if pod.own_network else "host")
        if machine:
            config["Binds"] = [f"{folder}:{folder}:ro" for folder in images.MACHINE]
        name = pod.container_name(container, attempt)
        labels = container_labels(pod, container, attempt, sandbox)
        id_ = self.create(name, labels, command or (LEAVE if leave else STAY), config, image)
        self.run_container(id_, leave)
        self._link_log(pod, container, attempt, id_)
        return id_

    def _host_config(self, pod: Pod, network: str) -> dict[str, object]:
        return {"NetworkMode": network, "CgroupParent": f"{self._daemon.cgroup}{pod.cgroup}"}

    def inspect(self, id_: str) -> dict[str, Any]:
        """What the engine tells of a container."""
        status, answer = self.engine("GET", f"/containers/{id_}/json")
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    def pid(self, id_: str) -> int:
        """The first process of a running container, as the node counts."""
        return int(self.inspect(id_)["State"]["Pid"])

    def image_of(self, id_: str) -> tuple[str, str]:
        """What a pod's status has of a container's image: its name and its id, as cri-dockerd writes them (core/convert.go)."""
        told = self.inspect(id_)
        status, image = self.engine("GET", f"/images/{told['Image']}/json")
        assert status == 200, image
        return image["RepoTags"][0] if image["RepoTags"] else told["Config"]["Image"], f"docker://{told['Image']}"

    def containers(self) -> dict[str, str]:
        """``{id: state}`` of all containers."""
        status, answer = self.engine("GET", "/containers/json?all=1")
        assert status == 200, answer
        return {one["Id"]: one["State"] for one in answer}

    def age(self, seconds: int, more: Mapping[str, int] | None = None) -> None:
        """Let everything that containers have done be so much longer ago, of some by ``more`` (seconds by id).

        The engine keeps these times in files, and reads them when it starts: it begins anew, while what runs goes on.
        """
        self._daemon.stop()
        for folder in self.path(f"{DATA}/containers").iterdir():
            shift = seconds + (more or {}).get(folder.name, 0)
            for path in (folder / "config.v2.json", folder / f"{folder.name}-json.log"):
                if path.exists():
                    path.write_text(_earlier(path.read_text("utf-8"), shift), encoding="utf-8")
        self._daemon.start()

    def _link_log(self, pod: Pod, container: str, attempt: int, id_: str) -> None:
        """As the shims do (cri-dockerd core/logs.go), and kubelet for log collectors (pkg/kubelet/kuberuntime/legacy.go)."""
        log = f"{pod.logs}/{container}/{attempt}.log"
        legacy = f"/var/log/containers/{pod.name}_{pod.namespace}_{container}-{id_}.log"
        for link, target in ((log, f"{DATA}/containers/{id_}/{id_}-json.log"), (legacy, log)):
            self.path(link).parent.mkdir(parents=True, exist_ok=True)
            self.path(link).symlink_to(target)


def sandbox_labels(pod: Pod) -> dict[str, str]:
    """As cri-dockerd writes them (core/sandbox_helpers.go)."""
    return {**pod.labels("POD"), "io.kubernetes.docker.type": "podsandbox"}


def container_labels(pod: Pod, container: str, attempt: int, sandbox: str) -> dict[str, str]:
    """As cri-dockerd writes them (core/container_create.go, core/docker_service.go)."""
    return {
        **pod.labels(container),
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.container.logpath": f"{pod.logs}/{container}/{attempt}.log",
        "io.kubernetes.sandbox.id": sandbox,
        "annotation.io.kubernetes.container.hash": "b56fea66",
        "annotation.io.kubernetes.container.restartCount": str(attempt),
        "annotation.io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
        "annotation.io.kubernetes.container.terminationMessagePolicy": "File",
        "annotation.io.kubernetes.pod.terminationGracePeriod": "30",
    }


def _earlier(text: str, seconds: int) -> str:
    def shifted(found: re.Match[str]) -> str:
        before, time, fraction = found.groups()
        if time.startswith("0001-"):  # never
            return found.group()
        earlier = datetime.datetime.fromisoformat(time) - datetime.timedelta(seconds=seconds)
        return f'{before}{earlier.isoformat()}{fraction or ""}Z"'

    return _TIME.sub(shifted, text)


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT_SECONDS)
        self.sock.connect(self._path)
