# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cure changes a kernel setting."""

from __future__ import annotations

import shlex


def commands(key: str, value: object, file: str) -> tuple[str, str]:
    """The two commands that set a kernel setting now and at each boot; ``file`` is one of /etc/sysctl.d."""
    return f"printf '%s\\n' {shlex.quote(f'{key} = {value}')} > {file}", f"sysctl -p {file}"
