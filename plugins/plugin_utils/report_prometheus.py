# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus' text format (exposition format 0.0.4), for the textfile collector of node_exporter.

Labels are rules, groups, severities, and names of hosts; of these only so many as a series each does no harm, the rest is a number. Objects, such
as Services and processes, have no series: their number has no bound. What could not be told has no series either, where 0 would be a lie: what is new
when there was nothing to compare with, and a time that is not known. Times are values, since node_exporter refuses time stamps of samples.
"""

from __future__ import annotations

import datetime
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES
from ansible_collections.kubenode.doctor.plugins.plugin_utils.tally import ANSWERS

# Prometheus' documentation, "Instrumentation, do not overuse labels": metrics whose labels take more than 100 values are to be few. These are two.
_HOSTS = 200
_LABEL = 480  # characters of a host's name, which leaves room for a number within the 500 that clean() lets through
_WAIVER_STATES = ("used", "unused", "expiring", "expired")

Labels = dict[str, str]


class Metric(NamedTuple):
    """A gauge: its name without the prefix, what it tells, and its samples."""

    name: str
    help: str
    samples: Sequence[tuple[Labels, float]]


def render(document: dict[str, Any], _bundle: str = "") -> str:
    """Render the document of findings.json as metrics."""
    return "".join(_text(metric) for metric in _metrics(document) if metric.samples)


def _text(metric: Metric) -> str:
    name = f"kubenode_doctor_{metric.name}"
    lines = [f"# HELP {name} {metric.help}", f"# TYPE {name} gauge"]
    lines += [f"{name}{_labels(labels)} {value!r}" for labels, value in metric.samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    return f"{{{','.join(f'{key}={_quoted(value)}' for key, value in labels.items())}}}" if labels else ""


def _quoted(value: str) -> str:
    """A label's value. The format escapes three characters; of these a cleaned text has no line feed."""
    escaped = clean(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _metrics(document: dict[str, Any]) -> Iterator[Metric]:
    failed = [finding for finding in document["findings"] if finding["status"] == "fail"]
    live = [finding for finding in failed if not finding["waived"]]
    yield from _audit(document)
    yield from _answers(document)
    yield from _findings(document["rules"], failed, live)
    yield from _since(document["memory"], live)
    yield from _hosts(document["hosts"], live)
    states = Counter(waiver["state"] for waiver in document["waivers"])
    yield Metric(
        "waivers", "Waivers, by what became of them.", [({"state": state}, states[state]) for state in _WAIVER_STATES]
    )


def _audit(document: dict[str, Any]) -> Iterator[Metric]:
    audit, answered = document["audit"], _answered(document["hosts"])
    broken = sum(finding["broken"] for finding in document["findings"])
    version = {"version": clean(str(audit.get("version", ""))), "schema": str(document["schema"])}
    yield Metric("info", "The version that audited, and the form of its findings.json.", [(version, 1)])
    for name, what, text in (
        ("audit_started", "When the audit began.", audit.get("started")),
        ("audit_finished", "When its findings were judged.", document["judged_at"]),
    ):
        yield Metric(f"{name}_timestamp_seconds", what, _moment(text))
    yield Metric(
        "audit_success",
        "1 when hosts answered and all that they answered could be read and judged, else 0. Findings are no failure.",
        [({}, int(answered > 0 and not document["damaged"] and not broken))],
    )
    yield Metric("damaged_files", "Files of the audit that could not be read.", [({}, len(document["damaged"]))])
    yield Metric("broken_checks", "Checks that broke on data which they could not read.", [({}, broken)])
    hosts = {"answered": answered, "silent": len(document["hosts"]) - answered}
    yield Metric("hosts", "Hosts that were asked.", [({"state": state}, number) for state, number in hosts.items()])


def _answers(document: dict[str, Any]) -> Iterator[Metric]:
    rules = document["rules"].items()
    total = {answer: sum(rule[answer] for _name, rule in rules) for answer in ANSWERS}
    yield Metric(
        "answers",
        "Answers of all rules over the hosts.",
        [({"answer": name}, number) for name, number in total.items()],
    )
    yield Metric(
        "rule_answers",
        "Answers of a rule over the hosts. The last audit's, so a rule that was not there has none.",
        [
            ({"rule": name, "group": rule["group"], "answer": answer}, rule[answer])
            for name, rule in rules
            for answer in ANSWERS
        ],
    )


def _findings(
    rules: Mapping[str, Any], failed: Iterable[dict[str, Any]], live: Iterable[dict[str, Any]]
) -> Iterator[Metric]:
    by_severity = Counter((finding["severity"], bool(finding["waived"])) for finding in failed)
    yield Metric(
        "findings",
        "Faults that were found.",
        [
            ({"severity": severity, "waived": str(waived).lower()}, by_severity[severity, waived])
            for severity in SEVERITIES
            for waived in (False, True)
        ],
    )
    by_rule = Counter((finding["rule"], finding["severity"]) for finding in live)
    yield Metric(
        "rule_findings",
        "Unwaived faults of a rule; a rule without one has no sample.",
        [
            ({"rule": rule, "group": rules[rule]["group"], "severity": severity}, number)
            for (rule, severity), number in sorted(by_rule.items())
        ],
    )


def _since(memory: Mapping[str, Any], live: Sequence[dict[str, Any]]) -> Iterator[Metric]:
    """What the last audit tells of this one's findings; no sample where there was none to compare with."""
    if not memory["why"]:
        new = Counter(finding["severity"] for finding in live if finding["change"] == "new")
        yield Metric(
            "new_findings",
            "Unwaived faults that the last audit did not have. No sample where there was nothing to compare with.",
            [({"severity": severity}, new[severity]) for severity in SEVERITIES],
        )
        yield Metric("gone_findings", "Faults of the last audit that are gone.", [({}, memory["counts"]["gone"])])
        yield Metric(
            "unsure_findings",
            "Faults of an earlier audit of which this one cannot tell.",
            [({}, memory["counts"]["unsure"])],
        )
    yield Metric(
        "oldest_finding_first_seen_timestamp_seconds",
        "When the unwaived fault that persists longest was first seen.",
        list(_oldest(live)),
    )


def _oldest(live: Sequence[dict[str, Any]]) -> Iterator[tuple[Labels, float]]:
    for severity in SEVERITIES:
        seen = [_moment(finding["first_seen"]) for finding in live if finding["severity"] == severity]
        moments = [value for samples in seen for _labels_of, value in samples]
        if moments:
            yield {"severity": severity}, min(moments)


def _hosts(hosts: Mapping[str, Any], live: Iterable[dict[str, Any]]) -> Iterator[Metric]:
    """By host, the worst first, so that what is left out is what matters least."""
    counts: dict[str, Counter[str]] = {}
    for finding in live:
        if finding["host"] is not None:
            counts.setdefault(finding["host"], Counter())[finding["severity"]] += 1
    worst = sorted(counts, key=lambda host: (*(-counts[host][severity] for severity in reversed(SEVERITIES)), host))
    silent = sorted(host for host, state in hosts.items() if not state["answered"])
    labels = _unique({*worst[:_HOSTS], *silent[:_HOSTS]})
    yield Metric(
        "host_findings",
        f"Unwaived faults of a host itself; the {_HOSTS} worst hosts.",
        [
            ({"host": labels[host], "severity": severity}, counts[host][severity])
            for host in worst[:_HOSTS]
            for severity in SEVERITIES
            if counts[host][severity]
        ],
    )
    yield Metric(
        "silent_host",
        f"A host that did not answer; the first {_HOSTS} of them.",
        [({"host": labels[host]}, 1) for host in silent[:_HOSTS]],
    )
    left = {"findings": max(len(worst) - _HOSTS, 0), "silent": max(len(silent) - _HOSTS, 0)}
    yield Metric(
        "hosts_without_series",
        "Hosts that have no series of their own, because there are too many.",
        [({"of": of}, number) for of, number in left.items()],
    )


def _unique(hosts: Iterable[str]) -> dict[str, str]:
    """A label for each host. Two names may be cleaned to the same text, and node_exporter refuses a file that has a series twice."""
    labels: dict[str, str] = {}
    taken: set[str] = set()
    for host in sorted(hosts):
        label = clean(host)[:_LABEL]
        names = itertools.chain([label], (f"{label} ({number})" for number in itertools.count(2)))
        labels[host] = next(name for name in names if name not in taken)
        taken.add(labels[host])
    return labels


def _answered(hosts: Mapping[str, Any]) -> int:
    return sum(host["answered"] for host in hosts.values())


def _moment(text: Any) -> list[tuple[Labels, float]]:
    """A time as a sample; none for what is no time."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return []
    return [({}, moment.timestamp())] if moment.tzinfo else []
