# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed 002 judged from its own text: from "2379 refused" to the one dead container, in one chain, and never to the living one."""

from __future__ import annotations

import copy
import functools
import json
import re

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import stale_names
from ansible_collections.kubenode.doctor.plugins.plugin_utils import judge, report_text
from ansible_collections.kubenode.doctor.tests.support import seed_002
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.checks import (
    check_command,
    check_report,
    commands,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Scene,
    captured_section,
    no_cluster,
)

DEAD = seed_002.full_id(seed_002.DEAD_ATTEMPT)
LIVING = "eced8537863007db9a915924785306b26238cabbd3feec0e5226e2ad0710807b"
SUBJECT = "kube-system/kube-apiserver-pi-master1 kube-apiserver"
CHAIN = ["clock-set-back", "container-name-conflict", "container-not-created", "apiserver-cannot-reach-etcd"]


def judged(snapshot=None):
    made = seed_002.snapshot() if snapshot is None else snapshot
    return Scene({seed_002.HOST: made}, no_cluster("not captured")).judged()


@functools.cache
def findings():
    return judged()["findings"]


def faults(document=None):
    found = findings() if document is None else document["findings"]
    return [finding for finding in found if finding["status"] == "fail"]


def fault(rule, document=None):
    (found,) = [finding for finding in faults(document) if finding["rule"] == rule]
    return found


def without(snapshot, id_):
    """The node after a container was removed."""
    for group in snapshot["sections"]["containers"]["groups"]:
        group["instances"] = [one for one in group["instances"] if one["id"] != id_]
    return snapshot


def later(snapshot, seconds):
    """The same node, looked at later; kubelet has logged nothing more."""
    snapshot["sections"]["logs"]["now"] += seconds
    snapshot["sections"]["containers"]["now_ns"] += seconds * 10**9
    return snapshot


# -- the data -------------------------------------------------------------------------------------------------------


def test_what_was_quoted_is_read_whole():
    told = [(row.id, row.identity.container, row.identity.attempt, row.exit_code) for row in seed_002.rows()]
    assert told == [
        ("8470235abd66", "kube-apiserver", 23, 0),
        ("eced85378630", "kube-apiserver", 24, None),
        ("07637544b672", "POD", 17, None),
        ("46497b3b5724", "POD", 15, 0),
    ]
    assert (len(list(seed_002.kubelet())), len(list(seed_002.api_server()))) == (1, 23)
    assert seed_002.full_id("eced85378630") == LIVING
    # The notes lost nothing of the message where they broke it.
    (message,) = [line.text for line in seed_002.kubelet()]
    assert re.search(r'already in use by container \\"[0-9a-f]{64}\\"', message)
    assert message.endswith('to be able to reuse that name."')


def test_the_times_that_were_inferred_are_those_of_the_seed():
    """All four were created ten days ago, in the order in which docker ps lists them, and what is dead died ten days ago."""
    section = seed_002.containers()
    by_id = {one["id"]: one for group in section["groups"] for one in group["instances"]}
    rows = seed_002.rows()
    created = [by_id[seed_002.full_id(row.id)]["created_ns"] for row in rows]
    assert created == sorted(created, reverse=True)
    day = 86400 * 10**9
    assert {(section["now_ns"] - time) // day for time in created} == {row.days for row in rows} == {10}
    assert {(section["now_ns"] - one["finished_ns"]) // day for one in by_id.values() if one["finished_ns"]} == {10}


def test_the_catalogue_finds_three_things_in_the_logs_and_nothing_else():
    found = {(entry["signature"], entry["source"], entry["count"]) for entry in seed_002.logs()["found"]}
    assert found == {
        ("docker-name-conflict", "journal", 1),
        ("container-not-created", "journal", 1),
        ("etcd-dial-refused", "pod", 2),
    }


def test_the_retold_sections_have_the_form_of_real_ones():
    for name in ("containers", "logs"):
        retold, real = getattr(seed_002, name)(), captured_section(f"{name}-quiet")
        assert retold.keys() == real.keys()
        for key, value in real.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                assert {frozenset(entry) for entry in retold[key]} == {frozenset(value[0])}, key


# -- the verdict ----------------------------------------------------------------------------------------------------


def test_one_chain_from_the_clock_to_the_echo():
    assert [(depth, finding["rule"]) for depth, finding in judge.walk(faults())] == list(enumerate(CHAIN))
    assert [fault(rule)["severity"] for rule in CHAIN] == ["warning", "critical", "warning", "info"]
    assert {fault(rule)["object"] for rule in CHAIN[1:]} == {SUBJECT}


def test_nothing_broke_on_what_the_seed_does_not_tell():
    assert not [finding for finding in findings() if finding["broken"]]


def test_the_one_dead_container_is_offered_and_the_living_one_never():
    remedies = fault("container-name-conflict")["remedies"]
    offered = [(remedy["fix"], remedy["targets"]) for remedy in remedies if remedy["fix"]]
    assert offered == [("container-name-conflict", [DEAD])]
    assert f"docker rm {DEAD}" in commands(fault("container-name-conflict"))
    for finding in faults():
        for command in commands(finding):
            check_command(command)
            assert LIVING not in command
            assert seed_002.full_id("07637544b672") not in command


def test_the_sandbox_that_the_operator_removed_as_well_was_in_nobodys_way():
    section = seed_002.containers()
    verdict = stale_names.verdict(section["groups"], section["strangers"], section["now_ns"], 60)
    assert [one["id"] for one in verdict["removable"]] == [DEAD]
    assert {one["id"] for one in verdict["kept"]} == {
        seed_002.full_id(row.id) for row in seed_002.rows() if row.id != seed_002.DEAD_ATTEMPT
    }


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (
            "container-name-conflict",
            [
                f"DO NOT remove attempt 24, {LIVING}: it is running, and removing it stops a healthy kube-apiserver.",
                f"its holder: attempt 24, {LIVING}, running since 2021-03-12T03:19:06Z",
                f"kubelet takes for the latest: attempt 23, {DEAD}, exited (0) 2021-03-12T03:48:56Z",
                "clock inversion: attempt 23 was created 10 min after attempt 24",
                f"remove the dead attempt 23, {DEAD} (k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_",
            ],
        ),
        (
            "container-not-created",
            ["(CreateContainerError)", "Error response from daemon: Conflict.", "is a finding by itself"],
        ),
        (
            "apiserver-cannot-reach-etcd",
            [
                "is an echo of an instance that is gone, and not the cause",
                "These words are of attempt 23, exited (0) 2021-03-12T03:48:56Z. Now attempt 24 runs, which has said no such thing",
                "127.0.0.1:2379: whether something listens there now could not be seen",
                "(10 d before the look)",
            ],
        ),
    ],
)
def test_what_is_told(rule, words):
    found = fault(rule)
    told = "\n".join(
        [found["title"], found["explanation"], *found["evidence"], *(r["summary"] for r in found["remedies"])]
    )
    for word in words:
        assert word in told


# -- other looks at the same node -----------------------------------------------------------------------------------


def test_a_minute_after_the_cure_the_chain_is_gone():
    """What the operator did. The clock's trace is gone with the container that bore it, kubelet is silent."""
    document = judged(later(without(seed_002.snapshot(), DEAD), 60))
    assert not faults(document)


def test_right_after_the_cure_nothing_is_critical_and_nothing_is_to_be_removed():
    document = judged(without(seed_002.snapshot(), DEAD))
    assert "critical" not in {finding["severity"] for finding in faults(document)}
    assert not [command for finding in faults(document) for command in commands(finding) if " rm " in command]


def test_after_the_wrong_cure_it_is_told_that_kubelet_will_make_the_next():
    """The living one removed, as the message seems to ask for: the name is free, and nothing runs."""
    document = judged(later(without(seed_002.snapshot(), LIVING), 5))
    assert fault("container-name-conflict", document)["title"].endswith("that Docker does not list")
    assert not fault("container-name-conflict", document)["remedies"][0]["fix"]


@pytest.mark.parametrize(("section", "left"), [("containers", CHAIN[1:3]), ("logs", CHAIN[:2])])
def test_one_section_alone_tells_its_part(section, left):
    snapshot = seed_002.snapshot()
    snapshot["sections"][section] = {"complete": False, "missing": [{"what": section, "why": "not captured"}]}
    document = judged(snapshot)
    assert [finding["rule"] for _depth, finding in judge.walk(faults(document))] == left
    told = json.dumps(fault("container-name-conflict", document))
    assert "DO NOT remove" in told
    assert f"docker rm {LIVING}" not in told


def test_the_report_reads_from_the_cause_down():
    document = judged()
    report = report_text.render(copy.deepcopy(document))
    check_report(report)
    text = " ".join(report.split())
    places = [text.index(finding) for finding in (f"[{rule}] on:" for rule in CHAIN)]
    assert places == sorted(places)
    assert f"# docker rm {DEAD}" in report
    assert "!! pi-master1: kubelet overlooks the living instance of" in report
