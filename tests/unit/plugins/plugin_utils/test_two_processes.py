# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in two processes: what comes of it, in which order, and what is said when the second one does not live to tell."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import two_processes
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError

ITEMS = list(range(two_processes.LEAST + 5))


@pytest.fixture(autouse=True)
def two_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1})
    monkeypatch.setattr(threading, "active_count", lambda: 1)  # xdist's


def who(item):
    return item, os.getpid()


def always(_result):
    return True


def in_second(do):
    """The work of ``who``, which does something else in the second process."""
    first = os.getpid()

    def work(item):
        if os.getpid() != first:
            do(item)
        return who(item)

    return work


def no_children():
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_the_results_come_in_order_and_half_of_them_from_another_process():
    found = list(two_processes.in_order(ITEMS, who, always))
    assert [item for item, _pid in found] == ITEMS
    mine = sum(pid == os.getpid() for _item, pid in found)
    assert len({pid for _item, pid in found}) == 2
    assert abs(mine - len(ITEMS) / 2) <= 2 * two_processes.PIECE
    no_children()


@pytest.mark.parametrize("items", [[], ITEMS[: two_processes.LEAST - 1]])
def test_few_items_need_no_second_process(items):
    assert list(two_processes.in_order(items, who, always)) == [who(item) for item in items]


def test_one_cpu_has_no_room_for_a_second_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0})
    assert list(two_processes.in_order(ITEMS, who, always)) == [who(item) for item in ITEMS]


def test_beside_threads_there_is_no_fork(monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 2)
    assert list(two_processes.in_order(ITEMS, who, always)) == [who(item) for item in ITEMS]


def test_where_no_process_is_to_be_had_one_does_it_all(monkeypatch):
    def refuse():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    assert list(two_processes.in_order(ITEMS, who, always)) == [who(item) for item in ITEMS]


def test_what_does_not_fit_is_done_again_here():
    found = list(two_processes.in_order(ITEMS, who, lambda result: result[0] % 2 == 0))
    assert [item for item, _pid in found] == ITEMS
    assert all(pid == os.getpid() for item, pid in found if item % 2)
    assert any(pid != os.getpid() for _item, pid in found)


def test_results_larger_than_the_pipe_arrive():
    found = list(two_processes.in_order(ITEMS, lambda item: str(item) * 100_000, always))
    assert found == [str(item) * 100_000 for item in ITEMS]


def test_a_second_process_that_is_killed_is_told_of():
    work = in_second(lambda item: os.kill(os.getpid(), signal.SIGKILL) if item > 100 else None)
    with pytest.raises(BundleError, match="was killed: if that was for want of memory"):
        list(two_processes.in_order(ITEMS, work, always))
    no_children()


def test_an_error_in_the_second_process_is_told_of():
    with pytest.raises(BundleError, match="has failed: ZeroDivisionError: division by zero"):
        list(two_processes.in_order(ITEMS, in_second(lambda item: item / 0), always))
    no_children()


def test_an_error_here_ends_the_second_process():
    def work(item):
        if item == two_processes.PIECE:  # the first one after the fork, here
            raise ValueError("here")
        return item

    with pytest.raises(ValueError, match="here"):
        list(two_processes.in_order(ITEMS, work, always))
    no_children()
