# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A short run of the fuzzer over every parser of what a node sends (tests/fuzz), always with the same inputs; and what longer runs have found."""

from __future__ import annotations

import signal
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    iptables_rules,
    journal_entry,
    kernel_gauges,
    kernel_ring,
    yaml_scalars,
)
from ansible_collections.kubenode.doctor.tests.fuzz import run, targets

SCRATCH = targets.Scratch()
TARGETS = targets.every(SCRATCH)
SHARES = run.shares(TARGETS, 3000)


@pytest.fixture(scope="module", autouse=True)
def _tidy():
    yield
    SCRATCH.close()


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_parser_takes_whatever_comes(name, monkeypatch):
    monkeypatch.setattr(run, "_SECONDS", 60)  # of a machine that is busy with other tests
    assert list(run.faults(name, TARGETS[name], 1, range(SHARES[name]))) == []


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_something_comes_of_what_is_real(name, monkeypatch):
    # Else nothing but a parser's first check would ever be tried, and one that finds nothing would pass.
    monkeypatch.setattr(run, "_SECONDS", 60)
    assert list(run.faults_of_real(TARGETS[name])) == []


def test_the_runner_tells_a_fault_and_how_to_make_it_again(capsys, monkeypatch):
    def breaks(data):
        if b"7" in data:
            raise KeyError("seven")

    target = targets.Target([b"0123456789"], breaks)
    monkeypatch.setattr(run, "_every", lambda _scratch: {"broken": target})
    assert run.main(["--inputs", "50", "--seed", "5"]) == 1
    printed = capsys.readouterr().out
    assert "FAULT  broken, seed 5, input " in printed
    assert "KeyError at test_fuzz_parsers.py:" in printed
    assert run.main(["--inputs", "50", "--only", "brok"]) == 1
    monkeypatch.setattr(run, "_every", lambda _scratch: {"sound": targets.Target([b"x"], len)})
    assert run.main(["--inputs", "50"]) == 0


def planted(does, seeds=(b"real",), made=2, **fields):
    """What the runner says of a parser that does this: (which input, what) of each fault."""
    target = targets.Target(list(seeds), does, **fields)
    found = [*run.faults_of_real(target), *run.faults("planted", target, 1, range(made))]
    return [(fault.which, fault.what) for fault in found]


def endless(_data):
    while True:
        try:
            while True:
                pass
        except Exception:  # noqa: S112 - which must not save it
            continue


def test_a_parser_that_does_not_come_to_an_end_is_ended_and_told(monkeypatch):
    monkeypatch.setattr(run, "_SECONDS", 0.05)
    assert planted(endless)[:2] == [("real input 0", "it takes too long"), ("input 0", "it takes too long")]


def test_a_parser_that_never_ends_is_left_alone_after_some_inputs(monkeypatch):
    monkeypatch.setattr(run, "_SECONDS", 0.01)
    told = planted(endless, made=1000)
    assert told[-1] == ("input 9", "it is the 10th that had to be ended: those behind it were not tried")


def test_the_end_of_its_time_comes_again_where_it_was_swallowed(monkeypatch):
    monkeypatch.setattr(run, "_SECONDS", 0.05)
    swallowed = []

    def swallows(data):
        try:
            endless(data)
        except BaseException as error:
            swallowed.append(error)
        endless(data)

    assert planted(swallows)[0] == ("real input 0", "it takes too long")
    assert swallowed


def test_a_parser_that_waits_is_ended_and_told(monkeypatch):
    monkeypatch.setattr(run, "_WAITING_SECONDS", 0.05)
    assert planted(lambda _data: time.sleep(60))[0] == ("real input 0", "it waits for too long")


def test_time_that_is_up_harms_nothing_afterwards(monkeypatch):
    monkeypatch.setattr(run, "_SECONDS", 0.02)
    before = signal.getsignal(signal.SIGPROF)
    planted(endless)
    assert signal.getsignal(signal.SIGPROF) == before
    assert signal.getitimer(signal.ITIMER_PROF) == signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def takes(mebibytes):
    """Use so much memory for a moment."""
    bytearray(mebibytes << 20)[:: 1 << 12] = bytes(mebibytes << 8)


@pytest.fixture
def _little_memory(monkeypatch):
    monkeypatch.setattr(run, "_GROWTH_KIB", 50 << 10)
    monkeypatch.setattr(run, "_KEPT_KIB", 5 << 10)


@pytest.mark.usefixtures("_little_memory")
def test_memory_is_seen_below_what_was_held_before():
    takes(100)
    assert ("real input 0", "it takes too much memory") in planted(lambda _data: takes(75) or True)
    assert planted(lambda _data: takes(25) or True) == []


@pytest.mark.usefixtures("_little_memory")
def test_memory_is_seen_after_an_input_that_took_more():
    sizes = iter([35, 100, 75, 1, 1])
    told = planted(lambda _data: takes(next(sizes)) or True, [b"a", b"b", b"c"])
    assert told == [("real input 1", "it takes too much memory"), ("real input 2", "it takes too much memory")]


@pytest.mark.parametrize("nothing", [None, [], {}, targets.Parts(a=[])], ids=repr)
def test_a_parser_that_finds_nothing_in_what_is_real_is_told(nothing):
    assert ("real input 0", "nothing comes of it") in planted(lambda _data: nothing)
    assert ("real input 0", "nothing comes of it") not in planted(lambda _data: nothing, understood=0)


def test_a_parser_that_refuses_what_is_real_is_told():
    def refuses(_data):
        raise ValueError("no")

    assert planted(refuses, allowed=(ValueError,)) == [("real input 0", "it is refused: ValueError: no")]


def test_one_of_several_parsers_that_finds_nothing_is_told():
    told = planted(lambda data: targets.Parts(a=data, b=None))
    assert told == [("all real inputs", "b finds nothing in any of them")]


@pytest.mark.parametrize(
    ("where", "what", "of"),
    [
        (kernel_ring, "parse", "logs: the kernel's ring"),
        (kernel_gauges, "files", "proc: gauges"),
        (iptables_rules.Tables, "node_ports", "iptables-save"),
        (yaml_scalars, "read", "YAML"),
        (journal_entry, "parse", "journal"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_parser_of_ours_that_finds_nothing_any_more_is_told(where, what, of, monkeypatch):
    def finds_nothing(*_arguments):
        return yaml_scalars.Scalars({}, []) if what == "read" else () if what == "node_ports" else None

    finds_nothing.__name__ = what
    monkeypatch.setattr(where, what, finds_nothing)
    assert list(run.faults_of_real(targets.every(SCRATCH)[of]))
