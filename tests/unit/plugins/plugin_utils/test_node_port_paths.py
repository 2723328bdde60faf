# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_port_paths: what each node's rules are compared with, and that this does not cost Services times rules."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.plugin_utils import proxy_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rules import nodeport_not_programmed
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import read
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.cases.nodeport_not_programmed import (
    dual,
    right,
    ruled,
    rules,
    services,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import made_of


class Counted(list):
    """A list that counts how often it is gone through."""

    times = 0

    def __iter__(self):
        self.times += 1
        return super().__iter__()


def learned(scene):
    """What rules may know of a scene."""
    context = Context(read({}), scene.cluster())
    for host, snapshot in scene.snapshots.items():
        context.learn(host, snapshot["sections"])
    return context


def test_each_family_with_its_endpoints():
    found = learned(dual()).node_port_paths
    assert [(one.key, sorted(one.places), [*one.by_node]) for one in found] == [
        (("tcp", 30100, "ipv4"), ["10.244.0.10:80"], ["node-a"]),
        (("tcp", 30100, "ipv6"), ["[fd00:244::a]:80"], ["node-a"]),
        (("tcp", 30101, "ipv4"), ["10.244.0.11:80"], ["node-a"]),
        (("tcp", 30101, "ipv6"), ["[fd00:244::b]:80"], ["node-a"]),
    ]


def test_the_rules_of_a_node_are_gone_through_a_few_times_and_not_for_each_nodeport():
    scene = ruled(made_of(*services(40)), node_a=rules(*map(right, range(40))))
    entries = Counted(scene.snapshots["node-a"]["sections"][proxy_words.SECTION]["node_ports"])
    scene.snapshots["node-a"]["sections"][proxy_words.SECTION]["node_ports"] = entries
    context = learned(scene)
    entries.times = 0
    paths = context.node_port_paths
    node = NodeView("node-a", scene.snapshots["node-a"]["sections"])
    assert [*nodeport_not_programmed.RULE.judge(node, context)] == []
    assert 0 < entries.times <= 3
    assert (len(paths), context.node_port_paths is paths) == (40, True)
