# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words on waivers that every form of a report uses: what became of them, and what is said beside a finding that is waived."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_lines import count

_LISTED = 5


def told(waivers: list[dict[str, Any]]) -> list[str]:
    """A sentence for each waiver that wants somebody's eye: first what has expired, with "!!", then what soon will, then what nothing needs."""
    lines = [
        f"!! {_named(one)} has expired on {one['until']}{_back(one)}: {_why(one)}" for one in _of(waivers, "expired")
    ]
    lines += [
        f"{_named(one)} ends {_in_days(one['days_left'])}, on {one['until']}; it covers {count(one['findings'], 'finding')}: {_why(one)}"
        for one in _of(waivers, "expiring")
    ]
    return lines + _unused([_place(one) for one in _of(waivers, "unused")])


def beside(waived: dict[str, Any]) -> str:
    """What is said of a finding that is waived."""
    return f"waived until {clean(waived['until'])} by {clean(waived['owner'])}: {clean(waived['reason'])}"


def _unused(places: list[str]) -> list[str]:
    """One sentence for all: a play that is limited to a few hosts needs few of the fleet's waivers."""
    if not places:
        return []
    more = [f"{len(places) - _LISTED} more"] if len(places) > _LISTED else []
    covers = "waiver covers" if len(places) == 1 else "waivers cover"
    return [f"{len(places)} {covers} nothing in this audit: {'; '.join(places[:_LISTED] + more)}"]


def _of(waivers: list[dict[str, Any]], state: str) -> list[dict[str, Any]]:
    return [one for one in waivers if one["state"] == state]


def _named(waiver: dict[str, Any]) -> str:
    return f"the waiver of {_place(waiver)}"


def _place(waiver: dict[str, Any]) -> str:
    return ", ".join(
        [clean(waiver["rule"]), *(f"{key} {clean(waiver[key])}" for key in ("host", "object") if waiver[key] != "*")]
    )


def _back(waiver: dict[str, Any]) -> str:
    """What its end has brought."""
    if not waiver["findings"]:
        return ", and nothing needs it any more"
    return f", and {count(waiver['findings'], 'finding')} that it covered {'is' if waiver['findings'] == 1 else 'are'} back"


def _in_days(days: int) -> str:
    return "today" if days == 0 else f"in {count(days, 'day')}"


def _why(waiver: dict[str, Any]) -> str:
    return f"{clean(waiver['reason'])} ({clean(waiver['owner'])})"
