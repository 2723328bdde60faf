# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a name that kubelet wants in vain: who holds it, whether that lives, and above all what must not be removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import stale_names
from ansible_collections.kubenode.doctor.plugins.plugin_utils import container_words, containers_seen, name_trouble
from ansible_collections.kubenode.doctor.plugins.plugin_utils.containers_seen import Container, Containers
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logs_seen import Logs
from ansible_collections.kubenode.doctor.plugins.plugin_utils.name_trouble import Trouble

_UNDATED = "cannot be told: of some it is not known when they were created"
_LOGGED = 3  # lines of logs that are shown

_HELD = {
    name_trouble.ALIVE: "its name is held by its living instance",
    name_trouble.DEAD: "its name is held by a dead container",
    name_trouble.NEVER_RAN: "its name is held by a container that was created and never ran",
    name_trouble.STRANGER: "its name is held by a container that kubelet does not take for its own",
    name_trouble.UNLISTED: "its name is kept for a container that {runtime} does not list",
    name_trouble.UNSEEN: "its name is taken, and whether the holder lives could not be seen",
}
_HELD_BY_NOBODY = "its name is reserved, and {runtime} does not say for whom"

_DEAD = {
    "docker": (
        "Docker gives a name once, whether its holder runs or not. dockershim and cri-dockerd remove a holder that does not run by themselves, "
        "without force, and their next try works: where the refusals go on, that removal fails or never comes."
    ),
    "containerd": (
        "containerd keeps a name until the container that has it is removed, whether that runs or not. kubelet counts from the instance that was created "
        "last, and asks for a number that is given already."
    ),
    "cri-o": (
        "CRI-O keeps a name until the container that has it is removed, whether that runs or not. kubelet counts from the instance that was created last, "
        "and asks for a number that is given already."
    ),
}
_UNLISTED = {
    "docker": (
        "It has been removed since the last refusal, or dockerd has lost the container and kept its name (kubernetes issue 40443). dockershim and "
        "cri-dockerd then take the name with a random suffix; where the refusals go on, they do not."
    ),
    "containerd": (
        "containerd reserves a name when it begins to create a container, and in memory only: its request to create it has not ended, hung on a "
        "volume or a disk that does not answer, or it ended and left the name behind."
    ),
    "cri-o": (
        "CRI-O reserves a name when it begins to create a container, and in memory only: its request to create it has not ended, hung on a "
        "volume, a network plugin or a disk that does not answer, or it ended and left the name behind."
    ),
}
_IN_STORAGE = (
    "The storage below CRI-O has a container of this name, which CRI-O does not know: the rest of a creation or a removal that was interrupted. "
    "CRI-O removes what it cannot restore when it starts."
)


def title(trouble: Trouble) -> str:
    """One line, without ids, counts or times: equal on all hosts that have the same."""
    if trouble.kind == name_trouble.INVERTED:
        asks = "asks" if trouble.entries else "would ask"
        return f"kubelet overlooks the living instance of {trouble.subject}, because {_dead_one(trouble)} looks newer, and {asks} for a name that is taken"
    runtime = container_words.RUNTIMES[trouble.runtime]
    if trouble.kind == name_trouble.ELSEWHERE:
        return f"a log says who holds the name of {trouble.subject}, and {runtime} has that id under another name"
    told = trouble.holder_id or trouble.kind != name_trouble.UNLISTED
    held = (_HELD[trouble.kind] if told else _HELD_BY_NOBODY).format(runtime=runtime)
    return f"kubelet {'cannot' if trouble.entries else 'would fail to'} create {trouble.subject}: {held}"


def _dead_one(trouble: Trouble) -> str:
    never = trouble.conflict and containers_seen.never_ran(trouble.conflict["newest"])
    return "one that never ran" if never else "a dead one"


def explanation(trouble: Trouble, containers: Containers) -> str:
    """Why, and what must not be removed."""
    return " ".join(_EXPLAIN[trouble.kind](trouble, containers))


def _inverted(trouble: Trouble, _containers: Containers) -> Iterator[str]:
    conflict: Mapping[str, Any] = trouble.conflict or {}
    newest, living = conflict["newest"], conflict["living"]
    yield (
        "kubelet takes the instance that was created last for the latest one, and creates the attempt after it. By creation times the latest is "
        f"{_dead_one(trouble)}, {container_words.attempt(newest)}: {_why_newer(newest, living)}. {_asks(trouble)}"
    )
    yield do_not_remove(trouble, living)
    if conflict["why_not"]:
        yield f"Nothing may be removed now: {conflict['why_not']}."
    else:
        yield "Once that one is gone, kubelet adopts the living one at its next sync, and nothing is restarted."


def _asks(trouble: Trouble) -> str:
    if not trouble.entries:
        return "So kubelet would ask for a name that is taken when it creates the container again; that it has was not seen."
    often = ", again and again," if trouble.count > 1 else ""
    return f"So kubelet asks for a name that is taken{often} and reports a container that runs as one that does not."


def _why_newer(newest: Container, living: Container) -> str:
    if newest["created_ns"] == living["created_ns"]:
        return f"it bears the same time as {container_words.attempt(living)}"
    return f"the clock was set back before {container_words.attempt(living)} was created"


def _alive(trouble: Trouble, containers: Containers) -> Iterator[str]:
    yield do_not_remove(trouble, trouble.holder or {})
    if _newest(trouble, containers) is None:
        yield f"Whom kubelet takes for the latest instance {_UNDATED}."
    else:
        yield (
            "By creation times kubelet should take a living instance for the latest, so no dead one is in the way. Either it was cured since the last "
            "refusal, or kubelet's picture of the pod is out of date, as it is after a clock that was set back (kubernetes issue 134153), or two "
            "kubelets use one runtime."
        )


def _newest(trouble: Trouble, containers: Containers) -> Container | None:
    group = containers.group(trouble.identity.pod_uid, trouble.identity.container)
    return stale_names.newest(group) if group else None


def _dead(trouble: Trouble, _containers: Containers) -> Iterator[str]:
    yield _DEAD[trouble.runtime]
    if trouble.is_by_clock and trouble.conflict:
        holder, newest = trouble.conflict["holder"], trouble.conflict["newest"]
        yield (
            f"{_capital(container_words.attempt(newest))} was created {container_words.later(newest, holder)}: the clock was set back between the "
            "two, so kubelet takes the lower number for the latest."
        )
    if trouble.conflict and trouble.conflict["why_not"]:
        yield f"Nothing is removed by an automatic fix: {trouble.conflict['why_not']}."


def _stranger(trouble: Trouble, _containers: Containers) -> Iterator[str]:
    why = (trouble.holder or {}).get("why") or "it has the name, but not the labels by which kubelet knows its own"
    yield f"Whose the holder is cannot be told: {why}. Somebody started it by hand, or another kubelet did; kubelet cannot clean it up."
    if trouble.holder and containers_seen.is_alive(trouble.holder):
        yield do_not_remove(trouble, trouble.holder)


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _elsewhere(trouble: Trouble, _containers: Containers) -> Iterator[str]:
    runtime = container_words.RUNTIMES[trouble.runtime]
    yield f"{runtime} has that id under another name: {trouble.other_name}. So it is not what holds this name, and must not be removed for it."
    yield (
        f"Either it was renamed since, and it is over, or the line is not {runtime}'s: kubelet's log also quotes what programs of pods say."
    )


def _unlisted(trouble: Trouble, _containers: Containers) -> Iterator[str]:
    if not trouble.holder_id:
        yield f"{container_words.RUNTIMES[trouble.runtime]} lists no instance of this number."
    yield _IN_STORAGE if trouble.is_in_storage else _UNLISTED[trouble.runtime]


def _unseen(trouble: Trouble, containers: Containers) -> Iterator[str]:
    why = "; ".join(containers.gaps()) or "not all containers were listed"
    yield f"The containers tell what is to be done, and they were not seen ({why})."
    yield (
        "DO NOT remove the holder before you know that it is dead: mostly it is the living instance, which kubelet overlooks because a dead one "
        f"looks newer, and removing it stops {containers_seen.what_stops(trouble.identity.container)}."
    )


_EXPLAIN = {
    name_trouble.INVERTED: _inverted,
    name_trouble.ALIVE: _alive,
    name_trouble.DEAD: _dead,
    name_trouble.NEVER_RAN: _dead,
    name_trouble.STRANGER: _stranger,
    name_trouble.ELSEWHERE: _elsewhere,
    name_trouble.UNLISTED: _unlisted,
    name_trouble.UNSEEN: _unseen,
}


def do_not_remove(trouble: Trouble, living: Mapping[str, Any]) -> str:
    """The warning that matters most."""
    stops = containers_seen.what_stops(trouble.identity.container)
    return f"DO NOT remove {container_words.short(living)}: it is {living['state']}, and removing it stops {stops}."


def evidence(trouble: Trouble, containers: Containers, logs: Logs) -> Iterator[str]:
    """Who has the name, whom kubelet takes for the latest, and what was logged."""
    yield f"the name: {trouble.wanted}"
    yield f"its holder: {_holder(trouble)}"
    conflict = trouble.conflict
    if conflict:
        newest, living = conflict["newest"], conflict["living"]
        if living and living["id"] != conflict["holder"]["id"]:
            yield f"the living instance: {container_words.instance(living)}"
        yield f"kubelet takes for the latest: {container_words.instance(newest)}"
        if living or trouble.is_by_clock:
            later = container_words.later(newest, living or conflict["holder"])
            yield f"clock inversion: {container_words.attempt(newest)} was created {later}"
    elif trouble.kind in (name_trouble.ALIVE, name_trouble.DEAD, name_trouble.NEVER_RAN):
        known = _newest(trouble, containers) is not None
        yield f"clock inversion: {'none among the instances of this container' if known else _UNDATED}"
    yield from _logged(trouble, logs)


def _holder(trouble: Trouble) -> str:
    if trouble.holder:
        return container_words.instance(trouble.holder)
    if not trouble.holder_id:
        return "not told by the log"
    if trouble.other_name:
        return f"{trouble.holder_id}, which {container_words.RUNTIMES[trouble.runtime]} has under another name: {trouble.other_name}"
    seen = "not listed by" if trouble.kind == name_trouble.UNLISTED else "not seen at"
    return f"{trouble.holder_id}, {seen} {container_words.RUNTIMES[trouble.runtime]}"


def _logged(trouble: Trouble, logs: Logs) -> Iterator[str]:
    for entry in trouble.entries[:_LOGGED]:
        yield logs.told(entry, trouble.wanted)
    if not trouble.entries:
        gaps = logs.gaps()
        yield (
            f"the logs could not be read whole ({'; '.join(gaps)})"
            if gaps
            else f"no refusal was logged in the last {logs.window()}"
        )
