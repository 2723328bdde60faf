# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a process is the program that its name says: anybody may call his own containerd.

Told by who runs it and by what its file was built from. k3s runs its containerd from its own file (k3s cmd/containerd).
"""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import go_programs, origin_kinds

# The programs that run others' code from their own file.
_ALSO_FROM = {"containerd": ("github.com/k3s-io/k3s",)}


def why(listener: dict[str, Any]) -> str:
    """Why the process that holds a listener may not be what its name says; "" where it is, and for names that claim nothing."""
    first, owner = origin_kinds.holder(listener), listener["owner"]
    if first is None:
        return "its process could not be seen" if listener["known_as"] else ""
    name = first["name"]
    if name not in go_programs.BUILT_FROM:
        return ""
    if first["pod_uid"]:
        return f"it runs in a pod, and {name} does not"
    if listener["uid"] not in (0, None):
        return f"it belongs to user {listener['uid']}, and {name} to root"
    if owner is None or owner["exe"] is None:
        return "its program could not be seen"
    return "" if _fits(name, owner) else f"its program is {owner['exe']}, which was not built as {name}"


def _fits(name: str, owner: dict[str, Any]) -> bool:
    module = owner["module"]
    if module is None:  # no program of Go, or one without its build information
        return bool(os.path.basename(owner["exe"]) == name)
    return go_programs.is_of(module, *go_programs.BUILT_FROM[name], *_ALSO_FROM.get(name, ()))
