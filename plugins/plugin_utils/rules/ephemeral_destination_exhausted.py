# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One destination is dialled so often that no local port is left for the next connection to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import ephemeral, peers, tcp_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.other_end import Surroundings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Answer, Fail, Rule

# By level (ephemeral.level): with the program, and without one that was seen.
_TITLES = {
    "full": ("{who} has used up the local ports towards {named}", "the local ports towards {named} are used up"),
    "nearly": (
        "{who} has nearly used up the local ports towards {named}",
        "the local ports towards {named} are nearly used up",
    ),
    "filling": ("{who} has most of the local ports towards {named}", "most local ports towards {named} are in use"),
}
_MOST = 0.5  # of a destination's connections: a state that more are in explains them


def _judge(node: NodeView, context: Context) -> Iterator[Answer]:
    section = node["tcp_states"]
    refusal = ephemeral.not_seen(section)
    if refusal:
        yield refusal
        return
    around = Surroundings(node, context)
    for entry in section["ephemeral"]["destinations"]:
        share = entry["count"] / section["ephemeral"]["available"]
        severity = ephemeral.severity(share, context)
        if severity:
            yield _fail(entry, share, severity, section, context, around)


def _fail(
    entry: dict[str, Any], share: float, severity: str, section: dict[str, Any], context: Context, around: Surroundings
) -> Fail:
    where = tcp_words.endpoint(entry["destination"], entry["port"])
    named = where + _name(around.whose(entry["destination"], entry["port"]))
    states = _states(entry, section)
    with_program, without = _TITLES[ephemeral.level(entry["count"], section, context)]
    who = entry["process"]
    return Fail(
        # Without the program: a socket in TIME-WAIT has none, and it may all be TIME-WAIT the next time.
        subject=f"connections to {where}",
        title=(with_program if who else without).format(who=who, named=named),
        explanation=(
            "Each connection from one address to one destination needs a local port of its own, in whatever state it is, TIME-WAIT too. "
            'When none is left, connect() fails at once with EADDRNOTAVAIL, "cannot assign requested address". Other destinations still have '
            f"all ports.{_why(entry, states)}"
        ),
        evidence=tuple(_evidence(entry, share, states, section["ephemeral"]["available"])),
        remedies=tuple(ephemeral.remedies(section, context)),
        severity=severity,
        caused_by=("close-wait-leak",) if _explains("close_wait", states, entry) else (),
    )


def _evidence(entry: dict[str, Any], share: float, states: dict[str, int], available: int) -> Iterator[str]:
    where = tcp_words.endpoint(entry["destination"], entry["port"])
    count = tcp_words.count(entry["count"], "connection")
    yield f"{count}{ephemeral.owner(entry)} from {entry['source']} to {where}: {tcp_words.share(share)} of {available} ports"
    if states:
        ranked = sorted(states.items(), key=lambda pair: -pair[1])
        words = ", ".join(f"{number} {state.replace('_', '-').upper()}" for state, number in ranked)
        yield f"of all connections to {where}: {words}"


def _name(peer: peers.Peer) -> str:
    return f" ({peer.name})" if peer.name and peer.kind != peers.UNKNOWN else ""


def _states(entry: dict[str, Any], section: dict[str, Any]) -> dict[str, int]:
    """The connections to this destination by state, as far as the groups that were kept tell."""
    found: dict[str, int] = {}
    for group in section["groups"]:
        if group["peer_port"] == entry["port"]:
            told = sum(peer["count"] for peer in group["top_peers"] if peer["address"] == entry["destination"])
            if told:
                found[group["state"]] = found.get(group["state"], 0) + told
    return found


def _explains(state: str, states: dict[str, int], entry: dict[str, Any]) -> bool:
    return bool(states.get(state, 0) > _MOST * entry["count"])


def _why(entry: dict[str, Any], states: dict[str, int]) -> str:
    if _explains("time_wait", states, entry):
        return " Most are in TIME-WAIT, 60 s each: the program dials, closes first, and dials again."
    if _explains("close_wait", states, entry):
        return " Most are in CLOSE-WAIT: the other end has closed them and the program has not."
    if _explains("syn_sent", states, entry):
        return " Most are in SYN-SENT: the other end does not answer."
    return ""


RULE = Rule(
    id="ephemeral-destination-exhausted",
    group="tcp",
    severity="warning",
    claim="no destination has most of the local ports that connections to it can have, in the host's own network",
    why="connections to that destination fail, and only those, which looks like a fault of the other side",
    sources=(
        "Linux net/ipv4/inet_hashtables.c, __inet_hash_connect",
        "Linux Documentation/networking/ip-sysctl.rst, ip_local_port_range",
    ),
    judge=_judge,
    needs=("host", "tcp_states"),
    thresholds=("ephemeral_share", "ephemeral_share_critical"),
    settings=("nodeport_range",),
)
