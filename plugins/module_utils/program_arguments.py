# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running program was started with. A command line may hold secrets: only the named flags are taken from it, and it goes nowhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import List, NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs

CMDLINE_LIMIT = 128 << 10


class Found(NamedTuple):
    """A running program; ``argv`` is [""] while it is ending."""

    pid: int
    comm: str
    argv: List[str]


def named(names: Collection[str], proc: str = "/proc") -> Tuple[List[Found], int]:
    """The programs of these names that share this network namespace, and of how many processes that could not be seen."""
    hidden = 0
    found: List[Found] = []
    for pid in procfs.pids(proc):
        try:
            comm = procfs.text(f"{proc}/{pid}/comm").rstrip("\n")
            if comm not in names:
                continue
            argv = procfs.text(f"{proc}/{pid}/cmdline", CMDLINE_LIMIT).rstrip("\0").split("\0")
        except PermissionError:
            hidden += 1
            continue
        except OSError:  # the process ended under our eyes
            continue
        if procfs.same_network_namespace(pid, proc) is not False:
            found.append(Found(pid, comm, argv))
    return found, hidden


def running(
    names: Collection[str], what: str, gaps: list[dict[str, str]], proc: str = "/proc"
) -> Iterator[tuple[str, list[str]]]:
    """(comm, arguments) of the programs of these names that share this network namespace.

    What keeps some from being seen is noted in ``gaps`` as ``what`` at the end, so the iterator is to be exhausted.
    """
    found, hidden = named(names, proc)
    yield from ((one.comm, one.argv) for one in found)
    why = procfs.why_hidden(hidden, proc)
    if not why and not found and procfs.in_host_pid_namespace(proc) is False:
        why = "this is a container with its own pid namespace, a program outside of it is invisible: run on the host"
    if why:
        gaps.append({"what": what, "why": why})


def flag(argv: Sequence[str], *names: str) -> Optional[str]:
    """The last value of a flag, "--name=value" or "--name value", None when it is not given."""
    value = None
    for argument, following in zip(argv[1:], [*argv[2:], ""]):
        name, equals, text = argument.partition("=")
        if name in names:
            value = text if equals else following
    return value


def switch(argv: Sequence[str], name: str) -> Optional[str]:
    """The same of a flag that is true or false: it needs no value, and takes none from the next argument."""
    value = None
    for argument in argv[1:]:
        given, equals, text = argument.partition("=")
        if given == name:
            value = text if equals else "true"
    return value
