# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program does not accept its connections as fast as they come, and the kernel throws them away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    backlog_words,
    cpu_facts,
    describe,
    limits,
    listening,
    tcp_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import (
    Answer,
    Fail,
    Remedy,
    Rule,
    Unknown,
    missing,
)

# A queue that nobody empties fills whatever its length; one that overflows now and then needs room for a burst.
_HIGHEST_SOMAXCONN = 65535  # more does not fit into the 16 bits that Linux before 4.1 keeps a backlog in
_CPU = ("cpu-steal", "run-queue-long")  # findings that prove by themselves that the CPU was short
_FEW_CPUS = "control-plane-single-cpu"  # which proves nothing by itself
_OVERFLOWS = "ListenOverflows"
_DROPS = "ListenDrops"


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["tcp_states"]
    share = context.settings.threshold("accept_queue_share")
    sockets = [listening.as_socket(entry, section) for entry in section["accept_queues"]]
    full = [socket for socket in sockets if _is_over(socket, share)]
    for socket in full:
        yield _overfull(socket, node, context)
    growth = _growth(section)
    if growth and not any(_drops(socket, growth) for socket in full if socket["netns"] == listening.HOST):
        yield _growing(growth, sockets, node, context)
    yield from _unknowns(section, sockets, share)


def _is_over(socket: dict[str, Any], share: float) -> bool:
    """True for a queue that is past its backlog now, whatever it was before, or that held its share of it both times."""
    if socket["backlog"] is None or not socket["queue"]:
        return False
    if socket["queue"] > socket["backlog"]:
        return True
    seen = (socket["queue"], socket["queue"] if socket["queue_before"] is None else socket["queue_before"])
    return bool(min(seen) >= share * socket["backlog"])


def _drops(socket: dict[str, Any], growth: dict[str, int]) -> bool:
    """True where the kernel drops connections to this listener: its queue is past the backlog, or at it and connections were lost."""
    length: int = socket["queue"]
    return length > socket["backlog"] or (length == socket["backlog"] and _OVERFLOWS in growth)


def _growth(section: dict[str, Any]) -> dict[str, int]:
    """By how much the overflow counters grew between the samples; empty when they did not, or when nothing tells."""
    counters = (section["growth"] or {}).get("counters", {})
    return {name: counters[name] for name in (_OVERFLOWS, _DROPS) if counters.get(name, 0) > 0}


def _overfull(socket: dict[str, Any], node: NodeView, context: Context) -> Fail:
    section = node["tcp_states"]
    drops = _drops(socket, _growth(section) if socket["netns"] == listening.HOST else {})
    somaxconn = section["limits"]["somaxconn"]
    by_design = _is_opener(socket)
    who = listening.name(socket)
    return Fail(
        subject=who,
        title=f"the accept queue of {who} is {'full, and new connections are dropped' if drops else 'filling up'}",
        explanation=_explanation(socket, somaxconn, drops, by_design),
        evidence=tuple(_evidence(socket, section)),
        remedies=tuple(_remedies(socket, somaxconn, by_design)),
        severity="critical" if drops and not by_design else "warning",
        caused_by=(
            *_by_cpu(node, context),
            *(("file-handles-near-limit",) if _lacks_files(socket, section, context) else ()),
        ),
    )


def _by_cpu(node: NodeView, context: Context) -> tuple[str, ...]:
    """The rules on the CPU whose findings explain this; that there is one CPU only where it had no time to spare."""
    busy = cpu_facts.busy_share(node.sections.get("host_pressure"))
    if busy is not None and busy >= context.settings.threshold("cpu_busy_share"):
        return (*_CPU, _FEW_CPUS)
    return _CPU


def _is_opener(socket: dict[str, Any]) -> bool:
    """True for the socket with which kube-proxy before 1.24 keeps a NodePort: bound, and never accepted from."""
    known = socket["known_as"]
    return bool(known) and known["component"] == "kube-proxy" and known["role"].startswith("NodePort")


def _explanation(socket: dict[str, Any], somaxconn: int | None, drops: bool, by_design: bool) -> str:
    text = (
        "Connections that the kernel has established wait here until the program accepts them. "
        f"The queue takes one more than the backlog; then the kernel drops each new SYN without a word, and clients hang in "
        f"SYN-SENT until they time out{': that is what happens now' if drops else ''}. "
        f"Its backlog is {socket['backlog']}: {backlog_words.origin(socket, somaxconn)}. "
        f"To raise somaxconn alone changes nothing: {backlog_words.RESTART}."
    )
    if by_design:
        text += (
            " kube-proxy before 1.24 holds NodePorts with sockets from which it never accepts. Connections get there only while the "
            "NodePort's rules are missing, so this harms nobody once they are there."
        )
    return text


def _evidence(socket: dict[str, Any], section: dict[str, Any]) -> Iterator[str]:
    yield describe.line(socket)
    if socket["queue_before"] is not None:
        yield f"{socket['queue_before']} waited in it in the first sample, {socket['queue']} in the second"
    if socket["netns"] == listening.HOST:
        yield from _counters(section)


def _counters(section: dict[str, Any]) -> Iterator[str]:
    growth = section["growth"]
    for name in (_OVERFLOWS, _DROPS):
        if section["counters"][name] is not None:
            grown = (growth or {}).get("counters", {}).get(name)
            since = f", {grown} of them in the last {growth['seconds']:.0f} s" if growth and grown else ""
            yield f"{name} of this network namespace: {section['counters'][name]} since it began{since}"


def _remedies(socket: dict[str, Any], somaxconn: int | None, by_design: bool) -> Iterator[Remedy]:
    if not by_design:
        yield Remedy(
            "find out what keeps the program from accepting: CPU first (steal, run queue), then its open files, then the program itself",
            # In a pod's network namespace the same command of the host shows nothing of it.
            (f"ss -tlnp sport = :{socket['port']}",) if socket["netns"] == listening.HOST else (),
            "none",
        )
    if somaxconn is None or socket["netns"] != listening.HOST or socket["backlog"] < somaxconn:
        why = "which empties the queue; it then asks for its backlog anew"
        yield backlog_words.restart(socket, why, somaxconn)
        return
    wanted = min(max(backlog_words.DEFAULT_SOMAXCONN, 4 * socket["backlog"]), _HIGHEST_SOMAXCONN)
    raised = wanted > socket["backlog"] and not by_design
    if socket["backlog"] > somaxconn and not by_design:
        wanted, raised = max(wanted, socket["backlog"]), True
    yield backlog_words.restart(
        socket,
        f"which empties the queue; its backlog is then {somaxconn} at most{', unless somaxconn is raised first' if raised else ''}",
    )
    if raised:
        yield backlog_words.raise_somaxconn(wanted, [socket], somaxconn)


def _lacks_files(socket: dict[str, Any], section: dict[str, Any], context: Context) -> bool:
    """True where the program, or the machine, is near its limit of open files: then accept() fails."""
    share = context.settings.threshold("files_share")
    files, pids = section["limits"]["files"], {process["pid"] for process in socket["processes"]}
    if files and files["open"] >= share * files["max"]:
        return True
    return any(
        entry["pid"] in pids and entry["limit"] is not None and entry["open"] >= share * entry["limit"]
        for entry in section["limits"]["processes"]
    )


def _growing(growth: dict[str, int], sockets: list[dict[str, Any]], node: NodeView, context: Context) -> Fail:
    """Connections were lost, and no queue was seen full: a burst that was over when the queues were read, or another cause."""
    overflow = _OVERFLOWS in growth
    waiting = [socket for socket in sockets if socket["netns"] == listening.HOST and socket["queue"]]
    near = max(waiting, key=_fullness, default=None)
    return Fail(
        subject="connections to the host's own network",
        title=f"{'an accept queue overflowed' if overflow else 'new connections were dropped'} while this node was looked at",
        explanation=(
            "These counters belong to the whole network namespace, so they do not tell which listener lost connections. "
            f"{_burst(near) if overflow else _OTHER_DROPS}"
        ),
        evidence=(*_counters(node["tcp_states"]), *((describe.line(near),) if near else ())),
        remedies=(
            Remedy(
                "watch the queues (Recv-Q against Send-Q) until the counters grow again: the listener that fills is the one",
                ("ss -tln",),
                "none",
            ),
        ),
        severity="warning",
        caused_by=_by_cpu(node, context),
    )


_OTHER_DROPS = (
    "No accept queue overflowed: the kernel dropped connections for another reason, such as a lack of memory, or more half-open ones than the "
    "backlog has room for (TCPReqQFullDrop)."
)


def _fullness(socket: dict[str, Any]) -> float:
    return float(socket["queue"] / ((socket["backlog"] or 0) + 1))


def _burst(near: dict[str, Any] | None) -> str:
    if near is None:
        return "No listener had anything in its queue when they were read: it was full between the samples, in a burst."
    name = listening.name(near)
    if near["backlog"] is None:
        return f"Most connections wait for {name}; how many its queue takes is not shown here."
    return f"No queue was seen full: it was so between the samples, in a burst. Nearest to its limit is {name}."


def _unknowns(section: dict[str, Any], sockets: list[dict[str, Any]], share: float) -> Iterator[Unknown]:
    why = missing(section, "network namespaces")
    if why:
        yield Unknown(why)
    if _may_hide_full_ones(section, share):
        left_out = tcp_words.count(section["truncated"]["accept_queues"], "more listener")
        yield Unknown(f"{left_out} were not told, and their accept queues may be as full as those that were")
    if any(socket["queue"] is None for socket in sockets):
        yield Unknown(f"the accept queues are not shown by the backend {section['backend']}")
    for socket in sockets:
        if socket["backlog"] is None and _waits(socket):
            yield Unknown(
                f"connections wait in the accept queue of {listening.name(socket)}, and how many it takes is not shown by the backend "
                f"{section['backend']}",
                listening.name(socket),
            )
    total = section["counters"][_OVERFLOWS]
    if total is None:
        yield Unknown(missing(section, "/proc/net/netstat") or "whether accept queues overflow could not be read")
    elif limits.growth(section, _OVERFLOWS) is None:
        yield Unknown(
            f"accept queues overflowed before ({tcp_words.count(total, 'connection')} lost since the network namespace began); whether they still "
            f"do is not known without a second sample: {tcp_words.SECOND_SAMPLE}"
        )


def _may_hide_full_ones(section: dict[str, Any], share: float) -> bool:
    """True where listeners were left out though the last one told, the emptiest of these, is filling up."""
    if not section["truncated"]["accept_queues"]:
        return False
    last = section["accept_queues"][-1] if section["accept_queues"] else None
    return last is None or (last["queue"] or 0) >= share * (last["backlog"] or 1)


def _waits(socket: dict[str, Any]) -> bool:
    """True where connections waited both times."""
    return bool(socket["queue"]) and socket["queue_before"] != 0


RULE = Rule(
    id="accept-queue-overflow",
    group="tcp",
    severity="critical",
    claim="every program accepts its connections before its accept queue is full",
    why="the kernel drops new connections to a full queue without a word, and clients wait for their time-out",
    sources=(
        "Linux include/net/sock.h, sk_acceptq_is_full; net/ipv4/tcp_input.c, tcp_conn_request",
        "listen(2); Linux Documentation/admin-guide/sysctl/net.rst, somaxconn",
        "https://github.com/kubernetes/kubernetes/issues/66133",
    ),
    judge=_judge,
    needs=("tcp_states",),
    thresholds=("accept_queue_share", "cpu_busy_share", "files_share"),
    by_network=True,
)
