# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a fix, with what is there before each, as parts that can be taken and taken back; and the parts of a record."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import List, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    change_file,
    change_process,
    change_sysctl,
    change_unit,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_file import FilePart
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import ChangeError, Document, Part, field
from ansible_collections.kubenode.doctor.plugins.module_utils.change_process import ProcessPart
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import (
    Enable,
    FileText,
    Reload,
    Restart,
    Step,
    Sysctl,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_sysctl import SysctlPart
from ansible_collections.kubenode.doctor.plugins.module_utils.change_unit import EnablePart, ReloadPart, RestartPart
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places
from ansible_collections.kubenode.doctor.plugins.module_utils.systemd import Systemd


class Prepared(NamedTuple):
    """A step as it can be taken now. ``old`` and ``new`` are a file's texts, which may hold secrets; None where there is no file."""

    step: Step
    part: Part
    old: Optional[bytes] = None
    new: Optional[bytes] = None

    def document(self) -> Document:
        """What identifies it: the step, what it is to come to, and what is there before it. No text of a file."""
        return self.part.document()


def prepare(steps: Sequence[Step], places: Places) -> List[Prepared]:
    """What is there before each step. Raises ChangeError for what cannot, or must not, be changed here."""
    try:
        prepared = [_prepared(step, places) for step in steps]
    except OSError as error:
        raise ChangeError(why(error)) from error
    places_taken = [_object(one.document()) for one in prepared]
    for number, place in enumerate(places_taken):
        if place in places_taken[:number]:
            raise ChangeError(f"{place[-1]} would be changed twice")
    return prepared


def read(document: Document, places: Places, backup: Callable[[], bytes]) -> Part:
    """A part of a record; ``backup`` gives the text of a file that was there before. Raises ChangeError."""
    kind = field(document, "kind", str)
    if kind == change_file.KIND:
        return FilePart(places.root, document, backup)
    if kind == change_sysctl.KIND:
        return SysctlPart(places.proc, document)
    if kind == change_process.KIND:
        return ProcessPart(places.proc, document)
    return _unit_part(kind, document, Systemd(places.root))


def why(error: Exception) -> str:
    """An error in words."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _unit_part(kind: str, document: Document, systemd: Systemd) -> Part:
    if kind == change_unit.RESTART:
        return RestartPart(systemd, document)
    if kind == change_unit.ENABLE:
        return EnablePart(systemd, document)
    if kind == change_unit.RELOAD:
        return ReloadPart(systemd)
    raise ChangeError("a record of a change has a step of another version of this collection")


def _prepared(step: Step, places: Places) -> Prepared:
    if isinstance(step, FileText):
        return _file(step, places.root)
    if isinstance(step, Sysctl):
        return Prepared(step, _sysctl(step, places.proc))
    systemd = Systemd(places.root)
    if isinstance(step, Restart):
        before = change_unit.look_restart(systemd, step.unit)
        return Prepared(step, RestartPart(systemd, {"kind": change_unit.RESTART, "unit": step.unit, "before": before}))
    if isinstance(step, Enable):
        before = change_unit.look_enable(systemd, step.unit)
        return Prepared(step, EnablePart(systemd, {"kind": change_unit.ENABLE, "unit": step.unit, "before": before}))
    if isinstance(step, Reload):
        return Prepared(step, ReloadPart(systemd))
    ends = ProcessPart(
        places.proc, {"kind": change_process.KIND, **step._asdict(), "before": change_process.ALIVE, "asked": False}
    )
    change_process.look(ends)
    return Prepared(step, ends)


def _file(step: FileText, root: str) -> Prepared:
    if not step.path.startswith("/") or os.path.normpath(step.path) != step.path or not step.path.isprintable():
        raise ChangeError("a file is to be changed whose path is not plain and absolute")
    # A planner that reads bytes which are no UTF-8 this way gives them back this way.
    new = None if step.after is None else step.after.encode("utf-8", "surrogateescape")
    found = change_file.look(root, step.path)
    document = {
        "kind": change_file.KIND,
        "path": step.path,
        "before": found.state,
        "after": change_file.new_state(found.state, new, step.mode),
        "made": [] if new is None else change_file.missing_folders(root, step.path),
        **change_file.staging(root, step.path),
    }
    return Prepared(step, FilePart(root, document, lambda: found.content or b"", new), found.content, new)


def _sysctl(step: Sysctl, proc: str) -> SysctlPart:
    change_sysctl.checked(step.key, step.after)
    document = {"kind": change_sysctl.KIND, "key": step.key, "after": step.after, "before": {"value": ""}}
    SysctlPart(proc, document)  # refuses a key that is none before it is looked for
    return SysctlPart(proc, {**document, "before": {"value": change_sysctl.look(proc, step.key)}})


def _object(document: Document) -> Sequence[str]:
    """What a part is about. Two of a plan must not be about the same."""
    if document["kind"] == change_file.KIND:
        return "staged", f"{document['staged_in']}/{document['staged_as']}"
    return document["kind"], str(document.get("key") or document.get("unit") or document.get("pid") or "systemd")
