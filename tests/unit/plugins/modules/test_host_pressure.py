# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_pressure: what the module makes of its option."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.modules import host_pressure

SECTION = {"seconds": 2.0, "complete": True, "missing": []}


class ExitedError(Exception):
    pass


class Module:
    """As much of an AnsibleModule as main() uses."""

    seconds = None

    def __init__(self, argument_spec, supports_check_mode):
        assert argument_spec == {"sample_seconds": {"type": "float", "default": 2}}
        assert supports_check_mode
        self.params = {"sample_seconds": self.seconds}

    def exit_json(self, **result):
        raise ExitedError(result)

    def fail_json(self, **result):
        raise ExitedError({"failed": True, **result})


def answer(monkeypatch, seconds):
    """What the module says, and for how many seconds it has sampled."""
    asked = []
    monkeypatch.setattr(Module, "seconds", seconds)
    monkeypatch.setattr(host_pressure, "AnsibleModule", Module)
    monkeypatch.setattr(host_pressure.host_pressure, "collect", lambda wanted: asked.append(wanted) or dict(SECTION))
    with pytest.raises(ExitedError) as caught:
        host_pressure.main()
    return caught.value.args[0], asked


def test_it_samples_as_long_as_it_is_told(monkeypatch):
    assert answer(monkeypatch, 5.0) == ({"changed": False, **SECTION}, [5.0])


@pytest.mark.parametrize("seconds", [-1.0, 601.0, float("nan")])
def test_it_refuses_before_it_samples(monkeypatch, seconds):
    expected = {"failed": True, "msg": f"sample_seconds: {seconds:g}: 0 to 100 expected"}
    assert answer(monkeypatch, seconds) == (expected, [])
