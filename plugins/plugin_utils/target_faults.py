# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Services whose packets arrive at pods that do not answer them, by the reason: one fault a Service and reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import target_verdict
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import ServicePort, Target
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_verdict import Listening

if TYPE_CHECKING:
    from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context


class FaultyPort(NamedTuple):
    """A Service port and its endpoints in use that do not answer for one and the same reason."""

    entry: ServicePort
    targets: tuple[Target, ...]

    @property
    def seen(self) -> int:
        """How many of its endpoints in use could be judged."""
        return sum(target.verdict.kind != target_verdict.UNSEEN for target in self.entry.targets)

    @property
    def answering(self) -> list[Target]:
        """Its endpoints that do answer."""
        return self.entry.by_kind(target_verdict.LISTENS)

    @property
    def place(self) -> int:
        """Its place in spec.ports of the Service."""
        return next(index for index, port in enumerate(self.entry.service["ports"]) if port is self.entry.port)


class Fault(NamedTuple):
    """What is wrong with a Service, for one reason. ``ports`` are those that show it, ``entries`` all ports of the Service."""

    kind: str
    service: dict[str, Any]
    ports: tuple[FaultyPort, ...]
    entries: tuple[ServicePort, ...]

    @property
    def subject(self) -> str:
        """``namespace/service``."""
        return self.ports[0].entry.subject

    @property
    def severity(self) -> str:
        """Critical where nobody who was seen answers on any port of the Service, else a warning: a part of the connections works."""
        return "warning" if any(entry.by_kind(target_verdict.LISTENS) for entry in self.entries) else "critical"

    @property
    def is_whole(self) -> bool:
        """Whether one of the ports has no endpoint that was seen to answer."""
        return not all(port.answering for port in self.ports)

    @property
    def in_hosts_network(self) -> bool:
        """Whether one of these pods shares the network of its host."""
        return any(target.seen is not None and bool(target.seen.host_network) for target in self.targets)

    @property
    def families(self) -> list[str]:
        """The address families of the endpoints that do not answer, "IPv4" and "IPv6"."""
        return sorted({target.family for port in self.ports for target in port.targets})

    @property
    def targets(self) -> list[Target]:
        """The endpoints that do not answer, one for each pod."""
        return by_pod(target for port in self.ports for target in port.targets)

    @property
    def pods(self) -> list[Target]:
        """All endpoints in use of these ports, one for each pod."""
        return by_pod(target for port in self.ports for target in port.entry.targets)

    @property
    def unseen(self) -> int:
        """How many of its pods could not be judged at all."""
        seen = by_pod(
            target
            for port in self.ports
            for target in port.entry.targets
            if target.verdict.kind != target_verdict.UNSEEN
        )
        return len(self.pods) - len(seen)

    @property
    def instead(self) -> list[Listening]:
        """The sockets that explain it, each once."""
        return sorted(
            {one for port in self.ports for target in port.targets for one in target.verdict.instead},
            key=lambda one: (one.protocol, one.port, one.address, str(one.process), str(one.container)),
        )


def faults(context: Context, kind: str) -> Iterator[Fault]:
    """Yield a fault for each Service some of whose endpoints do not answer for this reason (one of target_verdict.DEAF)."""
    for service, entries in context.paths.by_service():
        ports = [FaultyPort(entry, tuple(entry.by_kind(kind))) for entry in entries]
        faulty = tuple(port for port in ports if port.targets)
        if faulty:
            yield Fault(kind, service, faulty, tuple(entries))


def answers(context: Context, kind: str, tell: Callable[[Fault], Fail]) -> Iterator[Answer]:
    """All that a rule on one of target_verdict.DEAF has to say: its faults as ``tell`` puts them, and what could not be judged."""
    if context.paths.refusal is not None:
        yield context.paths.refusal
        return
    yield from map(tell, faults(context, kind))
    yield from context.paths.unseen()


def serve_others(fault: Fault, context: Context) -> list[str]:
    """The Services' ports that these pods do answer: then their program is hardly the wrong one."""
    answered = context.paths.answered
    return list(dict.fromkeys(words for target in fault.targets for words in answered.get(target.name, ())))


def by_pod(targets: Iterable[Target]) -> list[Target]:
    """The first of the targets of each pod, or of each address that is no pod's."""
    found: dict[str, Target] = {}
    for target in targets:
        found.setdefault(target.name, target)
    return list(found.values())
