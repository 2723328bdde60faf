# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that a container of a static pod runs: kubelet starts the container again when it ends.

kubelet makes a static pod's uid of its manifest, an MD5 in 32 hex digits (Kubernetes pkg/kubelet/config/common.go, applyDefaults); all other
pods have uids of the API server, with dashes. A manifest may set another uid, as OpenShift's do: such pods are not known as static here.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import cgroup, owner_restart, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import Terminate
from ansible_collections.kubenode.doctor.plugins.module_utils.containers import Seen
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_names import PodNames

_UID = re.compile(r"[0-9a-f]{32}")
_PARENT = 1  # of procfs.stat_fields


class StaticPodError(Exception):
    """A process is not what kubelet would start again; the text says why."""


class Found(NamedTuple):
    """The pod ("kube-system/kube-apiserver-m1"), and the step that ends the process."""

    pod: str
    step: Terminate


def is_static(uid: Optional[str]) -> bool:
    """Whether a pod is a static one, by its uid."""
    return uid is not None and _UID.fullmatch(uid) is not None


def find(pid: int, program: str, uid: str, places: Places) -> Found:
    """The process as the one that its container began with, of a static pod of this machine's kubelet. Raises StaticPodError."""
    if not is_static(uid):
        raise StaticPodError(f"the pod {uid[:100]} is no static one: what runs in it is restarted by who made it")
    try:
        path = cgroup.path_of(procfs.text(f"{places.proc}/{pid}/cgroup"))
        begun = owner_restart.started(pid, places.proc)
        parent = int(procfs.stat_fields(f"{places.proc}/{pid}/stat")[_PARENT])
    except (OSError, ValueError, IndexError) as error:
        raise StaticPodError(f"process {pid} ended while it was looked at") from error
    member = cgroup.member(path)
    if member.pod_uid != uid or member.container_id is None:
        raise StaticPodError(f"process {pid} is in no container of the pod {uid} any more")
    if member.depth != 1 or member.node is not None:
        raise StaticPodError(
            f"the pod {uid} is not one of this machine's kubelet, but of one in {member.node or 'another pod'}"
        )
    above = procfs.describe(parent, places.proc)
    if above["container_id"] == member.container_id:
        raise StaticPodError(
            f"{program} (pid {pid}) is not what its container began with ({above['name']} is): kubelet would not start it again when it ends"
        )
    named = PodNames(Seen(None, []), places.root).pod(uid, [member.container_id])
    if named is None:
        raise StaticPodError(f"/var/log/pods names no pod {uid}: this machine's kubelet may not run it")
    return Found(f"{named.namespace}/{named.name}", Terminate(pid, begun, program))
