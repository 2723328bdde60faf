# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the methods of listener_origin saw of a listener, in sentences; whether they agree; and the answer: whose it is, why it is there, who opened it.

Pure, and used on the node and on the controller, which adds what only it knows and tells all anew.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import cgroup, origin_kinds, program_doubt, reach
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_words import endpoint

# In the order of trust: a stack is the code itself, a setting says what should be, an answer what it looks like, a name what it mostly is.
_TRUST = ("goroutines", "configuration", "signature", "owner")
_PROGRAMS = {"crio": "CRI-O", "cri-o": "CRI-O", "docker": "dockerd"}
# A start is told by the time of boot, which the kernel works out anew from a clock that is corrected meanwhile.
_SAME_START = datetime.timedelta(seconds=3)
_REACH = {
    reach.LOOPBACK: "on loopback: only programs of this machine reach it",
    reach.ADDRESS: "on one address of the machine, where others reach it",
    reach.EVERYWHERE: "on all addresses: others reach it",
}


class Ground(NamedTuple):
    """What a port is compared with: inclusive (low, high) ranges; ``ephemeral`` is None where it could not be read."""

    node_ports: Tuple[int, int]
    ephemeral: Optional[Tuple[int, int]]


def tell(listener: dict[str, Any], ground: Ground) -> dict[str, Any]:
    """Return ``{steps, kind, certain, agree, contradict, answer}`` (see listener_origin's RETURN) for what was seen of a listener."""
    steps = list(_steps(listener, ground))
    kinds = {step["method"]: step["kind"] for step in steps if step["kind"] is not None}
    kind = next((kinds[method] for method in _TRUST if method in kinds), None)
    agree = [step["method"] for step in steps if kind is not None and step["kind"] == kind]
    # The owner's name and a number are where one begins, and no evidence against what was seen.
    contradict = [method for method in kinds if kinds[method] != kind and method != "owner"]
    told = {
        "steps": steps,
        "kind": kind,
        "certain": not contradict and not program_doubt.why(listener) and _is_proven(listener, agree),
        "agree": agree,
        "contradict": contradict,
    }
    return {**told, "answer": "; ".join(_answer(listener, ground, told))}


def _is_proven(listener: dict[str, Any], agree: Sequence[str]) -> bool:
    """Whether what agrees is enough. Owner and setting go by one name, so that they prove only a port that the setting names."""
    setting = listener["configuration"]
    set_so = "configuration" in agree and not _is_newer(setting, listener)
    if "goroutines" in agree and not listener["goroutines"]["truncated"]:
        return True
    return set_so and (setting["port"] is not None or "signature" in agree)


def _steps(listener: dict[str, Any], ground: Ground) -> Iterator[dict[str, Any]]:
    yield _step("owner", _owner_saw(listener, ground), origin_kinds.of_known(listener))
    setting = listener["configuration"]
    if setting is not None:
        yield _step("configuration", _sentence(_why_this_port(setting, listener)), setting["kind"])
    signature = listener["signature"]
    if signature is not None:
        yield _step("signature", _signature_saw(signature), signature["kind"])
    if listener["goroutines"] is not None:
        kinds = {one["kind"] for one in _candidates(listener)}
        yield _step("goroutines", _goroutines_saw(listener), kinds.pop() if len(kinds) == 1 else None)
    if listener.get("history") is not None:
        yield _step("history", _history_saw(listener), None)


def _step(method: str, saw: str, kind: Optional[str]) -> dict[str, Any]:
    return {"method": method, "saw": saw, "kind": kind}


def _owner_saw(listener: dict[str, Any], ground: Ground) -> str:
    parts = [
        f"{endpoint(listener)} is held by {_holder(listener)}",
        *(_binary(listener["owner"]) if listener["owner"] else ()),
    ]
    parts += [_REACH[listener["reach"]], _range(listener, ground)]
    return _sentence("; ".join(part for part in parts if part))


def _holder(listener: dict[str, Any]) -> str:
    first = origin_kinds.holder(listener)
    if first is None:
        if cgroup.tells(listener["cgroup"]):
            return f"a process in {listener['cgroup']}"
        return (
            "a process that could not be seen"
            if listener["hidden"]
            else "no process: the kernel itself, or a socket that is being closed"
        )
    more = len(listener["processes"]) - 1
    owner = listener["owner"] or {}
    pod = owner.get("pod") or (first["pod_uid"] and f"uid {first['pod_uid']}")
    container = first["container_id"] and f"container {first['container_id'][:12]}"
    whose = (f"pod {pod}" if pod else "") or first["unit"] or container
    others = f" and {more} more process{'es' if more > 1 else ''}" if more else ""
    which = ", ".join(text for text in (f"pid {first['pid']}", whose) if text)
    return f"{first['name'] or '?'} ({which}){others}"


def _binary(owner: dict[str, Any]) -> Iterator[str]:
    if owner["exe"]:
        replaced = ", replaced since it was started" if owner["replaced"] else ""
        yield f"{_program_file(owner)}{replaced}"
    if owner["started"]:
        parent = owner["parent"]
        yield f"started {owner['started']}" + (f" by {parent['name'] or '?'} (pid {parent['pid']})" if parent else "")


def _program_file(owner: dict[str, Any]) -> str:
    built = " of ".join(text for text in (owner["go"], owner["module"]) if text)
    details = (
        built and f"built with {built}",
        owner["version"] and f"version {owner['version']}",
        owner["package"] and f"package {owner['package']}",
    )
    told = ", ".join(text for text in details if text)
    return f"its program is {owner['exe']}" + (f" ({told})" if told else "")


def _range(listener: dict[str, Any], ground: Ground) -> str:
    told = []
    if ground.ephemeral is None:
        told.append(
            "whether the port was drawn at random cannot be told by its number: the ephemeral range could not be read"
        )
    else:
        inside = "inside" if listener["ephemeral"] else "outside"
        told.append(f"{inside} the ephemeral range {ground.ephemeral[0]}-{ground.ephemeral[1]}")
    if ground.node_ports[0] <= listener["port"] <= ground.node_ports[1]:
        told.append(f"inside the NodePort range {ground.node_ports[0]}-{ground.node_ports[1]}")
    return ", ".join(told)


def _why_this_port(setting: dict[str, Any], listener: dict[str, Any]) -> str:
    """``drawn at random because stream_server_port is not set in /etc/containerd/config.toml and its default is "0"``."""
    if setting["fixed_in_code"]:
        return str(setting["fixed_in_code"])
    how = "drawn at random" if setting["port"] is None else f"on port {setting['port']}"
    where = f" in {setting['file']}" if setting["file"] else ""
    since = (
        " (changed since the process was started, so it may listen as it was set before)"
        if _is_newer(setting, listener)
        else ""
    )
    if setting["value"] is not None:
        where = where or " on the command line"
        return f'{how} because {setting["key"]} is "{setting["value"]}"{where}{since}'
    return f'{how} because {setting["key"]} is not set{where} and its default is "{setting["default"]}"{since}'


def _is_newer(setting: dict[str, Any], listener: dict[str, Any]) -> bool:
    """Whether the setting's file was changed after the process was started, which then does not know it yet."""
    started = (listener["owner"] or {}).get("started")
    if not setting["modified"] or not started:
        return False
    changed = datetime.datetime.fromisoformat(setting["modified"])
    return changed > datetime.datetime.fromisoformat(started) + _SAME_START


def _signature_saw(signature: dict[str, Any]) -> str:
    if signature["why"]:
        return _sentence(signature["why"])
    status = f"HTTP {signature['status']}" if signature["status"] is not None else "what is not HTTP"
    text = signature["body"].strip()
    body = f' and "{text}"' if text else ""
    looks = f": {signature['looks_like']}" if signature["looks_like"] else ""
    return _sentence(f"{signature['asked']} is answered with {status}{body}{looks}")


def taken_for(listener: dict[str, Any]) -> Optional[str]:
    """The kind that the setting which decides a listener's port tells, or else its name and number; None for others."""
    setting = listener["configuration"]
    return str(setting["kind"]) if setting else origin_kinds.of_known(listener)


def _candidates(listener: dict[str, Any]) -> list[dict[str, Any]]:
    seen = listener["goroutines"] or {"candidates": (), "accepting": ()}
    return [seen["accepting"][index] for index in seen["candidates"]]


def _goroutines_saw(listener: dict[str, Any]) -> str:
    seen = listener["goroutines"]
    if seen["why"] and not seen["accepting"]:
        return _sentence(seen["why"])
    found, waiting = _candidates(listener), len([one for one in seen["accepting"] if one["network"] != "unix"])
    start = f"{seen['source']}: {seen['count']} goroutines, {waiting} of them waiting for TCP connections"
    shown = " or ".join(_server(one) for one in found[:_SHOWN])
    more = f" or {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    which = (
        f"this listener's is {shown}{more}"
        if found
        else "none is left for this listener when the program's others have theirs"
    )
    return _sentence("; ".join(part for part in (start, which, seen["why"]) if part))


_SHOWN = 5


def _server(goroutine: dict[str, Any]) -> str:
    creator = f", made by {goroutine['creator']}" if goroutine["creator"] else ""
    return f"{goroutine['server']} ({goroutine['file']}{creator})"


def _history_saw(listener: dict[str, Any]) -> str:
    """What earlier audits saw: another port at each start, or the same."""
    history = listener["history"]
    if not history:
        return "No earlier audit shows this listener."
    shown = ", ".join(f"{one['port']} ({one['audit']})" for one in history[:_SHOWN])
    more = f" and {len(history) - _SHOWN} more" if len(history) > _SHOWN else ""
    return f"In earlier audits its port was {shown}{more}: {_changes(listener)}."


def _changes(listener: dict[str, Any]) -> str:
    now = {"port": listener["port"], "started": (listener["owner"] or {}).get("started")}
    starts = _starts([now, *listener["history"]])
    restarted = any(later - earlier > _SAME_START for (earlier, _port), (later, _other) in _pairs(starts))
    if {one["port"] for one in listener["history"]} == {listener["port"]}:
        if starts and not restarted:
            return "the same, of a process that was not started anew since"
        return "the same at each start" if starts else "always the same"
    fixed = listener["configuration"] is not None and listener["configuration"]["port"] is not None
    drawn = all(
        (later - earlier <= _SAME_START) == (port == other) for (earlier, port), (later, other) in _pairs(starts)
    )
    return "another one at each start" if starts and drawn and not fixed else "it has changed"


def same_start(one: str, other: str) -> bool:
    """Whether two looks at a process (owner's ``started``) saw the same start. Raises ValueError for what is no time."""
    return abs(datetime.datetime.fromisoformat(one) - datetime.datetime.fromisoformat(other)) <= _SAME_START


def _starts(seen: Sequence[dict[str, Any]]) -> list[tuple[datetime.datetime, int]]:
    """When the process was started and which port it had, the earliest first; empty where a start was not seen."""
    try:
        return sorted((datetime.datetime.fromisoformat(one["started"]), one["port"]) for one in seen)
    except (TypeError, ValueError):
        return []


def _pairs(starts: list[tuple[datetime.datetime, int]]) -> Iterator[tuple[Any, Any]]:
    return zip(starts, starts[1:])


def _answer(listener: dict[str, Any], ground: Ground, told: dict[str, Any]) -> Iterator[str]:
    setting = listener["configuration"]
    yield _what(listener, told)
    doubt = program_doubt.why(listener)
    if doubt and told["kind"]:
        yield f"which may be wrong: {doubt}"
    if told["contradict"]:
        others = ", ".join(
            f"{step['method']} says {_named(step['kind'])}"
            for step in told["steps"]
            if step["method"] in told["contradict"]
        )
        yield f"the methods contradict each other: {others}, so look at the steps"
    kind = origin_kinds.KINDS.get(told["kind"] or "")
    if kind:
        yield kind.serves
    elif listener["known_as"] is None:
        yield from _looks(listener)
    yield _why(listener)
    if setting is not None and setting["port"] is None and not setting["fixed_in_code"]:
        yield f"set it to a fixed port {_outside(ground)}"
    yield from _opened(listener, told)


def _opened(listener: dict[str, Any], told: dict[str, Any]) -> Iterator[str]:
    found = _candidates(listener)
    shown = ", ".join(one["server"] for one in found[:_SHOWN])
    cut = ", as far as its stacks were seen" if found and listener["goroutines"]["truncated"] else ""
    if len(found) > 1:
        yield f"opened by one of {shown}{cut}"
    elif found and found[0]["kind"] == told["kind"]:
        yield f"opened by {shown}{cut}"
    elif found:
        yield f"its stacks show {shown} in its place, which is not known to be that{cut}"


def _named(kind: Optional[str]) -> str:
    return origin_kinds.KINDS[kind].what if kind in origin_kinds.KINDS else str(kind)


def _what(listener: dict[str, Any], told: dict[str, Any]) -> str:
    program, known = _program(listener), listener["known_as"]
    if told["kind"] in origin_kinds.KINDS:
        likely = "" if told["certain"] else f", as far as {_tellers(told['agree'])}"
        part = (
            f" ({known['component']})"
            if known and _PROGRAMS.get(known["component"], known["component"]) != program
            else ""
        )
        return f"{program}'s {_named(told['kind'])}{part}{likely}"
    if known:
        return f"{known['component']}: {known['role']}"
    return f"a listener of {_whose(listener)}, which is none of the well-known ones"


def _tellers(methods: Sequence[str]) -> str:
    """``its owner tells``, ``its owner and configuration tell``."""
    *others, last = methods
    return f"its {', '.join(others)} and {last} tell" if others else f"its {last} tells"


def _looks(listener: dict[str, Any]) -> Iterator[str]:
    """What is known of a listener that no table knows."""
    if listener["owner"] and listener["owner"]["exe"]:
        yield _program_file(listener["owner"])
    if listener["signature"] and listener["signature"]["looks_like"]:
        yield f"it answers like {listener['signature']['looks_like']}"


def _whose(listener: dict[str, Any]) -> str:
    """The same from run to run and from node to node: no pid."""
    first, pod = origin_kinds.holder(listener), (listener["owner"] or {}).get("pod")
    if first is None:
        return _holder(listener)
    place = f"pod {pod}" if pod else first["unit"]
    return f"{first['name'] or '?'} in {place}" if place else first["name"] or "?"


def _program(listener: dict[str, Any]) -> str:
    first = origin_kinds.holder(listener) or {"name": None}
    name = first["name"] or (listener["known_as"] or {}).get("component") or "an unseen program"
    return _PROGRAMS.get(name, name)


def _why(listener: dict[str, Any]) -> str:
    if listener["configuration"] is not None:
        return _why_this_port(listener["configuration"], listener)
    if listener["ephemeral"]:
        return "likely drawn at random: its port lies in the ephemeral range, and no setting that was read decides it"
    return "no setting that was read decides its port"


def _outside(ground: Ground) -> str:
    ranges = [f"{ground.node_ports[0]}-{ground.node_ports[1]} (NodePorts)"]
    if ground.ephemeral is not None:
        ranges.append(f"{ground.ephemeral[0]}-{ground.ephemeral[1]} (drawn at random)")
    return f"outside {' and '.join(ranges)}"


def _sentence(text: str) -> str:
    is_address = "://" in text.partition(" ")[0]
    return (text if is_address else text[:1].upper() + text[1:]) + ("" if text.endswith(".") else ".")
