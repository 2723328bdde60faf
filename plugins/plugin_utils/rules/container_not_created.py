# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubelet cannot create a container, or the sandbox of a pod."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ansible_collections.kubenode.doctor.plugins.module_utils import kube_container
from ansible_collections.kubenode.doctor.plugins.plugin_utils import containers_seen, kubectl, name_trouble, not_created
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import Containers, left_open
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logged import Entry
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logs_seen import Logs
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.not_created import NotCreated
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule

_WORDS = 400  # characters of what kubelet says
_SHOWN = 2

# pkg/kubelet/kuberuntime/kuberuntime_container.go, startContainer
_REASONS: Mapping[str, str] = {
    "CreateContainerConfigError": (
        "The pod names something that is not there, a ConfigMap, a Secret or a key of one, or its securityContext cannot be met: the pod or "
        "that thing has to be corrected, nothing on this node."
    ),
    "CreateContainerError": "The runtime refused to create it.",
    "RunContainerError": "The runtime created it and could not start it: a program, a mount or a device that is not there.",
}


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    containers, logs = Containers(node), Logs(node, context.settings)
    explained = name_trouble.refused(containers, logs, context.settings)
    for one in not_created.found(containers, logs):
        yield _fail(one, logs, one.subject in explained)
    yield from left_open(containers, logs.gaps())


def _fail(one: NotCreated, logs: Logs, explained: bool) -> Fail:
    sandbox = one.container == kube_container.SANDBOX
    what = f"the sandbox of {one.namespace}/{one.pod}" if sandbox else one.subject
    reason = f" ({one.reason})" if one.reason else ""
    return Fail(
        subject=one.subject,
        title=f"kubelet cannot create {what}{reason}"
        if one.recent
        else f"kubelet could not create {what}{reason}, some time ago",
        explanation=" ".join(_explanation(one, sandbox, explained)),
        evidence=tuple(_evidence(one, logs)),
        remedies=tuple(_remedies(one, explained)),
        severity=_severity(one, explained),
        caused_by=tuple((rule, one.subject) for rule in not_created.NAME_RULES if explained),
    )


def _explanation(one: NotCreated, sandbox: bool, explained: bool) -> Iterator[str]:
    if explained:
        yield "The name that kubelet gives to it is taken, which is a finding by itself; with that cured, kubelet gets on at its next sync."
    elif sandbox:
        yield "Without its sandbox no container of the pod starts. It takes the runtime and the network plugin; kubelet's words say which of them failed."
    else:
        yield _REASONS.get(one.reason, "kubelet's words say why.")
    if one.lives and not explained:
        yield "Its latest instance is alive all the same: it was cured a moment ago, or kubelet's picture of the pod is out of date."
    if not one.recent:
        yield "It was not logged again lately, and the container is not there: kubelet no longer tries, or does not run."


def _evidence(one: NotCreated, logs: Logs) -> Iterator[str]:
    for entry in one.entries[:_SHOWN]:
        yield f"{logs.when(entry)}: {_words(entry)}"


def _words(entry: Entry) -> str:
    """What kubelet says after the pod's name, which comes at length and twice before it."""
    sample, reason = str(entry["sample"]), entry["fields"].get("reason") or ""
    begin = sample.find(f"{reason}:") if reason else -1
    return sample[max(begin, 0) :][:_WORDS]


def _remedies(one: NotCreated, explained: bool) -> Iterator[Remedy]:
    if explained:
        return
    commands = kubectl.about(one.namespace, "describe", "pod", one.pod, names=(one.pod,))
    yield Remedy("read what the events of the pod say, and cure that", commands, "none")


def _severity(one: NotCreated, explained: bool) -> str:
    if not one.recent:
        return "info"
    if explained or one.lives:
        return "warning"  # its cause is what is critical, or it runs
    return "critical" if containers_seen.is_of_the_system(one.namespace, one.pod_uid) else "warning"


RULE = Rule(
    id="container-not-created",
    group="containers",
    severity="critical",
    claim="kubelet can create the containers and sandboxes of its pods",
    why="what is not created does not run, and kubectl logs shows the words of an instance that is gone",
    sources=(
        "kubernetes/kubernetes pkg/kubelet/pod_workers.go (Error syncing pod), pkg/kubelet/kuberuntime/kuberuntime_container.go (startContainer)",
        "kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_sandbox.go (createPodSandbox)",
    ),
    judge=_judge,
    needs=("logs",),
    reads=("containers",),
    thresholds=("log_recent_seconds", "name_reserved_count"),
    see_also=not_created.NAME_RULES,
)
