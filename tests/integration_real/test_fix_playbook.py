# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/fix.yml refuses what nobody has named and what it does not know, before anybody is asked. test_seed_002.py lets it cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.contract.plays import run_tasks
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


# What a fix was offered for, what is at fault after it, what a fix is offered for then: what was not cured.
LEFT = (
    ((), (), (), []),
    (("front",), (), (), []),
    (("front",), ("front",), (), ["front is down"]),
    (("front",), ("front",), ("front",), ["front is down"]),
    # Of a Service that the fix was never for, the report tells.
    (("front",), ("cart",), (), []),
    (("front",), ("cart",), ("cart",), ["cart is down"]),
    (("front", "cart"), ("front", "cart", "old"), (), ["front is down", "cart is down"]),
)


def test_what_is_left_in_the_cluster(tmp_path: Path):
    def lines(objects: tuple[str, ...]) -> dict[str, str]:
        return {name: f"{name} is down" for name in objects}

    read = {"ansible.builtin.include_vars": {"file": str(PROJECT / "playbooks" / "vars" / "fixes.yml")}}
    told = [
        {
            "ansible.builtin.debug": {"msg": "{{ fix_cluster_left }}"},
            "vars": {
                "fix_cluster_before": lines(before),
                "report_judged": {
                    "cluster": {
                        "fix_findings": {
                            "rollback-image": {"open": lines(after), "offered": lines(offered)},
                            "another": {"open": lines(("another",)), "offered": lines(("another",))},
                        }
                    }
                },
            },
        }
        for before, after, offered, _left in LEFT
    ]
    answers = run_tasks([read, *told], {"fix": "rollback-image"}, tmp_path)
    assert [answer["msg"] for answer in answers[1:]] == [left for *_said, left in LEFT]
