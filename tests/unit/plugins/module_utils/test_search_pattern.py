# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""search_pattern: it finds what holds a literal, and little else."""

from __future__ import annotations

import re

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import search_pattern
from ansible_collections.kubenode.doctor.plugins.module_utils.signatures import SIGNATURES

ANCHORS = sorted({wording.anchor for signature in SIGNATURES for wording in signature.wordings})


@pytest.mark.parametrize(
    ("literals", "pattern"),
    [
        (["abc"], "abc"),
        (["a.c("], r"a\.c\("),
        (["abx", "abz"], "(?=[a][b][xz])ab(?:x|z)"),
        (["ax", "abz"], "a(?:bz|x)"),
        # One that another begins with finds that as well.
        (["ab", "abz"], "ab"),
        # "z" is rare and still leaves enough to be recognised; "k" does not.
        (["one zebra in the tank"], r"zebra\ in\ the\ tank"),
        (["so many K"], r"so\ many\ K"),
    ],
)
def test_pattern(literals, pattern):
    # Python 3.6 and older escape more, 3.7 and newer do not differ.
    assert search_pattern.any_of(literals) == pattern


@pytest.mark.parametrize("anchor", ANCHORS)
def test_every_anchor_of_the_catalogue_is_found(anchor):
    found = re.compile(search_pattern.any_of(ANCHORS))
    assert found.search(f'E0322 21:05:33.780814 1115805 pod_workers.go:191] "{anchor}" and more')
    assert found.search(anchor)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '"SyncLoop (PLEG): event for pod" pod="kube-system/coredns-7db6d8ff4d-abcde" event={"ID":"x","Type":"ContainerStarted"}',
        "I0312 03:29:08.642808 1 plugins.go:158] Loaded 12 mutating admission controller(s) successfully in the following order",
    ],
)
def test_the_rest_is_let_alone(text):
    assert not re.search(search_pattern.any_of(ANCHORS), text)
