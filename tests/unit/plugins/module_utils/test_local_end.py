# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""local_end: real connections, and kernels that answer otherwise. tests/integration_real has one that rules send elsewhere."""

from __future__ import annotations

import errno
import socket
import struct

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import local_end, netlink


def connected(family, server_address, address):
    try:
        server = socket.socket(family)
        server.bind((server_address, 0))
    except OSError:
        pytest.skip(f"this machine has no {server_address}")
    server.listen(4)
    client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    client.connect((address, server.getsockname()[1]))
    return server, client


def kernel_shows_it():
    try:
        with netlink.connect(netlink.NETLINK_SOCK_DIAG):
            return True
    except netlink.NetlinkError:
        return False


@pytest.mark.skipif(not kernel_shows_it(), reason="this kernel has no sock_diag")
@pytest.mark.parametrize(
    ("family", "server_address", "address"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
    ],
)
def test_a_socket_of_this_machine(family, server_address, address):
    server, client = connected(family, server_address, address)
    with server, client:
        assert local_end.is_here(client) is True
        accepted = server.accept()[0]
        assert local_end.is_here(client) is True
        accepted.close()


class Kernel:
    """Answers each request with the next of these datagrams."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, _protocol):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def settimeout(self, _seconds):
        pass

    def send(self, _request):
        pass

    def recv(self, _room):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def message(kind, payload):
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, 1, 0) + payload


def refusal(number):
    return message(2, struct.pack("=i", -number) + bytes(16))


def told(state, port, peer_port):
    """A struct inet_diag_msg."""
    return message(20, struct.pack("=BBBB", 2, state, 0, 0) + struct.pack("!HH", port, peer_port) + bytes(64))


NONE = refusal(errno.ENOENT)
LISTENER = told(10, 80, 0)


@pytest.fixture
def client():
    server, client = connected(socket.AF_INET, "127.0.0.1", "127.0.0.1")
    with server, client:
        yield client


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(local_end, "_BETWEEN_TRIES", 0)


def test_elsewhere(client):
    """The other end is not found, or only who listens there is; this end is."""
    this_end = told(1, client.getsockname()[1], client.getpeername()[1])
    assert local_end.is_here(client, Kernel(*[NONE] * 5, this_end)) is False
    assert local_end.is_here(client, Kernel(*[LISTENER] * 5, this_end)) is False


def test_a_little_later(client):
    assert local_end.is_here(client, Kernel(NONE, LISTENER, told(3, 80, client.getsockname()[1]))) is True


@pytest.mark.parametrize(
    "answer",
    [
        NONE,
        refusal(errno.EPERM),
        b"",
        b"rubbish",
        message(20, b"short"),
        message(2, b""),
        OSError("no"),
        socket.timeout(),
    ],
)
def test_a_kernel_that_does_not_tell(client, answer):
    assert local_end.is_here(client, Kernel(answer)) is None


def test_no_sock_diag(client):
    def refuse(_protocol):
        raise netlink.NetlinkError("none", errno.EPROTONOSUPPORT)

    assert local_end.is_here(client, refuse) is None


def test_a_connection_that_is_gone(client):
    client.close()
    assert local_end.is_here(client) is None
