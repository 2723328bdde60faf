# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/findings.schema.json: closed, said in words, refused where a document differs, and nothing in it that no audit shows.

That all findings.json follow it, Scene.judged and the runs of playbooks check (tests.support.findings_schema).
"""

from __future__ import annotations

import importlib
import json

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, join, judge, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle
from ansible_collections.kubenode.doctor.tests.support import findings_schema
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import form_scene, test_held_connections
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Scene,
    captured,
    changed,
    kubernetes_136,
    no_cluster,
)

_CASES = "ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.cases"
# Cases of rules that between them show what the audit of form_scene does not: queues and talkers, runtimes, a whole cluster, listeners that are gone.
SHOWING = {
    "accept_queue_overflow": "a program that never accepts, as captured",
    "apiserver_cannot_reach_etcd": "by the instance that runs now",
    "backlog_differs": "kubelet was not restarted after somaxconn was raised",
    "close_wait_leak": "a host that the cluster does not list",
    "container_name_reserved": "of a container in CRI-O",
    "image_tag_moved": "captured: one pod of front runs another image",
    "listener_appeared": "another program on the same port",
}


def case(rule, name):
    return next(case for case in importlib.import_module(f"{_CASES}.{rule}").CASES if case.name == name)


def fleet():
    """Equal nodes: one has a component of its own and far more connections, one was in no audit before, one Node is of no host."""
    node = captured("healthy")
    nodes = {f"node-{number}": changed(node, "host.hostname", f"node-{number}") for number in range(3)}
    components = [*node["sections"]["host"]["components"], "kube-proxy-of-ours"]
    talking = changed(nodes["node-0"], "host.components", components, "tcp_states.states.established", 500)
    cluster = kubernetes_136()
    cluster["nodes"][0].update(name="elsewhere", labels_roles=["control-plane"])
    before = Scene({"node-0": nodes["node-0"], "node-1": nodes["node-1"]}, cluster)
    before.judged()
    before.document["judged_with"]["version"] = "0.0.1"
    scene = Scene({**nodes, "node-0": talking}, cluster, earlier={form_scene.EARLIER: before})
    scene.audit["later"] = ["20991120T080000Z"]
    return scene.judged()


def joined(folder):
    """What two slices of a fleet, one of which is damaged, came to."""
    about = {"version": "0.1.0", "ansible_version": "2.19.1", "limits": {"budget_seconds": 20}}
    slices = []
    for name, started in (("a", "2026-11-21T08:00:00+00:00"), ("b", "2026-11-21T09:00:00+00:00"), ("c", "")):
        bundle.create(folder / "slices" / name, ["node"], {**about, "started": started, "earlier": []})
        bundle.write(folder / "slices" / name / "cluster.json", no_cluster())
        bundle.write_answer(folder / "slices" / name, "node", {"schema": 1, "sections": {}})
        slices.append(folder / "slices" / name)
    return Bundle(join.join(slices, folder / "audits").path)


def test_all_of_it_is_shown_by_some_audit(tmp_path):
    made = [form_scene.judged(), form_scene.first_audit(), form_scene.nobody(), fleet()]
    made += [case(rule, name).scene.judged() for rule, name in SHOWING.items()]
    holding = test_held_connections.holding
    made.append(test_held_connections.after(holding(range(46)), holding(range(46))))
    made.append(json.loads(json.dumps(judge.judge(joined(tmp_path), settings.read({})))))
    findings_schema.check(made[-1])
    shown = set().union(*map(findings_schema.shown, made))
    assert sorted(findings_schema.fields() - shown - {"audit.joined.more"}) == []  # more than a list has room for


def objects(schema, place=""):
    """Yield every schema of an object, with its place."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield place, schema
        for key, inner in schema.items():
            yield from objects(inner, f"{place}/{key}")
    elif isinstance(schema, list):
        for number, inner in enumerate(schema):
            yield from objects(inner, f"{place}/{number}")


def test_every_object_is_closed():
    found = dict(objects(findings_schema.SCHEMA))
    assert len(found) > 30
    open_ones = [place for place, schema in found.items() if "additionalProperties" not in schema]
    assert open_ones == ["/$defs/audit/properties/limits"]  # whatever the limits of a collection are


def test_the_number_of_the_form_is_the_one_that_is_written():
    assert findings_schema.SCHEMA["properties"]["schema"] == {
        "description": "The form of this document. Another form has another number.",
        "const": judge.SCHEMA,
    }


def test_each_definition_is_used_and_said_in_words():
    text = json.dumps(findings_schema.SCHEMA)
    unused = [name for name in findings_schema.SCHEMA["$defs"] if f'"#/$defs/{name}"' not in text]
    assert not unused
    silent = [
        name
        for name in ("finding", "memory", "waiver", "rule", "host", "remedy")
        if "description" not in findings_schema.SCHEMA["$defs"][name]
    ]
    assert not silent


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", 6),
        ("surprise", 1),
        ("findings.0.surprise", 1),
        ("findings.0.severity", "dreadful"),
        ("findings.0.title", ""),
        ("findings.0.fingerprint", "x"),
        ("findings.0.change", "gone"),
        ("findings.0.waived", {"reason": "x"}),
        ("findings.0.remedies.0.commands", "true"),
        ("findings.-1.severity", "critical"),  # unknown
        ("findings.-1.waived", {"reason": "x", "owner": "y", "until": "2030-01-01"}),
        ("hosts.sick.answered", "yes"),
        ("hosts.sick.picture.listeners", "3"),
        ("rules.cpu-steal.pass", -1),
        ("rules.Nonsense", {}),
        ("waivers.0.until", "soon"),
        ("waivers.0.state", "forgotten"),
        ("memory.counts.new", None),
        ("memory.gone.0.waived", None),
        ("survey.nodes.0.hosts", []),
        ("audit.asked", ["a"]),
        ("cluster.missing", [{"what": "x"}]),
    ],
)
def test_what_differs_is_refused(path, value):
    document = form_scene.judged()
    findings_schema.check(document)
    *way, last = [int(part) if part.lstrip("-").isdigit() else part for part in path.split(".")]
    place = document
    for part in way:
        place = place[part]
    place[last] = value
    with pytest.raises(AssertionError, match="says otherwise"):
        findings_schema.check(document)


@pytest.mark.parametrize("path", ["judged_with", "findings.0.first_seen", "memory.unsure", "rules.cpu-steal.scope"])
def test_what_is_missing_is_refused(path):
    document = form_scene.judged()
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = document
    for part in way:
        place = place[part]
    del place[last]
    with pytest.raises(AssertionError, match="is a required property"):
        findings_schema.check(document)
