# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule is and what it may answer. Rules are pure: they see a bundle's data and settings, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

SEVERITIES = ("info", "warning", "critical")  # in ascending order


@dataclass(frozen=True)
class Remedy:
    """One cure: what it does, the exact commands, what can go wrong.

    ``fix`` names an automatic fix, where one exists, and ``targets`` what exactly it is to act on: for container-name-conflict,
    the full ids of the containers to remove, in this order, for others JSON texts. ``by_hand`` says of commands that change something, and
    that no fix carries out, why they are left to a person.
    """

    summary: str
    commands: tuple[str, ...] = ()
    risk: str = ""
    fix: str = ""
    targets: tuple[str, ...] = ()
    by_hand: str = ""


@dataclass(frozen=True)
class Fail:
    """A fault that was found.

    ``subject`` names the thing that is at fault, without pid, time or ephemeral port: it identifies the finding from run to run.
    ``caused_by`` names the rules whose findings on the same host (or on the cluster) explain this one, or, as ``(rule, subject)``,
    the one finding of a rule that does. ``least_hosts`` is how
    many hosts must show the same fault (the same subject) for it to be one: on fewer it is benign and not told. Beyond it, they
    must be ``least_share`` of all hosts that answered, or that many must have one of their ``marks`` in common (the same peer).
    """

    subject: str
    title: str
    explanation: str
    evidence: tuple[str, ...]
    remedies: tuple[Remedy, ...]
    severity: str = ""
    caused_by: tuple[str | tuple[str, str], ...] = ()
    least_hosts: int = 1
    least_share: float = 0.0
    marks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Unknown:
    """Something the claim rests on could not be seen. ``subject`` is empty when it concerns all of the rule.

    ``broken`` marks a rule that met data which it could not read.
    """

    why: str
    subject: str = ""
    broken: bool = False


@dataclass(frozen=True)
class NotApplicable:
    """The claim says nothing about this host, and why."""

    why: str


Answer = Fail | Unknown | NotApplicable


@dataclass(frozen=True)
class Rule:
    """One claim about a node or the cluster.

    ``judge`` yields nothing when the claim holds. ``scope`` "node" means ``judge(node, context)`` is called once a host that
    answered; "cluster" means ``judge(context)`` is called once. ``needs`` are the snapshot sections without which a node rule
    cannot be judged. ``reads`` are those without which it leaves something open and tells what the others prove all the same: it
    looks itself whether they are there (section_gaps.gap). ``claim`` is what must hold, ``why`` what breaks otherwise,
    ``sources`` where that is known from.
    ``by_network`` marks a claim that holds for the network namespaces that were looked at, so that the report says which.
    ``told_once`` marks a rule whose findings are themselves what changed since the last audit: each is new, and none is ever gone.
    ``settings`` and ``thresholds`` name the operator's settings and the numbers of plugin_utils/thresholds.py that it asks for.
    """

    id: str
    group: str
    severity: str
    claim: str
    why: str
    sources: tuple[str, ...]
    judge: Callable[..., Iterator[Answer]]
    needs: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    scope: str = "node"
    settings: tuple[str, ...] = ()
    thresholds: tuple[str, ...] = ()
    by_network: bool = False
    told_once: bool = False
    see_also: tuple[str, ...] = field(default=())


def missing(section: dict[str, Any], *whats: str) -> str:
    """Why one of these things is missing from a section; empty when none is."""
    for gap in section["missing"]:
        if gap["what"] in whats:
            return f"{gap['what']}: {gap['why']}"
    return ""
