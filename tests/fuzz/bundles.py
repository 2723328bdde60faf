# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles that were damaged value by value: what nodes answered, what the API server said, what earlier audits found. All of it is judged and reported.

Nothing but a BundleError may come of it, findings.json is what its schema says, and no form of the report is broken by what it tells.
"""

from __future__ import annotations

import contextlib
import functools
import json
import unicodedata
import xml.etree.ElementTree as ET  # what is read here was written a moment before
from collections.abc import Callable
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    bundle,
    findings_file,
    judge,
    report_forms,
    settings,
)
from ansible_collections.kubenode.doctor.tests.fuzz.targets import Parts, Scratch, Target
from ansible_collections.kubenode.doctor.tests.support import findings_schema
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import form_scene, service_scene
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import captured, kubernetes_136, seed_000

_EARLIER = "20261120T080000Z"
_NOW = "20261121T080000Z"
_AUDIT = {
    "schema": 1,
    "version": "0.1.0",
    "ansible_version": "2.19.0",
    "started": "2026-11-21T08:00:00+00:00",
    "earlier": [_EARLIER],
    "limits": {},
}


def every(scratch: Scratch) -> dict[str, Target]:
    """The targets, by name."""
    nodes = [captured(name) for name in ("sick", "healthy", "node-a", "bare")]
    nodes.append(service_scene.node_a())
    clusters = [seed_000(), kubernetes_136()]
    judged = form_scene.judged()
    audits = {**_AUDIT, "asked": ["sick", "other"]}
    return {
        "bundle: a node": _target(nodes, functools.partial(_judged, scratch, "node")),
        "bundle: cluster.json": _target(clusters, functools.partial(_judged, scratch, "cluster")),
        "bundle: audit.json": _target([audits], functools.partial(_judged, scratch, "audit")),
        "bundle: an earlier audit": _target([judged], functools.partial(_judged, scratch, "earlier")),
        "bundle: files": Target(
            [json.dumps(one).encode() for one in (_stored("sick", nodes[0]), clusters[0], audits)],
            functools.partial(_read, scratch),
            (bundle.BundleError,),
            costs=30,
            understood=2,  # a node and a cluster: an audit by itself has neither
        ),
    }


def _target(documents: list[Any], run: Callable[[bytes], Any]) -> Target:
    return Target([json.dumps(one).encode() for one in documents], run, (bundle.BundleError,), is_json=True, costs=400)


def _stored(host: str, snapshot: Any) -> dict[str, Any]:
    return {"schema": 1, "host": host, "answered": True, "why": None, "snapshot": snapshot}


@functools.cache
def _usual(part: str) -> bytes:
    documents = {
        "node": captured("sick"),
        "cluster": seed_000(),
        "audit": {**_AUDIT, "asked": ["sick", "other"]},
        "earlier": form_scene.judged(),
    }
    return json.dumps(documents[part]).encode()


def _judged(scratch: Scratch, part: str, data: bytes) -> list[Any]:
    """The findings; none where anything of it could not be read or judged, which of real documents must never be so."""
    parts = {name: _usual(name) for name in ("node", "cluster", "audit", "earlier")}
    parts[part] = data
    folder = scratch.path / "audits" / _NOW
    before = _usual("audit").replace(_EARLIER.encode(), b"20261119T080000Z")
    scratch.file(f"audits/{_EARLIER}/audit.json", before)
    scratch.file(f"audits/{_EARLIER}/findings.json", parts["earlier"])
    scratch.file(f"audits/{_NOW}/audit.json", parts["audit"])
    scratch.file(f"audits/{_NOW}/cluster.json", parts["cluster"])
    for host, snapshot in (("sick", parts["node"]), ("other", _usual("node"))):
        scratch.file(
            f"audits/{_NOW}/nodes/{host}.json",
            b'{"schema":1,"host":"x","answered":true,"why":null,"snapshot":%b}' % snapshot,
        )
    document = judge.judge(bundle.Bundle(folder), settings.read({}))
    bundle.write_over(folder / "findings.json", document, "findings.previous.json")
    _reported(findings_file.read(folder))
    odd = [one for one in document["findings"] if any(word in one["explanation"] for word in _ODD)]
    return [] if odd or document["damaged"] else document["findings"]


# What findings say of what is of another form (verdicts, section_gaps).
_ODD = ("the data could not be judged", "not of the form that")


def _reported(document: dict[str, Any]) -> None:
    findings_schema.check(document)
    for name, form in report_forms.FORMS.items():
        text = form.render(document, "audits/x")
        text.encode("utf-8")
        if name == "junit":
            ET.fromstring(text)  # noqa: S314
        elif name == "sarif":
            json.loads(text)
        elif name == report_forms.TEXT:
            odd = {character for character in text if unicodedata.category(character) == "Cc"}
            assert odd <= {"\n"}, odd
        assert "<script>alert(1)" not in text or name != "html", name


def _read(scratch: Scratch, data: bytes) -> Parts:
    found = Parts()
    folder = scratch.path / "broken"
    for name in ("audit.json", "cluster.json", "nodes/sick.json"):
        scratch.file(f"broken/{name}", _usual("audit"))
    for name in ("nodes/sick.json", "cluster.json", "findings.json", "audit.json"):
        scratch.file(f"broken/{name}", data)
        with contextlib.suppress(bundle.BundleError):
            read = bundle.Bundle(folder)
            found["cluster"] = read.cluster()["nodes"]
            found["nodes"] = [one for one in read.nodes() if one["answered"]]
            read.findings()
    return found
