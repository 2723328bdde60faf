# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which programs are never restarted by a fix, only by a person who has looked at more than one node and program.

Sources: docs.docker.com "Live restore" (without it, containers stop with the daemon); etcd.io/docs "Runtime reconfiguration" and FAQ
(a majority of members must live); dbus-daemon(1): programs lose the bus with it, and many end. What k3s, RKE2, k0s, MicroShift and MicroK8s
call their units is in their documentation on how to start and stop them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports

API_SERVER = "kube-apiserver"
ETCD = frozenset({"etcd", "microshift-etcd"}) | known_ports.ALL_IN_ONE  # of the latter some have etcd inside
_DOCKER = frozenset({"dockerd", "docker.service"})
# Whoever is in them may be restarted only with all of the rest: the units of k3s, RKE2, k0s, MicroShift and MicroK8s.
_ALL_IN_ONE_UNITS = frozenset(
    {
        "k3s.service",
        "k3s-agent.service",
        "rke2-server.service",
        "rke2-agent.service",
        "k0scontroller.service",
        "k0sworker.service",
        "microshift.service",
        "snap.microk8s.daemon-kubelite.service",
    }
)
_MACHINE = ("systemd", "dbus")  # also systemd-logind, dbus-daemon, dbus-broker and their units


def why_not(names: Iterable[Optional[str]], unit: Optional[str]) -> str:
    """Why no fix restarts programs of these names, or this unit; empty where nothing is against it."""
    all_names = {name for name in (*names, unit) if name}
    if not _DOCKER.isdisjoint(all_names):
        return "without live-restore every container of the machine stops with dockerd"
    if not ETCD.isdisjoint(all_names) or "etcd.service" in all_names:
        return "it may hold a member of etcd, without a majority of which the API is away: whoever restarts it looks at all members first"
    if not _ALL_IN_ONE_UNITS.isdisjoint(all_names):
        return f"{unit} is all of Kubernetes on this node in one program"
    if any(name.startswith(_MACHINE) for name in all_names):
        return "the machine itself rests on it"
    return ""
