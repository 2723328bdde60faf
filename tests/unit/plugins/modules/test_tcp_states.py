# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcp_states: what the module makes of its options, and of a node on which nothing can be read."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_reader import ReaderError
from ansible_collections.kubenode.doctor.plugins.modules import tcp_states

DEFAULTS = {
    "sample_seconds": 0.0,
    "netns": "host",
    "processes": True,
    "top": 10,
    "backend": "auto",
    "budget_seconds": 20.0,
}
SECTION = {"states": {}, "complete": True, "missing": []}


class ExitedError(Exception):
    pass


class Module:
    """As much of an AnsibleModule as main() uses."""

    options = None

    def __init__(self, argument_spec, supports_check_mode):
        assert supports_check_mode
        assert {name: spec["default"] for name, spec in argument_spec.items()} == DEFAULTS
        self.params = {**DEFAULTS, **self.options}

    def exit_json(self, **result):
        raise ExitedError(result)

    def fail_json(self, **result):
        raise ExitedError({"failed": True, **result})


class Survey:
    """In place of tcp_states.Survey; ``done`` is what was done, ``error`` is raised in the end."""

    done = None
    errors = ()

    def __init__(self, deadline, netns, backend, top):
        self.done.append(("begun", round(deadline.seconds, 3), netns, backend, top))

    def first_sample(self):
        self.done.append(("first sample",))

    def finish(self, holders):
        self.done.append(("finished", holders is not None))
        for error in self.errors:
            raise error
        return dict(SECTION)


def answer(monkeypatch, error=None, **options):
    """What the module says, and what it did."""
    done = []
    monkeypatch.setattr(Module, "options", options)
    monkeypatch.setattr(Survey, "done", done)
    monkeypatch.setattr(Survey, "errors", (error,) if error else ())
    monkeypatch.setattr(tcp_states, "AnsibleModule", Module)
    monkeypatch.setattr(tcp_states.tcp_states, "Survey", Survey)
    monkeypatch.setattr(tcp_states.time, "sleep", lambda seconds: done.append(("slept", seconds)))
    with pytest.raises(ExitedError) as caught:
        tcp_states.main()
    return caught.value.args[0], done


def test_one_sample(monkeypatch):
    assert answer(monkeypatch) == (
        {"changed": False, **SECTION},
        [("begun", 20.0, "host", "auto", 10), ("finished", True)],
    )


def test_two_samples_come_on_top_of_the_budget(monkeypatch):
    told, done = answer(monkeypatch, sample_seconds=30.0, netns="all", backend="procfs", top=0)
    assert told == {"changed": False, **SECTION}
    assert done == [("begun", 50.0, "all", "procfs", 0), ("first sample",), ("slept", 30.0), ("finished", True)]


def test_without_processes_nobody_is_looked_for(monkeypatch):
    assert answer(monkeypatch, processes=False)[1][-1] == ("finished", False)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sample_seconds": -1.0}, "sample_seconds: -1: 0 to 100 expected"),
        ({"sample_seconds": 601.0}, "sample_seconds: 601: 0 to 100 expected"),
        ({"sample_seconds": float("nan")}, "sample_seconds: nan: 0 to 100 expected"),
        ({"top": -1}, "top: -1 is less than 0"),
    ],
)
def test_it_refuses_before_it_looks(monkeypatch, options, told):
    assert answer(monkeypatch, **options) == ({"failed": True, "msg": told}, [])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ReaderError("host: sock_diag: no; procfs: no"), "No sockets could be read. host: sock_diag: no; procfs: no"),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "/proc"),
            "No sockets could be read. [Errno 2] No such file or directory: '/proc'",
        ),
    ],
)
def test_nothing_can_be_read(monkeypatch, error, told):
    assert answer(monkeypatch, error)[0] == {"failed": True, "msg": told}
