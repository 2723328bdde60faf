# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an API server is to be asked at all, and within which limits. Needs no library, so that whoever names none need not wait for one."""

from __future__ import annotations

import os
from typing import Any, Mapping

NO_KUBECONFIG = "no kubeconfig given: pass kubeconfig=…"
# option: (default, smallest, largest)
LIMITS = {"page_size": (500, 1, 5000), "timeout": (10, 1, 600), "budget_seconds": (120, 1, 3600)}


def names_cluster(params: Mapping[str, Any]) -> bool:
    """Return whether options or environment name an API server: without one, no library is needed to say so."""
    names = ("kubeconfig", "host", "context")
    return any(params.get(name) or os.environ.get(f"K8S_AUTH_{name.upper()}") for name in names)
