# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of nodes that lead into pods: hostPort.

The CNI plugin portmap and CRI-O lead them there by rules of their own, and no socket listens. A NodePort of the same number would take
what comes for the pod. Sources: containernetworking/plugins plugins/meta/portmap; KEP-3668, whose allocator does not know them either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_OVER = ("Succeeded", "Failed")


def of(pods: Iterable[dict[str, Any]]) -> set[int]:
    """Of pods of cluster.json that may run, on any node: a pod can be on another one tomorrow. Older bundles tell of none."""
    return {
        port["host_port"]
        for pod in pods
        if pod["phase"] not in _OVER
        for container in pod["containers"]
        for port in container["ports"]
        if isinstance(port.get("host_port"), int)
    }
