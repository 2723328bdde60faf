# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of molecule's nodes: prints the path of its tar, which is made when it is not in .cache.

python tests/support/molecule_image.py
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.tests.support import docker_nodes

# python3 for Ansible and the fake programs, ip, sysctl and iptables to arrange a scene, a journal, and an sshd.
_PACKAGES = ("python3", "iproute2", "procps", "iptables", "systemd-journal-remote", "openssh-server")

if __name__ == "__main__":
    sys.stdout.write(f"{docker_nodes.image(_PACKAGES)}\n")
