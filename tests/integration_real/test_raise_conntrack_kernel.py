# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""raise-conntrack on the kernel's own table, which only the first network namespace may change: raised by a half, and brought back. Files are a folder's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_raise_conntrack, node_fix
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places

TABLE = Path("/proc/sys/net/netfilter")
LIMIT, BUCKETS = TABLE / "nf_conntrack_max", TABLE / "nf_conntrack_buckets"
IS_OURS = LIMIT.exists() and os.geteuid() == 0 and bool(LIMIT.stat().st_mode & 0o200)


@pytest.fixture
def table() -> Iterator[tuple[str, str]]:
    before = (LIMIT.read_text(), BUCKETS.read_text()) if LIMIT.exists() else ("262144", "65536")
    yield before
    if IS_OURS:
        LIMIT.write_text(before[0])
        BUCKETS.write_text(before[1])


def run(root: Path, limit: int, **arguments: Any) -> dict[str, Any]:
    entries = limit + limit // 2
    target = fix_raise_conntrack.target(entries, limit, 0)
    asked = {"fix": "raise-conntrack", "targets": [target], "choices": {}, "state": "planned", "digest": None}
    asked |= {"change": None, "controller_time": None, "seconds": 60, "store": "/var/lib/kubenode.doctor"}
    return node_fix.run({**asked, **arguments}, False, Places("/proc", str(root)))


def files(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*.conf"))}


def test_the_table_is_raised_stays_so_and_comes_back(tmp_path: Path, table: tuple[str, str]) -> None:
    for folder in ("etc/sysctl.d", "var/lib"):
        (tmp_path / folder).mkdir(parents=True)
    limit = int(table[0])
    planned = run(tmp_path, limit)
    if not IS_OURS:
        assert planned["state"] == "stopped", planned
        assert planned["why"]
        return
    assert planned["state"] == "needed", planned
    assert not files(tmp_path)
    assert LIMIT.read_text() == table[0]

    applied = run(tmp_path, limit, state="applied", digest=planned["digest"])
    assert applied["state"] == "applied", applied
    assert int(LIMIT.read_text()) == limit + limit // 2
    assert any(f"net.netfilter.nf_conntrack_max = {limit + limit // 2}" in text for text in files(tmp_path).values())
    assert run(tmp_path, limit)["state"] == "done"

    undone = run(tmp_path, limit, state="undone", change=applied["change"])
    assert undone["state"] == "undone", undone
    assert (LIMIT.read_text(), BUCKETS.read_text()) == table
    assert not files(tmp_path)
