# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""redraw-random-port: seed 000's kubelet, whose random port a NodePort has taken, and all that may stand in its place."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_redraw_random_port as fix
from ansible_collections.kubenode.doctor.plugins.module_utils import rights, tcp_reader
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Restart
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import DONE, NEEDED, STOPPED
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_machine import Machine

LO = "127.0.0.1"
TARGET = fix.target("kubelet", "kubelet.service", LO, 36527, "36527,40000-40010")


@pytest.fixture
def machine(node, monkeypatch):
    """Seed 000's sick node: kubelet on 10250, 10248 and the random 36527."""
    monkeypatch.setattr(tcp_reader, "BACKENDS", ("procfs",))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    made = Machine(node)
    made.service("kubelet.service", 900, "kubelet")
    for inode, port in ((1, 10248), (2, 36527)):
        made.socket(inode, 900, LO, port)
    made.socket(3, 900, "0.0.0.0", 10250)
    return made


def planned(machine, *targets):
    return fix.plan(targets or (TARGET,), {}, machine.places, machine.deadline)


def restarted(machine, port, pid=901, started=200):
    """What systemd does: another process, which listens anew and draws a port."""
    machine.close(1, 2, 3)
    machine.process(900, "sleep", "/user.slice", started=150)
    machine.service("kubelet.service", pid, "kubelet")
    machine.process(pid, "kubelet", "/system.slice/kubelet.service", started=started)
    for inode, place, number in ((11, LO, 10248), (12, LO, port), (13, "0.0.0.0", 10250)):
        if number:
            machine.socket(inode, pid, place, number)


def verified(plan):
    return plan.verify(Deadline(0))


def test_the_unit_is_restarted(machine):
    plan = planned(machine)
    assert (plan.state, plan.steps) == (NEEDED, (Restart("kubelet.service"),))
    assert plan.told[0] == "restart kubelet.service: kubelet then draws another port in place of 36527"
    assert "NotReady for up to 40 s" in plan.told[1]
    assert "systemctl restart kubelet.service draws yet another one" in plan.undo[0]


def test_another_port_was_drawn(machine):
    plan = planned(machine)
    restarted(machine, 45001)
    assert verified(plan) == ""
    again = planned(machine)
    assert (again.state, again.why) == (
        DONE,
        "kubelet of kubelet.service on 127.0.0.1:36527 does not listen there any more",
    )


@pytest.mark.parametrize(
    ("port", "why"),
    [
        (40003, "kubelet of kubelet.service has drawn 40003, which is a NodePort too: run the fix again"),
        (36527, "listens there again: its port is a fixed one, or was drawn once more"),
        (0, "kubelet of kubelet.service does not listen again on 127.0.0.1, on a port that the kernel draws"),
    ],
)
def test_it_did_not_help(machine, port, why):
    plan = planned(machine)
    restarted(machine, port)
    assert why in verified(plan)


def test_nothing_was_restarted(machine):
    assert "still runs as the same process as before" in verified(planned(machine))


def test_a_process_with_the_old_pid_is_another_one(machine):
    plan = planned(machine)
    restarted(machine, 45001, pid=900, started=300)
    assert verified(plan) == ""


def test_a_listener_that_is_not_back(machine):
    plan = planned(machine)
    restarted(machine, 45001)
    machine.close(13)
    assert verified(plan) == "kubelet of kubelet.service does not listen again on 0.0.0.0:10250"


def test_a_number_that_was_drawn_from_a_wider_range(machine):
    (machine.node.proc / "sys/net/ipv4/ip_local_port_range").write_text("40000 60999")
    plan = planned(machine)
    restarted(machine, 45001)
    assert verified(plan) == ""


def test_a_port_that_is_waited_for(machine, monkeypatch):
    plan = planned(machine)
    restarted(machine, 0)
    monkeypatch.setattr("time.sleep", lambda _seconds: machine.socket(12, 901, LO, 45001))
    assert plan.verify(Deadline(5)) == ""


def test_several_targets_of_one_unit_are_one_restart(machine):
    machine.socket(4, 900, LO, 40001)
    plan = planned(machine, TARGET, TARGET, fix.target("kubelet", "kubelet.service", LO, 40001, ""))
    assert plan.steps == (Restart("kubelet.service"),)
    assert "in place of 36527, 40001" in plan.told[0]


def test_one_of_several_that_cannot_be_restarted_stops_all(machine):
    machine.service("crio.service", 950, "crio", ActiveState="activating")
    machine.socket(4, 950, LO, 40001)
    plan = planned(machine, TARGET, fix.target("crio", "crio.service", LO, 40001, ""))
    assert (plan.state, plan.why) == (STOPPED, "crio.service is not active but activating")


def another_program(machine):
    machine.close(2)
    machine.service("java.service", 950, "java")
    machine.socket(2, 950, LO, 36527)


def same_program_elsewhere(machine):
    machine.process(900, "kubelet", "/docker/" + "a" * 64 + "/system.slice/kubelet.service")


def hidden(machine):
    (machine.node.proc / "900" / "fd" / "2").unlink()
    machine.node.hidepid()


def main_process_is_another(machine):
    machine.process(800, "supervisord", "/system.slice/kubelet.service")
    machine.unit("kubelet.service", 800)


def dead(machine):
    machine.close(1, 2, 3)
    machine.unit("kubelet.service", ActiveState="failed")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (another_program, "is not what was diagnosed (java listens there). Diagnose again"),
        (same_program_elsewhere, "is not what was diagnosed (kubelet listens there)"),
        (main_process_is_another, "its main process is supervisord, and not kubelet"),
        (dead, "kubelet.service does not run any more (it is failed)"),
        (lambda machine: machine.unit("kubelet.service", 900, Id="k3s.service"), "k3s.service is all of Kubernetes"),
        (
            lambda machine: machine.unit("kubelet.service", 900, LoadState="not-found"),
            "systemd has no unit kubelet.service",
        ),
        (
            lambda machine: machine.unit("kubelet.service", 900, ControlGroup="/docker/b/system.slice/kubelet.service"),
            "process 900 is in a unit",
        ),
        (lambda machine: machine.unit("kubelet.service", 900, ControlGroup=""), "process 900 is in a unit"),
        (
            lambda machine: (
                machine.unit("kubelet.service", 900, RequiredBy="docker.service") or machine.unit("docker.service")
            ),
            "live-restore",
        ),
        (lambda machine: (machine.node.root / "usr/bin/systemctl").unlink(), "this machine has no systemctl"),
        (lambda machine: (machine.node.root / "usr/bin/systemctl").chmod(0o777), "others may change"),
        (lambda machine: (machine.node.proc / "net/tcp").write_text("junk\njunk\n"), "not a row of /proc/net/tcp"),
    ],
)
def test_what_stops_it(machine, change, why):
    change(machine)
    plan = planned(machine)
    assert (plan.state, plan.steps) == (STOPPED, ())
    assert why in plan.why


def test_whose_listener_it_is_cannot_be_seen(machine, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(rights, "effective", lambda: 0)
    (machine.node.proc / "900" / "fd" / "2").unlink()
    assert "whose listener that is could not be seen: 1 socket has no visible process" in planned(machine).why


@pytest.mark.parametrize(
    ("program", "unit", "why"),
    [
        ("dockerd", "docker.service", "every container of the machine stops"),
        ("docker-proxy", "docker.service", "every container of the machine stops"),
        ("etcd", "etcd.service", "a member of etcd"),
        ("k3s-server", "k3s.service", "a member of etcd"),
        ("containerd", "k3s.service", "all of Kubernetes on this node"),
        ("kube-apiserver", "kube-apiserver.service", "the API server's ports are not drawn"),
        ("dbus-daemon", "dbus.service", "the machine itself rests on it"),
    ],
)
def test_who_is_never_restarted(machine, program, unit, why):
    machine.service(unit, 950, program)
    machine.socket(4, 950, LO, 40001)
    plan = planned(machine, fix.target(program, unit, LO, 40001, ""))
    assert plan.state == STOPPED
    assert why in plan.why


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"unit": "a b$(id).service"}, "no service of systemd"),
        ({"unit": "-H.service"}, "no service of systemd"),
        ({"unit": "kubelet.socket"}, "no service of systemd"),
        ({"port": 0}, "names no port"),
        ({"port": 65536}, "names no port"),
        ({"node_ports": "36527,x"}, "NodePorts of what is to be cured cannot be read"),
    ],
)
def test_a_target_that_is_none(machine, fields, why):
    wanted = {"program": "kubelet", "unit": "kubelet.service", "address": LO, "port": 36527, "node_ports": "", **fields}
    plan = planned(machine, fix.target(**wanted))
    assert plan.state == STOPPED
    assert why in plan.why


@pytest.mark.parametrize(
    "text", ["", "[]", '{"port": 1}', '{"program": 1}', TARGET.replace("36527", "true"), "[" * 100_000]
)
def test_junk(machine, text):
    assert planned(machine, text).state == STOPPED
