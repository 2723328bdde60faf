# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change, and its undoing, on a disk that is really full: all is old or all is new, whatever room there is, and it is said why."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.support import full_disk
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    root = tmp_path_factory.mktemp("root")
    words = ["unshare", "--net", "--mount", "--", sys.executable, str(Path(full_disk.__file__)), str(root)]
    environment = {"PYTHONPATH": str(PROJECT / ".collections"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("act", "end", "at_first", "at_last"), [("carry_out", "applied", "old", "new"), ("undo", "undone", "new", "old")]
)
def test_old_or_new_whatever_room_there_is(
    told: dict[str, list[dict[str, str]]], act: str, end: str, at_first: str, at_last: str
) -> None:
    *refused, last = told[act]
    assert (last["outcome"], last["state"]) == (end, at_last)
    assert len(refused) >= 4  # the backup, the records and the temporary files take a page and more each
    for one in refused:
        assert one["state"] == at_first, one
        assert one["outcome"] in ("rolled-back", "stopped")
        assert "No space left on device" in one["why"]
