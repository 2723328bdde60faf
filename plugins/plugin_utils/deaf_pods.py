# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pods that a fix is offered for because they do not listen, and whether they still do not just before it acts. Pure.

One of them, as a target has it (``host`` is the inventory's, ``address`` the endpoint's)::

    {"host", "namespace", "name", "uid", "protocol": "tcp" or "udp", "address", "port"}
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import target_verdict
from ansible_collections.kubenode.doctor.plugins.plugin_utils.kubectl import NAME
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_verdict import Listening

# RFC 1123, as the API server checks names of namespaces, Deployments (subdomains) and containers (labels):
# apimachinery pkg/util/validation, IsDNS1123Subdomain, at most 253 characters.
UID = re.compile(r"[0-9A-Za-z]([-0-9A-Za-z]{0,62}[0-9A-Za-z])?")
_PROTOCOL = re.compile("tcp|udp")
# Of an inventory, in which a role looks for it: anything that a terminal can show.
_HOST = re.compile(r"[!-~]{1,253}")
_PATTERNS = {"host": _HOST, "namespace": NAME, "name": NAME, "uid": UID, "protocol": _PROTOCOL}


class DeafPod(NamedTuple):
    """A pod that was seen not to answer on a port of one of its addresses. All values are of the form that they have to be of."""

    host: str
    namespace: str
    name: str
    uid: str
    protocol: str
    address: str
    port: int

    @property
    def words(self) -> str:
        """``pod shop/front-2 on node-a``."""
        return f"pod {self.namespace}/{self.name} on {self.host}"


def read(found: Any) -> tuple[DeafPod, ...]:
    """The pods of a target. Raises ValueError where there is none, or one is of another form."""
    if not isinstance(found, list) or not found:
        raise ValueError("no list of pods")
    return tuple(map(_read, found))


def count(value: Any) -> int:
    """A whole number above 0; raises ValueError for anything else. To Python True is one too."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{value!r} is no whole number above 0")
    return value


def _read(entry: Any) -> DeafPod:
    if not isinstance(entry, dict):
        raise ValueError("no pod")
    for key, pattern in _PATTERNS.items():
        if not isinstance(entry.get(key), str) or not pattern.fullmatch(entry[key]):
            raise ValueError(key)
    if count(entry.get("port")) > 65535 or not isinstance(entry.get("address"), str):
        raise ValueError("port")
    ipaddress.ip_address(entry["address"])
    return DeafPod(**{key: entry[key] for key in DeafPod._fields})


def by_host(pods: Iterable[DeafPod]) -> list[dict[str, Any]]:
    """``[{"host", "uids"}]``: whom to ask, and for which pods."""
    found: dict[str, dict[str, None]] = {}
    for pod in pods:
        found.setdefault(pod.host, {})[pod.uid] = None
    return [{"host": host, "uids": list(uids)} for host, uids in found.items()]


def changed(pods: Sequence[DeafPod], answers: Mapping[str, Any]) -> str:
    """Why it is not sure any more that none of the pods listens; empty while it is.

    ``answers`` are what pod_listeners returns now, by host.
    """
    for pod in pods:
        why = _changed(pod, answers.get(pod.host))
        if why:
            return f"{pod.words} {why}"
    return ""


def _changed(pod: DeafPod, answer: Any) -> str:
    try:
        if not isinstance(answer, dict) or not isinstance(answer.get("pods"), list):
            told = answer.get("msg") if isinstance(answer, dict) else None
            return f"could not be looked at once more: {told or 'no answer'}"
        found = next((one for one in answer["pods"] if one["uid"] == pod.uid), None)
        if found is None:
            return "is gone by now"
        if found["listeners"] is None or found["unlisted"] or found["redirects"]:
            return f"does not show any more whether it listens: {found['why'] or 'too many listeners, or redirected packets'}"
        listeners = [_listening(entry) for entry in found["listeners"]]
        kind = target_verdict.judge(listeners, pod.protocol, pod.address, pod.port).kind
    except MISSHAPEN:
        return "was told of in another form than expected"
    where = f"{pod.port}/{pod.protocol.upper()}"
    if kind == target_verdict.LISTENS:
        return f"listens on {where} by now"
    return "" if kind in target_verdict.DEAF else f"may listen on {where} by now"


def _listening(entry: Mapping[str, Any]) -> Listening:
    return Listening(entry["protocol"], entry["family"], entry["address"], entry["port"], entry["v6only"])
