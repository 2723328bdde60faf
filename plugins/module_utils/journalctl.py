# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks journalctl, which alone understands the journal's files: they are compressed in three ways and grow new features.

A match is what journalctl calls so, ``["_SYSTEMD_UNIT=kubelet.service"]``: matches of one field are alternatives, those of different
fields must all hold, "+" stands between alternatives. An index in each file makes them cheap, so it is asked often and for little:
some milliseconds a call.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Generator, Iterator, Sequence
from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import journal_entry, program_lines, search_pattern
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.journal_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import BUDGET, LIMIT, Told
from ansible_collections.kubenode.doctor.plugins.module_utils.program_lines import Program

WHAT = "journal"  # in the gaps
# NEWS of systemd: --output-fields came with 236, --grep with 237, if it was built with PCRE2.
_FIELDS_SINCE = 236
_GREP_SINCE = 237
_VERSION = re.compile(r"systemd ([0-9]{1,4})")
# src/journal/journalctl.c: "Compiled without pattern matching support"; shared/pcre2-util.c: "PCRE2 support is not installed".
_NO_GREP = re.compile(r"pattern|pcre2", re.IGNORECASE)
_NO_PERMISSION = "insufficient permissions"
_ONE_ENTRY = 64 << 20  # bytes: what an answer of one entry may have; without --output-fields a core dump may be in it
_LONGEST_ENTRY = 8 << 20  # bytes of JSON; of a message that is no text it takes four to print one
_COMPLAINTS = 10  # that are told
_SHOWN = 300  # characters of a complaint


class JournalctlError(Exception):
    """journalctl is of no use here; the text says why."""


class Reading:
    """Entries as they come, newest first; then ``bytes``, and ``stopped`` if it did not come to the end: LIMIT or BUDGET."""

    def __init__(self) -> None:
        self.bytes = 0
        self.stopped: Optional[str] = None


class Journalctl:
    """journalctl of this machine, asked for its own journal or for the files of a folder.

    What it complains of (files that are corrupt or of a newer version) and what cannot be understood is added to ``told``.
    """

    def __init__(self, deadline: Deadline, told: Told, folder: Optional[str] = None) -> None:
        """Raises JournalctlError."""
        self._deadline = deadline
        self._told = told
        self._complaints: set[str] = set()
        program = shutil.which("journalctl", path=os.environ.get("PATH") or program_lines.PATH)
        if program is None:
            raise JournalctlError("there is no journalctl: this node has no systemd, or is a container without it")
        self._program = program
        version, features = self._version()
        self.can_search = version >= _GREP_SINCE and "+PCRE2" in features
        self._options = ["--output=json", "--all", "--no-pager", "--quiet"]
        if version >= _FIELDS_SINCE:
            self._options.append("--output-fields=" + ",".join(journal_entry.FIELDS))
        if folder is not None:
            self._options.append(f"--directory={folder}")

    def newest(self, matches: Sequence[str]) -> Optional[Entry]:
        """The newest entry that matches. Raises JournalctlError for one that does not do as it is asked."""
        with contextlib.closing(
            self._entries(["--lines=1", *matches], self._deadline, _ONE_ENTRY, Reading())
        ) as entries:
            newest = next(entries, None)
            if newest is not None and next(entries, None) is not None:
                raise JournalctlError("journalctl prints more than the one entry that it was asked for")
        return newest

    def oldest(self, matches: Sequence[str]) -> Optional[Entry]:
        """The oldest entry that matches."""
        with contextlib.closing(self._entries(matches, self._deadline, _ONE_ENTRY, Reading())) as entries:
            return next(entries, None)

    def units(self) -> list[str]:
        """The units that have ever written, sorted: an index holds them. It is no gap where that cannot be told."""
        with self._run([*self._options, "--field=_SYSTEMD_UNIT"], self._deadline, _LONGEST_ENTRY) as program:
            return sorted({line.decode("utf-8", "replace") for line in program.lines()})

    def read(
        self,
        matches: Sequence[str],
        since: float,
        anchors: Collection[str],
        deadline: Deadline,
        max_bytes: int,
        reading: Reading,
    ) -> Iterator[Entry]:
        """Entries that match, newest first, and are not older than ``since`` (epoch seconds).

        Where journalctl can search, only those that hold one of ``anchors``, which is three to four times as fast as to print and
        read them all; without, all of them.
        """
        window = ["--reverse", f"--since=@{int(since)}", *matches]
        if self.can_search:
            search = ["--case-sensitive=yes", f"--grep={search_pattern.any_of(anchors)}"]
            yield from self._entries([*search, *window], deadline, max_bytes, reading)
        if not self.can_search:  # from the beginning, or since the search was refused
            yield from self._entries(window, deadline, max_bytes, reading)

    def _version(self) -> tuple[int, str]:
        with self._run(["--version"], self._deadline, _LONGEST_ENTRY) as program:
            text = b"\n".join(program.lines()).decode("utf-8", "replace")
        if program.stopped is not None:
            raise JournalctlError("journalctl --version has not ended in time: it hangs")
        found = _VERSION.search(text)
        if found is None:
            raise JournalctlError(f"journalctl does not tell its version: {_plain(text) or 'it says nothing'}")
        return int(found.group(1)), text

    @contextlib.contextmanager
    def _run(self, arguments: Sequence[str], deadline: Deadline, max_bytes: int) -> Iterator[Program]:
        try:
            with Program([self._program, *arguments], deadline, max_bytes, _LONGEST_ENTRY) as program:
                yield program
        except OSError as error:
            raise JournalctlError(f"journalctl cannot be run: {error.strerror or error}") from error

    def _entries(
        self, arguments: Sequence[str], deadline: Deadline, max_bytes: int, reading: Reading
    ) -> Generator[Entry, None, None]:
        garbage = 0
        searched = any(argument.startswith("--grep=") for argument in arguments)
        if deadline.passed():
            reading.stopped = BUDGET
            if not searched:
                self._told.miss(WHAT, "there was no time left to ask for all that is needed: raise timeout")
            return
        with self._run([*self._options, *arguments], deadline, max_bytes) as program:
            for line in program.lines():
                try:
                    entry = journal_entry.parse(line)
                except ValueError:
                    garbage += bool(line.strip())
                    continue
                yield entry
        reading.bytes, reading.stopped = reading.bytes + program.bytes, program.stopped
        if program.stopped == LIMIT and max_bytes == _ONE_ENTRY:
            raise JournalctlError(f"journalctl prints more than {_ONE_ENTRY >> 20} MiB when it is asked for one entry")
        self._judge(program, garbage, searched)

    def _judge(self, program: Program, garbage: int, searched: bool) -> None:
        """Remember what kept a run from telling everything."""
        errors = program.errors()
        if searched and program.status and any(_NO_GREP.search(line) for line in errors):
            self.can_search = False
            return
        for line in errors:
            self._complain(line)
        # A search that finds nothing ends with 1 and says nothing (systemd 246 and newer).
        if program.status and not errors and not searched:
            self._told.miss(WHAT, f"journalctl ended with status {program.status} and gave no reason")
        if garbage:
            self._told.miss(WHAT, f"{garbage} lines of what journalctl printed are no entries")
        if program.long_lines:
            size = _LONGEST_ENTRY >> 20
            self._told.miss(WHAT, f"{program.long_lines} entries of more than {size} MiB were left out")
        if program.stopped == BUDGET and not program.bytes and not errors and not searched:
            self._told.miss(
                WHAT, "journalctl has said nothing in the time that it was given: it hangs, or the disk is slow"
            )

    def _complain(self, line: str) -> None:
        why = _plain(line)
        if _NO_PERMISSION in why:
            why = "its files may not be read: run with become (-b)"
        if why not in self._complaints and len(self._complaints) < _COMPLAINTS:
            self._complaints.add(why)
            self._told.miss(WHAT, why)


def _plain(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text.strip()[:_SHOWN])
