# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Go program says about how it was built: the Go release, the module, its version.

Go's linker leaves this in the section .go.buildinfo since Go 1.13 (golang/go src/debug/buildinfo/buildinfo.go, which `go version -m` uses)::

    "\xff Go buildinf:" | size of a pointer, 1 byte | flags, 1 byte | two pointers to strings    Go 1.13 to 1.17
                                                    | 16 unused     | two strings, each after    Go 1.18 and newer (flag 2)
                                                                      its length as a varint

The strings are runtime.buildVersion and the lines of runtime.modinfo, which have 16 bytes of framing at either end. Older programs
have the symbol runtime.buildVersion, unless they were stripped; of the others only is told that they are of Go.

The file may be anything: it is read in pieces at places that it names itself, each of them bounded.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple, Optional

_MAGIC = b"\xff Go buildinf:"
_ALIGNED = 16  # buildInfoAlign
_HEAD = 32  # buildInfoSize
_BIG_ENDIAN = 1  # flags
_INLINE = 2
_FRAME = 16  # of modinfo: infoStart, infoEnd (src/cmd/go/internal/modload/build.go)
_SECTION = b".go.buildinfo"
# Sections that only Go's linker makes (src/cmd/link/internal/ld/elf.go).
_GO_SECTIONS = frozenset({b".note.go.buildid", b".gopclntab", b".gosymtab"})
_VERSION_SYMBOL = b"\0runtime.buildVersion\0"
_WITHOUT_VERSION = "go"

# A line for each module: k3s, which has everything in one program, has less than 100 KiB of them.
_MOST_INFO = 1 << 20
# What is searched of a segment or of a table. A kubelet of Kubernetes 1.11 that was not stripped has 20 MiB of names.
_MOST_SEARCHED = 64 << 20
_BLOCK = 1 << 20
_MOST_HITS = 10_000
_MOST_MAGIC = 64  # programs that look for it have it in their data, too
_MOST_HEADERS = 1000  # of segments and of sections; usual are 10 and 40
_LONGEST_NAME = 64 << 10  # of all names of sections together

# /usr/include/elf.h
_EXECUTABLE, _WRITABLE = 1, 2  # PF_X, PF_W
_LOAD = 1  # PT_LOAD
_SYMTAB = 2  # SHT_SYMTAB

# devel: Go itself, built from its repository. What follows are experiments that it was built with.
_GO = re.compile(r"(go[0-9][!-~]{0,60}|devel [!-~]{1,60})(?: .*)?", re.DOTALL)
# golang.org/x/mod/module.CheckPath
_PATH = re.compile(r"[A-Za-z0-9._~/-]{1,200}")
_VERSION = re.compile(r"v?([0-9][0-9A-Za-z.+~:_-]{0,63})")
_REVISION = re.compile(r"[0-9a-f]{7,64}")
# Where a module's path has three parts, and more if a repository holds several (cmd/go/internal/vcs).
_CODE_HOSTS = frozenset({"github.com", "gitlab.com", "bitbucket.org"})
# -X 'k8s.io/component-base/version.gitVersion=v1.20.0', -X "…dockerversion.Version=20.10.24", -X=main.version=1.23.2
_SET_BY_LINKER = re.compile(r"""-X[\s=]+["']?([A-Za-z0-9._~/-]+)\.((?:git)?version)=([^\s"']+)""", re.IGNORECASE)


class Build(NamedTuple):
    """``go`` is "go1.19.8", or "go" where the release is not told; ``version`` is without its v, None for a build of no release.

    ``module`` is the main module; of a program that was built without modules, what its main package's ``path`` lies in.
    """

    go: str
    module: Optional[str]
    version: Optional[str]
    revision: Optional[str]
    path: Optional[str]


def read(path: str) -> Optional[Build]:
    """How a program was built, None for what is no Go program (for /proc/PID/exe too). Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return _build(descriptor)
    finally:
        os.close(descriptor)


class _Class(NamedTuple):
    """How 32-bit and 64-bit files differ; where the fields are that are read, counted in the struct."""

    header: str  # behind e_ident: e_phoff and e_shoff are 4 and 5, the numbers of entries 9 and 11, e_shstrndx 12
    segment: str
    flags: int
    place: int  # p_offset, p_vaddr and then, behind p_paddr, p_filesz
    section: str  # sh_name 0, sh_type 1, sh_offset 4, sh_size 5, sh_link 6
    symbol: str  # st_name 0
    value: int
    pointer: str


_CLASSES = {
    1: _Class("HHIIIIIHHHHHH", "8I", 6, 1, "10I", "IIIBBH", 1, "I"),
    2: _Class("HHIQQQIHHHHHH", "IIQQQQQQ", 1, 2, "IIQQQQIIQQ", "IBBHQQ", 4, "Q"),
}
_ENDS = {1: "<", 2: ">"}


class _Segment(NamedTuple):
    kind: int
    flags: int
    offset: int
    address: int
    size: int


class _Section(NamedTuple):
    name: bytes
    kind: int
    offset: int
    size: int
    link: int


class _Elf:
    """The parts of an ELF file that are read here. Raises struct.error for what ends too early."""

    def __init__(self, descriptor: int, ident: bytes) -> None:
        self._descriptor = descriptor
        self.layout = _CLASSES[ident[4]]
        self.end = _ENDS[ident[5]]
        header = self._unpack(self.layout.header, 16)
        self.segments = [self._segment(fields) for fields in self._table(self.layout.segment, header[4], header[9])]
        self.sections = self._sections(self._table(self.layout.section, header[5], header[11]), header[12])

    def content(self, offset: int, size: int) -> bytes:
        """What the file has there, less at its end."""
        try:
            return os.pread(self._descriptor, size, offset)
        except (OverflowError, ValueError):  # no file has such an offset
            return b""

    def at(self, address: int, size: int) -> bytes:
        """What lies at an address of the running program, at most ``size`` bytes; nothing where the file has none."""
        for one in self.segments:
            if one.kind == _LOAD and one.address <= address < one.address + one.size:
                left = one.address + one.size - address
                return self.content(one.offset + address - one.address, min(size, left))
        return b""

    def string(self, address: int, end: str, pointer: str) -> bytes:
        """A string of Go, which is a pointer and a length, at an address; b"" where there is none."""
        head = struct.Struct(f"{end}2{pointer}")
        place, length = head.unpack(self.at(address, head.size))
        content = self.at(place, length) if length <= _MOST_INFO else b""
        return content if len(content) == length else b""

    def positions(self, start: int, size: int, needle: bytes, step: int) -> Iterator[int]:
        """Where ``needle`` is in a part of the file, at offsets that are multiples of ``step`` from its start."""
        hits = 0
        end = start + min(size, _MOST_SEARCHED)
        for begin in range(start, end, _BLOCK):
            block = self.content(begin, min(_BLOCK + len(needle) - 1, end - begin))
            found = block.find(needle)
            while found >= 0 and hits < _MOST_HITS:
                hits += 1
                if (begin + found - start) % step == 0:
                    yield begin + found
                found = block.find(needle, found + 1)
            if hits >= _MOST_HITS or len(block) < len(needle):
                return

    def symbol(self, name: bytes) -> Optional[int]:
        """The value of a symbol, whose name is given between two zeros; None where it is not told."""
        fields = struct.Struct(self.end + self.layout.symbol)
        table = next((one for one in self.sections if one.kind == _SYMTAB), None)
        if table is None or table.link >= len(self.sections):
            return None
        names = self.sections[table.link]
        place = next(self.positions(names.offset, names.size, name, 1), None)
        if place is None:
            return None
        number = struct.pack(f"{self.end}I", place + 1 - names.offset)
        entry = next(self.positions(table.offset, table.size, number, fields.size), None)
        return None if entry is None else int(self._unpack(self.layout.symbol, entry)[self.layout.value])

    def _unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        fields = struct.Struct(self.end + layout)
        return fields.unpack(self.content(offset, fields.size))

    def _table(self, layout: str, offset: int, number: int) -> list[tuple[int, ...]]:
        """The entries of a table, as many as there are whole ones."""
        entry = struct.Struct(self.end + layout)
        content = self.content(offset, entry.size * min(number, _MOST_HEADERS)) if offset else b""
        return list(entry.iter_unpack(content[: len(content) // entry.size * entry.size]))

    def _segment(self, fields: tuple[int, ...]) -> _Segment:
        place = self.layout.place
        return _Segment(fields[0], fields[self.layout.flags], fields[place], fields[place + 1], fields[place + 3])

    def _sections(self, table: list[tuple[int, ...]], of_names: int) -> list[_Section]:
        names = b""
        if of_names < len(table):
            names = self.content(table[of_names][4], min(table[of_names][5], _LONGEST_NAME))
        return [
            _Section(names[fields[0] : max(names.find(b"\0", fields[0]), 0)], fields[1], *fields[4:7])
            for fields in table
        ]


def _build(descriptor: int) -> Optional[Build]:
    ident = os.pread(descriptor, 16, 0)
    if len(ident) < 16 or ident[:4] != b"\x7fELF" or ident[4] not in _CLASSES or ident[5] not in _ENDS:
        return None
    try:
        elf = _Elf(descriptor, ident)
    except struct.error:
        return None
    for place in _places(elf):
        try:
            told = _told(elf, place)
        except (struct.error, ValueError):
            continue
        if told is not None:
            return told
    return _older(elf)


def _places(elf: _Elf) -> Iterator[int]:
    """Where in the file the information may begin: in its section, else in the first segment of data."""
    named = [(one.offset, one.size) for one in elf.sections if one.name == _SECTION]
    data = [
        (one.offset, one.size)
        for one in elf.segments
        if one.kind == _LOAD and one.flags & (_EXECUTABLE | _WRITABLE) == _WRITABLE
    ]
    for offset, size in (named or data)[:1]:
        # Offsets are aligned as addresses are, since both are by pages (elf(5), p_align).
        aligned = (place for place in elf.positions(offset, size, _MAGIC, 1) if place % _ALIGNED == 0)
        yield from itertools.islice(aligned, _MOST_MAGIC)


def _told(elf: _Elf, place: int) -> Optional[Build]:
    """What the information at this offset says, None when it is none."""
    head = elf.content(place, _HEAD)
    if len(head) < _HEAD:  # the file ends in it
        return None
    size, flags = head[14], head[15]
    if flags & _INLINE:
        release, info = _inline(elf.content(place + _HEAD, _MOST_INFO))
    else:
        end, pointer = ">" if flags & _BIG_ENDIAN else "<", "I" if size == 4 else "Q"
        addresses = struct.unpack_from(f"{end}2{pointer}", head, 16)
        release, info = (elf.string(address, end, pointer) for address in addresses)
    go = _GO.fullmatch(release.decode("utf-8", "replace"))
    framed = len(info) > 2 * _FRAME and info[-_FRAME - 1 : -_FRAME] == b"\n"
    return _described(go.group(1), info[_FRAME:-_FRAME].decode("utf-8", "replace") if framed else "") if go else None


def _inline(content: bytes) -> tuple[bytes, bytes]:
    """Two strings, each behind its length. Raises ValueError."""
    release, rest = _prefixed(content)
    return release, _prefixed(rest)[0]


def _prefixed(content: bytes) -> tuple[bytes, bytes]:
    """A string and what follows it."""
    length = 0
    for number, byte in enumerate(content[:10]):  # encoding/binary.MaxVarintLen64
        length |= (byte & 0x7F) << (7 * number)
        if byte < 0x80:
            begin = number + 1
            if length > len(content) - begin:
                break
            return content[begin : begin + length], content[begin + length :]
    raise ValueError("no string of this length")


def _older(elf: _Elf) -> Optional[Build]:
    """A program without this information: of a Go before 1.13, or none."""
    if not any(one.name in _GO_SECTIONS for one in elf.sections):
        return None
    go = None
    try:
        address = elf.symbol(_VERSION_SYMBOL)
        if address is not None:
            text = elf.string(address, elf.end, elf.layout.pointer)
            go = _GO.fullmatch(text.decode("utf-8", "replace"))
    except struct.error:
        pass
    return Build(go.group(1) if go else _WITHOUT_VERSION, None, None, None, None)


def _described(go: str, info: str) -> Build:
    path = module = version = revision = None
    flags = ""
    # Splitting at \n alone: what is quoted may hold other ends of lines.
    for line in info.split("\n"):
        key, _tab, value = line.partition("\t")
        if key == "path":
            path = value if _PATH.fullmatch(value) else None
        elif key == "mod":
            name, _tab, rest = value.partition("\t")
            module = name if _PATH.fullmatch(name) else None
            version = _released(rest.partition("\t")[0])
        elif key == "build" and value.startswith("vcs.revision="):
            commit = value.partition("=")[2]
            revision = commit if _REVISION.fullmatch(commit) else None
        elif key == "build" and value.startswith("-ldflags="):
            flags = value.partition("=")[2]
    module = module or _module_of(path)
    return Build(go, module, version or _linked_version(flags, module), revision, path)


def _released(text: str) -> Optional[str]:
    """A module's version; "(devel)" is none, nor is v0.0.0-DATE-COMMIT, which Go makes up for a commit without a release before it."""
    match = _VERSION.fullmatch(text)
    return match.group(1) if match and not text.startswith("v0.0.0-") else None


def _linked_version(flags: str, module: Optional[str]) -> Optional[str]:
    """The version that the linker was told to write into a variable: one of the program's own, or else the only one there is.

    The flags are quoted as Go quotes strings where they hold spaces (strconv.Quote).
    """
    plain = flags.replace("\\t", " ").replace("\\n", " ").replace('\\"', '"')
    own: set[str] = set()
    others: set[str] = set()
    for package, _name, value in _SET_BY_LINKER.findall(plain):
        version = _VERSION.fullmatch(value)
        if version:
            is_own = package == "main" or (module is not None and f"{package}/".startswith(f"{module}/"))
            (own if is_own else others).add(version.group(1))
    told = own or others
    return told.pop() if len(told) == 1 else None


def _module_of(path: Optional[str]) -> Optional[str]:
    """The module that a main package would be of: github.com/containerd/containerd of github.com/containerd/containerd/cmd/containerd.

    Distributions build without modules, so that the package alone is told.
    """
    if path is None or "." not in path.partition("/")[0]:  # no address: Go's own, or a file
        return None
    above = path.partition("/cmd/")[0]
    parts = above.split("/")
    if parts[0] not in _CODE_HOSTS:
        return above
    major = 1 if re.fullmatch(r"v[0-9]{1,4}", "".join(parts[3:4])) else 0
    return "/".join(parts[: 3 + major])
