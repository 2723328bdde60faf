# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of findings and the commands of cures, by themselves."""

from __future__ import annotations

import json
import shlex
import subprocess

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_trim
from ansible_collections.kubenode.doctor.plugins.plugin_utils import cures, describe, nodeport_move, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.nodeport_move import Meeting
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    captured,
    changed,
    kubernetes_136,
    with_service,
    with_socket,
)

SYSCTL = "port_settings.kernel.sysctl"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain ü 字 text", "plain ü 字 text"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x1b[31m\x07\x9b2J", "\\x1b[31m\\x07\\x9b2J"),
        ("\u202egnp\u2066x\u200b\ufeff", "\\u202egnp\\u2066x\\u200b\\ufeff"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\udcff\ue000\U0010ffff", "\\udcff\\ue000\\U0010ffff"),
        ("<b>&amp;{{ x }}", "<b>&amp;{{ x }}"),
        ("x" * 501, "x" * 499 + "…"),
    ],
)
def test_clean(text, safe):
    assert clean(text) == safe


def snapshot(*changes):
    return changed(captured("node-a"), *changes)


def socket(**fields):
    sockets = captured("node-a")["sections"]["nodeport_conflict"]["sockets"]
    return {**next(entry for entry in sockets if entry["port"] == 31999), **fields}


PROCESS = {"pid": 7, "name": "java", "unit": None, "container_id": None, "pod_uid": None}
STREAMING = {"component": "dockershim", "role": "CRI streaming server", "source": "dockershim"}


@pytest.mark.parametrize(
    ("fields", "owner", "name"),
    [
        ({"processes": [PROCESS]}, "java (pid 7)", "java"),
        ({"processes": [{**PROCESS, "unit": "app.service"}]}, "java (pid 7, app.service)", "java"),
        ({"processes": [{**PROCESS, "container_id": "c" * 64}]}, "java (pid 7, container cccccccccccc)", "java"),
        ({"processes": [{**PROCESS, "name": None}]}, "? (pid 7)", "?"),
        (
            {"processes": [{**PROCESS, "pid": pid} for pid in range(5)]},
            "java (pid 0), java (pid 1), java (pid 2) and 2 more",
            "java",
        ),
        (
            {"processes": [{**PROCESS, "name": "kubelet"}], "known_as": STREAMING},
            "kubelet (pid 7)",
            "kubelet (dockershim CRI streaming server)",
        ),
        ({"processes": [], "hidden": True}, "a process that could not be seen", "an unseen process"),
        (
            {"processes": [], "hidden": True, "cgroup": "/system.slice/x.service"},
            "a process in /system.slice/x.service",
            "/system.slice/x.service",
        ),
        ({"processes": []}, "no process (the kernel's own, or closed)", "no process"),
    ],
)
def test_who_holds_a_socket(fields, owner, name):
    assert describe.owner(socket(**fields)) == owner
    assert describe.owner_name(socket(**fields)) == name


def context(cluster=None, node=None, **options):
    made = Context(settings.read({"nodeport_range": "30000-40000", **options}), cluster or kubernetes_136())
    made.learn("node-a", (node or captured("node-a"))["sections"])
    return made


def port(name, number):
    return next(entry for entry in context().node_ports if (entry["service"], entry.get("node_port")) == (name, number))


def sections(*changes):
    return changed(captured("node-a"), *changes)["sections"]


def patch(remedy):
    (command,) = remedy.commands
    return json.loads(shlex.split(command)[-1])


def taken_everywhere(*numbers):
    """Services of another proxy, which have their NodePorts from the same pool."""
    cluster = kubernetes_136()
    ports = [
        {"name": str(number), "protocol": "TCP", "port": 80, "target_port": 80, "node_port": number}
        for number in numbers
    ]
    return with_service(cluster, "cart", ports=ports, proxy_name="other")


@pytest.mark.parametrize(
    ("cluster", "node", "number"),
    [
        (None, captured("node-a"), 30000),
        (taken_everywhere(30000, 30001), captured("node-a"), 30002),
        (with_service(kubernetes_136(), "local", health_check_node_port=30000), captured("node-a"), 30001),
        (None, snapshot(f"{SYSCTL}.ip_local_port_range", "30000\t30002"), 30003),
        (
            None,
            snapshot(f"{SYSCTL}.ip_local_port_range", "1024\t65535", f"{SYSCTL}.ip_local_reserved_ports", "30005"),
            30005,
        ),
        (None, with_socket(with_socket(captured("node-a"), port=30000), port=30001, protocol="udp"), 30002),
    ],
)
def test_a_service_is_moved_to_a_number_that_is_free(cluster, node, number):
    remedy = cures.move_node_port(port("orphan", 31999), context(cluster, node))
    assert patch(remedy) == [
        {"op": "test", "path": "/spec/ports/0/nodePort", "value": 31999},
        {"op": "replace", "path": "/spec/ports/0/nodePort", "value": number},
    ]
    # kube-apiserver's static band of a range of 10001 numbers: its first min(max(16, 10001/32), 128) (KEP-3668).
    assert 30000 <= number < 30128


@pytest.mark.parametrize(
    ("cluster", "node"),
    [
        (taken_everywhere(*range(30000, 30128)), captured("node-a")),
        (None, snapshot(f"{SYSCTL}.ip_local_port_range", "1024\t65535")),
    ],
)
def test_without_a_free_number_no_command_is_made_up(cluster, node):
    assert cures.move_node_port(port("dns", 30053), context(cluster, node)).commands == ()


def target(remedy):
    return patch(remedy)[-1]["value"]


def test_what_another_node_listens_on_or_may_draw_is_not_free():
    made = context()
    made.learn("192.0.2.2", with_socket(captured("node-a"), port=30000)["sections"])
    assert target(cures.move_node_port(port("dns", 30053), made)) == 30001
    made = context()
    made.learn("192.0.2.2", snapshot(f"{SYSCTL}.ip_local_port_range", "30000\t30004")["sections"])
    assert target(cures.move_node_port(port("dns", 30053), made)) == 30005


@pytest.mark.parametrize(("phase", "number"), [("Running", 30001), ("Pending", 30001), ("Succeeded", 30000)])
def test_what_leads_into_a_pod_without_a_socket_is_not_free(phase, number):
    container = {"name": "web", "ports": [{"containerPort": 80, "hostPort": 30000}, {"containerPort": 81}]}
    raw = {
        "metadata": {"namespace": "shop", "name": "a"},
        "spec": {"containers": [container]},
        "status": {"phase": phase},
    }
    cluster = changed(kubernetes_136(), "pods", [cluster_trim.pod(raw)])
    assert target(cures.move_node_port(port("dns", 30053), context(cluster))) == number


def test_what_a_host_listens_on_that_is_no_node_does_not_matter():
    made = context()
    made.learn("bare", with_socket(captured("bare"), port=30000)["sections"])
    assert target(cures.move_node_port(port("dns", 30053), made)) == 30000


def test_every_service_port_has_one_target_and_no_other_has_it():
    made = context()
    asked = [port("dns", 30053), port("orphan", 31999), port("dns", 30053)]
    assert [target(cures.move_node_port(entry, made)) for entry in asked] == [30000, 30001, 30000]


def test_a_number_for_two_protocols_moves_as_a_whole():
    """shop/dns has UDP and TCP on 30053: its clients take it for granted that both are the same."""
    udp, tcp = [entry for entry in context().node_ports if entry.get("node_port") == 30053]
    paths = ["/spec/ports/0/nodePort", "/spec/ports/1/nodePort"]
    for entry in (udp, tcp):
        remedy = cures.move_node_port(entry, context())
        assert patch(remedy) == [
            *({"op": "test", "path": path, "value": 30053} for path in paths),
            *({"op": "replace", "path": path, "value": 30000} for path in paths),
        ]
        assert remedy.summary.endswith("for all protocols that it has it for")


MEETING = Meeting("node-a", "tcp", "127.0.0.1")


def test_what_the_fix_is_to_move():
    made = context()
    # The same from every host on which it meets something, but for the host and the socket.
    here, there = (cures.move_node_port(port("dns", 30053), made, MEETING._replace(host=host)) for host in ("a", "b"))
    (move,), doubtful = nodeport_move.read_targets([*here.targets, *there.targets])
    assert (here.fix, here.by_hand, doubtful) == ("move-nodeport", "", [])
    assert (move.service, move.number, move.to) == ("shop/dns", 30053, 30000)
    assert move.ports == (("TCP", 53), ("UDP", 53))
    assert [meeting.host for meeting in move.meetings] == ["a", "b"]


def of_no_version():
    """A cluster.json in which Services have no uid."""
    cluster = kubernetes_136()
    for service in cluster["services"]:
        service["uid"] = None
    return cluster


@pytest.mark.parametrize(
    ("cluster", "meeting"),
    [
        (None, None),  # a host that may be another cluster's
        (of_no_version(), MEETING),
        (None, MEETING._replace(host="{{ 7 * 7 }}")),
    ],
)
def test_what_the_fix_would_refuse_is_not_offered_to_it(cluster, meeting):
    remedy = cures.move_node_port(port("dns", 30053), context(cluster), meeting)
    assert remedy.commands
    assert (remedy.fix, remedy.targets, bool(remedy.by_hand)) == ("", (), True)


def test_without_a_free_number_no_fix_is_offered():
    remedy = cures.move_node_port(port("dns", 30053), context(taken_everywhere(*range(30000, 30128))), MEETING)
    assert (remedy.fix, remedy.targets, remedy.by_hand) == ("", (), "")


@pytest.mark.parametrize(
    ("before", "more", "line"),
    [
        ("", (), "35776"),
        ("8080,9148", (), "8080,9148,35776"),
        ("1", ((40000, 40010),), "1,35776,40000-40010"),
    ],
)
def test_the_reserved_list_is_the_union(before, more, line):
    remedy = cures.reserve(sections(f"{SYSCTL}.ip_local_reserved_ports", before), context(), more)
    write, load = remedy.commands
    file = "/etc/sysctl.d/60-nodeports.conf"
    assert shlex.split(write) == ["printf", "\\n%s\\n", f"net.ipv4.ip_local_reserved_ports = {line}", ">>", file]
    assert load == f"sysctl -p {file}"


def test_what_is_reserved_already_is_not_reserved_again():
    assert cures.reserve(sections(f"{SYSCTL}.ip_local_reserved_ports", "30000-36000"), context()) is None


@pytest.mark.parametrize(
    ("more", "options", "told"),
    [
        ((), {}, "this protects the NodePort that is in use today, a Service created later may get another number"),
        (((32768, 40000),), {}, ""),  # the whole overlap
        ((), {"nodeport_range": "30000-32767"}, ""),  # none is left that the kernel could draw
    ],
)
def test_what_reserving_leaves_open_is_told(more, options, told):
    summary = cures.reserve(sections(), context(**options), more).summary
    assert told in summary
    assert ("a Service created later" in summary) is bool(told)


def test_without_knowing_what_is_reserved_no_list_is_written():
    remedy = cures.reserve(sections(f"{SYSCTL}.ip_local_reserved_ports", None), context())
    assert remedy.commands == ()
    assert "ip_local_reserved_ports was not seen" in remedy.summary


def commands_about(cluster, name):
    """What is told of the Service with NodePort 31999, and of a program whose unit has this name."""
    made = context(cluster)
    (entry,) = [entry for entry in made.node_ports if entry.get("node_port") == 31999]
    removal = cures.remove_service(entry, made)
    kubelet = socket(ephemeral=True, processes=[{**PROCESS, "name": "kubelet", "unit": name}])
    restart = cures.restart_owner(kubelet, sections(), made)
    return [
        *restart.commands,
        *cures.reserve(sections(), made).commands,
        *cures.move_node_port(entry, made).commands,
        *(removal.commands if removal else ()),
    ]


def test_a_shell_reads_the_commands():
    commands = commands_about(kubernetes_136(), r"a\x2db.service")  # as systemd-escape writes "a-b"
    assert len(commands) == 6
    for command in commands:
        done = subprocess.run(["bash", "-nc", command], check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
    # What bash makes of them: the words that were meant, and nothing run on the way.
    show = subprocess.run(
        ["bash", "-c", f"set -- {commands[0]}; printf '%s\\n' \"$@\""], check=True, capture_output=True, text=True
    )
    assert show.stdout.splitlines() == ["systemctl", "restart", r"a\x2db.service"]


@pytest.mark.parametrize("fields", [{"name": "$(touch pwned)'\"`id`"}, {"namespace": "a b;c"}, {"name": "-o"}])
def test_no_command_is_about_what_no_api_server_would_name_so(fields):
    commands = commands_about(with_service(kubernetes_136(), "orphan", **fields), "kubelet.service")
    assert [command.split()[0] for command in commands] == ["systemctl", "printf", "sysctl"]


def redrawn(**fields):
    """How the owner of a listener draws another port."""
    return cures.restart_owner(socket(**{"ephemeral": True, **fields}), sections(), context())


KUBELET = {**PROCESS, "name": "kubelet", "unit": "kubelet.service"}


@pytest.mark.parametrize(
    ("fields", "command", "by_hand"),
    [
        (
            {"processes": [{**PROCESS, "unit": "crio.service"}]},
            "systemctl restart crio.service",
            "whether the kernel draws the port",
        ),
        ({"processes": [KUBELET]}, "systemctl restart kubelet.service", "whether the kernel draws the port"),
        (
            {"processes": [{**KUBELET, "unit": None}], "known_as": STREAMING},
            "systemctl restart kubelet.service",
            "in which unit",
        ),
        (
            {"processes": [{**KUBELET, "unit": "-x.service"}], "known_as": STREAMING},
            "systemctl restart kubelet.service",
            "in which unit",
        ),
        ({"processes": [KUBELET], "known_as": STREAMING}, "systemctl restart kubelet.service", ""),
        ({"processes": [KUBELET], "known_as": STREAMING, "ephemeral": False}, "systemctl restart kubelet.service", ""),
        (
            {"processes": [KUBELET], "known_as": STREAMING, "protocol": "udp", "state": "unconnected"},
            "systemctl restart kubelet.service",
            "whether the kernel draws the port",
        ),
        (
            {"processes": [{**KUBELET, "unit": "k3s.service"}], "known_as": STREAMING},
            "systemctl restart k3s.service",
            "all of Kubernetes on this node",
        ),
    ],
)
def test_a_restart_draws_another_port(fields, command, by_hand):
    remedy = redrawn(**fields)
    assert remedy.commands == (command,)
    assert by_hand in remedy.by_hand
    assert (remedy.fix, bool(remedy.by_hand)) == ("" if by_hand else "redraw-random-port", bool(by_hand))


def test_what_the_fix_is_to_draw_anew():
    (target,) = redrawn(processes=[KUBELET], known_as=STREAMING, address="127.0.0.1", port=36527).targets
    # Of the NodePorts those that this node's kernel could draw.
    assert json.loads(target) == {
        "program": "kubelet",
        "unit": "kubelet.service",
        "address": "127.0.0.1",
        "port": 36527,
        "node_ports": "35776",
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"processes": [PROCESS]},
        {"ephemeral": False, "processes": [{**PROCESS, "unit": "crio.service"}]},
        {"processes": []},
        {"processes": [{**PROCESS, "unit": "-H evil.service"}]},
        # It comes back on the same port.
        {"processes": [KUBELET], "known_as": {"component": "kubelet", "role": "API", "source": "kubernetes"}},
    ],
)
def test_a_restart_that_helps_nobody_is_not_offered(fields):
    assert redrawn(**fields) is None


def test_dockerd_is_left_to_a_person():
    remedy = redrawn(processes=[{**PROCESS, "name": "dockerd", "unit": "docker.service"}])
    assert (remedy.fix, remedy.commands) == ("", ())


def removed(*endpoints):
    """The cure for shop/dns, whose NodePorts have these answers to whether there are endpoints."""
    made = context()
    own = [entry for entry in made.opened_ports if entry["service"] == "dns"]
    for entry, found in zip(own, endpoints):
        entry["has_endpoints"] = found
    return cures.remove_service(own[0], made)


def test_a_service_without_endpoints_may_be_deleted():
    remedy = removed(False, False)
    assert remedy.commands == (
        "kubectl -n shop get endpointslices -l kubernetes.io/service-name=dns",
        "kubectl -n shop delete service dns",
    )
    assert "gone for good" in remedy.risk


@pytest.mark.parametrize("endpoints", [(True, True), (False, True), (None, None), (False, None)])
def test_a_service_that_has_endpoints_or_may_have_some_is_not_deleted(endpoints):
    assert removed(*endpoints) is None


@pytest.mark.parametrize(
    ("host", "identity", "found"),
    [
        ("node-a", {}, True),
        ("10.0.0.1", {"hostname": "node-a"}, True),
        ("x", {"hostname": "y", "addresses": [{"interface": "eth0", "address": "192.0.2.2"}]}, True),
        ("x", {"hostname": None, "addresses": None}, False),
        ("x", {"hostname": "y", "addresses": [{"interface": "lo", "address": "192.0.2.2"}]}, False),
    ],
)
def test_a_host_finds_its_node(host, identity, found):
    made = Context(settings.read({}), kubernetes_136())
    made.learn(host, {"host": identity})
    assert (made.node_object(host) is not None) is found


def test_a_name_goes_before_an_address_that_many_machines_share():
    cluster = kubernetes_136()
    (node,) = cluster["nodes"]
    cluster["nodes"] = [node, {**node, "name": "node-b", "hostname": "node-b"}]
    made = Context(settings.read({}), cluster)
    made.learn("node-b", {"host": {"addresses": [{"interface": "eth0", "address": "192.0.2.2"}]}})
    assert made.node_object("node-b")["name"] == "node-b"


@pytest.mark.parametrize(
    ("options", "ranges", "expected"),
    [
        (
            {},
            {},
            # shop/local has 35776.
            "30000-35776 (at least, by the NodePorts in use: no API server was seen among the hosts; tell it with nodeport_range)",
        ),
        ({}, {"m1": [30000, 40000]}, "30000-40000 (m1: its flag)"),
        # Of several one is taken, the same in every run; nodeport-range-differs tells the rest.
        ({}, {"m1": [30000, 40000], "m2": [30000, 32000]}, "30000-32000 (m2: its flag)"),
        ({"nodeport_range": "20000-20100"}, {"m1": [30000, 40000]}, "20000-20100 (the variable nodeport_range)"),
    ],
)
def test_which_nodeport_range_counts(options, ranges, expected):
    made = Context(settings.read(options), kubernetes_136())
    for host, found in ranges.items():
        made.learn(host, {"port_settings": {"api_server": {"range": found, "source": "its flag"}}})
    assert f"{made.nodeport_range} ({made.nodeport_range.source})" == expected
