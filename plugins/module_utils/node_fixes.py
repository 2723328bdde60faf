# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixes that change a node, and who plans each."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    fix_pin_stream_port,
    fix_raise_backlog,
    fix_raise_conntrack,
    fix_redraw_random_port,
    fix_reserve_nodeports,
    fix_restart_leaker,
    fix_sync_clock,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places, Plan

Planner = Callable[[Sequence[str], Mapping[str, Any], Places, Deadline], Plan]

FIXES: Mapping[str, Planner] = {
    fix.FIX: fix.plan
    for fix in (
        fix_pin_stream_port,
        fix_raise_backlog,
        fix_raise_conntrack,
        fix_redraw_random_port,
        fix_reserve_nodeports,
        fix_restart_leaker,
        fix_sync_clock,
    )
}
