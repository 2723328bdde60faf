# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sets a kernel setting at boot: sysctl.d(5)'s folders, and /etc/sysctl.conf.

    net.ipv4.ip_local_reserved_ports = 8080,30053
    -net/core/somaxconn=4096                          "-": that it cannot be set is no error; slashes as well as dots
    net.ipv4.conf.*.rp_filter = 0                     a pattern, which sets nothing that is set by its name somewhere
    -net.ipv4.conf.lo.rp_filter                       no value: patterns leave it out

Of all that set one key the last counts. systemd-sysctl reads the folders alone. `sysctl --system` (procps), which older boots and many
guides run, reads /etc/sysctl.conf after them, whether or not it is linked into a folder. Sources: sysctl.d(5), systemd's src/sysctl/sysctl.c
(parse_file, apply_all) and procps' src/sysctl.c (parse_setting_line, PreloadSystem), and both programs themselves in
tests/integration_real/test_sysctl_files_oracle.py. procps before 4.0 has /run before /etc, and reads no patterns before 3.3.17.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import conf_folders
from ansible_collections.kubenode.doctor.plugins.module_utils.conf_folders import ConfError, ConfFile
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
FOLDER = FOLDERS[0]  # for the administrator's own
CONF = "/etc/sysctl.conf"
_COMMENTS = ("#", ";")
_MARK = "# kubenode.doctor"
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_WILDCARDS = frozenset("*?[")
_MOST_STARS = 8  # in one part of a pattern; Python 3.8 needs for ever for many


class Assignment(NamedTuple):
    """A line that sets the key; of one without a value (a key that patterns leave out) ``value`` is None."""

    file: str
    value: Optional[str]
    by_pattern: bool = False


class KeyFiles(NamedTuple):
    """``assignments`` of one key in the order of the folders' files, ``in_conf`` those of /etc/sysctl.conf; ``files`` are all that count."""

    assignments: Tuple[Assignment, ...]
    in_conf: Tuple[Assignment, ...]
    files: Tuple[ConfFile, ...]

    @property
    def at_boot(self) -> Optional[Assignment]:
        """Whose value systemd-sysctl sets at boot; None where nobody sets it."""
        return _last(self.assignments)

    @property
    def by_sysctl_system(self) -> Optional[Assignment]:
        """Whose value ``sysctl --system`` sets."""
        return _last((*self.assignments, *self.in_conf))

    def text(self, path: str) -> str:
        """What one of ``files`` holds, "" for one that is not there."""
        return next((file.text for file in self.files if file.path == path), "")


def read(key: str, root: str, deadline: Deadline) -> KeyFiles:
    """Raises ConfError where something could not be read: a value may be there that counts."""
    files = conf_folders.read(root, FOLDERS, deadline)
    try:
        conf = [ConfFile(CONF, conf_folders.text_of(root, CONF))]
    except FileNotFoundError:
        conf = []
    return KeyFiles(tuple(_assignments(key, files)), tuple(_assignments(key, conf)), tuple(files))


def proc_path(key: str) -> str:
    """Below /proc/sys: "net/core/somaxconn"; a key whose first separator is a slash is one already (systemd's sysctl_normalize)."""
    dot, slash = key.find("."), key.find("/")
    if dot < 0 or 0 <= slash < dot:
        return key.strip("/")
    return key.translate({ord("."): "/", ord("/"): "."})


def with_settings(text: str, settings: Mapping[str, str], comments: Sequence[str]) -> str:
    """A file's text with these settings, commented, at its end and nowhere else; every other byte is as it was, but for our comments of an earlier time.

    Ours are those right before such a setting; what a person has written of us elsewhere stays.
    """
    paths = {proc_path(key) for key in settings}
    kept: list[str] = []
    for line in _LINE.findall(text):
        if _path(line) not in paths:
            kept.append(line)
            continue
        while kept and kept[-1].startswith(f"{_MARK}: "):
            kept.pop()
    end = "\r\n" if 0 < text.count("\n") == text.count("\r\n") else "\n"
    if kept and not kept[-1].endswith("\n"):
        kept.append(end)
    ours = [f"{_MARK}: {comment}" for comment in comments] + [f"{key} = {value}" for key, value in settings.items()]
    return "".join((*kept, *(f"{line}{end}" for line in ours)))


def _path(line: str) -> Optional[str]:
    parsed = _parse(line)
    return proc_path(parsed[0]) if parsed else None


def _assignments(key: str, files: Sequence[ConfFile]) -> Iterator[Assignment]:
    wanted = proc_path(key)
    for file in files:
        for line in file.text.split("\n"):
            parsed = _parse(line)
            if parsed is None:
                continue
            path = proc_path(parsed[0])
            if path == wanted:
                yield Assignment(file.path, parsed[1])
            elif parsed[1] is not None and not _WILDCARDS.isdisjoint(path) and _matches(path, wanted, file.path):
                yield Assignment(file.path, parsed[1], by_pattern=True)


def _parse(line: str) -> Optional[Tuple[str, Optional[str]]]:
    """Key and value of a line; None for a comment and for what sets nothing."""
    line = line.strip()
    if not line or line.startswith(_COMMENTS):
        return None
    left, equals, value = line.partition("=")
    if not equals and not line.startswith("-"):
        return None
    key = (left[1:] if left.startswith("-") else left).strip()
    return key, value.strip() if equals else None


def _matches(pattern: str, path: str, file: str) -> bool:
    """As glob(3) matches: a star is never a slash."""
    parts, names = pattern.split("/"), path.split("/")
    if len(parts) != len(names):
        return False
    if any(part.count("*") > _MOST_STARS for part in parts):
        raise ConfError(f"{conf_folders.shown(file)} has a pattern that is not understood: {pattern[:60]!r}")
    return all(map(fnmatch.fnmatchcase, names, parts))


def _last(assignments: Sequence[Assignment]) -> Optional[Assignment]:
    by_name = [found for found in assignments if not found.by_pattern]
    last = (by_name or assignments)[-1:]
    return last[0] if last and last[0].value is not None else None
