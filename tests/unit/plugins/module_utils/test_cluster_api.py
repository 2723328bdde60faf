# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_api: paging and every bad answer, by a script of what the server says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_api
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import Answer, UnreachableError
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

CAPTURES = Path(__file__).resolve().parents[3] / "fixtures" / "api"
JSON = {"content-type": "application/json"}
SERVICES, NODES = "/api/v1/services", "/api/v1/nodes"
PODS, EVENTS = "/api/v1/pods", "/api/v1/events"
DEPLOYMENTS, REPLICA_SETS = "/apis/apps/v1/deployments", "/apis/apps/v1/replicasets"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
OLD_SLICES = "/apis/discovery.k8s.io/v1beta1/endpointslices"
EXPIRED_TEXT = "The provided continue parameter is too old to display a consistent list result."


def captured(name):
    return (CAPTURES / (name + ".json")).read_bytes()


def ok(value):
    return Answer(200, JSON, json.dumps(value).encode())


def status(code, message, headers=None):
    body = {"kind": "Status", "status": "Failure", "message": message, "code": code}
    return Answer(code, {**JSON, **(headers or {})}, json.dumps(body).encode())


def page(*names, **metadata):
    items = [{"metadata": {"name": name, "namespace": "shop"}, "spec": {}} for name in names]
    return ok({"kind": "ServiceList", "apiVersion": "v1", "metadata": metadata, "items": items})


GOOD = {
    "/version": Answer(200, JSON, captured("version")),
    SERVICES: Answer(200, JSON, captured("services")),
    SLICES: Answer(200, JSON, captured("endpointslices")),
    NODES: Answer(200, JSON, captured("nodes")),
    PODS: Answer(200, JSON, captured("pods")),
    DEPLOYMENTS: Answer(200, JSON, captured("deployments")),
    REPLICA_SETS: Answer(200, JSON, captured("replicasets")),
    EVENTS: Answer(200, JSON, captured("events")),
}


class Server:
    """Answers each path from its script, in order, the last answer again and again; keeps what was asked and slept."""

    def __init__(self, **changes):
        script = {**GOOD, **changes.pop("script", {})}
        self.script = {
            path: list(answers) if isinstance(answers, list) else [answers] for path, answers in script.items()
        }
        self.asked = []
        self.slept = []

    def fetch(self, path, query):
        self.asked.append((path, query))
        answers = self.script[path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def read(self, sections=cluster_api.SECTIONS, page_size=500, seconds=60, hosts=()):
        return cluster_api.read_cluster(self.fetch, sections, page_size, Deadline(seconds), self.slept.append, hosts)

    def queries(self, path):
        return [query for asked, query in self.asked if asked == path]


def why(cluster, what):
    """The reason one thing is missing."""
    (reason,) = [entry["why"] for entry in cluster["missing"] if entry["what"] == what]
    return reason


def test_the_captured_cluster():
    cluster = Server().read()
    assert (cluster["schema"], cluster["complete"], cluster["missing"]) == (1, True, [])
    assert cluster["server_version"] == "1.36"
    assert [service["name"] for service in cluster["services"]] == [
        *("kubernetes", "ui", "cart", "db", "dns", "front", "local", "orphan"),
    ]
    assert [len(cluster[section]) for section in cluster_api.SECTIONS] == [8, 7, 1, 10, 5, 5, 7]
    assert cluster["pods_of"] is None


def test_what_decides_most_is_read_first():
    server = Server()
    server.read()
    assert [path for path, _query in server.asked] == [
        *("/version", SERVICES, SLICES, NODES, PODS, DEPLOYMENTS, REPLICA_SETS, EVENTS),
    ]


def test_pages_are_asked_one_by_one():
    pages = [page("a", "b", **{"continue": "t1"}), page("c", **{"continue": "t2"}), page("d", **{"continue": ""})]
    server = Server(script={SERVICES: pages})
    assert [service["name"] for service in server.read(page_size=2)["services"]] == ["a", "b", "c", "d"]
    assert server.queries(SERVICES) == [
        {"limit": "2"},
        {"limit": "2", "continue": "t1"},
        {"limit": "2", "continue": "t2"},
    ]


def test_an_expired_list_begins_again_and_forgets_what_it_had():
    gone = status(410, EXPIRED_TEXT)
    pages = [page("old", **{"continue": "t1"}), gone, page("new", **{"continue": "t2"}), page("last")]
    server = Server(script={SERVICES: pages})
    cluster = server.read()
    assert cluster["complete"]
    assert [service["name"] for service in cluster["services"]] == ["new", "last"]


def test_a_list_that_keeps_expiring_is_missing_and_its_inconsistent_token_unused():
    body = {"kind": "Status", "message": EXPIRED_TEXT, "code": 410, "metadata": {"continue": "inconsistent"}}
    gone = Answer(410, JSON, json.dumps(body).encode())
    server = Server(script={SERVICES: [page("a", **{"continue": "t"}), gone] * 3})
    cluster = server.read()
    assert cluster["services"] is None
    assert why(cluster, "Services") == (
        "the list expired while it was read, 3 times in a row (410 Gone: continue token too old); "
        "the server's offer to go on in a newer state would mix two states and was not taken: "
        "raise page_size (now 500), so that fewer pages are needed"
    )
    assert [query.get("continue") for query in server.queries(SERVICES)] == [None, "t"] * 3
    assert len(cluster["nodes"]) == 1


@pytest.mark.parametrize(
    "pages",
    [
        [page("a", **{"continue": "t1"}), page("b", **{"continue": "t1"})],
        [page("a", **{"continue": "t1"}), page("b", **{"continue": "t2"}), page("c", **{"continue": "t1"})],
    ],
)
def test_a_list_without_end(pages):
    cluster = Server(script={SERVICES: pages}).read()
    assert why(cluster, "Services") == f"the server's list does not end (stopped after {len(pages)} objects)"


def test_a_list_too_long_to_hold(monkeypatch):
    monkeypatch.setattr(cluster_api, "_MOST_OBJECTS", 3)
    endless = [page("a", "b", **{"continue": f"t{number}"}) for number in range(9)]
    cluster = Server(script={SERVICES: endless}).read()
    assert why(cluster, "Services") == "the server's list does not end (stopped after 4 objects)"


def test_slices_of_an_old_cluster():
    missing = Answer(404, {"content-type": "text/plain; charset=utf-8"}, b"404 page not found\n")
    old = json.loads(captured("endpointslices"))
    old["apiVersion"] = "discovery.k8s.io/v1beta1"
    cluster = Server(script={SLICES: missing, OLD_SLICES: ok(old)}).read()
    assert cluster["complete"]
    assert len(cluster["endpoint_slices"]) == 7


def test_sections_that_were_not_asked_for():
    server = Server()
    cluster = server.read(sections=["services"])
    assert len(cluster["services"]) == 8
    assert (cluster["complete"], cluster["endpoint_slices"], cluster["nodes"]) == (False, None, None)
    assert cluster["missing"] == [
        {"what": "EndpointSlices", "why": "not asked for: sections does not name endpoint_slices"},
        {"what": "Nodes", "why": "not asked for: sections does not name nodes"},
        {"what": "Pods", "why": "not asked for: sections does not name pods"},
        {"what": "Deployments", "why": "not asked for: sections does not name deployments"},
        {"what": "ReplicaSets", "why": "not asked for: sections does not name replica_sets"},
        {"what": "Events", "why": "not asked for: sections does not name events"},
    ]
    assert [path for path, _query in server.asked] == ["/version", SERVICES]


FORBIDDEN = 'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope'
HTML = Answer(200, {"content-type": "text/html; charset=utf-8"}, b"<html>login</html>")
BAD_CREDENTIALS = (
    "the API server does not accept these credentials (401: Unauthorized): "
    "the token or client certificate is wrong or has expired"
)
ALIEN = "what answers is no Kubernetes API server: "

# answer to the list of Nodes, why Nodes are missing; the rest stays
FAILURES = [
    (
        status(403, FORBIDDEN),
        (
            f"the API server forbids it (403: {FORBIDDEN}); "
            'grant it the verb "list" on the resource "nodes" of API group "" in a ClusterRole '
            "(README.md of the role collect has one with all that is read)"
        ),
    ),
    (
        status(401, "Unauthorized"),
        BAD_CREDENTIALS,
    ),
    (
        Answer(404, {"content-type": "text/plain"}, b"404 page not found\n"),
        "the server has none of /api/v1/nodes (404): is it a Kubernetes API server?",
    ),
    (
        status(500, "etcdserver: request timed out"),
        "the API server could not answer for Nodes (HTTP 500: etcdserver: request timed out, one retry included)",
    ),
    (
        Answer(502, {"content-type": "text/html"}, b"<html>Bad Gateway</html>"),
        "a proxy or load balancer answers, but no API server behind it (HTTP 502, one retry included)",
    ),
    (
        status(400, "invalid continue token"),
        "the API server could not answer for Nodes (HTTP 400: invalid continue token)",
    ),
    (status(418, "x" * 1000), f"the API server could not answer for Nodes (HTTP 418: {'x' * 300}…)"),
    (status(418, "two\n  lines"), "the API server could not answer for Nodes (HTTP 418: two lines)"),
    (Answer(418, {}, b"teapot"), "the API server could not answer for Nodes (HTTP 418)"),
    (Answer(302, {}, b""), ALIEN + "it redirects elsewhere (302; a login page?)"),
    (HTML, ALIEN + "it sent text/html, not JSON (a proxy?)"),
    (Answer(200, {}, b""), ALIEN + "it sent no content type, not JSON (a proxy?)"),
    (Answer(200, JSON, b'{"kind": "NodeLi'), "the answer is broken JSON (16 bytes)"),
    (Answer(200, JSON, b"\xff\xfe"), "the answer is broken JSON (2 bytes)"),
    (Answer(200, JSON, b"[" * 100000), "the answer is broken JSON (100000 bytes)"),
    (ok([1, 2]), "the answer is JSON, but no Kubernetes object"),
    (ok({"kind": "PodList", "items": []}), "the answer is PodList, not a NodeList"),
    (ok({"items": []}), "the answer is nameless, not a NodeList"),
    (ok({"kind": "NodeList", "items": {}}), "the answer's items are no list of Nodes"),
    (ok({"kind": "NodeList", "items": ["node-a"]}), "the answer's items are no list of Nodes"),
    (
        ok({"kind": "NodeList", "metadata": {"continue": 5}, "items": []}),
        "the answer's continue token is no string",
    ),
    (
        ok({"kind": "NodeList", "items": [{"metadata": {"name": "n"}, "spec": {"podCIDRs": "10.0.0.0/8"}}]}),
        "the answer holds n, which is not what an API server sends: podCIDRs is a string, not a list",
    ),
    (
        ok({"kind": "NodeList", "items": [{"metadata": []}]}),
        "the answer holds a nameless object, which is not what an API server sends: metadata is a list, not a mapping",
    ),
    (
        ok({"kind": "NodeList", "items": [{}]}),
        "the answer holds a nameless object, which is not what an API server sends: metadata.name is empty",
    ),
    (UnreachableError("gone away"), "gone away"),
]


@pytest.mark.parametrize(("answer", "reason"), FAILURES)
def test_one_kind_that_cannot_be_read(answer, reason):
    cluster = Server(script={NODES: answer}).read()
    assert cluster["missing"] == [{"what": "Nodes", "why": reason}]
    assert (cluster["complete"], cluster["nodes"]) == (False, None)
    assert (len(cluster["services"]), len(cluster["endpoint_slices"])) == (8, 7)


def test_a_page_in_the_middle_that_cannot_be_read_leaves_no_half_list():
    server = Server(script={SERVICES: [page("a", **{"continue": "t"}), status(400, "bad")]})
    assert server.read()["services"] is None


@pytest.mark.parametrize("items", [None, []])
def test_an_empty_list_is_not_missing(items):
    cluster = Server(script={NODES: ok({"kind": "NodeList", "metadata": {}, "items": items})}).read()
    assert (cluster["complete"], cluster["nodes"]) == (True, [])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (UnreachableError("nothing listens"), "nothing listens"),
        (
            Answer(401, JSON, captured("error-401")),
            BAD_CREDENTIALS,
        ),
        (HTML, ALIEN + "it sent text/html, not JSON (a proxy?)"),
        (ok({"status": "UP"}), ALIEN + "its /version names no major and minor version"),
        (
            Answer(503, {}, b"no backend"),
            "a proxy or load balancer answers, but no API server behind it (HTTP 503, one retry included)",
        ),
    ],
)
def test_no_api_server_is_told_once_and_asked_no_further(answer, reason):
    server = Server(script={"/version": answer})
    assert server.read() == {
        "schema": 1,
        "complete": False,
        "missing": [{"what": "cluster API", "why": reason}],
        "server_version": None,
        "pods_of": None,
        **dict.fromkeys(cluster_api.SECTIONS),
    }
    assert {path for path, _query in server.asked} == {"/version"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(403, "forbidden"), "the API server forbids it (403: forbidden)"),
        (status(404, "gone"), "the server does not know the path /version: is it a Kubernetes API server?"),
        (
            status(500, "oops"),
            "the API server could not answer for its version (HTTP 500: oops, one retry included)",
        ),
        # with a Status inside, 503 is an API server's own word, not a load balancer's
        (
            status(503, "not ready"),
            "the API server could not answer for its version (HTTP 503: not ready, one retry included)",
        ),
    ],
)
def test_a_version_that_is_not_told_costs_nothing_else(answer, reason):
    cluster = Server(script={"/version": answer}).read()
    assert cluster["missing"] == [{"what": "server version", "why": reason}]
    assert cluster["server_version"] is None
    assert len(cluster["services"]) == 8


@pytest.mark.parametrize(
    ("told", "version"), [({"major": "1", "minor": "18+"}, "1.18"), ({"major": "1", "minor": "36"}, "1.36")]
)
def test_server_version(told, version):
    assert Server(script={"/version": ok(told)}).read()["server_version"] == version


@pytest.mark.parametrize(
    ("code", "asked", "slept"),
    [
        (429, "3", 3.0),
        (429, None, 1.0),
        (503, "600", 10.0),
        (500, "Wed, 21 Oct 2026 07:28:00 GMT", 1.0),
        (504, "-5", 1.0),
    ],
)
def test_one_retry_after_a_wait(code, asked, slept):
    busy = status(code, "try again", {"retry-after": asked} if asked else {})
    server = Server(script={NODES: [busy, GOOD[NODES]]})
    assert server.read()["complete"]
    assert server.slept == [slept]


def test_no_second_retry():
    server = Server(script={NODES: [status(500, "busy"), status(500, "busy"), GOOD[NODES]]})
    assert (
        why(server.read(), "Nodes") == "the API server could not answer for Nodes (HTTP 500: busy, one retry included)"
    )
    assert len(server.slept) == 1


@pytest.mark.parametrize(("times", "complete"), [(2, True), (4, True), (5, False)])
def test_a_server_that_sheds_load(times, complete):
    server = Server(script={PODS: [*[status(429, "busy")] * times, GOOD[PODS]]})
    cluster = server.read()
    assert cluster["complete"] is complete
    assert len(server.slept) == min(times, 4)
    if not complete:
        assert why(cluster, "Pods") == "the API server could not answer for Pods (HTTP 429: busy, 4 retries included)"


@pytest.mark.parametrize(("times", "complete"), [(1, True), (2, False)])
def test_a_connection_that_breaks_once_the_server_has_answered(times, complete):
    """In the middle of a list: it goes on where it was."""
    pages = [page("a", **{"continue": "t1"}), *[UnreachableError("reset")] * times, page("b")]
    server = Server(script={SERVICES: pages})
    cluster = server.read()
    assert cluster["complete"] is complete
    assert server.slept == [1.0]
    if complete:
        assert [service["name"] for service in cluster["services"]] == ["a", "b"]
    else:
        assert why(cluster, "Services") == "reset"


def test_nothing_is_asked_when_the_budget_is_used_up():
    server = Server()
    cluster = server.read(seconds=0)
    reason = "the 0 s for all of the cluster were used up: raise budget_seconds"
    assert [entry["why"] for entry in cluster["missing"]] == [reason] * 8
    assert (server.asked, cluster["services"]) == ([], None)


def test_a_cluster_nobody_was_asked_about():
    cluster = cluster_api.unread("no kubeconfig given")
    assert cluster["missing"] == [{"what": "cluster API", "why": "no kubeconfig given"}]
    assert {cluster[section] for section in cluster_api.SECTIONS} == {None}


@pytest.mark.parametrize("kind", cluster_api.KINDS, ids=lambda kind: kind.section)
def test_a_right_that_is_missing_costs_its_kind_alone(kind):
    cluster = Server(script={kind.paths[0]: status(403, "no")}).read()
    assert [entry["what"] for entry in cluster["missing"]] == [kind.what]
    assert why(cluster, kind.what).startswith(
        'the API server forbids it (403: no); grant it the verb "list" on the resource '
        f'"{kind.resource}" of API group "{kind.group}" in a ClusterRole'
    )
    assert [section for section in cluster_api.SECTIONS if cluster[section] is None] == [kind.section]


def node_list(*names):
    return ok({"kind": "NodeList", "items": [{"metadata": {"name": name}} for name in names]})


def pod_list(*pods, **metadata):
    """Pods as "name@node"."""
    items = []
    for pod in pods:
        name, _at, node = pod.partition("@")
        items.append({"metadata": {"name": name, "namespace": "shop"}, "spec": {"nodeName": node}})
    return ok({"kind": "PodList", "metadata": metadata, "items": items})


def hosts(*names):
    return [{"name": name, "addresses": []} for name in names]


def test_a_limited_play_reads_the_pods_of_its_nodes_one_node_at_a_time():
    pages = [pod_list("b@n2", **{"continue": "t"}), pod_list("c@n2"), pod_list("a@n3")]
    server = Server(script={NODES: node_list("n1", "n2", "n3"), PODS: pages})
    cluster = server.read(hosts=hosts("n3", "n2"))
    assert cluster["complete"]
    assert cluster["pods_of"] == ["n2", "n3"]
    assert [pod["name"] for pod in cluster["pods"]] == ["b", "c", "a"]
    assert server.queries(PODS) == [
        {"limit": "500", "fieldSelector": "spec.nodeName=n2"},
        {"limit": "500", "fieldSelector": "spec.nodeName=n2", "continue": "t"},
        {"limit": "500", "fieldSelector": "spec.nodeName=n3"},
    ]


ALL_PODS = ["a@n1", "b@n2", "c@", "d@n2"]


@pytest.mark.parametrize(
    ("asked", "nodes", "pods_of", "pods"),
    [
        # all Nodes, none of them, nobody said, Nodes unknown
        (("n1", "n2"), node_list("n1", "n2"), None, ["a", "b", "c", "d"]),
        (("elsewhere",), node_list("n1", "n2"), None, ["a", "b", "c", "d"]),
        ((), node_list("n1", "n2"), None, ["a", "b", "c", "d"]),
        (("n2",), status(403, "no"), None, ["a", "b", "c", "d"]),
        # more Nodes than are asked for one by one
        ([f"n{n}" for n in range(2, 30)], node_list(*(f"n{n}" for n in range(30))), None, ["b", "d"]),
    ],
)
def test_plays_that_read_the_list_of_all_pods(asked, nodes, pods_of, pods):
    server = Server(script={NODES: nodes, PODS: pod_list(*ALL_PODS)})
    cluster = server.read(hosts=hosts(*asked))
    assert [pod["name"] for pod in cluster["pods"]] == pods
    assert cluster["pods_of"] == (sorted(asked) if len(asked) > 2 else pods_of)
    assert server.queries(PODS) == [{"limit": "500"}]


def test_a_node_whose_name_would_have_to_be_escaped():
    server = Server(script={NODES: node_list("n1", "n2,spec.nodeName=n1"), PODS: pod_list(*ALL_PODS)})
    cluster = server.read(hosts=hosts("n2,spec.nodeName=n1"))
    assert (cluster["pods"], cluster["pods_of"]) == ([], ["n2,spec.nodeName=n1"])
    assert server.queries(PODS) == [{"limit": "500"}]


UNKNOWN_FIELD = status(400, "field label not supported: spec.nodeName")


def test_a_server_that_does_not_know_the_selector_is_asked_for_all():
    server = Server(
        script={
            NODES: node_list("n1", "n2"),
            PODS: [UNKNOWN_FIELD, pod_list(*ALL_PODS)],
            EVENTS: [status(400, "field label not supported: type"), GOOD[EVENTS]],
        }
    )
    cluster = server.read(hosts=hosts("n2"))
    assert cluster["complete"]
    assert [pod["name"] for pod in cluster["pods"]] == ["b", "d"]
    assert cluster["pods_of"] == ["n2"]
    assert {event["reason"] for event in cluster["events"]} >= {"BackOff", "FailedCreatePodSandBox"}
    assert not {event["reason"] for event in cluster["events"]} & {"Started", "Pulled"}  # of type Normal
    assert server.queries(EVENTS) == [{"limit": "500", "fieldSelector": "type=Warning"}, {"limit": "500"}]


def test_a_server_that_refuses_even_the_plain_list():
    refused = status(400, "no")
    cluster = Server(script={EVENTS: refused}).read()
    assert why(cluster, "Events") == "the API server could not answer for Events (HTTP 400: no)"


def test_pods_that_expire_in_the_middle_begin_again():
    pages = [pod_list("old@n1", **{"continue": "t1"}), status(410, EXPIRED_TEXT), pod_list("new@n1")]
    assert [pod["name"] for pod in Server(script={PODS: pages}).read()["pods"]] == ["new"]


def test_events_that_expire_in_the_middle_are_not_counted_twice():
    event = {
        "metadata": {"name": "a.1"},
        "involvedObject": {"kind": "Pod", "name": "a"},
        "type": "Warning",
        "reason": "BackOff",
        "count": 3,
    }

    def events(**metadata):
        return ok({"kind": "EventList", "metadata": metadata, "items": [event]})

    pages = [events(**{"continue": "t1"}), status(410, EXPIRED_TEXT), events()]
    assert [entry["count"] for entry in Server(script={EVENTS: pages}).read()["events"]] == [3]


def test_pods_that_are_no_pods():
    bad = ok({"kind": "PodList", "items": [{"metadata": {"name": "a", "namespace": "b"}, "spec": {"containers": 5}}]})
    cluster = Server(script={PODS: bad}).read()
    assert why(cluster, "Pods") == (
        "the answer holds b/a, which is not what an API server sends: containers is a whole number, not a list"
    )
    assert cluster["pods"] is None
