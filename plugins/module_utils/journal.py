# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the units of a Kubernetes node wrote to the journal, and what systemd wrote about them, newest first.

A unit is followed back to its last start, since what it said before may be cured: its newest entry tells which run of it this is
(_SYSTEMD_INVOCATION_ID, systemd 232 and newer), else systemd's entry that it was started. Units that keep the clock are followed
through the whole window, because the clock is stepped right before or after their start.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import journal_files, signature_words
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.journal_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.journalctl import (
    WHAT,
    Journalctl,
    JournalctlError,
    Reading,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import (
    JOURNAL,
    KERNEL,
    POD,
    LogLine,
    Origin,
    PodLog,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.log_matcher import Matcher
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import (
    BEGINNING,
    BUDGET,
    START,
    WINDOW,
    Scanned,
    Told,
    Wanted,
    moment,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.signatures import SIGNATURES, Signature

KERNEL_JOURNAL = "kernel's journal"  # in the section's ``scanned``
# journald notices when the clock is set back.
_KEEPERS = tuple(f"{name}.service" for name in (*signature_words.CLOCK, "systemd-journald"))
_KUBELETS = tuple(f"{name}.service" for name in signature_words.KUBELET)
_NAMED = tuple(f"{name}.service" for signature in SIGNATURES for name in signature.units)
# In the order in which they are read: those that say little first, so that they are not left out for those that say much.
UNITS = tuple(dict.fromkeys((*_KEEPERS, *_KUBELETS, *_NAMED)))
_DOCKER = frozenset(f"{name}.service" for name in signature_words.DOCKER)
# Containers that a signature names, and one that none does.
_CONTAINERS = ("", *dict.fromkeys(name for signature in SIGNATURES for name in signature.containers))
# src/systemd/sd-messages.h, the same in all versions: SD_MESSAGE_UNIT_STARTED, SD_MESSAGE_JOURNAL_DROPPED.
_STARTED = "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf"
_DROPPED = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e"
_ABOUT = "_PID=1"  # systemd's own entries
# journald-rate-limit.c: "Suppressed 2034 messages from kubelet.service"; before systemd 239 "from /system.slice/kubelet.service"
_SUPPRESSED = re.compile(r"Suppressed ([0-9]{1,12}) messages from (?:/\S*/)?(\S+)")
# Of the window: where a unit says so much that nothing was found when its time was over, this newest part is read by itself.
_NEWEST_PART = 16
# Services that nothing here is named after, which are asked all at once for what any program may say.
_OTHERS_LIMIT = 250
OTHERS = "other services"  # in the section's ``scanned``
# One unit that talks without end leaves something to the others: half of the bytes and of the time that are left.
_SHARE = 2


class Source(NamedTuple):
    """What is looked for, and where; ``folder`` None is the journal of this machine. ``matcher`` looks for ``signatures``."""

    signatures: Sequence[Signature]
    matcher: Matcher
    wanted: Wanted
    folder: Optional[str] = None


class _Look(NamedTuple):
    """What to read of one unit: what matches, holds an anchor and is not older than ``since``.

    That reaches back to ``begin``, which ``stopped`` explains.
    """

    name: str
    anchors: Collection[str]
    matches: list[str]
    since: float
    begin: float
    stopped: str
    newest: Optional[float]


def collect(source: Source, deadline: Deadline, told: Told) -> None:
    """Hand the units' entries to the matcher, and tell of each unit that has ever written how much of it was read."""
    try:
        _Search(source, deadline, told).units()
    except JournalctlError as error:
        told.miss(WHAT, str(error))


def collect_kernel(source: Source, deadline: Deadline, told: Told) -> bool:
    """The same for what journald took over from the kernel. False when there is nothing of it, for whatever reason."""
    try:
        return _Search(source, deadline, told).kernel()
    except JournalctlError as error:
        told.miss(WHAT, str(error))
        return False


def _by_unit(units: Collection[str]) -> list[str]:
    """Matches for what units said, and for what systemd said about them."""
    return [*(f"_SYSTEMD_UNIT={unit}" for unit in units), "+", _ABOUT, *(f"UNIT={unit}" for unit in units)]


def _by_run(unit: str, invocation: str) -> list[str]:
    said, about = f"_SYSTEMD_INVOCATION_ID={invocation}", f"INVOCATION_ID={invocation}"
    return [f"_SYSTEMD_UNIT={unit}", said, "+", _ABOUT, f"UNIT={unit}", about]


class _Search:
    """One search of one journal. Raises JournalctlError when it is of no use."""

    def __init__(self, source: Source, deadline: Deadline, told: Told) -> None:
        self._source = source
        self._deadline = deadline
        self._told = told
        self._bytes_left = source.wanted.max_bytes
        self._origins: dict[Origin, Origin] = {}
        self._present_units: Collection[str] = ()
        folders = journal_files.FOLDERS if source.folder is None else (source.folder,)
        if not journal_files.look(folders, told):
            places = " and ".join(folders)
            raise JournalctlError(f"there is none in {places}: journald does not run here, or keeps nothing")
        self._journal = Journalctl(deadline, told, source.folder)

    def units(self) -> None:
        present = self._present(UNITS)
        if not any(unit in present for unit in _KUBELETS) and not self._deadline.passed():
            self._told.miss("kubelet", "no unit that runs kubelet has written to the journal that can be seen here")
        if not present:
            return
        oldest = self._journal.oldest([*_by_unit(list(present)), "+", _ABOUT])
        looks = [self._look(unit, newest, oldest) for unit, newest in present.items()]
        others = self._others(present)
        self._look_at([look for look in (*looks, *others) if look.anchors])
        self._suppressed(present)

    def kernel(self) -> bool:
        matches = ["_TRANSPORT=kernel"]
        newest = self._journal.newest(matches)
        if newest is None:
            return False
        anchors = self._anchors([Origin(KERNEL)])
        self._look_at([self._within_window(KERNEL_JOURNAL, anchors, matches, newest, self._journal.oldest(matches))])
        return True

    def _present(self, units: Collection[str]) -> dict[str, Entry]:
        """The newest entry of each unit that has any, in the order of ``units``.

        The newest entry of all names one unit; without that one the same is asked again, until nobody answers.
        """
        left, found = list(units), {}
        while left:
            newest = self._journal.newest(_by_unit(left))
            if newest is None:
                break
            # An entry that matches and names another unit is not systemd's work; one unit is then asked for by itself.
            unit = newest.unit if newest.unit in left else left[0]
            if unit != newest.unit:
                newest = self._journal.newest(_by_unit([unit]))
            left.remove(unit)
            if newest is not None:
                found[unit] = newest
        return {unit: found[unit] for unit in units if unit in found}

    def _others(self, present: Collection[str]) -> list[_Look]:
        """One look for all other services, and for systemd itself: some signatures are of no unit."""
        anchors = self._anchors([Origin(JOURNAL, "")])
        if not anchors:
            return []
        if self._deadline.passed():
            self._told.miss(OTHERS, "there was no time left to ask them: raise timeout")
            return []
        self._present_units = frozenset(present)
        names = [unit for unit in self._journal.units() if unit.endswith(".service") and unit not in present]
        if len(names) > _OTHERS_LIMIT:
            self._told.miss(OTHERS, f"{len(names) - _OTHERS_LIMIT} of {len(names)} were not asked: they are too many")
        matches = [_ABOUT, *(part for unit in names[:_OTHERS_LIMIT] for part in ("+", f"_SYSTEMD_UNIT={unit}"))]
        newest = self._journal.newest(matches)
        if newest is None:
            return []
        return [self._within_window(OTHERS, anchors, matches, newest, self._journal.oldest(matches))]

    def _anchors(self, origins: Sequence[Origin]) -> Collection[str]:
        """What every line of a signature from there holds: one of these."""
        applying = [one for one in self._source.signatures if any(one.applies(origin) for origin in origins)]
        return {wording.anchor for signature in applying for wording in signature.wordings}

    def _look(self, unit: str, newest: Entry, oldest: Optional[Entry]) -> _Look:
        origins = [Origin(JOURNAL, unit)]
        if unit in _DOCKER:  # its log driver "journald" writes what containers say
            origins += [Origin(POD, None, PodLog("", "", "", name, None)) for name in _CONTAINERS]
        anchors = self._anchors(origins)
        if unit in _KEEPERS:
            return self._within_window(unit, anchors, _by_unit([unit]), newest, oldest)
        if newest.invocation is not None:
            matches = _by_run(unit, newest.invocation)
            look = self._within_window(unit, anchors, matches, newest, oldest)
            start = self._journal.oldest(matches)
        else:
            look = self._within_window(unit, anchors, _by_unit([unit]), newest, oldest)
            start = self._journal.newest([_ABOUT, f"UNIT={unit}", _STARTED])
        if start is None or start.when is None or start.when <= look.begin:
            return look
        look = look._replace(begin=start.when, stopped=START)
        # A start from the future was before the clock was set back: what came after it bears earlier times.
        bounded = newest.invocation is not None or newest.when is None or start.when > newest.when
        return look if bounded else look._replace(since=start.when)

    def _within_window(
        self, name: str, anchors: Collection[str], matches: list[str], newest: Entry, oldest: Optional[Entry]
    ) -> _Look:
        """A look that is bounded by the window, or by the journal's ``oldest`` entry, if that is younger."""
        begin, stopped = self._source.wanted.begin, WINDOW
        if oldest is not None and oldest.when is not None and oldest.when > begin:
            begin, stopped = oldest.when, BEGINNING
        return _Look(name, anchors, matches, self._source.wanted.begin, begin, stopped, newest.when)

    def _look_at(self, looks: Sequence[_Look]) -> None:
        for look in looks:
            scanned = Scanned(KERNEL if look.name == KERNEL_JOURNAL else JOURNAL, look.name)
            self._told.scanned.append(scanned)
            scanned.end = look.newest
            if self._deadline.passed():
                scanned.stopped = BUDGET
                self._told.miss(look.name, "there was no time left to read it: raise timeout")
            else:
                self._read(look, scanned, 1 if look is looks[-1] else _SHARE)

    def _read(self, look: _Look, scanned: Scanned, share: int) -> None:
        """Hand one unit's entries to the matcher, within the ``share`` (1 is all) of what is left."""
        reading, oldest = self._feed(look, look.since, share, scanned)
        if reading.stopped == BUDGET and not scanned.lines:
            # Nothing is kept of what journalctl has found and not yet written, so that less is asked for.
            now = self._source.wanted.now
            newest = now if look.newest is None else min(now, look.newest)
            begin = max(look.since, newest - self._source.wanted.since / _NEWEST_PART)
            again, oldest = self._feed(look, begin, share, scanned)
            oldest = begin if again.stopped is None else oldest
        scanned.begin, scanned.stopped = look.begin, look.stopped
        if look.stopped != WINDOW and look.newest is not None and look.newest < look.begin:
            scanned.begin = None  # the clock was set back since then
        if reading.stopped is not None:
            scanned.begin, scanned.stopped = oldest, reading.stopped
            cure = "raise timeout" if reading.stopped == BUDGET else "raise max_bytes"
            part = "it was not read in full" if oldest is None else f"only what is newer than {moment(oldest)} was read"
            self._told.miss(look.name, f"{part}: {cure}")

    def _feed(self, look: _Look, since: float, share: int, scanned: Scanned) -> tuple[Reading, Optional[float]]:
        """Hand what is not older than ``since`` to the matcher; returns how that ended, and when the last of it was said."""
        reading, oldest = Reading(), None
        deadline, max_bytes = Deadline(self._deadline.left() / _SHARE), self._bytes_left // share
        for entry in self._journal.read(look.matches, since, look.anchors, deadline, max_bytes, reading):
            # One object for all entries of an origin: the matcher asks but once what applies to it.
            if look.name == OTHERS and entry.unit in self._present_units:
                continue  # systemd's words about a unit that was read by itself
            origin = self._origins.setdefault(entry.origin, entry.origin)
            self._source.matcher.feed(LogLine(entry.message, entry.when, origin))
            scanned.lines += 1
            oldest = entry.when
        self._bytes_left -= reading.bytes
        scanned.bytes += reading.bytes
        return reading, oldest

    def _suppressed(self, present: Collection[str]) -> None:
        """What journald itself has thrown away, because a unit said too much at once."""
        lost: dict[str, int] = {}
        since = self._source.wanted.begin
        for entry in self._journal.read(
            [_DROPPED], since, ["Suppressed "], self._deadline, self._bytes_left, Reading()
        ):
            found = _SUPPRESSED.search(entry.message)
            if found and found.group(2) in present:
                lost[found.group(2)] = lost.get(found.group(2), 0) + int(found.group(1))
        for unit, count in lost.items():
            why = f"journald has dropped {count} of its messages, which came too fast (RateLimitBurst in journald.conf)"
            self._told.miss(unit, why)
