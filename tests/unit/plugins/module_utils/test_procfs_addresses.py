# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""procfs_addresses: as the kernel printed them, and what is no such table."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs_addresses

FIXTURES = Path(__file__).parents[3] / "fixtures" / "pods"
NO_ROUTES = "Main:\n  +-- 0.0.0.0/0 3 0 5\n"
DUPLICATE = "fd000010000000000000000000000013 03 40 00 88     eth0\n"


def addresses(folder, fib_trie=None, if_inet6=None):
    if fib_trie is not None:
        (folder / "fib_trie").write_text(fib_trie)
    if if_inet6 is not None:
        (folder / "if_inet6").write_text(if_inet6)
    return procfs_addresses.addresses(str(folder))


def test_as_the_kernel_tells_them(tmp_path):
    fib_trie, if_inet6 = ((FIXTURES / f"{name}.txt").read_text("ascii") for name in ("fib_trie", "if_inet6"))
    assert "169.254.7.7" in fib_trie
    assert if_inet6.startswith("fe80")
    assert addresses(tmp_path, fib_trie, if_inet6) == ["10.244.0.19", "fd00:10::13"]


@pytest.mark.parametrize(
    ("fib_trie", "if_inet6", "expected"),
    [
        (NO_ROUTES, "", []),
        (NO_ROUTES, None, []),  # IPv6 is switched off
        ("     |-- 10.0.0.1\n        /32 host LOCAL\n", None, ["10.0.0.1"]),
        ("     |-- 10.0.0.1\n        /32 link UNICAST\n", None, []),
        # A leaf with routes of several lengths
        ("     |-- 10.0.0.0\n        /24 link UNICAST\n        /32 host LOCAL\n", None, ["10.0.0.0"]),
        ("        /32 host LOCAL\n", None, []),
        (NO_ROUTES, DUPLICATE, []),
    ],
)
def test_tables(tmp_path, fib_trie, if_inet6, expected):
    assert addresses(tmp_path, fib_trie, if_inet6) == expected


@pytest.mark.parametrize(
    ("fib_trie", "if_inet6"),
    [
        (NO_ROUTES, "nonsense\n"),
        (NO_ROUTES, "xx 03 40 00 80 eth0\n"),
        (NO_ROUTES, "fd00 03 40 00 80 eth0\n"),
        ("     |-- 10.0.0.1.1\n        /32 host LOCAL\n", None),
    ],
)
def test_no_such_table(tmp_path, fib_trie, if_inet6):
    with pytest.raises(ValueError, match=r"\w"):
        addresses(tmp_path, fib_trie, if_inet6)


def test_no_process_any_more(tmp_path):
    with pytest.raises(FileNotFoundError):
        addresses(tmp_path)
