# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""stale_removal: nothing is removed but what the verdict names, in its order, and only as long as it is what it was."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import stale_removal
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import Engine
from ansible_collections.kubenode.doctor.plugins.module_utils.stale_removal import ChoiceError, RemovalError
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_engine import (
    ALIVE,
    SECOND,
    Made,
    MadeUpEngine,
    answer,
)

UID = "1403dda53affdfee1130475a6d9609da"
POD = "kube-apiserver-pi-master1"
AGO = time.time_ns() - 3600 * SECOND
SANDBOX_ID = f"{17:064x}"


def labels(container):
    return {
        "io.kubernetes.container.name": container,
        "io.kubernetes.pod.name": POD,
        "io.kubernetes.pod.namespace": "kube-system",
        "io.kubernetes.pod.uid": UID,
        "io.kubernetes.sandbox.id": SANDBOX_ID,
    }


def name(number, container="kube-apiserver"):
    return f"k8s_{container}_{POD}_kube-system_{UID}_{number}"


def made(number, state, created, container="kube-apiserver", **times):
    """An attempt by its number; times are seconds after AGO."""
    nanoseconds = {key: AGO + int(value * SECOND) for key, value in times.items()}
    return Made(number, name(number, container), state, labels(container), AGO + created * SECOND, **nanoseconds)


def living():
    return made(24, "running", 0, started=1)


def dead(number, created=5):
    return made(number, "exited", created, started=created + 1, finished=created + 2)


GONE = "it is gone: somebody else removed it"
TURN = "which had to be removed before it, was left alone"


def seed_002():
    """The living 24, which was created before the dead 23; two sandboxes; a container of no Kubernetes."""
    sandboxes = [made(17, "running", 0, "POD", started=1), made(15, "exited", -9, "POD", finished=-8)]
    return [living(), dead(23), *sandboxes, Made(1, name(23) + "x", "exited", created=AGO)]


def id_of(number):
    return f"{number:064x}"


def removal(engine, names=None, seconds=30, min_age=60):
    """The outcome as lists of numbers: removed, and left alone with the reasons."""
    deadline = Deadline(seconds)
    asked = Engine(engine.host, deadline)
    asked.begin()
    view = stale_removal.look(asked, deadline, min_age)
    chosen = stale_removal.choose(view, names)
    outcome = stale_removal.remove(asked, deadline, min_age, view, chosen)
    return [int(one["id"], 16) for one in outcome.removed], {
        int(one["id"], 16): one["why"] for one in outcome.left_alone
    }


def numbers(engine):
    return sorted(int(id_, 16) for id_ in engine.containers)


def test_seed_002():
    with MadeUpEngine(*seed_002()) as engine:
        assert removal(engine) == ([23], {})
        assert engine.removed == [(id_of(23), "exited")]
        assert numbers(engine) == [1, 15, 17, 24]
        assert removal(engine) == ([], {})
        assert len(engine.removed) == 1


def test_the_last_look_is_at_the_container_itself():
    with MadeUpEngine(*seed_002()) as engine:
        removal(engine)
    what = [request.replace(id_of(23), "23").replace(id_of(24), "24") for request in engine.requests]
    deleted = next(number for number, request in enumerate(what) if request.startswith("DELETE"))
    assert what[deleted - 5 : deleted - 2] == [
        "GET /v1.41/containers/json?all=1",
        "GET /v1.41/containers/24/json",
        "GET /v1.41/containers/23/json",
    ]
    assert what[deleted - 2 :] == [
        "GET /v1.41/containers/24/json",
        "GET /v1.41/containers/23/json",
        "DELETE /v1.41/containers/23?v=false&force=false&link=false",
        "GET /v1.41/containers/json?all=1",  # is it gone?
    ]


@pytest.mark.parametrize("state", ["exited", "running"])
def test_another_container_has_its_id_for_a_name(state):
    """An engine looks for a name where no container has the id (moby daemon/container.go GetContainer)."""
    with MadeUpEngine(*seed_002(), Made(99, id_of(23), state)) as engine:
        removed, left_alone = removal(engine)
        assert (removed, engine.removed) == ([], [])
        assert left_alone[23].startswith("another container has this id for its name")


def three_inverted():
    return [living(), dead(23, 5), dead(22, 9), dead(21, 5), made(17, "running", 0, "POD")]


def test_several_go_in_the_order_of_their_numbers():
    """22 was created last, so kubelet wants 23. Were 23 removed first, it would get it."""
    with MadeUpEngine(*three_inverted()) as engine:
        assert removal(engine) == ([21, 22, 23], {})
        assert numbers(engine) == [17, 24]


class TestChoice:
    @pytest.mark.parametrize(
        ("names", "removed"),
        [
            (None, [23]),
            ([], []),
            ([id_of(23)], [23]),
            ([name(23)], [23]),
            (["/" + name(23)], [23]),
            ([id_of(23), name(23), id_of(23)], [23]),
            ([id_of(99), name(22), "nobody", id_of(23)], [23]),
            ([id_of(99), "nobody", ""], []),
            (["{{ 1 }}", "a\nb", "../../x", "*"], []),
        ],
    )
    def test_what_is_named(self, names, removed):
        with MadeUpEngine(*seed_002()) as engine:
            assert removal(engine, names) == (removed, {})

    def test_what_was_not_found(self):
        with MadeUpEngine(*seed_002()) as engine:
            asked = Engine(engine.host, Deadline(30))
            asked.begin()
            view = stale_removal.look(asked, Deadline(30), 60)
        names = [name(23), "/" + name(24), id_of(15), id_of(99), name(22), id_of(23)[:12], ""]
        assert stale_removal.not_found(view, names) == names[3:]

    @pytest.mark.parametrize(
        ("names", "why"),
        [
            ([name(23), name(24)], f"names: {name(24)} must stay: it is running; kubelet overlooks it"),
            ([name(23), id_of(24)], f"names: {id_of(24)} must stay: it is running"),
            ([id_of(17)], f"names: {id_of(17)} must stay: it is running"),
            ([id_of(15)], f"names: {id_of(15)} must stay: the newest dead instance"),
            ([name(23) + "x"], f"names: {name(23)}x must stay: it is no container of Kubernetes"),
            ([id_of(23)[:12]], "names: 000000000000 is the beginning of an id: give the full one, or the name"),
            (["\x1b[2J" + name(24), name(24)], "must stay"),
        ],
    )
    def test_what_must_stay(self, names, why):
        with MadeUpEngine(*seed_002()) as engine:
            with pytest.raises(ChoiceError) as caught:
                removal(engine, names)
            assert str(caught.value).startswith(why) or why in str(caught.value)
            assert engine.removed == []

    @pytest.mark.parametrize(("named", "expected"), [([21], [21]), ([22, 21], [21, 22]), ([22, 21, 23], [21, 22, 23])])
    def test_some_of_several(self, named, expected):
        with MadeUpEngine(*three_inverted()) as engine:
            assert removal(engine, [id_of(number) for number in named]) == (expected, {})

    @pytest.mark.parametrize("named", [[22], [23], [23, 21], [23, 22]])
    def test_none_of_several_is_removed_before_its_turn(self, named):
        with MadeUpEngine(*three_inverted()) as engine:
            with pytest.raises(
                ChoiceError, match="could start a second kube-apiserver of kube-system/kube-apiserver-pi"
            ):
                removal(engine, [id_of(number) for number in named])
            assert engine.removed == []


def now():
    return time.time_ns()


def start(one):
    one.state, one.started, one.finished = "running", now(), None


def run_and_exit(one):
    one.started, one.finished = now(), now()


def setter(**fields):
    def change(one):
        for key, value in fields.items():
            setattr(one, key, value)

    return change


def vanish(engine, one):
    del engine.containers[one.id]


def replace(engine, one):
    """Another container with its name."""
    del engine.containers[one.id]
    add(Made(99, one.name, "running", one.labels, now(), now()))(engine, one)


def add(other):
    def put(engine, _one):
        engine.containers[other.id] = other

    return put


def on(change):
    return lambda _engine, one: change(one)


# What happens, to which container, how many requests before the removal it is seen at the latest, and what is said of it.
ACTIONS = {
    "it is started": (on(start), 23, 1, "it is running now"),
    "it runs and ends": (on(run_and_exit), 23, 1, "it has run, or was changed, in between"),
    "it is paused": (on(setter(state="paused")), 23, 1, "it is paused now"),
    "it restarts": (on(setter(state="restarting")), 23, 1, "it is restarting now"),
    "it is being removed": (on(setter(state="removing")), 23, 1, "it is removing now"),
    "it is in a state of the future": (on(setter(state="thinking")), 23, 1, "it is unknown now"),
    "it is dead": (on(setter(state="dead")), 23, 1, "it has run, or was changed, in between"),
    "it is renamed": (on(setter(name="foo")), 23, 1, "it was renamed"),
    "it gets the holder's name": (on(setter(name=name(24))), 23, 1, "it was renamed"),
    "it gets other labels": (on(setter(labels={})), 23, 1, "its labels changed"),
    "it gets another time": (on(setter(created=AGO - 1)), 23, 1, "its time of creation changed"),
    "somebody else removes it": (vanish, 23, 0, "it is gone: somebody else removed it"),
    "it is replaced": (replace, 23, 0, "it is gone: somebody else removed it"),
    "the living one is restarted": (on(start), 24, 2, "is not what it was: it has run, or was changed, in between"),
    "the living one is paused": (on(setter(state="paused")), 24, 2, "is not what it was: it is paused now"),
    "the living one ends": (
        on(setter(state="exited", finished=AGO)),
        24,
        2,
        "is not what it was: it has run, or was changed",
    ),
    "the living one is renamed": (on(setter(name="foo")), 24, 2, "is not what it was: it was renamed"),
    "the living one is removed": (vanish, 24, 2, "is not what it was: it is gone: somebody else removed it"),
    "the living one is replaced": (replace, 24, 2, "is not what it was: it is gone: somebody else removed it"),
    "a later one begins": (
        add(made(25, "running", 60)),
        23,
        5,
        "the conflict is over: kubelet, or somebody else, ended it",
    ),
    "a later one is there, dead": (
        add(made(25, "exited", 60)),
        23,
        5,
        "the conflict is over: kubelet, or somebody else, ended it",
    ),
    "an earlier one is in the way, too": (add(dead(22)), 23, 5, "the conflict is another one now: look again"),
}
# In seed 002: the list and four inspections before, the same of two containers and then these two once more, the removal, the list.
PLANNED_AT = 2 + 5
DELETE_AT = PLANNED_AT + 5
REQUESTS = DELETE_AT + 2


@pytest.mark.parametrize("moment", range(REQUESTS))
@pytest.mark.parametrize("what", sorted(ACTIONS))
def test_whatever_happens_whenever(what, moment):
    """The engine itself never removes a living one; of the rest what was seen in time is left alone, and nothing else ever goes."""
    action, number, last_seen, why = ACTIONS[what]
    subject = []

    def act(request_number, _request):
        if request_number == moment and subject[0].id in engine.containers:
            action(engine, subject[0])

    with MadeUpEngine(*seed_002(), before=act) as engine:
        subject.append(engine.containers[id_of(number)])
        bystanders = {1, 15, 17}
        removed, left_alone = removal(engine)
        assert set(removed) <= ({23} if moment >= PLANNED_AT else {22, 23})
        assert not [state for _id, state in engine.removed if state in ALIVE]
        assert bystanders <= set(numbers(engine))
        assert [int(id_, 16) for id_, _state in engine.removed] == removed
        if PLANNED_AT <= moment <= DELETE_AT - last_seen:
            assert removed == []
            assert why in left_alone[23]
            assert 23 in numbers(engine) or what in ("somebody else removes it", "it is replaced")
        if not removed and moment >= PLANNED_AT:
            assert list(left_alone) == [23]


def test_the_moments_are_what_they_are_taken_for():
    with MadeUpEngine(*seed_002()) as engine:
        removal(engine)
    assert len(engine.requests) == REQUESTS
    assert engine.requests[DELETE_AT].startswith("DELETE")


class TestSeveral:
    """21, 22 and 23 are to go, in this order."""

    @pytest.mark.parametrize(
        ("action", "number", "removed", "left_alone"),
        [
            (on(start), 21, [], {21: "HTTP status 409: You cannot remove a running", 22: TURN, 23: TURN}),
            (on(start), 22, [21], {22: "it is running now", 23: TURN}),
            (on(start), 23, [21], {22: "the conflict is another one now", 23: TURN}),
            (vanish, 21, [22, 23], {21: GONE}),
            (vanish, 22, [21, 23], {22: GONE}),
            # The name that kubelet wants is free then: what it does about that is not known.
            (vanish, 23, [21], {22: "the conflict is over", 23: TURN}),
            (replace, 23, [21], {22: "the conflict is over", 23: TURN}),
            (on(setter(state="exited")), 24, [21], {22: "it has run, or was changed, in between", 23: TURN}),
            (
                vanish,
                24,
                [21],
                {22: "the living one that kubelet was to adopt, is not what it was: it is gone", 23: TURN},
            ),
        ],
    )
    def test_something_happens_to_one_while_the_first_is_removed(self, action, number, removed, left_alone):
        done = []

        def act(_number, request):
            if not done and request.startswith("DELETE"):
                done.append(request)
                action(engine, engine.containers[id_of(number)])

        with MadeUpEngine(*three_inverted(), before=act) as engine:
            outcome = removal(engine)
            assert done
            assert [int(id_, 16) for id_, _state in engine.removed] == outcome[0] == removed
            assert outcome[1].keys() == left_alone.keys()
            assert not [key for key, why in left_alone.items() if why not in outcome[1][key]]


class InMemory:
    """As much of an Engine as look() uses, without a socket."""

    def __init__(self, containers):
        self._containers = {one.id: one for one in containers}

    def now_ns(self):
        return AGO

    def containers(self):
        return [one.listed() for one in self._containers.values()]

    def inspect(self, id_):
        return self._containers[id_].inspected()


# More of what makes a conflict than of what does not, or hardly anything would be removable.
STATES = (*("exited",) * 8, *("running",) * 4, "paused", "restarting", "created", "created", "dead", "removing", "odd")
SECONDS_AGO = (*range(100, 112), None, 61, 60, 59, 0, -1)
ODDITIES = " " * 12 + "nlu"
RANDOM = st.tuples(
    st.integers(20, 24),
    st.sampled_from(STATES),
    st.sampled_from(SECONDS_AGO),
    st.sampled_from(SECONDS_AGO),
    st.sampled_from(ODDITIES),
)


def random_container(number, attempt, state, created, finished, oddity):
    """With "n" its name is no name of Kubernetes, with "l" it has no labels, with "u" those of a pod whose uid begins alike."""
    one = made(attempt, state, 0)
    one.id = id_of(1000 + number)
    one.created = AGO - (100 if created is None else created) * SECOND
    one.finished = None if finished is None else AGO - finished * SECOND
    one.name = f"foo-{number}" if oddity == "n" else one.name
    one.labels = {} if oddity == "l" else one.labels
    if oddity == "u":
        one.name = one.name.replace(UID, UID + "0")
        one.labels["io.kubernetes.pod.uid"] = UID + "0"
    return one


def hides(front, behind):
    """Whether kubelet takes the front one for a later instance of the same container than the other, though its number is lower."""
    if front.labels.get("io.kubernetes.pod.uid") != behind.labels.get("io.kubernetes.pod.uid"):
        return False
    return attempt_of(front) < attempt_of(behind) and front.created >= behind.created


def attempt_of(one):
    return int(one.name.split("_")[5])


@given(st.lists(RANDOM, max_size=8))
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_never_removable(rows):
    """What lives, what kubelet does not know, what is too young, and what hides nobody and holds no name that is wanted."""
    containers = [random_container(number, *row) for number, row in enumerate(rows)]
    taken = {one.name: one for one in containers}  # names are unique
    view = stale_removal.look(InMemory(taken.values()), Deadline(30), 60)
    assert sorted(one["id"] for one in view.all()) == sorted(one.id for one in taken.values())
    own = [one for one in taken.values() if one.name.startswith("k8s_") and one.labels]
    for told in view.removable:
        one = taken[told["name"]]
        assert one in own
        assert one.state in ("exited", "created", "dead")
        # A time from the future is from before the clock was set back, and says nothing of an age.
        assert all(
            AGO - moment >= 60 * SECOND
            for moment in (one.created, one.finished)
            if moment is not None and moment <= AGO
        )
        if any(hides(one, other) and other.state in (*ALIVE, "odd") for other in own):
            continue
        # Otherwise it is no exited one, and has the very name that kubelet wants after one that hides it.
        assert one.state in ("created", "dead")
        assert any(hides(other, one) and attempt_of(other) + 1 == attempt_of(one) for other in own)


class Failing(MadeUpEngine):
    """Does as it likes when it is asked to remove something."""

    def __init__(self, *containers, how):
        super().__init__(*containers)
        self._how = how  # the answer to all but the first
        self.asked = 0

    def delete(self, container, options):
        self.asked += 1
        return super().delete(container, options) if self.asked == 1 else self._how


UNKNOWN = f"(whether {id_of(22)} was removed is not known)"


@pytest.mark.parametrize(
    ("how", "messages"),
    [
        (answer(500, {"message": "device or resource busy"}), ["HTTP status 500: device or resource busy", UNKNOWN]),
        (b"", ["closed the connection without an answer", UNKNOWN]),
        (b"garbage\r\n", ["does not speak HTTP", UNKNOWN]),
        (answer(200, Content_Length=5), ["closed the connection before the end of its answer", UNKNOWN]),
    ],
)
def test_an_engine_that_fails_half_way(how, messages):
    with Failing(*three_inverted(), how=how) as engine:
        with pytest.raises(RemovalError) as caught:
            removal(engine)
        assert engine.asked == 2
        assert not [message for message in messages if message not in str(caught.value)]
        assert [one["id"] for one in caught.value.outcome.removed] == [id_of(21)]


def test_an_engine_that_says_so_and_does_not():
    engine = Failing(*three_inverted(), how=answer(204, Content_Length=None))
    with engine, pytest.raises(RemovalError, match=f"said that it removed {id_of(22)}, and still lists it"):
        removal(engine, [id_of(21), id_of(22)])


def test_an_engine_that_hangs_when_it_is_to_remove():
    done = threading.Event()

    def wait(_number, request):
        if request.startswith("DELETE"):
            done.wait(600)

    with MadeUpEngine(*seed_002(), before=wait) as engine:
        started = time.monotonic()
        with pytest.raises(RemovalError, match=r"did not answer in full within 0\.3 s.*is not known"):
            removal(engine, seconds=0.3)
        assert time.monotonic() - started < 60
        done.set()
