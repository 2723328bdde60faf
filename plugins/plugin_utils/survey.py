# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey of a fleet: conclusions in sentences, what listens with which backlog, the nodes, the largest groups of connections.

It is data for any writer: all texts are untrusted where they come from nodes, and every writer cleans them for its medium.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    survey_conclusions,
    survey_nodes,
    survey_paths,
    survey_read,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey_scans import Scans
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey_services import Services
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey_talkers import Talkers


class Survey:
    """Adds up the hosts of a bundle. It keeps ten numbers a host; everything else is of the fleet, and bounded."""

    def __init__(self) -> None:
        self._states: dict[str, dict[str, int]] = {}
        self._services = Services()
        self._talkers = Talkers()
        self._scans = Scans()

    def learn(self, host: str, sections: Mapping[str, Any]) -> None:
        """Count one host that answered; hosts have to come in order, each once.

        A section that was not collected, or that cannot be read, leaves the host without states. The rules tell why.
        """
        self._scans.add(sections)
        try:
            seen = survey_read.read(sections["tcp_states"])
        except MISSHAPEN:
            return
        self._states[host] = seen.states
        self._services.add(host, seen.services, seen.queues)
        self._talkers.add(host, seen.streams)

    def document(
        self,
        hosts: Mapping[str, Mapping[str, Any]],
        findings: Sequence[dict[str, Any]],
        tally: Mapping[str, Mapping[str, Any]],
        networks: str = "",
        paths: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return what findings.json holds as ``survey``; the arguments are its ``hosts``, ``findings`` and ``rules``,
        in which network namespaces TCP was looked at (tcp_words.networks), and survey_paths.document::

        asked, answered, seen: numbers of hosts; seen are those whose TCP states were seen
        conclusions: [{kind, severity, rules, where, hosts, text}], in the order to be read
            kind: "wrong" (severity is the worst), "link" (rules: cause, effect), "fine", "seen" (no verdict: what was seen of
            something that is unknown) or "unknown"
            where: "on 2 of 51 hosts"; hosts: their names, [] where these are not told, and for what concerns the cluster
            text: what holds there, a clause without a full stop
        services: {rows: [{process, pods, ports, backlogs, hosts, same_hosts, usual, differs_on}], more: number of rows left out,
                   queues: {seen, unseen, fullest: [{host, process, port, pods, length, backlog}], [] all were empty}}
            process: null where it was not seen; pods: in network namespaces of pods; ports: [[low, high]], inclusive
            backlogs: of these ports on each of the hosts, [] not seen; hosts: the number that listens on each of the ports;
            same_hosts: false where these are others from port to port
            differs_on: [] or, where other hosts have another backlog on this port, the first 20 hosts of this row; usual: what
            most others have, [] where no two agree
        nodes: [{hosts, answered, why, kind, root, proxy_mode, kernels, components, some_components, listeners, random_ports,
                 states, faults, unknown}]: hosts of the same picture together (survey_nodes says what that is)
            kind: "control plane", "node", "no Kubernetes", null (not seen); kernels: [[release, hosts]]; some_components run
            on some of them; listeners, random_ports: [least, most], null (not seen)
            states: {state: {least, most, stands_out: host or null}}, null (not seen); faults: [{rule, object, severity,
            waived}]; unknown: [rule]
        states: {host: {state: sockets}}, hosts of which they were seen
        talkers: [{state, process, side, port, count, hosts, most: {host, count}, peers, top_peers: [{address, count}]}], largest
            first; side "local": came in to this port, "peer": goes out to it; peers: the most distinct ones of one host, null
            not seen; top_peers: at least so many over the fleet
        scans: {containers: {hosts, partly, of_kubernetes, others, runtimes: {name: hosts}},
                logs: {hosts, partly, sources: {journal, kernel, pod: {hosts, back}}}}
            hosts: on so many it was looked at, on ``partly`` of them not at all of it; of_kubernetes, others: containers;
            back: [least, most] seconds that a host was read back, [] where nothing there had a time
        paths: {known, services, ports, bare, endpoints: {listening, deaf, unseen, no_pod}, hosts, pods}
            known: whether Services and their endpoints were read; services, ports: those that kube-proxy handles; bare: ports
            without an endpoint; endpoints: that packets are sent to: where a pod listens, where it was seen not to, where it was
            not seen, and those that are no pods; pods: that were seen, on so many hosts
        """
        services = self._services.document()
        return {
            "asked": len(hosts),
            "answered": sum(state["answered"] for state in hosts.values()),
            "seen": len(self._states),
            "conclusions": survey_conclusions.conclusions(
                findings, tally, hosts, services["queues"], len(self._states), networks
            ),
            "services": services,
            "nodes": survey_nodes.pictures(hosts, self._states, findings),
            "states": self._states,
            "talkers": self._talkers.document(),
            "scans": self._scans.document(),
            "paths": dict(paths or survey_paths.nothing()),
        }
