# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of a container's log, in the two formats that kubelet knows, found out line by line.

CRI, written by containerd and CRI-O (kubernetes/kubernetes pkg/kubelet/kuberuntime/logs). "P" is a piece of a line that goes on in
the next entry of the same stream, "F" its end; tags may follow after colons::

    2016-10-06T00:17:09.669794202Z stdout P the beginning of a long line and
    2016-10-06T00:17:09.669794203Z stdout F  its end

JSON, written by Docker (daemon/logger/jsonfilelog). A piece of a long line does not end with a newline::

    {"log":"a line\\n","stream":"stderr","time":"2016-10-06T00:17:09.669794202Z"}

What is neither, is a line without a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import rfc3339

_CRI = re.compile(rb"([^ ]{20,40}) (stdout|stderr) ([FP])(?::[^ ]*)?(?: (.*))?", re.DOTALL)
_JSON_BEGIN = b'{"log":'
_JSON_WHOLE = b'\\n","stream"'  # how a line ends that is no piece; daemon/logger/jsonfilelog/jsonlog writes the fields in this order
_JSON_TIME = re.compile(rb'"time":"([^"]{20,40})"')
_PIECES = (b" stdout P", b" stderr P")
_HEAD = 64  # bytes of an entry of CRI that hold its time, stream and tags


class Line(NamedTuple):
    """What a container said on one line, and when (epoch seconds, None where the log does not tell)."""

    when: Optional[float]
    text: str


class _Entry(NamedTuple):
    stream: bytes
    last: bool  # the line ends with it
    when: Optional[float]
    text: bytes


def time_of(entry: bytes) -> Optional[float]:
    """When an entry was written, None where it does not tell. Costs less than to understand all of it."""
    if not entry.startswith(b"{"):
        return _seconds(entry[:_HEAD].split(b" ", 1)[0])
    found = _JSON_TIME.search(entry)
    return _seconds(found.group(1)) if found else None


def may_hold_pieces(data: bytes) -> bool:
    """Whether lines go on in another entry, perhaps: then what is looked for may be cut in two."""
    if any(piece in data for piece in _PIECES):
        return True
    return data.startswith(_JSON_BEGIN) and data.count(_JSON_WHOLE) < data.count(b"\n")


def lines(data: bytes, interesting: Callable[[bytes], bool]) -> Iterator[Line]:
    """The lines of which ``interesting`` says so, in their order; it is asked with an entry, or a joined line, as bytes."""
    begun: dict[bytes, list[_Entry]] = {}
    for raw in data.split(b"\n"):
        if not begun and not _is_piece(raw):
            if interesting(raw):
                yield _line([_entry(raw)])
            continue
        entry = _entry(raw)
        begun.setdefault(entry.stream, []).append(entry)
        if entry.last:
            yield from _joined(begun.pop(entry.stream), interesting)
    for entries in begun.values():
        yield from _joined(entries, interesting)


def _is_piece(raw: bytes) -> bool:
    if raw.startswith(_JSON_BEGIN):
        return _JSON_WHOLE not in raw
    return any(piece in raw[:_HEAD] for piece in _PIECES)


def _entry(raw: bytes) -> _Entry:
    found = _CRI.fullmatch(raw)
    if found:
        time, stream, tag, text = found.groups()
        return _Entry(stream, tag == b"F", _seconds(time), text or b"")
    return _json_entry(raw) or _Entry(b"", True, None, raw)


def _json_entry(raw: bytes) -> Optional[_Entry]:
    if not raw.startswith(b"{"):
        return None
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    said, stream, when = (told.get(name) for name in ("log", "stream", "time"))
    if not isinstance(said, str) or not isinstance(when, str):
        return None
    text = said.encode("utf-8", "replace")
    return _Entry(str(stream).encode("utf-8", "replace"), text.endswith(b"\n"), _moment(when), text.rstrip(b"\r\n"))


def _joined(entries: list[_Entry], interesting: Callable[[bytes], bool]) -> Iterator[Line]:
    line = _line(entries)
    if interesting(line.text.encode("utf-8")):
        yield line


def _line(entries: list[_Entry]) -> Line:
    return Line(entries[-1].when, b"".join(entry.text for entry in entries).decode("utf-8", "replace"))


def _seconds(time: bytes) -> Optional[float]:
    return _moment(time.decode("ascii", "replace"))


def _moment(time: str) -> Optional[float]:
    told = rfc3339.nanoseconds(time)
    return None if told is None else told // 1000 / 1e6  # microseconds fit into a float, nanoseconds do not
