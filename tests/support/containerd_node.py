# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node for tests whose container runtime is a real containerd with its CRI plugin: a private node with a containerd of its own.

Its socket, state and data lie where they lie on any node. Its one image is Debian's busybox, unless more are loaded. ``sandbox`` and
``container`` make pods as kubelet does, with its cgroups, labels, logs and links to logs, in the node's network or, for a pod that
wants one, in a network of its own.

    with ContainerdNode("node", folder) as node:
        pod = Pod("kube-system", "etcd-master", "1403dda53affdfee1130475a6d9609da")
        sandbox = node.sandbox(pod, 0)
        running = node.container(pod, "etcd", 3, sandbox)
        node.cri("ListContainers")
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import grpc

from ansible_collections.kubenode.doctor.tests.support import images, own_namespaces, pod_network
from ansible_collections.kubenode.doctor.tests.support.cri_client import CriClient, Message
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import LEAVE, STAY, Pod
from ansible_collections.kubenode.doctor.tests.support.private_node import PrivateNode
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

COMMANDS = ("busybox", "containerd", "containerd-shim-runc-v2", "ctr", "runc", *own_namespaces.COMMANDS)
CONFIGURATION = "/etc/containerd/config.toml"
SOCKET = "/run/containerd/containerd.sock"
IMAGE = images.BUSYBOX.names[0]
_PAUSE = "registry.example/pause:1"
_TASKS = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"
_START_SECONDS = 60
_CONFIG = f"""version = 2
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{_PAUSE}"
  # A machine that is a container itself may not lower it.
  restrict_oom_score_adj = true
  disable_apparmor = true
  %s
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{pod_network.PLUGINS}"
    conf_dir = "{pod_network.CONFIGURATION}"
"""
_COLLECT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.kubenode.doctor.plugins.module_utils import containers
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
print(json.dumps(containers.collect(Deadline(float(sys.argv[2])))))
"""


class ContainerdNode(PrivateNode):
    """One such node; gone at the end of the with block, with all its containers."""

    def __init__(self, name: str, folder: Path, subnet: int = 0, programs: Path | None = None) -> None:
        """``programs``: a folder with another containerd than this machine's."""
        super().__init__(name, folder, subnet)
        self._path = os.pathsep.join([*([str(programs)] if programs else []), os.environ["PATH"], "/usr/sbin", "/sbin"])
        # Of all its containers. Not in the namespaces: this machine's cgroups are theirs.
        self._cgroup = f"kd-containerd-{os.getpid()}-{name}"
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ContainerdNode:
        super().__enter__()
        try:
            pod_network.install(self)
            self.start_containerd()
            self.load(images.BUSYBOX, images.Image((_PAUSE,)))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._daemon is not None:
            self._daemon.wait(_START_SECONDS)
        for top in Path("/sys/fs/cgroup").glob(f"**/{self._cgroup}"):
            for folder, _folders, _files in os.walk(top, topdown=False):
                os.rmdir(folder)

    def start_containerd(self, cri: bool = True, setting: str = "") -> None:
        """Start containerd, and wait until it answers: its CRI plugin, or with that plugin disabled its socket.

        ``setting``: one more line for the plugin's table, such as ``stream_server_port = "10010"``.
        """
        config = _CONFIG % setting if cri else 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        self.write(CONFIGURATION, config)
        self._start(cri)

    def restart_containerd(self) -> None:
        """Stop and start it; its configuration is what it is now."""
        self.stop_containerd()
        self._start(cri=True)

    def _start(self, cri: bool) -> None:
        with self.path("/var/log/containerd.log").open("ab") as log:
            words = [*self._namespaces.enter, *self._environment(), "containerd", "--log-level", "warn"]
            self._daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers(cri):
            alive = self._daemon.poll() is None and time.monotonic() < deadline
            assert alive, self.path("/var/log/containerd.log").read_text("utf-8", "replace")[-5000:]
            time.sleep(0.1)

    def stop_containerd(self) -> None:
        """Stop containerd; its containers go on."""
        assert self._daemon is not None
        self.run("sh", "-c", "kill $(pidof containerd)")
        self._daemon.wait(_START_SECONDS)

    def suspend_containerd(self) -> None:
        """Let containerd hang: its socket accepts, and nobody answers."""
        self.run("sh", "-c", "kill -STOP $(pidof containerd)")

    def resume_containerd(self) -> None:
        """Let it go on."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGCONT)  # nsenter, which stops and goes on together with its child

    def load(self, *more: images.Image) -> None:
        """Give the runtime more images."""
        images.archive(self.path("/run/images.tar"), more)
        self.run(*self._environment(), "ctr", "-n", "k8s.io", "images", "import", "/run/images.tar")

    def cri(self, method: str, request: Message | None = None) -> Message:
        """Call the CRI plugin."""
        with CriClient(str(self.path(SOCKET))) as runtime:
            return runtime.call(method, request)

    def sandbox(self, pod: Pod, attempt: int) -> str:
        """Run the sandbox of a pod."""
        return str(self.cri("RunPodSandbox", {"config": self._pod_config(pod, attempt)})["podSandboxId"])

    def create(
        self,
        pod: Pod,
        container: str,
        attempt: int,
        sandbox: str,
        command: Sequence[str] = STAY,
        image: str = IMAGE,
        machine: bool = False,
    ) -> str:
        """Create a container; with ``machine`` it has the folders that images.fake_program needs."""
        folders = images.MACHINE if machine else ()
        self.path(f"{pod.logs}/{container}").mkdir(parents=True, exist_ok=True)
        config = {
            "metadata": {"name": container, "attempt": attempt},
            "image": {"image": image},
            "command": list(command),
            "mounts": [{"containerPath": folder, "hostPath": folder, "readonly": True} for folder in folders],
            "labels": pod.labels(container),
            # kubernetes/kubernetes pkg/kubelet/kuberuntime/labels.go newContainerAnnotations
            "annotations": {
                "io.kubernetes.container.hash": "b56fea66",
                "io.kubernetes.container.restartCount": str(attempt),
            },
            "logPath": f"{container}/{attempt}.log",
            "linux": {"securityContext": {"namespaceOptions": _namespaces(pod)}},
        }
        request = {"podSandboxId": sandbox, "config": config, "sandboxConfig": self._pod_config(pod, 0)}
        return str(self.cri("CreateContainer", request)["containerId"])

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
        """Create and start a container, and link to its log as kubelet does; with ``leave`` wait for its end."""
        chosen = command or (LEAVE if leave else STAY)
        id_ = self.create(pod, container, attempt, sandbox, chosen, image, machine)
        self.cri("StartContainer", {"containerId": id_})
        link = self.path(f"/var/log/containers/{pod.name}_{pod.namespace}_{container}-{id_}.log")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(f"{pod.logs}/{container}/{attempt}.log")
        if leave:
            self.wait_for_end(id_)
        return id_

    def wait_for_end(self, id_: str) -> None:
        """Wait until the runtime tells that a container has ended."""
        deadline = time.monotonic() + _START_SECONDS
        while self.states()[id_] != "CONTAINER_EXITED":
            assert time.monotonic() < deadline, f"{id_} runs and runs"
            time.sleep(0.1)

    def section(self, seconds: float = 30) -> dict[str, Any]:
        """The section ``containers``, collected on the node within so many seconds."""
        done = self.run(sys.executable, "-c", _COLLECT, str(PROJECT / ".collections"), str(seconds))
        assert done.stderr == "", done.stderr
        section = json.loads(done.stdout)
        assert isinstance(section, dict)
        return section

    def pid(self, id_: str) -> int:
        """The first process of a running container, as the node counts."""
        return int(self.path(f"{_TASKS}/{id_}/init.pid").read_text("ascii"))

    def image_of(self, id_: str) -> tuple[str, str]:
        """What a pod's status has of a container's image: the name that containerd makes of it, and its id."""
        status = self.cri("ContainerStatus", {"containerId": id_})["status"]
        return status["image"]["image"], status["imageRef"]

    def states(self) -> dict[str, str]:
        """``{id: state}`` of all containers and sandboxes."""
        told = [*self.cri("ListContainers")["containers"], *self.cri("ListPodSandbox")["items"]]
        return {one["id"]: one["state"] for one in told}

    def _pod_config(self, pod: Pod, attempt: int) -> Message:
        labels = pod.labels("")
        del labels["io.kubernetes.container.name"]
        return {
            "metadata": {"name": pod.name, "uid": pod.uid, "namespace": pod.namespace, "attempt": attempt},
            "logDirectory": pod.logs,
            "labels": labels,
            "linux": {
                "cgroupParent": f"/{self._cgroup}{pod.cgroup}",
                "securityContext": {"namespaceOptions": _namespaces(pod)},
                "sysctls": dict(pod.sysctls),
            },
        }

    def _environment(self) -> tuple[str, ...]:
        # /tmp is this machine's; what containerd writes there when it is asked for its stacks ends with the node.
        return "env", f"PATH={self._path}", "TMPDIR=/run"

    def _answers(self, cri: bool) -> bool:
        try:
            self.cri("Version", {"version": "v1"})
        except grpc.RpcError as error:
            return not cri and error.code() == grpc.StatusCode.UNIMPLEMENTED
        return True


def _namespaces(pod: Pod) -> Message:
    return {"network": "POD" if pod.own_network else "NODE", "pid": "CONTAINER"}
