# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node shows of CRI-O's containers without any tool.

CRI-O keeps its containers, like podman, in containers/storage, below a folder for the driver (overlay-containers, vfs-containers)::

    /var/lib/containers/storage/overlay-containers/containers.json             [{id, names, metadata: JSON as text, …}]
    /var/lib/containers/storage/overlay-containers/volatile-containers.json    the same; where newer CRI-O keeps all of its own
    /var/lib/containers/storage/overlay-containers/<id>/userdata/state.json    status, created, started, finished, exitCode, pid
    /var/lib/containers/storage/overlay-containers/<id>/userdata/config.json   the OCI specification; annotations io.kubernetes.cri-o.*
    /run/containers/storage/overlay-containers/<id>/userdata/                  what a restart of the machine wipes

The first of the names is k8s_<container>_<pod>_<namespace>_<uid>_<attempt>. The metadata has "pod-id", the sandbox, which podman's has not.

Read in cri-o main (internal/storage/runtime.go, internal/oci/container.go, internal/lib/container_server.go, internal/lib/sandbox/sandbox.go,
internal/factory/container) and containers/storage main (containers.go).
"""

from __future__ import annotations

import json
from typing import Any, Optional

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
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import Identity, is_id, parse_name
from ansible_collections.kubenode.doctor.plugins.module_utils.rfc3339 import nanoseconds
from ansible_collections.kubenode.doctor.plugins.module_utils.runtime_files import RuntimeFiles

RUNTIME = "cri-o"
SOCKET = "/run/crio/crio.sock"  # cri-o pkg/config/config.go
_ROOT = "/var/lib/containers/storage"  # containers-storage.conf(5): graphroot, runroot
_RUN = "/run/containers/storage"
_CONFIGS = ("/etc/containers/storage.conf", "/etc/crio/crio.conf")
_DROP_INS = "/etc/crio/crio.conf.d"
_LISTS = ("containers.json", "volatile-containers.json")
_LARGEST_LIST = 16 << 20  # an entry has 2 KB
_DRIVER_FOLDER = "-containers"
_STATES = {"created": "created", "running": "running", "paused": "paused", "stopped": "exited"}
_SPOOFED = "io.kubernetes.cri-o.Spoofed"
_CREATED = "io.kubernetes.cri-o.Created"
_STOPPED_MARK = "stopped"


class CriO:
    """This node's CRI-O; ``root`` is the folder that stands for the node's /."""

    name = RUNTIME
    socket = SOCKET

    def __init__(self, root: str) -> None:
        self._root = root
        self._storage: Optional[_Storage] = None

    def read(self, processes: ContainerProcesses, deadline: Deadline) -> Told:
        """List what the files tell, as far as ``deadline`` allows."""
        files = RuntimeFiles(self._root)
        storage = _Storage(files)
        found, strangers, missing = [], [], []
        for id_, entry in sorted(storage.entries.items()):
            if deadline.passed():
                missing.append({"what": "containers", "why": BUDGET})
                break
            name = _name(entry)
            identity = parse_name(name)
            one = _instance(id_, name, identity, entry["metadata"], storage, processes)
            if identity is None:
                why = "CRI-O has made it, but its name is none that CRI-O gives"
                strangers.append(stranger(RUNTIME, id_, one["state"], why, plain(name), one["sandbox_id"]))
            else:
                found.append((identity, one))
        return Told(found, strangers, 0, missing + files.missing("files of CRI-O"))

    def times(self, id_: str) -> Optional[Times]:
        """When a container started and finished, None when its state cannot be read."""
        if self._storage is None:
            self._storage = _Storage(RuntimeFiles(self._root))
        state = self._storage.state(id_)
        return _times(state) if state else None


def here(root: str = "/") -> Optional[CriO]:
    """CRI-O, if it is, or was, at work on this node; containers/storage alone may be podman's."""
    files = RuntimeFiles(root)
    return CriO(root) if files.is_there(SOCKET) or _Storage(files).entries else None


class _Storage:
    """CRI-O's part of containers/storage: ``entries`` of its lists by id, with ``metadata`` understood."""

    def __init__(self, files: RuntimeFiles) -> None:
        self._files = files
        self.entries: dict[str, dict[str, Any]] = {}
        self._folders: dict[str, tuple[str, str]] = {}  # below root, and below run
        root, run = _configured(files)
        for driver in (name for name in files.names(root) if name.endswith(_DRIVER_FOLDER)):
            self._add_lists(f"{root}/{driver}", f"{run}/{driver}")

    def state(self, id_: str) -> dict[str, Any]:
        """What CRI-O has written of a container that it has made; empty where it has not, or where that is not understood."""
        told = self._files.json(f"{self._folders[id_][0]}/state.json") if id_ in self._folders else None
        return told if isinstance(told, dict) else {}

    def sandbox_without_process(self, id_: str) -> Optional[tuple[str, Optional[int]]]:
        """State and creation of a sandbox that CRI-O made without a container (drop_infra_ctr); None for any other.

        It is ready until CRI-O marks it as stopped, in its volatile folder (NewSpoofedContainer, Sandbox.Ready).
        """
        root, run = self._folders[id_]
        document = self._files.json(f"{root}/config.json")
        annotations = document.get("annotations") if isinstance(document, dict) else None
        if not isinstance(annotations, dict) or annotations.get(_SPOOFED) != "true":
            return None
        gone = not self._files.is_there(run)  # since the machine was started anew
        stopped = gone or any(self._files.is_there(f"{folder}/{_STOPPED_MARK}") for folder in (root, run))
        return "exited" if stopped else "running", nanoseconds(annotations.get(_CREATED))

    def _add_lists(self, root: str, run: str) -> None:
        for path in (f"{folder}/{name}" for folder in (root, run) for name in _LISTS):
            for entry in self._understood(path):
                id_ = entry["id"]
                self.entries.setdefault(id_, entry)
                self._folders.setdefault(id_, (f"{root}/{id_}/userdata", f"{run}/{id_}/userdata"))

    def _understood(self, path: str) -> list[dict[str, Any]]:
        """The entries of a list that are CRI-O's."""
        listed = self._files.json(path, _LARGEST_LIST)
        if listed is not None and not isinstance(listed, list):
            self._files.note(path, "no list of containers")
            return []
        entries = [entry for entry in listed or [] if isinstance(entry, dict) and is_id(entry.get("id"))]
        understood = ({**entry, "metadata": _metadata(entry.get("metadata"))} for entry in entries)
        return [entry for entry in understood if is_id(entry["metadata"].get("pod-id"))]


def _instance(
    id_: str,
    name: str,
    identity: Optional[Identity],
    metadata: dict[str, Any],
    storage: _Storage,
    processes: ContainerProcesses,
) -> dict[str, Any]:
    is_sandbox = metadata["pod-id"] == id_
    state = storage.state(id_)
    spoofed = storage.sandbox_without_process(id_) if is_sandbox and not state else None
    return instance(
        id_,
        spoofed[0] if spoofed else _state(id_, state, processes),
        name=name if identity else None,
        attempt=identity.attempt if identity else None,
        suffix=identity.suffix if identity else None,
        created_ns=spoofed[1] if spoofed else nanoseconds(state.get("created")),
        **_times(state)._asdict(),
        sandbox_id=None if is_sandbox else metadata["pod-id"],
        image=plain(metadata["image-name"]) if isinstance(metadata.get("image-name"), str) else None,
    )


def _times(state: dict[str, Any]) -> Times:
    return Times(
        nanoseconds(state.get("started")),
        nanoseconds(state.get("finished")),
        exit_code(state.get("exitCode")) if state.get("status") == "stopped" else None,
    )


def _state(id_: str, state: dict[str, Any], processes: ContainerProcesses) -> str:
    """Whether what should run does run. That its process is gone may not have come to CRI-O's notice yet."""
    told = _STATES.get(str(state.get("status")), "unknown")
    if told not in ("running", "paused"):
        return told
    runs = processes.runs(state.get("pid"), id_)
    if runs is None:
        return "unknown"
    return told if runs else "exited"


def _name(entry: dict[str, Any]) -> str:
    names = entry.get("names")
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""


def _metadata(text: Any) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def _configured(files: RuntimeFiles) -> tuple[str, str]:
    """Root and run root: crio.conf(5) and its drop-ins come after containers-storage.conf(5)."""
    root, run = _ROOT, _RUN
    for path in (*_CONFIGS, *(f"{_DROP_INS}/{name}" for name in files.names(_DROP_INS))):
        values = toml_lines.read(files.text(path) or "")
        root = _path(values, ("storage", "graphroot"), _path(values, ("crio", "root"), root))
        run = _path(values, ("storage", "runroot"), _path(values, ("crio", "runroot"), run))
    return root, run


def _path(values: dict[toml_lines.Path, toml_lines.Value], key: tuple[str, ...], default: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) and value.startswith("/") else default
