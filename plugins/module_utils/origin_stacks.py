# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stacks of the program that holds a listener: which way there is to get them, and why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import go_dump, kubelet_dump, origin_kinds, signalled_dump
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.dump_source import Dumped
from ansible_collections.kubenode.doctor.plugins.module_utils.origin_request import GOROUTINES, STACK_DUMP, Request

KUBELET = "kubelet"
_TRACE = "its stacks cannot be asked for: if it may be started once more, trace it (docs/whose_port.md)"


class Stacks:
    """Asks each program once. ``asked_to_write`` are those that were made to write a file."""

    def __init__(self, request: Request, deadline: Deadline, check_mode: bool) -> None:
        self._request = request
        self._deadline = deadline
        self._check_mode = check_mode
        self._known: dict[int, dict[str, Any]] = {}
        self.asked_to_write: list[int] = []

    def of(self, listener: dict[str, Any], siblings: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return ``{source, count, accepting, truncated, why}``; ``siblings`` are the other TCP listeners of its processes."""
        first = origin_kinds.holder(listener)
        if first is None:
            return nothing("whose stacks to ask for is not known: no process was seen to hold it")
        if first["pid"] not in self._known:
            self._known[first["pid"]] = self._ask(first, [listener, *siblings])
        return self._known[first["pid"]]

    def _ask(self, process: dict[str, Any], mine: Sequence[dict[str, Any]]) -> dict[str, Any]:
        name, methods = process["name"], self._request.methods
        if name == KUBELET and GOROUTINES in methods:
            return self._ask_kubelet(mine)
        if name not in signalled_dump.PROGRAMS:
            return nothing(_TRACE)
        if STACK_DUMP not in methods:
            return nothing(f"{name} writes its stacks to a file when it is asked: add the method {STACK_DUMP} for that")
        if self._check_mode:
            return nothing(f"{name} is not asked for its stacks in check mode, since it would write them to a file")
        dumped = signalled_dump.ask(process["pid"], name, self._deadline)
        if dumped.signalled:
            self.asked_to_write.append(process["pid"])
        return parsed(dumped, self._deadline)

    def _ask_kubelet(self, mine: Sequence[dict[str, Any]]) -> dict[str, Any]:
        ports = [listener["port"] for listener in mine if origin_kinds.of_known(listener) == "kubelet-api"]
        if not ports:
            return nothing("kubelet's API, which tells its stacks, was not found on this node")
        return parsed(
            kubelet_dump.ask(ports[0], self._request.certificate, self._request.key, self._deadline), self._deadline
        )


def parsed(dumped: Dumped, deadline: Deadline) -> dict[str, Any]:
    """Read a dump: ``{source, count, accepting, truncated, why}``."""
    with dumped:
        found = go_dump.parse(dumped.blocks(), deadline)
    reasons = [gap["why"] for gap in dumped.missing] or [found.why]
    return {
        "source": dumped.source,
        "count": found.goroutines,
        "accepting": found.accepting,
        "truncated": found.truncated,
        "why": "; ".join(reason for reason in reasons if reason),
    }


def nothing(why: str) -> dict[str, Any]:
    """The same of a program that was not asked."""
    return {"source": "", "count": 0, "accepting": [], "truncated": False, "why": why}
