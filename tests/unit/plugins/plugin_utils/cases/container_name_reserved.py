# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.container_scene import (
    API,
    HOSTILE,
    SUBJECT,
    UID,
    attempt,
    group,
    id_of,
    inversion,
    logged,
    logs,
    lost,
    name_of,
    no_node,
    no_runtime,
    reserved,
    scene,
    section,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case, live, unknowns

HOST = "node-a"
CRICTL = "crictl --runtime-endpoint unix:///run/containerd/containerd.sock"
LISTING = (
    f"{CRICTL} pods --no-trunc --label io.kubernetes.pod.uid={UID}",
    f"{CRICTL} ps --all --no-trunc --label io.kubernetes.pod.uid={UID}",
)
CANNOT = f"kubelet cannot create {SUBJECT}: its name"
SHORT = "(for a short while so far)"
LASTING = {"count": 60, "first": 600, "last": 20}
NEVER = "crictl rm refuses a container that runs: never add -f, and use no other client, since the call RemoveContainer itself stops what runs"


def refused_24(*instances, entry=None, runtime="containerd", **fields):
    """Instances of the API server, of which attempt 24 has been refused for ten minutes."""
    said = entry or reserved(API, 24, runtime=runtime, **LASTING)
    return scene(section(group(API, *instances, runtime=runtime), runtime=runtime, **fields), said)


def stage(name, runtime_name=True, **fields):
    """CRI-O says at which stage it is."""
    told = {"stage": name, **({"name": name_of(API, 24, "cri-o")} if runtime_name else {})}
    return logged("crio-creation-stage", told, **{"unit": "crio.service", **fields})


def storage(**fields):
    told = {"name": name_of(API, 24, "cri-o"), "holder": id_of(24)}
    return logged("crio-storage-name-in-use", told, **{"unit": "crio.service", **fields})


def unnamed(made):
    """A group of a runtime that does not tell names."""
    return {**made, "instances": [{**one, "name": None} for one in made["instances"]]}


BEHIND = attempt(23, created=864000, ended=863000)

CASES = [
    # The clock inversion
    Case(
        "of a container in containerd",
        "fail",
        scene(section(inversion(runtime="containerd"), runtime="containerd"), reserved(API, 24, **LASTING)),
        HOST,
        "critical",
        words=(
            f"kubelet overlooks the living instance of {SUBJECT}",
            f"DO NOT remove attempt 24, {id_of(24)}: it is running, and removing it stops a healthy kube-apiserver.",
            f"the name: kube-apiserver_kube-apiserver-node-a_kube-system_{UID}_24",
            "clock inversion: attempt 23 was created 8 min after attempt 24",
            f"remove the dead attempt 23, {id_of(23)}",
            NEVER,
            "a crictl before 1.30 does not know --keep-logs and keeps the log anyway",
        ),
        absent=(SHORT, f"--keep-logs {id_of(24)}"),
        commands=(
            f"{CRICTL} inspect {id_of(23)} > /root/{id_of(23)[:12]}.json",
            f"{CRICTL} logs {id_of(23)} > /root/{id_of(23)[:12]}.log 2>&1",
            f"{CRICTL} rm --keep-logs {id_of(23)}",
            *LISTING,
        ),
        causes=("clock-set-back",),
    ),
    Case(
        "of a sandbox in containerd, as after a dead CMOS battery",
        "fail",
        scene(
            section(
                group("POD", attempt(1, "running", created=864000), attempt(0, created=600), runtime="containerd"),
                runtime="containerd",
            ),
            reserved("POD", 1, **LASTING),
        ),
        HOST,
        "critical",
        words=(
            "kubelet overlooks the living instance of kube-system/kube-apiserver-node-a POD",
            f"the name: kube-apiserver-node-a_kube-system_{UID}_1",
            "removing it stops the pod's living sandbox, and with it all containers of the pod",
            "crictl rmp refuses a sandbox that is ready",
        ),
        absent=("--keep-logs",),
        commands=(
            f"{CRICTL} inspectp {id_of(0)} > /root/{id_of(0)[:12]}.json",
            f"{CRICTL} rmp {id_of(0)}",
        ),
    ),
    Case(
        "of a container in CRI-O",
        "fail",
        scene(section(inversion(runtime="cri-o"), runtime="cri-o"), reserved(API, 24, runtime="cri-o", **LASTING)),
        HOST,
        "critical",
        words=(f"the name: k8s_kube-apiserver_kube-apiserver-node-a_kube-system_{UID}_24",),
        commands=(f"crictl --runtime-endpoint unix:///var/run/crio/crio.sock rm --keep-logs {id_of(23)}",),
    ),
    Case(
        "of a runtime that hides its socket's path",
        "fail",
        scene(section(inversion(runtime="containerd"), runtime="containerd", endpoint=f"unix:///{HOSTILE}")),
        HOST,
        "warning",
        words=("no refusal was logged in the last 24 h",),
        commands=(f"crictl rm --keep-logs {id_of(23)}",),
    ),
    Case(
        "structure only, because the logs are missing",
        "fail",
        scene(section(inversion(runtime="containerd"), runtime="containerd"), said=lost("logs")),
        HOST,
        "critical",
    ),
    # The holder
    Case(
        "a living holder, which kubelet should know",
        "fail",
        refused_24(attempt(24, "running", created=9000), BEHIND),
        HOST,
        "warning",
        words=(f"{CANNOT} is held by its living instance", "DO NOT remove attempt 24", "kubernetes issue 134153"),
        absent=("--keep-logs",),
        commands=("systemctl restart kubelet", *LISTING),
        causes=(),
    ),
    Case(
        "a dead holder",
        "fail",
        refused_24(attempt(24, created=9000, ended=8000), BEHIND),
        HOST,
        "critical",
        words=(
            f"{CANNOT} is held by a dead container",
            "containerd keeps a name until the container that has it is removed",
        ),
        absent=("restart containerd",),
        commands=(f"{CRICTL} rm --keep-logs {id_of(24)}",),
    ),
    Case(
        "a holder that was half created",
        "fail",
        refused_24(attempt(24, "created", created=9000), BEHIND),
        HOST,
        "critical",
        commands=(f"{CRICTL} rm --keep-logs {id_of(24)}",),
    ),
    Case(
        "a reservation without a container, for ten minutes",
        "fail",
        refused_24(BEHIND),
        HOST,
        "critical",
        words=(
            f"{CANNOT} is kept for a container that containerd does not list",
            "its request to create it has not ended, hung on a volume or a disk",
            "restart containerd.service, where the refusals go on, so that it forgets the name",
            "pods keep running",
            "containerd issues 6095 and 7247",
        ),
        absent=(SHORT, "--keep-logs"),
        commands=("systemctl restart containerd.service", "cat /proc/pressure/io"),
    ),
    Case(
        "a reservation without a container in k3s",
        "fail",
        refused_24(BEHIND, endpoint="unix:///run/k3s/containerd/containerd.sock"),
        HOST,
        words=("restart containerd, or the program that it is a part of (k3s, rke2-server, …)",),
        absent=("systemctl",),
    ),
    Case(
        "a reservation without a container in CRI-O",
        "fail",
        refused_24(BEHIND, runtime="cri-o"),
        HOST,
        "critical",
        words=(
            f"{CANNOT} is reserved, and CRI-O does not say for whom",
            "CRI-O lists no instance of this number.",
            "its holder: not told by the log",
        ),
        absent=("6095",),
        commands=("systemctl restart crio.service",),
    ),
    Case(
        "a name that only CRI-O's storage knows",
        "fail",
        refused_24(BEHIND, entry=storage(**LASTING), runtime="cri-o"),
        HOST,
        "critical",
        words=("The storage below CRI-O has a container of this name, which CRI-O does not know",),
        commands=("systemctl restart crio.service",),
    ),
    Case(
        "the containers were not collected",
        "fail",
        scene(lost("containers"), reserved(API, 24, **LASTING)),
        HOST,
        "critical",
        words=("whether the holder lives could not be seen", "DO NOT remove the holder before"),
        commands=(f"crictl inspect {id_of(24)}",),
    ),
    Case(
        "a dead holder of a lower creation time",
        "fail",
        refused_24(attempt(24, created=9000, ended=8900), attempt(23, created=8000, ended=7000)),
        HOST,
        "critical",
        words=("Attempt 23 was created 16 min after attempt 24: the clock was set back between the two",),
        causes=("clock-set-back",),
    ),
    Case(
        "the id of a container of another pod, whose name is not told",
        "fail",
        scene(
            section(
                group(API, BEHIND, runtime="containerd"),
                unnamed(group("etcd", attempt(3), runtime="containerd", pod="etcd-node-a", uid="e" * 32)),
                runtime="containerd",
            ),
            reserved(API, 24, id_of(3), **LASTING),
        ),
        HOST,
        "warning",
        words=(f"containerd has that id under another name: etcd_etcd-node-a_kube-system_{'e' * 32}_3.",),
        absent=("--keep-logs",),
    ),
    Case(
        "a dead holder whose name is not told",
        "fail",
        scene(
            section(
                unnamed(group(API, attempt(24, created=9000, ended=8000), runtime="containerd")), runtime="containerd"
            ),
            reserved(API, 24, **LASTING),
        ),
        HOST,
        "critical",
        words=("is held by a dead container",),
    ),
    # For how long
    Case(
        "a request that still goes on",
        "fail",
        refused_24(BEHIND, entry=reserved(API, 24, count=3, first=50, last=20)),
        HOST,
        "info",
        words=(f"{CANNOT} is kept for a container that containerd does not list {SHORT}", "The refusals go over 30 s"),
    ),
    Case(
        "just short of lasting",
        "fail",
        refused_24(BEHIND, entry=reserved(API, 24, count=20, first=259, last=20)),
        HOST,
        "info",
    ),
    Case(
        "lasting", "fail", refused_24(BEHIND, entry=reserved(API, 24, count=20, first=260, last=20)), HOST, "critical"
    ),
    Case("a first refusal", "pass", refused_24(BEHIND, entry=reserved(API, 24, count=2, first=50)), HOST),
    Case(
        "one refusal, told by the runtime and by kubelet",
        "pass",
        scene(
            section(group(API, BEHIND, runtime="containerd"), runtime="containerd"),
            reserved(API, 24, count=2),
            reserved(API, 24, count=2, unit="kubelet.service"),
        ),
        HOST,
    ),
    Case(
        "a lower count was chosen",
        "fail",
        scene(section(runtime="containerd"), reserved(API, 24, count=1), thresholds={"name_reserved_count": 1}),
        HOST,
        "info",
    ),
    Case(
        "CRI-O tells the stage",
        "fail",
        scene(
            section(group(API, BEHIND, runtime="cri-o"), runtime="cri-o"),
            stage("container volume configuration", count=5, first=100),
            reserved(API, 24, runtime="cri-o", count=5, first=100),
        ),
        HOST,
        "info",
        words=(
            "CRI-O says that it is at the stage: container volume configuration.",
            "fsGroupChangePolicy: OnRootMismatch",
        ),
    ),
    Case(
        "CRI-O tells another stage, for long",
        "fail",
        scene(section(runtime="cri-o"), stage("sandbox network creation", **LASTING)),
        HOST,
        "critical",
        words=("CRI-O says that it is at the stage: sandbox network creation.",),
        absent=("fsGroup",),
    ),
    Case(
        "a stage of nothing that is named",
        "pass",
        scene(section(runtime="cri-o"), stage("container creating", runtime_name=False, **LASTING)),
        HOST,
    ),
    # Over
    Case("over", "pass", refused_24(BEHIND, entry=reserved(API, 24, count=60, first=9000, last=700)), HOST),
    Case("it was created in the end", "pass", refused_24(attempt(24, "running", created=5), BEHIND), HOST),
    Case(
        "the sandbox was created in the end",
        "pass",
        scene(
            section(
                group("POD", attempt(1, "running", created=5, started=None), runtime="containerd"), runtime="containerd"
            ),
            reserved("POD", 1, **LASTING),
        ),
        HOST,
    ),
    Case("nothing is wrong", "pass", live(), HOST),
    Case("Docker, and no word of another", "not_applicable", scene(section()), HOST),
    Case("no runtime at all", "not_applicable", scene(no_runtime()), HOST),
    Case(
        "kubelet's journal could not be read",
        "unknown",
        scene(section(runtime="containerd"), said=logs(gaps=[("journal", "permission denied")])),
        HOST,
        words=("journal: permission denied",),
    ),
    Case(
        "crictl fails",
        "unknown",
        scene(section(runtime="containerd", gaps=[("containerd", "crictl ended with status 1")])),
        HOST,
        words=("containerd: crictl ended with status 1",),
    ),
    Case(
        "a name that is none",
        "pass",
        scene(
            section(runtime="containerd"),
            logged("containerd-name-reserved", {"name": HOSTILE, "holder": HOSTILE}, count=9),
        ),
        HOST,
    ),
    Case(
        "hostile words",
        "fail",
        refused_24(BEHIND, entry=reserved(API, 24, holder=HOSTILE, sample=HOSTILE, **LASTING)),
        HOST,
    ),
    Case("no node at all: neither a kubelet nor a runtime, and no log of them", "not_applicable", no_node(), HOST),
    Case(
        "a kubelet runs, and nothing of it could be seen",
        "unknown",
        no_node(components=["kubelet"]),
        HOST,
        words=("there is n",),
    ),
    *unknowns(("containers", "logs")),
]
