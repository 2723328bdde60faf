# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""in_parallel: several at once, or one after the other on a machine without room for another thread."""

from __future__ import annotations

import threading

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.in_parallel import in_parallel


def test_results_come_in_the_order_of_the_values():
    first_may_end = threading.Event()

    def work(value):
        if value == "first":
            assert first_may_end.wait(5)
        else:
            first_may_end.set()
        return value.upper()

    assert in_parallel(work, ["first", "second"]) == ["FIRST", "SECOND"]


def test_nothing():
    assert in_parallel(pytest.fail, []) == []


def fail_on(*bad):
    done = []

    def work(value):
        if value in bad:
            raise KeyError(value)
        done.append(value)

    return work, done


@pytest.fixture(params=["room", "no room"])
def threads(request, monkeypatch):
    """A machine with and one without room for threads."""

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    if request.param == "no room":
        monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.usefixtures("threads")
def test_the_first_failure_is_raised_when_all_have_ended():
    work, done = fail_on(2, 3)
    with pytest.raises(KeyError, match="2"):
        in_parallel(work, [1, 2, 3, 4])
    assert sorted(done) == [1, 4]


@pytest.mark.usefixtures("threads")
def test_none_is_a_result():
    assert in_parallel(lambda _value: None, [1, 2]) == [None, None]
