# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections in CLOSE-WAIT and listeners from one audit to the next: what is said, and where nothing may be."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import socket_sketch
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.plugin_utils import judge, report_memory, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rules import close_wait_leak
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    captured,
    changed,
    live,
    with_socket,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import alone, held, quiet

BOOT = "0a1b2c3d-0000-4000-8000-000000000000"
SINCE = "2026-11-20T08:00:00+00:00"


def sketch(numbers, by="cookie"):
    maker = socket_sketch.Maker()
    for number in numbers:
        cookie = number.to_bytes(8, "little") if by == "cookie" else None
        maker.add(
            Entry("tcp", "ipv4", "close_wait", "10.0.0.1", number, "10.0.0.2", 5432, 1, 0, 0, number, cookie=cookie)
        )
    return maker.told()


def holding(numbers, *changes, by="cookie", **fields):
    entry = held("java", len(numbers), peer_port=5432, sketch=sketch(numbers, by), **fields)
    snapshot = quiet(entry)
    snapshot["sections"]["host"]["boot_id"] = BOOT  # captured snapshots are older than it
    return changed(snapshot, *changes)


def after(then, now):
    """The second of two audits, judged."""
    first, second = alone(then), alone(now)
    first.audit["started"] = SINCE
    second.earlier, second.audit["earlier"] = {"20261120T080000Z": first}, ["20261120T080000Z"]
    return judge.judge(second, settings.read({}), [close_wait_leak.RULE])


def evidence(document):
    (found,) = [finding for finding in document["findings"] if finding["rule"] == "close-wait-leak"]
    return [fact for fact in found["evidence"] if " already" in fact]


@pytest.mark.parametrize(
    ("then", "now", "words"),
    [
        (range(46), range(46), "46 of these 46 were in CLOSE-WAIT at the audit of 2026-11-20T08:00:00+00:00 already"),
        (
            range(46),
            range(40, 60),
            "6 of these 20 were in CLOSE-WAIT at the audit of 2026-11-20T08:00:00+00:00 already",
        ),
        (
            range(46),
            range(50, 70),
            "0 of these 20 were in CLOSE-WAIT at the audit of 2026-11-20T08:00:00+00:00 already",
        ),
        (
            range(500),
            range(500),
            "about 500 of these 500 were in CLOSE-WAIT at the audit of 2026-11-20T08:00:00+00:00 already",
        ),
    ],
)
def test_the_rule_says_how_many_are_the_same(then, now, words):
    document = after(holding(then), holding(now))
    assert evidence(document) == [words]
    same = int(words.removeprefix("about ").split()[0])
    rows = document["memory"]["close_wait"]
    assert [
        (row["host"], row["process"], row["port"], row["came_in"], row["count"], row["same"], row["since"])
        for row in rows
    ] == ([("node-a", "java", 5432, False, len(now), same, SINCE)] if same else [])


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (holding(range(20)), holding(range(20), "host.boot_id", "another")),
        (holding(range(20), "host.boot_id", None), holding(range(20), "host.boot_id", None)),
        (holding(range(20), by="inode"), holding(range(20))),
        (holding(range(20), "tcp_states.groups.0.sketch", None), holding(range(20))),
        (holding(range(20), "tcp_states.groups.0.sketch", "junk"), holding(range(20))),
        (holding(range(20), "tcp_states", {"complete": False, "missing": []}), holding(range(20))),
        (holding(range(20), "tcp_states.groups", "junk"), holding(range(20))),
        (holding(range(500)), holding(range(1000, 1500))),
        (
            holding(range(20), "tcp_states.groups", [], "tcp_states.other_groups", {"groups": 1, "sockets": 20}),
            holding(range(20)),
        ),
    ],
    ids=["booted", "no boot", "backends", "older", "junk", "no section", "no groups", "none in the sample", "cut"],
)
def test_where_it_is_not_known_nothing_is_said(then, now):
    document = after(then, now)
    assert evidence(document) == []
    assert document["memory"]["close_wait"] == []


def test_a_program_that_held_nothing_then_holds_none_of_the_same():
    document = after(holding(range(20), "tcp_states.groups", []), holding(range(20)))
    assert evidence(document) == ["0 of these 20 were in CLOSE-WAIT at the audit of 2026-11-20T08:00:00+00:00 already"]


def test_listeners_that_are_gone_are_told_once_for_all_hosts():
    before, now = with_socket(captured("node-a"), "java", port=9876, address="127.0.0.1"), captured("node-a")
    first, second = live(snapshot=before), live(snapshot=now)
    for scene in (first, second):
        scene.snapshots["node-b"], scene.audit["asked"] = scene.snapshots["node-a"], ["node-a", "node-b"]
    second.earlier, second.audit["earlier"] = {"20261120T080000Z": first}, ["20261120T080000Z"]
    document = second.judged()
    assert document["memory"]["closed"] == [{"line": "java: TCP port 9876 on 127.0.0.1", "hosts": ["node-a", "node-b"]}]
    first.judged()
    text = " ".join("\n".join(report_memory.lines(second.judged())).split())
    assert "- LISTENER GONE on node-a, node-b: java: TCP port 9876 on 127.0.0.1" in text


def test_a_nodeport_that_kube_proxy_held_comes_and_goes():
    known = {"component": "kube-proxy", "role": "NodePort"}
    first = live(snapshot=with_socket(captured("node-a"), "kube-proxy", port=31000, known_as=known))
    second = live()
    second.earlier, second.audit["earlier"] = {"20261120T080000Z": first}, ["20261120T080000Z"]
    assert second.judged()["memory"]["closed"] == []
