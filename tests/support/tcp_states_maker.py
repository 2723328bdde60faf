# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real process under another program's name that brings TCP connections into a state and leaves them there.

    python tests/support/tcp_states_maker.py kubelet serve 0.0.0.0:10250 --backlog 128
    python tests/support/tcp_states_maker.py bird dial --count 1 192.0.2.101:179 192.0.2.102:179

serve    listens, accepts and keeps each connection until its client ends it
hang-up  listens, accepts and ends each connection at once
deaf     listens and never accepts
hold     has COUNT connections to each place, as soon as somebody listens there, and never reads from them
leak     the same, reads until the other end closes, and forgets to close
visit    makes COUNT connections to each place, then closes them
dial     calls each place COUNT times, and waits for an answer for as long as it takes
knock    calls each place ten times a second, and gives each call up after half a second
exhaust  connects to each place until the kernel has no local port left

Prints "ready" when that is done, or goes on for ever from then on, and waits to be killed.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

_PR_SET_NAME = 15  # include/uapi/linux/prctl.h
# The most that the kernel takes (include/net/tcp.h, MAX_TCP_SYNCNT): hours, where its default is two minutes.
_SYN_RETRIES = 127
_KNOCK_SECONDS = 0.1
_KNOCKS_AT_ONCE = 5
_PATIENCE_SECONDS = 60

Place = tuple[str, int]
# Kept for the life of the process, since a socket that is collected is closed.
_kept: list[socket.socket] = []


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name", help="the name that the kernel keeps, at most 15 bytes")
    parser.add_argument("verb", choices=_VERBS)
    parser.add_argument("places", nargs="+", type=_place, metavar="ADDRESS:PORT")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--backlog", type=int, default=128)
    chosen = parser.parse_args()
    ctypes.CDLL(None).prctl(_PR_SET_NAME, chosen.name.encode()[:15], 0, 0, 0)
    for _ready in _VERBS[chosen.verb](chosen.places, chosen):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
    threading.Event().wait()


def _place(text: str) -> Place:
    address, _colon, port = text.rpartition(":")
    return address.strip("[]"), int(port)


def _socket(place: Place) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET)


def _listening(places: Iterable[Place], backlog: int) -> list[socket.socket]:
    for place in places:
        made = _socket(place)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(backlog)
        _kept.append(made)
    return _kept


def _connected(places: Iterable[Place], count: int) -> list[socket.socket]:
    for place in [place for place in places for _number in range(count)]:
        _kept.append(_answered(place))
    return _kept


def _answered(place: Place) -> socket.socket:
    """Whoever is to listen may start at the same time, on another node."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        made = _socket(place)
        try:
            made.connect(place)
        except ConnectionRefusedError:
            made.close()
            if time.monotonic() > until:
                raise
            time.sleep(_KNOCK_SECONDS)
        else:
            return made


def deaf(places: Sequence[Place], chosen: argparse.Namespace) -> Iterator[None]:
    _listening(places, chosen.backlog)
    yield


def serve(places: Sequence[Place], chosen: argparse.Namespace) -> Iterator[None]:
    selector = selectors.DefaultSelector()
    listeners = _listening(places, chosen.backlog)
    for listener in listeners:
        selector.register(listener, selectors.EVENT_READ)
    yield
    while True:
        for key, _events in selector.select():
            found = key.fileobj
            assert isinstance(found, socket.socket)
            if found in listeners:
                selector.register(found.accept()[0], selectors.EVENT_READ)
            elif not found.recv(4096):
                selector.unregister(found)
                found.close()


def hang_up(places: Sequence[Place], chosen: argparse.Namespace) -> Iterator[None]:
    for listener in _listening(places, chosen.backlog):
        threading.Thread(target=_hang_up_on_all, args=(listener,), daemon=True).start()
    yield


def _hang_up_on_all(listener: socket.socket) -> None:
    while True:
        listener.accept()[0].close()


def hold(places: Sequence[Place], chosen: argparse.Namespace) -> Iterator[None]:
    _connected(places, chosen.count)
    yield


def leak(places: Sequence[Place], chosen: argparse.Namespace) -> Iterator[None]:
    for connection in _connected(places, chosen.count):
        while connection.recv(4096):
            pass
    yield


def visit(places: Sequence[Place], chosen: argparse.Namespace) -> Iterator[None]:
    for connection in _connected(places, chosen.count):
        connection.close()
    yield


def _called(place: Place) -> socket.socket:
    made = _socket(place)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, _SYN_RETRIES)
    made.setblocking(False)
    result = made.connect_ex(place)
    assert result in (0, errno.EINPROGRESS), errno.errorcode[result]
    return made


def dial(places: Sequence[Place], chosen: argparse.Namespace) -> Iterator[None]:
    _kept.extend(_called(place) for place in places for _number in range(chosen.count))
    yield


def knock(places: Sequence[Place], _chosen: argparse.Namespace) -> Iterator[None]:
    yield
    while True:
        time.sleep(_KNOCK_SECONDS)
        _kept.extend(map(_called, places))
        for call in _kept[: -_KNOCKS_AT_ONCE * len(places)]:
            call.close()
        del _kept[: -_KNOCKS_AT_ONCE * len(places)]


def exhaust(places: Sequence[Place], _chosen: argparse.Namespace) -> Iterator[None]:
    for place in places:
        _exhaust(place)
    yield


def _exhaust(place: Place) -> None:
    while True:
        made = _socket(place)
        result = made.connect_ex(place)
        if result == errno.EADDRNOTAVAIL:
            return
        assert result == 0, errno.errorcode[result]
        _kept.append(made)


_VERBS: dict[str, Callable[[Sequence[Place], argparse.Namespace], Iterator[None]]] = {
    "serve": serve,
    "hang-up": hang_up,
    "deaf": deaf,
    "hold": hold,
    "leak": leak,
    "visit": visit,
    "dial": dial,
    "knock": knock,
    "exhaust": exhaust,
}

if __name__ == "__main__":
    main()
