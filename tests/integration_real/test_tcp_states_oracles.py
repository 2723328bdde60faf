# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcp_states beside ss: the same sockets in every state, both families and other network namespaces, with and without sock_diag."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from threading import Thread
from unittest import mock

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_states import Survey
from ansible_collections.kubenode.doctor.tests.integration_real import tcp_scene
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import needs_ss
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import CLONE_NEWNET, ip, needs_root
from ansible_collections.kubenode.doctor.tests.integration_real.real_process import LIBC, rename, running
from ansible_collections.kubenode.doctor.tests.integration_real.tcp_scene import (
    UNREAD,
    Maker,
    alone,
    dialled,
    groups,
    groups_of,
    listening,
    ss,
    states,
)
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

pytestmark = [needs_root, needs_ss]

BACKENDS = ["sock_diag", "procfs"]
V4, MAPPED, V6, DEAF = 7001, 7002, 7003, 7004
# How often each is made: rarely equal, so that none can be taken for another.
MADE = {
    V4: {"established": 3, "half_closed": 2, "fin_wait1": 3, "closing": 4, "last_ack": 5, "time_wait": 6},
    MAPPED: {"established": 4, "never_read": 2, "time_wait": 1},
    V6: {"established": 5, "leaked": 3, "time_wait": 2},
}
LATE_LEAKS = 4  # between the two samples
STAYED, GONE = 4, 3  # of the clients of the listener that never accepts
DEAD = {"10.77.0.100": 5, "fd00:77::100": 2}
POD_ADDRESS, POD_CALLS = "10.77.0.2", 8
POD_UID, CONTAINER = "909a2aa1-bf6a-4a8c-a274-3180ea640fb1", "6c" * 32
LEAKS = MADE[V6]["leaked"] + LATE_LEAKS
EXPECTED = {
    "listen": 4,
    # Both ends; the servers of fin_wait1; both ends of what waits to be accepted
    "established": 2 * (3 + 4 + 5) + 3 + 2 * STAYED,
    "syn_sent": sum(DEAD.values()),
    "syn_recv": POD_CALLS,
    "fin_wait1": 3,
    # The clients of half_closed and last_ack, the servers of closing, and the other end of every CLOSE-WAIT below but half_closed's
    "fin_wait2": 2 + 5 + 4 + 2 + LEAKS + GONE,
    "time_wait": 6 + 1 + 2,
    "close_wait": 2 + 2 + LEAKS + GONE,
    "last_ack": 5,
    "closing": 4,
}


def look():
    """Make the scene; return what every way of looking says of it."""
    rename(b"maker")
    with (
        running(lambda: listening("0.0.0.0", DEAF), name=b"deaf"),
        tcp_scene.cgroup(f"kubepods-{time.time_ns()}/pod{POD_UID}/{CONTAINER}") as members,
        running(lambda: LIBC.unshare(CLONE_NEWNET), name=b"pause") as pod,
    ):
        members.write_text(str(pod))
        in_pod = ("nsenter", "-t", str(pod), "-n")
        wire(pod, in_pod)
        makers = make()
        dial_from(in_pod)
        surveys = {backend: begun(backend) for backend in BACKENDS}
        for _number in range(LATE_LEAKS):
            makers[V6].leaked()
        settle()
        return {
            "pod": str(os.stat(f"/proc/{pod}/ns/net").st_ino),
            "ss": ss(),
            "host": {backend: finished(surveys[backend]) for backend in BACKENDS},
            "all": {backend: finished(begun(backend, "all")) for backend in BACKENDS},
            "pods": finished(begun("auto", "pods")),
            "without sock_diag": without_sock_diag(),
            "ss in the pod": ss(*in_pod),
            "ss at the end": ss(),
        }


def wire(pod, in_pod):
    """Connect both namespaces. What goes from here to the pod, and to some addresses that do not exist, is lost."""
    ip("link", "add", "nd0", "type", "veth", "peer", "name", "nd1", "netns", str(pod))
    for words in ("addr add 10.77.0.1/24 dev nd0", "addr add fd00:77::1/64 dev nd0 nodad", "link set nd0 up"):
        ip(*words.split())
    for words in (f"addr add {POD_ADDRESS}/24 dev nd1", "link set nd1 up"):
        subprocess.run([*in_pod, "ip", *words.split()], check=True)
    for address in (*DEAD, POD_ADDRESS):
        ip("neigh", "replace", address, "lladdr", "02:00:00:00:00:01", "dev", "nd0", "nud", "permanent")


def make():
    """Make everything that one process can make."""
    makers = {
        V4: Maker(listening("0.0.0.0", V4), "127.0.0.1"),
        MAPPED: Maker(listening("::", MAPPED), "::ffff:127.0.0.1"),
        V6: Maker(listening("::1", V6), "::1"),
    }
    for port, verbs in MADE.items():
        for verb, times in verbs.items():
            for _number in range(times):
                getattr(makers[port], verb)()
    kept = makers[V4].kept
    kept += [dialled(address, 179) for address, times in DEAD.items() for _number in range(times)]
    kept += [socket.create_connection(("127.0.0.1", DEAF)) for _number in range(STAYED)]
    for _number in range(GONE):
        socket.create_connection(("127.0.0.1", DEAF)).close()
    return makers


def dial_from(in_pod):
    """Let a program in the pod call us, and never hear an answer: SYN-SENT there, SYN-RECV here."""
    script = PROJECT / "tests" / "support" / "tcp_states_maker.py"
    words = ["dialler", "dial", f"10.77.0.1:{V4}", "--count", str(POD_CALLS)]
    program = subprocess.Popen([*in_pod, sys.executable, str(script), *words], stdout=subprocess.PIPE, text=True)
    assert program.stdout.readline() == "ready\n"


def settle():
    """Wait until the last packets have arrived: the acknowledgement of a FIN may be delayed."""
    deadline = time.monotonic() + 10
    while states(ss()) != EXPECTED and time.monotonic() < deadline:
        time.sleep(0.02)


def begun(backend, netns="host"):
    survey = Survey(Deadline(60), netns, backend)
    survey.first_sample()
    return survey


def finished(survey):
    return survey.finish(SocketHolders(Deadline(60)))


def without_sock_diag():
    # A protocol that no kernel has: what opening a socket of sock_diag's says where that is missing.
    with mock.patch.object(netlink, "NETLINK_SOCK_DIAG", 31):
        return finished(begun("auto"))


@pytest.fixture(scope="module")
def seen():
    return alone(look)


@pytest.fixture(params=BACKENDS)
def section(seen, request):
    return seen["host"][request.param]


def test_the_witness_sees_what_was_made_from_the_first_look_to_the_last(seen):
    assert states(seen["ss"]) == EXPECTED
    assert groups(seen["ss at the end"]) == groups(seen["ss"])
    assert states(seen["ss in the pod"]) == {**dict.fromkeys(EXPECTED, 0), "syn_sent": POD_CALLS}


def test_states(section):
    assert section["states"] == EXPECTED


def test_groups_with_processes_ports_and_peers(seen, section):
    assert groups_of(section) == groups(seen["ss"])
    for group in section["groups"]:
        assert group["count"] == sum(peer["count"] for peer in group["top_peers"])
        assert group["peers"] == len(group["top_peers"])
    assert section["other_groups"] == {"groups": 0, "sockets": 0}


def test_accept_queues(seen, section):
    expected = sorted(
        [row["port"], row["address"], *row["queues"], row["process"]] for row in seen["ss"] if row["state"] == "listen"
    )
    assert [DEAF, "0.0.0.0", STAYED + GONE, 128, "deaf"] in expected
    for row in expected:
        row[1] = row[1].replace("*", "::")
        if section["backend"] == "procfs":
            row[3] = None
    told = [
        [queue["port"], queue["address"], queue["queue"], queue["backlog"], queue["processes"][0]["name"]]
        for queue in section["accept_queues"]
    ]
    assert sorted(told) == expected


def test_what_keeps_connections_in_close_wait(section):
    causes = {
        (group["process"], group["local_port"], group["peer_port"]): {
            cause: count for cause, count in group["causes"].items() if count
        }
        for group in section["groups"]
        if group["state"] == "close_wait"
    }
    assert causes == {
        ("maker", V4, None): {"never_read": MADE[V4]["half_closed"]},
        ("maker", None, MAPPED): {"never_read": MADE[MAPPED]["never_read"]},
        ("maker", None, V6): {"leaked": LEAKS},
        ("deaf", DEAF, None): {"never_accepted": GONE},
    }


def test_unread_bytes_are_those_without_the_end(section):
    unread = Counter(
        (stuck["peer_port"], stuck["unread"]) for stuck in section["stuck"] if stuck["cause"] == "never_read"
    )
    assert unread[MAPPED, len(UNREAD)] == MADE[MAPPED]["never_read"]
    assert sum(unread.values()) == MADE[MAPPED]["never_read"] + MADE[V4]["half_closed"]


def test_what_was_there_in_the_first_sample(section):
    persisted = {
        (group["state"], group["local_port"], group["peer_port"]): (group["count"], group["persisted"])
        for group in section["groups"]
        if group["state"] in ("syn_sent", "close_wait")
    }
    assert persisted == {
        ("syn_sent", None, 179): (EXPECTED["syn_sent"], EXPECTED["syn_sent"]),
        ("close_wait", V4, None): (2, 2),
        ("close_wait", None, MAPPED): (2, 2),
        ("close_wait", None, V6): (LEAKS, LEAKS - LATE_LEAKS),
        ("close_wait", DEAF, None): (GONE, GONE),
    }
    assert section["growth"]["states"] == {"syn_sent": 0, "close_wait": LATE_LEAKS}


def test_every_network_namespace_by_every_backend(seen):
    for section in seen["all"].values():
        assert {namespace["netns"] for namespace in section["namespaces"]} == {"host", seen["pod"]}
        assert groups_of(section) == groups(seen["ss"])
        assert groups_of(section, seen["pod"]) == groups(seen["ss in the pod"])
        in_pod = states(seen["ss in the pod"])
        assert section["states"] == {state: count + in_pod[state] for state, count in EXPECTED.items()}


def test_pods_only(seen):
    (namespace,) = seen["pods"]["namespaces"]
    assert (namespace["netns"], namespace["pod_uid"], namespace["container_id"]) == (seen["pod"], POD_UID, CONTAINER)
    assert seen["pods"]["states"] == states(seen["ss in the pod"])
    assert groups_of(seen["pods"]) == {}


def test_a_kernel_without_sock_diag(seen):
    told, expected = seen["without sock_diag"], seen["host"]["procfs"]
    assert told["backend"] == "procfs"
    assert told["states"] == EXPECTED
    assert groups_of(told) == groups_of(expected)
    (why,) = [gap["why"] for gap in told["missing"] if gap["what"] == "backlog"]
    assert "no netlink socket of protocol 31: Protocol not supported" in why


GROWING, SHRINKING = 7101, 7102
POOL = 80  # pairs to each destination
STEP_SECONDS = 0.01
LOOKS = 2


def look_at_traffic():
    """Look several times at connections that only grow in number, others that only end, and what these leave: ss, we, ss."""
    looks = []
    with running(in_background(grow), name=b"grower"), running(in_background(shrink), name=b"shrinker"):
        for backend in BACKENDS * LOOKS:
            before = in_traffic(ss())
            section = finished(begun(backend))
            looks.append([before, counts(section), in_traffic(ss())])
    return looks


def in_background(work):
    """What starts work(*work()) in a thread, once work() has prepared it."""

    def start():
        steps = work()
        next(steps)
        thread = Thread(target=list, args=(steps,), daemon=True)
        thread.start()

    return start


def grow():
    makers = makers_of(GROWING)
    yield
    for maker in itertools.cycle(makers):
        maker.pair()
        time.sleep(STEP_SECONDS)


def shrink():
    makers = makers_of(SHRINKING)
    pairs = [maker.pair() for maker in makers * POOL]
    yield
    for client, server in pairs:
        server.close()
        client.close()
        time.sleep(STEP_SECONDS)


def makers_of(port):
    """Several destinations: the search for a local port is slow once many are used to one, and busy where it is slow."""
    listener = listening("0.0.0.0", port)
    return [Maker(listener, f"127.0.0.{number}") for number in range(1, 51)]


def in_traffic(rows):
    return flat_counts({key: sum(peers.values()) for key, peers in groups(rows).items()})


def counts(section):
    keys = ("state", "process", "local_port", "peer_port")
    return flat_counts({tuple(group[key] for key in keys): group["count"] for group in section["groups"]})


def flat_counts(groups_found):
    found = Counter()
    for (state, _process, local_port, peer_port), count in groups_found.items():
        found[f"{state} {local_port or peer_port}"] += count
    return found


@pytest.fixture(scope="module")
def looks():
    return alone(look_at_traffic)


@pytest.mark.parametrize(
    ("what", "sign"),
    [(f"established {GROWING}", 1), (f"established {SHRINKING}", -1), (f"time_wait {SHRINKING}", 1)],
)
def test_what_changes_lies_between_two_looks_of_ss(looks, what, sign):
    for before, told, after in looks:
        ends = sign * before[what], sign * after[what]
        assert ends[0] < ends[1], "nothing happened between the looks"
        assert ends[0] <= sign * told[what] <= ends[1]
