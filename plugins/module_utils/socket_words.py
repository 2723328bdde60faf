# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a socket is called, on nodes and on the controller."""

from __future__ import annotations

from typing import Any


def endpoint(socket: dict[str, Any]) -> str:
    """``127.0.0.1:36527/tcp`` or ``[::]:30080/tcp``."""
    host = f"[{socket['address']}]" if socket["family"] == "ipv6" else socket["address"]
    return f"{host}:{socket['port']}/{socket['protocol']}"
