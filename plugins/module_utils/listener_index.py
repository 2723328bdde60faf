# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which listener a connection belongs to: the one on its very address, else one on all addresses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry

WILDCARDS = {"ipv4": "0.0.0.0", "ipv6": "::"}  # noqa: S104 - compared, not bound


class ListenerIndex:
    """The ``listeners`` of one network namespace."""

    def __init__(self, listeners: Iterable[Entry]) -> None:
        self._found: dict[tuple[str, str, int], Entry] = {}
        self._on: defaultdict[int, list[Entry]] = defaultdict(list)
        for entry in listeners:
            self._found.setdefault((entry.family, entry.address, entry.port), entry)
            self._on[entry.port].append(entry)

    def on(self, port: int) -> list[Entry]:
        """All listeners on a port."""
        return self._on.get(port, [])

    def of(self, entry: Entry) -> Optional[Entry]:
        """The listener from which a socket may have come, None for one that went out from a port of its own.

        A connection has its listener's family: IPv4 that a listener on :: takes is v4-mapped IPv6.
        """
        exact = self._found.get((entry.family, entry.address, entry.port))
        return exact or self._found.get((entry.family, WILDCARDS[entry.family], entry.port))
