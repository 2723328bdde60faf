# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real process under another program's name that listens and answers HTTP, to stand in for a component of a node.

    python tests/support/fake_program.py kubelet --listen 127.0.0.1:36527
    python tests/support/fake_program.py kube-proxy --listen 127.0.0.1:10249 --answer /proxyMode=FILE --answer /configz=FILE
    python tests/support/fake_program.py kube-apiserver -- --service-node-port-range=30000-40000
    python tests/support/fake_program.py dockerd --mute /run/docker.sock
    python tests/support/fake_program.py dns --listen ::1:8080 --datagrams 0.0.0.0:5353

Prints "ready" once it listens, and then waits to be killed. Arguments after -- only lie in its command line.
"""

from __future__ import annotations

import argparse
import ctypes
import signal
import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_PR_SET_NAME = 15  # include/uapi/linux/prctl.h
# What the CRI streaming server of dockershim and containerd says to anything but its own paths.
_NOT_FOUND = b"404: Page Not Found"
_RUBBISH = b"\x16\x03\x01\x02{{ 7 * 7 }}\r\n\x1b[31m\r\n\r\n"


def handler(answers: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    """Answer these paths, and 404 to the rest."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(_NOT_FOUND if body is None else body)

        def log_message(self, *_arguments: object) -> None:
            """Stay silent."""

    return Handler


class Server(ThreadingHTTPServer):
    """Listens at an address of either family; at :: as the system's net.ipv6.bindv6only says."""

    def __init__(self, address: str, port: int, answers: dict[str, bytes]) -> None:
        self.address_family = family(address)
        super().__init__((address, port), handler(answers))

    def server_bind(self) -> None:
        """As in the library, without asking any name server for the host's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


class Mute(socketserver.BaseRequestHandler):
    """Accept, and never say a word."""

    def handle(self) -> None:
        threading.Event().wait()


class Babble(socketserver.BaseRequestHandler):
    """Answer with what is no HTTP."""

    def handle(self) -> None:
        self.request.recv(1 << 16)
        self.request.sendall(_RUBBISH)


def family(address: str) -> socket.AddressFamily:
    """The family of an address in digits."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", help="the name that the kernel keeps, at most 15 bytes")
    parser.add_argument("--listen", action="append", default=[], metavar="ADDRESS:PORT")
    parser.add_argument("--datagrams", action="append", default=[], metavar="ADDRESS:PORT")
    parser.add_argument("--answer", action="append", default=[], metavar="PATH=FILE")
    parser.add_argument("--mute", action="append", default=[], metavar="SOCKET")
    parser.add_argument("--babble", action="append", default=[], metavar="SOCKET")
    words = sys.argv[1:]
    chosen = parser.parse_args(words[: words.index("--")] if "--" in words else words)
    ctypes.CDLL(None).prctl(_PR_SET_NAME, chosen.name.encode()[:15], 0, 0, 0)
    answers = {path: Path(file).read_bytes() for path, file in (entry.split("=", 1) for entry in chosen.answer)}
    for place in chosen.listen:
        address, port = place.rsplit(":", 1)
        threading.Thread(target=Server(address, int(port), answers).serve_forever, daemon=True).start()
    sockets = []
    for place in chosen.datagrams:
        address, port = place.rsplit(":", 1)
        sockets.append(socket.socket(family(address), socket.SOCK_DGRAM))
        sockets[-1].bind((address, int(port)))
    for path, kind in [(path, Mute) for path in chosen.mute] + [(path, Babble) for path in chosen.babble]:
        threading.Thread(target=socketserver.ThreadingUnixStreamServer(path, kind).serve_forever, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
