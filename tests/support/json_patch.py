# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386), as an API server applies them."""

from __future__ import annotations

import copy
from typing import Any


class PatchError(Exception):
    """An operation that cannot be applied, or a test that does not hold."""


def patched(document: Any, operations: list[dict[str, Any]]) -> Any:
    """Return a changed copy; all operations or none. Raises PatchError."""
    document = copy.deepcopy(document)
    for operation in operations:
        document = _applied(document, operation)
    return document


def merged(document: Any, patch: Any) -> Any:
    """Return the document with a merge patch applied: null removes, mappings merge, all else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _applied(document: Any, operation: dict[str, Any]) -> Any:
    kind, path = operation.get("op"), _pointer(operation.get("path"))
    if kind in ("move", "copy"):
        origin = _pointer(operation.get("from"))
        value = copy.deepcopy(_found(document, origin))
        if kind == "move":
            _remove(document, origin)
        return _added(document, path, value)
    if kind == "test":
        if _found(document, path, missing=None) != operation.get("value"):
            raise PatchError(f"testing value {operation['path']} failed")
        return document
    if kind in ("remove", "replace"):
        _found(document, path)
    if kind == "remove":
        _remove(document, path)
        return document
    if kind == "replace" and path:
        parent = _found(document, path[:-1])
        parent[_index(parent, path[-1]) if isinstance(parent, list) else path[-1]] = operation["value"]
        return document
    if kind in ("add", "replace"):
        return _added(document, path, operation["value"])
    raise PatchError(f"Unexpected kind: {kind}")


def _pointer(text: Any) -> list[str]:
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"no JSON pointer: {text}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


_MISSING = object()


def _found(document: Any, path: list[str], missing: Any = _MISSING) -> Any:
    try:
        for part in path:
            document = document[_index(document, part)] if isinstance(document, list) else document[part]
    except (LookupError, TypeError) as error:
        if missing is not _MISSING:
            return missing
        raise PatchError(f"doc is missing path: /{'/'.join(path)}") from error
    return document


def _index(items: list[Any], part: str) -> int:
    if not part.isdecimal() or int(part) >= len(items):
        raise IndexError(part)
    return int(part)


def _remove(document: Any, path: list[str]) -> None:
    parent = _found(document, path[:-1])
    del parent[_index(parent, path[-1]) if isinstance(parent, list) else path[-1]]


def _added(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _found(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        where = len(parent) if last == "-" else int(last) if last.isdecimal() else -1
        if not 0 <= where <= len(parent):
            raise PatchError(f"invalid index referenced: {last}")
        parent.insert(where, value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise PatchError(f"doc is missing path: /{'/'.join(path)}")
    return document
