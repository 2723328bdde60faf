# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that decide where this node's CRI runtimes listen for exec, attach and port-forward.

containerd: ``stream_server_port`` and ``stream_server_address`` of the plugin "cri", called
"io.containerd.grpc.v1.cri" since configuration version 2, in version 3 too (containerd docs/cri/config.md). A file may
import others, which override it (cmd/containerd/server/config/config.go). CRI-O: ``stream_port`` and
``stream_address`` in [crio.api], crio.conf first, then crio.conf.d by name (crio.conf.d(5)). cri-dockerd: the flag
--streaming-bind-addr (config/options.go).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs, toml_lines
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import below, matching, regular_file

_CMDLINE_LIMIT = 128 << 10
_MOST_FILES = 64  # that one configuration may import
_LONGEST_VALUE = 100

# Where configurations are when no running process tells: upstream, k3s, rke2, MicroK8s, k0s.
_CONTAINERD_DEFAULT = "/etc/containerd/config.toml"
_CONTAINERD_ELSEWHERE = (
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
    "/var/snap/microk8s/current/args/containerd.toml",
    "/etc/k0s/containerd.toml",
)
_CRI_PLUGINS = (("plugins", "cri"), ("plugins", "io.containerd.grpc.v1.cri"))
_CRIO_CONFIG = "/etc/crio/crio.conf"
_CRIO_FOLDER = "/etc/crio/crio.conf.d"


class Runtime(NamedTuple):
    """How a runtime is told its streaming port. ``default`` and ``address`` (its default) hold when nothing is set."""

    name: str
    key: str
    address_key: str
    default: str
    address: str


# Defaults: containerd internal/cri/config/config.go (1.2 and later), cri-o pkg/config/config.go (1.12 and later),
# cri-dockerd config/options.go: no address means all interfaces.
CONTAINERD = Runtime("containerd", "stream_server_port", "stream_server_address", "0", "127.0.0.1")
CRIO = Runtime("cri-o", "stream_port", "stream_address", "0", "127.0.0.1")
CRI_DOCKERD = Runtime("cri-dockerd", "--streaming-bind-addr", "--streaming-bind-addr", "0", "")


class Setting(NamedTuple):
    """What is set: the port and address as text, None where nothing is, and the file that sets the port."""

    port: str | None = None
    address: str | None = None
    file: str | None = None


def collect(proc_root: str = "/proc", etc_root: str = "/") -> dict[str, Any]:
    """Return ``{runtimes, complete, missing}`` for the CRI runtimes that run or are configured on this node.

    A runtime: ``{runtime, key, value, default, address, file, fixed}``. ``value`` is the port as it is set, None when it
    is not; ``address`` what is in force, "" where others can reach it (cri-dockerd: all interfaces, containerd: the
    node's address); ``file`` the file that sets the port, None for a flag; ``fixed`` False when the port is drawn at
    random at every start.
    """
    gaps: list[dict[str, str]] = []
    running = list(_running(proc_root, gaps))
    runtimes = [
        *_containerd(running, etc_root, gaps),
        *_crio(running, etc_root, gaps),
        *(_entry(CRI_DOCKERD, _bind_address(argv)) for comm, argv in running if comm == "cri-dockerd"),
    ]
    return {"runtimes": runtimes, "complete": not gaps, "missing": gaps}


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
    }


def _running(proc: str, gaps: list[dict[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """(comm, arguments) of the runtimes that share this network namespace."""
    hidden = 0
    for pid in procfs.pids(proc):
        try:
            comm = procfs.text(f"{proc}/{pid}/comm").rstrip("\n")
            if comm not in ("containerd", "crio", "cri-dockerd"):
                continue
            argv = procfs.text(f"{proc}/{pid}/cmdline", _CMDLINE_LIMIT).rstrip("\0").split("\0")
        except PermissionError:
            hidden += 1
            continue
        except OSError:  # the process ended under our eyes
            continue
        if procfs.same_network_namespace(pid, proc) is not False:
            yield comm, argv
    if hidden:
        gaps.append({"what": "CRI runtime processes", "why": f"{hidden} processes are hidden: needs root (hidepid)"})


def _flag(argv: Sequence[str], *names: str) -> str | None:
    """The last value of a flag, "--name=value" or "--name value", None when it is not given."""
    value = None
    for argument, following in zip(argv[1:], [*argv[2:], ""]):
        name, equals, text = argument.partition("=")
        if name in names:
            value = text if equals else following
    return value


def _bind_address(argv: Sequence[str]) -> Setting:
    """cri-dockerd's "127.0.0.1:10010", ":0" or "[::1]:10010"; an address without a port draws one."""
    text = _flag(argv, CRI_DOCKERD.key)
    if not text:
        return Setting()
    host, _colon, port = text.rpartition(":")
    return Setting(port[:_LONGEST_VALUE], host.strip("[]")[:_LONGEST_VALUE])


def _containerd(
    running: Sequence[tuple[str, list[str]]], root: str, gaps: list[dict[str, str]]
) -> Iterator[dict[str, Any]]:
    """An entry for each containerd whose CRI plugin is on; the one that belongs to Docker has it off."""
    told = [_flag(argv, "--config", "-c") or _CONTAINERD_DEFAULT for comm, argv in running if comm == "containerd"]
    paths = sorted(set(told)) or [
        path for path in (_CONTAINERD_DEFAULT, *_CONTAINERD_ELSEWHERE) if _may_be_there(below(root, path))
    ]
    for path in paths:
        if not path.startswith("/"):
            gaps.append({"what": f"containerd's configuration {path[:_LONGEST_VALUE]}", "why": "its path is relative"})
            continue
        found = _containerd_setting(path, root, gaps)
        if found is not None:
            yield _entry(CONTAINERD, found)


def _containerd_setting(path: str, root: str, gaps: list[dict[str, str]]) -> Setting | None:
    """Follow a configuration and its imports in containerd's order.

    None when the CRI plugin is disabled, and when the first file cannot be read: nothing is known then.
    """
    found, version = Setting(), "1"
    disabled = False
    pending = [path]
    loaded: set[str] = set()
    while pending:
        path = pending.pop(0)
        if path in loaded:
            continue
        if len(loaded) == _MOST_FILES:
            gaps.append({"what": path, "why": f"more than {_MOST_FILES} files are imported"})
            break
        loaded.add(path)
        values = _values(path, root, gaps)
        if values is None and len(loaded) == 1:
            return None
        values = values or {}
        version = _text(values.get(("version",))) or version
        disabled = disabled or bool({"cri", _CRI_PLUGINS[1][1]} & set(_list(values.get(("disabled_plugins",)))))
        found = _overridden(found, values, path, version, gaps)
        pending += _imports(path, _list(values.get(("imports",))), root, gaps)
    return None if disabled else found


def _overridden(
    before: Setting,
    values: dict[tuple[str, ...], toml_lines.Value],
    path: str,
    version: str,
    gaps: list[dict[str, str]],
) -> Setting:
    """``before`` as a further file changes it.

    containerd 1 replaces a plugin's whole section when an imported file has any of it, so a drop-in that adds a registry
    mirror sets the port back to its default (mergeConfig; seen with 1.6.20); containerd 2 merges.
    """
    section = next((plugin for plugin in _CRI_PLUGINS if any(key[:2] == plugin for key in values)), None)
    if section is None:
        return before
    port, address = (_text(values.get((*section, key))) for key in (CONTAINERD.key, CONTAINERD.address_key))
    if port is None and before.port is not None and version in ("1", "2"):
        why = f"has the CRI plugin's section without {CONTAINERD.key}: containerd 1 then forgets the {before.port} of {before.file}"
        gaps.append({"what": path, "why": why})
    return Setting(
        before.port if port is None else port,
        before.address if address is None else address,
        before.file if port is None else path,
    )


def _imports(parent: str, patterns: Sequence[str], root: str, gaps: list[dict[str, str]]) -> list[str]:
    """Imported paths: relative ones beside the file that imports them, "*" expanded (resolveImports)."""
    paths: list[str] = []
    for pattern in patterns:
        path = os.path.normpath(os.path.join(os.path.dirname(parent), pattern))
        paths += _expanded(path, root, gaps)
    return paths


def _expanded(pattern: str, root: str, gaps: list[dict[str, str]]) -> list[str]:
    try:
        return ["/" + os.path.relpath(place, root) for place in matching(below(root, pattern))]
    except OSError as error:
        gaps.append({"what": pattern, "why": error.strerror or str(error)})
        return []


def _may_be_there(place: str) -> bool:
    """False only for what is certainly not there; a folder that may not be searched hides what is in it."""
    try:
        os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _crio(running: Sequence[tuple[str, list[str]]], root: str, gaps: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    argv = next((argv for comm, argv in running if comm == "crio"), None)
    config = _flag(argv or (), "--config", "-c") or _CRIO_CONFIG
    folder = _flag(argv or (), "--config-dir", "-d") or _CRIO_FOLDER
    paths = [path for path in (config, *_expanded(folder + "/*", root, gaps)) if _may_be_there(below(root, path))]
    if argv is None and not paths:
        return
    found = Setting()
    for path in paths:
        values = _values(path, root, gaps)
        if values is None:
            continue
        port, address = (_text(values.get(("crio", "api", key))) for key in (CRIO.key, CRIO.address_key))
        found = Setting(
            found.port if port is None else port,
            found.address if address is None else address,
            found.file if port is None else path,
        )
    port, address = _flag(argv or (), "--stream-port"), _flag(argv or (), "--stream-address")
    if port is not None:
        found = found._replace(port=port[:_LONGEST_VALUE], file=None)
    if address is not None:
        found = found._replace(address=address[:_LONGEST_VALUE])
    yield _entry(CRIO, found)


def _values(path: str, root: str, gaps: list[dict[str, str]]) -> dict[tuple[str, ...], toml_lines.Value] | None:
    """A file's values by path; {} when it is not there, None when it cannot be read, which is told in ``gaps``."""
    try:
        return toml_lines.read(regular_file(below(root, path)))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        gaps.append({"what": path, "why": error.strerror or str(error)})
        return None


def _text(value: toml_lines.Value | None) -> str | None:
    return value[:_LONGEST_VALUE] if isinstance(value, str) else None


def _list(value: toml_lines.Value | None) -> Sequence[str]:
    return value if isinstance(value, list) else ()
