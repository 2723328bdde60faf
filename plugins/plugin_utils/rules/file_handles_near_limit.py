# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process, or the whole machine, has opened nearly all the files that it may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import limits, sysctl
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule, Unknown
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings

_FILE = "/etc/sysctl.d/60-file-max.conf"
# No limit of a process can be above fs.nr_open, which is this unless somebody changed it (fs/file.c, sysctl_nr_open).
_MOST = 1048576


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    yield from _machine(node["host_pressure"], context.settings)
    processes = node["tcp_states"]["limits"]["processes"]
    for process in processes or ():
        if process["limit"] is not None:  # unlimited, or gone since
            yield from _process(node["tcp_states"], process, context.settings)
    hidden = limits.gap(node["tcp_states"], "processes")
    if processes is None or hidden:
        yield Unknown(hidden or "the open files of processes were not seen")


def _machine(section: dict[str, Any], settings: Settings) -> Iterator[Answer]:
    files = section["files"]
    if files is None:
        yield Unknown(limits.unseen(section, "the number of open files", "file-nr"))
        return
    use = limits.Use(files["open"], files["max"])
    level = limits.severity(use, settings, "files_share")
    if level:
        yield Fail(
            subject="open files of the machine",
            title=f"the machine has opened {_much(level)} files that it may",
            explanation=(
                "At fs.file-max every open(), socket() and accept() of every program fails with ENFILE, root's excepted. Somebody holds files "
                "without end: raising the limit gains time to find out who."
            ),
            evidence=(f"open files of the machine: {use}",),
            remedies=(
                Remedy(
                    f"let the machine open {use.doubled} files, now and at each boot",
                    sysctl.commands("fs.file-max", use.doubled, _FILE),
                    f"each open file costs some hundred bytes of kernel memory; a leak fills the new limit too; {sysctl.LATER}",
                    by_hand=limits.BY_HAND,
                ),
            ),
            severity=level,
        )


def _process(section: dict[str, Any], process: dict[str, Any], settings: Settings) -> Iterator[Answer]:
    use = limits.Use(process["open"], process["limit"])
    level = limits.severity(use, settings, "files_share")
    if level:
        name = process["name"] or "a process without a name"
        yield Fail(
            subject=f"open files of {name}",
            title=f"{name} has opened {_much(level)} files that it may",
            explanation=(
                "At its limit accept(), connect() and open() fail with EMFILE. A server then accepts nobody, its accept queue fills, and its "
                "clients wait."
            ),
            evidence=(f"open files of {name} (pid {process['pid']}): {use}",),
            remedies=tuple(_remedies(name, use)),
            severity=level,
            caused_by=("close-wait-leak",) if _leaks(section, name, use, settings) else (),
        )


def _leaks(section: dict[str, Any], name: str, use: limits.Use, settings: Settings) -> bool:
    """True where connections in CLOSE-WAIT are what a program of this name has opened so much of."""
    groups = [group for group in section["groups"] if (group["state"], group["process"]) == ("close_wait", name)]
    held: int = sum(group["count"] for group in groups)
    return held >= settings.threshold("close_wait_files_share") * use.limit


def _much(level: str) -> str:
    return "nearly all" if level == "critical" else "most of the"


def _remedies(name: str, use: limits.Use) -> Iterator[Remedy]:
    # Without the pid in a command: hosts that have the same fault would each be told apart.
    yield Remedy(
        "look what it holds (ls -l /proc/PID/fd): many of one kind are a leak, which only a restart or a corrected program ends",
        (),
        "none",
    )
    wanted = use.doubled
    if wanted <= _MOST:
        yield Remedy(
            f"let the running {name} open {wanted} files, without a restart (prlimit --pid PID --nofile={wanted}:{wanted})",
            (),
            "lost at its next start; a leak fills the new limit too",
        )
    yield Remedy(
        "raise LimitNOFILE in its unit, or, for a container, in the unit of the container runtime, and restart it",
        (),
        "the program is away while it restarts; containers get the new limit when they are made anew",
    )


RULE = Rule(
    id="file-handles-near-limit",
    group="host",
    severity="warning",
    claim="processes and the machine can open more files",
    why="a program that can open nothing more accepts no connection and writes no log, and often says so nowhere",
    sources=(
        "accept(2): EMFILE, ENFILE; Linux Documentation/admin-guide/sysctl/fs.rst: file-max, nr_open",
        "node-exporter docs/node-mixin, NodeFileDescriptorLimit",
    ),
    judge=_judge,
    needs=("host_pressure", "tcp_states"),
    thresholds=("files_share", "files_share_critical", "close_wait_files_share"),
)
