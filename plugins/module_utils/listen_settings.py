# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which setting decides the port of a listener: by the program that holds it, then by the port, else by the way it was drawn.

A setting is told as it is in the files now; a program that was not started since it was changed listens as it was before. So
``modified`` tells when the file that sets the port was changed, else the file where it would be set: it may have been in there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    cgroup,
    cri_config,
    crio_config,
    known_ports,
    kubelet_config,
    program_arguments,
    reach,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import Files
from ansible_collections.kubenode.doctor.plugins.module_utils.configuration import Configuration

# The program by the kernel's name of its process.
_PROGRAMS = {
    **{name: name for name in (kubelet_config.PROGRAM, *cri_config.NAMES)},
    crio_config.COMM: crio_config.PROGRAM,
}


def collect(proc: str = "/proc", root: str = "/") -> dict[str, Any]:
    """Return ``{settings, complete, missing}``: all settings of kubelet and the CRI runtimes here that open a port.

    A setting has the fields of configuration.Configuration. One that is off opens no port and is not among them.
    """
    gaps: list[dict[str, str]] = []
    running = list(program_arguments.running(_PROGRAMS, "kubelet and CRI runtime processes", gaps, proc))
    files = Files(root, gaps)
    found = dict.fromkeys((*kubelet_config.collect(running, files), *cri_config.configurations(running, files)))
    missing = list({(gap["what"], gap["why"]): gap for gap in gaps}.values())
    told = [setting._replace(modified=_modified(setting, files)).told() for setting in found]
    return {"settings": told, "complete": not missing, "missing": missing}


def _modified(setting: Configuration, files: Files) -> Optional[str]:
    path = setting.file or (setting.edit and setting.edit.file)
    return files.modified(path) if path else None


def deciding(
    listener: dict[str, Any], settings: Sequence[dict[str, Any]], listeners: Iterable[dict[str, Any]] = ()
) -> Optional[dict[str, Any]]:
    """The one of ``settings`` that decides this listener's port, None when none does or several may.

    ``listeners`` are all of the node, if they are known: of two that may have drawn the port of one setting, it decides neither.
    """
    candidates = _candidates(listener, settings)
    if len(candidates) != 1:
        return None
    decides = candidates[0]
    if decides["port"] is None:
        rivals = (other for other in listeners if _place(other) != _place(listener))
        if any(decides in _candidates(other, settings) for other in rivals):
            return None
    return decides


def _candidates(listener: dict[str, Any], settings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The settings that name this listener's port; without any, those that may have let it draw one."""
    own = [one for one in _own(listener, settings) if _may_be_its_address(one["address"], listener["address"])]
    fixed = [setting for setting in own if setting["port"] == listener["port"]]
    if fixed:
        return fixed
    return [setting for setting in own if setting["port"] is None] if _is_drawn(listener) else []


def _own(listener: dict[str, Any], settings: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The settings of the programs that hold a listener on TCP."""
    if listener["protocol"] != "tcp" or listener["state"] != "listen":
        return []
    names = [process["name"] for process in listener["processes"]] or [cgroup.program(listener["cgroup"])]
    programs = {_PROGRAMS.get(name) for name in names}
    return [setting for setting in settings if setting["program"] in programs]


def _is_drawn(listener: dict[str, Any]) -> bool:
    """Was its port drawn? One that was drawn before the range was changed stays, so what known_ports takes for drawn is."""
    known = listener["known_as"]
    if known is not None and known["role"] != known_ports.STREAMING:
        return False
    if listener["ephemeral"] is not False:
        return True
    return known is not None and listener["port"] not in known_ports.STREAMING_PORTS


def _place(listener: dict[str, Any]) -> tuple[Any, ...]:
    return listener["family"], listener["address"], listener["port"]


def _may_be_its_address(told: str, bound: str) -> bool:
    """May a program that is told the one address be bound to the other? "" leaves it to the program.

    Go listens on :: when it is told 0.0.0.0, so all addresses are all addresses. A name is not looked up.
    """
    if told == "localhost":
        return reach.of(bound) == reach.LOOPBACK
    try:
        wanted = ipaddress.ip_address(told)
    except ValueError:
        return True
    if wanted.is_unspecified:
        return reach.of(bound) == reach.EVERYWHERE
    try:
        return wanted == _plain(bound)
    except ValueError:
        return False


def _plain(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address
