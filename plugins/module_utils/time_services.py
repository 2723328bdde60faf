# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which services that keep the clock are installed on a node, whether or not they run: by their unit files.

Folders and their order are those of systemd.unit(5); a link to /dev/null, or an empty file, masks a unit.
"""

from __future__ import annotations

import os
import stat
from typing import List, Optional

# As distributions call them, the best to have first: chrony corrects a clock that is far off, and keeps it where the network comes and goes.
UNITS = (
    "chrony.service",  # Debian, Ubuntu
    "chronyd.service",  # Fedora, RHEL, SUSE, Arch
    "ntpsec.service",
    "ntp.service",  # Debian up to 11, Ubuntu
    "ntpd.service",  # RHEL up to 7, SUSE, Arch
    "openntpd.service",
    "systemd-timesyncd.service",
)
_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_ABSENT = (FileNotFoundError, NotADirectoryError)


def installed(root: str = "/") -> Optional[List[str]]:
    """The units that can be switched on, in the order of UNITS; None where the folders may not be looked into."""
    try:
        return [unit for unit in UNITS if _is_usable(root, unit)]
    except OSError:
        return None


def _is_usable(root: str, unit: str) -> bool:
    """Raises OSError."""
    for folder in _FOLDERS:
        path = os.path.join(root, folder.lstrip("/"), unit)
        try:
            found = os.lstat(path)
        except _ABSENT:
            continue
        if stat.S_ISLNK(found.st_mode):
            # A link to a file of another name is another name of that unit, and one to /dev/null masks this one.
            return os.path.basename(os.readlink(path)) == unit
        return stat.S_ISREG(found.st_mode) and found.st_size > 0
    return False
