# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Points in time that nodes tell, in words. They are untrusted numbers: any size, and by whatever clock the node had then."""

from __future__ import annotations

import datetime

from ansible_collections.kubenode.doctor.plugins.plugin_utils import tcp_words

_NO_DATE = "a time that no calendar has"


def utc(seconds: float | None) -> str:
    """``2026-11-21T08:00:00Z`` for seconds since 1970; None was not seen."""
    if seconds is None:
        return "a time that was not told"
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    except (OverflowError, ValueError, OSError):
        return _NO_DATE
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def utc_ns(nanoseconds: int) -> str:
    """The same for nanoseconds, in which runtimes tell their times."""
    return utc(nanoseconds / 1e9)


def relative(seconds: float, now: float) -> str:
    """``12 min before the look`` or ``5 h after it``: what lies after the look has a time that the clock has not reached yet."""
    if seconds > now:
        return f"{tcp_words.age(seconds - now)} after the look"
    return f"{tcp_words.age(now - seconds)} before the look"


def span(seconds: float) -> str:
    """``0.4 s``, ``2.5 s``, ``45 s``, ``12 min``, ``9 h``: how much time that is; small ones are told to the tenth."""
    return f"{seconds:.1f} s" if seconds < 10 else tcp_words.age(seconds)
