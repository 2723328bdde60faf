# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kernel_modules: is a module there, without asking it."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import kernel_modules

LOADED = "nft_compat 20480 5 - Live 0xffffffffc0a55000\nnf_tables 376832 1423 nft_compat,nft_chain_nat, Live 0xffffffffc0a4e000\n"
OTHERS = "nf_tables_set 16384 0 - Live 0x0000000000000000\n"
BUILT_IN = "kernel/net/netfilter/nfnetlink.ko\nkernel/net/netfilter/nf_tables.ko\n"


@pytest.mark.parametrize(
    ("modules", "built_in", "expected"),
    [
        (None, None, True),
        (LOADED, None, True),
        (OTHERS, BUILT_IN, True),
        (OTHERS, "kernel/net/netfilter/nfnetlink.ko\n", False),
        ("", "", False),
        (OTHERS, None, None),
    ],
    ids=["a kernel without modules", "loaded", "built in", "not there", "no modules at all", "nobody tells"],
)
def test_may_be_asked(node, modules, built_in, expected):
    if modules is not None:
        node.file("/proc/modules", modules)
    if built_in is not None:
        node.file(f"/lib/modules/{os.uname().release}/modules.builtin", built_in)
    assert kernel_modules.may_be_asked("nf_tables", str(node.root)) is expected


def test_a_list_that_cannot_be_read(node):
    node.file("/proc/modules/folder", "")
    assert kernel_modules.may_be_asked("nf_tables", str(node.root)) is None
