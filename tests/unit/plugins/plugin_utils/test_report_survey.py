# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey in the report: what one machine is spared, what a fleet is told, and that it stays short and harmless."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_survey, report_text
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.checks import check_report
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Scene,
    captured,
    changed,
    kubernetes_136,
    no_cluster,
    seed,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.test_survey import (
    ESTABLISHED,
    finding,
    group,
    kube_proxy,
    learnt,
    queue,
    rule,
    section,
    state,
    told,
)


def titles(report):
    """The parts of a report: lines that begin at the margin and are a title."""
    return [line.split(":")[0] for line in report.splitlines() if line[:1].isupper() and line.endswith(":")]


def test_one_quiet_machine_has_no_tables():
    quiet = changed(captured("bare"), "tcp_states", {**section(), "groups": []})
    report = report_text.render(Scene({"bare": quiet}, no_cluster()).judged())
    check_report(report)
    assert titles(report) == [
        "CONCLUSIONS",
        "NODES",
        "CONTAINERS AND LOGS that were looked at",
        "SERVICES AND PODS that were looked at",
        "UNKNOWN, because it could not be seen",
        "CHECKS, each with its answers over the hosts",
    ]
    assert report.split("NODES:\n")[1].split("\n\n")[0].splitlines() == [
        "  - bare: ESTAB 146, LISTEN 2; Linux 6.18.44; runs no Kubernetes program; service proxy mode not seen; 1",
        "    socket waiting for connections, 0 of them on random ports",
    ]


def test_faults_of_one_machine_are_told_once_only():
    """They follow at once, in full; of a fleet the conclusions say first on how many hosts each is."""
    alone = Scene({"sick": captured("sick")}, seed().cluster_document)
    words = "has drawn its port at random, and it is"
    counts = [" ".join(report_text.render(scene.judged()).split()).count(words) for scene in (alone, seed())]
    assert counts == [1, 2]


def test_the_order_of_a_fleets_report():
    node = captured("node-a")
    busy = {**section(queue("etcd", 2379)), "groups": [group(**ESTABLISHED)]}
    snapshots = {"a": node, "b": changed(node, "tcp_states", busy), "c": "No route to host"}
    report = report_text.render(Scene(snapshots, kubernetes_136()).judged())
    check_report(report)
    assert titles(report) == [
        "CONCLUSIONS",
        "LISTENERS of 2 hosts, by process and backlog",
        "NODES, equal ones told once",
        "LARGEST GROUPS OF CONNECTIONS",
        "CONTAINERS AND LOGS that were looked at",
        "SERVICES AND PODS that were looked at",
        "UNKNOWN, because it could not be seen",
        "CHECKS, each with its answers over the hosts",
    ]


def test_connections_in_time_wait_are_nobodys():
    ended = {
        **section(),
        "groups": [group(state="time_wait", process=None, count=9000, local_port=None, peer_port=443)],
    }
    lines = " ".join(" ".join(report_survey.talkers(told(learnt(ended)))).split())
    assert "(no process) to port 443" in lines
    assert "not seen" not in lines


def services(*sections):
    return report_survey.services(told(learnt(*sections)))[3:]


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        pytest.param([section(queue("etcd", 2379))], [], id="one machine"),
        pytest.param([section(), section()], [], id="nothing listens"),
        pytest.param(
            [section(queue("bird", 179, 8))] * 2 + [section(queue("bird", 179, 128))],
            [
                "         1      128  bird             179; differs from 8 on most others: c",
                "         2        8  bird             179",
            ],
            id="who differs",
        ),
        pytest.param(
            [section(queue("bird", 179, 8)), section(queue("bird", 179, 128))],
            [
                "         1        8  bird             179; differs: a",
                "         1      128  bird             179; differs: b",
            ],
            id="of two",
        ),
        pytest.param(
            [section(queue("rpc.statd", 40001)), section(queue("rpc.statd", 40003))],
            ["    1 each      128  rpc.statd        40001, 40003"],
            id="random ports",
        ),
        pytest.param(
            [section(queue(None, 80, None, netns="4026532281"))] * 2,
            ["         2        ?  (not seen)       80 in pods' networks"],
            id="nothing seen of it",
        ),
        pytest.param(
            [kube_proxy(*range(30000, 30200, 2))] * 2,
            [
                "         2     4096  kube-proxy       30000, 30002, 30004, 30006, 30008, 30010, 30012, 30014, 30016, 30018,",
                "                              30020, 30022 and 88 more",
            ],
            id="many NodePorts",
        ),
        pytest.param(
            [kube_proxy(10249, *range(30000, 32768))] * 2,
            ["         2     4096  kube-proxy       10249, 30000-32767"],
            id="all NodePorts",
        ),
        pytest.param(
            [section(queue("\x1b[2J\u202e", 80))] * 2,
            ["         2      128  \\x1b[2J\\u202e    80"],
            id="a hostile name",
        ),
    ],
)
def test_services(sections, expected):
    assert services(*sections) == expected


def test_a_fleet_of_different_nodes_stays_bounded():
    """600 hosts of which none is like another: in findings, in what listens and in what is connected."""
    hosts, findings, sections = {}, [], []
    for number in range(600):
        host = f"node-{number:04}"
        hosts[host] = state()
        findings.append(finding(host, title=f"java {number} leaks", object=f"java {number}"))
        listeners = [queue(f"p{number}-{port}", 1000 + port, 128) for port in range(5)]
        sections.append(section(*listeners, groups=[group(**{**ESTABLISHED, "process": f"p{number}"})]))
    survey = learnt()
    for host, each in zip(hosts, sections):
        survey.learn(host, {"tcp_states": each})
    document = told(survey, hosts, findings, {"leak": rule(fail=600)})
    parts = {
        part.__name__: part(document)
        for part in (report_survey.conclusions, report_survey.services, report_survey.nodes, report_survey.talkers)
    }
    check_report("\n".join(line for lines in parts.values() for line in lines))
    assert {name: len(lines) < 80 for name, lines in parts.items()} == dict.fromkeys(parts, True)
    assert parts["services"][-1] == "  … and 2970 more rows are in findings.json"
    assert parts["nodes"][-1] == "  … and 580 more pictures, of 580 hosts, are in findings.json"
    assert parts["conclusions"][-1].endswith("On 597 of 600 hosts: 597 more findings of the rule leak.")


NAMES = ["\x1b[31m", "\u202egnp", "a\nb", "\udcff", "x" * 5000, "{{ 7*7 }}", "ä" * 300]


@pytest.mark.parametrize("name", NAMES)
def test_names_from_nodes_do_nothing_but_stand_there(name):
    peers = [{"address": name, "count": 200}]
    odd = section(
        queue(name, 80),
        queue(None, 81, cgroup=f"/system.slice/{name}.service"),
        groups=[group(**{**ESTABLISHED, "process": name}, top_peers=peers)],
    )
    scene = Scene({host: changed(captured("node-a"), "tcp_states", odd) for host in (name, "b", "c")}, no_cluster(name))
    report = report_text.render(scene.judged())
    check_report(report)
    assert "LARGEST GROUPS" in report


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (
            [
                finding("b", title="x"),
                finding("b", rule="other", title="y"),
                finding("a", rule="third", title="z"),
            ],
            ["  - On 1 of 5 hosts (b): x; y.", "  - On 1 of 5 hosts (a): z."],
        ),
        ([finding(host, title="x") for host in "abcde"], ["  - On all 5 hosts: x."]),
        ([finding("a", title="x", severity="critical")], []),
        ([finding(None, title="x")], ["  - In the cluster: x."]),
    ],
)
def test_conclusions(entries, expected):
    hosts = {host: state() for host in "abcde"}
    tally = {entry["rule"]: rule(fail=1) for entry in entries}
    assert report_survey.conclusions(told(learnt(), hosts, entries, tally))[2:] == expected


def nodes(hosts, findings=()):
    survey = learnt(*[section()] * len(hosts))
    return " ".join(" ".join(report_survey.nodes(told(survey, hosts, findings))[2:]).split())


@pytest.mark.parametrize(
    ("hosts", "findings", "words"),
    [
        ({"a": state(False, "gone")}, [], ["- a: no answer: gone"]),
        ({"a": state(kernel=None, components=None)}, [], ["kernel not seen; its programs were not seen"]),
        ({"a": state(root=False)}, [], ["not asked as root"]),
        (
            {
                "a": state(kernel="6.1"),
                "b": state(kernel="6.6"),
                "c": state(kernel="6.6", components=["crio", "kubelet"]),
            },
            [],
            [
                "- 3 hosts: the same picture: ESTAB 146, LISTEN 2; Linux 6.6 (2), 6.1 (1); runs kubelet, on some hosts crio;"
            ],
        ),
        ({"a": state(components=["etcd"])}, [], ["LISTEN 2; control plane; Linux 6.1.0; runs etcd;"]),
        (
            {"a": state(), "b": state()},
            [finding("a", object=f"o{number}") for number in range(5)]
            + [finding("a", rule="x", waived={"reason": "r"})],
            ["faults: leak (o0, o1, o2 and 2 more), x (java to port 5432 (waived))"],
        ),
        (
            {"a": state(), "b": state()},
            [finding("a", rule=f"r{number}", status="unknown") for number in range(8)],
            ["open: r0, r1, r2, r3, r4, r5 and 2 more"],
        ),
    ],
)
def test_nodes(hosts, findings, words):
    for word in words:
        assert word in nodes(hosts, findings)


def test_who_stands_out_is_named():
    counts = {"a": 90, "b": 100, "c": 9000}
    sections = [{**section(), "states": {**section()["states"], "established": count}} for count in counts.values()]
    document = told(learnt(*sections), {host: state() for host in counts})
    assert "ESTAB 90-9000 (9000 on c), LISTEN 2" in " ".join(report_survey.nodes(document))


def test_talkers_say_who_where_and_with_whom():
    peers = [{"address": f"10.0.0.{number}", "count": 20} for number in range(1, 7)]
    out = group(**ESTABLISHED, peers=6, top_peers=peers)
    came_in = group(
        **{**ESTABLISHED, "process": None, "local_port": 443, "peer_port": None}, peers=1, top_peers=peers[:1]
    )
    lines = report_survey.talkers(told(learnt(section(groups=[out]), section(groups=[{**out, "count": 130}, came_in]))))
    assert lines[3:] == [
        "     250      2  ESTAB       java to port 5432; most with 10.0.0.1 (40), 10.0.0.2 (40), 10.0.0.3 (40),",
        "                             10.0.0.4 (40), 10.0.0.5 (40); up to 6 addresses on a host; most on b: 130",
        "     120      1  ESTAB       (not seen) from clients of its port 443; most with 10.0.0.1 (20)",
    ]
