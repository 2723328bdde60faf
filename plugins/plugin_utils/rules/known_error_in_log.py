# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A log of the host holds an error that is known, and that no other rule looks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ansible_collections.kubenode.doctor.plugins.module_utils.signatures import SIGNATURES, Signature
from ansible_collections.kubenode.doctor.plugins.plugin_utils import containers_seen, log_causes, logged
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.log_causes import Cause
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logged import Entry, Section
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

# Signatures that other rules put together with what else they see.
ELSEWHERE = frozenset(
    {
        "clock-jumped-back",
        "clock-stepped",
        "container-not-created",
        "containerd-name-reserved",
        "containerd-sandbox-name-reserved",
        "crio-creation-stage",
        "crio-name-reserved",
        "crio-storage-name-in-use",
        "docker-name-conflict",
        "etcd-dial-refused",
        "sandbox-not-created",
    }
)
_SHOWN = 6  # entries of one signature


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    logs, known = node["logs"], {signature.id: signature for signature in SIGNATURES}
    found: dict[str, list[Entry]] = {}
    for entry in logs["found"]:
        if entry["signature"] not in ELSEWHERE:
            found.setdefault(entry["signature"], []).append(entry)
    for name, entries in sorted(found.items()):
        if name in known:
            causes = log_causes.of(name, entries, node, context)
            yield _fail(known[name], entries, logs, context.settings, causes)
        else:
            yield Unknown("the logs hold messages of a kind that this version of the collection does not know", name)
    yield from map(Unknown, _unread(node))
    if not logs["scanned"] and not logs["missing"]:
        yield NotApplicable("this host has none of the logs in which known errors are looked for")


def _unread(node: NodeView) -> Iterator[str]:
    """What was not read. Where no kubelet runs, there need be no log of it, nor of pods."""
    is_no_node = containers_seen.kubelet_is_away(node)
    for why in logged.unread(node["logs"]):
        if not (is_no_node and why.startswith(_OF_NODES)):
            yield why


_OF_NODES = ("kubelet:", "pod")  # as journal and pod_logs name their gaps


def _fail(
    signature: Signature, entries: Sequence[Entry], logs: Section, settings: Settings, causes: tuple[Cause, ...]
) -> Fail:
    recent = any(logged.is_recent(logs, entry, settings) for entry in entries)
    return Fail(
        subject=signature.id,
        title=f"{_clause(signature.title)}{'' if recent else ' (not logged lately)'}",
        explanation=(
            f"{signature.meaning}{'' if recent else f' {_OVER}'} The wording is known from {signature.versions}: {signature.link}"
        ),
        evidence=tuple(_evidence(entries, logs)),
        remedies=(Remedy(signature.cure),),
        severity=signature.level if recent else "info",
        caused_by=causes,
    )


_OVER = "It was not logged again lately, so it may be over."


def _clause(title: str) -> str:
    """A title as it stands behind a severity: in small letters, where it does not begin with a name."""
    return title[:1].lower() + title[1:] if title.split(" ", maxsplit=1)[0] in _NO_NAMES else title


_NO_NAMES = frozenset({"A", "An", "More", "The", "Too"})


def _evidence(entries: Sequence[Entry], logs: Section) -> Iterator[str]:
    for entry in entries[:_SHOWN]:
        named = logged.fields(entry)
        yield f"{f'{named}: ' if named else ''}{logged.told(logs, entry)}"
    if len(entries) > _SHOWN:
        lines = sum(entry["count"] for entry in entries[_SHOWN:])
        yield f"and {lines} more lines of {len(entries) - _SHOWN} more kinds or places"


RULE = Rule(
    id="known-error-in-log",
    group="host",
    severity="warning",
    claim="the logs that were scanned hold no known error (beside those that have rules of their own)",
    why="programs tell in one line of a log what else takes hours to find, and nobody reads it",
    sources=(
        "docs/signatures.md, with the source of each signature",
        "kubernetes/node-problem-detector config/kernel-monitor.json, which finds what the kernel tells by patterns as well",
    ),
    judge=_judge,
    needs=("logs",),
    reads=("host",),
    thresholds=("log_recent_seconds",),
)
