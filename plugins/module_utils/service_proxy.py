# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program turns Services into packets on this node, and which addresses it captures for NodePorts.

kube-proxy tells its mode at http://127.0.0.1:10249/proxyMode and its configuration at /configz
(cmd/kube-proxy/app/server.go, serveMetrics). Without it, its flags, a kube-ipvs0 link or another data plane's agent tell.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
from collections.abc import Sequence
from typing import Any, Callable, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

MODES = ("iptables", "ipvs", "nftables", "userspace", "cilium")
# Programs that hold kube-proxy inside them. comm is cut at 15 bytes.
_EMBEDDING = ("k3s", "k3s-server", "k3s-agent", "k0s", "kubelite", "hyperkube", "microshift", "rke2")
# Agents that replace kube-proxy and whose capture rules differ from its own.
_REPLACEMENTS = {
    "cilium-agent": "cilium",
    "ovnkube": "ovn-kubernetes",
    "ovnkube-node": "ovn-kubernetes",
    "kube-router": "kube-router",
    "antrea-agent": "antrea",
}
# Whose sockets on a NodePort are the Service's own: kube-proxy (and what embeds or replaces it) opens the port itself up to
# 1.23, for healthCheckNodePorts, and for loopback NodePorts of the nftables mode from 1.37 on (KEP-6032).
OWN_NAMES = frozenset(("kube-proxy", *_EMBEDDING, *_REPLACEMENTS))
METRICS_PORT = 10249
_HTTP_SECONDS = 2.0  # for one request as a whole: a server that drips bytes must not hold up a fleet
_HTTP_LIMIT = 1 << 20
_REASON_LIMIT = 200  # an answer from the wrong program may be anything, and reasons are read by people

# (address, port, path) to the body of the answer. Raises OSError or ValueError.
Get = Callable[[str, int, str], str]


def collect(
    metrics: Sequence[dict[str, Any]], proc: str = "/proc", sys: str = "/sys", get: Optional[Get] = None
) -> dict[str, Any]:
    """Find out the service proxy of this node; ``metrics`` are the described sockets that wait on METRICS_PORT.

    Returns ``{program, mode, source, nodeport_addresses, localhost_nodeports, complete, missing}``. ``mode`` is None when
    nothing tells it; ``nodeport_addresses`` is a list ([] when not restricted, None when not seen);
    ``localhost_nodeports`` is kube-proxy's iptables.localhostNodePorts, None when not seen.
    """
    program, pid = _program(proc)
    result: dict[str, Any] = {
        "program": program,
        "mode": None,
        "source": None,
        "nodeport_addresses": None,
        "localhost_nodeports": None,
    }
    missing = []
    asked = _whom_to_ask(metrics)
    if asked is not None:
        missing += _ask(result, _where_to_ask(asked), get or _http_get)
        result["program"] = program = _own_name(asked) or program
    if result["mode"] is None and program in _REPLACEMENTS:
        # Only now: a replacement's agent may run beside the kube-proxy inside k3s without replacing it.
        result.update(mode=_REPLACEMENTS[program], source=f"{program} runs here and kube-proxy does not")
        missing = []
    if program == "kube-proxy" and pid is not None:
        _read_flags(result, f"{proc}/{pid}")
    if result["mode"] is None and os.path.exists(f"{sys}/class/net/kube-ipvs0"):
        result.update(mode="ipvs", source="the link kube-ipvs0 exists")
    if result["mode"] is None:
        missing.append({"what": "kube-proxy mode", "why": _why_unknown(program)})
    if result["mode"] is not None:
        missing = [gap for gap in missing if gap["what"] != "kube-proxy mode"]
    return {**result, "complete": not missing, "missing": missing}


def is_kube_proxy(described: dict[str, Any], program: Optional[str] = None) -> bool:
    """True when a described socket is the service proxy's own; ``program`` is that of the section, None where not seen.

    Beside a kube-proxy, the agents and all-in-one programs of OWN_NAMES hold ports like any other. On loopback only
    kube-proxy itself serves NodePorts (nftables mode from 1.37): what others listen on there is their own business,
    gops and kubelet's streaming server among it.
    """
    names = {process["name"] for process in described["processes"]}
    if "kube-proxy" in names:
        return True
    others = {program} & OWN_NAMES if program else OWN_NAMES
    loopback = ipaddress.ip_address(described["address"].partition("%")[0]).is_loopback
    return not loopback and not names.isdisjoint(others)


def opens_node_ports(program: Optional[str]) -> bool:
    """Whether this program may hold NodePorts itself: kube-proxy up to 1.23, alone or within another program."""
    return program not in _REPLACEMENTS


def _program(proc: str) -> tuple[Optional[str], Optional[int]]:
    # kube-proxy first: Cilium and others may run beside it without replacing it.
    found: dict[str, int] = {}
    for pid in procfs.pids(proc):
        name = procfs.comm(pid, proc)
        if name in OWN_NAMES and procfs.same_network_namespace(pid, proc) is not False:
            found.setdefault(name, pid)
    for name in ("kube-proxy", *_REPLACEMENTS, *_EMBEDDING):
        if name in found:
            return name, found[name]
    return None, None


def _own_name(described: dict[str, Any]) -> Optional[str]:
    return next((process["name"] for process in described["processes"] if process["name"] in OWN_NAMES), None)


def _whom_to_ask(metrics: Sequence[dict[str, Any]]) -> Optional[dict[str, Any]]:
    """The listener to ask: the proxy's own, else one of which no process was seen; never certainly another program's."""
    listening = [entry for entry in metrics if entry["protocol"] == "tcp" and entry["state"] == "listen"]
    own = [entry for entry in listening if _own_name(entry)]
    unseen = [entry for entry in listening if not entry["processes"]]
    return next(iter(own + unseen), None)


def _where_to_ask(listener: dict[str, Any]) -> str:
    """Metrics are on 127.0.0.1 unless metricsBindAddress says otherwise; on ::1 where the node has IPv6 only."""
    address = ipaddress.ip_address(listener["address"].partition("%")[0])
    if not address.is_unspecified:
        return str(address)
    return "::1" if listener["v6only"] else "127.0.0.1"


def _ask(result: dict[str, Any], address: str, get: Get) -> list[dict[str, str]]:
    url = f"http://{f'[{address}]' if ':' in address else address}:{METRICS_PORT}"
    missing = []
    try:
        mode = get(address, METRICS_PORT, "/proxyMode").strip()
        if mode in MODES:
            result.update(mode=mode, source=f"{url}/proxyMode")
        else:
            missing.append({"what": "kube-proxy mode", "why": f"{url}/proxyMode answered {mode[:40]!r}"})
    except (OSError, ValueError) as error:
        missing.append({"what": "kube-proxy mode", "why": f"{url}/proxyMode: {str(error)[:_REASON_LIMIT]}"})
    try:
        _read_configuration(result, json.loads(get(address, METRICS_PORT, "/configz")))
    except (OSError, ValueError, RecursionError) as error:
        missing.append({"what": "kube-proxy configuration", "why": f"{url}/configz: {str(error)[:_REASON_LIMIT]}"})
    return missing


def _read_configuration(result: dict[str, Any], document: Any) -> None:
    """Take the three settings that decide what NodePorts capture. Raises ValueError when they are not there."""
    configuration = document.get("kubeproxy.config.k8s.io") if isinstance(document, dict) else None
    if not isinstance(configuration, dict):
        raise ValueError("no kubeproxy.config.k8s.io in the answer")
    addresses = configuration.get("nodePortAddresses")
    iptables = configuration.get("iptables")
    result["nodeport_addresses"] = checked_addresses(addresses if isinstance(addresses, list) else [])
    if isinstance(iptables, dict) and isinstance(iptables.get("localhostNodePorts"), bool):
        result["localhost_nodeports"] = iptables["localhostNodePorts"]


def checked_addresses(values: Sequence[Any]) -> list[str]:
    """Check --nodeport-addresses: CIDRs, or the word "primary" (1.29 and newer). Raises ValueError naming a wrong one."""
    for value in values:
        if value != "primary":
            ipaddress.ip_network(value if isinstance(value, str) else repr(value), strict=False)
    return list(values)


def _read_flags(result: dict[str, Any], folder: str) -> None:
    # Only these three flags are looked at; the rest of a command line may hold secrets.
    try:
        words = procfs.text(f"{folder}/cmdline").split("\0")
    except OSError:
        return
    if _flag(words, "--config"):  # then kube-proxy does not look at the others
        return
    mode = _flag(words, "--proxy-mode")
    if result["mode"] is None and mode in MODES:
        result.update(mode=mode, source="kube-proxy's flag --proxy-mode")
    addresses = _flag(words, "--nodeport-addresses")
    if result["nodeport_addresses"] is None and addresses is not None:
        try:
            result["nodeport_addresses"] = checked_addresses([part for part in addresses.split(",") if part])
        except ValueError:
            return
    localhost = _flag(words, "--iptables-localhost-nodeports")
    if result["localhost_nodeports"] is None and localhost in ("true", "false"):
        result["localhost_nodeports"] = localhost == "true"


def _flag(words: Sequence[str], name: str) -> Optional[str]:
    for index, word in enumerate(words):
        if word.startswith(name + "="):
            return word[len(name) + 1 :]
        if word == name and index + 1 < len(words):
            return words[index + 1]
    return None


def _why_unknown(program: Optional[str]) -> str:
    if program is None:
        return "no kube-proxy and no known replacement was seen running here: tell it with proxy_mode"
    return f"{program} runs here but did not tell its mode: tell it with proxy_mode"


def _http_get(address: str, port: int, path: str) -> str:
    # HTTP/1.0: the answer is whole when the server closes, so the time and size of everything can be bounded here.
    with socket.create_connection((address, port), timeout=_HTTP_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: */*\r\n\r\n".encode("ascii"))
        answer = _until_closed(connection, Deadline(_HTTP_SECONDS))
    # b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\niptables"
    head, _empty_line, body = answer.partition(b"\r\n\r\n")
    words = head.split(None, 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        raise ValueError(f"no HTTP: {head[:40]!r}")
    if words[1] != b"200":
        raise ValueError(f"HTTP status {words[1][:40].decode('ascii', 'replace')}")
    return body.decode("utf-8", "replace")


def _until_closed(connection: socket.socket, deadline: Deadline) -> bytes:
    """Raises TimeoutError (socket.timeout before Python 3.10) and, for more than the limit, ValueError."""
    answer = bytearray()
    while len(answer) <= _HTTP_LIMIT:
        connection.settimeout(max(deadline.left(), 0.001))  # 0 would mean not to wait at all
        received = connection.recv(65536)
        if not received:
            return bytes(answer)
        if deadline.passed():
            raise TimeoutError(f"no end of the answer in {deadline.seconds:g} s")
        answer += received
    raise ValueError(f"an answer of more than {_HTTP_LIMIT} bytes")
