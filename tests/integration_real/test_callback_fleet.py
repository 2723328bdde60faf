# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The callback kubenode.doctor.fleet as an operator sees it: on a terminal, read by a terminal emulator, and in a file."""

from __future__ import annotations

import codecs
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyte
import pytest

from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

HOSTS = [f"h{number:02}" for number in range(1, 31)]
COLUMNS = 100
PROGRESS = re.compile(r"^Ask each node: \d+ of 30 hosts")
# Works in Ansible's workers alone: no module is run. h01 takes until a file is there.
STUB = """
import time
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        host = task_vars["inventory_hostname"]
        until = time.monotonic() + 60
        while host == "h01" and not Path(self._task.args["go"]).exists() and time.monotonic() < until:
            time.sleep(0.05)
        if host == "h05":
            Display().display("from a worker " + "x" * 20)
        how = {"h02": {"failed": True, "msg": "broken"}, "h03": {"unreachable": True, "msg": "gone"}}
        how |= {"h04": how["h03"], "h06": how["h02"]}
        return {"changed": host == "h07", **how.get(host, {})}
"""


@dataclass
class Seen:
    """A run on a terminal: its exit status, all that it showed in the end, and every progress line on the way."""

    status: int = 0
    lines: list[str] = field(default_factory=list)
    progress: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A playbook over the fleet."""
    made = tmp_path_factory.mktemp("fleet")
    (made / "action_plugins").mkdir()
    (made / "action_plugins" / "stub.py").write_text(STUB)
    play = {
        "name": "Look",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"name": "Ask each node", "stub": {"go": "{{ go }}"}}],
    }
    (made / "play.json").write_text(json.dumps([play]))
    (made / "hosts.json").write_text(json.dumps({"all": {"hosts": {host: {} for host in HOSTS}}}))
    return made


def command(folder: Path, go: Path) -> tuple[list[str], dict[str, str]]:
    words = [str(Path(sys.executable).with_name("ansible-playbook")), "play.json", "-i", "hosts.json", "-e", f"go={go}"]
    return words, {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "PWD": str(folder)}


def on_terminal(folder: Path, go: Path, watch: Callable[[int], None]) -> Seen:
    """Run it on a terminal of its own. When only h01 is waited for, ``watch`` is called, with where a key can be pressed."""
    words, environment = command(folder, go)
    process, keyboard = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execve(words[0], words, {**environment, "TERM": "xterm"})  # noqa: S606 - the terminal's own child
    fcntl.ioctl(keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    screen = pyte.HistoryScreen(COLUMNS, 24, history=1000)
    stream = pyte.Stream(screen)
    decoder = codecs.getincrementaldecoder("utf-8")()
    seen = Seen()
    while True:
        try:
            data = os.read(keyboard, 4096)
        except OSError:  # the other end is closed
            break
        stream.feed(decoder.decode(data))
        for line in screen.display:
            if PROGRESS.match(line) and line.rstrip() not in seen.progress:
                seen.progress.append(line.rstrip())
                if "29 of 30 hosts" in line and "slowest h01" in line:
                    watch(keyboard)
    seen.status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    os.close(keyboard)
    above = ["".join(row[column].data for column in range(COLUMNS)) for row in screen.history.top]
    seen.lines = [line.rstrip() for line in (*above, *screen.display)]
    return seen


@pytest.fixture(scope="module")
def seen(folder: Path) -> Seen:
    go = folder / "go"
    return on_terminal(folder, go, lambda _keyboard: go.touch())


@pytest.fixture(scope="module")
def logged(folder: Path) -> subprocess.CompletedProcess[str]:
    words, environment = command(folder, folder)
    environment |= {"KUBENODE_DOCTOR_PROGRESS": "none", "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        words,
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def test_a_line_says_how_far_it_is(seen: Seen):
    line = "Ask each node: 29 of 30 hosts, 2 failed, 2 unreachable; slowest h01 "
    assert any(told.startswith(line) for told in seen.progress), seen.progress


def test_the_line_garbles_nothing_and_nothing_of_it_is_left(seen: Seen, logged: subprocess.CompletedProcess[str]):
    """The terminal shows in the end what a file has without any progress; hosts answer in any order."""

    def comparable(lines: list[str]) -> list[str]:
        kept = [re.sub(r"h0[2346]|\*+$", "", line).rstrip() for line in lines]
        return sorted(line for line in kept if line)

    assert "from a worker xxxxxxxxxxxxxxxxxxxx" in seen.lines
    assert comparable(seen.lines) == comparable(logged.stdout.splitlines())


def test_the_end(seen: Seen, logged: subprocess.CompletedProcess[str]):
    recap = logged.stdout.partition("PLAY RECAP")[2].splitlines()[1:5]
    assert recap == [
        '     failed  2 hosts at "Ask each node": h02, h06',
        'unreachable  2 hosts at "Ask each node": h03, h04',
        "         ok  25 hosts: h01, h05, h08, h09, h10, h11, h12, h13, h14, h15 and 15 more (-v shows each)",
        "         ok  1 host, 1 change: h07",
    ]
    assert "exit status  4: hosts could not be reached, and others failed" in logged.stdout
    assert seen.status == logged.returncode == 4


def test_a_file_has_no_control_characters(logged: subprocess.CompletedProcess[str]):
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", logged.stdout + logged.stderr)
    assert re.search(r"fatal: \[h0[26]\]: FAILED! => the same as \[h0[26]\]", logged.stdout)


def test_an_interrupted_run_leaves_the_terminal_clean(folder: Path):
    pressed = []

    def press(keyboard: int) -> None:
        # Not while hosts are still being started: Ansible's own workers may print where they were interrupted, past everything.
        if not pressed:
            pressed.append(os.write(keyboard, b"\x03"))

    seen = on_terminal(folder, folder / "never", press)
    assert pressed
    assert seen.status == 99  # what Ansible exits with after Ctrl-C (cli/__init__.py)
    assert not [line for line in seen.lines if PROGRESS.match(line)]
    assert any("User interrupted execution" in line for line in seen.lines)
