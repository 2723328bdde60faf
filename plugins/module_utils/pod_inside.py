# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look into the network of each pod: its waiting sockets, its addresses, and whether packets are redirected inside."""

from __future__ import annotations

from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import nat_tables, procfs_addresses
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import why_refused
from ansible_collections.kubenode.doctor.plugins.module_utils.net_namespaces import HOST, Namespace
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_network import Network, Networks
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_on_node import PodOnNode
from ansible_collections.kubenode.doctor.plugins.module_utils.pod_sockets import WaitingSockets
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry

BUDGET = "the time budget ended before it was looked at: raise budget_seconds"
_ATTEMPTS = 3  # at processes of a pod, any of which may end meanwhile


class Inside(NamedTuple):
    """What was seen of a network, through the process ``pid``; ``entries`` is None where ``why`` says why.

    ``addresses`` and ``redirects`` are None where they were not seen.
    """

    pid: int
    entries: Optional[list[Entry]]
    addresses: Optional[list[str]]
    redirects: Optional[bool]
    why: str


class Insides:
    """Looks into networks, into each one once; ``sockets`` counts how their sockets were read."""

    def __init__(self, deadline: Deadline, networks: Networks, proc: str = "/proc") -> None:
        self.sockets = WaitingSockets()
        self._deadline = deadline
        self._networks = networks
        self._proc = proc
        self._seen: dict[Network, Inside] = {}

    def of(self, pod: PodOnNode) -> Inside:
        """What is seen in a pod's network, whoever is in it."""
        first = pod.readers[0] if pod.readers else min(pod.processes)
        if pod.own_kernel is not None:
            why = f"its sockets are in a kernel of its own ({pod.own_kernel}), which this one does not show"
            return _nothing(first, why)
        if pod.network is None:
            return _nothing(first, "in which network it is could not be told: its processes ended, or are hidden")
        known = self._seen.get(pod.network)
        if known is not None:
            return known._replace(pid=first)
        if self._deadline.passed():
            return _nothing(first, BUDGET)
        inside = self._look(pod, pod.network)
        if pod.lent and inside.entries is not None:
            self._seen[pod.network] = inside
        return inside

    def _look(self, pod: PodOnNode, network: Network) -> Inside:
        inside = _nothing(pod.readers[0], "")
        for pid in pod.readers[:_ATTEMPTS]:
            inside = self._through(pid, pod, network)
            # Was it this process all the time? Then what was read is this network's.
            if inside.entries is not None and self._networks.is_still(pid, network):
                return inside
        return _nothing(inside.pid, inside.why or "the processes through which it is read ended meanwhile")

    def _through(self, pid: int, pod: PodOnNode, network: Network) -> Inside:
        own = self._networks.is_own(network)
        namespace = Namespace(HOST if own else network.name or "", None if own else pid, None, pod.uid, self._proc)
        try:
            entries = self.sockets.read(namespace)
        except OSError as error:
            return _nothing(pid, f"its sockets could not be read: {why_refused(error)}")
        except ValueError as error:
            return _nothing(pid, f"its sockets could not be read: {error}")
        if pod.lent:
            return Inside(pid, entries, None, None, "")
        return Inside(pid, entries, _addresses(namespace), nat_tables.has_rules(namespace), "")


def _addresses(namespace: Namespace) -> Optional[list[str]]:
    try:
        return procfs_addresses.addresses(namespace.net)
    except (OSError, ValueError):
        return None


def _nothing(pid: int, why: str) -> Inside:
    return Inside(pid, None, None, None, why)
