# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real processes for tests that run in a network namespace: other names, other users, and an end that is sure to come."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import traceback

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
NOBODY = 65534


def rename(name):
    """Give this process a comm, any bytes; the kernel keeps 15."""
    assert LIBC.prctl(PR_SET_NAME, name, 0, 0, 0) == 0


def become(uid):
    """Go on as another user, as a program that this user has started."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # Changing the user hides /proc/self from it; exec would turn that off again.
    assert LIBC.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0


@contextlib.contextmanager
def running(action, *, name=None, uid=None):
    """A child process that has done ``action()`` and keeps what that returned; its pid."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(ready)
            if name is not None:
                rename(name)
            if uid is not None:
                become(uid)
            _kept = action()
            os.write(tell, b"y")
            os.close(tell)
            signal.pause()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(tell)
    try:
        assert os.read(ready, 1) == b"y", "the process did not come up: see its traceback"
        yield child
    finally:
        os.close(ready)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def answer_of(action):
    """What ``action()`` returns (JSON types) in a child of its own, which may change user, mounts, hooks as it likes."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        try:
            told = {"value": action()}
        except BaseException:
            told = {"error": traceback.format_exc()}
        with os.fdopen(write_end, "w") as stream:
            json.dump(told, stream)
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        told = json.loads(stream.read())
    os.waitpid(child, 0)
    assert "error" not in told, told["error"]
    return told["value"]
