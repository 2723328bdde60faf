# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cure changes a kernel setting by hand.

The line is added to its file, after an empty one: what is there stays, also where its last line has no end, and of one file the last line
counts (sysctl.d(5)). Which of several files counts, only a look at the machine tells, as the fixes have it (module_utils/sysctl_setting).
"""

from __future__ import annotations

import shlex

LATER = "a file that is read later and sets it too wins at boot"
LATER_BUT_FOR_FIX = f"{LATER}, which the fix finds out"


def commands(key: str, value: object, file: str) -> tuple[str, str]:
    """The two commands that set a kernel setting now and at each boot; ``file`` is one of /etc/sysctl.d."""
    return f"printf '\\n%s\\n' {shlex.quote(f'{key} = {value}')} >> {file}", f"sysctl -p {file}"
