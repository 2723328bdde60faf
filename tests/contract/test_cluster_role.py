# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ClusterRole that README.md of the role collect offers grants exactly what cluster_snapshot reads."""

from __future__ import annotations

import re

import yaml

from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import KINDS
from ansible_collections.kubenode.doctor.tests.contract.project import ROOT


def test_the_cluster_role_grants_what_is_read_and_nothing_more() -> None:
    readme = (ROOT / "roles" / "collect" / "README.md").read_text("utf-8")
    (manifest,) = re.findall(r"```yaml\n(apiVersion: rbac.*?)```", readme, re.DOTALL)
    role, binding = yaml.safe_load_all(manifest)
    granted = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == {(kind.group, kind.resource, "list") for kind in KINDS}
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": role["kind"],
        "name": role["metadata"]["name"],
    }
