# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a server on this machine how it is: first as nobody, then with the client certificates that there are.

The server's certificate is not verified: it need not name 127.0.0.1. No secret is at stake, since a client certificate is only proven, never
handed over, and the request holds nothing.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import stat
from collections.abc import Iterator, Sequence
from os import stat as file_status
from typing import NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import bounded_http
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain

Pair = Tuple[str, str]  # the files of a certificate and its key, which may be one

_LARGEST = 64 << 10  # bytes: the API server's longest answer names some hundred checks
_QUOTED = 300
_NOT_ALLOWED = (401, 403)
_HUNG_UP = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
# As OpenSSL spells them; TLS 1.2 has no certificate_required, and servers send handshake_failure.
_REFUSALS = ("CERTIFICATE", "HANDSHAKE", "UNKNOWN_CA", "UNKNOWN CA", "ACCESS_DENIED", "ACCESS DENIED")


class Place(NamedTuple):
    """Where a server is to listen."""

    tls: bool
    address: str
    port: int

    def url(self, path: str) -> str:
        """For a person."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"


class Said(NamedTuple):
    """``status`` is None where there was no answer, and ``text`` then says why; else it is the answer's body.

    ``closed`` is True when nobody listens, ``hung_up`` when whoever listens ended the connection instead of an answer, ``locked`` when it
    wants a client certificate that was not there.
    """

    status: Optional[int]
    text: str
    closed: bool = False
    hung_up: bool = False
    locked: bool = False


def ask(place: Place, path: str, pairs: Sequence[Pair], deadline: Deadline) -> Said:
    """GET this path. Of the pairs those that are no certificate and key are left out."""
    said = _ask(place, path, _context(None), deadline)
    if place.tls and said.hung_up:
        # It may have wanted a certificate: its alert is lost when what we sent after the handshake reaches a closed connection.
        said = said._replace(locked=True)
    contexts = _contexts(pairs) if place.tls else iter(())
    while said.locked:
        context = next(contexts, None)
        if context is None:
            break
        said = _ask(place, path, context, deadline)
    return said


def quoted(text: str) -> str:
    """An answer for a person: of the API server's checks only those that failed."""
    failed = [line for line in text.splitlines() if line.startswith("[-]")]
    return plain("; ".join(failed) or text, _QUOTED)


def _contexts(pairs: Sequence[Pair]) -> Iterator[ssl.SSLContext]:
    for pair in pairs:
        try:
            # A pipe would be waited for.
            if all(stat.S_ISREG(file_status(path).st_mode) for path in pair):
                yield _context(pair)
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            continue


def _context(pair: Optional[Pair]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if pair:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(pair[0], pair[1], password="")
    return context


def _ask(place: Place, path: str, context: ssl.SSLContext, deadline: Deadline) -> Said:
    try:
        connection: socket.socket = bounded_http.connect_tcp(place.address, place.port, deadline)
    except ConnectionRefusedError:
        return Said(None, "connection refused: nobody listens there", closed=True)
    except OSError as error:
        return Said(None, _in_words(error, deadline))
    try:
        if place.tls:
            connection = bounded_http.secured(connection, deadline, context)
        answer = bounded_http.exchange(connection, deadline, _LARGEST, "GET", path)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Said(
            None, _in_words(error, deadline), hung_up=isinstance(error, _HUNG_UP), locked=_wants_certificate(error)
        )
    finally:
        connection.close()
    return Said(answer.status, answer.body.decode("utf-8", "replace"), locked=answer.status in _NOT_ALLOWED)


def _wants_certificate(error: BaseException) -> bool:
    """The other end has ended the handshake by one of the alerts for a certificate that is missing or not accepted (RFC 8446, 6.2)."""
    reason = str(getattr(error, "reason", "")).upper()
    return isinstance(error, ssl.SSLError) and "ALERT" in reason and any(word in reason for word in _REFUSALS)


def _in_words(error: BaseException, deadline: Deadline) -> str:
    if isinstance(error, (socket.timeout, TimeoutError)):
        return f"no answer within {shown(deadline.seconds)} s"
    if isinstance(error, _HUNG_UP):
        return "the connection was closed without an answer"
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection: {plain(str(error.reason or error), _QUOTED)}"
    if isinstance(error, OSError):
        return plain(str(error.strerror or error), _QUOTED)
    return "what answers there is no HTTP, or too long"
