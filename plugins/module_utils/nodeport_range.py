# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which range the API server of this node gives NodePorts from: its running process's flag, else its configuration.

Of command lines and files nothing but this one setting is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import Files
from ansible_collections.kubenode.doctor.plugins.module_utils.port_ranges import Interval, parse_range

# kubernetes pkg/kubeapiserver/options/options.go, DefaultServiceNodePortRange: base 30000, size 2768.
DEFAULT: Interval = (30000, 32767)
FLAG = "--service-node-port-range"

_CMDLINE_LIMIT = 128 << 10

# Static pods: kubeadm, kops (kube-apiserver.manifest), rke2.
_MANIFESTS = (
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/manifests/kube-apiserver.yml",
    "/etc/kubernetes/manifests/kube-apiserver.manifest",
    "/etc/kubernetes/manifests/kube-apiserver.json",
    "/var/lib/rancher/rke2/agent/pod-manifests/kube-apiserver.yaml",
)
# docs.k3s.io/installation/configuration: config.yaml, then the drop-ins in order, then the command line, which the
# install script writes into the unit; k3s blanks its arguments in /proc (pkg/proctitle).
_K3S = (
    "/etc/rancher/k3s/config.yaml",
    "/etc/rancher/k3s/config.yaml.d/*.yaml",
    "/etc/systemd/system/k3s.service",
)
_RKE2 = ("/etc/rancher/rke2/config.yaml", "/etc/rancher/rke2/config.yaml.d/*.yaml")
# MicroK8s: kubelite --apiserver-args-file; MicroShift: network.serviceNodePortRange.
_MICROK8S = ("/var/snap/microk8s/current/args/kube-apiserver",)
_MICROSHIFT = ("/etc/microshift/config.yaml", "/etc/microshift/config.d/*.yaml")

# Files that hold the settings of a process whose arguments do not, by comm.
_FILES_OF = {"k3s": _K3S, "k3s-server": _K3S, "kubelite": _MICROK8S, "microshift": _MICROSHIFT}

# "--service-node-port-range=V", the same as two list items, "service-node-port-range: V", "serviceNodePortRange: V".
_SETTING = re.compile(
    r"""service[-_]?node[-_]?port[-_]?range["']?(?:[ \t]*[=:][ \t]*|[\s,\\]+(?:-[ \t]+)?)["']?([^\s"',\]}]*)""",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"(^|\s)#.*$", re.MULTILINE)


class Found(NamedTuple):
    """A range and where it was found."""

    range: Interval
    source: str


def range_from_args(argv: Sequence[str]) -> Interval | None:
    """The range that a command line sets; None when it sets none.

    Knows kube-apiserver's flag with "=" or as two arguments, and the same handed through k3s and rke2
    (--kube-apiserver-arg=service-node-port-range=...). The last one counts. Raises ValueError for a value that is no
    range.
    """
    values = [value for name, value in _options(argv) if name == FLAG]
    return parse_range(values[-1]) if values and values[-1].strip() else None


def range_from_manifest(text: str) -> Interval | None:
    """The range that a static pod's manifest, a k3s or rke2 config.yaml, a unit or a file of arguments sets, or None.

    Reads lines, not YAML: comments are left out, the last setting counts. Raises ValueError for a value that is no
    range.
    """
    values = _SETTING.findall(_COMMENT.sub("", text))
    return parse_range(values[-1]) if values and values[-1] else None


def find(proc_root: str = "/proc", etc_root: str = "/") -> dict[str, Any]:
    """Return ``{range: [low, high] or None, source: str or None, complete, missing}`` for this node.

    No range and ``complete``: there is no API server here. The default range is returned only where an API server, or
    its manifest, was seen that does not set another.
    """
    gaps: list[dict[str, str]] = []
    files = Files(etc_root, gaps)
    found = _running(proc_root, files)
    if found:
        gaps.clear()
    else:
        found = _configured(files)
    return {
        "range": list(found.range) if found else None,
        "source": found.source if found else None,
        "complete": not gaps,
        "missing": gaps,
    }


def _options(argv: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(--name, value) pairs; an argument without "=" takes the next one as its value."""
    following = [*argv[1:], ""]
    for argument, after in zip(argv, following):
        name, equals, value = argument.partition("=")
        value = value if equals else after
        if name == "--kube-apiserver-arg":
            name, _equals, value = value.partition("=")
            name = "--" + name.lstrip("-")
        yield name.replace("_", "-"), value


def _running(proc: str, files: Files) -> Found | None:
    """The first API server among the processes that share this network namespace."""
    hidden = 0
    for pid in procfs.pids(proc):
        try:
            comm = procfs.text(f"{proc}/{pid}/comm").rstrip("\n")
            argv = _argv(f"{proc}/{pid}/cmdline") if _may_serve(comm) else []
        except PermissionError:
            hidden += 1
            continue
        except OSError:  # the process ended under our eyes
            continue
        # A kind node's or a virtual cluster's API server lives in a network namespace of its own: not this node's.
        if not _serves(comm, argv) or procfs.same_network_namespace(pid, proc) is False:
            continue
        found = _of_process(comm, pid, argv, files)
        if found:
            return found
    why = procfs.why_hidden(hidden, proc)
    if why:
        files.gaps.append({"what": "API server process", "why": why})
    if procfs.in_host_pid_namespace(proc) is False:
        files.gaps.append(
            {"what": "API server process", "why": "runs in a pid namespace of its own: other processes are invisible"}
        )
    return None


def _argv(path: str) -> list[str]:
    """A process's arguments; [] when they do not fit, because what is cut off may be the setting."""
    text = procfs.text(path, _CMDLINE_LIMIT)
    return [] if len(text.encode()) >= _CMDLINE_LIMIT else text.split("\0")


def _may_serve(comm: str) -> bool:
    return comm in ("kube-apiserver", "hyperkube") or comm in _FILES_OF


def _serves(comm: str, argv: Sequence[str]) -> bool:
    """Is it an API server, not another role of the same program? k3s shows "k3s server" as one argument."""
    words = " ".join(argv[:2]).split()
    if comm == "hyperkube":
        return bool({"apiserver", "kube-apiserver"} & set(words))
    return _may_serve(comm) and "agent" not in words[1:]


def _of_process(comm: str, pid: int, argv: Sequence[str], files: Files) -> Found | None:
    who = f"running {comm} (pid {pid})"
    try:
        told = range_from_args(argv)
    except ValueError as error:
        files.gaps.append({"what": f"{FLAG} of {who}", "why": str(error)})
        return None
    if told:
        return Found(told, f"{who}, {FLAG}")
    return _of_files(comm, who, files) if comm in _FILES_OF else _without_flag(who, argv, files)


def _of_files(comm: str, who: str, files: Files) -> Found | None:
    """What a program is told by files; its default only when every one of them could be read."""
    gaps_before = len(files.gaps)
    found = _in_files(_FILES_OF[comm], files)
    if found:
        return Found(found.range, f"{who}, {found.source}")
    if len(files.gaps) > gaps_before:
        return None
    return Found(DEFAULT, f"{who} is configured without a NodePort range: its default")


def _without_flag(who: str, argv: Sequence[str], files: Files) -> Found | None:
    """kube-apiserver's default, unless its arguments are hidden or name a file that may hold the setting."""
    why = "" if any(argv) else f"its command line is empty or over {_CMDLINE_LIMIT} bytes"
    if any(name == "--openshift-config" for name, _value in _options(argv)):
        why = "OpenShift keeps it in the file that --openshift-config names"
    if why:
        files.gaps.append({"what": f"{FLAG} of {who}", "why": why})
        return None
    return Found(DEFAULT, f"{who} runs without {FLAG}: its default")


def _configured(files: Files) -> Found | None:
    """An API server that is configured here but was not seen running."""
    for path in _MANIFESTS:
        text = files.text(path)
        if not text:
            continue
        try:
            told = range_from_manifest(text)
        except ValueError as error:
            files.gaps.append({"what": path, "why": str(error)})
            continue
        return (
            Found(told, f"manifest {path}")
            if told
            else Found(DEFAULT, f"manifest {path} is without {FLAG}: the default")
        )
    return _in_files((*_K3S, *_RKE2), files)


def _in_files(patterns: Sequence[str], files: Files) -> Found | None:
    """The last setting in files that later ones override."""
    found = None
    for path in (path for pattern in patterns for path in files.matching(pattern)):
        try:
            told = range_from_manifest(files.text(path) or "")
        except ValueError as error:
            files.gaps.append({"what": path, "why": str(error)})
            continue
        found = Found(told, path) if told else found
    return found
