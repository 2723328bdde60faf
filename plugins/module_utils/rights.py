# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this process may do by its capabilities, root or not, and what to say where one is missing (docs/privileges.md)."""

from __future__ import annotations

import os

READ_FILES, TRACE, ENTER, NETWORK = "CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_NET_ADMIN"
# include/uapi/linux/capability.h. Who may write all files may read them as well (fs/namei.c generic_permission).
_NUMBERS = {READ_FILES: (1, 2), TRACE: (19,), ENTER: (21,), NETWORK: (12,)}
_STATUS = "/proc/self/status"
_EFFECTIVE = "CapEff:"  # 16 hexadecimal digits follow (proc_pid_status(5))


def effective() -> int:
    """The capabilities of this process as a set of bits; none where the kernel does not tell them."""
    try:
        with open(_STATUS, encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
        return int(next(line for line in lines if line.startswith(_EFFECTIVE))[len(_EFFECTIVE) :], 16)
    except (OSError, StopIteration, ValueError):
        return 0


def has(capability: str) -> bool:
    """Whether it may do what one of the four above permits."""
    held = effective()
    return any(held >> number & 1 for number in _NUMBERS[capability])


def cure(*capabilities: str) -> str:
    """What to do when all of these are needed, and something was refused.

    Who has some capabilities without being root was given them one by one, and is told which ones to add.
    """
    if os.geteuid() == 0:
        # Of root, only files on other machines are kept, and those of users in other namespaces.
        named = [one for one in capabilities if one != READ_FILES] or capabilities
        return f"run as root that has {' and '.join(named)}"
    lacking = [one for one in capabilities if not has(one)]
    return f"run with {' and '.join(lacking)} as well" if lacking and effective() else "run with become (-b)"
