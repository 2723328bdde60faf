# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a file whole or not at all, readable by its owner alone."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Iterable


def write(path: str, pieces: Iterable[str]) -> None:
    """Write pieces of text, one after the other, as a file of mode 0600 that is there when it is complete. Raises OSError.

    What root writes belongs to the owner of the folder: a play with become must not lock the operator out of a bundle.
    """
    folder = os.path.dirname(path) or "."
    # made 0600 by tempfile
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".")
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            for piece in pieces:
                file.write(piece)
        if os.geteuid() == 0:
            owner = os.stat(folder)
            os.chown(temporary, owner.st_uid, owner.st_gid)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
