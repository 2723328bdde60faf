# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ClusterRoles that the role collect ships grant exactly what is asked of an API server, and documents name them.

That no fix asks for more is shown where fixes run: tests/support/cluster_roles.py holds their requests against the files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import KINDS
from ansible_collections.kubenode.doctor.plugins.plugin_utils import fix_offers
from ansible_collections.kubenode.doctor.tests.contract.project import ROOT
from ansible_collections.kubenode.doctor.tests.support import cluster_roles


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load((cluster_roles.FILES / name).read_text("utf-8"))["items"])


def test_a_diagnosis_may_list_what_is_read_and_nothing_more() -> None:
    assert cluster_roles.granted(cluster_roles.READ) == {(kind.group, kind.resource, "list") for kind in KINDS}


def test_fixes_may_read_and_patch_what_they_change_and_nothing_more() -> None:
    assert set(fix_offers.OF_CLUSTER) == {"move-nodeport", "rollback-image"}
    changed = {("", "services"), ("apps", "deployments")}
    assert cluster_roles.granted(cluster_roles.FIXES) == {
        (*kind, verb) for kind in changed for verb in ("get", "patch")
    }


@pytest.mark.parametrize("name", [cluster_roles.READ, cluster_roles.FIXES])
def test_the_binding_binds_the_role(name: str) -> None:
    role, binding = documents(name)
    assert set(role) == {"apiVersion", "kind", "metadata", "rules"}
    assert all(set(rule) == {"apiGroups", "resources", "verbs"} for rule in role["rules"])
    assert {one["apiVersion"] for one in (role, binding)} == {"rbac.authorization.k8s.io/v1"}
    assert (role["kind"], binding["kind"]) == ("ClusterRole", "ClusterRoleBinding")
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": role["kind"],
        "name": role["metadata"]["name"],
    }
    (subject,) = binding["subjects"]
    assert subject == {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": role["metadata"]["name"]}


def test_sudoers_and_interpreter_have_the_same_words() -> None:
    text = (cluster_roles.FILES / "sudoers").read_text("utf-8").replace("\\\n", " ")
    (allowed,) = re.findall(r"^kubenode-doctor ALL=\(root\) NOPASSWD: (.*)$", text, re.MULTILINE)
    variables = yaml.safe_load((cluster_roles.FILES / "group_vars.yml").read_text("utf-8"))
    program = Path(variables["ansible_python_interpreter"]).name
    script = (cluster_roles.FILES / program).read_text("utf-8").replace("\\\n", " ")
    words = re.sub(r"\\(.)", r"\1", allowed).split()
    assert ["exec", "sudo", "-n", *words, '"$@"'] == script.splitlines()[-1].split()
    rights = {word.partition("=")[2] for word in words if word.endswith("+syslog")}
    assert len(rights) == 1  # bounding set, inheritable and ambient ones
    (named,) = rights
    page = (ROOT / "docs" / "privileges.md").read_text("utf-8")
    columns = re.findall(r"`(CAP_\w+)`", page[page.index("| section |") :].partition("\n")[0])
    assert named == ",".join(["-all", *(f"+{name[4:].lower()}" for name in columns)])
