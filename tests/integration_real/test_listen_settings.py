# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listen_settings beside a real containerd: every port that it opens is decided by the setting that opened it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import listen_settings, listeners
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import in_fresh_netns, needs_root

pytestmark = [
    needs_root,
    pytest.mark.skipif(not shutil.which("containerd"), reason="needs containerd"),
]

MAIN = """version = 2
root = "{folder}/root"
state = "{folder}/state"
imports = ["{folder}/drop-in.toml"]
[grpc]
  address = "{folder}/containerd.sock"
  tcp_address = "127.0.0.1:16062"
[metrics]
  address = ":0"
[debug]
  address = "127.0.0.1:16060"
"""
DROP_IN = """version = 2
[metrics]
  address = ""
[debug]
  address = "127.0.0.1:16061"
"""
SERVERS = 4
SECONDS = 30


def test_every_port_of_containerd():
    with tempfile.TemporaryDirectory(prefix="kd-") as folder:  # pytest's own paths are too long for a Unix socket
        (Path(folder) / "config.toml").write_text(MAIN.format(folder=folder))
        (Path(folder) / "drop-in.toml").write_text(DROP_IN)
        found = in_fresh_netns(decided, folder)
    by_kind = {kind: (address, port, told) for kind, address, port, told in found}
    drawn = {kind: by_kind[kind][1] for kind in ("cri-streaming", "containerd-metrics")}
    assert by_kind == {
        "cri-streaming": ("127.0.0.1", drawn["cri-streaming"], None),
        "containerd-metrics": ("::", drawn["containerd-metrics"], ":0"),
        "containerd-debug": ("127.0.0.1", 16061, "127.0.0.1:16061"),
        "containerd-grpc": ("127.0.0.1", 16062, "127.0.0.1:16062"),
    }


def decided(folder):
    """[kind, address, port, what is set] of each TCP listener, None where nothing decides."""
    command = ["containerd", "--config", f"{folder}/config.toml"]
    with (Path(folder) / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            sockets = opened(Deadline(SECONDS))
            settings = listen_settings.collect()["settings"]
            deciding = [(one, listen_settings.deciding(one, settings, sockets)) for one in sockets]
            return [
                [setting and setting["kind"], one["address"], one["port"], setting and setting["value"]]
                for one, setting in deciding
            ]
        finally:
            process.kill()  # it has nothing to put away: no container runs
            process.wait(SECONDS)


def opened(deadline):
    """The TCP listeners of this namespace once containerd has opened all that it will; those that are there at the end of time."""
    while True:
        found = listeners.collect(SocketHolders(Deadline(SECONDS)), ("tcp",))["listeners"]
        # One that was opened after the processes were looked at has no owner yet.
        if (len(found) >= SERVERS and all(one["processes"] for one in found)) or deadline.passed():
            return found
        time.sleep(0.2)
