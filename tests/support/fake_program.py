# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real process under another program's name that listens and answers HTTP, to stand in for a component of a node.

    python tests/support/fake_program.py kubelet --listen 127.0.0.1:36527
    python tests/support/fake_program.py kube-proxy --listen 127.0.0.1:10249 --answer /proxyMode=FILE --answer /configz=FILE
    python tests/support/fake_program.py kube-apiserver -- --service-node-port-range=30000-40000
    python tests/support/fake_program.py dockerd --mute /run/docker.sock

Prints "ready" once it listens, and then waits to be killed. Arguments after -- only lie in its command line.
"""

from __future__ import annotations

import argparse
import ctypes
import signal
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


class Mute(socketserver.BaseRequestHandler):
    """Accept, and never say a word."""

    def handle(self) -> None:
        threading.Event().wait()


class Babble(socketserver.BaseRequestHandler):
    """Answer with what is no HTTP."""

    def handle(self) -> None:
        self.request.recv(1 << 16)
        self.request.sendall(_RUBBISH)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", help="the name that the kernel keeps, at most 15 bytes")
    parser.add_argument("--listen", action="append", default=[], metavar="ADDRESS:PORT")
    parser.add_argument("--answer", action="append", default=[], metavar="PATH=FILE")
    parser.add_argument("--mute", action="append", default=[], metavar="SOCKET")
    parser.add_argument("--babble", action="append", default=[], metavar="SOCKET")
    words = sys.argv[1:]
    chosen = parser.parse_args(words[: words.index("--")] if "--" in words else words)
    ctypes.CDLL(None).prctl(_PR_SET_NAME, chosen.name.encode()[:15], 0, 0, 0)
    answers = {path: Path(file).read_bytes() for path, file in (entry.split("=", 1) for entry in chosen.answer)}
    for place in chosen.listen:
        address, port = place.rsplit(":", 1)
        server = ThreadingHTTPServer((address, int(port)), handler(answers))
        threading.Thread(target=server.serve_forever, daemon=True).start()
    for path, kind in [(path, Mute) for path in chosen.mute] + [(path, Babble) for path in chosen.babble]:
        threading.Thread(target=socketserver.ThreadingUnixStreamServer(path, kind).serve_forever, daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
