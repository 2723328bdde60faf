# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several bundles as one: whose answer is taken, what is told, and that nothing is lost without a word."""

from __future__ import annotations

import datetime
import json
import os
import signal
import stat

import pytest

from ansible_collections.kubenode.doctor.plugins.action import join as action
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, join, judge, report_joined, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle, BundleError
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import captured, no_cluster

DAY = datetime.timedelta(days=1)
# One small section is enough to be an answer.
HOST = captured("healthy")["sections"]["host"]


def snapshot(mark, hostname="a-machine"):
    return {"schema": 1, "sections": {"host": {**HOST, "hostname": hostname, "kernel": mark}}}


@pytest.fixture
def made(tmp_path):
    """Make a bundle: ``made("a", "08:00", {"node-a": snapshot("x"), "node-b": "why it is silent"})``; None is a host without a file."""

    def make(name, time, hosts, cluster=None, day="2026-11-21", **about):
        folder = tmp_path / "slices" / name
        about = {"version": "0.1.0", "ansible_version": "2.19.1", "started": f"{day}T{time}:00+00:00", **about}
        bundle.create(folder, list(hosts), about)
        bundle.write(folder / "cluster.json", cluster or no_cluster())
        for host, answer in hosts.items():
            if isinstance(answer, dict):
                bundle.write_answer(folder, host, answer)
            elif answer is not None:
                bundle.write_silence(folder, host, answer)
        return folder

    return make


def joined(tmp_path, *folders, **options):
    made = join.join(folders, tmp_path / "audits", **{"max_age": DAY, **options})
    return made, Bundle(made.path)


def marks(read):
    """By host, whose answer it is, or why there is none."""
    return {
        node["host"]: node["snapshot"]["sections"]["host"]["kernel"] if node["answered"] else node["why"]
        for node in read.nodes()
    }


def test_hosts_are_united_and_files_are_their_owners_alone(tmp_path, made):
    slices = (
        made("a", "08:00", {"node-a": snapshot("1")}),
        made("b", "08:01", {"node-b": snapshot("2"), "../x": "No route"}),
    )
    told, read = joined(tmp_path, *slices)
    assert marks(read) == {"../x": "No route (in b, of 2026-11-21T08:01:00+00:00)", "node-a": "1", "node-b": "2"}
    assert told.path == tmp_path / "audits" / "20261121T080100Z"
    assert read.audit["started"] == "2026-11-21T08:01:00+00:00"
    assert (read.audit["version"], read.audit["ansible_version"]) == ("0.1.0", "2.19.1")
    assert [(one["name"], one["answers"]) for one in told.slices] == [("b", 1), ("a", 1)]
    assert (told.told, told.damaged, read.damaged) == (["what is said of the cluster is what b saw of it"], [], {})
    paths = [told.path, *told.path.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o700, 0o600}
    assert not any(path.stat().st_mode & 0o077 for path in paths)


def test_slices_stay_as_they_are_and_two_joins_do_not_meet(tmp_path, made):
    slices = [made("a", "08:00", {"node-a": snapshot("1")}), made("b", "08:00", {"node-b": snapshot("2")})]
    before = {path: path.read_bytes() for path in (tmp_path / "slices").rglob("*.json")}
    first, _read = joined(tmp_path, *slices)
    again, read = joined(tmp_path, *slices)
    assert again.path.name == f"{first.path.name}-2"
    assert read.audit["earlier"] == []  # the first one is the same audit
    assert {path: path.read_bytes() for path in (tmp_path / "slices").rglob("*.json")} == before


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_latest_answer_is_taken(tmp_path, made, order):
    slices = [
        made("first", "08:00", {"node-a": snapshot("1")}),
        made("second", "09:00", {"node-a": snapshot("2")}),
        made("third", "10:00", {"node-a": "timed out"}),
    ]
    told, read = joined(tmp_path, *[slices[number] for number in order])
    assert marks(read) == {"node-a": "2"}
    assert (
        "node-a did not answer in the latest bundle that has it: its answer in second, of 2026-11-21T09:00:00+00:00, was taken"
        in told.told
    )


def test_that_hosts_are_in_several_bundles_is_told_once(tmp_path, made):
    hosts = [f"node-{number}" for number in range(8)]
    told, _read = joined(
        tmp_path,
        made("a", "08:00", dict.fromkeys([*hosts, "alone"], snapshot("1"))),
        made("b", "09:00", dict.fromkeys(hosts, snapshot("2"))),
    )
    assert told.told[0] == (
        "in several bundles, of which the latest answer was taken: node-0, node-1, node-2, node-3, node-4, node-5 and 2 more"
    )


def test_where_bundles_pile_up_todays_audit_is_of_today_and_compared_with_yesterdays(tmp_path, made):
    slices = []
    for day in (19, 20, 21):
        slices += [
            made(f"{name}/{day}", f"08:{minute:02}", {name: snapshot(str(day))}, day=f"2026-11-{day}")
            for name, minute in (("a", 30 - day), ("b", 0))
        ]
        told, read = joined(tmp_path, *slices, max_age=datetime.timedelta(hours=26))
        assert marks(read) == {"a": str(day), "b": str(day)}
        assert told.path.name == f"202611{day}T08{30 - day:02}00Z"
        assert len(read.audit["earlier"]) == day - 19


def test_an_audit_is_not_of_the_future(tmp_path, made):
    ahead = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=30)
    folder = made("a", "08:00", {"x": snapshot("1")})
    _begun(folder, ahead.isoformat())
    _told, read = joined(tmp_path, folder)
    now = datetime.datetime.now(datetime.timezone.utc)
    assert datetime.datetime.fromisoformat(read.audit["started"]) <= now


def test_of_hosts_that_never_answered_the_latest_reason_is_kept(tmp_path, made):
    _told, read = joined(tmp_path, made("a", "08:00", {"x": "first"}), made("b", "09:00", {"x": "second"}))
    assert marks(read) == {"x": "second (in b, of 2026-11-21T09:00:00+00:00)"}


def test_an_old_answer_is_not_taken_for_todays(tmp_path, made):
    slices = (
        made("old", "07:59", {"x": snapshot("1"), "y": snapshot("1")}, day="2026-11-20"),
        made("new", "08:00", {"y": snapshot("2")}),
    )
    told, read = joined(tmp_path, *slices)
    assert marks(read) == {
        "x": "its answer in old is of 2026-11-20T07:59:00+00:00, too old beside the others (max_age_hours)",
        "y": "2",
    }
    assert read.audit["started"] == "2026-11-21T08:00:00+00:00"
    assert [one["name"] for one in told.slices] == ["new"]
    _told, read = joined(tmp_path, *slices, max_age=None)
    assert marks(read) == {"x": "1", "y": "2"}


def test_an_answer_of_just_the_greatest_age_is_taken(tmp_path, made):
    yesterdays = made("old", "08:00", {"x": snapshot("1")}, day="2026-11-20")
    _told, read = joined(tmp_path, yesterdays, made("new", "08:00", {"y": snapshot("2")}))
    assert marks(read) == {"x": "1", "y": "2"}


def test_an_earlier_silence_is_no_news(tmp_path, made):
    told, read = joined(tmp_path, made("a", "08:00", {"x": "timed out"}), made("b", "09:00", {"x": snapshot("1")}))
    assert marks(read) == {"x": "1"}
    assert told.told == ["what is said of the cluster is what b saw of it"]


def test_a_host_that_is_in_no_bundle_did_not_answer(tmp_path, made):
    _told, read = joined(tmp_path, made("a", "08:00", {"x": snapshot("1")}), expected=["x", "lost"])
    assert marks(read) == {"x": "1", "lost": "it is in none of the bundles that were joined"}
    assert read.damaged == {}


def test_of_one_name_for_two_machines_neither_is_taken(tmp_path, made):
    slices = (
        made("a", "08:00", {"localhost": snapshot("1", "m1"), "x": snapshot("3")}),
        made("b", "09:00", {"localhost": snapshot("2", "m2")}),
    )
    told, read = joined(tmp_path, *slices)
    why = "localhost is one machine in b (m2) and another in a (m1), so neither answer was taken: give each node a name"
    assert [line.startswith(why) for line in told.damaged] == [True]
    assert marks(read) == {"localhost": told.damaged[0], "x": "3"}
    document = judge.judge(read, settings.read({}))
    assert document["damaged"] == told.damaged  # by which judge.yml fails
    assert [state["answered"] for state in document["hosts"].values()] == [False, True]


def test_a_bundle_of_one_host_speaks_for_that_one_alone(tmp_path, made):
    slices = [
        made("a/1", "08:00", {"a": snapshot("1")}, of_nodes("a")),
        made("b/1", "09:00", {"a": snapshot("2"), "b": snapshot("3"), "c": snapshot("4")}, of_nodes("b")),
    ]
    whose = {folder: folder.parent.name for folder in slices}
    told, read = joined(tmp_path, *slices, expected=["c"], only=whose)
    assert marks(read) == {"a": "1", "b": "3", "c": "it is in none of the bundles that were joined"}
    assert told.damaged == ["b/1 is of b and speaks for a, c: that was not taken"]
    assert read.damaged == {"joined 0": told.damaged[0]}
    assert told.told == ["each bundle is of one host, so nothing that they say of the cluster was taken"]
    assert (read.cluster()["services"], read.cluster()["missing"][0]["why"]) == (None, told.told[0])


def test_the_cluster_is_told_by_bundles_that_are_of_no_host(tmp_path, made):
    slices = [
        made("a/1", "08:00", {"a": snapshot("1")}, of_nodes("a", nodes=[{"name": "forged"}])),
        made("cluster", "09:00", {"master": snapshot("3")}, of_nodes("master")),
    ]
    told, read = joined(tmp_path, *slices, only={slices[0]: "a"})
    assert (marks(read), told.told) == ({"a": "1", "master": "3"}, [])
    assert (read.cluster()["pods_of"], read.cluster()["nodes"]) == (["master"], None)


def test_what_one_bundle_makes_of_the_cluster_stops_no_other(tmp_path, made):
    junk = {**of_nodes("b"), "pods": [{"node": ["q"]}]}
    slices = [made("a", "08:00", {"a": snapshot("1")}, of_nodes("a")), made("b", "09:00", {"b": snapshot("2")}, junk)]
    told, read = joined(tmp_path, *slices)
    assert marks(read) == {"a": "1", "b": "2"}
    assert read.cluster()["pods_of"] == ["a"]
    assert "slices/b/cluster.json: a pod's 'node' is no name" in told.told[-1]


@pytest.fixture
def impatient():
    """Raise where a test waits for ever."""

    def give_up(*_arguments):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("file", ["audit.json", "cluster.json", "nodes/b.json"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path, made, file):
    slices = [made("a", "08:00", {"a": snapshot("1")}), made("b", "09:00", {"b": snapshot("2")})]
    (slices[1] / file).unlink()
    os.mkfifo(slices[1] / file)
    told, read = joined(tmp_path, *slices)
    assert marks(read)["a"] == "1"
    assert f"slices/b/{file} is no regular file" in str(told)


def broken(folder):
    (folder / "audit.json").write_text("{")


def of_tomorrow(folder):
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)
    _begun(folder, later.isoformat())


def without_a_zone(folder):
    _begun(folder, "2026-11-21T08:00:00")


def of_no_time(folder):
    _begun(folder, ["\x1b[2J"])


def _begun(folder, started):
    path = folder / "audit.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "started": started}))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (broken, "is damaged or half-written"),
        (of_tomorrow, "it cannot have begun at '"),
        (without_a_zone, "it cannot have begun at '2026-11-21T08:00:00'"),
        (of_no_time, "it cannot have begun at ['\\x1b[2J']"),
    ],
)
def test_a_damaged_slice_is_told_and_takes_no_other_with_it(tmp_path, made, damage, why):
    slices = made("a", "08:00", {"x": snapshot("1")}), made("b", "09:00", {"y": snapshot("2")})
    damage(slices[1])
    told, read = joined(tmp_path, *slices)
    assert marks(read) == {"x": "1"}
    assert [why in one for one in told.damaged] == [True]
    document = judge.judge(read, settings.read({}))
    assert document["damaged"] == told.damaged


def test_a_damaged_answer_is_told(tmp_path, made):
    slices = made("a", "08:00", {"x": None, "y": None, "z": snapshot("1")}), made("b", "09:00", {"y": snapshot("2")})
    bundle.node_file(slices[0], "z").write_text("{")
    told, read = joined(tmp_path, *slices)
    assert marks(read)["y"] == "2"  # and what the other bundle lacks is no loss
    assert "no answer was stored (x.json is not in the bundle)" in marks(read)["x"]
    assert sorted("x.json" in one for one in told.damaged) == [False, True]
    assert sorted("z.json is damaged" in one for one in told.damaged) == [False, True]
    assert sorted(read.damaged.values()) == sorted(told.damaged)


def test_what_is_no_folder_is_told(tmp_path, made):
    (tmp_path / "slices").mkdir()
    (tmp_path / "slices" / "notes.txt").write_text("")
    told, _read = joined(tmp_path, made("a", "08:00", {"x": snapshot("1")}), tmp_path / "slices" / "notes.txt")
    assert told.told == [f"{tmp_path}/slices/notes.txt is no folder, and was left out"]


@pytest.mark.parametrize(
    ("count", "why"), [(0, "there is no bundle to join: none is named"), (1, "there is no bundle to join: /")]
)
def test_nothing_to_join(tmp_path, count, why):
    with pytest.raises(BundleError, match=why):
        joined(tmp_path, *[tmp_path / "none"][:count])


def test_versions_that_differ_are_told(tmp_path, made):
    slices = made("a", "08:00", {"x": snapshot("1")}), made("b", "08:01", {"y": snapshot("2")}, version="0.2.0")
    told, read = joined(tmp_path, *slices)
    assert read.audit["version"] == "0.1.0, 0.2.0"
    assert told.told[-1] == "the bundles were collected by different versions: 0.1.0, 0.2.0"


def test_it_is_compared_with_the_audits_beside_it_that_were_before(tmp_path, made):
    joined(tmp_path, made("y", "08:00", {"x": snapshot("0")}, day="2026-11-20"))
    _told, read = joined(tmp_path, made("a", "08:00", {"x": snapshot("1")}), made("b", "09:00", {"y": snapshot("1")}))
    assert read.audit["earlier"] == ["20261120T080000Z"]


def of_nodes(*names, server="https://api:6443", **sections):
    pods = [{"node": name, "name": f"pod-{name}"} for name in names]
    return {
        **no_cluster(),
        "server": server,
        "pods_of": list(names),
        "pods": pods,
        "missing": [],
        "services": [],
        **sections,
    }


def test_pods_of_slices_are_put_together(tmp_path, made):
    slices = [
        made("a", "08:00", {"x": snapshot("1")}, of_nodes("x", "n", nodes=[{"name": "x", "labels_roles": []}])),
        made("b", "08:01", {"y": snapshot("1")}, of_nodes("y", "n")),
        made("c", "08:02", {"z": snapshot("1")}, of_nodes("z", server="https://other")),
        made("d", "08:03", {"w": snapshot("1")}),
    ]
    told, read = joined(tmp_path, *slices)
    cluster = read.cluster()
    assert cluster["nodes"][0]["name"] == "x"  # a saw most
    assert cluster["pods_of"] == ["x", "n", "y"]
    assert [pod["name"] for pod in cluster["pods"]] == ["pod-x", "pod-n", "pod-y"]
    assert told.told == [
        "what is said of the cluster is what a saw of it",
        "c asked another API server: the pods that it saw were not taken",
    ]


def test_all_pods_are_left_as_they_are(tmp_path, made):
    slices = (
        made("a", "08:00", {"x": snapshot("1")}, {**of_nodes("x"), "pods_of": None}),
        made("b", "08:01", {"y": snapshot("1")}, of_nodes("y")),
    )
    (slices[1] / "cluster.json").write_text("{")
    told, read = joined(tmp_path, *slices)
    assert (read.cluster()["pods_of"], len(read.cluster()["pods"])) == (None, 1)
    assert told.damaged == []
    assert any("cluster.json is damaged" in line for line in told.told)


def test_without_any_answer_of_the_cluster(tmp_path, made):
    folder = made("a", "08:00", {"x": snapshot("1")})
    (folder / "cluster.json").unlink()
    told, read = joined(tmp_path, folder)
    assert "cluster.json does not exist" in told.damaged[0]
    assert read.cluster()["services"] is None


def test_of_many_lines_some_are_kept(tmp_path, made):
    hosts = [f"node-{number}" for number in range(60)]
    slices = [
        made(name, time, dict.fromkeys(hosts, answer))
        for name, time, answer in (("a", "08:00", snapshot("1")), ("b", "09:00", "timed out"))
    ]
    told, _read = joined(tmp_path, *slices)
    assert len(told.told) == 51
    assert told.told[-1] == "and 11 more of this kind"


@pytest.mark.parametrize(
    ("audit", "told"),
    [
        ({}, []),
        (
            {
                "joined": {
                    "bundles": [{"name": "a", "answers": 1}, {"name": "b\x1b", "answers": 2}],
                    "more": 0,
                    "told": ["x\ny"],
                }
            },
            ["from a (1 answer), b\\x1b (2 answers)", "x\\ny"],
        ),
        (
            {"joined": {"bundles": [{"name": "a", "answers": 0}] * 7, "more": 3, "told": []}},
            ["from a (0 answers), a (0 answers), a (0 answers), a (0 answers), a (0 answers), 5 more"],
        ),
    ],
)
def test_the_words(audit, told):
    assert report_joined.told(audit) == told


def test_a_pattern_of_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b", "a", "a[1]"):
        (tmp_path / name).mkdir()
    assert action._folders("[ab]") == [(tmp_path / "a", None), (tmp_path / "b", None)]
    assert action._folders("a[1]") == [(tmp_path / "a[1]", None)]  # as it stands
    for name in ("c*", "{host}/1", "{host}*"):
        with pytest.raises(BundleError, match="there is no such folder, and no folder fits it as a pattern"):
            action._folders(name)
    with pytest.raises(BundleError, match="cannot be read: File name too long"):
        action._folders("x" * 300)


def test_a_pattern_says_whose_a_bundle_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("moved/node-a/1", "moved/node-a/2", "moved/b/1"):
        (tmp_path / name).mkdir(parents=True)
    found = [(str(path.relative_to(tmp_path)), host) for path, host in action._folders("moved/{host}/*")]
    assert found == [("moved/b/1", "b"), ("moved/node-a/1", "node-a"), ("moved/node-a/2", "node-a")]
