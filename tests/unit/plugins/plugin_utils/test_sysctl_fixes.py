# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What findings offer to the fixes that change kernel settings, and where they must offer nothing."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    fix_raise_backlog,
    fix_raise_conntrack,
    fix_reserve_nodeports,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.cases.accept_queue_overflow import (
    SOMAXCONN,
    UNIT,
    waiting,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.cases.backlog_differs import (
    NGINX,
    USUAL,
    host,
    kubelet,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.cases.conntrack_near_limit import tracked
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.cases.nodeport_range_overlaps_ephemeral import (
    API,
    LOCAL,
    NO_API,
    RESERVED,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import changed, kubernetes_136, live
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.tcp_scene import alone, on, queue, quiet

ANY = "0.0.0.0"
OVERLAP = "nodeport-range-overlaps-ephemeral"
KUBELET = {"name": "kubelet", "port": 10255, "unit": "kubelet.service"}


def offered(scene, rule, fix):
    """The targets that a rule's finding on node-a offers to a fix."""
    document = scene.judged()
    (finding,) = [found for found in document["findings"] if (found["rule"], found["host"]) == (rule, "node-a")]
    return [target for remedy in finding["remedies"] if remedy["fix"] == fix for target in remedy["targets"]]


@pytest.mark.parametrize(
    ("scene", "target"),
    [
        (tracked(196608), (524288, 262144, 196608)),
        (tracked(30000, thresholds={"conntrack_share": 0.1}), (524288, 262144, 26215)),
        (tracked(30000, 1000), (60000, 1000, 750)),  # it was lowered below what is in use
    ],
)
def test_a_table_that_is_nearly_full(scene, target):
    asked = offered(scene, "conntrack-near-limit", fix_raise_conntrack.FIX)
    assert asked == [fix_raise_conntrack.target(*target)]


def raised(value, somaxconn, program, unit, port, backlog, address=ANY):
    return fix_raise_backlog.target(value, somaxconn, program, unit, address, port, backlog)


@pytest.mark.parametrize(
    ("scene", "targets"),
    [
        (waiting(4097, backlog=4096, **KUBELET), [raised(16384, 4096, "kubelet", "kubelet.service", 10255, 4096)]),
        (waiting(129, SOMAXCONN, 128), [raised(4096, 128, "java", None, 8080, 128)]),
        (waiting(129, SOMAXCONN, 128, **UNIT), [raised(4096, 128, "java", "java.service", 8080, 128)]),
        (waiting(1025, SOMAXCONN, 128, backlog=1024), [raised(4096, 128, "java", None, 8080, 1024)]),
        # somaxconn leaves room: kubelet only has to begin to listen anew. What other programs ask for is not known.
        (waiting(129, SOMAXCONN, 32768, **KUBELET), [raised(32768, 32768, "kubelet", "kubelet.service", 10255, 128)]),
        (waiting(129, SOMAXCONN, 32768, **UNIT), []),
        (waiting(129, SOMAXCONN, 32768, **{**KUBELET, "unit": None}), []),
        (waiting(129, SOMAXCONN, 32768, name="etcd", port=2379, unit="etcd.service"), []),
        (waiting(129, SOMAXCONN, 32768, name="dockerd", port=2375, unit="docker.service"), []),
        # Nor where raising it would change nothing, or is another namespace's business.
        (waiting(65536, SOMAXCONN, 65535, backlog=65535), []),
        (waiting(129, SOMAXCONN, None), []),
        (waiting(129, SOMAXCONN, 128, netns="4026532281", pod_uid="909a2aa1-bf6a-4a8c-a274-3180ea640fb1"), []),
        (waiting(129, SOMAXCONN, 32768, netns="4026532281", **KUBELET), []),
        (waiting(129, SOMAXCONN, 128, name="kube-proxy", port=30080), []),
        (waiting(129, SOMAXCONN, 128, unit="$(reboot).service"), [raised(4096, 128, "java", None, 8080, 128)]),
    ],
)
def test_a_queue_that_is_full(scene, targets):
    assert offered(scene, "accept-queue-overflow", fix_raise_backlog.FIX) == targets


def test_the_program_is_the_one_that_the_unit_restarts():
    """systemd holds a socket of a socket unit beside its program."""
    two = queue(8080, "java", length=129, unit="java.service")
    two["processes"].insert(0, {**two["processes"][0], "pid": 1, "name": "a-parent", "unit": "init.scope"})
    scene = alone(changed(quiet(queues=[two]), SOMAXCONN, 128))
    target = raised(4096, 128, "java", "java.service", 8080, 128)
    assert offered(scene, "accept-queue-overflow", fix_raise_backlog.FIX) == [target]


def ports(*numbers, backlog):
    return [queue(port, "kubelet", backlog=backlog, unit="kubelet.service") for port in numbers]


@pytest.mark.parametrize(
    ("here", "there", "targets"),
    [
        (host(kubelet(128), somaxconn=128), USUAL, [raised(32768, 128, "kubelet", "kubelet.service", 10255, 128)]),
        (
            host(*ports(10250, 10255, backlog=128), somaxconn=128),
            host(*ports(10250, 10255, backlog=32768), somaxconn=32768),
            [raised(32768, 128, "kubelet", "kubelet.service", port, 128) for port in (10255, 10250)],
        ),
        (  # one that asks for less still would not have more
            host(*ports(10250, backlog=128), *ports(10255, backlog=64), somaxconn=128),
            host(*ports(10250, 10255, backlog=32768), somaxconn=32768),
            [raised(32768, 128, "kubelet", "kubelet.service", 10250, 128)],
        ),
        (host(kubelet(128), somaxconn=32768), USUAL, [raised(32768, 32768, "kubelet", "kubelet.service", 10255, 128)]),
        (host(NGINX[1]), host(NGINX[0]), []),
        (host(kubelet(32768), somaxconn=4096), host(kubelet(4096)), []),  # a larger one harms nobody
        (host(NGINX[1], somaxconn=256), host(NGINX[0]), []),  # somaxconn is not what limits it
    ],
)
def test_a_backlog_that_is_smaller_than_elsewhere(here, there, targets):
    asked = offered(on(here, there, there), "backlog-differs", fix_raise_backlog.FIX)
    assert sorted(asked) == sorted(targets)


NO_SERVICES = changed(kubernetes_136(), "services", [])
WIDE = "1024\t65535"
FIXED = "6443,10248-10250,10256,30787"
IN_USE = "30053,30080-30081,30787,31999,32530,35776"


def reserved(numbers, span, drawn_from):
    """As the fix's target has it, written by hand."""
    return f'{{"drawn_from": "{drawn_from}", "ports": "{numbers}", "span": "{span}"}}'


@pytest.mark.parametrize(
    ("scene", "targets"),
    [
        (live(), [reserved("35776", "30000-40000", "32768-60999")]),
        # What is reserved already is not the fix's business, which reads it anew.
        (live(RESERVED, "8080,35000-35010"), [reserved("35776", "30000-40000", "32768-60999")]),
        (live(API, NO_API), [reserved("35776", "", "32768-60999")]),  # nobody knows where the range ends
        (live(LOCAL, WIDE), [reserved(f"6443,10248-10250,10256,{IN_USE}", "30000-40000", "1024-65535")]),
        # A block that no Service uses is left to a person.
        (live(LOCAL, WIDE, cluster=NO_SERVICES, nodeport_range="60000-65000"), []),
        (live(cluster=NO_SERVICES), []),
    ],
)
def test_node_ports_that_the_kernel_may_draw(scene, targets):
    assert offered(scene, OVERLAP, fix_reserve_nodeports.FIX) == targets


def test_fixed_ports_of_programs_that_the_kernel_may_draw():
    """All findings of a host offer the same: the fix makes one list of it."""
    scene = live(LOCAL, WIDE)
    rules = ("component-port-in-ephemeral-range", OVERLAP)
    own, other = (offered(scene, rule, fix_reserve_nodeports.FIX) for rule in rules)
    assert own == other == [reserved(f"6443,10248-10250,10256,{IN_USE}", "30000-40000", "1024-65535")]


def subjects(scene):
    return [found["object"] for found in scene.judged()["findings"] if found["rule"] == OVERLAP]


def test_what_the_fix_cures_is_a_fault_of_its_own():
    """When the NodePorts in use are reserved, that of the range which is left is another one, so that the fix is told to have helped."""
    assert subjects(live()) == ["NodePorts in the ephemeral range"]
    assert subjects(live(RESERVED, "35776")) == ["NodePort range and ephemeral range"]
    assert subjects(live(RESERVED, "32768-40000")) == []


def test_the_fix_understands_what_rules_write():
    for text in (reserved("35776", "30000-40000", "32768-60999"), reserved(FIXED, "", "1024-65535")):
        wish = fix_reserve_nodeports._read(text)
        span = wish.span[0] if wish.span else None
        assert fix_reserve_nodeports.target(wish.ports, span, wish.drawn_from) == text
