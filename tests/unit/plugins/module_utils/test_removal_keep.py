# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""removal_keep: what a container was is on the disk before it is removed, or it stays; whenever a removal is killed, the next one knows."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import removal_keep, stale_removal, whole_file
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import Engine
from ansible_collections.kubenode.doctor.plugins.module_utils.removal_keep import KeepError
from ansible_collections.kubenode.doctor.plugins.module_utils.stale_removal import RemovalError
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_engine import (
    SECOND,
    Made,
    MadeUpEngine,
)

POD = "kube-apiserver-pi-master1"
UID = "1403dda53affdfee1130475a6d9609da"
AGO = time.time_ns() - 3600 * SECOND
LINES = [b"2021-03-12T03:48:55.984001Z %d: refused \xff\n" % number for number in range(5)]
REFUSED = "configured logging driver does not support reading"


# The request that asks what is to be kept: after two to begin with, the list and two inspections, and the same again.
KEPT_AT = 2 + 3 + 3


def made(number, state, created):
    labels = {
        "io.kubernetes.container.name": "kube-apiserver",
        "io.kubernetes.pod.name": POD,
        "io.kubernetes.pod.namespace": "kube-system",
        "io.kubernetes.pod.uid": UID,
    }
    name = f"k8s_kube-apiserver_{POD}_kube-system_{UID}_{number}"
    one = Made(number, name, state, labels, AGO + created * SECOND, finished=AGO + (created + 1) * SECOND, log=LINES)
    one.id = id_of(number)
    return one


def id_of(number):
    return f"{number:012x}" + "e" * 52


def inverted(*attempts):
    """The living 24, and dead ones that were created after it."""
    return [made(24, "running", 0), *(made(number, "exited", 5) for number in attempts)]


def removal(engine, keep):
    deadline = Deadline(30)
    asked = Engine(engine.host, deadline)
    asked.begin()
    view = stale_removal.look(asked, deadline, 60)
    return stale_removal.remove(asked, deadline, 60, view, stale_removal.choose(view, None), keep)


def numbers(engine):
    return sorted(int(id_[:12], 16) for id_ in engine.containers)


@pytest.fixture
def keep(tmp_path):
    return tmp_path / "kept"


def files(keep):
    return sorted(path.name for path in keep.iterdir())


def kept(keep, number):
    """What is kept of a container, as it was told."""
    name = f"removed-{id_of(number)[:12]}"
    told = json.loads((keep / f"{name}.inspect.json").read_text("utf-8"))
    return told, (keep / f"{name}.log").read_text("utf-8")


def test_what_it_was_is_there_when_it_is_gone(keep):
    dead = made(23, "exited", 5)
    with MadeUpEngine(made(24, "running", 0), dead) as engine:
        outcome = removal(engine, str(keep))
        assert numbers(engine) == [24]
    assert kept(keep, 23) == (dead.inspected(), b"".join(LINES).decode("utf-8", "backslashreplace"))
    (removed,) = outcome.removed
    assert removed["kept_in"] == str(keep / "removed-000000000017.inspect.json")
    assert removed["log_kept_in"] == str(keep / "removed-000000000017.log")
    assert removed["log_gap"] is None
    assert files(keep) == ["removed-000000000017.inspect.json", "removed-000000000017.log"]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (keep, *keep.iterdir())]
    assert modes == [0o700, 0o600, 0o600]


def test_it_is_kept_before_the_last_look(keep):
    with MadeUpEngine(*inverted(23)) as engine:
        removal(engine, str(keep))
    what = [request.replace(id_of(23), "23").replace(id_of(24), "24") for request in engine.requests]
    assert what[-6:] == [
        "GET /v1.41/containers/23/json",
        "GET /v1.41/containers/23/logs?stdout=1&stderr=1&timestamps=1&tail=10001",
        "GET /v1.41/containers/24/json",
        "GET /v1.41/containers/23/json",
        "DELETE /v1.41/containers/23?v=false&force=false&link=false",
        "GET /v1.41/containers/json?all=1",
    ]


def test_a_log_that_is_cut_says_so(keep, monkeypatch):
    monkeypatch.setattr(removal_keep, "ENTRIES", 2)
    with MadeUpEngine(*inverted(23)) as engine:
        (removed,) = removal(engine, str(keep)).removed
    assert removed["log_gap"] == "its beginning is not kept: only 2 lines, and 4 MiB, are"
    assert kept(keep, 23)[1].count("\n") == 2


@pytest.mark.parametrize("lines", [None, [b"\n" * (1 << 20 | 1)]])
def test_a_log_that_cannot_be_read_is_nobodys_to_lose(keep, lines):
    """An old one of that name is not taken for it."""
    keep.mkdir(mode=0o700)
    (keep / "removed-000000000017.log").write_text("old", encoding="utf-8")
    living, dead = inverted(23)
    dead.log = lines
    with MadeUpEngine(living, dead) as engine:
        (removed,) = removal(engine, str(keep)).removed
        assert numbers(engine) == [24]
    expected = f"/logs with HTTP status 501: {REFUSED}" if lines is None else "in a form that is not known"
    assert removed["log_gap"].endswith(expected)
    assert (removed["log_kept_in"], files(keep)) == (None, ["removed-000000000017.inspect.json"])


def test_an_engine_that_breaks_off_over_a_log_costs_no_container(keep):
    def break_off(_number, request):
        if "/logs" in request:
            raise OSError

    with MadeUpEngine(*inverted(23), before=break_off) as engine:
        with pytest.raises(RemovalError, match="closed the connection without an answer") as caught:
            removal(engine, str(keep))
        assert numbers(engine) == [23, 24]
    assert str(caught.value).endswith(f"({id_of(23)} was not removed: its log is to be kept before)")


def test_one_that_is_left_alone_leaves_nothing(keep):
    def start(_number, request):
        if request.startswith("DELETE"):
            engine.containers[id_of(23)].state = "running"

    with MadeUpEngine(*inverted(23), before=start) as engine:
        outcome = removal(engine, str(keep))
        assert [one["id"] for one in outcome.left_alone] == [id_of(23)]
    assert files(keep) == []


@pytest.mark.parametrize("moment", range(KEPT_AT, KEPT_AT + 5))
def test_one_that_somebody_else_removes_meanwhile(keep, moment):
    def vanish(number, _request):
        if number == moment:
            del engine.containers[id_of(23)]

    with MadeUpEngine(*inverted(23), before=vanish) as engine:
        outcome = removal(engine, str(keep))
    assert engine.requests[KEPT_AT] == f"GET /v1.41/containers/{id_of(23)}/json"
    assert [one["why"] for one in outcome.left_alone] == ["it is gone: somebody else removed it"]


@pytest.mark.parametrize("write", range(5))
def test_a_disk_that_is_full(keep, monkeypatch, write):
    """Of what cannot be kept nothing is removed, and nothing that was to be removed after it."""
    writes = []
    really = whole_file.write

    def write_file(path, pieces):
        writes.append(path)
        if len(writes) > write:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        really(path, pieces)

    monkeypatch.setattr(removal_keep.whole_file, "write", write_file)
    gone = [22, 23][: max(0, write - 1) // 2]
    with MadeUpEngine(*inverted(22, 23)) as engine:
        with pytest.raises(RemovalError, match="could not be written: No space left on device") as caught:
            removal(engine, str(keep))
        assert [int(id_[:12], 16) for id_, _state in engine.removed] == gone
        assert [int(one["id"][:12], 16) for one in caught.value.outcome.removed] == gone
        if write:
            first_left = 23 if gone else 22
            assert f"{id_of(first_left)} was not removed" in str(caught.value)
        monkeypatch.undo()
        ended = removal_keep.interrupted(str(keep), engine.containers)
        assert [int(one["id"][:12], 16) for one in ended if one["removed"]] == gone
        removal(engine, str(keep))
        assert numbers(engine) == [24]


def link(keep):
    keep.symlink_to(keep.parent / "elsewhere")


def link_to_a_folder(keep):
    (keep.parent / "elsewhere").mkdir(mode=0o700)
    link(keep)


def open_to_others(keep):
    keep.mkdir(mode=0o750)


def occupied(keep):
    keep.mkdir(mode=0o700)
    (keep / "removed-000000000017.inspect.json").mkdir()


def of_somebody_else(keep):
    keep.mkdir(mode=0o700)
    os.chown(keep, 12345, -1)


def below_what_others_write(keep):
    keep.parent.chmod(0o777)


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (link, "no folder, or a symbolic link, which is not followed"),
        (link_to_a_folder, "no folder, or a symbolic link, which is not followed"),
        (lambda keep: keep.write_text("", encoding="utf-8"), "no folder, or a symbolic link, which is not followed"),
        (open_to_others, "others may look into it: a folder of one's own with mode 0700 is expected"),
        (below_what_others_write, "others may put something else in its place"),
        (occupied, "could not be written: Is a directory"),
        (lambda keep: keep.parent.rmdir(), "No such file or directory"),
        pytest.param(
            of_somebody_else,
            "others may look into it",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away"),
        ),
    ],
)
def test_a_folder_that_is_not_safe_costs_no_container(tmp_path, prepare, why):
    keep = tmp_path / "above" / "kept"
    keep.parent.mkdir()
    prepare(keep)
    with MadeUpEngine(*inverted(23)) as engine:
        with pytest.raises(RemovalError) as caught:
            removal(engine, str(keep))
        assert numbers(engine) == [23, 24]
    assert why in str(caught.value)
    assert not list(tmp_path.glob("above/elsewhere/*"))


def test_a_link_in_the_place_of_a_file_is_replaced(keep, tmp_path):
    keep.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    for name in ("removal.json", "removed-000000000017.inspect.json", "removed-000000000017.log"):
        (keep / name).symlink_to(victim)
    with MadeUpEngine(*inverted(23)) as engine:
        removal(engine, str(keep))
    assert victim.read_text("utf-8") == "mine"
    assert not [path for path in keep.iterdir() if path.is_symlink()]


def test_two_at_a_time(keep):
    with removal_keep.opened(str(keep)) as first, MadeUpEngine(*inverted(23)) as engine:
        first.begin([id_of(23)])
        with pytest.raises(RemovalError, match="another run is at changing this node: wait for it, then run again"):
            removal(engine, str(keep))
        assert numbers(engine) == [23, 24]
        assert removal_keep.interrupted(str(keep), engine.containers) == []  # it goes on


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"at": "x", "ids": ["../../x"]}', '{"at": 5, "ids": []}', "[" * 100_000, "x" * (1 << 21)],
)
def test_a_note_that_no_removal_wrote(keep, content):
    keep.mkdir(mode=0o700)
    (keep / "removal.json").write_text(content, encoding="utf-8")
    with pytest.raises(KeepError, match=f"^{keep}/removal.json: "):
        removal_keep.interrupted(str(keep), [])


def test_nothing_was_interrupted(keep):
    assert removal_keep.interrupted(str(keep), []) == []
    keep.mkdir(mode=0o700)
    assert removal_keep.interrupted(str(keep), []) == []


# The requests of a removal of 22 and 23: two to begin with, the list and three inspections; for each the list, the inspections,
# one to keep it, its log, two more, the removal; the list.
REQUESTS = 2 + 4 + (4 + 5) + (3 + 5) + 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("moment", range(6, REQUESTS))
def test_killed_at_any_moment(keep, moment):
    """Each container is there as it was, or gone and kept; the next run says which, and ends it."""
    child = 0

    def kill(number, _request):
        if child and number == moment:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)

    with MadeUpEngine(*inverted(22, 23), before=kill) as engine:
        ready, go = os.pipe()
        child = os.fork()
        if not child:
            os.read(ready, 1)
            removal(engine, str(keep))
            os._exit(0)
        os.write(go, b"x")
        os.close(ready)
        os.close(go)
        while len(engine.requests) <= moment:
            time.sleep(0.001)
        child = 0
        Engine(engine.host, Deadline(30)).begin()  # one is served after the other: that request has had its effect
        there = numbers(engine)
        assert there in ([22, 23, 24], [23, 24], [24])
        for gone in {22, 23}.difference(there):
            told, log = kept(keep, gone)
            assert (told["Id"], log.count("\n")) == (id_of(gone), len(LINES))
        ended = removal_keep.interrupted(str(keep), engine.containers)
        assert {int(one["id"][:12], 16): one["removed"] for one in ended} in (
            {number: number not in there for number in (22, 23)},
            {} if there == [22, 23, 24] else None,  # before it was about to remove anything
        )
        assert all(one["kept_in"] for one in ended if one["removed"])
        removal(engine, str(keep))
        assert numbers(engine) == [24]
    assert [name for name in files(keep) if name == "removal.json"] == ([] if there != [24] else ["removal.json"])


def test_the_moments_are_what_they_are_taken_for(keep):
    with MadeUpEngine(*inverted(22, 23)) as engine:
        removal(engine, str(keep))
    assert len(engine.requests) == REQUESTS


def test_the_lock_is_that_of_node_fix(keep):
    keep.mkdir(mode=0o700)
    folder = os.open(keep, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(KeepError, match="another run is at changing this node"), removal_keep.opened(str(keep)):
            pass
    finally:
        os.close(folder)
