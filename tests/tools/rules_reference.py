# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/rules.md from the rules themselves.

python tests/tools/rules_reference.py            write it
python tests/tools/rules_reference.py --check    say whether it is current; exit status 1 when it is not
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.plugins.plugin_utils import catalogue, thresholds
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Rule
from ansible_collections.kubenode.doctor.tests.tools.written import write_or_check

TARGET = Path(__file__).resolve().parents[2] / "docs" / "rules.md"
_HEAD = """\
<!--
Copyright (c) 2026 the kubenode.doctor authors
GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later

Written by tests/tools/rules_reference.py from plugins/plugin_utils/rules: change the rule, then run it.
-->

# Rules

A rule is one claim about a node or about the cluster. It gives each host (or the cluster) one of four answers:

| answer | meaning |
|---|---|
| pass | What the claim rests on was seen, and the claim holds. |
| fail | The claim does not hold. A finding says what is wrong, why, how that is known and what to do. |
| unknown | Something that the claim rests on could not be seen, and the report says what and why: the host did not answer, \
root is needed, the API server is dead. Never counted as pass. |
| not applicable | The claim says nothing about this host, such as one on which no Kubernetes runs. |

A host that has one fault and something unseen has failed; what was not seen is told as well.

The severity below is the usual one; a finding may be lower or higher where the case is. `fail_on` (critical, unless set) decides from \
which severity on a host fails. A waiver names a rule by its id, with a reason, an owner and a last day ([waivers.md](waivers.md)). Settings are variables \
of the playbooks; [thresholds](#thresholds) are keys of the variable `thresholds`.
"""
_THRESHOLDS = """
## Thresholds

Numbers from which something is a finding. The playbooks take those that do not fit a fleet as `thresholds`, for instance \
`-e '{"thresholds": {"conntrack_share": 0.6}}'`. A share lies above 0 and up to 1. A name that is not here and a value that cannot be are \
refused before any node is asked.

| name | default | unit | meaning | where the default is from | rules |
|---|---|---|---|---|---|
"""
_SCOPES = {"node": "each host", "cluster": "the cluster, once"}


def render(rules: Sequence[Rule]) -> str:
    """The whole document."""
    parts = [_HEAD]
    for group, members in groupby(rules, key=lambda rule: rule.group):
        found = list(members)
        parts += [f"## {group}\n", "| rule | severity | claim |\n|---|---|---|"]
        parts += [f"| [{rule.id}](#{rule.id}) | {rule.severity} | {_cell(rule.claim)} |" for rule in found]
        parts += ["\n".join(_section(rule)) for rule in found]
    return "\n".join([*parts, _THRESHOLDS + "\n".join(_thresholds(rules))]) + "\n"


def _section(rule: Rule) -> Iterator[str]:
    yield f"\n### {rule.id}\n"
    yield f"It must hold that {rule.claim}. Otherwise: {rule.why}.\n"
    yield f"* severity: {rule.severity}"
    yield f"* asked of: {_SCOPES[rule.scope]}"
    if rule.needs:
        yield f"* needs: {', '.join(f'`{name}`' for name in rule.needs)}"
    if rule.reads:
        yield f"* reads, as far as they are there: {', '.join(f'`{name}`' for name in rule.reads)}"
    if rule.settings:
        yield f"* settings: {', '.join(f'`{name}`' for name in rule.settings)}"
    if rule.thresholds:
        yield f"* thresholds: {', '.join(f'`{name}`' for name in rule.thresholds)}"
    if rule.see_also:
        yield f"* see also: {', '.join(f'[{name}](#{name})' for name in rule.see_also)}"
    yield "* known from:"
    for source in rule.sources:
        yield f"  * {source}"


def _thresholds(rules: Sequence[Rule]) -> Iterator[str]:
    for one in thresholds.THRESHOLDS:
        users = ", ".join(f"[{rule.id}](#{rule.id})" for rule in rules if one.name in rule.thresholds)
        yield f"| `{one.name}` | {one.default:g} | {one.unit} | {_cell(one.meaning)} | {_cell(one.source)} | {users} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(words: Sequence[str]) -> int:
    """Write or check. Returns the exit status."""
    outdated = "docs/rules.md is not what the rules say: run python tests/tools/rules_reference.py"
    return write_or_check(words, str(__doc__), TARGET, render(catalogue.rules()), outdated)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
