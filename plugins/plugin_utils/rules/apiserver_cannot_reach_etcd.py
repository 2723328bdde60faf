# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd refuses kube-apiserver; or a log says so, and it is over."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    container_words,
    etcd_dialled,
    etcd_refused,
    moments,
    not_created,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import Containers, left_open
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.etcd_dialled import Dialled
from ansible_collections.kubenode.doctor.plugins.plugin_utils.etcd_refused import ECHO, LAST_WORDS, LIVE, OVER, Refused
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logs_seen import BESIDE_PODS, Logs
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Rule, Unknown

Causes = tuple[tuple[str, str], ...]

_NO_ETCD = "etcd-not-running"
_SHOWN = 3
# An API server asks for etcd once a second, 60 times, before it gives up its start (kubernetes cmd/kube-apiserver/app/server.go,
# etcdRetryLimit, etcdRetryInterval).
_START_SECONDS = 60


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    containers, logs = Containers(node), Logs(node, context.settings)
    for refused in etcd_refused.found(containers, logs):
        absent = not_created.causes(refused.subject, containers, logs, context.settings)
        dialled = etcd_dialled.read(refused.entries, node, context)
        if refused.kind == LIVE:
            yield _live(refused, dialled, logs)
        elif refused.kind == LAST_WORDS:
            yield _last_words(refused, dialled, logs, absent)
        elif refused.kind == ECHO and absent:
            # Whoever looks why it cannot be created meets the words of an older instance.
            yield _echo(refused, dialled, logs, absent)
        if containers.unseen and refused.kind == OVER:
            yield Unknown(containers.unseen)
    yield from left_open(containers, logs.gaps(BESIDE_PODS))


def _echo(refused: Refused, dialled: Dialled, logs: Logs, absent: Causes) -> Fail:
    return Fail(
        subject=refused.subject,
        title='"connection refused" by etcd in the log of kube-apiserver is an echo of an instance that is gone, and not the cause',
        explanation=" ".join(_of_whom(refused, logs)),
        evidence=tuple(_evidence(refused, dialled, logs)),
        remedies=(),
        severity="info",
        caused_by=absent,
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


def _live(refused: Refused, dialled: Dialled, logs: Logs) -> Fail:
    lives_on = refused.running is not None and logs.silence(refused.entries) > _START_SECONDS
    return Fail(
        subject=refused.subject,
        title=_title(dialled, lives_on),
        explanation=" ".join(_explanation(refused, dialled, logs, lives_on)),
        evidence=tuple(_evidence(refused, dialled, logs)),
        remedies=tuple(etcd_dialled.remedies(dialled, refused.kind == LIVE)),
        severity=_severity(dialled, lives_on),
        caused_by=(_NO_ETCD,) if dialled.is_etcd_of_node else (),
    )


def _title(dialled: Dialled, lives_on: bool) -> str:
    if dialled.answers:
        return f"{dialled.etcd} refused connections of kube-apiserver, and something listens there now"
    if lives_on:
        return f"{dialled.etcd} refused connections of kube-apiserver, which lives on"
    return f"{dialled.etcd} refuses connections of kube-apiserver"


def _explanation(refused: Refused, dialled: Dialled, logs: Logs, lives_on: bool) -> Iterator[str]:
    yield f"{dialled.words} refused: nobody listened there. A certificate that is wrong, or a full disk, looks different."
    if dialled.only_events:
        yield "Meanwhile events are not stored; all else is kept by another etcd."
        return
    yield (
        "Whether other addresses of --etcd-servers answered is not known. Where none does, the API server answers nothing and ends itself, and "
        "kubelet starts it anew."
    )
    if lives_on:
        yield (
            f"It has lived on for {moments.span(logs.silence(refused.entries))} since, longer than a start without etcd takes: most likely it "
            "reaches this one again, or another."
        )


def _severity(dialled: Dialled, lives_on: bool) -> str:
    if dialled.answers:
        return "info"
    return "warning" if lives_on or dialled.only_events or dialled.is_one_elsewhere else "critical"


def _last_words(refused: Refused, dialled: Dialled, logs: Logs, absent: Causes) -> Fail:
    recent = any(map(logs.is_recent, refused.entries))
    return Fail(
        subject=refused.subject,
        title=f"kube-apiserver does not run, and its last words were that {dialled.etcd} refused it"
        + (", where something listens now" if dialled.answers else ""),
        explanation=" ".join(_why_it_ended(dialled, absent)),
        evidence=tuple(_evidence(refused, dialled, logs)),
        remedies=tuple(etcd_dialled.remedies(dialled, False)),
        severity="info" if dialled.answers else "critical" if recent and not absent else "warning",
        caused_by=(*absent, *([_NO_ETCD] if dialled.is_etcd_of_node else [])),
    )


def _why_it_ended(dialled: Dialled, absent: Causes) -> Iterator[str]:
    yield f"{dialled.words} refused: nobody listened there. An API server without etcd ends itself."
    if absent:
        yield "That kubelet does not get it created anew is a finding by itself."
    else:
        yield "kubelet starts it anew after a pause, of five minutes at most."


def _evidence(refused: Refused, dialled: Dialled, logs: Logs) -> Iterator[str]:
    for entry in refused.entries[:_SHOWN]:
        yield logs.told(entry)
    yield from dialled.evidence
    if refused.of:
        yield f"said by: {container_words.instance(refused.of)}"
    if refused.running and (refused.of or {}).get("id") != refused.running["id"]:
        yield f"runs now: {container_words.instance(refused.running)}"


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
