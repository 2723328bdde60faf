# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""trace_calls: the table stays small, and the opener is the program's own function nearest to the call."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import trace_calls
from ansible_collections.kubenode.doctor.plugins.module_utils.trace_calls import Calls, frame

# Seed 001, the breakpoint that was wanted.
STREAMING = "k8s.io/kubernetes/pkg/kubelet/server/streaming.(*server).Start"


def stack(*functions):
    return [frame(function, "f.go:1") for function in functions]


@pytest.mark.parametrize(
    ("functions", "opener"),
    [
        (["net.Listen", STREAMING, "runtime.goexit"], STREAMING),
        (["net.Listen", "net/http.ListenAndServe", "main.main.func1", "runtime.goexit"], "main.main.func1"),
        # Started as a goroutine of its own: nothing of the program is on the stack.
        (["net.Listen", "net/http.ListenAndServe", "runtime.goexit"], "net/http.ListenAndServe"),
        (["internal/poll.x", "vendor/golang.org/x/net/y.Z", "golang.org/x/net/a.B"], "golang.org/x/net/a.B"),
        # A C program's function of a name that Go has a package of.
        (["net", "main"], "net"),
        (["?", "main.main"], "main.main"),
        (["?", "?"], None),
        (["runtime.goexit"], None),
        ([], None),
    ],
)
def test_opener(functions, opener):
    assert trace_calls.opener(stack(*functions)) == opener


def test_the_library_of_c_is_not_the_opener():
    seen = [frame("listen", "/lib/x86_64-linux-gnu/libc.so.6+0x1"), frame("serve", "/usr/bin/server+0x2")]
    assert trace_calls.opener(seen) == "serve"


@pytest.mark.parametrize(
    ("printed", "function"),
    [
        ("runtime.goexit.abi0", "runtime.goexit"),
        ("main.f[go.shape.interface { Addr() net.Addr }_0]", "main.f[...]"),
        ("main.(*T[int]).Get", "main.(*T[...]).Get"),
        ("", "?"),
        ("a\x1b[31m\nb", "a?[31m b"),
        ("x" * 1000, "x" * 299 + "…"),
    ],
)
def test_names_are_plain(printed, function):
    assert frame(printed, "").function == function


def test_a_table_is_bounded_and_says_how_much_more_there_was():
    calls = Calls(2)
    rows = [calls.add("listen", "tcp", ":0", stack(*["f"] * 100)) for _call in range(5)]
    assert [row is None for row in rows] == [False, False, True, True, True]
    assert (len(calls.kept), calls.more, calls.full) == (2, 3, True)
    assert len(calls.kept[0]["stack"]) == trace_calls.DEEPEST


@pytest.mark.parametrize(
    ("text", "read"),
    [("/run/x.sock", "/run/x.sock"), (r"\33[31m\n\"a", '?[31m "a'), (r"\x", r"\x"), (r"\U0011ffff", r"\U0011ffff")],
)
def test_unquoted(text, read):
    assert trace_calls.unquoted(text) == read


def test_failures_in_words():
    assert trace_calls.failure(98) == "Address already in use (EADDRINUSE)"
    assert trace_calls.failure_named("EACCES") == "Permission denied (EACCES)"
    assert trace_calls.failure_named("EODD") == "EODD"
