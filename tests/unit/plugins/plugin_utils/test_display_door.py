# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed passes one door, where a line that is redrawn can be taken away first."""

from __future__ import annotations

import os
import threading

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils.display_door import DisplayDoor
from ansible_collections.kubenode.doctor.plugins.plugin_utils.status_line import StatusLine, can_draw


class Display:
    def __init__(self):
        self._lock = threading.RLock()
        self.printed = []

    def display(self, msg, color=None, stderr=False):
        self.printed.append((msg, color, stderr))


@pytest.fixture
def display():
    return Display()


def test_everything_is_announced_before_it_is_printed(display):
    DisplayDoor(display, lambda: display.printed.append("before"))
    display.display("text", "red", stderr=True)
    assert display.printed == ["before", ("text", "red", True)]


def test_what_is_held_back_is_not_printed_and_can_be_later(display):
    door = DisplayDoor(display, lambda: None)
    with door.held() as said:
        display.display("one", "red", stderr=True)
        display.display("two")
    assert display.printed == []
    assert [line.text for line in said] == ["one", "two"]
    door.let_through(said[0])
    display.display("three")
    assert display.printed == [("one", "red", True), ("three", None, False)]


def test_only_the_thread_that_holds_back_is_held_back(display):
    door = DisplayDoor(display, lambda: None)
    with door.held() as said:
        other = threading.Thread(target=display.display, args=("from another",))
        other.start()
        other.join()
    assert (said, display.printed) == ([], [("from another", None, False)])


def test_nothing_is_held_back_after_an_error(display):
    door = DisplayDoor(display, lambda: None)
    with pytest.raises(ValueError, match="bad"), door.held():
        raise ValueError("bad")
    display.display("text")
    assert display.printed == [("text", None, False)]


def test_a_worker_does_not_wait_for_a_lock(display, monkeypatch):
    """In a fork the door is open: the lock may be held by a thread that is not there."""
    door = DisplayDoor(display, lambda: display.printed.append("before"))
    door.lock = None  # to take it would be an error
    monkeypatch.setattr(os, "getpid", lambda: -1)
    display.display("from a worker")
    assert display.printed == [("from a worker", None, False)]


@pytest.fixture
def terminal():
    controller, descriptor = os.openpty()
    yield controller, descriptor
    os.close(controller)
    os.close(descriptor)


def shown(terminal):
    """What the terminal got until now."""
    controller, descriptor = terminal
    os.write(descriptor, b"!")
    got = b""
    while not got.endswith(b"!"):
        got += os.read(controller, 4096)
    return got.decode()[:-1]


def test_a_line_is_drawn_in_the_place_of_the_last_one(terminal):
    line = StatusLine(terminal[1], "utf-8")
    line.draw("one ü")
    line.draw("one ü")
    line.draw("two")
    line.erase()
    line.erase()
    assert shown(terminal) == "\r\x1b[Kone ü\r\x1b[Ktwo\r\x1b[K"


def test_a_line_is_cut_to_the_width_and_to_what_the_terminal_can_show(terminal):
    line = StatusLine(terminal[1], "ascii")
    assert line.columns() == 79
    line.draw("ü" * 79)
    line.draw("x" * 200)
    assert shown(terminal) == "\r\x1b[K" + "?" * 79 + "\r\x1b[K" + "x" * 78 + "?"


def test_a_terminal_that_is_gone_stops_nothing():
    descriptor = os.open(os.devnull, os.O_RDONLY)
    line = StatusLine(descriptor, "utf-8")
    line.draw("text")
    line.erase()
    os.close(descriptor)


@pytest.mark.parametrize(("term", "can"), [("xterm", True), ("dumb", False), ("", False)])
def test_which_terminals_can(terminal, monkeypatch, term, can):
    monkeypatch.setenv("TERM", term)
    assert can_draw(terminal[1]) is can


def test_a_file_is_no_terminal(monkeypatch, tmp_path):
    monkeypatch.setenv("TERM", "xterm")
    with (tmp_path / "log").open("w") as log:
        assert not can_draw(log.fileno())


def test_nothing_is_drawn_from_the_background(terminal, monkeypatch):
    monkeypatch.setattr(os, "tcgetpgrp", lambda _descriptor: -1)
    StatusLine(terminal[1], "utf-8").draw("text")
    assert shown(terminal) == ""
