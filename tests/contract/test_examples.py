# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every task in a module's EXAMPLES really runs, as it stands."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.kubenode.doctor.tests.contract.conftest import Scene
from ansible_collections.kubenode.doctor.tests.contract.plays import run_tasks
from ansible_collections.kubenode.doctor.tests.contract.project import MODULES, module_docs


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module: str, scene: Scene) -> None:
    # What an operator knows and an example can only name; the audit that examples spell out is there.
    variables = {"kubeconfig": scene.kubeconfig, "bundle": scene.audit}
    defaults = {"kubenode.doctor.docker_stale_names": {"docker_host": scene.docker_host}}
    tasks = yaml.safe_load(module_docs(module)["plainexamples"])
    results = run_tasks(tasks, variables, scene.directory, defaults)
    failures = [result.get("msg", result) for result in results if result.get("failed") or result.get("skipped")]
    assert not failures
    assert len(results) == len(tasks)
