# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where kubelet listens: what its flags and its configuration say.

Flags win over the files of --config-dir, and these over --config (NewKubeletCommand and mergeKubeletConfigurations in
cmd/kubelet/app/server.go: every *.conf below the folder, in lexical order; alpha in 1.28, on by default since 1.30). Defaults are
SetDefaults_KubeletConfiguration's (pkg/kubelet/apis/config/v1beta1/defaults.go), and without --config those of
applyLegacyDefaults (cmd/kubelet/app/options/options.go), which open the read-only port. A port of 0 is the default for the
API and turns the others off (startKubelet, run).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import origin_kinds, yaml_scalars
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import Files
from ansible_collections.kubenode.doctor.plugins.module_utils.configuration import (
    LONGEST_VALUE,
    Configuration,
    Edit,
    port_number,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.program_arguments import flag, switch

PROGRAM = "kubelet"  # the process's name, too

_CONFIG = "--config"
_DROP_INS = "--config-dir"
_DYNAMIC = "--dynamic-config-dir"  # on by default from 1.11, deprecated in 1.22, removed in 1.24 (KEP-281)
_MOST_FILES = 64
_MOST_FOLDERS = 64


class _Server(NamedTuple):
    """A server of kubelet's; ``legacy`` is its default without a configuration file."""

    kind: str
    key: str
    flag: str
    default: str
    legacy: str
    address_key: str
    address_flag: str
    address: str


# Flags: AddKubeletConfigFlags, cmd/kubelet/app/options/options.go; ports: pkg/cluster/ports/ports.go.
_API = _Server("kubelet-api", "port", "--port", "10250", "10250", "address", "--address", "0.0.0.0")  # noqa: S104 - told, not bound
_READ_ONLY = _API._replace(
    kind="kubelet-readonly", key="readOnlyPort", flag="--read-only-port", default="0", legacy="10255"
)
_HEALTHZ = _Server(
    "kubelet-healthz",
    "healthzPort",
    "--healthz-port",
    "10248",
    "10248",
    "healthzBindAddress",
    "--healthz-bind-address",
    "127.0.0.1",
)
_SERVERS = (_API, _READ_ONLY, _HEALTHZ)
_ENABLED = "enableServer"
_ENDPOINT = "containerRuntimeEndpoint"
_KEYS = frozenset((*(key for server in _SERVERS for key in (server.key, server.address_key)), _ENABLED, _ENDPOINT))

# kubernetes 1.11 to 1.23, pkg/kubelet/dockershim/docker_service.go: Start, startLocalStreamingServer.
_DOCKERSHIM = (
    "kubelet's dockershim (Kubernetes 1.11 to 1.23) listens on localhost:0 for exec, attach and port-forward:"
    " no setting gives it a port, another container runtime ends it"
)


class _Set(NamedTuple):
    """A value that is set, by which key or flag, and in which file; None for a flag."""

    value: str
    key: str
    file: Optional[str]


def collect(running: Sequence[tuple[str, list[str]]], files: Files) -> Iterator[Configuration]:
    """The settings of each kubelet among the running programs (comm, arguments) that open a port."""
    for comm, argv in running:
        if comm == PROGRAM:
            yield from _of_process([_normal(argument) for argument in argv], files)


def _normal(argument: str) -> str:
    """Kubernetes takes "_" in a flag's name for "-" (WordSepNormalizeFunc)."""
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value if name.startswith("--") else argument


def _of_process(argv: Sequence[str], files: Files) -> Iterator[Configuration]:
    config = flag(argv, _CONFIG)
    found = _from_files(config, flag(argv, _DROP_INS), files)
    if flag(argv, _DYNAMIC):
        why = "kubelet may take its configuration from a ConfigMap, which replaces its file: ask its /configz"
        files.gaps.append({"what": f"kubelet: {_DYNAMIC}", "why": why})
    if found is not None:
        enabled = _flagged(found.get(_ENABLED), "--enable-server", switch(argv, "--enable-server"))
        for server in _SERVERS:
            if server is not _API or enabled is None or enabled.value.lower() != "false":
                yield from _listening(server, argv, found, config, files.gaps)
    endpoint = _flagged((found or {}).get(_ENDPOINT), "", flag(argv, "--container-runtime-endpoint"))
    if _may_be_dockershim(flag(argv, "--container-runtime"), endpoint):
        yield Configuration(
            PROGRAM, origin_kinds.STREAMING, None, None, "0", None, "localhost", None, None, _DOCKERSHIM
        )


def _may_be_dockershim(runtime: str | None, endpoint: _Set | None) -> bool:
    """Docker was the default up to 1.23 (--container-runtime=docker), and every other runtime needs an endpoint."""
    return runtime in (None, "docker") and (endpoint is None or "dockershim" in endpoint.value)


def _from_files(config: str | None, folder: str | None, files: Files) -> dict[str, _Set] | None:
    """What the files set, by key; None when the first of them cannot be read: nothing is known then."""
    found: dict[str, _Set] = {}
    for path in (config, folder):
        if path and not path.startswith("/"):
            files.gaps.append(
                {"what": f"kubelet's configuration {path[:LONGEST_VALUE]}", "why": "its path is relative"}
            )
            return None
    paths = _drop_ins(folder, files) if folder else []
    for path in ([config] if config else []) + paths:
        text = files.text(path)
        if not text:
            if path == config and text == "":
                files.gaps.append(
                    {"what": path, "why": "it is not there any more, or empty: kubelet was started with it"}
                )
            if path == config:
                return None
            continue
        scalars = yaml_scalars.read(text, _KEYS)
        files.gaps += [{"what": path, "why": why} for why in scalars.unread]
        if path == config and scalars.unread and not scalars.values:
            return None
        for key, value in scalars.values.items():
            found.pop(key, None)  # null takes away what an earlier file sets (JSON merge patch)
            if value is not None:
                found[key] = _Set(value, key, path)
    return found


def _drop_ins(folder: str, files: Files) -> list[str]:
    """The *.conf files of a folder and the folders in it, in the order of Go's filepath.WalkDir, which follows no links."""
    paths: list[str] = []
    pending = [folder]
    seen = 0
    while pending and len(paths) <= _MOST_FILES and seen <= _MOST_FOLDERS:
        path = pending.pop(0)
        if path != folder and not files.is_folder(path):
            paths += [path] if path.endswith(".conf") else []
            continue
        seen += 1
        pending[:0] = files.matching(os.path.join(path, "*"))
    if pending:
        why = f"more than {_MOST_FILES} files or {_MOST_FOLDERS} folders: not all were read"
        files.gaps.append({"what": folder, "why": why})
    return paths[:_MOST_FILES]


def _listening(
    server: _Server, argv: Sequence[str], found: dict[str, _Set], config: str | None, gaps: list[dict[str, str]]
) -> Iterator[Configuration]:
    """The setting of one server, nothing when it is off."""
    port = _flagged(found.get(server.key), server.flag, flag(argv, server.flag))
    address = _flagged(found.get(server.address_key), server.address_flag, flag(argv, server.address_flag))
    default = server.default if config else server.legacy
    try:
        number = port_number(default if port is None else port.value)
    except ValueError as error:
        gaps.append({"what": f"{(port and port.file) or 'kubelet'}: {server.key}", "why": str(error)})
        return
    if not number and server is _API:
        number = int(default)
    if number:
        yield Configuration(
            PROGRAM,
            server.kind,
            port.key if port else (server.key if config else server.flag),
            port.value if port else None,
            default,
            port.file if port else None,
            address.value if address else server.address,
            number,
            Edit(port.file if port else config),
        )


def _flagged(before: _Set | None, name: str, value: str | None) -> _Set | None:
    return before if value is None else _Set(value[:LONGEST_VALUE], name, None)
