# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.container_scene import (
    API,
    HOSTILE,
    attempt,
    group,
    id_of,
    no_runtime,
    on_node,
    scene,
    section,
    snapshot,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    changed,
    live,
    lost,
    unknowns,
)

HOST = "node-a"
DEAD = (attempt(1, created=8000, ended=7000), attempt(2, created=7000, ended=6000))
RUNS = attempt(9, "running", created=100)


def pile(*instances, others=(), **options):
    """Dead instances of one container, beside the one that runs."""
    return scene(section(group(API, RUNS, *instances), *others), **options)


def numbered(count, container="web"):
    return group(container, *(attempt(number, created=9000 - number, ended=8000) for number in range(count)))


def sandboxes(*living_in, sandbox_id=None):
    """Three dead sandboxes beside the one that runs, and dead containers that live in some of them."""
    dead = (attempt(number, created=9000 - number, ended=8000) for number in (1, 2, 3))
    inhabitants = [
        group(f"c{number}", attempt(0, created=9000, ended=8000, sandbox_id=id_of(number))) for number in living_in
    ]
    runs = group(API, attempt(24, "running", created=100, sandbox_id=sandbox_id))
    return scene(section(group("POD", RUNS, *dead), runs, *inhabitants))


CASES = [
    Case(
        "two of one container",
        "fail",
        pile(*DEAD),
        HOST,
        "warning",
        words=(
            "dead containers pile up: of some, more than 1 dead instance is left",
            "as many dead instances of each container as --maximum-dead-containers-per-container says, 1 by default",
            "set the threshold dead_containers_per_container to the same number",
            "2 dead instances of 1 containers",
            "kube-system/kube-apiserver-node-a kube-apiserver (Docker): 2 dead, the first for 116 min",
            "do not sweep them away",
        ),
        absent=("no kubelet runs here", "containers more"),
        commands=("cat /proc/pressure/io",),
        causes=(),
    ),
    Case(
        "the largest first, and not all of them",
        "fail",
        scene(section(*(numbered(count, f"c{count}") for count in range(2, 14)))),
        HOST,
        words=("90 dead instances of 12 containers", "c13 (Docker): 13 dead", "and 2 containers more"),
        absent=(" c3 (Docker)", " c2 (Docker)"),
    ),
    Case(
        "in containerd",
        "fail",
        scene(section(group("web", *DEAD, runtime="containerd"), runtime="containerd")),
        HOST,
        words=("web (containerd): 2 dead",),
    ),
    Case(
        "no kubelet runs",
        "fail",
        on_node(changed(snapshot(section(group(API, *DEAD))), "host.components", ["dockerd"])),
        HOST,
        words=("no kubelet runs here: start it",),
        commands=("systemctl start kubelet",),
    ),
    Case(
        "whether a kubelet runs was not seen",
        "fail",
        on_node(
            changed(
                snapshot(section(group(API, *DEAD))),
                "host.components",
                ["dockerd"],
                "host.missing",
                [{"what": "processes", "why": "hidepid"}],
            )
        ),
        HOST,
        absent=("no kubelet runs here",),
    ),
    Case(
        "nothing of the host was seen",
        "fail",
        on_node(lost(snapshot(section(group(API, *DEAD))), "host", "host", "the budget of 20 s ended before it")),
        HOST,
        absent=("no kubelet runs here",),
    ),
    Case("some that were only created", "fail", pile(attempt(1, "created"), attempt(2, "dead")), HOST),
    Case(
        "fewer are to be kept", "fail", pile(*DEAD, attempt(3), thresholds={"dead_containers_per_container": 2}), HOST
    ),
    Case("more are to be kept", "pass", pile(*DEAD, thresholds={"dead_containers_per_container": 2}), HOST),
    Case("dead for just five minutes", "fail", pile(attempt(1, ended=300), attempt(2, ended=300)), HOST),
    Case("one has been dead for less", "pass", pile(attempt(1, ended=300), attempt(2, ended=299)), HOST),
    Case(
        "a shorter time was chosen",
        "fail",
        pile(attempt(1, ended=60), attempt(2, ended=60), thresholds={"dead_container_seconds": 60}),
        HOST,
    ),
    Case(
        "nobody knows when they died",
        "pass",
        pile(attempt(1, created=None), attempt(2, created=None)),
        HOST,
    ),
    Case("a time that has not come yet", "pass", pile(attempt(1, ended=-9000), attempt(2, ended=-9000)), HOST),
    Case("some that are paused, or being removed", "pass", pile(attempt(1, "paused"), attempt(2, "removing")), HOST),
    Case("some that are not kubelet's", "pass", pile(attempt(1, own=False), attempt(2, own=False)), HOST),
    Case("one of each", "pass", scene(section(*(numbered(1, f"c{number}") for number in range(9)))), HOST),
    Case(
        "the one that hides a living one, told by its own rule",
        "pass",
        scene(
            section(
                group(
                    API,
                    attempt(24, "running", created=9000),
                    attempt(23, created=8000, ended=7000),
                    attempt(22, created=9500, ended=9400),
                )
            )
        ),
        HOST,
    ),
    Case(
        "and two more beside it",
        "fail",
        scene(
            section(
                group(
                    API,
                    attempt(24, "running", created=9000),
                    attempt(23, created=8000, ended=7000),
                    attempt(22, created=9500, ended=9400),
                    attempt(21, created=9600, ended=9500),
                )
            )
        ),
        HOST,
        words=("2 dead instances of 1 containers",),
    ),
    Case("empty sandboxes", "fail", sandboxes(sandbox_id=id_of(9)), HOST, words=("POD (Docker): 3 dead",)),
    Case("sandboxes that have a container each", "pass", sandboxes(1, 2, sandbox_id=id_of(9)), HOST),
    Case("a container that does not tell its sandbox", "pass", sandboxes(), HOST),
    Case("nothing is wrong", "pass", live(), HOST),
    Case("no runtime", "not_applicable", scene(no_runtime()), HOST),
    Case(
        "one runtime could not be asked",
        "unknown",
        scene(section(gaps=[("docker", "permission denied")])),
        HOST,
        words=("docker: permission denied",),
    ),
    Case("names could not be seen", "pass", scene(section(gaps=[("names", "containerd: install crictl")])), HOST),
    Case(
        "hostile names",
        "fail",
        scene(section(group(HOSTILE, *DEAD, pod=HOSTILE, namespace=HOSTILE, uid=HOSTILE))),
        HOST,
    ),
    *unknowns(("containers",)),
]
