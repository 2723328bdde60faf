# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up node: processes under a made-up /proc, files under a made-up root."""

from __future__ import annotations

import os
import shutil

import pytest


class MadeUpNode:
    """``proc`` and ``root`` are folders to hand to a collector instead of /proc and /."""

    def __init__(self, folder):
        self.folder = folder
        self.proc = folder / "proc"
        self.root = folder / "root"
        self.root.mkdir()
        for network_namespace in ("host", "other"):
            (folder / network_namespace).touch()
        self.process("self", "python3", [])
        self.process(1, "systemd", ["/sbin/init"])

    def hidepid(self):
        """What an unprivileged user sees of a /proc that is mounted with hidepid=2: not even process 1."""
        shutil.rmtree(self.proc / "1")

    def process(self, pid, comm, argv, netns="host"):
        """Add a process; one whose ``netns`` is "other" is in a network namespace that is not the collector's."""
        place = self.proc / str(pid)
        (place / "ns").mkdir(parents=True)
        os.link(str(self.folder / netns), str(place / "ns" / "net"))
        (place / "comm").write_text(comm + "\n")
        (place / "cmdline").write_bytes("\0".join([*argv, ""]).encode())

    def file(self, path, text):
        """Write a file; returns its place on this machine."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place


@pytest.fixture
def node(tmp_path):
    return MadeUpNode(tmp_path)
