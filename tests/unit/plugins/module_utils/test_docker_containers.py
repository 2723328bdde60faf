# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docker_containers: whose containers they are, and when they were created, whatever an engine says."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.kubenode.doctor.plugins.module_utils import docker_containers
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import Engine, EngineError
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_engine import (
    SECOND,
    Made,
    MadeUpEngine,
)

UID = "1403dda53affdfee1130475a6d9609da"
OTHER_UID = "909a2aa1-bf6a-4a8c-a274-3180ea640fb1"
POD = "kube-apiserver-pi-master1"
CREATED = 1_615_519_743 * SECOND + 332_584_123  # 12 March 2021: seed 002's containers are ten days old on 22 March
SANDBOX_ID = f"{17:064x}"
NO_LIMIT = Deadline(1e6)


def labels(container="kube-apiserver", uid=UID, pod=POD, **more):
    return {
        "io.kubernetes.container.name": container,
        "io.kubernetes.pod.name": pod,
        "io.kubernetes.pod.namespace": "kube-system",
        "io.kubernetes.pod.uid": uid,
        **more,
    }


def made(number, name=None, **fields):
    """An attempt of kube-apiserver, by its number."""
    given = {"labels": labels(**{"io.kubernetes.sandbox.id": SANDBOX_ID}), "created": CREATED + number, **fields}
    return Made(number, name or f"k8s_kube-apiserver_{POD}_kube-system_{UID}_{number}", **given)


def sandbox(number, **fields):
    return Made(
        number, f"k8s_POD_{POD}_kube-system_{UID}_{number}", labels=labels("POD"), created=CREATED + number, **fields
    )


class Fake:
    """As much of an Engine as collect() uses; what is to be inspected may be a dictionary, None or an error."""

    def __init__(self, listed, inspected=None):
        self._listed = listed
        self._inspected = inspected or {}
        self.asked = []

    def now_ns(self):
        return CREATED

    def containers(self):
        return self._listed

    def inspect(self, id_):
        self.asked.append(id_)
        told = self._inspected.get(id_)
        if isinstance(told, Exception):
            raise told
        return told


def fake(*containers, **inspected):
    """An engine with these containers; ``inspected`` says what else is told of some, by "i" and their numbers."""
    told = {one.id: one.inspected() for one in containers}
    told.update({f"{int(number[1:]):064x}": answer for number, answer in inspected.items()})
    return Fake([one.listed() for one in containers], told)


def collected(engine, deadline=NO_LIMIT, **how):
    return docker_containers.collect(engine, deadline, **how)


def instances(listing):
    """``{number: instance}`` of all groups."""
    return {int(one["id"], 16): one for group in listing.groups for one in group["instances"]}


def test_seed_002():
    containers = [
        made(24, state="running", created=CREATED, started=CREATED + SECOND),
        made(23, created=CREATED + 5, started=CREATED + 6, finished=CREATED + 7),
        sandbox(17, state="running"),
        sandbox(15, finished=CREATED + 20),
        Made(1, "registry", state="running", created=CREATED),
    ]
    with MadeUpEngine(*containers) as made_up:
        engine = Engine(made_up.host, NO_LIMIT)
        engine.begin()
        listing = collected(engine)
    assert (listing.strangers, listing.missing) == ([], [])
    assert [one["name"] for one in listing.others] == ["registry"]
    sandboxes, apiserver = listing.groups
    assert [one["attempt"] for one in sandboxes["instances"]] == [17, 15]
    assert (sandboxes["container"], sandboxes["sandbox"]) == ("POD", True)
    assert {key: apiserver[key] for key in apiserver if key != "instances"} == {
        "runtime": "docker",
        "pod_uid": UID,
        "namespace": "kube-system",
        "pod": POD,
        "container": "kube-apiserver",
        "sandbox": False,
    }
    assert apiserver["instances"] == [
        {
            "id": f"{24:064x}",
            "name": f"k8s_kube-apiserver_{POD}_kube-system_{UID}_24",
            "attempt": 24,
            "suffix": None,
            "state": "running",
            "created_ns": CREATED,
            "started_ns": CREATED + SECOND,
            "finished_ns": None,
            "exit_code": None,
            "sandbox_id": SANDBOX_ID,
            "own": True,
            "image": "busybox:1",
        },
        {
            "id": f"{23:064x}",
            "name": f"k8s_kube-apiserver_{POD}_kube-system_{UID}_23",
            "attempt": 23,
            "suffix": None,
            "state": "exited",
            "created_ns": CREATED + 5,
            "started_ns": CREATED + 6,
            "finished_ns": CREATED + 7,
            "exit_code": 0,
            "sandbox_id": SANDBOX_ID,
            "own": True,
            "image": "busybox:1",
        },
    ]


@pytest.mark.parametrize(
    ("types", "own"),
    [
        (("container", "container"), [True, True]),
        (("podsandbox", "container"), [False, True]),
        (("container", None), [True, False]),  # the shim that gave the label lists only what has it
        ((None, None), [True, True]),  # of a kubelet that gave no such label
    ],
)
def test_kubelet_sees_what_has_the_label_of_its_type(types, own):
    typed = [{} if type_ is None else {"io.kubernetes.docker.type": type_} for type_ in types]
    listing = collected(fake(made(24, labels=labels(**typed[0])), made(23, labels=labels(**typed[1]))))
    assert [instances(listing)[number]["own"] for number in (24, 23)] == own


def test_only_one_instance_is_not_inspected():
    engine = fake(made(3), sandbox(17), Made(1, "registry"))
    listing = collected(engine)
    assert engine.asked == []
    assert instances(listing)[3]["created_ns"] == CREATED // SECOND * SECOND
    assert instances(listing)[3]["finished_ns"] is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, {}),
        ({"State": "RUNNING"}, {"state": "unknown"}),
        ({"State": "stopping"}, {"state": "unknown"}),  # podman's
        ({"State": None}, {"state": "unknown"}),
        ({"State": {}}, {"state": "unknown"}),
        ({"State": "dead"}, {"state": "dead"}),
        ({"Created": None}, {"created_ns": None}),
        ({"Created": "2021"}, {"created_ns": None}),
        ({"Created": True}, {"created_ns": None}),
        ({"Created": 1.5}, {"created_ns": None}),
        ({"Created": 10**400}, {"created_ns": None}),
        ({"Created": -1}, {"created_ns": -SECOND}),
        ({"Image": None}, {"image": None}),
        ({"Image": "a\x1b[2J" + "b" * 400}, {"image": "a?[2J" + "b" * 294 + "…"}),
        ({"HostConfig": None}, {}),
        ({"HostConfig": {"NetworkMode": 5}}, {}),
        ({"HostConfig": {"NetworkMode": "container:web"}}, {}),
        ({"HostConfig": {"NetworkMode": f"container:{SANDBOX_ID}"}}, {}),
        # Its label says one thing and its network another: which is its sandbox is not known.
        ({"HostConfig": {"NetworkMode": f"container:{5:064x}"}}, {"sandbox_id": None}),
        ({"Labels": labels()}, {"sandbox_id": None}),
        ({"Labels": labels(), "HostConfig": {"NetworkMode": f"container:{5:064x}"}}, {"sandbox_id": f"{5:064x}"}),
        ({"Labels": labels(**{"io.kubernetes.sandbox.id": "../x"})}, {"sandbox_id": None}),
        # A link has a name of its own, with a second "/".
        ({"Names": ["/web/db", f"/k8s_kube-apiserver_{POD}_kube-system_{UID}_3"]}, {}),
        # By its labels alone it is an instance, but kubelet's shims show it only what is named like one.
        ({"Names": []}, {"name": None, "attempt": None, "own": False}),
        ({"Names": None}, {"name": None, "attempt": None, "own": False}),
        ({"Names": [None, 5, "/web/db"]}, {"name": None, "attempt": None, "own": False}),
        ({"Names": ["/foo"]}, {"name": "foo", "attempt": None, "own": False}),
        ({"Names": ["/"]}, {"name": "''", "attempt": None, "own": False}),
        (
            {"Names": [f"/k8s_kube-apiserver_{POD}_kube-system_{UID}_3\n"]},
            {"name": f"'k8s_kube-apiserver_{POD}_kube-system_{UID}_3\\n'", "own": False, "attempt": None},
        ),
        ({"Names": ["/{{ 1 }}\x1b[2J\ud800"]}, {"name": "'{{ 1 }}\\x1b[2J\\ud800'", "attempt": None, "own": False}),
        ({"Labels": None}, {"own": False, "sandbox_id": None}),
        ({"Labels": []}, {"own": False, "sandbox_id": None}),
        ({"Labels": {"io.kubernetes.pod.uid": 5}}, {"own": False, "sandbox_id": None}),
    ],
)
def test_what_a_list_may_say(entry, expected):
    usual = instances(collected(fake(made(3))))[3]
    one = instances(collected(Fake([{**made(3).listed(), **entry}])))[3]
    assert {key: value for key, value in one.items() if value != usual[key]} == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"Created": "yesterday"}, {"created_ns": None}),
        ({"Created": None}, {"created_ns": None}),
        ({"Created": "2021-03-12T11:29:03+08:00"}, {"created_ns": 1_615_519_743 * SECOND}),
        ({"State": None}, {"state": "unknown", "exit_code": None}),
        ({"State": {"Status": "exited", "ExitCode": 137}}, {"exit_code": 137}),
        ({"State": {"Status": "exited", "ExitCode": "1"}}, {"exit_code": None}),
        ({"State": {"Status": "running", "ExitCode": 0}}, {"state": "running", "exit_code": None}),
        ({"State": {"Status": "created", "ExitCode": 128}}, {"state": "created", "exit_code": None}),
        # What is called dead and has a process is not dead.
        ({"State": {"Status": "exited", "Running": True}}, {"state": "unknown", "exit_code": None}),
        ({"State": {"Status": "exited", "Pid": 4711}}, {"state": "unknown", "exit_code": None}),
        ({"State": {"Status": "created", "Restarting": True}}, {"state": "unknown", "exit_code": None}),
        ({"State": {"Status": "dead", "Paused": True}}, {"state": "unknown", "exit_code": None}),
        (
            {"State": {"Status": "restarting", "Running": True, "Restarting": True}},
            {"state": "restarting", "exit_code": None},
        ),
        ({"State": {"Status": 5}}, {"state": "unknown", "exit_code": None}),
    ],
)
def test_what_an_inspection_may_say(told, expected):
    two = [made(3), made(4)]
    usual = instances(collected(fake(*two)))[3]
    one = instances(collected(fake(*two, i3={**two[0].inspected(), **told})))[3]
    assert {key: value for key, value in one.items() if value != usual[key]} == expected


class TestChangesBetweenListAndInspection:
    def test_what_is_gone_is_gone(self):
        listing = collected(fake(made(22), made(23), made(24), i23=None))
        assert sorted(instances(listing)) == [22, 24]
        assert instances(listing)[24]["created_ns"] == CREATED + 24
        assert listing.missing == []

    def test_all_are_gone(self):
        listing = collected(fake(made(23), made(24), i23=None, i24=None))
        assert listing.groups == []
        assert listing.missing == []

    @pytest.mark.parametrize(
        "change", [{"Name": "/foo"}, {"Name": None}, {"Config": None}, {"Config": {"Labels": labels(uid=OTHER_UID)}}]
    )
    def test_what_is_somebody_else_now(self, change):
        two = [made(23), made(24, state="running")]
        listing = collected(fake(*two, i24={**two[1].inspected(), **change}))
        assert sorted(instances(listing)) == [23]
        (stranger,) = listing.strangers
        assert stranger["id"] == two[1].id
        assert stranger["why"] == "its name or its labels changed while it was looked at"


class TestWhatIsNotInspected:
    """Then none of the instances has a time: the list's seconds are not compared with nanoseconds."""

    def test_for_an_error(self):
        listing = collected(fake(made(22), made(23), sandbox(16), sandbox(17), i22=EngineError("it broke", 500)))
        times = {number: one["created_ns"] for number, one in instances(listing).items()}
        assert times == {22: None, 23: None, 16: CREATED + 16, 17: CREATED + 17}
        why = "1 of 4 containers were not inspected, so when they were created is not known: it broke"
        assert listing.missing == [{"what": "containers", "why": why}]

    def test_for_want_of_time(self):
        listing = collected(fake(made(22), made(23)), Deadline(0))
        assert [one["created_ns"] for one in instances(listing).values()] == [None, None]
        why = "2 of 2 containers were not inspected, so when they were created is not known: there was no time for more"
        assert listing.missing == [{"what": "containers", "why": why}]

    def test_because_of_their_number(self):
        """What the clock may have put out of order comes first."""
        ordered = [sandbox(number, finished=1) for number in (15, 16)]
        for one in ordered:
            one.created = CREATED + int(one.id, 16) * SECOND
        engine = fake(*ordered, made(23, created=CREATED + SECOND), made(24, created=CREATED))
        listing = collected(engine, most_inspected=2)
        times = {number: one["created_ns"] for number, one in instances(listing).items()}
        assert times == {15: None, 16: None, 23: CREATED + SECOND, 24: CREATED}
        assert "2 of 4" in listing.missing[0]["why"]
        assert listing.missing[0]["why"].endswith("no more than 2 are inspected")

    def test_because_nobody_asked(self):
        engine = fake(made(23), made(24), sandbox(16), sandbox(17))
        listing = collected(engine, beside=frozenset({made(23).id}))
        assert [int(id_, 16) for id_ in engine.asked] == [23, 24]
        assert instances(listing)[17]["created_ns"] is None
        assert listing.missing == []


def test_a_list_that_cannot_be_had():
    class Broken(Fake):
        def containers(self):
            raise EngineError("no")

    with pytest.raises(EngineError, match="no"):
        collected(Broken([]))


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        (
            f"k8s_kube-apiserver_{POD}_kube-system_{UID}_3",
            labels(uid=OTHER_UID),
            "its name contradicts its label io.kubernetes.pod.uid",
        ),
        (
            f"k8s_kube-apiserver_{POD}_kube-system_{UID}_3",
            labels(uid=UID[:-1]),
            "its name contradicts its label io.kubernetes.pod.uid",
        ),
        ("web", {"io.kubernetes.pod.uid": UID}, "it has labels of Kubernetes, but not"),
        ("web", labels(pod="a\nb"), "what its label io.kubernetes.pod.name says is no name of Kubernetes"),
        ("web", labels(pod="a" * 65_536), "what its label io.kubernetes.pod.name says is no name of Kubernetes"),
        (
            "web",
            labels(pod="{{ lookup('pipe', 'id') }}"),
            "what its label io.kubernetes.pod.name says is no name of Kubernetes",
        ),
    ],
)
def test_strangers(name, given, why):
    listing = collected(fake(made(3, name=name, labels=given)))
    assert listing.groups == []
    (stranger,) = listing.strangers
    assert why in stranger["why"]


def test_two_pods_that_claim_one_uid():
    """kubelet asks by uid: it would take the instances of both for those of one container."""
    name = f"k8s_kube-apiserver_evil_kube-system_{UID}_25"
    listing = collected(fake(made(24, state="running"), made(25, name=name, labels=labels(pod="evil"))))
    assert listing.groups == []
    assert {one["why"] for one in listing.strangers} == {"containers with the uid of its pod name different pods"}


@pytest.mark.parametrize(
    ("state", "network", "expected"),
    [
        ("running", f"container:{SANDBOX_ID}", SANDBOX_ID),
        ("paused", f"container:{SANDBOX_ID}", SANDBOX_ID),
        ("removing", f"container:{SANDBOX_ID}", SANDBOX_ID),
        ("exited", f"container:{SANDBOX_ID}", None),
        ("running", "host", None),
    ],
)
def test_who_else_lives_in_a_sandbox(state, network, expected):
    listing = collected(fake(Made(1, "debug", state=state, network=network)))
    (other,) = listing.others
    assert other == {
        "runtime": "docker",
        "id": f"{1:064x}",
        "name": "debug",
        "state": state,
        "why": "it is no container of Kubernetes",
        "sandbox_id": expected,
    }


ODD = ("", "exited", f"container:{5:064x}", f"/k8s_a_b_c_{UID}_1", "a\nb", "\ud800", 0, -1, 1.5, 10**30, True, None)
VALUE = st.sampled_from(ODD)
ANYTHING = (
    VALUE | st.lists(VALUE, max_size=2) | st.dictionaries(st.sampled_from(["Status", "NetworkMode", "Labels"]), VALUE)
)
KEYS = ("Names", "Labels", "State", "Created", "Image", "HostConfig", "Name", "Config")
ENTRY = st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=3)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ENTRY, max_size=3), ENTRY)
def test_whatever_an_engine_says(entries, told):
    """Nothing makes it stumble, and what comes out can be sent to the controller."""
    name = f"/k8s_kube-apiserver_{POD}_kube-system_{UID}_3"
    listed = [
        {"Names": [name], "Labels": labels(), **entry, "Id": f"{number:064x}"} for number, entry in enumerate(entries)
    ]
    engine = Fake(listed, {one["Id"]: {"Name": name[1:], **told, "Id": one["Id"]} for one in listed})
    listing = collected(engine)
    shown = json.dumps([listing.groups, listing.strangers, listing.others, listing.missing])
    assert shown.encode("ascii")
    count = len(listing.strangers) + len(listing.others) + len(instances(listing))
    assert count == len(entries)
