# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for get-pip.py: ensurepip's pip installs what get-pip.py is asked for (pip==24.2 and the like)."""

from __future__ import annotations

import subprocess
import sys


def main() -> int:
    """Return pip's exit status."""
    # In a process of its own: it switches pip's configuration files off for the rest of the process.
    subprocess.run([sys.executable, "-m", "ensurepip"], check=True)
    packages = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
    return subprocess.run([sys.executable, "-m", "pip", "install", *packages], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
