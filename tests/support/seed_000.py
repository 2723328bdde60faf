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

from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi, seed_000_service, seed_000_slice
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT, Node, Stage, playbook

PORT = 36527
POD = "10.244.0.9"
_ANSWERS = PROJECT / "tests" / "fixtures" / "kube_proxy"
# As kube-proxy writes them: the first from the captured iptables-save (chain KUBE-EXTERNAL-SERVICES), the others what
# KUBE-NODEPORTS, KUBE-EXT, KUBE-SVC and KUBE-SEP come to for one endpoint.
_REJECT = (
    "-A INPUT -p tcp -m addrtype --dst-type LOCAL -m tcp --dport {port} -j REJECT --reject-with icmp-port-unreachable"
)
_REDIRECT = "-A OUTPUT -p tcp -m addrtype --dst-type LOCAL -m tcp --dport {port} -j DNAT --to-destination {pod}:8080"


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


def add_rules(node: Node, endpoints: bool) -> None:
    """Write kube-proxy's rules for the Service. With endpoints a pod answers, from another address of the node."""
    if endpoints:
        node.run("ip", "addr", "add", f"{POD}/32", "dev", "lo")
        node.start("pod", "--listen", f"{POD}:8080", "--answer", f"/={_ANSWERS / 'proxyMode.txt'}")
        node.run("iptables", "-t", "nat", *_REDIRECT.format(port=PORT, pod=POD).split())
    else:
        node.run("iptables", *_REJECT.format(port=PORT).split())


def fill(api: FakeApi, endpoints: bool) -> None:
    """Put the Service, its EndpointSlice and both Nodes into the API server, and nothing else."""
    api.replace("services", [seed_000_service()])
    api.replace("endpointslices", [seed_000_slice(*([POD] if endpoints else []))])
    api.replace("nodes", [_node("sick", "192.0.2.2"), _node("healthy", "192.0.2.3")])


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
        add_rules(stage.nodes["sick"], endpoints)
        fill(api, endpoints)
        api.kubeconfig(Path(folder) / "kubeconfig")
        done = playbook(
            "diagnose", "-i", str(stage.inventory()), "-e", f"kubeconfig={folder}/kubeconfig", folder=Path(folder)
        )
        sys.stdout.write(done.stdout + done.stderr)
        # 2: the sick node fails, as it should.
        sys.exit(done.returncode not in (0, 2))


if __name__ == "__main__":
    main()
