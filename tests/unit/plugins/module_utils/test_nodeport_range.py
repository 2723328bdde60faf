# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nodeport_range: command lines, manifests and configuration files as distributions write them, on a made-up root."""

from __future__ import annotations

import os
import re

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_range
from ansible_collections.kubenode.doctor.plugins.module_utils.nodeport_range import range_from_args, range_from_manifest

API_SERVER = ["kube-apiserver", "--advertise-address=10.0.0.4", "--token-auth-file=/etc/tokens.csv"]

# kubeadm's static pod, shortened; the comment and the probe must not be taken for the setting.
KUBEADM = """\
apiVersion: v1
kind: Pod
metadata:
  annotations:
    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 10.0.0.4:6443
  name: kube-apiserver
spec:
  containers:
  - command:
    - kube-apiserver
    - --advertise-address=10.0.0.4
    # - --service-node-port-range=1-65535
    - --service-cluster-ip-range=10.96.0.0/12%s
    image: registry.k8s.io/kube-apiserver:v1.36.2
    livenessProbe:
      httpGet: {path: /livez, port: 6443}
"""


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (API_SERVER, None),
        ([*API_SERVER, "--service-node-port-range=30000-40000"], (30000, 40000)),
        ([*API_SERVER, "--service-node-port-range", "30000-40000", "--v=2"], (30000, 40000)),
        ([*API_SERVER, "--service-node-port-range=30000+2768"], (30000, 32768)),
        ([*API_SERVER, "--service_node_port_range=31000"], (31000, 31000)),
        ([*API_SERVER, "--service-node-port-range=1-2", "--service-node-port-range=3-4"], (3, 4)),
        ([*API_SERVER, "--service-node-port-range="], None),
        ([*API_SERVER, "--service-node-port-range"], None),
        (["k3s", "server", "--service-node-port-range=20000-22767"], (20000, 22767)),
        (["k3s", "server", "--kube-apiserver-arg=service-node-port-range=20000-22767"], (20000, 22767)),
        (["k3s", "server", "--kube-apiserver-arg", "service-node-port-range=20000-22767"], (20000, 22767)),
        (["rke2", "server", "--kube-apiserver-arg=--service-node-port-range=20000-22767"], (20000, 22767)),
        (["k3s", "server", "--kube-apiserver-arg=v=2"], None),
        ([], None),
        ([""], None),
    ],
)
def test_range_from_args(argv, expected):
    assert range_from_args(argv) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KUBEADM % "", None),
        (KUBEADM % "\n    - --service-node-port-range=30000-40000", (30000, 40000)),
        (KUBEADM % "\n    - --service-node-port-range=30000-40000  # wide", (30000, 40000)),
        (KUBEADM % '\n    - "--service-node-port-range=30000-40000"', (30000, 40000)),
        (KUBEADM % "\n    - '--service-node-port-range=30000-40000'", (30000, 40000)),
        (KUBEADM % "\n    - --service-node-port-range\n    - 30000-40000", (30000, 40000)),
        (KUBEADM % "\n    - --service-node-port-range\n    - '30000-40000'", (30000, 40000)),
        ('command: ["kube-apiserver", "--service-node-port-range=30000-40000"]', (30000, 40000)),
        ('{"command":["kube-apiserver","--service-node-port-range","30000-40000","--v=2"]}', (30000, 40000)),
        # kops, older: one shell line
        ("- /bin/sh\n- -c\n- kube-apiserver --service-node-port-range=28000-32767 --v=2 2>&1", (28000, 32767)),
        # k3s and rke2 config.yaml
        ("service-node-port-range: 30000-40000\n", (30000, 40000)),
        ('service-node-port-range: "30000-40000"\n', (30000, 40000)),
        ("kube-apiserver-arg:\n  - v=2\n  - service-node-port-range=30000-40000\n", (30000, 40000)),
        ('kube-apiserver-arg: "service-node-port-range=30000-40000"\n', (30000, 40000)),
        ('kube-apiserver-arg+:\n- "--service-node-port-range=30000-40000"\n', (30000, 40000)),
        ("#service-node-port-range: 1-2\nservice-cidr: 10.43.0.0/16\n", None),
        # k3s.service as the install script writes it
        ("ExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--service-node-port-range=1-65535' \\\n", (1, 65535)),
        (
            "ExecStart=k3s \\\n  server \\\n  '--service-node-port-range' \\\n  '1-60000' \\\n",
            (1, 60000),
        ),
        # MicroShift
        ("network:\n  serviceNodePortRange: 30000-32000\n", (30000, 32000)),
        ("", None),
        ("\ufffd\x00\x01 - \udcff", None),
    ],
)
def test_range_from_manifest(text, expected):
    assert range_from_manifest(text) == expected


@pytest.mark.parametrize("value", ["abc", "40000-30000", "0-10", "1-70000", "{{x}}"])
def test_a_value_that_is_no_range_is_named(value):
    with pytest.raises(ValueError, match=re.escape(value)):
        range_from_args(["kube-apiserver", f"--service-node-port-range={value}"])
    with pytest.raises(ValueError, match=re.escape(value.rstrip("}"))):
        range_from_manifest(f"- --service-node-port-range={value}")


def find(node):
    found = nodeport_range.find(str(node.proc), str(node.root))
    assert found["complete"] is not bool(found["missing"])
    return found


def test_no_api_server_here(node):
    node.process(700, "kubelet", ["kubelet", "--service-node-port-range=1-2"])
    assert find(node) == {"range": None, "source": None, "complete": True, "missing": []}


def test_running_with_the_flag(node):
    node.process(812, "kube-apiserver", [*API_SERVER, "--service-node-port-range=30000-40000"])
    node.file("/etc/kubernetes/manifests/kube-apiserver.yaml", KUBEADM % "\n    - --service-node-port-range=1-2")
    found = find(node)
    assert found["range"] == [30000, 40000]
    assert found["source"] == "running kube-apiserver (pid 812), --service-node-port-range"


def test_running_without_the_flag_means_the_default_whatever_a_changed_manifest_says(node):
    node.process(812, "kube-apiserver", API_SERVER)
    node.file("/etc/kubernetes/manifests/kube-apiserver.yaml", KUBEADM % "\n    - --service-node-port-range=1-2")
    found = find(node)
    assert found["range"] == [30000, 32767]
    assert found["source"] == "running kube-apiserver (pid 812) runs without --service-node-port-range: its default"


def test_nothing_else_of_the_command_line_is_told(node):
    node.process(812, "kube-apiserver", [*API_SERVER, "--service-node-port-range=30000-40000"])
    assert "tokens" not in str(find(node))


def test_an_api_server_in_another_network_namespace_is_not_this_nodes(node):
    node.process(812, "kube-apiserver", [*API_SERVER, "--service-node-port-range=1-2"], netns="other")
    assert find(node)["range"] is None


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("/etc/kubernetes/manifests/kube-apiserver.yaml", KUBEADM % "", [30000, 32767]),
        (
            "/etc/kubernetes/manifests/kube-apiserver.manifest",
            "- --service-node-port-range=28000-32767",
            [28000, 32767],
        ),
        (
            "/var/lib/rancher/rke2/agent/pod-manifests/kube-apiserver.yaml",
            "    - --service-node-port-range=20000-22767\n",
            [20000, 22767],
        ),
        ("/etc/rancher/k3s/config.yaml", "service-node-port-range: 20000-22767\n", [20000, 22767]),
        ("/etc/rancher/rke2/config.yaml", "kube-apiserver-arg:\n- service-node-port-range=1-2\n", [1, 2]),
        # an agent has this file too: no setting in it proves nothing
        ("/etc/rancher/k3s/config.yaml", "node-label: [a=b]\n", None),
    ],
)
def test_api_server_that_is_not_running(node, path, text, expected):
    node.file(path, text)
    found = find(node)
    assert found["range"] == expected
    assert (path in found["source"]) if expected else (found["source"] is None)


def test_k3s_hides_its_arguments_and_is_told_by_its_files(node):
    node.process(500, "k3s-server", ["/usr/local/bin/k3s server"])
    node.file("/etc/rancher/k3s/config.yaml", "service-node-port-range: 20000-22767\n")
    node.file("/etc/rancher/k3s/config.yaml.d/10-ports.yaml", "service-node-port-range: 21000-22767\n")
    found = find(node)
    assert found["range"] == [21000, 22767]
    assert found["source"] == "running k3s-server (pid 500), /etc/rancher/k3s/config.yaml.d/10-ports.yaml"
    node.file("/etc/systemd/system/k3s.service", "ExecStart=k3s \\\n server \\\n '--service-node-port-range=1-9'\n")
    assert find(node)["range"] == [1, 9]


def test_k3s_without_a_setting_has_the_default_and_an_agent_has_none(node):
    node.process(500, "k3s-agent", ["/usr/local/bin/k3s agent"])
    node.process(501, "k3s", ["/usr/local/bin/k3s", "agent", "--token", "secret"])
    assert find(node)["range"] is None
    node.process(502, "k3s", ["/usr/local/bin/k3s", "server"])
    assert find(node)["range"] == [30000, 32767]


@pytest.mark.parametrize(
    ("comm", "argv", "path", "text"),
    [
        ("kubelite", ["kubelite", "--start-api=true"], "/var/snap/microk8s/current/args/kube-apiserver", "{}=1-9\n"),
        ("microshift", ["microshift", "run"], "/etc/microshift/config.yaml", "network:\n  serviceNodePortRange: 1-9\n"),
        ("hyperkube", ["hyperkube", "apiserver", "--service-node-port-range=1-9"], "/unused", ""),
    ],
)
def test_other_all_in_ones(node, comm, argv, path, text):
    node.process(500, comm, argv)
    node.file(path, text.replace("{}", "--service-node-port-range"))
    assert find(node)["range"] == [1, 9]


def test_hyperkube_that_is_no_api_server(node):
    node.process(500, "hyperkube", ["hyperkube", "kubelet"])
    assert find(node)["range"] is None


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "its command line is empty or over 131072 bytes"),
        (
            [*API_SERVER, "x" * (1 << 17), "--service-node-port-range=1-2"],
            "its command line is empty or over 131072 bytes",
        ),
        (["kube-apiserver", "--openshift-config=/x"], "OpenShift keeps it in the file that --openshift-config names"),
        (["kube-apiserver", "--service-node-port-range=x"], "'x' is no port range like 30000-32767"),
    ],
)
def test_a_process_that_does_not_tell_is_no_default(node, argv, why):
    node.process(812, "kube-apiserver", argv)
    found = find(node)
    assert found["range"] is None
    assert found["missing"] == [{"what": "--service-node-port-range of running kube-apiserver (pid 812)", "why": why}]


def test_a_manifest_with_a_wrong_value_is_told_and_is_no_default(node):
    path = "/etc/kubernetes/manifests/kube-apiserver.yaml"
    node.file(path, KUBEADM % "\n    - --service-node-port-range=9-1")
    found = find(node)
    assert found["range"] is None
    assert found["missing"] == [{"what": path, "why": "'9-1': the range ends before it begins"}]


def test_files_that_cannot_be_read_are_told(node):
    path = "/etc/kubernetes/manifests/kube-apiserver.yaml"
    place = node.file(path, "")
    place.unlink()
    os.mkfifo(str(place))
    assert find(node)["missing"] == [{"what": path, "why": "not a regular file"}]
    place.unlink()
    place.write_bytes(b"#" * (1 << 20) + b"\n")
    assert find(node)["missing"] == [{"what": path, "why": "more than 1048576 bytes"}]
    place.unlink()
    place.mkdir()
    assert [gap["what"] for gap in find(node)["missing"]] == [path]


def test_hidden_processes_are_told_unless_the_range_was_found(node, monkeypatch):
    real = nodeport_range.procfs.text

    def text(path, *limit):
        if "/900/" in path:
            raise PermissionError(13, "Permission denied", path)
        return real(path, *limit)

    monkeypatch.setattr(nodeport_range.procfs, "text", text)
    node.process(900, "kube-apiserver", API_SERVER)
    found = find(node)
    assert found["range"] is None
    assert found["missing"][0]["why"] == "1 processes are hidden (hidepid): run with become (-b)"
    node.process(901, "kube-apiserver", API_SERVER)
    assert find(node)["complete"]


def test_processes_that_are_not_shown_at_all_are_told(node):
    node.hidepid()
    found = find(node)
    assert (found["range"], found["complete"]) == (None, False)
    assert [gap["what"] for gap in found["missing"]] == ["API server process"]
    assert "run with become (-b)" in found["missing"][0]["why"]


def test_a_private_pid_namespace_is_told(node):
    (node.proc / "self" / "ns" / "pid").symlink_to("pid:[4026532999]")
    found = find(node)
    assert found["range"] is None
    assert "pid namespace" in found["missing"][0]["why"]
