# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""program_lines: a program's lines, whatever the program does."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import program_lines
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.program_lines import Program

SECONDS = 20.0  # what a test may last on a busy machine, and never does
SHORT = 0.3
MUCH = 1 << 30
LONGEST = 1000


def python(code):
    return [sys.executable, "-IS", "-c", code]


def run(code, seconds=SECONDS, max_bytes=MUCH, longest_line=LONGEST):
    """The lines of a program, and what is told of its run."""
    with Program(python(code), Deadline(seconds), max_bytes, longest_line) as program:
        lines = list(program.lines())
    return lines, program


def is_gone(pid):
    """Whether a process has ended; a zombie has."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until_gone(pid):
    end = time.monotonic() + SECONDS
    while not is_gone(pid):
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", []),
        ("print('one'); print('two')", [b"one", b"two"]),
        ("print('a'); print(); print('b', end='')", [b"a", b"", b"b"]),
        (r"import os; os.write(1, b'\xff\x1b[31m\x00\n')", [b"\xff\x1b[31m\x00"]),
        ("print('x' * 1000); print('y')", [b"x" * 1000, b"y"]),
    ],
)
def test_lines(code, expected):
    lines, program = run(code)
    assert lines == expected
    assert (program.status, program.stopped, program.long_lines) == (0, None, 0)


def test_it_has_no_input_no_locale_and_a_group_of_its_own():
    # Python itself may set LC_CTYPE when it finds the locale C.
    environment = "sorted(set(os.environ) - {'LC_CTYPE'}), os.environ['LC_ALL']"
    lines, _program = run(f"import os, sys; print(sys.stdin.read() == '', os.getpgrp() == os.getpid(), {environment})")
    assert lines == [b"True True ['LC_ALL', 'PATH'] C"]


def test_how_it_ended_and_what_it_complained_of():
    _lines, program = run(r"import sys; print('\nfirst\n\n second', file=sys.stderr); sys.exit(3)")
    assert program.status == 3
    assert program.errors() == ["first", "second"]


def test_complaints_without_end_are_bounded():
    lines, program = run("import sys\nfor _ in range(10000): print('e' * 100, file=sys.stderr)\nprint('done')")
    assert lines == [b"done"]
    assert len("".join(program.errors())) <= program_lines._ERRORS


def test_long_lines_are_left_out_and_counted():
    lines, program = run(
        "print('a'); print('x' * 3000000); print('b'); print('y' * 600000); print('c')", longest_line=1000
    )
    assert lines[0] == b"a"
    assert lines[-1] == b"c"
    assert b"b" in lines
    # What arrives in one block with its end is a line, however long; nothing larger than a block is kept.
    assert program.long_lines == 2
    assert max(map(len, lines)) <= 1000 + program_lines._BLOCK


def test_it_is_stopped_at_its_bytes():
    lines, program = run("while True: print('x' * 99)", max_bytes=1 << 20)
    assert program.stopped == "limit"
    assert program.status is None
    assert set(lines) == {b"x" * 99}  # the last one, which may be cut, is not among them
    assert 1 << 20 <= program.bytes <= (1 << 20) + program_lines._BLOCK


@pytest.mark.parametrize(
    "code",
    [
        "import time\nprint('a', flush=True)\ntime.sleep(1000)",
        # It has closed what it writes to, and stays.
        "import os, time\nprint('a', flush=True)\nos.close(1)\nos.close(2)\ntime.sleep(1000)",
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('a', flush=True)\ntime.sleep(1000)",
        "import time\nprint('a')\nwhile True: print(end='b', flush=True); time.sleep(0.01)",
    ],
)
def test_it_is_stopped_at_its_time(code):
    began = time.monotonic()
    lines, program = run(code, seconds=SHORT)
    assert lines == [b"a"]
    assert (program.stopped, program.status) == ("budget", None)
    assert time.monotonic() - began < SECONDS
    wait_until_gone(program._process.pid)


def test_no_child_of_it_is_left():
    code = "import os, time\npid = os.fork()\nif pid: print(pid, flush=True)\ntime.sleep(1000)"
    lines, _program = run(code, seconds=SHORT)
    wait_until_gone(int(lines[0]))


def test_a_child_that_keeps_the_pipe_open_is_waited_for_no_longer_than_the_time():
    code = "import os, time\npid = os.fork()\nif pid: print(pid, flush=True)\nelse: time.sleep(1000)"
    lines, program = run(code, seconds=SHORT)
    assert program.stopped == "budget"
    wait_until_gone(int(lines[0]))


def test_whoever_has_read_enough_may_leave():
    with Program(python("while True: print('line')"), Deadline(SECONDS), MUCH, LONGEST) as program:
        assert next(program.lines()) == b"line"
        assert not is_gone(program._process.pid)
    wait_until_gone(program._process.pid)


def test_an_error_of_the_reader_ends_it_too():
    with pytest.raises(ZeroDivisionError), Program(
        python("while True: print('line')"), Deadline(SECONDS), MUCH, LONGEST
    ) as program:
        _broken = 1 / 0
    wait_until_gone(program._process.pid)


def test_no_time_is_left():
    lines, program = run("print('late')", seconds=0)
    assert (lines, program.stopped) == ([], "budget")


def test_killed_by_somebody_else():
    _lines, program = run("import os; os.kill(os.getpid(), 9)")
    assert program.status == -signal.SIGKILL


def test_no_such_program():
    with pytest.raises(FileNotFoundError), Program(["/nonexistent/program"], Deadline(SECONDS), MUCH, LONGEST):
        pass


def test_reading_before_starting_is_a_mistake():
    with pytest.raises(RuntimeError, match="before it was started"):
        list(Program(python(""), Deadline(SECONDS), MUCH, LONGEST).lines())


def test_no_descriptor_is_left():
    before = len(os.listdir("/proc/self/fd"))
    run("print('x')")
    run("import time; time.sleep(1000)", seconds=0.05)
    assert len(os.listdir("/proc/self/fd")) == before
