# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""deadline: it ends, and says so."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline


@pytest.mark.parametrize(
    ("seconds", "later", "left", "passed"),
    [
        (10, 0, 10, False),
        (10, 9.5, 0.5, False),
        (10, 10, 0, True),
        (10, 11, 0, True),
        (0, 0, 0, True),
        (-5, 0, 0, True),
    ],
)
def test_deadline(monkeypatch, seconds, later, left, passed):
    now = [1000.0]
    monkeypatch.setattr(deadline.time, "monotonic", lambda: now[0])
    countdown = Deadline(seconds)
    now[0] += later
    assert (countdown.left(), countdown.passed()) == (left, passed)
