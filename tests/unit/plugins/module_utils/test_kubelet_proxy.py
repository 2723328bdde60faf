# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubelet_proxy: the right Node is asked, and every refusal on the way to its kubelet is told from the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import dump_source, kubelet_proxy
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import Answer, UnreachableError
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
DUMP = (FIXTURES / "go_dumps" / "kubelet-1.36.txt").read_bytes()
JSON = {"content-type": "application/json"}
PATIENCE = 20  # seconds that no test needs
SOURCE = "the API server's proxy to kubelet of Node worker-1"
REFUSED = (
    'nodes "worker-1" is forbidden: User "jane" cannot get resource "nodes/proxy" in API group "" at the cluster scope'
)


def ok(value):
    return Answer(200, JSON, json.dumps(value).encode())


def status(code, message):
    return Answer(
        code, JSON, json.dumps({"kind": "Status", "status": "Failure", "message": message, "code": code}).encode()
    )


def plain(code, body):
    return Answer(code, {"content-type": "text/plain; charset=utf-8"}, body)


def node(name, *addresses):
    listed = [{"type": kind, "address": address} for kind, address in addresses]
    return {"metadata": {"name": name}, "status": {"addresses": listed}}


class Server:
    """An API server with these Nodes; ``proxied`` is what comes through its proxy."""

    def __init__(self, *nodes, proxied=None, listed=None, one=None):
        self._nodes = {each["metadata"]["name"]: each for each in nodes}
        self._proxied = proxied or plain(200, DUMP)
        self._listed = listed or ok({"kind": "NodeList", "metadata": {}, "items": list(nodes)})
        self._one = one
        self.paths = []

    def fetch(self, path, query):
        self.paths.append(path)
        name, _slash, rest = path[len("/api/v1/nodes/") :].partition("/")
        if path == "/version":
            return ok({"major": "1", "minor": "36"})
        if path == "/api/v1/nodes":
            return self._listed
        if rest:
            assert (rest, query) == ("proxy/debug/pprof/goroutine", {"debug": "2"})
            if isinstance(self._proxied, Exception):
                raise self._proxied
            return self._proxied
        return self._one or (ok(self._nodes[name]) if name in self._nodes else status(404, f'nodes "{name}" not found'))


WORKERS = (
    node("worker-1", ("InternalIP", "10.0.0.5"), ("Hostname", "w1.example")),
    node("worker-2", ("InternalIP", "10.0.0.6"), ("InternalIP", "fd00::6")),
)


def asked(server, *names):
    """Where a dump is from, its bytes, and why there are no more."""
    with kubelet_proxy.ask(server.fetch, names, Deadline(PATIENCE), lambda _seconds: None) as dumped:
        body = b"".join(dumped.blocks())
    assert all(gap["what"] == "goroutines" for gap in dumped.missing)
    return dumped.source, body, [gap["why"] for gap in dumped.missing]


def why_not(server, *names):
    _source, body, (why,) = asked(server, *names)
    assert body == b""
    return why


def test_a_node_by_its_name():
    server = Server(*WORKERS)
    assert asked(server, "worker-1", "10.0.0.9") == (SOURCE, DUMP, [])
    assert server.paths == [
        "/api/v1/nodes/worker-1",
        "/api/v1/nodes/worker-1/proxy/debug/pprof/goroutine",
    ]  # no list of all


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("first", "10.0.0.5"), "worker-1"),
        (("W1.example.",), "worker-1"),
        (("first", "FD00:0::6"), "worker-2"),
    ],
)
def test_a_node_by_another_name_of_its_host(names, found):
    server = Server(*WORKERS)
    assert asked(server, *names)[0] == f"the API server's proxy to kubelet of Node {found}"
    assert server.paths[-1] == f"/api/v1/nodes/{found}/proxy/debug/pprof/goroutine"


@pytest.mark.parametrize("name", ["../../secrets", "worker-1/proxy", "worker-1?x=y", "a b", "WORKER", "", "x" * 300])
def test_a_name_that_no_node_has_is_never_part_of_a_path(name):
    server = Server(*WORKERS)
    why_not(server, name)
    assert set(server.paths) == {"/version", "/api/v1/nodes"}


def test_no_node_is_it():
    assert "no Node has one of its names as its name, host name, InternalIP or ExternalIP" in why_not(
        Server(*WORKERS), "other"
    )


def test_several_nodes_are_it():
    why = why_not(Server(*WORKERS), "10.0.0.5", "10.0.0.6")
    assert why.endswith("several Nodes have its names and addresses: worker-1, worker-2")


def test_nodes_may_not_be_listed():
    refused = status(403, "nodes is forbidden")
    why = why_not(Server(*WORKERS, listed=refused, one=refused), "first")
    assert "the API server forbids it (403: nodes is forbidden)" in why
    assert 'the verb "list" on the resource "nodes"' in why


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (status(401, "Unauthorized"), "the API server does not accept these credentials (401: Unauthorized)"),
        (
            status(403, REFUSED),
            f'the API server forbids it (403: {REFUSED}); grant it the verb "get" on the resource "nodes/proxy"',
        ),
        (status(404, 'nodes "worker-1" not found'), "the API server does not know Node worker-1 any more (404"),
        (
            status(503, "error trying to reach service: dial tcp 10.0.0.5:10250: connect: connection refused"),
            "kubelet on worker-1 does not answer the API server (503: error trying to reach service: dial tcp 10.0.0.5:10250",
        ),
        (
            plain(503, b"Error trying to reach service: 'x'"),
            "kubelet on worker-1 does not answer the API server (503: Error trying",
        ),
        (plain(502, b""), "kubelet on worker-1 does not answer the API server (502):"),
        (plain(504, b"<html>"), "kubelet on worker-1 does not answer the API server (504: <html>):"),
        (
            plain(401, b"Unauthorized"),
            "kubelet on worker-1 does not accept the API server's own certificate (401: Unauthorized)",
        ),
        (
            plain(403, b"Forbidden (user=kube-apiserver-kubelet-client, verb=get, resource=nodes, subresource=proxy)"),
            "kubelet on worker-1 forbids it to the API server itself (403: Forbidden (user=kube-apiserver-kubelet-client",
        ),
        (plain(404, b"404 page not found\n"), "kubelet on worker-1 knows no such path (404: 404 page not found)"),
        (
            plain(405, b"Debug endpoints are disabled.\n"),
            "kubelet on worker-1 refuses it (405: Debug endpoints are disabled.): enable",
        ),
        (plain(302, b""), "kubelet on worker-1, or what is in front of it, answered with HTTP status 302"),
        (plain(500, b"{broken} {0}"), "answered with HTTP status 500: {broken} {0}"),
        (status(429, "slow down"), "answered with HTTP status 429: slow down"),
        (UnreachableError("https://10.0.0.1:6443 cannot be reached"), "https://10.0.0.1:6443 cannot be reached"),
    ],
)
def test_refusals(answer, words):
    why = why_not(Server(*WORKERS, proxied=answer), "worker-1")
    assert why.startswith(f"goroutines through {SOURCE}: ")
    assert words in why


def test_the_right_that_is_missing_is_a_strong_one():
    why = why_not(Server(*WORKERS, proxied=status(403, REFUSED)), "worker-1")
    assert (
        "take it away afterwards: it is a strong right, which also lets run commands in every pod of the nodes" in why
    )


def test_what_it_says_is_short_and_harmless():
    why = why_not(Server(*WORKERS, proxied=plain(405, b"\x1b[31m" + b"x" * 10**6)), "worker-1")
    assert "\x1b" not in why
    assert len(why) < 1000


def test_a_dump_where_go_stops(monkeypatch):
    monkeypatch.setattr(dump_source, "GO_STOPS_AT", 1000)
    for size, gaps in ((999, 0), (1000, 1)):
        _source, body, why = asked(Server(*WORKERS, proxied=plain(200, DUMP[:size])), "worker-1")
        assert (len(body), len(why)) == (size, gaps)
    assert why == ["the dump is cut off at 64 MiB, where Go stops: some goroutines are not in it"]
