# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of the inventory that says one thing, whatever module it is asked by: its Python prints it."""

from __future__ import annotations

from pathlib import Path


def variables(folder: Path, answer: str) -> dict[str, str]:
    """What the inventory has of it. The answer has no single quote."""
    interpreter = folder / f"python-{len(list(folder.iterdir()))}"
    interpreter.write_text(f"#!/bin/sh\nprintf '%s\\n' '{answer}'\n")
    interpreter.chmod(0o755)
    return {"ansible_connection": "local", "ansible_python_interpreter": str(interpreter)}
