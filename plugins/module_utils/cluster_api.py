# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what rules need of a cluster from its API server, page by page; say in words what could not be read.

Knows HTTP and the Kubernetes API, but neither sockets nor the kubernetes library: one request is a callable that is
handed in (cluster_client has the real one), so every answer a server can give is a line in a table of tests.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional, Sequence, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_hosts, cluster_trim
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_gather import Gatherer, NewestWarnings
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_shape import Object, ShapeError, mapping, text
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

SCHEMA = 1
# How often a list begins again after 410 Gone. etcd forgets old revisions every 5 minutes (kube-apiserver's
# --etcd-compaction-interval), so a second expiry in a row means that the list is read too slowly.
RESTARTS = 2
# Passing troubles: too many requests, and what a server or a load balancer says while API servers come and go.
_PASSING = (429, 500, 502, 503, 504)
_BEHIND_A_PROXY = (502, 503, 504)
_TOO_MANY = 429
# A server that sheds load (API Priority and Fairness) is well, and has its turn for everybody; of others one retry is enough.
_RETRIES_TOO_MANY, _RETRIES = 4, 1
# Seconds to wait before a retry: what Retry-After asks, but a diagnosis does not wait for long.
_DEFAULT_WAIT = 1.0
_LONGEST_WAIT = 10.0
# Far above what Kubernetes is tested with (5 000 Nodes, 150 000 pods); stops a server that never ends its list.
_MOST_OBJECTS = 1_000_000
# Nodes whose pods are asked for one Node at a time, which costs the server little: it finds pods by Node without looking
# at the others. With more of them all pods are read and most are dropped.
_FEW_NODES = 20
# What a Node may be called (RFC 1123 subdomain): nothing that a fieldSelector would have to escape.
_NODE_NAME = re.compile(r"[a-z0-9.-]{1,253}$")
_LONGEST_QUOTE = 300


class Answer(NamedTuple):
    """One HTTP answer; header names in lower case."""

    status: int
    headers: Dict[str, str]
    body: bytes


# (path, query) -> Answer; raises UnreachableError
Fetch = Callable[[str, Dict[str, str]], Answer]


class ReadError(Exception):
    """One thing could not be read; the text says why and what to do about it."""


class UnreachableError(ReadError):
    """Nothing can be read: no API server answers, or it does not accept who asks."""


class _ExpiredError(Exception):
    """410 Gone: the rest of the list would belong to a state the server no longer has."""


class _NotFoundError(Exception):
    """404: this server does not have the path."""


class _SelectorError(Exception):
    """400 to a list with a fieldSelector: this server does not have that one."""


class Kind(NamedTuple):
    """One kind of object: what it is called here and there, how it is gathered, and which of it is asked for."""

    section: str
    what: str
    list_kind: str
    group: str
    resource: str
    paths: Tuple[str, ...]
    gather: Callable[[], Gatherer]
    fields: str = ""


def _kept(trim: Callable[[Object], Optional[Object]]) -> Callable[[], Gatherer]:
    return lambda: Gatherer(trim)


# In the order they are read: time may run out, and without the first three no port can be told from another.
KINDS = (
    Kind("services", "Services", "ServiceList", "", "services", ("/api/v1/services",), _kept(cluster_trim.service)),
    Kind(
        "endpoint_slices",
        "EndpointSlices",
        "EndpointSliceList",
        "discovery.k8s.io",
        "endpointslices",
        # v1 since Kubernetes 1.21; v1beta1 from 1.17 to 1.24
        ("/apis/discovery.k8s.io/v1/endpointslices", "/apis/discovery.k8s.io/v1beta1/endpointslices"),
        _kept(cluster_trim.endpoint_slice),
    ),
    Kind("nodes", "Nodes", "NodeList", "", "nodes", ("/api/v1/nodes",), _kept(cluster_trim.node)),
    Kind("pods", "Pods", "PodList", "", "pods", ("/api/v1/pods",), _kept(cluster_trim.pod)),
    Kind(
        "deployments",
        "Deployments",
        "DeploymentList",
        "apps",
        "deployments",
        ("/apis/apps/v1/deployments",),
        _kept(cluster_trim.deployment),
    ),
    Kind(
        "replica_sets",
        "ReplicaSets",
        "ReplicaSetList",
        "apps",
        "replicasets",
        ("/apis/apps/v1/replicasets",),
        _kept(cluster_trim.replica_set),
    ),
    Kind(
        "events",
        "Events",
        "EventList",
        "",
        "events",
        ("/api/v1/events",),
        NewestWarnings,
        f"type={cluster_trim.WARNING}",
    ),
)
SECTIONS = tuple(kind.section for kind in KINDS)


def unread(why: str) -> Object:
    """Return the cluster of which nothing could be read."""
    return _cluster([{"what": "cluster API", "why": why}], None, None, {})


def read_cluster(
    fetch: Fetch,
    sections: Sequence[str],
    page_size: int,
    deadline: Deadline,
    sleep: Callable[[float], None],
    hosts: Sequence[Dict[str, Any]] = (),
) -> Object:
    """Return the cluster's snapshot: ``{schema, complete, missing, server_version, pods_of}`` and a list for each section.

    A kind that could not be read, or was not asked for, is None, and ``missing`` says why. Where ``hosts``, as
    ``{name, addresses}``, are some of the Nodes, ``pods_of`` names these, and only their pods are read; otherwise it is
    None. Never raises ReadError.
    """
    reader = _Reader(fetch, page_size, deadline, sleep)
    missing: List[Dict[str, str]] = []
    version: Optional[str] = None
    try:
        version = reader.version()
    except UnreachableError as error:
        return unread(str(error))
    except ReadError as error:
        missing.append({"what": "server version", "why": str(error)})
    found: Dict[str, List[Object]] = {}
    pods_of: Optional[List[str]] = None
    for kind in KINDS:
        try:
            if kind.section not in sections:
                raise ReadError(f"not asked for: sections does not name {kind.section}")
            if kind.section == "pods":
                pods_of = cluster_hosts.limited_to(found.get("nodes"), hosts)
                found[kind.section] = _pods(reader, kind, pods_of)
            else:
                found[kind.section] = reader.objects(kind, [kind.fields])
        except ReadError as error:
            missing.append({"what": kind.what, "why": str(error)})
    return _cluster(missing, version, pods_of, found)


def _pods(reader: _Reader, kind: Kind, nodes: Optional[List[str]]) -> List[Object]:
    """Return the pods of these Nodes, or of all of them."""
    if nodes is None:
        return reader.objects(kind, [""])
    fields = [""]
    if len(nodes) <= _FEW_NODES and all(map(_NODE_NAME.match, nodes)):
        fields = [f"spec.nodeName={node}" for node in nodes]
    wanted = set(nodes)
    return reader.objects(kind, fields, lambda raw: text(mapping(raw, "spec"), "nodeName") in wanted)


def _cluster(
    missing: List[Dict[str, str]], version: Optional[str], pods_of: Optional[List[str]], found: Dict[str, List[Object]]
) -> Object:
    head = {
        "schema": SCHEMA,
        "complete": not missing,
        "missing": missing,
        "server_version": version,
        "pods_of": pods_of,
    }
    return {**head, **{section: found.get(section) for section in SECTIONS}}


def _every(_raw: Object) -> bool:
    return True


class _Reader:
    """Asks one API server; every method raises ReadError."""

    def __init__(self, fetch: Fetch, page_size: int, deadline: Deadline, sleep: Callable[[float], None]) -> None:
        self._fetch = fetch
        self._page_size = page_size
        self._deadline = deadline
        self._sleep = sleep
        self._answered = False

    def version(self) -> str:
        """Return "1.36" for ``{"major": "1", "minor": "36"}``; some providers write the minor as "36+"."""
        try:
            told = _decoded(self._ask("/version", {}, "its version"))
        except (_NotFoundError, _ExpiredError) as error:
            raise ReadError("the server does not know the path /version: is it a Kubernetes API server?") from error
        parts = [re.match(r"\d+", str(told.get(key, ""))) for key in ("major", "minor")]
        if not all(parts):
            raise UnreachableError(
                "what answers is no Kubernetes API server: its /version names no major and minor version"
            )
        return ".".join(part.group() for part in parts if part)

    def objects(self, kind: Kind, fields: Sequence[str], wanted: Callable[[Object], bool] = _every) -> List[Object]:
        """Return the trimmed objects of one kind that are ``wanted``, from the first of its paths that the server has.

        One list is read for each fieldSelector of ``fields``; a server that does not know it is asked for everything.
        """
        try:
            return [found for selector in fields for found in self._somewhere(kind, selector, wanted)]
        except _SelectorError:
            return self._somewhere(kind, "", wanted)

    def _somewhere(self, kind: Kind, selector: str, wanted: Callable[[Object], bool]) -> List[Object]:
        for path in kind.paths:
            try:
                return self._list(kind, path, selector, wanted)
            except _NotFoundError:
                continue
        raise ReadError(f"the server has none of {' and '.join(kind.paths)} (404): is it a Kubernetes API server?")

    def _list(self, kind: Kind, path: str, selector: str, wanted: Callable[[Object], bool]) -> List[Object]:
        for _attempt in range(1 + RESTARTS):
            try:
                return self._pages(kind, path, selector, wanted)
            except _ExpiredError:
                continue
        raise ReadError(
            f"the list expired while it was read, {1 + RESTARTS} times in a row (410 Gone: continue token too old); "
            "the server's offer to go on in a newer state would mix two states and was not taken: "
            f"raise page_size (now {self._page_size}), so that fewer pages are needed"
        )

    def _pages(self, kind: Kind, path: str, selector: str, wanted: Callable[[Object], bool]) -> List[Object]:
        gathered = kind.gather()
        seen = 0
        tokens = {""}
        first = {"limit": str(self._page_size), **({"fieldSelector": selector} if selector else {})}
        query = first
        while True:
            page = _decoded(self._ask(path, query, kind.what, kind))
            for item in _items(kind, page):
                seen += 1
                _gather(gathered, item, wanted)
            token = _continue_token(page)
            if not token:
                return gathered.result()
            if token in tokens or seen > _MOST_OBJECTS:
                raise ReadError(f"the server's list does not end (stopped after {seen} objects)")
            tokens.add(token)
            # The token does not carry the selector: the same one must come with each page.
            query = {**first, "continue": token}

    def _ask(self, path: str, query: Dict[str, str], what: str, kind: Optional[Kind] = None) -> Answer:
        answer = self._request(path, query)
        tries = 0
        while answer.status in _PASSING and tries < _retries(answer.status):
            tries += 1
            self._sleep(min(_wait_asked(answer), self._deadline.left()))
            answer = self._request(path, query)
        if answer.status == 400 and "fieldSelector" in query and "continue" not in query:
            raise _SelectorError()
        if answer.status != 200:
            _refuse(answer, what, kind)
        return answer

    def _request(self, path: str, query: Dict[str, str]) -> Answer:
        if self._deadline.passed():
            raise ReadError(
                f"the {self._deadline.seconds:g} s for all of the cluster were used up: raise budget_seconds"
            )
        try:
            answer = self._fetch(path, query)
        except UnreachableError:
            if not self._answered or self._deadline.passed():
                raise
            # It has answered before: one connection of many broke, or one of several API servers behind an address is going away.
            self._sleep(min(_DEFAULT_WAIT, self._deadline.left()))
            answer = self._fetch(path, query)
        self._answered = True
        return answer


def _refuse(answer: Answer, what: str, kind: Optional[Kind]) -> NoReturn:
    """Turn an answer that is no success into the exception that says so."""
    said = status_message(answer)
    quoted = f": {said}" if said else ""
    if answer.status == 410:
        raise _ExpiredError()
    if answer.status == 404:
        raise _NotFoundError()
    if answer.status == 401:
        raise UnreachableError(
            f"the API server does not accept these credentials (401{quoted}): "
            "the token or client certificate is wrong or has expired"
        )
    if answer.status == 403:
        raise ReadError(f"the API server forbids it (403{quoted}){_grant(kind)}")
    if 300 <= answer.status < 400:
        raise UnreachableError(
            f"what answers is no Kubernetes API server: it redirects elsewhere ({answer.status}; a login page?)"
        )
    if answer.status in _BEHIND_A_PROXY and not said:
        raise UnreachableError(
            f"a proxy or load balancer answers, but no API server behind it (HTTP {answer.status}, one retry included)"
        )
    times = "one retry" if _retries(answer.status) == 1 else f"{_retries(answer.status)} retries"
    again = f", {times} included" if answer.status in _PASSING else ""
    raise ReadError(f"the API server could not answer for {what} (HTTP {answer.status}{quoted}{again})")


def _grant(kind: Optional[Kind]) -> str:
    if kind is None:
        return ""
    return (
        f'; grant it the verb "list" on the resource "{kind.resource}" of API group "{kind.group}" in a ClusterRole '
        "(README.md of the role collect has one with all that is read)"
    )


def _retries(status: int) -> int:
    return _RETRIES_TOO_MANY if status == _TOO_MANY else _RETRIES


def _wait_asked(answer: Answer) -> float:
    """Return the seconds of Retry-After; its other form, a date, is not one API servers use."""
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_WAIT) if re.match(r"\d{1,9}$", asked, re.ASCII) else _DEFAULT_WAIT


def status_message(answer: Answer) -> str:
    """Return the message of the Status object that API servers send with an error; "" when it is something else."""
    try:
        status = json.loads(answer.body.decode("utf-8"))
    except (ValueError, RecursionError):
        return ""
    if not isinstance(status, dict) or status.get("kind") != "Status":
        return ""
    message = " ".join(str(status.get("message") or status.get("reason") or "").split())
    return message if len(message) <= _LONGEST_QUOTE else message[:_LONGEST_QUOTE] + "…"


def _decoded(answer: Answer) -> Object:
    """Return the JSON mapping of an answer."""
    try:
        value = json.loads(answer.body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        media = answer.headers.get("content-type", "no content type").split(";")[0].strip()
        if media == "application/json":
            raise ReadError(f"the answer is broken JSON ({len(answer.body)} bytes)") from error
        raise UnreachableError(
            f"what answers is no Kubernetes API server: it sent {_short(media)}, not JSON (a proxy?)"
        ) from error
    if not isinstance(value, dict):
        raise ReadError("the answer is JSON, but no Kubernetes object")
    return value


def _items(kind: Kind, page: Object) -> List[Object]:
    if page.get("kind") != kind.list_kind:
        raise ReadError(f"the answer is {_short(str(page.get('kind') or 'nameless'))}, not a {kind.list_kind}")
    items = page.get("items")
    if items is None:  # how Go writes an empty list that was never made
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ReadError(f"the answer's items are no list of {kind.what}")
    return items


def _gather(gathered: Gatherer, item: Object, wanted: Callable[[Object], bool]) -> None:
    try:
        if not text(mapping(item, "metadata"), "name"):
            raise ShapeError("metadata.name is empty")
        if wanted(item):
            gathered.feed(item)
    except ShapeError as error:
        raise ReadError(f"the answer holds {_named(item)}, which is not what an API server sends: {error}") from error


def _named(item: Object) -> str:
    meta: Any = item.get("metadata")
    names = [meta.get(key) for key in ("namespace", "name")] if isinstance(meta, dict) else []
    return _short("/".join(name for name in names if isinstance(name, str))) or "a nameless object"


def _continue_token(page: Object) -> str:
    meta: Any = page.get("metadata")
    token = meta.get("continue") if isinstance(meta, dict) else None
    if token is not None and not isinstance(token, str):
        raise ReadError("the answer's continue token is no string")
    return token or ""


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:80] + "…"
