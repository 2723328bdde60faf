# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/findings.schema.json, which every findings.json that a test makes has to follow, and what of it a document shows.

jsonschema-rs validates a document in a tenth of a millisecond where jsonschema takes twenty, and unit tests judge a thousand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs

SCHEMA: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "docs" / "findings.schema.json").read_text("utf-8")
)
_VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA, validate_formats=True)
_TOLD = 10


def check(document: Any) -> None:
    """Raise AssertionError with the first places where a document is not what the schema says."""
    # Names may hold bytes that are no UTF-8, which JSON can tell and Rust's strings cannot.
    document = json.loads(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))
    if not _VALIDATOR.is_valid(document):
        errors = list(_VALIDATOR.iter_errors(document))[:_TOLD]
        places = "\n".join(f"/{'/'.join(map(str, error.instance_path))}: {error.message[:300]}" for error in errors)
        raise AssertionError(f"docs/findings.schema.json says otherwise:\n{places}")


def fields() -> set[str]:
    """All fields of the schema: ``finding.title``, ``memory.counts.new``. What a definition has is named after the definition."""
    found = set(_fields(SCHEMA, "top"))
    for name, definition in SCHEMA["$defs"].items():
        found.update(_fields(definition, name))
    return found


def shown(document: Any) -> set[str]:
    """The fields of which a document has a value: not null, and no empty list, table or text."""
    return set(_shown(SCHEMA, document, "top"))


def _fields(schema: dict[str, Any], place: str) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        yield f"{place}.{name}"
        yield from _fields(inner, f"{place}.{name}")
    for inner in _of_members(schema):
        yield from _fields(inner, place)


def _of_members(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The schemas of a list's entries, of a table's values, and of what is not null."""
    found = [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    return [*found, *schema.get("anyOf", ())]


def _shown(schema: dict[str, Any], value: Any, place: str) -> Iterator[str]:
    if "$ref" in schema:
        place = schema["$ref"].rpartition("/")[2]
        schema = SCHEMA["$defs"][place]
    known = schema.get("properties", {})
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in known:
                if inner not in (None, [], {}, ""):
                    yield f"{place}.{name}"
                yield from _shown(known[name], inner, f"{place}.{name}")
            elif isinstance(schema.get("additionalProperties"), dict):
                yield from _shown(schema["additionalProperties"], inner, place)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for inner in value:
            yield from _shown(schema["items"], inner, place)
    for inner in schema.get("anyOf", ()) if value is not None else ():
        yield from _shown(inner, value, place)
