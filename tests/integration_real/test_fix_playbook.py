# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/fix.yml refuses what nobody has named and what it does not know, before anybody is asked. test_seed_002.py lets it cure."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import diagnose, variable
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

LOCALHOST = ("-i", PROJECT / "inventory" / "localhost.yml")
KNOWN = "known container-name-conflict"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ((), "none"),
        (("-e", "fix= , "), "none"),
        (variable("fix", []), "none"),
        (("-e", "fix=reboot"), "reboot"),
        (("-e", "fix=container-name-conflict,reboot"), "container-name-conflict, reboot"),
        (variable("fix", ["reboot"]), "reboot"),
    ],
)
def test_what_is_not_known_is_refused(words: tuple[str, ...], asked: str):
    run = diagnose(*LOCALHOST, *words, name="fix")
    assert run.status != 0
    assert f"Say which fix, with -e fix=NAME: asked for {asked}, {KNOWN}" in run.said
    assert not (run.folder / "audits").exists()


def test_wrong_settings_are_refused_too():
    run = diagnose(*LOCALHOST, "-e", "fix=container-name-conflict", "-e", "fail_on=sometimes", name="fix")
    assert run.status != 0
    assert "fail_on" in run.said
    assert not (run.folder / "audits").exists()
