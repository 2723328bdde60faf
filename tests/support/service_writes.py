# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an API server makes of the NodePorts in a changed Service, for the fake one.

As pkg/registry/core/service/storage/{storage,alloc}.go of kubernetes/kubernetes have it: patchAllocatedValues puts a number that the change left out
back, by the port's name; updateNodePorts refuses a new number that is taken or out of range, whatever the protocol, and takes one that the Service
itself has already. In a dry run the range is not looked at (portallocator/operation.go, Allocate). Without: giving out numbers by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]
Range = tuple[int, int]
_WITH_NODE_PORTS = ("NodePort", "LoadBalancer")
# portallocator/allocator.go: ErrAllocated, ErrNotInRange
TAKEN = "provided port is already allocated"
OUT_OF_RANGE = "provided port is not in the valid range. The range of valid ports is {}-{}"


class RefusedError(Exception):
    """A NodePort that the Service cannot have."""

    def __init__(self, index: int, value: int, why: str) -> None:
        self.field = f"spec.ports[{index}].nodePort"
        self.words = f"Invalid value: {value}: {why}"
        super().__init__(self.words)


def settle(before: Object, after: Object, others: Iterable[Object], span: Range, dry_run: bool) -> None:
    """Put numbers that were left out back into ``after``, and raise RefusedError for a new one that it cannot have."""
    if after["spec"].get("type") not in _WITH_NODE_PORTS:
        return
    had, has = _numbers(before), _numbers(after)
    by_name = {port.get("name", ""): port.get("nodePort") for port in before["spec"]["ports"]}
    for port in after["spec"]["ports"]:
        old = by_name.get(port.get("name", ""))
        if not port.get("nodePort") and old and not (old in had and old in has):
            port["nodePort"] = old
    taken = {number for other in others for number in (*_numbers(other), other["spec"].get("healthCheckNodePort"))}
    for index, port in enumerate(after["spec"]["ports"]):
        number = port.get("nodePort")
        if not number or number in had:
            continue
        if number in taken:
            raise RefusedError(index, number, TAKEN)
        if not (dry_run or span[0] <= number <= span[1]):
            raise RefusedError(index, number, OUT_OF_RANGE.format(*span))


def _numbers(service: Object) -> set[int]:
    return {port["nodePort"] for port in service["spec"].get("ports") or () if port.get("nodePort")}
