# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's logs said, as rules read it from the section ``logs``: which entries, how lately, where, and what was not read.

An entry is ``{signature, source, unit, pod, count, first, last, sample, fields}``, one for each origin and each set of fields;
``first`` and ``last`` are seconds since 1970, or None.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import moments
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings

Entry = dict[str, Any]
Section = dict[str, Any]

_TIMES = "times of "  # gaps that say how exact times are, not what was not read
KERNEL, POD = "kernel", "pod"  # sources, and how the names of their gaps begin

_SAMPLE = 260  # characters of a message: with where and when, a fact of evidence has room for it
_FIELD = 100
# What ended the reading of a log before its window did.
_CUT_SHORT = {"limit": "because of the bound on bytes", "budget": "because there was no more time"}


def entries(section: Section, *signatures: str) -> list[Entry]:
    """The entries of these signatures, the latest first, as the section has them."""
    return [entry for entry in section["found"] if entry["signature"] in signatures]


def is_recent(section: Section, entry: Entry, settings: Settings) -> bool:
    """True when it may still be going on: also where nobody knows when it was, or its time has not come yet."""
    last = entry["last"]
    return last is None or bool(section["now"] - last <= settings.threshold("log_recent_seconds"))


def where(entry: Entry) -> str:
    """``kubelet.service``, ``the kernel's log`` or ``the log of kube-system/etcd-a etcd (attempt 3)``."""
    pod = entry["pod"]
    if pod:
        attempt = "" if pod["attempt"] is None else f" (attempt {pod['attempt']})"
        return f"the log of {pod['namespace']}/{pod['name']} {pod['container']}{attempt}"
    return "the kernel's log" if entry["source"] == KERNEL else entry["unit"] or "the journal"


def when(section: Section, entry: Entry) -> str:
    """``once, 2026-11-21T08:00:00Z (12 min before the look)`` or ``40 times, 2026-… to 2026-… (12 min before the look)``."""
    first, last = entry["first"], entry["last"]
    times = "once" if entry["count"] == 1 else f"{entry['count']} times"
    if last is None:
        return f"{times}, at a time that was not told"
    began = "" if first is None or moments.utc(first) == moments.utc(last) else f"{moments.utc(first)} to "
    return f"{times}, {began}{moments.utc(last)} ({moments.relative(last, section['now'])})"


def told(section: Section, entry: Entry) -> str:
    """One line of evidence: where, when and what it said."""
    return f"{where(entry)}, {when(section, entry)}: {_cut(entry['sample'], _SAMPLE)}"


def fields(entry: Entry) -> str:
    """``port 36527, service default/web``: what the message named; empty when it named nothing."""
    return ", ".join(f"{name} {_cut(value, _FIELD)}" for name, value in sorted(entry["fields"].items()))


def unread(section: Section, but_not: tuple[str, ...] = ()) -> Iterator[str]:
    """What was not read, and why, in the same words on all hosts where it is the same. ``but_not`` are sources of no interest.

    How far a log was read is another time on each host; the report tells it for all of them together (survey_scans).
    """
    cut = {log["name"]: _CUT_SHORT[log["stopped"]] for log in section["scanned"] if _is_cut(log, but_not)}
    window = moments.span(section["window_seconds"])
    yield from (f"{name}: less than the last {window} of it was read, {why}" for name, why in cut.items())
    for gap in section["missing"]:
        if gap["what"] not in cut and not gap["what"].startswith((_TIMES, *but_not)):
            yield f"{gap['what']}: {gap['why']}"
    if section["other"]["entries"]:
        yield "logs: more different messages were found than are told"


def _is_cut(log: dict[str, Any], but_not: tuple[str, ...]) -> bool:
    return log["stopped"] in _CUT_SHORT and log["source"] not in but_not


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
