# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Earlier audits: which lie beside one, what they have of a host, and where a random port was."""

from __future__ import annotations

import datetime
import json

import pytest

from ansible_collections.kubenode.doctor.plugins.action import bundle as action
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, earlier_audits, judge, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle, BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    captured,
    changed,
    kubernetes_136,
    lost,
    origin,
    with_socket,
    without_sockets,
)

MOST = earlier_audits.MOST
NODE = captured("node-a")
DRAWN = next(socket for socket in NODE["sections"]["listen_ports"]["listeners"] if socket["ephemeral"])

BROKEN = changed(NODE, "listen_ports.listeners", [{"state": "listen", "protocol": "tcp", "ephemeral": True}])


def store(folder, day, snapshot=NODE, asked=("node-a",), **about):
    """An audit of one day, in a folder of its own."""
    path = folder / f"202611{day:02}T080000Z"
    bundle.create(path, asked, {"started": f"2026-11-{day:02}T08:00:00+00:00", **about})
    if isinstance(snapshot, str):
        bundle.write_silence(path, "node-a", snapshot)
    else:
        bundle.write_answer(path, "node-a", snapshot)
    return path


def at(port, started=None, address="127.0.0.1", name="containerd"):
    """The node with containerd's streaming server on another port; when it was started is told by listener_origin."""
    snapshot = with_socket(without_sockets(NODE, DRAWN["port"]), name, port=port, address=address)
    listener = snapshot["sections"]["listen_ports"]["listeners"][-1]
    snapshot["sections"]["listener_origin"]["listeners"] = [origin(listener, started=started)]
    return snapshot


def before(day):
    return datetime.datetime(2026, 11, day, 8, tzinfo=datetime.timezone.utc)


def test_names_are_told_by_when_they_began(tmp_path):
    for day in (3, 1, 2, 4):
        store(tmp_path, day)
    (tmp_path / "20261101T080000Z").rename(tmp_path / "zz before the upgrade")
    (tmp_path / "20261103T080000Z").rename(tmp_path / "00")
    assert earlier_audits.names(tmp_path, before(4)) == ["00", "20261102T080000Z", "zz before the upgrade"]
    assert earlier_audits.names(tmp_path, before(1)) == []
    assert earlier_audits.names(tmp_path)[0] == "20261104T080000Z"


def test_ten_are_enough(tmp_path):
    for day in range(1, 16):
        store(tmp_path, day)
    found = earlier_audits.names(tmp_path, before(20))
    assert found == [f"202611{day:02}T080000Z" for day in range(15, 5, -1)]


def test_of_a_host_that_is_in_none_of_them_the_last_one_is_added(tmp_path):
    for day, asked in ((1, ("b", "c")), (2, ("b", "a")), (3, ("a",)), *((day, ("a",)) for day in range(4, 16))):
        store(tmp_path, day, asked=asked)
    last = [f"202611{day:02}T080000Z" for day in range(15, 5, -1)]
    found = [earlier_audits.beside(tmp_path, before(20), hosts).earlier for hosts in ((), "a", "ab", "abcd")]
    second, first = "20261102T080000Z", "20261101T080000Z"
    assert found == [last, last, [*last, second], [*last, second, first]]
    now = Bundle(store(tmp_path, 20, asked=("b",), earlier=found[2]))
    assert [name for name, _audit, asked in earlier_audits.EarlierAudits(now).all() if "b" in asked] == [second]
    plugin = object.__new__(action.ActionModule)
    path = plugin.work({"audits": str(tmp_path), "hosts": ["c"], "limits": {}})["path"]
    assert Bundle(tmp_path / path).audit["earlier"][MOST:] == [first]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": 99}', b'{"schema": 1, "asked": []}', b"\xff"])
def test_what_is_no_audit_is_left_out(tmp_path, content):
    path = store(tmp_path, 2)
    (path / "audit.json").write_bytes(content)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    assert earlier_audits.names(tmp_path, before(4)) == []


@pytest.mark.parametrize("started", [None, 7, "yesterday", "2026-11-01T08:00:00"])
def test_an_audit_that_does_not_say_when_it_began_is_left_out(tmp_path, started):
    path = store(tmp_path, 2)
    document = json.loads((path / "audit.json").read_text())
    (path / "audit.json").write_text(json.dumps({**document, "started": started}))
    assert earlier_audits.names(tmp_path, before(4)) == []


def test_there_may_be_no_folder(tmp_path):
    assert earlier_audits.names(tmp_path / "none") == []
    assert earlier_audits.History(tmp_path / "none", "node-a").of(DRAWN) == []


def test_a_new_audit_notes_those_before_it(tmp_path):
    for day in (1, 2):
        store(tmp_path, day)
    plugin = object.__new__(action.ActionModule)
    path = plugin.work({"audits": str(tmp_path), "hosts": ["node-a"], "limits": {}})["path"]
    assert Bundle(tmp_path / path).audit["earlier"] == ["20261102T080000Z", "20261101T080000Z"]
    first = plugin.work({"audits": str(tmp_path / "new"), "hosts": ["node-a"], "limits": {}})["path"]
    assert Bundle(tmp_path / first).audit["earlier"] == []


def test_audits_that_claim_to_have_begun_later_are_told(tmp_path):
    """The clock went back."""
    (store(tmp_path, 2)).rename(tmp_path / "ahead")
    about = json.loads((tmp_path / "ahead" / "audit.json").read_text())
    (tmp_path / "ahead" / "audit.json").write_text(json.dumps({**about, "started": "2999-01-01T00:00:00+00:00"}))
    plugin = object.__new__(action.ActionModule)
    path = tmp_path / plugin.work({"audits": str(tmp_path), "hosts": ["node-a"], "limits": {}})["path"]
    assert (Bundle(path).audit["earlier"], Bundle(path).audit["later"]) == ([], ["ahead"])
    bundle.write_answer(path, "node-a", NODE)
    memory = judge.judge(Bundle(path), settings.read({}))["memory"]
    why = "ahead claims to have begun later: look at the controller's clock"
    assert memory["why"] == f"no audit beside it began before it, and {why}"
    past = store(tmp_path, 3)
    bundle.write(past / "findings.json", judge.judge(Bundle(past), settings.read({})))
    bundle.write(path / "audit.json", {**Bundle(path).audit, "earlier": [past.name]})
    memory = judge.judge(Bundle(path), settings.read({}))["memory"]
    assert memory["cautions"][0] == f"this may not be the last audit, and {why}"


@pytest.mark.parametrize("name", ["x" * 300, "\ud800"])
def test_a_name_that_no_folder_can_have_is_passed_over(tmp_path, name):
    path = store(tmp_path, 2, earlier=[name])
    why = judge.judge(Bundle(path), settings.read({}))["memory"]["why"]
    assert why.startswith("the earlier audits cannot be read: ")


def test_from_folder_to_finding(tmp_path):
    """A bundle on disk, judged: what the last audit had is read from the folder beside it."""
    store(tmp_path, 1)
    path = store(tmp_path, 2, with_socket(NODE, "java", port=9876, address="127.0.0.1"), earlier=["20261101T080000Z"])
    bundle.write(path / "cluster.json", kubernetes_136())
    document = judge.judge(Bundle(path), settings.read({}))
    (found,) = [finding for finding in document["findings"] if finding["rule"] == "listener-appeared"]
    assert found["title"] == "java listens on TCP port 9876, and did not at the last audit"
    assert document["audit"]["earlier"] == ["20261101T080000Z"]


def test_the_earlier_answer_of_a_node_is_read_once_and_only_when_asked_for(tmp_path, monkeypatch):
    hosts = ("node-a", "node-b")
    old = store(tmp_path, 1, asked=hosts)
    path = store(tmp_path, 2, asked=hosts, earlier=["20261101T080000Z"])
    bundle.write_answer(path, "node-b", NODE)
    bundle.write(path / "cluster.json", kubernetes_136())
    read, whole = [], bundle._read
    monkeypatch.setattr(bundle, "_read", lambda file, *others: read.append(file) or whole(file, *others))
    judge.judge(Bundle(path), settings.read({}))
    assert [file for file in read if file.is_relative_to(old)] == [
        old / "audit.json",
        old / "nodes" / "node-a.json",
        old / "findings.json",
    ]
    read.clear()
    view = NodeView("node-a", NODE["sections"], earlier_audits.EarlierAudits(Bundle(path)))
    assert view.earlier is view.earlier
    assert len([file for file in read if file.is_relative_to(old)]) == 2


def test_audits_are_read_until_one_before_the_last_start_tells_the_port(tmp_path, monkeypatch):
    def java(port, day):
        return at(port, day and f"2026-11-{day:02}T07:00:00+00:00", "0.0.0.0", "java")

    stored = [java(45000, 1), java(45001, 2), "No route to host", lost(java(45000, 4), "listener_origin", "x", "y")]
    stored += [changed(java(45000, 4), "listener_origin.listeners", [{"port": 45000}]), java(45000, 6), java(45000, 7)]
    for day, snapshot in enumerate(stored, 1):
        store(tmp_path, day, snapshot)
    names = [f"202611{day:02}T080000Z" for day in range(7, 0, -1)]
    path = store(tmp_path, 8, java(45000, 7))
    read, whole = [], bundle._read
    monkeypatch.setattr(bundle, "_read", lambda file, limit: read.append(file.parent.parent.name) or whole(file, limit))

    def kept(port, day, names=names):
        now = Bundle(path)
        now.audit["earlier"] = names
        audits = earlier_audits.EarlierAudits(now)
        (listener,) = java(port, day)["sections"]["listener_origin"]["listeners"]
        read.clear()
        return NodeView("node-a", java(port, day)["sections"], audits).kept_ports.holds(listener)

    assert kept(45000, 7)  # as it had on 6 November, started then
    assert [name for name in read if name in names] == names[:2]
    assert not kept(45001, 7)
    assert not kept(45000, 7, [names[0]])  # this very process
    assert not kept(45000, 3, names[2:])  # another one at the last start, whatever it was before
    assert kept(45001, 3, names[2:])  # what is silent, lost or broken is passed over
    assert not kept(45000, 7, [names[0]] * 5 + [names[1]])  # five are enough
    assert kept(45000, 7, [names[0]] * 4 + [names[1]])
    assert not kept(45000, None)
    assert not kept(45000, 7, None)


def test_a_start_that_is_told_a_second_later_is_the_same_start(tmp_path):
    def java(second):
        return at(45000, f"2026-11-07T07:00:{second:02}+00:00", "0.0.0.0", "java")

    store(tmp_path, 1, java(0))
    for day, second, kept in ((2, 1, False), (3, 9, True)):
        now = Bundle(store(tmp_path, day, java(second)))
        now.audit["earlier"] = ["20261101T080000Z"]
        (listener,) = java(second)["sections"]["listener_origin"]["listeners"]
        view = NodeView("node-a", java(second)["sections"], earlier_audits.EarlierAudits(now))
        assert view.kept_ports.holds(listener) is kept


@pytest.mark.parametrize("name", ["", ".", "..", "../../etc", "/etc", "a/b", "a\0b"])
def test_only_a_folder_beside_it_is_looked_into(tmp_path, name):
    path = store(tmp_path / "audits", 2)
    store(tmp_path, 1)
    with pytest.raises(BundleError, match="is no name of a folder beside"):
        Bundle(path).beside(name)


@pytest.mark.parametrize("earlier", [None, "20261101T080000Z", {}, [7, None, ["x"]], ["../20261101T080000Z"], ["gone"]])
def test_a_list_that_is_none_leads_nowhere(tmp_path, earlier):
    store(tmp_path, 1)
    seen = earlier_audits.EarlierAudits(Bundle(store(tmp_path, 2, earlier=earlier))).of("node-a")
    assert seen.why
    assert not seen.asked
    assert seen.sections == {}


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda node: node.unlink(), "no answer was stored"),
        (lambda node: node.write_text('{"schema'), "is damaged or half-written"),
        (
            lambda node: node.write_text('{"schema": 1, "answered": true, "snapshot": {"sections": {}}}'),
            "was not collected",
        ),
        (
            lambda node: node.write_text(json.dumps({**json.loads(node.read_text()), "snapshot": BROKEN})),
            "the section listen_ports is not of the form that node_snapshot returns (KeyError: 'processes')",
        ),
    ],
)
def test_an_answer_that_cannot_be_used_is_said(tmp_path, damage, why):
    damage(bundle.node_file(store(tmp_path, 1), "node-a"))
    seen = earlier_audits.EarlierAudits(Bundle(store(tmp_path, 2, earlier=["20261101T080000Z"]))).of("node-a")
    assert seen.asked
    assert why in seen.why


def test_history_tells_where_a_random_port_was(tmp_path):
    store(tmp_path, 1, at(40001, "2026-11-01T07:00:00+00:00"))
    store(tmp_path, 2, "No route to host")
    store(tmp_path, 3, lost(NODE, "listen_ports", "x", "y"))
    store(tmp_path, 4, asked=("node-b",))
    store(tmp_path, 5, at(40005))
    store(tmp_path, 6, lost(at(40006), "listener_origin", "x", "y"))
    (store(tmp_path, 7) / "audit.json").write_text("{")
    expected = [
        {"audit": "2026-11-06T08:00:00+00:00", "port": 40006, "started": None},
        {"audit": "2026-11-05T08:00:00+00:00", "port": 40005, "started": None},
        {"audit": "2026-11-04T08:00:00+00:00", "port": DRAWN["port"], "started": "2026-11-21T07:12:40+00:00"},
        {"audit": "2026-11-01T08:00:00+00:00", "port": 40001, "started": "2026-11-01T07:00:00+00:00"},
    ]
    assert earlier_audits.History(tmp_path, "node-a").of(DRAWN) == expected
    assert earlier_audits.History(tmp_path, "node-a", ["20261105T080000Z", "gone"]).of(DRAWN) == expected[1:2]
    assert earlier_audits.History(tmp_path, "node-b").of(DRAWN) == []


@pytest.mark.parametrize(
    "other",
    [
        at(40001, name="crio"),
        at(40001, address="0.0.0.0"),
        changed(at(40001), "listen_ports.listeners.10.known_as", None),
        changed(at(40001), "listen_ports.listeners.10.processes", []),
    ],
)
def test_another_listener_is_not_its_history(tmp_path, other):
    store(tmp_path, 1, other)
    assert earlier_audits.History(tmp_path, "node-a").of(DRAWN) == []


def test_an_unknown_random_listener_is_known_by_its_program_and_a_fixed_one_by_its_port_too(tmp_path):
    store(tmp_path, 1, with_socket(with_socket(NODE, "agent", port=45000), "agent", port=9000))
    today = with_socket(with_socket(NODE, "agent", port=46000), "agent", port=9000)
    drawn, fixed = today["sections"]["listen_ports"]["listeners"][-2:]
    assert [one["port"] for one in earlier_audits.History(tmp_path, "node-a").of(drawn)] == [45000]
    assert [one["port"] for one in earlier_audits.History(tmp_path, "node-a").of(fixed)] == [9000]
    assert earlier_audits.History(tmp_path, "node-a").of({**fixed, "port": 9001}) == []
    assert earlier_audits.History(tmp_path, "node-a").of({**fixed, "processes": []}) is None


@pytest.mark.parametrize("junk", [[], [{}], [7], None])
def test_junk_in_an_earlier_audit_is_left_out(tmp_path, junk):
    store(tmp_path, 1, changed(NODE, "listener_origin", {"listeners": junk}))
    store(tmp_path, 2, changed(NODE, "listen_ports.listeners", junk or [None]))
    assert len(earlier_audits.History(tmp_path, "node-a").of(DRAWN)) <= 1
