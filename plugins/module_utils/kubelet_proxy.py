# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a node's kubelet for the stacks of all its goroutines through the API server's proxy. Runs on the controller.

GET /api/v1/nodes/NAME/proxy/... goes to kubelet's authenticated port (kubernetes pkg/registry/core/node/rest/proxy.go), and needs the
right "get" on "nodes/proxy". Where kubelet does not answer the API server says 503 (apimachinery pkg/util/proxy/transport.go); what kubelet
itself refuses comes back as it said it, in plain text, while refusals of the API server are Status objects.
"""

from __future__ import annotations

import re
import time
from typing import Callable, List, Sequence

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_api, cluster_hosts
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import Answer, Fetch, UnreachableError
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.dump_source import (
    Dumped,
    DumpError,
    as_pprof_gives,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.kubelet_dump import HANDLERS_ARE_OFF, PATH, QUERY

_NODE = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)  # what a Node may be called: RFC 1123
_PAGE = 500
_BLOCK = 1 << 18
_QUOTED = 300
_GRANT = (
    'grant it the verb "get" on the resource "nodes/proxy" of API group "" in a ClusterRole, and take it away afterwards: it is a strong '
    "right, which also lets run commands in every pod of the nodes; or ask kubelet on the node itself, with a client certificate there"
)
_BY_API_SERVER = {
    401: "the API server does not accept these credentials (401{said}): the token or client certificate is wrong or has expired",
    403: "the API server forbids it (403{said}); " + _GRANT,
    404: "the API server does not know Node {node} any more (404{said})",
    502: "kubelet on {node} does not answer the API server (502{said}): look whether it runs, and whether its port can be reached from there",
    503: "kubelet on {node} does not answer the API server (503{said}): look whether it runs, and whether its port can be reached from there",
    504: "kubelet on {node} does not answer the API server (504{said}): look whether it runs, and whether its port can be reached from there",
}
_BY_KUBELET = {
    401: "kubelet on {node} does not accept the API server's own certificate (401{said}): look at --kubelet-client-certificate",
    403: "kubelet on {node} forbids it to the API server itself (403{said}): "
    'the user of --kubelet-client-certificate needs the right "get" on "nodes/proxy"',
    404: "kubelet on {node} knows no such path (404{said})",
    405: "kubelet on {node} refuses it (405{said}): " + HANDLERS_ARE_OFF,
}


def ask(fetch: Fetch, names: Sequence[str], deadline: Deadline, sleep: Callable[[float], None] = time.sleep) -> Dumped:
    """Return the dump of kubelet on the Node that one of ``names`` (names and addresses of one host) means, or why there is none."""
    source = f"the API server's proxy to kubelet of {plain(', '.join(names), 100)}"
    try:
        node = _node(fetch, names, deadline, sleep)
        source = f"the API server's proxy to kubelet of Node {node}"
        answer = fetch(f"/api/v1/nodes/{node}/proxy{PATH}", QUERY)
        if answer.status != 200:
            raise DumpError(_refusal(answer, node))
        pieces = (answer.body[start : start + _BLOCK] for start in range(0, len(answer.body), _BLOCK))
        return Dumped(source, as_pprof_gives(pieces))
    except (DumpError, UnreachableError) as error:
        return Dumped(source, why=f"goroutines through {source}: {error}")


def _node(fetch: Fetch, names: Sequence[str], deadline: Deadline, sleep: Callable[[float], None]) -> str:
    """The name of the Node. Raises DumpError, UnreachableError."""
    for name in names:
        if _NODE.fullmatch(name) and fetch(f"/api/v1/nodes/{name}", {}).status == 200:
            return name
    cluster = cluster_api.read_cluster(fetch, ("nodes",), _PAGE, deadline, sleep)
    if cluster["nodes"] is None:
        raise DumpError("; ".join(gap["why"] for gap in cluster["missing"] if gap["what"] in ("Nodes", "cluster API")))
    found = [name for name in cluster_hosts.called(cluster["nodes"], names) if _NODE.fullmatch(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DumpError(f"several Nodes have its names and addresses: {plain(', '.join(sorted(found)), _QUOTED)}")
    raise DumpError(
        "no Node has one of its names as its name, host name, InternalIP or ExternalIP: is it of another cluster? Else set ansible_host to one"
    )


def _refusal(answer: Answer, node: str) -> str:
    status = cluster_api.status_message(answer)
    told: List[str] = [status or answer.body[: 4 * _QUOTED].decode("utf-8", "replace")]
    said = "".join(f": {plain(text, _QUOTED)}" for text in told if text.strip())
    words = (_BY_API_SERVER if status or answer.status >= 500 else _BY_KUBELET).get(answer.status)
    return (words or "kubelet on {node}, or what is in front of it, answered with HTTP status {status}{said}").format(
        node=node, status=answer.status, said=said
    )
