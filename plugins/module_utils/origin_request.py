# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What listener_origin is asked: the options of the module and of its action plugin, and what is wrong with them."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import expected_listeners, kubelet_dump, port_ranges

METHODS = ("owner", "configuration", "signature", "goroutines", "stack_dump", "trace")
OWNER, CONFIGURATION, SIGNATURE, GOROUTINES, STACK_DUMP, TRACE = METHODS
_LONGEST_SECONDS = 3600

ARGUMENTS: dict[str, dict[str, Any]] = {
    "port": {"type": "int"},
    "pid": {"type": "int"},
    "methods": {"type": "list", "elements": "str", "choices": list(METHODS), "default": list(METHODS[:4])},
    "expected": {"type": "list", "elements": "dict", "default": []},
    "nodeport_range": {"type": "str", "default": "30000-32767"},
    "kubelet_certificate": {"type": "path", "default": kubelet_dump.CERTIFICATE},
    "kubelet_key": {"type": "path", "default": kubelet_dump.KEY, "no_log": False},
    "trace": {
        "type": "dict",
        "options": {
            "command": {"type": "list", "elements": "str", "required": True},
            "tool": {"type": "str", "choices": ["auto", "dlv", "strace"], "default": "auto"},
            "seconds": {"type": "float", "default": 30},
        },
    },
    "kubeconfig": {"type": "path"},
    "context": {"type": "str"},
    "audits": {"type": "path"},
    "budget_seconds": {"type": "float", "default": 20},
}
OF_THE_CONTROLLER = frozenset({"kubeconfig", "context", "audits"})


class Request(NamedTuple):
    """The options, checked; ``node_ports`` is an inclusive (low, high)."""

    port: Optional[int]
    pid: Optional[int]
    methods: Tuple[str, ...]
    expected: Tuple[expected_listeners.Expected, ...]
    node_ports: port_ranges.Interval
    certificate: str
    key: str
    trace: Optional[dict[str, Any]]
    kubeconfig: Optional[str]
    context: Optional[str]
    budget_seconds: float


def read(options: dict[str, Any]) -> Request:
    """Check the options (see ARGUMENTS). Raises ValueError naming the one that cannot be right."""
    if options["port"] is not None and not 1 <= options["port"] <= port_ranges.HIGHEST:
        raise ValueError(f"port: {options['port']} is no port: 1 to {port_ranges.HIGHEST} expected")
    if options["pid"] is not None and options["pid"] < 1:
        raise ValueError(f"pid: {options['pid']} is no process")
    if not 0 < options["budget_seconds"] <= _LONGEST_SECONDS:
        raise ValueError(
            f"budget_seconds: {options['budget_seconds']:g}: more than 0 and at most {_LONGEST_SECONDS} expected"
        )
    if not options["methods"]:
        raise ValueError("methods: at least one is expected")
    trace = options["trace"] if TRACE in options["methods"] else None
    if TRACE in options["methods"] and trace is None:
        raise ValueError("methods: trace needs the option trace, which says what to run")
    return Request(
        options["port"],
        options["pid"],
        tuple(options["methods"]),
        expected_listeners.read(options["expected"], "expected"),
        _range(options["nodeport_range"]),
        options["kubelet_certificate"],
        options["kubelet_key"],
        trace,
        options.get("kubeconfig"),
        options.get("context"),
        options["budget_seconds"],
    )


def _range(text: str) -> port_ranges.Interval:
    try:
        return port_ranges.parse_range(text)
    except ValueError as error:
        raise ValueError(f"nodeport_range: {error}") from None
