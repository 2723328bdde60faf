# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Service's targetPort is a name that no container of its pods gives to a port: there is no endpoint for it, and no event says so."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import missing_names
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Rule


def _judge(context: Context) -> Iterator[Answer]:
    if context.paths.refusal is not None:
        yield context.paths.refusal
        return
    for service, entries in context.paths.by_service():
        found = [one for one in (missing_names.of(entry, context) for entry in entries) if one.pods]
        if found:
            yield Fail(
                subject=found[0].entry.subject,
                title=missing_names.title(found),
                explanation=(
                    "The endpoint controller looks up the name in each pod, together with the protocol, and leaves a pod without it out of the "
                    "endpoints of this port, without an event or a log line: the EndpointSlice then has the pods' addresses and no number, kube-proxy has "
                    "no endpoint, and refuses."
                ),
                evidence=tuple(missing_names.evidence(found, context)),
                remedies=tuple(missing_names.remedies(service, found, context.workloads)),
                severity="critical" if any(one.is_dead for one in found) else "warning",
            )


RULE = Rule(
    id="service-named-port-missing",
    group="services",
    severity="critical",
    claim="every name that a Service has as targetPort is that of a port in its pods",
    why="connections are refused, while pods are ready and kubectl get endpointslices shows their addresses",
    sources=(
        "kubernetes/kubernetes staging/src/k8s.io/endpointslice/utils.go, getEndpointPorts: a name that is not found is skipped",
        "kubernetes/kubernetes pkg/api/v1/pod/util.go, FindPort: name and protocol must fit",
    ),
    judge=_judge,
    scope="cluster",
    thresholds=("service_target_start_seconds",),
    see_also=("service-target-not-listening", "service-target-wrong-protocol"),
)
