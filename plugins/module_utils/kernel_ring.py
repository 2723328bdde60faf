# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's ring of messages, which /dev/kmsg gives one record a read (Documentation/ABI/testing/dev-kmsg).

    4,1311,96133107121,-;nf_conntrack: nf_conntrack: table full, dropping packet
     SUBSYSTEM=net                                       <- lines that begin with a space say what the message is about
    30,1312,96133107600,-,caller=T338;systemd-journald[338]: Time jumped backwards, rotating.

Before the ";": facility and level, number, microseconds, flags, and whatever later kernels add. Messages of facilities other than the
kernel's (30 is daemon) were written by programs. Bytes that are not printable stand as \\x1b.

The microseconds are of the clock that printk() reads, which NTP does not correct as it does CLOCK_MONOTONIC: at 10 to 100 millionths,
which is what oscillators are off by, the two are 1 to 14 minutes apart after a hundred days, and so are the times that are told here,
as those of dmesg are. Both stand still while the machine is suspended.
"""

from __future__ import annotations

import collections
import errno
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import why_refused
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import KERNEL, LogLine, Origin
from ansible_collections.kubenode.doctor.plugins.module_utils.log_matcher import Matcher
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import (
    BEGINNING,
    BUDGET,
    LIMIT,
    WINDOW,
    Scanned,
    Told,
    Wanted,
)

PATH = "/dev/kmsg"
NAME = "kernel ring"
_DEVICE = os.makedev(
    1, 11
)  # drivers/char/mem.c; in containers the name may stand for something else, /dev/console for one
_RECORD = 8192  # bytes: CONSOLE_EXT_LOG_MAX of Linux before 6.3, 2048 since; a smaller buffer loses what does not fit
_SUSPENDED_SECONDS = 1.0  # what is less may be the time between reading two clocks
_LONGEST_NUMBER = 20  # digits of 64 bits
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


class RingError(Exception):
    """The ring cannot be read here; the text says why."""


class Record(NamedTuple):
    """``seconds`` by the kernel's own clock."""

    number: int
    seconds: float
    text: str


class Clock(NamedTuple):
    """What tells wall time from the kernel's: epoch seconds of its 0, and for how long the machine was suspended since."""

    zero: float
    monotonic: float
    suspended: float

    @classmethod
    def now(cls) -> Clock:
        monotonic = time.clock_gettime(time.CLOCK_MONOTONIC)
        suspended = time.clock_gettime(time.CLOCK_BOOTTIME) - monotonic
        return cls(time.time() - monotonic, monotonic, max(0.0, suspended))

    def when(self, seconds: float) -> float:
        """Wall time by the clock of now, whatever it was set to then; nothing is from the future."""
        return self.zero + min(seconds, self.monotonic)


def parse(record: bytes) -> Optional[Record]:
    """What a record says, None for what is none. The lines after its first are about devices."""
    head, _sign, rest = record.partition(b";")
    fields = head.split(b",")
    if len(fields) < 4 or not all(field.isdigit() and len(field) <= _LONGEST_NUMBER for field in fields[1:3]):
        return None
    text = _ESCAPE.sub(lambda found: bytes.fromhex(found.group(1).decode("ascii")), rest.split(b"\n", 1)[0])
    return Record(int(fields[1]), int(fields[2]) / 1e6, text.decode("utf-8", "replace"))


def collect(matcher: Matcher, wanted: Wanted, deadline: Deadline, told: Told, root: str = "/") -> None:
    """Hand the records of the window to the matcher, newest first. Raises RingError when there is no ring to be read."""
    scanned = Scanned(KERNEL, NAME)
    records = _records(os.path.join(root, PATH.lstrip("/")), wanted.max_bytes, deadline, scanned, told)
    told.scanned.append(scanned)
    clock = Clock.now()
    if clock.suspended > _SUSPENDED_SECONDS:
        told.miss(
            "times of kernel messages",
            f"the machine was suspended for {clock.suspended:.0f} s: messages from before that are dated up to as much too late",
        )
    origin = Origin(KERNEL)
    for record in reversed(records):
        when = clock.when(record.seconds)
        if when < wanted.begin:
            scanned.stopped = WINDOW
            break
        scanned.saw(when)
        scanned.lines += 1
        matcher.feed(LogLine(record.text, when, origin))


def _records(path: str, max_bytes: int, deadline: Deadline, scanned: Scanned, told: Told) -> Sequence[Record]:
    """All records, the oldest first; of a ring of more than ``max_bytes`` the newest."""
    records: collections.deque[Record] = collections.deque()
    sizes: collections.deque[int] = collections.deque()
    scanned.stopped = BEGINNING
    descriptor = _open(path)
    try:
        for block in _blocks(descriptor, told):
            record = parse(block)
            if record is None:
                told.miss(NAME, f"a record that is not understood: {block[:60]!r}")
                continue
            records.append(record)
            sizes.append(len(block))
            scanned.bytes += len(block)
            while scanned.bytes > max_bytes:
                records.popleft()
                scanned.bytes -= sizes.popleft()
                scanned.stopped = LIMIT
            if deadline.passed():
                scanned.stopped = BUDGET
                told.miss(
                    NAME, "there was no time to read to its end, so that the newest messages are missing: raise timeout"
                )
                break
    finally:
        os.close(descriptor)
    return records


def _blocks(descriptor: int, told: Told) -> Iterator[bytes]:
    """Each record as it is read, until there is no newer one."""
    while True:
        try:
            block = os.read(descriptor, _RECORD)
        except BlockingIOError:
            return
        except BrokenPipeError:  # it was overwritten before it was read; the next read gives the oldest that is left
            continue
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise RingError(f"{PATH}: {why_refused(error)}") from error
            told.miss(NAME, f"a record of more than {_RECORD} bytes was left out")
            continue
        if not block:
            return
        yield block


def _open(path: str) -> int:
    """Never waits, and opens nothing but the ring: to open a device may do something."""
    try:
        found = os.stat(path)
        if not stat.S_ISCHR(found.st_mode) or found.st_rdev != _DEVICE:
            raise RingError(f"{PATH} is not the kernel's: this is a container that has none")
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RingError(f"there is no {PATH}: this is a container that has none") from error
    except OSError as error:
        # EPERM with kernel.dmesg_restrict=1, whatever the file's mode says.
        raise RingError(f"{PATH}: {why_refused(error)}") from error
