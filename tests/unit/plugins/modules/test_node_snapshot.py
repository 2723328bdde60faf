# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_snapshot: what the module makes of its options, which it checks as the action plugin does, for whoever calls it alone."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import first_samples, snapshot, snapshot_request
from ansible_collections.kubenode.doctor.plugins.modules import node_snapshot

OPTIONS = {
    "sections": ["host", "tcp_states"],
    "ports": None,
    "port_range": "30000-30002",
    "budget_seconds": 20.0,
    "sample_seconds": 2.0,
    "netns": "all",
    "log_seconds": 3600,
}


class ExitedError(Exception):
    pass


class Module:
    """As much of an AnsibleModule as main() uses."""

    options = None

    def __init__(self, argument_spec, supports_check_mode):
        assert argument_spec == snapshot_request.ARGUMENTS
        assert supports_check_mode
        self.params = {**OPTIONS, **self.options}

    def exit_json(self, **result):
        raise ExitedError(result)

    def fail_json(self, **result):
        raise ExitedError({"failed": True, **result})


def answer(monkeypatch, **options):
    """What the module says, and what it asked for."""
    asked = []

    def take(sections, *others):
        asked.append(("first", sections, *others))
        return "first samples"

    def collect(sections, ports, *others):
        asked.append((sections, sorted(ports), *others))
        return {"schema": 1}

    monkeypatch.setattr(Module, "options", options)
    monkeypatch.setattr(node_snapshot, "AnsibleModule", Module)
    monkeypatch.setattr(first_samples, "take", take)
    monkeypatch.setattr(snapshot, "collect", collect)
    with pytest.raises(ExitedError) as caught:
        node_snapshot.main()
    return caught.value.args[0], asked


@pytest.mark.parametrize(("ports", "expected"), [(None, [30000, 30001, 30002]), ([], []), ([36527, 22], [22, 36527])])
def test_it_asks_for_what_it_is_told(monkeypatch, ports, expected):
    assert answer(monkeypatch, ports=ports, sample_seconds=0.5) == (
        {"changed": False, "snapshot": {"schema": 1}},
        [
            ("first", ["host", "tcp_states"], 20.0, 0.5, "all"),
            (["host", "tcp_states"], expected, 20.0, 0.5, "all", 3600, "first samples"),
        ],
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sample_seconds": -0.1}, "sample_seconds: -0.1: 0 to 100 expected"),
        ({"sample_seconds": 601.0}, "sample_seconds: 601: 0 to 100 expected"),
        ({"sample_seconds": float("inf")}, "sample_seconds: inf: 0 to 100 expected"),
        ({"log_seconds": 0}, "log_seconds: 0: more than 0 expected"),
        ({"ports": [0]}, "ports, port_range: '0': a port lies between 1 and 65535"),
        ({"port_range": "all"}, "ports, port_range: 'all' is no port range like 30000-32767"),
    ],
)
def test_it_refuses_before_it_looks(monkeypatch, options, told):
    assert answer(monkeypatch, **options) == ({"failed": True, "msg": told}, [])
