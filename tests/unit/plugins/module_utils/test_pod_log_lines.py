# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_log_lines: both formats of containers' logs, pieces of long lines, and what is neither."""

from __future__ import annotations

import json

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import pod_log_lines
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_log_lines import Line

T1, T2 = "2026-11-21T10:00:00.500000000Z", "2026-11-21T12:00:01.25+02:00"
S1, S2 = 1795255200.5, 1795255201.25


def cri(text, time=T1, stream="stderr", tag="F"):
    return f"{time} {stream} {tag} {text}\n".encode()


def docker(text, time=T1, stream="stderr"):
    """As dockerd writes it: the fields in this order, without spaces."""
    return json.dumps({"log": text, "stream": stream, "time": time}, separators=(",", ":")).encode() + b"\n"


def everything(data):
    return list(pod_log_lines.lines(data, lambda _data: True))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (cri("a line") + cri("another", T2), [Line(S1, "a line"), Line(S2, "another")]),
        (cri("tagged", tag="F:tag:other"), [Line(S1, "tagged")]),
        (cri(""), [Line(S1, "")]),
        (f"{T1} stdout F\n".encode(), [Line(S1, "")]),
        (cri("  spaces  stdout P "), [Line(S1, "  spaces  stdout P ")]),
        (docker("a line\n") + docker("another\n", T2), [Line(S1, "a line"), Line(S2, "another")]),
        (docker('quotes "and" \\ \t tabs\r\n'), [Line(S1, 'quotes "and" \\ \t tabs')]),
        # Neither: other times, other streams, other JSON.
        (b"just a line\n", [Line(None, "just a line")]),
        (b"yesterday stdout F text\n", [Line(None, "yesterday stdout F text")]),
        (b'{"level":"info","msg":"x"}\n', [Line(None, '{"level":"info","msg":"x"}')]),
        (b'{"log":"cut off\n', [Line(None, '{"log":"cut off')]),
        (
            b'{"log":1,"stream":"stdout","time":"%s"}\n' % T1.encode(),
            [Line(None, '{"log":1,"stream":"stdout","time":"%s"}' % T1)],
        ),
        (b"[" * 5000 + b"\n", [Line(None, "[" * 5000)]),
        (b"\xff\x00\x1b[31m\n", [Line(None, "\ufffd\x00\x1b[31m")]),
        (b'{"log":"\\ud800x\\n","stream":"a","time":"%s"}\n' % T1.encode(), [Line(S1, "?x")]),
    ],
)
def test_lines(data, expected):
    assert [line for line in everything(data) if line.text or line.when] == expected


def test_lines_of_no_year():
    """0001-01-01 is Go's "never", and the 30th of February no day."""
    assert everything(cri("x", "2026-02-30T10:00:00.000000000Z").rstrip()) == [Line(None, "x")]
    assert everything(docker("x\n", "0001-01-01T00:00:00Z").rstrip()) == [Line(None, "x")]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (cri("one ", tag="P") + cri("two ", tag="P") + cri("three", T2), [Line(S2, "one two three")]),
        # Each stream by itself, and whole lines of the other in between.
        (
            cri("err ", tag="P") + cri("out", stream="stdout") + cri("or", T2),
            [Line(S1, "out"), Line(S2, "err or")],
        ),
        (
            cri("a", tag="P") + cri("b", tag="P", stream="stdout") + cri("c", stream="stdout") + cri("d"),
            [Line(S1, "bc"), Line(S1, "ad")],
        ),
        # A character that was cut in two.
        (f"{T1} stderr P ".encode() + b"\xc3\n" + f"{T1} stderr F ".encode() + b"\xa4\n", [Line(S1, "ä")]),
        # The end is still to come, or was lost.
        (cri("begun", tag="P"), [Line(S1, "begun")]),
        (docker("one ") + docker("two ") + docker("three\n", T2), [Line(S2, "one two three")]),
        (docker("err ") + docker("out\n", stream="stdout") + docker("or\n", T2), [Line(S1, "out"), Line(S2, "err or")]),
        # Rubbish in between is a line of its own.
        (cri("one ", tag="P") + b"rubbish\n" + cri("two", T2), [Line(None, "rubbish"), Line(S2, "one two")]),
    ],
)
def test_pieces_of_a_long_line(data, expected):
    assert everything(data.rstrip(b"\n")) == expected
    assert pod_log_lines.may_hold_pieces(data)


@pytest.mark.parametrize("data", [b"", b"rubbish\n", cri("a") + cri("b"), docker("a\n") + docker("b\n")])
def test_no_pieces(data):
    assert not pod_log_lines.may_hold_pieces(data)


def test_only_interesting_lines_are_understood():
    asked = []

    def interesting(data):
        asked.append(data)
        return b"boom" in data

    data = cri("fine") + cri("boom") + docker("fine\n") + docker("boom\n", T2)
    assert list(pod_log_lines.lines(data, interesting)) == [Line(S1, "boom"), Line(S2, "boom")]
    assert asked[1] == cri("boom").rstrip(b"\n")  # as it stands in the log


def test_what_a_cut_hides_is_found_in_the_joined_line():
    data = cri("bo", tag="P") + cri("om") + cri("fine", tag="P") + cri("fine")
    assert list(pod_log_lines.lines(data, lambda data: b"boom" in data)) == [Line(S1, "boom")]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (cri("x"), S1),
        (docker("x\n", T2), S2),
        (docker('"time":"2020-01-01T00:00:00.000000000Z"\n'), S1),
        (b"", None),
        (b"rubbish", None),
        (b"{rubbish", None),
        (b"x" * 100000, None),
        (b'{"time":"soon and not on any given day"}', None),
    ],
)
def test_time_of(entry, expected):
    assert pod_log_lines.time_of(entry) == expected
