# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who else writes an object of the cluster: a change that a machine takes back is none. Pure, of an object's ``metadata`` as the API has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# Who writes these labels, annotations and managed fields owns the object too, and brings its own state back.
# argoproj/argo-cd common/common.go, fluxcd/kustomize-controller and helm-controller (owner labels, field owners), helm pkg/action/validate.go.
_KEYS = {
    "argocd.argoproj.io/": "Argo CD",
    "helm.toolkit.fluxcd.io/": "Flux",
    "kustomize.toolkit.fluxcd.io/": "Flux",
    "meta.helm.sh/": "Helm",
}
_MANAGERS = {
    "argocd-application-controller": "Argo CD",
    "argocd-controller": "Argo CD",
    "helm": "Helm",
    "helm-controller": "Flux",
    "kustomize-controller": "Flux",
}


def told(metadata: dict[str, Any], theirs: str) -> Iterator[str]:
    """Who may bring ``theirs`` ("the other image") back, and where it is to be changed for good."""
    keys = (*mapping(metadata.get("labels")), *mapping(metadata.get("annotations")))
    known = {owner for prefix, owner in _KEYS.items() for key in keys if str(key).startswith(prefix)}
    fields = metadata.get("managedFields")
    writers = [mapping(field).get("manager") for field in fields] if isinstance(fields, list) else []
    known |= {owner for manager, owner in _MANAGERS.items() if manager in writers}
    if known:
        yield (
            f"{' and '.join(sorted(known))} installed it and will put {theirs} back, at once or with the next "
            "release: change it at its source too"
        )
    owners = metadata.get("ownerReferences")
    for owner in map(mapping, owners if isinstance(owners, list) else ()):
        if owner.get("controller"):
            yield f"it belongs to {owner.get('kind')} {owner.get('name')}, whose controller may put {theirs} back: change it there"


def mapping(value: Any) -> dict[str, Any]:
    """The value where it is a mapping, else an empty one: what the API server sends is not taken on trust."""
    return value if isinstance(value, dict) else {}
