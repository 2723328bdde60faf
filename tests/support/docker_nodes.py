# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes for tests that are Docker containers: own network, processes and files, reached through the connection community.docker.docker.

A Docker daemon of their own serves them, in namespaces of its own: one signal ends everything, also when the tests themselves are
killed. The image is made of Debian packages from the mirror that this machine's apt has, once, into .cache. Needs root and COMMANDS.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from ansible_collections.kubenode.doctor.tests.support import docker_daemon
from ansible_collections.kubenode.doctor.tests.support.docker_daemon import HIDE_CONTAINERD, DockerDaemon
from ansible_collections.kubenode.doctor.tests.support.own_namespaces import OwnNamespaces
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT, run

COMMANDS = (*docker_daemon.COMMANDS, "mmdebstrap")
_IMAGE = "node:1"
# python3 for Ansible and the fake programs, ip and ss to arrange a scene and to look at it.
_PACKAGES = ("python3", "iproute2")
# What root on a node may do and root in a container may not: ip, other processes' files, other network namespaces.
_CAPABILITIES = ("NET_ADMIN", "SYS_PTRACE", "SYS_ADMIN")


class DockerNode:
    """One running container."""

    def __init__(self, name: str, address: str, docker: Sequence[str]) -> None:
        self.name = name
        self.address = address
        self.command = (*docker, "exec", name)  # what goes before a command to run it on the node
        self._programs: list[subprocess.Popen[str]] = []

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the node."""
        return run(*self.command, *words, check=check)

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a script of tests/support with python3, and wait until it says "ready". It ends with the container.

        Arguments may name files under /tests, which is this checkout's.
        """
        words = [*self.command, "python3", f"/tests/support/{script}", *arguments]
        program = subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self._programs.append(program)
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n", f"{' '.join(arguments)} did not start on {self.name}"
        return program

    def lose(self, *addresses: str) -> None:
        """Let all that is sent to these addresses vanish: their link address is one that nobody has."""
        for address in addresses:
            # 02: locally administered (IEEE 802), so never a real card's
            self.run(*f"ip neigh replace {address} lladdr 02:00:00:00:00:01 dev eth0 nud permanent".split())

    def stop(self) -> None:
        """Let go of the programs, once the container is gone."""
        for program in self._programs:
            program.wait()
            assert program.stdout is not None
            program.stdout.close()


class DockerNodes:
    """Several nodes, and their Docker daemon, all gone at the end of the with block."""

    def __init__(self, packages: Sequence[str] = _PACKAGES, prepare: Sequence[str] = ()) -> None:
        """``packages``: what the image is made of. ``prepare``: shell commands that run in the daemon's namespaces first."""
        self.nodes: dict[str, DockerNode] = {}
        self._image = image(packages)
        self._prepare = (HIDE_CONTAINERD, *prepare)

    def __enter__(self) -> Self:
        self._namespaces = OwnNamespaces(self._prepare)
        self._daemon = DockerDaemon(self._namespaces)
        try:
            self._daemon.start()
            self._daemon.run("import", str(self._image), _IMAGE)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def node(self, name: str, sysctls: Mapping[str, str] | None = None) -> DockerNode:
        """Add a node; Docker gives it its address."""
        self.nodes[name] = DockerNode(
            name, self.run(name, sysctls or {}, (), ("sleep", "infinity")), self._daemon.docker
        )
        return self.nodes[name]

    def run(self, name: str, sysctls: Mapping[str, str], options: Sequence[str], command: Sequence[str]) -> str:
        """Start a container, with more options of docker run, and return its address."""
        words = ["run", "--detach", "--pull", "never", "--name", name, "--hostname", name, "--cgroupns", "private"]
        words += ["--volume", f"{PROJECT / 'tests'}:/tests:ro", "--env", "PYTHONDONTWRITEBYTECODE=1"]
        words += [f"--cap-add={capability}" for capability in _CAPABILITIES]
        words += [f"--sysctl={key}={value}" for key, value in sysctls.items()]
        self._daemon.run(*words, *options, _IMAGE, *command)
        address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self._daemon.run("inspect", "--format", address, name).stdout.strip()

    def inventory(self, groups: Mapping[str, Sequence[str]]) -> Path:
        """Write an inventory of the nodes."""
        variables = {**self.connection(), "ansible_python_interpreter": "/usr/bin/python3"}
        children = {group: {"hosts": dict.fromkeys(members)} for group, members in groups.items()}
        path = self._daemon.folder / "inventory.yml"
        hosts = {node.name: self.of_host(node) for node in self.nodes.values()}
        document = {"all": {"hosts": hosts, "vars": variables, "children": children}}
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    def connection(self) -> dict[str, str]:
        """What an inventory says of how the nodes are reached."""
        return {
            "ansible_connection": "community.docker.docker",
            "ansible_docker_extra_args": f"--host {self._daemon.socket}",
        }

    def of_host(self, _node: DockerNode) -> dict[str, str]:
        """What an inventory says of one node."""
        return {}

    def _stop(self) -> None:
        self._namespaces.end()
        for node in self.nodes.values():
            node.stop()
        self._daemon.remove()


def image(packages: Sequence[str]) -> Path:
    """A tar of a small Debian of this machine's release, made of what its apt offers. Kept in .cache."""
    release = _release()
    kept = PROJECT / ".cache" / "docker" / f"{'-'.join((release, *packages))}.tar"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = kept.with_suffix(f".{os.getpid()}")
        words = ["mmdebstrap", "--quiet", "--format=tar", "--variant=essential", f"--include={','.join(packages)}"]
        done = subprocess.run(
            [*words, release, str(made), "-"], check=False, capture_output=True, text=True, input=_sources(release)
        )
        assert done.returncode == 0, done.stderr
        made.rename(kept)
    return kept


def _release() -> str:
    """The code name of this machine's Debian, such as "bookworm"."""
    lines = Path("/etc/os-release").read_text("utf-8").splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line)
    return settings["VERSION_CODENAME"].strip('"')


def _sources(release: str) -> str:
    """Lines of a sources.list: the main parts of the release from wherever this machine gets it."""
    words = ["--format", "deb $(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    known = run("apt-get", "indextargets", *words).stdout.splitlines()
    wanted = [f"{suite} main" for suite in (release, f"{release}-updates", f"{release}-security")]
    lines = [line for line in known if line.split(" ", 2)[2] in wanted]
    assert lines, f"apt on this machine has no source for {release}"
    return "\n".join(lines) + "\n"
