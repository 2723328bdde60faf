# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audits one after the other: what is new, persists, is gone or cannot be told, and what nothing is said of."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import answers, judge, report_memory, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Fail, NotApplicable, Rule, Unknown
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Scene, no_cluster

SILENT = "No route to host"
UNKNOWN = Unknown("it was not seen")
SEEN = {"services": [], "nodes": []}


def fault(subject, **more):
    return Fail(subject, f"{subject} is at fault", "why", (f"saw {subject}",), (), **more)


def started(day):
    return f"2026-11-{day:02}T08:00:00+00:00"


def said(says):
    """An exception among the answers is raised."""
    for answer in says:
        if isinstance(answer, Exception):
            raise answer
        yield answer


class History:
    """Audits of one folder. ``audit(5, a=[fault("x")], b=SILENT)`` is the one of a day; a list is what each of a host's rules answers."""

    def __init__(self, **options):
        self.scenes = {}
        self.options = options

    def audit(self, day, rules=("made-up",), cluster=None, server="https://a", judged=True, told_once=False, **hosts):
        def say(answers_of):
            return lambda node, _context: said(answers_of[node.host])

        def say_of_cluster(_context):
            return said(cluster)

        made = [
            Rule(name, "ports", "warning", "it holds", "it matters", (), say(hosts), told_once=told_once)
            for name in rules
        ]
        if cluster is not None:
            made.append(
                Rule(
                    "of-cluster", "services", "critical", "it holds", "it matters", (), say_of_cluster, scope="cluster"
                )
            )
        snapshots = {host: says if isinstance(says, str) else {"sections": {}} for host, says in hosts.items()}
        document = {**no_cluster(), **(SEEN if cluster is not None else {}), "server": server}
        scene = Scene(snapshots, document, earlier=dict(reversed(self.scenes.items())))
        scene.audit = {**scene.audit, "started": started(day), "earlier": list(scene.earlier)}
        self.scenes[f"202611{day:02}T080000Z"] = scene
        if judged:
            scene.document = judge.judge(scene, settings.read(self.options), made)
        return copy.deepcopy(scene.document)


def changes(document):
    """``{(host, object): (change, day of first_seen)}`` of the faults."""
    return {
        (finding["host"], finding["object"]): (finding["change"], int(finding["first_seen"][8:10]))
        for finding in document["findings"]
        if finding["status"] == "fail"
    }


def named(entries):
    return [(entry["host"], entry["object"], int(entry["first_seen"][8:10])) for entry in entries]


def test_three_audits():
    history = History()
    first = history.audit(1, a=[fault("stays"), fault("goes")], b=[fault("stays")])
    assert changes(first) == dict.fromkeys([("a", "stays"), ("a", "goes"), ("b", "stays")], (None, 1))
    assert first["memory"]["why"] == "this is the first audit"
    second = history.audit(2, a=[fault("stays"), fault("goes")], b=SILENT)
    assert changes(second) == {("a", "stays"): ("persists", 1), ("a", "goes"): ("persists", 1)}
    assert named(second["memory"]["unsure"]) == [("b", "stays", 1)]
    assert second["memory"]["unsure"][0]["why"] == f"the host did not answer: {SILENT}"
    assert second["memory"]["gone"] == []
    third = history.audit(4, a=[fault("stays"), fault("came")], b=[fault("stays"), fault("came")])
    assert changes(third) == {
        ("a", "stays"): ("persists", 1),
        ("a", "came"): ("new", 4),
        ("b", "stays"): ("persists", 1),
        ("b", "came"): ("new", 4),
    }
    assert named(third["memory"]["gone"]) == [("a", "goes", 1)]
    assert third["memory"]["gone"][0]["last_seen"] == started(2)
    assert third["memory"]["counts"] == {"new": 2, "persists": 2, "gone": 1, "unsure": 0}
    assert third["memory"]["audits"] == {
        "20261101T080000Z": {"started": started(1), "hosts": 1},
        "20261102T080000Z": {"started": started(2), "hosts": 1},
    }


@pytest.mark.parametrize("now", [[], [NotApplicable("not here")], [fault("another")], [Unknown("x", "another")]])
def test_gone_is_what_the_rule_would_have_found(now):
    history = History()
    history.audit(1, a=[fault("x")])
    assert named(history.audit(2, a=now)["memory"]["gone"]) == [("a", "x", 1)]


@pytest.mark.parametrize(
    "now", [SILENT, [UNKNOWN], [Unknown("hidden", "x")], [fault("another"), UNKNOWN], [KeyError("junk")]]
)
def test_what_nobody_can_tell_is_carried_on_and_comes_back_with_its_age(now):
    history = History()
    history.audit(1, a=[fault("x")])
    for day in (2, 3):
        told = history.audit(day, a=now)["memory"]
        assert (named(told["unsure"]), told["gone"]) == ([("a", "x", 1)], [])
    assert changes(history.audit(4, a=[fault("x")])) == {("a", "x"): ("persists", 1)}


def test_what_was_carried_on_and_is_gone_was_last_seen_before():
    history = History()
    history.audit(1, a=[fault("x")])
    history.audit(2, a=[UNKNOWN])
    (gone,) = history.audit(3, a=[])["memory"]["gone"]
    assert (gone["first_seen"], gone["last_seen"]) == (started(1), started(1))


def test_what_nobody_could_tell_for_a_quarter_is_forgotten():
    history = History()
    history.audit(1, a=[fault("x")])
    history.audit(2, a=[UNKNOWN])
    late = history.scenes["20261102T080000Z"].document["memory"]["unsure"][0]
    late["last_seen"] = "2026-08-06T08:00:00+00:00"
    assert named(history.audit(3, a=[UNKNOWN])["memory"]["unsure"]) == [("a", "x", 1)]
    del history.scenes["20261103T080000Z"]
    late["last_seen"] = "2026-08-04T08:00:00+00:00"
    assert history.audit(3, a=[UNKNOWN])["memory"]["unsure"] == []


@pytest.mark.parametrize(
    ("then", "change"), [([UNKNOWN], None), ([Unknown("?", "x")], None), ([Unknown("?", "y")], "new"), ([], "new")]
)
def test_a_fault_that_could_not_be_told_before_is_not_called_new(then, change):
    history = History()
    history.audit(1, a=then)
    assert changes(history.audit(2, a=[fault("x")])) == {("a", "x"): (change, 2)}


def test_a_host_that_was_silent_is_compared_with_the_last_audit_in_which_it_answered():
    history = History()
    history.audit(1, a=[fault("stays"), fault("goes")])
    history.audit(2, a=SILENT)
    third = history.audit(3, a=[fault("stays"), fault("came")])
    assert changes(third) == {("a", "stays"): ("persists", 1), ("a", "came"): ("new", 3)}
    assert named(third["memory"]["gone"]) == [("a", "goes", 1)]


def test_a_host_that_never_answered_has_no_news():
    history = History()
    history.audit(1, a=[], b=SILENT)
    second = history.audit(2, a=[], b=[fault("x")])
    assert changes(second) == {("b", "x"): (None, 2)}
    assert second["memory"]["not_compared"] == [{"why": "no answer in the earlier audits", "hosts": ["b"]}]
    assert second["memory"]["audits"] == {"20261101T080000Z": {"started": started(1), "hosts": 1}}
    alone = History()
    alone.audit(1, a=SILENT)
    assert (
        alone.audit(2, a=[fault("x")])["memory"]["why"] == "no host that answers now has answered in an earlier audit"
    )


def test_what_a_silent_audit_carried_on_is_known_when_the_one_before_is_gone():
    history = History()
    history.audit(1, a=[fault("stays"), fault("goes")])
    history.audit(2, a=SILENT)
    del history.scenes["20261101T080000Z"]
    third = history.audit(3, a=[fault("stays"), fault("came")])
    assert changes(third) == {("a", "stays"): ("persists", 1), ("a", "came"): (None, 3)}
    assert named(third["memory"]["gone"]) == [("a", "goes", 1)]


def test_what_is_cured_is_gone_however_many_answer():
    history = History()
    history.audit(1, a=[fault("x")], b=[fault("y")])
    assert named(history.audit(2, a=[])["memory"]["gone"]) == [("a", "x", 1)]


def test_a_play_on_fewer_hosts_says_nothing_of_the_others():
    history = History()
    history.audit(1, a=[fault("x")], b=[fault("y")])
    second = history.audit(2, a=[fault("x")])
    assert second["memory"]["counts"] == {"new": 0, "persists": 1, "gone": 0, "unsure": 0}
    third = history.audit(3, a=[], b=[fault("y")])
    assert changes(third) == {("b", "y"): ("persists", 1)}
    assert named(third["memory"]["gone"]) == [("a", "x", 1)]


def test_a_host_that_was_never_asked_has_no_news():
    history = History()
    history.audit(1, a=[])
    second = history.audit(2, a=[], b=[fault("x")], c=[])
    assert changes(second) == {("b", "x"): (None, 2)}
    (entry,) = second["memory"]["not_compared"]
    assert entry["hosts"] == ["b", "c"]


def test_the_cluster_is_one_host_more():
    history = History()
    history.audit(1, cluster=[fault("stays"), fault("goes")], a=[])
    second = history.audit(2, cluster=[fault("stays"), fault("came")], a=[])
    assert changes(second) == {(None, "stays"): ("persists", 1), (None, "came"): ("new", 2)}
    assert named(second["memory"]["gone"]) == [(None, "goes", 1)]
    unseen = history.audit(3, cluster=[UNKNOWN], server=None, a=[])["memory"]
    assert (named(unseen["unsure"]), unseen["gone"]) == ([(None, "came", 2), (None, "stays", 1)], [])


def test_another_cluster_is_not_compared_with():
    history = History()
    history.audit(1, cluster=[fault("x")], a=[])
    other = history.audit(2, cluster=[fault("y")], server="https://b", a=[])
    assert changes(other) == {(None, "y"): (None, 2)}
    assert (other["memory"]["gone"], other["memory"]["unsure"]) == ([], [])
    assert "asked another API server (https://a)" in " ".join(other["memory"]["cautions"])
    assert changes(history.audit(3, cluster=[fault("x")], a=[])) == {(None, "x"): ("persists", 1)}


def test_a_rule_that_was_not_there_yet_finds_nothing_new():
    history = History()
    history.audit(1, a=[])
    second = history.audit(2, rules=("made-up", "younger"), a=[fault("x")])
    assert sorted((finding["rule"], finding["change"]) for finding in second["findings"]) == [
        ("made-up", "new"),
        ("younger", None),
    ]
    assert "without these rules: younger" in " ".join(second["memory"]["cautions"])


def test_a_rule_that_is_no_more_leaves_nothing_behind():
    history = History()
    history.audit(1, rules=("made-up", "older"), a=[fault("x")])
    memory = history.audit(2, a=[fault("x")])["memory"]
    assert memory["counts"] == {"new": 0, "persists": 1, "gone": 0, "unsure": 0}
    assert "no such rules now: older" in " ".join(memory["cautions"])


def test_findings_that_are_changes_themselves_are_always_new_and_never_gone():
    history = History()
    history.audit(1, told_once=True, a=[fault("x")])
    assert changes(history.audit(2, told_once=True, a=[fault("x")])) == {("a", "x"): ("new", 2)}
    assert history.audit(3, told_once=True, a=[])["memory"]["counts"] == {
        "new": 0,
        "persists": 0,
        "gone": 0,
        "unsure": 0,
    }


def test_what_too_few_hosts_share_is_gone_only_where_as_many_answered():
    shared = fault("x", least_hosts=2)
    history = History()
    history.audit(1, a=[shared], b=[shared])
    fewer = history.audit(2, a=[shared])["memory"]
    assert (named(fewer["unsure"]), fewer["gone"]) == ([("a", "x", 1)], [])
    assert changes(history.audit(3, a=[shared], b=[shared])) == dict.fromkeys([("a", "x"), ("b", "x")], ("persists", 1))
    assert named(history.audit(4, a=[shared], b=[])["memory"]["gone"]) == [("a", "x", 1), ("b", "x", 1)]


@pytest.mark.parametrize(
    ("junk", "why"),
    [
        (None, "does not exist"),
        ({}, "KeyError"),
        ({"cluster": {"services": None, "nodes": None}, "rules": {}, "hosts": [], "findings": []}, "AttributeError"),
        (
            {
                "cluster": {"services": None, "nodes": None},
                "rules": {},
                "hosts": {"a": {"answered": True}},
                "findings": [7],
            },
            "TypeError",
        ),
    ],
)
def test_an_audit_whose_findings_cannot_be_read_is_passed_over_and_said(junk, why):
    history = History()
    history.audit(1, a=[fault("x")])
    history.audit(2, judged=False, a=[fault("x")])
    history.scenes["20261102T080000Z"].document = junk
    third = history.audit(3, a=[fault("x")])
    assert changes(third) == {("a", "x"): ("persists", 1)}
    assert why in " ".join(third["memory"]["cautions"])
    only = History()
    only.audit(2, judged=False, a=[])
    only.scenes["20261102T080000Z"].document = junk
    alone = only.audit(3, a=[fault("x")])["memory"]
    assert alone["why"].startswith("no earlier audit can be compared with: ")
    assert why in alone["why"]


def test_findings_of_an_older_form_are_compared_as_well():
    history = History()
    document = history.audit(1, a=[fault("x"), fault("y")])
    for key in ("memory", "judged_with", "schema"):
        del document[key]
    for finding in document["findings"]:
        del finding["change"], finding["first_seen"]
    history.scenes["20261101T080000Z"].document = document
    second = history.audit(2, a=[fault("x")])
    assert changes(second) == {("a", "x"): ("persists", 1)}
    assert named(second["memory"]["gone"]) == [("a", "y", 1)]
    assert "does not say by which version and settings" in " ".join(second["memory"]["cautions"])


@pytest.mark.parametrize(
    ("options", "beware"),
    [
        ({"thresholds": {"conntrack_share": 0.6}}, True),
        ({"skew_share": 0.2}, True),
        ({"fail_on": "info"}, False),
        ({"thresholds": {}}, False),
    ],
)
def test_other_settings_are_a_caution(options, beware):
    history = History()
    history.audit(1, a=[])
    history.options = options
    cautions = history.audit(2, a=[])["memory"]["cautions"]
    assert [text for text in cautions if "with other settings" in text] == cautions
    assert bool(cautions) == beware


def test_another_version_is_a_caution():
    history = History()
    history.audit(1, a=[])
    history.scenes["20261101T080000Z"].document["judged_with"]["version"] = "0.0.9"
    (caution,) = history.audit(2, a=[])["memory"]["cautions"]
    assert caution.startswith(f"the audit of {started(1)} was judged by version 0.0.9, this one by ")


def test_judged_again_an_audit_says_the_same():
    history = History()
    history.audit(1, a=[fault("x"), fault("z")])
    second = history.audit(2, a=[fault("x"), fault("y")])
    history.audit(3, a=[fault("y")])
    name = "20261102T080000Z"
    later = {key: scene for key, scene in history.scenes.items() if key > name}
    history.scenes = {key: scene for key, scene in history.scenes.items() if key < name}
    again = history.audit(2, a=[fault("x"), fault("y")])
    assert later
    assert {**again, "judged_at": None} == {**second, "judged_at": None}


def test_the_last_audit_alone_is_read_where_it_tells_of_every_host(monkeypatch):
    history = History()
    for day in range(1, 5):
        history.audit(day, cluster=[], a=[], b=[])
    read, whole = [], Scene.findings
    monkeypatch.setattr(
        Scene, "findings", lambda scene, keep: read.append(scene.audit["started"]) or whole(scene, keep)
    )
    history.audit(5, cluster=[], a=[], b=[])
    assert read == [started(4)]
    read.clear()
    history.audit(6, cluster=[], a=[], b=SILENT)
    assert read == [started(5)]


def test_answers_are_read_back():
    history = History()
    document = history.audit(
        1, cluster=[UNKNOWN], rules=("one", "two"), a=[fault("x"), UNKNOWN], b=[NotApplicable("no")], c=[], d=SILENT
    )
    assert dict(answers.matrix(document)) == {
        None: {"of-cluster": "unknown"},
        "a": {"one": "fail", "two": "fail"},
        "b": {"one": "not_applicable", "two": "not_applicable"},
        "c": {"one": "pass", "two": "pass"},
        "d": {"one": "unknown", "two": "unknown"},
    }
    assert answers.of(document, "c") == {"one": "pass", "two": "pass"}
    read = answers.Answers(document)
    assert [read.one("one", "c"), read.one("one", None), read.one("three", "c"), read.one("one", "e")] == [
        "pass",
        None,
        None,
        None,
    ]


def test_the_report_tells_it():
    history = History()
    history.audit(1, a=[fault("stays"), fault("goes\x1b[31m")], b=[fault("stays")])
    history.audit(2, a=[fault("stays"), fault("goes\x1b[31m")], b=[UNKNOWN])
    third = history.audit(4, a=[fault("stays"), fault("came")], b=[UNKNOWN], c=[])
    text = "\n".join(report_memory.lines(third))
    words = " ".join(text.split())
    assert words.startswith(
        "SINCE THE LAST AUDIT (20261102T080000Z, begun 2026-11-02 08:00 UTC): 1 new, 1 persists, 1 gone, 1 not known this time. - NEW"
    )
    assert "- NEW on a: WARNING: came is at fault [made-up]" in words
    assert "- GONE on a: WARNING: goes\\x1b[31m is at fault [made-up]; seen from 2026-11-01 08:00 UTC" in words
    assert "- NOT KNOWN THIS TIME on b: WARNING: stays is at fault [made-up]; it was not seen" in words
    assert "- not compared: c: in none of the earlier audits" in words
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ([("new", 3, "a")], "new since the last audit"),
        ([(None, 3, "a")], ""),
        ([("persists", 1, "a"), ("persists", 1, "b")], "since 2026-11-01 08:00 UTC (2 d)"),
        (
            [("persists", 1, "a"), ("new", 3, "b"), (None, 3, "c")],
            "new since the last audit on b; since 2026-11-01 08:00 UTC (2 d) on a",
        ),
    ],
)
def test_a_group_of_findings_says_since_when(first, words):
    group = [{"change": change, "first_seen": started(day), "host": host} for change, day, host in first]
    assert report_memory.when(group, started(3)) == words
