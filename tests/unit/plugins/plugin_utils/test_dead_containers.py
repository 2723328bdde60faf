# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dead-containers-pile-up on a node that sends as many groups as it likes: each is looked at as often as in a small section."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rules import dead_containers_pile_up
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import read
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.container_scene import attempt, group, section
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import captured, seed_000


class Counted(list):
    """Counts how many of its entries are handed out."""

    looks = 0

    def __iter__(self):
        for one in super().__iter__():
            self.looks += 1
            yield one


def looks(number):
    """How many looks at groups one judgement of so many sandboxes takes."""
    containers = section(
        *(group("POD", attempt(one, created=9000, ended=8000), uid=f"u{one}") for one in range(number))
    )
    containers["groups"] = Counted(containers["groups"])
    sections = {**captured("sick")["sections"], "containers": containers}
    assert list(dead_containers_pile_up.RULE.judge(NodeView("sick", sections), Context(read({}), seed_000()))) == []
    return containers["groups"].looks


@pytest.mark.parametrize("number", [10, 300])
def test_the_groups_are_walked_a_few_times_however_many_there_are(number):
    assert looks(number) == looks(1) * number
