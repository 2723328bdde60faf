# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP's buffers take nearly all memory that they may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import limits, sysctl
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings

_FILE = "/etc/sysctl.d/60-tcp-memory.conf"


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["tcp_states"]
    grown = limits.growth(section, "TCPAbortOnMemory")
    pages, marks = section["counters"]["memory_pages"], section["limits"]["tcp_mem"]
    level = "" if pages is None or marks is None else _level(pages, marks, context.settings)
    if level or grown:
        yield _fail(section, level, grown or 0)
    elif marks is None and not limits.gap(section, "tcp_mem"):
        yield NotApplicable("the kernel tells tcp_mem in the initial network namespace only")
    elif pages is None or marks is None:
        yield Unknown(limits.unseen(section, "the memory that TCP uses", "sockstat", "tcp_mem"))
    elif grown is None:
        yield Unknown(limits.unseen_growth(section, "TCPAbortOnMemory"))


def _level(pages: int, marks: list[int], settings: Settings) -> str:
    _low, pressure, high = marks
    if limits.Use(pages, high).share >= settings.threshold("tcp_memory_share_critical"):
        return "critical"
    return "warning" if pages > pressure else ""


def _fail(section: dict[str, Any], level: str, grown: int) -> Fail:
    title = "the kernel is short of memory for TCP: it shrinks the buffers of all connections"
    if level == "critical":
        title = "TCP has used nearly all memory that it may"
    if grown:
        title = "the kernel resets connections for want of TCP memory"
    return Fail(
        subject="TCP memory",
        title=title,
        explanation=(
            "tcp_mem holds three marks for all connections of the machine together. Above the second, the kernel keeps windows small and every "
            "transfer is slow; at the third it drops what arrives and resets connections (its log then says: TCP: out of memory). Mostly it is "
            "data that nobody reads: a program that hangs, or peers that read slowly. Too many orphans are counted as TCPAbortOnMemory as well."
        ),
        evidence=tuple(_evidence(section, grown)),
        remedies=(
            Remedy(
                "look who leaves data unread or unsent: the queues (second and third column), the process, and skmem's r and t",
                ("ss -Htnmp",),
                "none; the list is as long as there are connections",
            ),
            *_raise(section["limits"]["tcp_mem"], section["counters"]["memory_pages"] or 0),
        ),
        severity="critical" if grown else level,
        caused_by=("orphans-near-limit",),
    )


def _evidence(section: dict[str, Any], grown: int) -> Iterator[str]:
    if grown:
        yield f"TCPAbortOnMemory grew by {grown} in {section['growth']['seconds']:.0f} s"
    pages, marks = section["counters"]["memory_pages"], section["limits"]["tcp_mem"]
    if pages is not None:
        yield f"memory of TCP, in pages: {pages}"
    if marks is not None:
        yield f"net.ipv4.tcp_mem, in pages: low {marks[0]}, pressure {marks[1]}, high {marks[2]}"


def _raise(marks: list[int] | None, pages: int) -> Iterator[Remedy]:
    # Marks that were lowered below what is in use: doubled, they might still be below it.
    if marks and pages <= 2 * marks[-1]:
        doubled = " ".join(str(2 * mark) for mark in marks)
        yield Remedy(
            "where all of it is needed: double the marks, now and at each boot",
            sysctl.commands("net.ipv4.tcp_mem", doubled, _FILE),
            "TCP may then take twice the memory, by default nearly a fifth of the machine's, away from the pods; a program that hangs fills that too; "
            f"{sysctl.LATER}",
            by_hand=limits.BY_HAND,
        )


RULE = Rule(
    id="tcp-memory-pressure",
    group="tcp",
    severity="warning",
    claim="TCP has memory for its buffers",
    why="all connections of the machine and its pods slow down together, and then the kernel resets some",
    sources=(
        "Linux Documentation/networking/ip-sysctl.rst: tcp_mem; net/ipv4/tcp.c, tcp_check_oom and tcp_init_mem",
        "Netdata src/health/health.d/tcp_mem.conf",
    ),
    judge=_judge,
    needs=("tcp_states",),
    thresholds=("tcp_memory_share_critical",),
    see_also=("orphans-near-limit",),
)
