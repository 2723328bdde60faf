# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container runtimes on a made-up node: what real ones left in files, and a crictl that says what it is told to."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

FIXTURES = Path(__file__).parents[3] / "fixtures"
CONTAINERDS = ("1.6", "1.7", "2.1")
STATE = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"
ROOT = "/var/lib/containerd/io.containerd.grpc.v1.cri"
SOCKET = "/run/containerd/containerd.sock"
ID = "0123456789abcdef" * 4
UID = "1403dda53affdfee1130475a6d9609da"


def captured(name):
    """A fixture of containerd."""
    return json.loads((FIXTURES / "containerd" / name).read_text("utf-8"))


def place(node, capture):
    """Lay out on a made-up node what was captured on a real one."""
    for path, text in capture["files"].items():
        node.file(path, text)
    for path, target in capture["links"].items():
        link(node, path, target)
    for pid, groups in capture.get("cgroups", {}).items():
        process(node, pid, groups)


def link(node, path, target):
    """Make a symbolic link."""
    where = node.root / path.lstrip("/")
    where.parent.mkdir(parents=True, exist_ok=True)
    where.symlink_to(target)


def process(node, pid, groups):
    """Add a process with these cgroups to the node's own /proc, which lies below its root here."""
    node.file(f"/proc/{pid}/cgroup", groups)


def listen(node, path):
    """Make a socket on the node; nobody answers there."""
    where = node.root / path.lstrip("/")
    where.parent.mkdir(parents=True, exist_ok=True)
    here = os.getcwd()
    os.chdir(str(where.parent))  # the address of a Unix socket has 107 bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(where.name)
    finally:
        os.chdir(here)


class Crictl:
    """A crictl: ``answers`` by its words, ``calls`` are the command lines that it got.

    An answer is what it prints, or ``{"errors", "status"}``, or ``{"code"}``, Python that it runs.
    """

    def __init__(self, node, answers, path="/usr/local/bin/crictl"):
        self._calls = node.folder / "calls"
        book = {key: value if isinstance(value, dict) else {"output": value} for key, value in answers.items()}
        lines = (
            "#!%s" % sys.executable,
            "import json, os, subprocess, sys, time",
            "book = json.loads(%r)" % json.dumps(book),
            "with open(%r, 'a') as calls: calls.write(json.dumps([sys.argv, dict(os.environ), sys.stdin.read()]) + chr(10))"
            % str(self._calls),
            "answer = book.get(' '.join(sys.argv[7:]), {'errors': 'not in the book', 'status': 9})",
            "exec(answer.get('code', ''))",
            "sys.stdout.write(answer.get('output', ''))",
            "sys.stderr.write(answer.get('errors', ''))",
            "sys.exit(answer.get('status', 0))",
        )
        self.program = node.file(path, "\n".join(lines) + "\n")
        self.program.chmod(0o755)

    @property
    def calls(self):
        return [json.loads(line) for line in self._calls.read_text("utf-8").splitlines()]


def answers(capture, **others):
    """What crictl says of what was captured."""
    version = capture["version"]
    text = "Version:  %(version)s\nRuntimeName:  %(runtimeName)s\nRuntimeVersion:  %(runtimeVersion)s\n" % version
    said = {
        "version": text + "RuntimeApiVersion:  v1\n",
        "ps -a -o json": json.dumps(capture["ps"]),
        "pods -o json": json.dumps(capture["pods"]),
    }
    return {**said, **others}


def told(found):
    """``{id: (container, pod, attempt, state)}`` of what a runtime tells."""
    return {one["id"]: (identity.container, identity.pod, identity.attempt, one["state"]) for identity, one in found}
