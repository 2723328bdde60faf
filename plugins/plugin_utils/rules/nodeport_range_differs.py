# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API servers of one cluster give NodePorts from different ranges."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, NotApplicable, Remedy, Rule


def _judge(context: Context) -> Iterator[Answer]:
    if not context.api_ranges:
        yield NotApplicable("no API server was seen on the hosts that answered")
        return
    if len({entry[:2] for entry in context.api_ranges.values()}) == 1:
        return
    yield Fail(
        subject="--service-node-port-range",
        title="the API servers give NodePorts from different ranges",
        explanation="Which NodePorts are allowed then depends on which API server a client reaches, and each repairs the others' Services with warnings.",
        evidence=tuple(f"{low}-{high}: {source}" for low, high, source in sorted(context.api_ranges.values())),
        remedies=(
            Remedy("give every kube-apiserver the same --service-node-port-range", (), "each API server restarts"),
        ),
    )


RULE = Rule(
    id="nodeport-range-differs",
    group="ports",
    severity="warning",
    claim="all API servers give NodePorts from one range",
    why="a Service that one API server accepts is refused by the next",
    sources=("Kubernetes 1.36 pkg/registry/core/service/portallocator/controller/repair.go",),
    judge=_judge,
    scope="cluster",
)
