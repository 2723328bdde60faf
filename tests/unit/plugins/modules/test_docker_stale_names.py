# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docker_stale_names: what the module makes of its options, and of engines that are none."""

from __future__ import annotations

import json
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.modules import docker_stale_names
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_engine import (
    PING,
    SECOND,
    VERSION,
    Made,
    MadeUpEngine,
    Scripted,
    answer,
    hang,
)

UID = "1403dda53affdfee1130475a6d9609da"
POD = "kube-apiserver-pi-master1"
NOT_KEPT = {"kept_in": None, "log_kept_in": None, "log_gap": None}
AGO = time.time_ns() - 3600 * SECOND


class ExitedError(Exception):
    pass


class Module:
    """As much of an AnsibleModule as main() uses."""

    params = None
    check_mode = False
    _diff = False

    def __init__(self, argument_spec, supports_check_mode):
        assert supports_check_mode
        defaults = {name: option.get("default") for name, option in argument_spec.items()}
        assert self.params.keys() <= defaults.keys()
        self.params = {**defaults, **self.params}

    def exit_json(self, **result):
        raise ExitedError(result)

    def fail_json(self, **result):
        raise ExitedError({"failed": True, **result})


@pytest.fixture
def ask(monkeypatch):
    """What the module says to these options."""

    def run(check_mode=False, diff=False, **params):
        monkeypatch.setattr(Module, "params", params)
        monkeypatch.setattr(Module, "check_mode", check_mode)
        monkeypatch.setattr(Module, "_diff", diff)
        monkeypatch.setattr(docker_stale_names, "AnsibleModule", Module)
        with pytest.raises(ExitedError) as caught:
            docker_stale_names.main()
        return caught.value.args[0]

    return run


def made(number, state, created, **fields):
    labels = {
        "io.kubernetes.container.name": "kube-apiserver",
        "io.kubernetes.pod.name": POD,
        "io.kubernetes.pod.namespace": "kube-system",
        "io.kubernetes.pod.uid": UID,
    }
    name = f"k8s_kube-apiserver_{POD}_kube-system_{UID}_{number}"
    return Made(number, name, state, labels, AGO + created * SECOND, **fields)


def seed_002():
    dead = made(23, "exited", 5, started=AGO + 6 * SECOND, finished=AGO + 7 * SECOND)
    return [made(24, "running", 0), dead, Made(1, "registry", "running", created=AGO)]


def lines(*numbers):
    names = {1: "registry", **{number: f"k8s_kube-apiserver_{POD}_kube-system_{UID}_{number}" for number in (23, 24)}}
    return "".join(sorted(f"{names[number]} 000000000000\n" for number in numbers))


def ids(told):
    return [int(one["id"], 16) for one in told]


def test_a_query_removes_nothing(ask):
    with MadeUpEngine(*seed_002()) as engine:
        told = ask(docker_host=engine.host, diff=True)
        assert engine.removed == []
    assert not told["changed"]
    assert "diff" not in told
    assert ids(told["removable"]) == [23]
    assert sorted(ids(told["kept"])) == [1, 24]
    assert told["removed"] == told["left_alone"] == told["missing"] == []
    assert told["complete"] is True
    assert told["engine"] == {"host": engine.host, "version": "20.10.24", "api_version": "1.41"}
    (conflict,) = told["conflicts"]
    assert conflict["holder"]["attempt"] == 24
    (group,) = told["groups"]
    assert [one["attempt"] for one in group["instances"]] == [24, 23]


def test_check_mode_shows_the_plan(ask):
    with MadeUpEngine(*seed_002()) as engine:
        told = ask(docker_host=engine.host, state="absent", check_mode=True, diff=True)
        assert engine.removed == []
    assert told["changed"]
    assert ids(told["removed"]) == [23]
    assert told["diff"] == {"before": lines(1, 23, 24), "after": lines(1, 24)}


def test_absent_removes_once(ask):
    with MadeUpEngine(*seed_002()) as engine:
        first = ask(docker_host=engine.host, state="absent", diff=True)
        second = ask(docker_host=engine.host, state="absent", diff=True)
        assert [int(id_, 16) for id_, _state in engine.removed] == [23]
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["removed"] == [{**one, **NOT_KEPT} for one in first["removable"]]
    assert first["diff"] == {"before": lines(1, 23, 24), "after": lines(1, 24)}
    assert second["diff"] == {"before": lines(1, 24), "after": lines(1, 24)}
    assert (second["removable"], second["removed"], second["left_alone"]) == ([], [], [])


@pytest.mark.parametrize("names", [[], ["k8s_gone"], ["7" * 64]])
def test_names_that_are_gone_change_nothing(ask, names):
    with MadeUpEngine(*seed_002()) as engine:
        told = ask(docker_host=engine.host, state="absent", names=names)
        assert engine.removed == []
    assert not told["changed"]
    assert ids(told["removable"]) == [23]


@pytest.mark.parametrize("check_mode", [False, True])
def test_names_that_must_stay_fail_it_first(ask, check_mode):
    with MadeUpEngine(*seed_002()) as engine:
        told = ask(docker_host=engine.host, state="absent", names=[f"{23:064x}", f"{24:064x}"], check_mode=check_mode)
        assert engine.removed == []
    assert told == {
        "failed": True,
        "msg": f"names: {24:064x} must stay: it is running; kubelet overlooks it, and removing it would stop a healthy program",
        "removed": [],
        "left_alone": [],
    }


def test_min_age(ask):
    with MadeUpEngine(*seed_002()) as engine:
        told = ask(docker_host=engine.host, state="absent", min_age=7200)
        assert engine.removed == []
    assert not told["changed"]
    assert "and at least 7200 s are asked for" in told["conflicts"][0]["why_not"]


def test_what_changed_meanwhile_is_left_alone(ask):
    def start(_number, request):
        if request.startswith("DELETE"):
            engine.containers[f"{23:064x}"].state = "running"

    with MadeUpEngine(*seed_002(), before=start) as engine:
        told = ask(docker_host=engine.host, state="absent")
        assert engine.removed == []
    assert (told["changed"], told["removed"]) == (False, [])
    assert ids(told["left_alone"]) == [23]
    assert "You cannot remove a running container" in told["left_alone"][0]["why"]


def test_an_engine_that_fails_after_a_removal(ask):
    """What was removed is told all the same."""

    def fail(_number, request):
        if engine.removed and "/containers/json" in request:
            raise OSError

    with MadeUpEngine(*seed_002(), before=fail) as engine:
        told = ask(docker_host=engine.host, state="absent")
    assert told["failed"]
    assert told["changed"]
    assert ids(told["removed"]) == [23]
    assert "closed the connection without an answer" in told["msg"]


def test_what_is_removed_is_kept(ask, tmp_path):
    keep = str(tmp_path / "kept")
    with MadeUpEngine(*seed_002()) as engine:
        planned = ask(docker_host=engine.host, state="absent", keep=keep, check_mode=True)
        assert not (tmp_path / "kept").exists()
        told = ask(docker_host=engine.host, state="absent", keep=keep)
    assert [{**one, **NOT_KEPT} for one in told["removed"]] == planned["removed"]
    (removed,) = told["removed"]
    assert removed["kept_in"] == f"{keep}/removed-000000000000.inspect.json"
    assert removed["log_kept_in"] == f"{keep}/removed-000000000000.log"
    assert (removed["log_gap"], told["interrupted"]) == (None, [])
    assert "secret" in (tmp_path / "kept" / "removed-000000000000.inspect.json").read_text("utf-8")
    assert "secret" not in json.dumps(told)


def test_what_cannot_be_kept_is_not_removed(ask, tmp_path):
    (tmp_path / "kept").write_text("no folder", encoding="utf-8")
    with MadeUpEngine(*seed_002()) as engine:
        told = ask(docker_host=engine.host, state="absent", keep=str(tmp_path / "kept"))
        assert engine.removed == []
    assert told == {
        "failed": True,
        "changed": False,
        "msg": f"keep: {tmp_path}/kept: no folder, or a symbolic link, which is not followed",
        "removed": [],
        "left_alone": [],
    }


@pytest.mark.parametrize("state", ["query", "absent"])
def test_an_interrupted_removal_is_told(ask, tmp_path, state):
    keep = tmp_path / "kept"
    keep.mkdir(mode=0o700)
    begun = {"schema": 1, "at": "2026-11-21T18:00:00+00:00", "ids": [f"{23:064x}", f"{9:064x}"]}
    (keep / "removal.json").write_text(json.dumps(begun), encoding="utf-8")
    with MadeUpEngine(*seed_002()) as engine:
        told = ask(docker_host=engine.host, state=state, keep=str(keep))
        again = ask(docker_host=engine.host, keep=str(keep))
    assert [(int(one["id"], 16), one["removed"]) for one in told["interrupted"]] == [(23, False), (9, True)]
    assert (told["complete"], [one["removed"] for one in again["interrupted"]]) == (
        True,
        [] if state == "absent" else [False, True],
    )


def test_whether_a_removal_was_interrupted_is_not_known(ask, tmp_path):
    (tmp_path / "removal.json").write_text("{", encoding="utf-8")
    tmp_path.chmod(0o700)
    with MadeUpEngine(*seed_002()) as engine:
        told = ask(docker_host=engine.host, keep=str(tmp_path))
    assert (told["complete"], told["interrupted"], ids(told["removable"])) == (False, [], [23])
    assert told["missing"] == [
        {
            "what": "keep",
            "why": f"whether a removal was interrupted is not known: {tmp_path}/removal.json: it is not what a removal writes",
        }
    ]


def test_what_could_not_be_inspected(ask):
    broken = answer(500, {"message": "no such file or directory"})
    listed = answer(200, [one.listed() for one in seed_002()])
    with Scripted(PING, VERSION, listed, broken, broken) as engine:
        told = ask(docker_host=engine.host, state="absent")
    assert (told["changed"], told["complete"], told["removable"], told["conflicts"]) == (False, False, [], [])
    assert "2 of 2 containers were not inspected" in told["missing"][0]["why"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"timeout": 0.0}, "timeout: 0: more than 0 and at most 600 expected"),
        ({"timeout": -1.0}, "timeout: -1: more than 0 and at most 600 expected"),
        ({"timeout": 601.0}, "timeout: 601: more than 0 and at most 600 expected"),
        ({"timeout": float("nan")}, "timeout: nan: more than 0 and at most 600 expected"),
        ({"min_age": -1.0}, "min_age: -1: 0 or more expected"),
        ({"min_age": float("nan")}, "min_age: nan: 0 or more expected"),
        ({"min_age": float("inf")}, "min_age: inf: 0 or more expected"),
        ({"names": []}, "names: only with state=absent"),
        ({"keep": "/"}, "keep: /: the absolute path of a folder is expected"),
        ({"keep": "kept"}, "keep: kept: the absolute path of a folder is expected"),
        ({"keep": "/var/lib/.."}, "keep: /var/lib/..: the absolute path of a folder is expected"),
        ({"docker_host": "ssh://a"}, "docker_host ssh://a: SSH is not supported"),
        ({"docker_host": "unix:///nowhere"}, "unix:///nowhere: no such socket: Docker Engine does not run here"),
    ],
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_it_refuses(ask, params, message, check_mode):
    told = ask(**{"docker_host": "unix:///nowhere", **params}, check_mode=check_mode)
    assert told["failed"]
    assert message in told["msg"]
    assert not told.keys() - {"failed", "msg", "removed", "left_alone"}
    assert not told.get("removed")


@pytest.mark.parametrize("state", ["query", "absent"])
def test_an_engine_that_hangs(ask, state):
    started = time.monotonic()
    with Scripted(PING, VERSION, hang) as engine:
        told = ask(docker_host=engine.host, timeout=0.3, state=state)
    assert "did not answer in full within 0.3 s" in told["msg"]
    assert time.monotonic() - started < 60  # the engine hangs for ever
