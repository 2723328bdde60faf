# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's argument specification, defaults and README say the same."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.tests.contract.project import ROLES, ROOT, load

# Of issue 2, and never fewer.
FIRST_ROLES = {"collect", "ports", "report"}


def test_the_roles_were_found() -> None:
    assert set(ROLES) >= FIRST_ROLES


@pytest.mark.parametrize("role", ROLES)
def test_argument_specs_equal_defaults(role: str) -> None:
    entry_points = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    assert "main" in entry_points
    specified = {
        name: option["default"]
        for entry_point in entry_points.values()
        for name, option in entry_point.get("options", {}).items()
        if "default" in option
    }
    assert (load(f"roles/{role}/defaults/main.yml") or {}) == specified


@pytest.mark.parametrize("role", ROLES)
def test_readme_names_every_option(role: str) -> None:
    readme = (ROOT / "roles" / role / "README.md").read_text("utf-8")
    entry_points = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    options = {name for entry_point in entry_points.values() for name in entry_point.get("options", {})}
    assert not sorted(name for name in options if f"`{name}`" not in readme)
