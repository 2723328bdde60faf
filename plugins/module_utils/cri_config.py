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
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs, toml_lines
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import Files

_CMDLINE_LIMIT = 128 << 10
_MOST_FILES = 64  # that one configuration may import
_LONGEST_VALUE = 100
_PORT = re.compile(r"[0-9]{1,5}\Z")

# Where configurations are when no running process tells: upstream, k3s, rke2, MicroK8s, k0s.
_CONTAINERD_DEFAULT = "/etc/containerd/config.toml"
_CONTAINERD_ELSEWHERE = (
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
    "/var/snap/microk8s/current/args/containerd.toml",
    "/etc/k0s/containerd.toml",
)
_MAY_BE_CONTAINERD_1 = frozenset({"1", "2"})  # versions of the configuration; 3 came with containerd 2
_CRI_NAMES = frozenset({"cri", "io.containerd.grpc.v1.cri"})
_CRIO_CONFIG = "/etc/crio/crio.conf"
_CRIO_FOLDER = "/etc/crio/crio.conf.d"
_CRIO_DROP_IN = "99-stream-port.conf"  # a name that comes after the distributions' own: the last file wins
_CRI_SECTION = {"1": "[plugins.cri]"}  # by version of containerd's configuration
_CRI_SECTION_SINCE_2 = '[plugins."io.containerd.grpc.v1.cri"]'


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


class Edit(NamedTuple):
    """Where the port is to be set: a file and the section's header in it; both None for a command line.

    ``new`` is True for a file that is not there yet.
    """

    file: str | None = None
    section: str | None = None
    new: bool = False


class Setting(NamedTuple):
    """What is set: the port and address as text, None where nothing is, and the file that sets the port."""

    port: str | None = None
    address: str | None = None
    file: str | None = None
    edit: Edit = Edit()

    def overridden(
        self, values: dict[tuple[str, ...], toml_lines.Value], section: tuple[str, ...], runtime: Runtime, file: str
    ) -> Setting:
        """This setting as a further file changes it."""
        port, address = (_text(values.get((*section, key))) for key in (runtime.key, runtime.address_key))
        return Setting(
            self.port if port is None else port,
            self.address if address is None else address,
            self.file if port is None else file,
            self.edit if port is None and address is None else self.edit._replace(file=file, new=False),
        )


def collect(proc_root: str = "/proc", etc_root: str = "/") -> dict[str, Any]:
    """Return ``{runtimes, complete, missing}`` for the CRI runtimes that run or are configured on this node.

    A runtime: ``{runtime, key, value, default, address, file, fixed, edit}``. ``value`` is the port as it is set, None when it
    is not; ``address`` what is in force, "" where others can reach it (cri-dockerd: all interfaces, containerd: the
    node's address); ``file`` the file that sets the port, None for a flag; ``fixed`` False when the port is drawn at
    random at every start; ``edit`` is ``{file, section, new}``, where a port that is to be set belongs (see Edit).
    """
    gaps: list[dict[str, str]] = []
    running = list(_running(proc_root, gaps))
    files = Files(etc_root, gaps)
    runtimes = [
        *_containerd(running, files),
        *_crio(running, files),
        *(_entry(CRI_DOCKERD, _bind_address(argv)) for comm, argv in running if comm == "cri-dockerd"),
    ]
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


def _running(proc: str, gaps: list[dict[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """(comm, arguments) of the runtimes that share this network namespace."""
    hidden, seen = 0, False
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
            seen = True
            yield comm, argv
    why = procfs.why_hidden(hidden, proc)
    if not why and not seen and procfs.in_host_pid_namespace(proc) is False:
        why = "this is a container with its own pid namespace, a runtime outside of it is invisible: run on the host"
    if why:
        gaps.append({"what": "CRI runtime processes", "why": why})


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


def _containerd(running: Sequence[tuple[str, list[str]]], files: Files) -> Iterator[dict[str, Any]]:
    """An entry for each containerd whose CRI plugin is on; the one that belongs to Docker has it off."""
    told = [_flag(argv, "--config", "-c") or _CONTAINERD_DEFAULT for comm, argv in running if comm == "containerd"]
    present = [path for path in (_CONTAINERD_DEFAULT, *_CONTAINERD_ELSEWHERE) if files.may_be_there(path)]
    for path in sorted(set(told)) or present:
        if not path.startswith("/"):
            what = f"containerd's configuration {path[:_LONGEST_VALUE]}"
            files.gaps.append({"what": what, "why": "its path is relative"})
            continue
        found = _containerd_setting(path, files)
        if found is not None:
            yield _entry(CONTAINERD, found)


def _containerd_setting(first: str, files: Files) -> Setting | None:
    """Follow a configuration and its imports in containerd's order.

    The file to edit is the last one with the CRI plugin's section, which containerd 1 and 2 both let win, else the first.
    None when the CRI plugin is disabled, and when the first file cannot be read: nothing is known then.
    """
    found, version, disabled = Setting(), "1", False
    if not files.may_be_there(first):
        return Setting(edit=Edit(first, _CRI_SECTION_SINCE_2, new=True))
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
            return None
        values = toml_lines.read(text or "")
        version = _text(values.get(("version",))) or version
        disabled = disabled or bool(_CRI_NAMES & set(_list(values.get(("disabled_plugins",)))))
        found = _imported(found, values, path, version, files.gaps)
        if path == first or _has_cri_section(values):
            found = found._replace(edit=Edit(path, _CRI_SECTION.get(version, _CRI_SECTION_SINCE_2)))
        for pattern in _list(values.get(("imports",))):
            pending += _import(path, pattern, version, files)
    return None if disabled else found


def _has_cri_section(values: dict[tuple[str, ...], toml_lines.Value]) -> bool:
    return any(key[0] == "plugins" and key[1:2] and key[1] in _CRI_NAMES for key in values)


def _import(parent: str, pattern: str, version: str, files: Files) -> list[str]:
    """The files that an import names; relative ones lie beside the file that imports them (resolveImports).

    Not so for a relative pattern with "*" under containerd 1, which looks for it in its working directory (seen with
    1.6.20).
    """
    if "*" in pattern and not pattern.startswith("/") and version in _MAY_BE_CONTAINERD_1:
        why = "containerd 1 looks for a relative pattern in its working directory, containerd 2 beside this file"
        files.gaps.append({"what": f"{parent}: imports {pattern[:_LONGEST_VALUE]}", "why": why})
    return files.matching(os.path.normpath(os.path.join(os.path.dirname(parent), pattern)))


def _imported(
    before: Setting,
    values: dict[tuple[str, ...], toml_lines.Value],
    path: str,
    version: str,
    gaps: list[dict[str, str]],
) -> Setting:
    """``before`` as a further file of containerd's changes it.

    containerd 1 replaces a plugin's whole section when an imported file has any of it, so a drop-in that adds a registry
    mirror sets the port back to its default (mergeConfig; seen with 1.6.20); containerd 2 merges.
    """
    name = next((key[1] for key in values if key[0] == "plugins" and key[1:2] and key[1] in _CRI_NAMES), None)
    if name is None:
        return before
    set_before = {CONTAINERD.key: before.port, CONTAINERD.address_key: before.address}
    for key, value in set_before.items():
        if value is not None and ("plugins", name, key) not in values and version in _MAY_BE_CONTAINERD_1:
            why = f"containerd 1 then forgets the {value} of an earlier file, containerd 2 keeps it"
            gaps.append({"what": path, "why": f"has the CRI plugin's section without {key}: {why}"})
    return before.overridden(values, ("plugins", name), CONTAINERD, path)


def _crio(running: Sequence[tuple[str, list[str]]], files: Files) -> Iterator[dict[str, Any]]:
    processes = [argv for comm, argv in running if comm == "crio"]
    argv = processes[0] if processes else []
    config = _flag(argv, "--config", "-c") or _CRIO_CONFIG
    folder = _flag(argv, "--config-dir", "-d") or _CRIO_FOLDER
    paths = [path for path in (config, *files.matching(folder + "/*")) if files.may_be_there(path)]
    if not processes and not paths:
        return
    drop_in = os.path.join(folder, _CRIO_DROP_IN)
    found = Setting(edit=Edit(drop_in, "[crio.api]", new=not files.may_be_there(drop_in)))
    for path in paths:
        found = found.overridden(toml_lines.read(files.text(path) or ""), ("crio", "api"), CRIO, path)
    port, address = _text(_flag(argv, "--stream-port")), _text(_flag(argv, "--stream-address"))
    if port is not None:
        found = found._replace(port=port, file=None, edit=Edit())
    if address is not None:
        found = found._replace(address=address)
    yield _entry(CRIO, found)


def _text(value: toml_lines.Value | None) -> str | None:
    return value[:_LONGEST_VALUE] if isinstance(value, str) else None


def _list(value: toml_lines.Value | None) -> Sequence[str]:
    return value if isinstance(value, list) else ()
