# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of seed 002 on a real Docker Engine: the clock was set back, and a dead kube-apiserver hides the living one.

Names and labels are those of the seed, as cri-dockerd writes them. Attempt 24 of kube-apiserver runs and was created before attempt
23, which is dead; sandbox 15 is dead and 17 lives. kubelet takes 23 for the latest and wants the name that 24 has: the engine is
really asked for it, and its answer stands in kubelet's journal, in the words of the seed's kubelet. The log of 23 ends with the
refusals of etcd's port, although etcd runs. All of it is ten days old, but for what kubelet logs.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ansible_collections.kubenode.doctor.tests.support import docker_engine_node
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import IMAGE, EngineNode, Pod
from ansible_collections.kubenode.doctor.tests.support.stage import write_interpreter

APISERVER = Pod("kube-system", "kube-apiserver-pi-master1", "1403dda53affdfee1130475a6d9609da")
ETCD = Pod("kube-system", "etcd-pi-master1", "7f3c9a1d5b2e4f60889bd4a1c35e7e02")
SHOP = Pod("shop", "web-0", "909a2aa1-bf6a-4a8c-a274-3180ea640fb1")
LEFT = Pod("shop", "left-0", "5b0c7f0e-3a0e-4b6f-8f61-1de1f3a9c0aa")
DNS = Pod("kube-system", "coredns-6d56c8448f-x7k2p", "0d8e6c1a-1f0b-4b2c-9e57-6a0b3d1f2c44")
WANTED = APISERVER.container_name("kube-apiserver", 24)
# 60481729 appears where this was templated.
HOSTILE = "{{7777*7777}}\x1b[2J\n- name: x"
DAYS = 10
SET_BACK_SECONDS = 1140
# kubelet's back-off after an error, with some of its jitter (kubernetes/kubernetes pkg/kubelet/kubelet.go backOffPeriod)
_SYNC_SECONDS = 12
_SYNCS = 20
# There is no kubelet here that would fall silent once it is cured: it has done so before.
_SILENT_SECONDS = 120
_KUBELET = {
    "_SYSTEMD_UNIT": "kubelet.service",
    "_SYSTEMD_INVOCATION_ID": "8a2f06ae6a6c4e0d9f0f1f6f7f1b2c3d",
    "SYSLOG_IDENTIFIER": "kubelet",
    "_COMM": "kubelet",
    "_PID": "1115805",
    "_TRANSPORT": "stdout",
    "PRIORITY": "6",
}
_SYSTEMD = {
    "_SYSTEMD_UNIT": "init.scope",
    "SYSLOG_IDENTIFIER": "systemd",
    "_COMM": "systemd",
    "_PID": "1",
    "UNIT": "kubelet.service",
    "INVOCATION_ID": _KUBELET["_SYSTEMD_INVOCATION_ID"],
    "MESSAGE_ID": "39f53479d3a045ac8e11786248231fbf",  # systemd sd-messages.h SD_MESSAGE_UNIT_STARTED
    "PRIORITY": "6",
}
_KERNEL = {"_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "kernel", "PRIORITY": "4"}
# At first it says its last words and ends. Somebody who starts it again finds it alive.
_SAY_AND_END = 'if [ -e /said ]; then trap exit TERM; sleep infinity & wait; fi; echo "$1"; echo >/said'
# Of the seed's kube-apiserver: grpc-go's words of the time.
_REFUSED = (
    "W0312 03:48:55.984001       1 clientconn.go:1223] grpc: addrConn.createTransport failed to connect to "
    '{https://127.0.0.1:2379  <nil> 0 <nil>}. Err :connection error: desc = "transport: Error while dialing dial tcp '
    '127.0.0.1:2379: connect: connection refused". Reconnecting...'
)
LAST_WORDS = (
    "Flag --insecure-port has been deprecated, This flag will be removed in a future version.",
    "I0312 03:29:07.333502       1 server.go:163] Version: v1.19.4",
    _REFUSED,
    _REFUSED,
    "I0312 03:48:55.997715       1 controller.go:123] Shutting down OpenAPI controller",
)


class Scene(NamedTuple):
    """The node, and the ids of what is on it."""

    node: EngineNode
    dead: str  # attempt 23
    living: str  # attempt 24
    bystanders: frozenset[str]


def build(node: EngineNode) -> Scene:
    """Arrange it on an engine that has no container yet."""
    old_sandbox = node.sandbox(APISERVER, 15, leave=True)
    sandbox = node.sandbox(APISERVER, 17)
    living = node.container(APISERVER, "kube-apiserver", 24, sandbox)
    words = ("sh", "-c", _SAY_AND_END, "sh", "\n".join(LAST_WORDS))
    dead = node.container(APISERVER, "kube-apiserver", 23, old_sandbox, leave=True, command=words)
    scene = Scene(node, dead, living, frozenset({old_sandbox, sandbox, *_bystanders(node)}))
    # Sandboxes in their order: had the dead one looked later, kubelet would have made a new one, and all containers in it anew.
    node.age(DAYS * 86400, {old_sandbox: 2 * SET_BACK_SECONDS, sandbox: SET_BACK_SECONDS, living: SET_BACK_SECONDS})
    node.start("kubelet", "--listen", "127.0.0.1:10248", "--listen", "0.0.0.0:10250")
    node.start("etcd", "--listen", "127.0.0.1:2379")
    node.add_journal(_journal(refusal(node)))
    return scene


def inverted(node: EngineNode, pod: Pod) -> str:
    """Add a pod with the same fault, which no log tells of; return the dead container."""
    sandbox = node.sandbox(pod, 0)
    node.container(pod, "web", 1, sandbox)
    return node.container(pod, "web", 0, sandbox, leave=True)


def never_started(node: EngineNode, pod: Pod) -> str:
    """Add a pod whose attempt 1 was created before attempt 0, and never started; return attempt 1."""
    sandbox = node.sandbox(pod, 0)
    created = node.create(pod.container_name("web", 1), docker_engine_node.container_labels(pod, "web", 1, sandbox))
    node.container(pod, "web", 0, sandbox, leave=True)
    return created


def without_journal(node: EngineNode) -> Path:
    """Write an interpreter by which Ansible finds no journal on the node."""
    hide = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /var/log/journal && exec "$@"', "sh")
    return write_interpreter(node.folder / "python-without-journal", (*node._namespaces.enter, *hide))


def refusal(node: EngineNode, name: str = WANTED) -> str:
    """What the engine says when it is asked for a taken name."""
    status, answer = node.engine("POST", f"/containers/create?name={name}", {"Image": IMAGE, "Cmd": ["true"]})
    assert status == 409, answer
    return str(answer["message"])


def started() -> dict[str, str | int]:
    """What systemd logs when kubelet has started."""
    when = time.time() - DAYS * 86400
    return {**_at(when), **_SYSTEMD, "MESSAGE": "Started kubelet: The Kubernetes Node Agent."}


def complaint(said: str, when: float, pod: Pod = APISERVER, container: str = "kube-apiserver") -> dict[str, str | int]:
    """What kubelet logs of it: the engine's text in quotes, which escapes those that are in it."""
    quoted = f"Error response from daemon: {said}".replace('"', '\\"')
    who = f'{pod.uid} ("{pod.name}_{pod.namespace}({pod.uid})")'
    stamp = datetime.datetime.fromtimestamp(when, datetime.UTC).strftime("%m%d %H:%M:%S.%f")
    message = (
        f"E{stamp} 1115805 pod_workers.go:191] Error syncing pod {who}, skipping: failed to "
        f'"StartContainer" for "{container}" with CreateContainerError: "{quoted}"'
    )
    return {**_at(when), **_KUBELET, "MESSAGE": message}


def _bystanders(node: EngineNode) -> Iterator[str]:
    """Containers that are nobody's business: of healthy pods, of no Kubernetes, one whose labels and name disagree, a hostile one."""
    yield (etcd := node.sandbox(ETCD, 12))
    yield node.container(ETCD, "etcd", 17, etcd, leave=True)
    yield node.container(ETCD, "etcd", 18, etcd)
    yield (dns := node.sandbox(DNS, 0))
    yield node.container(DNS, "coredns", 0, dns, leave=True)
    yield node.container(DNS, "coredns", 1, dns)
    yield (registry := node.create("registry"))
    node.run_container(registry)
    yield node.create("backup", command=("true",))
    yield node.create(DNS.container_name("coredns", 7), {**DNS.labels("coredns"), "io.kubernetes.pod.name": "other"})
    yield node.create("hostile", DNS.labels(HOSTILE))


def _journal(said: str) -> Iterator[dict[str, str | int]]:
    """kubelet was started days ago, and has tried again and again until a short while ago."""
    now = time.time()
    yield started()
    yield {**_at(now - 3600), **_KERNEL, "MESSAGE": "RPC: fragment too large: 1246907721"}
    for syncs_ago in range(_SYNCS, 0, -1):
        yield complaint(said, now - _SILENT_SECONDS - syncs_ago * _SYNC_SECONDS)


def _at(when: float) -> dict[str, str | int]:
    """The fields of time; this machine's boot is the node's."""
    since_boot = max(1, int((when - time.time() + time.monotonic()) * 1e6))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")
    return {"__REALTIME_TIMESTAMP": int(when * 1e6), "__MONOTONIC_TIMESTAMP": since_boot, "_BOOT_ID": boot}
