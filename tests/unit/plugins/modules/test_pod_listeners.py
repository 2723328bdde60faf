# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_listeners: what the module makes of its options."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.modules import pod_listeners

DEFAULTS = {"pods": None, "namespaces": None, "processes": True, "budget_seconds": 20}
SECTION = {"pods": [], "truncated": {"pods": 0, "listeners": 0}, "complete": True, "missing": []}


class ExitedError(Exception):
    pass


class Module:
    """As much of an AnsibleModule as main() uses."""

    options = None

    def __init__(self, argument_spec, supports_check_mode):
        assert supports_check_mode
        assert {name: spec.get("default") for name, spec in argument_spec.items()} == DEFAULTS
        self.params = {**DEFAULTS, **self.options}

    def exit_json(self, **result):
        raise ExitedError(result)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (20, True, None, None)),
        ({"processes": False, "budget_seconds": 3.5}, (3.5, False, None, None)),
        ({"pods": ["ui-1"], "namespaces": ["shop"]}, (20, True, ["ui-1"], ["shop"])),
        ({"pods": []}, (20, True, [], None)),
    ],
)
def test_options(monkeypatch, options, expected):
    asked = []

    def collect(deadline, holders, pods, namespaces):
        asked.append((deadline.seconds, holders is not None, pods, namespaces))
        return SECTION

    monkeypatch.setattr(pod_listeners.pod_listeners, "collect", collect)
    monkeypatch.setattr(Module, "options", options)
    monkeypatch.setattr(pod_listeners, "AnsibleModule", Module)
    with pytest.raises(ExitedError) as exited:
        pod_listeners.main()
    assert exited.value.args[0] == {"changed": False, **SECTION}
    assert asked == [expected]
