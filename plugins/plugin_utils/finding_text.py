# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finding as plain lines of text, for the forms that other programs show: cleaned, and neither wrapped nor marked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

_COMMAND = 2000  # as in the terminal's report: half a command would be a wrong one
DONE = "or have it done, after a look at the plan:"


def body(finding: Mapping[str, Any]) -> Iterator[str]:
    """Yield all that a finding says below its title."""
    if finding["waived"]:
        yield waived(finding["waived"])
    yield clean(finding["explanation"], 2000)
    if finding["evidence"]:
        yield "seen:"
        yield from (f"- {clean(fact)}" for fact in finding["evidence"])
    for number, remedy in enumerate(finding["remedies"], 1):
        yield cure(f"cure {number}", remedy)
        yield from (f"  # {command}" for command in commands(remedy))
        if remedy["fix"]:
            yield f"  {DONE}"
            yield f"  # {playbook(remedy)}"


def waived(waiver: Mapping[str, Any]) -> str:
    """Who accepted a finding, why and until when."""
    owner = f" by {clean(waiver['owner'], 200)}" if waiver["owner"] else ""
    until = f" until {clean(waiver['until'], 20)}" if waiver["until"] else ""
    return f"waived{owner}{until}: {clean(waiver['reason'])}"


def cure(name: str, remedy: Mapping[str, Any]) -> str:
    """What a remedy does, and what can go wrong."""
    risk = f" (risk: {clean(remedy['risk'])})" if remedy["risk"] else ""
    by_hand = f"; by hand only: {clean(remedy['by_hand'])}" if remedy["by_hand"] and not remedy["fix"] else ""
    return f"{name}: {clean(remedy['summary'])}{risk}{by_hand}"


def playbook(remedy: Mapping[str, Any]) -> str:
    """The command that shows the plan of a remedy's fix."""
    return f"ansible-playbook kubenode.doctor.fix -e fix={clean(remedy['fix'])} --check --diff"


def commands(remedy: Mapping[str, Any]) -> Sequence[str]:
    """The commands of a remedy as they can be copied, one a line."""
    return [
        clean(command, _COMMAND)
        if len(command) <= _COMMAND
        else f"(a command of {len(command)} characters: see findings.json)"
        for command in remedy["commands"]
    ]
