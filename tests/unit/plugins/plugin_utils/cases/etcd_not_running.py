# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.container_scene import (
    HOSTILE,
    UID,
    UUID,
    attempt,
    conflict,
    group,
    id_of,
    inversion,
    logged,
    lost,
    no_runtime,
    not_created,
    on_node,
    pod_log,
    reserved,
    scene,
    section,
    snapshot,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    changed,
    gap,
    live,
    unknowns,
    with_socket,
)

HOST = "node-a"
ETCD = "etcd-node-a"
WHO = {"pod": ETCD}
DEAD = attempt(3, created=900, ended=400, exit_code=137)
LAST_WORDS = f"docker logs --tail 50 {id_of(3)}"


def etcd(*instances, **fields):
    return group("etcd", *instances, **{"pod": ETCD, **fields})


def dead(*entries, containers=None, changes=(), made=None):
    """etcd's last instance has ended."""
    made = made or snapshot(containers or section(etcd(DEAD)), *entries)
    return on_node(changed(made, *changes) if changes else made)


def listening(made, port=2379, **fields):
    return with_socket(made, "etcd", **{"address": "127.0.0.1", "port": port, "state": "listen", **fields})


def by_log(containers, *sockets):
    """The log of an etcd that is a static pod, and no containers."""
    entry = logged("too-many-open-files", {}, log=pod_log("etcd", 3, ETCD))
    made = snapshot(containers, entry)
    for port in sockets:
        made = listening(made, port)
    return on_node(made)


WITHOUT_SANDBOX = section(
    etcd(attempt(3, created=9000, ended=800), runtime="containerd"),
    group("POD", attempt(1, created=9001, ended=799), runtime="containerd", pod=ETCD),
    runtime="containerd",
)

CASES = [
    Case(
        "it has ended",
        "fail",
        dead(),
        HOST,
        "critical",
        words=(
            "etcd does not run on this node, and nothing listens on its client port",
            f"the last instance: attempt 3, {id_of(3)}, exited (137) 2026-11-21T07:53:20Z",
            "port 2379: nothing listens there now",
            "never delete etcd's data",
        ),
        absent=("no kubelet",),
        commands=(LAST_WORDS,),
        causes=(),
    ),
    Case(
        "of several attempts the last one",
        "fail",
        dead(containers=section(etcd(attempt(2, created=950, ended=910), DEAD))),
        HOST,
        words=(f"the last instance: attempt 3, {id_of(3)}",),
    ),
    Case(
        "in containerd",
        "fail",
        dead(containers=section(etcd(DEAD, runtime="containerd"), runtime="containerd")),
        HOST,
        commands=(f"crictl --runtime-endpoint unix:///run/containerd/containerd.sock logs --tail 50 {id_of(3)}",),
    ),
    Case(
        "in OpenShift",
        "fail",
        dead(containers=section(etcd(DEAD, namespace="openshift-etcd"))),
        HOST,
    ),
    Case(
        "kubelet does not run either",
        "fail",
        dead(changes=("host.components", ["kube-proxy", "containerd"])),
        HOST,
        words=("no kubelet runs here, so nobody starts it",),
        commands=("systemctl start kubelet", LAST_WORDS),
    ),
    Case(
        "it cannot be created, because its name is taken by a dead container",
        "fail",
        dead(
            conflict("etcd", 4, who=WHO),
            not_created("etcd", who=WHO),
            containers=section(etcd(attempt(4, "created", created=200), attempt(3, created=150, ended=140))),
        ),
        HOST,
        causes=("container-not-created",),
    ),
    Case(
        "its name is taken, and kubelet has not said so",
        "fail",
        dead(containers=section(etcd(attempt(4, "created", created=200), attempt(3, created=150, ended=140)))),
        HOST,
        causes=("container-name-conflict",),
    ),
    Case(
        "the name of its sandbox is reserved",
        "fail",
        dead(reserved("POD", 2, id_of(55), who=WHO, count=40, first=700, last=10), containers=WITHOUT_SANDBOX),
        HOST,
        causes=("container-name-reserved",),
    ),
    Case(
        "its sandbox cannot be created, because its name is reserved",
        "fail",
        dead(
            reserved("POD", 2, id_of(55), who=WHO, count=40, first=700, last=10),
            logged("sandbox-not-created", {**WHO, "namespace": "kube-system", "uid": UID}),
            containers=WITHOUT_SANDBOX,
        ),
        HOST,
        causes=("container-not-created",),
    ),
    Case(
        "another program listens on another port",
        "fail",
        dead(made=listening(snapshot(section(etcd(DEAD))), 12379)),
        HOST,
    ),
    Case(
        "only UDP",
        "fail",
        dead(made=listening(snapshot(section(etcd(DEAD))), protocol="udp", state="unconnected")),
        HOST,
    ),
    Case(
        "the listeners were not collected",
        "fail",
        dead(made=changed(snapshot(section(etcd(DEAD))), "listen_ports", lost("listeners"))),
        HOST,
        "critical",
        words=(
            "whether something listens there now could not be seen (listeners: the budget of 20 s ended before it)",
        ),
        absent=("and nothing listens",),
    ),
    Case(
        "not all listeners were seen",
        "fail",
        dead(made=gap(snapshot(section(etcd(DEAD))), "listen_ports", "listeners", "there are too many")),
        HOST,
        words=("whether something listens there now could not be seen (listeners: there are too many)",),
    ),
    Case(
        "its pod has logs, and the containers were not seen",
        "fail",
        by_log(lost("containers")),
        HOST,
        "critical",
        words=("nothing listens on the client port of this node's etcd", "/var/log/pods holds logs of the pod"),
    ),
    Case(
        "its pod has logs, the containers were not seen, and it listens",
        "unknown",
        by_log(lost("containers"), 2379),
        HOST,
        words=("containers: the budget of 20 s ended before it",),
    ),
    Case(
        "neither containers nor logs were seen",
        "unknown",
        scene(lost("containers"), said=lost("logs")),
        HOST,
        words=("containers: the budget of 20 s ended before it",),
    ),
    Case("it runs", "pass", live(), HOST),
    Case("it has ended, and something listens", "pass", dead(made=listening(snapshot(section(etcd(DEAD))))), HOST),
    Case(
        "it listens on an address of the node",
        "pass",
        dead(made=listening(snapshot(section(etcd(DEAD))), address="192.0.2.2")),
        HOST,
    ),
    Case(
        "a living attempt looks older than a dead one",
        "pass",
        dead(containers=section(inversion("etcd", pod=ETCD))),
        HOST,
    ),
    Case(
        "another manifest's pod is left",
        "pass",
        dead(containers=section(etcd(DEAD), etcd(attempt(0, "running"), uid="0" * 32))),
        HOST,
    ),
    Case(
        "an etcd of an application",
        "not_applicable",
        dead(containers=section(etcd(DEAD, uid=UUID, namespace="shop"))),
        HOST,
    ),
    Case("an etcd that is no static pod", "not_applicable", dead(containers=section(etcd(DEAD, uid=UUID))), HOST),
    Case("no runtime", "not_applicable", scene(no_runtime()), HOST),
    Case(
        "no etcd among the containers, which were not all seen",
        "unknown",
        scene(section(gaps=[("docker", "permission denied")])),
        HOST,
        words=("docker: permission denied",),
    ),
    Case(
        "hostile names",
        "fail",
        dead(containers=section(etcd(attempt(3, id=HOSTILE, name=HOSTILE), pod=HOSTILE))),
        HOST,
        absent=("docker logs",),
    ),
    *unknowns(("containers",)),
]
