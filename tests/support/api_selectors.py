# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""fieldSelector and labelSelector of a list, as an API server understands them.

Facts from kubernetes/kubernetes: the fields a kind can be selected by are in pkg/apis/core/v1/conversion.go
(AddFieldLabelConversionFunc), those of every other kind in apimachinery's DefaultMetaV1FieldSelectorConversion; the
grammar is in apimachinery's pkg/fields/selector.go and pkg/labels/selector.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Match = Callable[[dict[str, Any]], bool]

_OF_ALL = ("metadata.name", "metadata.namespace")
_FIELDS: dict[str, tuple[str, ...]] = {
    "Pod": (
        *("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork"),
        *("status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"),
    ),
    "Node": ("spec.unschedulable",),
    "Service": ("spec.clusterIP", "spec.type"),
    "Event": (
        *(f"involvedObject.{part}" for part in ("kind", "namespace", "name", "uid")),
        *(f"involvedObject.{part}" for part in ("apiVersion", "resourceVersion", "fieldPath")),
        *("reason", "reportingComponent", "source", "type"),
    ),
}


class SelectorError(Exception):
    """A selector the API server refuses with 400; the text is what it says."""


def by_fields(kind: str, selector: str) -> Match:
    """Return whether an object has the fields: ``spec.nodeName=node-a,status.phase!=Running``. Raises SelectorError."""
    wanted = [_field(kind, term) for term in selector.split(",") if term]
    return lambda item: all((_value(item, path) == value) is equal for path, equal, value in wanted)


def _field(kind: str, term: str) -> tuple[str, bool, str]:
    found = re.fullmatch(r"(.*?)(!=|==|=)(.*)", term)
    if not found:
        raise SelectorError(f"invalid selector: '{term}'; can't understand '{term}'")
    path, operator, value = found.groups()
    if kind not in _FIELDS and path not in _OF_ALL:
        raise SelectorError(f'"{path}" is not a known field selector: only "{_OF_ALL[0]}", "{_OF_ALL[1]}"')
    if path not in _OF_ALL and path not in _FIELDS[kind]:
        raise SelectorError(f"field label not supported: {path}")
    return path, operator != "!=", value


def _value(item: dict[str, Any], path: str) -> str:
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return "false" if value is None and path in ("spec.hostNetwork", "spec.unschedulable") else str(value or "")


# a=b  a==b  a!=b  a in (b,c)  a notin (b,c)  a  !a
_REQUIREMENT = re.compile(
    r"\s*(?:(!?)\s*([^\s!=,()]+)\s*(?:(==|=|!=)\s*([^\s,()]*)|(in|notin)\s*\(([^()]*)\))?)\s*(?:,|$)"
)


def by_labels(selector: str) -> Match:
    """Return whether an object has the labels. Raises SelectorError."""
    tests, position = [], 0
    while position < len(selector):
        found = _REQUIREMENT.match(selector, position)
        if not found:
            raise SelectorError(f"unable to parse requirement: {selector[position:]}")
        tests.append(_requirement(found))
        position = found.end()
    return lambda item: all(test(item["metadata"].get("labels") or {}) for test in tests)


def _requirement(found: re.Match[str]) -> Callable[[dict[str, str]], bool]:
    negated, key, operator, value, within, listed = found.groups()
    values = {part.strip() for part in listed.split(",")} if within else {value}
    if operator in ("=", "==") or within == "in":
        return lambda labels: labels.get(key) in values
    if operator or within:  # both hold where the label is not there
        return lambda labels: labels.get(key) not in values
    return lambda labels: (key in labels) is not bool(negated)
