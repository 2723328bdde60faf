# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_snapshot as a user runs it: ansible, the real module, HTTP, and an API server in every mood."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC

from ansible_collections.kubenode.doctor.tests.support import cluster_roles, fake_api
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi

CHECKOUT = Path(__file__).resolve().parents[2]
SERVICES, NODES = "/api/v1/services", "/api/v1/nodes"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
PODS, DEPLOYMENTS, REPLICA_SETS = "/api/v1/pods", "/apis/apps/v1/deployments", "/apis/apps/v1/replicasets"
KINDS = ("services", "endpoint_slices", "nodes", "pods", "deployments", "replica_sets", "events")


class Controller:
    """Runs the module on a controller that has no configuration but what a test gives it."""

    def __init__(self, home):
        self.home = home
        self.kubeconfig = home / "kubeconfig"
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".collections"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        }

    def run(self, *options, check_mode=False, **environment):
        """Return ``(succeeded, result, what was printed)``; options are mappings."""
        given = {name: value for mapping in options for name, value in mapping.items()}
        command = ["ansible", "localhost", "-m", "kubenode.doctor.cluster_snapshot"]
        if given:
            command += ["-a", json.dumps(given)]
        ran = subprocess.run(
            [*command, *(["--check"] if check_mode else [])],
            env={**self.environment, **environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        # "[ERROR]: …", then "localhost | FAILED! => {…}"
        body = ran.stdout.partition("localhost | ")[2].partition(" => ")[2]
        assert body, ran.stdout + ran.stderr
        assert "Traceback" not in ran.stdout + ran.stderr
        return ran.returncode == 0, json.loads(body), ran.stdout + ran.stderr

    def read(self, *options, **environment):
        """Return the result of a run that must succeed."""
        succeeded, result, printed = self.run({"kubeconfig": str(self.kubeconfig)}, *options, **environment)
        assert succeeded, printed
        assert result["changed"] is False
        assert result["complete"] is (result["missing"] == [])
        assert {key: result["cluster"][key] for key in ("complete", "missing")} == {
            key: result[key] for key in ("complete", "missing")
        }
        return result

    def fail(self, *options, **environment):
        """Return the message of a run that must fail."""
        succeeded, result, printed = self.run(*options, **environment)
        assert not succeeded, printed
        return result["msg"]


@pytest.fixture
def controller(tmp_path):
    return Controller(tmp_path)


@pytest.fixture
def start(controller):
    """Starts API servers and points the controller's kubeconfig at them."""
    with ExitStack() as servers:

        def started(**settings):
            api = servers.enter_context(FakeApi(**settings))
            api.kubeconfig(controller.kubeconfig)
            return api

        yield started


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kubeconfig_for(url, **content):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "c", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        **content,
    }


def test_pages_of_any_size_give_the_same_cluster(controller, start):
    api = start()
    whole = controller.read()
    asked = len(api.requests)
    assert whole["complete"]
    assert [len(whole["cluster"][kind]) for kind in KINDS] == [8, 7, 1, 10, 5, 5, 7]
    assert asked == 8  # the version and seven lists: no discovery
    assert cluster_roles.refused(api.requests, cluster_roles.READ) == set()
    # of the Events there are 8 pages of one, or 4 of two: after the last Warning come others, so the last one is empty
    for page_size, requests in ((1, 45), (2, 25)):
        del api.requests[:]
        result = controller.read({"page_size": page_size})
        assert {key: result[key] for key in ("cluster", "node_ports")} == {
            key: whole[key] for key in ("cluster", "node_ports")
        }
        assert len(api.requests) == requests


def test_nothing_secret_or_bulky_reaches_the_result(controller, start):
    api = start(tokens={"the-bearer-token": "jane"})
    services = api.objects("services")
    services[0]["metadata"]["annotations"] = {"vault.example/unseal": "annotated-secret"}
    api.replace("services", services)
    pods = api.objects("pods")
    pods[0]["spec"]["containers"][0]["env"] = [{"name": "PASSWORD", "value": "annotated-secret"}]
    api.replace("pods", pods)
    captured = json.dumps([api.objects(plural) for plural in ("services", "endpointslices", "nodes", "pods")])
    _succeeded, _result, printed = controller.run({"kubeconfig": str(controller.kubeconfig)})
    assert '"complete": true' in printed
    for text in ("annotations", "managedFields", "last-applied-configuration", "annotated-secret"):
        assert text in captured
        assert text not in printed
    assert "the-bearer-token" not in printed


@pytest.mark.parametrize(("addresses", "has_endpoints"), [((), False), (("10.244.0.77",), True)])
def test_seed_000(controller, start, addresses, has_endpoints):
    api = start()
    api.add("services", fake_api.seed_000_service())
    api.add("endpointslices", fake_api.seed_000_slice(*addresses))
    (entry,) = [entry for entry in controller.read()["node_ports"] if entry["namespace"] == "default"]
    assert entry == {
        "namespace": "default",
        "service": "kube-processor-service",
        "port_name": None,
        "protocol": "TCP",
        "node_port": 36527,
        "has_endpoints": has_endpoints,
        "endpoint_families": ["IPv4"] if has_endpoints else [],
        "external_traffic_policy": "Cluster",
        "ip_families": ["IPv4"],
    }


def test_check_mode_reads_too(controller, start):
    start()
    succeeded, result, _printed = controller.run({"kubeconfig": str(controller.kubeconfig)}, check_mode=True)
    assert (succeeded, result["complete"]) == (True, True)


def test_old_cluster(controller, start):
    start(slice_versions=("v1beta1",))
    assert len(controller.read()["cluster"]["endpoint_slices"]) == 7


def test_one_kind_forbidden(controller, start):
    start().misbehave(SLICES, fake_api.forbidden)
    result = controller.read()
    assert result["missing"] == [
        {
            "what": "EndpointSlices",
            "why": (
                'the API server forbids it (403: endpointslices.discovery.k8s.io is forbidden: User "kubernetes-admin" '
                'cannot list resource "endpointslices" in API group "discovery.k8s.io" at the cluster scope); grant it '
                'the verb "list" on the resource "endpointslices" of API group "discovery.k8s.io" in a ClusterRole '
                "(README.md of the role collect has one with all that is read)"
            ),
        }
    ]
    assert result["cluster"]["endpoint_slices"] is None
    assert {entry["has_endpoints"] for entry in result["node_ports"]} == {None}
    assert len(result["cluster"]["nodes"]) == 1


def test_without_services_node_ports_are_unknown_not_none_of_them(controller, start):
    start().misbehave(SERVICES, fake_api.forbidden)
    assert controller.read()["node_ports"] is None


def test_an_expired_token_costs_nothing_once(controller, start):
    start().expire_tokens(after_pages=2, times=1)
    assert len(controller.read({"page_size": 3})["cluster"]["services"]) == 8


def test_a_token_that_always_expires_costs_the_kind(controller, start):
    api = start()
    api.expire_tokens(after_pages=1)
    result = controller.read({"page_size": 7})
    assert [entry["what"] for entry in result["missing"]] == ["Services", "Pods", "Events"]  # of more than one page
    assert "410 Gone" in result["missing"][0]["why"]
    assert [request.query.get("continue", "") != "" for request in api.requests if request.path == SERVICES] == [
        *(False, True, False, True, False, True),
    ]


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (fake_api.hang, "{url} gave no complete answer within 1 s"),
        (fake_api.drip, "{url} gave no complete answer within 1 s"),
        (fake_api.reset, "{url} closed the connection without an answer"),
        (fake_api.broken_off, "the answer of {url} broke off before its end"),
        (
            fake_api.unauthorized,
            (
                "the API server does not accept these credentials (401: Unauthorized): "
                "the token or client certificate is wrong or has expired"
            ),
        ),
        (
            fake_api.login_page,
            "what answers is no Kubernetes API server: it sent text/html, not JSON (a proxy?)",
        ),
        (
            fake_api.reply(302, Location="https://sso.example/"),
            "what answers is no Kubernetes API server: it redirects elsewhere (302; a login page?)",
        ),
        (
            fake_api.bad_gateway,
            "a proxy or load balancer answers, but no API server behind it (HTTP 502, one retry included)",
        ),
    ],
    ids=["hang", "drip", "reset", "broken off", "401", "login page", "redirect", "502"],
)
def test_no_api_server_is_no_failure(controller, start, act, reason):
    api = start()
    api.misbehave("/", act)
    result = controller.read({"timeout": 1})
    assert result["missing"] == [{"what": "cluster API", "why": reason.format(url=api.url)}]
    assert {kind: result["cluster"][kind] for kind in KINDS} == dict.fromkeys(KINDS)
    assert result["node_ports"] is None
    assert {request.path for request in api.requests} == {"/version"}


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (fake_api.hang, "{url} gave no complete answer within 1 s"),
        (fake_api.reset, "{url} closed the connection without an answer"),
        (fake_api.reply(200, b'{"kind": "NodeLi'), "the answer is broken JSON (16 bytes)"),
        (fake_api.reply(200, b'{"kind": "PodList", "items": []}'), "the answer is PodList, not a NodeList"),
    ],
    ids=["hang", "reset", "broken JSON", "other kind"],
)
def test_one_list_that_goes_wrong(controller, start, act, reason):
    api = start()
    api.misbehave(NODES, act)
    result = controller.read({"timeout": 1})
    assert result["missing"] == [{"what": "Nodes", "why": reason.format(url=api.url)}]
    assert (result["cluster"]["nodes"], len(result["node_ports"])) == (None, 8)


def test_kinds_that_go_wrong_leave_the_others(controller, start):
    api = start()
    api.misbehave(DEPLOYMENTS, fake_api.forbidden)
    api.misbehave(REPLICA_SETS, fake_api.hang)
    api.misbehave("/api/v1/events", fake_api.reply(200, b'{"kind": "EventList", "items": {}}'))
    gone = fake_api.status(410, "Expired", fake_api.EXPIRED)
    api.misbehave(PODS, lambda handler: "continue" in handler.request_seen.query and gone(handler), times=2)
    result = controller.read({"timeout": 1, "page_size": 4})
    assert [entry["what"] for entry in result["missing"]] == ["Deployments", "ReplicaSets", "Events"]
    reasons = [entry["why"] for entry in result["missing"]]
    assert 'cannot list resource "deployments" in API group "apps" at the cluster scope' in reasons[0]
    assert reasons[1:] == [
        f"{api.url} gave no complete answer within 1 s",
        "the answer's items are no list of Events",
    ]
    assert [len(result["cluster"][kind] or ()) for kind in KINDS] == [8, 7, 1, 10, 0, 0, 0]
    pages = [request.query.get("continue", "") != "" for request in api.requests if request.path == PODS]
    assert pages == [False, True, False, True, True]  # the first time was in vain


def test_a_limited_play_stores_the_pods_of_its_nodes(controller, start):
    api = start()
    (node,), (pod, *_others) = api.objects("nodes"), api.objects("pods")
    node["metadata"].update(name="node-b", uid="b")
    node["status"]["addresses"] = [{"type": "InternalIP", "address": "192.0.2.3"}]
    api.add("nodes", node)
    pod["metadata"].update(name="on-node-b", uid="on-b")
    pod["spec"]["nodeName"] = "node-b"
    api.add("pods", pod)
    folder = controller.home / "audit"
    folder.mkdir()
    options = {"kubeconfig": str(controller.kubeconfig), "bundle": "audit"}
    hosts = [{"name": "second", "addresses": "192.0.2.3"}]
    succeeded, result, printed = controller.run(options, {"hosts": hosts})
    assert succeeded, printed
    assert result["file"] == str(folder / "cluster.json")
    assert (result["complete"], result["missing"], "cluster" in result) == (True, [], False)
    assert result["ports"] == sorted(result["ports"]) != []
    assert (folder / "cluster.json").stat().st_mode & 0o777 == 0o600
    cluster = json.loads((folder / "cluster.json").read_text("utf-8"))
    assert cluster["pods_of"] == ["node-b"]
    assert [entry["name"] for entry in cluster["pods"]] == ["on-node-b"]
    assert [len(cluster[kind]) for kind in KINDS] == [8, 7, 2, 1, 5, 5, 7]
    (query,) = [request.query for request in api.requests if request.path == PODS]
    assert query == {"limit": "500", "fieldSelector": "spec.nodeName=node-b"}


def test_a_bundle_that_is_not_there(controller, start):
    start()
    told = controller.fail({"kubeconfig": str(controller.kubeconfig), "bundle": "none"})
    assert told == f"{controller.home}/none/cluster.json could not be written: No such file or directory"


def test_too_many_requests_once(controller, start):
    busy = fake_api.status(429, "TooManyRequests", "try again later", Retry_After="1")
    start().misbehave(SERVICES, busy, times=1)
    assert controller.read()["complete"]


def test_the_budget_ends_a_slow_server(controller, start):
    start().misbehave("/", fake_api.slow(0.8))
    result = controller.read({"page_size": 1, "budget_seconds": 2})
    assert [entry["what"] for entry in result["missing"]] == [
        *("Services", "EndpointSlices", "Nodes", "Pods", "Deployments", "ReplicaSets", "Events"),
    ]
    assert result["missing"][2]["why"] == "the 2 s for all of the cluster were used up: raise budget_seconds"


def test_refused(controller):
    url = f"http://127.0.0.1:{unused_port()}"
    controller.kubeconfig.write_text(json.dumps(kubeconfig_for(url)), "utf-8")
    assert controller.read()["missing"] == [
        {
            "what": "cluster API",
            "why": f"nothing listens at {url} (connection refused): the API server is down, or the address is wrong",
        }
    ]


def test_name_that_does_not_resolve(controller):
    controller.kubeconfig.write_text(json.dumps(kubeconfig_for("https://master.invalid:6443")), "utf-8")
    (missing,) = controller.read()["missing"]
    assert missing["why"].startswith("the name in https://master.invalid:6443 cannot be resolved: ")


def test_tls(controller, start):
    api = start(tls=True)
    assert controller.read()["complete"]
    api.kubeconfig(controller.kubeconfig, trusted=False)
    (missing,) = controller.read()["missing"]
    assert missing["why"].startswith(f"the certificate of {api.url} is not accepted: self-signed certificate")
    assert controller.read({"ca_cert": str(api.certificate)})["complete"]
    assert controller.read({"validate_certs": False})["complete"]


def test_tls_to_a_server_without(controller, start):
    api = start()
    url = api.url.replace("http:", "https:")
    controller.kubeconfig.write_text(json.dumps(kubeconfig_for(url)), "utf-8")
    (missing,) = controller.read()["missing"]
    assert missing["why"].startswith(f"no TLS connection to {url}: ")


def test_bearer_token(controller, start):
    api = start(tokens={"good-bearer-token": "jane"})
    assert controller.read()["complete"]
    succeeded, result, _printed = controller.run({"host": api.url, "api_key": "good-bearer-token"})
    assert (succeeded, result["complete"]) == (True, True)
    _succeeded, result, printed = controller.run({"host": api.url, "api_key": "bad-bearer-token"})
    assert result["missing"][0]["why"].startswith("the API server does not accept these credentials (401")
    assert "bad-bearer-token" not in printed


def test_impersonation_headers(controller, start):
    api = start()
    assert controller.read({"impersonate_user": "jane", "impersonate_groups": ["dev"]})["complete"]
    assert {
        (request.headers["impersonate-user"], request.headers["impersonate-group"]) for request in api.requests
    } == {("jane", "dev")}


def test_options_by_environment(controller, start):
    api = start(tokens={"good-bearer-token": "jane"})
    _succeeded, result, _printed = controller.run({}, K8S_AUTH_KUBECONFIG=str(controller.kubeconfig))
    assert result["complete"]
    _succeeded, result, _printed = controller.run({}, K8S_AUTH_HOST=api.url, K8S_AUTH_API_KEY="good-bearer-token")
    assert result["complete"]


def test_kubeconfig_as_a_dictionary(controller, start):
    """Ansible would blot out every string in it, as secret: "default", "v1", and so on."""
    api = start(tokens={"good-bearer-token": "jane"})
    content = json.loads(json.dumps(api.kubeconfig_content()).replace('"fake"', '"default"'))
    _succeeded, result, printed = controller.run({"kubeconfig": content})
    assert result["complete"]
    assert result["cluster"]["services"][0]["namespace"] == "default"
    assert "good-bearer-token" not in printed
    assert "********" not in printed


def test_nobody_is_asked_without_a_kubeconfig(controller, start):
    """Neither ~/.kube/config, nor $KUBECONFIG, nor a service account: that may be another cluster."""
    api = start()
    default = controller.home / ".kube" / "config"
    default.parent.mkdir()
    api.kubeconfig(default)
    elsewhere = {"KUBECONFIG": str(default), "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    for options, why in (
        ({}, "no kubeconfig given: pass kubeconfig=…"),
        ({"kubeconfig": ""}, "no kubeconfig given: pass kubeconfig=…"),
        ({"context": "fake"}, "no kubeconfig given in which to look up the context fake: pass kubeconfig=…"),
    ):
        succeeded, result, _printed = controller.run(options, **elsewhere)
        assert succeeded
        assert result["missing"] == [{"what": "cluster API", "why": why}]
        assert result["node_ports"] is None
    assert api.requests == []


def test_a_host_gets_no_credentials_from_the_home_directory(controller, start):
    api = start()
    (controller.home / ".kube").mkdir()
    api.kubeconfig(controller.home / ".kube" / "config", token="token-of-another-cluster")  # noqa: S106 (made up)
    _succeeded, result, _printed = controller.run({"host": api.url})
    assert result["complete"]
    assert all("authorization" not in request.headers for request in api.requests)


def test_credential_plugin_that_fails(controller, start):
    api = start(tokens={"good-bearer-token": "jane"})
    plugin = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-plugin", "args": []}}
    content = kubeconfig_for(api.url, users=[{"name": "c", "user": plugin}])
    controller.kubeconfig.write_text(json.dumps(content), "utf-8")
    _succeeded, result, printed = controller.run({"kubeconfig": str(controller.kubeconfig)})
    assert not result["complete"]
    said = " ".join(printed.split())  # Ansible breaks a warning's lines
    assert "[WARNING]: while reading the kubeconfig's credentials: " in said
    assert "'no-such-plugin'" in said


def test_credential_plugin_that_hangs(controller):
    plugin = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["600"]}}
    content = kubeconfig_for("http://127.0.0.1:1", users=[{"name": "c", "user": plugin}])
    controller.kubeconfig.write_text(json.dumps(content), "utf-8")
    began = time.monotonic()
    (missing,) = controller.read({"budget_seconds": 1})["missing"]
    assert time.monotonic() - began < 60
    assert missing["why"] == f"kubeconfig {controller.kubeconfig}: its credential plugin did not finish within 1 s"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "kubeconfig {file}: no such file"),
        (b"users: [{user: {token: s3cr3t}}", "kubeconfig {file}: not valid YAML (line 1, column 32)"),
        (b"\xff\xfe\x00", "kubeconfig {file}: not valid YAML"),
        (b"just words", "kubeconfig {file}: no kubeconfig: it does not hold clusters, users and contexts"),
        (b"", "kubeconfig {file}: no kubeconfig: it does not hold clusters, users and contexts"),
        (b"{}", "kubeconfig {file}: it has no current-context: pass context=… (it has: none)"),
        (b"current-context: a", "kubeconfig {file}: it has no context a (it has: none)"),
        (
            b"{current-context: a, contexts: [{name: a, context: {cluster: b}}], clusters: []}",
            "kubeconfig {file}: Invalid kube-config file. Expected object with name b in {file}/clusters list",
        ),
        (
            json.dumps(kubeconfig_for("10.0.0.1")).encode(),
            "kubeconfig {file}: the API server's address is no URL like https://10.0.0.1:6443: 10.0.0.1",
        ),
        (
            json.dumps(kubeconfig_for("https://10.0.0.1:99999")).encode(),
            "kubeconfig {file}: the API server's address is no URL like https://10.0.0.1:6443: https://10.0.0.1:99999",
        ),
    ],
)
def test_kubeconfig_that_cannot_be_used(controller, content, message):
    if content is not None:
        controller.kubeconfig.write_bytes(content)
    told = controller.fail({"kubeconfig": str(controller.kubeconfig)})
    assert told == message.format(file=controller.kubeconfig)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": "prod"}, "kubeconfig {file}: it has no context prod (it has: fake)"),
        ({"page_size": 0}, "page_size must be from 1 to 5000, not 0"),
        ({"page_size": 5001}, "page_size must be from 1 to 5000, not 5001"),
        ({"timeout": -1}, "timeout must be from 1 to 600, not -1"),
        ({"budget_seconds": 0}, "budget_seconds must be from 1 to 3600, not 0"),
        ({"sections": []}, f"sections must name at least one of {', '.join(KINDS)}"),
        (
            {"sections": ["secrets"]},
            f"value of sections must be one or more of: {', '.join(KINDS)}. Got no match for: secrets",
        ),
        ({"ca_cert": "/nonexistent.pem"}, "ca_cert /nonexistent.pem: no such file, or not readable"),
        ({"kubeconfig": "/"}, "kubeconfig /: not a file"),
        # even root may not read the first page of a process
        ({"kubeconfig": "/proc/self/mem"}, "kubeconfig /proc/self/mem: cannot be read: Input/output error"),
        ({"kubeconfig": 5}, "kubeconfig must be the path of a file, or a dictionary"),
        (
            {"kubeconfig": "", "host": "10.0.0.1:6443"},
            "host: the API server's address is no URL like https://10.0.0.1:6443: 10.0.0.1:6443",
        ),
    ],
)
def test_mistakes_in_options(controller, start, options, message):
    start()
    told = controller.fail({"kubeconfig": str(controller.kubeconfig)}, options)
    assert told == message.format(file=controller.kubeconfig)


def test_controller_without_the_kubernetes_library(controller, start):
    start()
    hidden = controller.home / "python" / "kubernetes.py"
    hidden.parent.mkdir()
    hidden.write_text("raise ImportError('hidden')\n", "utf-8")
    told = controller.fail({"kubeconfig": str(controller.kubeconfig)}, PYTHONPATH=str(hidden.parent))
    assert told.startswith("Failed to import the required Python library (kubernetes) on ")
    unasked = controller.read({"kubeconfig": ""}, PYTHONPATH=str(hidden.parent))
    assert unasked["missing"] == [{"what": "cluster API", "why": "no kubeconfig given: pass kubeconfig=…"}]


def test_controller_without_kubernetes_core(controller, start):
    """With every authentication option given: none of them may be called unsupported."""
    start()
    (controller.home / "ansible_collections" / "kubernetes" / "core").mkdir(parents=True)  # found first, and empty
    paths = f"{controller.home}{os.pathsep}{controller.environment['ANSIBLE_COLLECTIONS_PATH']}"
    given = {
        name: "given-value" for option, spec in AUTH_ARG_SPEC.items() for name in (option, *spec.get("aliases", ()))
    }
    told = controller.fail(given, ANSIBLE_COLLECTIONS_PATH=paths)
    assert told.startswith("Failed to import the required Python library (kubernetes.core) on ")
    assert "ansible-galaxy collection install kubernetes.core" in told
