# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-apiserver is refused by etcd; or its log says so, and it is long over."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    container_words,
    containers_seen,
    etcd_refused,
    etcd_seen,
    name_trouble,
    not_created,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import Containers, left_open
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.etcd_refused import ECHO, LAST_WORDS, LIVE, OVER, Refused
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logs_seen import BESIDE_PODS, Logs
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Remedy, Rule, Unknown

_NO_ETCD = "etcd-not-running"
_SHOWN = 3


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    containers, logs = Containers(node), Logs(node, context.settings)
    for refused in etcd_refused.found(containers, logs):
        if refused.kind == ECHO:
            if refused.subject in _in_trouble(containers, logs, context):
                yield _echo(refused, node, containers, logs)
        elif refused.kind != OVER:
            yield _live(refused, node, containers, logs)
        if containers.unseen and refused.kind == OVER:
            yield Unknown(containers.unseen)
    yield from left_open(node, containers, logs.gaps(BESIDE_PODS))


def _in_trouble(containers: Containers, logs: Logs, context: Context) -> set[str]:
    """The containers that kubelet cannot create: whoever looks why meets the words of an older instance."""
    troubles = name_trouble.going_on(containers, logs, context.settings, *containers_seen.RUNTIMES)
    return {trouble.subject for trouble in troubles} | {one.subject for one in not_created.found(containers, logs)}


def _echo(refused: Refused, node: NodeView, containers: Containers, logs: Logs) -> Fail:
    return Fail(
        subject=refused.subject,
        title='"connection refused" by etcd in the log of kube-apiserver is an echo of an instance that is gone, and not the cause',
        explanation=" ".join(_of_whom(refused, logs)),
        evidence=tuple(_evidence(refused, node, logs)),
        remedies=(),
        severity="info",
        caused_by=not_created.causes(refused.subject, containers, logs),
    )


def _of_whom(refused: Refused, logs: Logs) -> Iterator[str]:
    yield (
        "kubectl logs shows the log of the instance that kubelet takes for the latest, and on the node the logs of several instances lie side by side."
    )
    if refused.of and refused.running and refused.of["id"] != refused.running["id"]:
        yield f"These words are of {container_words.attempt(refused.of)}, {container_words.state(refused.of)}."
    elif refused.running:
        yield "These words are older than the instance that runs."
    if refused.running:
        quiet = ", which has said no such thing in what was read of its log" if not logs.gaps(BESIDE_PODS) else ""
        yield f"Now {container_words.attempt(refused.running)} runs{quiet}."


def _live(refused: Refused, node: NodeView, containers: Containers, logs: Logs) -> Fail:
    answers = _answers(refused, node)
    over = bool(answers) and all(answer.listens for answer in answers.values())
    return Fail(
        subject=refused.subject,
        title=_title(refused, over),
        explanation=(
            "Without etcd the API server answers nothing and ends itself, and kubelet starts it anew. Nobody listened where it dialled: etcd does not "
            "run, or is told to listen elsewhere. A certificate that is wrong, or a full disk, looks different."
        ),
        evidence=tuple(_evidence(refused, node, logs)),
        remedies=tuple(_remedies(refused, over)),
        severity="info" if over else "warning" if refused.kind == LAST_WORDS else "critical",
        caused_by=tuple(_causes(refused, containers, logs, answers)),
    )


def _title(refused: Refused, over: bool) -> str:
    if over:
        return "kube-apiserver could not reach etcd, where something listens now"
    if refused.kind == LAST_WORDS:
        return "kube-apiserver does not run, and its last words are that etcd refuses it"
    return "kube-apiserver cannot reach etcd: its connections are refused"


def _answers(refused: Refused, node: NodeView) -> dict[str, etcd_seen.Answer]:
    """Who listens now at each address that was dialled."""
    answers = {}
    for entry in refused.entries:
        address = entry["fields"].get("address") or ""
        place = etcd_seen.place(address)
        if place:
            answers[address] = etcd_seen.listens(node, place)
    return answers


def _causes(
    refused: Refused, containers: Containers, logs: Logs, answers: dict[str, etcd_seen.Answer]
) -> Iterator[str | tuple[str, str]]:
    """What explains it: etcd of this node, when it was dialled; or that the API server itself cannot be created."""
    if any(answer.listens is not None or answer.gap for answer in answers.values()):
        yield _NO_ETCD
    if refused.kind == LAST_WORDS:
        yield from not_created.causes(refused.subject, containers, logs)


def _evidence(refused: Refused, node: NodeView, logs: Logs) -> Iterator[str]:
    for entry in refused.entries[:_SHOWN]:
        yield logs.told(entry)
    for address, answer in list(_answers(refused, node).items())[:_SHOWN]:
        yield f"{address}: {answer.text}"
    if refused.of:
        yield f"said by: {container_words.instance(refused.of)}"
    if refused.running and (refused.of or {}).get("id") != refused.running["id"]:
        yield f"runs now: {container_words.instance(refused.running)}"


def _remedies(refused: Refused, over: bool) -> Iterator[Remedy]:
    if over:
        yield Remedy("look whether it goes on; etcd that comes and goes has its reason in its own log", (), "none")
        return
    yield Remedy(
        "look who listens on etcd's port, and what etcd's own log says",
        (f"ss -tlnp sport = :{etcd_seen.CLIENT_PORT}",),
        "none",
    )
    if refused.kind == LIVE:
        yield Remedy(
            "compare --etcd-servers of kube-apiserver with --listen-client-urls of etcd, where etcd runs",
            (),
            "a static pod's manifest that is changed starts the pod anew",
        )


RULE = Rule(
    id="apiserver-cannot-reach-etcd",
    group="containers",
    severity="critical",
    claim="API servers reach the etcd that they dial",
    why="an API server without etcd answers nothing, and old words to that effect lead whoever reads them astray",
    sources=(
        "grpc clientconn.go: addrConn.createTransport failed to connect to {…}. Err: … connect: connection refused",
        "kubernetes/kubernetes issue 134080: operation was canceled is no refusal",
        "kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, GetContainerLogs: the log of the latest instance by its creation",
    ),
    judge=_judge,
    needs=("logs",),
    reads=("containers", "listen_ports", "host"),
    thresholds=("log_recent_seconds", "name_reserved_count"),
    see_also=("etcd-not-running", "container-not-created", "container-name-conflict"),
)
