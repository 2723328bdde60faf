# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot: sections that break, that come too late, that miss something, and two that are sampled twice."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    containers,
    deadline,
    first_samples,
    host_identity,
    listener_origin,
    listeners,
    log_scan,
    nodeport_sockets,
    pod_listeners,
    port_settings,
    proxy_rules,
    snapshot,
    sockets,
    tcp_reader,
)

# What each section of a healthy node is; only nodeport_conflict has a proxy.
FINE = {"complete": True, "missing": [], "proxy": {"mode": "ipvs"}}
SAMPLED = ("tcp_states", "host_pressure")
SEEN = object()  # what containers.look returns


class Time:
    """A clock that moves when somebody sleeps or works."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0, "a sleep of no time is a loop that does not end"
        self.now += seconds


class Node:
    """What was done on the node, and when: ``log`` has ``(seconds since the beginning, what)``; a name in ``errors`` breaks."""

    def __init__(self, time):
        self.time = time
        self.log = []
        self.errors = {}
        self.ports = None
        self.netns = None
        self.log_seconds = None
        self.holders = []
        self.looks = 0  # at the containers
        self.proxy = None
        self.works = {}

    def do(self, what, section=None):
        self.log.append((round(self.time.now - 1000, 3), what))
        self.time.now += self.works.get(what, 0)
        if what in self.errors:
            raise self.errors[what]
        return dict(FINE) if section is None else section

    def when(self, *names):
        return [(when, what) for when, what in self.log if what in names]


class Survey:
    """In place of tcp_states.Survey."""

    node = None

    def __init__(self, until, netns):
        assert isinstance(until, deadline.Deadline)
        self.node.netns = netns

    def first_sample(self):
        self.node.do("tcp first")

    def finish(self, holders):
        self.node.holders.append(holders)
        return self.node.do("tcp_states")


class Pressure:
    """In place of host_pressure.Pressure."""

    node = None

    def __init__(self):
        self.node.do("pressure first")

    def tick(self):
        self.node.do("tick")

    def finish(self):
        return self.node.do("host_pressure")


@pytest.fixture(autouse=True)
def node(monkeypatch):
    """A node on which every collector answers."""
    made = Node(Time())
    for module in (snapshot, first_samples):
        monkeypatch.setattr(module, "time", made.time)
    monkeypatch.setattr(deadline, "time", made.time)
    for stand_in in (Survey, Pressure):
        monkeypatch.setattr(stand_in, "node", made)
        for module in (snapshot, first_samples):
            monkeypatch.setattr(module, stand_in.__name__, stand_in, raising=False)
    monkeypatch.setattr(host_identity, "collect", lambda: made.do("host"))
    monkeypatch.setattr(port_settings, "collect", lambda: made.do("port_settings"))

    def listen_ports(holders):
        made.holders.append(holders)
        return made.do("listen_ports")

    def nodeport_conflict(holders, ports):
        made.holders.append(holders)
        made.ports = ports
        return made.do("nodeport_conflict")

    def logs(until, seconds):
        assert isinstance(until, deadline.Deadline)
        made.log_seconds = seconds
        return made.do("logs")

    def look(_until):
        made.looks += 1
        return SEEN

    def proxy_rules_collect(_until, ports, mode):
        made.proxy = (ports, mode)
        return made.do("proxy_rules")

    def pods(_until, holders, seen):
        assert seen is SEEN
        made.holders.append(holders)
        return made.do("pod_listeners")

    def origins(seen, until):
        assert seen == FINE
        assert isinstance(until, deadline.Deadline)
        return made.do("listener_origin")

    monkeypatch.setattr(listener_origin, "section", origins)
    monkeypatch.setattr(containers, "look", look)
    monkeypatch.setattr(containers, "section", lambda seen: made.do("containers") if seen is SEEN else None)
    monkeypatch.setattr(proxy_rules, "collect", proxy_rules_collect)
    monkeypatch.setattr(pod_listeners, "collect", pods)
    monkeypatch.setattr(log_scan, "collect", logs)
    monkeypatch.setattr(listeners, "collect", listen_ports)
    monkeypatch.setattr(nodeport_sockets, "collect", nodeport_conflict)
    return made


def collect(sections=snapshot.SECTIONS, ports=(), budget=20, sample=2):
    return snapshot.collect(sections, ports, budget, sample)


def test_all(node):
    told = collect(ports=[36527])
    assert list(told["sections"]) == list(snapshot.SECTIONS)
    assert (told["schema"], told["complete"], told["missing"]) == (1, True, [])
    assert node.ports == [36527]
    assert told["seconds"] == 2.0


def test_runtimes_are_asked_once(node):
    collect()
    assert node.looks == 1
    assert collect(["pod_listeners"])["complete"]


@pytest.mark.parametrize(("sections", "mode"), [(snapshot.SECTIONS, "ipvs"), (["proxy_rules"], None)])
def test_whose_rules_are_looked_for(node, sections, mode):
    collect(sections, ports=[30080])
    assert node.proxy == ([30080], mode)


@pytest.mark.parametrize(("options", "expected"), [({}, "host"), ({"netns": "pods"}, "pods")])
def test_network_namespaces(node, options, expected):
    snapshot.collect(snapshot.SECTIONS, (), 20, 0, **options)
    assert node.netns == expected


@pytest.mark.parametrize(("options", "expected"), [({}, 86_400), ({"log_seconds": 60}, 60)])
def test_how_far_back_logs_are_read(node, options, expected):
    snapshot.collect(snapshot.SECTIONS, (), 20, 0, **options)
    assert node.log_seconds == expected


def test_one_search_for_processes_serves_all_sections(node):
    collect()
    assert len(node.holders) == 4
    assert len({id(holders) for holders in node.holders}) == 1


def test_chosen_sections_come_in_their_own_order(node):
    assert list(collect(["listen_ports", "host"])["sections"]) == ["host", "listen_ports"]
    assert [what for _when, what in node.log] == ["host", "listen_ports"]


# Two samples


def test_first_samples_come_first_and_last_ones_last(node):
    collect(sample=0.5)
    names = [what for _when, what in node.log if what != "tick"]
    assert names == ["tcp first", "pressure first", *snapshot.SECTIONS]


def test_the_samples_lie_apart_and_the_run_queue_is_looked_at_meanwhile(node):
    collect(sample=1)
    assert node.when("tcp first", "tcp_states", "host_pressure") == [
        (0, "tcp first"),
        (1.0, "host_pressure"),
        (1.0, "tcp_states"),
    ]
    assert [when for when, _what in node.when("tick")] == [0, 0.2, 0.4, 0.6, 0.8]


def test_first_samples_that_were_taken_are_used_and_the_time_since_counts(node):
    first = first_samples.take(snapshot.SECTIONS, 20, 1, "pods")
    node.time.now += 0.75  # the code of the sections is read
    told = snapshot.collect(snapshot.SECTIONS, (), 20, 1, "host", 60, first)
    assert node.when("tcp first", "pressure first", "tcp_states") == [
        (0, "tcp first"),
        (0, "pressure first"),
        (1.0, "tcp_states"),
    ]
    assert (node.netns, told["seconds"]) == ("pods", 1.0)


def test_collecting_the_sections_before_is_part_of_the_wait(node):
    node.works = {"port_settings": 0.7}
    collect(sample=1)
    assert node.when("tcp_states") == [(1.0, "tcp_states")]
    node.log.clear()
    node.time.now = 1000.0
    node.works = {"port_settings": 3}
    collect(sample=1)
    assert node.when("tcp_states", "tick") == [(3.0, "tcp_states")]


def test_pressure_is_taken_before_sockets_are_read(node):
    # Reading them takes CPU time, which would be told as the node's.
    node.works = {"tcp_states": 5}
    collect(sample=1)
    assert node.when("host_pressure") == [(1.0, "host_pressure")]


def test_a_look_at_the_run_queue_that_breaks_costs_nothing(node):
    node.errors = {"tick": MemoryError("no room")}
    assert collect(sample=1)["complete"] is True


def test_no_time_between_the_samples(node):
    assert collect(sample=0)["seconds"] == 0
    assert node.when("tick") == []
    assert node.when("tcp first", "tcp_states") == [(0, "tcp first"), (0, "tcp_states")]


@pytest.mark.parametrize("sections", [["host"], ["listen_ports", "port_settings", "nodeport_conflict"]])
def test_who_wants_no_samples_waits_for_none(node, sections):
    assert collect(sections)["seconds"] == 0
    assert node.when("tcp first", "pressure first", "tick") == []


@pytest.mark.parametrize("section", SAMPLED)
def test_one_of_both(node, section):
    assert collect([section], sample=1)["seconds"] == 1.0
    firsts = {"tcp_states": "tcp first", "host_pressure": "pressure first"}
    assert node.when(*firsts.values()) == [(0, firsts[section])]
    # Only what is looked at for host_pressure is looked at.
    assert bool(node.when("tick")) == (section == "host_pressure")


@pytest.mark.parametrize("broken", ["tcp first", "pressure first"])
def test_a_first_sample_that_breaks_costs_no_section(node, broken):
    node.errors = {broken: MemoryError("no room")}
    told = collect()
    # Pressure's is taken anew, at the end, and breaks there too.
    lost = ["host_pressure"] if broken == "pressure first" else []
    assert [name for name in snapshot.SECTIONS if told["sections"][name] != FINE] == lost
    assert [gap["why"] for gap in told["missing"]] == ["MemoryError: no room"] * len(lost)


def test_sampling_longer_than_the_budget_costs_no_section(node):
    # The budget is for the work, and waiting is none.
    told = collect(budget=20, sample=60)
    assert told["complete"] is True
    assert node.when("tcp_states", "host_pressure") == [(60.0, "host_pressure"), (60.0, "tcp_states")]


# What goes wrong


def broken(what):
    return [gap["what"] for gap in what["missing"]]


@pytest.mark.parametrize("section", snapshot.SECTIONS)
@pytest.mark.parametrize(
    ("error", "what", "why"),
    [
        (sockets.SocketsError("sock_diag: no; procfs: no"), "sockets", "sock_diag: no; procfs: no"),
        (tcp_reader.ReaderError("host: sock_diag: no"), "sockets", "host: sock_diag: no"),
        (KeyError("inode"), None, "KeyError: 'inode'"),
        (MemoryError(), None, "MemoryError: "),
    ],
)
def test_a_section_that_breaks_leaves_the_others(node, section, error, what, why):
    node.errors = {section: error}
    told = collect()
    # listener_origin explains what listen_ports has seen.
    lost = ["listen_ports", "listener_origin"] if section == "listen_ports" else [section]
    gaps = {name: {"what": what or name, "why": why} for name in lost}
    assert {name: told["sections"][name] for name in lost} == {
        name: {"complete": False, "missing": [gap]} for name, gap in gaps.items()
    }
    assert all(told["sections"][name] == FINE for name in snapshot.SECTIONS if name not in lost)
    assert told["missing"] == [{"what": f"{name}: {gap['what']}", "why": why} for name, gap in gaps.items()]
    assert told["complete"] is False


@pytest.mark.parametrize("budget", [0, -1, float("nan")])
def test_no_time(budget):
    told = collect(["host", "listen_ports"], budget=budget, sample=0)
    assert broken(told) == ["host: host", "listen_ports: listen_ports"]
    assert all(
        f"the budget of {budget:g} s ended before it: raise budget_seconds" in gap["why"] for gap in told["missing"]
    )


def test_a_slow_section_costs_those_after_it(node):
    node.works = {"tcp_states": 30}
    told = collect()
    after = snapshot.SECTIONS[snapshot.SECTIONS.index("tcp_states") + 1 :]
    assert broken(told) == [f"{name}: {name}" for name in after]
    assert {gap["why"] for gap in told["missing"]} == {"the budget of 20 s ended before it: raise budget_seconds"}
    assert told["sections"]["tcp_states"] == FINE


def test_what_a_section_misses_is_told_with_its_name(monkeypatch):
    gap = {"what": "local addresses", "why": "no"}
    monkeypatch.setattr(host_identity, "collect", lambda: {"complete": False, "missing": [gap]})
    assert collect(["host"])["missing"] == [{"what": "host: local addresses", "why": "no"}]
