# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a run ended, for each host; hosts with the same end together, the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

FAILED, UNREACHABLE, STOPPED, NOT_BEGUN, SILENT, OK = (
    "failed",
    "unreachable",
    "stopped",
    "not begun",
    "no answer",
    "ok",
)
_WORST_FIRST = (FAILED, UNREACHABLE, STOPPED, NOT_BEGUN, SILENT, OK)
_WORD_COLUMNS = 11  # the longest of "exit status" and these words
_NAMES = 10  # so many of a group are named


class Ending(NamedTuple):
    """How it ended for one host."""

    word: str
    at: str = ""  # the task that ended it
    changes: int = 0
    ignored: int = 0  # failures that were
    rescued: int = 0


def lines(endings: Mapping[str, Ending], change: tuple[str, str] = ("change", "changes")) -> list[tuple[str, str]]:
    """``(word, line)`` of each group. ``change`` is what one change is called, and what several are."""
    groups: dict[Ending, list[str]] = {}
    for host, ending in endings.items():
        groups.setdefault(ending, []).append(host)
    ordered = sorted(groups.items(), key=lambda group: _rank(*group))
    return [(ending.word, _line(ending, sorted(hosts), change)) for ending, hosts in ordered]


def exit_status(endings: Mapping[str, Ending], play_ended_for_all: bool) -> tuple[int, str]:
    """What ansible-playbook is about to exit with, and the line that says why.

    Strategies return 4 as soon as a host is unreachable, else 2 when one failed (plugins/strategy/__init__.py, run; the same in 2.16 and 2.21).
    ``play_ended_for_all``: any_errors_fatal and max_fail_percentage make it 2 in some versions.
    """
    words = {ending.word for ending in endings.values()}
    if UNREACHABLE in words:
        others = ", and others failed" if FAILED in words else ""
        return 4, _row("exit status", f"{'4 or 2' if play_ended_for_all else 4}: hosts could not be reached{others}")
    if FAILED in words:
        return 2, _row("exit status", '2: hosts failed; what stands after "fatal:" or "failed:" says why')
    if not endings:
        return 0, _row("exit status", "0: no host was asked for anything")
    silent = ", but some did not answer" if SILENT in words else ""
    return 0, _row("exit status", f"0: no host failed{silent}")


def _rank(ending: Ending, hosts: Sequence[str]) -> tuple[object, ...]:
    """The worst, then the largest, then those of which there is more to say."""
    numbers = (-ending.changes, -ending.ignored, -ending.rescued)
    return _WORST_FIRST.index(ending.word), -len(hosts), numbers, ending.at


def _line(ending: Ending, hosts: Sequence[str], change: tuple[str, str]) -> str:
    each = " each" if len(hosts) > 1 else ""
    parts = [_number(len(hosts), "host")]
    parts += [f"{_number(ending.changes, *change)}{each}"] if ending.changes else []
    parts += [f"{_number(ending.ignored, 'ignored failure')}{each}"] if ending.ignored else []
    parts += [f"{_number(ending.rescued, 'rescued failure')}{each}"] if ending.rescued else []
    at = f' at "{clean(ending.at)}"' if ending.at else ""
    return _row(ending.word, f"{', '.join(parts)}{at}: {_names(hosts)}")


def _names(hosts: Sequence[str]) -> str:
    more = len(hosts) - _NAMES
    named = ", ".join(clean(host) for host in hosts[:_NAMES])
    return f"{named} and {more} more (-v shows each)" if more > 0 else named


def _number(number: int, noun: str, nouns: str = "") -> str:
    return f"{number} {noun if number == 1 else nouns or f'{noun}s'}"


def _row(word: str, text: str) -> str:
    return f"{word:>{_WORD_COLUMNS}}  {text}"
