# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a pod may answer a Service all the same, though nobody in it was seen to: what makes of "nobody listens" a "not seen".

The API and the nodes are read one after the other, so a pod may be ended, or one of its containers begun anew, between the two.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.pods_seen import PodSeen

Object = dict[str, Any]

ENDS = "it is being ended, and what ends closes its ports before it goes"
ELSEWHERE = (
    "the endpoint's address is none of those in the pod's network as its node shows it, so whoever answers is elsewhere (a virtual machine "
    "with the pod's address, for one)"
)
MESH = "packets are redirected inside the pod's network (a nat table is there), as a mesh does"
MESH_NOT_SEEN = "whether packets are redirected inside the pod's network was not seen: run with become (-b)"
UNLISTED = "the pod has more listeners than are told"
ONLY_SANDBOX = "its node shows no process of any of its containers, which may be ended or begun anew at this moment"
NO_PROCESS = "its node shows no process of one of its containers, which may be ended or begun anew at this moment"
NAMELESS = "not all of its containers have a name on its node, so whether each of them has a process was not seen"
_NOT_RUNNING = frozenset({"waiting", "terminated"})
STOPPED = "one of its containers did not run when the API was asked"


def elsewhere(seen: PodSeen, address: str) -> str:
    """Whether packets for ``address`` come to the network in which the pod's sockets were seen; empty where they do, or nobody knows."""
    if seen.host_network or seen.addresses is None or address in seen.addresses:
        return ""
    # One address may be written in several ways.
    known = {ipaddress.ip_address(one) for one in seen.addresses}
    return "" if ipaddress.ip_address(address) in known else ELSEWHERE


def of_pod(seen: PodSeen, endpoint: Object, pod: Object | None, young: float) -> str:
    """Why a pod may answer of which nobody was seen to; empty when nothing speaks for that.

    ``pod`` is the API's, None where it was not read; a container that runs for less than ``young`` seconds may listen later.
    """
    if endpoint["terminating"] is True or (pod and pod["deleting"]):
        return ENDS
    if seen.redirects:
        return MESH
    if seen.redirects is None and not seen.host_network:
        return MESH_NOT_SEEN
    if seen.unlisted:
        return UNLISTED
    if any(one.age_seconds is not None and one.age_seconds < young for one in seen.containers):
        return f"a container of the pod runs for less than {young:g} s and may not listen yet"
    return _not_running(seen, pod)


def _not_running(seen: PodSeen, pod: Object | None) -> str:
    """Whether a container of the pod had no process when its node was looked at, or did not run for the API. The reason is many pods' own."""
    named = {one.name for one in seen.containers if one.name}
    nameless = sum(one.name is None for one in seen.containers)
    if pod is None:
        # One of those without a name may be the sandbox, which is no container of the pod.
        return "" if named or nameless > 1 else ONLY_SANDBOX
    own = [one for one in pod["containers"] if one["kind"] != "init"]
    if any((one["status"] or {}).get("state") in _NOT_RUNNING for one in own):
        return STOPPED
    missing = sum(one["name"] not in named for one in own)
    if not missing or nameless > missing:
        return ""
    return NAMELESS if nameless else NO_PROCESS
