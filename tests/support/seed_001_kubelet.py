# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubelet of seed 001: that kubelet's listeners and answers, in a process that has the name of the Python that runs it.

    kubelet tests/support/seed_001_kubelet.py FOLDER --dump FILE --stream-answer FILE

FOLDER holds ca.crt, kubelet.crt and kubelet.key. --stream-answer is JSON, of which "answer" is served. It prints the random port and its pid once
it listens, and then waits to be killed.

    127.0.0.1:10248   HTTP: /healthz
    [::]:10250        HTTPS: /healthz, /debug/pprof/goroutine?debug=2; 401 for whoever shows no certificate of that CA
    [::]:10255        HTTP, the read-only API: /healthz
    127.0.0.1:random  the captured answer of a streaming server, whatever is asked

Unlike kubelet, which looks at a client's certificate after the handshake and answers 401, it refuses one of another CA in the handshake.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import socketserver
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_TLS_HANDSHAKE = b"\x16"
_ALERT = b"\x15\x03\x01\x00\x02\x02\x16"  # Go before 1.12, to whoever does not begin with a handshake
_SECONDS = 10
_BACKLOG = 128  # as the seed's ss shows
_TEXT = "text/plain; charset=utf-8"


class Handler(BaseHTTPRequestHandler):
    """kubelet's health check, and 404 in the words of Go's net/http."""

    protocol_version = "HTTP/1.1"
    timeout = _SECONDS
    dump: Path

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self.say(200, b"ok")
        else:
            self.say(404, b"404 page not found\n")

    def say(self, status: int, body: bytes) -> None:
        """Answer."""
        self.send_response_only(status)  # without a header Server, as Go
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Type", _TEXT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


class SecureHandler(Handler):
    """kubelet's API, as far as it is needed."""

    def do_GET(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        if not self.connection.getpeercert():
            self.say(401, b"Unauthorized")
        elif self.path == "/debug/pprof/goroutine?debug=2":
            self.say(200, self.dump.read_bytes())
        else:
            super().do_GET()


class Server(ThreadingHTTPServer):
    """HTTP; an address of IPv6 for IPv4 too, as Go listens."""

    request_queue_size = _BACKLOG

    def __init__(self, address: str, port: int, handler: type[Handler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), handler)

    def server_bind(self) -> None:
        """As in the library, without asking any name server for the host's name."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


class SecureServer(Server):
    """HTTPS; the handshake is a thread's work, so that one client cannot hold up the others."""

    def __init__(self, address: str, port: int, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(address, port, SecureHandler)

    def finish_request(self, request: object, client_address: object) -> None:
        """Speak TLS first."""
        assert isinstance(request, socket.socket)
        request.settimeout(_SECONDS)
        try:
            if request.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE:
                request.recv(1 << 16)  # what is left unread would reset the connection
                request.sendall(_ALERT)
                return
            with self._context.wrap_socket(request, server_side=True) as secure:
                SecureHandler(secure, client_address, self)
        except OSError:  # the client wanted something else
            return


class StreamServer(socketserver.ThreadingTCPServer):
    """What the story is about."""

    request_queue_size = _BACKLOG


class Stream(socketserver.StreamRequestHandler):
    """The captured answer to any request."""

    timeout = _SECONDS
    answer: bytes

    def handle(self) -> None:
        while self.rfile.readline(1 << 16).strip():
            pass
        self.wfile.write(self.answer)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dump", type=Path, required=True)
    parser.add_argument("--stream-answer", type=Path, required=True)
    chosen = parser.parse_args()
    Handler.dump = chosen.dump
    Stream.answer = json.loads(chosen.stream_answer.read_text("ascii"))["answer"].encode("ascii")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chosen.folder / "kubelet.crt", chosen.folder / "kubelet.key")
    context.load_verify_locations(chosen.folder / "ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    stream = StreamServer(("127.0.0.1", 0), Stream)
    servers = (
        stream,
        Server("127.0.0.1", 10248, Handler),
        SecureServer("::", 10250, context),
        Server("::", 10255, Handler),
    )
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{stream.server_address[1]} {os.getpid()}\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
