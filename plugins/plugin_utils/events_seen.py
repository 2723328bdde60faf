# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster's Warning Events, by the object that they are about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import cluster_gaps, moments

Object = dict[str, Any]

_MESSAGE = 300  # characters


class Events:
    """All Events of a cluster. ``gap`` says why there are none to be asked for; empty when they were read."""

    def __init__(self, cluster: Object) -> None:
        self.gap = cluster_gaps.gap(cluster, "events")
        self._found: dict[tuple[str, str, str], list[Object]] = {}
        for event in cluster["events"] or ():
            self._found.setdefault((event["kind"], event["namespace"], event["name"]), []).append(event)

    def of(self, kind: str, namespace: str, name: str, uid: str | None = None) -> list[Object]:
        """The Events about an object, the newest first; with ``uid`` not those of an earlier object of the same name.

        Services are asked for without: kube-proxy writes their name where the uid belongs.
        """
        found = self._found.get((kind, namespace, name), [])
        if uid:
            found = [event for event in found if event["uid"] in (uid, None, "")]
        return sorted(found, key=lambda event: (-(event["last"] or 0.0), event["reason"] or ""))


def words(event: Object) -> str:
    """``Unhealthy, 12 times, last at 2026-11-21T00:48:32Z: Readiness probe failed: …``."""
    times = f", {event['count']} times" if (event["count"] or 0) > 1 else ""
    last = f", last at {moments.utc(event['last'])}" if event["last"] is not None else ""
    message = " ".join((event["message"] or "").split())
    return f"{event['reason'] or 'without a reason'}{times}{last}: {message[:_MESSAGE]}"


def lines(events: Iterable[Object], most: int) -> list[str]:
    """The first of these Events, each as a line of evidence."""
    return [f"event {words(event)}" for event in list(events)[:most]]
