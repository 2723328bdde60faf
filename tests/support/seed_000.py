# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of seed 000, staged: a NodePort and kubelet's random port meet on one node, and its twin is healthy.

On both nodes a process named kubelet listens on loopback as dockershim's streaming server did, kube-proxy tells its mode, and an API
server runs with --service-node-port-range=30000-40000. On ``sick`` kubelet drew 36527, which Service default/kube-processor-service
has as its NodePort, and kube-proxy's real iptables rules are in place. ``healthy`` draws its ports above the NodePort range.

    python tests/support/seed_000.py           the Service has no endpoints, as in the seed
    python tests/support/seed_000.py endpoints the Service has an endpoint
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.tests.support import kube_proxy_rules
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi, seed_000_service, seed_000_slice
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT, Node, Stage, playbook

PORT = 36527
POD = "10.244.0.9"
_ANSWERS = PROJECT / "tests" / "fixtures" / "kube_proxy"


def build(stage: Stage) -> None:
    """Set up both nodes, without kube-proxy's rules."""
    for name, address, port in (("sick", "192.0.2.2", PORT), ("healthy", "192.0.2.3", 47231)):
        node = stage.node(name, address)
        node.start(
            "kubelet", "--listen", f"127.0.0.1:{port}", "--listen", "127.0.0.1:10248", "--listen", "0.0.0.0:10250"
        )
        node.start("kube-proxy", "--listen", "127.0.0.1:10249", "--listen", "0.0.0.0:10256", *_kube_proxy_answers())
        node.start("kube-apiserver", "--listen", "0.0.0.0:6443", "--", "--service-node-port-range=30000-40000")
    stage.nodes["healthy"].sysctl("net.ipv4.ip_local_port_range", "40001 60999")


def add_pod(node: Node) -> None:
    """Let a pod answer, from another address of the node."""
    node.run("ip", "addr", "add", f"{POD}/32", "dev", "lo")
    node.start("pod", "--listen", f"{POD}:8080", "--answer", f"/={_ANSWERS / 'proxyMode.txt'}")


def add_rules(stage: Stage, api: FakeApi) -> None:
    """Do what kube-proxy does on both nodes, in mode iptables: write its rules for the Services that the API server has."""
    for name in ("sick", "healthy"):
        kube_proxy_rules.load(stage.nodes[name], api.objects("services"), api.objects("endpointslices"))


def fill(api: FakeApi, endpoints: bool) -> None:
    """Put the Service, its EndpointSlice and both Nodes into the API server, and nothing else."""
    held = {
        "services": [seed_000_service()],
        "endpointslices": [seed_000_slice(*([POD] if endpoints else []))],
        "nodes": [_node("sick", "192.0.2.2"), _node("healthy", "192.0.2.3")],
    }
    for resource in api.resources:
        api.replace(resource.plural, held.get(resource.plural, []))


def _node(name: str, address: str) -> dict[str, object]:
    return {
        "metadata": {"name": name},
        "spec": {},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


def _kube_proxy_answers() -> tuple[str, ...]:
    return "--answer", f"/proxyMode={_ANSWERS / 'proxyMode.txt'}", "--answer", f"/configz={_ANSWERS / 'configz.json'}"


def main() -> None:
    """Stage it, diagnose it, show what was printed."""
    endpoints = sys.argv[1:] == ["endpoints"]
    with tempfile.TemporaryDirectory() as folder, Stage(Path(folder)) as stage, FakeApi() as api:
        build(stage)
        fill(api, endpoints)
        add_rules(stage, api)
        if endpoints:
            add_pod(stage.nodes["sick"])
        api.kubeconfig(Path(folder) / "kubeconfig")
        done = playbook(
            "diagnose", "-i", str(stage.inventory()), "-e", f"kubeconfig={folder}/kubeconfig", folder=Path(folder)
        )
        sys.stdout.write(done.stdout + done.stderr)
        # 2: the sick node fails, as it should.
        sys.exit(done.returncode not in (0, 2))


if __name__ == "__main__":
    main()
