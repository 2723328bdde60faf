# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller adds to a listener's origin: kubelet's stacks through the API server, and earlier audits."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    cluster_client,
    origin_request,
    origin_stacks,
    socket_words,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import Answer, UnreachableError
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_client import ConfigError
from ansible_collections.kubenode.doctor.plugins.plugin_utils import origin_here
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import FIXTURES, captured, origin

DEFAULTS = {name: spec.get("default") for name, spec in origin_request.ARGUMENTS.items()}
DUMP = (FIXTURES / "go_dumps" / "kubelet-1.36.txt").read_bytes()
OPENER = "k8s.io/kubernetes/pkg/kubelet/server.ListenAndServeKubeletServer"
NO_CERTIFICATE = "there is no client certificate"
REFUSED = 'nodes "node-a" is forbidden: User "jane" cannot get resource "nodes/proxy" in API group ""'
SOCKETS = captured("node-a")["sections"]["listen_ports"]["listeners"]


KUBELET = {"exe": "/usr/bin/kubelet", "module": "k8s.io/kubernetes"}


def status(code, message):
    value = {"kind": "Status", "status": "Failure", "message": message, "code": code}
    return Answer(code, {"content-type": "application/json"}, json.dumps(value).encode())


class Server:
    """In place of an API server; ``asked`` are the paths, ``options`` how it was to be reached."""

    def __init__(self, monkeypatch, proxied=None, error=None):
        self.asked, self.options, self._error = [], [], error
        self._proxied = proxied or Answer(200, {"content-type": "text/plain"}, DUMP)
        monkeypatch.setattr(cluster_client, "KUBERNETES_ERROR", None)
        monkeypatch.setattr(cluster_client, "CORE_ERROR", None)
        monkeypatch.setattr(cluster_client, "connect", self._connect)

    def _connect(self, options, timeout, deadline):
        assert timeout <= 10
        assert deadline.seconds == 20
        self.options.append(options)
        if self._error:
            raise self._error
        return SimpleNamespace(fetch=self._fetch), []

    def _fetch(self, path, _query):
        self.asked.append(path)
        if path.endswith("/proxy/debug/pprof/goroutine"):
            return self._proxied
        if path == "/api/v1/nodes/node-a":
            return Answer(200, {"content-type": "application/json"}, b'{"metadata": {"name": "node-a"}}')
        return status(404, "not found")


def listener(port, accepting=(), why="", others=("kubelet-healthz",), **fields):
    """A captured socket of kubelet or containerd, as the module tells it."""
    (socket,) = [one for one in SOCKETS if one["port"] == port and one["protocol"] == "tcp"]
    stacks = {
        **origin_stacks.nothing(why),
        "accepting": list(accepting),
        "others": list(others),
        "candidates": list(range(len(accepting))),
    }
    return {
        **origin(socket, **(KUBELET if socket["processes"][0]["name"] == "kubelet" else {})),
        "endpoint": socket_words.endpoint(socket),
        "configuration": None,
        "goroutines": stacks,
        "history": None,
        **fields,
    }


API = 10250
HEALTH = 10248
(DRAWN,) = [one["port"] for one in SOCKETS if one["processes"] and one["known_as"] and one["ephemeral"]]


def completed(*listeners, audits=None, ephemeral=(32768, 60999), **options):
    request = origin_request.read({**DEFAULTS, **options})
    result = {
        "changed": False,
        "listeners": list(listeners),
        "ephemeral_range": ephemeral and list(ephemeral),
        "trace": None,
    }
    told = origin_here.completed(result, request, ["node-a", "192.0.2.7"], audits, "node-a")
    assert {key: told[key] for key in result if key != "listeners"} == {
        key: result[key] for key in result if key != "listeners"
    }
    return told["listeners"]


def saw(listener, method):
    return " ".join(step["saw"] for step in listener["steps"] if step["method"] == method)


def test_kubelets_stacks_come_through_the_api_server_where_the_node_gave_none(monkeypatch):
    server = Server(monkeypatch)
    given = listener(API, why=NO_CERTIFICATE)
    (told,) = completed(given, kubeconfig="/root/admin.conf", context="prod")
    assert server.options == [{"kubeconfig": "/root/admin.conf", "context": "prod"}]
    assert (told["kind"], told["certain"]) == ("kubelet-api", True)
    assert told["answer"].endswith(f"opened by {OPENER}")
    assert "The API server's proxy to kubelet of Node node-a: 181 goroutines" in saw(told, "goroutines")
    assert (told["goroutines"]["others"], told["goroutines"]["why"]) == (["kubelet-healthz"], "")
    assert given["goroutines"]["accepting"] == []  # what the node said stays as it was


def test_the_api_server_is_asked_once_for_all_listeners_of_kubelet(monkeypatch):
    server = Server(monkeypatch)
    api, health = completed(
        listener(API, why=NO_CERTIFICATE), listener(HEALTH, why=NO_CERTIFICATE, others=["kubelet-api"]), kubeconfig="x"
    )
    assert len([path for path in server.asked if "proxy" in path]) == 1
    assert (api["kind"], health["kind"]) == ("kubelet-api", "kubelet-healthz")
    assert saw(api, "goroutines") != saw(health, "goroutines")


def test_what_the_other_listeners_are_decides_which_server_is_left(monkeypatch):
    Server(monkeypatch)
    unknown = listener(API, why=NO_CERTIFICATE, others=["kubelet-api", "kubelet-healthz"], known_as=None)
    (told,) = completed(unknown, kubeconfig="x")
    assert (told["kind"], told["certain"]) == ("kubelet-readonly", True)
    (told,) = completed({**unknown, "goroutines": {**unknown["goroutines"], "others": []}}, kubeconfig="x")
    assert (told["kind"], told["certain"]) == (None, False)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (listener(API, why=NO_CERTIFICATE), {}),
        (listener(API, why=NO_CERTIFICATE), {"kubeconfig": "x", "methods": ["owner"]}),
        (listener(API, [{"network": "tcp", "server": "s", "file": "f", "creator": None, "kind": None}]), None),
        (listener(API, goroutines=None), None),
        (listener(API, why="whose stacks to ask for is not known", processes=[]), None),
        (listener(DRAWN, why="add the method stack_dump"), None),  # containerd's
    ],
)
def test_nobody_is_asked(monkeypatch, given, options):
    server = Server(monkeypatch)
    (told,) = completed(given, **({"kubeconfig": "x"} if options is None else options))
    assert server.options == server.asked == []
    assert told["goroutines"] == given["goroutines"]


@pytest.mark.parametrize(
    ("proxied", "error", "words"),
    [
        (status(403, REFUSED), None, 'grant it the verb "get" on the resource "nodes/proxy"'),
        (status(503, "dial tcp: connection refused"), None, "does not answer the API server"),
        (None, UnreachableError("https://192.0.2.1:6443: connection refused"), "192.0.2.1:6443: connection refused"),
        (None, ConfigError("kubeconfig: x: no such file"), "kubeconfig: x: no such file"),
        (Answer(200, {}, b"<html>Log in</html>"), None, "goroutine"),
    ],
)
def test_both_ways_that_failed_are_told(monkeypatch, proxied, error, words):
    Server(monkeypatch, proxied, error)
    (told,) = completed(listener(API, why=NO_CERTIFICATE), kubeconfig="x")
    assert told["goroutines"]["why"].startswith(f"{NO_CERTIFICATE}; ")
    assert words in told["goroutines"]["why"]
    assert NO_CERTIFICATE in saw(told, "goroutines").lower()
    assert words.lower() in saw(told, "goroutines").lower()
    assert "opened by" not in told["answer"]


@pytest.mark.parametrize("lacking", ["KUBERNETES_ERROR", "CORE_ERROR"])
def test_a_controller_without_the_library_says_what_to_install(monkeypatch, lacking):
    server = Server(monkeypatch)
    monkeypatch.setattr(cluster_client, lacking, "Traceback (most recent call last): ...")
    (told,) = completed(listener(API, why=NO_CERTIFICATE), kubeconfig="x")
    assert "install kubernetes.core and the Python library kubernetes" in told["goroutines"]["why"]
    assert "Traceback" not in told["goroutines"]["why"]
    assert server.options == []


def test_earlier_audits_are_looked_at_for_each_listener(monkeypatch, tmp_path):
    opened, asked = [], []

    class History:
        def __init__(self, folder, host):
            opened.append((folder, host))

        def of(self, given):
            asked.append(given["port"])
            return [{"audit": "2026-11-20T08:00:00+00:00", "port": 41000, "started": "2026-11-20T07:00:00+00:00"}]

    monkeypatch.setattr(origin_here.earlier_audits, "History", History)
    drawn, api = completed(listener(DRAWN), listener(API), audits=tmp_path)
    assert opened == [(tmp_path, "node-a")]
    assert asked == [DRAWN, API]
    assert "41000 (2026-11-20T08:00:00+00:00): another one at each start" in saw(drawn, "history")
    assert api["history"]


def test_without_a_folder_of_audits_there_is_no_history():
    (told,) = completed(listener(DRAWN))
    assert told["history"] is None
    assert saw(told, "history") == ""


def test_ranges_are_those_of_the_node_and_the_operator():
    port = DRAWN
    (told,) = completed(listener(DRAWN), ephemeral=(20000, 60000), nodeport_range=f"{port}-{port}")
    assert "the ephemeral range 20000-60000" in saw(told, "owner")
    assert f"inside the NodePort range {port}-{port}" in saw(told, "owner")
    (told,) = completed(listener(DRAWN), ephemeral=None)
    assert "the ephemeral range could not be read" in saw(told, "owner")


def test_nothing_listens():
    assert completed(kubeconfig="x") == []
