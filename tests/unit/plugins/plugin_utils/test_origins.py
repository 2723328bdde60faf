# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listeners that nobody declared: the report's lines on those without risk, and that each is told in one place."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import expected_listeners
from ansible_collections.kubenode.doctor.plugins.plugin_utils import listener_cures, origins, report_text, whose_port
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.checks import check_report
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Scene,
    captured,
    changed,
    kubernetes_136,
    live,
    lost,
    no_cluster,
    with_socket,
    without_sockets,
)

# The captured node without the two programs that no table knows.
QUIET = without_sockets(captured("node-a"), 30080, 31999)
# Where no NodePort reaches the ephemeral range.
RANGE = "port_settings.api_server.range"
STREAMING = (
    "a random TCP port on 127.0.0.1: containerd's CRI streaming server, as far as its owner and configuration tell; "
    "serves kubectl exec, attach and port-forward for kubelet; "
    'drawn at random because stream_server_port is not set in /etc/containerd/config.toml and its default is "0"; '
    "set it to a fixed port outside 30000-32767 (NodePorts) and 32768-60999 (drawn at random)"
)


def node(name="java", snapshot=QUIET, **fields):
    return with_socket(snapshot, name, **{"port": 9876, "address": "127.0.0.1", **fields})


def told(scene):
    document = scene.judged()["origins"]
    return {entry["line"]: entry["hosts"] for entry in document["lines"]}


def quiet(snapshot=QUIET, **options):
    return live(RANGE, [1024, 2048], snapshot=snapshot, **options)


def java(where):
    return f"{where} on 127.0.0.1: a listener of java, which is none of the well-known ones; no setting that was read decides its port"


def test_what_is_no_risk_has_one_line():
    assert told(quiet(node())) == {STREAMING: ["node-a"], java("TCP port 9876"): ["node-a"]}


def test_what_a_fault_tells_has_no_line():
    """cri-stream-port-random tells of containerd's server, listener-unexplained of agent, nodeport-shadows-listener of hostnet, and nothing else is there."""
    assert told(live()) == {}
    document = live(snapshot=node(snapshot=node(), port=9877, address="0.0.0.0")).judged()
    assert document["origins"]["lines"] == []
    (found,) = [one for one in document["findings"] if one["rule"] == "listener-unexplained"]
    assert sum(fact.startswith("socket 127.0.0.1:9876/tcp") for fact in found["evidence"]) == 1


def test_of_many_sockets_of_a_program_that_is_a_risk_none_has_a_line():
    snapshot = QUIET
    for number in range(12):
        snapshot = node(snapshot=snapshot, port=9000 + number, address="0.0.0.0")
    document = quiet(snapshot).judged()
    (found,) = [one for one in document["findings"] if one["rule"] == "listener-unexplained"]
    assert "and 2 more sockets" in found["evidence"]
    assert sum(fact.startswith("socket ") for fact in found["evidence"]) == 10
    assert [entry["line"] for entry in document["origins"]["lines"]] == [STREAMING]


def test_what_is_expected_or_hidden_has_no_line():
    expected = [{"process": "java"}, {"process": "containerd", "address": "loopback"}]
    assert told(quiet(node(), expected_listeners=expected)) == {}
    assert told(quiet(without_sockets(node(None, hidden=True), 41233))) == {}


def test_equal_lines_of_many_hosts_are_one_whatever_their_random_ports():
    cluster = kubernetes_136()
    (object_,) = cluster["nodes"]
    names = [f"node-{number}" for number in range(12)]
    cluster["nodes"] = [{**object_, "name": name} for name in names]
    nodes = {}
    for number, name in enumerate(names):
        snapshot = changed(node(port=45000 + number), RANGE, [1024, 2048])
        snapshot["sections"]["listener_origin"]["listeners"][-1]["answer"] = (
            f"a listener of java (a.service), on port {45000 + number}; as 4500{number}.{45000 + number}"
        )
        nodes[name] = snapshot
    scene = Scene(nodes, cluster)
    lines = told(scene)
    assert lines.pop(STREAMING) == sorted(names)
    assert [hosts for hosts in lines.values() if len(hosts) > 1] == []  # 4500N.4500N is no port but a part of a version
    assert next(iter(lines)).startswith(
        "a random TCP port on 127.0.0.1: a listener of java (a.service), on port at random; as 4500"
    )
    report = report_text.render(scene.judged())
    check_report(report)
    assert (
        "LISTENERS THAT NOBODY DECLARED, without risk:\n  - a random TCP port on 127.0.0.1: containerd's CRI" in report
    )
    assert re.search(r"on: node-0, node-1, node-10, node-11, .* and 4 more \(12 in all\)", " ".join(report.split()))


def test_fifty_lines_are_enough(monkeypatch):
    snapshot = QUIET
    for number in range(60):
        snapshot = node(f"java{number:02}", snapshot, port=9000 + number)
    document = quiet(snapshot).judged()
    assert (len(document["origins"]["lines"]), document["origins"]["more"]) == (50, 11)
    assert "\n  and 11 more: expected_listeners leaves out" in report_text.render(document)
    monkeypatch.setattr(origins, "_KEPT", 55)
    document = quiet(snapshot).judged()
    assert document["origins"]["more"] == 5
    assert "\n  and at least 5 more: expected_listeners leaves out" in report_text.render(document)


@pytest.mark.parametrize("listeners", [[None], [{}], [{"known_as": 7}], 7])
def test_a_section_that_cannot_be_read_has_no_lines(listeners):
    assert told(quiet(changed(QUIET, "listener_origin.listeners", listeners))) == {}
    assert told(quiet(lost(QUIET, "listener_origin", "x", "y"))) == {}


def test_nothing_to_tell_is_not_told():
    report = report_text.render(Scene({"bare": captured("bare")}, no_cluster()).judged())
    assert "LISTENERS THAT" not in report


def test_a_hostile_answer_moves_no_cursor():
    snapshot = node()
    snapshot["sections"]["listener_origin"]["listeners"][-1]["answer"] = "\x1b[2J\u202e" + "x" * 5000
    check_report(report_text.render(quiet(snapshot).judged()))


def test_long_answers_end_with_a_whole_clause():
    socket = {
        **node()["sections"]["listener_origin"]["listeners"][-1],
        "answer": "; ".join(["a" * 140, "b" * 140, "c" * 140]),
    }
    assert origins.line(socket, "java") == f"TCP port 9876 on 127.0.0.1: {'a' * 140}; {'b' * 140}"
    assert origins.line({**socket, "answer": ""}, "java") == "TCP port 9876 on 127.0.0.1: java"


def test_hosts_with_the_same_unexplained_listener_are_told_of_once():
    """Although the command that looks at it names the host, and the port is another one on each."""
    cluster = kubernetes_136()
    (object_,) = cluster["nodes"]
    cluster["nodes"] = [{**object_, "name": name} for name in ("node-a", "node-b")]
    scene = Scene(
        {name: node(port=port, address="0.0.0.0") for name, port in (("node-a", 45001), ("node-b", 45002))}, cluster
    )
    report = report_text.render(scene.judged())
    check_report(report)
    assert report.count("WARNING: java listens for other machines on a random TCP port") == 1
    assert "# ansible-playbook kubenode.doctor.whose_port -e listener_port=45001 -l node-a" in report
    assert "listener_port=45002" not in report


@pytest.mark.parametrize("host", ["node-a", "-x", "a b", "$(reboot)", "node'", "10.0.0.1", "{{ 7 }}"])
def test_the_command_names_one_host_whatever_it_is_called(host):
    words = shlex.split(whose_port.command(host, 80))
    assert words[:4] == ["ansible-playbook", "kubenode.doctor.whose_port", "-e", "listener_port=80"]
    assert words[4:] == (["--limit=-x"] if host == "-x" else ["-l", host])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"port": 45000},
        {"port": 45000, "address": "0.0.0.0"},
        {"port": 45000, "address": "fe80::1%eth0", "family": "ipv6"},
        {"port": 45000, "address": "::ffff:10.0.0.1", "family": "ipv6"},
        {"name": "a[b]*?"},
        {"name": None, "port": 45000},
        {"protocol": "udp", "state": "unconnected"},
        {"name": "ядро"},
        {"name": "{{7*7}}{%x%}"},
    ],
)
def test_what_is_proposed_for_expected_listeners_covers_it(fields):
    socket = node(**fields)["sections"]["listen_ports"]["listeners"][-1]
    text = json.dumps(listener_cures.entries([socket]))
    entries = expected_listeners.read(json.loads(text))
    assert expected_listeners.matches(entries, socket)
    assert not re.search("{[{%#]", text)  # Ansible would take it for an expression
    others = [
        {**socket, "protocol": "sctp"},
        {**socket, "port": 1, "ephemeral": False, "address": "10.9.9.9"},
        {
            **socket,
            "port": socket["port"] if not socket["ephemeral"] else 1,
            "processes": [{"name": "x", "unit": None}],
            "address": "10.9.9.9",
        },
    ]
    assert [expected_listeners.matches(entries, other) for other in others[:2]] == [False, False]
    if not socket["ephemeral"]:
        assert not expected_listeners.matches(entries, {**socket, "port": 1})
    assert not expected_listeners.matches(entries, others[2])
