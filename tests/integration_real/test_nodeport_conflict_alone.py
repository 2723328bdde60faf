# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeport_conflict alone, against sockets of every kind, and beside what the kernel allows."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import ad_hoc, needs_stage
from ansible_collections.kubenode.doctor.tests.support import seed_000
from ansible_collections.kubenode.doctor.tests.support.stage import Node, Stage

pytestmark = needs_stage

ADDRESS = "192.0.2.2"
# Leaves an outgoing connection in TIME-WAIT, holds one open and a socket that is bound and does not listen; prints their ports.
SOCKETS = """
import socket, sys
server = socket.create_server(("192.0.2.2", 9999))
closed, held, bound = socket.socket(), socket.socket(), socket.socket()
closed.connect(("192.0.2.2", 9999))
peer = server.accept()[0]
ports = [closed.getsockname()[1]]
closed.close()
peer.recv(1)
peer.close()
held.connect(("192.0.2.2", 9999))
bound.bind(("192.0.2.2", 0))
print(*ports, held.getsockname()[1], bound.getsockname()[1], flush=True)
sys.stdin.read()
"""
# What kube-proxy does for a healthCheckNodePort; prints what the kernel says.
LISTEN = """
import errno, socket, sys
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    server.bind(("0.0.0.0", int(sys.argv[1])))
    server.listen()
    print("opened")
except OSError as error:
    print(errno.errorcode[error.errno])
"""


class Scene(NamedTuple):
    """A node in iptables mode: the ports of its sockets by kind, and what the module said of them."""

    node: Node
    ports: dict[str, int]
    result: dict[str, Any]

    def verdict(self, service: str) -> dict[str, Any]:
        (found,) = [conflict for conflict in self.result["conflicts"] if conflict["service"] == service]
        return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with Stage(tmp_path_factory.mktemp("alone")) as stage:
        node = stage.node("node", ADDRESS)
        answers = seed_000._kube_proxy_answers()
        node.start("kube-proxy", "--listen", "127.0.0.1:10249", "--listen", "0.0.0.0:30787", *answers)
        node.start("kubelet", "--listen", "127.0.0.1:36527")
        words = ["ip", "netns", "exec", node.namespace, sys.executable, "-c", SOCKETS]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            numbers = map(int, holder.stdout.readline().split())
            ports = dict(zip(("time_wait", "established", "bound"), numbers, strict=True))
            yield Scene(node, ports, look(stage.inventory(), ports))
            holder.kill()


def look(inventory: Path, ports: dict[str, int]) -> dict[str, Any]:
    node_ports: list[dict[str, Any]] = [
        {"service": "rejected", "node_port": 36527, "has_endpoints": False},
        {"service": "shadowed", "node_port": 36527, "has_endpoints": True},
        {"service": "free", "node_port": 30080, "has_endpoints": True},
        {"service": "own", "health_check_node_port": 30787},
    ]
    for kind, port in ports.items():
        node_ports.append({"service": kind, "node_port": port, "has_endpoints": True})
        node_ports.append({"service": f"{kind} checked", "health_check_node_port": port})
    succeeded, result = ad_hoc(inventory, "node", "nodeport_conflict", node_ports=node_ports)
    assert succeeded, result
    return result


def test_mode_is_told_by_kube_proxy(scene: Scene):
    assert scene.result["proxy"]["mode"] == "iptables"
    assert scene.result["complete"], scene.result["missing"]


@pytest.mark.parametrize("service", ["rejected", "shadowed"])
def test_listener_loses(scene: Scene, service: str):
    verdict = scene.verdict(service)
    assert (verdict["harmed"], verdict["effect"], verdict["addresses"]) == ("listener", service, ["127.0.0.1"])
    assert verdict["meaning"].endswith("kubectl exec, attach and port-forward on this node fail")
    socket = scene.result["sockets"][verdict["socket"]]
    assert [process["name"] for process in socket["processes"]] == ["kubelet"]


@pytest.mark.parametrize("kind", ["time_wait", "established", "bound"])
def test_socket_that_does_not_listen_harms_no_nodeport(scene: Scene, kind: str):
    verdict = scene.verdict(kind)
    assert (verdict["harmed"], verdict["certain"]) == ("nobody", True)
    assert scene.result["sockets"][verdict["socket"]]["state"] == kind


@pytest.mark.parametrize("kind", ["time_wait", "established", "bound"])
def test_it_stops_kube_proxy_from_opening_a_health_check_port_as_the_kernel_says(scene: Scene, kind: str):
    assert scene.node.run(sys.executable, "-c", LISTEN, str(scene.ports[kind])).stdout.strip() == "EADDRINUSE"
    verdict = scene.verdict(f"{kind} checked")
    assert (verdict["harmed"], verdict["effect"]) == ("service", "healthCheckNodePort cannot open")
    # Whether a bound socket has SO_REUSEADDR, with which it would stop nobody, the kernel does not tell.
    assert verdict["certain"] is (kind != "bound")


def test_own_socket_and_free_port_are_no_conflict(scene: Scene):
    assert scene.verdict("own")["harmed"] == "nobody"
    assert [conflict for conflict in scene.result["conflicts"] if conflict["service"] == "free"] == []
    assert scene.node.run(sys.executable, "-c", LISTEN, "30080").stdout.strip() == "opened"
