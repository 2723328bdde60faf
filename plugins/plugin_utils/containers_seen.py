# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``containers`` of one node, as rules ask it: which instances a container of a pod has, and who has an id."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import kube_container, stale_names
from ansible_collections.kubenode.doctor.plugins.plugin_utils import section_gaps
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, NotApplicable, Unknown

DOCKER, CONTAINERD, CRIO = "docker", "containerd", "cri-o"
RUNTIMES = (DOCKER, CONTAINERD, CRIO)

Container = dict[str, Any]
Group = dict[str, Any]

# What is younger is left alone: the default of docker_stale_names' min_age, one to two syncs of kubelet.
MIN_AGE_SECONDS = 60
_SHORT_ID = 12
# Programs (comm) that are, or contain, a kubelet.
_WITH_KUBELET = frozenset(
    {"kubelet", "k3s", "k3s-server", "k3s-agent", "rke2", "kubelite", "microshift", "hyperkube", "k0s"}
)
_STATIC_UID = re.compile(r"[0-9a-f]{32}")  # the hash of its manifest (kubernetes pkg/kubelet/config/common.go)


class Found(NamedTuple):
    """A container by its id; ``group`` is None for one of which it is not known whose it is."""

    container: Container
    group: Group | None


class Containers:
    """What was seen of a node's containers. ``unseen`` says why nothing was; it is empty where something was."""

    def __init__(self, node: NodeView) -> None:
        self.unseen = section_gaps.gap(node.sections, "containers")
        self._section: dict[str, Any] = {} if self.unseen else node["containers"]
        self.groups: list[Group] = self._section.get("groups", [])
        # Neither a kubelet nor a runtime runs there: a line in a log is all that there is of containers.
        self.is_of_no_node = kubelet_is_away(node) and not self.gaps() and not self.runtime_names()

    def gaps(self, runtimes: Collection[str] = RUNTIMES, but_not: Collection[str] = ()) -> list[str]:
        """Why containers of these runtimes may be missing, one reason each; ``but_not`` are gaps of no interest."""
        if self.unseen:
            return [self.unseen]
        gaps = (gap for gap in self._section["missing"] if gap["what"] not in but_not and _is_about(gap, runtimes))
        return [f"{gap['what']}: {gap['why']}" for gap in gaps]

    @property
    def now_ns(self) -> int:
        """The node's clock when they were listed."""
        return int(self._section["now_ns"])

    def runtime_names(self) -> set[str]:
        """The runtimes that answered, or whose containers were listed."""
        told = {runtime["name"] for runtime in self._section.get("runtimes", ())}
        return told | {group["runtime"] for group in self.groups}

    def endpoint(self, runtime: str) -> str | None:
        """Where a runtime answered; None when that is not known."""
        found = (entry["endpoint"] for entry in self._section.get("runtimes", ()) if entry["name"] == runtime)
        return next(found, None)

    def lists_all_of(self, runtime: str) -> bool:
        """True where a container of a runtime that is not listed does not exist."""
        if self.unseen or self._were_left_out:
            return False
        return any(entry["name"] == runtime and entry["complete"] is True for entry in self._section["runtimes"])

    @property
    def _were_left_out(self) -> bool:
        truncated = self._section["truncated"]
        return bool(truncated["groups"] or truncated["instances"])

    def has_lost(self, pod_uid: str) -> bool:
        """True where all containers were listed, and none is of this pod."""
        if self.gaps() or not self._section["runtimes"] or self._were_left_out:
            return False
        return all(group["pod_uid"] != pod_uid for group in self.groups)

    def group(self, pod_uid: str, container: str) -> Group | None:
        """All instances of one container of one pod; None where none is listed."""
        key = (pod_uid, container)
        return next((group for group in self.groups if (group["pod_uid"], group["container"]) == key), None)

    def find(self, id_: str) -> Found | None:
        """The container with this id, which may be cut to 12 characters or more, as logs have it."""
        if len(id_) < _SHORT_ID:
            return None
        for group in self.groups:
            for instance in group["instances"]:
                if instance["id"].startswith(id_):
                    return Found(instance, group)
        strangers = self._section.get("strangers", ())
        return next((Found(stranger, None) for stranger in strangers if stranger["id"].startswith(id_)), None)

    def conflicts(self, runtimes: Iterable[str]) -> list[dict[str, Any]]:
        """The name conflicts that creation times and attempts show, in these runtimes (stale_names.verdict)."""
        wanted = frozenset(runtimes)
        return [conflict for conflict in self._conflicts if conflict["runtime"] in wanted]

    @functools.cached_property
    def _conflicts(self) -> list[dict[str, Any]]:
        if self.unseen:
            return []
        strangers = self._section["strangers"]
        return stale_names.verdict(self.groups, strangers, self.now_ns, MIN_AGE_SECONDS)["conflicts"]

    def static(self, container: str) -> Iterator[Group]:
        """The groups of a container of this name in static pods, whose uid is a hash."""
        return (
            group
            for group in self.groups
            if group["container"] == container and _STATIC_UID.fullmatch(group["pod_uid"])
        )


def _is_about(gap: Mapping[str, str], runtimes: Collection[str]) -> bool:
    """False for a gap of another runtime: it is named, by the gap or at the head of its reason (module_utils/containers)."""
    of = [runtime for runtime in RUNTIMES if runtime == gap["what"] or gap["why"].startswith(f"{runtime}: ")]
    return not of or not set(of).isdisjoint(runtimes)


def subject(namespace: str, pod: str, container: str) -> str:
    """Names a container, the same in all rules, so that one finding explains another."""
    return f"{namespace}/{pod} {container}"


def subject_of(group: Group) -> str:
    """The subject of a group's container."""
    return subject(group["namespace"], group["pod"], group["container"])


def sandbox_of(subject: str) -> str:
    """The subject of the sandbox in which the container of this subject is."""
    return f"{subject.rpartition(' ')[0]} {kube_container.SANDBOX}"


def running(group: Group | None) -> Container | None:
    """The instance that runs; of several, the one with the highest attempt."""
    alive = [one for one in (group or {"instances": []})["instances"] if one["state"] == "running"]
    return max(alive, key=lambda one: one["attempt"] or 0, default=None)


def is_alive(container: Container) -> bool:
    """True for what runs, or may."""
    return container["state"] in stale_names.ALIVE


def never_ran(container: Container) -> bool:
    """True for what was created, and no more."""
    return container["state"] == "created" and container.get("started_ns") is None


def kubelet_is_away(node: NodeView) -> bool:
    """True where all programs of a host were seen, and none is a kubelet."""
    if section_gaps.gap(node.sections, "host"):
        return False
    host = node["host"]
    hidden = host["missing"] or host.get("host_pid_namespace") is False
    return not hidden and _WITH_KUBELET.isdisjoint(host["components"])


def left_open(containers: Containers, whys: Iterable[str]) -> Iterator[Answer]:
    """What these gaps leave open; nothing on a machine that has neither a kubelet nor a runtime, and need not have their logs."""
    if containers.is_of_no_node:
        yield NotApplicable("neither a kubelet nor a container runtime runs on this host")
    else:
        yield from map(Unknown, whys)


def is_of_the_system(namespace: str, pod_uid: str) -> bool:
    """True for a pod that the node or the cluster is run by: static, or in one of Kubernetes' own namespaces."""
    return bool(_STATIC_UID.fullmatch(pod_uid)) or namespace == "kube-system" or namespace.startswith("openshift-")


def began_after(container: Container, when: float | None) -> bool:
    """True for one that was started after this moment (epoch seconds); a sandbox is as old as its creation."""
    began = container["started_ns"] or container["created_ns"]
    return when is not None and began is not None and began > when * 1e9


def what_stops(container: str) -> str:
    """What stops with a living container of this name."""
    if container == kube_container.SANDBOX:
        return "the pod's living sandbox, and with it all containers of the pod"
    return f"a healthy {container}"
