# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A short run of the fuzzer over every parser of what a node sends (tests/fuzz), always with the same inputs; and what longer runs have found."""

from __future__ import annotations

import pytest

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
def test_a_parser_understands_what_is_real(name):
    # Else nothing but its first check would ever be tried.
    understood = 0
    for seed in TARGETS[name].seeds:
        try:
            TARGETS[name].run(seed)
        except TARGETS[name].allowed:
            continue
        understood += 1
    assert understood


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
