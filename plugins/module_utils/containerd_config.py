# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where containerd listens: what its configuration and the files that this imports say.

The CRI plugin "cri", called "io.containerd.grpc.v1.cri" since configuration version 2, in version 3 too (containerd
docs/cri/config.md), has ``stream_server_port`` and ``stream_server_address``. [metrics] address, [debug] address and
[grpc] tcp_address (docs/man/containerd-config.toml.5.md) open no port unless they are set; version 4 of the configuration has
plugins in their place, "io.containerd.server.v1.metrics" and so on (serviceMigrate). A file may import others, which
override it. All of that is in cmd/containerd/server/config/config.go. A configuration of version 3 is containerd 2's, which merges
what is imported key by key; since 2.2 its own imports /etc/containerd/conf.d/*.toml (containerd pull 12323).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import program_arguments, toml_lines
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import Files
from ansible_collections.kubenode.doctor.plugins.module_utils.configuration import (
    LONGEST_VALUE,
    Configuration,
    Edit,
    Setting,
    Values,
    host_and_port,
    scalar,
)

PROGRAM = "containerd"
PORT_KEY = "stream_server_port"
ADDRESS_KEY = "stream_server_address"

# What sets a port by itself, where such a file is read; the name comes after the distributions' own, since the last file wins.
DROP_IN = "99-stream-port.toml"

_MOST_FILES = 64  # that one configuration may import
# Where configurations are when no running process tells: upstream, k3s, rke2, MicroK8s, k0s.
_DEFAULT = "/etc/containerd/config.toml"
_ELSEWHERE = (
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
    "/var/snap/microk8s/current/args/containerd.toml",
    "/etc/k0s/containerd.toml",
)
# The administrator's; folders elsewhere (/etc/k0s, /var/lib/rancher) are the distributions', which write what is in them.
_DROP_INS_BELOW = "/etc/containerd/"
_MAY_BE_CONTAINERD_1 = frozenset({"1", "2"})  # versions of the configuration; 3 came with containerd 2
_CRI_NAMES = frozenset({"cri", "io.containerd.grpc.v1.cri"})
_CRI_SECTION = {"1": "[plugins.cri]"}  # by version of containerd's configuration
_CRI_SECTION_SINCE_2 = '[plugins."io.containerd.grpc.v1.cri"]'


class _Server(NamedTuple):
    """A server of containerd's that listens on TCP when ``section`` (``plugin`` since version 4) has an address."""

    kind: str
    section: str
    key: str
    plugin: str


_SERVERS = (
    _Server("containerd-metrics", "metrics", "address", "io.containerd.server.v1.metrics"),
    _Server("containerd-debug", "debug", "address", "io.containerd.server.v1.debug"),
    _Server("containerd-grpc", "grpc", "tcp_address", "io.containerd.server.v1.grpc-tcp"),
)


class Containerd(NamedTuple):
    """``streaming`` is None where the CRI plugin is disabled; ``servers`` are those that have a TCP address."""

    streaming: Optional[Setting]
    servers: Sequence[Configuration]


def collect(
    running: Sequence[tuple[str, list[str]]], files: Files, server_gaps: list[dict[str, str]]
) -> Iterator[Containerd]:
    """One of each containerd, or of each configuration that is there when none was seen running.

    ``server_gaps`` get what is wrong with the settings of the servers, ``files.gaps`` all else.
    """
    told = [path_of(argv) for comm, argv in running if comm == PROGRAM]
    present = [path for path in (_DEFAULT, *_ELSEWHERE) if files.may_be_there(path)]
    for path in sorted(set(told)) or present:
        if not path.startswith("/"):
            what = f"containerd's configuration {path[:LONGEST_VALUE]}"
            files.gaps.append({"what": what, "why": "its path is relative"})
            continue
        found = _read(path, files, server_gaps)
        if found is not None:
            yield found


def path_of(argv: Sequence[str]) -> str:
    """The configuration that a containerd with this command line reads first."""
    return program_arguments.flag(argv, "--config", "-c") or _DEFAULT


def _read(first: str, files: Files, server_gaps: list[dict[str, str]]) -> Containerd | None:
    """What a configuration and its imports say; None when the first file cannot be read: nothing is known then.

    The file to edit is a drop-in of ours where such a file is read, and read last; else the last one with the CRI plugin's section, which
    containerd 1 and 2 both let win, else the first.
    """
    if not files.may_be_there(first):
        return Containerd(Setting(edit=Edit(first, _CRI_SECTION_SINCE_2, new=True)), ())
    streaming: Setting | None = None
    disabled: set[str] = set()
    servers: dict[str, tuple[str, Edit]] = {}
    patterns: Sequence[str] = ()
    for path, values, version in _layers(first, files):
        patterns = _patterns(values, version) if path == first else patterns
        disabled.update(_list(values.get(("disabled_plugins",))))
        streaming = _imported(streaming or Setting(), values, path, version, files.gaps)
        if path == first or _cri_name(values):
            streaming = streaming._replace(edit=Edit(path, _CRI_SECTION.get(version, _CRI_SECTION_SINCE_2)))
        servers.update(_servers(values, path))
    if streaming is None:
        return None
    drop_in = _drop_in(first, patterns, files)
    if drop_in:
        edit = Edit(drop_in, _CRI_SECTION_SINCE_2, new=not files.may_be_there(drop_in))
        streaming = streaming._replace(edit=edit)
    listening = [_configuration(server, *servers[server.kind], server_gaps) for server in _listening(servers, disabled)]
    return Containerd(
        None if disabled & _CRI_NAMES else streaming,
        [configuration for configuration in listening if configuration],
    )


def _layers(first: str, files: Files) -> Iterator[tuple[str, Values, str]]:
    """(path, values, version) of a configuration and its imports, in containerd's order; nothing without the first."""
    version = "1"
    pending = [first]
    loaded: set[str] = set()
    while pending:
        path = pending.pop(0)
        if path in loaded:
            continue
        if len(loaded) == _MOST_FILES:
            files.gaps.append({"what": path, "why": f"more than {_MOST_FILES} files are imported"})
            break
        loaded.add(path)
        text = files.text(path)
        if text is None and path == first:
            return
        values = toml_lines.read(text or "")
        version = scalar(values.get(("version",))) or version
        yield path, values, version
        for pattern in _list(values.get(("imports",))):
            pending += _import(path, pattern, version, files)


def new_file(path: str) -> str:
    """How a file begins that sets a port and is not there yet: with a version that both containerds read, or with a drop-in's.

    That must not be higher than the first file's (LoadConfig, drop-in config version).
    """
    return f"version = {3 if os.path.basename(path) == DROP_IN else 2}"


def section_in(text: str, header: str) -> tuple[toml_lines.Path, str]:
    """The CRI plugin's section as a file has it, its path and header; that of ``header`` where the file has none."""
    name = _cri_name(toml_lines.read(text))
    if name is None:
        return next(toml_lines.lines(header)).path, header
    return ("plugins", name), f"[plugins.{name}]" if name == "cri" else _CRI_SECTION_SINCE_2


def _drop_in(first: str, patterns: Sequence[str], files: Files) -> str | None:
    """A file of our own that would be read after all others that set the port; None where there is none."""
    for pattern in patterns:
        path = os.path.join(os.path.dirname(pattern), DROP_IN)
        if not path.startswith(_DROP_INS_BELOW):
            continue
        amended = files.with_text(path, f'{new_file(path)}\n{_CRI_SECTION_SINCE_2}\n{PORT_KEY} = "0"\n')
        setting = [layer for layer, values, _version in _layers(first, amended) if _cri_name(values)]
        if setting[-1:] == [path]:
            return path
    return None


def _patterns(values: Values, version: str) -> Sequence[str]:
    """The absolute patterns with wildcards that the first file of a containerd 2 imports."""
    if version in _MAY_BE_CONTAINERD_1:
        return ()
    imports = (os.path.normpath(pattern) for pattern in _list(values.get(("imports",))))
    return [pattern for pattern in imports if pattern.startswith("/") and "*" in os.path.basename(pattern)]


def _cri_name(values: Values) -> str | None:
    """By which of its names a file has a section of the CRI plugin."""
    return next((key[1] for key in values if key[0] == "plugins" and key[1:2] and key[1] in _CRI_NAMES), None)


def _import(parent: str, pattern: str, version: str, files: Files) -> list[str]:
    """The files that an import names; relative ones lie beside the file that imports them (resolveImports).

    Not so for a relative pattern with "*" under containerd 1, which looks for it in its working directory (seen with
    1.6.20).
    """
    if "*" in pattern and not pattern.startswith("/") and version in _MAY_BE_CONTAINERD_1:
        why = "containerd 1 looks for a relative pattern in its working directory, containerd 2 beside this file"
        files.gaps.append({"what": f"{parent}: imports {pattern[:LONGEST_VALUE]}", "why": why})
    return files.matching(os.path.normpath(os.path.join(os.path.dirname(parent), pattern)))


def _imported(before: Setting, values: Values, path: str, version: str, gaps: list[dict[str, str]]) -> Setting:
    """``before`` as a further file of containerd's changes it.

    containerd 1 replaces a plugin's whole section when an imported file has any of it, so a drop-in that adds a registry
    mirror sets the port back to its default (mergeConfig; seen with 1.6.20); containerd 2 merges.
    """
    name = _cri_name(values)
    if name is None:
        return before
    for key, value in ((PORT_KEY, before.port), (ADDRESS_KEY, before.address)):
        if value is not None and ("plugins", name, key) not in values and version in _MAY_BE_CONTAINERD_1:
            why = f"containerd 1 then forgets the {value} of an earlier file, containerd 2 keeps it"
            gaps.append({"what": path, "why": f"has the CRI plugin's section without {key}: {why}"})
    return before.overridden(values, ("plugins", name), PORT_KEY, ADDRESS_KEY, path)


def _servers(values: Values, path: str) -> Iterator[tuple[str, tuple[str, Edit]]]:
    """(kind, (address, where)) of the servers that a file gives an address.

    One that it gives an empty address keeps that of an earlier file (mergeConfig; seen with 1.6.20).
    """
    for server in _SERVERS:
        for section, key in (
            (f"[{server.section}]", (server.section, server.key)),
            (f'[plugins."{server.plugin}"]', ("plugins", server.plugin, "address")),
        ):
            address = scalar(values.get(key))
            if address:
                yield server.kind, (address, Edit(path, section))


def _listening(servers: dict[str, tuple[str, Edit]], disabled: set[str]) -> Iterator[_Server]:
    """Those on TCP: an absolute path is a Unix socket (isLocalAddress, cmd/containerd/command/main_unix.go)."""
    for server in _SERVERS:
        address = servers.get(server.kind, ("",))[0]
        if address and not os.path.isabs(address) and server.plugin not in disabled:
            yield server


def _configuration(server: _Server, address: str, where: Edit, gaps: list[dict[str, str]]) -> Configuration | None:
    key = "address" if server.plugin in str(where.section) else server.key
    try:
        host, port = host_and_port(address)
    except ValueError as error:
        gaps.append({"what": f"{where.file}: {key} in {where.section}", "why": str(error)})
        return None
    return Configuration(PROGRAM, server.kind, key, address, "", where.file, host, port or None, where)


def _list(value: toml_lines.Value | None) -> Sequence[str]:
    return value if isinstance(value, list) else ()
