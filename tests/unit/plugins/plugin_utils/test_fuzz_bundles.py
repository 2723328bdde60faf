# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A short run of the fuzzer over bundles that were damaged (tests/fuzz/bundles.py), always with the same inputs."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import limits
from ansible_collections.kubenode.doctor.tests.fuzz import bundles, run, targets

SCRATCH = targets.Scratch()
TARGETS = bundles.every(SCRATCH)


@pytest.fixture(scope="module", autouse=True)
def _tidy():
    yield
    SCRATCH.close()


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_damaged_bundle_is_judged_and_reported_or_refused(name, monkeypatch):
    monkeypatch.setattr(run, "_SECONDS", 60)
    assert list(run.faults(name, TARGETS[name], 1, range(40 if name == "bundle: files" else 5))) == []


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_real_bundle_is_judged(name, monkeypatch):
    monkeypatch.setattr(run, "_SECONDS", 60)
    assert list(run.faults_of_real(TARGETS[name])) == []


def test_a_rule_that_breaks_on_what_is_real_is_told(monkeypatch):
    def breaks(*_arguments):
        raise KeyError("x")

    monkeypatch.setattr(run, "_SECONDS", 60)
    monkeypatch.setattr(limits, "growth", breaks)
    target = TARGETS["bundle: audit.json"]
    assert [fault.what for fault in run.faults_of_real(target)] == ["nothing comes of it"]


@pytest.mark.parametrize(
    ("name", "number"), [("bundle: cluster.json", 12), ("bundle: cluster.json", 18), ("bundle: audit.json", 36)]
)
def test_what_was_found_once(name, number):
    assert list(run.faults(name, TARGETS[name], 1, range(number, number + 1))) == []
