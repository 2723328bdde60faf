# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listen_ports beside two independent witnesses, ss and psutil, in a network namespace whose every socket is known."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess

import psutil
import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import listeners, sock_diag
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import needs_ss
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import in_fresh_netns, ip, needs_root
from ansible_collections.kubenode.doctor.tests.integration_real.real_process import NOBODY, running

pytestmark = [needs_root, needs_ss]

# (family, kind, address, port, v6only, backlog)
SOCKETS = [
    ("ipv4", "tcp", "127.0.0.1", 36527, None, 7),
    ("ipv4", "tcp", "0.0.0.0", 10256, None, 4096),
    ("ipv4", "tcp", "10.77.0.1", 10256 + 1, None, 1),
    ("ipv6", "tcp", "::", 10250, False, 128),
    ("ipv6", "tcp", "::", 10257, True, 128),
    ("ipv6", "tcp", "::1", 36527, True, 5),
    ("ipv6", "tcp", "::ffff:10.77.0.1", 8080, False, 5),
    ("ipv4", "udp", "0.0.0.0", 8472, None, None),
    ("ipv4", "udp", "127.0.0.1", 53, None, None),
    ("ipv6", "udp", "::", 123, False, None),
    ("ipv6", "udp", "::", 4789, True, None),
    ("ipv6", "udp", "fd00:77::1", 53, True, None),
]
WAITING_CONNECTIONS = 3
BACKENDS = ["sock_diag", "procfs", "psutil"]


def opened(family, kind, address, port, v6only, backlog):
    made = socket.socket(
        socket.AF_INET if family == "ipv4" else socket.AF_INET6,
        socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM,
    )
    if v6only is not None and address != "::1" and "." not in address:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
    made.bind((address, port))
    if backlog is not None:
        made.listen(backlog)
    return made


def unprivileged():
    kept = [opened("ipv4", "tcp", "0.0.0.0", 30080, None, 10)]
    bound = socket.socket()
    bound.bind(("127.0.0.1", 40404))
    talking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    talking.connect(("127.0.0.1", 53))  # not a listener: its datagrams have one peer
    return [*kept, bound, talking]


@contextlib.contextmanager
def scene():
    ip("link", "add", "nd0", "type", "veth", "peer", "name", "nd1")
    ip("addr", "add", "10.77.0.1/24", "dev", "nd0")
    ip("addr", "add", "fd00:77::1/64", "dev", "nd0", "nodad")
    ip("link", "set", "nd1", "up")
    ip("link", "set", "nd0", "up")
    with (
        running(lambda: [opened(*row) for row in SOCKETS], name=b"kubelet") as kubelet,
        running(unprivileged, name=b"daemon", uid=NOBODY) as daemon,
    ):
        clients = [socket.create_connection(("127.0.0.1", 36527)) for _number in range(WAITING_CONNECTIONS)]
        yield {"kubelet": kubelet, "daemon": daemon}
        del clients


def look():
    """What the section, ss and psutil say of the same sockets at the same time."""
    with scene() as pids:
        sections = {backend: listeners.collect(SocketHolders(Deadline(60)), backend=backend) for backend in BACKENDS}
        printed = subprocess.run(["ss", "-Hlntupe"], check=True, capture_output=True, text=True).stdout
        return {"pids": pids, "sections": sections, "ss": printed, "psutil": witness()}


def witness():
    told = []
    for kind in ("tcp", "udp"):
        for seen in psutil.net_connections(kind=kind):
            if seen.status == "LISTEN" or (kind == "udp" and not seen.raddr):
                family = "ipv6" if seen.family == socket.AF_INET6 else "ipv4"
                told.append([kind, family, seen.laddr.ip, seen.laddr.port, [seen.pid]])
    return told


@pytest.fixture(scope="module")
def seen():
    return in_fresh_netns(look)


@pytest.fixture(params=BACKENDS)
def section(seen, request):
    return seen["sections"][request.param]


# tcp LISTEN 3 7 127.0.0.1:36527 0.0.0.0:* users:(("kubelet",pid=7,fd=5)) uid:1 ino:47048 sk:1 cgroup:/ v6only:0 <->
def ss_row(line):
    words = line.split()
    address, _colon, port = words[4].rpartition(":")
    more = dict(re.findall(r"(uid|ino|v6only):(\d+)", line))
    v6 = "v6only" in more
    listens = words[1] == "LISTEN"
    return {
        "protocol": words[0],
        "family": "ipv6" if v6 else "ipv4",
        "state": "listen" if listens else "unconnected",
        "address": "::" if address == "*" else address.strip("[]"),
        "port": int(port),
        "v6only": more["v6only"] == "1" if v6 else None,
        "accept_queue": int(words[2]) if listens else None,
        "backlog": int(words[3]) if listens else None,
        "uid": int(more.get("uid", 0)),
        "inode": int(more["ino"]),
        "pids": [int(pid) for pid in re.findall(r"pid=(\d+)", line)],
    }


def flat(listener, *left_out):
    told = {**listener, "pids": [process["pid"] for process in listener["processes"]]}
    for key in ("processes", "known_as", "ephemeral", "hidden", "cgroup", *left_out):
        del told[key]
    return told


def ordered(rows):
    return sorted(rows, key=lambda row: (row["protocol"], row["port"], row["family"], row["address"]))


def test_sock_diag_tells_all_that_ss_tells(seen):
    told = [flat(entry) for entry in seen["sections"]["sock_diag"]["listeners"] if entry["state"] != "bound"]
    expected = ordered(ss_row(line) for line in seen["ss"].splitlines())
    assert told == expected
    assert len(expected) == len(SOCKETS) + 1


def test_the_witness_itself_sees_what_was_opened(seen):
    # A parser of ss that read nothing would agree with anything.
    rows = {
        (row["family"], row["protocol"], row["address"], row["port"], row["v6only"], row["backlog"])
        for row in map(ss_row, seen["ss"].splitlines())
    }
    assert rows == {*SOCKETS, ("ipv4", "tcp", "0.0.0.0", 30080, None, 10)}


def test_proc_net_tells_all_but_backlog_and_v6only(seen):
    told = [flat(entry, "backlog", "v6only") for entry in seen["sections"]["procfs"]["listeners"]]
    expected = ordered(ss_row(line) for line in seen["ss"].splitlines())
    for row in expected:
        del row["backlog"], row["v6only"]
    assert told == expected


def test_every_backend_sees_what_psutil_sees(seen, section):
    told = [
        [
            entry["protocol"],
            entry["family"],
            entry["address"],
            entry["port"],
            [process["pid"] for process in entry["processes"]],
        ]
        for entry in section["listeners"]
        if entry["state"] != "bound"
    ]
    assert sorted(told) == sorted(seen["psutil"])


@pytest.mark.parametrize(
    ("backend", "blind"),
    [
        ("sock_diag", []),
        ("procfs", ["backlog", "v6only"]),
        ("psutil", ["backlog", "v6only", "accept_queue", "uid", "inode"]),
    ],
)
def test_what_a_backend_does_not_show_is_null_and_said(seen, backend, blind):
    section = seen["sections"][backend]
    assert section["backend"] == backend
    for key in ("backlog", "v6only", "accept_queue", "uid", "inode"):
        values = [
            entry[key] for entry in section["listeners"] if entry["state"] == "listen" and entry["family"] == "ipv6"
        ]
        assert len(values) == 4
        assert (values == [None] * 4) is (key in blind)
    gaps = [gap["what"] for gap in section["missing"]]
    assert ("backlog, v6only" in gaps) is bool(blind)
    assert section["complete"] is (gaps == [])


def test_a_queue_that_waits(seen):
    told = {
        backend: next(
            entry["accept_queue"]
            for entry in section["listeners"]
            if entry["address"] == "127.0.0.1" and entry["port"] == 36527
        )
        for backend, section in seen["sections"].items()
    }
    assert told == {"sock_diag": WAITING_CONNECTIONS, "procfs": WAITING_CONNECTIONS, "psutil": None}


def test_bound_sockets_are_seen_or_said_to_be_unseen(seen, section):
    bound = [entry for entry in section["listeners"] if entry["state"] == "bound"]
    if section["backend"] == "sock_diag" and sock_diag.shows_bound_sockets():
        assert [(entry["address"], entry["port"], entry["uid"]) for entry in bound] == [("127.0.0.1", 40404, NOBODY)]
        assert [process["pid"] for process in bound[0]["processes"]] == [seen["pids"]["daemon"]]
        assert (bound[0]["accept_queue"], bound[0]["backlog"]) == (None, None)
    else:
        assert bound == []
        assert "bound sockets" in [gap["what"] for gap in section["missing"]]


def test_names_and_what_ports_are_known_as(section):
    by_port = {(entry["address"], entry["port"]): entry for entry in section["listeners"]}
    for entry in section["listeners"]:
        name = "daemon" if entry["port"] in (30080, 40404) else "kubelet"
        assert [process["name"] for process in entry["processes"]] == [name]
        assert entry["hidden"] is False
    assert by_port["127.0.0.1", 36527]["known_as"]["role"] == "CRI streaming server"
    assert by_port["::", 10250]["known_as"]["component"] == "kubelet"


def test_the_range_of_random_ports(section):
    told = {entry["port"]: entry["ephemeral"] for entry in section["listeners"]}
    assert (told[36527], told[30080]) == (True, False)
