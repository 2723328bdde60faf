# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""log_signatures: what the module makes of its options, and adds to the section."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import signatures
from ansible_collections.kubenode.doctor.plugins.modules import log_signatures

DEFAULTS = {
    "signatures": None,
    "since": 86400,
    "sources": ["kernel", "journal", "pods"],
    "journal": None,
    "max_bytes": 33554432,
    "timeout": 10.0,
}


class ExitedError(Exception):
    pass


class Module:
    """As much of an AnsibleModule as main() uses."""

    given = None

    def __init__(self, argument_spec, supports_check_mode):
        assert {name: option.get("default") for name, option in argument_spec.items()} == DEFAULTS
        assert supports_check_mode
        self.params = {**DEFAULTS, **self.given}

    def exit_json(self, **result):
        raise ExitedError(result)

    def fail_json(self, **result):
        raise ExitedError({"failed": True, **result})


def answer(monkeypatch, **given):
    """What the module says, and how it has searched."""
    asked = []

    def collect(deadline, **how):
        asked.append({"timeout": deadline.seconds, **how})
        return {"found": [{"signature": "conntrack-table-full", "count": 3}], "complete": True}

    monkeypatch.setattr(Module, "given", given)
    monkeypatch.setattr(log_signatures, "AnsibleModule", Module)
    monkeypatch.setattr(log_signatures.log_scan, "collect", collect)
    with pytest.raises(ExitedError) as caught:
        log_signatures.main()
    return caught.value.args[0], asked


def test_everything_by_default(monkeypatch):
    result, asked = answer(monkeypatch)
    known = next(one for one in signatures.SIGNATURES if one.id == "conntrack-table-full")
    entry = {"signature": known.id, "title": known.title, "level": known.level, "count": 3}
    assert result == {"changed": False, "found": [entry], "complete": True}
    how = {name: DEFAULTS[name] for name in ("since", "sources", "journal", "max_bytes", "timeout")}
    assert asked == [{**how, "signatures": list(signatures.IDS)}]


def test_what_is_asked_for(monkeypatch):
    given = {
        "signatures": ["conntrack-table-full"],
        "since": 60,
        "sources": ["journal"],
        "journal": "/mnt/journal",
        "max_bytes": 1 << 20,
        "timeout": 2.5,
    }
    assert answer(monkeypatch, **given)[1] == [given]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"since": 0}, "since: 0: more than 0 seconds expected"),
        ({"timeout": -1.0}, "timeout: -1: more than 0, at most 300 seconds expected"),
        (
            {"signatures": ["docker-name-conflict", "nonsense"]},
            "signatures: unknown signatures: nonsense; those that are known are ",
        ),
    ],
)
def test_it_refuses_before_it_searches(monkeypatch, given, why):
    result, asked = answer(monkeypatch, **given)
    assert result["failed"]
    assert result["msg"].startswith(why)
    assert asked == []
