# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook that tells why something listens on one port of one host, as a command to run where Ansible runs."""

from __future__ import annotations

import shlex

# A command that begins so changes nothing and names its host: it may stand beside other hosts' findings.
PROGRAM = "ansible-playbook kubenode.doctor.whose_port"


def command(host: str, port: int) -> str:
    """``ansible-playbook kubenode.doctor.whose_port -e listener_port=37231 -l node-a``."""
    limit = (f"--limit={host}",) if host.startswith("-") else ("-l", host)
    return f"{PROGRAM} {shlex.join(('-e', f'listener_port={port}', *limit))}"
