# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""unix_doors: at which Unix sockets a process waits, and whether they let others in."""

from __future__ import annotations

import os
import socket

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import unix_doors


@pytest.fixture
def door(tmp_path, monkeypatch):
    """A path that is short enough for a socket's address, whatever the tests' folder is."""
    monkeypatch.chdir(tmp_path)
    return "/x.sock"


def test_this_process(door):
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("x.sock")
        assert not any(path.endswith("x.sock") for path in unix_doors.of(os.getpid()))  # bound, and not listening
        assert unix_doors.closed(door, ".")
        server.listen()
        client.connect("x.sock")
        assert not unix_doors.closed(door, ".")
    assert unix_doors.closed(door, ".")
    assert unix_doors.closed("/gone", ".")


def test_only_what_it_holds_and_waits_at(tmp_path):
    for fd, target in {
        "3": "socket:[1]",
        "4": "socket:[2]",
        "5": "socket:[3]",
        "6": "/dev/null",
        "7": "socket:[6]",
    }.items():
        (tmp_path / "7" / "fd").mkdir(parents=True, exist_ok=True)
        (tmp_path / "7" / "fd" / fd).symlink_to(target)
    (tmp_path / "7" / "net").mkdir()
    (tmp_path / "7" / "net" / "unix").write_text(
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 1 /run/containerd/containerd.sock\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03 2 /run/containerd/containerd.sock\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 3 @abstract\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 4 /run/of-another\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 5\n"
        "0000000000000000: 00000002 00000000 rubbish 0001 01 6 /run/rubbish\n"
        "\n"
    )
    assert unix_doors.of(7, str(tmp_path)) == ["/run/containerd/containerd.sock"]
    with pytest.raises(OSError, match="No such file"):
        unix_doors.of(8, str(tmp_path))
