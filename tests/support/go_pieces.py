# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tests/fixtures/go_build: of Go programs only the bytes that say how they were built, at the offsets where they lie.

    python -m tests.support.go_pieces FOLDER

wants Debian's golang-go. What a program says is taken from `go version -m`, not from the code under test.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.kubenode.doctor.plugins.module_utils import go_build

SOURCE = "package main\n\nfunc main() { println(1) }\n"
# name: the program on a Debian 12 with its containerd and docker.io, and with Google's and Docker's own clients
PROGRAMS = {
    "containerd": "/usr/bin/containerd",
    "dockerd": "/usr/sbin/dockerd",
    "kubectl-1.33": "/usr/lib/google-cloud-sdk/bin/kubectl.1.33",
    "kubectl-1.28": "/usr/lib/google-cloud-sdk/bin/kubectl.1.28",
    "docker-28": "/usr/local/bin/docker",
    "cbt": "/usr/lib/google-cloud-sdk/bin/cbt",
}
FLAGS = "-X main.Version=v1.2.3 -X example.com/other/version.Version=9"


def build(folder: Path, architecture: str, *options: str) -> Path:
    """Build a program of the module example.com/opener."""
    (folder / "main.go").write_text(SOURCE)
    (folder / "go.mod").write_text("module example.com/opener\n\ngo 1.19\n")
    place = folder / f"{architecture}{len(options)}"
    environment = {**os.environ, "GOARCH": architecture, "CGO_ENABLED": "0", "GOFLAGS": "", "GO111MODULE": "on"}
    command = ["go", "build", *options, "-ldflags", FLAGS, "-o", str(place), "."]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return place


def opened(path: Path) -> go_build._Elf:
    """The file, with its tables."""
    descriptor = os.open(path, os.O_RDONLY)
    return go_build._Elf(descriptor, os.pread(descriptor, 16, 0))


def in_file(elf: go_build._Elf, address: int) -> int:
    """Where in the file an address is."""
    return next(one.offset + address - one.address for one in elf.segments if 0 <= address - one.address < one.size)


def with_pointers(path: Path) -> None:
    """Give a program the information in the form that Go 1.13 to 1.17 wrote: its own strings are still there."""
    elf = opened(path)
    section = next(one for one in elf.sections if one.name == b".go.buildinfo")
    addresses = [elf.symbol(b"\0runtime.%s\0" % name) for name in (b"buildVersion", b"modinfo")]
    pointer = elf.layout.pointer
    head = struct.pack(
        f"{elf.end}14sBB2{pointer}", b"\xff Go buildinf:", struct.calcsize(pointer), elf.end == ">", *addresses
    )
    with path.open("r+b") as file:
        file.seek(section.offset)
        file.write(head.ljust(section.size, b"\0"))


def without_information(path: Path) -> None:
    """Make a program one of a Go before 1.13, which wrote none."""
    elf = opened(path)
    with path.open("r+b") as file:
        for section in elf.sections:
            if section.name == b".go.buildinfo":
                file.seek(section.offset)
                file.write(bytes(section.size))


def parts(path: Path) -> Iterator[tuple[int, int]]:
    """The offsets and lengths of what is kept: the tables, the information, and what these point at."""
    elf = opened(path)
    layout = elf.layout
    header = elf._unpack(layout.header, 16)
    yield 0, 16 + struct.calcsize("<" + layout.header)
    yield header[4], header[9] * struct.calcsize("<" + layout.segment)
    yield header[5], header[11] * struct.calcsize("<" + layout.section)
    of_names = elf._table(layout.section, header[5], header[11])[header[12]]
    yield of_names[4], of_names[5]
    blob = b""
    for section in elf.sections:
        if section.name == b".go.buildinfo":
            yield section.offset, section.size
            blob = elf.content(section.offset, section.size)
    if blob.startswith(b"\xff") and not blob[15] & 2:
        for address in struct.unpack_from(f"{elf.end}2{layout.pointer}", blob, 16):
            yield from a_string(elf, address)
    if not blob.strip(b"\0"):
        yield from a_symbol(elf)


def a_string(elf: go_build._Elf, address: int) -> Iterator[tuple[int, int]]:
    """A string of Go, and what it points at."""
    head = struct.Struct(f"{elf.end}2{elf.layout.pointer}")
    place, length = head.unpack(elf.at(address, head.size))
    yield in_file(elf, address), head.size
    yield in_file(elf, place), length


def a_symbol(elf: go_build._Elf) -> Iterator[tuple[int, int]]:
    """The symbol runtime.buildVersion: its name, its entry, and its string."""
    name = b"\0runtime.buildVersion\0"
    size = struct.calcsize("<" + elf.layout.symbol)
    for table in (one for one in elf.sections if one.kind == 2):
        names = elf.sections[table.link]
        place = elf.content(names.offset, names.size).index(name)
        yield names.offset + place, len(name)
        entries = elf.content(table.offset, table.size)
        (number,) = (
            n for n in range(0, len(entries), size) if struct.unpack_from(f"{elf.end}I", entries, n)[0] == place + 1
        )
        yield table.offset + number, size
        yield from a_string(elf, struct.unpack_from(elf.end + elf.layout.symbol, entries, number)[elf.layout.value])


def said(path: Path) -> str:
    """What Go itself reads there, without the modules that are not the main one."""
    run = subprocess.run(["go", "version", "-m", str(path)], capture_output=True, text=True, check=False)
    head, _newline, rest = run.stdout.partition("\n")
    lines = [line for line in rest.split("\n") if line.startswith(("\tpath\t", "\tmod\t", "\tbuild\t"))]
    return "\n".join([head.rpartition(": ")[2], *lines])


def keep(folder: Path, name: str, path: Path) -> None:
    """Write one file of the fixtures."""
    content = path.read_bytes()
    pieces = [[offset, base64.b64encode(content[offset : offset + size]).decode()] for offset, size in parts(path)]
    document = {"size": len(content), "says": said(path), "pieces": pieces}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def main(folder: Path) -> None:
    """Make all of them."""
    for name, place in PROGRAMS.items():
        keep(folder, name, Path(place))
    with tempfile.TemporaryDirectory() as temporary:
        for architecture in ("amd64", "386", "ppc64", "mips"):
            program = build(Path(temporary), architecture)
            keep(folder, f"inline-{architecture}", program)
            with_pointers(program)
            keep(folder, f"pointers-{architecture}", program)
            without_information(program)
            keep(folder, f"symbols-{architecture}", program)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
