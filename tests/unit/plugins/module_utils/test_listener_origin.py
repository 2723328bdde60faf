# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listener_origin: which listeners are explained, by which methods, and what of the others is needed for that."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    known_ports,
    listener_origin,
    origin_request,
    origin_stacks,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

DEFAULTS = {name: spec.get("default") for name, spec in origin_request.ARGUMENTS.items()}
PIDS = {"kubelet": 5854, "containerd": 700, "java": 900, "agent": 901, "rpc.statd": 60}
EPHEMERAL = (32768, 60999)
SETTING = {
    "program": "containerd",
    "kind": "cri-streaming",
    "key": "stream_server_port",
    "value": None,
    "default": "0",
    "file": None,
    "address": "127.0.0.1",
    "port": None,
    "edit": None,
    "modified": None,
    "fixed_in_code": "",
}
ANSWERED = {
    "asked": "GET http://127.0.0.1/",
    "status": 404,
    "body": "",
    "server": None,
    "kind": None,
    "looks_like": "",
    "why": "",
}
LOST = {"what": "processes", "why": "run with become (-b)"}


def socket(name, port, address="127.0.0.1", protocol="tcp", state=None, known=None):
    """A listener as listeners.listener tells it."""
    ephemeral = EPHEMERAL[0] <= port <= EPHEMERAL[1]
    processes = [{"pid": PIDS[name], "name": name, "unit": None, "container_id": None, "pod_uid": None}] if name else []
    return {
        "protocol": protocol,
        "family": "ipv6" if ":" in address else "ipv4",
        "state": state or ("listen" if protocol == "tcp" else "unconnected"),
        "address": address,
        "port": port,
        "v6only": None,
        "accept_queue": 0,
        "backlog": 128,
        "uid": 0,
        "inode": port,
        "ephemeral": ephemeral,
        "processes": processes,
        "hidden": not name,
        "cgroup": None,
        "known_as": known or known_ports.known_as(protocol, address, port, [name] if name else [], ephemeral),
    }


STREAM = socket("kubelet", 37231)
API = socket("kubelet", 10250, "0.0.0.0")
HEALTH = socket("kubelet", 10248)
RUNTIME = socket("containerd", 41000)
AGENT = socket("agent", 8125, "0.0.0.0")
JAVA = socket("java", 9876)
DATAGRAMS = socket("kubelet", 8125, protocol="udp")
NODE = [STREAM, API, HEALTH, RUNTIME, AGENT, JAVA, DATAGRAMS]


class Look:
    """In place of all that looks at the machine; what it was asked is kept."""

    def __init__(self, monkeypatch, seen=None, missing=(), settings=(), unread=()):
        self.asked, self.deadlines, self.packages, self.described = [], [], [], []
        listeners = {
            "listeners": list(NODE if seen is None else seen),
            "complete": not missing,
            "missing": list(missing),
        }
        configured = {"settings": list(settings), "complete": not unread, "missing": list(unread)}
        monkeypatch.setattr(listener_origin.listeners, "collect", lambda _holders: listeners)
        monkeypatch.setattr(listener_origin.listen_settings, "collect", lambda: configured)
        monkeypatch.setattr(listener_origin.kernel_settings, "ephemeral_range", lambda: EPHEMERAL)
        monkeypatch.setattr(listener_origin.http_signature, "ask_all", self._ask)
        monkeypatch.setattr(listener_origin.owner, "Describer", self._describer)
        self.seen = listeners

    def _ask(self, chosen, deadline, others):
        self.asked.append([one["port"] for one in chosen])
        self.deadlines.append(deadline)
        assert list(others) == self.seen["listeners"]
        return [dict(ANSWERED, body=str(one["port"])) for one in chosen]

    def _describer(self, packages, deadline):
        self.packages.append(packages)
        self.deadlines.append(deadline)
        return self

    def owner(self, process):
        self.described.append(process["pid"])
        nothing = dict.fromkeys(
            ("pod", "exe", "replaced", "started", "parent", "go", "module", "version", "package"), None
        )
        return dict(process, missing=[], **nothing)


class Stacks:
    """In place of origin_stacks.Stacks: all programs tell the same; ``asked`` are the ports, each with its siblings'."""

    def __init__(self, *accepting):
        self.asked = []
        self.given = {}
        self.accepting = [
            {"network": "tcp", "server": server, "file": "server.go:1", "creator": None, "kind": kind, "stack": []}
            for server, kind in accepting
        ]

    def of(self, listener, siblings):
        self.asked.append((listener["port"], sorted(one["port"] for one in siblings)))
        seen = origin_stacks.nothing("")
        return {**seen, "count": 181, "accepting": self.accepting, **self.given}


def collect(stacks=None, **options):
    request = origin_request.read(dict(DEFAULTS, **options))
    return listener_origin.collect(request, Deadline(5), stacks or Stacks())


def ports(answer):
    return [listener["port"] for listener in answer["listeners"]]


# -- which need one ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listener", "needed"),
    [
        (STREAM, True),
        (RUNTIME, True),
        (socket("containerd", 10010), False),  # a CRI streaming server where it belongs
        (API, False),
        (AGENT, True),
        (socket("agent", 45000), True),
        (socket(None, 9876), True),
        (socket("agent", 8125, protocol="udp"), True),
        (socket("agent", 45000, protocol="udp"), False),  # a client that waits for its answer
        (socket("agent", 8125, state="bound"), False),
        (socket("rpc.statd", 800), True),
        (socket("rpc.statd", 45000, protocol="udp"), False),
    ],
)
def test_what_needs_an_explanation(listener, needed):
    if listener["processes"] and listener["processes"][0]["name"] == "rpc.statd":
        assert listener["known_as"]["component"] == "rpc.statd"
    assert listener_origin.needs_explanation(listener) is needed


def test_without_port_and_pid_it_is_all_that_need_one(monkeypatch):
    Look(monkeypatch)
    assert ports(collect()) == [37231, 41000, 8125, 9876, 8125]


def test_what_is_expected_is_left_out_unless_it_is_asked_for(monkeypatch):
    Look(monkeypatch)
    expected = [{"process": "java"}, {"port": "8000-8200", "protocol": "udp"}]
    assert ports(collect(expected=expected)) == [37231, 41000, 8125]
    assert ports(collect(expected=expected, port=9876)) == [9876]
    assert ports(collect(expected=expected, pid=900)) == [9876]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"port": 8125}, [("tcp", 8125), ("udp", 8125)]),
        ({"port": 10250}, [("tcp", 10250)]),  # also a well-known one
        ({"pid": 5854}, [("tcp", 37231), ("tcp", 10250), ("tcp", 10248), ("udp", 8125)]),
        ({"port": 8125, "pid": 5854}, [("udp", 8125)]),
        ({"port": 1}, []),
        ({"pid": 1}, []),
    ],
)
def test_a_port_or_a_pid(monkeypatch, wanted, found):
    Look(monkeypatch)
    answer = collect(**wanted)
    assert [(one["protocol"], one["port"]) for one in answer["listeners"]] == found
    assert (answer["complete"], answer["missing"], answer["ephemeral_range"]) == (True, [], list(EPHEMERAL))


@pytest.mark.parametrize("many", [200, 201, 1000])
def test_two_hundred_are_explained_and_the_rest_is_told(monkeypatch, many):
    look = Look(monkeypatch, [socket("java", 1024 + number) for number in range(many)])
    answer = collect()
    assert ports(answer) == list(range(1024, 1224))
    assert [len(asked) for asked in look.asked] == [200]
    if many == 200:
        assert answer["complete"]
        return
    (gap,) = answer["missing"]
    assert gap["what"] == "listeners"
    assert f"{many} need an explanation, the first 200 have one: name a port or a pid" == gap["why"]
    assert not answer["complete"]


def test_what_could_not_be_seen_is_told(monkeypatch):
    unread = {"what": "containerd", "why": "config.toml may not be read"}
    Look(monkeypatch, missing=[LOST], unread=[unread])
    answer = collect(port=9876)
    assert answer["missing"] == [LOST, unread]
    assert not answer["complete"]
    assert collect(port=9876, methods=["owner"])["missing"] == [LOST]


# -- by which methods --------------------------------------------------------------------------------------------------


def test_a_diagnosis_asks_no_program_and_looks_for_no_package(monkeypatch):
    look = Look(monkeypatch, settings=[SETTING])
    section = listener_origin.section(look.seen, Deadline(5))
    assert look.asked == []
    assert look.packages == [False]
    assert {(one["signature"], one["goroutines"], one["history"]) for one in section["listeners"]} == {
        (None, None, None)
    }
    assert ports(section) == [37231, 41000, 8125, 9876, 8125]
    (runtime,) = [one for one in section["listeners"] if one["port"] == 41000]
    assert (runtime["kind"], runtime["certain"], runtime["agree"]) == (
        "cri-streaming",
        False,  # a drawn port is proven by a stack or an answer only
        ["owner", "configuration"],
    )
    assert (section["complete"], section["missing"]) == (True, [])


def test_each_listener_has_all_parts(monkeypatch):
    Look(monkeypatch)
    (java,) = collect(port=9876)["listeners"]
    assert {key: java[key] for key in JAVA} == JAVA
    assert (java["endpoint"], java["reach"], java["owner"]["pid"]) == ("127.0.0.1:9876/tcp", "loopback", 900)
    assert [step["method"] for step in java["steps"]] == ["owner", "signature", "goroutines"]
    assert java["answer"].startswith("a listener of java, which is none of the well-known ones")


def test_only_those_that_are_explained_are_asked_and_each_has_its_own_answer(monkeypatch):
    look = Look(monkeypatch)
    answer = collect(pid=5854)
    assert look.asked == [[37231, 10250, 10248, 8125]]
    assert [one["signature"]["body"] for one in answer["listeners"]] == ["37231", "10250", "10248", "8125"]
    assert {deadline.seconds for deadline in look.deadlines} == {5}
    assert look.packages == [True]


def test_a_method_that_is_not_wanted_is_not_used(monkeypatch):
    look = Look(monkeypatch, settings=[SETTING])
    stacks = Stacks()
    (runtime,) = collect(stacks, port=41000, methods=["signature"])["listeners"]
    assert (runtime["owner"], runtime["configuration"], runtime["goroutines"]) == (None, None, None)
    assert look.described == stacks.asked == []
    (runtime,) = collect(stacks, port=41000, methods=["owner", "configuration"])["listeners"]
    assert (runtime["configuration"], runtime["signature"], runtime["goroutines"]) == (SETTING, None, None)
    assert stacks.asked == []


def test_an_unseen_owner_is_not_described(monkeypatch):
    look = Look(monkeypatch, [socket(None, 9876)])
    (unseen,) = collect(port=9876)["listeners"]
    assert (unseen["owner"], look.described) == (None, [])
    assert "a process that could not be seen" in unseen["answer"]


# -- stacks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["goroutines", "stack_dump"])
def test_the_other_listeners_of_a_program_decide_which_server_is_left(monkeypatch, method):
    Look(monkeypatch)
    stacks = Stacks(("server.ListenAndServe", "kubelet-api"), ("app.Run.func2", "kubelet-healthz"), ("a.mystery", None))
    (stream,) = collect(stacks, port=37231, methods=["owner", method])["listeners"]
    assert stacks.asked == [(37231, [10248, 10250])]  # its UDP socket accepts nothing
    assert stream["goroutines"]["others"] == ["kubelet-api", "kubelet-healthz"]
    assert stream["goroutines"]["candidates"] == [2]
    assert stream["answer"].endswith("its stacks show a.mystery in its place, which is not known to be that")


def test_a_server_of_the_very_kind_that_it_is_taken_for_is_the_one(monkeypatch):
    Look(monkeypatch)
    stacks = Stacks(("a.mystery", None), ("streaming.(*server).Start", "cri-streaming"))
    (stream,) = collect(stacks, port=37231)["listeners"]
    assert stream["goroutines"]["candidates"] == [1]
    assert stream["agree"] == ["owner", "goroutines"]


def test_a_setting_tells_what_a_sibling_is(monkeypatch):
    metrics = dict(SETTING, kind="containerd-metrics", key="metrics.address", value="127.0.0.1:1338", port=1338)
    Look(monkeypatch, [RUNTIME, socket("containerd", 1338)], settings=[SETTING, metrics])
    (runtime,) = collect(Stacks(("metrics", "containerd-metrics"), ("stream", "cri-streaming")), port=41000)[
        "listeners"
    ]
    assert runtime["goroutines"]["others"] == ["containerd-metrics"]
    assert runtime["goroutines"]["candidates"] == [1]


def test_two_random_ports_of_one_program_are_no_siblings_of_a_known_kind(monkeypatch):
    Look(monkeypatch, [socket("agent", 45000), socket("agent", 46000)])
    first, second = collect(Stacks(("a.serve", None), ("b.serve", None)))["listeners"]
    for one in (first, second):
        assert one["goroutines"]["others"] == []
        assert one["goroutines"]["candidates"] == [0, 1]
        assert not one["certain"]


def test_datagrams_have_no_goroutine_that_accepts(monkeypatch):
    Look(monkeypatch)
    stacks = Stacks(("a.serve", None))
    answer = collect(stacks, port=8125)
    assert [one["goroutines"] is None for one in answer["listeners"]] == [False, True]
    assert stacks.asked == [(8125, [])]


def test_thousands_of_listeners_of_one_program_are_told_apart_once(monkeypatch):
    many = 1000
    Look(monkeypatch, [socket("containerd", 33000 + number) for number in range(many)], settings=[SETTING])
    calls, deciding = [], listener_origin.listen_settings.deciding
    monkeypatch.setattr(
        listener_origin.listen_settings,
        "deciding",
        lambda listener, *rest: calls.append(listener["port"]) or deciding(listener, *rest),
    )
    assert len(collect(Stacks(("a.serve", None)))["listeners"]) == 200
    assert len(calls) == 200 + many


def test_stacks_that_were_asked_for_and_not_given_are_missing(monkeypatch):
    Look(monkeypatch)
    stacks = Stacks()
    stacks.given.update(source="https://127.0.0.1:10250", why="forbids it (403)")
    found = collect(stacks, port=37231, methods=["goroutines"])
    assert found["missing"] == [{"what": "goroutines", "why": "https://127.0.0.1:10250: forbids it (403)"}]
    assert found["complete"] is False
