# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""control_plane: who must be well before one of it is touched."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import control_plane

KUBEADM = ["containerd", "etcd", "kube-apiserver", "kube-controller", "kubelet"]
WORKER = ["containerd", "kubelet"]


class Known:
    """A Context that knows Nodes by their names, which are the hosts'; None where they could not be read."""

    def __init__(self, nodes):
        self.cluster = {"nodes": None if nodes is None else [self._node(name, *roles) for name, roles in nodes.items()]}

    def _node(self, name, *roles):
        return {"name": name, "labels_roles": list(roles)}

    def node_object(self, host):
        return next((node for node in self.cluster["nodes"] or () if node["name"] == host), None)


def of(hosts, nodes=None):
    states = {
        host: {"answered": components is not None, "picture": {"components": components}}
        for host, components in hosts.items()
    }
    return control_plane.of(states, Known(nodes))


@pytest.mark.parametrize(
    ("components", "roles", "expected"),
    [
        (KUBEADM, ["control-plane"], ["api-server", "etcd"]),
        (KUBEADM, [], ["api-server", "etcd"]),
        (WORKER, [], None),
        (None, [], None),
        # Where all others have both, one that fails again and again is to have both as well.
        (WORKER, ["control-plane"], ["api-server", "etcd"]),
        (["etcd"], [], ["etcd"]),
        (WORKER, ["etcd"], ["etcd"]),
        (["k3s-server"], ["control-plane"], ["api-server", "etcd"]),
    ],
)
def test_what_belongs_on_a_host(components, roles, expected):
    found = of({"a": components or WORKER, "b": KUBEADM}, {"a": roles, "b": ["control-plane"]})
    assert found["expects"].get("a") == expected
    assert found["expects"]["b"] == ["api-server", "etcd"]
    assert found["hosts"] == sorted(found["expects"])


def test_etcd_elsewhere_is_not_expected_beside_the_api_server():
    found = of(
        {"api": ["kube-apiserver"], "sick": WORKER, "db": ["etcd"]}, {"api": ["control-plane"], "sick": ["master"]}
    )
    assert found["expects"] == {"api": ["api-server"], "db": ["etcd"], "sick": ["api-server"]}


def test_nodes_of_which_no_host_answered():
    nodes = {"a": ["control-plane"], "b": ["control-plane"], "c": ["control-plane"], "d": []}
    found = of({"a": KUBEADM, "b": None, "e": WORKER}, nodes)
    assert (found["hosts"], found["unseen"], found["nodes_known"]) == (["a"], ["b", "c"], True)


def test_where_the_nodes_could_not_be_read_that_is_said():
    found = of({"a": KUBEADM, "b": None})
    assert (found["hosts"], found["unseen"], found["nodes_known"]) == (["a"], [], False)
