# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A judged audit in which everything is that a report can tell of, for those who write forms of it, and the same with hostile words."""

from __future__ import annotations

import functools
import json

from ansible_collections.kubenode.doctor.plugins.plugin_utils import waivers
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Scene,
    captured,
    changed,
    seed_000,
    without_sockets,
)

EARLIER = "20261120T080000Z"
SILENT = "Connection timed out"
# What must stay text in any form: markup, templates, terminals, references to people and tickets, labels, what is no UTF-8.
HOSTILE = [
    "<script>alert(1)</script><b>",
    "</system-out></testcase><testcase name='x'/>",
    "]]><!-- --> &lt; &amp;",
    "{{ 7 * 7 }} {% x %} {0}",
    "\x1b[31mred\x07 \u202egnp.exe \u200b \x00",
    "a\nb\r\nc\td",
    "`x` ``` ~~~",
    "```\n# heading",
    "[x](http://evil.example) ![y](http://evil.example/y.png)",
    "[click\\](http://evil.example)",
    "http://evil.example www.evil.example mailto:a@evil.example",
    "@all #1 !2 ~bug %9 $4 &5 GH-1 :tada:",
    "/close /assign @me",
    "# x",
    "- x\n- y",
    "1. x",
    "| a | b |\n|---|---|",
    'x"} 1\nevil_metric 1\n# HELP',
    '\\ \\" \\n',
    "\udcff bytes",
    "*x* _y_ **z** ~~w~~",
    "w" * 3000,
]


@functools.cache
def _judged():
    colliding = captured("sick")
    waiver = {"reason": "the range moves", "owner": "the platform team", "until": waivers.today().isoformat()}
    options = {
        "waivers": [
            {"rule": "nodeport-range-overlaps-ephemeral", **waiver},
            {"rule": "clock-unsynchronized", **waiver},
            {"rule": "cri-stream-*", "host": "sick", **waiver, "until": "2020-01-01"},
        ],
    }
    before = Scene({"sick": without_sockets(colliding, 36527), "healthy": colliding, "away": colliding}, seed_000())
    before.audit["started"] = "2026-11-20T08:00:00+00:00"
    before.judged()
    now = Scene(
        {
            "sick": changed(colliding, "host_pressure.cpu", {"idle": 1.0}),
            "healthy": captured("healthy"),
            "away": SILENT,
        },
        seed_000(),
        options,
        earlier={EARLIER: before},
    )
    return json.dumps(now.judged())


def judged():
    """The document of findings.json: what is new, persists, is gone and cannot be told, is waived, broken, unknown and silent."""
    return json.loads(_judged())


def critical(document):
    """Its one critical finding."""
    return next(finding for finding in document["findings"] if finding["severity"] == "critical")


def first_audit():
    """The same without an audit before it."""
    document = judged()
    document["memory"].update(
        why="this is the first audit",
        audits={},
        gone=[],
        unsure=[],
        counts=dict.fromkeys(document["memory"]["counts"], 0),
    )
    for finding in document["findings"]:
        finding["change"] = None
    return document


def nobody():
    """An audit that nobody answered, of which a file is damaged."""
    document = Scene({"a": SILENT, "b": SILENT}, seed_000(), damaged={"nodes/a.json": "nodes/a.json is half-written"})
    return document.judged()


def speaking(text):
    """The document in which every text that comes from a node or the cluster is this one, and the sick host has it for its name."""
    document = judged()
    document["hosts"] = {text if host == "sick" else host: state for host, state in document["hosts"].items()}
    for finding in document["findings"]:
        finding["host"] = text if finding["host"] == "sick" else finding["host"]
        finding.update(explanation=text)
        if finding["status"] == "fail":
            finding.update(title=text, object=text, evidence=[text, "seen"])
        for remedy in finding["remedies"]:
            remedy.update(summary=text, risk=text, by_hand=text, commands=[text, "true"])
        if finding["waived"]:
            finding["waived"].update(reason=text, owner=text)
    for past in (*document["memory"]["gone"], *document["memory"]["unsure"]):
        past.update(title=text, object=text, host=text, **({"why": text} if "why" in past else {}))
    document["damaged"] = [text]
    for waiver in document["waivers"]:
        waiver.update(reason=text, owner=text)
    return document
