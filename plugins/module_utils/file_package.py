# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which package a file was installed by, where dpkg installs them: Debian, Ubuntu and what is made of these.

dpkg keeps a list of the files of each package, and one text with what is known of all packages (dpkg-query(1), deb-control(5))::

    /var/lib/dpkg/info/containerd.list    /usr/bin/containerd
    /var/lib/dpkg/status                  Package: containerd
                                          Version: 1.6.20~ds1-1+deb12u3

dpkg-query is not started: it takes longer, and these files have had this form for decades. The databases of rpm and apk are binary, or not
of one form.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import regular_file
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import why_refused

_DPKG = "var/lib/dpkg"
_LIST = ".list"
_MOST_LISTS = 20_000  # a desktop has 3,000 packages
_SECONDS = 3.0  # 745 lists take 0.03 s, from a slow disk more
# linux-headers list 20,000 files in 2 MiB; all of Debian would have a status of 60 MiB.
_LARGEST_LIST = 16 << 20
_LARGEST_STATUS = 64 << 20
# deb-version(7), and Policy 5.6.1 for names
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{0,100}")
_VERSION = re.compile(r"[0-9A-Za-z.+:~-]{1,100}")
# What the packager took out of the sources, or put back: 1.6.20~ds1, 20.10.24+dfsg1 (Debian developer's reference 6.7.8.2).
_REPACKED = re.compile(r"[+~.](?:dfsg|ds)[0-9.]*")
# Folders that are links to those in /usr since Debian 12 (file-hierarchy(7)); packages may still list the old path.
_MERGED = re.compile(r"/usr(/(?:bin|sbin|lib[0-9a-z]*)/.*)", re.DOTALL)


class UnknownPackageError(Exception):
    """It cannot be told which package it is; the message says why and what to do."""


def of(path: str, root: str = "/", deadline: Optional[Deadline] = None) -> Optional[str]:
    """The package and its version, "containerd 1.6.20~ds1-1", None for a file of no package. Raises UnknownPackageError.

    ``path`` has no links in it. A file that was written after its package was installed is none of the package's.
    """
    quoted = shlex.quote(path)
    if not path.isprintable():
        raise UnknownPackageError("the name of the program has unprintable characters")
    if not os.path.isdir(os.path.join(root, _DPKG, "info")):
        raise UnknownPackageError(
            f"packages are looked up where dpkg installs them: ask rpm -qf {quoted} or apk info --who-owns {quoted}"
        )
    try:
        if f"\n{path}\n" in f"\n{_read(root, 'diversions', _LARGEST_LIST)}":
            raise UnknownPackageError(
                f"dpkg has moved files of several packages to and from there: ask dpkg -S {quoted}"
            )
        name = _owner(_names(path, root), root, Deadline(min(_SECONDS, deadline.left()) if deadline else _SECONDS))
        if name is None:
            return None
        told = _told(name, root)
        _changed_since(path, name, told, root)
    except OSError as error:
        raise UnknownPackageError(f"the files of dpkg: {error.filename or _DPKG}: {why_refused(error)}") from error
    return told


def upstream(package: str) -> Optional[str]:
    """The version of the program in what ``of`` told: 1.6.20 of "containerd 1.6.20~ds1-1"."""
    version = package.partition(" ")[2].partition(":")[2] or package.partition(" ")[2]
    return _REPACKED.split(version.rpartition("-")[0] or version)[0] or None


def _names(path: str, root: str) -> list[str]:
    """The paths under which a package may list a file."""
    merged = _MERGED.fullmatch(path)
    old = merged.group(1) if merged else None
    return [path, old] if old and os.path.islink(os.path.join(root, old.split("/")[1])) else [path]


def _owner(names: list[str], root: str, deadline: Deadline) -> Optional[str]:
    """The list that has one of these paths, without its ending. Raises OSError and UnknownPackageError."""
    folder = os.path.join(root, _DPKG, "info")
    lists = sorted(name for name in os.listdir(folder) if name.endswith(_LIST))
    # A program is mostly of the package that is named after it, or that it is named after.
    likely = os.path.basename(names[0])[:4]
    lists.sort(key=lambda name: not name.startswith(likely))
    for name in lists[:_MOST_LISTS]:
        if deadline.passed():
            raise UnknownPackageError("there was no time left to look through the lists of dpkg: ask dpkg -S")
        content = f"\n{_read(root, f'info/{name}', _LARGEST_LIST)}"
        if any(f"\n{path}\n" in content for path in names):
            return name[: -len(_LIST)]
    if len(lists) > _MOST_LISTS:
        raise UnknownPackageError(
            f"dpkg has more than {_MOST_LISTS} lists, of which some were not looked at: ask dpkg -S"
        )
    return None


def _told(name: str, root: str) -> str:
    """What is installed of a package; ``name`` may end in :ARCHITECTURE. Raises OSError and UnknownPackageError."""
    package, _colon, architecture = name.partition(":")
    status = f"\n{_read(root, 'status', _LARGEST_STATUS)}"
    begin = status.find(f"\nPackage: {package}\n")
    while begin >= 0:
        end = status.find("\n\n", begin)
        fields = dict(line.partition(": ")[::2] for line in status[begin : end if end >= 0 else None].split("\n"))
        version = fields.get("Version", "")
        if fields.get("Architecture", "") in (
            architecture or fields.get("Architecture", ""),
            "all",
        ) and _VERSION.fullmatch(version):
            break
        begin = status.find(f"\nPackage: {package}\n", begin + 1)
    else:
        version = ""
    if not _NAME.fullmatch(package) or not version:
        raise UnknownPackageError(
            f"dpkg lists it and does not tell of which version it is: ask dpkg -l {shlex.quote(package)}"
        )
    return f"{package} {version}"


def _changed_since(path: str, name: str, told: str, root: str) -> None:
    """Raise UnknownPackageError for a file that is newer than its package's list, which dpkg writes when it has unpacked.

    dpkg gives files the times that they have in the package, which are older.
    """
    written = os.stat(os.path.join(root, path.lstrip("/"))).st_mtime
    if written > os.stat(os.path.join(root, _DPKG, "info", name + _LIST)).st_mtime:
        raise UnknownPackageError(
            f"{told} was installed with a file of this path, which was written to afterwards: it is another program"
        )


def _read(root: str, name: str, limit: int) -> str:
    """The text of one of dpkg's files, "" where there is none. Raises OSError."""
    try:
        return regular_file(os.path.join(root, _DPKG, name), limit)
    except FileNotFoundError:
        return ""
