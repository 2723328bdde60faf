# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module returns what its RETURN documentation says, no less and no more, when it really runs on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator

from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_forms import FORMS
from ansible_collections.kubenode.doctor.tests.contract.conftest import POD_UID, Scene
from ansible_collections.kubenode.doctor.tests.contract.plays import run_tasks
from ansible_collections.kubenode.doctor.tests.contract.project import MODULES, module_docs

Arguments = dict[str, Any]

JSON_TYPES = {
    "bool": "boolean",
    "complex": "object",
    "dict": "object",
    "float": "number",
    "int": "integer",
    "list": "array",
    "path": "string",
    "str": "string",
}
# What Ansible adds to every result.
ANSIBLE_KEYS = {"action", "changed", "deprecations", "failed", "invocation", "warnings"}


def _nodeport_conflict(scene: Scene) -> list[Arguments]:
    port = {"service": "front", "node_port": scene.port, "has_endpoints": False}
    health = {"service": "local", "health_check_node_port": scene.port}
    return [
        {"node_ports": [port]},
        {"node_ports": [port, health], "proxy_mode": "nftables", "nodeport_addresses": ["10.0.0.0/8"]},
    ]


def _cluster_snapshot(scene: Scene) -> list[Arguments]:
    # Without a kubeconfig it asks nobody and says so.
    return [{"kubeconfig": scene.kubeconfig}, {}, {"kubeconfig": scene.kubeconfig, "bundle": scene.audit}]


def _docker_stale_names(scene: Scene) -> list[Arguments]:
    keep = scene.directory / "kept"
    keep.mkdir(mode=0o700)
    begun = {"schema": 1, "at": "2026-11-21T18:00:00+00:00", "ids": [f"{23:064x}"]}
    (keep / "removal.json").write_text(json.dumps(begun))
    engine = {"docker_host": scene.docker_host}
    return [engine, {**engine, "state": "absent"}, {**engine, "state": "absent", "keep": str(keep)}]


def _listen_ports(_scene: Scene) -> list[Arguments]:
    # No backend but sock_diag sees everything, and no time is too little to find processes.
    return [{}, {"backend": "procfs"}, {"budget_seconds": 0}]


def _listener_origin(scene: Scene) -> list[Arguments]:
    # No time is too little to look at processes.
    trace = {"command": ["/bin/true"], "seconds": 5}
    return [
        {"port": scene.port, "audits": "audits"},
        {"port": scene.port, "budget_seconds": 0.001},
        {"methods": ["trace"], "trace": trace},
    ]


def _join(scene: Scene) -> list[Arguments]:
    torn = scene.directory / "torn"
    torn.mkdir()
    (torn / "audit.json").write_text("{")
    return [{"bundles": [scene.audit, "torn"], "hosts": ["node-z"], "audits": "joined"}]


def _node_fix(_scene: Scene) -> list[Arguments]:
    # What it would do depends on the machine, what it answers does not; nothing is done.
    target = json.dumps({"drawn_from": "32768-60999", "ports": "36527", "span": "30000-40000"})
    return [{"fix": "reserve-nodeports", "targets": [target]}]


def _node_snapshot(scene: Scene) -> list[Arguments]:
    return [{"ports": [scene.port]}, {"ports": [scene.port], "bundle": scene.audit}]


def _pod_listeners(scene: Scene) -> list[Arguments]:
    if not scene.has_pod:
        pytest.skip("a pod takes a cgroup, which takes root")
    # No time is too little to find anything.
    return [{"pods": [POD_UID]}, {"budget_seconds": 0}]


def _report(scene: Scene) -> list[Arguments]:
    metrics = str(scene.directory / "kubenode_doctor.prom")
    common = {"bundle": scene.audit, "show": False}
    return [common, {**common, "forms": sorted(FORMS), "metrics_file": metrics}, {"metrics_file": metrics}]


def _rollback_plan(_scene: Scene) -> list[Arguments]:
    pod = {"namespace": "shop", "name": "front-2", "uid": "2-1"}
    deaf = {"host": "node-a", **pod, "protocol": "tcp", "address": "192.0.2.9", "port": 80}
    now = {"uid": "2-1", "listeners": [], "unlisted": 0, "redirects": False, "why": None}
    looked = [{"item": {"host": "node-a", "uids": ["2-1"]}, "pods": [now]}]
    names = {
        "namespace": "shop",
        "name": "front",
        "uid": "1-2",
        "container": "app",
        "from": "front:v2",
        "to": "front:v1",
        "generation": 3,
        "deaf": [deaf],
    }
    containers = [{"name": "app", "image": "front:v2"}]
    deployment = {
        "metadata": {"namespace": "shop", "name": "front", "uid": "1-2", "resourceVersion": "7", "generation": 3},
        "spec": {"template": {"spec": {"containers": containers}}},
    }
    targets = [json.dumps(names)]
    return [
        {"targets": [*targets, json.dumps({**names, "uid": "x"}), json.dumps({**names, "uid": "x", "to": "front:v0"})]},
        {"targets": targets, "deployments": [deployment], "looked": looked},
        {"targets": targets, "deployments": []},
    ]


def _move_plan(scene: Scene) -> list[Arguments]:
    names = {"namespace": "shop", "name": "front", "uid": "1-2", "from": 30080, "to": 30000, "ports": [["TCP", 80]]}
    target = {**names, "host": "node-a", "protocol": "tcp", "address": "127.0.0.1"}
    others = [{**target, "uid": "x", "name": "cart", "to": number} for number in (30001, 30002)]
    targets = [json.dumps(one) for one in (target, {**target, "uid": "y", "name": "dns", "to": 30003}, *others)]
    port = {"protocol": "TCP", "port": 80, "nodePort": 30080}
    metadata = {"namespace": "shop", "name": "front", "uid": "1-2", "resourceVersion": "7"}
    held = {"protocol": "tcp", "address": "127.0.0.1", "port": 30080}
    looked = [{"item": {"host": "node-a"}, "sockets": [held], "missing": []}]
    asked = {"hosts": ["node-a"], "others": ["node-b"]}
    common = {"targets": targets, "services": ["shop/front", "shop/none"], "asked": asked}
    return [
        {"targets": targets, "services": ["shop/front"], "bundle": scene.audit},
        {**common, "found": [{"metadata": metadata, "spec": {"ports": [port]}}], "looked": looked},
        {**common, "found": []},
    ]


def _undo_plan(_scene: Scene) -> list[Arguments]:
    port = "/spec/ports/0"
    record = {
        "schema": 1,
        "fix": "move-nodeport",
        "object": {"api_version": "v1", "kind": "Service", "namespace": "shop", "name": "front"},
        "uid": "1-2",
        "around": {f"{port}/port": 80, f"{port}/protocol": "TCP"},
        "fields": [{"path": f"{port}/nodePort", "before": 30080, "after": 30000}],
    }
    service = {
        "metadata": {"namespace": "shop", "name": "front", "uid": "1-2", "resourceVersion": "7"},
        "spec": {"ports": [{"protocol": "TCP", "port": 80, "nodePort": 30000}]},
    }
    return [{"record": record}, {"record": record, "found": [service]}, {"record": record, "found": []}]


def _tcp_states(_scene: Scene) -> list[Arguments]:
    # Growth needs two samples, and no time is too little to find processes.
    return [
        {"sample_seconds": 0.1},
        {"backend": "procfs"},
        {"processes": False},
        {"netns": "pods"},
        {"budget_seconds": 0},
    ]


def _undo_record(scene: Scene) -> list[Arguments]:
    document = {
        "fix": "sync-clock",
        "host": "localhost",
        "change": "sync-clock-0123456789ab",
        "store": "/var/lib/kubenode.doctor",
    }
    file = f"{scene.audit}/undo-sync-clock-localhost.json"
    return [
        {"bundle": scene.audit, "document": document},
        {"file": file, "hosts": ["localhost"]},
        {"file": file, "state": "applied", "document": {"no_undo": "nothing brings it back"}},
        {"file": file, "state": "unchanged"},
    ]


# What no run shows on a machine that hides nothing from a module.
GAPS = ("missing.what", "missing.why")

# All others leave everything as it is.
CHANGING = {"docker_stale_names", "listener_origin"}

# The runs that between them show all that a module can return. A module that is not named is run without arguments.
RUNS: dict[str, Callable[[Scene], list[Arguments]]] = {
    "announce": lambda scene: [{"bundle": scene.audit, "command": ["cat"]}, {"bundle": scene.audit}],
    "bundle": lambda _scene: [{"audits": "more", "hosts": ["localhost"]}],
    "cluster_snapshot": _cluster_snapshot,
    "docker_stale_names": _docker_stale_names,
    "join": _join,
    "history": lambda scene: [{"bundle": scene.audit, "keep_days": 1}],
    "judge": lambda scene: [{"bundle": scene.audit}],
    "listen_ports": _listen_ports,
    "listener_origin": _listener_origin,
    "log_signatures": lambda scene: [{"journal": scene.journal}],
    "node_fix": _node_fix,
    "node_health": lambda _scene: [{"expect": ["kubelet"]}],
    "move_plan": _move_plan,
    "node_snapshot": _node_snapshot,
    "nodeport_conflict": _nodeport_conflict,
    "pod_listeners": _pod_listeners,
    "report": _report,
    "rollback_plan": _rollback_plan,
    "show": lambda _scene: [{"heading": "removed", "items": ["attempt 23"]}],
    "tcp_states": _tcp_states,
    "undo_plan": _undo_plan,
    "undo_record": _undo_record,
}


def object_schema(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of documented fields: a field is required unless it says when else it is returned."""
    return {
        "type": "object",
        "properties": {name: value_schema(field) for name, field in fields.items()},
        "required": [
            name for name, field in fields.items() if field.get("returned", "always") in ("always", "success")
        ],
        "additionalProperties": False,
    }


def value_schema(field: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of one documented value. Null is allowed where the description speaks of it."""
    if field["type"] == "raw":
        return {}
    schema: dict[str, Any] = {"type": JSON_TYPES[field["type"]]}
    if schema["type"] == "array":
        # What lists inside a list hold has no place in RETURN.
        schema["items"] = value_schema(
            {"type": field["elements"], "elements": "raw", "contains": field.get("contains")}
        )
    elif field.get("contains"):
        schema = object_schema(field["contains"])
    if re.search(r"\bnull\b", str(field.get("description")), re.IGNORECASE):
        return {"anyOf": [schema, {"type": "null"}]}
    return schema


def documented(fields: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the path of each documented field: "listeners", "listeners.port"."""
    for name, field in fields.items():
        yield prefix + name
        yield from documented(field.get("contains") or {}, f"{prefix}{name}.")


def returned(value: Any, prefix: str = "") -> Iterator[str]:
    """Yield the path of each key in a result, through lists."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield prefix + name
            yield from returned(inner, f"{prefix}{name}.")
    elif isinstance(value, list):
        for inner in value:
            yield from returned(inner, prefix)


class Ran(NamedTuple):
    """What a module documents, and what it said in each of its runs, without what Ansible added."""

    documented: dict[str, Any]
    answers: list[dict[str, Any]]


@pytest.fixture(scope="module", params=MODULES)
def ran(request: pytest.FixtureRequest, scene: Scene) -> Ran:
    module = request.param
    runs = RUNS[module](scene) if module in RUNS else [{}]
    tasks = [{f"kubenode.doctor.{module}": arguments} for arguments in runs]
    answers = run_tasks(tasks, {}, scene.directory)
    assert not answers[-1].get("failed"), answers[-1].get("msg", answers[-1])
    assert len(answers) == len(tasks)
    assert not [answer for answer in answers if answer.get("warnings")]
    assert module in CHANGING or not [answer for answer in answers if answer["changed"]]
    fields = module_docs(module)["returndocs"]
    added = ANSIBLE_KEYS - set(fields)
    return Ran(
        fields,
        [
            {key: value for key, value in answer.items() if key not in added and not key.startswith("_ansible_")}
            for answer in answers
        ],
    )


def test_result_is_what_return_documents(ran: Ran) -> None:
    validator = Draft202012Validator(object_schema(ran.documented))
    errors = [
        f"{error.json_path}: {error.message[:300]}" for answer in ran.answers for error in validator.iter_errors(answer)
    ]
    assert not errors, "\n".join(sorted(set(errors)))


def test_every_documented_value_was_seen(ran: Ran) -> None:
    """Otherwise the test above compares documentation with nothing."""
    seen = {path for answer in ran.answers for path in returned(answer)}
    unseen = [path for path in documented(ran.documented) if path not in seen]
    if all(answer.get("complete") for answer in ran.answers):
        unseen = [path for path in unseen if path not in GAPS]
    assert not unseen


FIELDS = {
    "name": {"type": "str", "returned": "always", "description": "A name, or V(null)."},
    "ports": {
        "type": "list",
        "elements": "dict",
        "returned": "when asked",
        "contains": {"port": {"type": "int", "description": "A port."}},
    },
}


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"name": "a"}, None),
        ({"name": None, "ports": []}, None),
        ({"name": "a", "ports": [{"port": 1}]}, None),
        ({}, "$: 'name' is a required property"),
        ({"name": 1}, "$.name: 1 is not valid under any of the given schemas"),
        ({"name": "a", "other": 1}, "$: Additional properties are not allowed ('other' was unexpected)"),
        ({"name": "a", "ports": [{"port": "1"}]}, "$.ports[0].port: '1' is not of type 'integer'"),
        ({"name": "a", "ports": [{"port": True}]}, "$.ports[0].port: True is not of type 'integer'"),
        ({"name": "a", "ports": [{"port": None}]}, "$.ports[0].port: None is not of type 'integer'"),
        ({"name": "a", "ports": [{}]}, "$.ports[0]: 'port' is a required property"),
        ({"name": "a", "ports": None}, "$.ports: None is not of type 'array'"),
    ],
)
def test_the_comparison_itself(answer: dict[str, Any], complaint: str | None) -> None:
    errors = [
        f"{error.json_path}: {error.message}"
        for error in Draft202012Validator(object_schema(FIELDS)).iter_errors(answer)
    ]
    assert errors == ([complaint] if complaint else [])
