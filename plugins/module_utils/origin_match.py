# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a program's goroutines that wait in Accept is behind one of its listeners.

A dump names servers and no ports. So what remains decides: of the servers of a program, those are left out that its other listeners are known
to be. One that remains is the server of this listener.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Optional


def candidates(
    kind: Optional[str], others: Collection[Optional[str]], accepting: Sequence[Mapping[str, Any]]
) -> list[int]:
    """The indexes in ``accepting`` (go_dump's) of the servers that may be behind a listener; of equal servers the first.

    ``kind`` is what everything but the dump takes the listener for, ``others`` the same of the program's other TCP listeners; None is not known.
    """
    servers: dict[str, int] = {}
    for index, goroutine in enumerate(accepting):
        if goroutine["network"] != "unix":
            servers.setdefault(goroutine["server"], index)
    left = [
        index
        for index in servers.values()
        if accepting[index]["kind"] is None or accepting[index]["kind"] not in others
    ]
    same = [index for index in servers.values() if kind is not None and accepting[index]["kind"] == kind]
    # A server of the very kind that the listener is taken for confirms that; also where it has a twin, one for each address family.
    return same or left
