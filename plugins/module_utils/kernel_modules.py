# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a part of the kernel there already? To ask the part itself would load it: a netlink socket of a family does, and its requests do."""

from __future__ import annotations

import os
from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import regular_file

_LIMIT = 1 << 20  # bytes; /proc/modules has 20 KB on a big machine, modules.builtin 30 KB


def may_be_asked(name: str, root: str = "/") -> Optional[bool]:
    """Whether asking the module ``name`` loads nothing: it is loaded or built in, or this kernel loads no modules at all.

    False when it is not there, None when that cannot be told.
    """
    try:
        loaded = procfs.text(os.path.join(root, "proc/modules"), _LIMIT)
    except FileNotFoundError:  # CONFIG_MODULES is off
        return True
    except OSError:
        return None
    # nf_tables 376832 1423 nft_compat,nft_chain_nat, Live 0xffffffffc0a4e000
    if any(line.split(" ", 1)[0] == name for line in loaded.splitlines()):
        return True
    return _is_built_in(name, root)


def _is_built_in(name: str, root: str) -> Optional[bool]:
    path = os.path.join(root, "lib/modules", os.uname().release, "modules.builtin")
    try:
        built_in = regular_file(path, _LIMIT)
    except OSError:
        return None
    # kernel/net/netfilter/nf_tables.ko
    return any(os.path.basename(line) == f"{name}.ko" for line in built_in.splitlines())
