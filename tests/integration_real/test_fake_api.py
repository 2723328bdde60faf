# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fake API server gives the answers that were captured from a real one."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import kubelet_proxy
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import Answer
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.support import fake_api, fake_rollout
from ansible_collections.kubenode.doctor.tests.support.fake_api import CAPTURES, FakeApi

SERVICES, SLICES = "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"
PODS, EVENTS = "/api/v1/pods", "/api/v1/events"
DEPLOYMENTS, REPLICA_SETS = "/apis/apps/v1/deployments", "/apis/apps/v1/replicasets"
UI = "/apis/apps/v1/namespaces/reddit-entry/deployments/ui"


@pytest.fixture
def api():
    with FakeApi() as server:
        yield server


def captured(name):
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


def ask(api, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=5)
    try:
        connection.request(method, path, body, headers={key.replace("_", "-"): headers[key] for key in headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "capture"),
    [
        (SERVICES, "services"),
        (SLICES, "endpointslices"),
        ("/api/v1/nodes", "nodes"),
        (PODS, "pods"),
        (EVENTS, "events"),
        (DEPLOYMENTS, "deployments"),
        (REPLICA_SETS, "replicasets"),
        (f"{SERVICES}?limit=3", "services-limit3-page1"),
        ("/version", "version"),
        ("/api", "api"),
        ("/apis", "apis"),
        ("/api/v1", "api-v1"),
        ("/apis/discovery.k8s.io/v1", "apis-discovery-v1"),
        ("/apis/apps/v1", "apis-apps-v1"),
    ],
)
def test_as_captured(api, path, capture):
    expected = captured(capture)
    if capture == "services":  # captured one revision before the other lists; the fake has one state for all
        expected["metadata"]["resourceVersion"] = "1326"
    assert ask(api, path) == (200, expected)


def test_second_page_as_captured(api):
    token = captured("services-limit3-page1")["metadata"]["continue"]
    assert ask(api, f"{SERVICES}?limit=3&continue={token}") == (200, captured("services-limit3-page2"))


def test_damaged_token_as_captured(api):
    assert ask(api, f"{SERVICES}?limit=3&continue=Gm5vdCBqc29u") == (400, captured("error-continue-400"))


def test_unknown_object_as_captured(api):
    assert ask(api, "/api/v1/namespaces/default/services/none") == (404, captured("error-404"))


def test_known_object(api):
    status, service = ask(api, "/api/v1/namespaces/shop/services/front")
    assert (status, service["kind"], service["apiVersion"]) == (200, "Service", "v1")
    assert service["spec"]["ports"][0]["nodePort"] == 30080


def test_list_of_one_namespace(api):
    _status, listed = ask(api, "/api/v1/namespaces/reddit-entry/services")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["ui"]


def test_who_may_ask():
    with FakeApi(tokens={"good": "jane"}) as api:
        assert ask(api, SERVICES, authorization="Bearer good")[0] == 200
        assert ask(api, SERVICES, authorization="Bearer bad") == (401, captured("error-401"))
        assert ask(api, "/version")[0] == 200  # open to everybody
        assert ask(api, PODS) == (403, captured("error-403-anonymous"))


def test_forbidden_in_another_api_group(api):
    api.misbehave(SLICES, fake_api.forbidden)
    code, answer = ask(api, SLICES)
    assert code == 403
    assert answer["details"] == {"group": "discovery.k8s.io", "kind": "endpointslices"}
    assert answer["message"] == (
        'endpointslices.discovery.k8s.io is forbidden: User "kubernetes-admin" cannot list resource "endpointslices" '
        'in API group "discovery.k8s.io" at the cluster scope'
    )


def test_a_list_goes_on_in_its_own_state_until_that_is_compacted(api):
    _status, first = ask(api, f"{SERVICES}?limit=7")
    more = f"{SERVICES}?limit=7&continue={first['metadata']['continue']}"
    api.replace("services", [])
    _status, rest = ask(api, more)
    assert [item["metadata"]["name"] for item in rest["items"]] == ["orphan"]
    assert rest["metadata"] == {"resourceVersion": "1326"}
    api.compact()
    code, gone = ask(api, more)
    assert (code, gone["reason"], gone["message"]) == (410, "Expired", fake_api.EXPIRED)
    fresh = gone["metadata"]["continue"]
    assert json.loads(base64.urlsafe_b64decode(fresh + "=="))["rv"] == -1
    assert ask(api, f"{SERVICES}?continue={fresh}")[1]["metadata"]["resourceVersion"] == "1327"


def test_tokens_that_expire_on_command(api):
    api.expire_tokens(after_pages=2, times=1)
    codes = []
    token = ""
    for _page in range(4):
        code, listed = ask(api, f"{SERVICES}?limit=2{token}")
        codes.append(code)
        if code == 200:
            token = f"&continue={listed['metadata']['continue']}" if "continue" in listed["metadata"] else ""
    assert codes == [200, 200, 410, 200]


def test_added_objects_and_what_was_asked(api):
    api.add("services", fake_api.seed_000_service())
    assert ask(api, "/api/v1/namespaces/default/services/kube-processor-service")[0] == 200
    assert api.requests[-1].path.endswith("/kube-processor-service")


@pytest.mark.parametrize(
    ("path", "method"),
    [(SERVICES, "DELETE"), (SERVICES, "PATCH"), (SERVICES, "POST"), (SERVICES, "PUT"), (UI, "PUT"), (UI, "DELETE")],
)
def test_no_other_writes_than_patches_of_one_object(api, path, method):
    code, answer = ask(api, path, method)
    assert (code, answer["reason"]) == (405, "MethodNotAllowed")


def names(api, path):
    code, listed = ask(api, path)
    assert code == 200, listed
    return [item["metadata"]["name"] for item in listed["items"]]


SELECTED = [
    (f"{PODS}?fieldSelector=metadata.name%3Dhostnet", ["hostnet"]),
    (f"{PODS}?fieldSelector=status.phase!%3DRunning", ["done", "pull"]),
    (f"{PODS}?fieldSelector=spec.nodeName%3Dnode-a,status.phase%3DPending", ["pull"]),
    (f"{PODS}?fieldSelector=spec.nodeName%3D", ["waiting"]),
    (f"{PODS}?fieldSelector=spec.hostNetwork%3Dtrue", ["hostnet"]),
    (f"{PODS}?labelSelector=app%3Dpull", ["pull"]),
    (f"{PODS}?labelSelector=app%20in%20(pull,hostnet),!pod-template-hash", ["hostnet", "pull"]),
    (f"{PODS}?labelSelector=pod-template-hash,app%20notin%20(front,ui,post,cart)", ["crash-78bf7549d-nkthh"]),
    ("/api/v1/namespaces/shop/services?fieldSelector=metadata.namespace%3Dshop,spec.type%3DLoadBalancer", ["local"]),
]


def test_selectors(api):
    waiting = {"metadata": {"name": "waiting", "namespace": "shop"}, "spec": {"nodeName": ""}, "status": {}}
    api.add("pods", waiting)
    phases = f"{PODS}?fieldSelector=status.phase!%3DRunning"
    assert names(api, phases) == ["done", "pull", "waiting"]
    api.put("pods", {**waiting, "status": {"phase": "Running"}})
    for path, expected in SELECTED:
        assert names(api, path) == expected, path


UNKNOWN_SELECTORS = [
    (f"{PODS}?fieldSelector=spec.priority%3D1", "field label not supported: spec.priority"),
    (f"{EVENTS}?fieldSelector=message%3Dx", "field label not supported: message"),
    (
        f"{DEPLOYMENTS}?fieldSelector=spec.replicas%3D1",
        '"spec.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"',
    ),
    (f"{PODS}?fieldSelector=spec.nodeName", "invalid selector: 'spec.nodeName'; can't understand 'spec.nodeName'"),
    (f"{PODS}?labelSelector=%3Dx", "unable to parse requirement: =x"),
]


def test_selectors_that_a_server_does_not_know(api):
    for path, message in UNKNOWN_SELECTORS:
        code, answer = ask(api, path)
        assert (code, answer["reason"], answer["message"]) == (400, "BadRequest", message)


def test_pages_of_a_selection(api):
    """etcd3's store says that there is more when there are more objects, whether they match or not, and not how many."""
    path = f"{EVENTS}?fieldSelector=type%3DWarning&limit=3"
    sizes, token = [], ""
    while True:
        _code, page = ask(api, f"{path}{token}")
        sizes.append(len(page["items"]))
        assert "remainingItemCount" not in page["metadata"]
        if "continue" not in page["metadata"]:
            break
        token = f"&continue={page['metadata']['continue']}"
    assert sizes == [3, 3, 1]
    _code, page = ask(api, f"{PODS}?fieldSelector=metadata.name%3Ddone&limit=1")
    _code, rest = ask(api, f"{PODS}?fieldSelector=metadata.name%3Ddone&limit=1&continue={page['metadata']['continue']}")
    assert ([len(page["items"]), len(rest["items"])], "continue" in rest["metadata"]) == ([1, 0], False)


def patch(api, operations, path=UI, media=fake_api.JSON_PATCH):
    return ask(api, path, "PATCH", json.dumps(operations), content_type=media)


def replaced(image="docker.io/reddit/ui:fixed"):
    return {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}


def test_a_patch_is_a_write(api):
    before = ask(api, UI)[1]
    test = {"op": "test", "path": "/metadata/resourceVersion", "value": before["metadata"]["resourceVersion"]}
    code, after = patch(api, [test, replaced()])
    assert (code, after["kind"], after["apiVersion"]) == (200, "Deployment", "apps/v1")
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == "docker.io/reddit/ui:fixed"
    assert (before["metadata"]["generation"], after["metadata"]["generation"]) == (1, 2)
    assert int(after["metadata"]["resourceVersion"]) > int(before["metadata"]["resourceVersion"])
    assert ask(api, UI) == (200, after)
    # nothing changes: no write
    assert patch(api, [replaced()]) == (200, after)
    label = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
    code, labelled = patch(api, label)
    assert (labelled["metadata"]["labels"], labelled["metadata"]["generation"]) == ({"a": "b"}, 2)
    code, dry = patch(api, [replaced("other")], path=f"{UI}?dryRun=All")
    assert (code, dry["spec"]["template"]["spec"]["containers"][0]["image"]) == (200, "other")
    code, merged = patch(api, {"metadata": {"labels": {"a": None, "c": "d"}}}, media=fake_api.MERGE_PATCH)
    assert merged["metadata"]["labels"] == {"c": "d"}
    assert ask(api, UI) == (200, merged)


UNPROCESSABLE = "the server rejected our request due to an error in our request"
CONFLICT = (
    'Operation cannot be fulfilled on deployments.apps "ui": the object has been modified; '
    "please apply your changes to the latest version and try again"
)
REFUSED_PATCHES = [
    ([{"op": "test", "path": "/metadata/uid", "value": "another"}, replaced()], 422, "Invalid", UNPROCESSABLE),
    ([{"op": "test", "path": "/spec/nothing", "value": 1}], 422, "Invalid", UNPROCESSABLE),
    ([{"op": "replace", "path": "/spec/nothing", "value": 1}], 422, "Invalid", UNPROCESSABLE),
    ([{"op": "remove", "path": "/spec/template/spec/containers/9"}], 422, "Invalid", UNPROCESSABLE),
    ([{"op": "add", "path": "/spec/template/spec/containers/9", "value": {}}], 422, "Invalid", UNPROCESSABLE),
    ([{"op": "odd", "path": "/spec"}], 422, "Invalid", UNPROCESSABLE),
    ([replaced(), {"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}], 409, "Conflict", CONFLICT),
    (
        {"op": "test"},
        400,
        "BadRequest",
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
    ),
]


def test_patches_that_are_refused_change_nothing(api):
    before = ask(api, UI)
    for operations, code, reason, message in REFUSED_PATCHES:
        status, answer = patch(api, operations)
        assert (status, answer["reason"], answer["message"]) == (code, reason, message)
    code, answer = patch(api, [replaced()], media="application/json")
    assert (code, answer["reason"]) == (415, "UnsupportedMediaType")
    code, answer = ask(api, UI, "PATCH", b"[{", content_type=fake_api.JSON_PATCH)
    assert (code, answer["reason"]) == (400, "BadRequest")
    code, answer = patch(api, [replaced()], path=UI + "x")
    assert (code, answer["message"]) == (404, 'deployments.apps "uix" not found')
    api.misbehave(UI, fake_api.forbidden, method="PATCH")
    code, answer = patch(api, [replaced()])
    assert (code, answer["details"]) == (403, {"name": "ui", "group": "apps", "kind": "deployments"})
    assert answer["message"] == (
        'deployments.apps "ui" is forbidden: User "kubernetes-admin" cannot patch resource "deployments" '
        'in API group "apps" in the namespace "reddit-entry"'
    )
    assert ask(api, UI) == before


ORPHAN = "/api/v1/namespaces/shop/services/orphan"


def numbered(number, operation="replace", index=0):
    return [{"op": operation, "path": f"/spec/ports/{index}/nodePort", "value": number}]


def test_the_number_of_a_service_stays_when_it_is_removed(api):
    before = ask(api, ORPHAN)
    code, after = patch(api, [{"op": "remove", "path": "/spec/ports/0/nodePort"}], path=ORPHAN)
    real = captured("patch-service-nodeport-removed")
    assert (code, after["spec"], after["metadata"]["uid"]) == (200, real["spec"], real["metadata"]["uid"])
    assert ask(api, ORPHAN) == before == (200, after)


def test_a_number_that_a_service_cannot_have(api):
    before = ask(api, ORPHAN)
    assert patch(api, numbered(22), path=ORPHAN) == (422, captured("error-422-nodeport-out-of-range"))
    taken = json.loads(json.dumps(captured("error-422-nodeport-taken")).replace("dup", "orphan"))
    assert patch(api, numbered(30080), path=ORPHAN) == (422, taken)
    # A healthCheckNodePort is from the same pool; a dry run looks at what is taken, and not at the range.
    local = ask(api, "/api/v1/namespaces/shop/services/local")[1]["spec"]["healthCheckNodePort"]
    assert patch(api, numbered(local), path=ORPHAN)[0] == 422
    assert patch(api, numbered(30080), path=f"{ORPHAN}?dryRun=All") == (422, taken)
    assert patch(api, numbered(22), path=f"{ORPHAN}?dryRun=All")[0] == 200
    assert ask(api, ORPHAN) == before


def test_a_number_that_a_service_can_have(api):
    code, moved = patch(api, numbered(30000), path=ORPHAN)
    assert (code, moved["spec"]["ports"][0]["nodePort"]) == (200, 30000)
    dns = "/api/v1/namespaces/shop/services/dns"
    assert patch(api, numbered(30000), path=dns)[0] == 422
    # What one Service has for one protocol it may have for another one, and 31999 is free again.
    code, moved = patch(api, [*numbered(31999), *numbered(31999, index=1)], path=dns)
    assert (code, [port["nodePort"] for port in moved["spec"]["ports"]]) == (200, [31999, 31999])


def test_what_controllers_do_after_a_patch(api):
    api.after_patch.append(fake_rollout.roll_out)
    old = names(api, "/api/v1/namespaces/reddit-entry/pods?labelSelector=app%3Dui")
    patch(api, [replaced()])
    pods = [pod for pod in api.objects("pods") if pod["metadata"].get("labels", {}).get("app") == "ui"]
    assert len(pods) == len(old) == 2
    assert not {pod["metadata"]["name"] for pod in pods} & set(old)
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"docker.io/reddit/ui:fixed"}
    slices = [item for item in api.objects("endpointslices") if item["metadata"]["namespace"] == "reddit-entry"]
    behind = {endpoint["targetRef"]["uid"] for item in slices for endpoint in item["endpoints"]}
    assert behind == {pod["metadata"]["uid"] for pod in pods}
    deployment = api.get("deployments", "reddit-entry", "ui")
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    assert deployment["status"]["observedGeneration"] == deployment["metadata"]["generation"] == 2
    # back to what it was: the old ReplicaSet is taken again
    patch(api, [replaced("docker.io/reddit/ui:f5393576")])
    owned = [item for item in api.objects("replicasets") if item["metadata"]["labels"]["app"] == "ui"]
    assert {
        (item["metadata"]["annotations"]["deployment.kubernetes.io/revision"], item["spec"]["replicas"])
        for item in owned
    } == {("3", 2), ("2", 0)}


def test_objects_of_a_test():
    service = fake_api.seed_000_service()
    with FakeApi(holding={"services": [service]}) as api:
        assert names(api, SERVICES) == ["kube-processor-service"]
        assert names(api, PODS) == []
        stored = api.put("services", {**service, "status": {}})
        assert int(stored["metadata"]["resourceVersion"]) == api.revision
        api.delete("services", "default", "kube-processor-service")
        assert names(api, SERVICES) == []


def test_objects_that_change_when_they_are_looked_at(api):
    def change(handler):
        handler.server_api.delete("pods", "shop", "pull")
        return False

    api.misbehave("/api/v1/namespaces/shop/pods", change, times=1, method="GET")
    assert "pull" in names(api, PODS)
    assert "pull" not in names(api, "/api/v1/namespaces/shop/pods")


def test_old_cluster():
    with FakeApi(slice_versions=("v1beta1",)) as api:
        old = SLICES.replace("v1", "v1beta1")
        assert ask(api, old)[1]["apiVersion"] == "discovery.k8s.io/v1beta1"
        with pytest.raises(json.JSONDecodeError):  # "404 page not found", in plain text
            ask(api, SLICES)


def through_proxy(api, name="node-a", bearer="good"):
    """What kubelet_proxy reads of a Node's kubelet, and why there is no more."""
    api.tokens = {"good": "jane"}
    headers = {"authorization": f"Bearer {bearer}"}

    def fetch(path, query):
        connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=5)
        try:
            connection.request("GET", f"{path}?{urlencode(query)}", headers=headers)
            response = connection.getresponse()
            told = {header.lower(): value for header, value in response.getheaders()}
            return Answer(response.status, told, response.read())
        finally:
            connection.close()

    with kubelet_proxy.ask(fetch, [name], Deadline(20), lambda _seconds: None) as dumped:
        body = b"".join(dumped.blocks())
    return body, "".join(gap["why"] for gap in dumped.missing)


@pytest.fixture
def nodes():
    """A server with one Node."""
    address = {"type": "InternalIP", "address": "192.0.2.5"}
    node = {"metadata": {"name": "node-a"}, "status": {"addresses": [address]}}
    with FakeApi(holding={"nodes": [node]}) as server:
        yield server


def test_goroutines_of_a_kubelet(nodes):
    assert through_proxy(nodes) == (fake_api.KUBELET_DUMP.read_bytes(), "")
    assert through_proxy(nodes, "192.0.2.5")[0]
    nodes.kubelet = lambda node, path: fake_api.Plain(f"{node} {path}".encode())
    assert through_proxy(nodes) == (b"node-a /debug/pprof/goroutine", "")
    assert nodes.requests[-1].query == {"debug": "2"}


def test_goroutines_that_may_not_be_seen(nodes):
    nodes.without_proxy.add("jane")
    refused = 'nodes "node-a" is forbidden: User "jane" cannot get resource "nodes/proxy" in API group "" at the cluster scope'
    assert refused in through_proxy(nodes)[1]
    assert "the API server does not accept these credentials" in through_proxy(nodes, bearer="bad")[1]


@pytest.mark.parametrize(
    ("kubelet", "words"),
    [
        (
            fake_api.silent_kubelet,
            "kubelet on node-a does not answer the API server (503: error trying to reach service",
        ),
        (fake_api.debug_is_off, "kubelet on node-a refuses it (405: Debug endpoints are disabled.)"),
    ],
)
def test_kubelets_that_tell_nothing(nodes, kubelet, words):
    nodes.kubelet = kubelet
    assert words in through_proxy(nodes)[1]


def test_the_proxy_of_a_node_that_is_not_there(nodes):
    code, answer = ask(nodes, "/api/v1/nodes/none/proxy/debug/pprof/goroutine?debug=2")
    assert (code, answer["message"]) == (404, 'nodes "none" not found')


def test_the_proxy_forbidden_on_command(nodes):
    nodes.misbehave("/api/v1/nodes/node-a/proxy", fake_api.forbidden)
    assert 'cannot get resource "nodes/proxy"' in through_proxy(nodes)[1]


def test_from_the_shell(tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    command = [sys.executable, str(Path(fake_api.__file__)), "--kubeconfig-out", str(kubeconfig), "--token", "t0ken"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            content = json.loads(kubeconfig.read_text("utf-8"))
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
            connection.request("GET", SERVICES, headers={"authorization": "Bearer t0ken"})
            assert connection.getresponse().status == 200
        finally:
            os.kill(process.pid, signal.SIGINT)
    assert process.returncode == 0
    assert content["clusters"][0]["cluster"]["server"] == url
    assert content["users"][0]["user"] == {"token": "t0ken"}
