# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each rule answered for each host, read back from the document of findings.json.

The document holds only what did not pass: findings (status fail or unknown), and the rules that say nothing about a host. What is
in neither has passed. A waived fault is a fault: the answer is "fail".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.tally import ANSWERS

PASS, FAIL, UNKNOWN, NOT_APPLICABLE = ANSWERS
CLUSTER = None  # the host of answers that belong to no single node


class Answers:
    """The answers of a document; read once, in a time that grows with its findings."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._scopes = {rule: about["scope"] for rule, about in document["rules"].items()}
        self._told: dict[str | None, dict[str, str]] = {}  # by host and rule, where it did not pass
        for host, place in ((CLUSTER, document["cluster"]), *document["hosts"].items()):
            self._told[host] = dict.fromkeys(place["not_applicable"], NOT_APPLICABLE)
        for finding in document["findings"]:
            told = self._told.setdefault(finding["host"], {})
            if told.get(finding["rule"]) != FAIL:
                told[finding["rule"]] = finding["status"]

    def of(self, host: str | None) -> dict[str, str]:
        """``{rule: answer}`` of a host, or of the cluster (None), in the order of the rules: each rule that is asked there."""
        wanted = "cluster" if host is CLUSTER else "node"
        told = self._told.get(host, {})
        return {rule: told.get(rule, PASS) for rule, scope in self._scopes.items() if scope == wanted}

    def one(self, rule: str, host: str | None) -> str | None:
        """One answer; None where the rule is not there, or the host was not asked."""
        scope = "cluster" if host is CLUSTER else "node"
        if self._scopes.get(rule) != scope or host not in self._told:
            return None
        return self._told[host].get(rule, PASS)

    def all(self) -> Iterator[tuple[str | None, dict[str, str]]]:
        """Yield ``(host, {rule: answer})``: the cluster (None), then each host."""
        for host in (CLUSTER, *self._document["hosts"]):
            yield host, self.of(host)


def of(document: Mapping[str, Any], host: str | None) -> dict[str, str]:
    """What each rule answered for one host, or for the cluster (None). For many hosts of one document, ``matrix`` reads it once."""
    return Answers(document).of(host)


def matrix(document: Mapping[str, Any]) -> Iterator[tuple[str | None, dict[str, str]]]:
    """Yield ``(host, {rule: answer})``: the cluster (None), then each host; one host's answers in memory at a time."""
    return Answers(document).all()
