# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes for the rules on containers: the captured node with containers of our making, and logs that say this or that.

    scene(docker(group("kube-apiserver", attempt(23, created=600, ended=300), attempt(24, "running", created=1200))),
          conflict("kube-apiserver", 24, holder(24)))

Times are seconds before the look, which is the same moment in both sections.
"""

from __future__ import annotations

import copy

from ansible_collections.kubenode.doctor.plugins.module_utils import container_groups, kube_container
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import Identity
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Scene,
    captured,
    captured_section,
    changed,
    kubernetes_136,
)

NOW = 1795248000
UID = "1403dda53affdfee1130475a6d9609da"  # a static pod's
UUID = "909a2aa1-bf6a-4a8c-a274-3180ea640fb1"
POD = "kube-apiserver-node-a"
API = "kube-apiserver"
SUBJECT = f"kube-system/{POD} {API}"
HOSTILE = "\x1b[2J\u202e'; rm -rf / #"
ENDPOINTS = {
    "docker": "unix:///var/run/docker.sock",
    "containerd": "unix:///run/containerd/containerd.sock",
    "cri-o": "unix:///var/run/crio/crio.sock",
}


def id_of(number):
    """A full id that begins with a number one recognises."""
    return f"{number:012d}".ljust(64, "a")


def ns(ago):
    return None if ago is None else (NOW * 10**9) - int(ago * 10**9)


def attempt(number, state="exited", created=3600, started=..., ended=None, **fields):
    """One instance; ``created``, ``started`` and ``ended`` are seconds before the look, None where nobody knows."""
    began = created if started is ... and state != "created" else None if started is ... else started
    made = container_groups.instance(
        id_of(number),
        state,
        attempt=number,
        created_ns=ns(created),
        started_ns=ns(began),
        finished_ns=ns(ended),
        exit_code=0 if state == "exited" else None,
        sandbox_id=id_of(900),
    )
    assert fields.keys() <= made.keys()
    return {**made, **fields}


def group(container, *instances, runtime="docker", pod=POD, namespace="kube-system", uid=UID):
    """All instances of a container, each with the name that its runtime gives, unless it has one."""
    instances = copy.deepcopy(list(instances))
    for one in instances:
        if one["name"] is None and one["attempt"] is not None:
            who = Identity(uid, namespace, pod, container, one["attempt"])
            one["name"] = kube_container.wanted_name(runtime, who) + (f"_{one['suffix']}" if one["suffix"] else "")
        if container == kube_container.SANDBOX:
            one["sandbox_id"] = None
    return {
        "runtime": runtime,
        "pod_uid": uid,
        "namespace": namespace,
        "pod": pod,
        "container": container,
        "sandbox": container == kube_container.SANDBOX,
        "instances": instances,
    }


def section(*groups, runtime="docker", strangers=(), truncated=0, gaps=(), endpoint=...):
    """The section ``containers``. ``gaps`` are pairs of what and why."""
    where = ENDPOINTS[runtime] if endpoint is ... else endpoint
    return {
        "now_ns": ns(0),
        "runtimes": [{"name": runtime, "version": "1.2.3", "endpoint": where, "method": "test", "complete": not gaps}],
        "groups": list(groups),
        "strangers": list(strangers),
        "others": 0,
        "truncated": {"groups": truncated, "instances": truncated},
        "complete": not gaps,
        "missing": [{"what": what, "why": why} for what, why in gaps],
    }


def no_runtime():
    """A host on which no runtime was found."""
    return {**section(), "runtimes": []}


def logged(signature, told, last=30, first=None, count=1, unit="kubelet.service", log=None, sample=""):
    """One entry of the section ``logs``, of which ``told`` are the fields; ``first`` and ``last`` are seconds before the look."""
    return {
        "signature": signature,
        "source": "pod" if log else "journal",
        "unit": None if log else unit,
        "pod": log,
        "count": count,
        "first": None if last is None else NOW - (last if first is None else first),
        "last": None if last is None else NOW - last,
        "sample": sample or f"a line of {signature}",
        "fields": told,
    }


def name_of(container, number, runtime="docker", pod=POD, namespace="kube-system", uid=UID):
    return kube_container.wanted_name(runtime, Identity(uid, namespace, pod, container, number))


def conflict(container, number, holder=..., who=None, **fields):
    """Docker has refused this attempt of a container; ``holder`` is an id, the one of that attempt where none is given."""
    id_ = id_of(number) if holder is ... else holder
    told = {"name": name_of(container, number, **(who or {})), "holder": id_}
    return logged("docker-name-conflict", told, **fields)


def reserved(container, number, holder=..., runtime="containerd", who=None, **fields):
    """containerd or CRI-O has refused it; CRI-O names no holder."""
    sandbox = "sandbox-" if container == kube_container.SANDBOX and runtime == "containerd" else ""
    told = {"name": name_of(container, number, runtime, **(who or {}))}
    if runtime == "containerd":
        told["holder"] = id_of(number) if holder is ... else holder
        return logged(f"containerd-{sandbox}name-reserved", told, **{"unit": "containerd.service", **fields})
    return logged("crio-name-reserved", {**told, "id": id_of(7)}, **{"unit": "crio.service", **fields})


def not_created(container=API, reason="CreateContainerError", who=None, **fields):
    """kubelet says that it cannot create a container."""
    names = {"pod": POD, "namespace": "kube-system", "uid": UID, **(who or {})}
    sample = (
        f'"Error syncing pod, skipping" err="failed to \\"StartContainer\\" for \\"{container}\\" with {reason}: \\"words of the runtime\\"" '
        f'pod="{names["namespace"]}/{names["pod"]}" podUID="{names["uid"]}"'
    )
    told = {**names, "container": container, "reason": reason}
    return logged("container-not-created", told, **{"sample": sample, **fields})


def sandbox_not_created(**fields):
    """kubelet says that it cannot create the sandbox of a pod."""
    return logged("sandbox-not-created", {"pod": POD, "namespace": "kube-system", "uid": UID}, **fields)


def pod_log(container=API, number=0, pod=POD, namespace="kube-system", uid=UID):
    """The log of one instance."""
    return {"namespace": namespace, "name": pod, "uid": uid, "container": container, "attempt": number}


def refused(number, address="127.0.0.1:2379", log=..., **fields):
    """An API server's instance says that etcd refuses it."""
    said = pod_log(number=number) if log is ... else log
    return logged("etcd-dial-refused", {"address": address}, log=said, **fields)


def logs(*entries, gaps=(), other=0):
    """The section ``logs`` of the captured node with these entries."""
    made = captured_section("logs-quiet")
    assert made["now"] == NOW
    return {
        **made,
        "found": list(entries),
        "other": {"entries": other, "lines": other},
        "complete": not gaps,
        "missing": [{"what": what, "why": why} for what, why in gaps],
    }


def snapshot(containers, *entries, said=None):
    """The captured node with these containers, and logs that hold these entries (or are ``said``)."""
    made = captured("node-a")
    made["sections"]["containers"] = containers
    made["sections"]["logs"] = logs(*entries) if said is None else said
    return made


def on_node(made, **options):
    """A snapshot as the only host of the captured cluster."""
    return Scene({"node-a": made}, kubernetes_136(), options)


def scene(containers, *entries, said=None, **options):
    """The captured node with these containers and entries of logs."""
    return on_node(snapshot(containers, *entries, said=said), **options)


def no_node(*, components=(), gaps=(("journal", "there is none"), ("pod logs", "there is no /var/log/pods"))):
    """A machine without a runtime, whose logs are not there; ``components`` are the programs that run."""
    made = snapshot(no_runtime(), said=logs(gaps=gaps))
    return on_node(changed(made, "host.components", list(components)))


def lost(what, why="the budget of 20 s ended before it"):
    """A section of which nothing was collected."""
    return {"complete": False, "missing": [{"what": what, "why": why}]}


def inversion(container=API, runtime="docker", **fields):
    """Seed 002: attempt 23 is dead and was created after attempt 24, which lives."""
    return group(
        container,
        attempt(24, "running", created=864000),
        attempt(23, created=863500, ended=862000),
        runtime=runtime,
        **fields,
    )
