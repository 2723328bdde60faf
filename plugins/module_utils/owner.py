# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a listener: everything that a node itself tells of one process, without its arguments and environment.

The program is read through /proc/PID/exe, so that it is told of containers too, and of a program that was replaced what runs, not what
would run now.
"""

from __future__ import annotations

import os
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import file_package, go_build, process_facts, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.containers import Seen
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import why_refused
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_names import PodNames
from ansible_collections.kubenode.doctor.plugins.module_utils.process_facts import Facts

_DESCRIBED = ("pid", "name", "unit", "container_id", "pod_uid")
_NOTHING: dict[str, Any] = dict.fromkeys(("exe", "replaced", "started", "parent", "go", "module", "version", "package"))


def describe(
    process: dict[str, Any],
    packages: bool,
    proc: str = "/proc",
    root: str = "/",
    deadline: Optional[Deadline] = None,
) -> dict[str, Any]:
    """What is known of the ``process`` that procfs.describe saw; never raises.

    Return ``{pid, name, unit, container_id, pod_uid, pod, exe, replaced, started, parent, go, module, version, package, missing}``;
    what could not be seen is None and in ``missing``, what there is not is None alone. With ``packages`` dpkg's lists are looked through.
    """
    return Describer(packages, proc, root, deadline).owner(process)


class Describer:
    """Describes the owners of many listeners: each process is looked at once, and packages until the ``deadline``."""

    def __init__(
        self, packages: bool, proc: str = "/proc", root: str = "/", deadline: Optional[Deadline] = None
    ) -> None:
        self._packages = packages
        self._proc = proc
        self._root = root
        self._deadline = deadline
        self._names: Optional[PodNames] = None
        self._known: dict[int, dict[str, Any]] = {}

    def owner(self, process: dict[str, Any]) -> dict[str, Any]:
        """What describe tells."""
        pid = process["pid"]
        if pid not in self._known:
            self._known[pid] = self._look(process)
        return self._known[pid]

    def _look(self, process: dict[str, Any]) -> dict[str, Any]:
        missing: list[dict[str, str]] = []
        try:
            told = self._program(process, missing)
        except process_facts.UnseenError as error:
            told, missing = _NOTHING, [{"what": "process", "why": str(error)}]
        return {**_same(process), "pod": self._pod(process, missing), **told, "missing": missing}

    def _program(self, process: dict[str, Any], missing: list[dict[str, str]]) -> dict[str, Any]:
        """What it runs, and since when. Raises UnseenError."""
        pid = process["pid"]
        facts = process_facts.read(pid, self._proc)
        missing += facts.missing
        build = self._build(pid, missing) if facts.exe else None
        package = self._package(process, facts, missing) if facts.exe and self._packages else None
        # Whoever has the number must still be who held the socket when all processes were looked at.
        if procfs.describe(pid, self._proc) != _same(process):
            raise process_facts.UnseenError("another process may have its number by now: try again")
        released = build.version if build else None
        return {
            "exe": facts.exe,
            "replaced": facts.replaced,
            "started": facts.started,
            "parent": facts.parent._asdict() if facts.parent else None,
            "go": build.go if build else None,
            "module": build.module if build else None,
            "version": released or (file_package.upstream(package) if package else None),
            "package": package,
        }

    def _build(self, pid: int, missing: list[dict[str, str]]) -> Optional[go_build.Build]:
        try:
            return go_build.read(f"{self._proc}/{pid}/exe")
        except OSError as error:
            why = f"how the program was built cannot be read: {why_refused(error)}"
            missing.append({"what": "program", "why": why})
            return None

    def _package(self, process: dict[str, Any], facts: Facts, missing: list[dict[str, str]]) -> Optional[str]:
        """None also for a program of an image, which no package of this machine has installed."""
        exe = facts.exe or ""
        if process_facts.is_file(process["pid"], os.path.join(self._root, exe.lstrip("/")), self._proc):
            try:
                return file_package.of(exe, self._root, self._deadline)
            except file_package.UnknownPackageError as error:
                why = str(error)
        elif process["container_id"] or process["pod_uid"]:
            return None
        else:
            why = f"the program that runs is not the file {exe}, or that cannot be seen"
        missing.append({"what": "package", "why": why})
        return None

    def _pod(self, process: dict[str, Any], missing: list[dict[str, str]]) -> Optional[str]:
        """NAMESPACE/NAME, from the folders of kubelet's logs alone: runtimes are not asked."""
        uid = process["pod_uid"]
        if uid is None:
            return None
        if self._names is None:
            self._names = PodNames(Seen(None, []), self._root)
        name = self._names.pod(uid, [process["container_id"] or ""])
        if name is None:
            why = (
                f"nothing below /var/log/pods and /var/log/containers names the pod with uid {uid}: ask the API server"
            )
            missing.append({"what": "pod", "why": why})
            return None
        return f"{name.namespace}/{name.name}"


def _same(process: dict[str, Any]) -> dict[str, Any]:
    """What procfs.describe told, and nothing else that somebody put there."""
    return {key: process[key] for key in _DESCRIBED}
