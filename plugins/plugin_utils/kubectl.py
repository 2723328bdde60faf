# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubectl commands for people to run: only about objects whose names are names, and every word quoted."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

# RFC 1123, as the API server checks names of namespaces, pods, workloads and containers (apimachinery pkg/util/validation,
# IsDNS1123Subdomain). What is none comes from no API server, and might be taken for an option.
# What the API server takes for the name of an object (RFC 1123).
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

# k8s.io/apimachinery/pkg/util/validation: IsQualifiedName, IsValidLabelValue
_WORD = "[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_LABEL = re.compile(f"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?{_WORD}=(?:{_WORD})?")


def is_name(*texts: str | None) -> bool:
    """Whether all of them are names of Kubernetes objects."""
    return all(text is not None and NAME.fullmatch(text) is not None for text in texts)


def command(namespace: str, *words: str) -> str:
    """``kubectl -n NAMESPACE WORDS``, quoted for a shell."""
    return shlex.join(("kubectl", "-n", namespace, *words))


def about(namespace: str, *words: str, names: tuple[str, ...] = ()) -> tuple[str, ...]:
    """``kubectl -n NAMESPACE WORDS``; none where the namespace or one of the ``names`` among the words is no name."""
    return (command(namespace, *words),) if is_name(namespace, *names) else ()


def labels(selector: Mapping[str, str]) -> str:
    """``app=ui,tier=web`` for ``-l``; empty where there is none, or a key or value is none that a label may have."""
    pairs = [f"{key}={value}" for key, value in sorted(selector.items())]
    return ",".join(pairs) if all(map(_LABEL.fullmatch, pairs)) else ""


def service_patch(service: dict[str, Any], index: int, field: str, value: int | str) -> tuple[str, ...]:
    """The command that changes one field of a Service's port; none where a name is none, or the field is not set.

    "test" makes the API server refuse the patch when the Service has changed since it was read.
    """
    now = service["ports"][index][{"targetPort": "target_port", "protocol": "protocol"}[field]]
    if now is None or not is_name(service["namespace"], service["name"]):
        return ()
    path = f"/spec/ports/{index}/{field}"
    patch = [{"op": "test", "path": path, "value": now}, {"op": "replace", "path": path, "value": value}]
    words = ("patch", "service", service["name"], "--type=json", "-p", json.dumps(patch))
    return (command(service["namespace"], *words),)


def container_patch(
    namespace: str, kind: str, name: str, container: str, fields: dict[str, Any], *, sidecar: bool = False
) -> tuple[str, ...]:
    """The command that merges fields into a container of a workload's pod template; none where a name is none.

    kubectl's default, the strategic merge patch, finds containers by name, and their ports by number. A ``sidecar`` (an init container with
    restartPolicy Always) is in a list of its own: in the other one, it would be a new container without an image.
    """
    if not is_name(namespace, name, container):
        return ()
    containers = "initContainers" if sidecar else "containers"
    patch = {"spec": {"template": {"spec": {containers: [{"name": container, **fields}]}}}}
    return (command(namespace, "patch", kind.lower(), name, "-p", json.dumps(patch)),)


def all_of(*commands: Sequence[str]) -> tuple[str, ...]:
    """Several commands one after the other; none at all where one of them is missing."""
    return tuple(one for some in commands for one in some) if all(commands) else ()
