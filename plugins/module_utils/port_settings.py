# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``port_settings``: what decides which ports are drawn, reserved and given to Services."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import cri_config, kernel_settings, nodeport_range


def collect() -> dict[str, Any]:
    """Return ``{kernel, api_server, cri, complete, missing}``: kernel_settings', nodeport_range's and cri_config's answers."""
    parts = {"kernel": kernel_settings.collect(), "api_server": nodeport_range.find(), "cri": cri_config.collect()}
    missing = [gap for part in parts.values() for gap in part["missing"]]
    return {**parts, "complete": not missing, "missing": missing}
