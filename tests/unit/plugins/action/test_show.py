# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""show's action plugin: what reaches the terminal."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.action import show
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError

ID = "8470235abd66" * 5


@pytest.mark.parametrize(
    ("heading", "items", "lines"),
    [
        ("master-1: done", [], ["master-1: done"]),
        ("master-1: done", ["one", "two"], ["master-1: done", "  - one", "  - two"]),
        # What a label may hold must not look like a line of ours.
        ("done", ["a\n  - removed it all\x1b[2K"], ["done", r"  - a\n  - removed it all\x1b[2K"]),
        ("{{ 7 * 7 }}", ["{% raw %}"], ["{{ 7 * 7 }}", "  - {% raw %}"]),
        ("x", [f"{ID} {ID}"], ["x", f"  - {ID}", f"    {ID}"]),
    ],
)
def test_what_is_printed(heading, items, lines):
    assert show.laid_out(heading, items) == lines


def test_a_command_is_one_line_however_long():
    path = f"audits/{'a' * 200}/undo-x.json"
    assert show.laid_out("done", ["to undo it"], [f"undo {path} now\x1b[2K"]) == [
        "done",
        "  - to undo it",
        f"    # undo {path} now\\x1b[2K",
    ]


def test_what_is_to_be_kept_stands_at_the_end_of_the_report(tmp_path):
    report = tmp_path / "report.txt"
    report.write_text("RESULT\n")
    for host in ("a", "b\x1b[2K"):
        show._append(report, show.laid_out(f"{host}, before and after", ["before: down"]))
    assert (
        report.read_text()
        == "RESULT\n\na, before and after\n  - before: down\n\nb\\x1b[2K, before and after\n  - before: down\n"
    )


def test_what_cannot_be_kept_is_said(tmp_path):
    with pytest.raises(BundleError, match="could not be written"):
        show._append(tmp_path / "nowhere" / "report.txt", ["x"])
