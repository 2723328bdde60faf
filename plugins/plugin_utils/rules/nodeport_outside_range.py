# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services keep NodePorts that the range no longer holds."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_verdict
from ansible_collections.kubenode.doctor.plugins.plugin_utils import describe
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    Remedy,
    Rule,
    Unknown,
)


def _judge(context: Context) -> Iterator[Answer]:
    why = context.why_no_services()
    span = context.nodeport_range
    if why:
        yield Unknown(f"the cluster's Services are not known ({why})")
    elif span.assumed:
        yield Unknown(f"the NodePort range is not known ({span.source})")
    else:
        outside = [
            port for port in context.node_ports or () if not span.low <= nodeport_verdict.number(port) <= span.high
        ]
        if outside:
            yield _fail(context, [describe.service(port) for port in outside])


def _fail(context: Context, outside: list[str]) -> Fail:
    span = context.nodeport_range
    return Fail(
        subject="NodePorts outside the range",
        title=f"{len(outside)} NodePorts lie outside the range {span}",
        explanation="A change of the range does not move Services. Such a Service works until it is written anew: then the API server refuses its number.",
        evidence=(f"NodePort range {span} ({span.source})", *outside[:10]),
        remedies=(
            Remedy(
                "give these Services NodePorts inside the range, or widen the range again",
                (),
                "clients that use the old numbers must follow",
            ),
        ),
    )


RULE = Rule(
    id="nodeport-outside-range",
    group="ports",
    severity="warning",
    claim="every NodePort lies in the API server's range",
    why="the Service cannot be restored from its manifest",
    sources=("Kubernetes 1.36 pkg/registry/core/service/portallocator/controller/repair.go (event PortOutOfRange)",),
    judge=_judge,
    scope="cluster",
    settings=("nodeport_range",),
)
