# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What reports tell once: equal findings of several hosts, below what explains them; and reasons for which something is unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import whose_port
from ansible_collections.kubenode.doctor.plugins.plugin_utils.judge import walk
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES

CLUSTER_NAME = "the cluster"  # what stands where a host would


@dataclass
class Group:
    """Findings that say the same of several hosts, and the groups that they explain."""

    depth: int
    findings: list[dict[str, Any]] = field(default_factory=list)
    below: dict[Any, Group] = field(default_factory=dict)

    def flat(self) -> Iterator[Group]:
        """Yield this group and all below it, causes first."""
        yield self
        for group in self.below.values():
            yield from group.flat()


@dataclass
class Reason:
    """Why something is unknown: where, and which rules it leaves open."""

    why: str
    hosts: set[str | None] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)


def groups(findings: Sequence[dict[str, Any]]) -> list[Group]:
    """The faults in the order to be shown: trees, causes first, the tree with the worst finding on top, waived ones last."""
    roots: dict[Any, Group] = {}
    levels = [roots]
    for depth, finding in walk([finding for finding in findings if finding["status"] == "fail"]):
        del levels[depth + 1 :]
        group = levels[depth].setdefault(_sameness(finding), Group(depth))
        group.findings.append(finding)
        levels.append(group.below)
    trees = sorted((list(root.flat()) for root in roots.values()), key=_tree_rank)
    return [group for tree in trees for group in tree]


def _sameness(finding: dict[str, Any]) -> tuple[Any, ...]:
    """What must be equal for a finding to be told once: a command of one host may do harm on another."""
    waived = finding["waived"]["reason"] if finding["waived"] else None
    commands = [command for remedy in finding["remedies"] for command in remedy["commands"] if _acts(command)]
    return finding["rule"], finding["object"], finding["title"], finding["severity"], waived, *commands


def _acts(command: str) -> bool:
    return not command.startswith(whose_port.PROGRAM)


def _tree_rank(tree: Sequence[Group]) -> tuple[bool, int]:
    live = [group.findings[0] for group in tree if not group.findings[0]["waived"]]
    worst = max((SEVERITIES.index(finding["severity"]) for finding in live), default=-1)
    return not live, -worst


def reasons(findings: Sequence[dict[str, Any]]) -> list[Reason]:
    """What could not be seen, once a reason: first what leaves the most checks open."""
    found: dict[str, Reason] = {}
    for finding in findings:
        if finding["status"] == "unknown":
            reason = found.setdefault(finding["explanation"], Reason(finding["explanation"]))
            reason.hosts.add(finding["host"])
            reason.rules.add(finding["rule"])
    return sorted(found.values(), key=lambda reason: (-len(reason.rules), reason.why))
