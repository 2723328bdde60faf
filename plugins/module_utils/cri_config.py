# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that decide where this node's CRI runtimes listen, for exec, attach and port-forward above all.

containerd and CRI-O have configurations (containerd_config, crio_config), cri-dockerd the flag --streaming-bind-addr
(config/options.go).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    containerd_config,
    crio_config,
    origin_kinds,
    program_arguments,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import Files
from ansible_collections.kubenode.doctor.plugins.module_utils.configuration import (
    LONGEST_VALUE,
    Configuration,
    Setting,
    port_number,
)

NAMES = ("containerd", "crio", "cri-dockerd")  # the kernel's names of the runtimes' processes

_PORT = re.compile(r"[0-9]{1,5}\Z")


class Runtime(NamedTuple):
    """How a runtime is told its streaming port. ``default`` and ``address`` (its default) hold when nothing is set."""

    name: str
    key: str
    default: str
    address: str


# Defaults: containerd internal/cri/config/config.go (1.2 and later), cri-o pkg/config/config.go (1.12 and later),
# cri-dockerd config/options.go: no address means all interfaces.
CONTAINERD = Runtime(containerd_config.PROGRAM, containerd_config.PORT_KEY, "0", "127.0.0.1")
CRIO = Runtime(crio_config.PROGRAM, crio_config.PORT_KEY, "0", "127.0.0.1")
CRI_DOCKERD = Runtime("cri-dockerd", "--streaming-bind-addr", "0", "")


class Found(NamedTuple):
    """What the runtimes are told: their streaming servers, and the other servers that they open ports for."""

    streaming: Sequence[tuple[Runtime, Setting]]
    servers: Sequence[Configuration]


def collect(proc_root: str = "/proc", etc_root: str = "/") -> dict[str, Any]:
    """Return ``{runtimes, complete, missing}`` for the CRI runtimes that run or are configured on this node.

    A runtime: ``{runtime, key, value, default, address, file, fixed, edit}``. ``value`` is the port as it is set, None when it
    is not; ``address`` what is in force, "" where others can reach it (cri-dockerd: all interfaces, containerd: the
    node's address); ``file`` the file that sets the port, None for a flag; ``fixed`` False when the port is drawn at
    random at every start; ``edit`` is ``{file, section, new}``, where a port that is to be set belongs (see Edit).
    """
    gaps: list[dict[str, str]] = []
    running = list(program_arguments.running(NAMES, "CRI runtime processes", gaps, proc_root))
    # What only the other servers miss is not this answer's to tell.
    found = find(running, Files(etc_root, gaps), [])
    runtimes = [_entry(runtime, setting) for runtime, setting in found.streaming]
    return {"runtimes": runtimes, "complete": not gaps, "missing": gaps}


def pinned(proc_root: str = "/proc", etc_root: str = "/") -> tuple[frozenset[tuple[str, int]], list[dict[str, str]]]:
    """The (runtime, port) pairs of streaming servers that are told one port, and a gap where the settings broke.

    What only could not be read is no gap here: it is the section port_settings' to tell.
    """
    try:
        runtimes = collect(proc_root, etc_root)["runtimes"]
    except Exception as error:  # sockets must not be lost because a configuration is odd
        return frozenset(), [{"what": "CRI settings", "why": f"{type(error).__name__}: {error}"}]
    ports = ((runtime["runtime"], (runtime["value"] or "").strip()) for runtime in runtimes if runtime["fixed"])
    return frozenset((name, int(port)) for name, port in ports if _PORT.match(port)), []


def find(running: Sequence[tuple[str, list[str]]], files: Files, server_gaps: list[dict[str, str]]) -> Found:
    """What these runtimes (comm, arguments) are told. ``server_gaps`` get what is wrong with the other servers' settings."""
    containerds = list(containerd_config.collect(running, files, server_gaps))
    crio = crio_config.collect(running, files, server_gaps)
    return Found(
        [
            *((CONTAINERD, containerd.streaming) for containerd in containerds if containerd.streaming),
            *([(CRIO, crio.streaming)] if crio else []),
            *((CRI_DOCKERD, bind_address(argv)) for comm, argv in running if comm == CRI_DOCKERD.name),
        ],
        [
            *(server for containerd in containerds for server in containerd.servers),
            *([crio.metrics] if crio and crio.metrics else []),
        ],
    )


def configurations(running: Sequence[tuple[str, list[str]]], files: Files) -> Iterator[Configuration]:
    """Every setting of these runtimes that opens a port; ``files.gaps`` get the others."""
    found = find(running, files, files.gaps)
    yield from found.servers
    for runtime, setting in found.streaming:
        entry = _entry(runtime, setting)
        try:
            port = port_number(entry["value"] or runtime.default)
        except ValueError as error:
            files.gaps.append({"what": f"{setting.file or runtime.name}: {runtime.key}", "why": str(error)})
            continue
        everywhere = runtime is CRI_DOCKERD and not entry["address"]
        yield Configuration(
            runtime.name,
            origin_kinds.STREAMING,
            runtime.key,
            setting.port,
            runtime.default,
            setting.file,
            "0.0.0.0" if everywhere else entry["address"],  # noqa: S104 - told, not bound
            port or None,
            setting.edit,
        )


def _entry(runtime: Runtime, found: Setting) -> dict[str, Any]:
    port = runtime.default if found.port is None else found.port
    return {
        "runtime": runtime.name,
        "key": runtime.key,
        "value": found.port,
        "default": runtime.default,
        "address": runtime.address if found.address is None else found.address,
        "file": found.file,
        "fixed": port.strip() not in ("", "0"),
        "edit": found.edit._asdict(),
    }


def bind_address(argv: Sequence[str]) -> Setting:
    """cri-dockerd's "127.0.0.1:10010", ":0" or "[::1]:10010"; an address without a port draws one."""
    text = program_arguments.flag(argv, CRI_DOCKERD.key)
    if not text:
        return Setting()
    host, _colon, port = text.rpartition(":")
    return Setting(port[:LONGEST_VALUE], host.strip("[]")[:LONGEST_VALUE])
