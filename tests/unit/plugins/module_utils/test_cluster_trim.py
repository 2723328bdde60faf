# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_trim: real objects come out small and without their annotations; broken ones are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_trim

IMAGE = "docker.io/reddit/post:f5393576"
IMAGE_ID = "sha256:92f0e4a968e672a3a7f794f10560187c4fb70f836a6f5d5b939f384d8248c199"
RUNNING = {
    "image": IMAGE,
    "image_id": IMAGE_ID,
    "ready": True,
    "restarts": 0,
    "state": "running",
    "reason": None,
    "message": None,
    "exit_code": None,
}
CAPTURES = Path(__file__).resolve().parents[3] / "fixtures" / "api"


def captured(name):
    return json.loads((CAPTURES / (name + ".json")).read_text("utf-8"))["items"]


def named(name, namespace, items):
    return next(
        item for item in items if (item["metadata"].get("namespace"), item["metadata"]["name"]) == (namespace, name)
    )


def test_service_of_the_capture():
    raw = named("local", "shop", captured("services"))
    assert cluster_trim.service(raw) == {
        "namespace": "shop",
        "name": "local",
        "uid": "102bc800-3481-49ac-bf7d-104eb73287f9",
        "type": "LoadBalancer",
        "cluster_ips": ["10.96.52.82"],
        "external_ips": [],
        "load_balancer_ips": [],
        "load_balancer_names": [],
        "ip_families": ["IPv4"],
        "external_traffic_policy": "Local",
        "internal_traffic_policy": "Cluster",
        "health_check_node_port": 30787,
        "selector": {"app": "front"},
        "publish_not_ready_addresses": False,
        "proxy_name": None,
        "headless_label": False,
        "ports": [{"name": None, "protocol": "TCP", "port": 80, "target_port": 5000, "node_port": 35776}],
        "created": 1795222076.0,
    }


def test_pod_of_the_capture():
    raw = named("front-6559f5d576-nzsjv", "shop", captured("pods"))
    first, second = cluster_trim.pod(raw)["containers"]
    assert cluster_trim.pod(raw) == {
        "namespace": "shop",
        "name": "front-6559f5d576-nzsjv",
        "uid": "02a647ae-4783-48f4-bea0-f1ebf8674102",
        "node": "node-a",
        "labels": {"app": "front", "pod-template-hash": "6559f5d576"},
        "owner": {
            "kind": "ReplicaSet",
            "name": "front-6559f5d576",
            "uid": "f096b56e-de02-4cdd-8988-8deac676e6b0",
        },
        "host_network": False,
        "ips": ["10.244.0.22"],
        "phase": "Running",
        "ready": "True",
        "ready_reason": None,
        "deleting": False,
        "runtime_class": None,
        "mirror": False,
        "readiness_gates": [],
        "containers": [first, second],
    }
    assert first == {
        "name": "front",
        "kind": "container",
        "image": IMAGE,
        "pull_policy": "IfNotPresent",
        "ports": [{"name": "http", "protocol": "TCP", "port": 5000}],
        "readiness": True,
        "liveness": False,
        "startup": False,
        "status": RUNNING,
    }
    assert second == {**first, "name": "side", "ports": [], "readiness": False}


@pytest.mark.parametrize(("host_port", "kept"), [(30000, {"host_port": 30000}), (0, {}), (None, {})])
def test_the_nodes_port_that_leads_to_a_pod(host_port, kept):
    declared = [{"containerPort": 80, "hostPort": host_port}]
    raw = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "web", "ports": declared}]}}
    (container,) = cluster_trim.pod(raw)["containers"]
    assert container["ports"] == [{"name": None, "protocol": "TCP", "port": 80, **kept}]


# name of the pod, what is special about it
OTHER_PODS = [
    ("hostnet", {"host_network": True, "owner": None, "ips": ["192.0.2.2"]}),
    ("done", {"phase": "Succeeded", "ready": "False", "ready_reason": "PodCompleted", "labels": {}}),
    ("pull", {"phase": "Pending", "ready": "False", "ready_reason": "ContainersNotReady"}),
]


@pytest.mark.parametrize(("name", "expected"), OTHER_PODS, ids=[name for name, _expected in OTHER_PODS])
def test_other_pods_of_the_capture(name, expected):
    trimmed = cluster_trim.pod(named(name, "shop", captured("pods")))
    assert {key: trimmed[key] for key in expected} == expected


CONTAINER_STATES = [
    (
        {
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
            "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
            "restartCount": 7,
        },
        {"state": "waiting", "reason": "CrashLoopBackOff", "message": "back-off", "exit_code": 137, "restarts": 7},
    ),
    (
        {"state": {"terminated": {"exitCode": 1, "reason": "Error", "message": "no such file"}}},
        {"state": "terminated", "reason": "Error", "message": "no such file", "exit_code": 1},
    ),
    # it runs again: how it ended before is no part of its state
    ({"state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}, {"state": "running"}),
    ({"state": {}}, {"state": None}),
    ({}, {"state": None}),
]


@pytest.mark.parametrize(("status", "expected"), CONTAINER_STATES)
def test_states_of_a_container(status, expected):
    nothing = {"image": None, "image_id": None, "ready": False, "restarts": 0}
    nothing.update(reason=None, message=None, exit_code=None)
    raw = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "web"}]}}
    raw["status"] = {"containerStatuses": [{"name": "other"}, {"name": "web", **status}]}
    (container,) = cluster_trim.pod(raw)["containers"]
    assert container["status"] == {**nothing, **expected}


def test_a_pod_that_nobody_has_taken_up():
    trimmed = cluster_trim.pod({"metadata": {"name": "a"}, "spec": {"nodeName": "", "containers": [{"name": "web"}]}})
    assert (trimmed["node"], trimmed["ready"], trimmed["ips"]) == (None, None, [])
    assert trimmed["containers"][0]["status"] is None


def ended(code):
    return {"state": {"terminated": {"exitCode": code}}}


# restartPolicy and status of an init container, and the kind it is kept as
INIT_CONTAINERS = [
    (None, ended(0), None),
    (None, ended(1), "init"),
    (None, {"state": {"running": {}}}, "init"),
    (None, {"state": {"waiting": {"reason": "PodInitializing"}}}, "init"),
    (None, None, "init"),
    ("Always", {"state": {"running": {}}}, "sidecar"),
    ("Always", ended(0), "sidecar"),
]


@pytest.mark.parametrize(("policy", "status", "kind"), INIT_CONTAINERS)
def test_init_containers_that_ended_well_are_left_out(policy, status, kind):
    init = {"name": "first", **({"restartPolicy": policy} if policy else {})}
    raw = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "web"}], "initContainers": [init]}}
    raw["status"] = {"initContainerStatuses": [{"name": "first", **status}] if status else []}
    kinds = [(container["name"], container["kind"]) for container in cluster_trim.pod(raw)["containers"]]
    assert kinds == [("web", "container"), *([("first", kind)] if kind else [])]


def test_what_decides_about_a_pod():
    meta = {
        "name": "a",
        "deletionTimestamp": "2026-11-21T00:08:03Z",
        "annotations": {"kubernetes.io/config.mirror": "s.secret"},
        "ownerReferences": [{"kind": "Other", "name": "b", "uid": "1"}, {"kind": "DaemonSet", "controller": True}],
    }
    spec = {
        "runtimeClassName": "gvisor",
        "readinessGates": [{"conditionType": "lb.example/ready"}],
        "containers": [
            {
                "name": "web",
                "env": [{"name": "KEY", "value": "s.secret"}],
                "args": ["s.secret"],
                "command": ["s.secret"],
                "livenessProbe": {"exec": {"command": ["s.secret"]}},
                "startupProbe": {"grpc": {"port": 1}},
                "volumeMounts": [{"name": "s.secret"}],
            }
        ],
        "volumes": [{"name": "s.secret"}],
    }
    trimmed = cluster_trim.pod({"metadata": meta, "spec": spec, "status": {"podIP": "10.0.0.9"}})
    assert "s.secret" not in json.dumps(trimmed)
    expected = {
        "deleting": True,
        "mirror": True,
        "owner": {"kind": "DaemonSet", "name": None, "uid": None},
        "runtime_class": "gvisor",
        "readiness_gates": ["lb.example/ready"],
        "ips": ["10.0.0.9"],
    }
    assert {key: trimmed[key] for key in expected} == expected
    (web,) = trimmed["containers"]
    assert (web["readiness"], web["liveness"], web["startup"]) == (False, True, True)


def test_event_of_the_capture():
    raw = next(item for item in captured("events") if item["reason"] == "BackOff")
    assert cluster_trim.event(raw) == {
        "kind": "Pod",
        "namespace": "shop",
        "name": "crash-78bf7549d-nkthh",
        "uid": "9f7f63be-9880-4e4a-8f63-86d90684b60a",
        "reason": "BackOff",
        "message": "Back-off restarting failed container crash in pod "
        "crash-78bf7549d-nkthh_shop(9f7f63be-9880-4e4a-8f63-86d90684b60a)",
        "count": 3,
        "last": 1795222112.0,
    }


@pytest.mark.parametrize(
    ("times", "last", "count"),
    [
        ({"lastTimestamp": "2026-11-21T00:00:10Z", "count": 4}, 1795219210.0, 4),
        # as events.k8s.io writes it: once, then a series
        ({"lastTimestamp": None, "eventTime": "2026-11-21T00:00:10.500000Z"}, 1795219210.5, 1),
        (
            {
                "eventTime": "2026-11-21T00:00:10.000000Z",
                "series": {"count": 9, "lastObservedTime": "2026-11-21T00:01:10.000000Z"},
            },
            1795219270.0,
            9,
        ),
        ({}, 1795219200.0, 1),
    ],
)
def test_when_and_how_often_an_event_was_seen(times, last, count):
    raw = {"metadata": {"name": "a", "creationTimestamp": "2026-11-21T00:00:00Z"}, "reason": "Odd", **times}
    trimmed = cluster_trim.event(raw)
    assert (trimmed["last"], trimmed["count"], trimmed["message"]) == (last, count, "")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("two\n  lines\x1b[31m red\x00", "two lines red"),
        ("cannot log in: password=hunter2 was refused", "cannot log in: password=[redacted] was refused"),
        ("a" * 300, "a" * 300),
        ("why: " + "b" * 400 + ": no such host", "why: " + "b" * 115 + "..." + "b" * 163 + ": no such host"),
        # the secret is over the place of the cut
        ("c" * 110 + " token=" + "d" * 300, "c" * 110 + " token=[redacted]"),
    ],
)
def test_free_texts_are_short_and_plain(message, told):
    trimmed = cluster_trim.event({"metadata": {"name": "a"}, "message": message})
    assert trimmed["message"] == told
    assert len(told) <= 300


def test_deployment_and_replica_set():
    raw = named("ui", "reddit-entry", captured("deployments"))
    assert cluster_trim.deployment(raw) == {
        "namespace": "reddit-entry",
        "name": "ui",
        "uid": "2b272f8c-c1ac-4959-a83f-fefc6ca477bc",
        "replicas": 2,
        "selector": {"app": "ui"},
        "template_labels": {"app": "ui"},
        "images": {"ui": "docker.io/reddit/ui:f5393576"},
        "strategy": "RollingUpdate",
        "paused": False,
        "resource_version": "398",
        "generation": 1,
    }
    assert cluster_trim.replica_set(named("ui-5b667475f5", "reddit-entry", captured("replicasets"))) == {
        "namespace": "reddit-entry",
        "name": "ui-5b667475f5",
        "uid": "63fa1412-0aa9-419d-86c8-8c8e60ef2965",
        "owner": {"kind": "Deployment", "name": "ui", "uid": "2b272f8c-c1ac-4959-a83f-fefc6ca477bc"},
        "revision": 1,
        "replicas": 2,
        "images": {"ui": "docker.io/reddit/ui:f5393576"},
    }


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"matchLabels": {"app": "a"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, None),
        ({"matchLabels": {"app": "a"}, "matchExpressions": []}, {"app": "a"}),
        ({}, {}),
    ],
)
def test_selectors_of_deployments(selector, expected):
    assert cluster_trim.deployment({"metadata": {"name": "a"}, "spec": {"selector": selector}})["selector"] == expected


@pytest.mark.parametrize(
    ("text", "revision"), [("12", 12), (None, None), ("", None), ("1x", None), ("9" * 30, None), ("१", None)]
)
def test_revisions(text, revision):
    meta = {
        "name": "a-1",
        "annotations": {"deployment.kubernetes.io/revision": text},
        "ownerReferences": [{"kind": "Deployment", "name": "a", "uid": "1", "controller": True}],
    }
    assert cluster_trim.replica_set({"metadata": meta})["revision"] == revision


@pytest.mark.parametrize(
    "owners",
    [
        [],
        [{"kind": "Rollout", "name": "a", "uid": "1", "controller": True}],
        [{"kind": "Deployment", "name": "a", "uid": "1"}],
    ],
)
def test_replica_sets_without_a_deployment_are_not_kept(owners):
    assert cluster_trim.replica_set({"metadata": {"name": "a-1", "ownerReferences": owners}}) is None


SHARED = [
    (["a/post:1", "a/ui:1"], [["a/post:1", "a/ui:1"]]),
    (["a/ui:1", "a/ui:2", "a/ui@sha256:00"], []),
    (["reg:5000/ui:1", "reg:5000/ui:2"], []),
    (["reg:5000/ui:1", "reg:5001/ui:1"], [["reg:5000/ui:1", "reg:5001/ui:1"]]),
    # one of them is known by its digest alone
    (["a/post@sha256:00", "b/ui:1", "b/ui@sha256:00"], [["a/post", "b/ui:1"]]),
    (["<none>@<none>", "<none>:<none>", "a/ui:1"], []),
    ([], []),
]


@pytest.mark.parametrize(("names", "shared"), SHARED)
def test_images_with_names_in_several_repositories(names, shared):
    raw = {"metadata": {"name": "n"}, "status": {"images": [{"names": names}, {"names": None}]}}
    assert cluster_trim.node(raw)["shared_images"] == shared


def test_equal_strings_are_one_in_memory():
    first, second = (
        cluster_trim.pod(json.loads(json.dumps({"metadata": {"name": "a"}, "spec": {"nodeName": "node-ä"}})))
        for _time in range(2)
    )
    assert first["node"] is second["node"]


def test_endpoint_slices_of_the_capture():
    items = captured("endpointslices")
    assert cluster_trim.endpoint_slice(named("cart-6zb4p", "shop", items)) == {
        "namespace": "shop",
        "service": "cart",
        "name": "cart-6zb4p",
        "address_type": "IPv4",
        "ports": [],
        "endpoints": [
            {
                "addresses": ["10.244.0.24"],
                "ready": True,
                "serving": True,
                "terminating": False,
                "node_name": "node-a",
                "target": {
                    "kind": "Pod",
                    "namespace": "shop",
                    "name": "cart-544947bc8d-2ld8r",
                    "uid": "3790e3de-32b5-4628-b659-aa476ccb7ab0",
                },
            }
        ],
    }
    by_hand = cluster_trim.endpoint_slice(named("db-1", "shop", items))["endpoints"]
    assert by_hand == [
        {
            "addresses": ["192.0.2.77"],
            "ready": True,
            "serving": None,
            "terminating": None,
            "node_name": None,
            "target": None,
        }
    ]


def test_node_of_the_capture():
    (raw,) = captured("nodes")
    assert cluster_trim.node(raw) == {
        "name": "node-a",
        "uid": "9f7e9c5e-5289-4fa3-87fe-25c7a2d195a9",
        "internal_ips": ["192.0.2.2"],
        "external_ips": [],
        "hostname": "node-a",
        "labels_roles": [],
        "unschedulable": False,
        "ready": "True",
        "pod_cidrs": [],
        "kubelet_version": "v0.0.0-master+$Format:%H$",
        "kube_proxy_version": None,
        "container_runtime_version": "containerd://1.6.20",
        "os_image": "Debian GNU/Linux 12 (bookworm)",
        "kernel_version": "6.18.44-fc-v669",
        "architecture": "amd64",
        "os": "linux",
        "shared_images": [["docker.io/reddit/post:f5393576", "docker.io/reddit/ui:f5393576"]],
    }


@pytest.mark.parametrize(
    ("kind", "trim"),
    [
        ("services", cluster_trim.service),
        ("endpointslices", cluster_trim.endpoint_slice),
        ("nodes", cluster_trim.node),
        ("deployments", cluster_trim.deployment),
        ("replicasets", cluster_trim.replica_set),
        ("events", cluster_trim.event),
    ],
)
def test_nothing_that_may_hold_a_secret_comes_along(kind, trim):
    for raw in captured(kind):
        raw["metadata"].setdefault("annotations", {})["vault.example/token"] = "s.secret"
        raw["metadata"].setdefault("labels", {})["team"] = "s.secret"
        raw.setdefault("spec", {}).setdefault("template", {}).setdefault("spec", {})["volumes"] = ["s.secret"]
        raw["metadata"].setdefault("managedFields", [{"manager": "kubectl"}])
        text = json.dumps(trim(raw))
        for unwanted in ("s.secret", "annotations", "managedFields", "last-applied-configuration", "f:metadata"):
            assert unwanted not in text


@pytest.mark.parametrize(
    ("labels", "proxy_name", "headless"),
    [
        ({}, None, False),
        ({"service.kubernetes.io/service-proxy-name": "other"}, "other", False),
        # kube-proxy asks whether the label exists, not what it says
        ({"service.kubernetes.io/service-proxy-name": ""}, "", False),
        ({"service.kubernetes.io/headless": ""}, None, True),
    ],
)
def test_labels_that_kube_proxy_heeds(labels, proxy_name, headless):
    trimmed = cluster_trim.service({"metadata": {"name": "a", "namespace": "b", "labels": labels}, "spec": {}})
    assert (trimmed["proxy_name"], trimmed["headless_label"]) == (proxy_name, headless)


def test_service_of_an_old_api_server():
    """1.19: no clusterIPs, no ipFamilies; nodePort 0 stands for none."""
    raw = {"metadata": {"name": "a"}, "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80, "nodePort": 0}]}}
    trimmed = cluster_trim.service(raw)
    assert trimmed["cluster_ips"] == ["10.0.0.1"]
    assert trimmed["ip_families"] == []
    assert trimmed["ports"] == [{"name": None, "protocol": "TCP", "port": 80, "target_port": None, "node_port": None}]


def test_load_balancer_addresses():
    ingress = [{"ip": "192.0.2.80", "ipMode": "VIP"}, {"hostname": "lb.example"}, {"ip": "192.0.2.81"}]
    raw = {"metadata": {"name": "a"}, "spec": {}, "status": {"loadBalancer": {"ingress": ingress}}}
    trimmed = cluster_trim.service(raw)
    assert trimmed["load_balancer_ips"] == [
        {"ip": "192.0.2.80", "ip_mode": "VIP"},
        {"ip": "192.0.2.81", "ip_mode": None},
    ]
    assert trimmed["load_balancer_names"] == ["lb.example"]


def test_slice_of_discovery_v1beta1():
    raw = {
        "metadata": {"name": "a-1", "namespace": "b", "labels": {"kubernetes.io/service-name": "a"}},
        "addressType": "IPv4",
        "ports": [{"name": None, "port": 80}],
        "endpoints": [
            {"addresses": ["10.0.0.9"], "conditions": {}, "topology": {"kubernetes.io/hostname": "node-b"}},
        ],
    }
    trimmed = cluster_trim.endpoint_slice(raw)
    assert trimmed["endpoints"][0]["node_name"] == "node-b"
    assert trimmed["ports"] == [{"name": "", "protocol": "TCP", "port": 80}]


@pytest.mark.parametrize(
    ("labels", "roles"),
    [
        (
            {"node-role.kubernetes.io/control-plane": "", "node-role.kubernetes.io/etcd": "true"},
            ["control-plane", "etcd"],
        ),
        ({"kubernetes.io/role": "master", "node-role.kubernetes.io/master": ""}, ["master"]),
        ({"node-role.kubernetes.io/": "", "kubernetes.io/role": ""}, []),
    ],
)
def test_roles(labels, roles):
    assert cluster_trim.node({"metadata": {"name": "n", "labels": labels}})["labels_roles"] == roles


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"ports": 5}, "ports is a whole number, not a list"),
        ({"ports": ["80"]}, "ports holds a string, not only mappings"),
        ({"ports": [{"nodePort": "30080"}]}, "nodePort is a string, not a whole number"),
        ({"ports": [{"nodePort": True}]}, "nodePort is true or false, not a whole number"),
        ({"ports": [{"nodePort": 65536}]}, "nodePort is 65536, outside 0 to 65535"),
        ({"ports": [{"nodePort": 3.5}]}, "nodePort is a number, not a whole number"),
        ({"ports": [{"targetPort": {}}]}, "targetPort is a mapping, not a number or a name"),
        ({"clusterIPs": [None]}, "clusterIPs holds null, not only strings"),
        ({"selector": []}, "selector is a list, not a mapping"),
        ({"publishNotReadyAddresses": "yes"}, "publishNotReadyAddresses is a string, not true or false"),
    ],
)
def test_wrong_types(spec, message):
    with pytest.raises(cluster_trim.ShapeError) as error:
        cluster_trim.service({"metadata": {"name": "a"}, "spec": spec})
    assert str(error.value) == message
