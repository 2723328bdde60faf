# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small API server for tests.

It answers reads as tests/fixtures/api shows that a real one does, and it can be told to misbehave.

In a test:

    with FakeApi() as api:
        api.kubeconfig(tmp_path / "kubeconfig")
        api.misbehave("/api/v1/nodes", forbidden)

From a shell: python tests/support/fake_api.py --port 0 --kubeconfig-out FILE [--objects DIR] [--token TOKEN]

Faithful in: paging (page size, opaque tokens bound to a resourceVersion, remainingItemCount, 400 and 410), the Status
bodies of 401, 403, 404 and 405, anonymous users, /version, discovery. Without: writes, watches, field and label
selectors.
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

CAPTURES = Path(__file__).resolve().parent.parent / "fixtures" / "api"
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


@dataclass
class _Fault:
    path: str
    act: Act
    times: int


@dataclass
class FakeApi:
    """The server: starts on entering the context, serves on 127.0.0.1 in threads of its own.

    objects: DIR of list files like the captures'. tokens: user names by bearer token; without any, everybody is the
    admin.
    """

    directory: Path = CAPTURES
    tokens: dict[str, str] = field(default_factory=dict)
    allow_anonymous: bool = True
    slice_versions: tuple[str, ...] = ("v1",)
    tls: bool = False
    port: int = 0
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.resources = (
            Resource("services", "Service", "", ("v1",)),
            Resource("endpointslices", "EndpointSlice", "discovery.k8s.io", self.slice_versions),
            Resource("nodes", "Node", "", ("v1",)),
        )
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()
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
            file = self.directory / f"{resource.plural}.json"
            listed = json.loads(file.read_text("utf-8")) if file.exists() else {"items": [], "metadata": {}}
            state[resource.plural] = sorted(listed["items"], key=storage_key)
            self.revision = max(self.revision, int(listed["metadata"].get("resourceVersion", "1")))
        self._states[self.revision] = state

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

    def compact(self) -> None:
        """Forget old states, as etcd does every five minutes: continue tokens of theirs are answered with 410."""
        with self._lock:
            self._states = {self.revision: self._states[self.revision]}

    # -- misbehaviour ----------------------------------------------------------------------------------------------

    def misbehave(self, path: str, act: Act, times: int = sys.maxsize) -> None:
        """Let requests whose path starts like this be answered by ``act``, so many times."""
        self._faults.append(_Fault(path, act, times))

    def expire_tokens(self, after_pages: int = 1, times: int = sys.maxsize) -> None:
        """Answer 410 to requests for more of one list than so many pages, so many times."""
        self._expiry = (after_pages, times)

    def fault_for(self, path: str) -> Act | None:
        """Return, and count, the misbehaviour that is due."""
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and path.startswith(fault.path):
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
        target = self._target(request.path)
        if user == ANONYMOUS and request.path not in PUBLIC_PATHS:
            raise forbidden_error(user, *target[:2]) if target else forbidden_path_error(user, request.path)
        if target is None:
            return self._discovery(request.path)
        if request.method != "GET":
            message = "the server does not allow this method on the requested resource"
            raise ApiError(405, "MethodNotAllowed", message, details={})
        resource, namespace, name, version = target
        api_version = f"{resource.group}/{version}" if resource.group else version
        if name:
            return {"kind": resource.kind, "apiVersion": api_version, **self._one(resource, namespace, name)}
        return {
            "kind": f"{resource.kind}List",
            "apiVersion": api_version,
            **self._page(resource, namespace, request.query),
        }

    def _user(self, request: Request) -> str:
        if not self.tokens:
            return ADMIN
        scheme, _space, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and token in self.tokens:
            return self.tokens[token]
        if scheme or not self.allow_anonymous:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return ANONYMOUS

    def _target(self, path: str) -> tuple[Resource, str, str, str] | None:
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
        files = {"/api": "api", "/apis": "apis", "/api/v1": "api-v1", "/apis/discovery.k8s.io/v1": "apis-discovery-v1"}
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

    def _page(self, resource: Resource, namespace: str, query: dict[str, str]) -> dict[str, Any]:
        revision, start = self._position(resource, query.get("continue", ""))
        everything = self._states[revision][resource.plural]
        left = [
            item
            for item in everything
            if storage_key(item) >= start and namespace in ("", item["metadata"].get("namespace"))
        ]
        limit = int(query.get("limit", "0")) or len(left)
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if len(left) > limit:
            metadata["continue"] = continue_token(revision, storage_key(left[limit - 1]) + "\0")
            metadata["remainingItemCount"] = len(left) - limit
        return {"metadata": metadata, "items": left[:limit]}

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


def forbidden_error(user: str, resource: Resource, namespace: str = "") -> ApiError:
    """Return what RBAC answers to a list."""
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    message = (
        f'{resource.qualified} is forbidden: User "{user}" cannot list resource "{resource.plural}" '
        f'in API group "{resource.group}" {scope}'
    )
    group = {"group": resource.group} if resource.group else {}
    return ApiError(403, "Forbidden", message, details={**group, "kind": resource.plural})


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
        self.request_seen = Request(self.command, split.path, dict(parse_qsl(split.query)), headers)
        self.server_api.requests.append(self.request_seen)
        self.rfile.read(int(headers.get("content-length", "0")))
        act = self.server_api.fault_for(split.path)
        if act is None or not act(self):
            self._answer()

    do_DELETE = do_PATCH = do_POST = do_PUT = do_GET  # noqa: N815 (http.server's names)

    def _answer(self) -> None:
        try:
            value, code = self.server_api.answer(self.request_seen), 200
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


# -- acts --------------------------------------------------------------------------------------------------------------


def forbidden(handler: Handler) -> bool:
    """Answer 403, as for a user whom no role lets list this."""
    target = handler.server_api._target(handler.request_seen.path)
    error = forbidden_error(ADMIN, *target[:2]) if target else forbidden_path_error(ADMIN, handler.request_seen.path)
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
        sys.stdout.write(f"{api.url}\n")
        sys.stdout.flush()
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
