# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has containerd itself read a configuration before it is restarted with it: ``containerd --config FILE config dump`` prints what it understood.

It starts nothing and writes nothing (cmd/containerd/command/config.go; seen with 1.6.20). A text that is in no file yet is given to it in one
that lies in memory. What it prints may hold passwords of registries, and goes nowhere.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import toml_lines
from ansible_collections.kubenode.doctor.plugins.module_utils.configuration import Values
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.program_lines import Program

_SECONDS = 20.0  # 0.04 s were seen
_MOST_BYTES = 4 << 20
_LONGEST_LINE = 1 << 20
# The files that were read, the configuration itself among them.
_FILES = ("imports",)


def dump(program: str, path: str, deadline: Deadline) -> Optional[Values]:
    """What containerd understands of the configuration in a file; None when it refuses it, or does not answer in time."""
    command = (program, "--config", path, "config", "dump")
    try:
        with Program(command, Deadline(min(_SECONDS, deadline.left())), _MOST_BYTES, _LONGEST_LINE) as asked:
            text = b"\n".join(asked.lines()).decode("utf-8", "replace")
    except OSError:
        return None
    return toml_lines.read(text) if asked.status == 0 and not asked.long_lines else None


def dump_text(program: str, text: str, deadline: Deadline) -> Optional[Values]:
    """The same of a text. Raises OSError where there are no files in memory."""
    with _in_memory(text) as path:
        return dump(program, path, deadline)


def differences(before: Values, after: Values) -> frozenset[toml_lines.Path]:
    """The settings in which two answers differ."""
    paths = before.keys() | after.keys()
    return frozenset(path for path in paths if path != _FILES and before.get(path) != after.get(path))


@contextlib.contextmanager
def _in_memory(text: str) -> Iterator[str]:
    descriptor = os.memfd_create("config.toml")
    with open(descriptor, "wb", buffering=0) as file:
        left = memoryview(text.encode("utf-8"))
        while left:
            left = left[file.write(left) or 0 :]
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
