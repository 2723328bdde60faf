# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What findings.json repeats of a bundle's audit.json: what docs/findings.schema.json knows and is of that form. A bundle may come from anywhere. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def of(audit: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What is repeated, and why some of it is not. What another version has noted besides is left out."""
    wrong = [key for key, fits in _FORMS.items() if key in audit and not fits(audit[key])]
    about = {key: value for key, value in audit.items() if key in _FORMS and key not in wrong}
    why = "is not of the form that this collection writes, and was left out"
    return {"schema": audit.get("schema"), **about}, [f"audit.json: {key!r} {why}" for key in wrong]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_join(value: Any) -> bool:
    forms: dict[str, Callable[[Any], bool]] = {"bundles": _is_bundles, "more": _is_number, "told": _is_texts}
    return _has(value, forms)


def _is_bundles(value: Any) -> bool:
    return isinstance(value, list) and all(_has(one, _BUNDLE) for one in value)


def _has(value: Any, forms: Mapping[str, Callable[[Any], bool]]) -> bool:
    """Whether it is a table of just these keys."""
    return _is_table(value) and value.keys() == forms.keys() and all(fits(value[key]) for key, fits in forms.items())


_BUNDLE = {"name": _is_text, "started": _is_text, "version": _is_text, "answers": _is_number}
_FORMS: dict[str, Callable[[Any], bool]] = {
    "version": _is_text,
    "ansible_version": _is_text,
    "started": _is_text,
    "earlier": _is_texts,
    "later": _is_texts,
    "limits": _is_table,
    "joined": _is_join,
    "damaged": _is_texts,
}
