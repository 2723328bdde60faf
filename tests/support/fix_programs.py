# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs with the faults that fixes of a node cure, for units of a systemd node; each is run by a copy of Python that has its name.

hoard PORT                 accepts connections, and never reads from them or closes them
crowd PORT                 listens, and never accepts
connect PORT COUNT         opens so many connections, says "ready", keeps them
knock PORT COUNT           opens so many connections and closes them
api-server [FLAGS...]      answers /readyz over TLS on 6443, while /run/ill is there as one that has lost etcd; where /run/leak is there it
                           opens 30 connections to kubelet and forgets them
state                      prints what fixes may change, and what they must not, as JSON
pod UID COMMAND...         keeps a process in the cgroup of a pod, as kubelet keeps a static pod's container: when it ends, it starts another
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_ASKED_FOR = 4096  # as Go asks: the kernel's somaxconn decides
_KUBELET = ("127.0.0.1", 10250)
_LEAKED = 30
_LEAK = Path("/run/leak")
_ILL = Path("/run/ill")
# k8s.io/apiserver pkg/server/healthz/healthz.go
_NOT_READY = b"[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"
_TLS = Path("/tests/fixtures/tls")
_CGROUPS = Path("/sys/fs/cgroup/kubepods/burstable")


def _listener(port: int) -> socket.socket:
    return socket.create_server(("0.0.0.0", port), backlog=_ASKED_FOR)


def hoard(port: str) -> None:
    """Never gives anything back."""
    server, kept = _listener(int(port)), []
    while True:
        kept.append(server.accept())


def crowd(port: str) -> None:
    """Lets all wait."""
    _kept = _listener(int(port))
    signal.pause()


def connect(port: str, count: str) -> None:
    """As many clients, who wait."""
    _kept = [_client(int(port)) for _number in range(int(count))]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


def knock(port: str, count: str) -> None:
    """As many clients, who are gone."""
    for _number in range(int(count)):
        socket.create_connection(("127.0.0.1", int(port))).close()


def _client(port: int) -> socket.socket:
    client = socket.socket()
    client.setblocking(False)  # one for whom there is no room waits for ever
    client.connect_ex(("127.0.0.1", port))
    return client


class _Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        ill = _ILL.exists()
        self.send_response(500 if ill else 200)
        self.end_headers()
        self.wfile.write(_NOT_READY if ill else b"ok")

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""


def api_server(*_flags: str) -> None:
    """As much of an API server as its node sees."""
    _kept = [socket.create_connection(_KUBELET) for _number in range(_LEAKED if _LEAK.exists() else 0)]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_TLS / "client.crt", _TLS / "client.key")
    server = ThreadingHTTPServer(("0.0.0.0", 6443), _Ready)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    signal.pause()


def pod(uid: str, *command: str) -> None:
    """kubelet's part of a static pod's life: each start is another container."""
    while True:
        cgroup = _CGROUPS / f"pod{uid}" / secrets.token_hex(32)
        cgroup.mkdir(parents=True)
        child = os.fork()
        if child == 0:
            (cgroup / "cgroup.procs").write_text("0", encoding="ascii")
            os.execv(command[0], command)  # noqa: S606 - a test's own words
        os.waitpid(child, 0)
        cgroup.rmdir()
        time.sleep(0.2)


_FOLDERS = ("/etc", "/var/lib/kubenode.doctor")
_SETTINGS = (
    "net/core/somaxconn",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/ip_local_reserved_ports",
    "net/netfilter/nf_conntrack_max",
)
_LISTENER = re.compile(r'LISTEN +\d+ +(\d+) +(\S+):(\d+) .*?\(\("([^"]+)",pid=(\d+)')


def state() -> None:
    """``{files: {path: mode, owner, content's hash}, settings, units: {name: state, invocation}, listeners: [[...]], close_wait}``."""
    files = {}
    for top in _FOLDERS:
        for place in sorted(path for path in Path(top).rglob("*") if path.is_file() and not path.is_symlink()):
            found = place.stat()
            files[str(place)] = [
                oct(found.st_mode),
                found.st_uid,
                found.st_gid,
                hashlib.sha256(place.read_bytes()).hexdigest(),
            ]
    shown = _said("systemctl", "show", "--property=Id,ActiveState,UnitFileState,InvocationID", "*.service")
    units = [dict(line.split("=", 1) for line in unit.splitlines()) for unit in shown.split("\n\n")]
    listeners = [_LISTENER.match(line) for line in _said("ss", "-tnlp").splitlines()]
    told = {
        "files": files,
        "settings": {name: Path("/proc/sys", name).read_text("ascii").strip() for name in _SETTINGS},
        "units": {unit["Id"]: unit for unit in units},
        "listeners": [
            [found[2], int(found[3]), int(found[1]), found[4], int(found[5])] for found in listeners if found
        ],
        "close_wait": len(_said("ss", "-tnH", "state", "close-wait").splitlines()),
    }
    sys.stdout.write(json.dumps(told))


def _said(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
