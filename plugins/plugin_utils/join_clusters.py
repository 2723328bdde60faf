# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers of one API server to several audits as one. An audit of some nodes asks for the pods of these only, so the pods of all are put together. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import KINDS

Document = dict[str, Any]


class _Pods(NamedTuple):
    """The pods of some Nodes, and of which cluster they are."""

    audit: str
    server: Any
    nodes: list[str]
    pods: list[Document]


def join(answers: Iterable[tuple[str, Document]]) -> tuple[Document | None, list[str]]:
    """Join ``(name of an audit, its cluster's document)``, the latest first. Returns the document, None where there is none, and what is to be told.

    What saw most is taken as it is, of equals the latest; only pods are added to it.
    """
    best: tuple[int, str, Document] | None = None
    some: list[_Pods] = []
    count = 0
    for name, document in answers:
        count += 1
        read = sum(document[kind.section] is not None for kind in KINDS)
        if document["pods_of"] is not None and document["pods"] is not None:
            some.append(_Pods(name, document["server"], document["pods_of"], document["pods"]))
        if best is None or read > best[0]:
            best = (read, name, document)
    if best is None:
        return None, []
    _read, name, document = best
    told = [f"what is said of the cluster is what {name} saw of it"] if count > 1 else []
    return _with_pods(document, some, told), told


def _with_pods(document: Document, some: Iterable[_Pods], told: list[str]) -> Document:
    """The document with the pods of further Nodes, where it has only those of some."""
    if document["pods_of"] is None or document["pods"] is None:
        return document
    nodes, pods = list(document["pods_of"]), list(document["pods"])
    for one in some:
        if one.server != document["server"]:
            told.append(f"{one.audit} asked another API server: the pods that it saw were not taken")
            continue
        new = set(one.nodes).difference(nodes)
        nodes += sorted(new)
        pods += [pod for pod in one.pods if pod.get("node") in new]
    return {**document, "pods_of": nodes, "pods": pods}
