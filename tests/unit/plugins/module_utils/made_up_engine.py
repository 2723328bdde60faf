# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker Engines that nobody has, behind real sockets: one that answers from a script, and one with containers.

The one with containers refuses to remove what lives, as a real one does (moby daemon/delete.go); what it says and does is compared with
a real one in tests/integration_real/test_docker_stale_names.py.
"""

from __future__ import annotations

import datetime
import json
import re
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Optional, Sequence, TypeVar, Union
from urllib.parse import SplitResult, parse_qs, urlsplit

SECOND = 10**9
Self = TypeVar("Self", bound="Listener")
ALIVE = frozenset({"running", "paused", "restarting"})


def answer(status: int = 200, body: Any = b"", **headers: Any) -> bytes:
    """The bytes of an answer; a body that is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines: dict[str, Any] = {"Api-Version": "1.41", "Content-Length": len(data)}
    lines.update((name.replace("_", "-"), value) for name, value in headers.items())
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + data


def chunked(*chunks: bytes) -> bytes:
    """An answer in chunks."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return answer(Content_Length=None, Transfer_Encoding="chunked") + body


PING = answer(200, b"OK")
VERSION = answer(200, {"Version": "20.10.24", "ApiVersion": "1.41", "Platform": {"Name": ""}})


class Listener:
    """Hands each connection to ``serve``, one after the other, on a Unix socket or, with ``tcp``, on 127.0.0.1."""

    def __init__(self, tcp: bool = False) -> None:
        self._tcp = tcp
        self._folder = Path(tempfile.mkdtemp(prefix="kd-"))  # not pytest's: a socket's path has 107 bytes at most
        self.path = str(self._folder / "docker.sock")
        self._stopped = False

    def __enter__(self: Self) -> Self:
        if self._tcp:
            self._socket = socket.create_server(("127.0.0.1", 0))
            self.host = "tcp://127.0.0.1:%d" % self._socket.getsockname()[1]
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(self.path)
            self._socket.listen(8)
            self.host = f"unix://{self.path}"
        self._thread = threading.Thread(target=self._loop)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped = True
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._thread.join()
        self._socket.close()
        shutil.rmtree(str(self._folder))

    def _loop(self) -> None:
        while not self._stopped:
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self.serve(connection)
                except OSError:  # the other end hung up, as it should
                    continue

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError


class Scripted(Listener):
    """Answers requests with these bytes, one after the other; a function gets the connection instead."""

    def __init__(self, *answers: Union[bytes, Callable[[socket.socket], None]], tcp: bool = False) -> None:
        super().__init__(tcp)
        self._answers = list(answers)
        self.requests: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        self.requests.append(request_of(connection))
        say = self._answers.pop(0)
        if callable(say):
            say(connection)
        else:
            connection.sendall(say)


def request_of(connection: socket.socket) -> str:
    """The first line of a request: "GET /_ping"."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(65536)
        if not data:
            raise ConnectionError
        head += data
    return head.split(b" HTTP/", 1)[0].decode()


def hang(connection: socket.socket) -> None:
    """Say nothing until the other end hangs up."""
    connection.recv(1)


def trickle(connection: socket.socket) -> None:
    """Say something all the time, without an end: each byte comes long before any timeout of a socket."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"A")
        time.sleep(0.02)


def flood(start: bytes) -> Callable[[socket.socket], None]:
    """Say 500 MB."""

    def pour(connection: socket.socket) -> None:
        connection.sendall(start)
        megabyte = b"x" * 10**6
        for _number in range(500):
            connection.sendall(megabyte)

    return pour


class Made:
    """A container; times are nanoseconds since 1970, None for never."""

    def __init__(
        self,
        number: int,
        name: str,
        state: str = "exited",
        labels: Optional[dict[str, str]] = None,
        created: int = 0,
        started: Optional[int] = None,
        finished: Optional[int] = None,
        network: str = "none",
        log: Optional[Sequence[bytes]] = (),
    ) -> None:
        self.id = f"{number:064x}"
        self.name = name
        self.state = state
        self.labels = dict(labels or {})
        self.created = created
        self.started = started
        self.finished = finished
        self.network = network
        self.log = log  # its lines, with their times; None where its driver sends it elsewhere
        self.environment = ["PASSWORD=secret"]

    def listed(self) -> dict[str, Any]:
        """As GET /containers/json has it."""
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": "busybox:1",
            "ImageID": "sha256:" + "1" * 64,
            "Command": "sleep infinity",
            "Created": self.created // SECOND,
            "State": self.state,
            "Status": "Up 10 days" if self.state in ALIVE else "Exited (0) 10 days ago",
            "Ports": [],
            "Labels": self.labels,
            "HostConfig": {"NetworkMode": self.network},
            "NetworkSettings": {"Networks": {}},
            "Mounts": [],
        }

    def inspected(self) -> dict[str, Any]:
        """As GET /containers/{id}/json has it."""
        lives = self.state in ALIVE
        return {
            "Id": self.id,
            "Created": rfc3339(self.created),
            "Name": f"/{self.name}",
            "State": {
                "Status": self.state,
                "Running": lives,
                "Paused": self.state == "paused",
                "Restarting": self.state == "restarting",
                "OOMKilled": False,
                "Dead": self.state == "dead",
                "Pid": 4711 if lives else 0,
                "ExitCode": 0,
                "Error": "",
                "StartedAt": rfc3339(self.started),
                "FinishedAt": rfc3339(self.finished),
            },
            "Config": {"Labels": self.labels, "Image": "busybox:1", "Tty": False, "Env": self.environment},
            "HostConfig": {"NetworkMode": self.network},
        }


def frame(text: bytes, stream: int = 1) -> bytes:
    """One entry of a log as an engine sends it (moby pkg/stdcopy)."""
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


def rfc3339(nanoseconds: Optional[int]) -> str:
    if nanoseconds is None:
        return "0001-01-01T00:00:00Z"
    seconds, rest = divmod(nanoseconds, SECOND)
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return f"{moment.isoformat()}.{rest:09}Z"


class MadeUpEngine(Listener):
    """An engine with containers. ``before`` is called with the number of each request, from 0, and its first line."""

    def __init__(self, *containers: Made, before: Optional[Callable[[int, str], None]] = None) -> None:
        super().__init__()
        self.containers = {one.id: one for one in containers}
        self.removed: list[tuple[str, str]] = []  # (id, state in which it was) of all that was removed by a request
        self.requests: list[str] = []
        self.before = before or (lambda _number, _request: None)

    def serve(self, connection: socket.socket) -> None:
        request = request_of(connection)
        self.before(len(self.requests), request)
        self.requests.append(request)
        method, target = request.split(" ")
        connection.sendall(self._answer(method, urlsplit(target)))

    def _answer(self, method: str, target: SplitResult) -> bytes:
        if target.path == "/_ping":
            return PING
        if target.path == "/version":
            return VERSION
        if target.path == "/v1.41/containers/json" and parse_qs(target.query) == {"all": ["1"]}:
            return answer(200, [one.listed() for one in self.containers.values()])
        found = re.fullmatch(r"/v1\.41/containers/([0-9a-f]{64})(/json|/logs)?", target.path)
        if not found or (method == "DELETE") == bool(found.group(2)):
            return answer(404, {"message": "page not found"})
        container = self.containers.get(found.group(1))
        if container is None:
            return answer(404, {"message": f"No such container: {found.group(1)}"})
        act = {"/json": self.inspect, "/logs": self.log, None: self.delete}[found.group(2)]
        return act(container, parse_qs(target.query))

    def inspect(self, container: Made, _options: dict[str, list[str]]) -> bytes:
        return answer(200, container.inspected())

    def log(self, container: Made, options: dict[str, list[str]]) -> bytes:
        assert {**options, "tail": ["1"]} == {"stdout": ["1"], "stderr": ["1"], "timestamps": ["1"], "tail": ["1"]}
        if container.log is None:  # moby daemon/logger ErrReadLogsNotSupported
            return answer(501, {"message": "configured logging driver does not support reading"})
        return chunked(*map(frame, container.log[-int(options["tail"][0]) :]))

    def delete(self, container: Made, options: dict[str, list[str]]) -> bytes:
        assert options == {"v": ["false"], "force": ["false"], "link": ["false"]}
        if container.state in ALIVE:
            message = f"You cannot remove a {container.state} container {container.id}. Stop the container before attempting removal or force remove"
            return answer(409, {"message": message})
        self.removed.append((container.id, container.state))
        del self.containers[container.id]
        return answer(204, Content_Length=None)
