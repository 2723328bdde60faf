# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times as container runtimes write them, to the nanosecond, which datetime does not keep."""

from __future__ import annotations

import calendar
import datetime
import re
from typing import Any, Optional

# 2021-03-12T03:29:07.332584123Z   2023-01-01T12:00:00+01:00
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9})[0-9]*)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_NEVER = 1  # the year of Go's zero time, 0001-01-01T00:00:00Z


def nanoseconds(value: Any) -> Optional[int]:
    """Nanoseconds since 1970, None for what is no such time and for Go's zero time, which stands for "never"."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    *numbers, fraction, zone = found.groups()
    year, month, day, hour, minute, second = (int(number) for number in numbers)
    if year == _NEVER:
        return None
    try:
        moment = datetime.datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    seconds = calendar.timegm(moment.timetuple()) - _offset_seconds(zone)
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


def _offset_seconds(zone: str) -> int:
    if zone == "Z":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return -seconds if zone[0] == "-" else seconds
