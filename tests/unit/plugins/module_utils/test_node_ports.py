# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_ports: the captured cluster's exact table, and kube-proxy's decisions one by one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_trim
from ansible_collections.kubenode.doctor.plugins.module_utils.node_ports import node_ports

CAPTURES = Path(__file__).resolve().parents[3] / "fixtures" / "api"


def captured(name, trim):
    return [trim(raw) for raw in json.loads((CAPTURES / (name + ".json")).read_text("utf-8"))["items"]]


def service(**changes):
    base = {
        "namespace": "shop",
        "name": "web",
        "type": "NodePort",
        "cluster_ips": ["10.96.0.9"],
        "external_traffic_policy": "Cluster",
        "health_check_node_port": None,
        "ip_families": ["IPv4"],
        "proxy_name": None,
        "headless_label": False,
        "ports": [{"name": None, "protocol": "TCP", "port": 80, "target_port": 8080, "node_port": 30080}],
    }
    return {**base, **changes}


def endpoint(ready=True, serving=None, terminating=None, addresses=("10.244.0.5",)):
    return {"addresses": list(addresses), "ready": ready, "serving": serving, "terminating": terminating}


def piece(*endpoints, **changes):
    """One EndpointSlice of shop/web."""
    base = {
        "namespace": "shop",
        "service": "web",
        "address_type": "IPv4",
        "ports": [{"name": "", "protocol": "TCP", "port": 8080}],
        "endpoints": list(endpoints),
    }
    return {**base, **changes}


def families(*slices):
    (entry,) = node_ports([service()], list(slices))
    assert entry["has_endpoints"] is bool(entry["endpoint_families"])
    return entry["endpoint_families"]


def test_captured_cluster():
    entries = node_ports(
        captured("services", cluster_trim.service), captured("endpointslices", cluster_trim.endpoint_slice)
    )
    told = [
        (
            entry["namespace"] + "/" + entry["service"],
            entry["port_name"],
            entry["protocol"],
            entry.get("node_port"),
            entry.get("health_check_node_port"),
            entry["has_endpoints"],
            entry["endpoint_families"],
            entry["external_traffic_policy"],
        )
        for entry in entries
    ]
    assert told == [
        ("reddit-entry/ui", None, "TCP", 32530, None, True, ["IPv4"], "Cluster"),
        ("shop/cart", "web", "TCP", 30081, None, False, [], "Cluster"),
        ("shop/dns", "udp", "UDP", 30053, None, True, ["IPv4"], "Cluster"),
        ("shop/dns", "tcp", "TCP", 30053, None, True, ["IPv4"], "Cluster"),
        ("shop/front", "web", "TCP", 30080, None, True, ["IPv4"], "Cluster"),
        ("shop/local", None, "TCP", 35776, None, True, ["IPv4"], "Local"),
        ("shop/local", None, "TCP", None, 30787, None, None, "Local"),
        ("shop/orphan", None, "TCP", 31999, None, False, [], "Cluster"),
    ]
    assert all(entry["ip_families"] == ["IPv4"] for entry in entries)


def test_whole_entries():
    local = service(external_traffic_policy="Local", health_check_node_port=30787, ip_families=["IPv6", "IPv4"])
    common = {
        "namespace": "shop",
        "service": "web",
        "port_name": None,
        "protocol": "TCP",
        "external_traffic_policy": "Local",
        "ip_families": ["IPv6", "IPv4"],
    }
    assert node_ports([local], [piece(endpoint())]) == [
        {**common, "node_port": 30080, "has_endpoints": True, "endpoint_families": ["IPv4"]},
        {**common, "health_check_node_port": 30787, "has_endpoints": None, "endpoint_families": None},
    ]


def test_slices_that_could_not_be_read_are_not_no_slices():
    (unseen,) = node_ports([service()], None)
    (empty,) = node_ports([service()], [])
    assert (unseen["has_endpoints"], unseen["endpoint_families"]) == (None, None)
    assert (empty["has_endpoints"], empty["endpoint_families"]) == (False, [])


@pytest.mark.parametrize(
    ("ready", "serving", "terminating", "counts"),
    [
        (True, None, None, True),
        (None, None, None, True),  # absent means ready
        (False, False, False, False),
        (False, True, False, False),
        (False, True, True, True),  # KEP-1669: still serves while it terminates, and no other is ready
        (False, None, True, True),  # absent means serving
        (False, False, True, False),
        (False, None, None, False),
    ],
)
def test_conditions(ready, serving, terminating, counts):
    assert families(piece(endpoint(ready, serving, terminating))) == (["IPv4"] if counts else [])


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({}, True),
        ({"ports": []}, False),  # a named targetPort that no container has
        ({"ports": [{"name": "web", "protocol": "TCP", "port": 8080}]}, False),
        ({"ports": [{"name": "", "protocol": "UDP", "port": 8080}]}, False),
        ({"ports": [{"name": "", "protocol": "TCP", "port": None}]}, False),
        ({"namespace": "other"}, False),
        ({"service": "other"}, False),
        ({"service": None}, False),
        ({"address_type": "FQDN"}, False),
    ],
)
def test_which_slices_count(changes, counts):
    assert families(piece(endpoint(), **changes)) == (["IPv4"] if counts else [])


def test_endpoints_without_addresses_do_not_count():
    assert families(piece(endpoint(addresses=()))) == []


def test_a_later_slice_may_be_the_one_that_has_the_port():
    unresolved = piece(endpoint(addresses=("10.244.0.6",)), ports=[])
    assert families(unresolved, piece(endpoint())) == ["IPv4"]


def test_dual_stack_service_with_endpoints_of_one_family():
    six = piece(endpoint(addresses=("fd00::5",)), address_type="IPv6")
    assert families(six) == ["IPv6"]
    assert families(six, piece(endpoint())) == ["IPv4", "IPv6"]


@pytest.mark.parametrize("order", [1, -1])
def test_new_pod_on_the_address_of_a_terminating_one(order):
    """The new pod, which is not ready, is what kube-proxy keeps: whichever it meets first."""
    both = [endpoint(False, True, True), endpoint(False, False, False)]
    assert families(piece(*both[::order])) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"proxy_name": "other"},
        {"proxy_name": ""},
        {"headless_label": True},
        {"cluster_ips": ["None"]},
        {"cluster_ips": []},
        {"type": "ExternalName"},
    ],
)
def test_services_that_kube_proxy_leaves_alone(changes):
    assert node_ports([service(health_check_node_port=30787, **changes)], []) == []


def test_ports_without_a_node_port_give_no_entry():
    ports = service()["ports"]
    assert node_ports([service(type="ClusterIP", ports=[{**ports[0], "node_port": None}])], []) == []


@pytest.mark.parametrize(
    ("cluster_ips", "expected"), [(["10.0.0.1"], ["IPv4"]), (["fd00::1", "10.0.0.1"], ["IPv6", "IPv4"])]
)
def test_families_of_a_service_from_an_old_api_server(cluster_ips, expected):
    (entry,) = node_ports([service(cluster_ips=cluster_ips, ip_families=[])], [])
    assert entry["ip_families"] == expected


def test_policy_defaults_to_cluster():
    (entry,) = node_ports([service(external_traffic_policy=None)], [])
    assert entry["external_traffic_policy"] == "Cluster"


def test_sorted_whatever_the_order_of_the_list():
    services = [service(name=name, namespace=namespace) for namespace, name in [("b", "a"), ("a", "b"), ("a", "a")]]
    assert [(entry["namespace"], entry["service"]) for entry in node_ports(services, None)] == [
        ("a", "a"),
        ("a", "b"),
        ("b", "a"),
    ]
