# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet that is judged by two processes is judged as by one, to the last byte."""

from __future__ import annotations

import gc
import json
import os
import re
import threading

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    bundle,
    judge,
    no_collector,
    settings,
    two_processes,
)
from ansible_collections.kubenode.doctor.tests.bench import big_bundle_nodes
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    captured,
    kubernetes_136,
    service,
    with_socket,
)

THEN, NOW = "2026-11-20T08:00:00+00:00", "2026-11-21T08:00:00+00:00"
NODES = 31


@pytest.fixture
def forks(monkeypatch):
    """How often a process was forked. A few hosts are many here."""
    made = []
    fork = os.fork

    def count():
        made.append(True)
        return fork()

    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # xdist's
    monkeypatch.setattr(os, "fork", count)
    monkeypatch.setattr(two_processes, "PIECE", 2)
    return made


def judged(folder, monkeypatch, least):
    monkeypatch.setattr(two_processes, "LEAST", least)
    document = judge.judge(bundle.Bundle(folder), settings.read({}))
    document["judged_at"] = ""
    return json.dumps(document)


def test_a_fleet_and_its_earlier_audit(tmp_path, monkeypatch, forks):
    big_bundle_nodes.write(tmp_path / "then", NODES, THEN)
    big_bundle_nodes.write(tmp_path / "now", NODES, NOW, "then")
    bundle.node_file(tmp_path / "now", "worker-00013").write_text("{", "ascii")
    less = bundle.read(bundle.node_file(tmp_path / "now", "worker-00020"))["snapshot"]
    less["sections"]["listen_ports"]["listeners"].pop()
    bundle.write_answer(tmp_path / "now", "worker-00020", less)
    for name in ("then", "now"):
        one = judged(tmp_path / name, monkeypatch, NODES + 1)
        assert forks == []
        assert judged(tmp_path / name, monkeypatch, 1) == one
        assert forks.pop()
        bundle.write(tmp_path / name / "findings.json", json.loads(one))
    assert json.loads(one)["damaged"]
    assert json.loads(one)["memory"]["closed"]


def test_numbers_for_services_are_given_in_the_order_of_the_hosts(tmp_path, monkeypatch, forks):
    """Each host's own socket meets another Service's NodePort, so that both processes give numbers that the other knows nothing of."""
    cluster, ports = kubernetes_136(), range(30100, 30112)
    orphan = service(cluster, "orphan")
    for port in ports:
        cluster["services"].append(
            {**orphan, "name": f"web-{port}", "ports": [{**orphan["ports"][0], "node_port": port}]}
        )
    hosts = [f"node-{number:02d}" for number, _port in enumerate(ports)]
    bundle.create(tmp_path / "audit", hosts, {"started": NOW, "version": "0.1.0", "earlier": []})
    bundle.write(tmp_path / "audit" / "cluster.json", {**cluster, "nodes": None, "pods_of": []})
    for host, port in zip(hosts, ports):
        bundle.write_answer(tmp_path / "audit", host, with_socket(captured("node-a"), port=port))
    one = judged(tmp_path / "audit", monkeypatch, len(hosts) + 1)
    assert judged(tmp_path / "audit", monkeypatch, 1) == one
    assert forks == [True]
    moves = set(re.findall(r"from NodePort 301[0-9]{2} to ([0-9]+)", one))
    assert len(moves) >= len(ports), "otherwise nothing was tried"


def test_judging_leaves_nothing_to_the_collector(tmp_path):
    """It is off meanwhile: what a host leaves behind would pile up."""
    big_bundle_nodes.write(tmp_path / "then", 10, THEN)
    big_bundle_nodes.write(tmp_path / "now", 10, NOW, "then")
    judge.judge(bundle.Bundle(tmp_path / "now"), settings.read({}))  # what modules make when they are first used stays
    gc.collect()
    with no_collector.paused():
        judge.judge(bundle.Bundle(tmp_path / "now"), settings.read({}))
        assert not gc.isenabled()
        assert gc.collect() < 10
    assert gc.isenabled()
