# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waivers for tests, which hold from today on, whatever day that is."""

from __future__ import annotations

import datetime


def waiver(rule: str, reason: str = "known", days: int = 30, **more: str) -> dict[str, str]:
    """A waiver that ends in so many days, or has ended so many days ago."""
    until = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days)
    return {"rule": rule, "reason": reason, "owner": "ops", "until": until.isoformat(), **more}
