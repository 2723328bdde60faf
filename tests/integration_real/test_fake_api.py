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

import pytest

from ansible_collections.kubenode.doctor.tests.support import fake_api
from ansible_collections.kubenode.doctor.tests.support.fake_api import CAPTURES, FakeApi

SERVICES, SLICES = "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"


@pytest.fixture
def api():
    with FakeApi() as server:
        yield server


def captured(name):
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


def ask(api, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=5)
    try:
        connection.request(method, path, headers=headers)
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
        (f"{SERVICES}?limit=3", "services-limit3-page1"),
        ("/version", "version"),
        ("/api", "api"),
        ("/apis", "apis"),
        ("/api/v1", "api-v1"),
        ("/apis/discovery.k8s.io/v1", "apis-discovery-v1"),
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
        code, answer = ask(api, SERVICES)
        # The capture was made with pods; but for the resource's name the two are alike.
        anonymous = json.loads(json.dumps(captured("error-403-anonymous")).replace("pods", "services"))
        assert (code, answer) == (403, anonymous)


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


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "POST", "PUT"])
def test_only_reads(api, method):
    code, answer = ask(api, SERVICES, method)
    assert (code, answer["reason"]) == (405, "MethodNotAllowed")


def test_old_cluster():
    with FakeApi(slice_versions=("v1beta1",)) as api:
        old = SLICES.replace("v1", "v1beta1")
        assert ask(api, old)[1]["apiVersion"] == "discovery.k8s.io/v1beta1"
        with pytest.raises(json.JSONDecodeError):  # "404 page not found", in plain text
            ask(api, SLICES)


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
