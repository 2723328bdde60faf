# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be removed to end a name conflict: the dead instance in seed 002, and never a living one."""

from __future__ import annotations

import copy
import random

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import kube_container, stale_names

UID = "1403dda53affdfee1130475a6d9609da"
DAY = 86_400
NOW = 1_616_418_333  # 22 March 2021, 13:05:33 UTC: kubelet's line in seed 002


def instance(attempt, state="exited", created=-10 * DAY, finished=None, **fields):
    """An instance; times are seconds before now."""
    one = {
        "id": f"{attempt:02}" * 32,
        "name": f"k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_{UID}_{attempt}",
        "attempt": attempt,
        "suffix": None,
        "state": state,
        "created_ns": (NOW + created) * 10**9,
        "started_ns": (NOW + created) * 10**9,
        "finished_ns": None if finished is None else (NOW + finished) * 10**9,
        "exit_code": 0,
        "sandbox_id": "5" * 64,
        "own": True,
        "image": "kube-apiserver:v1.19.4",
    }
    assert fields.keys() <= one.keys()
    return {**one, **fields}


def group(*instances, **fields):
    whole = {
        "runtime": "docker",
        "pod_uid": UID,
        "namespace": "kube-system",
        "pod": "kube-apiserver-pi-master1",
        "container": "kube-apiserver",
        "sandbox": False,
        "instances": list(instances),
    }
    assert fields.keys() <= whole.keys()
    return {**whole, **fields}


def sandbox(number, state, created=-10 * DAY):
    name = f"k8s_POD_kube-apiserver-pi-master1_kube-system_{UID}_{number}"
    return instance(number, state, created, id=f"a{number}" * 21, name=name, sandbox_id=None)


def judged(*groups, min_age=60):
    return stale_names.verdict(groups, [], NOW * 10**9, min_age)


def removed(told):
    return [entry["id"][:2] for entry in told["removable"]]


DEAD = instance(23, created=-10 * DAY + 5, finished=-10 * DAY + 100)
ALIVE = instance(24, "running", created=-10 * DAY)
AHEAD = instance(23, created=DAY, finished=DAY + 100)
SANDBOXES = group(sandbox(17, "running"), sandbox(15, "exited", created=-11 * DAY), container="POD", sandbox=True)


def test_seed_002():
    told = judged(group(ALIVE, DEAD), SANDBOXES)
    (conflict,) = told["conflicts"]
    assert conflict["kind"] == "clock-inversion"
    assert conflict["wanted"] == conflict["holder"]["name"] == ALIVE["name"]
    assert conflict["newest"]["id"] == DEAD["id"]
    assert conflict["remove"] == [DEAD["id"]]
    assert conflict["why_not"] is None
    (removable,) = told["removable"]
    assert removable["id"] == DEAD["id"]
    assert removable["name"] == DEAD["name"]
    assert "once it is gone, kubelet adopts the living one" in removable["why"]
    kept = {entry["id"]: entry["why"] for entry in told["kept"]}
    assert kept.keys() == {ALIVE["id"], *(one["id"] for one in SANDBOXES["instances"])}
    assert "removing it would stop a healthy program" in kept[ALIVE["id"]]


@pytest.mark.parametrize(
    ("instances", "order"),
    [
        # created at the same moment: kubelet's sort is not stable, so either may be the latest to it
        ([ALIVE, {**DEAD, "created_ns": ALIVE["created_ns"]}], ["23"]),
        # several: all, upwards
        ([ALIVE, DEAD, {**DEAD, "id": "22" * 32, "attempt": 22, "created_ns": DEAD["created_ns"] - 1}], ["22", "23"]),
        # the clock was a day ahead, and is right again: the dead one is older than the living one, whatever its times say
        ([ALIVE, AHEAD], ["23"]),
        # older ones that are in the right order are none of our business
        ([ALIVE, DEAD, instance(22, created=-12 * DAY)], ["23"]),
        ([{**ALIVE, "state": "paused"}, DEAD], ["23"]),
        # the name that kubelet wants next is that of a dead one, and it would start a second copy beside the living one
        ([ALIVE, DEAD, {**DEAD, "id": "22" * 32, "attempt": 22, "created_ns": DEAD["created_ns"] + 1}], ["22", "23"]),
        # killed in the middle of being made: it never ran, and holds the name
        ([instance(24, "created", created=-11 * DAY, started_ns=None), DEAD], ["24"]),
        ([instance(24, "dead", created=-11 * DAY, started_ns=None), DEAD], ["24"]),
    ],
)
def test_what_ends_a_conflict_is_removable(instances, order):
    told = judged(group(*instances))
    assert removed(told) == order
    assert told["conflicts"][0]["remove"] == [entry["id"] for entry in told["removable"]]


@pytest.mark.parametrize(
    ("instances", "why"),
    [
        ([ALIVE, {**DEAD, "state": "removing"}], "attempt 23, 232323232323 is removing"),
        ([ALIVE, {**DEAD, "finished_ns": (NOW - 59) * 10**9}], "only 59 s old"),
        ([{**ALIVE, "created_ns": (NOW + 90) * 10**9}, AHEAD], "90 s in the future, so how old it is is not known"),
        ([{**ALIVE, "created_ns": (NOW - 59) * 10**9}, AHEAD], "is only 59 s old, and at least"),
        ([ALIVE, {**AHEAD, "finished_ns": (NOW - 9) * 10**9}], "is only 9 s old, and at least"),
        ([{**ALIVE, "own": False}, DEAD], "it is running: rename it, which stops nothing"),
        ([{**ALIVE, "own": False, "state": "exited"}, DEAD], "look at it, and rename or remove it by hand"),
        ([instance(24, created=-11 * DAY), DEAD], "the newest instance by its number"),
        (
            [instance(24, "dead", created=-11 * DAY), DEAD],
            "the newest instance by its number",
        ),  # it ran; a removal failed
        (
            [instance(24, "created", created=-10 * DAY + 5, started_ns=None), DEAD],
            "at the same time, so kubelet may take either",
        ),
        (
            [
                instance(24, "created", created=-12 * DAY, started_ns=None),
                DEAD,
                instance(22, "running", created=-11 * DAY),
            ],
            "attempt 22, 222222222222 is running: once the name is free, kubelet starts a second copy beside it",
        ),
        ([instance(24, "removing", created=-11 * DAY), DEAD], "attempt 24, 242424242424 is removing"),
        # 25 died, and would be the latest once 23 is gone
        ([instance(25, created=-10 * DAY + 3), ALIVE, DEAD], "could start a second copy beside the living one"),
        # one of two is too young: alone, the other would let kubelet start a second copy
        ([ALIVE, DEAD, instance(22, created=-10 * DAY + 6, finished=-1)], "attempt 22, 222222222222 is only 1 s old"),
    ],
)
def test_a_conflict_in_which_nothing_may_be_removed(instances, why):
    told = judged(group(*instances))
    assert told["removable"] == []
    assert {entry["id"] for entry in told["kept"]} == {one["id"] for one in instances}
    assert why in told["conflicts"][0]["why_not"]
    assert told["conflicts"][0]["remove"] == []


@pytest.mark.parametrize(
    "instances",
    [
        [],
        [ALIVE],
        [DEAD],
        [instance(24, "running", created=-9 * DAY), DEAD],  # in the right order
        [instance(24, "exited", created=-9 * DAY), DEAD],
        [instance(25, "running", created=-10 * DAY), DEAD],  # kubelet asks for 24, which is free
        [{**ALIVE, "suffix": "1a2b3c4d", "name": ALIVE["name"] + "_1a2b3c4d"}, DEAD],  # has another name
        [{**ALIVE, "own": False, "name": "brave_noether"}, DEAD],  # has the labels alone
        [ALIVE, {**DEAD, "own": False}],  # kubelet does not see it, so it misleads nobody
        [ALIVE, {**DEAD, "created_ns": None}],  # nothing is decided on half of the facts
        [{**ALIVE, "created_ns": None}, DEAD],
        [{**DEAD, "attempt": None}, ALIVE],
    ],
)
def test_no_conflict(instances):
    told = judged(group(*instances))
    assert told["conflicts"] == told["removable"] == []
    assert len(told["kept"]) == len(instances)


@pytest.mark.parametrize(
    ("sandbox_id", "expected"),
    [("a15" * 21, []), (None, []), ("a16" * 21, ["a1"])],
)
def test_a_sandbox_of_a_living_container_stays(sandbox_id, expected):
    inverted = group(sandbox(16, "running"), sandbox(15, "exited", created=-9 * DAY), container="POD", sandbox=True)
    told = judged(inverted, group({**ALIVE, "sandbox_id": sandbox_id}))
    assert removed(told) == expected


def test_a_sandbox_that_a_stranger_lives_in_stays():
    inverted = group(sandbox(16, "running"), sandbox(15, "exited", created=-9 * DAY), container="POD", sandbox=True)
    stranger = {"id": "f" * 64, "name": "web", "why": "no container of Kubernetes", "sandbox_id": "a15" * 21}
    told = stale_names.verdict([inverted], [stranger], NOW * 10**9, 60)
    assert told["removable"] == []


def test_runtimes_that_do_not_tell_names():
    told = judged(group({**ALIVE, "name": None}, {**DEAD, "name": None}, runtime="containerd"))
    assert removed(told) == ["23"]
    assert told["conflicts"][0]["wanted"] == f"kube-apiserver_kube-apiserver-pi-master1_kube-system_{UID}_24"


def test_strangers_are_kept_for_their_own_reasons():
    told = stale_names.verdict([], [{"id": "f" * 64, "name": "web", "why": "no container of Kubernetes"}], NOW, 60)
    assert told["kept"] == [{"id": "f" * 64, "name": "web", "why": "no container of Kubernetes"}]


def test_nothing_living_new_or_strange_is_ever_removable():
    """20,000 groups of up to five instances in any state, with any times; each time what kubelet would do then is played."""
    chance = random.Random(4)  # noqa: S311 - the same groups each time
    states = [*stale_names.SETTLED, *stale_names.ALIVE, "removing"]
    conflicts = offered = 0
    for _round in range(20_000):
        numbers = chance.sample(range(6), chance.randint(1, 5))
        instances = []
        for number in numbers:
            one = instance(number, chance.choice(states), created=chance.randint(-6, 1) * 30, own=chance.random() > 0.1)
            one["finished_ns"] = chance.choice([None, one["created_ns"] + chance.randint(0, 90) * 10**9])
            instances.append(one)
        told = judged(group(*instances))
        conflicts += len(told["conflicts"])
        gone = {entry["id"] for entry in told["removable"]}
        offered += bool(gone)
        for one in instances:
            if one["id"] in gone:
                assert one["state"] in stale_names.SETTLED
                times = [one[key] for key in ("created_ns", "started_ns", "finished_ns") if one[key] is not None]
                past = [when for when in times if when <= NOW * 10**9]
                assert all(NOW * 10**9 - when >= 60 * 10**9 for when in past)
                assert past == times or told["conflicts"][0]["living"]["created_ns"] <= (NOW - 60) * 10**9
                assert one["own"]
        if gone:
            left = [one for one in copy.deepcopy(instances) if one["id"] not in gone]
            latest = stale_names.newest(group(*left))
            if latest["state"] not in stale_names.ALIVE:  # then kubelet creates the next one, and its name must be free
                assert told["conflicts"][0]["kind"] == "dead-holder"
                assert latest["attempt"] + 1 not in [one["attempt"] for one in left if one["own"]]
    assert conflicts > 1000
    assert offered > 100


def test_both_use_the_same_words_for_a_name():
    assert kube_container.wanted_name("docker", kube_container.parse_name(ALIVE["name"])) == ALIVE["name"]
