# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which program turns Services into packets on this node, and which addresses it captures for NodePorts.

kube-proxy tells its mode at http://127.0.0.1:10249/proxyMode and its configuration at /configz
(cmd/kube-proxy/app/server.go, serveMetrics). Without it, its flags, a kube-ipvs0 link or another data plane's agent tell.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
from collections.abc import Callable, Sequence
from typing import Any, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs

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
_HTTP_TIMEOUT_SECONDS = 1.0
_HTTP_LIMIT = 1 << 20

Get = Callable[[int, str], str]


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
    missing = _ask(result, get or _http_get) if _may_ask(metrics) else []
    if result["mode"] is None and program in _REPLACEMENTS:
        result.update(mode=_REPLACEMENTS[program], source=f"{program} runs here and kube-proxy does not")
    if program == "kube-proxy" and pid is not None:
        _read_flags(result, f"{proc}/{pid}")
    if result["mode"] is None and os.path.exists(f"{sys}/class/net/kube-ipvs0"):
        result.update(mode="ipvs", source="the link kube-ipvs0 exists")
    if result["mode"] is None:
        missing.append({"what": "kube-proxy mode", "why": _why_unknown(program)})
    if result["mode"] is not None:
        missing = [gap for gap in missing if gap["what"] != "kube-proxy mode"]
    return {**result, "complete": not missing, "missing": missing}


def is_kube_proxy(socket: dict[str, Any]) -> bool:
    """True when kube-proxy, or what embeds or replaces it, is among the holders of a described socket."""
    return any(process["name"] in OWN_NAMES for process in socket["processes"])


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


def _may_ask(metrics: Sequence[dict[str, Any]]) -> bool:
    # Never send a request to a program that is certainly another one.
    for entry in metrics:
        if entry["protocol"] == "tcp" and entry["state"] == "listen":
            names = {process["name"] for process in entry["processes"]}
            return not names or bool(names & OWN_NAMES)
    return False


def _ask(result: dict[str, Any], get: Get) -> list[dict[str, str]]:
    url = f"http://127.0.0.1:{METRICS_PORT}"
    missing = []
    try:
        mode = get(METRICS_PORT, "/proxyMode").strip()
        if mode in MODES:
            result.update(mode=mode, source=f"{url}/proxyMode")
        else:
            missing.append({"what": "kube-proxy mode", "why": f"{url}/proxyMode answered {mode[:40]!r}"})
    except (OSError, ValueError, http.client.HTTPException) as error:
        missing.append({"what": "kube-proxy mode", "why": f"{url}/proxyMode: {error}"})
    try:
        _read_configuration(result, json.loads(get(METRICS_PORT, "/configz")))
    except (OSError, ValueError, http.client.HTTPException, RecursionError) as error:
        missing.append({"what": "kube-proxy configuration", "why": f"{url}/configz: {error}"})
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


def _http_get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_HTTP_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Accept": "*/*"})
        response = connection.getresponse()
        if response.status != 200:
            raise ValueError(f"HTTP status {response.status}")
        return response.read(_HTTP_LIMIT).decode("utf-8", "replace")
    finally:
        connection.close()
