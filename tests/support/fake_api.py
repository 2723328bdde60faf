# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small API server for tests.

It answers reads as tests/fixtures/api shows that a real one does, and it can be told to misbehave.

In a test:

    with FakeApi() as api:                                   # the captured cluster of tests/fixtures/api
        api.kubeconfig(tmp_path / "kubeconfig")
        api.misbehave("/api/v1/nodes", forbidden)

    with FakeApi(directory=DIR) as api:                      # services.json, endpointslices.json, nodes.json, pods.json,
        ...                                                  # events.json, deployments.json, replicasets.json: lists as
                                                             # "kubectl get --raw" prints them; a kind without file is empty
    with FakeApi(holding={"services": [...]}) as api:        # these very objects and no other
        api.add("pods", pod, another)                        # more of them; api.replace(kind, objects) for all of a kind
        api.put("pods", changed)                             # one object, as a write of its controller: new resourceVersion
        api.delete("pods", "shop", "front-1")
        api.get("deployments", "shop", "front")              # what the server holds

        api.after_patch.append(lambda api, plural, item: …)  # what controllers do then; runs before PATCH is answered
        api.after_patch.append(fake_rollout.roll_out)        # new ReplicaSet, new pods, status of the Deployment
        api.misbehave(path, act, times=1, method="PATCH")    # an act may also change objects and return False

        api.kubelet = lambda node, path: Plain(dump)         # what a Node's kubelet answers to GET /api/v1/nodes/NAME/proxy/PATH;
        api.kubelet = silent_kubelet                         # debug_is_off, or a function that raises ApiError
        api.without_proxy.add("jane")                        # a user who may read everything but nodes/proxy

From a shell: python tests/support/fake_api.py --port 0 --kubeconfig-out FILE [--objects DIR] [--token TOKEN]

Faithful in: paging (page size, opaque tokens bound to a resourceVersion, remainingItemCount, 400 and 410), field and
label selectors, GET of one object, PATCH of one object as JSON patch or merge patch (404, 409, 415, 422; dryRun=All;
resourceVersion and generation grow; the NodePorts of Services, which are from the range node_ports), the Status bodies of 401, 403, 404
and 405, anonymous users, /version, discovery, and how the proxy to a kubelet fails.
Without: other writes, watches, admission, validation of what else a patch leaves behind.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import copy
import datetime
import ipaddress
import json
import os
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.tests.support import api_selectors, json_patch, service_writes

CAPTURES = Path(__file__).resolve().parent.parent / "fixtures" / "api"
KUBELET_DUMP = CAPTURES.parent / "go_dumps" / "kubelet-1.36.txt"
# Written by handleCompactedErrorForPaging in kubernetes/kubernetes,
# staging/src/k8s.io/apiserver/pkg/storage/etcd3/errors.go; the same text and a token with "rv":-1 as a user met them:
# https://github.com/apache/apisix/issues/7489
EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
ADMIN, ANONYMOUS = "kubernetes-admin", "system:anonymous"
JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
# staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go; the last three are known and not served here
_PATCH_TYPES = (
    *(JSON_PATCH, MERGE_PATCH, "application/strategic-merge-patch+json"),
    *("application/apply-patch+yaml", "application/apply-patch+cbor"),
)
# What ClusterRole system:public-info-viewer opens to everybody
PUBLIC_PATHS = ("/version", "/healthz", "/livez", "/readyz")


@dataclass(frozen=True)
class Resource:
    """One kind of object, by its plural."""

    plural: str
    kind: str
    group: str
    versions: tuple[str, ...]

    def prefix(self, version: str) -> str:
        """Return "/api/v1" or "/apis/GROUP/VERSION"."""
        return f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"

    @property
    def qualified(self) -> str:
        """Return the name that error messages use: "endpointslices.discovery.k8s.io"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass
class Request:
    """What a client asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Plain:
    """An answer that is no JSON."""

    body: bytes
    code: int = 200
    media: str = "text/plain; charset=utf-8"


class ApiError(Exception):
    """An answer that is a Status object."""

    def __init__(self, code: int, reason: str, message: str, **extra: Any) -> None:
        super().__init__(message)
        metadata = extra.pop("metadata", {})
        self.code = code
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": message,
            "reason": reason,
            **extra,
            "code": code,
        }


# Answers in place of the server and returns True, or returns False and lets it go on.
Act = Callable[["Handler"], bool]
# Does what a controller would do after a patch: the server, the plural, the object as it was stored.
AfterPatch = Callable[["FakeApi", str, dict[str, Any]], None]
# Answers as the kubelet of a Node would: its name, and the path that is asked for. Raises ApiError for one that does not answer.
Kubelet = Callable[[str, str], Plain]
# (resource, namespace, name, version): "" for all namespaces, and for a list
Target = tuple[Resource, str, str, str]


@dataclass
class _Fault:
    path: str
    act: Act
    times: int
    method: str


@dataclass
class FakeApi:
    """The server: starts on entering the context, serves on 127.0.0.1 in threads of its own.

    directory: of list files like the captures'; holding: objects by plural, instead of files. tokens: user names by
    bearer token; without any, everybody is the admin.
    """

    directory: Path = CAPTURES
    tokens: dict[str, str] = field(default_factory=dict)
    allow_anonymous: bool = True
    slice_versions: tuple[str, ...] = ("v1",)
    tls: bool = False
    port: int = 0
    holding: dict[str, list[dict[str, Any]]] | None = None
    requests: list[Request] = field(default_factory=list)
    after_patch: list[AfterPatch] = field(default_factory=list)
    kubelet: Kubelet = field(default_factory=lambda: captured_kubelet)
    node_ports: service_writes.Range = (30000, 40000)  # as the captured server was started
    without_proxy: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.resources: tuple[Resource, ...] = (
            Resource("services", "Service", "", ("v1",)),
            Resource("endpointslices", "EndpointSlice", "discovery.k8s.io", self.slice_versions),
            Resource("nodes", "Node", "", ("v1",)),
            Resource("pods", "Pod", "", ("v1",)),
            Resource("events", "Event", "", ("v1",)),
            Resource("deployments", "Deployment", "apps", ("v1",)),
            Resource("replicasets", "ReplicaSet", "apps", ("v1",)),
        )
        self._faults: list[_Fault] = []
        self._lock = threading.RLock()
        self._states: dict[int, dict[str, list[dict[str, Any]]]] = {}
        self._expiry = (0, 0)  # after how many pages of one list, how many more times
        self._pages: dict[str, int] = {}
        self.stopping = threading.Event()
        self.revision = 0
        self._load()

    # -- objects ---------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        state: dict[str, list[dict[str, Any]]] = {}
        for resource in self.resources:
            listed = self._listed(resource.plural)
            state[resource.plural] = sorted(listed["items"], key=storage_key)
            self.revision = max(self.revision, int(listed["metadata"].get("resourceVersion", "1")))
        self._states[self.revision] = state

    def _listed(self, plural: str) -> dict[str, Any]:
        file = self.directory / f"{plural}.json"
        if self.holding is not None:
            return {"items": copy.deepcopy(self.holding.get(plural, [])), "metadata": {}}
        if file.exists():
            listed: dict[str, Any] = json.loads(file.read_text("utf-8"))
            return listed
        return {"items": [], "metadata": {}}

    def objects(self, plural: str) -> list[dict[str, Any]]:
        """Return a copy of what the server holds now."""
        return copy.deepcopy(self._states[self.revision][plural])

    def replace(self, plural: str, objects: list[dict[str, Any]]) -> None:
        """Set all objects of one kind; lists that are being paged go on with the old state until compact()."""
        with self._lock:
            state = {**self._states[self.revision], plural: sorted(copy.deepcopy(objects), key=storage_key)}
            self.revision += 1
            self._states[self.revision] = state

    def add(self, plural: str, *objects: dict[str, Any]) -> None:
        """Add objects to one kind."""
        self.replace(plural, [*self.objects(plural), *objects])

    def get(self, plural: str, namespace: str, name: str) -> dict[str, Any]:
        """Return a copy of one object; "" is the namespace of a Node. Raises ApiError."""
        return copy.deepcopy(self._one(self._resource(plural), namespace, name))

    def put(self, plural: str, item: dict[str, Any]) -> dict[str, Any]:
        """Store one object, new or changed, as a write: with a resourceVersion of its own. Returns a copy of it."""
        with self._lock:
            item = copy.deepcopy(item)
            others = [other for other in self._states[self.revision][plural] if storage_key(other) != storage_key(item)]
            self.revision += 1
            item["metadata"]["resourceVersion"] = str(self.revision)
            state = {**self._states[self.revision - 1], plural: sorted([*others, item], key=storage_key)}
            self._states[self.revision] = state
            return copy.deepcopy(item)

    def delete(self, plural: str, namespace: str, name: str) -> None:
        """Remove one object. Raises ApiError when it is not there."""
        with self._lock:
            gone = storage_key(self.get(plural, namespace, name))
            self.replace(plural, [item for item in self.objects(plural) if storage_key(item) != gone])

    def _resource(self, plural: str) -> Resource:
        return next(resource for resource in self.resources if resource.plural == plural)

    def compact(self) -> None:
        """Forget old states, as etcd does every five minutes: continue tokens of theirs are answered with 410."""
        with self._lock:
            self._states = {self.revision: self._states[self.revision]}

    # -- misbehaviour ----------------------------------------------------------------------------------------------

    def misbehave(self, path: str, act: Act, times: int = sys.maxsize, method: str = "") -> None:
        """Let requests whose path starts like this (of one method, or of any) be answered by ``act``, so many times."""
        self._faults.append(_Fault(path, act, times, method))

    def expire_tokens(self, after_pages: int = 1, times: int = sys.maxsize) -> None:
        """Answer 410 to requests for more of one list than so many pages, so many times."""
        self._expiry = (after_pages, times)

    def fault_for(self, request: Request) -> Act | None:
        """Return, and count, the misbehaviour that is due."""
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and request.path.startswith(fault.path) and fault.method in ("", request.method):
                    fault.times -= 1
                    return fault.act
        return None

    # -- life ------------------------------------------------------------------------------------------------------

    def __enter__(self) -> FakeApi:
        api = self

        class BoundHandler(Handler):
            server_api = api

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), BoundHandler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._folder = tempfile.TemporaryDirectory(prefix="fake-api-")
        if self.tls:
            self._server.socket = self._tls_context().wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        """Return the address to ask."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        """Return the file of the self-made certificate."""
        return Path(self._folder.name) / "ca.pem"

    def kubeconfig(self, file: Path, token: str | None = None, trusted: bool = True) -> Path:
        """Write a kubeconfig with the context "fake" (JSON is YAML) and return its path."""
        file.write_text(json.dumps(self.kubeconfig_content(token, trusted), indent=2) + "\n", "utf-8")
        return file

    def kubeconfig_content(self, token: str | None = None, trusted: bool = True) -> dict[str, Any]:
        """Return the same as a dictionary."""
        token = token or next(iter(self.tokens), None)
        cluster = {"server": self.url}
        if self.tls and trusted:
            cluster["certificate-authority-data"] = base64.b64encode(self.certificate.read_bytes()).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": cluster}],
            "users": [{"name": "fake", "user": {"token": token} if token else {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        }

    def _tls_context(self) -> ssl.SSLContext:
        key = Path(self._folder.name) / "key.pem"
        write_certificate(self.certificate, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        return context

    # -- answers ---------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Any:
        """Return the JSON value that answers a request. Raises ApiError; LookupError for a path that does not exist."""
        user = self._user(request)
        if request.path == "/version":
            return _captured("version")
        proxied = proxied_path(request.path)
        if proxied is not None:
            return self._proxy(user, request, *proxied)
        target = self._target(request.path)
        if user == ANONYMOUS and request.path not in PUBLIC_PATHS:
            raise refusal(user, request, target)
        if target is None:
            return self._discovery(request.path)
        resource, namespace, name, version = target
        api_version = f"{resource.group}/{version}" if resource.group else version
        if name and request.method == "PATCH":
            return {"kind": resource.kind, "apiVersion": api_version, **self._patch(resource, namespace, name, request)}
        if request.method != "GET":
            message = "the server does not allow this method on the requested resource"
            raise ApiError(405, "MethodNotAllowed", message, details={})
        if name:
            return {"kind": resource.kind, "apiVersion": api_version, **self._one(resource, namespace, name)}
        return {
            "kind": f"{resource.kind}List",
            "apiVersion": api_version,
            **self._page(resource, namespace, request.query),
        }

    def _proxy(self, user: str, request: Request, node: str, path: str) -> Plain:
        if user == ANONYMOUS or user in self.without_proxy:
            raise refusal(user, request, None)
        self._one(self._resource("nodes"), "", node)
        return self.kubelet(node, path)

    def _user(self, request: Request) -> str:
        if not self.tokens:
            return ADMIN
        scheme, _space, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and token in self.tokens:
            return self.tokens[token]
        if scheme or not self.allow_anonymous:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return ANONYMOUS

    def _target(self, path: str) -> Target | None:
        """Return ``(resource, namespace, name, version)``, with "" for all namespaces and for a list."""
        for resource in self.resources:
            for version in resource.versions:
                prefix = resource.prefix(version) + "/"
                parts = path[len(prefix) :].split("/") if path.startswith(prefix) else []
                namespace = parts[1] if parts[:1] == ["namespaces"] and len(parts) > 2 else ""
                rest = parts[2:] if namespace else parts
                if rest[:1] == [resource.plural] and len(rest) <= 2:
                    return resource, namespace, rest[1] if len(rest) == 2 else "", version
        return None

    def _discovery(self, path: str) -> Any:
        files = {
            "/api": "api",
            "/apis": "apis",
            "/api/v1": "api-v1",
            "/apis/discovery.k8s.io/v1": "apis-discovery-v1",
            "/apis/apps/v1": "apis-apps-v1",
        }
        if path == "/apis/discovery.k8s.io/v1" and "v1" not in self.slice_versions:
            raise LookupError(path)
        return _captured(files[path])

    def _one(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        key = f"{namespace}/{name}" if namespace else name
        for found in self._states[self.revision][resource.plural]:
            if storage_key(found) == key:
                return found
        details = {"name": name, **({"group": resource.group} if resource.group else {}), "kind": resource.plural}
        raise ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', details=details)

    def _patch(self, resource: Resource, namespace: str, name: str, request: Request) -> dict[str, Any]:
        with self._lock:
            before = self.get(resource.plural, namespace, name)
            after = patched_object(before, request)
            if after["metadata"].get("resourceVersion") not in (None, before["metadata"].get("resourceVersion")):
                raise conflict_error(resource, name)
            if resource.plural == "services":
                self._settle_service(before, after, request.query.get("dryRun") == "All")
            if after == before or request.query.get("dryRun") == "All":
                return after
            if after.get("spec") != before.get("spec") and "generation" in before["metadata"]:
                after["metadata"]["generation"] = before["metadata"]["generation"] + 1
            stored = self.put(resource.plural, after)
            for hook in self.after_patch:
                hook(self, resource.plural, copy.deepcopy(stored))
            return stored

    def _settle_service(self, before: dict[str, Any], after: dict[str, Any], dry_run: bool) -> None:
        others = [other for other in self.objects("services") if storage_key(other) != storage_key(before)]
        try:
            service_writes.settle(before, after, others, self.node_ports, dry_run)
        except service_writes.RefusedError as error:
            raise invalid_error("Service", before["metadata"]["name"], error.field, error.words) from error

    def _page(self, resource: Resource, namespace: str, query: dict[str, str]) -> dict[str, Any]:
        """Return one page as etcd3's store makes it (GetList in apiserver's pkg/storage/etcd3/store.go).

        With a selector it reads on until the page is full. It says that there is more when there are more objects,
        whether they match or not, so the last page may be empty; and it does not say how many.
        """
        match = selected(resource, query)
        revision, start = self._position(resource, query.get("continue", ""))
        left = [
            item
            for item in self._states[revision][resource.plural]
            if storage_key(item) >= start and namespace in ("", item["metadata"].get("namespace"))
        ]
        limit = int(query.get("limit", "0")) or len(left)
        where = [place for place, item in enumerate(left) if match is None or match(item)][:limit]
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        last = where[-1] if len(where) == limit and where else len(left) - 1
        if last < len(left) - 1:
            metadata["continue"] = continue_token(revision, storage_key(left[last]) + "\0")
            if match is None:
                metadata["remainingItemCount"] = len(left) - limit
        return {"metadata": metadata, "items": [left[place] for place in where]}

    def _position(self, resource: Resource, token: str) -> tuple[int, str]:
        """Return the state and the first key that a continue token stands for."""
        with self._lock:
            self._pages[resource.plural] = self._pages.get(resource.plural, 0) + 1 if token else 1
            if not token:
                return self.revision, ""
            revision, start = _decoded_token(token)
            after, times = self._expiry
            if times and self._pages[resource.plural] > after:
                self._expiry = (after, times - 1)
                raise expired_error(start)
            if revision == -1:
                return self.revision, start
            if revision not in self._states:
                raise expired_error(start)
            return revision, start


def storage_key(item: dict[str, Any]) -> str:
    """Return an object's key in etcd, by which lists are sorted and continued."""
    metadata = item["metadata"]
    return "/".join(metadata[part] for part in ("namespace", "name") if part in metadata)


def continue_token(revision: int, start: str) -> str:
    """Return a token as apiserver's storage.EncodeContinue makes it; revision -1 stands for the newest state."""
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decoded_token(token: str) -> tuple[int, str]:
    try:
        value = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(value["rv"]), str(value["start"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise ApiError(400, "BadRequest", _captured("error-continue-400")["message"]) from error


def _captured(name: str) -> Any:
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


def expired_error(start: str) -> ApiError:
    """Return 410 with the token that would continue in the newest state: an inconsistent list."""
    return ApiError(410, "Expired", EXPIRED, metadata={"continue": continue_token(-1, start)})


def selected(resource: Resource, query: dict[str, str]) -> api_selectors.Match | None:
    """Return what the selectors of a list let through; None without any. Raises ApiError."""
    try:
        tests = [
            *([api_selectors.by_fields(resource.kind, query["fieldSelector"])] if query.get("fieldSelector") else []),
            *([api_selectors.by_labels(query["labelSelector"])] if query.get("labelSelector") else []),
        ]
    except api_selectors.SelectorError as error:
        raise ApiError(400, "BadRequest", str(error)) from error
    return (lambda item: all(test(item) for test in tests)) if tests else None


def patched_object(item: dict[str, Any], request: Request) -> dict[str, Any]:
    """Return the object as a PATCH wants it. Raises ApiError with what patch.go of apiserver's handlers says."""
    media = request.headers.get("content-type", "").split(";")[0].strip()
    if media not in (JSON_PATCH, MERGE_PATCH):
        known = ", ".join(_PATCH_TYPES)
        message = f"the body of the request was in an unknown format - accepted media types include: {known}"
        raise ApiError(415, "UnsupportedMediaType", message)
    try:
        patch = json.loads(request.body)
    except ValueError as error:
        raise ApiError(400, "BadRequest", f"error decoding patch: {error}") from error
    if media == MERGE_PATCH:
        merged: dict[str, Any] = json_patch.merged(item, patch)
        return merged
    if not isinstance(patch, list) or not all(isinstance(operation, dict) for operation in patch):
        kind = "object" if isinstance(patch, dict) else "value"
        message = f"error decoding patch: json: cannot unmarshal {kind} into Go value of type []handlers.jsonPatchOp"
        raise ApiError(400, "BadRequest", message)
    try:
        changed: dict[str, Any] = json_patch.patched(item, patch)
        return changed
    except json_patch.PatchError as error:
        # applyJSPatch makes it with NewGenericServerResponse(422, …), which drops what was wrong: also for a failed test.
        message = "the server rejected our request due to an error in our request"
        raise ApiError(422, "Invalid", message, details={}) from error


def conflict_error(resource: Resource, name: str) -> ApiError:
    """Return 409: the patch carries another resourceVersion than the object has."""
    message = (
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    group = {"group": resource.group} if resource.group else {}
    return ApiError(409, "Conflict", message, details={"name": name, **group, "kind": resource.plural})


def invalid_error(kind: str, name: str, field: str, words: str) -> ApiError:
    """Return 422: a field's value cannot be."""
    cause = {"reason": "FieldValueInvalid", "message": words, "field": field}
    details = {"name": name, "kind": kind, "causes": [cause]}
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {field}: {words}', details=details)


def proxied_path(path: str) -> tuple[str, str] | None:
    """Return Node and path of a request for a kubelet: ("node-1", "/debug/pprof/goroutine")."""
    prefix = "/api/v1/nodes/"
    node, proxy, rest = path[len(prefix) :].partition("/proxy/")
    return (node, f"/{rest}") if path.startswith(prefix) and proxy and "/" not in node else None


def refusal(user: str, request: Request, target: Target | None) -> ApiError:
    """Return what RBAC answers to a request it does not allow."""
    proxied = proxied_path(request.path)
    if proxied is not None:
        nodes = Resource("nodes", "Node", "", ("v1",))
        return forbidden_error(user, nodes, "", proxied[0], "get", "/proxy")
    if target is None:
        return forbidden_path_error(user, request.path)
    resource, namespace, name, _version = target
    verbs = {"PATCH": "patch", "DELETE": "delete", "POST": "create", "PUT": "update"}
    return forbidden_error(user, resource, namespace, name, verbs.get(request.method, "get" if name else "list"))


def forbidden_error(
    user: str, resource: Resource, namespace: str = "", name: str = "", verb: str = "list", subresource: str = ""
) -> ApiError:
    """Return what RBAC answers to a request for objects of one kind, or for one of them."""
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    quoted = f' "{name}"' if name else ""
    message = (
        f'{resource.qualified}{quoted} is forbidden: User "{user}" cannot {verb} resource '
        f'"{resource.plural}{subresource}" in API group "{resource.group}" {scope}'
    )
    details = {**({"name": name} if name else {}), **({"group": resource.group} if resource.group else {})}
    return ApiError(403, "Forbidden", message, details={**details, "kind": resource.plural})


def forbidden_path_error(user: str, path: str) -> ApiError:
    """Return what RBAC answers to a path that is no object's."""
    return ApiError(403, "Forbidden", f'forbidden: User "{user}" cannot get path "{path}"', details={})


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_api: FakeApi

    def do_GET(self) -> None:
        """Answer any method."""
        split = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", "0")))
        # "fieldSelector=spec.nodeName=" asks for pods without a node
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        self.request_seen = Request(self.command, split.path, query, headers, body)
        self.server_api.requests.append(self.request_seen)
        act = self.server_api.fault_for(self.request_seen)
        if act is None or not act(self):
            self._answer()

    do_DELETE = do_PATCH = do_POST = do_PUT = do_GET  # noqa: N815 (http.server's names)

    def _answer(self) -> None:
        try:
            value, code = self.server_api.answer(self.request_seen), 200
            if isinstance(value, Plain):
                self.send(value.code, value.body, value.media)
                return
        except ApiError as error:
            value, code = error.body, error.code
        except LookupError:
            # For a path no API group claims, a real server answers in plain text.
            self.send(404, b"404 page not found\n", "text/plain; charset=utf-8")
            return
        self.send(code, json.dumps(value).encode())

    def send(self, code: int, body: bytes, media: str = "application/json", **headers: str) -> None:
        """Send one whole answer; a header's underscores become dashes."""
        self.send_response(code)
        self.send_header("Content-Type", media)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (http.server's name)
        """Keep quiet: tests read the recorded requests."""


# -- kubelets ----------------------------------------------------------------------------------------------------------


def captured_kubelet(_node: str, path: str) -> Plain:
    """Answer with the goroutines of a real kubelet."""
    if path != "/debug/pprof/goroutine":
        return Plain(b"404 page not found\n", 404)
    return Plain(KUBELET_DUMP.read_bytes())


def debug_is_off(_node: str, _path: str) -> Plain:
    """Answer as with enableDebuggingHandlers: false (pkg/kubelet/server/server.go InstallDebuggingDisabledHandlers)."""
    return Plain(b"Debug endpoints are disabled.\n", 405)


def silent_kubelet(_node: str, _path: str) -> Plain:
    """Do not answer: what the API server then says (apimachinery/pkg/util/proxy/transport.go)."""
    said = "error trying to reach service: dial tcp 10.0.0.5:10250: connect: connection refused"
    raise ApiError(503, "ServiceUnavailable", said)


# -- acts --------------------------------------------------------------------------------------------------------------


def forbidden(handler: Handler) -> bool:
    """Answer 403, as for a user whom no role lets do this."""
    request = handler.request_seen
    error = refusal(ADMIN, request, handler.server_api._target(request.path))
    handler.send(error.code, json.dumps(error.body).encode())
    return True


def unauthorized(handler: Handler) -> bool:
    """Answer 401."""
    handler.send(401, json.dumps(_captured("error-401")).encode())
    return True


def reply(code: int, body: bytes = b"", media: str = "application/json", **headers: str) -> Act:
    """Answer with these very bytes."""

    def act(handler: Handler) -> bool:
        handler.send(code, body, media, **headers)
        return True

    return act


def status(code: int, reason: str, message: str, **headers: str) -> Act:
    """Answer with a Status object."""
    return reply(code, json.dumps(ApiError(code, reason, message).body).encode(), **headers)


# What a reverse proxy says when no API server is behind it.
bad_gateway = reply(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")
login_page = reply(200, b"<!doctype html><title>Log in</title>", "text/html; charset=utf-8")


def slow(seconds: float) -> Act:
    """Think before answering."""

    def act(handler: Handler) -> bool:
        handler.server_api.stopping.wait(seconds)
        return False

    return act


def hang(handler: Handler) -> bool:
    """Never answer (a minute, or until the server stops)."""
    handler.server_api.stopping.wait(60)
    handler.close_connection = True
    return True


def drip(handler: Handler) -> bool:
    """Send one byte of the answer every tenth of a second: no single wait is long."""
    for _byte in range(600):
        if handler.server_api.stopping.wait(0.1):
            break
        try:
            handler.wfile.write(b"H")
        except OSError:
            break
    handler.close_connection = True
    return True


def reset(handler: Handler) -> bool:
    """Close the connection with RST: close() with a linger time of 0."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(handler.connection.detach())
    handler.close_connection = True
    return True


def broken_off(handler: Handler) -> bool:
    """Promise more bytes than are sent."""
    handler.send(200, b'{"kind": "', Content_Length="1000")
    handler.close_connection = True
    return True


# -- things to hold ----------------------------------------------------------------------------------------------------


def seed_000_service() -> dict[str, Any]:
    """Return the Service of seed 000, whose NodePort is also kubelet's streaming port."""
    return {
        "metadata": {
            "name": "kube-processor-service",
            "namespace": "default",
            "uid": "36527000-0000-4000-8000-000000000000",
            "resourceVersion": "1400",
        },
        "spec": {
            "ports": [{"protocol": "TCP", "port": 8080, "targetPort": 8080, "nodePort": 36527}],
            "selector": {"app": "web"},
            "clusterIP": "10.96.36.52",
            "clusterIPs": ["10.96.36.52"],
            "type": "NodePort",
            "sessionAffinity": "None",
            "externalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }


def seed_000_slice(*addresses: str) -> dict[str, Any]:
    """Return its EndpointSlice; without addresses as the controller writes it for a selector that matches nothing."""
    endpoints = [
        {"addresses": [address], "conditions": {"ready": True, "serving": True, "terminating": False}}
        for address in addresses
    ]
    return {
        "metadata": {
            "name": "kube-processor-service-x7k2p",
            "namespace": "default",
            "resourceVersion": "1401",
            "uid": "36527000-0000-4000-8000-000000000001",
            "labels": {"kubernetes.io/service-name": "kube-processor-service"},
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [{"name": "", "protocol": "TCP", "port": 8080}] if addresses else None,
    }


def write_certificate(certificate: Path, key: Path) -> None:
    """Write a self-signed certificate for 127.0.0.1, good for a day."""
    # Here, not above: only TLS needs it (ansible-core brings it along).
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake-api")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key.write_bytes(secret.private_bytes(*pem))


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A small Kubernetes API server for tests.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--kubeconfig-out", type=Path, metavar="FILE", help="write a kubeconfig for it there")
    parser.add_argument("--objects", type=Path, default=CAPTURES, metavar="DIR", help="services.json, nodes.json, …")
    parser.add_argument("--token", help="demand this bearer token")
    options = parser.parse_args()
    tokens = {options.token: ADMIN} if options.token else {}
    with FakeApi(directory=options.objects, port=options.port, tokens=tokens) as api:
        if options.kubeconfig_out:
            api.kubeconfig(options.kubeconfig_out)
        try:
            sys.stdout.write(f"{api.url}\n")
            sys.stdout.flush()
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
