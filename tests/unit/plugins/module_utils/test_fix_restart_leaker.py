# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restart-leaker: an API server of a static pod that leaks connections to kubelets (seed 003), a unit that does, and all that may be otherwise."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_restart_leaker as fix
from ansible_collections.kubenode.doctor.plugins.module_utils import rights, tcp_reader
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Restart, Terminate
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import DONE, NEEDED, STOPPED
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_now import Owner
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_machine import CLOSE_WAIT, Machine

UID = "1403dda53affdfee1130475a6d9609da"  # of seed 002's API server
POD = f"/kubepods/burstable/pod{UID}"
API = Owner("kube-apiserver", None, UID)
AGENT = Owner("agent", "agent.service", None)
ANYWHERE = "0.0.0.0"


@pytest.fixture
def machine(node, monkeypatch):
    """A master whose API server, process 700, holds 20 closed connections to kubelets, as agent.service does to a database."""
    monkeypatch.setattr(tcp_reader, "BACKENDS", ("procfs",))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    made = Machine(node)
    made.process(600, "containerd-shim", "/system.slice/containerd.service")
    made.process(700, "kube-apiserver", f"{POD}/{'c' * 64}", parent=600)
    made.socket(1, 700, ANYWHERE, 6443)
    (node.root / f"var/log/pods/kube-system_kube-apiserver-m1_{UID}").mkdir(parents=True)
    made.service("agent.service", 800, "agent")
    made.socket(2, 800, ANYWHERE, 9000)
    made.leak(700, 20, 10250)
    made.leak(800, 20, 5432, first=6000)
    return made


def api(count=20):
    return fix.target(API, 10250, False, count)


def agent(count=20, port=5432, came_in=False):
    return fix.target(AGENT, port, came_in, count)


def planned(machine, *targets):
    return fix.plan(targets, {}, machine.places, machine.deadline)


def verified(plan):
    return plan.verify(Deadline(0))


def test_a_static_pods_process_is_ended(machine):
    plan = planned(machine, api())
    assert (plan.state, plan.steps) == (NEEDED, (Terminate(700, 100, "kube-apiserver"),))
    assert plan.told[0].startswith(
        "end kube-apiserver (pid 700) of the static pod kube-system/kube-apiserver-m1 by SIGTERM"
    )
    assert "with a single one the API is away until it is back" in plan.told[1]
    assert f"this frees 20 connections in CLOSE-WAIT of kube-apiserver of the pod {UID} to port 10250" in plan.told
    assert plan.undo[0].startswith("connections that were cut do not come back")


def test_a_unit_is_restarted(machine):
    plan = planned(machine, agent())
    assert (plan.state, plan.steps) == (NEEDED, (Restart("agent.service"),))
    assert plan.told[:2] == (
        "restart agent.service, in which agent runs",
        "all of its connections are cut while it restarts",
    )


def test_units_that_go_with_it_are_told(machine):
    machine.unit("agent.service", 800, RequiredBy="front.service")
    machine.unit("front.service")
    assert "systemd restarts with it, because they depend on it: front.service" in planned(machine, agent()).told


def test_several_targets(machine):
    plan = planned(machine, api(), agent(), agent(), agent(40))
    assert plan.steps == (Terminate(700, 100, "kube-apiserver"), Restart("agent.service"))


def restart(machine, pid=701, port=6443, container="d", leak=0):
    """What kubelet does: another container of the same pod."""
    machine.close(1, *range(5000, 5020))
    machine.process(700, "gone", "/")
    machine.process(pid, "kube-apiserver", f"{POD}/{container * 64}", parent=600, started=900)
    machine.socket(11, pid, ANYWHERE, port)
    machine.leak(pid, leak, 10250, first=7000)


def test_it_is_back(machine):
    plan = planned(machine, api())
    restart(machine)
    assert verified(plan) == ""
    again = planned(machine, api())
    assert again.state == DONE
    assert "holds 0 closed connections of the 20 that were seen" in again.why


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"port": 6444}, f"kube-apiserver of the pod {UID} does not listen again on 0.0.0.0:6443"),
        ({"leak": 10}, "holds 10 closed connections again, as many as before"),
        ({"leak": 9}, ""),
    ],
)
def test_it_did_not_help(machine, fields, why):
    plan = planned(machine, api())
    restart(machine, **fields)
    assert why in verified(plan)
    assert bool(verified(plan)) is bool(why)


def test_it_was_not_restarted(machine):
    assert "still runs as the same process as before" in verified(planned(machine, api()))


@pytest.mark.parametrize(("left", "state"), [(10, NEEDED), (9, DONE), (0, DONE)])
def test_who_closes_late_does_not_leak(machine, left, state):
    machine.close(*range(5000 + left, 5020))
    plan = planned(machine, api())
    assert plan.state == state
    assert state == NEEDED or f"holds {left} closed connections of the 20 that were seen" in plan.why


def test_what_is_not_theirs_does_not_count(machine):
    machine.close(*range(5005, 5020))
    machine.leak(800, 20, 10250, first=8000)  # another program's, to the same port
    machine.process(750, "kube-apiserver", "/user.slice")  # of the name, and in no pod
    machine.leak(750, 20, 10250, first=8100)
    for number in range(20):  # its own, that came in on a port of its own
        machine.socket(8200 + number, 700, "192.0.2.2", 6443, CLOSE_WAIT, ("192.0.2.3", 10250))
    assert planned(machine, api()).state == DONE


def test_connections_that_came_in(machine):
    for number in range(20):
        machine.socket(8000 + number, 800, "192.0.2.2", 9000, CLOSE_WAIT, ("192.0.2.3", 50000 + number))
    assert planned(machine, agent(20, 9000, True)).steps == (Restart("agent.service"),)
    assert planned(machine, agent(20, 9001, True)).state == DONE


def test_connections_that_nobody_accepted(machine):
    for number in range(20):
        machine.socket(0, None, "192.0.2.2", 9000, CLOSE_WAIT, ("192.0.2.3", 50000 + number))
    plan = planned(machine, agent(20, 9000, True))
    assert plan.steps == (Restart("agent.service"),)
    other = fix.target(Owner("perl", "perl.service", None), 9000, True, 20)
    assert planned(machine, other).state == DONE


def test_who_holds_them_cannot_be_seen(machine, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(rights, "effective", lambda: 0)
    for inode in range(5000, 5020):
        (machine.node.proc / "700" / "fd" / str(inode)).unlink()
    plan = planned(machine, api())
    assert plan.state == STOPPED
    assert "20 sockets have no visible process" in plan.why


def other_uid(machine):
    machine.process(700, "kube-apiserver", "/kubepods/pod0a1b2c3d-0000-4000-8000-000000000001/" + "c" * 64, parent=600)


def in_a_node_inside(machine):
    machine.process(700, "kube-apiserver", f"/docker/{'e' * 64}/kubelet{POD}/{'c' * 64}", parent=600)


def behind_a_shell(machine):
    machine.process(699, "sh", f"{POD}/{'c' * 64}", parent=600)
    machine.process(700, "kube-apiserver", f"{POD}/{'c' * 64}", parent=699)


def two_processes(machine):
    machine.process(701, "kube-apiserver", f"{POD}/{'d' * 64}", parent=600)
    machine.leak(701, 5, 10250, first=8000)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (in_a_node_inside, "not one of this machine's kubelet, but of one in eeee"),
        (behind_a_shell, "kube-apiserver (pid 700) is not what its container began with (sh is)"),
        (two_processes, "runs as 2 processes: which of them is to end"),
        (lambda machine: machine.process(700, "kube-apiserver", POD, parent=600), "in no container of the pod"),
        (
            lambda machine: (machine.node.root / f"var/log/pods/kube-system_kube-apiserver-m1_{UID}").rmdir(),
            "names no pod",
        ),
        (lambda machine: (machine.node.proc / "700/stat").write_text("700 (kube"), "ended while it was looked at"),
    ],
)
def test_what_kubelet_would_not_start_again(machine, change, why):
    change(machine)
    plan = planned(machine, api())
    assert (plan.state, plan.steps) == (STOPPED, ())
    assert why in plan.why


def test_a_pod_of_the_api_server_is_left_alone(machine):
    other_uid(machine)
    owner = Owner("kube-apiserver", None, "0a1b2c3d-0000-4000-8000-000000000001")
    plan = planned(machine, fix.target(owner, 10250, False, 20))
    assert plan.state == STOPPED
    assert "is no static one" in plan.why
    assert planned(machine, api()).state == DONE  # the static pod holds none any more


@pytest.mark.parametrize(
    ("program", "unit", "uid", "why"),
    [
        ("dockerd", "docker.service", None, "every container of the machine stops"),
        ("etcd", "etcd.service", None, "a member of etcd"),
        ("etcd", None, UID, "a member of etcd"),
        ("systemd-network", "systemd-networkd.service", None, "the machine itself rests on it"),
    ],
)
def test_who_is_never_restarted(machine, program, unit, uid, why):
    machine.service(unit or "other.service", 950, program)
    if uid:
        machine.process(950, program, f"{POD}/{'d' * 64}", parent=600)
    machine.leak(950, 20, 5432, first=8000)
    plan = planned(machine, fix.target(Owner(program, unit, uid), 5432, False, 20))
    assert plan.state == STOPPED
    assert why in plan.why


def test_a_kube_apiserver_in_a_unit_is_restarted(machine):
    machine.service("kube-apiserver.service", 950, "kube-apiserver")
    machine.leak(950, 20, 10250, first=8000)
    plan = planned(machine, fix.target(Owner("kube-apiserver", "kube-apiserver.service", None), 10250, False, 20))
    assert plan.steps == (Restart("kube-apiserver.service"),)
    assert "the API is away" in plan.told[1]


@pytest.mark.parametrize(
    "change", [{"ActiveState": "inactive"}, {"MainPID": "700"}, {"ControlGroup": "/x"}, {"Id": "docker.service"}]
)
def test_what_stops_a_unit(machine, change):
    machine.unit("agent.service", 800, **change)
    assert planned(machine, agent()).state == STOPPED


@pytest.mark.parametrize(
    "fields",
    [
        {"unit": "agent.service", "pod_uid": UID},
        {"unit": None, "pod_uid": None},
        {"unit": "$(id).service"},
        {"unit": ""},
        {"port": 0},
        {"port": True},
        {"count": 0},
        {"came_in": 1},
        {"program": None},
    ],
)
def test_a_target_that_is_none(machine, fields):
    wanted = {
        "program": "agent",
        "unit": "agent.service",
        "pod_uid": None,
        "port": 5432,
        "came_in": False,
        "count": 20,
        **fields,
    }
    text = fix.fix_plan.target_text(**wanted)
    assert planned(machine, text).state == STOPPED
