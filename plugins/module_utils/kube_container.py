# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which container of which pod is it: read from the labels and the name that a CRI implementation gives.

Names seen in the field (Docker puts a "/" in front)::

    k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_1403dda53affdfee1130475a6d9609da_24   container, attempt 24
    k8s_POD_kube-apiserver-pi-master1_kube-system_1403dda53affdfee1130475a6d9609da_17              its sandbox
    k8s_web_web-0_shop_909a2aa1-bf6a-4a8c-a274-3180ea640fb1_3_1a2b3c4d                             a second try after a conflict
    web_web-0_shop_909a2aa1-bf6a-4a8c-a274-3180ea640fb1_3                                          containerd
    web-0_shop_909a2aa1-bf6a-4a8c-a274-3180ea640fb1_1                                              containerd, the sandbox

dockershim, cri-dockerd and CRI-O make the first form (cri-dockerd core/naming.go, cri-o internal/factory/container), containerd
the last two (internal/cri/server/helpers.go makeContainerName, makeSandboxName). No part of a Kubernetes name holds a "_".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

SANDBOX = "POD"  # what kubelet's shims call the container that holds a pod's namespaces
_PREFIX = "k8s"

# kubernetes/kubernetes staging/src/k8s.io/kubelet/pkg/types/labels.go
LABEL_POD = "io.kubernetes.pod.name"
LABEL_NAMESPACE = "io.kubernetes.pod.namespace"
LABEL_POD_UID = "io.kubernetes.pod.uid"
LABEL_CONTAINER = "io.kubernetes.container.name"
# cri-dockerd core/docker_service.go, libdocker/helpers.go: annotations become labels with this prefix.
LABEL_RESTARTS = "annotation.io.kubernetes.container.restartCount"
# cri-dockerd core/docker_service.go: what its lists for kubelet filter by. kubelet 1.6 and older gave no such label.
LABEL_TYPE = "io.kubernetes.docker.type"
LABEL_SANDBOX_ID = "io.kubernetes.sandbox.id"

_LABELS = (LABEL_POD_UID, LABEL_CONTAINER, LABEL_POD, LABEL_NAMESPACE)
_PART = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_ATTEMPT = re.compile(r"[0-9]{1,10}")  # a uint32
_ID = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"[0-9a-f]{1,8}")  # cri-dockerd core/naming.go randomizeName: a random uint32 in hex


class Identity(NamedTuple):
    """Which container of which pod; ``attempt`` counts from 0, None where nothing tells it, ``suffix`` sets a second try apart."""

    pod_uid: str
    namespace: str
    pod: str
    container: str
    attempt: Optional[int]
    suffix: Optional[str] = None


class UnclearError(Exception):
    """It bears signs of Kubernetes, but whose it is cannot be told; the text says why."""


def is_id(value: Any) -> bool:
    """Whether this is the full id of a container, which may be put into a path or a command as it stands."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def parse_name(name: str) -> Optional[Identity]:
    """What a container's name tells, None when it is not of the form that kubelet's shims for Docker, and CRI-O, give."""
    parts = name.lstrip("/").split("_")
    if len(parts) not in (6, 7) or parts[0] != _PREFIX:
        return None
    return _identity(parts[1:6], parts[6] if len(parts) == 7 else None)


def parse_containerd_name(name: str) -> Optional[Identity]:
    """The same for the names that containerd's CRI plugin reserves, where a sandbox has no container's name."""
    parts = name.split("_")
    if len(parts) == 4:
        parts = [SANDBOX, *parts]
    return _identity(parts, None) if len(parts) == 5 else None


def _identity(parts: list[str], suffix: Optional[str]) -> Optional[Identity]:
    container, pod, namespace, pod_uid, attempt = parts
    if not all(_PART.fullmatch(part) for part in (container, pod, namespace, pod_uid)):
        return None
    if not _ATTEMPT.fullmatch(attempt) or (suffix is not None and not _SUFFIX.fullmatch(suffix)):
        return None
    return Identity(pod_uid, namespace, pod, container, int(attempt), suffix)


def wanted_name(runtime: str, identity: Identity) -> str:
    """The name that the runtime is asked to give to this attempt of a container (``runtime`` is docker, containerd or cri-o)."""
    pod = (identity.pod, identity.namespace, identity.pod_uid, str(identity.attempt))
    if runtime != "containerd":
        return "_".join((_PREFIX, identity.container, *pod))
    return "_".join(pod if identity.container == SANDBOX else (identity.container, *pod))


def identify(name: str, labels: Mapping[str, str]) -> Optional[tuple[Identity, bool]]:
    """Whose container it is, and whether kubelet takes it for its own; None for a container of no Kubernetes.

    Labels come first. The shims for Docker show kubelet only what has its labels, the right type among them, and a name of the
    form above (cri-dockerd core/container_list.go, core/convert.go), so one that lacks any is none of its own. Raises UnclearError for labels that
    are incomplete, and for a name that contradicts them.
    """
    named = parse_name(name)
    if not any(label in labels for label in _LABELS):
        return (named, False) if named else None
    labelled = _labelled(labels)
    if named is None:
        return labelled, False
    for label, one, other in zip(_LABELS, _parts(named), _parts(labelled)):
        if one != other:
            raise UnclearError(f"its name contradicts its label {label}")
    if labelled.attempt not in (None, named.attempt):
        raise UnclearError(f"its name contradicts its label {LABEL_RESTARTS}")
    return named, labels.get(LABEL_TYPE) in (None, "podsandbox" if named.container == SANDBOX else "container")


def _parts(identity: Identity) -> tuple[str, str, str, str]:
    return identity.pod_uid, identity.container, identity.pod, identity.namespace


def _labelled(labels: Mapping[str, str]) -> Identity:
    absent = [label for label in _LABELS if not labels.get(label)]
    if absent:
        raise UnclearError(f"it has labels of Kubernetes, but not {', '.join(absent)}")
    odd = [label for label in _LABELS if not _PART.fullmatch(labels[label])]
    if odd:
        raise UnclearError(f"what its label {odd[0]} says is no name of Kubernetes")
    restarts = labels.get(LABEL_RESTARTS, "")
    if restarts and not _ATTEMPT.fullmatch(restarts):
        raise UnclearError(f"its label {LABEL_RESTARTS} is no number")
    uid, container, pod, namespace = (labels[label] for label in _LABELS)
    return Identity(uid, namespace, pod, container, int(restarts) if restarts else None)
