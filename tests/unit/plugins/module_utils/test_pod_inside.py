# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_inside: one look into each network, while processes end and tables cannot be read."""

from __future__ import annotations

import shutil

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import nat_tables, pod_inside
from ansible_collections.kubenode.doctor.plugins.module_utils.cgroup import Member
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_inside import BUDGET, Insides
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_network import Networks
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_on_node import PodOnNode
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_processes import Process
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_pods import (
    ID,
    UID,
    MadeUpPods,
    path,
    row,
)

PIDS = (30, 31, 32, 33)


@pytest.fixture
def pods(node, monkeypatch):
    made = MadeUpPods(node, monkeypatch)
    made.network("other", row("0.0.0.0:5000", 11))
    for pid in PIDS:
        made.process(pid, path())
    monkeypatch.setattr(nat_tables, "has_rules", lambda namespace: namespace.pid == 30)
    return made


def pod(pods, network="other", pids=PIDS, **changes):
    """A pod with these processes in a network of this name; None for one that could not be told."""
    processes = {pid: Process(pid, "app", Member(ID, UID, 1), 1.0) for pid in pids}
    seen = Networks(pods.proc).of(["self" if network == "host" else 33])
    where = next(iter(seen.values())) if network else None
    return PodOnNode(UID, None, processes, None, where, list(pids), 0, False)._replace(**changes)


def insides(pods, seconds=60):
    return Insides(Deadline(seconds), Networks(pods.proc), pods.proc)


def ports(inside):
    return [entry.port for entry in inside.entries]


def test_a_network_of_its_own(pods):
    inside = insides(pods).of(pod(pods))
    assert (inside.pid, ports(inside), inside.addresses, inside.redirects, inside.why) == (
        30,
        [5000],
        ["10.244.0.19"],
        True,
        "",
    )


def end(pods, *pids):
    for pid in pids:
        shutil.rmtree(str(pods.node.proc / str(pid)))


def move(pods, pid):
    """What a process id of one that ended may be given to: another one, in another network."""
    end(pods, pid)
    pods.process(pid, "/system.slice/cron.service", netns="third")


@pytest.mark.parametrize(
    ("gone", "moved", "reader"), [((), (), 30), ((30,), (), 31), ((), (30,), 31), ((30,), (31,), 32)]
)
def test_another_process_where_one_has_ended(pods, gone, moved, reader):
    wanted = pod(pods)
    end(pods, *gone)
    for pid in moved:
        move(pods, pid)
    inside = insides(pods).of(wanted)
    assert (inside.pid, ports(inside), inside.redirects) == (reader, [5000], reader == 30)


@pytest.mark.parametrize(
    ("gone", "moved", "why"),
    [
        (PIDS, (), "its sockets could not be read: it is not there"),
        ((), PIDS, "the processes through which it is read ended meanwhile"),
    ],
)
def test_all_have_ended(pods, gone, moved, why, monkeypatch):
    monkeypatch.setattr(pod_inside, "why_refused", lambda _error: "it is not there")
    wanted = pod(pods)
    end(pods, *gone)
    for pid in moved:
        move(pods, pid)
    inside = insides(pods).of(wanted)
    assert (inside.entries, inside.addresses, inside.redirects, inside.why) == (None, None, None, why)


@pytest.mark.parametrize(
    ("changes", "seconds", "why"),
    [
        ({"own_kernel": "runsc"}, 60, "its sockets are in a kernel of its own (runsc), which this one does not show"),
        (
            {"network": None, "readers": []},
            60,
            "in which network it is could not be told: its processes ended, or are hidden",
        ),
        ({}, 0, BUDGET),
    ],
)
def test_what_is_not_looked_at(pods, changes, seconds, why):
    inside = insides(pods, seconds).of(pod(pods, **changes))
    assert (inside.pid, inside.entries, inside.addresses, inside.redirects, inside.why) == (30, None, None, None, why)


def test_tables_that_are_not_understood(pods):
    (pods.node.folder / "net-other" / "udp").write_text("\nnonsense\n")
    inside = insides(pods).of(pod(pods))
    assert inside.entries is None
    assert inside.why.startswith("its sockets could not be read: not a row of /proc/net/udp: 'nonsense")


@pytest.mark.parametrize("table", [None, "|-- 1.2.3.4.5\n/32 host LOCAL\n"])
def test_addresses_alone_are_missing(pods, table):
    place = pods.node.folder / "net-other" / "fib_trie"
    place.unlink()
    if table:
        place.write_text(table)
    inside = insides(pods).of(pod(pods))
    assert (ports(inside), inside.addresses, inside.why) == ([5000], None, "")


def test_our_own_network_is_read_once_for_all_that_are_in_it(pods):
    pods.network("host", row("0.0.0.0:10250", 21))
    for pid in (40, 41):
        pods.process(pid, path(), netns="host")
    look = insides(pods)
    first = look.of(pod(pods, "host", pids=(40,), lent=True))
    pods.network("host")
    second = look.of(pod(pods, "host", pids=(41,), lent=True))
    assert (first.pid, second.pid) == (40, 41)
    assert ports(first) == ports(second) == [10250]
    assert (first.addresses, first.redirects) == (None, None)
