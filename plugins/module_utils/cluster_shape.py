# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take fields out of an object that an API server sent, and hold them to the type the Kubernetes API gives them.

Each reader takes a decoded JSON mapping and a key. A field that is not there, or null, is None or empty; one of another
type raises ShapeError, because then it was no API server that answered. Strings are interned: a cluster has few names of
nodes, namespaces, images and labels, but tens of thousands of pods that repeat them.
"""

from __future__ import annotations

import functools
import sys
from typing import Any, Dict, List, Optional, Type, TypeVar

from ansible_collections.kubenode.doctor.plugins.module_utils import log_sample, rfc3339

Object = Dict[str, Any]
T = TypeVar("T")

# Characters of a free text that are read: a kubelet takes as many of what a container leaves behind
# (k8s.io/kubernetes/pkg/kubelet/container/runtime.go, MaxContainerTerminationMessageLength), an Event has at most 1024.
_READ = 4096
# And that are kept: what was done is at its beginning, and why it failed at its end.
TOLD = 300
_BEGINNING = 120
_CUT = "..."


class ShapeError(Exception):
    """A field does not have the type the Kubernetes API gives it."""


def text(raw: Object, key: str) -> Optional[str]:
    """Return a string."""
    value = _get(raw, key, str)
    return None if value is None else sys.intern(value)


def flag(raw: Object, key: str) -> Optional[bool]:
    """Return a boolean."""
    return _get(raw, key, bool)


def number(raw: Object, key: str) -> Optional[int]:
    """Return a whole number."""
    return _get(raw, key, int)


def port(raw: Object, key: str) -> Optional[int]:
    """Return a port number; the API writes "no port" both as nothing and as 0."""
    value = number(raw, key)
    if value is not None and not 0 <= value <= 65535:
        raise ShapeError(f"{key} is {value}, outside 0 to 65535")
    return value or None


def seconds(raw: Object, key: str) -> Optional[float]:
    """Return a time as seconds since 1970; None for what is no time."""
    nanoseconds = rfc3339.nanoseconds(text(raw, key))
    return None if nanoseconds is None else nanoseconds / 1e9


def told(raw: Object, key: str) -> Optional[str]:
    """Return what a program or a person wrote, on one line of at most TOLD characters, without what looks like a secret."""
    value = _get(raw, key, str)
    return None if value is None else _told(value[:_READ])


@functools.lru_cache(maxsize=4096)  # 0.3 ms for 300 characters, and the pods of one Deployment say the same
def _told(value: str) -> str:
    clean = log_sample.redact(log_sample.clean(value))
    if len(clean) > TOLD:  # cut after secrets were found: a half of one would not be known
        clean = clean[:_BEGINNING] + _CUT + clean[_BEGINNING + len(_CUT) - TOLD :]
    return sys.intern(clean)


def mapping(raw: Object, key: str) -> Object:
    """Return a mapping, empty when it is not there."""
    return _get(raw, key, dict) or {}


def mappings(raw: Object, key: str) -> List[Object]:
    """Return a list of mappings, empty when it is not there."""
    return _all(raw, key, dict)


def texts(raw: Object, key: str) -> List[str]:
    """Return a list of strings, empty when it is not there."""
    return [sys.intern(value) for value in _all(raw, key, str)]


def pairs(raw: Object, key: str) -> Optional[Dict[str, str]]:
    """Return a mapping of strings to strings, such as labels; None when it is not there."""
    found = _get(raw, key, dict)
    if found is None:
        return None
    return {sys.intern(str(name)): sys.intern(str(value)) for name, value in found.items()}


def labels(raw: Object) -> Dict[str, str]:
    """Return an object's labels, empty when it has none."""
    return pairs(mapping(raw, "metadata"), "labels") or {}


def kind_of(value: object) -> str:
    """Say what a value is: "a list"."""
    return _NAMES.get(type(value), "a number" if isinstance(value, float) else "null")


def _get(raw: Object, key: str, wanted: Type[T]) -> Optional[T]:
    value = raw.get(key)
    # bool is an int to isinstance, but "port": true is no port
    if value is None or (isinstance(value, wanted) and not (wanted is int and isinstance(value, bool))):
        return value
    raise ShapeError(f"{key} is {kind_of(value)}, not {_NAMES[wanted]}")


def _all(raw: Object, key: str, wanted: Type[T]) -> List[T]:
    values = _get(raw, key, list) or []
    for value in values:
        if not isinstance(value, wanted):
            raise ShapeError(f"{key} holds {kind_of(value)}, not only {_PLURALS[wanted]}")
    return values


_NAMES: Dict[type, str] = {
    dict: "a mapping",
    list: "a list",
    str: "a string",
    int: "a whole number",
    bool: "true or false",
}
_PLURALS: Dict[type, str] = {dict: "mappings", str: "strings"}
