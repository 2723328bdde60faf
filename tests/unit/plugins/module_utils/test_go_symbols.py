# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""go_symbols: tables of functions of all formats, made by their description in Go's source, and files that are none.

That real programs are read is tested with a stripped one in tests/integration_real/test_listen_trace.py.
"""

from __future__ import annotations

import os
import random
import struct

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import go_symbols

TEXT = 0x401000  # .text begins here
BASE = 0x400000  # and this is offset 0 of the file
GO = TEXT + 0x200  # runtime.text, behind what a C linker puts first
FUNCTIONS = [("syscall.Syscall", 0), ("net.Listen", 0x40), ("main.main", 0x100), ("runtime.goexit", 0x180)]
END = 0x1A0
FORMATS = {"1.2": 0xFFFFFFFB, "1.16": 0xFFFFFFFA, "1.18": 0xFFFFFFF0, "1.20": 0xFFFFFFF1}


def table(version, text_start=GO):
    """A .gopclntab (golang/go src/cmd/link/internal/ld/pcln.go)."""
    entry = "<2I" if version in ("1.18", "1.20") else "<2Q"
    size = struct.calcsize(entry) // 2
    first = 0 if size == 4 else GO
    header = 16 if version == "1.2" else 8 + 8 * 8
    functab = (2 * len(FUNCTIONS) + 1) * size
    names, places = b"", []
    for name, _start in FUNCTIONS:
        places.append(len(names))
        names += name.encode() + b"\0"
    described = functab  # behind the entries, counted from them
    if version == "1.2":
        described, names_at = header + functab, header + functab + 16 * len(FUNCTIONS)
        places = [names_at + place for place in places]
    entries, descriptions = b"", b""
    for number, (_name, start) in enumerate(FUNCTIONS):
        entries += struct.pack(entry, first + start, described + 16 * number)
        descriptions += struct.pack("<Q" if size == 8 else "<I", first + start) + struct.pack("<i", places[number])
        descriptions = descriptions.ljust(16 * (number + 1), b"\0")
    entries += struct.pack("<Q" if size == 8 else "<I", first + END)
    body = entries + descriptions
    words = [len(FUNCTIONS), 3]
    if version == "1.16":
        words += [header + len(body), 0, 0, 0, header]
    elif version != "1.2":
        words += [text_start, header + len(body), 0, 0, 0, header]
    packed = struct.pack("<Q", words[0]) if version == "1.2" else struct.pack("<8Q", *[*words, 0][:8])
    return struct.pack("<IHBB", FORMATS[version], 0, 1, 8) + packed + body + names


def program(content, section=b".gopclntab"):
    """An ELF file of 64 bits that has it, at offset 0x2000."""
    texts = b"\0.text\0" + section + b"\0.shstrtab\0"
    names_at = 0x2000 + len(content)
    sections_at = names_at + len(texts)
    sections = [
        (0,) * 10,
        (1, 1, 6, TEXT, TEXT - BASE, 0x1000, 0, 0, 1, 0),
        (7, 1, 2, BASE + 0x2000, 0x2000, len(content), 0, 0, 1, 0),
        (8 + len(section), 3, 0, 0, names_at, len(texts), 0, 0, 1, 0),
    ]
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", ident, 2, 62, 1, TEXT, 64, sections_at, 0, 64, 56, 1, 64, len(sections), 3
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, 0x2000, 0x2000, 0x1000)
    return (
        (header + segment).ljust(0x2000, b"\0")
        + content
        + texts
        + b"".join(struct.pack("<IIQQQQIIQQ", *one) for one in sections)
    )


def offsets(*places, start=GO):
    return [start - BASE + place for place in places]


def read(tmp_path, content, asked):
    path = tmp_path / "program"
    path.write_bytes(content)
    return go_symbols.names(str(path), asked)


@pytest.mark.parametrize("version", FORMATS)
def test_all_formats(tmp_path, version):
    asked = offsets(0x7, 0x40, 0xFF, 0x150, 0x19F, 0x1A0, 0x800)
    assert read(tmp_path, program(table(version)), asked) == [
        "syscall.Syscall",
        "net.Listen",
        "net.Listen",
        "main.main",
        "runtime.goexit",
        "?",
        "?",
    ]


def test_the_table_of_an_executable_that_can_be_placed_anywhere(tmp_path):
    content = program(table("1.18"), b".data.rel.ro.gopclntab")
    assert read(tmp_path, content, offsets(0, 0x100)) == ["syscall.Syscall", "main.main"]


def test_what_lies_in_no_segment_has_no_name(tmp_path):
    assert read(tmp_path, program(table("1.18")), [*offsets(0), 0x900000]) == ["syscall.Syscall", "?"]


def test_without_the_start_of_the_text_it_is_that_of_the_section(tmp_path):
    """Go 1.26: right for what Go linked itself, and not believed where it is not."""
    content = program(table("1.20", text_start=0))
    assert read(tmp_path, content, offsets(0x7, 0x150, start=TEXT)) == ["syscall.Syscall", "main.main"]
    assert read(tmp_path, content, offsets(0x7, 0x150)) is None


def test_names_that_do_not_fit_are_not_told(tmp_path):
    assert read(tmp_path, program(table("1.18")), offsets(0x150, 0x7)) is None
    assert read(tmp_path, program(table("1.18")), []) is None


@pytest.mark.parametrize(
    "name", ["/nonexistent", "/dev/null", "/dev/zero", "/proc/self/mem", "/", "", "a\0b", __file__]
)
def test_files_that_are_no_go_program(name):
    assert go_symbols.names(name, [0x1000]) is None


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert go_symbols.names(str(tmp_path / "pipe"), [1]) is None


@pytest.mark.parametrize("version", FORMATS)
def test_files_that_are_cut_or_damaged_give_names_or_none(tmp_path, version):
    whole = program(table(version))
    right = {"syscall.Syscall", "net.Listen", "main.main", "runtime.goexit", "?"}
    for end in (*range(0, 200, 13), *range(0x2000, len(whole), 17)):
        told = read(tmp_path, whole[:end], offsets(0x7, 0x150))
        assert told is None or set(told) <= right
    dice = random.Random(6)  # noqa: S311 - damage that can be repeated
    for _round in range(100):
        damaged = bytearray(whole)
        for _time in range(3):
            place = dice.choice([dice.randrange(120), dice.randrange(0x2000, len(whole))])
            damaged[place] = dice.randrange(256)
        told = read(tmp_path, bytes(damaged), offsets(0x7, 0x150, 0xFFFFFFFFFF))
        assert told is None or len(told) == 3
