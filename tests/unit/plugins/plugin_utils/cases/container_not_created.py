# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.container_scene import (
    API,
    HOSTILE,
    POD,
    SUBJECT,
    UUID,
    attempt,
    conflict,
    group,
    id_of,
    inversion,
    logs,
    lost,
    no_node,
    no_runtime,
    not_created,
    on_node,
    reserved,
    sandbox_not_created,
    scene,
    section,
    snapshot,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case, changed, live, unknowns

HOST = "node-a"
SHOP = {"pod": "web-0", "namespace": "shop", "uid": UUID}
DESCRIBE = f"kubectl -n kube-system describe pod {POD}"
SEED_WORDS = (
    'pod_workers.go:191] Error syncing pod 1403dda53affdfee1130475a6d9609da ("kube-apiserver-node-a_kube-system(1403dda53affdfee1130475a6d9609da)"), '
    'skipping: failed to "StartContainer" for "kube-apiserver" with CreateContainerError: "Error response from daemon: Conflict. The container name"'
)
DEAD = attempt(23, created=9000, ended=8000)


def alone(entry, *groups, **options):
    """What kubelet says, among the containers of a Docker."""
    return scene(section(*groups), entry, **options)


CASES = [
    # With its cause
    Case(
        "explained by a name conflict",
        "fail",
        scene(section(inversion()), conflict(API, 24), not_created()),
        HOST,
        "warning",
        words=(
            f"kubelet cannot create {SUBJECT} (CreateContainerError)",
            "The name that kubelet gives to it is taken, which is a finding by itself",
            "once, 2026-11-21T07:59:30Z (30 s before the look): CreateContainerError",
        ),
        absent=("read what the events",),
        causes=("container-name-conflict",),
    ),
    Case(
        "explained by a name conflict that only the containers show",
        "fail",
        scene(section(inversion()), not_created()),
        HOST,
        causes=("container-name-conflict",),
    ),
    Case(
        "explained by a reserved name",
        "fail",
        scene(
            section(group(API, DEAD, runtime="containerd"), runtime="containerd"),
            reserved(API, 24, count=9, first=900),
            not_created(),
        ),
        HOST,
        causes=("container-name-reserved",),
    ),
    Case(
        "a name that was refused once, which is no finding",
        "fail",
        scene(section(group(API, DEAD, runtime="containerd"), runtime="containerd"), reserved(API, 24), not_created()),
        HOST,
        absent=("is a finding by itself",),
        commands=(DESCRIBE,),
        causes=(),
    ),
    Case(
        "a name conflict of another container",
        "fail",
        scene(section(inversion("etcd")), not_created()),
        HOST,
        commands=(DESCRIBE,),
        causes=(),
    ),
    Case(
        "a sandbox whose name is taken",
        "fail",
        scene(section(inversion("POD")), conflict("POD", 24), sandbox_not_created()),
        HOST,
        "warning",
        words=(f"kubelet cannot create the sandbox of kube-system/{POD}", "which is a finding by itself"),
        causes=("container-name-conflict",),
    ),
    # With kubelet's words alone
    Case(
        "the runtime refuses it",
        "fail",
        alone(not_created(sample=SEED_WORDS, count=12), group(API, DEAD)),
        HOST,
        "critical",
        words=(
            "The runtime refused to create it.",
            '12 times, 2026-11-21T07:59:30Z (30 s before the look): CreateContainerError: "Error response from daemon: Conflict.',
            "read what the events of the pod say",
        ),
        absent=("pod_workers.go",),
        commands=(DESCRIBE,),
        causes=(),
    ),
    Case(
        "a pod's own fault",
        "fail",
        alone(not_created("web", "CreateContainerConfigError", who=SHOP)),
        HOST,
        "warning",
        words=(
            "kubelet cannot create shop/web-0 web (CreateContainerConfigError)",
            "The pod names something that is not there",
            "nothing on this node",
        ),
        commands=("kubectl -n shop describe pod web-0",),
    ),
    Case(
        "a program that is not there",
        "fail",
        alone(not_created("web", "RunContainerError", who=SHOP)),
        HOST,
        "warning",
        words=("could not start it",),
    ),
    Case(
        "of a pod of the system that is not static",
        "fail",
        alone(not_created("kube-proxy", who={"pod": "kube-proxy-62sgn", "uid": UUID})),
        HOST,
        "critical",
    ),
    Case(
        "a sandbox",
        "fail",
        alone(sandbox_not_created(sample="failed to setup network for sandbox")),
        HOST,
        "critical",
        words=("It takes the runtime and the network plugin", "failed to setup network for sandbox"),
        causes=(),
    ),
    Case(
        "words without the reason in them",
        "fail",
        alone(not_created(sample="cut off before it")),
        HOST,
        words=("cut off before it",),
    ),
    # When
    Case(
        "some time ago, and it is not there",
        "fail",
        alone(not_created(last=601), group(API, DEAD)),
        HOST,
        "info",
        words=(f"kubelet could not create {SUBJECT} (CreateContainerError), some time ago", "is not there"),
    ),
    Case("just recent", "fail", alone(not_created(last=600), group(API, DEAD)), HOST, "critical"),
    Case(
        "a longer time was chosen",
        "fail",
        alone(not_created(last=700), group(API, DEAD), thresholds={"log_recent_seconds": 700}),
        HOST,
        "critical",
    ),
    Case(
        "some time ago, and nobody saw the containers",
        "fail",
        scene(lost("containers"), not_created(last=601)),
        HOST,
        "info",
    ),
    Case("nobody saw the containers", "fail", scene(lost("containers"), not_created()), HOST, "critical"),
    Case(
        "it lives, and lived before",
        "fail",
        alone(not_created(), group(API, attempt(24, "running", created=9000))),
        HOST,
        "warning",
        words=("Its latest instance is alive all the same: it was cured a moment ago",),
    ),
    Case(
        "it lives, and kubelet has been silent for a minute",
        "pass",
        alone(not_created(last=61), group(API, attempt(24, "running", created=9000))),
        HOST,
    ),
    Case("it was started since", "pass", alone(not_created(), group(API, attempt(24, "running", created=20))), HOST),
    Case(
        "some time ago, and it lives",
        "pass",
        alone(not_created(last=601), group(API, attempt(24, "running", created=9000))),
        HOST,
    ),
    Case("a minute ago, and the pod is gone", "pass", alone(not_created(last=61)), HOST),
    Case("the sandbox of a pod that is gone", "pass", alone(sandbox_not_created(last=61)), HOST),
    Case("just now, and nothing of the pod is there", "fail", alone(not_created(last=60)), HOST, "critical"),
    Case(
        "a minute ago, and no runtime was found",
        "fail",
        scene(no_runtime(), not_created(last=61)),
        HOST,
        "critical",
    ),
    Case(
        "a line on a machine that has neither a kubelet nor a runtime",
        "not_applicable",
        on_node(changed(snapshot(no_runtime(), not_created()), "host.components", [])),
        HOST,
    ),
    Case(
        "a line that names somebody else's container explains nothing",
        "fail",
        scene(
            section(group(API, DEAD), group("web", attempt(7), pod="web-0", uid=UUID)),
            not_created(),
            conflict(API, 24, id_of(7)),
        ),
        HOST,
        "critical",
        absent=("is a finding by itself",),
        commands=(DESCRIBE,),
        causes=(),
    ),
    Case("some time ago, and the pod is gone", "pass", alone(not_created(last=601)), HOST),
    Case(
        "some time ago, and not all containers were seen",
        "fail",
        scene(section(gaps=[("docker", "permission denied")]), not_created(last=601)),
        HOST,
        "info",
    ),
    Case(
        "some time ago, and of the pod another container is left",
        "fail",
        alone(not_created(last=601), group("POD", attempt(0, "running"))),
        HOST,
        "info",
    ),
    Case("nothing was said", "pass", live(), HOST),
    Case(
        "kubelet's journal could not be read",
        "unknown",
        scene(section(), said=logs(gaps=[("journal", "permission denied")])),
        HOST,
        words=("journal: permission denied",),
    ),
    Case(
        "hostile names",
        "fail",
        alone(
            not_created(f"c{HOSTILE}", HOSTILE, who={"pod": HOSTILE, "namespace": "-x", "uid": HOSTILE}, sample=HOSTILE)
        ),
        HOST,
        absent=("kubectl",),
    ),
    Case(
        "names that were not captured",
        "fail",
        alone({**not_created(), "fields": {}}),
        HOST,
        words=("kubelet cannot create ?/? ?",),
    ),
    Case("no node at all: neither a kubelet nor a runtime, and no log of them", "not_applicable", no_node(), HOST),
    Case(
        "a kubelet runs, and nothing of it could be seen",
        "unknown",
        no_node(components=["kubelet"]),
        HOST,
        words=("there is n",),
    ),
    *unknowns(("logs",)),
]
