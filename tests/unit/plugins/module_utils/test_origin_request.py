# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listener_origin's options: what cannot be right is refused by name."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import origin_request

DEFAULTS = {name: spec.get("default") for name, spec in origin_request.ARGUMENTS.items()}
TRACE = {"command": ["/bin/true"], "tool": "auto", "seconds": 1.0}


def test_the_quiet_methods_are_the_default():
    request = origin_request.read(DEFAULTS)
    assert request.methods == ("owner", "configuration", "signature", "goroutines")
    assert request.node_ports == (30000, 32767)


def test_a_trace_is_only_of_the_method_trace():
    assert origin_request.read({**DEFAULTS, "trace": TRACE}).trace is None
    assert origin_request.read({**DEFAULTS, "trace": TRACE, "methods": ["trace"]}).trace == TRACE


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"port": 0}, "port: 0 is no port"),
        ({"port": 65536}, "port: 65536 is no port"),
        ({"pid": 0}, "pid: 0 is no process"),
        ({"pid": -5}, "pid: -5 is no process"),
        ({"budget_seconds": 0.0}, "budget_seconds: 0:"),
        ({"budget_seconds": float("nan")}, "budget_seconds: nan:"),
        ({"budget_seconds": float("inf")}, "budget_seconds: inf:"),
        ({"nodeport_range": "all"}, "nodeport_range: 'all'"),
        ({"methods": ["trace"]}, "trace needs the option trace"),
        ({"methods": []}, "methods: at least one"),
        ({"expected": [{"reason": "x"}]}, "expected[0]: it would cover everything"),
    ],
)
def test_what_cannot_be_right(options, words):
    with pytest.raises(ValueError, match=words.replace("[", r"\[")):
        origin_request.read({**DEFAULTS, **options})
