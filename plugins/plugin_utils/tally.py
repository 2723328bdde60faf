# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often each of the four answers was given, and which rules said nothing about which host.

Of a host's answers this is all that findings do not tell: what neither failed nor is unknown nor says nothing about it has passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Rule

ANSWERS = ("pass", "fail", "unknown", "not_applicable")


class Tally:
    """Counts one answer a rule and host; the cluster is the host None."""

    def __init__(self, rules: Iterable[Rule], networks: str = "") -> None:
        self.rules: dict[str, dict[str, Any]] = {
            rule.id: {
                "group": rule.group,
                "claim": _claim(rule, networks),
                "scope": rule.scope,
                **dict.fromkeys(ANSWERS, 0),
            }
            for rule in rules
        }
        self._aside: dict[str | None, set[str]] = {}

    def count(self, rule: str, host: str | None, answer: str) -> None:
        """Count an answer."""
        self.rules[rule][answer] += 1
        if answer == "not_applicable":
            self._aside.setdefault(host, set()).add(rule)

    def acquit(self, rule: str, host: str | None, answer: str) -> None:
        """Count another answer in place of a fault that is none after all."""
        self.rules[rule]["fail"] -= 1
        self.count(rule, host, answer)

    def not_applicable(self, host: str | None) -> Sequence[str]:
        """The rules that say nothing about a host, in their order."""
        aside = self._aside.get(host, ())
        return [rule for rule in self.rules if rule in aside] if aside else []


def _claim(rule: Rule, networks: str) -> str:
    return f"{rule.claim}, {networks}" if rule.by_network and networks else rule.claim
