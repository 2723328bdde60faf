# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module is documented in full, and belongs to the action group that its users are told of."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.kubenode.doctor.tests.contract.project import MODULES, ROOT, load, module_docs

# Of issue 2, and never fewer: what was released does not disappear unnoticed.
FIRST_MODULES = {"cluster_snapshot", "listen_ports", "node_snapshot", "nodeport_conflict"}


def test_the_modules_were_found() -> None:
    assert set(MODULES) >= FIRST_MODULES


def test_action_group_is_all_modules() -> None:
    assert load("meta/runtime.yml")["action_groups"] == {"all": MODULES}


@pytest.mark.parametrize("action", sorted(path.stem for path in (ROOT / "plugins" / "action").glob("*.py")))
def test_action_plugin_has_its_documentation_in_a_module(action: str) -> None:
    assert action in MODULES


@pytest.mark.parametrize("module", MODULES)
def test_documentation_is_complete(module: str) -> None:
    docs = module_docs(module)
    assert docs["doc"]["module"] == module
    assert docs["doc"]["short_description"]
    assert docs["doc"]["version_added"]
    assert "kubenode.doctor.attributes" in docs["doc"]["extends_documentation_fragment"]
    assert docs["returndocs"]
    assert any(f"kubenode.doctor.{module}" in task for task in yaml.safe_load(docs["plainexamples"]))
