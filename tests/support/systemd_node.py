# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes for tests that boot systemd and are reached through ssh: containers of docker_nodes, with units, a journal and a real sshd.

They have this machine's containerd, with Debian's unit, which is not enabled. Of the kernel's settings they may write those of their
network namespace and no others; they cannot set this machine's clock.

    with SystemdNodes() as nodes:
        node = nodes.node("master")
        node.unit("kubelet.service", "[Service]\\nExecStart=/usr/bin/python3 /tests/support/fake_program.py kubelet --listen 127.0.0.1:36527")
        node.run("systemctl", "start", "kubelet", "containerd")
        run = diagnose("-i", nodes.inventory({"masters": ["master"]}))
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible_collections.kubenode.doctor.tests.support import docker_nodes
from ansible_collections.kubenode.doctor.tests.support.docker_nodes import DockerNode, DockerNodes
from ansible_collections.kubenode.doctor.tests.support.stage import run

_CONTAINERD = ("/usr/bin/containerd", "/usr/bin/ctr", "/usr/bin/containerd-shim-runc-v2", "/usr/sbin/runc")
_CONTAINERD_UNIT = "/lib/systemd/system/containerd.service"
COMMANDS = (*docker_nodes.COMMANDS, *_CONTAINERD, "ssh", "ssh-keygen")
# The last three are for a node that audits others, or itself, and for one that is asked without root: a second image would cost more.
_PACKAGES = (
    "python3",
    "iproute2",
    "procps",
    "systemd",
    "systemd-sysv",
    "openssh-server",
    "python3-venv",
    "git",
    "sudo",
)
# A machine whose controllers are those of cgroup v1 has a hierarchy of v2 all the same, without controllers; systemd needs none.
_CGROUP_V2 = "if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then mount -t cgroup2 none /sys/fs/cgroup; fi"
# Docker mounts both read-only. All that is not below net belongs to the whole machine.
_BOOT = """
mount -o remount,rw /sys/fs/cgroup
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,rw /proc/sys/net
exec /lib/systemd/systemd
"""
# A boot takes two seconds; this is for a machine that does something else as well.
_BOOT_SECONDS = 60


class SystemdNode(DockerNode):
    """One booted node."""

    def write(self, path: str, text: str) -> None:
        """Write a file, and make its folders."""
        self.write_all({path: text})

    def write_all(self, files: Mapping[str, str]) -> None:
        """The same of several files."""
        words = [word for file in files.items() for word in file]
        self.run(
            "sh",
            "-ec",
            'while [ "$#" != 0 ]; do mkdir -p "$(dirname "$1")"; printf %s "$2" >"$1"; shift 2; done',
            "sh",
            *words,
        )

    def read(self, path: str) -> str:
        """A file's text."""
        return self.run("cat", path).stdout

    def unit(self, name: str, text: str) -> None:
        """Write a unit, and let systemd read it."""
        self.write(f"/etc/systemd/system/{name}", text)
        self.run("systemctl", "daemon-reload")

    def wait_for(self, *words: str) -> None:
        """Wait until a command prints something."""
        deadline = time.monotonic() + _BOOT_SECONDS
        while not self.run(*words, check=False).stdout.strip():
            assert time.monotonic() < deadline, f"{' '.join(words)} prints nothing on {self.name}"
            time.sleep(0.1)

    def wait_for_boot(self) -> None:
        """Wait until all that is started at boot is there."""
        deadline = time.monotonic() + _BOOT_SECONDS
        while (state := self.run("systemctl", "is-system-running", check=False).stdout.strip()) != "running":
            assert state != "degraded", self.run("systemctl", "--failed", "--no-pager").stdout
            assert time.monotonic() < deadline, f"systemd on {self.name} says {state or 'nothing'}"
            time.sleep(0.1)


class SystemdNodes(DockerNodes):
    """Several such nodes, all gone at the end of the with block."""

    def __init__(self, programs: Sequence[str] = ()) -> None:
        """``programs``: more files of this machine that the nodes have in the same place."""
        super().__init__(_PACKAGES, [_CGROUP_V2])
        self._files = (*_CONTAINERD, _CONTAINERD_UNIT, *programs)

    def node(self, name: str, sysctls: Mapping[str, str] | None = None) -> SystemdNode:
        """Add a node, and wait until it has booted."""
        key = self._key().with_suffix(".pub")
        options = ["--security-opt", "seccomp=unconfined", "--tmpfs", "/run", "--tmpfs", "/tmp"]
        # By this systemd knows that it is in a container (systemd.io/CONTAINER_INTERFACE).
        options += ["--env", "container=docker", "--volume", f"{key}:/root/.ssh/authorized_keys:ro"]
        options += [word for file in self._files for word in ("--volume", f"{file}:{file}:ro")]
        address = self.run(name, sysctls or {}, options, ["sh", "-ec", _BOOT])
        node = self.nodes[name] = SystemdNode(name, address, self._daemon.docker)
        node.wait_for_boot()
        return node

    def connection(self) -> dict[str, str]:
        """The nodes are reached through ssh, which runs in the network that they are in."""
        program = self._daemon.folder / "ssh"
        if not program.exists():
            enter = shlex.join(("nsenter", "--target", str(self._namespaces.pid), "--net", "--", "ssh"))
            program.write_text(f'#!/bin/sh\nexec {enter} "$@"\n', encoding="utf-8")
            program.chmod(0o755)
        return {
            "ansible_user": "root",
            "ansible_ssh_executable": str(program),
            "ansible_ssh_private_key_file": str(self._key()),
            # Another run's nodes have the same addresses.
            "ansible_ssh_common_args": "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
            "ansible_control_path_dir": str(self._daemon.folder),
        }

    def of_host(self, node: DockerNode) -> dict[str, str]:
        """What an inventory says of one node."""
        return {"ansible_host": node.address}

    def _key(self) -> Path:
        path = self._daemon.folder / "key"
        if not path.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))
        return path
