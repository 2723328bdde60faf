# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restart_reach: what goes down with a runtime's unit, by what a stand-in for systemctl tells."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import restart_reach
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.unit_state import UnitError
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils import systemctl_stand_in

UNIT = "containerd.service"


@pytest.fixture
def units(node):
    return systemctl_stand_in.Units(node)


def why_not(node):
    return restart_reach.why_not(UNIT, Deadline(5), str(node.root), str(node.proc))


def also(node):
    return restart_reach.also(UNIT, Deadline(5), str(node.root))


def test_it_goes_alone(node, units):
    units.add(UNIT, KillMode="process")
    assert also(node) == []
    assert why_not(node) == ""


def test_units_that_depend_on_it_and_on_those(node, units):
    """Mirantis/cri-dockerd packaging/systemd/cri-docker.service: BindsTo=containerd.service."""
    units.add(UNIT, KillMode="process", BoundBy="cri-docker.service", RequiredBy="idle.service multi-user.target")
    units.add("cri-docker.service", RequiredBy="kubelet.service", ConsistsOf="containerd.service cri-docker.socket")
    units.add("cri-docker.socket")
    units.add("idle.service", ActiveState="inactive", RequiredBy="never.service")
    units.add("multi-user.target")
    units.add("kubelet.service", RequisiteOf="cri-docker.service")
    assert also(node) == ["cri-docker.service", "multi-user.target", "cri-docker.socket", "kubelet.service"]
    assert why_not(node) == ""


@pytest.mark.parametrize("kind", ["RequiredBy", "BoundBy", "RequisiteOf", "ConsistsOf", "PropagatesStopTo"])
def test_docker_would_go_with_it(node, units, kind):
    """Debian's docker.io: Requires=docker.socket containerd.service."""
    units.add(UNIT, **{"KillMode": "process", kind: "docker.service"})
    units.add("docker.service")
    assert "systemd would restart docker.service with containerd.service: without live-restore" in why_not(node)


@pytest.mark.parametrize(
    ("mode", "comm", "unit", "kills"),
    [
        ("process", "containerd-shim", UNIT, False),
        ("none", "containerd-shim", UNIT, False),
        ("control-group", "containerd-shim", UNIT, True),
        ("mixed", "containerd-shim-runc-v2"[:15], UNIT, True),
        ("", "conmon", UNIT, True),
        ("control-group", "containerd-shim", "docker.service", False),
        ("control-group", "containerd", UNIT, False),
    ],
)
def test_the_containers_would_go_with_it(node, units, mode, comm, unit, kills):
    units.add(UNIT, KillMode=mode)
    node.process(700, comm, [comm])
    (node.proc / "700" / "cgroup").write_text(f"0::/system.slice/{unit}\n")
    assert ("keeps this node's containers alive" in why_not(node)) is kills


def test_a_chain_without_end(node, units):
    units.add(UNIT, RequiredBy=" ".join(f"x{number}.service" for number in range(60)))
    with pytest.raises(UnitError, match="more than 50 units"):
        also(node)


def test_systemctl_tells_too_little(node, units):
    units.add(UNIT, RequiredBy="a.service b.service")
    with pytest.raises(UnitError, match="does not tell about 2 units"):
        also(node)
