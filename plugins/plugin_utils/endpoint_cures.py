# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cures for Services without endpoints, with their exact commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.kubectl import about, labels
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy

Object = dict[str, Any]


def look_at(service: Object, pods: Sequence[Object]) -> Iterator[Remedy]:
    """Read what the pods behind a Service say: of the first of them where they are known, else of all that it selects."""
    if not pods:
        chosen = labels(service["selector"] or {})
        if chosen:
            commands = about(service["namespace"], "get", "pods", "-o", "wide", "-l", chosen)
            yield Remedy("look at the pods, and cure what they say", commands)
        return
    pod = pods[0]
    commands = about(pod["namespace"], "describe", "pod", pod["name"], names=(pod["name"],))
    container = next(filter(_was_restarted, pod["containers"]), None)
    if container is not None:
        words = ("logs", pod["name"], "-c", container["name"], "--previous", "--tail=20")
        commands += about(pod["namespace"], *words, names=(pod["name"], container["name"]))
    yield Remedy("read what the pods say of themselves, and cure that; the Service follows at once", commands)


def _was_restarted(container: Object) -> bool:
    status = container["status"]
    return bool(status and not status["ready"] and status["restarts"])


def look_at_deployment(deployment: Object) -> Remedy:
    """Read why a Deployment has no pods."""
    namespace, name = deployment["namespace"], deployment["name"]
    return Remedy(
        f"read what keeps the pods of Deployment {namespace}/{name} from running, and cure that",
        about(namespace, "describe", "deployment", name, names=(name,))
        + about(namespace, "get", "events", "--field-selector", "reason=FailedCreate"),
    )


def scale(deployment: Object) -> Remedy:
    """Start a Deployment that was scaled to 0."""
    namespace, name = deployment["namespace"], deployment["name"]
    return Remedy(
        f"if it is needed again, scale Deployment {namespace}/{name}",
        about(namespace, "scale", f"deployment/{name}", "--replicas=1", names=(name,)),
        "its pods start",
        by_hand="somebody scaled it to 0, and only who did knows whether it is still wanted so",
    )


def correct_labels(service: Object) -> Remedy:
    """Make selector and labels agree."""
    return Remedy(
        "correct the Service's selector or the labels of the pods' template",
        about(service["namespace"], "get", "pods", "--show-labels"),
        "a corrected selector sends traffic to these pods at once",
    )


def look_whether_stale(service: Object) -> Remedy:
    """See whose Service it is: what makes its pods may be scaled to 0, or come back."""
    return Remedy(
        "look whether it is stale: whether a StatefulSet or another owner that is scaled to 0 has these labels, and whether a chart or an "
        "operator made the Service",
        about(service["namespace"], "get", "statefulsets,daemonsets,deployments,jobs,cronjobs", "-o", "wide"),
    )


def correct_slices(service: Object) -> Remedy:
    """Make the ports of Service and EndpointSlices agree."""
    name = service["name"]
    words = ("get", "endpointslices", "-l", f"kubernetes.io/service-name={name}", "-o", "yaml")
    return Remedy(
        "give the port of the slices the Service's name and protocol of it",
        about(service["namespace"], *words, names=(name,)),
    )


def wait_for_controller() -> Remedy:
    """See whether the endpoint controller works."""
    return Remedy(
        "look again; if it stays like this, look at kube-controller-manager",
        about("kube-system", "get", "lease", "kube-controller-manager", "-o", "yaml"),
    )


def advertise() -> Remedy:
    """Let the API servers write the endpoints of their own Service."""
    return Remedy(
        "let the API servers advertise an address that pods reach: look at --advertise-address and --endpoint-reconciler-type of "
        "kube-apiserver"
    )
