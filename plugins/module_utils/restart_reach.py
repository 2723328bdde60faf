# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes down with the restart of a container runtime's unit: its containers, and the units that systemd restarts with it.

systemd.unit(5): a unit that requires another, is bound to it or is part of it is restarted, or stopped, with it; cri-docker.service is bound to
containerd.service, Debian's docker.service requires it. systemd.kill(5): without KillMode=process all processes of the unit's
cgroup are killed; there are containerd's shims, and CRI-O's conmon before it has moved (cri-o contrib/systemd/crio.service).
"""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.module_utils import cgroup, procfs, restart_limits, unit_state
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.unit_state import UnitError

_DEPENDENTS = ("RequiredBy", "BoundBy", "RequisiteOf", "ConsistsOf", "PropagatesStopTo")
_ONLY_ITSELF = frozenset({"process", "none"})
_KEEPERS = ("containerd-shim", "conmon")  # processes without which a container ends
_MOST_UNITS = 50


def why_not(unit: str, deadline: Deadline, root: str, proc: str) -> str:
    """Why containers would not survive the restart of a runtime's unit; empty where they do. Raises UnitError."""
    (told,) = unit_state.show([unit], ("KillMode",), deadline, root)
    mode = told["KillMode"]
    if mode not in _ONLY_ITSELF and _keeps_containers(unit, proc):
        return f"{unit} has KillMode={mode or 'of its own'}: its restart would kill what keeps this node's containers alive"
    for other in also(unit, deadline, root):
        limit = restart_limits.why_not([], other)
        if limit:
            return f"systemd would restart {other} with {unit}: {limit}"
    return ""


def also(unit: str, deadline: Deadline, root: str) -> list[str]:
    """The active units that systemd restarts with it, and with those. Raises UnitError."""
    found: list[str] = []
    asked, pending = {unit}, [unit]
    while pending:
        told = unit_state.show(pending, ("Id", "ActiveState", *_DEPENDENTS), deadline, root)
        active = [one for one in told if one["ActiveState"] == "active"]
        found += [one["Id"] for one in active if one["Id"] != unit and one["Id"] not in found]
        names = {name for one in active for kind in _DEPENDENTS for name in one[kind].split()} - asked
        pending = sorted(names)
        asked |= names
        if len(asked) > _MOST_UNITS:
            raise UnitError(f"more than {_MOST_UNITS} units depend on {unit}")
    return found


def _keeps_containers(unit: str, proc: str) -> bool:
    for pid in procfs.pids(proc):
        if not (procfs.comm(pid, proc) or "").startswith(_KEEPERS):
            continue
        try:
            path = cgroup.path_of(procfs.text(f"{proc}/{pid}/cgroup"))
        except OSError:  # it ended under our eyes
            continue
        if cgroup.owner(path).unit == unit:
            return True
    return False
