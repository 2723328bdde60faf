# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page on adding a rule shows code that is there."""

from __future__ import annotations

import re

from ansible_collections.kubenode.doctor.tests.contract.project import ROOT

PAGE = ROOT / "docs" / "adding_a_rule.md"
EXCERPTS = re.compile(r"<!-- (\S+\.py) -->\n```python\n(.+?)```", re.DOTALL)


def test_its_code_is_that_of_the_files() -> None:
    page = PAGE.read_text(encoding="utf-8")
    found = EXCERPTS.findall(page)
    assert len(found) == page.count("```python") > 0
    for file, code in found:
        assert code in (ROOT / file).read_text(encoding="utf-8"), file


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"[`(]((?:plugins|tests|docs)/[\w/.]+|\w+\.md)[`)]", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 5
    assert not [name for name in named if not ((ROOT / name).exists() or (ROOT / "docs" / name).exists())]
