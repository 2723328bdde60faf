# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node with one fault for each fix of a node: a host of the control plane that systemd runs.

containerd (real) and a kubelet of the days of dockershim have drawn ports that are NodePorts today; a unit, and the API server of a static
pod, hold connections that their other ends have closed; a unit's accept queue is full; the table of connections is nearly so; and an
installed time service is not switched on. etcd is real.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ansible_collections.kubenode.doctor.tests.support import kube_objects, systemd_node
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi
from ansible_collections.kubenode.doctor.tests.support.systemd_node import SystemdNodes

ETCD = "/usr/bin/etcd"
COMMANDS = (*systemd_node.COMMANDS, ETCD)
NODE_PORTS = (30000, 40000)
NODE_PORT = 35000  # of a Service that nobody meets
# Within the NodePort range while the scene's programs draw theirs, then as kernels have it.
_DRAWN_FROM, _EPHEMERAL = "36001 39999", "32768 60999"
LEAKER_PORT, CROWD_PORT = 9000, 9100
SOMAXCONN = 8
TABLE = 1000
_TABLE = {"count": 900, "max": TABLE, "buckets": 256}
API_POD = "1403dda53affdfee1130475a6d9609da"
CONFIG = "/etc/containerd/config.toml"
# A password beside what is changed; two spaces, a comment and no end of the last line, which are to stay.
CONFIG_TEXT = """version = 2
# kept by the platform team
[plugins."io.containerd.grpc.v1.cri"]
  stream_server_address  = "127.0.0.1"   # loopback
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".registry.configs."registry.example".auth]
    username = "puller"
    password = "not-to-be-shown"
"""
_PROGRAM = "/tests/support/fix_programs.py"
_FAKE = "/tests/support/fake_program.py"
_ANSWERS = "/tests/fixtures/kube_proxy"
_UNITS = {
    "kubelet": f"{_FAKE} kubelet --listen 127.0.0.1:0 --listen 127.0.0.1:10248 --listen 0.0.0.0:10250 --answer /healthz=/run/ok",
    "kube-proxy": f"{_FAKE} kube-proxy --listen 127.0.0.1:10249 --listen 0.0.0.0:10256 --answer /proxyMode={_ANSWERS}/proxyMode.txt",
    "leaker": f"{_PROGRAM} hoard {LEAKER_PORT}",
    "web": f"{_PROGRAM} crowd {CROWD_PORT}",
    "static-pod": (
        f"{_PROGRAM} pod {API_POD} /usr/local/bin/kube-apiserver {_PROGRAM} api-server --secure-port=6443 "
        f"--service-node-port-range={NODE_PORTS[0]}-{NODE_PORTS[1]}"
    ),
}
_CHRONY = "[Service]\nExecStart=/usr/local/bin/chronyd -c 'import signal; signal.pause()'\n[Install]\nWantedBy=multi-user.target\n"
_NAMED = ("chronyd", "kube-apiserver", *_UNITS)


class FixScene:
    """The node ``master``, with all of its faults."""

    def __init__(self, nodes: SystemdNodes) -> None:
        self.node = nodes.node("master")
        node = self.node
        # A program is told by its file's name as well; of Debian's Python the library is found by the compiled-in place.
        node.run("sh", "-ec", "for name; do cp /usr/bin/python3 /usr/local/bin/$name; done", "sh", *_NAMED)
        units = {name: f"/usr/local/bin/{name} {words}" for name, words in _UNITS.items()}
        units["etcd"] = f"{ETCD} --data-dir=/var/lib/etcd --listen-metrics-urls=http://127.0.0.1:2381"
        files = {
            f"/etc/systemd/system/{name}.service": f"[Service]\nExecStart={words}\nRestart=always\n"
            for name, words in units.items()
        }
        files |= {f"/run/nf_conntrack_{name}": f"{value}\n" for name, value in _TABLE.items()}
        files |= {
            "/run/ok": "ok",
            "/run/leak": "",
            CONFIG: CONFIG_TEXT.rstrip("\n"),
            "/lib/systemd/system/chrony.service": _CHRONY,
        }
        files[f"/var/log/pods/kube-system_kube-apiserver-master_{API_POD}/kube-apiserver/0.log"] = ""
        node.write_all(files)
        node.run("systemctl", "daemon-reload")
        node.run("sysctl", "-qw", f"net.core.somaxconn={SOMAXCONN}", f"net.ipv4.ip_local_port_range={_DRAWN_FROM}")
        node.run("systemctl", "start", "etcd", "kubelet", "kube-proxy", "leaker", "web")
        # The kernel shows, and lets be set, the table of connections in the machine's first network namespace alone: files stand in for it.
        for name in _TABLE:
            node.run("mount", "--bind", f"/run/nf_conntrack_{name}", f"/proc/sys/net/netfilter/nf_conntrack_{name}")
        # The API server forgets its connections to the kubelet that is there now.
        node.run("systemctl", "start", "static-pod")
        node.wait_for("ss", "-tnHl", "sport = :6443")
        node.run("rm", "/run/leak")
        node.run("systemctl", "restart", "kubelet")
        node.run("systemctl", "start", "containerd")
        node.run("python3", _PROGRAM, "knock", str(LEAKER_PORT), "30")
        node.start("fix_programs.py", "connect", str(CROWD_PORT), "12")
        self.kubelet_port = self.drawn("kubelet")
        self.containerd_port = self.drawn("containerd")
        node.run("sysctl", "-qw", f"net.ipv4.ip_local_port_range={_EPHEMERAL}")

    def drawn(self, unit: str) -> int:
        """The port that a program has drawn on loopback."""
        self.node.wait_for("sh", "-c", f"ss -tnHlp | grep '\"{unit}\"'")
        listening = self.node.run("ss", "-tnHlp").stdout.splitlines()
        ports = {
            int(found[1])
            for line in listening
            if f'"{unit}"' in line and (found := re.search(r"127\.0\.0\.1:(\d+)", line))
        }
        (port,) = ports - {10248}
        return port

    def fill(self, api: FakeApi) -> None:
        """Services whose NodePorts are the ports that were drawn, and one more in the ephemeral range."""
        ports = {"front": self.kubelet_port, "cart": self.containerd_port, "back": NODE_PORT}
        services = [
            kube_objects.service("shop", name, {"app": name}, {"port": 80, "nodePort": port}, type="NodePort")
            for name, port in ports.items()
        ]
        master = kube_objects.node("master", self.node.address)
        held = {"services": services, "nodes": [master]}
        for resource in api.resources:
            api.replace(resource.plural, held.get(resource.plural, []))

    def state(self) -> dict[str, Any]:
        """All that fixes may change, and what they must not: see fix_programs.state."""
        told = json.loads(self.node.run("python3", _PROGRAM, "state").stdout)
        assert isinstance(told, dict)
        return told
