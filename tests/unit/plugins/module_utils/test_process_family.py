# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""process_family: whoever comes of a process is found and ended, and nobody else is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.process_family import Family

SECONDS = 20.0
# Each writes its process id once it is what it is going to be.
SLEEP = "import os, sys, time; os.write({pipe}, b'%d\\n' % os.getpid()); time.sleep(100)"
DAEMON = (
    "import os, sys, time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
    "os.write({pipe}, b'%d\\n' % os.getpid()); time.sleep(100)"
)
# Its child has neither the mark nor its session.
STRAYED = (
    "import os, subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-ISc', {child!r}], env={{}}, start_new_session=True, pass_fds=[{pipe}])\ntime.sleep(100)"
)


@contextlib.contextmanager
def started(family, code):
    """Run it in the family; yields the process and the id that was written."""
    reader, writer = os.pipe()
    code = code.format(child=SLEEP.format(pipe=writer), pipe=writer)
    process = subprocess.Popen(
        [sys.executable, "-ISc", code],
        env={**os.environ, **family.environment},
        pass_fds=[writer],
        start_new_session=True,
    )
    os.close(writer)
    try:
        with open(reader, encoding="ascii") as file:
            yield process, int(file.readline())
    finally:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("code", [SLEEP, DAEMON, STRAYED])
def test_all_are_found_and_ended(code):
    family = Family()
    with started(family, code) as (process, pid):
        assert pid in family.members()
        assert os.getpid() not in family.members()
        assert family.end(SECONDS) == []
        assert not lives(pid)
        process.wait(SECONDS)
    assert family.members() == []


def test_one_that_strayed_stays_known_when_its_parent_has_ended():
    family = Family()
    with started(family, STRAYED) as (process, pid):
        family.members()
        process.kill()
        process.wait(SECONDS)
        assert family.members() == [pid]
        assert family.end(SECONDS) == []
        assert not lives(pid)


def test_another_family_is_left_alone():
    ours, theirs = Family(), Family()
    with started(ours, SLEEP) as (_process, pid), started(theirs, SLEEP) as (_other, stranger):
        assert (stranger in ours.members(), pid in theirs.members()) == (False, False)
        assert ours.end(SECONDS) == []
        assert (lives(pid), lives(stranger)) == (False, True)
        assert theirs.end(SECONDS) == []


def test_whom_a_signal_spares():
    family = Family()
    with started(family, SLEEP) as (process, pid):
        family.signal(signal.SIGKILL, spare=[pid])
        time.sleep(0.05)
        assert lives(pid)
        family.signal(signal.SIGKILL)
        assert process.wait(SECONDS) == -signal.SIGKILL


def test_one_that_is_just_becoming_another_program_is_waited_for(monkeypatch):
    family = Family()
    with started(family, DAEMON) as (process, pid):
        process.wait(SECONDS)
        looks = []

        def is_marked(self, one):
            looks.extend([one] * (one == pid))
            return None if one == pid and len(looks) < 3 else original(self, one)

        original = Family._is_marked
        monkeypatch.setattr(Family, "_is_marked", is_marked)
        assert family.end(SECONDS) == []
        assert not lives(pid)


def test_who_never_has_an_environment_is_a_stranger():
    family = Family()
    stranger = subprocess.Popen(["/bin/sleep", "100"], env={}, start_new_session=True)
    try:
        assert family.end(SECONDS) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(SECONDS)


def made_up(proc, pid, environ=b"", parent=1, session=1, start=5, tracer=0, name="x) S 1 1 1 ("):
    folder = proc / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    fields = ["S", parent, pid, session, *[0] * 15, start, 0]
    (folder / "stat").write_text(f"{pid} ({name}) {' '.join(map(str, fields))}\n")
    (folder / "status").write_text(f"Name:\t{name}\nTracerPid:\t{tracer}\n")
    (folder / "environ").write_bytes(environ)


def test_a_number_that_is_used_again_is_another_process(tmp_path):
    family = Family(str(tmp_path))
    ((name, token),) = family.environment.items()
    mark = f"{name}={token}".encode()
    made_up(tmp_path, 100, b"A=1\0" + mark + b"\0")
    made_up(tmp_path, 101, b"A=" + mark + b"\0", session=9)  # a value that holds it is no mark
    made_up(tmp_path, 103, session=1)
    made_up(tmp_path, 104, session=0)
    made_up(tmp_path, 102, tracer=100, session=7)
    assert family.members() == [100, 102, 103]
    made_up(tmp_path, 103, session=8)
    made_up(tmp_path, 100, start=6)
    made_up(tmp_path, 102, start=6)
    assert family.members() == [103]  # that one is the same as before


def test_our_own_session_is_not_theirs(tmp_path):
    family = Family(str(tmp_path))
    ((name, token),) = family.environment.items()
    made_up(tmp_path, 100, f"{name}={token}".encode(), session=os.getsid(0))
    made_up(tmp_path, 101, session=os.getsid(0))
    assert family.members() == [100]


@pytest.mark.parametrize("stat", ["", "x", "1 (a) S", "1 (a) S x y z " + "q " * 20])
def test_odd_processes_are_none_of_it(tmp_path, stat):
    made_up(tmp_path, 100)
    (tmp_path / "100" / "stat").write_text(stat)
    assert Family(str(tmp_path)).members() == []
