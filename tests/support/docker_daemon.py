# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker daemon of the tests' own: the machine's Docker, its bridges and its packet filter are left alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from ansible_collections.kubenode.doctor.tests.support import own_namespaces
from ansible_collections.kubenode.doctor.tests.support.own_namespaces import OwnNamespaces
from ansible_collections.kubenode.doctor.tests.support.stage import run

COMMANDS = ("docker", "dockerd", *own_namespaces.COMMANDS)
# All containers are in one segment (TEST-NET-1 of RFC 5737), in the daemon's own network namespace.
_GATEWAY = "192.0.2.1/24"
# Where the socket of the machine's containerd lies, dockerd takes that one, which knows nothing of our namespaces.
HIDE_CONTAINERD = "if [ -e /run/containerd ]; then mount -t tmpfs none /run/containerd; fi"
# A daemon starts in a second; this is for a machine that does something else as well.
_START_SECONDS = 60


class DockerDaemon:
    """One dockerd, and its containerd, in namespaces that somebody else ends."""

    def __init__(self, namespaces: OwnNamespaces, data_root: str | None = None, socket: str | None = None) -> None:
        """``data_root``, ``socket``: dockerd's, as the namespaces see them; left out, in a folder that is removed in the end."""
        # Not pytest's folder: the address of a Unix socket has 107 bytes at most.
        self.folder = Path(tempfile.mkdtemp(prefix="kd-docker-"))
        self._socket = socket or str(self.folder / "socket")
        self._data_root = data_root or str(self.folder / "data")
        self.socket = f"unix://{namespaces.path(self._socket)}"
        self.docker = ("docker", "--host", self.socket)
        self._namespaces = namespaces
        self.cgroup = f"/{self.folder.name}"  # above those of all its containers
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command docker, which asks this daemon."""
        return run(*self.docker, *words, check=check)

    def start(self) -> None:
        """Start the daemon, and wait until it answers."""
        words = [*self._namespaces.enter, "dockerd", "--host", f"unix://{self._socket}"]
        words += ["--pidfile", str(self.folder / "pid"), "--live-restore"]
        words += ["--data-root", self._data_root, "--exec-root", str(self.folder / "exec")]
        words += ["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", self.cgroup]
        words += ["--bip", _GATEWAY, "--iptables=false", "--ip-forward=false", "--userland-proxy=false"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + _START_SECONDS
        while self.run("version", check=False).returncode != 0:
            alive = self._process.poll() is None and time.monotonic() < deadline
            assert alive, (self.folder / "log").read_text("utf-8", "replace")[-5000:]
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the daemon; its containers go on (live restore)."""
        assert self._process is not None
        self._namespaces.run("kill", (self.folder / "pid").read_text("ascii").strip())
        self._process.wait(_START_SECONDS)

    def remove(self) -> None:
        """Remove what is left, once the namespaces have ended."""
        if self._process is not None:
            self._process.wait(_START_SECONDS)
        for top in Path("/sys/fs/cgroup").glob(f"**{self.cgroup}"):
            for folder, _folders, _files in os.walk(top, topdown=False):
                os.rmdir(folder)
        shutil.rmtree(self.folder)
