# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What seed 003 tells of its master's CPU (lscpu, vmstat 1 60), as the section host_pressure would have told it."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import FIXTURES, captured_section

_MASTER = FIXTURES / "seed_003" / "ip-10-3-33-109"
WORST_SECOND = 12  # steal of 41 %
QUIET_SECOND = 35  # steal of 4 %, as in most


def pressure(second=None):
    """Of vmstat's rows the first is the average since boot; ``second`` is the one to take as the sample, None for no sample."""
    since_boot, *rows = _rows()
    section = captured_section("host-pressure-quiet")
    section.update(
        seconds=1.0,
        cpus={"online": 1, "present": 1},
        steal_since_boot=since_boot["st"] / 100,
        cpu=None if second is None else _shares(rows[second - 1]),
        run_queue={"samples": [row["r"] for row in rows], "blocked": [row["b"] for row in rows]},
        load=None,
        psi=None,  # Linux 4.4
    )
    if second is None:
        section.update(
            complete=False, missing=[{"what": "CPU shares", "why": "only 0.050 s lie between the two samples"}]
        )
    return section


def _rows():
    lines = (_MASTER / "vmstat.txt").read_text(encoding="utf-8").splitlines()
    columns = next(line.split() for line in lines if line.split()[:2] == ["r", "b"])
    return [dict(zip(columns, map(int, line.split()))) for line in lines if line.split() and line.split()[0].isdigit()]


def _shares(row):
    told = {"user": "us", "system": "sy", "iowait": "wa", "steal": "st", "idle": "id"}
    return {"irq": 0.0, **{name: row[column] / 100 for name, column in told.items()}}
