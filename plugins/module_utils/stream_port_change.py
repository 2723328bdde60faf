# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a CRI runtime is told a fixed streaming port on loopback: which file changes, how, and what reads it afterwards.

containerd and CRI-O have it in the file that cri_config names; after the change the whole configuration is read as it would then be, and must
come to that port by that file. cri-dockerd has a flag, which a drop-in adds to its unit.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    containerd_config,
    containerd_trial,
    cri_config,
    crio_config,
    exec_start,
    toml_edit,
    toml_lines,
    trusted_programs,
    unit_state,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import Files
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import FileText, Reload, Step
from ansible_collections.kubenode.doctor.plugins.module_utils.configuration import Setting, Values
from ansible_collections.kubenode.doctor.plugins.module_utils.cri_config import CONTAINERD, CRI_DOCKERD, CRIO, Runtime
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places

LOOPBACK = "127.0.0.1"
RUNTIMES = {runtime.name: runtime for runtime in (CONTAINERD, CRIO, CRI_DOCKERD)}
COMMS = {CONTAINERD.name: containerd_config.PROGRAM, CRIO.name: crio_config.COMM, CRI_DOCKERD.name: CRI_DOCKERD.name}

_COMMENT = "Written by kubenode.doctor (pin-stream-port): the CRI streaming server on a port that is no NodePort and that nobody draws."
_ADDRESS_KEYS = {CONTAINERD.name: containerd_config.ADDRESS_KEY, CRIO.name: crio_config.ADDRESS_KEY}
_OF_2_2 = (
    "/etc/containerd/conf.d/*.toml"  # what containerd imports by default since 2.2; a file of its own has to say so
)
_DELETED = " (deleted)"


class ChangeRefusedError(Exception):
    """The setting cannot be changed safely; the text says why."""


class Told(NamedTuple):
    """What a running runtime is told: the setting, and the files that it is read from."""

    runtime: Runtime
    argv: Sequence[str]
    setting: Setting
    files: Files

    def says(self, port: int) -> bool:
        """Whether it is this port on loopback."""
        address = self.runtime.address if self.setting.address is None else self.setting.address
        return (self.setting.port or "").strip() == str(port) and address == LOOPBACK

    @property
    def where(self) -> str:
        return self.setting.file or f"the command line of {self.runtime.name}"


class Change(NamedTuple):
    """The steps before the restart; ``told`` says what they do, ``undo`` how they are undone."""

    steps: Sequence[Step]
    told: Sequence[str]
    undo: Sequence[str]


def read(name: str, argv: Sequence[str], places: Places) -> Told:
    """Raises ChangeRefusedError when the runtime is told nothing, or more than one thing."""
    runtime, files = RUNTIMES[name], Files(places.root, [])
    setting = _setting(runtime, argv, files)
    if setting is None:
        raise ChangeRefusedError(f"what {name} is told about its streaming server could not be read: {_gap(files)}")
    return Told(runtime, argv, setting, files)


def to(
    told: Told, port: int, diagnosed: Optional[str], unit: str, pid: int, places: Places, deadline: Deadline
) -> Change:
    """What sets the port; ``diagnosed`` is the file that was to be changed then. Raises ChangeRefusedError and unit_state.UnitError."""
    if told.runtime is CRI_DOCKERD:
        return _flag(told, port, unit, places, deadline)
    return _file(told, port, diagnosed, pid, places, deadline)


def _setting(runtime: Runtime, argv: Sequence[str], files: Files) -> Optional[Setting]:
    running = [(COMMS[runtime.name], list(argv))]
    if runtime is CONTAINERD:
        found = list(containerd_config.collect(running, files, []))
        return found[0].streaming if len(found) == 1 else None
    if runtime is CRIO:
        crio = crio_config.collect(running, files, [])
        return crio.streaming if crio else None
    return cri_config.bind_address(argv)


def _file(told: Told, port: int, diagnosed: Optional[str], pid: int, places: Places, deadline: Deadline) -> Change:
    path, new = told.setting.edit.file, told.setting.edit.new
    if path is None:
        raise ChangeRefusedError(
            f"{told.runtime.name} has its port from its command line, which wins over every file: change it there"
        )
    if path != diagnosed:
        raise ChangeRefusedError(
            f"the port is to be set in {path} now, and was to be set in {diagnosed or 'no file'} when it was diagnosed"
        )
    before = "" if new else told.files.text(path)
    if before is None:
        raise ChangeRefusedError(f"{path} could not be read: {_gap(told.files)}")
    if (
        new
        and told.runtime is CONTAINERD
        and path == containerd_config.path_of(told.argv)
        and told.files.matching(_OF_2_2)
    ):
        raise ChangeRefusedError(
            f"there is no {path}, and whether containerd would read {_OF_2_2} beside a new one depends on its version"
        )
    values = {_ADDRESS_KEYS[told.runtime.name]: LOOPBACK, told.runtime.key: str(port)}
    section, header = _section(told.runtime, before, str(told.setting.edit.section))
    start = _beginning(told.runtime, path) if new else before
    try:
        after = toml_edit.with_strings(start, section, header, values)
    except toml_edit.EditError as error:
        raise ChangeRefusedError(_by_hand(told, path, header, values, str(error))) from error
    _check_winner(told, port, path, after)
    trial = _trial(told, path, after, pid, port, places, deadline) if told.runtime is CONTAINERD else []
    return Change(
        [FileText(path, after)],
        [_words(path, header, before, section, values, new), *trial],
        [f"{path} is removed" if new else f"{path} gets its old text back, byte for byte"],
    )


def _section(runtime: Runtime, text: str, header: str) -> Tuple[toml_lines.Path, str]:
    if runtime is CONTAINERD:
        return containerd_config.section_in(text, header)
    return next(toml_lines.lines(header)).path, header


def _beginning(runtime: Runtime, path: str) -> str:
    return f"# {_COMMENT}\n" + (f"{containerd_config.new_file(path)}\n" if runtime is CONTAINERD else "")


def _by_hand(told: Told, path: str, header: str, values: dict[str, str], why: str) -> str:
    lines = " and ".join(f'{key} = "{value}"' for key, value in values.items())
    return f"{path} is not edited by a program, since {why}: set {lines} in {header} there by hand, then restart {told.runtime.name}"


def _words(path: str, header: str, before: str, section: toml_lines.Path, values: dict[str, str], new: bool) -> str:
    old = toml_lines.read(before)
    lines = []
    for key, value in values.items():
        was = old.get((*section, key))
        lines.append(f'{key} = "{value}" ({"not set before" if not isinstance(was, str) else f"{was[:50]!r} before"})')
    return f"{'write the file' if new else 'in'} {path}, section {header}: {', '.join(lines)}"


def _check_winner(told: Told, port: int, path: str, after: str) -> None:
    """Read all of it as it would then be."""
    files = told.files.with_text(path, after)
    setting = _setting(told.runtime, told.argv, files)
    if files.gaps or setting is None:
        raise ChangeRefusedError(f"what {told.runtime.name} would be told could not be read: {_gap(files)}")
    then = told._replace(setting=setting)
    if not then.says(port):
        later = (
            "the command line sets the address" if then.setting.file in (None, path) else f"{then.where} is read later"
        )
        raise ChangeRefusedError(f"{path} would not decide: {later}")


def _trial(told: Told, path: str, after: str, pid: int, port: int, places: Places, deadline: Deadline) -> list[str]:
    """What containerd itself says; sentences for the plan."""
    try:
        program = os.readlink(f"{places.proc}/{pid}/exe")
    except OSError as error:
        return [f"not tried with containerd itself: {error.strerror}"]
    notes = []
    if program.endswith(_DELETED):
        program = program[: -len(_DELETED)]
        notes = [f"{program} was replaced since it was started: the restart starts the new one"]
    if not trusted_programs.is_trusted(program):
        return [*notes, f"not tried with containerd itself: others may change {program}, or it is not there"]
    first = containerd_config.path_of(told.argv)
    place = os.path.join(places.root, first.lstrip("/"))
    now = containerd_trial.dump(program, place, deadline) if os.path.exists(place) else {}
    if now is None:
        raise ChangeRefusedError(
            f"containerd refuses its configuration as it is now, and would not start again: {program} --config {first} config dump"
        )
    if path != first or not now:
        return notes
    return [*notes, *_trial_of_text(program, now, after, port, deadline)]


def _trial_of_text(program: str, now: Values, after: str, port: int, deadline: Deadline) -> list[str]:
    imports = toml_lines.read(after).get(("imports",)) or []
    if any(not str(pattern).startswith("/") for pattern in imports):
        return []  # they lie beside the file
    try:
        then = containerd_trial.dump_text(program, after, deadline)
    except (OSError, AttributeError):  # a kernel or a Python without memfd_create
        return []
    if then is None:
        raise ChangeRefusedError("containerd refuses the file as it would be after the change")
    keys = (containerd_config.ADDRESS_KEY, containerd_config.PORT_KEY)
    changed = containerd_trial.differences(now, then)
    ports = [value for setting, value in then.items() if setting[-1] == containerd_config.PORT_KEY]
    if ports != [str(port)] or any(setting[-1] not in keys for setting in changed):
        raise ChangeRefusedError("containerd reads the file as it would be after the change otherwise than it is meant")
    return ["containerd has read the changed file and shows this port (containerd config dump)"]


def _flag(told: Told, port: int, unit: str, places: Places, deadline: Deadline) -> Change:
    """A drop-in for the unit of cri-dockerd."""
    (shown,) = unit_state.show([unit], ("FragmentPath", "DropInPaths", "NeedDaemonReload"), deadline, places.root)
    flag = f"{CRI_DOCKERD.key}={LOOPBACK}:{port}"
    place = exec_start.place(unit)
    files, texts = Files(places.root, []), []
    paths = [shown["FragmentPath"], *shown["DropInPaths"].split()]
    if place not in paths and files.may_be_there(place):
        paths.append(place)  # which systemd has not read yet
    for path in paths:
        text = files.text(path) if path.startswith("/") else None
        if not text:
            raise ChangeRefusedError(f"the unit file {path or f'of {unit}'} could not be read")
        texts.append((path, text))
    try:
        after = exec_start.drop_in(texts, told.argv, flag, _COMMENT)
    except exec_start.ExecStartError as error:
        raise ChangeRefusedError(
            f"{unit} is not changed by a program, since {error}: add {flag} to its command line by hand"
        ) from error
    reload_ = "systemd reads its units anew"
    if shown["NeedDaemonReload"] == "yes":
        reload_ += f", and with it what somebody else has changed in those of {unit}"
    undo = f"{place} gets its old text back" if files.may_be_there(place) else f"{place} is removed"
    return Change(
        [FileText(place, after), Reload()],
        [f"write the file {place}, which adds {flag} to the command line that {unit} has", reload_],
        [f"{undo}, and systemd reads its units anew"],
    )


def _gap(files: Files) -> str:
    return (
        "; ".join(f"{gap['what']}: {gap['why']}" for gap in files.gaps[:3])
        or "the CRI plugin is disabled, or there are several"
    )
