# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns a bundle into findings: every rule on every host that answered, one node in memory at a time.

Four answers are counted for each rule and host: pass, fail, unknown, not_applicable. Unknown is never a pass: a host that did
not answer, a section that is missing and a rule that broke are all unknown, with the reason.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    audit_about,
    catalogue,
    cluster_gaps,
    control_plane,
    memory,
    no_collector,
    survey_paths,
    tcp_words,
    two_processes,
    verdicts,
    waivers,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle, silent_cluster
from ansible_collections.kubenode.doctor.plugins.plugin_utils.closed_listeners import ClosedListeners
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.earlier_audits import EarlierAudits
from ansible_collections.kubenode.doctor.plugins.plugin_utils.equal_parts import EqualParts
from ansible_collections.kubenode.doctor.plugins.plugin_utils.held_connections import HeldConnections
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN
from ansible_collections.kubenode.doctor.plugins.plugin_utils.origins import Origins
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES, Rule
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey import Survey
from ansible_collections.kubenode.doctor.plugins.plugin_utils.tally import Tally
from ansible_collections.kubenode.doctor.plugins.plugin_utils.verdicts import Told

# 1 had no survey, 2 no survey.scans, 3 no survey.paths, 4 no origins, 5 no control_plane and no by_hand of remedies, 6 no not_applicable and no memory
SCHEMA = 7
CLUSTER = None  # the host of findings that belong to no single node


@no_collector.paused()
def judge(bundle: Bundle, settings: Settings, rules: Sequence[Rule] | None = None) -> dict[str, Any]:
    """Judge a bundle. Returns the document of findings.json::

        schema, judged_at, judged_with: {version, settings}, audit, damaged: [why], waivers: what became of each (waivers.apply), fail_on,
        hosts: {host: {answered, why, picture, not_applicable: [rule]}}, control_plane: {hosts, unseen},
        cluster: {complete, missing, not_applicable: [rule], ...},
        rules: {id: {group, claim, scope, pass, fail, unknown, not_applicable}}, findings: [finding],
        origins: the listeners that nobody declared and that are no risk (Origins.document)
        survey: what the fleet comes to (Survey.document)
        memory: what changed since the last audit (memory.compare), closed: listeners that are gone, close_wait: connections that are held since then

    Findings are of status fail or unknown, sorted by severity, rule, host and object.
    """
    rules = catalogue.rules() if rules is None else rules
    before = EarlierAudits(bundle)
    # All that was learned of the fleet is forgotten by the time the findings of an earlier audit are read: of thousands of hosts each takes much memory.
    document, listeners, too_few = _judged(bundle, settings, rules, before)
    told_once = frozenset(rule.id for rule in rules if rule.told_once)
    document["memory"] = {**memory.compare(document, before, told_once, too_few), **listeners}
    return document


def _judged(
    bundle: Bundle, settings: Settings, rules: Sequence[Rule], before: EarlierAudits
) -> tuple[dict[str, Any], dict[str, Any], set[str]]:
    """The document without ``memory``, what this holds besides memory.compare's, and the fingerprints of what too few hosts share."""
    context, survey = _context(bundle, settings), Survey()
    hosts = {}
    for node in bundle.nodes():
        hosts[node["host"]] = {"answered": node["answered"], "why": node["why"], "picture": None}
        if node["answered"]:
            _learn(context, node)
            survey.learn(node["host"], node["snapshot"]["sections"])
            hosts[node["host"]]["picture"] = _picture(node["snapshot"]["sections"])
        else:
            context.learn_silence(node["host"], node["why"])
    networks = tcp_words.networks(context.fleet.networks)
    tally, parts = Tally(rules, networks), EqualParts()
    findings: list[dict[str, Any]] = []
    for rule in rules:
        if rule.scope == "cluster":
            findings += map(parts.share, _counted(tally, CLUSTER, verdicts.on_cluster(rule, context)))
    origins, closed, held = Origins(), ClosedListeners(), HeldConnections()
    before.all()  # opened once, and not by each of two processes
    nodes = verdicts.Nodes(bundle, [rule for rule in rules if rule.scope == "node"], context, before, parts)
    for verdict in two_processes.in_order(bundle.hosts, nodes.judge, nodes.fits):
        for told in verdict.told:
            findings += _counted(tally, verdict.host, told)
        origins.add(verdict.host, verdict.origins)
        closed.add(verdict.host, verdict.closed)
        held.add(verdict.held)
        bundle.damaged.update(verdict.damaged)
    findings, too_few = _without_benign(findings, tally, sum(state["answered"] for state in hosts.values()))
    _link_causes(findings)
    waived = waivers.apply(findings, settings.waivers, waivers.today())
    findings.sort(key=_order)
    for host, state in hosts.items():
        state["not_applicable"] = tally.not_applicable(host)
    about, misshapen = audit_about.of(bundle.audit)
    document = {
        "schema": SCHEMA,
        "judged_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "judged_with": memory.judged_with(settings),
        "audit": about,
        "damaged": sorted([*bundle.damaged.values(), *misshapen]),
        "waivers": waived,
        "fail_on": settings.fail_on,
        "nodeport_range": {"range": str(context.nodeport_range), "source": context.nodeport_range.source},
        "hosts": hosts,
        "control_plane": control_plane.of(hosts, context),
        "cluster": {**_cluster_summary(context), "not_applicable": tally.not_applicable(CLUSTER)},
        "rules": tally.rules,
        "findings": findings,
        "origins": origins.document(),
        "survey": survey.document(hosts, findings, tally.rules, networks, survey_paths.document(context)),
    }
    context.let_go()
    return document, {**closed.document(), **held.document()}, too_few


def _counted(tally: Tally, host: str | None, told: Told) -> list[dict[str, Any]]:
    tally.count(told.rule, host, told.answer)
    return told.findings


def failing(document: dict[str, Any]) -> dict[str | None, list[dict[str, Any]]]:
    """The unwaived findings at or above ``fail_on`` by host.

    Those of the cluster (CLUSTER) fail every host that answered: nobody else could carry them.
    """
    least = SEVERITIES.index(document["fail_on"])
    found: dict[str | None, list[dict[str, Any]]] = {}
    for finding in document["findings"]:
        if finding["status"] == "fail" and not finding["waived"] and SEVERITIES.index(finding["severity"]) >= least:
            found.setdefault(finding["host"], []).append(finding)
    return found


def _context(bundle: Bundle, settings: Settings) -> Context:
    try:
        return Context(settings, bundle.cluster())
    except MISSHAPEN as error:
        why = f"{bundle.folder / 'cluster.json'} is not of the form that this collection writes: {verdicts.why_broken(error)}"
        return Context(settings, silent_cluster(why))


def _learn(context: Context, node: dict[str, Any]) -> None:
    try:
        context.learn(node["host"], node["snapshot"]["sections"])
    except MISSHAPEN:
        # The node's own rules meet the same damage and report it as unknown.
        return


def _picture(sections: dict[str, Any]) -> dict[str, Any]:
    """What a reader wants to know of a host at a glance; None for what was not seen."""
    host, proxy = _mapping(sections.get("host")), _mapping(_mapping(sections.get("nodeport_conflict")).get("proxy"))
    listeners = _mapping(sections.get("listen_ports")).get("listeners")
    waiting = [socket for socket in listeners if isinstance(socket, dict)] if isinstance(listeners, list) else None
    return {
        "kernel": _text(host.get("kernel")),
        "root": host.get("root") if isinstance(host.get("root"), bool) else None,
        "components": _texts(host.get("components")),
        "proxy_mode": _text(proxy.get("mode")),
        "listeners": None if waiting is None else len(waiting),
        "random_ports": None if waiting is None else sum(bool(socket.get("ephemeral")) for socket in waiting),
    }


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: Any) -> list[str] | None:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else None


def _without_benign(
    findings: Sequence[dict[str, Any]], tally: Tally, answered: int
) -> tuple[list[dict[str, Any]], set[str]]:
    """The findings without those that too few hosts share, and the fingerprints of these.

    A host that is left without one counts as what else it answered.

    Only the whole fleet tells, so this comes last, over findings: the nodes are gone by then.
    """
    sharing = _sharing(findings)
    kept, benign, left_out = [], {}, set()
    for finding in findings:
        otherwise, is_benign = finding.pop("if_benign", ""), _is_benign(finding, sharing, answered)
        for key in ("least_hosts", "least_share", "marks"):
            del finding[key]
        if is_benign:
            benign[finding["rule"], finding["host"]] = otherwise
            left_out.add(finding["fingerprint"])
        else:
            kept.append(finding)
    failing = {(finding["rule"], finding["host"]) for finding in kept if finding["status"] == "fail"}
    for place, answer in benign.items():
        if place not in failing:
            tally.acquit(*place, answer)
    return kept, left_out


def _sharing(findings: Iterable[dict[str, Any]]) -> dict[tuple[str, ...], set[str | None]]:
    """The hosts of each fault, by rule and object, and by each mark besides."""
    sharing: dict[tuple[str, ...], set[str | None]] = {}
    for finding in findings:
        if finding["status"] == "fail":
            fault = (finding["rule"], finding["object"])
            for key in (fault, *((*fault, mark) for mark in finding["marks"])):
                sharing.setdefault(key, set()).add(finding["host"])
    return sharing


def _is_benign(finding: dict[str, Any], sharing: Mapping[tuple[str, ...], set[str | None]], answered: int) -> bool:
    """True for a fault that too few hosts share, as its rule demands."""
    if finding["status"] != "fail" or finding["least_hosts"] == 1:
        return False
    fault, least = (finding["rule"], finding["object"]), finding["least_hosts"]
    if any(len(sharing[(*fault, mark)]) >= least for mark in finding["marks"]):
        return False
    return bool(len(sharing[fault]) < max(least, finding["least_share"] * answered))


def _link_causes(findings: Sequence[dict[str, Any]]) -> None:
    """Replace the rules a finding names as causes by the findings that these made on the same host or the cluster.

    Of several, one about the same object is the cause: a NodePort's trouble does not come from another NodePort's. A rule that
    knows better has named the object.
    """
    by_place: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for finding in findings:
        if finding["status"] == "fail":
            by_place.setdefault((finding["rule"], finding["host"]), []).append(finding)
    for finding in findings:
        for cause in finding.pop("causes"):
            rule, wanted = (cause, None) if isinstance(cause, str) else cause
            found = by_place.get((rule, finding["host"])) or by_place.get((rule, CLUSTER), [])
            same = [other for other in found if other["object"] == (finding["object"] if wanted is None else wanted)]
            finding["caused_by"] += [other["fingerprint"] for other in same or (found if wanted is None else [])]


def _order(finding: dict[str, Any]) -> tuple[bool, int, str, str, str]:
    return (
        finding["status"] != "fail",
        -SEVERITIES.index(finding["severity"]),
        finding["rule"],
        finding["host"] or "",
        finding["object"],
    )


def _cluster_summary(context: Context) -> dict[str, Any]:
    cluster = context.cluster
    counts = {kind: None if cluster[kind] is None else len(cluster[kind]) for kind in cluster_gaps.NAMES}
    ports = None if context.node_ports is None else len(context.node_ports)
    return {
        "server": cluster.get("server"),
        **counts,
        "node_ports": ports,
        "complete": cluster["complete"],
        "missing": cluster["missing"],
    }


def walk(findings: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(depth, finding)``: causes first, each followed by what it explains; a finding with two causes hangs below the first."""
    children: dict[str, list[dict[str, Any]]] = {}
    above: dict[str, str] = {}  # from a finding to its cause
    present = {finding["fingerprint"] for finding in findings}
    roots = []
    for finding in findings:
        known = [cause for cause in finding["caused_by"] if cause in present and not _explains(finding, cause, above)]
        if known:
            above[finding["fingerprint"]] = known[0]
            children.setdefault(known[0], []).append(finding)
        else:
            roots.append(finding)
    stack = [(0, finding) for finding in reversed(roots)]
    while stack:
        depth, finding = stack.pop()
        yield depth, finding
        stack += [(depth + 1, child) for child in reversed(children.get(finding["fingerprint"], []))]


def _explains(finding: dict[str, Any], cause: str, above: Mapping[str, str]) -> bool:
    """True when the cause itself hangs below the finding: findings that name each other must not hide both."""
    place: str | None = cause
    while place is not None and place != finding["fingerprint"]:
        place = above.get(place)
    return place is not None
