# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of findings.json for the HTML report: one with all that it can show, a large fleet, and one in which every text attacks it."""

from __future__ import annotations

import copy

from ansible_collections.kubenode.doctor.plugins.plugin_utils import judge, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.tests.support import seed_003
from ansible_collections.kubenode.doctor.tests.support.waiving import waiver
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Scene,
    captured,
    kubernetes_136,
    with_socket,
)

ATTACK = "<script>window.attacked = 1</script><img src=x onerror=window.attacked=1>{{ 7 * 7 }}{% raw %}\x1b[2J\u202e</script><!--"
HOSTS = (
    "<script>window.attacked=1</script>",
    '"><img src=x onerror="window.attacked=1">',
    "{{ 7 * 7 }}{% include 'report.css' %}",
    "</script><script>window.attacked=1</script>",
    "<!-- ]]> --!>",
    "javascript:window.attacked=1",
    "&lt;b&gt;'`\\u003cb\\u003e",
    "back\u202ewards\x1b[31m\x00\u2028\u2029\udc80",
    "h" * 240,
)
HOSTILE_HOSTS = tuple(clean(name) for name in HOSTS)
# What a node, an API server or an operator wrote; all else in the document are words of this collection.
_TEXTS = {
    *(
        "title",
        "object",
        "evidence",
        "explanation",
        "summary",
        "commands",
        "risk",
        "by_hand",
        "why",
        "reason",
        "owner",
        "claim",
        "line",
        "text",
    ),
    *(
        "where",
        "process",
        "kernel",
        "proxy_mode",
        "components",
        "server",
        "source",
        "range",
        "damaged",
        "address",
        "version",
        "cautions",
    ),
}


def rich():
    """Two audits: faults that are new, persist, are gone and cannot be told, waived ones, and a waiver that has ended."""
    cluster = kubernetes_136()
    (node,) = cluster["nodes"]
    cluster["nodes"] = [{**node, "name": name} for name in ("worker-2", "worker-3", "worker-4")]
    plain, bare, master = captured("node-a"), captured("bare"), seed_003.master("master-1")
    before = {"master-1": master, "worker-1": bare, "worker-3": plain, "worker-4": bare}
    before["worker-2"] = with_socket(plain, "java", port=31888)
    first = _audit(before, cluster, 20)
    first.judged()
    waivers = [waiver("control-plane-single-cpu", "small until it moves"), waiver("cpu-steal", "was agreed on", -3)]
    hosts = {**before, "worker-2": plain, "worker-3": "No route to host", "worker-4": plain}
    second = _audit(hosts, cluster, 23, earlier={"20261120T080000Z": first}, options={"waivers": waivers})
    return second.judged()


def fleet(number):
    """So many hosts, shaped from captured ones and those of seed 003: of some nothing is to be told, some are silent."""
    plain, bare = captured("node-a"), captured("bare")
    master, worker = seed_003.master("master"), seed_003.worker("worker")
    hosts = {}
    for index in range(number):
        shapes = [bare, bare, bare, bare, plain] if index % 50 else [master, worker]
        hosts[f"node-{index:05}"] = shapes[index % len(shapes)] if index % 97 else "Connection timed out"
    return judge.judge(_audit(hosts, kubernetes_136(), 23), settings.read({}))


def hostile():
    """Hosts with names, and everything else with texts, that want to be more than text."""
    plain = captured("node-a")
    snapshots = {name: with_socket(plain, ATTACK[:15], port=31999) for name in HOSTS[:-2]}
    snapshots.update(dict.fromkeys(HOSTS[-2:], ATTACK))
    document = _audit(snapshots, kubernetes_136(), 23).judged()
    finding = next(one for one in document["findings"] if one["status"] == "fail" and one["host"])
    past = {key: finding[key] for key in ("fingerprint", "rule", "severity", "host", "object", "title")}
    past.update(waived=False, first_seen="2026-11-20T08:00:00+00:00", last_seen="2026-11-22T08:00:00+00:00")
    document["memory"].update(
        why="",
        audits={ATTACK: {"started": ATTACK, "hosts": 2}},
        cautions=[ATTACK],
        gone=[past],
        unsure=[{**past, "why": ATTACK}],
        not_compared=[{"why": ATTACK, "hosts": list(HOSTS)}],
        closed=[{"line": ATTACK, "hosts": list(HOSTS)}],
    )
    finding["waived"] = {"reason": ATTACK, "owner": ATTACK, "until": "2030-01-01"}
    document["waivers"] = [
        {
            **waiver("*", ATTACK),
            "owner": ATTACK,
            "host": ATTACK,
            "object": ATTACK,
            "days_left": -1,
            "findings": 1,
            "state": "expired",
        }
    ]
    document["damaged"] = [ATTACK]
    document["audit"].update(version=ATTACK, started=ATTACK)
    return _poisoned(copy.deepcopy(document), "")


def commands(document):
    """All commands of its cures."""
    return {
        command for finding in document["findings"] for remedy in finding["remedies"] for command in remedy["commands"]
    }


def node_rules():
    """On how many rules every host is judged."""
    document = _audit({"bare": captured("bare")}, kubernetes_136(), 20).judged()
    return sum(rule["scope"] == "node" for rule in document["rules"].values())


def _audit(hosts, cluster, day, **fields):
    made = Scene(hosts, cluster, **fields)
    made.audit = {**made.audit, "started": f"2026-11-{day}T08:00:00+00:00"}
    return made


def _poisoned(value, key):
    if isinstance(value, dict):
        return {name: _poisoned(entry, name) for name, entry in value.items()}
    if isinstance(value, list):
        return [_poisoned(entry, key) for entry in value]
    return value + ATTACK if isinstance(value, str) and key in _TEXTS else value
