# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small piece of a node, real enough that every module has something to report."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.tests.contract.plays import run_tasks
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi, seed_000_service

# Takes the process name of a kubelet, listens on a port that the kernel draws, hangs up on a client of its own, which does
# not notice (CLOSE-WAIT), and prints the port.
KUBELET = """
import ctypes, socket
ctypes.CDLL(None).prctl(15, b"kubelet")  # PR_SET_NAME
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
server.accept()[0].close()
print(server.getsockname()[1], flush=True)
input()
"""


class Scene(NamedTuple):
    """A folder with a kubeconfig for the fake API server and a judged audit, and the port that the kubelet drew."""

    directory: Path
    port: int

    @property
    def kubeconfig(self) -> str:
        return str(self.directory / "kubeconfig")

    @property
    def audit(self) -> str:
        """Where the modules' examples have theirs, seen from the folder."""
        return "audits/20261121T080000Z"


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    command = [sys.executable, "-c", KUBELET]
    with (
        FakeApi() as api,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as kubelet,
    ):
        assert kubelet.stdout is not None
        scene = Scene(tmp_path_factory.mktemp("scene"), int(kubelet.stdout.readline()))
        api.kubeconfig(Path(scene.kubeconfig))
        api.add("services", colliding_service(scene.port))
        make_audit(scene)
        yield scene
        kubelet.kill()


def colliding_service(port: int) -> dict[str, Any]:
    """Return seed 000's Service on the kubelet's port, with a load balancer's address, which the captured ones lack."""
    service = seed_000_service()
    service["spec"]["ports"][0]["nodePort"] = port
    service["status"]["loadBalancer"]["ingress"] = [{"ip": "192.0.2.80", "ipMode": "VIP"}]
    return service


def make_audit(scene: Scene) -> None:
    """Do what playbooks/diagnose.yml does, up to the findings."""
    begun = run_tasks([{"kubenode.doctor.bundle": {"audits": "made", "hosts": ["localhost"]}}], {}, scene.directory)
    audits = scene.directory / "audits"
    audits.mkdir()
    Path(begun[0]["path"]).rename(scene.directory / scene.audit)
    tasks: list[dict[str, Any]] = [
        {"kubenode.doctor.cluster_snapshot": {"kubeconfig": scene.kubeconfig, "bundle": scene.audit}},
        {"kubenode.doctor.node_snapshot": {"ports": [scene.port], "bundle": scene.audit}},
        {"kubenode.doctor.judge": {"bundle": scene.audit}},
    ]
    done = run_tasks(tasks, {}, scene.directory)
    assert not done[-1].get("failed"), done[-1].get("msg", done[-1])
