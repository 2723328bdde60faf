# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docker_stale_names with a real Docker Engine: seed 002, and everything that could make it remove a container that lives.

Each attack is one arrangement of containers, or one thing that happens at one moment of a removal; ``tried`` counts them.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import Engine
from ansible_collections.kubenode.doctor.plugins.modules import docker_stale_names
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import ad_hoc
from ansible_collections.kubenode.doctor.tests.support import docker_engine_node, remedy_commands
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import (
    DATA,
    IMAGE,
    LEAVE,
    SOCKET,
    STAY,
    EngineNode,
    Pod,
    container_labels,
    sandbox_labels,
)
from ansible_collections.kubenode.doctor.tests.support.stage import run
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_engine import (
    ALIVE,
    Listener,
    Made,
    MadeUpEngine,
    hang,
    request_of,
)

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, docker_engine_node.COMMANDS)),
    reason=f"a node with an engine needs root and {', '.join(docker_engine_node.COMMANDS)}",
)

APISERVER = Pod("kube-system", "kube-apiserver-pi-master1", "1403dda53affdfee1130475a6d9609da")
WEB = Pod("shop", "web-6d56c8448f-x7k2p", "0d8e6c1a-1f0b-4b2c-9e57-6a0b3d1f2c44")
NAME = "kube-apiserver"
MODULE = "docker_stale_names"
# Ends at once, and stays when somebody starts it again.
PHOENIX = ("sh", "-c", "if [ -e /again ]; then trap exit TERM; sleep infinity & wait; fi; echo >/again")
# A dead container that was started lives within this time.
START_SECONDS = 10


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with EngineNode("pi-master1", tmp_path_factory.mktemp("node")) as engine_node:
        yield engine_node


@pytest.fixture
def engine(node):
    """The node's engine, without a container before and after."""
    yield node
    sweep(node)


def sweep(node):
    for id_ in node.containers():
        node.engine("DELETE", f"/containers/{id_}?force=1&v=1")
    assert node.containers() == {}


def host(node):
    return f"unix://{node.path(SOCKET)}"


def ask(docker_host, check_mode=False, **params):
    """What the module answers, run in this process."""
    options = {
        "state": "absent",
        "docker_host": docker_host,
        "min_age": 0.0,
        "names": None,
        "keep": None,
        "timeout": 30.0,
        **params,
    }
    return docker_stale_names._run(options, check_mode)[0]


def names(told):
    return [one["name"] for one in told]


def living(node):
    return {id_ for id_, state in node.containers().items() if state in ALIVE}


def make(node, pod, attempt, state="exited", container=NAME, sandbox="5" * 64, **how):
    """An attempt at a container in a state; ``how`` are the name, the labels and the host_config, where they are special."""
    usual = sandbox_labels(pod) if container == "POD" else container_labels(pod, container, attempt, sandbox)
    id_ = node.create(
        how.get("name", pod.container_name(container, attempt)),
        how.get("labels", usual),
        STAY if state in ("running", "paused") else PHOENIX,
        how.get("host_config"),
    )
    if state in ("running", "paused", "exited"):
        node.run_container(id_, leave=state == "exited")
    if state == "paused":
        assert node.engine("POST", f"/containers/{id_}/pause")[0] == 204
    return id_


def restarting(node, pod, attempt):
    """One that ends again and again."""
    id_ = node.create(
        pod.container_name(NAME, attempt),
        container_labels(pod, NAME, attempt, "5" * 64),
        ("false",),
        {"RestartPolicy": {"Name": "always"}},
    )
    node.run_container(id_)
    # The engine waits 0.1 s before it starts it again, and twice as long each time (moby restartmanager).
    until(lambda: node.inspect(id_)["RestartCount"] >= 4 and node.containers()[id_] == "restarting")
    return id_


def until(condition):
    end = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def wanted_by_kubelet(node, pod, container):
    """The name of the next attempt, None when the latest lives: what kubelet does, from what the engine says."""
    found = []
    for id_ in node.containers():
        told = node.inspect(id_)
        labels = told["Config"]["Labels"]
        if (labels.get("io.kubernetes.pod.uid"), labels.get("io.kubernetes.container.name")) == (pod.uid, container):
            found.append((told["Created"], told["State"]["Running"], int(told["Name"].rpartition("_")[2])))
    _created, runs, attempt = max(found)
    return None if runs else pod.container_name(container, attempt + 1)


def create(node, name):
    return node.engine("POST", f"/containers/create?name={name}", {"Image": IMAGE, "Cmd": ["true"]})


class Scene(NamedTuple):
    """The ids of seed 002's containers, and of the others."""

    dead: str
    living: str
    others: set[str]


def seed_002(node):
    """24 was created before 23, as after a clock was set back; bystanders, some of them with names that look alike."""
    old = make(node, APISERVER, 15, "exited", "POD")
    sandbox = make(node, APISERVER, 17, "running", "POD")
    alive = make(node, APISERVER, 24, "running", sandbox=sandbox)
    volumes = {"Mounts": [{"Type": "volume", "Source": "kept", "Target": "/data"}]}
    dead = make(node, APISERVER, 23, "exited", sandbox=sandbox, host_config=volumes)
    others = {
        old,
        sandbox,
        node.create("registry"),
        node.create(APISERVER.container_name(NAME, 23) + "-backup", command=LEAVE),
        make(node, WEB, 0, "exited", "init"),
        *(make(node, WEB, attempt, "exited", "crashes") for attempt in (0, 1, 2)),
        make(node, WEB, 0, "running", "web"),
    }
    return Scene(dead, alive, others)


def test_seed_002(engine):
    scene = seed_002(engine)
    engine.age(3600)  # and the engine begins anew
    inventory = engine.inventory()
    taken = wanted_by_kubelet(engine, APISERVER, NAME)
    assert taken == APISERVER.container_name(NAME, 24)
    conflict = (
        f'Conflict. The container name "/{taken}" is already in use by container "{scene.living}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    assert create(engine, taken) == (409, {"message": conflict})

    _succeeded, told = ad_hoc(inventory, engine.name, MODULE, state="query")
    assert [one["id"] for one in told["removable"]] == [scene.dead]
    assert {one["id"] for one in told["kept"]} == {scene.living, *scene.others}
    (found,) = told["conflicts"]
    assert (found["kind"], found["wanted"], found["holder"]["id"]) == ("clock-inversion", taken, scene.living)
    assert engine.containers().keys() == {scene.dead, scene.living, *scene.others}

    lived = living(engine)
    succeeded, first = ad_hoc(inventory, engine.name, MODULE, state="absent")
    assert (succeeded, first["changed"], first["left_alone"]) == (True, True, [])
    assert [one["id"] for one in first["removed"]] == [scene.dead]
    assert engine.containers().keys() == {scene.living, *scene.others}
    assert living(engine) == lived
    assert engine.docker("volume", "ls", "--quiet").stdout == "kept\n"
    succeeded, second = ad_hoc(inventory, engine.name, MODULE, state="absent", names=[scene.dead])
    assert (succeeded, second["changed"], second["removed"], second["conflicts"]) == (True, False, [], [])

    assert wanted_by_kubelet(engine, APISERVER, NAME) is None  # it has adopted the living one
    assert create(engine, APISERVER.container_name(NAME, 23))[0] == 201
    assert engine.engine("POST", f"/containers/{scene.living}/kill")[0] == 204
    assert engine.engine("POST", f"/containers/{scene.living}/wait")[0] == 200
    assert create(engine, wanted_by_kubelet(engine, APISERVER, NAME))[0] == 201


KEEP = "/var/lib/kept"


def test_what_is_removed_is_kept_or_stays(engine):
    """The disk is full before the second one can be kept; when there is room, the next run goes on, and says what became of the first."""
    alive = make(engine, APISERVER, 24, "running")
    silent = {"LogConfig": {"Type": "none"}}
    dead = [make(engine, APISERVER, number, host_config=how) for number, how in ((21, None), (22, silent), (23, None))]
    told_of = engine.inspect(dead[0])
    inventory = engine.inventory()
    engine.run("mkdir", "--mode=700", KEEP)
    # The folder, the note of what is going to be removed, and two files of the first.
    engine.run("mount", "-t", "tmpfs", "-o", "nr_inodes=4,mode=700", "none", KEEP)
    succeeded, told = ad_hoc(inventory, engine.name, MODULE, state="absent", keep=KEEP, min_age=0)
    assert not succeeded
    assert told["msg"] == (
        f"keep: {KEEP}/removed-{dead[1][:12]}.inspect.json could not be written: No space left on device: "
        f"{dead[1]} was not removed, since what it was is to be kept before"
    )
    assert [one["id"] for one in told["removed"]] == dead[:1]
    assert engine.containers().keys() == {alive, *dead[1:]}
    kept = json.loads(engine.path(told["removed"][0]["kept_in"]).read_text("utf-8"))
    assert (kept["Id"], kept["Config"], kept["State"]) == (dead[0], told_of["Config"], told_of["State"])

    engine.run("mount", "-o", "remount,nr_inodes=100", KEEP)
    succeeded, told = ad_hoc(inventory, engine.name, MODULE, state="absent", keep=KEEP, min_age=0)
    assert succeeded
    assert [(one["id"], one["removed"]) for one in told["interrupted"]] == list(
        zip(dead, (True, False, False), strict=True)
    )
    assert [one["id"] for one in told["removed"]] == dead[1:]
    assert "configured logging driver does not support reading" in told["removed"][0]["log_gap"]
    assert [told["removed"][0]["log_kept_in"], told["removed"][1]["log_gap"]] == [None, None]
    assert living(engine) == {alive}
    engine.run("umount", KEEP)


def test_the_default_min_age_spares_what_has_just_ended(engine):
    scene = seed_002(engine)
    told = ask(host(engine), min_age=60.0)
    assert told["removed"] == []
    assert "old, and at least 60 s are asked for" in told["conflicts"][0]["why_not"]
    assert scene.dead in engine.containers()


def shape(value):
    """A document without its values, to compare what a made-up engine says with what a real one does."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return type(value).__name__


@pytest.mark.parametrize("state", ["running", "exited"])
def test_the_made_up_engine_speaks_as_a_real_one(engine, state):
    id_ = make(engine, WEB, 0, state)
    (listed,) = engine.engine("GET", "/containers/json?all=1")[1]
    inspected = engine.inspect(id_)
    made = Made(int(id_, 16), listed["Names"][0][1:], state, listed["Labels"])
    for real, fake in ((listed, made.listed()), (inspected, made.inspected())):
        assert real.keys() >= fake.keys()
        for key in fake.keys() - {"NetworkSettings", "Labels", "Mounts", "Config", "HostConfig", "State"}:
            assert type(real[key]) is type(fake[key]), key
        assert real["HostConfig"]["NetworkMode"] == fake["HostConfig"]["NetworkMode"]
    assert listed["State"] == made.listed()["State"]
    assert inspected["Config"]["Labels"] == made.inspected()["Config"]["Labels"]
    assert shape(made.inspected()["State"]).items() <= shape(inspected["State"]).items()
    with MadeUpEngine(made) as fake_engine:
        answers = [answer_of(path, f"/v1.41/containers/{id_}") for path in (fake_engine.path, engine.path(SOCKET))]
    if state == "running":
        assert answers[0] == answers[1]
        assert answers[0][0] == 409
    assert [status for status, _body in answers] == [409, 409] if state == "running" else [204, 204]


@pytest.mark.parametrize("terminal", [False, True])
def test_logs_are_read_as_a_real_engine_sends_them(engine, terminal):
    script = "echo one; echo two >&2; head -c 20000 /dev/zero | tr '\\0' x; echo; echo last"
    body = {"Image": IMAGE, "Cmd": ["sh", "-c", script], "Tty": terminal, "HostConfig": {"NetworkMode": "none"}}
    id_ = engine.engine("POST", "/containers/create?name=talks", body)[1]["Id"]
    engine.run_container(id_, leave=True)
    asked = Engine(host(engine), Deadline(30))
    asked.begin()
    content, cut = asked.log(id_, not terminal, 100, 1 << 20)
    assert not cut
    words = [line.partition(b" ") for line in content.splitlines()]
    assert sorted(word for _time, _space, word in words if b"x" not in word) == [b"last", b"one", b"two"]
    assert all(re.match(rb"20\d\d-\d\d-\d\dT.*Z$", time_of) for time_of, _space, _word in words)
    assert content.count(b"x") == 20000
    newest, cut = asked.log(id_, not terminal, 1, 1 << 20)
    assert cut
    # Which line is the newest is the engine's own choice: it copies the two streams at once.
    assert newest == content.splitlines(keepends=True)[-1]


def answer_of(path, target):
    """What an engine says to a DELETE as the module sends it."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.connect(str(path))
        query = "v=false&force=false&link=false"
        connection.sendall(f"DELETE {target}?{query} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        head, _separator, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body) if body else None


class TestNoEngine:
    """Clear words in bounded time, from a real node."""

    def complaint(self, inventory, name, **options):
        started = time.monotonic()
        succeeded, told = ad_hoc(inventory, name, MODULE, **options)
        assert not succeeded
        assert time.monotonic() - started < 30
        return told["msg"]

    def test_no_docker(self, node):
        said = self.complaint(node.inventory(), node.name, docker_host="unix:///run/nothing.sock")
        assert said.startswith("unix:///run/nothing.sock: no such socket: Docker Engine does not run here")

    def test_no_permission(self, node):
        inventory = node.inventory({"nobody": node.interpreter_for_nobody()})
        said = self.complaint(inventory, "nobody", state="query")
        assert said == (
            "unix:///var/run/docker.sock: permission denied: run it as root (become: true), or as a member of the socket's group"
        )

    @pytest.mark.parametrize(
        ("say", "expected"),
        [
            (hang, "did not answer in full within 0.5 s"),
            (lambda connection: connection.sendall(b"\x1b[2Jgarbage\r\n\r\n"), "does not speak HTTP"),
        ],
    )
    def test_something_else(self, node, say, expected):
        class Other(Listener):
            def serve(self, connection):
                request_of(connection)
                say(connection)

        with Other() as other:
            said = self.complaint(node.inventory(), node.name, docker_host=other.host, timeout=0.5)
        assert expected in said


class Attack(NamedTuple):
    """An arrangement of containers, and the numbers of the attempts at APISERVER's container that may go."""

    arrange: Callable[[Any], object]
    may_go: tuple[int, ...] = ()


def pair(**dead_or_living):
    """A living 24 and, created after it, a dead 23; ``dead`` and ``living`` are what is special about them."""

    def arrange(node):
        make(node, APISERVER, 24, **{"state": "running", **dead_or_living.get("living", {})})
        make(node, APISERVER, 23, **{"state": "exited", **dead_or_living.get("dead", {})})

    return arrange


def attempts(*wanted, container=NAME):
    """Attempts in the order of their creation, each with its state."""

    def arrange(node):
        for number, state in wanted:
            if state == "restarting":
                restarting(node, APISERVER, number)
            else:
                make(node, APISERVER, number, state, container)

    return arrange


def labelled(pod=APISERVER, attempt=24, **more):
    return {"labels": {**container_labels(pod, NAME, attempt, "5" * 64), **more}}


def both(**more):
    """Both say the same in their labels, and have names of their own."""
    return pair(living={**labelled(**more), "name": "living"}, dead={**labelled(attempt=23, **more), "name": "dead"})


def other_pod(uid):
    return Pod(APISERVER.namespace, APISERVER.name, uid)


def beside(first, second):
    def arrange(node):
        first(node)
        second(node)

    return arrange


def in_pod(pod, number, state):
    return lambda node: make(node, pod, number, state)


def sandboxes(inhabitant):
    """A living sandbox 17 and, created after it, a dead 16, which somebody may live in."""

    def arrange(node):
        make(node, APISERVER, 17, "running", "POD")
        dead = make(node, APISERVER, 16, "running", "POD")
        inhabitant(node, dead)
        node.engine("POST", f"/containers/{dead}/kill")
        node.engine("POST", f"/containers/{dead}/wait")

    return arrange


def named_like_an_id(node):
    """The engine takes a name for an id where no container has that id."""
    pair()(node)
    (dead,) = (id_ for id_, state in node.containers().items() if state == "exited")
    node.run_container(node.create(dead[:12]))
    node.run_container(node.create("f" * 64))


ATTACKS = {
    "nothing special: this is the one that goes": Attack(pair(), (23,)),
    "the living one is paused": Attack(pair(living={"state": "paused"}), (23,)),
    "the living one restarts": Attack(attempts((24, "restarting"), (23, "exited")), (23,)),
    "the dead one lives": Attack(attempts((24, "running"), (23, "running"))),
    "the dead one is paused": Attack(attempts((24, "running"), (23, "paused"))),
    "the dead one restarts": Attack(attempts((24, "running"), (23, "restarting"))),
    "both are dead": Attack(attempts((24, "exited"), (23, "exited"))),
    "in the right order": Attack(attempts((23, "exited"), (24, "running"))),
    "a crash loop": Attack(attempts((0, "exited"), (1, "exited"), (2, "exited"), (3, "exited"))),
    "a crash loop, backwards": Attack(attempts((3, "exited"), (2, "exited"), (1, "exited"), (0, "exited"))),
    "several are inverted": Attack(
        attempts((24, "running"), (21, "exited"), (22, "exited"), (23, "exited")), (21, 22, 23)
    ),
    "several are inverted, backwards": Attack(
        attempts((24, "running"), (23, "exited"), (22, "exited"), (21, "exited")), (21, 22, 23)
    ),
    "several are inverted, and one of them lives": Attack(
        attempts((24, "running"), (22, "running"), (23, "exited")), (23,)
    ),
    "a later one is dead": Attack(attempts((24, "running"), (23, "exited"), (25, "exited"))),
    "a later one lives": Attack(attempts((24, "running"), (23, "exited"), (25, "running"))),
    "the next but one lives": Attack(attempts((25, "running"), (23, "exited"))),
    "the name is that of one that was only created": Attack(attempts((24, "created"), (23, "exited")), (24,)),
    "the name is that of another pod than the labels": Attack(pair(living=labelled(WEB))),
    "the dead one has the labels of another pod": Attack(pair(dead=labelled(WEB, 23))),
    "the living one has no labels": Attack(pair(living={"labels": {}})),
    "the dead one has no labels": Attack(pair(dead={"labels": {}})),
    "neither has labels": Attack(pair(living={"labels": {}}, dead={"labels": {}})),
    "the living one has another name": Attack(pair(living={"name": "foo"})),
    "the dead one has another name": Attack(pair(dead={"name": "foo"})),
    "labels without names": Attack(both()),
    "half the labels": Attack(pair(living={"labels": {"io.kubernetes.pod.uid": APISERVER.uid}})),
    "the living one's labels say another attempt": Attack(pair(living=labelled(attempt=22))),
    "the dead one's labels say another attempt": Attack(pair(dead=labelled(attempt=25))),
    "the attempt is no number": Attack(
        pair(dead=labelled(**{"annotation.io.kubernetes.container.restartCount": "-1"}))
    ),
    "the living one is a second try": Attack(pair(living={"name": APISERVER.container_name(NAME, 24) + "_1a2b3c4d"})),
    "the dead one is a second try": Attack(
        pair(dead={"name": APISERVER.container_name(NAME, 23) + "_1a2b3c4d"}), (23,)
    ),
    "the uid of one is the beginning of the other's": Attack(
        beside(in_pod(other_pod(APISERVER.uid + "0"), 24, "running"), in_pod(APISERVER, 23, "exited"))
    ),
    "the uids differ in case": Attack(
        beside(in_pod(other_pod(APISERVER.uid.upper()), 24, "running"), in_pod(APISERVER, 23, "exited"))
    ),
    "another pod has the same uid": Attack(
        beside(in_pod(Pod("evil", "evil", APISERVER.uid), 24, "running"), in_pod(APISERVER, 23, "exited"))
    ),
    "a third pod has the same uid": Attack(beside(pair(), in_pod(Pod("evil", "evil", APISERVER.uid), 25, "running"))),
    "nobody lives in the dead sandbox": Attack(sandboxes(lambda _node, _dead: None), (16,)),
    "a container says that it lives in the dead sandbox": Attack(
        sandboxes(lambda node, dead: make(node, APISERVER, 3, "running", sandbox=dead))
    ),
    "a container does not say where it lives": Attack(
        sandboxes(lambda node, _dead: make(node, APISERVER, 3, "running", sandbox=""))
    ),
    "a container of no Kubernetes is in the network of the dead sandbox": Attack(
        sandboxes(
            lambda node, dead: node.run_container(
                node.create("debug", None, STAY, {"NetworkMode": f"container:{dead}"})
            )
        )
    ),
    "a container says one sandbox and is in the network of the dead one": Attack(
        sandboxes(
            lambda node, dead: make(node, APISERVER, 3, "running", host_config={"NetworkMode": f"container:{dead}"})
        )
    ),
    "names that are parts of ids": Attack(named_like_an_id, (23,)),
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_nothing_living_goes_whatever_the_containers_are(engine, tried, attack):
    arrange, may_go = ATTACKS[attack]
    arrange(engine)
    before = engine.containers()
    allowed = [APISERVER.container_name(kind, number) for number in may_go for kind in (NAME, "POD")]
    told = ask(host(engine))
    tried.append(attack)
    assert told["changed"] == bool(may_go)
    assert [name.partition("_1a2b3c4d")[0] for name in names(told["removed"])] == [
        name for name in allowed if name in {name.partition("_1a2b3c4d")[0] for name in names(told["removed"])}
    ]
    assert len(told["removed"]) == len(may_go)
    assert told["left_alone"] == []
    after = engine.containers()
    assert before.keys() - after.keys() == {one["id"] for one in told["removed"]}
    assert not [id_ for id_ in before.keys() - after.keys() if before[id_] in ALIVE]
    assert not ask(host(engine))["changed"]


HOSTILE = (
    "a\nkube-apiserver",
    "{{ lookup('pipe', 'touch /tmp/owned') }}",
    "$(reboot); `reboot`; rm -rf / #",
    "\x1b]0;owned\x07\x1b[2J",
    "../../../containers/json?force=1",
    "\u202etxt.exe",
    "a" * 65_536,
)


@pytest.mark.parametrize(
    ("label", "named", "goes"),
    [
        ("io.kubernetes.pod.name", True, False),
        ("io.kubernetes.pod.name", False, False),
        ("io.kubernetes.pod.uid", False, False),
        ("annotation.io.kubernetes.container.restartCount", True, False),
        ("io.kubernetes.sandbox.id", True, True),  # what is no id is passed over
    ],
)
def test_nothing_living_goes_for_hostile_labels(engine, tried, label, named, goes):
    alive, dead = set(), set()
    for number, text in enumerate(HOSTILE):
        pod = Pod("shop", f"web-{number}", f"{number}" * 32)
        for attempt, state, ids in ((24, "running", alive), (23, "created", dead)):
            labels = {**container_labels(pod, NAME, attempt, "5" * 64), label: text}
            own_name = pod.container_name(NAME, attempt) if named else f"web-{number}-{attempt}"
            ids.add(make(engine, pod, attempt, state, labels=labels, name=own_name))
        tried.append((label, text))
    told = ask(host(engine))
    assert {one["id"] for one in told["removed"]} == (dead if goes else set())
    assert living(engine) == alive
    shown = json.dumps([told["groups"], told["kept"], told["conflicts"], told["removed"]])
    assert not [text for text in HOSTILE if json.dumps(text)[1:-1] in shown]


def test_nothing_goes_that_has_an_id_for_a_name(engine, tried):
    """Were the dead one gone, the engine would take its id for the name of the other."""
    pair()(engine)
    (dead,) = engine.containers().keys() - living(engine)
    other = engine.create(dead)
    told = ask(host(engine))
    tried.append("an id for a name")
    assert told["removed"] == []
    assert "another container has this id for its name" in told["left_alone"][0]["why"]
    vanish(engine, dead)
    assert engine.inspect(dead)["Id"] == other


class Proxy(Listener):
    """Stands before an engine, and calls ``before`` with the number of each request, from 0, and its first line."""

    def __init__(self, engine, before=lambda _number, _request: None):
        super().__init__()
        self._engine = engine
        self._before = before
        self.requests = []

    def serve(self, connection):
        request = request_of(connection)
        self._before(len(self.requests), request)
        self.requests.append(request)
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as real:
            real.connect(str(self._engine.path(SOCKET)))
            real.sendall(f"{request} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n".encode())
            while data := real.recv(65536):
                connection.sendall(data)


def post(action):
    """Send a request to the engine about the container; it has to succeed."""

    def act(node, id_):
        assert node.engine("POST", f"/containers/{id_}/{action}")[0] in (200, 204)

    return act


def then(*actions):
    def act(node, id_):
        for action in actions:
            action(node, id_)

    return act


def vanish(node, id_):
    assert node.engine("DELETE", f"/containers/{id_}?force=1")[0] == 204


def replace(node, id_):
    """Another container, with the same name and labels, that lives."""
    told = node.inspect(id_)
    vanish(node, id_)
    node.run_container(node.create(told["Name"][1:], told["Config"]["Labels"]))


def usurp(node, id_):
    """Another container, that lives, with this one's id for a name."""
    vanish(node, id_)
    node.run_container(node.create(id_))


def next_one(node, _id):
    make(node, APISERVER, 25, "running")


# What happens, to which attempt, and whether it is seen before the last look at 24 (2), at 23 (1), or only in the list (0).
RACES = {
    "it is started": (post("start"), 23, 1),
    "it is started and paused": (then(post("start"), post("pause")), 23, 1),
    "it is started and killed": (then(post("start"), post("kill"), post("wait")), 23, 1),
    "it is renamed": (post("rename?name=foo"), 23, 1),
    "it is renamed and started": (then(post("rename?name=foo"), post("start")), 23, 1),
    "somebody else removes it": (vanish, 23, 1),
    "it is replaced": (replace, 23, 1),
    "one that lives takes its id for a name": (usurp, 23, 1),
    "the living one is restarted": (post("restart?t=0"), 24, 2),
    "the living one is paused": (post("pause"), 24, 2),
    "the living one is killed": (then(post("kill"), post("wait")), 24, 2),
    "the living one is renamed": (post("rename?name=foo"), 24, 2),
    "the living one is removed": (vanish, 24, 2),
    "the living one is replaced": (replace, 24, 2),
    "the next one is started": (next_one, 23, 5),
}
# Of the requests of a removal: those of the plan, the list, 24 and 23, again 24 and 23, the removal.
PLAN = 5
# Between any other two requests: test_stale_removal.py, with a made-up engine.
MOMENTS = {"before the last look": PLAN + 4, "before the removal": PLAN + 5}


@pytest.mark.parametrize("moment", sorted(MOMENTS))
@pytest.mark.parametrize("race", sorted(RACES))
def test_nothing_living_goes_whatever_happens_meanwhile(engine, tried, race, moment):
    action, number, seen = RACES[race]
    ids = {24: make(engine, APISERVER, 24, "running"), 23: make(engine, APISERVER, 23)}
    alive = []

    def act(request_number, _request):
        if request_number == MOMENTS[moment]:
            action(engine, ids[number])
            alive.append(living(engine))

    # An engine that answers for another container than it was asked about is none, which is an error.
    with Proxy(engine, act) as proxy, contextlib.suppress(docker_stale_names.stale_removal.RemovalError):
        told = ask(proxy.host)
        assert {one["id"] for one in told["removed"]} <= {ids[23]}
        if MOMENTS[moment] <= PLAN + 5 - seen:
            assert told["removed"] == []
            assert [one["id"] for one in told["left_alone"]] == [ids[23]]
    tried.append((race, moment))
    assert alive == [living(engine)]
    deleted = [request for request in proxy.requests if request.startswith("DELETE")]
    assert deleted in ([], [f"DELETE /v1.41/containers/{ids[23]}?v=false&force=false&link=false"])


def test_the_moments_are_what_they_are_taken_for(engine):
    ids = {24: make(engine, APISERVER, 24, "running"), 23: make(engine, APISERVER, 23)}
    with Proxy(engine) as proxy:
        assert names(ask(proxy.host)["removed"]) == [APISERVER.container_name(NAME, 23)]
    assert proxy.requests[PLAN] == "GET /v1.41/containers/json?all=1"
    inspected = {f"GET /v1.41/containers/{id_}/json" for id_ in ids.values()}
    assert set(proxy.requests[PLAN + 1 : PLAN + 3]) == inspected
    assert proxy.requests[PLAN + 3 : PLAN + 6] == [
        f"GET /v1.41/containers/{ids[24]}/json",
        f"GET /v1.41/containers/{ids[23]}/json",
        f"DELETE /v1.41/containers/{ids[23]}?v=false&force=false&link=false",
    ]


def test_created_at_the_very_same_time(engine, tried):
    """A clock that stands still, or an engine that counts in seconds: kubelet may take either for the latest."""
    alive = make(engine, APISERVER, 24, "running")
    dead = make(engine, APISERVER, 23)
    engine._daemon.stop()
    for id_ in (alive, dead):
        path = engine.path(f"{DATA}/containers/{id_}/config.v2.json")
        document = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps({**document, "Created": "2021-03-12T03:29:03.5Z"}), encoding="utf-8")
    engine._daemon.start()
    told = ask(host(engine))
    tried.append("ties")
    assert [one["id"] for one in told["removed"]] == [dead]
    assert living(engine) == {alive}


EXAMPLE = "000000000023" + 52 * "a"  # the dead container of remedy_commands


def test_the_commands_of_cures(engine, tmp_path):
    """As tests/support/remedy_commands.py has them, but for the ids of container and pod, and for the folder that they write to."""
    dead, alive = make(engine, WEB, 23), make(engine, WEB, 24, "running")
    others = {
        EXAMPLE: dead,
        EXAMPLE[:12]: dead[:12],
        "909a2aa1-bf6a-4a8c-a274-3180ea640fb1": WEB.uid,
        "/root/": f"{tmp_path}/",
    }

    def said(command):
        assert command in known
        known.remove(command)
        for word, other in others.items():
            command = command.replace(word, other)
        return run("env", f"DOCKER_HOST={host(engine)}", "sh", "-c", command).stdout

    known = set(remedy_commands.examples("docker"))
    assert "Live Restore Enabled: true" in said("docker info")
    listed = said(
        "docker ps --all --no-trunc --filter label=io.kubernetes.pod.uid=909a2aa1-bf6a-4a8c-a274-3180ea640fb1"
    )
    assert dead in listed
    assert alive in listed
    assert json.loads(said(f"docker inspect {EXAMPLE}"))[0]["Id"] == dead
    said(f"docker inspect {EXAMPLE} > /root/{EXAMPLE[:12]}.json")
    assert json.loads((tmp_path / f"{dead[:12]}.json").read_text("utf-8"))[0]["Id"] == dead
    said(f"docker logs --tail 50 {EXAMPLE}")
    said(f"docker logs {EXAMPLE} > /root/{EXAMPLE[:12]}.log 2>&1")
    assert (tmp_path / f"{dead[:12]}.log").exists()
    said(f"docker rename {EXAMPLE} kept-{EXAMPLE[:12]}")
    assert engine.inspect(dead)["Name"] == f"/kept-{dead[:12]}"
    said(f"docker rm {EXAMPLE}")
    assert engine.containers().keys() == {alive}
    assert living(engine) == {alive}
    assert not known


def oracle(node, told):
    """Whether a removed container was one that hides a living one, by what the engine had said of all before."""
    labels = told["Config"]["Labels"]
    assert told["State"]["Status"] in ("exited", "created", "dead")
    assert told["Name"].startswith("/k8s_")
    return [
        other
        for other in node
        if all(other["Config"]["Labels"].get(key) == labels[key] for key in WEB.labels(NAME))
        and other["State"]["Status"] in ALIVE
        and other["Created"] <= told["Created"]
        and attempt_of(other) > attempt_of(told)
    ]


def attempt_of(told):
    return int(told["Name"].split("_")[5])


@pytest.mark.parametrize("seed", [2, 23, 2379])
def test_random_pods(engine, tried, seed):
    """Whatever comes together: what goes is dead, and hides a living one with a higher number; no other container changes."""
    dice = random.Random(seed)  # noqa: S311
    for number in range(6):
        pod = Pod("shop", f"web-{number}", f"{number}" * 32)
        for attempt in dice.sample(range(4), dice.randint(2, 4)):
            state = dice.choice(("exited", "exited", "exited", "running", "running", "paused", "created"))
            special = dice.choice(({}, {}, {}, {}, {"labels": {}}, {"name": f"foo-{number}-{attempt}"}))
            make(engine, pod, attempt, state, **special)
    before = [engine.inspect(id_) for id_ in engine.containers()]
    alive = living(engine)
    told = ask(host(engine))
    tried.extend(before)
    gone = {one["id"] for one in told["removed"]}
    assert gone == {one["Id"] for one in before} - engine.containers().keys()
    assert living(engine) == alive
    assert told["left_alone"] == []
    never_ran = {
        conflict["remove"][0]
        for conflict in told["conflicts"]
        if conflict["kind"] == "dead-holder" and conflict["remove"]
    }
    for one in before:
        if one["Id"] in never_ran:
            assert one["State"]["Status"] == "created"
        elif one["Id"] in gone:
            assert oracle(before, one)
    assert not ask(host(engine))["changed"]


@pytest.fixture(scope="module")
def tried(pytestconfig):
    """What was tried; how much that was is told in the end."""
    attempts_made = []
    yield attempts_made
    told = f"{len(attempts_made)} ways to make docker_stale_names remove a living container were tried"
    plugins = pytestconfig.pluginmanager
    with plugins.get_plugin("capturemanager").global_and_fixture_disabled():
        plugins.get_plugin("terminalreporter").write_line(f"\n{told}")
