# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way the stacks of a program are asked for, and what is said where there is none."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import kubelet_dump, origin_request, origin_stacks
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.dump_source import Dumped, DumpError

DEFAULTS = {name: spec.get("default") for name, spec in origin_request.ARGUMENTS.items()}
DUMP = b"""goroutine 201 [IO wait]:
net.(*netFD).accept(0x263179816780)
\t/usr/local/go/src/net/fd_unix.go:149 +0x29
net.(*TCPListener).accept(0x263179838140)
\t/usr/local/go/src/net/tcpsock_posix.go:159 +0x1b
net.(*TCPListener).Accept(0x263179838140)
\t/usr/local/go/src/net/tcpsock.go:387 +0x30
main.serve(0x263179838140)
\t/src/main.go:12 +0x30
created by main.main in goroutine 1
\t/src/main.go:20 +0x1fd
"""


def listener(name, port=37231, pid=7, known=None):
    processes = [{"pid": pid, "name": name, "unit": None, "container_id": None, "pod_uid": None}] if name else []
    return {"protocol": "tcp", "port": port, "processes": processes, "known_as": known}


API = listener("kubelet", 10250, known={"component": "kubelet", "role": "API", "source": "kubernetes"})


class Asked:
    """Stands in for the two ways; ``calls`` are the questions."""

    def __init__(self, monkeypatch, dumped=None, signalled=True):
        self.calls = []
        self.signalled = signalled
        self.dumped = dumped or (lambda: Dumped("a file", iter([DUMP])))
        monkeypatch.setattr(origin_stacks.signalled_dump, "ask", self._signal)
        monkeypatch.setattr(origin_stacks.kubelet_dump, "ask", self._kubelet)

    def _signal(self, pid, name, _deadline):
        self.calls.append((pid, name))
        dumped = self.dumped()
        dumped.signalled = self.signalled
        return dumped

    def _kubelet(self, port, certificate, key, _deadline):
        self.calls.append((port, certificate, key))
        return self.dumped()


def stacks(*methods, check_mode=False):
    request = origin_request.read({**DEFAULTS, "methods": list(methods)})
    return origin_stacks.Stacks(request, Deadline(5), check_mode)


def test_kubelet_is_asked_once_on_the_port_of_its_api(monkeypatch):
    asked, mine = Asked(monkeypatch), stacks("goroutines")
    seen = mine.of(listener("kubelet"), [API])
    assert mine.of(API, [listener("kubelet")]) == seen
    assert asked.calls == [(10250, kubelet_dump.CERTIFICATE, kubelet_dump.KEY)]
    assert [one["server"] for one in seen["accepting"]] == ["main.serve"]
    assert (seen["source"], seen["count"], seen["why"]) == ("a file", 1, "")
    assert mine.asked_to_write == []


@pytest.mark.parametrize("name", ["containerd", "dockerd", "crio"])
def test_runtimes_write_only_when_that_is_asked_for(monkeypatch, name):
    asked = Asked(monkeypatch)
    quiet = stacks("goroutines")
    assert "add the method stack_dump" in quiet.of(listener(name), [])["why"]
    checking = stacks("stack_dump", check_mode=True)
    assert "in check mode" in checking.of(listener(name), [])["why"]
    assert (asked.calls, quiet.asked_to_write, checking.asked_to_write) == ([], [], [])
    loud = stacks("goroutines", "stack_dump")
    assert loud.of(listener(name), [])["count"] == 1
    assert asked.calls == [(7, name)]
    assert loud.asked_to_write == [7]


@pytest.mark.parametrize(
    ("who", "siblings", "words"),
    [
        (listener(None), [], "no process was seen"),
        (listener("java"), [], "trace it"),
        (listener("k3s-server"), [], "trace it"),
        (listener("kubelet"), [], "kubelet's API, which tells its stacks, was not found"),
    ],
)
def test_nobody_is_asked(monkeypatch, who, siblings, words):
    asked = Asked(monkeypatch)
    assert words in stacks("goroutines", "stack_dump").of(who, siblings)["why"]
    assert asked.calls == []


def test_kubelet_is_left_alone_without_the_method(monkeypatch):
    asked = Asked(monkeypatch)
    assert "trace it" in stacks("stack_dump").of(listener("kubelet"), [API])["why"]
    assert asked.calls == []


def test_a_refusal_is_told_and_nothing_was_written(monkeypatch):
    Asked(monkeypatch, lambda: Dumped("SIGUSR1", why="it would die of it"), signalled=False)
    mine = stacks("stack_dump")
    seen = mine.of(listener("containerd"), [])
    assert (seen["why"], seen["accepting"], mine.asked_to_write) == ("it would die of it", [], [])


def test_whoever_was_signalled_may_have_written_although_no_dump_was_seen(monkeypatch):
    Asked(monkeypatch, lambda: Dumped("SIGUSR1", why="had written no dump after 5 s"))
    mine = stacks("stack_dump")
    assert mine.of(listener("containerd"), [])["why"] == "had written no dump after 5 s"
    assert mine.asked_to_write == [7]


def test_what_breaks_off_leaves_what_was_read(monkeypatch):
    def broken():
        yield DUMP + b"\n"
        raise DumpError("the connection broke off")

    Asked(monkeypatch, lambda: Dumped("kubelet", broken()))
    seen = stacks("goroutines").of(listener("kubelet"), [API])
    assert seen["why"] == "the connection broke off"
    assert len(seen["accepting"]) == 1
