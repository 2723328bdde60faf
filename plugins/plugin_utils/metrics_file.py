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
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError

ENDING = ".prom"
_MODE = 0o644  # a bundle's files are for their owner alone; these numbers are for node_exporter's user


def check(path: Path) -> None:
    """Refuse, before anything is written, a path that the collector would not read or this user may not write. Raises BundleError."""
    if path.suffix != ENDING or path.name == ENDING:
        raise BundleError(f"metrics_file: {path} does not end in {ENDING}: node_exporter would not read it")
    if not path.parent.is_dir():
        raise BundleError(
            f"metrics_file: there is no folder {path.parent}: name the one that node_exporter's --collector.textfile.directory names"
        )
    if path.is_dir():
        raise BundleError(f"metrics_file: {path} is a folder: name a file in it that ends in {ENDING}")
    with _told(path):
        descriptor, temporary = _temporary(path)
        os.close(descriptor)
        os.unlink(temporary)


def write(path: Path, text: str) -> None:
    """Write the metrics. Raises BundleError."""
    with _told(path):
        descriptor, temporary = _temporary(path)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                os.fchmod(file.fileno(), _MODE)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def _temporary(path: Path) -> tuple[int, str]:
    return tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BundleError(f"metrics_file: {path} could not be written: {error.strerror}") from error
