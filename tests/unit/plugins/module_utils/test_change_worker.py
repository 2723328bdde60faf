# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""change_worker: it answers, breaks, is killed or hangs; it has nothing of who started it."""

from __future__ import annotations

import os
import signal
import time

from ansible_collections.kubenode.doctor.plugins.module_utils import change_worker


def test_an_answer_larger_than_a_pipe():
    assert change_worker.run(lambda: {"text": "x" * 300000}, 60) == {"text": "x" * 300000}


def test_one_that_breaks_says_where():
    def act():
        raise ZeroDivisionError("division by zero")

    answer = change_worker.run(act, 60)
    assert list(answer) == [change_worker.BROKEN]
    assert answer[change_worker.BROKEN].startswith("ZeroDivisionError in act, line ")


def test_one_that_is_killed():
    assert change_worker.run(lambda: os.kill(os.getpid(), signal.SIGKILL), 60) is None


def test_one_that_hangs_is_killed():
    assert change_worker.run(lambda: time.sleep(600), 0.05) is None


def test_hang_ups_and_polite_ends_do_not_stop_it():
    def act():
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        streams = [os.readlink(f"/proc/self/fd/{stream}") for stream in (0, 1, 2)]
        return {"streams": streams, "session": os.getsid(0) == os.getpid()}

    assert change_worker.run(act, 60) == {"streams": ["/dev/null"] * 3, "session": True}


def test_no_process_and_no_descriptor_is_left():
    before = sorted(os.listdir("/proc/self/fd"))
    change_worker.run(dict, 60)
    assert sorted(os.listdir("/proc/self/fd")) == before
    try:
        left = os.waitpid(-1, os.WNOHANG)[0]
    except ChildProcessError:
        left = 0
    assert left == 0
