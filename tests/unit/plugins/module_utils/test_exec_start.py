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


def command(*files, running):
    text = exec_start.drop_in(files, running, FLAG, "why")
    comment, section, reset, line = text.splitlines()
    assert (comment, section, reset, text[-1]) == ("# why", "[Service]", "ExecStart=", "\n")
    assert line.startswith("ExecStart=")
    assert line.endswith(f" {FLAG}")
    return line[len("ExecStart=") : -len(FLAG) - 1]


@pytest.mark.parametrize(
    ("lines", "expected", "running"),
    [
        (
            SHIPPED,
            "/usr/bin/cri-dockerd --container-runtime-endpoint fd:// --network-plugin=",
            ["/usr/bin/cri-dockerd", "--container-runtime-endpoint", "fd://", "--network-plugin="],
        ),
        ("[Service]\nExecStart = -/a 'b c' $D ${E} %i \r\n", "-/a 'b c' $D ${E} %i", ["/a", "b c", "d", "d", "e", "i"]),
        ("[Service]\nExecStart=/a \\\n  --b \\\n# no\n ; no\n  --c\nX=1\n", "/a --b --c", ["/a", "--b", "--c"]),
        ("[Service]\r\nExecStart=/a \\\r\n  --b\r\n", "/a --b", ["/a", "--b"]),
        ("[Service]\nExecStart=/old\nExecStart=\nExecStart=/new", "/new", ["/new"]),
        ("[Unit]\nExecStart=/x\n[Service]\nExecStart=/a\n[Install]\nExecStart=/y\n", "/a", ["/a"]),
        ("[Service]\n#ExecStart=/x\n;ExecStart=/y\n  ExecStart=/a\n", "/a", ["/a"]),
        ("[Service]\nExecStart=/a \\", "/a", ["/a"]),
        ("[Service]\nEnvironment=X=y\\\\\nExecStart=/a\n", "/a", ["/a"]),  # no continuation
        ("[Service]\nExecStart=:!a --b\n", ":!a --b", ["a", "--b"]),
    ],
)
def test_the_command_line_is_the_units_own(lines, expected, running):
    assert command((UNIT, lines), running=running) == expected


@pytest.mark.parametrize(
    ("line", "running", "same"),
    [
        ("/usr/bin/a --b", ["a", "--b"], True),
        ("/a --b", ["/a", "--b", "--c"], False),
        ("/a --b --c", ["/a", "--b"], False),
        ("/a --b", ["/a", "--c"], False),
        ("/a $OPTS", ["/a"], True),
        ("/a $OPTS", ["/a", "--x", "--y"], True),
        ("/a --b $OPTS --c", ["/a", "--b", "--x", "--c"], True),
        ("/a --b $OPTS --c", ["/a", "--x", "--c"], False),
        ("/a --b $OPTS --c", ["/a", "--b", "--x"], False),
        ("/a --b $OPTS --b", ["/a", "--b"], False),
        ("/a $X --b $Y", ["/a", "--b"], True),
        ("/a --at=${HOST}:1", ["/a", "--at=h:1"], True),
        ("/a --at=${HOST}:1", ["/a", "--at=h:2"], False),
        ("/a ${HOST}", ["/a"], False),
        ("/a --unit=%n.%%", ["/a", "--unit=x.%"], True),
        ("/a --unit=%n", ["/a", "x"], False),
        ("/a a%na", ["/a", "a"], False),
    ],
)
def test_what_runs_is_what_the_files_say(line, running, same):
    text = f"[Service]\nExecStart={line}\n"
    if same:
        assert command((UNIT, text), running=running) == line
    else:
        with pytest.raises(exec_start.ExecStartError, match="another command line than its unit files set"):
            exec_start.drop_in([(UNIT, text)], running, FLAG, "why")


TEN = ("/etc/systemd/system/cri-docker.service.d/10-cni.conf", "[Service]\nExecStart=\nExecStart=/b\n")
MINE = exec_start.place("cri-docker.service")


def test_drop_ins_are_read_in_their_order():
    other = ("/etc/systemd/system/cri-docker.service.d/zz.conf", "[Service]\nLimitNOFILE=1\n")
    assert command((UNIT, SHIPPED), TEN, other, running=["/b"]) == "/b"


@pytest.mark.parametrize("running", [["/b"], ["/b", "--streaming-bind-addr=127.0.0.1:10999"]])
def test_an_earlier_drop_in_of_ours_is_written_anew(running):
    """Whether the program was started with it, or not yet."""
    text = exec_start.drop_in([(UNIT, SHIPPED), TEN], ["/b"], FLAG.replace("10010", "10999"), "why")
    assert command((UNIT, SHIPPED), TEN, (MINE, text), running=running) == "/b"


def test_the_units_own_flag_of_that_name_is_no_flag_of_ours():
    text = "[Service]\nExecStart=/a --streaming-bind-addr=:1\n"
    running = ["/a", "--streaming-bind-addr=:1"]
    assert command((UNIT, text), running=running) == "/a --streaming-bind-addr=:1"
    ours = exec_start.drop_in([(UNIT, text)], running, FLAG, "why")
    assert command((UNIT, text), (MINE, ours), running=running) == "/a --streaming-bind-addr=:1"


OURS = f"# why\n[Service]\nExecStart=\nExecStart=/b {FLAG}\n"


@pytest.mark.parametrize(
    "text",
    [
        "[Service]\nEnvironment=HTTP_PROXY=http://p\nExecStart=\nExecStart=/b --network-plugin=cni\n",
        "[Service]\nLimitNOFILE=1\n",
        OURS.replace("# why", "# mine"),
        f"{OURS}Environment=HTTP_PROXY=http://p\n",
        OURS.replace("[Service]\n", "[Service]\nEnvironment=HTTP_PROXY=http://p\n"),
        OURS.replace(FLAG, "--network-plugin=cni"),
        OURS.rstrip("\n"),
        "# why\n[Service]\nExecStart=\nExecStart=",
    ],
)
def test_a_drop_in_of_that_name_that_is_not_ours_is_kept(text):
    for path in (MINE, "/run/systemd/system/cri-docker.service.d/99-stream-port.conf"):
        with pytest.raises(exec_start.ExecStartError, match=r"99-stream-port\.conf is there, and is not ours"):
            exec_start.drop_in([(UNIT, "[Service]\nExecStart=/b\n"), (path, text)], ["/b"], FLAG, "why")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ([(UNIT, "[Service]\nType=oneshot\n")], "0 command lines"),
        ([(UNIT, "[Service]\nExecStart=/a\nExecStart=/b\n")], "2 command lines"),
        ([(UNIT, "[Service]\nExecStart=/a ; /b --token=hunter2\n")], "more than a program"),
        ([(UNIT, "[Service]\nExecStart=/a -- hunter2\n")], "more than a program"),
        ([(UNIT, '[Service]\nExecStart=/a "hunter2\n')], "open quotation mark"),
        ([(UNIT, "[Service]\nExecStart=/bin/sh -c 'exec /a --token=hunter2'\n")], "another program than the one"),
        ([(UNIT, "[Service]\nExecStart=/usr/bin/env /a\n")], "another program than the one"),
        ([(UNIT, "[Service]\nExecStart=|/a\n")], "another program than the one"),
        ([(UNIT, "[Service]\nExecStart=@/a b\n")], "another program than the one"),
        ([(UNIT, "[Service]\nExecStart=/a --b\\\\\nUser=x\n")], "a backslash or another character"),
        ([(UNIT, "[Service]\nExecStart=/a --b\r--c\n")], "a backslash or another character"),
        (
            [(UNIT, "[Service]\nExecStart=/a\n"), ("/run/x.d/zz.conf", "[Service]\nExecStart=\nExecStart=/z\n")],
            "zz.conf sets",
        ),
    ],
)
def test_what_cannot_be_set_safely_is_not(files, why):
    with pytest.raises(exec_start.ExecStartError, match=why) as caught:
        exec_start.drop_in(files, ["/a"], FLAG, "why")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("running", [[""], ["/b"]])
def test_a_process_that_is_no_such_program(running):
    with pytest.raises(exec_start.ExecStartError, match="another program than the one"):
        exec_start.drop_in([(UNIT, "[Service]\nExecStart=/a\n")], running, FLAG, "why")
