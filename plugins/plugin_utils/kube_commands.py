# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubectl commands as cures hold them: one, or none where a name in it is no name (see kubectl.py); label selectors for them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ansible_collections.kubenode.doctor.plugins.plugin_utils import kubectl

# k8s.io/apimachinery/pkg/util/validation: IsQualifiedName, IsValidLabelValue
_WORD = "[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_LABEL = re.compile(f"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?{_WORD}=(?:{_WORD})?")


def about(namespace: str, *words: str, names: tuple[str, ...] = ()) -> tuple[str, ...]:
    """``kubectl -n NAMESPACE WORDS``; none where the namespace or one of the ``names`` among the words is no name."""
    return (kubectl.command(namespace, *words),) if kubectl.is_name(namespace, *names) else ()


def labels(selector: Mapping[str, str]) -> str:
    """``app=ui,tier=web`` for ``-l``; empty where there is none, or a key or value is none that a label may have."""
    pairs = [f"{key}={value}" for key, value in sorted(selector.items())]
    return ",".join(pairs) if all(map(_LABEL.fullmatch, pairs)) else ""
