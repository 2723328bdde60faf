# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""answer_bounds: what a node may cost. The process of a worker is played by a child of this one."""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import answer_bounds
from ansible_collections.kubenode.doctor.plugins.plugin_utils.answer_bounds import LARGEST_ANSWER, BoundsError, bounded

MEBIBYTE = 1 << 20


class Connection:
    """Its node prints what ``answer`` makes."""

    def __init__(self, answer=lambda: b""):
        self._answer = answer

    def exec_command(self, _command, **_options):
        return 0, self._answer(), b""


def in_a_worker(act):
    """What ``act`` returns in a process of its own, or the text of the BoundsError that it raises."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            told = act()
        except BoundsError as error:
            told = f"refused: {error}"
        except BaseException as error:
            told = f"broke: {error!r}"
        os.write(writing, str(told).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        told = pipe.read()
    os.waitpid(pid, 0)
    return told


def ask(connection, seconds=60, then=len):
    with bounded(connection, seconds):
        _status, output, _errors = connection.exec_command("x", sudoable=False)
        return then(output)


def test_an_answer_of_a_usual_size_is_handed_on_and_nothing_stays_behind():
    connection = Connection(lambda: b"x" * 2 * MEBIBYTE)
    before = signal.getsignal(signal.SIGALRM), resource.getrlimit(resource.RLIMIT_AS)
    assert ask(connection) == 2 * MEBIBYTE
    assert (signal.getsignal(signal.SIGALRM), resource.getrlimit(resource.RLIMIT_AS)) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert vars(connection) == {"_answer": connection._answer}


def test_a_timer_that_runs_already_runs_on():
    signal.setitimer(signal.ITIMER_REAL, 1000, 50)
    try:
        ask(Connection())
        left, again = signal.getitimer(signal.ITIMER_REAL)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert 900 < left <= 1000
    assert again == 50


def test_a_timer_that_runs_already_ends_it(monkeypatch):
    class OverError(BaseException):
        """As Ansible's own, which is no Exception either."""

    def over(*_arguments):
        raise OverError

    monkeypatch.setattr(answer_bounds, "_TICK_SECONDS", 0.01)
    ended = []
    monkeypatch.setattr(answer_bounds, "end_children", lambda: ended.append(True))
    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(OverError):
            ask(Connection(lambda: time.sleep(60)))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ended == [True]


@pytest.mark.parametrize("kind", [bytes, str])
def test_more_than_an_answer_may_have_is_refused(kind):
    large = b"x" * (LARGEST_ANSWER + 1)
    with pytest.raises(BoundsError, match="it sent more than 16 MiB, which no honest node does"):
        ask(Connection(lambda: large if kind is bytes else large.decode()))


def flood(monkeypatch):
    monkeypatch.setattr(answer_bounds, "_TICK_SECONDS", 0.01)
    kept = []

    def endless():
        while len(kept) < 2000:
            kept.append(b"x" * MEBIBYTE)
            time.sleep(0.001)
        return b""

    with pytest.raises(BoundsError, match="it sent more than 16 MiB"):
        ask(Connection(endless))
    return len(kept)


def test_a_flood_is_ended_while_it_is_read(monkeypatch):
    assert int(in_a_worker(lambda: flood(monkeypatch))) < 1000


def test_what_python_makes_of_an_answer_is_bounded(monkeypatch):
    monkeypatch.setattr(answer_bounds, "_PARSING_GROWTH", 32 * MEBIBYTE)
    told = in_a_worker(
        lambda: ask(Connection(lambda: b"[]," * 2 * MEBIBYTE), then=lambda text: len([[]] * 8 * len(text)))
    )
    assert told == "refused: to read its answer takes more than 32 MiB, which no honest one does"


def test_programs_do_not_inherit_the_limit():
    code = "import resource; print(resource.getrlimit(resource.RLIMIT_AS)[0])"

    def twice():
        answers = [b"x" * (8 * MEBIBYTE), None]

        def answer():
            told = answers.pop(0)
            return told or subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout

        connection = Connection(answer)
        with bounded(connection, 60):
            connection.exec_command("x")
            limited = resource.getrlimit(resource.RLIMIT_AS)[0] > 0
            return limited, connection.exec_command("x")[1].decode().strip()

    assert in_a_worker(twice) == str((True, str(resource.getrlimit(resource.RLIMIT_AS)[0])))


def hung():
    """A program that reads nothing of what it is sent, and a child of it."""
    program = subprocess.Popen(
        ["sh", "-c", "sleep 600 & echo started; wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert program.stdout.readline() == b"started\n"

    def send():
        program.stdin.write(b"x" * 4 * MEBIBYTE)
        program.stdin.close()

    with pytest.raises(BoundsError) as caught:
        ask(Connection(send), seconds=1)
    # Both have the other end of this pipe, which ends when both have.
    ended, _writable, _odd = select.select([program.stdout], [], [], 30)
    return str(caught.value), program.wait(), bool(ended)


@pytest.mark.skipif(
    not os.path.exists(f"/proc/self/task/{os.getpid()}/children"), reason="the kernel does not list children"
)
def test_what_hangs_and_reads_nothing_is_ended_with_what_it_started():
    assert in_a_worker(hung) == str(("no answer within 1 s", -9, True))


def test_an_error_that_is_swallowed_is_raised_again(monkeypatch):
    monkeypatch.setattr(answer_bounds, "_TICK_SECONDS", 0.01)
    swallowed = []

    def stubborn():
        while len(swallowed) < 3:
            try:
                signal.pause()
            except BoundsError as error:
                swallowed.append(error)
        signal.pause()

    with pytest.raises(BoundsError):
        ask(Connection(stubborn), seconds=0)
    assert len(swallowed) == 3
