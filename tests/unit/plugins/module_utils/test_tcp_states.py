# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcp_states: the whole section of a made-up machine, and of machines that hide, change, end or are far too large."""

from __future__ import annotations

import errno
import gc
import json
import os
from types import SimpleNamespace

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    attribution,
    net_namespaces,
    netlink,
    procfs,
    procfs_net,
    tcp_reader,
    tcp_states,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.net_namespaces import Namespace
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_states import Survey
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_kernel import (
    Kernel,
    Sock,
    close_wait,
    syn_sent,
)

APISERVER, NGINX, BIRD, WORKER = 100, 200, 300, 201
UNIT = "0::/system.slice/{}.service\n"
NO_SOCK_DIAG = netlink.NetlinkError("no netlink socket of protocol 4: Protocol not supported", errno.EPROTONOSUPPORT)
POD_UID, CONTAINER = "909a2aa1-bf6a-4a8c-a274-3180ea640fb1", "6c" * 32

LISTENER = Sock("listen", "0.0.0.0", 443, inode=1, rqueue=3, wqueue=4, cookie=1)
SOCKS = [
    LISTENER,
    Sock("listen", "::", 6443, "::", inode=2, rqueue=0, wqueue=4096, cookie=2),
    # nginx's clients
    Sock("established", "10.0.0.1", 443, "10.0.0.7", 40001, inode=11, cookie=11),
    Sock("established", "10.0.0.1", 443, "10.0.0.7", 40002, inode=12, cookie=12),
    # the API server's, which listens on both families
    Sock("established", "::ffff:10.0.0.1", 6443, "::ffff:10.0.0.7", 40003, inode=13, cookie=13),
    Sock("established", "10.0.0.1", 443, "10.0.0.8", 40004, cookie=14),  # waits to be accepted
    Sock("close_wait", "10.0.0.1", 443, "10.0.0.8", 40005, rqueue=4, cookie=15, **close_wait(5000)),  # and this is gone
    Sock("time_wait", "10.0.0.1", 443, "10.0.0.9", 40006, cookie=16),
    # what the API server has with a kubelet
    Sock("established", "10.0.0.1", 50001, "10.0.0.20", 10250, inode=21, cookie=21),
    Sock("close_wait", "10.0.0.1", 50002, "10.0.0.20", 10250, inode=22, rqueue=0, cookie=22, **close_wait(70_460)),
    Sock(
        "close_wait",
        "::ffff:10.0.0.1",
        50003,
        "::ffff:10.0.0.20",
        10250,
        inode=23,
        rqueue=6,
        cookie=23,
        **close_wait(900),
    ),
    Sock("time_wait", "10.0.0.1", 50004, "10.0.0.20", 10250, cookie=24),
    # bird calls nodes that are gone
    Sock("syn_sent", "10.0.0.1", 50005, "10.0.0.99", 179, inode=31, wqueue=1, cookie=31, **syn_sent(3, 3, 8000, 7500)),
    Sock("syn_sent", "fd00::1", 50006, "fd00::99", 179, inode=32, wqueue=1, cookie=32, **syn_sent(0, 0, 1000, 900)),
]


class Machine:
    """A node's made-up /proc and kernel. ``files`` are read in place of those below /proc, by path."""

    def __init__(self, node, monkeypatch):
        self.node = node
        self.kernel = Kernel(SOCKS)
        self.files = {}
        self._real = procfs.text
        self._real_rows = procfs_net.sockets
        (node.proc / "net").mkdir()
        monkeypatch.setattr(procfs, "text", self._text)
        monkeypatch.setattr(procfs, "in_host_pid_namespace", lambda _proc: True)
        monkeypatch.setattr(attribution.os, "geteuid", lambda: 0)
        monkeypatch.setattr(netlink, "connect", self._connect)
        monkeypatch.setattr(procfs_net, "sockets", self._rows)
        self.write("net/netstat", "TcpExt: ListenOverflows ListenDrops\nTcpExt: 7 8\n")
        self.write("net/sockstat", "TCP: inuse 14 orphan 0 tw 2 alloc 20 mem 3\n")
        self.write("sys/net/core/somaxconn", "4096\n")
        self.write("sys/net/ipv4/ip_local_port_range", "32768 60999\n")
        self.write("sys/net/ipv4/ip_local_reserved_ports", "50000-50009\n")
        self.write("sys/fs/file-nr", "521 0 2466170\n")
        self.process(APISERVER, "kube-apiserver", 2, 13, 21, 22, 23)
        self.process(NGINX, "nginx", 1, 11, 12)
        self.process(WORKER, "nginx", 1)
        self.process(BIRD, "bird", 31, 32)

    def _connect(self, protocol):
        return self.kernel.connect(protocol)

    def _rows(self, protocol, net):
        return self._real_rows(protocol, net=net.replace("/proc", str(self.node.proc), 1))

    def _text(self, path, limit=65536):
        made_up = self.files.get(path)
        if isinstance(made_up, Exception):
            raise made_up
        return made_up if made_up is not None else self._real(path.replace("/proc", str(self.node.proc), 1), limit)

    def write(self, path, text):
        place = self.node.proc / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def process(self, pid, name, *inodes, files=0):
        """Add a process that holds sockets, and so many other files."""
        self.node.process(pid, name, [])
        self.write(f"{pid}/cgroup", UNIT.format(name))
        self.write(f"{pid}/limits", "Max open files 1024 4096 files\n")
        folder = self.node.proc / str(pid) / "fd"
        folder.mkdir()
        for number, target in enumerate([*(f"socket:[{inode}]" for inode in inodes), *["/dev/null"] * files]):
            os.symlink(target, str(folder / str(number)))

    def tables(self, tcp, tcp6=""):
        """Let there be no sock_diag, and these rows in /proc/net/tcp and tcp6."""
        self.kernel = Kernel(refused=NO_SOCK_DIAG)
        self.write("net/tcp", "heading\n" + tcp)
        self.write("net/tcp6", "heading\n" + tcp6)

    def holders(self, seconds=60):
        return SocketHolders(Deadline(seconds), str(self.node.proc))

    def look(self, **options):
        return Survey(Deadline(60), **options).finish(self.holders())

    def looks(self, meanwhile=lambda: None, **options):
        """The section after two samples, with something between them."""
        survey = Survey(Deadline(60), **options)
        survey.first_sample()
        meanwhile()
        return survey.finish(self.holders())


@pytest.fixture
def machine(node, monkeypatch):
    return Machine(node, monkeypatch)


def process(pid, name):
    return {"pid": pid, "name": name, "unit": f"{name}.service", "container_id": None, "pod_uid": None}


def group(state, name, local_port, peer_port, peers, **more):
    """A group in the shape that is returned; ``peers`` are counts by address, largest first."""
    return {
        "netns": "host",
        "state": state,
        "process": name,
        "local_port": local_port,
        "peer_port": peer_port,
        "count": sum(peers.values()),
        "peers": len(peers),
        "top_peers": [{"address": address, "count": count} for address, count in peers.items()],
        "oldest_seconds": None,
        "persisted": None,
        "causes": None,
        "sketch": None,
        **more,
    }


GROUPS = [
    group(
        "close_wait",
        "kube-apiserver",
        None,
        10250,
        {"10.0.0.20": 2},
        oldest_seconds=70.5,
        causes={"never_read": 1, "leaked": 1, "never_accepted": 0},
        sketch="cookie 3d97795d6d787761a138ee5f",
    ),
    group("syn_sent", "bird", None, 179, {"10.0.0.99": 1, "fd00::99": 1}, oldest_seconds=7.5),
    # Nobody holds it: its listener's process is the one that should.
    group(
        "close_wait",
        "nginx",
        443,
        None,
        {"10.0.0.8": 1},
        oldest_seconds=5.0,
        causes={"never_read": 0, "leaked": 0, "never_accepted": 1},
        sketch="cookie 2fcafd15aa45",
    ),
    # One of them waits to be accepted.
    group("established", "nginx", 443, None, {"10.0.0.7": 2, "10.0.0.8": 1}),
    group("established", "kube-apiserver", None, 10250, {"10.0.0.20": 1}),
    group("established", "kube-apiserver", 6443, None, {"10.0.0.7": 1}),
    group("time_wait", None, None, 10250, {"10.0.0.20": 1}),
    group("time_wait", None, 443, None, {"10.0.0.9": 1}),
]


def queue(port, **more):
    told = {
        "netns": "host",
        "family": "ipv4",
        "address": "0.0.0.0",
        "port": port,
        "queue": 0,
        "backlog": 4096,
        "queue_before": None,
        "hidden": False,
        "cgroup": None,
    }
    return {**told, **more}


def stuck(state, port, peer, peer_port, **more):
    told = {
        "netns": "host",
        "state": state,
        "address": "10.0.0.1",
        "port": port,
        "peer": peer,
        "peer_port": peer_port,
        "retransmits": 0,
        "unread": None,
        "cause": None,
        "persisted": None,
    }
    return {**told, **more}


COUNTERS = {
    "ListenOverflows": 7,
    "ListenDrops": 8,
    "TCPAbortOnMemory": None,
    "TCPTimeWaitOverflow": None,
    "TCPReqQFullDrop": None,
    "TCPReqQFullDoCookies": None,
    "orphans": 0,
    "time_wait": 2,
    "memory_pages": 3,
    "allocated": 20,
}
GROWING = {name: COUNTERS[name] for name in list(COUNTERS)[:6]}
SECTION = {
    "backend": "sock_diag",
    "netns": "host",
    "namespaces": [
        {"netns": "host", "pid": None, "container_id": None, "pod_uid": None, "sockets": 14, "counters": GROWING}
    ],
    "states": {
        "established": 5,
        "syn_sent": 2,
        "syn_recv": 0,
        "fin_wait1": 0,
        "fin_wait2": 0,
        "time_wait": 2,
        "close_wait": 3,
        "last_ack": 0,
        "listen": 2,
        "closing": 0,
    },
    "groups": GROUPS,
    "other_groups": {"groups": 0, "sockets": 0},
    "accept_queues": [
        queue(443, queue=3, backlog=4, inode=1, processes=[process(NGINX, "nginx"), process(WORKER, "nginx")]),
        queue(6443, family="ipv6", address="::", inode=2, processes=[process(APISERVER, "kube-apiserver")]),
    ],
    "stuck": [
        stuck(
            "close_wait",
            50002,
            "10.0.0.20",
            10250,
            process="kube-apiserver",
            pid=APISERVER,
            inode=22,
            age_seconds=70.5,
            unread=0,
            cause="leaked",
        ),
        stuck("syn_sent", 50005, "10.0.0.99", 179, process="bird", pid=BIRD, inode=31, age_seconds=7.5, retransmits=3),
        stuck(
            "close_wait",
            443,
            "10.0.0.8",
            40005,
            process="nginx",
            pid=NGINX,
            inode=None,
            age_seconds=5.0,
            unread=3,
            cause="never_accepted",
        ),
        stuck(
            "close_wait",
            50003,
            "10.0.0.20",
            10250,
            process="kube-apiserver",
            pid=APISERVER,
            inode=23,
            age_seconds=0.9,
            unread=5,
            cause="never_read",
        ),
        stuck(
            "syn_sent", 50006, "fd00::99", 179, address="fd00::1", process="bird", pid=BIRD, inode=32, age_seconds=0.1
        ),
    ],
    "ephemeral": {
        "range": [32768, 60999],
        "available": 28222,
        "used": 6,
        "destinations": [
            {"source": "10.0.0.1", "destination": "10.0.0.20", "port": 10250, "count": 4, "process": "kube-apiserver"},
            {"source": "10.0.0.1", "destination": "10.0.0.99", "port": 179, "count": 1, "process": "bird"},
            {"source": "fd00::1", "destination": "fd00::99", "port": 179, "count": 1, "process": "bird"},
        ],
    },
    "counters": COUNTERS,
    "growth": None,
    "limits": {
        "somaxconn": 4096,
        "tcp_max_syn_backlog": None,
        "tcp_max_orphans": None,
        "tcp_max_tw_buckets": None,
        "tcp_fin_timeout": None,
        "tcp_tw_reuse": None,
        "tcp_syn_retries": None,
        "tcp_mem": None,
        "ip_local_port_range": [32768, 60999],
        "ip_local_reserved_ports": "50000-50009",
        "files": {"open": 521, "max": 2466170},
        "conntrack": None,
        "processes": [],
    },
    "truncated": {"accept_queues": 0, "namespaces": 0},
    "complete": True,
    "missing": [],
}


def test_the_section(machine):
    told = machine.look()
    for name, expected in SECTION.items():
        assert told[name] == expected, name
    assert told.keys() == SECTION.keys()
    assert json.loads(json.dumps(told)) == told


@pytest.mark.usefixtures("machine")
def test_without_processes_nobody_is_searched(monkeypatch):
    monkeypatch.setattr(procfs, "pids", lambda _proc: pytest.fail("processes were searched"))
    told = Survey(Deadline(60)).finish(None)
    assert told["states"] == SECTION["states"]
    assert {found["process"] for found in told["groups"]} == {None}
    assert [(found["processes"], found["hidden"], found["cgroup"]) for found in told["accept_queues"]] == [
        ([], None, None)
    ] * 2
    assert {(found["process"], found["pid"]) for found in told["stuck"]} == {(None, None)}
    assert {found["process"] for found in told["ephemeral"]["destinations"]} == {None}
    # What the kernel alone tells is told.
    assert [found["cause"] for found in told["stuck"]] == ["leaked", None, "never_accepted", "never_read", None]
    assert told["limits"]["processes"] is None
    assert (told["complete"], told["missing"]) == (True, [])


def test_a_machine_without_sockets(machine):
    machine.kernel = Kernel()
    told = machine.look()
    assert set(told["states"].values()) == {0}
    assert (told["groups"], told["accept_queues"], told["stuck"], told["ephemeral"]["used"]) == ([], [], [], 0)
    assert told["complete"] is True


def told_bytes(section):
    return len(json.dumps(section))


# Two samples


def persisted(section):
    return {(found["process"], found["state"]): found["persisted"] for found in section["groups"]}


def test_two_samples_of_what_stays(machine):
    told = machine.looks()
    assert persisted(told) == {
        ("kube-apiserver", "close_wait"): 2,
        ("bird", "syn_sent"): 2,
        ("nginx", "close_wait"): 1,
        ("nginx", "established"): None,
        ("kube-apiserver", "established"): None,
        (None, "time_wait"): None,
    }
    assert {found["persisted"] for found in told["stuck"]} == {True}
    assert [found["queue_before"] for found in told["accept_queues"]] == [3, 0]
    assert told["growth"]["states"] == {"syn_sent": 0, "close_wait": 0}
    assert told["growth"]["counters"] == {"ListenOverflows": 0, "ListenDrops": 0}
    assert 0 <= told["growth"]["seconds"] < 60


def test_two_samples_of_what_changes(machine):
    def meanwhile():
        socks = [sock for sock in SOCKS if sock.cookie not in (22, 31)]
        # An old connection's addresses and ports again, by another cookie; one more; a listener that began anew; a longer queue
        socks.append(SOCKS[9]._replace(cookie=99))
        socks.append(SOCKS[9]._replace(port=50009, inode=23, cookie=98))
        socks[0] = LISTENER._replace(rqueue=5)
        socks[1] = socks[1]._replace(cookie=97)
        machine.kernel = Kernel(socks)
        machine.write("net/netstat", "TcpExt: ListenOverflows ListenDrops\nTcpExt: 9 12\n")

    told = machine.looks(meanwhile)
    assert persisted(told)[("kube-apiserver", "close_wait")] == 1
    assert persisted(told)[("bird", "syn_sent")] == 1
    ports = {found["port"]: found["persisted"] for found in told["stuck"]}
    assert ports == {50002: False, 50003: True, 50009: False, 50006: True, 443: True}
    assert [(found["queue_before"], found["queue"]) for found in told["accept_queues"]] == [(3, 5), (None, 0)]
    assert told["growth"]["states"] == {"syn_sent": -1, "close_wait": 1}
    assert told["growth"]["counters"] == {"ListenOverflows": 2, "ListenDrops": 4}


def test_a_socket_that_hung_otherwise_before_has_not_stayed(machine):
    # Connected and hung up on between the samples: the same socket in another state.
    called = Sock("syn_sent", "10.0.0.1", 50005, "10.0.0.99", 179, inode=31, cookie=31, **syn_sent(0, 0, 1000, 900))
    hung = called._replace(state="close_wait", rqueue=1, expires=0, info=close_wait(10)["info"])
    machine.kernel = Kernel([called])
    told = machine.looks(lambda: setattr(machine, "kernel", Kernel([hung])))
    assert [(found["state"], found["persisted"]) for found in told["stuck"]] == [("close_wait", False)]
    assert told["growth"]["states"] == {"syn_sent": -1, "close_wait": 1}


LISTEN_ROW = (
    "   0: 00000000:01BB 00000000:0000 0A 00000000:{:08X} 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n"
)
HUNG_ROW = (
    "   1: 0100000A:{:04X} 1400000A:280A 08 00000000:{:08X} 00:00000000 00000000     0        0 {} 1 0 20 4 0 10 -1\n"
)
CALLING_ROW = (
    "   2: 0100000A:C355 6300000A:00B3 02 00000001:00000000 01:00000045 00000003     0        0 31 2 0 100 0 0 1 7\n"
)


def test_two_samples_without_sock_diag(machine):
    machine.tables(LISTEN_ROW.format(2) + HUNG_ROW.format(50002, 0, 22) + HUNG_ROW.format(50003, 1, 23) + CALLING_ROW)

    def meanwhile():
        rows = HUNG_ROW.format(50002, 0, 22) + HUNG_ROW.format(50003, 1, 21) + HUNG_ROW.format(50009, 1, 12)
        machine.tables(LISTEN_ROW.format(5) + rows + CALLING_ROW)

    told = machine.looks(meanwhile)
    assert told["backend"] == "procfs"
    # The same ports by another inode are another connection.
    assert {found["port"]: found["persisted"] for found in told["stuck"]} == {
        50002: True,
        50003: False,
        50009: False,
        50005: True,
    }
    (listener,) = told["accept_queues"]
    assert (listener["queue_before"], listener["queue"], listener["backlog"]) == (2, 5, None)
    ages = {found["state"]: found["age_seconds"] for found in told["stuck"]}
    assert ages == {"close_wait": None, "syn_sent": 3.3}
    assert [gap["what"] for gap in told["missing"]] == ["backlog", "age of close_wait"]
    assert told["complete"] is False


def test_samples_of_two_backends_are_not_compared(machine):
    # By cookie in the one, without in the other: nothing could be recognised, and "all are new" would be a lie.
    told = machine.looks(lambda: machine.tables(LISTEN_ROW.format(5) + HUNG_ROW.format(50002, 0, 22)))
    assert [found["persisted"] for found in told["stuck"]] == [None]
    assert [found["persisted"] for found in told["groups"]] == [None]
    assert [found["queue_before"] for found in told["accept_queues"]] == [None]


def test_a_first_sample_that_failed_is_none(machine):
    machine.kernel = Kernel(refused=NO_SOCK_DIAG)  # and the real /proc/net is not asked
    told = machine.looks(lambda: setattr(machine, "kernel", Kernel(SOCKS)), backend="sock_diag")
    assert (told["growth"], told["stuck"][0]["persisted"]) == (None, None)


def test_counters_that_were_seen_once_have_not_grown(machine):
    machine.files["/proc/net/netstat"] = "nothing of the kind"
    told = machine.looks(machine.files.clear)
    assert told["growth"]["counters"] == {}
    assert told["missing"] == []


# Listeners


def test_fullest_queues_first_then_by_port(machine):
    machine.kernel = Kernel(
        [
            Sock("listen", "0.0.0.0", 80, inode=1, rqueue=0, wqueue=128),
            Sock("listen", "0.0.0.0", 81, inode=1, rqueue=64, wqueue=128),
            Sock("listen", "0.0.0.0", 82, inode=1, rqueue=129, wqueue=128),
            Sock("listen", "0.0.0.0", 83, inode=1, rqueue=200, wqueue=4096),
            Sock("listen", "127.0.0.1", 22, inode=1, rqueue=0, wqueue=128),
            Sock("listen", "10.0.0.1", 22, inode=1, rqueue=0, wqueue=128),
            Sock("listen", "0.0.0.0", 84, inode=1, rqueue=1, wqueue=0),  # listen(0)
        ]
    )
    told = [(found["port"], found["address"]) for found in machine.look()["accept_queues"]]
    assert told == [
        (82, "0.0.0.0"),
        (84, "0.0.0.0"),
        (81, "0.0.0.0"),
        (83, "0.0.0.0"),
        (22, "10.0.0.1"),
        (22, "127.0.0.1"),
        (80, "0.0.0.0"),
    ]


def test_more_processes_than_are_told(machine):
    for pid in range(400, 410):
        machine.process(pid, "nginx", 1)
    told = machine.look()["accept_queues"][0]["processes"]
    assert [found["pid"] for found in told] == [NGINX, WORKER, 400]


def test_too_many_listeners_leave_the_fullest(machine):
    machine.kernel = Kernel(
        Sock("listen", "0.0.0.0", port, inode=1, rqueue=int(port > 900), wqueue=128) for port in range(1, 1001)
    )
    told = machine.look()
    assert [found["port"] for found in told["accept_queues"]] == [*range(901, 1001), *range(1, 101)]
    assert told["truncated"]["accept_queues"] == 800
    assert told["states"]["listen"] == 1000
    assert told["missing"] == [
        {"what": "listeners", "why": "1000 listen, the 200 with the fullest accept queues are told"}
    ]


def test_a_hidden_listener_has_its_cgroup(machine, monkeypatch):
    machine.node.process(500, "secret", [])
    folder = machine.node.proc / "500" / "fd"
    folder.mkdir()
    real = os.listdir
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(
        attribution.cgroup, "paths_by_id", lambda wanted: dict.fromkeys(wanted, "/system.slice/x.service")
    )

    def listdir(place):
        if isinstance(place, int) and os.readlink(f"/proc/self/fd/{place}") == str(folder):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(place)

    monkeypatch.setattr(os, "listdir", listdir)
    machine.kernel = Kernel([LISTENER, Sock("listen", "0.0.0.0", 22, inode=77, wqueue=128)])
    told = machine.look()
    hidden = {
        found["port"]: (found["processes"] != [], found["hidden"], found["cgroup"]) for found in told["accept_queues"]
    }
    # It is no secret which cgroup a listener is in whose process was seen, but that process tells more.
    assert hidden[22] == (False, True, "/system.slice/x.service")
    assert hidden[443][:2] == (True, False)
    assert told["missing"] == [
        {
            "what": "processes",
            "why": "1 socket has no visible process; the open files of 1 processes could not be read: run with become (-b)",
        }
    ]
    assert told["complete"] is False


# Whose sockets


def test_a_connection_that_came_in_and_one_that_went_out_by_the_same_port(machine):
    # 443 is a peer's port in the one and a local port in the other; both ends are on this machine.
    machine.kernel = Kernel(
        [
            LISTENER,
            Sock("established", "127.0.0.1", 443, "127.0.0.1", 50001, inode=11),
            Sock("established", "127.0.0.1", 50001, "127.0.0.1", 443, inode=21),
        ]
    )
    told = [(found["process"], found["local_port"], found["peer_port"]) for found in machine.look()["groups"]]
    assert told == [("kube-apiserver", None, 443), ("nginx", 443, None)]


def test_a_call_from_a_port_that_is_listened_on_went_out(machine):
    machine.kernel = Kernel(
        [LISTENER, Sock("syn_sent", "10.0.0.1", 443, "10.0.0.99", 179, inode=31, **syn_sent(0, 0, 1000, 1000))]
    )
    (found,) = machine.look()["groups"]
    assert (found["local_port"], found["peer_port"]) == (None, 179)


def test_processes_of_one_name_are_one_group(machine):
    machine.process(202, "nginx", 14)
    machine.kernel = Kernel(
        [
            LISTENER,
            *(Sock("established", "10.0.0.1", 443, "10.0.0.7", 40000 + inode, inode=inode) for inode in (11, 12, 14)),
        ]
    )
    (found,) = machine.look()["groups"]
    assert (found["process"], found["count"]) == ("nginx", 3)


def test_a_process_that_ends_after_it_was_seen_has_no_name(machine):
    machine.files[f"/proc/{BIRD}/comm"] = FileNotFoundError(errno.ENOENT, "No such file or directory")
    told = [(found["process"], found["pid"]) for found in machine.look()["stuck"] if found["state"] == "syn_sent"]
    assert told == [(None, BIRD)] * 2


def test_of_two_listeners_on_a_port_the_nearer_one_should_have_accepted(machine):
    machine.process(400, "deaf", 41)
    machine.process(401, "fine", 42)
    machine.kernel = Kernel(
        [
            Sock("listen", "10.0.0.2", 443, inode=41, wqueue=4),
            Sock("listen", "10.0.0.1", 443, inode=42, wqueue=4),
            Sock("close_wait", "10.0.0.2", 443, "10.0.0.8", 40005, rqueue=1, **close_wait(5000)),
        ]
    )
    told = machine.look()
    assert [(found["process"], found["pid"], found["cause"]) for found in told["stuck"]] == [
        ("deaf", 400, "never_accepted")
    ]
    assert [found["process"] for found in told["groups"]] == ["deaf"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("nginx", "nginx"), ("haproxy", None)],  # of two programs it is not known which one waits
)
def test_who_should_accept_what_nobody_holds(machine, name, expected):
    machine.process(400, name, 41)
    machine.kernel = Kernel(
        [
            Sock("listen", "10.0.0.1", 443, inode=1, wqueue=4),
            Sock("listen", "10.0.0.2", 443, inode=41, wqueue=4),
            Sock("established", "10.0.0.1", 443, "10.0.0.8", 40001),
            Sock("established", "10.0.0.2", 443, "10.0.0.8", 40002),
            # These nobody should hold any more.
            Sock("time_wait", "10.0.0.1", 443, "10.0.0.8", 40003),
            Sock("fin_wait2", "10.0.0.1", 50001, "10.0.0.8", 80),
        ]
    )
    told = {(found["state"], found["process"], found["count"]) for found in machine.look()["groups"]}
    assert told == {("established", expected, 2), ("time_wait", None, 1), ("fin_wait2", None, 1)}


def test_a_connection_to_a_port_of_which_the_listener_is_gone_came_in(machine):
    # The kernel drew the peer's port and not this one.
    machine.kernel = Kernel([Sock("established", "10.0.0.1", 8443, "10.0.0.8", 40001, inode=11)])
    (found,) = machine.look()["groups"]
    assert (found["process"], found["local_port"], found["peer_port"]) == ("nginx", 8443, None)


def test_hung_connections_of_a_listener_that_is_gone_are_one_group(machine):
    # Each by its peer's port would be a leak of one.
    machine.kernel = Kernel(
        Sock("close_wait", "10.0.0.1", 8443, "10.0.0.8", port, inode=11, **close_wait(70_000))
        for port in range(40000, 40050)
    )
    (found,) = machine.look()["groups"]
    assert (found["process"], found["local_port"], found["peer_port"], found["count"]) == ("nginx", 8443, None, 50)
    assert found["causes"] == {"never_read": 0, "leaked": 50, "never_accepted": 0}


def test_a_call_from_a_port_on_which_another_listens_elsewhere_went_out(machine):
    machine.kernel = Kernel(
        [
            Sock("listen", "127.0.0.1", 40000, inode=1, wqueue=4),
            Sock("established", "10.0.0.1", 40000, "10.0.0.20", 443, inode=21),
            Sock("close_wait", "10.0.0.1", 40000, "10.0.0.21", 443, inode=22, **close_wait(5000)),
        ]
    )
    told = machine.look()
    assert [(found["local_port"], found["peer_port"]) for found in told["groups"]] == [(None, 443)] * 2
    assert len(told["ephemeral"]["destinations"]) == 2


def test_bound_sockets_use_ports_up(machine):
    machine.kernel = Kernel([*SOCKS, Sock("bound", "0.0.0.0", 50008, inode=77)])
    told = machine.look()
    assert told["ephemeral"]["used"] == SECTION["ephemeral"]["used"] + 1
    assert told["states"] == SECTION["states"]


def test_ports_that_were_chosen_exhaust_no_destination(machine):
    machine.kernel = Kernel(Sock("established", "10.0.0.1", port, "10.0.0.20", 443, inode=21) for port in (8000, 32768))
    told = machine.look()
    assert [found["count"] for found in told["ephemeral"]["destinations"]] == [1]
    assert told["groups"][0]["count"] == 2


def test_hung_connections_of_a_listener_that_is_gone_have_no_cause(machine):
    machine.kernel = Kernel([Sock("close_wait", "10.0.0.1", 443, "10.0.0.8", 40005, rqueue=1, **close_wait(5000))])
    (found,) = machine.look()["stuck"]
    assert (found["cause"], found["process"], found["inode"], found["unread"]) == (None, None, None, 0)


@pytest.mark.parametrize(
    ("counts", "process"),
    [((1, 3), "kube-apiserver"), ((3, 1), "bird"), ((0, 2), "kube-apiserver"), ((0, 0), None)],
)
def test_a_destinations_process_is_who_holds_most_of_them(machine, counts, process):
    birds, servers = counts
    ports = iter(range(50000, 50100))
    inodes = [31] * birds + [21] * servers + [0] * 5  # and five in TIME-WAIT
    machine.kernel = Kernel(
        Sock("established" if inode else "time_wait", "10.0.0.1", next(ports), "10.0.0.20", 443, inode=inode)
        for inode in inodes
    )
    (told,) = machine.look()["ephemeral"]["destinations"]
    assert (told["count"], told["process"]) == (len(inodes), process)


def test_twenty_destinations(machine):
    machine.kernel = Kernel(
        Sock("established", "10.0.0.1", 50000 + number, f"10.0.1.{peer}", 443, inode=21)
        for peer in range(1, 41)
        for number in range(peer)
    )
    told = machine.look()["ephemeral"]
    assert [found["count"] for found in told["destinations"]] == list(range(40, 20, -1))
    assert told["used"] == 40


def test_an_unknown_range_of_ports_leaves_the_destinations(machine):
    machine.files["/proc/sys/net/ipv4/ip_local_port_range"] = "all of them"
    told = machine.look()
    assert told["ephemeral"] == {**SECTION["ephemeral"], "range": None, "available": None, "used": None}
    assert [gap["what"] for gap in told["missing"]] == ["/proc/sys/net/ipv4/ip_local_port_range"]


def test_processes_near_their_limit_of_open_files(machine):
    machine.process(501, "far", files=100)
    machine.process(502, "near", files=90)
    machine.process(503, "few", files=63)
    machine.process(504, "unlimited", files=200)
    machine.process(505, "gone", files=64)
    machine.write("502/limits", "Max open files 100 100 files\n")
    machine.write("504/limits", "Max open files unlimited unlimited files\n")
    machine.files["/proc/505/limits"] = machine.files["/proc/505/comm"] = ProcessLookupError(errno.ESRCH, "gone")
    told = machine.look()["limits"]["processes"]
    assert told[:2] == [
        {"pid": 502, "name": "near", "open": 90, "limit": 100},
        {"pid": 501, "name": "far", "open": 100, "limit": 1024},
    ]
    assert sorted((found["pid"], found["name"], found["limit"]) for found in told[2:]) == [
        (504, "unlimited", None),
        (505, None, None),
    ]


# What cannot be seen


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_no_time_leaves_the_sockets_and_says_what_it_lost(machine, seconds):
    told = Survey(Deadline(seconds)).finish(machine.holders(seconds))
    assert told["states"] == SECTION["states"]
    assert {found["process"] for found in told["groups"]} == {None}
    assert told["missing"] == [
        {
            "what": "processes",
            "why": "10 sockets have no visible process; the time budget ended before all processes were looked at: "
            "raise budget_seconds",
        }
    ]
    assert {found["hidden"] for found in told["accept_queues"]} == {True}


def test_in_a_container(machine, monkeypatch):
    monkeypatch.setattr(procfs, "in_host_pid_namespace", lambda _proc: False)
    machine.kernel = Kernel([*SOCKS, Sock("established", "10.0.0.1", 50001, "10.0.0.20", 443, inode=999)])
    (gap,) = machine.look()["missing"]
    assert (
        gap["why"] == "1 socket has no visible process; this is a container with its own pid namespace: run on the host"
    )


def test_a_socket_that_was_closed_before_its_holder_was_looked_for_is_no_hidden_one(machine, monkeypatch):
    monkeypatch.setattr(procfs, "in_host_pid_namespace", lambda _proc: False)
    closing = Sock("established", "10.0.0.1", 50001, "10.0.0.20", 443, inode=999)
    machine.kernel = Kernel([*SOCKS, closing])
    look = SocketHolders.look

    def looks_late(holders, *arguments):
        machine.kernel = Kernel(SOCKS)
        look(holders, *arguments)

    monkeypatch.setattr(SocketHolders, "look", looks_late)
    told = machine.look()
    assert told["missing"] == []
    # It is counted all the same, with nobody's name.
    assert told["states"]["established"] == SECTION["states"]["established"] + 1


GARBAGE = [
    OSError(errno.EIO, "Input/output error"),
    PermissionError(errno.EACCES, "no"),
    "",
    "\0\ufffd\x1b[31m",
    "9" * 5000,
]


@pytest.mark.parametrize("content", GARBAGE)
def test_every_file_is_garbage(machine, monkeypatch, content):
    real = machine._text

    def text(path, limit=65536):
        if isinstance(content, Exception):
            raise content
        return content if path.startswith(("/proc", str(machine.node.proc))) else real(path, limit)

    monkeypatch.setattr(procfs, "text", text)
    told = machine.looks()
    assert told["states"] == SECTION["states"]
    assert set(told["counters"].values()) == {None}
    limits = {name: value for name, value in told["limits"].items() if name != "processes" and value is not None}
    assert limits.keys() <= {"ip_local_reserved_ports"}  # any text is such a list, as far as it is told
    assert told["complete"] is False
    assert json.loads(json.dumps(told)) == told


def test_no_backend_answers(machine):
    machine.tables("no row\n")
    survey = Survey(Deadline(60))
    survey.first_sample()
    with pytest.raises(tcp_reader.ReaderError, match=r"^host: sock_diag: .*; procfs: not a row of /proc/net/tcp"):
        survey.finish(machine.holders())


# Network namespaces


class Inside(Namespace):
    """Another namespace, with a kernel and a folder in place of /proc/PID/net of its own."""

    def connect(self, protocol):
        return KERNELS[self.name].connect(protocol)


KERNELS = {}
POD_SOCKS = [
    Sock("listen", "0.0.0.0", 5000, inode=51, rqueue=1, wqueue=128, cookie=51),
    Sock("close_wait", "10.1.0.2", 5000, "10.0.0.7", 40001, rqueue=1, cookie=22, **close_wait(7000)),
]
REFUSED = netlink.NetlinkError(
    "the network namespace of process 7 could not be entered: Operation not permitted", errno.EPERM
)


@pytest.fixture
def pods(machine, monkeypatch):
    """Two namespaces besides our own: a pod's and one that is nobody's; returns what may be changed about them."""
    KERNELS.clear()
    KERNELS.update(
        {"4026532281": Kernel(POD_SOCKS), "4026532300": Kernel([Sock("established", "fd00::1", 1, "fd00::2", 2)])}
    )
    machine.process(70, "pause")
    machine.process(71, "app", 51)
    for pid in (70, 80):
        machine.write(f"{pid}/net/netstat", "TcpExt: ListenOverflows\nTcpExt: 3\n")
    found = SimpleNamespace(
        others=[Inside("4026532281", 70, CONTAINER, POD_UID), Inside("4026532300", 80, None, None)], missing=[]
    )
    monkeypatch.setattr(net_namespaces, "others", lambda _deadline: (list(found.others), list(found.missing)))
    return found


def namespaces(section):
    return [(found["netns"], found["sockets"]) for found in section["namespaces"]]


@pytest.mark.usefixtures("pods")
def test_the_host_alone(machine):
    assert namespaces(machine.look()) == [("host", 14)]


@pytest.mark.usefixtures("pods")
def test_all_namespaces(machine):
    told = machine.looks(netns="all")
    assert namespaces(told) == [("host", 14), ("4026532281", 2), ("4026532300", 1)]
    pod = told["namespaces"][1]
    assert (pod["pid"], pod["container_id"], pod["pod_uid"]) == (70, CONTAINER, POD_UID)
    assert pod["counters"] == {**dict.fromkeys(GROWING), "ListenOverflows": 3}
    assert told["states"]["listen"] == 3
    found = [found for found in told["groups"] if found["netns"] == "4026532281"]
    # Nobody accepts: the pod's own listener is to blame, and no first sample was taken there.
    assert [(group["process"], group["local_port"], group["persisted"]) for group in found] == [("app", 5000, None)]
    assert [(queue["netns"], queue["queue_before"]) for queue in told["accept_queues"] if queue["port"] == 5000] == [
        ("4026532281", None)
    ]
    # These are told of the host alone, so nobody else is asked for what is bound and nothing else.
    assert all(states != 1 << 13 for _extensions, states in KERNELS["4026532281"].heard)
    assert told["counters"] == COUNTERS
    assert told["ephemeral"]["used"] == 6
    assert told["growth"]["states"] == {"syn_sent": 0, "close_wait": 0}


@pytest.mark.usefixtures("pods")
def test_pods_alone(machine):
    told = machine.looks(netns="pods")
    assert namespaces(told) == [("4026532281", 2)]
    assert (told["ephemeral"], told["growth"], told["netns"]) == (None, None, "pods")
    assert told["states"]["established"] == 0


def test_no_pods(machine, pods):
    del pods.others[0]
    told = machine.look(netns="pods")
    assert (told["namespaces"], told["groups"], told["accept_queues"], told["backend"]) == ([], [], [], None)
    assert set(told["states"].values()) == {0}
    assert told["complete"] is True


def test_hidden_namespaces_are_missing(machine, pods):
    pods.missing = [
        {"what": "network namespaces", "why": "those of 2 processes could not be seen: run with become (-b)"}
    ]
    told = machine.look(netns="all")
    assert told["missing"] == pods.missing
    assert told["complete"] is False


@pytest.mark.usefixtures("pods")
def test_a_namespace_that_may_not_be_entered_is_read_by_proc(machine):
    KERNELS["4026532281"] = Kernel(refused=REFUSED)
    machine.tables("")
    machine.kernel = Kernel(SOCKS)
    machine.write("70/net/tcp", "heading\n" + LISTEN_ROW.format(1).replace(" 1 1 0 100", " 51 1 0 100"))
    told = machine.look(netns="all")
    assert told["backend"] == "sock_diag"
    assert ("4026532281", 1) in namespaces(told)
    listener = next(found for found in told["accept_queues"] if found["netns"] == "4026532281")
    assert (listener["backlog"], [found["name"] for found in listener["processes"]]) == (None, ["app"])
    why = f"the backend procfs does not show them; sock_diag would, and did not answer (sock_diag: {REFUSED})"
    assert told["missing"] == [{"what": "backlog", "why": why}, {"what": "age of close_wait", "why": why}]


@pytest.mark.usefixtures("pods")
def test_a_namespace_that_cannot_be_read_at_all_is_missing(machine):
    KERNELS["4026532281"] = Kernel(refused=REFUSED)
    machine.tables("")
    machine.kernel = Kernel(SOCKS)  # and there is no /proc/70/net/tcp
    told = machine.look(netns="all")
    assert namespaces(told) == [("host", 14), ("4026532300", 1)]
    (gap,) = told["missing"]
    assert gap["what"] == "network namespaces"
    assert gap["why"].startswith(f"4026532281: sock_diag: {REFUSED}; procfs: ")


def test_many_that_may_not_be_entered_are_one_gap(machine, pods):
    """As without ctypes: a thousand reasons that differ by a pid would be longer than all else."""
    pods.others = [Inside(str(number), number, None, None) for number in range(1000, 2000)]
    for namespace in pods.others:
        refused = netlink.NetlinkError(
            f"the network namespace of process {namespace.pid} could not be entered: no ctypes"
        )
        KERNELS[namespace.name] = Kernel(refused=refused)
        machine.write(f"{namespace.pid}/net/tcp", "heading\n")
    machine.tables("")
    machine.kernel = Kernel(SOCKS)
    told = machine.look(netns="all")
    assert [gap["what"] for gap in told["missing"]] == [
        "backlog",
        "age of close_wait",
        "counters of network namespaces",
    ]
    assert "the same in 999 more network namespaces" in told["missing"][0]["why"]
    assert told_bytes(told) < tcp_states.BYTES_LIMIT


def test_many_that_cannot_be_read_are_told_in_part(machine, pods):
    refused = Kernel(refused=REFUSED)
    KERNELS.update({str(number): refused for number in range(100)})
    pods.others = [Inside(str(number), 70, None, None) for number in range(100)]
    machine.tables("")
    machine.kernel = Kernel(SOCKS)
    (gap,) = machine.look(netns="all")["missing"]
    assert len(gap["why"]) < 1000


@pytest.mark.usefixtures("pods")
def test_our_own_namespace_cannot_be_read_and_others_can(machine):
    machine.tables("no row\n")
    told = machine.looks(netns="all")
    assert namespaces(told) == [("4026532281", 2), ("4026532300", 1)]
    assert (told["ephemeral"], told["growth"]) == (None, None)
    assert [gap["what"] for gap in told["missing"]] == ["network namespaces", "growth"]
    assert told["missing"][0]["why"].startswith("host: sock_diag: ")
    assert told["missing"][1]["why"].startswith("the first sample could not be taken: ")


@pytest.mark.usefixtures("pods")
def test_the_budget_ends_between_namespaces(machine):
    told = Survey(Deadline(0), netns="all").finish(machine.holders())
    assert namespaces(told) == [("host", 14)]
    assert {"what": "network namespaces", "why": "the time budget ended: raise budget_seconds"} in told["missing"]


def test_more_namespaces_than_are_told(machine, pods):
    KERNELS.update(
        {str(number): Kernel([Sock("established", "10.0.0.1", 1, "10.0.0.2", 2)] * number) for number in range(1, 251)}
    )
    pods.others = [Inside(str(number), 70, None, None) for number in range(1, 251)]
    told = machine.look(netns="all")
    assert [found["sockets"] for found in told["namespaces"]] == list(range(250, 50, -1))
    assert told["truncated"]["namespaces"] == 51
    assert told["states"]["established"] == sum(range(1, 251)) + 5


# However large


class Everybody(SocketHolders):
    """Holders of every inode, one process for a thousand sockets."""

    def __init__(self, inodes):
        super().__init__(Deadline(60))
        self.inodes = inodes

    def look(self, _inodes=()):
        self.first = {inode: 1000 + inode // 1000 for inode in self.inodes}
        self.open_files = dict.fromkeys(self.first.values(), 5000)


@pytest.fixture
def hostile(machine, monkeypatch):
    """Processes with names and units as long and as odd as the kernel allows."""

    def text(path, limit=65536):
        if path.endswith("/comm"):
            return (path.split("/")[2] + "\x01" * 15)[:15]
        if path.endswith("/cgroup"):
            return f"0::/kubepods/pod{POD_UID}/{CONTAINER}/" + "\x7f\ufffd" * 100 + ".service\n"
        return machine._text(path, limit)

    monkeypatch.setattr(procfs, "text", text)
    machine.write("sys/net/ipv4/ip_local_reserved_ports", ",".join(str(port) for port in range(1, 65535, 2)))
    return machine


def assert_sums(section):
    """What is told and what is left out are together all there is."""
    left_out = section["other_groups"]["sockets"]
    in_groups = sum(group["count"] for group in section["groups"])
    assert in_groups + left_out == sum(section["states"].values()) - section["states"]["listen"]
    assert len(section["accept_queues"]) + section["truncated"]["accept_queues"] == section["states"]["listen"]


def test_a_hundred_thousand_sockets(hostile):
    states = ["established"] * 16 + ["close_wait"] * 2 + ["syn_sent"] * 2
    hostile.kernel = Kernel(
        Sock(
            states[number % 20],
            f"fd00::{number % 200 + 1:x}",
            number % 60_000 + 1,
            f"fd00:1::{number >> 16:x}:{number & 65535:x}",
            number % 3000 + 1,
            inode=number + 1,
            cookie=number,
        )
        for number in range(100_000)
    )
    survey = Survey(Deadline(60), top=1000)
    survey.first_sample()
    told = survey.finish(Everybody(range(1, 100_001)))
    assert told["states"]["established"] == 80_000
    assert told_bytes(told) <= tcp_states.BYTES_LIMIT
    assert_sums(told)
    assert told["groups"][0]["state"] in ("close_wait", "syn_sent")
    assert told["stuck"]


def test_every_port_has_a_listener(hostile):
    hostile.kernel = Kernel(
        Sock("listen", f"fd00::{port:x}", port, "::", inode=port, rqueue=port % 130, wqueue=128, cookie=port)
        for port in range(1, 65_536)
    )
    survey = Survey(Deadline(60))
    survey.first_sample()
    told = survey.finish(Everybody(range(1, 65_536)))
    assert told["states"]["listen"] == 65_535
    assert [gap["what"] for gap in told["missing"]] == ["listeners"]
    assert told["accept_queues"][0]["queue"] == 129
    assert told_bytes(told) <= tcp_states.BYTES_LIMIT
    assert_sums(told)
    assert told["ephemeral"]["used"] == 28_232


@pytest.mark.parametrize("top", [100, 100_000])
@pytest.mark.parametrize("ports", [1, 90])
def test_whatever_top_is_the_answer_is_bounded(hostile, top, ports):
    hostile.kernel = Kernel(
        Sock("established", "fd00::1", 40_000, f"fd00:1::{number + 1:x}", number % ports + 1, inode=7)
        for number in range(20_000)
    )
    told = Survey(Deadline(60), top=top).finish(None)
    assert told_bytes(told) <= tcp_states.BYTES_LIMIT
    assert len(told["groups"]) >= min(ports, 10)
    assert_sums(told)


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_as_it_was_before(machine, enabled):
    machine.kernel = Kernel(SOCKS)
    (gc.enable if enabled else gc.disable)()
    try:
        machine.look()
        assert gc.isenabled() is enabled
        machine.kernel = Kernel(refused=REFUSED)
        machine.tables("no row\n")
        with pytest.raises(tcp_reader.ReaderError):
            machine.look()
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
