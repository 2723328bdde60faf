# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_processes: one pass over /proc, whatever processes call themselves, and while they end."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import pod_processes, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.cgroup import Member
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_processes import PodProcesses, Process
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_pods import ID, UID, MadeUpPods, path

MEMBER = Member(ID, UID, 1)


@pytest.fixture
def pods(node, monkeypatch):
    monkeypatch.setattr(pod_processes.os, "sysconf", lambda _name: 100)
    return MadeUpPods(node, monkeypatch)


def look(pods, seconds=60):
    return PodProcesses(Deadline(seconds), pods.proc)


def test_those_of_pods_and_of_containers(pods):
    pods.process(30, path(), started=12.5)
    pods.process(7, "/system.slice/kubelet.service")
    pods.process(8, f"/system.slice/docker-{ID}.scope")
    pods.process(9, f"/kubepods/burstable/pod{UID}/crio-conmon-{ID}", name="conmon")
    seen = look(pods)
    assert seen.found == [
        Process(8, "app", Member(ID, None, 0), 900.0),
        Process(9, "conmon", Member(None, UID, 1), 900.0),
        Process(30, "app", MEMBER, 12.5),
    ]
    assert (seen.hidden, seen.timed_out) == (0, False)


@pytest.mark.parametrize(
    "name", ["a) S 1 1 (b", ")", "", "(", "x y", "22 (z) Z 1", "\x1b[31m", "line\nbreak", "käse"], ids=repr
)
def test_any_name(pods, name):
    pods.process(30, path(), name=name, started=7.0)
    assert look(pods).found == [Process(30, name, MEMBER, 7.0)]


@pytest.mark.parametrize(
    ("state", "threads", "counts"),
    [
        ("S", 1, True),
        ("D", 1, True),
        ("Z", 1, False),
        ("X", 1, False),
        ("Z", 5, True),  # its first thread has ended, the others go on
    ],
)
def test_the_dead_do_not_count(pods, state, threads, counts):
    pods.process(30, path(), state=state, threads=threads)
    found = look(pods).found
    assert [(process.pid, process.shown) for process in found] == ([(30, 31 if threads > 1 else 30)] if counts else [])


def test_threads_that_have_all_ended(pods):
    pods.process(30, path(), state="Z", threads=2)
    (pods.node.proc / "30" / "task" / "31" / "stat").write_text("31 (app) Z 1\n")
    assert look(pods).found == []
    (pods.node.proc / "30" / "task" / "31" / "stat").unlink()
    assert look(pods).found == []


@pytest.mark.parametrize("stat", ["", "30", "30 (app) S 1", "30 (app) S " + "x " * 30])
def test_a_line_that_is_not_understood(pods, stat):
    pods.process(30, path())
    (pods.node.proc / "30" / "stat").write_text(stat)
    (process,) = look(pods).found
    assert (process.pid, process.member, process.started) == (30, MEMBER, None)


def refuse(monkeypatch, name, error):
    real = procfs.text

    def text(place, *limit):
        if place.endswith(name):
            raise error
        return real(place, *limit)

    monkeypatch.setattr(procfs, "text", text)


@pytest.mark.parametrize("name", ["/30/cgroup", "/30/stat"])
@pytest.mark.parametrize(
    ("error", "hidden"),
    [
        (PermissionError(errno.EPERM, "hidepid"), 1),
        (FileNotFoundError(errno.ENOENT, "it ended"), 0),
        (ProcessLookupError(errno.ESRCH, "it ended"), 0),
    ],
)
def test_one_that_ends_or_hides(pods, monkeypatch, name, error, hidden):
    pods.process(30, path())
    pods.process(31, path())
    refuse(monkeypatch, name, error)
    seen = look(pods)
    assert [process.pid for process in seen.found] == [31]
    assert seen.hidden == hidden


def test_no_time(pods):
    pods.process(30, path())
    seen = look(pods, 0)
    assert (seen.found, seen.timed_out) == ([], True)


def test_a_process_that_began_later(pods):
    seen = look(pods)
    pods.process(30, path())
    assert seen.member(30) == MEMBER
    assert seen.member(31) == Member(None, None, 0)


@pytest.mark.parametrize(("text", "expected"), [("12.34 56.78\n", 12.34), ("", None), ("soon", None), (None, None)])
def test_uptime(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "uptime").write_text(text)
    assert pod_processes.uptime(str(tmp_path)) == expected
