# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    Scene,
    kubernetes_136,
    live,
    no_cluster,
)

CASES = [
    Case(
        "the range was moved",
        "fail",
        live(nodeport_range="30000-32767"),
        None,
        "warning",
        words=("1 NodePorts lie outside the range 30000-32767", "Service shop/local, NodePort 35776/TCP"),
    ),
    Case(
        "a healthCheckNodePort counts too",
        "fail",
        live(nodeport_range="31000-40000"),
        None,
        words=("5 NodePorts lie outside", "healthCheckNodePort 30787/TCP"),
    ),
    Case("all lie in it", "pass", live(), None),
    Case(
        "the range is not known",
        "unknown",
        live("port_settings.api_server.range", None),
        None,
        words=("the NodePort range is not known (at least",),
    ),
    Case(
        "no host answered",
        "unknown",
        Scene({"node-a": "timed out"}, kubernetes_136()),
        None,
        words=("not known (at least",),
    ),
    Case("the API server is dead", "unknown", live(cluster=no_cluster()), None, words=("connection refused",)),
]
