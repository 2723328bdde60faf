# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listen_settings: which setting decides a port, on a made-up node; containerd's and CRI-O's servers beside streaming."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports, listen_settings

MAIN = "/etc/containerd/config.toml"
CRI = '[plugins."io.containerd.grpc.v1.cri"]'
V2 = "version = 2\n"
NOON = 1795284000  # 2026-11-21T18:00:00Z


def collect(node):
    found = listen_settings.collect(str(node.proc), str(node.root))
    assert found["complete"] is not bool(found["missing"])
    json.dumps(found)
    return found


def settings(node):
    """{kind: setting}; nothing is missing."""
    found = collect(node)
    assert found["missing"] == []
    kinds = {setting["kind"]: setting for setting in found["settings"]}
    assert len(kinds) == len(found["settings"])
    return kinds


def listener(name, address, port, ephemeral=None, **other):
    """A socket as the section listen_ports tells it; known_as is the catalogue's."""
    ephemeral = 32768 <= port <= 60999 if ephemeral is None else ephemeral
    names = [name] if name else []
    return {
        "protocol": "tcp",
        "family": "ipv6" if ":" in address else "ipv4",
        "state": "listen",
        "address": address,
        "port": port,
        "ephemeral": ephemeral,
        "processes": [{"pid": 600, "name": name} for name in names],
        "cgroup": None,
        "known_as": known_ports.known_as("tcp", address, port, names, ephemeral),
        **other,
    }


def kind(node, socket, others=()):
    decides = listen_settings.deciding(socket, collect(node)["settings"], others)
    return decides and decides["kind"]


def test_nothing_runs(node):
    assert collect(node) == {"settings": [], "complete": True, "missing": []}


def test_the_shape_of_a_setting(node):
    node.process(600, "containerd", ["containerd"])
    os.utime(node.file(MAIN, V2 + CRI + '\nstream_server_port = "10010"\n'), (0, NOON + 0.9))
    assert settings(node) == {
        "cri-streaming": {
            "program": "containerd",
            "kind": "cri-streaming",
            "key": "stream_server_port",
            "value": "10010",
            "default": "0",
            "file": MAIN,
            "address": "127.0.0.1",
            "port": 10010,
            "edit": {"file": MAIN, "section": CRI, "new": False},
            "modified": "2026-11-21T18:00:00+00:00",
            "fixed_in_code": "",
        }
    }


@pytest.mark.parametrize(
    ("text", "decides"),
    [
        # Nothing sets the port: what set it until now was in the file where it would be.
        ("", "config.toml"),
        # The file that sets it, not the one that imports that
        (CRI + '\nstream_server_port = "1"\n', "import.toml"),
    ],
)
def test_when_the_file_was_changed_that_decides(node, text, decides):
    node.process(600, "containerd", ["containerd"])
    imported = node.file("/etc/containerd/import.toml", text)
    main = node.file(MAIN, V2 + 'imports = ["import.toml"]\n')
    for path in (imported, main):
        os.utime(path, (NOON, NOON if path.name == decides else NOON + 60))
    assert settings(node)["cri-streaming"]["modified"] == "2026-11-21T18:00:00+00:00"


def test_the_file_that_sets_the_port_counts_not_one_behind_it(node):
    node.process(600, "containerd", ["containerd"])
    sets = node.file(MAIN, 'version = 3\nimports = ["address.toml"]\n' + CRI + '\nstream_server_port = "1"\n')
    other = node.file("/etc/containerd/address.toml", "version = 3\n" + CRI + '\nstream_server_address = "127.0.0.1"\n')
    os.utime(sets, (NOON, NOON))
    os.utime(other, (NOON, NOON + 60))
    told = settings(node)["cri-streaming"]
    assert (told["edit"]["file"], told["modified"]) == ("/etc/containerd/address.toml", "2026-11-21T18:00:00+00:00")


def test_what_no_file_sets_was_not_changed(node):
    node.process(600, "cri-dockerd", ["cri-dockerd", "--streaming-bind-addr", "127.0.0.1:0"])
    node.process(601, "containerd", ["containerd"])  # without a file
    assert [one["modified"] for one in collect(node)["settings"]] == [None, None]


def test_nothing_of_a_command_line_is_told(node):
    node.process(600, "containerd", ["containerd", "--log-level", "s3cret"])
    node.process(601, "kubelet", ["kubelet", "--bootstrap-kubeconfig=s3cret", "--node-labels", "s3cret"])
    node.process(602, "crio", ["crio", "--registry=s3cret"])
    assert "s3cret" not in json.dumps(collect(node))


# containerd's other servers


@pytest.mark.parametrize(
    ("text", "kind", "key", "section", "address", "port"),
    [
        ('[metrics]\naddress = "127.0.0.1:1338"\n', "containerd-metrics", "address", "[metrics]", "127.0.0.1", 1338),
        ('metrics.address = ":1338"\n', "containerd-metrics", "address", "[metrics]", "0.0.0.0", 1338),
        ('[debug]\naddress = "[::1]:6060"\n', "containerd-debug", "address", "[debug]", "::1", 6060),
        ('[grpc]\ntcp_address = "localhost:0"\n', "containerd-grpc", "tcp_address", "[grpc]", "localhost", None),
        (
            "[plugins.'io.containerd.server.v1.grpc-tcp']\naddress = '10.0.0.4:2376'\n",
            "containerd-grpc",
            "address",
            '[plugins."io.containerd.server.v1.grpc-tcp"]',
            "10.0.0.4",
            2376,
        ),
        (
            'metrics.address = "127.0.0.1:1"\n[plugins."io.containerd.server.v1.metrics"]\naddress = "127.0.0.1:2"\n',
            "containerd-metrics",
            "address",
            '[plugins."io.containerd.server.v1.metrics"]',
            "127.0.0.1",
            2,
        ),
    ],
)
def test_servers_of_containerd(node, text, kind, key, section, address, port):
    node.process(600, "containerd", ["containerd"])
    node.file(MAIN, V2 + text)
    found = settings(node)
    assert set(found) == {kind, "cri-streaming"}
    one = found[kind]
    assert (one["key"], one["default"], one["file"], one["address"], one["port"]) == (key, "", MAIN, address, port)
    assert one["edit"] == {"file": MAIN, "section": section, "new": False}


@pytest.mark.parametrize(
    "text",
    [
        '[metrics]\naddress = ""\n[debug]\naddress = ""\n[grpc]\naddress = "/run/containerd/containerd.sock"\ntcp_address = ""\n',
        '[debug]\naddress = "/run/containerd/debug.sock"\n',
        "[plugins.'io.containerd.server.v1.metrics']\naddress = ''\n",
        "disabled_plugins = ['io.containerd.server.v1.metrics']\nplugins.'io.containerd.server.v1.metrics'.address = ':1'\n",
    ],
)
def test_servers_of_containerd_that_are_off(node, text):
    """The first is what `containerd config default` of 1.6.20 says."""
    node.file(MAIN, V2 + text)
    assert set(settings(node)) == {"cri-streaming"}


def test_servers_where_docker_has_switched_cri_off(node):
    node.file(MAIN, 'disabled_plugins = ["cri"]\n[metrics]\naddress = "127.0.0.1:1338"\n')
    assert set(settings(node)) == {"containerd-metrics"}


def test_imports_override_servers_but_not_with_nothing(node):
    """Seen with containerd 1.6.20 (config dump): an empty address in an import keeps the earlier one."""
    node.file(MAIN, V2 + 'imports = ["/a.toml"]\n[metrics]\naddress = ":1"\n[debug]\naddress = ":2"\n')
    node.file("/a.toml", V2 + '[metrics]\naddress = ""\n[debug]\naddress = ":3"\n[grpc]\ntcp_address = ":4"\n')
    found = settings(node)
    assert {kind: (one["port"], one["file"]) for kind, one in found.items() if kind != "cri-streaming"} == {
        "containerd-metrics": (1, MAIN),
        "containerd-debug": (3, "/a.toml"),
        "containerd-grpc": (4, "/a.toml"),
    }


@pytest.mark.parametrize("address", ["127.0.0.1:http", "127.0.0.1:99999", "1338", "unix:///run/x.sock", ":\u0661"])
def test_an_address_that_is_not_understood_is_told(node, address):
    node.file(MAIN, V2 + f'[metrics]\naddress = "{address}"\n')
    found = collect(node)
    assert [setting["kind"] for setting in found["settings"]] == ["cri-streaming"]
    assert [gap["what"] for gap in found["missing"]] == [f"{MAIN}: address in [metrics]"]


def test_a_streaming_port_that_is_none_is_told(node):
    node.file(MAIN, V2 + CRI + '\nstream_server_port = "stream"\n')
    assert collect(node) == {
        "settings": [],
        "complete": False,
        "missing": [{"what": f"{MAIN}: stream_server_port", "why": "it is no port number"}],
    }


def test_a_streaming_port_that_is_none_hides_no_other(node):
    node.file(MAIN, V2 + CRI + '\nstream_server_port = "stream"\n')
    node.process(600, "crio", ["crio"])
    assert [setting["program"] for setting in collect(node)["settings"]] == ["cri-o"]


# CRI-O's metrics


@pytest.mark.parametrize(
    ("argv", "text", "expected"),
    [
        ([], "", None),
        ([], "[crio.metrics]\nmetrics_port = 9537\n", None),
        ([], "[crio.metrics]\nenable_metrics = true\n", ("metrics_port", None, None, "", 9090)),
        (
            [],
            "[crio.metrics]\nenable_metrics = true\nmetrics_port = 9537\nmetrics_host = '127.0.0.1'\n",
            ("metrics_port", "9537", "/etc/crio/crio.conf", "127.0.0.1", 9537),
        ),
        (["--enable-metrics", "--metrics-port", "1"], "", ("--metrics-port", "1", None, "", 1)),
        (["--enable-metrics=false"], "[crio.metrics]\nenable_metrics = true\n", None),
        (
            ["--metrics-host=::1"],
            "[crio.metrics]\nenable_metrics = true\nmetrics_port = 0\n",
            ("metrics_port", "0", "/etc/crio/crio.conf", "::1", None),
        ),
    ],
)
def test_metrics_of_crio(node, argv, text, expected):
    node.process(600, "crio", ["crio", *argv])
    node.file("/etc/crio/crio.conf", text)
    one = settings(node).get("crio-metrics")
    assert (one and tuple(one[key] for key in ("key", "value", "file", "address", "port"))) == expected


@pytest.mark.parametrize(
    ("argv", "name", "edit"),
    [
        ([], None, {"file": "/etc/crio/crio.conf.d/99-metrics-port.conf", "section": "[crio.metrics]", "new": True}),
        ([], "crio.conf.d/9.conf", {"file": "/etc/crio/crio.conf.d/9.conf", "section": "[crio.metrics]", "new": False}),
        (["--metrics-port=1"], "crio.conf", {"file": None, "section": None, "new": False}),
    ],
)
def test_where_the_metrics_port_of_crio_is_set(node, argv, name, edit):
    node.process(600, "crio", ["crio", "--enable-metrics", *argv])
    if name:
        node.file(f"/etc/crio/{name}", "[crio.metrics]\nmetrics_port = 9537\n")
    assert settings(node)["crio-metrics"]["edit"] == edit


def test_metrics_of_crio_that_a_drop_in_switches_off(node):
    node.process(600, "crio", ["crio"])
    node.file("/etc/crio/crio.conf", "[crio.metrics]\nenable_metrics = true\n")
    node.file("/etc/crio/crio.conf.d/10.conf", "[crio.metrics]\nenable_metrics = false\n")
    assert set(settings(node)) == {"cri-streaming"}


def test_a_metrics_port_that_is_none_is_told(node):
    node.process(600, "crio", ["crio", "--enable-metrics", "--metrics-port=http"])
    assert collect(node)["missing"] == [{"what": "CRI-O: --metrics-port", "why": "it is no port number"}]


# What decides


@pytest.mark.parametrize(
    ("socket", "expected"),
    [
        (listener("kubelet", "::", 10250), "kubelet-api"),  # told 0.0.0.0, Go listens on ::
        (listener("kubelet", "0.0.0.0", 10250), "kubelet-api"),
        (listener("kubelet", "::", 10255), "kubelet-readonly"),
        (listener("kubelet", "127.0.0.1", 10248), "kubelet-healthz"),
        (listener("kubelet", "127.0.0.1", 37231), "cri-streaming"),  # seed 001
        (listener("kubelet", "::1", 37231), "cri-streaming"),
        (listener("kubelet", "::", 37231), None),
        (listener("kubelet", "127.0.0.1", 10250), None),
        (listener("kubelet", "127.0.0.1", 9999), None),
        (listener("nginx", "::", 10250), None),
        (listener(None, "::", 10250), None),
        (listener("kubelet", "::", 10250, protocol="udp", state="unconnected"), None),
        (listener("kubelet", "::", 10250, state="bound"), None),
    ],
)
def test_kubelet_with_dockershim(node, socket, expected):
    node.process(600, "kubelet", ["kubelet", "--kubeconfig=/etc/kubernetes/kubelet.conf"])
    assert kind(node, socket) == expected


@pytest.mark.parametrize(
    ("text", "socket", "expected"),
    [
        ("", listener("containerd", "127.0.0.1", 37231), "cri-streaming"),
        ("", listener("containerd", "10.0.0.4", 37231), None),
        ("", listener("containerd", "?", 37231), None),
        ("", listener("containerd", "127.0.0.1", 9999), None),
        ("", listener("containerd", "127.0.0.1", 10010), None),  # drawn now, pinned when it was started
        # The range was changed while the port was held.
        ("", listener("containerd", "127.0.0.1", 37231, ephemeral=False), "cri-streaming"),
        ("", listener("containerd", "127.0.0.1", 1030, ephemeral=True), "cri-streaming"),
        ('stream_server_address = ""\n', listener("containerd", "10.0.0.4", 37231), "cri-streaming"),
        ('stream_server_address = "10.0.0.4"\n', listener("containerd", "10.0.0.4", 37231), "cri-streaming"),
        ('stream_server_address = "0.0.0.0"\n', listener("containerd", "::", 37231), "cri-streaming"),
        ('stream_server_address = "10.0.0.4"\n', listener("containerd", "::ffff:10.0.0.4", 37231), "cri-streaming"),
        ('stream_server_address = "node.example"\n', listener("containerd", "10.0.0.4", 37231), "cri-streaming"),
        ('stream_server_port = "10010"\n', listener("containerd", "127.0.0.1", 10010), "cri-streaming"),
        ('stream_server_port = "10010"\n', listener("containerd", "127.0.0.1", 37231), None),
        ('[metrics]\naddress = ":1338"\n', listener("containerd", "::", 1338), "containerd-metrics"),
        ('[metrics]\naddress = ":1338"\n', listener("containerd", "127.0.0.1", 37231), "cri-streaming"),
        ('[metrics]\naddress = "127.0.0.1:0"\n', listener("containerd", "127.0.0.1", 37231), None),
        ('[metrics]\naddress = ":0"\n', listener("containerd", "127.0.0.1", 37231), "cri-streaming"),
        ('[metrics]\naddress = ":0"\n', listener("containerd", "::", 37231), "containerd-metrics"),
        ('[metrics]\naddress = "127.0.0.1:1"\n[debug]\naddress = "127.0.0.1:1"\n', listener("containerd", "127.0.0.1", 1), None),
    ],
)  # fmt: skip
def test_containerd(node, text, socket, expected):
    node.process(600, "containerd", ["containerd"])
    node.file(MAIN, V2 + CRI + "\n" + text)
    assert kind(node, socket) == expected


def test_a_known_port_was_not_drawn(node):
    node.process(600, "containerd", ["containerd"])
    known = {"component": "x", "role": "metrics", "source": "x"}
    assert kind(node, listener("containerd", "127.0.0.1", 37231, known_as=known)) is None


def test_cri_dockerd_and_crio_by_their_process_names(node):
    node.process(600, "cri-dockerd", ["cri-dockerd"])
    node.process(601, "crio", ["crio"])
    assert kind(node, listener("cri-dockerd", "::", 37231)) == "cri-streaming"
    assert kind(node, listener("cri-dockerd", "127.0.0.1", 37231)) is None
    assert kind(node, listener("crio", "127.0.0.1", 37231)) == "cri-streaming"
    assert kind(node, listener("crio", "::", 37231)) is None


def test_two_sockets_that_may_have_drawn_one_setting(node):
    node.process(600, "containerd", ["containerd"])
    first, second = listener("containerd", "127.0.0.1", 37231), listener("containerd", "127.0.0.1", 41001)
    elsewhere, foreign = listener("containerd", "10.0.0.4", 41003), listener("kubelet", "127.0.0.1", 41005)
    assert kind(node, first, [first, elsewhere, foreign]) == "cri-streaming"
    assert kind(node, first, [first, second]) is None


def test_hidden_processes_are_told_by_their_unit(node):
    node.process(600, "kubelet", ["kubelet"])
    assert kind(node, listener(None, "::", 10250, cgroup="/system.slice/kubelet.service")) == "kubelet-api"
    assert kind(node, listener(None, "::", 10250, cgroup="/system.slice/nginx.service")) is None


def test_hidden_programs_are_told(node):
    node.hidepid()
    assert [gap["what"] for gap in collect(node)["missing"]] == ["kubelet and CRI runtime processes"]


def test_two_kubelets_alike_are_one(node):
    for pid in (600, 601):
        node.process(pid, "kubelet", ["kubelet"])
    assert kind(node, listener("kubelet", "::", 10250)) == "kubelet-api"
