# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times of container runtimes, to the nanosecond."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.rfc3339 import nanoseconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2021-03-12T03:29:07Z", 1_615_519_747_000_000_000),
        ("2021-03-12T03:29:07.332584123Z", 1_615_519_747_332_584_123),
        ("2021-03-12T03:29:07.5Z", 1_615_519_747_500_000_000),
        ("2021-03-12T03:29:07.0000000019Z", 1_615_519_747_000_000_001),  # more than nanoseconds
        ("2021-03-12T11:29:07.5+08:00", 1_615_519_747_500_000_000),
        ("2021-03-11T23:59:07.5-03:30", 1_615_519_747_500_000_000),
        ("1969-12-31T23:59:59.25Z", -750_000_000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000_000_000),
    ],
)
def test_times(text, expected):
    assert nanoseconds(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01T00:00:00Z",  # Go's zero time: never
        "",
        "2021-03-12",
        "2021-13-12T03:29:07Z",
        "2021-02-30T03:29:07Z",
        "2021-03-12T03:29:60Z",
        "0000-01-01T00:00:00Z",
        "2021-03-12T03:29:07",
        " 2021-03-12T03:29:07Z",
        "2021-03-12T03:29:07Z\n",
        "٢٠٢١-03-12T03:29:07Z",
        None,
        1_615_519_747,
        ["2021-03-12T03:29:07Z"],
    ],
)
def test_what_is_no_time(value):
    assert nanoseconds(value) is None
