# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a CRI runtime through crictl, where that is installed.

    crictl --runtime-endpoint unix:///run/containerd/containerd.sock version     RuntimeName:  containerd
    … ps -a -o json     {"containers": [{"id", "podSandboxId", "metadata": {"name", "attempt"}, "image", "state", "createdAt", "labels", …}]}
    … pods -o json      {"items": [{"id", "metadata": {"name", "uid", "namespace", "attempt"}, "state", "createdAt", "labels", …}]}

It prints CRI's messages as protobuf's JSON (kubernetes-sigs/cri-tools cmd/crictl/util.go protobufObjectToJSON): 64-bit numbers as text, an
enum by its name. CRI tells no names, no exit codes and no times but that of the creation in its lists.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.container_groups import Told, instance, stranger
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import (
    LABEL_CONTAINER,
    LABEL_NAMESPACE,
    LABEL_POD,
    LABEL_POD_UID,
    SANDBOX,
    Identity,
    is_id,
    parse_containerd_name,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import BUDGET
from ansible_collections.kubenode.doctor.plugins.module_utils.program_lines import Program
from ansible_collections.kubenode.doctor.plugins.module_utils.trusted_programs import is_trusted

# Beside the PATH: where distributions have it whose PATH of root does not (flatcar, k3s, rke2).
FOLDERS = (
    "/usr/local/bin",
    "/usr/bin",
    "/opt/bin",
    "/var/lib/rancher/k3s/data/current/bin",
    "/var/lib/rancher/rke2/bin",
)
_NAME = "crictl"
_SECONDS = 5.0  # for one call; kubelet's own limit for CRI's lists is 2 minutes (--runtime-request-timeout)
_LARGEST_ANSWER = 16 << 20  # a container has 2 KB, and its pod's annotations
# A line is one value; all annotations of an object have 256 KiB (apimachinery/pkg/api/validation TotalAnnotationSizeLimitB).
_LONGEST_LINE = 1 << 20
_INT64 = 1 << 63
_UINT32 = 1 << 32

_STATES = {
    "CONTAINER_CREATED": "created",
    "CONTAINER_RUNNING": "running",
    "CONTAINER_EXITED": "exited",
    "SANDBOX_READY": "running",
    "SANDBOX_NOTREADY": "exited",
}
_RUNTIMES = frozenset({"docker", "containerd", "cri-o"})
# time="2026-11-21T08:00:00Z" level=fatal msg="validate service connection: CRI v1 runtime API is not implemented for endpoint …"
_LOGGED = re.compile(r'level=(?:fatal|error) msg="((?:[^"\\]|\\.)*)"')
_NUMBER = re.compile(r"[0-9]{1,19}")


class CrictlError(Exception):
    """crictl did not tell; the text says why."""


class NoCriError(CrictlError):
    """What listens there speaks no CRI, or not the version of it that this crictl speaks."""


class Version(NamedTuple):
    """Which runtime answers: docker, containerd or cri-o, None for one that is not known, and its version."""

    runtime: Optional[str]
    version: Optional[str]


def find(folders: Iterable[str] = FOLDERS, path: Optional[str] = None) -> Optional[str]:
    """The crictl to run: the first on the PATH or in a usual folder that nobody but its owner, root or we, may change."""
    there = (path if path is not None else os.environ.get("PATH", "")).split(os.pathsep)
    for folder in (*there, *folders):
        candidate = os.path.join(folder, _NAME)
        if folder.startswith("/") and is_trusted(candidate):
            return candidate
    return None


def version(program: str, socket: str, deadline: Deadline) -> Version:
    """Who answers at a socket. Raises CrictlError."""
    text = _ask(program, socket, ("version",), deadline).decode("utf-8", "replace")
    told = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    name = told.get("RuntimeName", "").strip()
    number = told.get("RuntimeVersion", "").strip()
    return Version(name if name in _RUNTIMES else None, plain(number, 80) if number else None)


def read(program: str, socket: str, runtime: str, deadline: Deadline) -> Told:
    """All containers and sandboxes of the runtime at a socket. Raises CrictlError."""
    # Containers first: then the sandbox of each is there to be listed, unless both are removed meanwhile.
    containers = _list(program, socket, ("ps", "-a", "-o", "json"), "containers", deadline)
    pods = _list(program, socket, ("pods", "-o", "json"), "items", deadline)
    return understood(runtime, containers, pods)


def understood(runtime: str, containers: Iterable[dict[str, Any]], pods: Iterable[dict[str, Any]]) -> Told:
    """What the two lists say; entries without an id that is one are counted as not understood."""
    sorting = _Sorting(runtime)
    for pod in pods:
        sorting.add_pod(pod)
    for container in containers:
        sorting.add_container(container)
    why = f"{sorting.odd} entries of the lists are no containers of CRI"
    missing = [{"what": "containers", "why": why}] if sorting.odd else []
    return Told(sorting.found, sorting.strangers, 0, missing)


class _Sorting:
    """Whose containers they are: by the sandbox they are in, which is what runtimes make their names of."""

    def __init__(self, runtime: str) -> None:
        self._runtime = runtime
        self._pods: dict[str, Optional[Identity]] = {}
        self.found: list[tuple[Identity, dict[str, Any]]] = []
        self.strangers: list[dict[str, Any]] = []
        self.odd = 0

    def add_pod(self, pod: dict[str, Any]) -> None:
        id_, metadata = pod.get("id"), _dict(pod.get("metadata"))
        if not isinstance(id_, str) or not is_id(id_):
            self.odd += 1
            return
        identity = _identity(SANDBOX, metadata, metadata.get("attempt"))
        self._pods[id_] = identity
        self._add(id_, identity, pod, None, _why_unclear(identity, _dict(pod.get("labels"))))

    def add_container(self, container: dict[str, Any]) -> None:
        id_, sandbox_id = container.get("id"), container.get("podSandboxId")
        if not isinstance(id_, str) or not is_id(id_):
            self.odd += 1
            return
        known = sandbox_id if isinstance(sandbox_id, str) and is_id(sandbox_id) else None
        pod = self._pods.get(known or "")
        identity = None
        if pod is not None:
            metadata = _dict(container.get("metadata"))
            owner = {"name": pod.pod, "namespace": pod.namespace, "uid": pod.pod_uid}
            identity = _identity(metadata.get("name"), owner, metadata.get("attempt"))
        why = _why_unclear(identity, _dict(container.get("labels")))
        self._add(id_, identity, container, known, why if known in self._pods else "its sandbox is not in the list")

    def _add(
        self, id_: str, identity: Optional[Identity], told: dict[str, Any], sandbox_id: Optional[str], why: str
    ) -> None:
        state = _STATES.get(str(told.get("state")), "unknown")
        if why or identity is None:
            self.strangers.append(stranger(self._runtime, id_, state, why, sandbox_id=sandbox_id))
            return
        image = _dict(told.get("image")).get("image")
        one = instance(
            id_,
            state,
            attempt=identity.attempt,
            created_ns=_nanoseconds(told.get("createdAt")),
            sandbox_id=sandbox_id,
            image=plain(image) if isinstance(image, str) and image else None,
        )
        self.found.append((identity, one))


def _why_unclear(identity: Optional[Identity], labels: dict[str, Any]) -> str:
    """Why it is not clear whose it is; empty when it is.

    kubelet finds the containers of a pod by the label of its uid (kuberuntime getPodContainerStatuses), the runtime names
    them by their sandbox's metadata: kubelet makes both of the same pod.
    """
    if identity is None:
        return "its metadata is none that kubelet makes"
    if LABEL_POD_UID not in labels:
        return "it lacks kubelet's labels, so that kubelet does not know it"
    parts = (
        (LABEL_POD_UID, identity.pod_uid),
        (LABEL_POD, identity.pod),
        (LABEL_NAMESPACE, identity.namespace),
        (LABEL_CONTAINER, identity.container),
    )
    odd = [label for label, part in parts if label in labels and labels[label] != part]
    return f"its metadata contradicts its label {odd[0]}" if odd else ""


def _identity(container: Any, pod: dict[str, Any], attempt: Any) -> Optional[Identity]:
    """The parts as an Identity, None when one of them is none of Kubernetes."""
    parts = (container, pod.get("name"), pod.get("namespace"), pod.get("uid"))
    number = 0 if attempt is None else attempt  # a default may be left out
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < _UINT32:
        return None
    if not all(isinstance(part, str) for part in parts):
        return None
    return parse_containerd_name("_".join((*(str(part) for part in parts), str(number))))


def _nanoseconds(value: Any) -> Optional[int]:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < _INT64 else None


def _list(program: str, socket: str, words: tuple[str, ...], key: str, deadline: Deadline) -> list[dict[str, Any]]:
    answer = _ask(program, socket, words, deadline)
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise CrictlError(f"{_shown(words)} printed no JSON: {plain(str(error))}") from error
    entries = document.get(key) if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CrictlError(f"{_shown(words)} printed JSON without a list of {key}")
    return entries


def _ask(program: str, socket: str, words: tuple[str, ...], deadline: Deadline) -> bytes:
    """What crictl prints. It gives up by itself a little earlier than it is killed, to say why."""
    if deadline.passed():
        raise CrictlError(f"{_shown(words)}: the time budget ended before it: raise budget_seconds")
    seconds = min(_SECONDS, deadline.left())
    endpoint = f"unix://{socket}"
    flags = ("--runtime-endpoint", endpoint, "--image-endpoint", endpoint, "--timeout", f"{seconds * 0.8:.3f}s")
    command = (program, *flags, *words)
    try:
        with Program(command, Deadline(seconds), _LARGEST_ANSWER, _LONGEST_LINE) as run:
            output = b"\n".join(run.lines())
    except OSError as error:
        raise CrictlError(f"{program} could not be started: {error.strerror or error}") from error
    if run.stopped is not None:
        limit = f"{shown(seconds)} s" if run.stopped == BUDGET else f"{_LARGEST_ANSWER >> 20} MiB"
        raise CrictlError(f"{_shown(words)} did not come to an end within {limit}")
    if run.long_lines:
        raise CrictlError(f"{_shown(words)} printed a line of more than {_LONGEST_LINE >> 20} MiB")
    if run.status == 0:
        return output
    said = _said(run.errors())
    if "is not implemented for endpoint" in said or "unknown service runtime." in said:
        raise NoCriError(f"{_shown(words)}: {said}")
    raise CrictlError(f"{_shown(words)} failed with status {run.status}: {said}")


def _said(errors: Sequence[str]) -> str:
    """The last error among what crictl printed, or its last line."""
    logged = [found[1].replace('\\"', '"') for found in map(_LOGGED.search, errors) if found]
    return plain([*errors[-1:], *logged][-1]) if errors else "it said nothing"


def _shown(words: tuple[str, ...]) -> str:
    return f"{_NAME} {' '.join(words)}"


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
