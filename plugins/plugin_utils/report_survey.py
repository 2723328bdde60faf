# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The survey's parts of the terminal's report. Reads ``survey`` of findings.json (Survey.document) and computes nothing.

A single machine has no fleet to be compared with: of it only what is fine or unknown, its counts and its largest groups are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import tcp_words
from ansible_collections.kubenode.doctor.plugins.plugin_utils.describe import listed
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_lines import count, host_names, wrap

_FLEET = 2
_NAMED = 4  # hosts in a sentence
_FAULTS = 12  # conclusions of kind "wrong"; each of them is told again, in full, below
_ROWS = 30
_NODES = 20
_TALKERS = 10
_PORTS = 12
_RULES = 6
_OBJECTS = 3
STATES = {
    "established": "ESTAB",
    "syn_sent": "SYN-SENT",
    "syn_recv": "SYN-RECV",
    "fin_wait1": "FIN-WAIT-1",
    "fin_wait2": "FIN-WAIT-2",
    "time_wait": "TIME-WAIT",
    "close_wait": "CLOSE-WAIT",
    "last_ack": "LAST-ACK",
    "closing": "CLOSING",
    "listen": "LISTEN",
}


def conclusions(survey: dict[str, Any]) -> list[str]:
    """What it comes to. Critical faults stand above it already, with the result."""
    told = survey["conclusions"]
    wrong = [entry for entry in told if entry["kind"] == "wrong" and entry["severity"] != "critical"]
    if survey["answered"] < _FLEET:
        wrong = []
    lines: list[str] = []
    for same in _by_hosts(wrong[:_FAULTS]):
        lines += _conclusion(same, survey["answered"])
    lines += _more(len(wrong) - _FAULTS, "more faults are told below")
    for entry in told:
        lines += _conclusion([entry], survey["answered"]) if entry["kind"] != "wrong" else []
    return ["", "CONCLUSIONS:", *lines] if lines else []


def _by_hosts(entries: Iterable[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Conclusions on the same hosts together, so that their names are told once."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for entry in entries:
        found.setdefault((entry["where"], *entry["hosts"]), []).append(entry)
    return found.values()


def _conclusion(same: Sequence[dict[str, Any]], answered: int) -> list[str]:
    where, hosts = clean(same[0]["where"]), same[0]["hosts"]
    names = f" ({host_names(hosts)})" if 0 < len(hosts) <= _NAMED and len(hosts) < answered else ""
    text = "; ".join(clean(entry["text"], 600) for entry in same)
    return wrap(f"- {where[:1].upper()}{where[1:]}{names}: {text}.", "  ", "    ")


def services(survey: dict[str, Any]) -> list[str]:
    """Service, port and backlog over a fleet."""
    rows = survey["services"]["rows"]
    if survey["seen"] < _FLEET or not rows:
        return []
    lines = [
        "",
        f"LISTENERS of {survey['seen']} hosts, by process and backlog:",
        "     hosts  backlog  process and ports",
    ]
    for row in rows[:_ROWS]:
        backlog = clean("/".join(map(str, row["backlogs"])) or "?")
        hosts = f"{row['hosts']}{'' if row['same_hosts'] else ' each'}"
        margin = f"{hosts:>10}{backlog:>9}  "
        lines += wrap(f"{_process(row['process']):<16} {_ports(row)}", margin, " " * 30)
    return lines + _more(len(rows) - _ROWS + survey["services"]["more"], "more rows are in findings.json")


def _process(name: str | None) -> str:
    return clean(name, 60) if name else "(not seen)"


def _ports(row: dict[str, Any]) -> str:
    ports = [str(low) if low == high else f"{low}-{high}" for low, high in row["ports"]]
    shown = listed(ports, _PORTS) + (" in pods' networks" if row["pods"] else "")
    if not row["differs_on"]:
        return shown
    usual = "/".join(map(str, row["usual"]))
    return f"{shown}; differs{f' from {usual} on most others' if usual else ''}: {host_names(row['differs_on'])}"


def nodes(survey: dict[str, Any]) -> list[str]:
    """The nodes, equal ones once, with the least and the most of their counts."""
    groups = survey["nodes"]
    lines = ["", "NODES, equal ones told once:" if len(survey["nodes"]) < survey["asked"] else "NODES:"]
    for group in groups[:_NODES]:
        lines += _node(group, alone=len(groups) == 1)
    left = groups[_NODES:]
    hosts = sum(len(group["hosts"]) for group in left)
    return lines + _more(len(left), f"more pictures, of {count(hosts, 'host')}, are in findings.json")


def _node(group: dict[str, Any], alone: bool) -> list[str]:
    names = host_names(group["hosts"])
    several = len(group["hosts"]) > 1
    title = f"{len(group['hosts'])} hosts: the same picture" if several else names
    lines = wrap(f"- {title}: {'; '.join(_picture(group))}", "  ", "    ")
    if not alone and group["answered"]:  # where there is one picture only, all that was found is of it
        lines += _faults(group["faults"])
        lines += wrap(f"open: {listed(group['unknown'], _RULES)}", "    ", "      ") if group["unknown"] else []
    return lines + (wrap(f"on: {names}", "    ", "      ") if several else [])


def _picture(group: dict[str, Any]) -> list[str]:
    if not group["answered"]:
        return [f"no answer: {clean(str(group['why']), 300)}"]
    return [
        *([_counts(group["states"])] if group["states"] else ["TCP states not seen"]),
        *(["control plane"] if group["kind"] == "control plane" else []),
        _kernels(group["kernels"]),
        _programs(group),
        f"service proxy mode {clean(str(group['proxy_mode'] or 'not seen'))}",
        *_listeners(group),
        *(["not asked as root"] if group["root"] is False else []),
    ]


def _counts(states: dict[str, dict[str, Any]]) -> str:
    parts = []
    for state, spread in states.items():
        if spread["most"]:
            stands_out = f" ({spread['most']} on {clean(spread['stands_out'], 100)})" if spread["stands_out"] else ""
            parts.append(f"{STATES[state]} {_span(spread['least'], spread['most'])}{stands_out}")
    return ", ".join(parts) or "no TCP socket"


def _span(least: int, most: int) -> str:
    return str(most) if least == most else f"{least}-{most}"


def _kernels(kernels: Sequence[Sequence[Any]]) -> str:
    names = [clean(name or "not seen", 100) for name, _hosts in kernels]
    if len(names) == 1:
        return f"Linux {names[0]}" if kernels[0][0] else "kernel not seen"
    return "Linux " + listed([f"{name} ({hosts})" for name, (_name, hosts) in zip(names, kernels, strict=True)], 5)


def _programs(group: dict[str, Any]) -> str:
    if group["kind"] is None:
        return "its programs were not seen"
    every, some = (listed([clean(name, 100) for name in group[key]], 30) for key in ("components", "some_components"))
    return f"runs {every or 'no Kubernetes program'}" + (f", on some hosts {some}" if some else "")


def _listeners(group: dict[str, Any]) -> list[str]:
    if group["listeners"] is None or group["random_ports"] is None:
        return []
    waiting, drawn = _span(*group["listeners"]), _span(*group["random_ports"])
    return [f"{waiting} socket{'' if waiting == '1' else 's'} waiting for connections, {drawn} of them on random ports"]


def _faults(faults: Iterable[dict[str, Any]]) -> list[str]:
    by_rule: dict[str, list[str]] = {}
    for fault in faults:
        waived = " (waived)" if fault["waived"] else ""
        by_rule.setdefault(fault["rule"], []).append(clean(fault["object"], 100) + waived)
    texts = [f"{rule} ({listed(objects, _OBJECTS)})" for rule, objects in by_rule.items()]
    return wrap(f"faults: {listed(texts, _RULES)}", "    ", "      ") if texts else []


def talkers(survey: dict[str, Any]) -> list[str]:
    """The largest groups of connections; quiet hosts have none that is worth telling."""
    if not survey["talkers"]:
        return []
    lines = ["", "LARGEST GROUPS OF CONNECTIONS:", " sockets  hosts  state       process, port and peers"]
    for talker in survey["talkers"][:_TALKERS]:
        margin = f"{talker['count']:>8}{talker['hosts']:>7}  {STATES[talker['state']]:<12}"
        lines += wrap("; ".join(_talker(talker)), margin, " " * len(margin))
    return lines


def _talker(talker: dict[str, Any]) -> list[str]:
    way = "to port" if talker["side"] == "peer" else "from clients of its port"
    peers = [f"{clean(peer['address'], 100)} ({peer['count']})" for peer in talker["top_peers"]]
    most = talker["most"]
    return [
        f"{holder(talker)} {way} {talker['port']}",
        *([f"most with {', '.join(peers)}"] if peers else []),
        *([f"up to {talker['peers']} addresses on a host"] if (talker["peers"] or 0) > max(len(peers), 1) else []),
        *([f"most on {clean(most['host'], 100)}: {most['count']}"] if talker["hosts"] > 1 else []),
    ]


def holder(talker: dict[str, Any]) -> str:
    """Who holds the connections of a group; those in TIME-WAIT have no process any more."""
    return "(no process)" if talker["state"] == "time_wait" else _process(talker["process"])


def scans(survey: dict[str, Any]) -> list[str]:
    """How much of containers and logs was looked at; empty where nobody answered."""
    return _looked_at("CONTAINERS AND LOGS", scan_sentences(survey))


def scan_sentences(survey: dict[str, Any]) -> list[str]:
    """The same for any medium, a sentence each without a full stop."""
    sentences = []
    for text, part in ((_containers, "containers"), (_logs, "logs")) if survey["answered"] else ():
        seen = survey["scans"][part]
        partly = f"; not all of it on {count(seen['partly'], 'host')} (see UNKNOWN)" if seen["partly"] else ""
        told = f"{text(seen)}{partly}" if seen["hosts"] else "none were looked at (see UNKNOWN)"
        sentences.append(f"{part} of {seen['hosts']} of {count(survey['answered'], 'host')}: {told}")
    return sentences


def paths(survey: dict[str, Any]) -> list[str]:
    """How much of the way from Services to sockets was looked at; empty where nobody answered."""
    return _looked_at("SERVICES AND PODS", path_sentences(survey))


def path_sentences(survey: dict[str, Any]) -> list[str]:
    """The same for any medium, a sentence each without a full stop."""
    if not survey["answered"]:
        return []
    seen = survey["paths"]
    hosts = f"pods of {seen['hosts']} of {count(survey['answered'], 'host')}"
    pods = f"what listens in {count(seen['pods'], 'pod')}" if seen["hosts"] else "none were looked at (see UNKNOWN)"
    return [f"{hosts}: {pods}", _services(seen)]


def _looked_at(what: str, sentences: Iterable[str]) -> list[str]:
    lines = [line for sentence in sentences for line in wrap(f"- {sentence}", "  ", "    ")]
    return ["", f"{what} that were looked at:", *lines] if lines else []


def _services(seen: dict[str, Any]) -> str:
    if not seen["known"]:
        return "Services: none were looked at (see UNKNOWN)"
    ends, several = seen["endpoints"], count(seen["ports"], "port")
    if not sum(ends.values()):
        return f"{count(seen['services'], 'Service')} with {several}: no endpoint"
    parts = [
        f"of {count(sum(ends.values()), 'endpoint')} {ends['listening']} listen",
        f"{ends['deaf']} do not",
        *([f"{ends['unseen']} were not seen (see UNKNOWN)"] if ends["unseen"] else []),
        *([f"{ends['no_pod']} are no pods"] if ends["no_pod"] else []),
    ]
    bare = f"; {count(seen['bare'], 'port')} without an endpoint" if seen["bare"] else ""
    return f"{count(seen['services'], 'Service')} with {several}: {', '.join(parts)}{bare}"


def _containers(seen: dict[str, Any]) -> str:
    runtimes = [f"{name} on {hosts}" for name, hosts in seen["runtimes"].items()]
    numbers = f"{seen['of_kubernetes']} of Kubernetes, {seen['others']} others"
    return f"{numbers} ({', '.join(runtimes)})" if runtimes else "no runtime is there"


_LOGS = {"journal": "the journal", "kernel": "the kernel's", "pod": "those of pods"}


def _logs(seen: dict[str, Any]) -> str:
    sources = [f"{_LOGS[name]} on {source['hosts']}{_back(source['back'])}" for name, source in seen["sources"].items()]
    return "; ".join(sources) or "there are none"


def _back(span: Sequence[float]) -> str:
    ages = dict.fromkeys(map(tcp_words.age, span))
    return f", {' to '.join(ages)} back" if ages else ""


def _more(number: int, text: str) -> list[str]:
    return wrap(f"… and {number} {text}", "  ", "    ") if number > 0 else []
