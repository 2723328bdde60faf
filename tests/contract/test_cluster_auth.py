# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which an API server is reached are those of kubernetes.core, whose code takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from ansible_collections.kubernetes.core.plugins.doc_fragments import k8s_auth_options

from ansible_collections.kubenode.doctor.plugins.doc_fragments import cluster_auth

WORDS = {"description", "version_added"}


def shape(options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The options without what is said of them."""
    return {
        name: {key: shape(value) if key == "suboptions" else value for key, value in option.items() if key not in WORDS}
        for name, option in options.items()
    }


def test_the_options_are_those_of_kubernetes_core() -> None:
    ours, theirs = (
        yaml.safe_load(fragment.ModuleDocFragment.DOCUMENTATION)["options"]
        for fragment in (cluster_auth, k8s_auth_options)
    )
    assert shape(ours) == shape(theirs)
    assert all(option["description"] for option in ours.values())
