# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kernel_files: numbers that are none, and files that cannot be read."""

from __future__ import annotations

import errno
import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import kernel_files, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import ABSENT, KernelFiles


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("007", 7), ("18446744073709551615", 2**64 - 1)])
def test_whole(text, expected):
    assert kernel_files.whole(text) == expected


# int() takes all but the last few; the longest would take it a while, or is refused from Python 3.11 on.
@pytest.mark.parametrize("text", ["-1", "+1", "1_000", " 1", "1\n", "\u0663", "9" * 21, "9" * 5000, "", "x", "1.0"])
def test_what_is_no_whole_number(text):
    with pytest.raises(ValueError, match="is no whole number") as caught:
        kernel_files.whole(text)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(("text", "expected"), [("0.00", 0.0), ("12.34", 12.34), ("7", 7.0)])
def test_decimal(text, expected):
    assert kernel_files.decimal(text) == expected


# JSON has no nan and no infinity.
@pytest.mark.parametrize("text", ["nan", "inf", "-0.1", "1e9", "1.", ".5", "1.5\n", "9" * 400, "\u0663.5", ""])
def test_what_is_no_decimal_number(text):
    with pytest.raises(ValueError, match="is no decimal number"):
        kernel_files.decimal(text)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "Permission denied: run with become (-b)"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("odd"), "odd"),
    ],
)
def test_why_refused(error, expected):
    assert kernel_files.why_refused(error) == expected


@pytest.fixture
def files(tmp_path):
    (tmp_path / "proc" / "net").mkdir(parents=True)
    (tmp_path / "sys").mkdir()
    (tmp_path / "proc" / "net" / "number").write_text("12\n")
    (tmp_path / "sys" / "number").write_text("13\n")
    return KernelFiles(str(tmp_path / "proc"), str(tmp_path / "sys"))


def test_read(files):
    told = [files.read("/proc/net/number", kernel_files.whole), files.read("/sys/number", kernel_files.whole)]
    assert told == [12, 13]
    assert files.gaps == []


def refuse(monkeypatch, error):
    def refusing(_path, _limit):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(procfs, "text", refusing)


@pytest.mark.parametrize(
    ("error", "unused", "why"),
    [
        (errno.ENOENT, ABSENT, None),
        (errno.ENOTDIR, ABSENT, None),
        (errno.ENOENT, (), "No such file or directory"),
        (errno.EOPNOTSUPP, ABSENT | {errno.EOPNOTSUPP}, None),
        (errno.EOPNOTSUPP, ABSENT, "Operation not supported"),
        (errno.EACCES, ABSENT, "Permission denied: run with become (-b)"),
        # lxcfs that has died.
        (errno.ENOTCONN, ABSENT, "Transport endpoint is not connected"),
    ],
)
def test_a_file_that_cannot_be_read(files, monkeypatch, error, unused, why):
    refuse(monkeypatch, error)
    assert files.read("/proc/net/number", kernel_files.whole, unused) is None
    assert files.gaps == ([{"what": "/proc/net/number", "why": why}] if why else [])


def test_what_is_not_understood_is_quoted_and_cut(files):
    assert files.read("/proc/net/number", lambda _text: kernel_files.whole("\x1b[31m{{ x }}" + "y" * 1000)) is None
    (gap,) = files.gaps
    assert gap["what"] == "/proc/net/number"
    assert gap["why"].startswith("not understood: '\\x1b[31m{{ x }}yyy")
    assert len(gap["why"]) < 120


def test_one_gap_for_a_file_that_is_read_often(files):
    for text in ("a", "b"):
        files.read("/proc/net/number", lambda _text, text=text: kernel_files.whole(text))
    assert files.gaps == [{"what": "/proc/net/number", "why": "not understood: 'a' is no whole number"}]


def test_bytes_that_are_no_text(files, tmp_path):
    (tmp_path / "sys" / "number").write_bytes(b"\xff\xfe\x00")
    assert files.read("/sys/number", kernel_files.whole) is None
    assert [gap["what"] for gap in files.gaps] == ["/sys/number"]
