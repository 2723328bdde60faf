# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node shows of containerd's containers without any tool.

Below containerd's state, which a restart of the machine wipes, each container and sandbox that runs has a bundle::

    io.containerd.runtime.v2.task/k8s.io/<id>/config.json    the OCI specification; annotations io.kubernetes.cri.*
    io.containerd.runtime.v2.task/k8s.io/<id>/init.pid       its process

Below containerd's root, the CRI plugin has a folder for each that exists::

    io.containerd.grpc.v1.cri/containers/<id>/status         JSON: Pid, CreatedAt, StartedAt, FinishedAt (nanoseconds), ExitCode
    io.containerd.grpc.v1.cri/sandboxes/<id>/

Their names and attempts are in containerd's database, which is not for others to read. Bundles tell the names of what runs, and
kubelet's links to logs those of what ever ran, with the attempt (see log_links.py); sandboxes have no log.

Read in containerd 1.6.20 and 1.7.24 (pkg/cri/store/container/status.go, pkg/cri/annotations, pkg/cri/server/events.go) and 2.1.9
(internal/cri, plugins/cri/runtime/plugin.go, which keeps the old folders), and seen with all three.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import toml_lines
from ansible_collections.kubenode.doctor.plugins.module_utils.container_groups import (
    BUDGET,
    Times,
    Told,
    exit_code,
    instance,
    stranger,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.container_processes import ContainerProcesses
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import (
    SANDBOX,
    Identity,
    is_id,
    parse_containerd_name,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.log_links import LogLinks
from ansible_collections.kubenode.doctor.plugins.module_utils.runtime_files import RuntimeFiles

RUNTIME = "containerd"
_TASKS = "io.containerd.runtime.v2.task/k8s.io"
_CONTAINERS = "io.containerd.grpc.v1.cri/containers"
_SANDBOXES = "io.containerd.grpc.v1.cri/sandboxes"
_STATUS_VERSION = "v1"
_INT64 = 1 << 63
_CURE = "crictl tells them, where it is installed and containerd answers"
_ANNOTATION = "io.kubernetes.cri."
_PID = re.compile(r"[0-9]{1,10}")


class Place(NamedTuple):
    """Where a containerd has its socket, its state and its root, and the file that may say otherwise."""

    socket: str
    state: str
    root: str
    config: str


# Upstream, k3s (pkg/daemons/agent, containerd's address and state are fixed there), rke2, MicroK8s, k0s.
_PLACES = (
    Place("/run/containerd/containerd.sock", "/run/containerd", "/var/lib/containerd", "/etc/containerd/config.toml"),
    Place(
        "/run/k3s/containerd/containerd.sock",
        "/run/k3s/containerd",
        "/var/lib/rancher/k3s/agent/containerd",
        "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    ),
    Place(
        "/run/k3s/containerd/containerd.sock",
        "/run/k3s/containerd",
        "/var/lib/rancher/rke2/agent/containerd",
        "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
    ),
    Place(
        "/var/snap/microk8s/common/run/containerd.sock",
        "/var/snap/microk8s/common/run/containerd",
        "/var/snap/microk8s/common/var/lib/containerd",
        "/var/snap/microk8s/current/args/containerd.toml",
    ),
    Place("/run/k0s/containerd.sock", "/run/k0s/containerd", "/var/lib/k0s/containerd", "/etc/k0s/containerd.toml"),
)


class Status(NamedTuple):
    """What the CRI plugin has written of a container, times in nanoseconds since 1970; None is what has not happened yet."""

    pid: Any
    created_ns: Optional[int]
    times: Times


class Containerd:
    """One containerd of this node; ``root`` is the folder that stands for the node's /."""

    name = RUNTIME

    def __init__(self, place: Place, root: str) -> None:
        self.socket = place.socket
        self._place = place
        self._root = root

    def read(self, processes: ContainerProcesses, deadline: Deadline) -> Told:
        """List what the files tell, as far as ``deadline`` allows."""
        reading = _Reading(self._place, RuntimeFiles(self._root), processes)
        missing = []
        for id_ in reading.ids():
            if deadline.passed():
                missing.append({"what": "containers", "why": BUDGET})
                break
            reading.add(id_)
        return Told(reading.found, reading.strangers, reading.others, missing + reading.missing())

    def times(self, id_: str) -> Optional[Times]:
        """When a container started and finished, None when its status cannot be read."""
        status = read_status(self._place, id_, RuntimeFiles(self._root))
        return status.times if status else None


def here(root: str = "/") -> list[Containerd]:
    """The containerds that have something on this node: a root, or a socket, whose root may then be elsewhere."""
    files = RuntimeFiles(root)
    configured = [_configured(usual, files) for usual in _PLACES]
    found = [place for place in configured if files.is_there(place.root)]
    known = {place.socket for place in found}  # k3s and rke2 have the same
    for place in configured:
        if place.socket not in known and files.is_there(place.socket):
            known.add(place.socket)
            found.append(place)
    return [Containerd(place, root) for place in found]


def read_status(place: Place, id_: str, files: RuntimeFiles) -> Optional[Status]:
    """The status of a container, None when there is none or it is not understood."""
    path = f"{place.root}/{_CONTAINERS}/{id_}/status"
    told = files.json(path)
    if told is None:
        return None
    if not isinstance(told, dict) or told.get("Version") != _STATUS_VERSION:
        files.note(path, "a status of an unknown version")
        return None
    finished = _time(told.get("FinishedAt"))
    return Status(
        told.get("Pid"),
        _time(told.get("CreatedAt")),
        Times(
            _time(told.get("StartedAt")),
            finished,
            exit_code(told.get("ExitCode")) if finished is not None else None,
        ),
    )


class _Reading:
    """One look at one containerd."""

    def __init__(self, place: Place, files: RuntimeFiles, processes: ContainerProcesses) -> None:
        self._place = place
        self._files = files
        self._processes = processes
        self._logs = LogLinks(files)
        bundles = files.names(f"{place.state}/{_TASKS}")
        self._running = frozenset(name for name in bundles if is_id(name))
        self._containers = _ids(files, f"{place.root}/{_CONTAINERS}")
        self._sandboxes = _ids(files, f"{place.root}/{_SANDBOXES}")
        self.found: list[tuple[Identity, dict[str, Any]]] = []
        self.strangers: list[dict[str, Any]] = []
        self.others = len(bundles) - len(self._running)  # ctr gives any names

    def ids(self) -> list[str]:
        """Of all that is there, what runs first, since most is known of that."""
        return [*sorted(self._running), *sorted((self._containers | self._sandboxes) - self._running)]

    def add(self, id_: str) -> None:
        """Find out about one container or sandbox."""
        annotations = self._annotations(id_)
        kind = annotations.get("container-type")
        if id_ not in self._containers | self._sandboxes and kind not in ("container", "sandbox"):
            self.others += 1  # made by something else than the CRI plugin: ctr, nerdctl
            return
        is_sandbox = id_ in self._sandboxes or kind == "sandbox"
        status = None if is_sandbox else read_status(self._place, id_, self._files)
        state = self._state(id_, is_sandbox, status)
        identity = self._identity(id_, is_sandbox, annotations)
        sandbox_id = annotations.get("sandbox-id")
        if identity is None:
            what = "sandbox" if is_sandbox else "container"
            why = f"no bundle and no link to a log says whose {what} it is"
            self.strangers.append(stranger(RUNTIME, id_, state, why))
            return
        one = instance(
            id_,
            state,
            attempt=identity.attempt,
            created_ns=status.created_ns if status else None,
            **(status.times._asdict() if status else {}),
            sandbox_id=sandbox_id if is_id(sandbox_id) and not is_sandbox else None,
            image=plain(annotations["image-name"]) if annotations.get("image-name") else None,
        )
        self.found.append((identity, one))

    def missing(self) -> list[dict[str, str]]:
        """What these files do not hold."""
        gaps = self._files.missing("files of containerd")
        if self.strangers:
            why = "of some containers and sandboxes that do not run or never ran, only containerd's database has them"
            gaps.append({"what": "names", "why": f"{why}: {_CURE}"})
        if any(identity.attempt is None for identity, _one in self.found):
            why = "of sandboxes, and of some containers, only containerd's database has them"
            gaps.append({"what": "attempts", "why": f"{why}: {_CURE}"})
        return gaps

    def _annotations(self, id_: str) -> dict[str, str]:
        """Those of the CRI plugin, by the end of their names; nothing else of the specification is kept."""
        if id_ not in self._running:
            return {}
        path = f"{self._place.state}/{_TASKS}/{id_}/config.json"
        document = self._files.json(path)
        annotations = document.get("annotations") if isinstance(document, dict) else None
        if document is not None and not isinstance(document, dict):
            self._files.note(path, "no OCI specification")
        items = annotations.items() if isinstance(annotations, dict) else ()
        return {key[len(_ANNOTATION) :]: text for key, text in items if _is_of_cri(key, text)}

    def _identity(self, id_: str, is_sandbox: bool, annotations: dict[str, str]) -> Optional[Identity]:
        """Whose it is by its bundle, and which attempt by its log; by its log alone when it has no bundle."""
        linked = None if is_sandbox else self._logs.identity(id_)
        container = SANDBOX if is_sandbox else annotations.get("container-name", "")
        owner = (annotations.get(f"sandbox-{part}", "") for part in ("name", "namespace", "uid"))
        identity = parse_containerd_name("_".join((container, *owner, "0")))
        if identity is None:
            return linked
        identity = identity._replace(attempt=None)
        return linked if linked is not None and linked._replace(attempt=None) == identity else identity

    def _state(self, id_: str, is_sandbox: bool, status: Optional[Status]) -> str:
        if status is not None and status.times.started_ns is None and status.times.finished_ns is None:
            return "created"
        if id_ in self._running:
            return self._lives(id_, status)
        if is_sandbox:
            return "exited"
        if status is None:
            return "unknown"
        return "exited" if status.times.finished_ns is not None else self._lives(id_, status)

    def _lives(self, id_: str, status: Optional[Status]) -> str:
        """Whether what should run does run. That its process is gone may not have come to containerd's notice yet."""
        pid = self._pid(id_) if id_ in self._running else None
        runs = self._processes.runs(status.pid if pid is None and status else pid, id_)
        if runs is None:
            return "unknown"
        return "running" if runs else "exited"

    def _pid(self, id_: str) -> Optional[int]:
        text = (self._files.text(f"{self._place.state}/{_TASKS}/{id_}/init.pid") or "").strip()
        return int(text) if _PID.fullmatch(text) else None


def _configured(usual: Place, files: RuntimeFiles) -> Place:
    """``usual`` as containerd's configuration changes it (containerd-config.toml(5))."""
    values = toml_lines.read(files.text(usual.config) or "")

    def chosen(default: str, *key: str) -> str:
        value = values.get(key)
        return value if isinstance(value, str) and value.startswith("/") else default

    return usual._replace(
        socket=chosen(usual.socket, "grpc", "address"),
        state=chosen(usual.state, "state"),
        root=chosen(usual.root, "root"),
    )


def _ids(files: RuntimeFiles, folder: str) -> frozenset[str]:
    return frozenset(name for name in files.names(folder) if is_id(name))


def _is_of_cri(key: Any, text: Any) -> bool:
    return isinstance(key, str) and key.startswith(_ANNOTATION) and isinstance(text, str)


def _time(value: Any) -> Optional[int]:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _INT64 else None
