# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""log_tail: the end of a file that may be anything, or change meanwhile."""

from __future__ import annotations

import gzip
import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import log_tail
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.log_tail import DamagedError, LogFile

TEXT = b"".join(b"line %d\n" % number for number in range(1000))


def last(path, count, seconds=60.0):
    with LogFile(str(path), Deadline(seconds)) as file:
        data, whole = file.last(count)
        return data, whole, file.bytes


@pytest.mark.parametrize(
    ("count", "expected", "whole"),
    [(10, TEXT[-10:], False), (len(TEXT) - 1, TEXT[1:], False), (len(TEXT), TEXT, True), (1 << 20, TEXT, True)],
)
def test_the_end(tmp_path, count, expected, whole):
    (tmp_path / "0.log").write_bytes(TEXT)
    assert last(tmp_path / "0.log", count) == (expected, whole, len(expected))
    (tmp_path / "0.log.gz").write_bytes(gzip.compress(TEXT))
    assert last(tmp_path / "0.log.gz", count) == (expected, whole, len(TEXT))  # all of it had to be unpacked


@pytest.mark.parametrize("name", ["0.log", "0.log.gz"])
def test_nothing(tmp_path, name):
    (tmp_path / name).touch()
    assert last(tmp_path / name, 10) == (b"", True, 0)


def test_the_end_of_something_large_is_all_that_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(log_tail, "_BLOCK", 64)
    (tmp_path / "0.log.gz").write_bytes(gzip.compress(TEXT) + gzip.compress(b"and another part\n"))
    data, whole, _bytes = last(tmp_path / "0.log.gz", 30)
    assert (data, whole) == ((TEXT + b"and another part\n")[-30:], False)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no gzip at all", "cannot be unpacked: "),
        (gzip.compress(TEXT)[:-9], "cannot be unpacked: "),
        (gzip.compress(TEXT)[:100] + b"rubbish" + gzip.compress(TEXT)[107:], "cannot be unpacked: "),
        # A bomb: small, and without end.
        (gzip.compress(b"\0" * (3 << 20)), "holds more than 1 MiB"),
    ],
    # gzip writes the time of day into what it packs: a name made from that differs between pytest-xdist's workers.
    ids=["no gzip", "cut off", "rubbish within", "bomb"],
)
def test_damaged(tmp_path, monkeypatch, content, why):
    monkeypatch.setattr(log_tail, "LARGEST", 1 << 20)
    (tmp_path / "0.log.gz").write_bytes(content)
    with pytest.raises(DamagedError, match=why):
        last(tmp_path / "0.log.gz", 100)


def test_no_time_to_unpack(tmp_path):
    (tmp_path / "0.log.gz").write_bytes(gzip.compress(TEXT))
    with pytest.raises(TimeoutError):
        last(tmp_path / "0.log.gz", 100, seconds=0)


def test_cut_off_while_it_is_read(tmp_path):
    path = tmp_path / "0.log"
    path.write_bytes(TEXT)
    with LogFile(str(path), Deadline(60)) as file:
        os.truncate(str(path), 20)
        assert file.last(100) == (b"", False)
        assert file.last(1 << 20) == (TEXT[:20], True)


def test_written_to_while_it_is_read(tmp_path):
    path = tmp_path / "0.log"
    path.write_bytes(b"one\n")
    with LogFile(str(path), Deadline(60)) as file, path.open("ab") as writer:
        writer.write(b"two\n")
        writer.flush()
        assert file.last(100) == (b"one\n", True)


def test_a_new_name_is_the_same_file(tmp_path):
    path = tmp_path / "0.log"
    path.write_bytes(b"one\n")
    with LogFile(str(path), Deadline(60)) as before:
        path.rename(tmp_path / "0.log.20261121-101112")
        path.write_bytes(b"two\n")
        with LogFile(str(tmp_path / "0.log.20261121-101112"), Deadline(60)) as after:
            assert before.identity == after.identity
        with LogFile(str(path), Deadline(60)) as other:
            assert before.identity != other.identity
        assert before.last(10) == (b"one\n", True)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.mkdir(),
        lambda path: os.mkfifo(str(path)),
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path.name),
    ],
)
def test_what_is_no_file(tmp_path, make):
    make(tmp_path / "0.log")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=r"not a regular file|symbolic links"):
        last(tmp_path / "0.log", 10)
    assert len(os.listdir("/proc/self/fd")) == before
