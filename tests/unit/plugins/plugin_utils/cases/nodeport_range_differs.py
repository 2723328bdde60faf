# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    changed,
    live,
    seed,
)


def two(low, high):
    """A second master, whose API server has another range."""
    scene = seed()
    scene.snapshots["healthy"] = changed(captured("healthy"), "port_settings.api_server.range", [low, high])
    return scene


CASES = [
    Case(
        "30000-40000 and 30000-32767",
        "fail",
        two(30000, 32767),
        None,
        "warning",
        words=(
            "from different ranges",
            "30000-32767: healthy: running kube-apiserver",
            "30000-40000: sick: running kube-apiserver",
        ),
    ),
    Case("the same on both", "pass", two(30000, 40000), None),
    Case("junk is no range", "pass", two("a", []), None),
    Case("workers only", "not_applicable", live("port_settings.api_server.range", None), None),
]
