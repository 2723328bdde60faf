# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that node_exporter's textfile collector reads: whole at any moment, and readable by a program of another user.

The collector takes every ``*.prom`` of its folder (node_exporter, collector/textfile.go), so what is half written has another ending.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError

ENDING = ".prom"
_MODE = 0o644  # a bundle's files are for their owner alone; these numbers are for node_exporter's user


def check(path: Path) -> None:
    """Refuse, before anything is written, a path that the collector would not read. Raises BundleError."""
    if path.suffix != ENDING or path.name == ENDING:
        raise BundleError(f"metrics_file: {path} does not end in {ENDING}: node_exporter would not read it")
    if not path.parent.is_dir():
        raise BundleError(
            f"metrics_file: there is no folder {path.parent}: name the one that node_exporter's --collector.textfile.directory names"
        )


def write(path: Path, text: str) -> None:
    """Write the metrics. Raises BundleError."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                os.fchmod(file.fileno(), _MODE)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise BundleError(f"metrics_file: {path} could not be written: {error.strerror}") from error
