# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listeners: the section listen_ports, from entries to what a reader gets."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cri_config, kernel_settings, listeners, sockets
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_holders import SocketHolders
from ansible_collections.kubenode.doctor.plugins.module_utils.sockets import Seen

HOLDERS = SocketHolders(Deadline(1e6))
KUBELET = {"pid": 12, "name": "kubelet", "unit": "kubelet.service", "container_id": None, "pod_uid": None}
STREAM = Entry("tcp", "ipv4", "listen", "127.0.0.1", 36527, "0.0.0.0", 0, 2, 128, 0, 100)
BOUND = Entry("tcp", "ipv6", "bound", "::", 36527, "::", 0, 0, 0, 1000, 101, True)
UDP = Entry("udp", "ipv4", "close", "0.0.0.0", 53, "0.0.0.0", 0, 512, 0, 0, 102)


class Owners:
    """What attribution.Owners tells of every socket here."""

    missing = [{"what": "processes", "why": "as the test says"}]  # noqa: RUF012 - never changed

    def __init__(self, processes=(), hidden=False, cgroup=None):
        self.answers = list(processes), hidden, cgroup

    def processes(self, _entry):
        return self.answers[0]

    def hidden(self, _entry):
        return self.answers[1]

    def cgroup(self, _entry):
        return self.answers[2]


@pytest.fixture
def node(monkeypatch):
    """A node with three sockets, all of them kubelet's, and the default range."""
    monkeypatch.setattr(sockets, "collect", lambda *_arguments, **_options: Seen([UDP, BOUND, STREAM], "sock_diag", []))
    monkeypatch.setattr(listeners, "Owners", lambda *_arguments: Owners([KUBELET]))
    monkeypatch.setattr(kernel_settings, "ephemeral_range", lambda: (32768, 60999))
    monkeypatch.setattr(cri_config, "pinned", lambda: (frozenset(), []))


@pytest.mark.usefixtures("node")
def test_the_section():
    section = listeners.collect(HOLDERS)
    assert [(entry["protocol"], entry["port"], entry["family"]) for entry in section["listeners"]] == [
        ("tcp", 36527, "ipv4"),
        ("tcp", 36527, "ipv6"),
        ("udp", 53, "ipv4"),
    ]
    assert section["backend"] == "sock_diag"
    assert section["truncated"] == 0
    assert (section["complete"], section["missing"]) == (False, Owners.missing)


@pytest.mark.usefixtures("node")
def test_without_processes_nobody_is_searched(monkeypatch):
    monkeypatch.setattr(listeners, "Owners", lambda *_arguments: pytest.fail("processes were searched"))
    section = listeners.collect(None)
    assert (section["complete"], section["missing"]) == (True, [])
    # Nobody looked who holds the sockets.
    assert [(entry["processes"], entry["hidden"]) for entry in section["listeners"]] == [([], None)] * 3


CONTAINERD = {**KUBELET, "name": "containerd", "unit": "containerd.service"}
ON_31000 = STREAM._replace(port=31000)  # below the ephemeral range: drawn by nobody


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("pinned", "component"), [({("containerd", 31000)}, "containerd"), ({("cri-o", 31000)}, None), ((), None)]
)
def test_a_streaming_port_that_is_set(monkeypatch, pinned, component):
    monkeypatch.setattr(sockets, "collect", lambda *_arguments, **_options: Seen([ON_31000], "sock_diag", []))
    monkeypatch.setattr(listeners, "Owners", lambda *_arguments: Owners([CONTAINERD]))
    monkeypatch.setattr(cri_config, "pinned", lambda: (frozenset(pinned), []))
    (told,) = listeners.collect(HOLDERS)["listeners"]
    assert (told["known_as"] or {}).get("component") == component


@pytest.mark.usefixtures("node")
def test_settings_that_break_are_told_beside_the_sockets(monkeypatch):
    gap = {"what": "CRI settings", "why": "OSError: as the test says"}
    monkeypatch.setattr(cri_config, "pinned", lambda: (frozenset(), [gap]))
    section = listeners.collect(HOLDERS)
    assert len(section["listeners"]) == 3
    assert gap in section["missing"]


@pytest.mark.usefixtures("node")
def test_too_many(monkeypatch):
    monkeypatch.setattr(sockets, "LIMIT", 2)
    section = listeners.collect(HOLDERS)
    assert [entry["port"] for entry in section["listeners"]] == [36527, 36527]
    assert section["truncated"] == 1
    assert {"what": "listeners", "why": "3 found, the first 2 kept"} in section["missing"]
    assert section["complete"] is False


def test_a_tcp_listener():
    assert listeners.listener(STREAM, Owners([KUBELET]), (32768, 60999)) == {
        "protocol": "tcp",
        "family": "ipv4",
        "state": "listen",
        "address": "127.0.0.1",
        "port": 36527,
        "v6only": None,
        "accept_queue": 2,
        "backlog": 128,
        "uid": 0,
        "inode": 100,
        "ephemeral": True,
        "processes": [KUBELET],
        "hidden": False,
        "cgroup": None,
        "known_as": {"component": "dockershim", "role": "CRI streaming server", "source": "dockershim"},
    }


@pytest.mark.parametrize(("entry", "state"), [(BOUND, "bound"), (UDP, "unconnected")])
def test_queues_are_a_listeners_alone(entry, state):
    told = listeners.listener(entry, Owners(), None)
    assert (told["state"], told["accept_queue"], told["backlog"]) == (state, None, None)


@pytest.mark.parametrize(
    ("port", "span", "expected"),
    [(32768, (32768, 60999), True), (60999, (32768, 60999), True), (32767, (32768, 60999), False), (32768, None, None)],
)
def test_ephemeral(port, span, expected):
    assert listeners.listener(STREAM._replace(port=port), None, span)["ephemeral"] is expected


@pytest.mark.parametrize(
    ("cgroup", "expected"),
    [
        # A unit runs the program it is named after, so it tells what the process would have told.
        ("/system.slice/containerd.service", "containerd"),
        ("/system.slice/sshd.service", None),
        ("/user.slice", None),
        (None, None),
    ],
)
def test_a_hidden_process_is_known_by_its_unit(cgroup, expected):
    told = listeners.listener(STREAM, Owners(hidden=True, cgroup=cgroup), (32768, 60999))
    assert (told["hidden"], told["cgroup"]) == (True, cgroup)
    assert (told["known_as"] or {}).get("component") == expected


def test_what_the_backend_does_not_show_is_null():
    told = listeners.listener(
        STREAM._replace(rqueue=None, wqueue=None, uid=None, inode=None, pid=12), Owners([KUBELET]), None
    )
    assert [told[key] for key in ("accept_queue", "backlog", "uid", "inode", "v6only")] == [None] * 5
