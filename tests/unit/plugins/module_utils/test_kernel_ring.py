# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kernel_ring: records as /dev/kmsg gives them, one a read, which a socket that keeps packets apart does as well."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import kernel_ring
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_ring import Clock, Record, RingError
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import KERNEL, LogLine, Origin
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import Told, Wanted
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.log_listener import Listener

NOW = 1_795_000_000.0
UP = 5000.0  # seconds that the machine has run
BOOT = NOW - UP
MUCH = 1 << 20
FULL = b"4,1311,4990000000,-;nf_conntrack: nf_conntrack: table full, dropping packet\n"


class Ring:
    """A ring of made-up records; what stands for a record may be an error of reading."""

    def __init__(self, monkeypatch):
        self._monkeypatch = monkeypatch
        self.suspended = 0.0

    def read(self, records, since=UP, max_bytes=MUCH, seconds=60.0):
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        here.setblocking(False)
        left = list(records)

        def take(descriptor, size):
            record = left.pop(0) if left else b""
            if isinstance(record, int):
                raise OSError(record, os.strerror(record))
            if record:
                there.send(record)
            return real_read(descriptor, size)

        real_read = os.read
        with here, there, self._monkeypatch.context() as patch:
            patch.setattr(kernel_ring, "_open", lambda _path: os.dup(here.fileno()))
            patch.setattr(kernel_ring.os, "read", take)
            patch.setattr(Clock, "now", classmethod(lambda cls: cls(BOOT, UP, self.suspended)))
            listener, told = Listener(), Told()
            kernel_ring.collect(listener, Wanted(NOW, since, max_bytes), Deadline(seconds), told)
        return listener.lines, told


@pytest.fixture
def ring(monkeypatch):
    return Ring(monkeypatch)


def record(number, seconds, text):
    return f"6,{number},{int(seconds * 1e6)},-;{text}\n".encode()


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (FULL, Record(1311, 4990.0, "nf_conntrack: nf_conntrack: table full, dropping packet")),
        (
            b"6,339,5140900,-;NET: Registered\n SUBSYSTEM=acpi\n DEVICE=+acpi:PNP0A03:00\n",
            Record(339, 5.1409, "NET: Registered"),
        ),
        (
            b"30,7,1,-,caller=T338;systemd-journald[338]: Time jumped",
            Record(7, 1e-6, "systemd-journald[338]: Time jumped"),
        ),
        (b"6,1,2,c;a; b", Record(1, 2e-6, "a; b")),
        # Bytes that are not printable, and a backslash.
        (rb"6,1,2,-;\x1b[31m \x5cx41 \xc3\xa4 \xff" + b"\n", Record(1, 2e-6, "\x1b[31m \\x41 ä \ufffd")),
        (b"6,1,2,-;\n", Record(1, 2e-6, "")),
        (b"6,1,2;too few", None),
        (b"6,x,2,-;no number", None),
        (b"6,1,-2,-;no number", None),
        (b"no record at all", None),
        (b"", None),
    ],
)
def test_parse(block, expected):
    assert kernel_ring.parse(block) == expected


def test_newest_first_and_not_past_the_window(ring):
    records = [record(1, 10, "boot"), record(2, 4000, "older"), record(3, 4990, "newer")]
    lines, told = ring.read(records, since=1500)
    assert lines == [
        LogLine("newer", BOOT + 4990, Origin(KERNEL)),
        LogLine("older", BOOT + 4000, Origin(KERNEL)),
    ]
    assert told.missing == []
    assert [one.told() for one in told.scanned] == [
        {
            "source": "kernel",
            "name": "kernel ring",
            "from": BOOT + 4000,
            "to": BOOT + 4990,
            "bytes": sum(map(len, records)),
            "lines": 2,
            "stopped": "window",
        }
    ]


def test_all_of_it_lies_in_the_window(ring):
    _lines, told = ring.read([record(1, 10, "boot")])
    assert (told.scanned[0].stopped, told.scanned[0].begin) == ("beginning", BOOT + 10)


def test_an_empty_ring(ring):
    lines, told = ring.read([])
    assert (lines, told.missing, told.scanned[0].stopped) == ([], [], "beginning")


def test_no_message_is_from_the_future(ring):
    """The clock of printk() is not corrected, and may be ahead."""
    lines, _told = ring.read([record(1, UP + 30, "ahead")])
    assert lines[0].when == NOW


def test_overwritten_while_it_is_read(ring):
    lines, told = ring.read([record(1, 10, "a"), errno.EPIPE, record(9, 20, "b")])
    assert [line.text for line in lines] == ["b", "a"]
    assert told.missing == []


def test_a_record_that_is_too_long(ring):
    lines, told = ring.read([errno.EINVAL, record(9, 20, "b")])
    assert [line.text for line in lines] == ["b"]
    assert told.missing == [{"what": "kernel ring", "why": "a record of more than 8192 bytes was left out"}]


def test_a_record_that_is_none(ring):
    lines, told = ring.read([b"\x00\x1b garbage", record(9, 20, "b")])
    assert [line.text for line in lines] == ["b"]
    assert told.missing == [{"what": "kernel ring", "why": r"a record that is not understood: b'\x00\x1b garbage'"}]


def test_reading_fails(ring):
    with pytest.raises(RingError, match="/dev/kmsg: Operation not permitted: run with become"):
        ring.read([record(1, 10, "a"), errno.EPERM])


def test_the_newest_are_kept_of_one_that_is_too_large(ring):
    records = [record(number, number, "x" * 100) for number in range(100, 200)]
    lines, told = ring.read(records, max_bytes=1200)
    assert [line.when - BOOT for line in lines] == list(range(199, 189, -1))
    assert told.scanned[0].stopped == "limit"
    assert told.scanned[0].bytes <= 1200


def test_no_time_to_come_to_the_end(ring):
    _lines, told = ring.read([record(1, 10, "a"), record(2, 20, "b")], seconds=0)
    why = "there was no time to read to its end, so that the newest messages are missing: raise timeout"
    assert told.missing == [{"what": "kernel ring", "why": why}]
    assert told.scanned[0].stopped == "budget"


def test_after_a_suspend_times_are_doubtful(ring):
    ring.suspended = 3600.4
    _lines, told = ring.read([record(1, 10, "a")])
    why = "the machine was suspended for 3600 s: messages from before that are dated up to as much too late"
    assert told.missing == [{"what": "times of kernel messages", "why": why}]


def test_the_clock_of_this_machine():
    clock = Clock.now()
    assert clock.when(clock.monotonic) == pytest.approx(clock.zero + clock.monotonic)
    assert clock.suspended >= 0


class TestPlace:
    """Nothing is opened but the kernel's device."""

    def collect(self, root):
        kernel_ring.collect(Listener(), Wanted(NOW, 10, MUCH), Deadline(60), Told(), str(root))

    def test_not_there(self, tmp_path):
        with pytest.raises(RingError, match="there is no /dev/kmsg: this is a container that has none"):
            self.collect(tmp_path)

    @pytest.mark.parametrize(
        "make",
        [
            lambda path: path.touch(),
            lambda path: path.mkdir(),
            lambda path: os.mkfifo(str(path)),  # opening would wait for a writer
            lambda path: path.symlink_to("/dev/zero"),  # /dev/console, in some containers
        ],
    )
    def test_something_else(self, tmp_path, make):
        (tmp_path / "dev").mkdir()
        make(tmp_path / "dev" / "kmsg")
        with pytest.raises(RingError, match="/dev/kmsg is not the kernel's"):
            self.collect(tmp_path)

    def test_a_link_to_nothing(self, tmp_path):
        (tmp_path / "dev").mkdir()
        (tmp_path / "dev" / "kmsg").symlink_to("kmsg")
        with pytest.raises(RingError, match="/dev/kmsg: Too many levels of symbolic links"):
            self.collect(tmp_path)

    def test_not_permitted(self, tmp_path, monkeypatch):
        """kernel.dmesg_restrict=1: the file's mode does not tell."""

        def refuse(path, _flags):
            raise PermissionError(errno.EPERM, "Operation not permitted", path)

        monkeypatch.setattr(kernel_ring, "_DEVICE", os.stat("/dev/null").st_rdev)
        monkeypatch.setattr(kernel_ring.os, "open", refuse)
        (tmp_path / "dev").mkdir()
        (tmp_path / "dev" / "kmsg").symlink_to("/dev/null")
        with pytest.raises(RingError, match=r"/dev/kmsg: Operation not permitted: run with become \(-b\)"):
            self.collect(tmp_path)


@pytest.mark.parametrize("digits", [21, 310, 5000])
def test_a_number_that_no_kernel_counts_to_is_no_record(digits):
    for head in (b"6,%b,1,-" % (b"9" * digits), b"6,1,%b,-" % (b"9" * digits)):
        assert kernel_ring.parse(head + b";text") is None
