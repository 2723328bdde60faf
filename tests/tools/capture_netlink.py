# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what this machine's kernel says of known sockets and addresses, as fixtures for the wire parsers.

    PYTHONPATH=.collections python tests/tools/capture_netlink.py      (as root; needs iproute2)

Makes two network namespaces, opens the sockets below in them, and stores each datagram and each /proc/net file as it came.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from pathlib import Path

from ansible_collections.kubenode.doctor.plugins.module_utils import netlink, sock_diag

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "integration_real"))

from fresh_netns import in_fresh_netns, ip  # noqa: E402

GETADDR = 22
STUCK_SECONDS = 3.4  # the fourth SYN is out, and the next one not near
SCTP = 132  # no kernel module of it is loaded: the dump begins and then fails


def capture() -> dict[str, object]:
    """Open the sockets, and return the datagrams by name, in hex, and the tables by name."""
    _addresses()
    _held = _sockets()
    datagrams = {
        f"{protocol}_{family}": _dump(netlink.NETLINK_SOCK_DIAG, 20, sock_diag.request(family, protocol))
        for protocol in ("tcp", "udp")
        for family in ("ipv4", "ipv6")
    }
    no_sctp = bytes([socket.AF_INET, SCTP]) + sock_diag.request("ipv4", "tcp")[2:]
    datagrams["no_such_diag_module"] = _dump(netlink.NETLINK_SOCK_DIAG, 20, no_sctp)
    no_family = bytes([99]) + sock_diag.request("ipv4", "tcp")[1:]
    datagrams["refused"] = _dump(netlink.NETLINK_SOCK_DIAG, 20, no_family)
    datagrams["addresses"] = _dump(netlink.NETLINK_ROUTE, GETADDR, bytes(8))
    tables = {name: Path(f"/proc/thread-self/net/{name}").read_text("ascii") for name in ("tcp", "tcp6", "udp", "udp6")}
    return {"datagrams": datagrams, "tables": tables}


def capture_stuck() -> dict[str, object]:
    """The same of connections that hang, with struct tcp_info; ``seconds`` have gone by since they began to hang."""
    _addresses()
    for address in ("10.77.0.99", "fd00:77::99"):  # there, and never heard
        ip("neigh", "add", address, "lladdr", "02:00:00:00:00:01", "dev", "nd0", "nud", "permanent")
    _held, began = _stuck_sockets()
    time.sleep(began + STUCK_SECONDS - time.monotonic())
    seconds = time.monotonic() - began
    datagrams = {
        f"tcp_{family}": _dump(netlink.NETLINK_SOCK_DIAG, 20, sock_diag.request(family, "tcp", tcp_info=True))
        for family in ("ipv4", "ipv6")
    }
    tables = {name: Path(f"/proc/thread-self/net/{name}").read_text("ascii") for name in ("tcp", "tcp6")}
    return {"seconds": round(seconds, 3), "datagrams": datagrams, "tables": tables}


def _stuck_sockets() -> tuple[list[socket.socket], float]:
    held = []
    for address, port in (("127.0.0.1", 36601), ("::ffff:127.0.0.1", 36602), ("::1", 36603)):
        held += _half_closed(address, port)
    began = time.monotonic()
    for source, destination, port in (
        ("10.77.0.1", "10.77.0.99", 35701),
        ("::ffff:10.77.0.1", "::ffff:10.77.0.99", 35702),
        ("fd00:77::1", "fd00:77::99", 35703),
    ):
        dialling = _bound(_family(source), source, port)
        dialling.setblocking(False)
        dialling.connect_ex((destination, 179))
        held.append(dialling)
    return held, began


def _half_closed(address: str, port: int) -> list[socket.socket]:
    """TIME-WAIT, and CLOSE-WAIT of each kind with its FIN-WAIT-2, all from ports that end in the listener's last digit."""
    listener = _bound(_family(address), address, port, backlog=8)

    def client(number: int) -> socket.socket:
        made = _bound(_family(address), address, 35000 + 10 * number + port % 10)
        made.connect((address, port))
        return made

    ended = client(0)
    far_end, _peer = listener.accept()
    ended.close()
    far_end.close()
    unread, waiting, leaked = client(1), client(2), client(3)
    served = [listener.accept()[0] for _client in range(3)]
    served[0].sendall(b"12345")
    served[0].close()
    served[1].shutdown(socket.SHUT_WR)  # this FIN-WAIT-2 some program holds
    served[2].close()
    assert leaked.recv(1) == b""
    gone = client(4)  # never accepted
    gone.sendall(b"123")
    gone.close()
    return [listener, unread, waiting, leaked, served[1]]


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _addresses() -> None:
    ip("link", "add", "nd0", "type", "veth", "peer", "name", "nd1")
    ip("addr", "add", "10.77.0.1/24", "dev", "nd0")
    ip("addr", "add", "10.78.0.1", "peer", "10.78.0.2/32", "dev", "nd0")
    ip("addr", "add", "fd00:77::1/64", "dev", "nd0", "nodad")
    ip("addr", "add", "fd00:78::1", "peer", "fd00:78::2/128", "dev", "nd0", "nodad")
    ip("link", "set", "nd1", "up")
    ip("link", "set", "nd0", "up")


def _sockets() -> list[socket.socket]:
    listener = _bound(socket.AF_INET, "127.0.0.1", 36527, backlog=7)
    clients = [
        socket.create_connection(("127.0.0.1", 36527), source_address=("127.0.0.1", port)) for port in (40001, 40002)
    ]
    served, _peer = listener.accept()
    leaving = _bound(socket.AF_INET, "10.77.0.1", 36532, backlog=1)
    gone = socket.create_connection(("10.77.0.1", 36532), source_address=("10.77.0.1", 40003))
    far_end, _peer = leaving.accept()
    gone.close()  # closed first, so TIME-WAIT stays on its side, 10.77.0.1:40003
    far_end.close()
    dialling = socket.socket()
    dialling.bind(("10.77.0.1", 40004))
    dialling.setblocking(False)
    dialling.connect_ex(("10.77.0.99", 179))
    talking = _bound(socket.AF_INET, "127.0.0.1", 40005, kind=socket.SOCK_DGRAM)
    talking.connect(("127.0.0.1", 53))
    time.sleep(0.3)
    return [
        listener,
        *clients,
        served,
        leaving,
        dialling,
        talking,
        _bound(socket.AF_INET6, "::", 36528, backlog=4096, v6only=0),
        _bound(socket.AF_INET6, "::", 36529, backlog=128, v6only=1),
        _bound(socket.AF_INET6, "::1", 36530, backlog=128),
        _bound(socket.AF_INET6, "::ffff:10.77.0.1", 36533, backlog=128, v6only=0),
        _bound(socket.AF_INET, "127.0.0.1", 36531),
        _bound(socket.AF_INET, "0.0.0.0", 36540, kind=socket.SOCK_DGRAM),
        _bound(socket.AF_INET6, "::", 36541, kind=socket.SOCK_DGRAM, v6only=1),
    ]


def _bound(
    family: int,
    address: str,
    port: int,
    kind: int = socket.SOCK_STREAM,
    backlog: int | None = None,
    v6only: int | None = None,
) -> socket.socket:
    made = socket.socket(family, kind)
    if v6only is not None:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    made.bind((address, port))
    if backlog is not None:
        made.listen(backlog)
    return made


def _dump(protocol: int, kind: int, body: bytes) -> list[str]:
    datagrams = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as link:
        link.settimeout(5)
        link.send(struct.pack("=IHHII", 16 + len(body), kind, 0x301, 1, 0) + body)
        while True:
            datagrams.append(link.recv(1 << 16))
            if any(kind in (2, 3) for kind, _flags, _payload in netlink.messages(datagrams[-1])):
                return [datagram.hex() for datagram in datagrams]


def main() -> None:
    captured, stuck = in_fresh_netns(capture), in_fresh_netns(capture_stuck)
    folder = TESTS / "fixtures" / "sock_diag"
    (folder / "datagrams.json").write_text(json.dumps(captured["datagrams"], indent=1) + "\n", encoding="ascii")
    (folder / "stuck.json").write_text(json.dumps(stuck, indent=1) + "\n", encoding="ascii")
    for name, table in captured["tables"].items():
        (folder / f"proc-net-{name}.txt").write_text(table, encoding="ascii")


if __name__ == "__main__":
    main()
