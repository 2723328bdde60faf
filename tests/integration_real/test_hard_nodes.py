# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collectors on a node that makes it hard: no root, no sock_diag, too many sockets, strange names, a server that hangs."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    listeners,
    netlink,
    nodeport_sockets,
    sock_diag,
    sockets,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import ad_hoc, needs_stage
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import in_fresh_netns, ip, needs_root
from ansible_collections.kubenode.doctor.tests.integration_real.real_process import (
    LIBC,
    NOBODY,
    answer_of,
    become,
    rename,
    running,
)
from ansible_collections.kubenode.doctor.tests.support.stage import Stage

pytestmark = needs_root

PORT = 36527
PR_CAPBSET_DROP, CAP_SYS_PTRACE = 24, 19
CLONE_NEWNS, MS_PRIVATE_REC = 0x20000, 1 << 18 | 1 << 14
# A hang is minutes; this only has to be less.
SOON = 60


def listen(address="127.0.0.1", port=PORT):
    return socket.create_server((address, port))


def collect(**options):
    return listeners.collect(SocketHolders(Deadline(60)), **options)


# --- what the kernel holds on a port, in whatever state


def connections():
    ip("link", "add", "nd0", "type", "veth", "peer", "name", "nd1")
    ip("addr", "add", "10.77.0.1/24", "dev", "nd0")
    ip("link", "set", "nd1", "up")
    ip("link", "set", "nd0", "up")
    server = listen("10.77.0.1", 9999)
    held, closed = (
        socket.create_connection(("10.77.0.1", 9999), source_address=("10.77.0.1", port)) for port in (30001, 30002)
    )
    ends = [server.accept()[0] for _number in range(2)]
    closed.close()
    assert ends[1].recv(1) == b""
    ends[1].close()
    dialling = socket.socket()
    dialling.bind(("10.77.0.1", 30003))
    dialling.setblocking(False)
    dialling.connect_ex(("10.77.0.99", 179))
    bound, datagram = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("0.0.0.0", 30004))
    datagram.bind(("10.77.0.1", 30005))
    datagram.connect(("10.77.0.1", 53))
    section = nodeport_sockets.collect(SocketHolders(Deadline(60)), range(30000, 32768))
    del held
    return {"pid": os.getpid(), **section}


def test_sockets_in_every_state_are_seen():
    told = in_fresh_netns(connections)
    seen = {
        entry["port"]: (entry["protocol"], entry["state"], entry["peer"], entry["peer_port"])
        for entry in told["sockets"]
    }
    expected = {
        30001: ("tcp", "established", "10.77.0.1", 9999),
        30002: ("tcp", "time_wait", "10.77.0.1", 9999),
        30003: ("tcp", "syn_sent", "10.77.0.99", 179),
        30005: ("udp", "established", "10.77.0.1", 53),
    }
    if sock_diag.shows_bound_sockets():
        expected[30004] = ("tcp", "bound", None, None)
    assert seen == expected
    for entry in told["sockets"]:
        holders = [process["pid"] for process in entry["processes"]]
        assert holders == ([] if entry["state"] == "time_wait" else [told["pid"]])
        assert entry["hidden"] is False


# --- processes: false


def listings_of_open_files(processes):
    listed = []

    def hear(event, arguments):
        if event == "open" and re.fullmatch(r"/proc/\d+/fd", str(arguments[0])):
            listed.append(arguments[0])

    with contextlib.closing(listen()), running(lambda: listen(port=PORT + 1)) as child:
        sys.addaudithook(hear)
        section = listeners.collect(SocketHolders(Deadline(60)) if processes else None)
        return {"listed": listed, "child": child, "found": len(section["listeners"])}


def test_without_processes_no_open_files_are_looked_at():
    assert in_fresh_netns(listings_of_open_files, False)["listed"] == []


def test_with_processes_each_process_is_looked_at_once():
    told = in_fresh_netns(listings_of_open_files, True)
    assert told["found"] == 2
    assert f"/proc/{told['child']}/fd" in told["listed"]
    assert len(told["listed"]) == len(set(told["listed"]))


# --- without the rights


def as_nobody():
    become(NOBODY)
    return collect()


def as_nobody_where_proc_hides_others():
    assert LIBC.unshare(CLONE_NEWNS) == 0
    assert LIBC.mount(b"none", b"/", None, MS_PRIVATE_REC, None) == 0
    if LIBC.mount(b"proc", b"/proc", b"proc", 0, b"hidepid=2") != 0:
        raise OSError(ctypes.get_errno(), "mount /proc")
    become(NOBODY)
    return collect()


def as_root_without_ptrace():
    # What a container of root has: files of other processes are listed, and not shown.
    assert LIBC.prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0) == 0
    program = (
        "import json; from ansible_collections.kubenode.doctor.plugins.module_utils import listeners; "
        "from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline; "
        "from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders; "
        "print(json.dumps(listeners.collect(SocketHolders(Deadline(60)))))"
    )
    # exec takes the right away.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env=environment)
    return json.loads(done.stdout)


def seen_by(action):
    with running(listen, name=b"kubelet"):
        return answer_of(action)


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (as_nobody, "could not be read: run with become (-b)"),
        (as_nobody_where_proc_hides_others, "processes of other users need root to be seen: run with become (-b)"),
        (as_root_without_ptrace, "could not be read: run as root that has CAP_SYS_PTRACE"),
    ],
)
def test_without_the_rights_the_socket_is_there_and_its_owner_said_to_be_hidden(action, why):
    section = in_fresh_netns(seen_by, action)
    (entry,) = section["listeners"]
    assert (entry["address"], entry["port"], entry["uid"], entry["backlog"]) == ("127.0.0.1", PORT, 0, 128)
    assert (entry["processes"], entry["hidden"]) == ([], True)
    assert section["complete"] is False
    (gap,) = [gap for gap in section["missing"] if gap["what"] == "processes"]
    assert gap["why"].startswith("1 socket has no visible process; ")
    assert gap["why"].endswith(why)


def test_with_them_the_same_socket_has_an_owner():
    (entry,) = in_fresh_netns(seen_by, collect)["listeners"]
    assert [process["name"] for process in entry["processes"]] == ["kubelet"]
    assert entry["hidden"] is False


# --- many


def fork_server(workers):
    with contextlib.closing(listen()), contextlib.ExitStack() as stack:
        # Each child inherits the listener.
        pids = [stack.enter_context(running(lambda: None)) for _number in range(workers)]
        return {"pids": [os.getpid(), *pids], "listeners": collect()["listeners"]}


@pytest.mark.parametrize("workers", [3, 25])
def test_a_fork_server_is_one_listener_of_many_processes(workers):
    told = in_fresh_netns(fork_server, workers)
    (entry,) = told["listeners"]
    assert [process["pid"] for process in entry["processes"]] == sorted(told["pids"])[:20]


def many(count):
    limit = count + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    held = [listen("127.0.0.1", 10000 + number) for number in range(count)]
    section = collect()
    judged = nodeport_sockets.collect(SocketHolders(Deadline(60)), range(10000, 10000 + count))
    for each in held:
        each.close()
    return {"listen_ports": section, "nodeport_conflict": judged}


def test_thousands_of_listeners_are_cut_and_counted():
    told = in_fresh_netns(many, sockets.LIMIT + 100)
    section = told["listen_ports"]
    assert [entry["port"] for entry in section["listeners"]] == list(range(10000, 10000 + sockets.LIMIT))
    assert section["truncated"] == 100
    assert {"what": "listeners", "why": f"{sockets.LIMIT + 100} found, the first {sockets.LIMIT} kept"} in section[
        "missing"
    ]
    judged = told["nodeport_conflict"]
    assert len(judged["sockets"]) + judged["truncated"] == sockets.LIMIT + 100
    for part in told.values():
        assert part["complete"] is False


# --- without sock_diag


def refused(number):
    real = socket.socket

    def refusing(family=-1, *arguments, **options):
        if family == socket.AF_NETLINK:
            raise OSError(number, os.strerror(number))
        return real(family, *arguments, **options)

    with contextlib.closing(listen()):
        netlink.socket.socket = refusing
        return collect()


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EPERM, errno.EPROTONOSUPPORT])
def test_without_netlink_proc_net_answers(number):
    section = in_fresh_netns(refused, number)
    assert section["backend"] == "procfs"
    assert [(entry["port"], entry["backlog"]) for entry in section["listeners"]] == [(PORT, None)]
    assert [gap["what"] for gap in section["missing"]] == ["backlog, v6only", "bound sockets"]


def without_module():
    # A protocol without a diag module, asked of the real kernel: as TCP is where tcp_diag is not built.
    sock_diag._PROTOCOLS["tcp"] = 253  # for experiments (RFC 3692): nothing is loaded for it
    with contextlib.closing(listen()):
        return {"section": collect(), "alone": refusal_of("sock_diag")}


def refusal_of(backend):
    try:
        return collect(backend=backend)
    except sockets.SocketsError as error:
        return str(error)


def test_a_kernel_without_tcp_diag_does_not_look_like_a_node_without_listeners():
    told = in_fresh_netns(without_module)
    assert told["section"]["backend"] == "procfs"
    assert [entry["port"] for entry in told["section"]["listeners"]] == [PORT]
    assert "this kernel has no tcp_diag or udp_diag" in told["section"]["missing"][0]["why"]
    assert told["alone"] == "sock_diag: this kernel has no tcp_diag or udp_diag"


# --- a program that hangs on kube-proxy's port


def garbage(connection):
    connection.sendall(os.urandom(4096))


def endless(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b"x" * 65536)


def dripping(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b"X-Again: yes\r\n")
            time.sleep(0.1)


def hanging(_connection):
    time.sleep(3600)


def serving(behave):
    server = listen("127.0.0.1", 10249)

    def serve():
        while True:
            connection, _peer = server.accept()
            threading.Thread(target=behave, args=[connection], daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return server


def asked(behave):
    with running(lambda: serving(behave), name=b"kube-proxy"):
        started = time.monotonic()
        section = nodeport_sockets.collect(SocketHolders(Deadline(60)), [PORT])
        return {"seconds": time.monotonic() - started, **section}


def not_accepting():
    with running(lambda: listen("127.0.0.1", 10249), name=b"kube-proxy"):
        started = time.monotonic()
        section = nodeport_sockets.collect(SocketHolders(Deadline(60)), [PORT])
        return {"seconds": time.monotonic() - started, **section}


@pytest.mark.parametrize("behave", [garbage, endless, dripping, hanging, None])
def test_a_kube_proxy_that_answers_nothing_useful_costs_seconds(behave):
    told = in_fresh_netns(asked, behave) if behave else in_fresh_netns(not_accepting)
    assert told["seconds"] < SOON
    assert told["complete"] is False
    proxy = told["proxy"]
    assert (proxy["program"], proxy["mode"], proxy["nodeport_addresses"]) == ("kube-proxy", None, None)
    assert {gap["what"] for gap in proxy["missing"]} == {"kube-proxy mode", "kube-proxy configuration"}
    assert all(len(gap["why"]) < 400 for gap in proxy["missing"])


# --- names, through Ansible


NAMES = [
    b"{{ 7 * 7 }}",
    b"{% raw %}x",
    b"a\nb\tc",
    b"\x1b[31mred",
    b"\xff\xfe\x80",
    b'"; touch x "',
    b"100%s",
    b"!unsafe x",
]


@needs_stage
def test_names_of_processes_are_told_and_nothing_else(tmp_path):
    with Stage(tmp_path) as stage, contextlib.ExitStack() as stack:
        node = stage.node("node", "192.0.2.3")
        expected = {}
        for offset, name in enumerate(NAMES):
            stack.enter_context(running(lambda offset=offset: inside(node.namespace, 20000 + offset), name=name))
            expected[20000 + offset] = name.decode("utf-8", "replace")
        succeeded, result = ad_hoc(stage.inventory(), "node", "listen_ports", processes=True)
    assert succeeded, result
    told = {entry["port"]: entry["processes"][0]["name"] for entry in result["listeners"] if entry["state"] == "listen"}
    assert told == expected


def inside(namespace, port):
    with open(f"/run/netns/{namespace}") as place:
        assert LIBC.setns(place.fileno(), 0) == 0
    return listen("127.0.0.1", port)


def renamed():
    rename(b"{{ 1 }}")
    return [entry["processes"] for entry in kept_listener()]


def kept_listener():
    with contextlib.closing(listen()):
        return collect()["listeners"]


def test_a_process_may_list_itself():
    ((process,),) = in_fresh_netns(renamed)
    assert process["name"] == "{{ 1 }}"
