# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listener_origin: what the module makes of its options, what it says that it changed, and what it never does in check mode."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import origin_request, origin_stacks
from ansible_collections.kubenode.doctor.plugins.module_utils.sockets import SocketsError
from ansible_collections.kubenode.doctor.plugins.modules import listener_origin

DEFAULTS = {name: spec.get("default") for name, spec in origin_request.ARGUMENTS.items()}
EXPLAINED = {"listeners": [{"port": 37231}], "ephemeral_range": [32768, 60999], "complete": True, "missing": []}
COMMAND = {"command": ["/usr/local/bin/agent", "--verbose"], "tool": "auto", "seconds": 30.0}
TRACED = {"tool": "dlv", "program": COMMAND["command"][0], "calls": [{"call": "net.Listen"}], "complete": True}
NOT_TRACED = dict(TRACED, tool=None, calls=[])


class ExitedError(Exception):
    pass


class Module:
    """As much of an AnsibleModule as main() uses."""

    options = None
    check_mode = False

    def __init__(self, argument_spec, supports_check_mode):
        assert supports_check_mode
        assert argument_spec == origin_request.ARGUMENTS
        self.params = dict(DEFAULTS, **self.options)

    def exit_json(self, **result):
        raise ExitedError(result)

    def fail_json(self, **result):
        raise ExitedError(dict(result, failed=True))


class Node:
    """What the module uses of the node: ``looks`` and ``runs`` are what it asked for."""

    def __init__(self, monkeypatch, check_mode=False, written=(), traced=None, error=None, **options):
        self.looks, self.runs, self.stacks = [], [], None
        self._written, self._traced, self._error = written, traced or TRACED, error
        monkeypatch.setattr(Module, "options", options)
        monkeypatch.setattr(Module, "check_mode", check_mode)
        monkeypatch.setattr(listener_origin, "AnsibleModule", Module)
        monkeypatch.setattr(listener_origin.listener_origin, "collect", self._collect)
        monkeypatch.setattr(listener_origin.listen_trace, "run", self._run)

    def _collect(self, request, deadline, stacks):
        self.looks.append((request, deadline.seconds))
        if self._error:
            raise self._error
        self.stacks = stacks
        stacks.asked_to_write += self._written
        return EXPLAINED

    def _run(self, command, tool, seconds):
        self.runs.append((command, tool, seconds))
        if isinstance(self._traced, Exception):
            raise self._traced
        return self._traced

    def answer(self):
        with pytest.raises(ExitedError) as exited:
            listener_origin.main()
        return exited.value.args[0]


def test_without_options_all_quiet_methods_are_used(monkeypatch):
    node = Node(monkeypatch)
    assert node.answer() == dict(EXPLAINED, changed=False, trace=None)
    ((request, seconds),) = node.looks
    assert (request.port, request.pid, seconds) == (None, None, 20)
    assert request.methods == ("owner", "configuration", "signature", "goroutines")
    assert request.trace is None
    assert node.runs == []


def test_options_reach_the_look(monkeypatch):
    node = Node(monkeypatch, port=37231, pid=7, methods=["owner"], budget_seconds=2.5, nodeport_range="30000-40000")
    node.answer()
    ((request, seconds),) = node.looks
    assert (request.port, request.pid, request.methods, seconds) == (37231, 7, ("owner",), 2.5)
    assert request.node_ports == (30000, 40000)


def test_a_program_that_wrote_its_stacks_is_a_change(monkeypatch):
    assert Node(monkeypatch, written=[700], methods=["stack_dump"]).answer()["changed"]


def test_a_program_that_was_run_is_a_change(monkeypatch):
    node = Node(monkeypatch, methods=["owner", "trace"], trace=COMMAND)
    assert node.answer() == dict(EXPLAINED, changed=True, trace=TRACED)
    assert node.runs == [(COMMAND["command"], "auto", 30.0)]
    assert len(node.looks) == 1


def test_a_program_that_was_not_run_is_none(monkeypatch):
    node = Node(monkeypatch, methods=["trace"], trace=COMMAND, traced=NOT_TRACED)
    assert node.answer()["changed"] is False


def test_trace_alone_looks_at_no_listener(monkeypatch):
    node = Node(monkeypatch, methods=["trace"], trace=COMMAND, error=SocketsError("not reached"))
    answer = node.answer()
    assert (answer["listeners"], answer["ephemeral_range"], answer["trace"]) == ([], None, TRACED)
    assert (answer["complete"], answer["missing"], node.looks) == (True, [], [])


def test_without_the_method_nothing_is_run(monkeypatch):
    node = Node(monkeypatch, trace=COMMAND)
    assert node.answer()["trace"] is None
    assert node.runs == []


def test_in_check_mode_nothing_is_run(monkeypatch):
    node = Node(monkeypatch, check_mode=True, methods=["trace"], trace=COMMAND)
    monkeypatch.setattr(listener_origin.listen_trace, "check", lambda _command: None)  # that it may be run
    answer = node.answer()
    assert (answer["changed"], answer["trace"]["tool"], answer["trace"]["calls"], node.runs) == (False, None, [], [])
    assert "in check mode nothing is run" in answer["trace"]["missing"][0]["why"]


def test_in_check_mode_nobody_is_made_to_write(monkeypatch):
    signalled = []
    monkeypatch.setattr(origin_stacks.signalled_dump, "ask", lambda *_arguments: signalled.append(1))
    node = Node(monkeypatch, check_mode=True, methods=["stack_dump"])
    node.answer()
    runtime = {"known_as": None, "processes": [{"pid": 700, "name": "containerd"}]}
    assert "is not asked for its stacks in check mode" in node.stacks.of(runtime, [])["why"]
    assert signalled == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"port": 0}, "port: 0 is no port: 1 to 65535 expected"),
        ({"pid": -1}, "pid: -1 is no process"),
        ({"methods": ["trace"]}, "methods: trace needs the option trace, which says what to run"),
        ({"budget_seconds": 0.0}, "budget_seconds: 0: more than 0 and at most 3600 expected"),
    ],
)
def test_it_refuses_before_it_looks(monkeypatch, options, told):
    node = Node(monkeypatch, **options)
    assert node.answer() == {"failed": True, "msg": told}
    assert (node.looks, node.runs) == ([], [])


def test_a_program_that_must_not_be_run_is_refused_in_words(monkeypatch):
    why = "trace: command: the program's absolute path is expected"
    node = Node(monkeypatch, methods=["trace"], trace=COMMAND, traced=ValueError(why))
    assert node.answer() == {"failed": True, "msg": why}


def test_nothing_can_be_read(monkeypatch):
    node = Node(monkeypatch, error=SocketsError("sock_diag: no; procfs: no"))
    assert node.answer() == {"failed": True, "msg": "No sockets could be read. sock_diag: no; procfs: no"}
