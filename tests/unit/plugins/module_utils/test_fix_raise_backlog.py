# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix raise-backlog on a made-up machine: a kubelet that began to listen while somaxconn was 128, beside a Java program without a unit."""

from __future__ import annotations

import json

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_raise_backlog as fix
from ansible_collections.kubenode.doctor.plugins.module_utils import tcp_now, tcp_reader
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import FileText, Restart, Sysctl
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import DONE, NEEDED, STOPPED
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_machine import Machine

FILE = "/etc/sysctl.d/60-somaxconn.conf"
ANY = "0.0.0.0"
KEPT = "keeps its backlog of 128 until it is restarted"


def wish(program="kubelet", unit="kubelet.service", port=10250, backlog=128, value=4096, somaxconn=128):
    return fix.target(value, somaxconn, program, unit, ANY, port, backlog)


JAVA = wish("java", None, 8080)


class Node(Machine):
    """``backlogs`` by port, which only sock_diag shows."""

    def __init__(self, node, monkeypatch):
        super().__init__(node)
        self.backlogs = {10250: 128, 8080: 128}
        look = tcp_now._look
        monkeypatch.setattr(tcp_now, "_look", lambda namespace: self._with_backlogs(look(namespace)))
        self.somaxconn(128)

    def somaxconn(self, value):
        self.node.file("/../proc/sys/net/core/somaxconn", f"{value}\n")

    def plan(self, *targets, **choices):
        return fix.plan(targets or (wish(), JAVA), choices, self.places, Deadline(3600))

    def carry_out(self, plan):
        for step in plan.steps:
            if isinstance(step, FileText):
                self.node.file(step.path, step.after)
            elif isinstance(step, Sysctl):
                self.somaxconn(step.after)

    def restarted(self, backlog):
        """What systemd does: another kubelet, which listens anew."""
        self.close(1)
        self.service("kubelet.service", 901, "kubelet")
        self.socket(11, 901, ANY, 10250)
        self.backlogs[10250] = backlog

    def _with_backlogs(self, told):
        listeners, stuck = told
        return [entry._replace(wqueue=self.backlogs[entry.port]) for entry in listeners], stuck


@pytest.fixture
def machine(node, monkeypatch):
    monkeypatch.setattr(tcp_reader, "BACKENDS", ("procfs",))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    made = Node(node, monkeypatch)
    made.service("kubelet.service", 900, "kubelet")
    made.process(700, "java", "/user.slice")
    made.socket(1, 900, ANY, 10250)
    made.socket(2, 700, ANY, 8080)
    return made


def test_the_value_alone_where_no_restart_is_named(machine):
    plan = machine.plan()
    assert plan.state == NEEDED
    file, live = plan.steps
    assert live == Sysctl("net.core.somaxconn", "4096")
    assert file.path == FILE
    assert file.after.splitlines()[-1] == "net.core.somaxconn = 4096"
    assert plan.undo == ("sysctl -w net.core.somaxconn=128", f"rm {FILE}")
    assert plan.told == (
        "net.core.somaxconn, 128, becomes 4096 at once",
        f"{FILE} (new) sets it at each boot: 4096",
        "nothing is restarted and no connection is cut",
        f"kubelet on port 10250 {KEPT}, which was not asked for: -e restart=kubelet.service",
        f"java on port 8080 {KEPT}: by hand, since it has no unit of its own",
    )


def test_carried_out_it_changes_nothing_any_more(machine):
    plan = machine.plan()
    assert plan.verify(Deadline(0)) == "net.core.somaxconn was set, and is 128 all the same"
    machine.carry_out(plan)
    assert plan.verify(Deadline(0)) == ""
    again = machine.plan()
    assert (again.state, again.steps) == (DONE, ())
    assert again.why.startswith("net.core.somaxconn is 4096 already; kubelet on port 10250 keeps its backlog")


@pytest.mark.parametrize("name", ["kubelet", "kubelet.service"])
def test_only_what_is_named_is_restarted(machine, name):
    plan = machine.plan(restart=[name, "nginx"])
    assert [type(step) for step in plan.steps] == [FileText, Sysctl, Restart]
    assert plan.steps[-1] == Restart("kubelet.service")
    assert (
        "kubelet.service is restarted: all connections of its program are cut, also those that wait to be accepted"
        in plan.told
    )
    assert not any("kubelet on port" in sentence for sentence in plan.told)
    assert f"java on port 8080 {KEPT}: by hand, since it has no unit of its own" in plan.told
    assert plan.undo[-1] == "systemctl restart kubelet.service"


def test_a_program_of_no_finding_is_not_restarted(machine):
    machine.service("nginx.service", 950, "nginx")
    machine.socket(5, 950, ANY, 80)
    machine.backlogs[80] = 128
    assert Restart not in map(type, machine.plan(restart=["nginx.service"]).steps)


@pytest.mark.parametrize(
    ("backlog", "why"),
    [
        (4096, ""),
        (129, ""),
        (128, "kubelet on port 10250 was restarted and has a backlog of 128: it asks for no more"),
        (50, "kubelet on port 10250 was restarted and has a backlog of 50: it asks for no more"),
    ],
)
def test_whether_a_restart_helped(machine, backlog, why):
    plan = machine.plan(wish(), restart=["kubelet"])
    machine.carry_out(plan)
    assert "still runs as the same process as before" in plan.verify(Deadline(0))
    machine.restarted(backlog)
    assert plan.verify(Deadline(0)) == why


def test_a_program_that_does_not_come_back(machine):
    plan = machine.plan(wish(), restart=["kubelet"])
    machine.carry_out(plan)
    machine.close(1)
    assert "kubelet of kubelet.service does not listen again on 0.0.0.0:10250" in plan.verify(Deadline(0))


def test_where_somaxconn_was_lowered_since_the_old_backlog_is_kept(machine):
    machine.backlogs[10250] = 1024
    plan = machine.plan(wish(backlog=1024), restart=["kubelet"])
    machine.carry_out(plan)
    machine.restarted(1024)
    assert plan.verify(Deadline(0)) == ""


def test_a_restart_alone_where_somaxconn_was_raised_before(machine):
    machine.somaxconn(4096)
    target = wish(value=4096, somaxconn=4096)
    plan = machine.plan(target, restart=["kubelet"])
    assert plan.steps == (Restart("kubelet.service"),)
    machine.restarted(4096)
    assert plan.verify(Deadline(0)) == ""
    assert machine.plan(target, restart=["kubelet"]).state == DONE


def test_nothing_is_done_for_what_is_no_more(machine):
    machine.close(2)
    machine.restarted(4096)
    plan = machine.plan(restart=["kubelet"])
    assert (plan.state, plan.why) == (DONE, "none of these listeners is there any more with so small a backlog")


def test_the_boot_too_is_seen_to(machine):
    machine.somaxconn(8192)
    machine.node.file("/etc/sysctl.d/90-tuning.conf", "net.core.somaxconn = 128\n")
    (file,) = machine.plan().steps
    assert (file.path, file.after.splitlines()[-1]) == ("/etc/sysctl.d/99-somaxconn.conf", "net.core.somaxconn = 4096")


def unit_of_another(machine):
    machine.unit("kubelet.service", 12345)


def not_its_own(machine):
    machine.close(1)
    machine.socket(9, 700, ANY, 10250)


def stopped(machine):
    machine.unit("kubelet.service", 900, ActiveState="failed")


def in_a_container(machine):
    machine.unit("kubelet.service", 900, ControlGroup="/machine.slice/x/kubelet.service")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (unit_of_another, "kubelet.service is not restarted by a fix: its main process is not known"),
        (not_its_own, "that kubelet on port 10250 is kubelet of kubelet.service is not so any more. Diagnose again"),
        (stopped, "kubelet.service is not active but failed"),
        (in_a_container, "kubelet.service is not restarted by a fix: process 900 is in a unit of this name that this machine's systemd"),
    ],
)  # fmt: skip
def test_who_is_not_restarted(machine, change, why):
    change(machine)
    plan = machine.plan(restart=["kubelet"])
    assert (plan.state, plan.steps) == (STOPPED, ())
    assert plan.why.startswith(why)
    assert machine.plan().state == NEEDED  # the value is nobody else's business


@pytest.mark.parametrize(
    ("program", "unit", "why"),
    [
        ("dockerd", "docker.service", "without live-restore every container of the machine stops with dockerd"),
        ("etcd", "etcd.service", "it may hold a member of etcd"),
        ("agent", "k3s-agent.service", "k3s-agent.service is all of Kubernetes on this node in one program"),
    ],
)
def test_what_no_fix_restarts(machine, program, unit, why):
    machine.service(unit, 950, program)
    machine.socket(5, 950, ANY, 2375)
    machine.backlogs[2375] = 128
    target = wish(program, unit, 2375)
    assert any(
        f"{program} on port 2375 {KEPT}: by hand, since {why}" in sentence for sentence in machine.plan(target).told
    )
    plan = machine.plan(target, restart=[unit])
    assert plan.state == STOPPED
    assert f"{unit} is not restarted by a fix: {why}" in plan.why


@pytest.mark.parametrize(
    ("value", "state", "why"),
    [
        (256, STOPPED, "net.core.somaxconn is 256 now, and was 128. Diagnose again"),
        (64, STOPPED, "net.core.somaxconn is 64 now, and was 128. Diagnose again"),
        ("many", STOPPED, "net.core.somaxconn is many now, and was 128. Diagnose again"),
    ],
)
def test_somebody_else_has_set_it_since(machine, value, state, why):
    machine.somaxconn(value)
    plan = machine.plan()
    assert (plan.state, plan.why) == (state, why)


def test_backlogs_that_nobody_shows(machine):
    machine.backlogs[10250] = None
    assert (
        machine.plan().why
        == "the backlogs of this node's listeners cannot be seen: only the kernel's sock_diag shows them"
    )


def test_sockets_that_cannot_be_seen(machine, monkeypatch):
    def refused(_namespace):
        raise tcp_reader.ReaderError("sock_diag: Permission denied")

    monkeypatch.setattr(tcp_now, "_look", refused)
    plan = machine.plan()
    assert (plan.state, plan.why) == (STOPPED, "sock_diag: Permission denied")


@pytest.mark.parametrize(
    ("targets", "why"),
    [
        ([], "there is nothing to raise"),
        ([wish(), wish(somaxconn=256)], "the findings tell of different values of net.core.somaxconn"),
        ([wish(value=0)], "what is to be cured names no port, or no value for net.core.somaxconn"),
        ([wish(value=2**31)], "what is to be cured names no port, or no value"),
        ([wish(port=0)], "what is to be cured names no port"),
        ([wish(unit="-H evil.service")], "what is to be cured names no service of systemd"),
        ([wish(unit="a b.service")], "what is to be cured names no service of systemd"),
        ([json.dumps({"value": 1})], "what is to be cured has other fields than"),
    ],
)
def test_targets_that_are_none(machine, targets, why):
    plan = fix.plan(targets, {}, machine.places, Deadline(3600))
    assert plan.state == STOPPED
    assert plan.why.startswith(why)
