# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""wait_until: asks until nothing is amiss, and once at least."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.wait_until import wait_until


@pytest.mark.parametrize(
    ("answers", "seconds", "last", "slept"),
    [([""], 0, "", 0), (["a", "b"], 0, "a", 0), (["a", "b", ""], 60, "", 2)],
)
def test_how_often_it_asks(monkeypatch, answers, seconds, last, slept):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    left = iter(answers)
    assert wait_until(lambda: next(left), Deadline(seconds)) == last
    assert len(pauses) == slept
    assert all(0 < pause <= 0.5 for pause in pauses)
