# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.container_scene import (
    API,
    HOSTILE,
    SUBJECT,
    UID,
    UUID,
    attempt,
    conflict,
    group,
    id_of,
    inversion,
    logged,
    logs,
    lost,
    name_of,
    no_node,
    no_runtime,
    on_node,
    scene,
    section,
    snapshot,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case, changed, live, unknowns

HOST = "node-a"
LISTING = f"docker ps --all --no-trunc --filter label=io.kubernetes.pod.uid={UID}"
DO_NOT = f"DO NOT remove attempt 24, {id_of(24)}: it is running, and removing it stops a healthy kube-apiserver."
OVERLOOKED = f"kubelet overlooks the living instance of {SUBJECT}, because a dead one looks newer, and asks for a name that is taken"
WOULD = OVERLOOKED.replace("and asks for", "and would ask for")
CANNOT = f"kubelet cannot create {SUBJECT}: its name"
OTHER_UID = "6f1a2b3c-1111-2222-3333-444455556666"
SHOP = {"pod": "web-0", "namespace": "shop", "uid": UUID}


def removal(number):
    """What saves a dead container and removes it."""
    file = f"/root/{id_of(number)[:12]}"
    return (
        f"docker inspect {id_of(number)} > {file}.json",
        f"docker logs {id_of(number)} > {file}.log 2>&1",
        f"docker rm {id_of(number)}",
    )


def docker(*groups, said=None, entries=(), **fields):
    return scene(section(*groups, **fields), *entries, said=said)


def refused_24(*instances, entry=None, strangers=(), truncated=0, **options):
    """Instances of the API server, of which Docker has refused attempt 24."""
    containers = section(group(API, *instances), strangers=strangers, truncated=truncated)
    return scene(containers, entry or conflict(API, 24), **options)


def settled_24(state="exited", **fields):
    """The holder is dead, and the attempt before it is what kubelet takes for the latest."""
    return refused_24(attempt(24, state, created=9000, **fields), attempt(23, created=8000, ended=7000))


def alive(*entries, started=864000, **fields):
    """The holder lives, and by creation times kubelet knows it for the latest."""
    own = group(API, attempt(24, "running", created=started), attempt(23, created=870000, ended=865000))
    return docker(own, entries=entries, **fields)


def wrong_clock(*groups):
    """Nothing keeps the clock right."""
    clock = {"host_pressure.clock.synchronized": False, "host_pressure.clock.max_error_seconds": 16.0}
    made = snapshot(section(*groups), conflict(API, 24))
    return on_node(changed(made, *(part for pair in clock.items() for part in pair)))


STRANGER = {
    "runtime": "docker",
    "id": id_of(24),
    "name": name_of(API, 24),
    "state": "running",
    "why": "its name contradicts its label io.kubernetes.pod.uid",
    "sandbox_id": None,
}
BEHIND = attempt(23, created=864000, ended=863000)
JUNK_ID = f"x{HOSTILE}".ljust(64, "x")

CASES = [
    # The clock inversion of seed 002
    Case(
        "structure and log",
        "fail",
        docker(inversion(), entries=[conflict(API, 24, count=412, first=7000)]),
        HOST,
        "critical",
        words=(
            OVERLOOKED,
            DO_NOT,
            f"the name: k8s_kube-apiserver_kube-apiserver-node-a_kube-system_{UID}_24",
            f"its holder: attempt 24, {id_of(24)}, running since 2026-11-11T08:00:00Z",
            f"kubelet takes for the latest: attempt 23, {id_of(23)}, exited (0) 2026-11-11T08:33:20Z",
            "clock inversion: attempt 23 was created 8 min after attempt 24",
            "kubelet.service, 412 times, 2026-11-21T06:03:20Z to 2026-11-21T07:59:30Z (30 s before the look)",
            f"remove the dead attempt 23, {id_of(23)} (k8s_kube-apiserver_kube-apiserver-node-a_kube-system_{UID}_23), exited (0)",
            "and nothing else; then wait for kubelet's next sync",
            "never add -f, which would stop it, nor -v",
        ),
        absent=("first of all, synchronise", f"docker rm {id_of(24)}", "Nothing may be removed"),
        commands=(*removal(23), LISTING),
        causes=("clock-set-back",),
    ),
    Case(
        "of a container that is none of the system's",
        "fail",
        docker(inversion("web", **SHOP), entries=[conflict("web", 24, who=SHOP)]),
        HOST,
        "critical",
        words=("the living instance of shop/web-0 web", "stops a healthy web"),
    ),
    Case(
        "by a second at the same moment, which kubelet may take for the latest",
        "fail",
        docker(group(API, attempt(24, "running", created=9000), attempt(23, created=9000, ended=8000))),
        HOST,
        "warning",
        words=("clock inversion: attempt 23 was created at the same time as attempt 24",),
        causes=(),
    ),
    Case(
        "of a sandbox",
        "fail",
        docker(
            group(
                "POD",
                attempt(17, "running", created=864000),
                attempt(15, created=863000, ended=862500),
                attempt(16, created=863500, ended=863100),
            ),
            group(API, attempt(24, "running", created=860000, sandbox_id=id_of(17))),
        ),
        HOST,
        words=(
            "the living instance of kube-system/kube-apiserver-node-a POD, because a dead one looks newer",
            f"DO NOT remove attempt 17, {id_of(17)}: it is running, and removing it stops the pod's living sandbox",
            f"the living instance: attempt 17, {id_of(17)}",
            "remove these 2 containers that do not run, in this order",
        ),
        absent=("docker logs",),
        commands=(f"docker rm {id_of(16)}", f"docker rm {id_of(15)}"),
    ),
    Case(
        "while nothing keeps the clock right",
        "fail",
        wrong_clock(inversion()),
        HOST,
        words=("first of all, synchronise the clock, which nothing keeps right now",),
        commands=removal(23),
    ),
    Case(
        "whose dead attempt is too young to be removed",
        "fail",
        docker(
            group(API, attempt(24, "running", created=900), attempt(23, created=100, ended=20)),
            entries=[conflict(API, 24)],
        ),
        HOST,
        "critical",
        words=(OVERLOOKED, DO_NOT, "Nothing may be removed now: attempt 23,", "is only 20 s old", "remove nothing now"),
        absent=("docker rm", "adopts the living one"),
        commands=(LISTING,),
    ),
    Case(
        "structure only, because the logs are silent",
        "fail",
        docker(inversion()),
        HOST,
        "warning",
        words=(
            WOULD,
            "So kubelet would ask for a name that is taken when it creates the container again; that it has was not seen.",
            DO_NOT,
            "no refusal was logged in the last 24 h",
        ),
        absent=("again and again",),
        commands=removal(23),
    ),
    Case(
        "structure only, because the logs were not collected",
        "fail",
        docker(inversion(), said=lost("logs")),
        HOST,
        "critical",
        words=(WOULD, "the logs could not be read whole (logs: the budget of 20 s ended before it)"),
        commands=removal(23),
    ),
    Case(
        "structure only, because kubelet's journal could not be read",
        "fail",
        docker(inversion(), said=logs(gaps=[("journal", "permission denied: run with become (-b)")])),
        HOST,
        "critical",
        words=("the logs could not be read whole (journal: permission denied: run with become (-b))",),
    ),
    Case(
        "it was logged, and kubelet has been silent for long",
        "fail",
        docker(inversion(), entries=[conflict(API, 24, last=5000)]),
        HOST,
        "critical",
        words=(OVERLOOKED, "(83 min before the look)"),
    ),
    Case(
        "a kubelet that logs nothing of containers, and a kernel ring that could not be read",
        "fail",
        docker(inversion(), said=logs(gaps=[("kernel ring", "permission denied")])),
        HOST,
        "warning",
        words=("no refusal was logged in the last 24 h",),
    ),
    # Another living holder
    Case(
        "a holder that lives, and nothing dead in the way",
        "fail",
        alive(conflict(API, 24)),
        HOST,
        "warning",
        words=(
            f"{CANNOT} is held by its living instance",
            DO_NOT,
            "clock inversion: none among the instances of this container",
            "or kubelet's picture of the pod is out of date",
            "restart kubelet, where they go on",
        ),
        absent=("docker rm",),
        commands=(LISTING, "systemctl restart kubelet"),
        causes=(),
    ),
    Case(
        "a holder that lives, while nothing keeps the clock right",
        "fail",
        wrong_clock(group(API, attempt(24, "running", created=9000))),
        HOST,
        words=("first of all, synchronise the clock",),
    ),
    Case(
        "a holder that lives, and nobody knows when the other was created",
        "fail",
        refused_24(attempt(24, "running", created=9000), attempt(23, created=None, ended=7000)),
        HOST,
        "warning",
        words=(DO_NOT, "Whom kubelet takes for the latest instance cannot be told"),
        absent=("docker rm", "out of date"),
    ),
    Case(
        "a paused holder",
        "fail",
        refused_24(attempt(24, "paused", created=9000), attempt(23, created=8000, ended=7000)),
        HOST,
        words=(f"DO NOT remove attempt 24, {id_of(24)}: it is paused",),
        commands=removal(23),
    ),
    Case(
        "in k3s, where kubelet is a part of another program",
        "fail",
        on_node(
            changed(
                snapshot(
                    section(group(API, attempt(24, "running", created=9000))), conflict(API, 24, unit="k3s.service")
                ),
                "host.components",
                ["k3s-server"],
            )
        ),
        HOST,
        words=("restart the program that kubelet is a part of (k3s, rke2-server, …)",),
        absent=("systemctl",),
    ),
    # A dead holder
    Case(
        "a holder that never ran",
        "fail",
        settled_24("created"),
        HOST,
        "critical",
        words=(
            f"{CANNOT} is held by a container that was created and never ran",
            f"its holder: attempt 24, {id_of(24)}, created, created 2026-11-21T05:30:00Z",
            "Attempt 23 was created 16 min after attempt 24: the clock was set back between the two",
            "clock inversion: attempt 23 was created 16 min after attempt 24",
            f"remove the never started attempt 24, {id_of(24)}",
            "in which it creates its own",
        ),
        absent=("DO NOT", "restart dockerd", "dead container"),
        commands=removal(24),
        causes=("clock-set-back",),
    ),
    Case(
        "a dead holder, while an earlier instance lives",
        "fail",
        refused_24(
            attempt(24, created=9000, ended=8500),
            attempt(23, created=8000, ended=7000),
            attempt(22, "running", created=9500),
        ),
        HOST,
        "critical",
        words=(f"remove nothing: attempt 22, {id_of(22)} is running, and kubelet would start a second one beside it",),
        absent=("docker rm ",),
    ),
    Case(
        "a holder that was started, and is not told as such",
        "fail",
        refused_24(attempt(24, "created", created=9000, started=8990)),
        HOST,
        words=("is held by a dead container",),
    ),
    Case(
        "a holder that never ran, without one before it",
        "fail",
        refused_24(attempt(24, "created", created=9000)),
        HOST,
        "critical",
        words=("created and never ran", "look that the holder still does not run, then remove the never started"),
        absent=("dead",),
        commands=removal(24),
        causes=(),
    ),
    Case(
        "a dead holder, while nothing keeps the clock right",
        "fail",
        wrong_clock(group(API, attempt(24, created=9000, ended=8500), attempt(23, created=8000, ended=7000))),
        HOST,
        words=("first of all, synchronise the clock",),
        commands=removal(24),
    ),
    Case(
        "a dead holder that was created at the same moment, which tells nothing of the clock",
        "fail",
        refused_24(attempt(24, created=8000, ended=7900), attempt(23, created=8000, ended=7000)),
        HOST,
        "critical",
        absent=("clock",),
        causes=(),
    ),
    Case(
        "one that never ran and looks newer than the living one",
        "fail",
        docker(group(API, attempt(24, "running", created=9000), attempt(23, "created", created=8000))),
        HOST,
        words=("because one that never ran looks newer", f"remove the never started attempt 23, {id_of(23)}"),
        absent=("dead",),
    ),
    Case(
        "a holder that has exited, which the shim removes by itself",
        "fail",
        settled_24(ended=8500),
        HOST,
        "critical",
        words=(
            f"{CANNOT} is held by a dead container",
            "dockershim and cri-dockerd remove a holder that does not run by themselves",
            "Nothing is removed by an automatic fix: attempt 24, 000000000024, which has the name, is dead",
            "where the refusals go on for minutes: look that the holder still does not run, then remove the dead attempt 24",
        ),
        absent=("restart dockerd",),
        commands=removal(24),
        causes=("clock-set-back",),
    ),
    Case(
        "a holder that has exited, and nothing was logged",
        "fail",
        docker(group(API, attempt(24, created=9000, ended=8500), attempt(23, created=8000, ended=7000))),
        HOST,
        "warning",
        words=(f"kubelet would fail to create {SUBJECT}: its name is held by a dead container",),
        absent=("cannot create",),
    ),
    Case(
        "a holder whose removal has failed",
        "fail",
        settled_24("dead", ended=8500),
        HOST,
        words=("restart dockerd, where the removal does not end", "without live-restore every container"),
        commands=(*removal(24), "docker info"),
    ),
    Case(
        "a holder that is being removed",
        "fail",
        settled_24("removing", ended=8500),
        HOST,
        "critical",
        words=("wait: it is being removed", "restart dockerd, where the removal does not end"),
        absent=("remove the dead",),
        commands=(LISTING, "docker info"),
    ),
    Case(
        "a dead holder without a dead attempt before it",
        "fail",
        refused_24(attempt(24, created=9000, ended=8000)),
        HOST,
        "critical",
        words=("its name is held by a dead container", "clock inversion: none"),
        commands=removal(24),
    ),
    Case(
        "a dead holder that hides one that lives",
        "fail",
        refused_24(
            attempt(25, "running", created=9000), attempt(24, created=8500, ended=8400), attempt(23, created=8000)
        ),
        HOST,
        words=(
            OVERLOOKED,
            f"DO NOT remove attempt 25, {id_of(25)}: it is running",
            f"the living instance: attempt 25, {id_of(25)}",
            "these 2 containers that do not run, in this order",
        ),
        commands=(f"docker rm {id_of(24)}", f"docker rm {id_of(23)}"),
    ),
    # A line that names somebody else's container
    Case(
        "the id of a dead container of another pod",
        "fail",
        docker(
            group(API, attempt(24, "running", created=9000)),
            group("migrate", attempt(77, created=9000, ended=8000), pod="db-0", namespace="prod", uid=OTHER_UID),
            entries=[conflict("app", 3, id_of(77), who={**SHOP, "pod": "evil"}, count=30)],
        ),
        HOST,
        "warning",
        words=(
            "a log says who holds the name of shop/evil app, and Docker has that id under another name",
            f"Docker has that id under another name: k8s_migrate_db-0_prod_{OTHER_UID}_77.",
            "must not be removed for it",
            "remove nothing;",
        ),
        absent=("docker rm", "docker rename", "clock inversion", "exited"),
        causes=(),
    ),
    Case(
        "the id of a living container of another pod",
        "fail",
        docker(
            group("etcd", attempt(3, "running", created=9000), pod="etcd-node-a", uid="e" * 32),
            entries=[conflict("app", 3, id_of(3), who=SHOP)],
        ),
        HOST,
        "warning",
        words=(f"under another name: k8s_etcd_etcd-node-a_kube-system_{'e' * 32}_3",),
        absent=("living instance", "docker rm"),
    ),
    Case(
        "the id of another attempt of the same container",
        "fail",
        refused_24(BEHIND, entry=conflict(API, 24, id_of(23))),
        HOST,
        "warning",
        words=("under another name: k8s_kube-apiserver_",),
        absent=("docker rm",),
    ),
    Case(
        "the id of a container of no Kubernetes",
        "fail",
        refused_24(BEHIND, strangers=[{**STRANGER, "name": "web"}]),
        HOST,
        "warning",
        words=("Docker has that id under another name: web.",),
        absent=("docker rename",),
    ),
    Case(
        "a line on a machine that has neither a kubelet nor a runtime",
        "not_applicable",
        on_node(changed(snapshot(no_runtime(), conflict(API, 24)), "host.components", [])),
        HOST,
    ),
    # A holder that is not kubelet's, or that nobody finds
    Case(
        "a holder without labels",
        "fail",
        refused_24(attempt(24, "running", created=9000, own=False), BEHIND),
        HOST,
        "critical",
        words=(
            f"{CANNOT} is held by a container that kubelet does not take for its own",
            "it has the name, but not the labels",
            DO_NOT,
            "give it another name, which frees this one and stops nothing",
        ),
        absent=("docker rm",),
        commands=(f"docker inspect {id_of(24)}", f"docker rename {id_of(24)} kept-{id_of(24)[:12]}"),
    ),
    Case(
        "a holder whose labels contradict its name",
        "fail",
        refused_24(BEHIND, strangers=[STRANGER]),
        HOST,
        "critical",
        words=("Whose the holder is cannot be told: its name contradicts its label io.kubernetes.pod.uid", "DO NOT"),
        commands=(f"docker rename {id_of(24)} kept-{id_of(24)[:12]}",),
    ),
    Case(
        "a dead holder whose labels contradict its name",
        "fail",
        refused_24(BEHIND, strangers=[{**STRANGER, "state": "exited"}]),
        HOST,
        words=("does not take for its own",),
        absent=("DO NOT",),
    ),
    Case(
        "a holder that Docker does not know",
        "fail",
        refused_24(BEHIND),
        HOST,
        "critical",
        words=(
            f"{CANNOT} is kept for a container that Docker does not list",
            f"its holder: {id_of(24)}, not listed by Docker",
            "dockerd has lost the container and kept its name (kubernetes issue 40443)",
            "restart dockerd, where the refusals go on, so that it forgets the name",
            "without live-restore every container of the machine stops",
        ),
        absent=("docker rm", "DO NOT", "systemctl restart"),
        commands=(f"docker inspect {id_of(24)}", "docker info"),
    ),
    Case(
        "a holder whose id was cut to less than Docker prints",
        "fail",
        refused_24(BEHIND, entry=conflict(API, 24, holder="0000")),
        HOST,
        words=("its holder: 0000, not listed by Docker",),
        absent=("docker inspect",),
    ),
    Case(
        "a holder whose id was cut",
        "fail",
        refused_24(attempt(24, "running", created=9000), entry=conflict(API, 24, holder=id_of(24)[:12])),
        HOST,
        words=(DO_NOT,),
    ),
    Case(
        "a holder that is not among those that were listed, which are not all",
        "fail",
        refused_24(BEHIND, truncated=3),
        HOST,
        "critical",
        words=(
            "whether the holder lives could not be seen",
            "not all containers were listed",
            "DO NOT remove the holder before",
        ),
        absent=("docker rm", "restart dockerd"),
    ),
    # Sections that are missing
    Case(
        "log only, because the containers were not collected",
        "fail",
        scene(lost("containers"), conflict(API, 24)),
        HOST,
        "critical",
        words=(
            f"{CANNOT} is taken, and whether the holder lives could not be seen",
            "and they were not seen (containers: the budget of 20 s ended before it)",
            "DO NOT remove the holder before you know that it is dead",
            "and removing it stops a healthy kube-apiserver",
            f"its holder: {id_of(24)}, not seen at Docker",
        ),
        absent=("docker rm",),
        commands=(f"docker inspect {id_of(24)}", LISTING),
        causes=(),
    ),
    Case(
        "log only, because Docker's socket is shut",
        "fail",
        docker(entries=[conflict(API, 24)], gaps=[("docker", "permission denied on /var/run/docker.sock")]),
        HOST,
        "critical",
        words=("they were not seen (docker: permission denied on /var/run/docker.sock)", "DO NOT"),
    ),
    Case(
        "containers missing, and nothing logged lately",
        "unknown",
        scene(lost("containers"), conflict(API, 24, last=700)),
        HOST,
        words=("containers: the budget of 20 s ended before it",),
    ),
    Case(
        "no conflict among the containers, and the logs missing",
        "unknown",
        alive(said=lost("logs")),
        HOST,
        words=("logs: the budget of 20 s ended before it",),
    ),
    # Over
    Case(
        "of a pod that is gone, and kubelet is silent",
        "pass",
        docker(entries=[conflict("web", 24, who=SHOP, last=61)]),
        HOST,
    ),
    Case(
        "of a pod that is gone since just now", "fail", docker(entries=[conflict("web", 24, who=SHOP, last=60)]), HOST
    ),
    Case(
        "of a pod that is not among those that were listed, which are not all",
        "fail",
        docker(entries=[conflict("web", 24, who=SHOP, last=61)], truncated=1),
        HOST,
    ),
    Case("a line of a minute ago, and a holder that lives", "pass", alive(conflict(API, 24, last=61)), HOST),
    Case("an old line, and a dead holder", "pass", refused_24(attempt(24), entry=conflict(API, 24, last=601)), HOST),
    Case(
        "a longer time was chosen",
        "fail",
        refused_24(attempt(24), entry=conflict(API, 24, last=700), thresholds={"log_recent_seconds": 700}),
        HOST,
    ),
    Case("a recent line, and an instance that was started since", "pass", alive(conflict(API, 24), started=10), HOST),
    Case(
        "a recent line, and a later attempt by now",
        "pass",
        refused_24(attempt(25, "running", created=400), attempt(24, created=900, ended=500)),
        HOST,
    ),
    Case(
        "the shim has found another name by itself",
        "pass",
        refused_24(attempt(24, "running", created=60, suffix="1a2b3c4d"), attempt(23, created=9000, ended=100)),
        HOST,
    ),
    Case("nothing is wrong", "pass", alive(), HOST),
    Case(
        "a name that is none of Kubernetes",
        "pass",
        alive(logged("docker-name-conflict", {"name": "/web", "holder": id_of(24)})),
        HOST,
    ),
    Case("containerd, and no word of Docker", "not_applicable", live(), HOST),
    Case("no runtime at all", "not_applicable", scene(no_runtime()), HOST),
    # Hostile data
    Case(
        "hostile names and ids",
        "fail",
        docker(
            group(
                f"web{HOSTILE}",
                attempt(24, "running", created=9000, id=f"{JUNK_ID}1", name=f"k8s_{HOSTILE}"),
                attempt(23, created=8000, ended=7000, id=f"{JUNK_ID}2", name=HOSTILE),
                pod=f"pod{HOSTILE}",
                namespace=HOSTILE,
                uid=HOSTILE,
            ),
            entries=[conflict(API, 24, holder=JUNK_ID)],
        ),
        HOST,
    ),
    Case(
        "a hostile id that is in the way",
        "fail",
        docker(
            group(API, attempt(24, "running", created=9000), attempt(23, created=8000, ended=7000, id=JUNK_ID)),
            entries=[conflict(API, 24, sample=HOSTILE)],
        ),
        HOST,
        words=("their ids are not of the usual form, so look at them by hand",),
        absent=("docker rm x",),
    ),
    *(case for case in unknowns(("containers", "logs"))),
    Case("no node at all: neither a kubelet nor a runtime, and no log of them", "not_applicable", no_node(), HOST),
    Case(
        "a kubelet runs, and nothing of it could be seen",
        "unknown",
        no_node(components=["kubelet"]),
        HOST,
        words=("there is n",),
    ),
]
