# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images for containers of tests, made of Debian's busybox, a single static program: no registry is asked.

``archive`` writes them as ``docker save`` does, which docker load and ctr images import read. A container that needs more than busybox
runs this machine's Python: ``MACHINE`` are the folders to mount, ``fake_program`` are the words of its command.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

# A name that the kernel keeps as it is: /proc/PID/comm of what is started by it has a quote, an escape sequence and a line feed.
HOSTILE_PROGRAM = 'busybox"\x1b[2J\n'
_SUPPORT = PROJECT / "tests" / "support"
_PYTHON = os.path.realpath(sys.executable)
# Of this machine, to be seen read-only at the same paths.
MACHINE = tuple(sorted({"/usr", str(_SUPPORT), *([] if _PYTHON.startswith("/usr/") else [sys.base_prefix])}))
# What a container finds of busybox, and where MACHINE's programs look for their libraries.
_LINKS = {
    **{f"bin/{name}": "busybox" for name in ("cat", "false", "httpd", "sh", "sleep", "true", HOSTILE_PROGRAM)},
    "lib": "usr/lib",
    "lib64": "usr/lib64",
}


class Image(NamedTuple):
    """One image."""

    names: tuple[str, ...]
    command: tuple[str, ...] = ("/bin/sleep", "infinity")
    distroless: bool = False  # nothing but /httpd


BUSYBOX = Image(("registry.example/busybox:1",))
# Seed 004: one image by two names, whose process listens on 5000 although Service ui wants 9292.
POST = Image(("docker.io/reddit/post:f5393576", "docker.io/reddit/ui:f5393576"), ("/bin/httpd", "-f", "-p", "5000"))
DISTROLESS = Image(("registry.example/distroless/httpd:1",), ("/httpd", "-f", "-p", "8080"), distroless=True)


def fake_program(*arguments: str) -> tuple[str, ...]:
    """The command of a container that has MACHINE's folders and runs tests/support/fake_program.py."""
    return _PYTHON, "-B", "-I", str(_SUPPORT / "fake_program.py"), *arguments


def archive(path: Path, images: Iterable[Image]) -> None:
    """Write these images."""
    manifest = []
    with tarfile.open(path, "w") as tar:
        for number, image in enumerate(images):
            layer = _layer(image.distroless)
            _add(tar, f"{number}/layer.tar", layer)
            _add(tar, f"{number}/config.json", json.dumps(_config(image, layer)).encode())
            entry = {"Config": f"{number}/config.json", "RepoTags": image.names, "Layers": [f"{number}/layer.tar"]}
            manifest.append(entry)
        _add(tar, "manifest.json", json.dumps(manifest).encode())


def _config(image: Image, layer: bytes) -> dict[str, object]:
    return {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),  # Go's
        "os": "linux",
        "config": {"Cmd": image.command, "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }


def _layer(distroless: bool) -> bytes:
    program = shutil.which("busybox")
    assert program is not None
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.add(Path(program).resolve(), "httpd" if distroless else "bin/busybox")
        for name, target in () if distroless else _LINKS.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    return data.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
