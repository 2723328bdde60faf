# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""This node's etcd does not run."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    container_cures,
    container_words,
    containers_seen,
    etcd_seen,
    not_created,
    section_gaps,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import Container, Containers, Group
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.etcd_seen import Place
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logs_seen import Logs
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    NotApplicable,
    Remedy,
    Rule,
    Unknown,
)

_HERE = Place("", etcd_seen.CLIENT_PORT)


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    containers, logs = Containers(node), Logs(node, context.settings)
    answer = etcd_seen.listens(node, _HERE)
    groups = etcd_seen.groups(containers)
    lives = any(containers_seen.is_alive(one) for group in groups for one in group["instances"])
    if groups and not lives and not answer.listens:
        # A static pod that was changed is another pod: of several, the others are leftovers.
        group = max(groups, key=_created)
        caused_by = not_created.causes(containers_seen.subject_of(group), containers, logs, context.settings)
        yield _fail(group, node, containers, answer, caused_by)
        if answer.gap:
            yield Unknown(answer.gap)
    elif not groups:
        pods = _logged(node) if containers.unseen else []
        if pods and answer.listens is False:
            for subject in pods:
                yield _fail_by_log(subject, not_created.causes(subject, containers, logs, context.settings))
        yield from map(Unknown, containers.gaps())
        if not pods:
            yield NotApplicable("no etcd runs here as a static pod")


def _logged(node: NodeView) -> list[str]:
    """The subjects of etcd's pods that have logs here: kubelet keeps them no longer than the pod."""
    if section_gaps.gap(node.sections, "logs"):
        return []
    pods = [entry["pod"] for entry in node["logs"]["found"] if entry["pod"] and etcd_seen.is_etcd_of_node(entry["pod"])]
    return sorted({containers_seen.subject(pod["namespace"], pod["name"], pod["container"]) for pod in pods})


def _fail(
    group: Group,
    node: NodeView,
    containers: Containers,
    answer: etcd_seen.Answer,
    caused_by: tuple[tuple[str, str], ...],
) -> Fail:
    last = _last(group)
    return Fail(
        subject=containers_seen.subject_of(group),
        title="etcd does not run on this node"
        + (", and nothing listens on its client port" if answer.listens is False else ""),
        explanation=(
            "The API server of this node keeps its state in etcd, by default in this one: it ends again and again until etcd is back. The other "
            "members of the cluster go on for as long as they are a majority."
        ),
        evidence=(
            f"the last instance: {container_words.instance(last)}",
            f"port {_HERE.port}: {answer.text}",
            *_kubelet(node),
        ),
        remedies=tuple(_remedies(group, last, node, containers)),
        caused_by=caused_by,
    )


def _last(group: Group) -> Container:
    return max(group["instances"], key=lambda one: (one["attempt"] or 0, one["created_ns"] or 0))


def _created(group: Group) -> int:
    return max(one["created_ns"] or 0 for one in group["instances"])


def _kubelet(node: NodeView) -> Iterator[str]:
    if containers_seen.kubelet_is_away(node):
        yield "no kubelet runs here, so nobody starts it"


def _remedies(group: Group, last: Container, node: NodeView, containers: Containers) -> Iterator[Remedy]:
    runtime = group["runtime"]
    if containers_seen.kubelet_is_away(node):
        yield container_cures.start_kubelet("start kubelet, which starts etcd")
    yield Remedy(
        "read etcd's last words: a full disk, a certificate that has expired and a member that was removed are the usual ones",
        container_cures.last_words(runtime, containers.endpoint(runtime), last["id"]),
        "none; never delete etcd's data to make it start: that is the cluster's state",
    )


def _fail_by_log(subject: str, caused_by: tuple[tuple[str, str], ...]) -> Fail:
    return Fail(
        subject=subject,
        title="nothing listens on the client port of this node's etcd",
        explanation=(
            "This node has an etcd pod, by its logs. Whether its container runs could not be seen; nobody can reach it in either case."
        ),
        evidence=(
            "/var/log/pods holds logs of the pod",
            f"nothing listens on port {etcd_seen.CLIENT_PORT} of this host",
        ),
        remedies=(Remedy("collect again with the containers, and read etcd's log", (), "none"),),
        caused_by=caused_by,
    )


RULE = Rule(
    id="etcd-not-running",
    group="containers",
    severity="critical",
    claim="an etcd that is a static pod of the node runs",
    why="the node's API server cannot live without it, and the cluster is one member nearer to losing its majority",
    sources=(
        "kubernetes/kubernetes cmd/kubeadm/app/phases/etcd/local.go; etcd.io/docs: --listen-client-urls",
        "kubernetes/kubernetes pkg/kubelet/config/common.go: the uid of a static pod is a hash",
    ),
    judge=_judge,
    reads=("containers", "listen_ports", "logs", "host"),
    thresholds=("log_recent_seconds", "name_reserved_count"),
    see_also=("apiserver-cannot-reach-etcd",),
)
