# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of a Go program's functions, also of one that was stripped, as releases of Kubernetes are.

Go needs its table of functions at run time, so that -ldflags='-s -w' leaves it: section .gopclntab (golang/go src/debug/gosym/pclntab.go)::

    magic, 4 bytes | 0 0 | quantum | size of a pointer | words: functions, files, …    then, since Go 1.18, an entry a function:
    where it begins, less the start of the text, 4 bytes | where in the table it is described, 4 bytes      → same | place of its name, 4 bytes

Where the text starts is one of the header's words until Go 1.25, and nowhere in the table since 1.26: then it is where .text does, if no C linker put
something before it. Names are told only when they fit: the first function of a stack that entered the kernel has to be one that makes system calls.

Little-endian programs of 64 bits; of others no name is told. The file may be anything: it is read in pieces, each of them bounded.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import NamedTuple, Optional, Sequence

# By the first four bytes: the release of Go that brought it.
_MAGICS = {
    0xFFFFFFFB: "1.2",
    0xFFFFFFFA: "1.16",
    0xFFFFFFF0: "1.18",
    0xFFFFFFF1: "1.20",
}
_HEADER = 8
_WORDS = struct.Struct("<8Q")
_IDENT = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
_SHDR = struct.Struct("<IIQQQQIIQQ")
_PHDR = struct.Struct("<IIQQQQQQ")
_LOAD = 1
_MOST_HEADERS = 1000
_LONGEST_NAMES = 64 << 10
_LONGEST_NAME = 512
_MOST_FUNCTIONS = 1 << 24  # a kubelet has some 200,000
# runtime/internal/syscall.Syscall6, internal/runtime/syscall.Syscall6, syscall.RawSyscall, …
_ENTERS_KERNEL = "yscall"


class _Layout(NamedTuple):
    """Where things are in the table of one format: bases, and the sizes of an entry's halves."""

    names: int
    functions: int
    field: int
    starts: tuple[int, ...]


class _Segment(NamedTuple):
    offset: int
    address: int
    size: int


def names(path: str, offsets: Sequence[int]) -> Optional[list[str]]:
    """The functions at offsets of a program's file, of a stack whose first one entered the kernel; ``?`` for those of no Go function.

    None for what is no Go program, or one whose table is not understood.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return _Program(descriptor).names(offsets)
    except (OSError, OverflowError, ValueError, struct.error):
        return None
    finally:
        os.close(descriptor)


class _Program:
    """A file. Raises struct.error where it ends too early, ValueError where it is none of ours."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        if self._read(0, len(_IDENT)) != _IDENT:
            raise ValueError("not an ELF file of 64 bits, little-endian")
        header = _EHDR.unpack(self._read(0, _EHDR.size))
        self._segments = [
            _Segment(one[2], one[3], one[5]) for one in self._table(_PHDR, header[5], header[10]) if one[0] == _LOAD
        ]
        self._table_start, text = self._sections(self._table(_SHDR, header[6], header[12]), header[13])
        self._layout = self._understood(text)

    def names(self, offsets: Sequence[int]) -> Optional[list[str]]:
        addresses = [self._address(offset) for offset in offsets]
        for start in self._layout.starts:
            found = [self._name(address - start) if address is not None else "?" for address in addresses]
            if found and _ENTERS_KERNEL in found[0]:
                return found
        return None

    def _read(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset)

    def _table(self, layout: struct.Struct, offset: int, number: int) -> list[tuple[int, ...]]:
        content = self._read(offset, layout.size * min(number, _MOST_HEADERS))
        return list(layout.iter_unpack(content[: len(content) // layout.size * layout.size]))

    def _sections(self, headers: Sequence[tuple[int, ...]], index: int) -> tuple[int, Optional[int]]:
        """Where the table of functions is in the file, and the address of .text."""
        found: dict[str, tuple[int, ...]] = {}
        where = headers[index] if index < len(headers) else (0,) * 10
        texts = self._read(where[4], min(where[5], _LONGEST_NAMES))
        for one in headers:
            name = texts[one[0] : one[0] + 64].split(b"\0", 1)[0].decode("ascii", "replace")
            found[".gopclntab" if name.endswith(".gopclntab") else name] = one
        if ".gopclntab" not in found:
            raise ValueError("not a Go program")
        return found[".gopclntab"][4], found[".text"][3] if ".text" in found else None

    def _understood(self, text: Optional[int]) -> _Layout:
        magic, pad, _quantum, pointer = struct.unpack("<IHBB", self._read(self._table_start, _HEADER))
        words = _WORDS.unpack(self._read(self._table_start + _HEADER, _WORDS.size))
        version = _MAGICS.get(magic)
        if version is None or pad or pointer != 8 or not words[0] <= _MOST_FUNCTIONS:
            raise ValueError("another table of functions")
        self._number = words[0]
        if version == "1.2":
            return _Layout(0, _HEADER + 8, 8, (0,))
        if version == "1.16":
            return _Layout(words[2], words[6], 8, (0,))
        starts = (words[2],) if words[2] else (text,) if text is not None else ()
        return _Layout(words[3], words[7], 4, starts)

    def _address(self, offset: int) -> Optional[int]:
        for one in self._segments:
            if one.offset <= offset < one.offset + one.size:
                return offset - one.offset + one.address
        return None

    def _entry(self, index: int) -> tuple[int, int]:
        """Where a function begins, and where it is described, in what the table counts in."""
        size = self._layout.field
        place = self._table_start + self._layout.functions + index * 2 * size
        begin, described = struct.unpack("<2Q" if size == 8 else "<2I", self._read(place, 2 * size))
        return begin, described

    def _name(self, place: int) -> str:
        low, high = 0, self._number
        if not high or place < self._entry(0)[0]:
            return "?"
        while high - low > 1:
            middle = (low + high) // 2
            if self._entry(middle)[0] <= place:
                low = middle
            else:
                high = middle
        if low == self._number - 1:  # what follows the last function is none of Go's
            size = self._layout.field
            end = self._read(self._table_start + self._layout.functions + self._number * 2 * size, size)
            if place >= int.from_bytes(end, "little"):
                return "?"
        # Until Go 1.15 a description is counted from the table's start, since then from that of the functions.
        base = 0 if self._layout.names == 0 else self._layout.functions
        described = self._table_start + base + self._entry(low)[1]
        name_at = int.from_bytes(self._read(described + self._layout.field, 4), "little")
        content = self._read(self._table_start + self._layout.names + name_at, _LONGEST_NAME)
        return content.split(b"\0", 1)[0].decode("utf-8", "replace") or "?"
