# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""go_build: real programs say what `go version -m` says of them; everything else says nothing, quickly."""

from __future__ import annotations

import os
import struct
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import go_build
from ansible_collections.kubenode.doctor.plugins.module_utils.go_build import Build
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_program import NAMES, make, says

MAGIC = b"\xff Go buildinf:"
START = bytes.fromhex("3077af0c9274080241e1c107e6d618e6")
END = bytes.fromhex("f932433186182072008242104116d8f2")
OPENER = Build("go1.19.8", "example.com/opener", "1.2.3", None, "example.com/opener")


def test_there_are_fixtures():
    assert len(NAMES) == 18


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("symbols")])
def test_real_programs_say_what_go_says(tmp_path, name):
    build = go_build.read(str(make(name, tmp_path / "program")))
    release, told = says(name)
    assert build.go == release
    assert build.path == told["path"]
    assert build.revision == told.get("vcs.revision")
    if "mod" in told:
        assert build.module == told["mod"].split("\t")[0]


@pytest.mark.parametrize(
    ("name", "module", "version"),
    [
        ("containerd", "github.com/containerd/containerd", None),  # Debian: neither modules nor flags
        ("dockerd", "github.com/docker/docker", "20.10.24+dfsg1"),  # by -ldflags alone
        ("docker-28", "github.com/docker/cli", "28.2.2"),
        ("kubectl-1.28", "k8s.io/kubernetes", None),  # (devel) and -trimpath
        ("kubectl-1.33", "k8s.io/kubernetes", "1.33.1"),
        ("cbt", "cloud.google.com/go/cbt", "1.23.2"),  # not v0.0.0-20250422202024-9eeb4a7a08b6+dirty
    ],
)
def test_module_and_version(tmp_path, name, module, version):
    build = go_build.read(str(make(name, tmp_path / "program")))
    assert (build.module, build.version) == (module, version)


@pytest.mark.parametrize("architecture", ["amd64", "386", "ppc64", "mips"])
def test_all_forms_tell_the_same(tmp_path, architecture):
    for form in ("inline", "pointers"):
        assert go_build.read(str(make(f"{form}-{architecture}", tmp_path / form))) == OPENER


@pytest.mark.parametrize("architecture", ["amd64", "386", "ppc64", "mips"])
def test_before_go_1_13_a_symbol_tells_the_release(tmp_path, architecture):
    place = make(f"symbols-{architecture}", tmp_path / "program")
    assert go_build.read(str(place)) == Build("go1.19.8", None, None, None, None)


def test_before_go_1_13_and_stripped(tmp_path):
    place = make("symbols-amd64", tmp_path / "program")
    place.write_bytes(place.read_bytes().replace(b"runtime.buildVersion", b"runtime.buildVersioN"))
    assert go_build.read(str(place)) == Build("go", None, None, None, None)


@pytest.mark.parametrize("name", ["containerd", "dockerd", "inline-386", "inline-ppc64"])
def test_without_a_table_of_sections_the_data_is_searched(tmp_path, name):
    place = make(name, tmp_path / "program")
    told = go_build.read(str(place))
    with open(str(place), "r+b") as file:
        wide = file.read(5)[4] == 2
        file.seek(0x28 if wide else 0x20)
        file.write(bytes(8 if wide else 4))  # e_shoff
    assert go_build.read(str(place)) == told


def test_what_runs_is_read_when_the_file_is_gone(tmp_path):
    place = make("containerd", tmp_path / "containerd")
    with open(str(place), "rb") as file:
        place.unlink()
        assert go_build.read(f"/proc/self/fd/{file.fileno()}").go == "go1.19.8"


def a_program(content, kind=1, flags=6, size=None, offset=128):
    """A 64-bit file with one segment of data, at this offset and address 0x1000, and no sections."""
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    length = len(content) if size is None else size
    segment = struct.pack("<IIQQQQQQ", kind, flags, offset, 0x1000, 0, length, length, 16)
    return (header + segment).ljust(offset, b"\0") + content


def inline(release, info=b"", framed=True):
    text = START + info + END if framed else info
    return MAGIC + b"\x08\x02" + bytes(16) + varint(len(release)) + release + varint(len(text)) + text


def varint(number):
    content = b""
    while number >= 0x80:
        content += bytes([number & 0x7F | 0x80])
        number >>= 7
    return content + bytes([number])


def read(tmp_path, content):
    place = tmp_path / "program"
    place.write_bytes(content)
    return go_build.read(str(place))


# containerd's Makefile
CONTAINERD = (
    b'mod\tgithub.com/containerd/containerd\t(devel)\t\nbuild\t-ldflags="-X github.com/containerd/containerd/version.Version=v1.7.13'
    b' -X github.com/containerd/containerd/version.Revision=7c3aca7 -s -w "\n'
)
# Kubernetes' hack/lib/version.sh: two variables with one value
KUBERNETES = (
    b"mod\tk8s.io/kubernetes\t(devel)\t\nbuild\t-ldflags=\"all=-X 'k8s.io/client-go/pkg/version.gitVersion=v1.28.2'"
    b" -X 'k8s.io/component-base/version.gitVersion=v1.28.2' -X 'k8s.io/component-base/version.gitMajor=1'\"\n"
)
# k3s' scripts/build: its own version counts, not that of what it has inside
K3S = (
    b'mod\tgithub.com/k3s-io/k3s\t(devel)\t\nbuild\t-ldflags="-X github.com/k3s-io/k3s/pkg/version.Version=v1.28.2+k3s1'
    b' -X github.com/containerd/containerd/version.Version=v1.7.6-k3s1"\n'
)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (b"path\tcommand-line-arguments\n", (None, None)),
        (b"path\tcmd/go\n", (None, None)),
        (b"path\tgithub.com/containerd/containerd/v2/cmd/containerd\n", ("github.com/containerd/containerd/v2", None)),
        (b"path\tgithub.com/opencontainers/runc\n", ("github.com/opencontainers/runc", None)),
        (b"path\tgithub.com/google/gops/agent\n", ("github.com/google/gops", None)),
        (b"path\tk8s.io/kubernetes/cmd/kubelet\n", ("k8s.io/kubernetes", None)),
        (b"path\tm.io/x\nmod\tm.io/x\tv1.7.2\th1:abc=\ndep\tm.io/y\tv9.9.9\th1:abc=\n", ("m.io/x", "1.7.2")),
        (b"mod\tm.io/x\tv1.33.1+dirty\t\n", ("m.io/x", "1.33.1+dirty")),
        (b"mod\tm.io/x\t(devel)\t\n", ("m.io/x", None)),
        (b"mod\tm.io/x\tv0.0.0-20250422202024-9eeb4a7a08b6\t\n", ("m.io/x", None)),
        (CONTAINERD, ("github.com/containerd/containerd", "1.7.13")),
        (KUBERNETES, ("k8s.io/kubernetes", "1.28.2")),
        (K3S, ("github.com/k3s-io/k3s", "1.28.2+k3s1")),
        (b'mod\tm.io/x\t(devel)\t\nbuild\t-ldflags="-X a.io/a.Version=1 -X b.io/b.Version=2"\n', ("m.io/x", None)),
        (b"mod\tm.io/x\t(devel)\t\nbuild\t-ldflags=-X=main.version=1.2\n", ("m.io/x", "1.2")),
        (b'mod\tm.io/x\t(devel)\t\nbuild\t-ldflags="-X main.version=hunter2"\n', ("m.io/x", None)),
        (b'mod\tm.io/x\t(devel)\t\nbuild\t-ldflags="-X main.conversion=2"\n', ("m.io/x", None)),
        (b'mod\tm.io/x\t(devel)\t\nbuild\t-ldflags="-X main.version=1.2\\t-s"\n', ("m.io/x", "1.2")),
        (b"mod\tm.io/\x1b[31m\tv1.0.0\t\n", (None, "1.0.0")),
        (b"mod\n", (None, None)),
        (b"mod\tm.io/x\tv1.\xff\t\n", ("m.io/x", None)),
        (b"mod\tm.io/x\tv" + b"1" * 65 + b"\t\n", ("m.io/x", None)),
    ],
)
def test_what_the_lines_mean(tmp_path, info, expected):
    build = read(tmp_path, a_program(inline(b"go1.22.5", info)))
    assert (build.module, build.version) == expected


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        (b"go1.26.0", "go1.26.0"),
        (b"go1.21.11 X:nocoverageredesign", "go1.21.11"),
        (b"devel go1.22-aa39e0d Tue Nov 21 10:00:00 2023 +0000", "devel go1.22-aa39e0d"),
        (b"go1.22-20231128-RC02 cl/586117301 +6111acc8e6", "go1.22-20231128-RC02"),
    ],
)
def test_releases(tmp_path, release, expected):
    assert read(tmp_path, a_program(inline(release))).go == expected


def test_an_empty_build_of_no_module(tmp_path):
    assert read(tmp_path, a_program(inline(b"go1.18", b"", framed=False))) == Build("go1.18", None, None, None, None)


def test_lines_without_a_frame_are_none(tmp_path):
    text = bytes(16) + b"path\tm.io/x\n" + bytes(20)
    assert read(tmp_path, a_program(inline(b"go1.18", text, framed=False))).path is None


def test_between_two_blocks_that_are_read(tmp_path):
    before = bytes((1 << 20) - 8)
    assert read(tmp_path, a_program(before + inline(b"go1.22.5"), offset=120)).go == "go1.22.5"


def test_symbols_are_looked_for_where_entries_begin(tmp_path):
    place = make("symbols-amd64", tmp_path / "program")
    with open(str(place), "r+b") as file:
        elf = go_build._Elf(file.fileno(), file.read(16))
        table = next(one for one in elf.sections if one.kind == 2)
        names = elf.sections[table.link]
        name = next(elf.positions(names.offset, names.size, b"runtime.buildVersion", 1)) - names.offset
        file.seek(table.offset + 8)
        file.write(struct.pack("<I", name))
    assert go_build.read(str(place)).go == "go1.19.8"


def an_old_program(names, *more):
    """A program of Go without its information: a section with names, .gosymtab its own, and ``more``: (type, offset, size, link)."""
    names = b"\0.gosymtab\0" + names
    fields = [(1, 3, 256, len(names), 0), *((0, *one) for one in more)]
    table = b"".join(
        struct.pack("<IIQQQQIIQQ", name, kind, 0, 0, offset, size, link, 0, 0, 0)
        for name, kind, offset, size, link in fields
    )
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, len(fields), 0
    )
    return (head + table).ljust(256, b"\0") + names


def test_many_names_of_one_symbol_take_no_time(tmp_path):
    """Each would be looked for in a table of 64 MiB."""
    place = tmp_path / "program"
    place.write_bytes(an_old_program(b"\0runtime.buildVersion" * 40_000 + b"\0", (2, 1 << 21, 1 << 40, 0)))
    os.truncate(str(place), 1 << 40)
    began = time.process_time()
    assert go_build.read(str(place)) == Build("go", None, None, None, None)
    assert time.process_time() - began < 3


@pytest.mark.parametrize("more", [(), [(2, 0, 240, 7)]], ids=["no symbols", "no names of symbols"])
def test_an_old_program_without_symbols(tmp_path, more):
    assert read(tmp_path, an_old_program(b"\0runtime.buildVersion\0", *more)) == Build("go", None, None, None, None)


def test_what_is_found_too_often_is_not_looked_for_any_longer(tmp_path, monkeypatch):
    monkeypatch.setattr(go_build, "_MOST_HITS", 10)
    place = tmp_path / "program"
    place.write_bytes(a_program(b"x" * 100))
    with open(str(place), "rb") as file:
        elf = go_build._Elf(file.fileno(), file.read(16))
        assert list(elf.positions(128, 100, b"x", 4)) == [128, 132, 136]


NOTHING = {
    "empty": b"",
    "short": b"\x7fELF\x02\x01",
    "a script": b"#!/bin/sh\n" + MAGIC + b"\x08\x02" * 100,
    "no class": b"\x7fELF\x03\x01" + bytes(100),
    "no byte order": b"\x7fELF\x02\x07" + bytes(100),
    "only a header": a_program(b"")[:64],
    "cut in the header": a_program(b"")[:40],
    "tables beyond the end": b"\x7fELF\x02\x01" + b"\xff" * 200,
    "tables of 32 bit beyond the end": b"\x7fELF\x01\x02" + b"\xff" * 200,
    "no information": a_program(b"hello" * 100),
    "code, not data": a_program(inline(b"go1.22.5"), flags=5),
    "no segment that is loaded": a_program(inline(b"go1.22.5"), kind=4),
    "not aligned": a_program(b"x" + inline(b"go1.22.5")),
    "head alone": a_program(MAGIC + b"\x08\x02"),
    "magic alone": a_program(MAGIC),
    "text without an end": a_program(MAGIC + b"\x08\x02" + bytes(16) + b"\xff" * 10),
    "text beyond the end": a_program(MAGIC + b"\x08\x02" + bytes(16) + b"\x7fgo1.22"),
    "a length of 2^63": a_program(MAGIC + b"\x08\x02" + bytes(16) + b"\xff" * 8 + b"\x7f" + b"go1.22"),
    "no release of Go": a_program(inline(b"\x1b[31mgo1.22.5")),
    "a release without an end": a_program(inline(b"go1" + b"9" * 100)),
    "pointers to nowhere": a_program(MAGIC + b"\x08\x00" + struct.pack("<QQ", 2**64 - 1, 0) + bytes(32)),
    "pointers to themselves": a_program(MAGIC + b"\x08\x00" + struct.pack("<QQ", 0x1010, 0x1010) + bytes(32)),
    "a string of 2^60": a_program(MAGIC + b"\x08\x00" + struct.pack("<QQQQ", 0x1020, 0x1020, 0x1000, 2**60)),
    "a string that ends with the file": a_program(
        MAGIC + b"\x08\x00" + struct.pack("<QQQQ", 0x1020, 0x1020, 0x1030, 20) + b"go1.22.5"
    ),
    "pointers of 7 bytes": a_program(MAGIC + b"\x07\x01" + bytes(40)),
}


@pytest.mark.parametrize("what", NOTHING)
def test_what_says_nothing(tmp_path, what):
    assert read(tmp_path, NOTHING[what]) is None


def test_every_cut_of_a_real_program_is_survived(tmp_path):
    place = make("pointers-amd64", tmp_path / "program")
    for end in (*range(place.stat().st_size, 2000, -50_003), *range(2000, 0, -61)):
        os.truncate(str(place), end)
        go_build.read(str(place))
    assert go_build.read(str(place)) is None


@pytest.mark.parametrize("name", ["inline-386", "pointers-ppc64", "symbols-amd64"])
def test_every_changed_byte_of_the_tables_is_survived(tmp_path, name):
    place = make(name, tmp_path / "program")
    with open(str(place), "r+b") as file:
        for offset in (*range(4, 64), *range(64, 600, 7)):
            file.seek(offset)
            before = file.read(1)
            file.seek(offset)
            file.write(b"\xff")
            file.flush()
            go_build.read(str(place))
            file.seek(offset)
            file.write(before)


@pytest.mark.parametrize(
    "content",
    [
        a_program((MAGIC + b"\x08\x02") * 100_000),
        a_program(b"", size=2**62),
        a_program(MAGIC + b"\x08\x02" + bytes(16) + b"\x08go1.22.5" + varint(2**40)),
        a_program(MAGIC + b"\x08\x00" + struct.pack("<QQQQ", 0x1020, 0x1020, 0x1000, 2**39), size=2**62),
    ],
    ids=["magic everywhere", "a segment without an end", "lines without an end", "a string without an end"],
)
def test_hostile_programs_take_no_time(tmp_path, content):
    place = tmp_path / "program"
    place.write_bytes(content)
    os.truncate(str(place), 1 << 40)
    began = time.process_time()
    assert go_build.read(str(place)) is None
    assert time.process_time() - began < 3


@pytest.mark.parametrize("make_it", [os.mkfifo, os.mkdir])
def test_no_regular_file(tmp_path, make_it):
    make_it(str(tmp_path / "thing"))
    with pytest.raises(OSError, match="regular file"):
        go_build.read(str(tmp_path / "thing"))


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        go_build.read(str(tmp_path / "thing"))
