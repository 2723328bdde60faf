# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first of two samples of a node. It needs little code: the node then reads the rest while the time between the samples passes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.host_pressure import Pressure
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_states import Survey


class FirstSamples(NamedTuple):
    """When it was begun, until when all has to be there, how long to wait for the second samples, and who takes these."""

    began: float
    deadline: Deadline
    wait: Deadline
    survey: Survey
    pressure: Optional[Pressure]


def take(sections: Collection[str], budget_seconds: float, sample_seconds: float, netns: str = "host") -> FirstSamples:
    """See snapshot.collect. What keeps a sample from being taken is told by its section, which meets the same again."""
    began = time.monotonic()
    deadline = Deadline(budget_seconds + sample_seconds)
    survey, pressure = Survey(deadline, netns), None
    if "tcp_states" in sections:
        with contextlib.suppress(Exception):
            survey.first_sample()
    if "host_pressure" in sections:
        with contextlib.suppress(Exception):
            pressure = Pressure()
    return FirstSamples(began, deadline, Deadline(sample_seconds), survey, pressure)
