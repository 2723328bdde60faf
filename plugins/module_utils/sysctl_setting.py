# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel setting that a fix changes, now and for each boot.

The value goes into a file of the administrator's folder that is read last of all files that set the key, and into the kernel.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Callable, NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import conf_folders, procfs, sysctl_files
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import FileText, Step, Sysctl
from ansible_collections.kubenode.doctor.plugins.module_utils.conf_folders import ConfError
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places

Enough = Callable[[str], bool]

# 60 is where the cures of the findings put it, and where most things are before it; the others are for what is not.
_PREFIXES = ("60-", "99-", "zz-")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._@+-]{1,200}\.conf")
_MOST_BYTES = 1 << 20  # of a value; the kernel prints a long list of ports in full only to one large read
# procps writes a value in one go, of which the kernel takes 4095 bytes (kernel/sysctl.c, proc_do_large_bitmap: PAGE_SIZE - 1); seen with 4.0.2.
ONE_WRITE = 4095
_SHOWN = 300
_LOOK_SECONDS = 10.0  # for the look after the change, which is not to fail because the change took all the time
_NO_TEXT = "\ufffd"


class SettingError(Exception):
    """The setting cannot be changed here; the text says why."""


class Setting(NamedTuple):
    """``live`` is what the kernel has, ``files`` what sets it at boot. ``systemd`` tells that systemd-sysctl does that (sd_booted(3))."""

    key: str
    live: str
    files: sysctl_files.KeyFiles
    systemd: bool

    @property
    def at_boot(self) -> Optional[str]:
        """The value that is set at boot; None where none is."""
        found = self.files.at_boot
        return found.value if found else None


class Change(NamedTuple):
    """The steps, what to tell of them, and how they are undone; ``path`` is the file that sets the value at boot, None where none is written."""

    steps: Tuple[Step, ...]
    told: Tuple[str, ...]
    undo: Tuple[str, ...]
    path: Optional[str]


def look(key: str, places: Places, deadline: Deadline) -> Setting:
    """Read it, as it is now. Raises SettingError, also where the kernel would not let it be changed."""
    live = live_value(key, places)
    refusal = why_read_only(key, places)
    if refusal:
        raise SettingError(refusal)
    try:
        files = sysctl_files.read(key, places.root, deadline)
    except ConfError as error:
        raise SettingError(f"what sets {key} at boot is not known: {error}") from error
    return Setting(key, live, files, os.path.isdir(os.path.join(places.root, "run/systemd/system")))


def live_value(key: str, places: Places) -> str:
    """What the kernel has. Raises SettingError."""
    place = _place(key, places)
    try:
        text = procfs.text(place, _MOST_BYTES + 1)
    except FileNotFoundError as error:
        raise SettingError(f"this kernel has no {key}") from error
    except OSError as error:
        raise SettingError(f"{key} cannot be read: {error.strerror or error}") from error
    if len(text) > _MOST_BYTES:
        raise SettingError(f"{key} is longer than {_MOST_BYTES} bytes")
    return text.strip()


def why_read_only(key: str, places: Places) -> str:
    """Why the kernel would not let it be set; empty where it would."""
    place = _place(key, places)
    try:
        writable = os.stat(place).st_mode & stat.S_IWUSR
    except OSError as error:
        return f"{key} cannot be seen: {error.strerror or error}"
    if not writable:
        return (
            f"the kernel lets {key} be set in the first network namespace of the machine alone, and this is another one (a container's): set it on "
            "the machine itself"
        )
    if not os.access(place, os.W_OK):
        return f"{key} cannot be written here: run with become (-b), and where /proc/sys is mounted read-only, as in a container, on the machine itself"
    return ""


def change(
    setting: Setting,
    after: str,
    enough: Enough,
    name: str,
    why: Sequence[str],
    beside: Optional[Mapping[str, str]] = None,
) -> Change:
    """What lets the setting be ``after`` (as the kernel prints it) where what there is is not ``enough``.

    ``name`` is what our file is called, as in 60-NAME.conf, ``why`` its comments, ``beside`` are settings that go into it as well. No file is written where the
    kernel's default is enough. Raises SettingError.
    """
    path = None if _is_set_at_boot(setting, enough) else own_file(setting.files, name)
    steps: list[Step] = []
    undo = []
    if not enough(setting.live):
        steps.append(Sysctl(setting.key, after))
        undo.append(_undo_command(setting))
    if path:
        before = setting.files.text(path)
        if _NO_TEXT in before:
            raise SettingError(f"{path} holds bytes that are no text")
        steps.insert(0, FileText(path, sysctl_files.with_settings(before, {setting.key: after, **(beside or {})}, why)))
        undo.append(f"{path} holds again what it holds now" if before else f"rm {path}")
    told = tuple(_told(setting, after, enough, path))
    return Change(tuple(steps), told, tuple(undo), path)


def verify(setting: Setting, enough: Enough, places: Places, deadline: Deadline) -> str:
    """Whether the kernel has it, and the boot sets it: "", or what is not so."""
    try:
        now = look(setting.key, places, Deadline(max(deadline.left(), _LOOK_SECONDS)))
    except SettingError as error:
        return str(error)
    if not enough(now.live):
        return f"{setting.key} was set, and is {shown(now.live)} all the same"
    if not _is_set_at_boot(now, enough):
        return f"at the next boot {setting.key} would be {shown(now.at_boot)} all the same"
    return ""


def but_for_conf(setting: Setting, enough: Enough) -> str:
    """What has to be said beside "nothing is left to be done": that /etc/sysctl.conf sets less; empty where it does not."""
    return "".join(f"; {words}" for words in _told_of_conf(setting, enough))


def own_file(files: sysctl_files.KeyFiles, name: str) -> str:
    """The file of ours that is, or would be, read last of all that set the key. Raises SettingError."""
    by_name = [found.file for found in files.assignments if not found.by_pattern]
    last = by_name[-1] if by_name else ""
    ours = [f"{sysctl_files.FOLDER}/{prefix}{name}.conf" for prefix in _PREFIXES]
    base = os.path.basename(last)
    if last in ours or (os.path.dirname(last) == sysctl_files.FOLDER and base.endswith(f".zz-{name}.conf")):
        return last
    if _PLAIN_NAME.fullmatch(base):
        ours.append(f"{sysctl_files.FOLDER}/{base[: -len('.conf')]}.zz-{name}.conf")
    # A file of the same name in another folder would be hidden by ours, with all that it sets.
    hidden = {file.name for file in files.files if os.path.dirname(file.path) != sysctl_files.FOLDER}
    for path in ours:
        if os.path.basename(path) not in hidden and (
            not last or conf_folders.sort_key(path) > conf_folders.sort_key(last)
        ):
            return path
    raise SettingError(f"no name is known that is read after {conf_folders.shown(last)}, which sets it")


def shown(value: Optional[str]) -> str:
    """A value for a person: cut, and never nothing."""
    if not value:
        return "empty" if value == "" else "what the kernel sets by itself"
    text = value if value.isprintable() else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def at_least(number: int) -> Enough:
    """For settings that are a number."""
    return lambda text: re.fullmatch(r"[0-9]{1,20}", text) is not None and int(text) >= number


def _is_set_at_boot(setting: Setting, enough: Enough) -> bool:
    at_boot = setting.at_boot
    return enough(setting.live) if at_boot is None else enough(at_boot)


def _told(setting: Setting, after: str, enough: Enough, path: Optional[str]) -> Iterator[str]:
    if not enough(setting.live):
        yield f"{setting.key}, {shown(setting.live)}, becomes {shown(after)} at once"
    if path:
        how = "changed" if setting.files.text(path) else "new"
        yield f"{path} ({how}) sets it at each boot: {shown(after)}"
        others = {found.file: found.value for found in setting.files.assignments if found.file != path and found.value}
        for file, value in list(others.items())[-3:]:
            yield f"{conf_folders.shown(file)} sets {shown(value)} and is read before it"
    elif not enough(setting.live):
        yield f"at boot it is set to {shown(setting.at_boot)} already, by {conf_folders.shown(_file(setting))}"
    yield from _told_of_conf(setting, enough)


def _told_of_conf(setting: Setting, enough: Enough) -> Iterator[str]:
    """Of /etc/sysctl.conf, where it would set less."""
    found = next(iter(setting.files.in_conf[-1:]), None)
    if found is None or found.value is None or enough(found.value):
        return
    boot = (
        "this machine's boot does not (systemd-sysctl), whoever runs that by hand does"
        if setting.systemd
        else "and this machine's boot, which is not systemd's, may do so"
    )
    yield (
        f"{found.file} sets {shown(found.value)}, and sysctl --system reads it after all others: {boot}; take the line out there"
    )


def _file(setting: Setting) -> str:
    found = setting.files.at_boot
    return found.file if found else ""


def _undo_command(setting: Setting) -> str:
    if len(setting.live) > ONE_WRITE:
        return f"{setting.key} becomes what it is now: {shown(setting.live)}"
    if setting.live:
        return shlex.join(("sysctl", "-w", f"{setting.key}={setting.live}"))
    return f"printf '\\n' > /proc/sys/{sysctl_files.proc_path(setting.key)}"


def _place(key: str, places: Places) -> str:
    return f"{places.proc}/sys/{sysctl_files.proc_path(key)}"
