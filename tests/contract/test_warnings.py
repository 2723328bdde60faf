# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings of Ansible are failures of the tests that provoke them: a real one is found, and those that are named are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.contract.plays import run_tasks
from ansible_collections.kubenode.doctor.tests.support.ansible_warnings import unexpected

PRINTED = """
[WARNING]: provided hosts list is empty, only
localhost is available

PLAY [x] ****
[DEPRECATION WARNING]: old. This will be removed.
 1. WARNING: a finding
"""


def test_a_real_warning_fails_a_play(tmp_path: Path) -> None:
    task = {"ansible.builtin.add_host": {"name": "other", "groups": ["odd-name"]}}
    with pytest.raises(AssertionError, match=r"^\[WARNING\]: Invalid characters were found"):
        run_tasks([task], {}, tmp_path)


def test_warnings_are_found_in_what_was_printed() -> None:
    assert len(unexpected(PRINTED)) == 2
    (other,) = unexpected(PRINTED, ["list is empty, only localhost is"])
    assert other.startswith("[DEPRECATION WARNING]: old.")
    assert unexpected(PRINTED, ["hosts list", "old."]) == []
