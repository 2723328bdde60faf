# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All sections of a node's snapshot in one go, within one budget; a section that fails never takes the others along."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    containers,
    first_samples,
    host_identity,
    listener_origin,
    listeners,
    log_scan,
    nodeport_sockets,
    pod_listeners,
    port_settings,
    proxy_rules,
    sockets,
    tcp_reader,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.first_samples import FirstSamples
from ansible_collections.kubenode.doctor.plugins.module_utils.host_pressure import Pressure
from ansible_collections.kubenode.doctor.plugins.module_utils.snapshot_request import SCHEMA, SECTIONS
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders

_TICK_SECONDS = 0.2  # between two looks at the run queue while the second sample is waited for


def collect(
    sections: Sequence[str],
    ports: Collection[int],
    budget_seconds: float,
    sample_seconds: float,
    netns: str = "host",
    log_seconds: int = 86400,
    first: Optional[FirstSamples] = None,
) -> dict[str, Any]:
    """Return ``{schema, sections: {name: section}, seconds, complete, missing}``.

    ``ports`` are the NodePort numbers of which every socket is wanted, ``sample_seconds`` lie at least between the two samples of
    what is sampled, and are added to the budget; ``netns`` are the network namespaces of tcp_states; logs are read ``log_seconds``
    back; ``first`` are the first samples, where they were taken. A section that was not reached in time or that broke is
    ``{complete: false, missing: [{what, why}]}``.
    """
    first = first or first_samples.take(sections, budget_seconds, sample_seconds, netns)
    run = _Run(ports, budget_seconds, log_seconds, first)
    done = {name: run.section(name) for name in SECTIONS if name in sections}
    missing = [
        {"what": f"{name}: {gap['what']}", "why": gap["why"]} for name, part in done.items() for gap in part["missing"]
    ]
    return {
        "schema": SCHEMA,
        "sections": done,
        "seconds": round(time.monotonic() - first.began, 3),
        "complete": not missing,
        "missing": missing,
    }


class _Run:
    """One look at a node."""

    def __init__(self, ports: Collection[int], budget_seconds: float, log_seconds: int, first: FirstSamples) -> None:
        self._ports = ports
        self._log_seconds = log_seconds
        self._budget_seconds = budget_seconds
        self._deadline = first.deadline
        self._wait = first.wait
        self._holders = SocketHolders(first.deadline)
        self._survey = first.survey
        self._pressure = first.pressure
        self._listeners: Optional[dict[str, Any]] = None
        self._proxy_mode: Optional[str] = None
        self._containers: Optional[containers.Seen] = None

    def section(self, name: str) -> dict[str, Any]:
        """Collect one section, whatever happens."""
        if self._deadline.passed():
            return _gap(name, f"the budget of {self._budget_seconds:g} s ended before it: raise budget_seconds")
        collectors: dict[str, Callable[[], dict[str, Any]]] = {
            "host": host_identity.collect,
            "port_settings": port_settings.collect,
            "listen_ports": self._seen_listeners,
            "listener_origin": lambda: listener_origin.section(self._seen_listeners(), self._deadline),
            "nodeport_conflict": self._nodeport_conflict,
            "proxy_rules": lambda: proxy_rules.collect(self._deadline, self._ports, self._proxy_mode),
            "tcp_states": self._tcp_states,
            "host_pressure": self._host_pressure,
            "containers": lambda: containers.section(self._seen_containers()),
            "pod_listeners": lambda: pod_listeners.collect(self._deadline, self._holders, self._seen_containers()),
            "logs": self._logs,
        }
        try:
            return collectors[name]()
        except (sockets.SocketsError, tcp_reader.ReaderError) as error:
            return _gap("sockets", str(error))
        except Exception as error:  # one broken section must not cost the node its others
            return _gap(name, f"{type(error).__name__}: {error}")

    def _tcp_states(self) -> dict[str, Any]:
        self._sleep()
        return self._survey.finish(self._holders)

    def _host_pressure(self) -> dict[str, Any]:
        self._sleep()
        return self._pressure.finish() if self._pressure else Pressure().finish()

    def _nodeport_conflict(self) -> dict[str, Any]:
        section = nodeport_sockets.collect(self._holders, self._ports)
        self._proxy_mode = section["proxy"]["mode"]
        return section

    def _seen_listeners(self) -> dict[str, Any]:
        """The sockets are read once, for the section that lists them and the one that explains some of them."""
        if self._listeners is None:
            self._listeners = listeners.collect(self._holders)
        return self._listeners

    def _seen_containers(self) -> containers.Seen:
        """The runtimes are asked once, for both sections that are about containers."""
        if self._containers is None:
            self._containers = containers.look(self._deadline)
        return self._containers

    def _logs(self) -> dict[str, Any]:
        """A journal on a slow disk gets its time, and no more than that."""
        return log_scan.collect(Deadline(min(self._deadline.left(), log_scan.TIMEOUT)), self._log_seconds)

    def _sleep(self) -> None:
        """Wait until the samples lie far enough apart, and look at the run queue meanwhile, when nobody else here runs."""
        while self._wait.left() and not self._deadline.passed():
            if self._pressure:
                with contextlib.suppress(Exception):  # one look more or less
                    self._pressure.tick()
            time.sleep(min(_TICK_SECONDS, self._wait.left(), self._deadline.left()))


def _gap(what: str, why: str) -> dict[str, Any]:
    return {"complete": False, "missing": [{"what": what, "why": why}]}
