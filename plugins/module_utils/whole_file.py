# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a file whole or not at all, readable by its owner alone."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Iterable

PREFIX = ".kubenode-doctor-"  # of what a killed run leaves, so that it is told from anybody else's hidden file


def write(path: str, pieces: Iterable[str]) -> None:
    """Write pieces of text, one after the other, as a file of mode 0600 that is there when it is complete. Raises OSError."""
    # made 0600 by tempfile
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=PREFIX)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            for piece in pieces:
                file.write(piece)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
