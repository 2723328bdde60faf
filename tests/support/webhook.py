# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server for the port of kubelet, under a name of its own: each POST becomes a line of a file, as JSON.

    python tests/support/webhook.py NAME ADDRESS:PORT FILE STATUS...

Answers the first with the first status, the next with the next, and all further ones with the last. Prints "ready" once it listens.
"""

from __future__ import annotations

import ctypes
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

_PR_SET_NAME = 15  # include/uapi/linux/prctl.h


def main(name: str, address: str, file: str, *statuses: str) -> None:
    """Serve until killed."""
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")
            with open(file, "a", encoding="utf-8") as kept:
                kept.write(json.dumps({"path": self.path, "headers": dict(self.headers), "body": body}) + "\n")
            self.send_response(int(left.pop(0) if len(left) > 1 else left[0]))
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Stay silent."""

    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode("utf-8"))
    host, port = address.rsplit(":", 1)
    server = HTTPServer((host, int(port)), Handler)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
