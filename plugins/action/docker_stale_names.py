# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name, within bounds."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_action import OnNode


class ActionModule(OnNode):
    """See plugins/modules/docker_stale_names.py."""

    seconds = 3600  # it removes one container after the other
