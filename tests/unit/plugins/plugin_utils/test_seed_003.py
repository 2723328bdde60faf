# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed 003 judged from its own figures: the conclusions that its operator drew by hand, and none that the figures do not bear out."""

from __future__ import annotations

import functools
import statistics

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_text
from ansible_collections.kubenode.doctor.tests.support import seed_003
from ansible_collections.kubenode.doctor.tests.support.seed_003 import MASTER, SECOND_WORKER, WORKER
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.checks import check_report
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Scene, captured_section

NODES = dict(seed_003.nodes())
ADDRESSES = {seed_003.address(name) for name in NODES}
# As it was: nobody asked for Services. And a cluster that is known to have none, so that every address can be told.
CLUSTERS = {"Services not asked for": None, "no Services": []}


@functools.cache
def judged(services="no Services", fleet=False):
    hosts = seed_003.fleet() if fleet else seed_003.snapshots()
    return Scene(hosts, seed_003.cluster(CLUSTERS[services])).judged()


def faults(document):
    return {
        (entry["host"], entry["rule"], entry["object"]) for entry in document["findings"] if entry["status"] == "fail"
    }


def fault(host, rule, thing, services="no Services"):
    (found,) = [
        entry
        for entry in judged(services)["findings"]
        if (entry["status"], entry["host"], entry["rule"], entry["object"]) == ("fail", host, rule, thing)
    ]
    return found


# -- the data -------------------------------------------------------------------------------------------------------


def test_what_was_captured_is_read_whole():
    assert (len(NODES), sorted(NODES.values()).count("master")) == (51, 3)
    assert len(seed_003.sockets("ip-10-3-32-171/listeners.txt")) == 11
    assert len(seed_003.sockets("ip-10-3-32-171/syn-sent.txt")) == 6
    assert len(seed_003.sockets("ip-10-3-33-109/syn-sent-not-bird.txt")) == 4
    assert [socket["receive"] for socket in seed_003.sockets("ip-10-3-33-109/close-wait.txt")] == [1, 0, 0, 0, 1, 0, 0]
    since_boot, samples = seed_003.vmstat()
    assert (since_boot["st"], len(samples), max(row["st"] for row in samples)) == (12, 59, 41)


def test_whom_the_seed_dials():
    """What the operator saw by eye: BGP and gossip peers are no nodes, and the connections that are not closed lead to nodes."""
    dialled = seed_003.sockets("ip-10-3-32-171/syn-sent.txt") + seed_003.sockets("ip-10-3-33-109/syn-sent-not-bird.txt")
    assert not {socket["peer"] for socket in dialled} & ADDRESSES
    assert {socket["peer"] for socket in seed_003.sockets("ip-10-3-33-109/close-wait.txt")} <= ADDRESSES


@pytest.mark.parametrize(("name", "captured"), [("tcp_states", "tcp-quiet"), ("host_pressure", "host-pressure-quiet")])
def test_the_retold_sections_have_the_form_of_real_ones(name, captured):
    retold, real = seed_003.master(MASTER)["sections"][name], captured_section(captured)
    assert retold.keys() == real.keys()
    for key, value in real.items():
        if isinstance(value, dict) and retold[key] is not None:
            assert retold[key].keys() == value.keys(), key
        if isinstance(value, list) and value and isinstance(value[0], dict):
            assert {frozenset(entry) for entry in retold[key]} == {frozenset(value[0])}, key


# -- the verdict ----------------------------------------------------------------------------------------------------

FAULTS = {
    (WORKER, "syn-sent-unanswered", "bird to port 179"),
    (SECOND_WORKER, "syn-sent-unanswered", "bird to port 179"),
    (MASTER, "syn-sent-unanswered", "bird to port 179"),
    (MASTER, "syn-sent-unanswered", "protokube to port 3999"),
    (MASTER, "close-wait-leak", "kube-apiserver to port 10250"),
    (MASTER, "cpu-steal", "CPU steal"),
    (MASTER, "control-plane-single-cpu", "CPUs of the control plane"),
}


@pytest.mark.parametrize("services", CLUSTERS)
def test_exactly_the_faults_of_the_seed(services):
    document = judged(services)
    assert faults(document) == FAULTS
    assert not [entry for entry in document["findings"] if entry["broken"]]


@pytest.mark.parametrize(
    ("host", "rule", "thing", "words"),
    [
        (
            WORKER,
            "syn-sent-unanswered",
            "bird to port 179",
            ["145 connections of bird", "10.3.45.28", "10.3.63.228", "139 more addresses"],
        ),
        (MASTER, "syn-sent-unanswered", "bird to port 179", ["235 connections of bird", "235 addresses"]),
        (
            MASTER,
            "syn-sent-unanswered",
            "protokube to port 3999",
            ["4 connections of protokube", "10.3.39.22", "10.3.53.170", "10.3.0.250", "10.3.48.41"],
        ),
        (
            MASTER,
            "close-wait-leak",
            "kube-apiserver to port 10250",
            [
                "46 connections",
                "46 of them in both samples",
                "2 whose end was never read",
                "5 read to the end and leaked",
            ],
        ),
        (MASTER, "cpu-steal", "CPU steal", ["CPUs online: 1", "steal since boot: 12 %", "13 at most"]),
        (MASTER, "control-plane-single-cpu", "CPUs of the control plane", ["kube-apiserver", "CPUs online: 1"]),
    ],
)
def test_what_the_faults_rest_on(host, rule, thing, words):
    told = "\n".join(fault(host, rule, thing)["evidence"])
    for word in words:
        assert word in told


@pytest.mark.parametrize(("host", "thing"), [(WORKER, "bird to port 179"), (MASTER, "protokube to port 3999")])
def test_dead_peers_are_told_as_such(host, thing):
    told = fault(host, "syn-sent-unanswered", thing)
    assert "addresses that no Node names" in told["title"]
    assert "gone" in told["explanation"]


def test_without_the_list_of_nodes_nobody_is_called_dead():
    cluster = {**seed_003.cluster([]), "nodes": None, "missing": [{"what": "Nodes", "why": "forbidden"}]}
    document = Scene(seed_003.snapshots(), cluster).judged()
    told = [entry for entry in document["findings"] if entry["rule"] == "syn-sent-unanswered"]
    assert told
    assert not [entry for entry in told if "no Node names" in entry["title"] or "gone" in entry["explanation"]]


def test_the_leak_is_joined_with_the_other_end():
    document = judged(fleet=True)
    (leak,) = [entry for entry in document["findings"] if (entry["rule"], entry["host"]) == ("close-wait-leak", MASTER)]
    (joined,) = [fact for fact in leak["evidence"] if fact.startswith("the other end")]
    assert "ip-10-3-63-151" in joined
    assert "that end has forgotten them" in joined


def test_no_accept_queue_is_told_as_full_and_none_as_fine():
    """The seed shows empty queues, and no counters of overflows."""
    document = judged()
    assert document["rules"]["accept-queue-overflow"]["unknown"] == 3
    told = {
        entry["kind"]: entry for entry in document["survey"]["conclusions"] if "accept-queue-overflow" in entry["rules"]
    }
    assert told.keys() == {"seen", "unknown"}
    assert told["seen"]["where"] == "on all 3 hosts"
    assert told["seen"]["text"].startswith("no accept queue was full when it was looked at: all 37 were empty")


def test_the_run_queue_is_long_at_times_only():
    """13 wanted to run at once, and mostly one did: evidence of the CPU's findings, and no finding by itself."""
    _since_boot, samples = seed_003.vmstat()
    assert (statistics.median(row["r"] for row in samples), max(row["r"] for row in samples)) == (1, 13)
    assert judged()["rules"]["run-queue-long"]["pass"] == 1


# -- the survey -----------------------------------------------------------------------------------------------------


def test_the_operators_table_of_services_comes_out_again():
    found = {
        (row["process"], tuple(row["backlogs"]), port)
        for row in judged()["survey"]["services"]["rows"]
        for low, high in row["ports"]
        for port in range(low, high + 1)
    }
    table = {(socket["process"], (socket["send"],), socket["port"]) for socket in seed_003.services()}
    assert len(table) == 15
    assert table <= found


def test_forty_eight_nodes_are_told_once():
    document = judged(fleet=True)
    pictures = document["survey"]["nodes"]
    assert sorted(len(picture["hosts"]) for picture in pictures) == [3, 48]
    assert {NODES[picture["hosts"][0]]: picture["kind"] for picture in pictures} == {
        "node": "node",
        "master": "control plane",
    }
    report = report_text.render(document)
    check_report(report)
    assert "- 48 hosts: the same picture: ESTAB 128-134, SYN-SENT 145, TIME-WAIT 2-4, LISTEN 111;" in report
    assert "- 3 hosts: the same picture: ESTAB 70" in report
    assert "On 48 of 51 hosts: bird gets no answer on port 179" in " ".join(report.split())


def test_seventeen_times_the_hosts_are_not_half_as_much_again_to_read():
    three, fleet = (len(report_text.render(judged(fleet=many)).splitlines()) for many in (False, True))
    assert fleet < 1.5 * three


def test_the_largest_groups_of_the_seed():
    told = [
        (entry["state"], entry["process"], entry["port"], entry["count"], entry["hosts"])
        for entry in judged()["survey"]["talkers"]
    ]
    assert told == [("syn_sent", "bird", 179, 525, 3), ("close_wait", "kube-apiserver", 10250, 46, 1)]
