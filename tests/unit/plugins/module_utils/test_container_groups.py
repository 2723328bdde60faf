# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""container_groups: instances side by side, and what is left out when there are too many."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.container_groups import (
    exit_code,
    grouped,
    instance,
    within,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import Identity

POD = ("uid-1", "shop", "web-0")


def member(id_, state="exited", container="web", attempt=0, created_ns=None, pod=POD):
    return Identity(*pod, container, attempt), instance(id_, state, attempt=attempt, created_ns=created_ns)


def shape(groups):
    return [
        (group["namespace"], group["pod"], group["container"], [one["id"] for one in group["instances"]])
        for group in groups
    ]


def test_an_instance_has_every_key():
    one = instance("a", "running")
    assert {key for key, value in one.items() if value is not None} == {"id", "state", "own"}
    assert len(one) == 12


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (137, 137), (-1, -1), (1 << 31, None), (True, None), ("0", None), (1.0, None), (None, None)],
)
def test_exit_codes(value, expected):
    assert exit_code(value) == expected


def test_groups():
    groups = grouped(
        "containerd",
        [
            member("b", container="web", attempt=1, created_ns=5),
            member("a", container="web", attempt=10, created_ns=1),
            member("c", container="POD"),
            member("d", pod=("uid-2", "shop", "web-0")),  # a static pod of the same name, renewed
            member("e", pod=("uid-3", "default", "web-9")),
        ],
    )
    assert shape(groups) == [
        ("default", "web-9", "web", ["e"]),
        ("shop", "web-0", "POD", ["c"]),
        ("shop", "web-0", "web", ["a", "b"]),
        ("shop", "web-0", "web", ["d"]),
    ]
    assert [group["sandbox"] for group in groups] == [False, True, False, False]
    assert {group["runtime"] for group in groups} == {"containerd"}


def test_order_within_a_group():
    """By attempt, those of unknown attempt last; of one attempt the latest first, and one of unknown time before all."""
    members = [
        member("unknown", attempt=None, created_ns=9),
        member("second", attempt=2, created_ns=1),
        member("earlier", attempt=1, created_ns=1),
        member("later", attempt=1, created_ns=2),
        member("timeless", attempt=1),
    ]
    assert shape(grouped("cri-o", members))[0][3] == ["second", "timeless", "later", "earlier", "unknown"]


QUIET = [member("q1", "running", "a"), member("q2", "running", "b")]
DEAD = [member("d1", container="c"), member("d2", container="c", attempt=1)]
MANY = [member(f"m{number}", container="d", attempt=number) for number in range(5)]


@pytest.mark.parametrize(
    ("members", "most", "kept", "truncated"),
    [
        (QUIET + DEAD, 4, ["a", "b", "c"], (0, 0)),
        (QUIET + DEAD, 3, ["a", "c"], (1, 1)),  # one that runs, and nothing else, is of the least interest
        (QUIET + DEAD, 2, ["c"], (2, 2)),
        (QUIET + DEAD, 1, ["a"], (2, 3)),  # never a part of a group
        (QUIET + DEAD + MANY, 4, ["a", "b", "c"], (1, 5)),
        (MANY, 4, [], (1, 5)),
        ([], 4, [], (0, 0)),
    ],
)
def test_within(members, most, kept, truncated):
    groups, left_out = within(grouped("containerd", members), most)
    assert [group["container"] for group in groups] == kept
    assert left_out == {"groups": truncated[0], "instances": truncated[1]}
