# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of tests: what is to run in them, started on a node with a real container runtime.

front = RealPod(Pod("shop", "front-1", UID, own_network=True), (httpd("front", "5000"), httpd("side", "127.0.0.1:9000")))
running = start(node, front)
running.addresses    # ("10.244.0.2", "fd00:10:244::2")
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.kubenode.doctor.tests.support import images, pod_network
from ansible_collections.kubenode.doctor.tests.support.containerd_node import ContainerdNode
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import IMAGE, EngineNode, Pod

Node = ContainerdNode | EngineNode
_WAIT_SECONDS = 30


class RealContainer(NamedTuple):
    """A container to start. ``machine``: with this machine's programs; ``sockets``: how many it will wait at; ``ends``: it does at once."""

    name: str
    command: Sequence[str]
    image: str = IMAGE
    machine: bool = False
    sockets: int = 1
    ends: bool = False


class RealPod(NamedTuple):
    """A pod to start."""

    pod: Pod
    containers: tuple[RealContainer, ...]


class Running(NamedTuple):
    """A started pod: its addresses (none in its node's network) and the ids of its sandbox and of its containers, by name."""

    addresses: tuple[str, ...]
    sandbox: str
    containers: dict[str, str]


def httpd(name: str, place: str, image: str = IMAGE) -> RealContainer:
    """A container with busybox' httpd, which waits at ``PORT`` of all addresses or at ``ADDRESS:PORT``."""
    return RealContainer(name, ("/bin/httpd", "-f", "-p", place), image)


def program(name: str, *arguments: str) -> RealContainer:
    """A container with a program of its name that waits where tests/support/fake_program.py is told to."""
    sockets = sum(word in ("--listen", "--datagrams") for word in arguments)
    return RealContainer(name, images.fake_program(name, *arguments), machine=True, sockets=sockets)


def start(node: Node, wanted: RealPod, attempt: int = 0) -> Running:
    """Start a pod. Its programs may not listen yet: ``wait`` for that."""
    pod = wanted.pod
    sandbox = node.sandbox(pod, attempt)
    containers = {
        one.name: node.container(pod, one.name, attempt, sandbox, one.ends, one.command, one.image, one.machine)
        for one in wanted.containers
    }
    return Running(pod_network.addresses(node, sandbox) if pod.own_network else (), sandbox, containers)


def inside(node: Node, running: Running, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of this machine in a pod's network."""
    return node.run("nsenter", "--target", str(node.pid(running.sandbox)), "--net", "--", *words, check=check)


def wait(node: Node, wanted: RealPod, running: Running) -> None:
    """Wait until all programs of a pod with its own network listen."""
    sockets = sum(one.sockets for one in wanted.containers if not one.ends)
    deadline = time.monotonic() + _WAIT_SECONDS
    while len(seen := inside(node, running, "ss", "-Hlntu").stdout.splitlines()) < sockets:
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)
