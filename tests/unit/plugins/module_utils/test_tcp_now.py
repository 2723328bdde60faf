# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcp_now: the sockets of this very process, by each backend, and one that gives no answer."""

from __future__ import annotations

import os
import socket

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, procfs, tcp_reader
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.tcp_now import Owner, TcpNow

SELF = procfs.describe(os.getpid())
ME = Owner(SELF["name"], SELF["unit"], SELF["pod_uid"])


@pytest.mark.parametrize("backend", tcp_reader.BACKENDS)
def test_what_this_process_holds(backend, monkeypatch):
    monkeypatch.setattr(tcp_reader, "BACKENDS", (backend,))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _peer = server.accept()
        with accepted:
            client.close()
            while accepted.recv(1):
                pass
            now = TcpNow(Deadline(20))
    listeners = [entry for entry in now.listeners if entry.port == port]
    held = [entry for entry in now.close_wait if entry.port == port]
    assert (len(listeners), len(held)) == (1, 1)
    assert now.owned(listeners, ME) == listeners
    assert now.pids(held, ME) == {os.getpid()}
    assert now.owned(held, ME._replace(program="another")) == []
    assert now.unseen(listeners) == ""


def test_the_second_backend_is_asked(monkeypatch, tmp_path):
    asked = []

    def first_look(_namespace, backend):
        asked.append(backend)
        raise netlink.NetlinkError("no tcp_diag")

    monkeypatch.setattr(tcp_reader, "first_look", first_look)
    with pytest.raises(tcp_reader.ReaderError, match="sock_diag: no tcp_diag; procfs: no tcp_diag"):
        TcpNow(Deadline(20), str(tmp_path))
    assert asked == ["sock_diag", "procfs"]


@pytest.mark.parametrize(
    ("owner", "fits"),
    [
        (Owner("java", "java.service", None), True),
        (Owner("java", "other.service", None), False),
        (Owner("perl", "java.service", None), False),
        (Owner("java", None, None), True),
        (Owner("java", None, "1" * 32), False),
    ],
)
def test_whose_a_process_is(owner, fits):
    process = {"pid": 7, "name": "java", "unit": "java.service", "container_id": None, "pod_uid": None}
    assert owner.is_(process) is fits


def test_a_unit_inside_a_container_is_another():
    process = {"pid": 7, "name": "java", "unit": "java.service", "container_id": "c" * 64, "pod_uid": None}
    assert not Owner("java", "java.service", None).is_(process)
