# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do about a name that kubelet wants in vain: remove the one right dead container, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import kube_container, stale_names
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    container_cures,
    container_words,
    containers_seen,
    name_trouble,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import DOCKER, Container, Containers
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.name_trouble import Trouble
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy


@dataclass(frozen=True)
class _Case:
    trouble: Trouble
    node: NodeView
    context: Context
    endpoint: str | None
    living: Container | None  # an instance of the same container

    @property
    def runtime(self) -> str:
        return self.trouble.runtime

    @property
    def sandbox(self) -> bool:
        return self.trouble.identity.container == kube_container.SANDBOX

    def listing(self) -> tuple[str, ...]:
        return container_cures.listing(self.runtime, self.endpoint, self.trouble.identity)

    def inspection(self, id_: str) -> tuple[str, ...]:
        return container_cures.inspection(self.runtime, self.endpoint, id_, self.sandbox)

    def remove(self, ids: list[str], summary: str) -> Remedy:
        risk = container_cures.removal_risk(self.runtime, self.sandbox)
        return container_cures.remove(self.runtime, self.endpoint, ids, self.sandbox, summary, risk)


def remedies(trouble: Trouble, node: NodeView, context: Context, containers: Containers) -> Iterator[Remedy]:
    """Cures in the order in which to try them."""
    group = containers.group(trouble.identity.pod_uid, trouble.identity.container) or {"instances": ()}
    living = next((one for one in group["instances"] if one["own"] and containers_seen.is_alive(one)), None)
    case = _Case(trouble, node, context, containers.endpoint(trouble.runtime), living)
    yield from _CURES[trouble.kind](case)


def _inverted(case: _Case) -> Iterator[Remedy]:
    first = container_cures.clock_first(case.node, case.context)
    if first:
        yield first
    yield from _verdict(case, "then wait for kubelet's next sync, a minute at most, in which it adopts the living one")


def _dead(case: _Case) -> Iterator[Remedy]:
    holder = case.trouble.holder or {}
    first = container_cures.clock_first(case.node, case.context) if case.trouble.is_by_clock else None
    if first:
        yield first
    if case.trouble.conflict and case.trouble.conflict["remove"]:
        yield from _verdict(case, "then wait for kubelet's next sync, in which it creates its own")
    elif case.living:
        why = f"{container_words.short(case.living)} is {case.living['state']}, and kubelet would start a second one beside it"
        yield Remedy(f"remove nothing: {why}", case.listing(), "none")
    elif holder.get("state") in stale_names.SETTLED:
        yield case.remove(
            [holder["id"]],
            f"where the refusals go on for minutes: look that the holder still does not run, then remove {_named(holder)}, and nothing else",
        )
    else:
        yield Remedy("wait: it is being removed, and frees its name with that", case.listing(), "none")
    if holder.get("state") not in ("exited", "created"):
        why = "where the removal does not end, after a look at its log for why (device or resource busy)"
        yield container_cures.restart_runtime(case.runtime, case.endpoint, why)


def _verdict(case: _Case, then: str) -> Iterator[Remedy]:
    """What stale_names offers to remove, all of it, in its order."""
    conflict: Mapping[str, Any] = case.trouble.conflict or {}
    ids = conflict["remove"]
    if not ids:
        yield Remedy(f"remove nothing now ({conflict['why_not']}); look again", case.listing(), "none")
        return
    gone = [one for one in (conflict["newest"], conflict["holder"]) if one["id"] in ids]
    names = _named(gone[0]) if len(ids) == 1 and gone else f"these {len(ids)} containers that do not run, in this order"
    made = case.remove(ids, f"remove {names}, and nothing else; {then}")
    if case.runtime == DOCKER and made.commands:
        made = replace(made, fix=container_cures.FIX, targets=tuple(ids), by_hand="")
    yield replace(made, commands=made.commands + case.listing())


def _alive(case: _Case) -> Iterator[Remedy]:
    first = container_cures.clock_first(case.node, case.context)
    if first:
        yield first
    yield Remedy("look whether the refusals go on: if not, it is over", case.listing(), "none")
    yield container_cures.restart_kubelet(case.node, "where they go on, so that it looks at all containers anew")


def _stranger(case: _Case) -> Iterator[Remedy]:
    id_ = case.trouble.holder_id
    yield Remedy("look what it is, and who started it", case.inspection(id_), "none")
    if case.runtime == DOCKER:
        yield Remedy(
            "give it another name, which frees this one and stops nothing",
            container_cures.rename(id_),
            "whoever finds it by its name no longer does",
            by_hand="it is not kubelet's: whose it is, and who looks for it by its name, the node does not tell",
        )


def _elsewhere(case: _Case) -> Iterator[Remedy]:
    yield Remedy(
        "remove nothing; look what instances the pod has, and whose words the line holds", case.listing(), "none"
    )


def _unlisted(case: _Case) -> Iterator[Remedy]:
    if case.runtime == DOCKER:
        yield Remedy("look whether Docker still does not know it", case.inspection(case.trouble.holder_id), "none")
    else:
        yield Remedy("look what the request hangs on: a disk, a volume, a mount that does not answer", _HANGING, "none")
    why = "where the refusals go on, so that it forgets the name"
    yield container_cures.restart_runtime(case.runtime, case.endpoint, why)


# Time lost to disks, and what the kernel says of tasks that are blocked.
_HANGING = ("cat /proc/pressure/io", "dmesg --ctime --level err,warn")


def _unseen(case: _Case) -> Iterator[Remedy]:
    commands = case.inspection(case.trouble.holder_id) + case.listing()
    yield Remedy("look who holds the name, whether it lives, and when each attempt was created", commands, "none")
    yield Remedy("collect again with the containers: what is to be removed, if anything, is told then", (), "none")


def _named(one: Container) -> str:
    return f"the {'never started' if containers_seen.never_ran(one) else 'dead'} {container_words.named(one)}"


_CURES: Mapping[str, Callable[[_Case], Iterator[Remedy]]] = {
    name_trouble.INVERTED: _inverted,
    name_trouble.ALIVE: _alive,
    name_trouble.DEAD: _dead,
    name_trouble.NEVER_RAN: _dead,
    name_trouble.STRANGER: _stranger,
    name_trouble.ELSEWHERE: _elsewhere,
    name_trouble.UNLISTED: _unlisted,
    name_trouble.UNSEEN: _unseen,
}
