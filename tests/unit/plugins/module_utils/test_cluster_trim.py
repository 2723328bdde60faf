# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_trim: real objects come out small and without their annotations; broken ones are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_trim

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
        "ip_families": ["IPv4"],
        "external_traffic_policy": "Local",
        "internal_traffic_policy": "Cluster",
        "health_check_node_port": 30787,
        "selector": {"app": "front"},
        "publish_not_ready_addresses": False,
        "proxy_name": None,
        "headless_label": False,
        "ports": [{"name": None, "protocol": "TCP", "port": 80, "target_port": 5000, "node_port": 35776}],
    }


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
    }


@pytest.mark.parametrize(
    ("kind", "trim"),
    [
        ("services", cluster_trim.service),
        ("endpointslices", cluster_trim.endpoint_slice),
        ("nodes", cluster_trim.node),
    ],
)
def test_nothing_that_may_hold_a_secret_comes_along(kind, trim):
    for raw in captured(kind):
        raw["metadata"].setdefault("annotations", {})["vault.example/token"] = "s.secret"
        raw["metadata"].setdefault("labels", {})["team"] = "s.secret"
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
    assert cluster_trim.service(raw)["load_balancer_ips"] == [
        {"ip": "192.0.2.80", "ip_mode": "VIP"},
        {"ip": "192.0.2.81", "ip_mode": None},
    ]


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
