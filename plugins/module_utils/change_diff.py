# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change does, for Ansible's --diff. Of a file nothing but the lines that change: others may be secrets."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Dict, List, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils.change_file import FilePart
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import Part
from ansible_collections.kubenode.doctor.plugins.module_utils.change_process import ProcessPart
from ansible_collections.kubenode.doctor.plugins.module_utils.change_sysctl import SysctlPart, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.change_unit import EnablePart, RestartPart

Diff = Dict[str, str]
# Comparing two texts takes the square of their lines at worst. No fix changes so many.
_MOST_LINES = 500


def of(part: Part, old: Optional[bytes], new: Optional[bytes]) -> Optional[Diff]:
    """One dict for Ansible; ``old`` and ``new`` are a file's texts, None where there is none."""
    if isinstance(part, FilePart):
        return _file(part.path, old, new)
    if isinstance(part, SysctlPart):
        return _diff("sysctl", f"{part.key} = {shown(part.before)}\n", f"{part.key} = {shown(part.after)}\n")
    if isinstance(part, RestartPart):
        return _diff(part.unit, "runs since before\n", "restarted\n")
    if isinstance(part, EnablePart):
        return _diff(part.unit, part.state_before() + "\n", "enabled and active\n")
    if isinstance(part, ProcessPart):
        return _diff(part.name(), "runs since before\n", "ended, to be started again\n")
    return None


def back(part: Part, old: Optional[bytes], new: Optional[bytes]) -> Optional[Diff]:
    """The same of taking it back."""
    there = None if isinstance(part, ProcessPart) else of(part, old, new)
    if there is None or isinstance(part, RestartPart):
        return there
    return {
        "before": there["after"],
        "after": there["before"],
        "before_header": there["after_header"],
        "after_header": there["before_header"],
    }


def _file(path: str, old: Optional[bytes], new: Optional[bytes]) -> Diff:
    before, after = _lines(old), _lines(new)
    states = tuple(f"{path} (not there)" if text is None else path for text in (old, new))
    taken, given = changed_lines(before, after)
    if max(len(taken), len(given)) > _MOST_LINES:
        taken, given = [f"({len(taken)} lines)\n"], [f"({len(given)} other lines)\n"]
    return {
        "before": "".join(taken),
        "after": "".join(given),
        "before_header": f"{states[0]}, changed lines only",
        "after_header": f"{states[1]}, changed lines only",
    }


def changed_lines(before: Sequence[str], after: Sequence[str]) -> Tuple[List[str], List[str]]:
    """The lines that go, and those that come."""
    first = next(
        (number for number, (one, other) in enumerate(zip(before, after)) if one != other), min(len(before), len(after))
    )
    room = min(len(before), len(after)) - first
    last = next((number for number in range(room) if before[-1 - number] != after[-1 - number]), room)
    old, new = before[first : len(before) - last], after[first : len(after) - last]
    if max(len(old), len(new)) > _MOST_LINES:
        return list(old), list(new)
    blocks = list(difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes())
    taken = [line for tag, low, high, _from, _to in blocks if tag != "equal" for line in old[low:high]]
    given = [line for tag, _low, _high, low, high in blocks if tag != "equal" for line in new[low:high]]
    return taken, given


def _lines(text: Optional[bytes]) -> List[str]:
    """Lines that all end in the same way: a last one without an end would swallow the next."""
    lines = (text or b"").decode("utf-8", "replace").split("\n")
    return [line + "\n" for line in (lines if lines[-1] else lines[:-1])]


def _diff(what: str, before: str, after: str) -> Diff:
    return {"before": before, "after": after, "before_header": what, "after_header": what}
