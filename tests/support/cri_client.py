# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaks CRI with a container runtime, as kubelet does: as much of it as tests need.

Messages are dictionaries with the names, and in the form, that protobuf's JSON has and crictl prints: 64-bit numbers as text, an enum
by its name, and what is not set as its default. Numbers of fields: kubernetes/cri-api pkg/apis/runtime/v1/api.proto.

    with CriClient("/run/containerd/containerd.sock") as runtime:
        sandbox = runtime.call("RunPodSandbox", {"config": {"metadata": {"name": "web-0", …}}})["podSandboxId"]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, cast

import grpc

_SERVICE = "runtime.v1.RuntimeService"
_SECONDS = 60.0
_LARGEST_ANSWER = 16 << 20
_STRINGS = "map<string, string>"

_ENUMS = {
    "ContainerState": ("CONTAINER_CREATED", "CONTAINER_RUNNING", "CONTAINER_EXITED", "CONTAINER_UNKNOWN"),
    "PodSandboxState": ("SANDBOX_READY", "SANDBOX_NOTREADY"),
    "NamespaceMode": ("POD", "CONTAINER", "NODE", "TARGET"),
}
# Message to field to (number, type); a type with "*" at its end is repeated.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "VersionRequest": {"version": (1, "string")},
    "VersionResponse": {
        "version": (1, "string"),
        "runtimeName": (2, "string"),
        "runtimeVersion": (3, "string"),
        "runtimeApiVersion": (4, "string"),
    },
    "RunPodSandboxRequest": {"config": (1, "PodSandboxConfig")},
    "RunPodSandboxResponse": {"podSandboxId": (1, "string")},
    "StopPodSandboxRequest": {"podSandboxId": (1, "string")},
    "RemovePodSandboxRequest": {"podSandboxId": (1, "string")},
    "PodSandboxConfig": {
        "metadata": (1, "PodSandboxMetadata"),
        "logDirectory": (3, "string"),
        "labels": (6, _STRINGS),
        "annotations": (7, _STRINGS),
        "linux": (8, "LinuxPodSandboxConfig"),
    },
    "PodSandboxMetadata": {
        "name": (1, "string"),
        "uid": (2, "string"),
        "namespace": (3, "string"),
        "attempt": (4, "uint32"),
    },
    "LinuxPodSandboxConfig": {
        "cgroupParent": (1, "string"),
        "securityContext": (2, "LinuxSandboxSecurityContext"),
        "sysctls": (3, _STRINGS),
    },
    "LinuxSandboxSecurityContext": {"namespaceOptions": (1, "NamespaceOption")},
    "NamespaceOption": {
        "network": (1, "NamespaceMode"),
        "pid": (2, "NamespaceMode"),
        "ipc": (3, "NamespaceMode"),
    },
    "CreateContainerRequest": {
        "podSandboxId": (1, "string"),
        "config": (2, "ContainerConfig"),
        "sandboxConfig": (3, "PodSandboxConfig"),
    },
    "CreateContainerResponse": {"containerId": (1, "string")},
    "StartContainerRequest": {"containerId": (1, "string")},
    "StopContainerRequest": {"containerId": (1, "string"), "timeout": (2, "int64")},
    "RemoveContainerRequest": {"containerId": (1, "string")},
    "ContainerConfig": {
        "metadata": (1, "ContainerMetadata"),
        "image": (2, "ImageSpec"),
        "command": (3, "string*"),
        "mounts": (7, "Mount*"),
        "labels": (9, _STRINGS),
        "annotations": (10, _STRINGS),
        "logPath": (11, "string"),
        "linux": (15, "LinuxContainerConfig"),
    },
    "ContainerMetadata": {"name": (1, "string"), "attempt": (2, "uint32")},
    "Mount": {"containerPath": (1, "string"), "hostPath": (2, "string"), "readonly": (3, "bool")},
    "ImageSpec": {"image": (1, "string"), "annotations": (2, _STRINGS)},
    "LinuxContainerConfig": {"securityContext": (2, "LinuxContainerSecurityContext")},
    "LinuxContainerSecurityContext": {"namespaceOptions": (3, "NamespaceOption")},
    "ExecRequest": {
        "containerId": (1, "string"),
        "cmd": (2, "string*"),
        "stdout": (5, "bool"),
    },
    "ExecResponse": {"url": (1, "string")},
    "ListContainersRequest": {},
    "ListContainersResponse": {"containers": (1, "Container*")},
    "Container": {
        "id": (1, "string"),
        "podSandboxId": (2, "string"),
        "metadata": (3, "ContainerMetadata"),
        "image": (4, "ImageSpec"),
        "imageRef": (5, "string"),
        "state": (6, "ContainerState"),
        "createdAt": (7, "int64"),
        "labels": (8, _STRINGS),
        "annotations": (9, _STRINGS),
    },
    "ContainerStatusRequest": {"containerId": (1, "string")},
    "ContainerStatusResponse": {"status": (1, "ContainerStatus")},
    "ContainerStatus": {"id": (1, "string"), "image": (8, "ImageSpec"), "imageRef": (9, "string")},
    "ListPodSandboxRequest": {},
    "ListPodSandboxResponse": {"items": (1, "PodSandbox*")},
    "PodSandbox": {
        "id": (1, "string"),
        "metadata": (2, "PodSandboxMetadata"),
        "state": (3, "PodSandboxState"),
        "createdAt": (4, "int64"),
        "labels": (5, _STRINGS),
        "annotations": (6, _STRINGS),
        "runtimeHandler": (7, "string"),
    },
}
# Their answers are empty.
_QUIET = ("StartContainer", "StopContainer", "RemoveContainer", "StopPodSandbox", "RemovePodSandbox")

Message = dict[str, Any]
_Wire = int | bytes


class CriClient:
    """A connection to one runtime."""

    def __init__(self, socket: str) -> None:
        self._channel = grpc.insecure_channel(
            f"unix:{socket}",
            options=[
                ("grpc.max_receive_message_length", _LARGEST_ANSWER),
                # Only the socket counts here, whatever proxy the environment names, and whoever the path seems to be.
                ("grpc.enable_http_proxy", 0),
                ("grpc.default_authority", "localhost"),
            ],
        )

    def __enter__(self) -> CriClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def call(self, method: str, request: Message | None = None) -> Message:
        """Call a method of the RuntimeService. Raises grpc.RpcError, whose ``details()`` are the runtime's words."""
        send: Any = self._channel.unary_unary(f"/{_SERVICE}/{method}", None, None)
        answer = send(encoded(f"{method}Request", request or {}), timeout=_SECONDS)
        return {} if method in _QUIET else decoded(f"{method}Response", cast(bytes, answer))


def encoded(kind: str, message: Mapping[str, Any]) -> bytes:
    """A message as protobuf writes it."""
    parts = []
    for name, value in message.items():
        number, of = _MESSAGES[kind][name]
        for one in value if of.endswith("*") else value.items() if of == _STRINGS else [value]:
            data = _encoded_value(of.rstrip("*"), one)
            wire = 0 if isinstance(data, int) else 2
            parts.append(_varint(number << 3 | wire))
            parts.append(_varint(data) if isinstance(data, int) else _varint(len(data)) + data)
    return b"".join(parts)


def decoded(kind: str, data: bytes) -> Message:
    """What protobuf has written; fields that are not in the table are passed over."""
    fields = _MESSAGES[kind]
    names = {number: name for name, (number, _of) in fields.items()}
    message = {name: _default(of) for name, (_number, of) in fields.items()}
    for number, wire in _fields(data):
        if number not in names:
            continue
        name = names[number]
        of = fields[name][1]
        value = _decoded_value(of.rstrip("*"), wire)
        if of.endswith("*"):
            message[name].append(value)
        elif of == _STRINGS:
            message[name].update([value])
        else:
            message[name] = value
    return message


def _encoded_value(of: str, value: Any) -> _Wire:
    if of in _ENUMS:
        return _ENUMS[of].index(value)
    if of in ("uint32", "int64", "bool"):
        return int(value)
    if of == "string":
        return str(value).encode()
    if of == _STRINGS:
        return b"".join(
            _varint(number << 3 | 2) + _varint(len(text.encode())) + text.encode()
            for number, text in enumerate(value, start=1)
        )
    return encoded(of, value)


def _decoded_value(of: str, wire: _Wire) -> Any:
    if isinstance(wire, int):
        return _ENUMS[of][wire] if of in _ENUMS else str(wire) if of == "int64" else wire
    if of == "string":
        return wire.decode()
    if of == _STRINGS:
        pair = {number: text for number, text in _fields(wire) if isinstance(text, bytes)}
        return pair.get(1, b"").decode(), pair.get(2, b"").decode()
    return decoded(of, wire)


def _default(of: str) -> Any:
    if of.endswith("*"):
        return []
    if of == _STRINGS:
        return {}
    if of in _ENUMS:
        return _ENUMS[of][0]
    return {"string": "", "int64": "0", "uint32": 0}.get(of)


def _fields(data: bytes) -> Iterator[tuple[int, _Wire]]:
    """The fields of a message: its number and a varint's value, or its bytes."""
    position = 0
    while position < len(data):
        key, position = _read_varint(data, position)
        value, position = _read_varint(data, position)
        if key & 7 == 0:
            yield key >> 3, value
        else:
            assert key & 7 == 2, f"a field of wire type {key & 7}, which CRI does not have"
            yield key >> 3, data[position : position + value]
            position += value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while data[position] & 0x80:
        value |= (data[position] & 0x7F) << shift
        shift += 7
        position += 1
    return value | data[position] << shift, position + 1
