# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a survey comes to, in sentences: what is wrong and where, what likely hangs together, what is fine, what nobody could see.

A sentence says that something is fine only where its rule found no fault and passed; on how many hosts it passed is part of the sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES

GROUPS = frozenset(
    {"containers", "host", "tcp"}
)  # the rules of which it is told, too, that they are fine and what they explain
# What a rule looks at, for the sentence that lists what is fine.
TOPICS = {
    "accept-queue-overflow": "overflows of accept queues",
    "apiserver-cannot-reach-etcd": "API servers' connections to etcd",
    "backlog-differs": "backlogs of equal services",
    "change-interrupted": "interrupted fixes",
    "clock-set-back": "steps back of the clock",
    "clock-unsynchronized": "clock synchronisation",
    "close-wait-leak": "CLOSE-WAIT",
    "conntrack-near-limit": "connection tracking",
    "container-name-conflict": "names of containers (Docker)",
    "container-name-reserved": "names of containers (containerd, CRI-O)",
    "container-not-created": "creation of containers",
    "control-plane-single-cpu": "CPUs of the control plane",
    "cpu-steal": "CPU steal",
    "dead-containers-pile-up": "removal of dead containers",
    "ephemeral-destination-exhausted": "ports for connections to one destination",
    "ephemeral-ports-exhausted": "ephemeral ports",
    "etcd-not-running": "etcd",
    "file-handles-near-limit": "file handles",
    "known-error-in-log": "known errors in logs",
    "orphans-near-limit": "orphaned sockets",
    "run-queue-long": "run queue",
    "syn-sent-unanswered": "SYN-SENT",
    "tcp-memory-pressure": "TCP memory",
    "time-wait-near-limit": "TIME-WAIT",
}
_TCP = "tcp"
_LEADING = "accept-queue-overflow"  # seed 003's first question, so its first answer: in a sentence of its own
_TITLES = 3  # of one rule, each with its hosts; the others are counted

Finding = dict[str, Any]


def conclusions(
    findings: Sequence[Finding],
    tally: Mapping[str, Mapping[str, Any]],
    hosts: Mapping[str, Mapping[str, Any]],
    queues: Mapping[str, Any],
    seen: int,
    networks: str = "",
) -> list[dict[str, Any]]:
    """Return the shape of Survey.document's ``conclusions``, in the order in which they are to be read.

    ``queues`` is that of its ``services``, taken from ``seen`` hosts; ``networks`` says which network namespaces (tcp_words.networks).
    """
    answered = sum(state["answered"] for state in hosts.values())
    if not answered:
        return []  # that nobody answered says it all
    live = [finding for finding in findings if finding["status"] == "fail" and not finding["waived"]]
    surveyed = {name: rule for name, rule in tally.items() if rule["group"] in GROUPS}
    return [
        *_wrong(live, answered),
        *_links([finding for finding in live if finding["rule"] in surveyed], answered),
        *_fine(surveyed, answered, len(hosts), networks),
        *_queues_seen(surveyed.get(_LEADING), queues, seen, answered, networks),
        *_unknown([finding for finding in findings if finding["rule"] in surveyed], surveyed, len(hosts)),
    ]


def _conclusion(kind: str, rules: Iterable[str], text: str, hosts: Iterable[str | None], of: int) -> dict[str, Any]:
    names = sorted({host for host in hosts if host is not None})
    where = _where(len(names), of) if names else "in the cluster"
    return {"kind": kind, "severity": None, "rules": list(rules), "where": where, "hosts": names, "text": text}


def _where(count: int, of: int) -> str:
    if count < of:
        return f"on {count} of {of} hosts"
    return "on the one host" if of == 1 else f"on all {of} hosts"


def _wrong(live: Sequence[Finding], of: int) -> list[dict[str, Any]]:
    """The faults by rule and title: the worst first, then those of the most hosts."""
    by_rule: dict[str, dict[str, list[Finding]]] = {}
    for finding in live:
        by_rule.setdefault(finding["rule"], {}).setdefault(finding["title"], []).append(finding)
    told, counted = [], []
    for rule, by_title in by_rule.items():
        ordered = sorted(by_title.items(), key=lambda item: (-_level(item[1]), -len(item[1]), item[0]))
        told += [_fault(rule, title, same, of) for title, same in ordered[:_TITLES]]
        rest = [finding for _title, same in ordered[_TITLES:] for finding in same]
        if rest:
            counted.append(_fault(rule, f"{len(rest)} more findings of the rule {rule}", rest, of))
    told.sort(key=lambda entry: -len(entry["hosts"]))
    return sorted(told + counted, key=lambda entry: -SEVERITIES.index(entry["severity"]))


def _fault(rule: str, text: str, findings: Sequence[Finding], of: int) -> dict[str, Any]:
    told = _conclusion("wrong", [rule], text, [finding["host"] for finding in findings], of)
    return {**told, "severity": SEVERITIES[_level(findings)]}


def _level(findings: Iterable[Finding]) -> int:
    return max(SEVERITIES.index(finding["severity"]) for finding in findings)


def _links(live: Sequence[Finding], of: int) -> list[dict[str, Any]]:
    """What likely explains what, by the titles of cause and effect."""
    by_fingerprint = {finding["fingerprint"]: finding for finding in live}
    found: dict[tuple[str, str], list[tuple[Finding, Finding]]] = {}
    for effect in live:
        for fingerprint in effect["caused_by"]:
            cause = by_fingerprint.get(fingerprint)
            if cause is not None:
                found.setdefault((cause["rule"], effect["rule"]), []).append((cause, effect))
    told = []
    for rules, pairs in found.items():
        causes, effects = _titles(cause for cause, _effect in pairs), _titles(effect for _cause, effect in pairs)
        hosts = [effect["host"] for _cause, effect in pairs]
        told.append(_conclusion("link", rules, f"{causes}; likely because of this: {effects}", hosts, of))
    return told


def _titles(findings: Iterable[Finding]) -> str:
    titles = list(dict.fromkeys(finding["title"] for finding in findings))
    return titles[0] if len(titles) == 1 else f"{titles[0]} (and {len(titles) - 1} more of this kind)"


def _fine(
    surveyed: Mapping[str, Mapping[str, Any]], answered: int, asked: int, networks: str
) -> Iterator[dict[str, Any]]:
    """What passed and failed nowhere, rules that passed on the same number of hosts in one sentence."""
    fine = [name for name, rule in surveyed.items() if rule["pass"] and not rule["fail"]]
    by_reach: dict[str, list[str]] = {}
    for name in fine:
        reach = _reach(surveyed[name], answered, asked)
        if name == _LEADING:
            yield _fine_sentence([name], surveyed[name]["claim"], reach)
        else:
            by_reach.setdefault(reach, []).append(name)
    for reach, names in by_reach.items():
        limited = networks and any(surveyed[name]["group"] == _TCP for name in names)
        yield _fine_sentence(
            names, f"no fault found in {_topics(names)}{f'; TCP {networks}' if limited else ''}", reach
        )


def _fine_sentence(names: Sequence[str], text: str, reach: str) -> dict[str, Any]:
    return {"kind": "fine", "severity": None, "rules": list(names), "where": reach, "hosts": [], "text": text}


def _reach(rule: Mapping[str, Any], answered: int, asked: int) -> str:
    """Where a rule passed. One that judges the fleet as a whole has a single answer."""
    passed = rule["pass"]
    if passed + rule["unknown"] + rule["not_applicable"] < asked:
        return "over all hosts together"
    if passed == answered:
        return "on the one host that was looked at" if answered == 1 else f"on all {answered} hosts that were looked at"
    if rule["unknown"]:
        return f"on {passed} of {answered} hosts (not known of {rule['unknown']})"
    return f"on the {passed} of {answered} hosts that this concerns"


def _queues_seen(
    rule: Mapping[str, Any] | None, queues: Mapping[str, Any], seen: int, answered: int, networks: str
) -> Iterator[dict[str, Any]]:
    """What the queues held in the moment they were looked at, where it is not known whether they overflowed before."""
    if rule is None or rule["fail"] or rule["pass"] >= answered or not queues["seen"]:
        return
    fullest = next(iter(queues["fullest"]), None)
    if fullest is None:
        text = f"no accept queue was full when it was looked at: all {queues['seen']} were empty"
    else:
        who = f"{fullest['process'] or 'a process that was not seen'}, port {fullest['port']}, on {fullest['host']}"
        text = f"of {queues['seen']} accept queues the fullest held {fullest['length']}, backlog {fullest['backlog']} ({who})"
    if queues["unseen"]:
        text += f"; {queues['unseen']} more were not told"
    if networks:
        text += f"; {networks}"
    yield {
        "kind": "seen",
        "severity": None,
        "rules": [_LEADING],
        "where": _where(seen, answered),
        "hosts": [],
        "text": text,
    }


def _topics(names: Iterable[str]) -> str:
    return ", ".join(TOPICS.get(name, name) for name in names)


def _unknown(
    findings: Iterable[Finding], surveyed: Mapping[str, Mapping[str, Any]], asked: int
) -> Iterator[dict[str, Any]]:
    """What is open, rules that are open on the same hosts in one sentence. The reasons are the findings'."""
    hosts: dict[str, set[str | None]] = {}
    for finding in findings:
        if finding["status"] == "unknown":
            hosts.setdefault(finding["rule"], set()).add(finding["host"])
    by_hosts: dict[frozenset[str | None], list[str]] = {}
    for name in surveyed:
        if name in hosts:
            by_hosts.setdefault(frozenset(hosts[name]), []).append(name)
    for where, names in by_hosts.items():
        every = len(names) == len(surveyed)
        text = (
            "nothing is known of TCP, of the host's load, of its containers and its logs"
            if every
            else f"not known: {_topics(names)}"
        )
        yield _conclusion("unknown", names, text, where, asked)
