# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rules say of one host, or of the cluster: their answers, and the findings that are made of these.

All that is found out about a host is in its ``Verdict``: it may be made in another process (two_processes), and then nothing else of it is known here.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    closed_listeners,
    cures,
    held_connections,
    origins,
    section_gaps,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.answers import CLUSTER
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.earlier_audits import EarlierAudits
from ansible_collections.kubenode.doctor.plugins.plugin_utils.equal_parts import EqualParts
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    SEVERITIES,
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
)

# What a report can still be read with, and far above what a real node has: the worst of the seeds has 7 findings. One node's answer must not
# make the reports of a fleet unreadable, nor take the time of all the others.
MOST_FINDINGS = 200  # of a rule on a host
MOST_FACTS = 200  # as the evidence of a finding


class Told(NamedTuple):
    """What a rule says in all, pass, fail, unknown or not_applicable, and its findings."""

    rule: str
    answer: str
    findings: list[dict[str, Any]]


class Verdict(NamedTuple):
    """All that comes of one host: of each rule, and for origins, closed_listeners and held_connections.

    ``targets`` are the numbers for Services that cures gave (Context.asked_targets); ``damaged`` what only now could not be read.
    """

    host: str
    told: list[Told]
    origins: list[str]
    closed: list[str]
    held: list[dict[str, Any]]
    targets: dict[tuple[str, str, int], int | None]
    damaged: dict[str, str]


@dataclass
class Nodes:
    """Judges one host of a bundle after the other. All of them must have been learned."""

    bundle: Bundle
    rules: Sequence[Rule]
    context: Context
    before: EarlierAudits
    parts: EqualParts

    def judge(self, host: str) -> Verdict:
        """Every rule on one host."""
        damaged = self.bundle.damaged
        known = len(damaged)
        self.context.asked_targets.clear()
        node = self.bundle.node(host)
        view = NodeView(host, node["snapshot"]["sections"], self.before) if node["answered"] else None
        found = [self._shared(told(rule, host, _on_node(rule, node, view, self.context))) for rule in self.rules]
        new = dict(itertools.islice(reversed(damaged.items()), len(damaged) - known))
        if view is None:
            return Verdict(host, found, [], [], [], {}, new)
        own = [finding for one in found for finding in one.findings]
        return Verdict(
            host,
            found,
            origins.lines_of(view, self.context, own),
            closed_listeners.lines_of(view, self.context),
            held_connections.rows_of(view),
            dict(self.context.asked_targets),
            new,
        )

    def fits(self, verdict: Verdict) -> bool:
        """Whether a verdict of another process is what it would be here: numbers for Services are given as they are asked for, none twice.

        Its equal parts are then this process's.
        """
        for one in verdict.told:
            self._shared(one)
        return all(cures.target_of(key, self.context) == number for key, number in verdict.targets.items())

    def _shared(self, one: Told) -> Told:
        for finding in one.findings:
            self.parts.share(finding)
        return one


def on_cluster(rule: Rule, context: Context) -> Told:
    """A rule on the cluster."""
    return told(rule, CLUSTER, _answers(rule.judge, (context,)))


def why_broken(error: Exception) -> str:
    """What to say of an error that nobody expected."""
    return f"{type(error).__name__}: {error}"


def _on_node(rule: Rule, node: dict[str, Any], view: NodeView | None, context: Context) -> list[Answer]:
    if view is None:
        return [Unknown(f"the host did not answer: {node['why']}")]
    return _answers(_judge_node, (rule, view, context))


def told(rule: Rule, host: str | None, answers: Sequence[Answer]) -> Told:
    """What the answers of a rule about a host, or the cluster, come to."""
    if not answers:
        return Told(rule.id, "pass", [])  # as of most rules on most hosts
    found = _merged([_finding(rule, host, answer) for answer in answers if not isinstance(answer, NotApplicable)])
    if host is not CLUSTER and len(found) > MOST_FINDINGS:
        why = f"{len(found) - MOST_FINDINGS} more findings of this rule on this host are left out: look at the worst {MOST_FINDINGS} first"
        found[MOST_FINDINGS:] = [_finding(rule, host, Unknown(why))]
    if any(finding["least_hosts"] > 1 for finding in found):
        benign = _overall([answer for answer in answers if not isinstance(answer, Fail)])
        for finding in found:
            finding["if_benign"] = benign
    return Told(rule.id, _overall(answers), found)


def _judge_node(rule: Rule, view: NodeView, context: Context) -> Iterator[Answer]:
    gaps = [why for why in map(view.gap, rule.needs) if why]
    if gaps:
        yield from (Unknown(why, broken=isinstance(why, section_gaps.Misshapen)) for why in gaps)
    else:
        yield from rule.judge(view, context)


def _answers(judge_one: Callable[..., Iterator[Answer]], arguments: Sequence[Any]) -> list[Answer]:
    """All that a rule says. Where it meets data that it cannot read, what it had found until then still stands."""
    answers: list[Answer] = []
    try:
        for answer in judge_one(*arguments):
            answers.append(answer)
    except Exception as error:
        answers.append(Unknown(f"the data could not be judged: {why_broken(error)}", broken=True))
    return answers


def _merged(findings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One finding for each fault: a program that listens on IPv4 and IPv6 is one fault, with two sockets as evidence.

    The worst of equal ones tells it. Different reasons for an unknown answer stay apart.
    """
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    evidence: dict[tuple[str, str], dict[str, None]] = {}
    for finding in sorted(findings, key=lambda finding: -SEVERITIES.index(finding["severity"])):
        reason = finding["explanation"] if finding["status"] == "unknown" else ""
        fault = (finding["fingerprint"], reason)
        first = merged.setdefault(fault, finding)
        evidence.setdefault(fault, {}).update(dict.fromkeys(finding["evidence"]))
        first["least_hosts"] = min(first["least_hosts"], finding["least_hosts"])
        first["least_share"] = min(first["least_share"], finding["least_share"])
        first["marks"] |= finding["marks"]
    for fault, finding in merged.items():
        finding["evidence"] = _few(list(evidence[fault]))
    return list(merged.values())


def _few(facts: list[str]) -> list[str]:
    more = len(facts) - MOST_FACTS
    return facts if more <= 0 else [*facts[:MOST_FACTS], f"and {more} more like these"]


def _overall(answers: Sequence[Answer]) -> str:
    for kind, name in ((Fail, "fail"), (Unknown, "unknown"), (NotApplicable, "not_applicable")):
        if any(isinstance(answer, kind) for answer in answers):
            return name
    return "pass"


def _finding(rule: Rule, host: str | None, answer: Answer) -> dict[str, Any]:
    if isinstance(answer, Fail):
        finding: dict[str, Any] = {
            "status": "fail",
            "severity": answer.severity or rule.severity,
            "object": answer.subject,
            "title": answer.title,
            "evidence": list(answer.evidence),
            "explanation": answer.explanation,
            "remedies": [_remedy(remedy) for remedy in answer.remedies],
            "causes": list(answer.caused_by),
        }
    else:
        finding = {
            "status": "unknown",
            "severity": "info",
            "object": getattr(answer, "subject", ""),
            "title": f"Not known: {rule.claim}",
            "evidence": [],
            "explanation": answer.why,
            "remedies": [],
            "causes": [],
        }
    finding["broken"] = getattr(answer, "broken", False)
    finding["least_hosts"] = 1 if host is CLUSTER else getattr(answer, "least_hosts", 1)
    finding["least_share"] = getattr(answer, "least_share", 0.0)
    finding["marks"] = set(getattr(answer, "marks", ()))
    identity = "\n".join((rule.id, host or "", finding["object"], finding["status"]))
    return {
        "rule": rule.id,
        "host": host,
        **finding,
        "caused_by": [],
        "fingerprint": hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        "first_seen": None,
        "change": None,
        "waived": None,
    }


def _remedy(remedy: Remedy) -> dict[str, Any]:
    return vars(remedy) | {"commands": list(remedy.commands), "targets": list(remedy.targets)}
