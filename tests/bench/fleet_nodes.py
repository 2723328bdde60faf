# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fifty nodes behind ssh: containers that run an sshd and nothing else, in a network that ends with them."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.kubenode.doctor.tests.support import docker_nodes
from ansible_collections.kubenode.doctor.tests.support.systemd_node import SystemdNode, SystemdNodes

COMMANDS = (*docker_nodes.COMMANDS, "ssh", "ssh-keygen")
_SSHD = "mkdir -p /run/sshd; exec /usr/sbin/sshd -D"
_AT_ONCE = 4  # more only wait for each other in dockerd
# Counts what ssh sends and receives when it is told where to write it: one file for each process.
_COUNTING = """#!/bin/sh
exec {ssh} ${{KUBENODE_SSH_LOGS:+-v}} ${{KUBENODE_SSH_LOGS:+-E}} ${{KUBENODE_SSH_LOGS:+"$KUBENODE_SSH_LOGS/$$"}} "$@"
"""


class FleetNodes(SystemdNodes):
    """So many nodes, all gone at the end of the with block."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def start(self) -> Path:
        """Start the nodes, and write their inventory."""
        self._key()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self.node, [f"node-{number:02}" for number in range(self._number)]))
        return self.inventory({})

    def node(self, name: str, sysctls: Mapping[str, str] | None = None) -> SystemdNode:
        """Add a node that boots nothing."""
        key = self._key().with_suffix(".pub")
        options = ["--volume", f"{key}:/root/.ssh/authorized_keys:ro"]
        address = self.run(name, sysctls or {}, options, ["sh", "-ec", _SSHD])
        node = self.nodes[name] = SystemdNode(name, address, self._daemon.docker)
        return node

    def connection(self) -> dict[str, str]:
        """As before, but with an ssh that can count."""
        variables = super().connection()
        program = Path(variables["ansible_ssh_executable"])
        counting = program.with_name("counting-ssh")
        counting.write_text(_COUNTING.format(ssh=program), "ascii")
        counting.chmod(0o755)
        return {**variables, "ansible_ssh_executable": str(counting)}

    def hang_up(self) -> None:
        """End the connections that ssh keeps open for the next run (ControlPersist), so that each run begins with none."""
        title = f"ssh: {self._daemon.folder}/".encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cmdline").read_bytes().startswith(title):
                    os.kill(int(process.name), signal.SIGTERM)
            except (FileNotFoundError, ProcessLookupError):
                continue
