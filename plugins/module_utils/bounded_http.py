# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request over a Unix socket or TCP, bounded as a whole: in time by a deadline, in bytes by a limit.

http.client's own timeout starts anew with each byte that arrives, and it reads whatever is sent.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional, Union

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

LONGEST_SOCKET_PATH = 107  # bytes: sun_path of unix(7), without the zero at its end
_QUEUE_FULL_SECONDS = 0.05  # between two tries to connect to somebody who accepts nobody
_PIECE = 64 << 10


class TooLargeError(ValueError):
    """More bytes than an answer may have."""


class Answer(NamedTuple):
    """An answer, whatever the status; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    """The begin of an answer, of which ``pieces`` are still to come: they raise what ``exchange`` raises."""

    status: int
    headers: dict[str, str]
    pieces: Iterator[bytes]


def exchange(connection: socket.socket, deadline: Deadline, limit: int, method: str, target: str) -> Answer:
    """Send a request, return its answer of at most ``limit`` bytes, headers included. The connection is of no use afterwards.

    Raises TimeoutError (socket.timeout before Python 3.10), other OSError, TooLargeError, and, for what is no HTTP or breaks off,
    http.client.HTTPException and ValueError.
    """
    response = begin(connection, deadline, limit, method, target, "application/json")
    return Answer(response.status, response.headers, b"".join(response.pieces))


def begin(connection: socket.socket, deadline: Deadline, limit: int, method: str, target: str, accept: str) -> Response:
    """The same for an answer that is read in pieces; ``accept`` is the type of content that is asked for."""
    client = http.client.HTTPConnection("localhost")  # a header Host has to be there; nobody looks at it
    client.sock = _Bounded(connection, deadline, limit)
    client.request(method, target, headers={"Accept": accept, "Connection": "close"})
    response = client.getresponse()
    if (response.length or 0) > limit:
        raise TooLargeError
    return Response(response.status, {name.lower(): value for name, value in response.getheaders()}, _pieces(response))


def _pieces(response: http.client.HTTPResponse) -> Iterator[bytes]:
    # http.client would make room for all that is announced before the first byte of it is there.
    yield from iter(lambda: response.read(_PIECE), b"")
    if response.length:  # bytes that were announced and did not come
        raise http.client.IncompleteRead(b"", response.length)


def connect_unix(path: str, deadline: Deadline) -> socket.socket:
    """Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        while True:
            _set_timeout(connection, deadline)
            try:
                connection.connect(path)
                return connection
            except BlockingIOError:  # the listener's queue is full, and there is nothing that could be waited for
                time.sleep(min(_QUEUE_FULL_SECONDS, deadline.left()))
    except BaseException:
        connection.close()
        raise


def connect_tcp(name: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first address of ``name`` that answers. Raises OSError."""
    refused = OSError("it has no address")
    for family, kind, protocol, _name, address in _addresses(name, port, deadline):
        connection = socket.socket(family, kind, protocol)
        try:
            _set_timeout(connection, deadline)
            connection.connect(address)
            return connection
        except OSError as error:
            connection.close()
            refused = error
    raise refused


def secured(connection: socket.socket, deadline: Deadline, context: ssl.SSLContext) -> ssl.SSLSocket:
    """The connection with TLS, in which the other end is not asked for a name. Raises OSError, and closes it then."""
    try:
        _set_timeout(connection, deadline)  # for the handshake as a whole
        return context.wrap_socket(connection)
    except BaseException:
        connection.close()
        raise


class _Bounded:
    """As much of a socket as http.client uses; each of its steps has only what is left of the time and of the bytes."""

    def __init__(self, connection: socket.socket, deadline: Deadline, limit: int) -> None:
        self._connection = connection
        self._deadline = deadline
        self._limit = limit

    def sendall(self, data: bytes) -> None:
        _set_timeout(self._connection, self._deadline)
        self._connection.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self._connection, self._deadline, self._limit))

    def close(self) -> None:
        """http.client closes its socket before it reads the answer: this one is its owner's to close."""


class _Incoming(io.RawIOBase):
    """The bytes of one answer."""

    def __init__(self, connection: socket.socket, deadline: Deadline, limit: int) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        _set_timeout(self._connection, self._deadline)
        count = self._connection.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise TooLargeError
        return count


def _set_timeout(connection: socket.socket, deadline: Deadline) -> None:
    left = deadline.left()
    if not left:  # to a socket, 0 means not to wait at all
        raise TimeoutError
    connection.settimeout(left)


def _addresses(name: str, port: int, deadline: Deadline) -> list[Any]:
    """Resolve a name, in a thread: a resolver that waits for a dead name server cannot be told to hurry."""
    found: list[Union[list[Any], OSError]] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except UnicodeError:
            found.append(OSError("that is no name of a host"))
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(deadline.left())
    outcome: Optional[Union[list[Any], OSError]] = found[0] if found else TimeoutError()
    if isinstance(outcome, OSError):
        raise outcome
    return outcome or []
