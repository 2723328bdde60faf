# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""exec_start: a drop-in with the unit's own command line and one more flag."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import exec_start

UNIT = "/usr/lib/systemd/system/cri-docker.service"
FLAG = "--streaming-bind-addr=127.0.0.1:10010"
# Mirantis/cri-dockerd packaging/systemd/cri-docker.service, shortened.
SHIPPED = """[Unit]
Description=CRI Interface for Docker Application Container Engine
BindsTo=containerd.service

[Service]
Type=notify
ExecStart=/usr/bin/cri-dockerd --container-runtime-endpoint fd:// --network-plugin=
ExecReload=/bin/kill -s HUP $MAINPID
# Note that StartLimit* options were moved from "Service" to "Unit" in systemd 229.
StartLimitBurst=3
"""


def command(*files):
    text = exec_start.drop_in(files, FLAG, "why")
    comment, section, reset, line = text.splitlines()
    assert (comment, section, reset, text[-1]) == ("# why", "[Service]", "ExecStart=", "\n")
    assert line.startswith("ExecStart=")
    assert line.endswith(f" {FLAG}")
    return line[len("ExecStart=") : -len(FLAG) - 1]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (SHIPPED, "/usr/bin/cri-dockerd --container-runtime-endpoint fd:// --network-plugin="),
        ("[Service]\nExecStart = -/a 'b c' $D ${E} %i \r\n", "-/a 'b c' $D ${E} %i"),
        ("[Service]\nExecStart=/a \\\n  --b \\\n# no\n ; no\n  --c\nX=1\n", "/a --b --c"),
        ("[Service]\nExecStart=/old\nExecStart=\nExecStart=/new", "/new"),
        ("[Unit]\nExecStart=/x\n[Service]\nExecStart=/a\n[Install]\nExecStart=/y\n", "/a"),
        ("[Service]\n#ExecStart=/x\n;ExecStart=/y\n  ExecStart=/a\n", "/a"),
        ("[Service]\nExecStart=/a \\", "/a"),
    ],
)
def test_the_command_line_is_the_units_own(lines, expected):
    assert command((UNIT, lines)) == expected


def test_drop_ins_are_read_in_their_order():
    ten = ("/etc/systemd/system/cri-docker.service.d/10-cni.conf", "[Service]\nExecStart=\nExecStart=/b\n")
    other = ("/etc/systemd/system/cri-docker.service.d/zz.conf", "[Service]\nLimitNOFILE=1\n")
    mine = (exec_start.place("cri-docker.service"), "[Service]\nExecStart=\nExecStart=/mine --old\n")
    assert command((UNIT, SHIPPED), ten, mine, other) == "/b"


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ([(UNIT, "[Service]\nType=oneshot\n")], "0 command lines"),
        ([(UNIT, "[Service]\nExecStart=/a\nExecStart=/b\n")], "2 command lines"),
        ([(UNIT, "[Service]\nExecStart=/a ; /b --token=hunter2\n")], "more than a program"),
        ([(UNIT, "[Service]\nExecStart=/a -- hunter2\n")], "more than a program"),
        ([(UNIT, '[Service]\nExecStart=/a "hunter2\n')], "open quotation mark"),
        ([(UNIT, SHIPPED), ("/run/x.d/zz.conf", "[Service]\nExecStart=\nExecStart=/z\n")], "zz.conf sets the command"),
    ],
)
def test_what_cannot_be_set_safely_is_not(files, why):
    with pytest.raises(exec_start.ExecStartError, match=why) as caught:
        exec_start.drop_in(files, FLAG, "why")
    assert "hunter2" not in str(caught.value)
