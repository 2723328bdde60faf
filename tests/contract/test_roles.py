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
    defaults = load(f"roles/{role}/defaults/main.yml") or {}
    # A template is no value of the option's type: what is taken when it is left out, its description says.
    templates = {name for name, value in defaults.items() if "{{" in str(value)} - set(specified)
    assert {name: value for name, value in defaults.items() if name not in templates} == specified
    told = {
        name: option["description"]
        for entry_point in entry_points.values()
        for name, option in entry_point.get("options", {}).items()
    }
    assert all("Left out, " in told[name] for name in templates)


@pytest.mark.parametrize("role", ROLES)
def test_galaxy_is_told_what_a_role_does(role: str) -> None:
    entry_points = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    about = load(f"roles/{role}/meta/main.yml")["galaxy_info"]
    assert about["description"] == entry_points["main"]["short_description"]
    assert f">={about['min_ansible_version']}" == load("meta/runtime.yml")["requires_ansible"]


@pytest.mark.parametrize("role", ROLES)
def test_readme_names_every_option(role: str) -> None:
    readme = (ROOT / "roles" / role / "README.md").read_text("utf-8")
    entry_points = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    options = {name for entry_point in entry_points.values() for name in entry_point.get("options", {})}
    assert not sorted(name for name in options if f"`{name}`" not in readme)
