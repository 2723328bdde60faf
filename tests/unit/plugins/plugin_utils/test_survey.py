# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey: what is added up over a fleet, what is told once, and which sentences may be said."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    catalogue,
    survey_conclusions,
    survey_services,
    survey_table,
    survey_talkers,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey import Survey
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import captured_section

ESTABLISHED = {"state": "established", "process": "java", "local_port": None, "peer_port": 5432, "count": 120}


def queue(process, port, backlog=128, length=0, **fields):
    """An accept queue in the form of the captured ones; ``process`` may be several names."""
    entry = captured_section("tcp-quiet")["accept_queues"][0]
    (template,) = entry["processes"]
    names = [process] if isinstance(process, str) else process or []
    processes = [{**template, "name": name} for name in names]
    return {**entry, "port": port, "backlog": backlog, "queue": length, "processes": processes, **fields}


def group(**fields):
    """A group of connections in the form of the captured ones."""
    return {**captured_section("tcp-quiet")["groups"][0], "peers": 1, "top_peers": [], **fields}


def section(*queues, groups=(), **fields):
    """A section tcp_states with these listeners and groups, and with other values."""
    return {**captured_section("tcp-quiet"), "accept_queues": list(queues), "groups": list(groups), **fields}


def learnt(*sections):
    """A survey of hosts a, b, c, …, each with one of the sections."""
    survey = Survey()
    for number, each in enumerate(sections):
        survey.learn(chr(ord("a") + number), {"tcp_states": each})
    return survey


def told(survey, hosts=None, findings=(), tally=None):
    return survey.document(hosts or {}, list(findings), tally or {})


def rows(*sections):
    """The table of services: (hosts, backlogs, process, ports, differs_on)."""
    return [
        (row["hosts"], row["backlogs"], row["process"], row["ports"], row["differs_on"])
        for row in told(learnt(*sections))["services"]["rows"]
    ]


def kube_proxy(*ports):
    return section(*(queue("kube-proxy", port, 4096) for port in ports))


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        pytest.param(
            [section(queue("etcd", 2380, 32768), queue("etcd", 4001, 32768), queue("bird", 179, 8))] * 3,
            [(3, [8], "bird", [[179, 179]], []), (3, [32768], "etcd", [[2380, 2380], [4001, 4001]], [])],
            id="ports of one process with one backlog are one row",
        ),
        pytest.param(
            [section(queue("bird", 179, 8))] * 2 + [section(queue("bird", 179, 128))],
            [(1, [128], "bird", [[179, 179]], ["c"]), (2, [8], "bird", [[179, 179]], [])],
            id="who is unlike most is named and comes first",
        ),
        pytest.param(
            [section(queue("bird", 179, 8)), section(queue("bird", 179, 128))],
            [(1, [8], "bird", [[179, 179]], ["a"]), (1, [128], "bird", [[179, 179]], ["b"])],
            id="of two nobody is the usual one",
        ),
        pytest.param(
            [section(queue("nginx", 80, 511), queue("nginx", 80, 4096, address="::"))] * 2,
            [(2, [511, 4096], "nginx", [[80, 80]], [])],
            id="two backlogs on every host are no difference",
        ),
        pytest.param(
            [section(queue("bird", 179, None)), section(queue("bird", 179, 8)), section(queue("bird", 179, 8))],
            [(2, [8], "bird", [[179, 179]], []), (1, [], "bird", [[179, 179]], [])],
            id="a backlog that was not seen differs from nothing",
        ),
        pytest.param(
            [kube_proxy(10249, 30001), kube_proxy(10249, 30001), kube_proxy(10249)],
            [(3, [4096], "kube-proxy", [[10249, 10249]], []), (2, [4096], "kube-proxy", [[30001, 30001]], [])],
            id="ports of fewer hosts stand apart",
        ),
        pytest.param(
            [section(queue(["systemd", "sshd"], 22), queue(["nginx", "nginx"], 80), queue(None, 81))],
            [
                (1, [128], "sshd", [[22, 22]], []),
                (1, [128], "nginx", [[80, 80]], []),
                (1, [128], None, [[81, 81]], []),
            ],
            id="who is meant by several processes, and by none",
        ),
        pytest.param(
            [section(queue(None, 22, cgroup="/system.slice/ssh.service"))],
            [(1, [128], "ssh.service", [[22, 22]], [])],
            id="a hidden process is told by its unit",
        ),
        pytest.param(
            [section(queue("nginx", 80), queue("nginx", 80, 511, netns="4026532281"))],
            [(1, [128], "nginx", [[80, 80]], []), (1, [511], "nginx", [[80, 80]], [])],
            id="a program in a pod is not the host's of that name",
        ),
    ],
)
def test_services(sections, expected):
    assert rows(*sections) == expected


def test_what_most_others_have_is_told_with_who_is_unlike():
    document = told(learnt(*[section(queue("bird", 179, 8))] * 2, section(queue("bird", 179, 128))))
    assert [row["usual"] for row in document["services"]["rows"]] == [[8], []]


def test_random_ports_are_one_row_of_which_each_port_is_another_host():
    (row,) = told(learnt(section(queue("rpc.statd", 40001)), section(queue("rpc.statd", 40003))))["services"]["rows"]
    assert (row["ports"], row["hosts"], row["same_hosts"]) == ([[40001, 40001], [40003, 40003]], 1, False)
    (row,) = told(learnt(section(queue("etcd", 2379), queue("etcd", 2380))))["services"]["rows"]
    assert (row["ports"], row["hosts"], row["same_hosts"]) == ([[2379, 2380]], 1, True)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ([section(queue("a", 1), queue("b", 2))] * 2, (4, 0, [])),
        ([section(queue("a", 1), queue("b", 2, None), queue("c", 3, length=None))], (1, 2, [])),
        ([section(queue("a", 1), truncated={"accept_queues": 7, "namespaces": 0})], (1, 7, [])),
        (
            [section(queue("a", 1, 128, 3), queue("b", 2, 8, 2)), section(queue("a", 1, 4096, 20))],
            (3, 0, [("a", 2), ("a", 1), ("b", 1)]),
        ),
        ([section(queue("a", 1, 1, 1)), section(queue("a", 1, 0, 1))], (2, 0, [("b", 1), ("a", 1)])),
    ],
)
def test_the_fullest_queues_and_what_was_not_seen(sections, expected):
    queues = told(learnt(*sections))["services"]["queues"]
    fullest = [(queue["host"], queue["port"]) for queue in queues["fullest"]]
    assert (queues["seen"], queues["unseen"], fullest) == expected


def test_of_many_queues_the_fullest_are_told():
    full = [section(*(queue("a", port, 128, port) for port in range(1, 30)))] * 3
    queues = told(learnt(*full))["services"]["queues"]
    assert [queue["length"] for queue in queues["fullest"]] == [29, 29, 29, 28, 28, 28, 27, 27, 27, 26]


def test_memory_does_not_grow_with_random_ports(monkeypatch):
    monkeypatch.setattr(survey_services, "_SERVICES", 50)
    survey = Survey()
    for number in range(500):
        listeners = [queue("kubelet", 10250, 4096), queue("rpc.statd", 20000 + number), queue("x" * 200, 1 + number)]
        survey.learn(f"node-{number:04}", {"tcp_states": section(*listeners)})
    assert len(survey._services._hosts) <= 100
    first = told(survey)["services"]["rows"][0]
    assert (first["process"], first["hosts"], first["ports"]) == ("kubelet", 500, [[10250, 10250]])
    assert len(survey._services._hosts[next(iter(survey._services._hosts))][4096,].named) == survey_table.NAMED


def test_a_table_of_thousands_of_ports_is_ranges():
    (row,) = told(learnt(kube_proxy(*range(30000, 32768))))["services"]["rows"]
    assert row["ports"] == [[30000, 32767]]


def talkers(*sections):
    return [
        (entry["state"], entry["process"], entry["side"], entry["port"], entry["count"], entry["hosts"])
        for entry in told(learnt(*sections))["talkers"]
    ]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ([ESTABLISHED], [("established", "java", "peer", 5432, 240, 2)]),
        ([{**ESTABLISHED, "count": 99}], []),
        ([{**ESTABLISHED, "state": "syn_sent", "count": 20}], [("syn_sent", "java", "peer", 5432, 40, 2)]),
        ([{**ESTABLISHED, "state": "close_wait", "count": 19}], []),
        ([{**ESTABLISHED, "state": "listen", "local_port": 80, "peer_port": None}], []),
        (
            [{**ESTABLISHED, "local_port": 6443, "peer_port": None, "process": None}],
            [("established", None, "local", 6443, 240, 2)],
        ),
        ([ESTABLISHED, {**ESTABLISHED, "netns": "4026532281"}], [("established", "java", "peer", 5432, 480, 2)]),
        (
            [ESTABLISHED, {**ESTABLISHED, "count": 500, "peer_port": 443}],
            [("established", "java", "peer", 443, 1000, 2), ("established", "java", "peer", 5432, 240, 2)],
        ),
    ],
)
def test_talkers(groups, expected):
    assert talkers(*[section(groups=[group(**each) for each in groups])] * 2) == expected


def test_peers_of_talkers_are_added_up_over_the_fleet():
    peers = [{"address": "10.0.0.1", "count": 70}, {"address": "10.0.0.2", "count": 50}]
    first = group(**ESTABLISHED, peers=2, top_peers=peers)
    second = group(**{**ESTABLISHED, "count": 400}, peers=9, top_peers=[{"address": "10.0.0.2", "count": 400}])
    (entry,) = told(learnt(section(groups=[first]), section(groups=[second])))["talkers"]
    assert entry["top_peers"] == [{"address": "10.0.0.2", "count": 450}, {"address": "10.0.0.1", "count": 70}]
    assert (entry["peers"], entry["most"]) == (9, {"host": "b", "count": 400})


def test_memory_does_not_grow_with_streams_or_peers(monkeypatch):
    monkeypatch.setattr(survey_talkers, "_STREAMS", 20)
    survey = Survey()
    for number in range(200):
        peers = [{"address": f"10.{number}.0.{last}", "count": 1} for last in range(10)]
        groups = [
            group(**{**ESTABLISHED, "peer_port": 1 + number}, peers=10, top_peers=peers),
            group(**{**ESTABLISHED, "process": "kubelet", "count": 130}, peers=10, top_peers=peers),
        ]
        survey.learn(f"node-{number:04}", {"tcp_states": section(groups=groups)})
    kept = survey._talkers._talkers
    assert len(kept) <= 40
    assert max(len(talker.top_peers) for talker in kept.values()) <= 100
    assert told(survey)["talkers"][0]["count"] == 200 * 130


JUNK = (None, [], {}, "x" * 1000, -1, 1e9, [None], {"a": 1}, True, 1 << 80)


# An empty list, or a mapping without what is looked for in it, is of the right form.
FITS = {"accept_queues": ([], {}), "groups": ([], {}), "truncated": ({}, {"a": 1}), "processes": ([], {})}


def junk_for(*keys):
    return [(key, junk) for key in keys for junk in JUNK if junk not in FITS.get(key, ())]


@pytest.mark.parametrize(("key", "junk"), junk_for("states", "accept_queues", "groups", "truncated"))
def test_a_section_of_another_form_adds_nothing(key, junk):
    document = told(learnt({**section(queue("a", 1), groups=[group(**ESTABLISHED)]), key: junk}))
    assert (document["seen"], document["services"]["rows"], document["talkers"]) == (0, [], [])


@pytest.mark.parametrize(("key", "junk"), junk_for("port", "processes", "count", "state"))
def test_junk_in_an_entry_adds_nothing_of_that_host(key, junk):
    odd = section(queue("a", 1), groups=[group(**ESTABLISHED)])
    odd["accept_queues" if key in ("port", "processes") else "groups"][0][key] = junk
    document = told(learnt(odd, section(queue("b", 2))))
    assert list(document["states"]) == ["b"]
    assert [row["process"] for row in document["services"]["rows"]] == ["b"]


def test_a_host_without_the_section_is_asked_and_not_seen():
    survey = Survey()
    survey.learn("a", {"tcp_states": {"complete": False, "missing": [{"what": "sockets", "why": "x"}]}})
    survey.learn("b", {})
    hosts = dict.fromkeys("ab", state())
    document = told(survey, hosts)
    assert (document["asked"], document["answered"], document["seen"]) == (2, 2, 0)
    (picture,) = document["nodes"]
    assert picture["states"] is None


# -- nodes: what is the same picture -------------------------------------------------------------------------------


def state(answered=True, why=None, **picture):
    seen = {
        "kernel": "6.1.0",
        "root": True,
        "components": ["kubelet"],
        "proxy_mode": "iptables",
        "listeners": 6,
        "random_ports": 1,
        **picture,
    }
    return {"answered": answered, "why": why, "picture": seen if answered else None}


def finding(host, rule="leak", status="fail", **fields):
    return {
        "rule": rule,
        "host": host,
        "status": status,
        "severity": "warning",
        "object": "java to port 5432",
        "title": "java leaks",
        "explanation": "why",
        "caused_by": [],
        "fingerprint": f"{rule} {host}",
        "waived": None,
        **fields,
    }


def pictures(hosts, findings=(), **sections):
    survey = Survey()
    for host in hosts:
        survey.learn(host, {"tcp_states": sections.get(host, section())})
    return told(survey, hosts, findings)["nodes"]


@pytest.mark.parametrize(
    ("hosts", "findings", "expected"),
    [
        pytest.param({"a": state(), "b": state()}, [], [["a", "b"]], id="nothing was found on either"),
        pytest.param(
            {"a": state(), "b": state(listeners=9, kernel="6.6.0", components=["kubelet", "crio"])},
            [],
            [["a", "b"]],
            id="counts, kernels and programs may differ",
        ),
        pytest.param(
            {"a": state(), "b": state(), "c": state()},
            [finding("c"), finding("a")],
            [["a", "c"], ["b"]],
            id="the same finding",
        ),
        pytest.param(
            {"a": state(), "b": state()},
            [finding("a"), finding("b", object="java to port 80")],
            [["a"], ["b"]],
            id="the same rule on another object",
        ),
        pytest.param(
            {"a": state(), "b": state()},
            [finding("a"), finding("b", severity="critical")],
            [["b"], ["a"]],
            id="a worse finding, which comes first",
        ),
        pytest.param(
            {"a": state(), "b": state()},
            [finding("a", waived={"reason": "x"}), finding("b")],
            [["b"], ["a"]],
            id="a waived finding",
        ),
        pytest.param(
            {"a": state(), "b": state()},
            [finding("a", status="unknown")],
            [["a"], ["b"]],
            id="unknown is not fine",
        ),
        pytest.param(
            {"a": state(), "b": state(components=["etcd", "kubelet"])}, [], [["a"], ["b"]], id="a control plane"
        ),
        pytest.param({"a": state(), "b": state(components=[])}, [], [["a"], ["b"]], id="no Kubernetes"),
        pytest.param({"a": state(), "b": state(components=None)}, [], [["a"], ["b"]], id="programs not seen"),
        pytest.param({"a": state(), "b": state(root=False)}, [], [["a"], ["b"]], id="not asked as root"),
        pytest.param({"a": state(), "b": state(proxy_mode="ipvs")}, [], [["a"], ["b"]], id="another proxy mode"),
        pytest.param(
            {"a": state(False, "x"), "b": state(), "c": state(False, "x"), "d": state(False, "y")},
            [],
            [["b"], ["a", "c"], ["d"]],
            id="silent ones by reason, last",
        ),
        pytest.param({"a": state(), "b": state()}, [finding(None)], [["a", "b"]], id="a finding of the cluster"),
    ],
)
def test_who_shows_the_same_picture(hosts, findings, expected):
    seen = {host: section() if entry["answered"] else None for host, entry in hosts.items()}
    assert [group["hosts"] for group in pictures(hosts, findings, **seen)] == expected


def with_states(**counts):
    return {**section(), "states": {**section()["states"], **counts}}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([90, 120, 140], (90, 140, None)),
        ([0, 0, 0], (0, 0, None)),
        ([90, 100, 9000], (90, 9000, "c")),
        ([0, 0, 46], (0, 46, None)),
        ([0, 0, 50], (0, 50, "c")),
        ([100, 9000], (100, 9000, None)),
    ],
)
def test_counts_are_told_from_least_to_most_with_who_stands_out(counts, expected):
    hosts = {chr(ord("a") + number): state() for number in range(len(counts))}
    sections = {host: with_states(close_wait=count) for host, count in zip(hosts, counts)}
    (picture,) = pictures(hosts, **sections)
    spread = picture["states"]["close_wait"]
    assert (spread["least"], spread["most"], spread["stands_out"]) == expected


def test_programs_and_kernels_of_a_picture():
    hosts = {
        "a": state(kernel="6.1.0", components=["crio", "kubelet"]),
        "b": state(kernel="6.6.0", listeners=9),
        "c": state(kernel="6.6.0", random_ports=0),
    }
    (picture,) = pictures(hosts)
    assert picture["kernels"] == [["6.6.0", 2], ["6.1.0", 1]]
    assert (picture["components"], picture["some_components"]) == (["kubelet"], ["crio"])
    assert (picture["listeners"], picture["random_ports"]) == ([6, 9], [0, 1])


# -- conclusions: which sentences may be said ----------------------------------------------------------------------


def rule(group="tcp", **answers):
    return {
        "group": group,
        "claim": "nobody leaks",
        **dict.fromkeys(("pass", "fail", "unknown", "not_applicable"), 0),
        **answers,
    }


def sentences(kind, tally, findings=(), hosts="ab", silent=(), queues=()):
    """(where, text) of the conclusions of a kind, over hosts of which each has these accept queues."""
    survey = learnt(*[section(*queues)] * len(hosts))
    states = {host: state(host not in silent, "x" if host in silent else None) for host in hosts}
    document = told(survey, states, findings, tally)
    return [(entry["where"], entry["text"]) for entry in document["conclusions"] if entry["kind"] == kind]


def test_every_surveyed_rule_has_a_topic():
    surveyed = {entry.id for entry in catalogue.rules() if entry.group in survey_conclusions.GROUPS}
    assert survey_conclusions.TOPICS.keys() == surveyed


@pytest.mark.parametrize(
    ("tally", "silent", "expected"),
    [
        ({"leak": rule(**{"pass": 2})}, "", [("on all 2 hosts that were looked at", "no fault found in leak")]),
        ({"leak": rule(**{"pass": 1}, fail=1)}, "", []),
        ({"leak": rule(unknown=2)}, "", []),
        ({"leak": rule(not_applicable=2)}, "", []),
        (
            {"leak": rule(**{"pass": 1}, unknown=1)},
            "",
            [("on 1 of 2 hosts (not known of 1)", "no fault found in leak")],
        ),
        (
            {"leak": rule(**{"pass": 1}, unknown=1)},
            "b",
            [("on the one host that was looked at", "no fault found in leak")],
        ),
        (
            {"leak": rule(**{"pass": 1}, not_applicable=1)},
            "",
            [("on the 1 of 2 hosts that this concerns", "no fault found in leak")],
        ),
        ({"leak": rule(**{"pass": 1})}, "", [("over all hosts together", "no fault found in leak")]),
        ({"leak": rule("ports", **{"pass": 2})}, "", []),
        (
            {"one": rule(**{"pass": 2}), "two": rule(**{"pass": 2}), "three": rule("host", **{"pass": 1}, unknown=1)},
            "",
            [
                ("on all 2 hosts that were looked at", "no fault found in one, two"),
                ("on 1 of 2 hosts (not known of 1)", "no fault found in three"),
            ],
        ),
        (
            {"accept-queue-overflow": rule(**{"pass": 2}), "cpu-steal": rule(**{"pass": 2})},
            "",
            [
                ("on all 2 hosts that were looked at", "nobody leaks"),
                ("on all 2 hosts that were looked at", "no fault found in CPU steal"),
            ],
        ),
    ],
)
def test_what_is_fine(tally, silent, expected):
    assert sentences("fine", tally, silent=silent) == expected


@pytest.mark.parametrize(
    ("answers", "queues", "expected"),
    [
        (
            {"unknown": 2},
            [queue("a", 1)],
            [("on all 2 hosts", "no accept queue was full when it was looked at: all 2 were empty")],
        ),
        (
            {"unknown": 1, "pass": 1},
            [queue("sshd", 22, 128, 3), queue("a", 1, None)],
            [
                (
                    "on all 2 hosts",
                    "of 2 accept queues the fullest held 3, backlog 128 (sshd, port 22, on a); 2 more were not told",
                )
            ],
        ),
        ({"unknown": 1, "fail": 1}, [queue("a", 1)], []),
        ({"pass": 2}, [queue("a", 1)], []),
        ({"pass": 2, "unknown": 1}, [queue("a", 1)], []),
        ({"unknown": 2}, [], []),
    ],
)
def test_what_queues_held_is_told_where_nobody_knows_whether_they_overflowed(answers, queues, expected):
    assert sentences("seen", {"accept-queue-overflow": rule(**answers)}, queues=queues) == expected


def test_what_is_not_known_is_said_with_how_many_hosts():
    tally = {name: rule() for name in ("one", "cpu-steal", "three")}
    findings = [
        *(finding(host, rule=name, status="unknown") for host in "ab" for name in ("one", "cpu-steal")),
        finding("b", rule="three", status="unknown"),
        finding("b", rule="nodeport", status="unknown"),
    ]
    expected = [("on all 2 hosts", "not known: one, CPU steal"), ("on 1 of 2 hosts", "not known: three")]
    assert sentences("unknown", {**tally, "nodeport": rule("ports")}, findings) == expected
    everything = [finding("a", rule=name, status="unknown") for name in tally]
    expected = [("on 1 of 2 hosts", "nothing is known of TCP, of the host's load, of its containers and its logs")]
    assert sentences("unknown", tally, everything) == expected


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([finding("a")], [("on 1 of 2 hosts", "java leaks")]),
        ([finding("a"), finding("b")], [("on all 2 hosts", "java leaks")]),
        ([finding("a", waived={"reason": "x"})], []),
        ([finding(None)], [("in the cluster", "java leaks")]),
        (
            [finding("a", title="x"), finding("b", title="y", severity="critical")],
            [("on 1 of 2 hosts", "y"), ("on 1 of 2 hosts", "x")],
        ),
        (
            [finding("a", title=title) for title in "vwxyz"],
            [*(("on 1 of 2 hosts", title) for title in "vwx"), ("on 1 of 2 hosts", "2 more findings of the rule leak")],
        ),
    ],
)
def test_what_is_wrong(findings, expected):
    assert sentences("wrong", {"leak": rule(fail=1)}, findings) == expected


def test_a_cause_is_linked_with_what_it_explains():
    tally = {"cpu-steal": rule("host", fail=2), "leak": rule(fail=2), "nodeport": rule("ports", fail=1)}
    steal = [finding(host, rule="cpu-steal", title="the CPU is stolen") for host in "ab"]
    slow = [
        finding(host, title=f"{program} is slow", fingerprint=f"{program} {host}", caused_by=[f"cpu-steal {host}"])
        for host in "ab"
        for program in ("etcd", "kubelet")
    ]
    other = finding("a", rule="nodeport", caused_by=["cpu-steal a"])
    text = "the CPU is stolen; likely because of this: etcd is slow (and 1 more of this kind)"
    assert sentences("link", tally, [*steal, *slow, other]) == [("on all 2 hosts", text)]
    gone = copy.deepcopy(slow[:1])
    assert sentences("link", tally, gone) == []


def test_nobody_answered_is_no_conclusion():
    document = told(Survey(), {"a": state(False, "x")}, [finding("a", status="unknown")], {"leak": rule(unknown=1)})
    assert document["conclusions"] == []
