# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: what is told once, in which order, and that nothing in it does more than stand there."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_text
from ansible_collections.kubenode.doctor.tests.support.waiving import waiver
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.checks import check_report
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Scene,
    captured,
    changed,
    kubernetes_136,
    live,
    no_cluster,
    seed,
    with_service,
    with_socket,
    without_sockets,
)

RESERVED = "port_settings.kernel.sysctl.ip_local_reserved_ports"


# The captured node's programs that no table knows.
EXPECTED = [{"process": "agent"}, {"process": "hostnet"}]


def lines(scene, *starts):
    """The report's lines that begin with one of these, without their margins."""
    report = report_text.render(scene.judged(), "/srv/audits/20261121T080000Z")
    check_report(report)
    return [line.strip() for line in report.splitlines() if line.strip().startswith(starts)]


def two_faults():
    """The captured cluster without the Services that have faults of their own, but for the one that nothing matches."""
    cluster = kubernetes_136()
    wanted = [service for service in cluster["services"] if service["name"] in ("front", "local", "orphan")]
    # Its pods are on none of the nodes that are made of node-a.
    return with_service({**cluster, "services": wanted}, "local", external_traffic_policy="Cluster")


def fleet(number, *changes):
    """So many equal nodes, all of them the captured cluster's."""
    cluster = two_faults()
    (node,) = cluster["nodes"]
    cluster["nodes"] = [{**node, "name": f"node-{index:04}"} for index in range(number)]
    snapshot = changed(captured("node-a"), *changes)
    nodes = {f"node-{index:04}": snapshot for index in range(number)}
    return Scene(nodes, cluster, {"expected_listeners": EXPECTED})


def test_equal_findings_of_a_thousand_nodes_are_told_once():
    scene = fleet(1000)
    report = report_text.render(scene.judged())
    check_report(report)
    shown = "on: node-0000, node-0001, node-0002, node-0003, node-0004, node-0005, node-0006, node-0007 and 992 more (1000 in all)"
    assert " ".join(report.split()).count(shown) == 4  # three findings and one picture
    assert [line[:2] for line in lines(scene, "1.", "2.", "3.", "4.", "5.")] == ["1.", "2.", "3.", "4."]
    assert len(report.splitlines()) < 260


def test_a_command_is_never_told_for_a_host_on_which_it_would_lose_reserved_ports():
    scene = fleet(3)
    scene.snapshots["node-0001"] = changed(captured("node-a"), RESERVED, "8080")
    told = lines(scene, "on: ", "# printf '\\n%s\\n' 'net.ipv4.ip_local_reserved_ports")
    command = "# printf '\\n%s\\n' 'net.ipv4.ip_local_reserved_ports = {}' >> /etc/sysctl.d/60-nodeports.conf"
    first = told.index(command.format("35776"))
    other = told.index(command.format("8080,35776"))
    assert told[first - 1] == "on: node-0000, node-0002"
    assert told[other - 1] == "on: node-0001"


def test_what_is_explained_hangs_below_its_own_cause():
    """Three nodes with one fault, of which the middle one has another ephemeral range, hence another title."""
    scene = fleet(3)
    scene.snapshots["node-0001"] = changed(
        captured("node-a"), "port_settings.kernel.sysctl.ip_local_port_range", "33000\t60999"
    )
    titles = lines(scene, "1.", "2.", "3.", "4.", "5.", "on: ")
    order = [line.split(":")[0] if line[0].isdigit() else line for line in titles if "open:" not in line]
    assert order == [
        "1. CRITICAL",
        "on: node-0000, node-0001, node-0002",
        "2. WARNING",
        "on: node-0000, node-0002",
        "3. └─ because of this, WARNING",
        "on: node-0000, node-0002",
        "4. WARNING",
        "on: node-0001",
        "5. └─ because of this, WARNING",
        "on: node-0001",
        "on: the cluster",  # the Service that has no endpoint
        "on: node-0000, node-0001, node-0002",  # the nodes, which show the same picture
    ]


def test_addresses_of_one_host_are_not_told_as_those_of_all():
    scene = fleet(2)
    scene.snapshots["node-0001"] = changed(captured("node-a"), "host.addresses.0.address", "192.0.2.3")
    assert lines(scene, "On node-0000: The listener loses")
    assert not lines(fleet(2), "On node-0000")


def test_the_worst_comes_first_and_the_waived_last():
    accepted = waiver("nodeport-shadows-listener", "moved next week")
    titles = [
        line[:14]
        for line in lines(
            live(cluster=two_faults(), waivers=[accepted], expected_listeners=EXPECTED), "1.", "2.", "3.", "4."
        )
    ]
    assert titles == ["1. WARNING: th", "2. └─ because ", "3. WARNING: Se", "4. CRITICAL (w"]
    titles = [
        line[:14] for line in lines(live(cluster=two_faults(), expected_listeners=EXPECTED), "1.", "2.", "3.", "4.")
    ]
    assert titles == ["1. CRITICAL: h", "2. WARNING: th", "3. └─ because ", "4. WARNING: Se"]


@pytest.mark.parametrize(
    ("scene", "result"),
    [
        (seed(), "RESULT: 1 critical, 3 warnings, 0 notes; 1 answer unknown."),
        (
            Scene({"healthy": captured("healthy")}, {**seed().cluster_document, "services": [], "pods": []}),
            "RESULT: 0 critical, 0 warnings, 0 notes; 0 answers unknown. No fault found.",
        ),
        (
            Scene({"healthy": captured("healthy")}, no_cluster()),
            "RESULT: 0 critical, 0 warnings, 0 notes; 17 answers unknown. No fault found in what could be seen.",
        ),
        (
            seed(waivers=[waiver("*")]),
            "RESULT: 0 critical, 0 warnings, 0 notes, 4 waived; 1 answer unknown.",
        ),
    ],
)
def test_result(scene, result):
    assert lines(scene, "RESULT") == [result]


def test_the_reader_may_stop_after_the_critical_findings():
    told = lines(seed(), "!! ")
    assert told == [
        "!! sick: kubectl exec, attach and port-forward fail on this node: Service default/kube-processor-service,"
    ]


def test_silent_hosts_stand_in_the_report():
    scene = seed()
    scene.snapshots["gone"] = "Failed to connect to the host via ssh: No route to host"
    report = report_text.render(scene.judged())
    assert "hosts:        2 of 3 answered" in report
    assert "- gone: no answer: Failed to connect to the host via ssh: No route to host" in report
    assert "the host did not answer: Failed to connect" in report


def test_a_reason_is_told_once_with_the_checks_it_leaves_open():
    told = report_text.render(Scene(fleet(3).snapshots, no_cluster("x" * 300)).judged())
    check_report(told)
    assert told.count("the cluster's Services are not known (cluster API:") == 1
    assert "node-0000, node-0001, node-0002, the cluster; open: external-ip-shadows-listener" in told


def test_a_very_long_command_is_not_cut_into_another_one():
    ports = ",".join(str(port) for port in range(1024, 9000, 3))
    report = report_text.render(live(RESERVED, ports).judged())
    assert "printf '%s\\n' 'net.ipv4.ip_local_reserved_ports" not in report
    assert "characters: see findings.json)" in report


def test_no_remedy_is_left_out():
    scene = Scene({"node-a": captured("node-a")}, two_faults())
    document = scene.judged()
    finding = next(one for one in document["findings"] if one["status"] == "fail")
    finding["remedies"] = [
        {**finding["remedies"][0], "summary": f"cure number {number}", "risk": "", "commands": []}
        for number in range(30)
    ]
    told = [line.strip() for line in report_text.render(document).splitlines() if "cure number" in line]
    assert len(told) == 30
    assert [told[place] for place in (0, 8, 25, 26, 29)] == [
        "a) cure number 0",
        "i) cure number 8",
        "z) cure number 25",
        "aa) cure number 26",
        "ad) cure number 29",
    ]


def test_long_reasons_and_names_are_wrapped():
    host = "h" * 250
    scene = Scene(
        {host: changed(captured("node-a"), "host.kernel", "k" * 300)},
        no_cluster("https://api.example:6443/" + "y" * 400),
    )
    check_report(report_text.render(scene.judged(), "/" + "d" * 300))


def test_a_process_without_any_words_is_told_with_some():
    node = with_socket(without_sockets(captured("node-a"), 31999), None, port=31999)
    assert lines(live(snapshot=node), "1. CRITICAL: no process on 0.0.0.0:31999/tcp is refused")
