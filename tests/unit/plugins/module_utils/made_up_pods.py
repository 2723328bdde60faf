# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods on a made-up node: processes with cgroups, open files and network namespaces, and the tables that these show.

Nothing of this machine is read: its own netlink is cut off, and the made-up namespaces cannot be entered.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
from pathlib import Path

from ansible_collections.kubenode.doctor.plugins.module_utils import cri_containers, netlink, pod_network
from ansible_collections.kubenode.doctor.plugins.module_utils.container_groups import Told, instance
from ansible_collections.kubenode.doctor.plugins.module_utils.containers import Seen
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import Identity
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils import made_up_runtime

FIXTURES = Path(__file__).parents[3] / "fixtures"
UID = "909a2aa1-bf6a-4a8c-a274-3180ea640fb1"
OTHER_UID = "3810d15f-0fd3-4dd2-a706-d10da670e7a6"
STATIC_UID = "1403dda53affdfee1130475a6d9609da"
ID, SIDE_ID, SANDBOX_ID, INNER_ID = "6c" * 32, "7d" * 32, "a4" * 32, "0" * 63 + "1"
NO_RUNTIME = Seen(None, [])
UI = Identity(UID, "reddit-entry", "ui-1", "ui", 0)
IMAGE = "docker.io/reddit/post:f5393576"
UPTIME = 1000.0
_HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
_TABLES = ("tcp", "tcp6", "udp", "udp6")
_STATES = {"tcp": 0x0A, "udp": 0x07}


def path(uid=UID, id_=ID):
    """A cgroup as the cgroupfs driver and containerd name it."""
    return f"/kubepods/burstable/pod{uid}/{id_}"


def row(where, inode=0, protocol="tcp", state=None):
    """A row of /proc/net; ``where`` is "0.0.0.0:5000" or "[::]:5000"."""
    address, _colon, port = where.rpartition(":")
    address = address.strip("[]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    raw = socket.inet_pton(family, address)
    digits = "".join("%08X" % word for word in struct.unpack(f"={len(raw) // 4}I", raw))
    peer = "0" * len(digits)
    number = _STATES[protocol] if state is None else state
    return f"   0: {digits}:{int(port):04X} {peer}:0000 {number:02X} 00000000:00000000 00:00000000 00000000 0 0 {inode} 1 0\n"


class MadeUpPods:
    """Adds to a made-up node what pods have; its own network namespace is "host", others are made by name."""

    def __init__(self, node, monkeypatch):
        self.node = node
        self.proc = str(node.proc)
        self.root = str(node.root)
        monkeypatch.setattr(netlink, "connect", _refuse)
        self.network("host")
        (node.proc / "self" / "net").symlink_to(node.folder / "net-host")
        (node.proc / "1" / "net").symlink_to(node.folder / "net-host")
        (node.proc / "net").symlink_to(node.proc / "self" / "net")
        (node.proc / "uptime").write_text(f"{UPTIME} 2000.00\n")

    def network(self, netns, *rows, udp=()):
        """Make a network namespace with these rows of TCP listeners, and of UDP sockets."""
        folder = self.node.folder / f"net-{netns}"
        folder.mkdir(exist_ok=True)
        if not (self.node.folder / netns).exists():
            (self.node.folder / netns).touch()
        (folder / "dev").write_text("Inter-|\n")
        for name in _TABLES:
            lines = rows if name.startswith("tcp") else udp
            digits = 32 if name.endswith("6") else 8
            fitting = [line for line in lines if len(line.split()[1]) == digits + 5]
            (folder / name).write_text(_HEADING + "".join(fitting))
        (folder / "fib_trie").write_text((FIXTURES / "pods" / "fib_trie.txt").read_text("ascii"))
        return folder

    def process(self, pid, cgroup, netns="other", name="app", started=900.0, state="S", threads=1, argv=(), sockets=()):
        """Add a process that was started so many seconds after the machine and holds sockets with these inodes."""
        if not (self.node.folder / f"net-{netns}").exists():
            self.network(netns)
        self.node.process(pid, name[:15], list(argv), netns=netns)
        place = self.node.proc / str(pid)
        (place / "cgroup").write_text(cgroup if "\n" in cgroup else f"0::{cgroup}\n")
        fields = [state, "1", *["0"] * 15, str(threads), "0", str(int(started * 100)), "0"]
        (place / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
        (place / "net").symlink_to(self.node.folder / f"net-{netns}")
        (place / "fd").mkdir()
        for thread in range(pid, pid + threads):
            (place / "task" / str(thread)).mkdir(parents=True)
            (place / "task" / str(thread) / "stat").write_text(
                f"{thread} ({name}) {state if thread == pid else 'S'} 1\n"
            )
        for number, inode in enumerate(sockets):
            (place / "fd" / str(number)).symlink_to(f"socket:[{inode}]")

    def folder(self, name):
        """Make the folder of a pod's logs."""
        (self.node.root / "var" / "log" / "pods" / name).mkdir(parents=True)

    def number(self, netns):
        """The inode of a network namespace, as text."""
        return str((self.node.folder / netns).stat().st_ino)


def runtime(name, *found, missing=()):
    """A runtime that tells of these containers."""
    return cri_containers.Runtime(name, None, "unix:///x", "files", Told(list(found), [], 0, list(missing)))


def ui(id_=ID, container="ui", **parts):
    """A container of the pod UID, as a runtime tells it."""
    return UI._replace(container=container, **parts), instance(id_, "running", image=IMAGE)


def refuse(monkeypatch, *endings):
    """Take away the right to look at files whose paths end so."""
    real = os.stat

    def stat(place, *arguments, **options):
        if str(place).endswith(endings):
            raise PermissionError(errno.EACCES, "Permission denied", place)
        return real(place, *arguments, **options)

    monkeypatch.setattr(pod_network.os, "stat", stat)


def captured_node(pods):
    """Lay out the captured node: its task folders and folders of logs. Returns the cgroups of its processes by pid."""
    capture = json.loads((FIXTURES / "pods" / "kubernetes-1.36.json").read_text("utf-8"))
    made_up_runtime.place(pods.node, made_up_runtime.captured("kubernetes-1.36.json"))
    (pods.node.root / "var" / "lib" / "containerd").mkdir(parents=True)
    for name in capture["log_folders"]:
        pods.folder(name)
    return capture["cgroups"]


def _refuse(protocol):
    raise netlink.NetlinkError(f"no netlink socket of protocol {protocol}", errno.EPROTONOSUPPORT)
