# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up machine for planners of fixes: processes that hold sockets, units that systemd knows, pods. Its sockets are read from its /proc."""

from __future__ import annotations

import os
import socket
import struct

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places

LISTEN, CLOSE_WAIT = "0A", "08"
_HEADING = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
_SYSTEMCTL = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
first=yes
for unit in "$@"; do
    [ $first = yes ] || echo
    first=
    cat '{folder}'/"$unit" 2>/dev/null || printf 'Id=%s\nLoadState=not-found\nActiveState=inactive\n' "$unit"
done
"""


class Machine:
    """``node`` is a MadeUpNode. What is changed is there for the next look."""

    def __init__(self, node):
        self.node = node
        self.places = Places(str(node.proc), str(node.root))
        self._sockets = {}
        self._units = node.folder / "units"
        self._units.mkdir()
        self._write_sockets()
        program = node.file("/usr/bin/systemctl", _SYSTEMCTL.format(folder=self._units))
        program.chmod(0o755)
        node.file("/../proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n")

    @property
    def deadline(self):
        return Deadline(5)

    def process(self, pid, name, cgroup, parent=1, started=100):
        """A process in a cgroup; one that has the pid already is another one then."""
        if not (self.node.proc / str(pid)).exists():
            self.node.process(pid, name, [])
        place = self.node.proc / str(pid)
        (place / "comm").write_text(name + "\n")
        (place / "cgroup").write_text(f"0::{cgroup}\n")
        (place / "stat").write_text(f"{pid} ({name}) S {parent} " + "0 " * 17 + f"{started} 0 0")
        (place / "fd").mkdir(exist_ok=True)

    def unit(self, name, pid=0, **properties):
        """What systemd says of a unit, and its cgroup."""
        told = {
            "Id": name,
            "LoadState": "loaded",
            "ActiveState": "active",
            "UnitFileState": "enabled",
            "MainPID": str(pid),
            "ControlGroup": f"/system.slice/{name}",
            "KillMode": "process",
            **properties,
        }
        (self._units / name).write_text("".join(f"{key}={value}\n" for key, value in told.items()))

    def service(self, name, pid, program, **properties):
        """A unit with its main process."""
        self.process(pid, program, f"/system.slice/{name}")
        self.unit(name, pid, **properties)

    def socket(self, *told):
        """A socket that a process holds (inode, pid, address, port, state, peer); nobody does where the inode is 0."""
        self._add(*told)
        self._write_sockets()

    def _add(self, inode, pid, address, port, state=LISTEN, peer=("0.0.0.0", 0)):
        key = (inode, port, *peer)
        self._sockets[key] = (
            f"   0: {_hex(address, port)} {_hex(*peer)} {state} 00000000:00000001 00:00000000 00000000     0        0 {inode} 1 0"
        )
        if inode:
            os.symlink(f"socket:[{inode}]", str(self.node.proc / str(pid) / "fd" / str(inode)))

    def close(self, *inodes):
        """These sockets are no more."""
        for held in self.node.proc.glob("*/fd/*"):
            if int(held.name) in inodes:
                held.unlink()
        self._sockets = {key: row for key, row in self._sockets.items() if key[0] not in inodes}
        self._write_sockets()

    def leak(self, pid, count, peer_port=10250, first=5000):
        """Connections that went out, and that a process has not closed."""
        for number in range(count):
            peer = ("192.0.2.3", peer_port)
            self._add(first + number, pid, "192.0.2.2", 40000 + number, CLOSE_WAIT, peer)
        self._write_sockets()

    def _write_sockets(self):
        folder = self.node.proc / "net"
        folder.mkdir(exist_ok=True)
        (folder / "tcp").write_text("\n".join([_HEADING, *self._sockets.values(), ""]))


def _hex(address, port):
    return f"{struct.unpack('=I', socket.inet_aton(address))[0]:08X}:{port:04X}"
