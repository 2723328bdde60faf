# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks this node's kubelet for the stacks of all its goroutines, through its authenticated port, with a client certificate.

The server's certificate is not verified: kubelet's is self-signed unless it was told otherwise (serverTLSBootstrap), for the node's
names and not for 127.0.0.1. No secret is at stake, since a client certificate is only proven, never handed over, and the request holds
nothing; and whoever can listen in kubelet's stead could as well give false dumps, which are material to judge.

kubelet: pkg/kubelet/server/server.go. /debug/pprof needs the right "get" on "nodes/proxy" (auth.go), which kubeadm gives to the certificate
by which the API server reaches kubelets; it answers 405 where enableDebuggingHandlers or enableProfilingHandler is false.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import stat
from typing import Any, List, Tuple, Type

from ansible_collections.kubenode.doctor.plugins.module_utils import bounded_http
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.dump_source import (
    GO_STOPS_AT,
    Blocks,
    Dumped,
    DumpError,
    as_pprof_gives,
)

PATH = "/debug/pprof/goroutine"
QUERY = {"debug": "2"}  # the stacks as text, each with its state (net/http/pprof)
PORT = 10250
# cmd/kubeadm/app/constants/constants.go APIServerKubeletClientCertName: on control-plane nodes only.
CERTIFICATE = "/etc/kubernetes/pki/apiserver-kubelet-client.crt"
KEY = "/etc/kubernetes/pki/apiserver-kubelet-client.key"
HANDLERS_ARE_OFF = (
    "enableDebuggingHandlers or enableProfilingHandler is false in kubelet's configuration, so it tells nobody: "
    "set both to true (their default) and restart kubelet if its goroutines are worth it"
)
_LARGEST_ANSWER = GO_STOPS_AT + (1 << 20)  # with its headers, and the frames of its chunks
_LARGEST_REFUSAL = 64 << 10
_QUOTED = 200
_STATUS = {
    401: "does not accept the certificate {certificate} (401): it has expired, or is of another cluster's CA",
    403: 'forbids it (403): the user of {certificate} needs the right "get" on "nodes/proxy"',
    404: "knows no such path (404): is it kubelet's authenticated port?",
    405: "refuses it (405): " + HANDLERS_ARE_OFF,
}
_IN_WORDS: List[Tuple[Tuple[Type[BaseException], ...], str]] = [
    (
        (socket.timeout, TimeoutError),
        "did not answer in full within {seconds} s: look whether kubelet hangs, or raise the time limit",
    ),
    ((bounded_http.TooLargeError,), "sent more than {limit} MiB, of which the rest was not read: is it kubelet?"),
    ((ssl.SSLError,), "no TLS connection: {said}: is it kubelet's authenticated port?"),
    ((ConnectionRefusedError,), "connection refused: kubelet does not run, or listens on another address or port"),
    ((ConnectionError,), "closed the connection without an answer: look into kubelet's log"),
    ((http.client.IncompleteRead,), "closed the connection before the end of its dump: look into kubelet's log"),
    ((OSError,), "cannot be reached: {said}"),
    ((http.client.HTTPException, ValueError), "does not speak HTTP: is it kubelet's authenticated port?"),
]


def ask(port: int, certificate: str, key: str, deadline: Deadline, address: str = "127.0.0.1") -> Dumped:
    """Return the dump that kubelet on this node gives whoever has this client certificate, or why it gives none."""
    source = f"https://{f'[{address}]' if ':' in address else address}:{port}{PATH}?debug=2"
    try:
        context = _context(certificate, key)
        connection = bounded_http.secured(bounded_http.connect_tcp(address, port, deadline), deadline, context)
    except DumpError as error:
        return Dumped(source, why=str(error))
    except OSError as error:
        return Dumped(source, why=f"{source}: {_said(error, deadline)}")
    try:
        target = source[source.index(PATH) :]
        response = bounded_http.begin(connection, deadline, _LARGEST_ANSWER, "GET", target, "text/plain")
        if response.status == 200:
            return Dumped(source, _blocks(response, source, deadline), connection.close)
        why = f"{source} {_refusal(response, certificate)}"
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = f"{source}: {_said(error, deadline)}"
    connection.close()
    return Dumped(source, why=why)


def _context(certificate: str, key: str) -> ssl.SSLContext:
    """How to speak with kubelet. Raises DumpError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        for path in (certificate, key):
            if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
                raise DumpError(f"{plain(path, _QUOTED)} is no file: name one that holds a certificate or its key")
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except FileNotFoundError as error:
        raise DumpError(
            f"there is no client certificate {plain(certificate, _QUOTED)} with key {plain(key, _QUOTED)}: kubeadm keeps one on control-plane "
            "nodes; on others name one that may, or let the API server ask kubelet (kubeconfig)"
        ) from error
    except PermissionError as error:
        raise DumpError(
            f"the client certificate {plain(certificate, _QUOTED)} or its key may not be read: run it as root (become: true)"
        ) from error
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise DumpError(
            f"{plain(certificate, _QUOTED)} and {plain(key, _QUOTED)} are no certificate and key that can be used: "
            f"{plain(str(getattr(error, 'reason', None) or error), _QUOTED)}"
        ) from error
    return context


def _blocks(response: bounded_http.Response, source: str, deadline: Deadline) -> Blocks:
    try:
        yield from as_pprof_gives(response.pieces)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DumpError(f"{source}: {_said(error, deadline)}") from error


def _refusal(response: bounded_http.Response, certificate: str) -> str:
    body = b""
    try:
        for piece in response.pieces:
            body += piece
            if len(body) >= _LARGEST_REFUSAL:
                break
    except (OSError, http.client.HTTPException, ValueError):
        pass  # what came is quoted
    words = _STATUS.get(response.status, "answered with HTTP status {status}: look into kubelet's log")
    said = plain(body.decode("utf-8", "replace"), _QUOTED)
    return words.format(certificate=plain(certificate, _QUOTED), status=response.status) + (
        f" (it says: {said})" if said else ""
    )


def _said(error: BaseException, deadline: Deadline) -> str:
    words = next(words for kinds, words in _IN_WORDS if isinstance(error, kinds))
    said: Any = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return words.format(seconds=shown(deadline.seconds), limit=_LARGEST_ANSWER >> 20, said=plain(str(said), _QUOTED))
