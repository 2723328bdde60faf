# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal parts of findings, kept once: a fault of ten thousand hosts has ten thousand findings, which explain it and cure it in the same words."""

from __future__ import annotations

from typing import Any

Finding = dict[str, Any]

_TEXTS = ("rule", "status", "severity", "object", "title", "explanation", "first_seen", "change")


class EqualParts:
    """Remembers the texts and remedies of findings. Remedies are then one object in several findings: nobody may change one in place."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._remedies: dict[tuple[Any, ...], Any] = {}

    def share(self, found: Finding) -> Finding:
        """The finding itself, with parts of earlier ones in place of its own. Any other mapping stays as it is, so json.loads may be handed this."""
        if not isinstance(found.get("remedies"), list) or not isinstance(found.get("evidence"), list):
            return found
        for key in _TEXTS:
            if key in found:
                found[key] = self._text(found[key])
        found["evidence"] = [self._text(fact) for fact in found["evidence"]]
        found["remedies"] = [self._remedy(remedy) for remedy in found["remedies"]]
        return found

    def _text(self, value: Any) -> Any:
        return self._texts.setdefault(value, value) if isinstance(value, str) else value

    def _remedy(self, remedy: Any) -> Any:
        try:
            key = tuple((name, tuple(part) if isinstance(part, list) else part) for name, part in remedy.items())
            return self._remedies.setdefault(key, remedy)
        except (AttributeError, TypeError):  # another version's
            return remedy
