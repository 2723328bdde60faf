# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a Docker Engine through its HTTP API, over its Unix socket or plain TCP. podman's socket answers the same calls.

All calls together are bounded by one deadline, each answer in bytes. An engine that trickles a byte a second, closes half-way or
speaks something else than HTTP ends in an EngineError that says what to do about it.

API: https://docs.docker.com/reference/api/engine/. The version in each path is the one that the engine itself names in its answer to
GET /_ping: Docker 29 and newer refuse what is below 1.44, old engines what is above their own.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import stat
import time
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Optional
from urllib.parse import urlencode, urlsplit

from ansible_collections.kubenode.doctor.plugins.module_utils import bounded_http, docker_log
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_http import Answer
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_log import Log
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import is_id

DEFAULT_HOST = "unix:///var/run/docker.sock"
# Bytes of one answer. The list of 1,000 containers has about 2 MB; annotations of pods, which cri-dockerd makes labels of, may
# have 256 KiB a pod (kubernetes/kubernetes apimachinery/pkg/api/validation/objectmeta.go TotalAnnotationSizeLimitB).
_LARGEST_ANSWER = 32 << 20
# Bytes of a log's end. An engine keeps lines in pieces of 16 KiB (moby daemon/logger/copier.go defaultBufSize).
_LARGEST_LOG = 256 << 20
_PLAIN_PORT = 2375  # https://docs.docker.com/reference/cli/dockerd/#daemon-socket-option
_TLS_PORT = 2376
_API_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,4}")
_QUOTED = 300  # characters of an engine's words in a message
_HERE = "run the module on the node itself, where docker_host is a Unix socket"
_NOT_SUPPORTED = {
    "https": "TLS is not supported",
    "http": "plain HTTP is written as tcp://, where it has to be",
    "ssh": "SSH is not supported, since Ansible itself connects to the node",
    "npipe": "named pipes of Windows are not supported",
    "fd": "that is how a daemon is told to listen, not how it is reached",
}
_IN_WORDS: list[tuple[tuple[type[BaseException], ...], str]] = [
    (
        (socket.timeout, TimeoutError),
        "did not answer in full within {seconds} s: look whether the engine hangs, or raise timeout",
    ),
    ((bounded_http.TooLargeError,), "gave an answer of more than {limit} MiB, which was cut off"),
    (
        (FileNotFoundError, NotADirectoryError),
        "no such socket: Docker Engine does not run here (nodes with containerd or CRI-O have none), or docker_host is another",
    ),
    ((PermissionError,), "permission denied: run it as root (become: true), or as a member of the socket's group"),
    ((ConnectionRefusedError,), "connection refused: {refused}"),
    ((ConnectionError,), "closed the connection without an answer: the engine is being stopped, or wants TLS"),
    ((http.client.IncompleteRead,), "closed the connection before the end of its answer: look into the engine's log"),
    ((OSError,), "cannot be reached: {said}"),
    ((http.client.HTTPException, ValueError), "does not speak HTTP: no Docker Engine listens there"),
]

# Returns a connection, within the time that is left. Raises OSError.
Connect = Callable[[Deadline], socket.socket]


class EngineError(Exception):
    """The engine cannot be asked, or its answer is of no use; the text says what to do. ``status`` is HTTP's, where it said no."""

    def __init__(self, text: str, status: Optional[int] = None) -> None:
        super().__init__(text)
        self.status = status


class Engine:
    """One Docker Engine; all that is asked of it has to be answered before ``deadline``."""

    def __init__(self, host: str, deadline: Deadline) -> None:
        """Raises EngineError for a ``host`` that is neither unix:///path nor tcp://address:port."""
        self.host = plain(host, 200)
        self._deadline = deadline
        self._path, self._connect = _way_to(host)
        self.api_version: Optional[str] = None
        self.version: Optional[str] = None
        self._ahead_ns = 0  # how much the engine's clock is ahead of ours

    def begin(self) -> None:
        """Find out who answers, and which version of the API it speaks. Raises EngineError."""
        ping = self._ask("GET", "/_ping")
        self._refuse_failure(ping, "GET /_ping")
        if self._path is None:  # then it may be on another machine, with another clock
            self._ahead_ns = self._clock(ping) - time.time_ns()
        told = self._json(self._ask("GET", "/version"), "GET /version")
        version, spoken = (told.get("Version"), told.get("ApiVersion")) if isinstance(told, dict) else (None, None)
        spoken = ping.headers.get("api-version") or spoken  # the header is there since Docker 1.13
        if not isinstance(spoken, str) or not _API_VERSION.fullmatch(spoken):
            raise EngineError(f"{self.host} does not tell which API it speaks: no Docker Engine listens there")
        self.api_version = spoken
        self.version = plain(version, 80) if isinstance(version, str) else None

    def now_ns(self) -> int:
        """Nanoseconds since 1970 by the engine's clock; that of another machine is known to the second."""
        return time.time_ns() + self._ahead_ns

    def containers(self) -> list[dict[str, Any]]:
        """GET /containers/json: all containers, each with a true ``Id``; nothing else of them is checked. Raises EngineError."""
        what = "GET /containers/json"
        listed = self._json(self._call("GET", "/containers/json", {"all": "1"}), what)
        if not isinstance(listed, list) or not all(isinstance(one, dict) and is_id(one.get("Id")) for one in listed):
            raise EngineError(f"{self.host} answered {what} with something else than a list of containers")
        return listed

    def inspect(self, container_id: str) -> Optional[dict[str, Any]]:
        """GET /containers/{id}/json, None when there is no such container. Raises EngineError."""
        what = f"GET /containers/{_checked(container_id)}/json"
        answer = self._call("GET", f"/containers/{container_id}/json")
        if answer.status == http.client.NOT_FOUND:
            return None
        told = self._json(answer, what)
        if not isinstance(told, dict) or told.get("Id") != container_id:
            raise EngineError(f"{self.host} answered {what} with something else than that container")
        return told

    def log(self, container_id: str, framed: bool, entries: int, most: int) -> Optional[Log]:
        """The last ``entries`` of a container's log, each with its time, in ``most`` bytes; None when there is no such container.

        Raises EngineError, with a status when the engine cannot read it (501: its driver sends it elsewhere), and LogFormError.
        """
        what = f"GET /containers/{_checked(container_id)}/logs"
        # One more, so that it shows whether there are more.
        query = {"stdout": "1", "stderr": "1", "timestamps": "1", "tail": str(entries + 1)}
        target = self._target(f"/containers/{container_id}/logs", query)
        try:
            with self._connect(self._deadline) as connection:
                begun = bounded_http.begin(connection, self._deadline, _LARGEST_LOG, "GET", target, "*/*")
                if begun.status == http.client.OK:
                    return docker_log.end(begun.pieces, framed, entries, most)
                answer = Answer(begun.status, begun.headers, b"".join(begun.pieces))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise EngineError(self._in_words(error, _LARGEST_LOG)) from error
        if answer.status == http.client.NOT_FOUND:
            return None
        self._refuse_failure(answer, what)
        raise EngineError(f"{self.host} answered {what} with HTTP status {answer.status}", answer.status)

    def remove(self, container_id: str) -> bool:
        """DELETE a container that does not run; its volumes stay. False when there is no such container.

        The engine itself refuses to remove one that runs, is paused or restarts (moby daemon/delete.go cleanupContainer), because
        force is never asked for. Raises EngineError, with the status 409 when the engine refuses.
        """
        what = f"DELETE /containers/{_checked(container_id)}"
        answer = self._call("DELETE", f"/containers/{container_id}", {"v": "false", "force": "false", "link": "false"})
        if answer.status == http.client.NOT_FOUND:
            return False
        self._refuse_failure(answer, what)
        return True

    def _call(self, method: str, path: str, query: Optional[dict[str, str]] = None) -> Answer:
        return self._ask(method, self._target(path, query))

    def _target(self, path: str, query: Optional[dict[str, str]] = None) -> str:
        return f"/v{self.api_version}{path}{'?' + urlencode(query) if query else ''}"

    def _ask(self, method: str, target: str) -> Answer:
        try:
            with self._connect(self._deadline) as connection:
                return bounded_http.exchange(connection, self._deadline, _LARGEST_ANSWER, method, target)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise EngineError(self._in_words(error)) from error

    def _in_words(self, error: BaseException, limit: Optional[int] = None) -> str:
        """What happened, and what to do about it."""
        template = next(template for kinds, template in _IN_WORDS if isinstance(error, kinds))
        happened = template.format(
            seconds=shown(self._deadline.seconds),
            limit=(limit or _LARGEST_ANSWER) >> 20,
            refused=_why_refused(self._path),
            said=plain(getattr(error, "strerror", None) or str(error)),
        )
        return f"{self.host}: {happened}"

    def _json(self, answer: Answer, what: str) -> Any:
        self._refuse_failure(answer, what)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise EngineError(
                f"{self.host} answered {what} with something else than JSON: no Docker Engine listens there"
            ) from error

    def _refuse_failure(self, answer: Answer, what: str) -> None:
        """Raise EngineError, with the engine's own words, for a status that is no success."""
        if 200 <= answer.status < 300:
            return
        said = _message(answer.body)
        raise EngineError(
            f"{self.host} answered {what} with HTTP status {answer.status}{': ' if said else ''}{said}", answer.status
        )

    def _clock(self, answer: Answer) -> int:
        try:
            # RFC 9110 section 5.6.7: GMT, whole seconds
            told = parsedate_to_datetime(answer.headers["date"])
            return int(told.timestamp()) * 1_000_000_000
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise EngineError(f"{self.host} does not tell its time (no usable header Date): {_HERE}") from error


def plain(text: str, limit: int = _QUOTED) -> str:
    """The text in one line of at most ``limit`` characters, with "?" for all that a terminal would obey."""
    line = " ".join(text.split())
    cut = line if len(line) <= limit else line[: limit - 1] + "…"
    return "".join(character if character.isprintable() else "?" for character in cut)


def _checked(container_id: str) -> str:
    if not is_id(container_id):
        raise EngineError(f"not the full id of a container: {plain(container_id, 80)}")
    return container_id


def _way_to(host: str) -> tuple[Optional[str], Connect]:
    """The path of a Unix socket, None for TCP, and how to connect. Raises EngineError for what is not supported."""
    scheme, separator, rest = host.partition("://")
    shown = f"docker_host {plain(host, 200)}"
    if not separator or scheme not in ("unix", "tcp", *_NOT_SUPPORTED):
        raise EngineError(f"{shown}: {DEFAULT_HOST} or the like expected, or tcp://address:port")
    if scheme in _NOT_SUPPORTED:
        raise EngineError(f"{shown}: {_NOT_SUPPORTED[scheme]}: {_HERE}")
    if scheme == "tcp":
        return None, _tcp(host, shown)
    if not rest.startswith("/") or "\0" in rest:
        raise EngineError(f"{shown}: an absolute path is expected after unix://, as in {DEFAULT_HOST}")
    if len(os.fsencode(rest)) > bounded_http.LONGEST_SOCKET_PATH:
        raise EngineError(f"{shown}: the path of a socket has at most {bounded_http.LONGEST_SOCKET_PATH} bytes")
    return rest, lambda deadline: bounded_http.connect_unix(rest, deadline)


def _tcp(host: str, shown: str) -> Connect:
    try:
        parts = urlsplit(host)
        name, port = parts.hostname, _PLAIN_PORT if parts.port is None else parts.port
    except ValueError as error:  # a port that is none, an IPv6 address that is none
        raise EngineError(f"{shown}: {plain(str(error))}") from error
    if not name or not port or "@" in parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise EngineError(f"{shown}: tcp://address:port expected")
    if port == _TLS_PORT:
        raise EngineError(f"{shown}: port {_TLS_PORT} is for TLS, which is not supported: {_HERE}")
    return lambda deadline: bounded_http.connect_tcp(name, port, deadline)


def _why_refused(path: Optional[str]) -> str:
    try:
        no_socket = path is not None and not stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        no_socket = False
    return "that is no socket" if no_socket else "the engine does not run (systemctl status docker)"


def _message(body: bytes) -> str:
    """What the body of an error says: ``{"message": "..."}``, or plain text from old engines and from what is none."""
    text = body[: 64 << 10].decode("utf-8", "replace")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return plain(text)
    message = told.get("message") if isinstance(told, dict) else None
    return plain(message if isinstance(message, str) else text)
