# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""go_dump: whole dumps of real programs, the forms of all Go versions, and text that means to mislead or to exhaust."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import go_dump
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

FIXTURES = Path(__file__).parents[3] / "fixtures" / "go_dumps"
STREAMING = b"""\
internal/poll.(*FD).Accept(0xc0000be480)
\tinternal/poll/fd_unix.go:614 +0x234
net.(*TCPListener).Accept(0xc000581f20)
\tnet/tcpsock.go:288 +0x3d
net/http.(*Server).Serve(0xc0001a81e0, {0x2528838, 0xc000581f20})
\tnet/http/server.go:3070 +0x385
github.com/containerd/containerd/pkg/cri/streaming.(*server).Start(0xc0001a77a0, 0x2e?)
\tgithub.com/containerd/containerd/pkg/cri/streaming/server.go:267 +0xd8
created by github.com/containerd/containerd/pkg/cri/server.(*criService).Run
\tgithub.com/containerd/containerd/pkg/cri/server/service.go:244 +0x6aa
"""
LIMITED = b"golang.org/x/net/netutil.(*limitListener)"
HEADER = b"goroutine 74 [IO wait, 2 minutes]:\n"
ONE = HEADER + STREAMING
OTHER = b"goroutine 1 [select]:\nmain.main()\n\t/main.go:3 +0x1\n"
CREATED = b"created by main.main\n\t/main.go:5 +0x1\n"


def parse(*blocks, seconds=30.0):
    return go_dump.parse(blocks, Deadline(seconds))


def read(name):
    return (FIXTURES / name).read_bytes()


def only(*blocks):
    found = parse(*blocks)
    assert len(found.accepting) == 1, found
    return found.accepting[0]


def short(found):
    return [(one["network"], one["kind"], one["waits_minutes"]) for one in found.accepting]


DUMPS = {
    "kubelet-1.36.txt": (
        181,
        [
            ("tcp", "kubelet-api", None),
            ("tcp", "kubelet-readonly", 42),
            ("unix", None, 42),
            ("tcp", "kubelet-healthz", 42),
            ("unix", None, 42),
        ],
    ),
    "containerd-1.6.txt": (195, [("unix", None, 1), ("unix", None, 40), ("tcp", "cri-streaming", 2)]),
    "containerd-1.6-tcp.txt": (
        21,
        [
            ("tcp", "containerd-debug", None),
            ("tcp", "containerd-metrics", None),
            ("unix", None, None),
            ("tcp", "containerd-grpc", None),
            ("unix", None, None),
            ("tcp", "cri-streaming", None),
        ],
    ),
    "dockerd-20.10.txt": (
        34,
        [
            ("unix", None, None),
            ("unix", None, None),
            ("tcp", "docker-metrics", None),
            ("unix", None, None),
            ("tcp", "docker-api", None),
        ],
    ),
    "go-1.19.txt": (11, [*[("tcp", None, None)] * 6, ("unix", None, None), *[("tcp", None, None)] * 2]),
}


@pytest.mark.parametrize("name", sorted(DUMPS))
def test_whole_dumps_of_real_programs(name):
    text = read(name)
    found = parse(text)
    goroutines, accepting = DUMPS[name]
    assert (found.goroutines, found.truncated, found.why) == (goroutines, False, "")
    assert len(re.findall(rb"(?m)^goroutine ", text)) == goroutines
    assert text.count(b"(*FD).Accept(") == len(accepting)
    assert short(found) == accepting


@pytest.mark.parametrize("size", [1, 7, 100, 4096, 1 << 16])
def test_blocks_of_any_size_say_the_same(size):
    text = read("containerd-1.6-tcp.txt")
    blocks = [text[start : start + size] for start in range(0, len(text), size)]
    assert parse(*blocks, b"") == parse(text)


def test_a_goroutine_that_spans_pieces_is_whole(monkeypatch):
    text = read("kubelet-1.36.txt")
    expected = parse(text)
    for size in (500, 3001, 20000):
        monkeypatch.setattr(go_dump, "_PIECE", size)
        assert parse(text) == expected


def test_what_is_told_of_a_goroutine():
    assert only(OTHER, b"\n", ONE) == {
        "network": "tcp",
        "server": "github.com/containerd/containerd/pkg/cri/streaming.(*server).Start",
        "file": "github.com/containerd/containerd/pkg/cri/streaming/server.go:267",
        "creator": "github.com/containerd/containerd/pkg/cri/server.(*criService).Run",
        "waits_minutes": 2,
        "kind": "cri-streaming",
        "stack": [
            "net.(*TCPListener).Accept",
            "net/http.(*Server).Serve",
            "github.com/containerd/containerd/pkg/cri/streaming.(*server).Start",
        ],
    }


def test_the_program_of_the_fixture_is_told_by_its_own_functions():
    servers = [one["server"] for one in parse(read("go-1.19.txt")).accepting]
    assert servers == [
        "main.loop",
        "main.main.func2",
        "main.main",  # go server.Serve(listener)
        "main.(*server).serve",
        "main.main.func3",
        "main.main.func4",
        "main.main.func5",
        "main.box[...].accept",
        "main.deep",
    ]
    for one in parse(read("go-1.19.txt")).accepting:
        assert re.fullmatch(r"example\.com/opener/main\.go:[0-9]+", one["file"])
        assert one["creator"] == "main.main"
        assert len(one["stack"]) <= 40
    # Of a recursive function it is the place that accepts.
    line = int(parse(read("go-1.19.txt")).accepting[-1]["file"].rpartition(":")[2])
    assert read("go-1.19.go").split(b"\n")[line - 1].strip() == b"_, _ = l.Accept()"


@pytest.mark.parametrize(
    ("header", "minutes"),
    [
        (b"goroutine 1 [IO wait]:", None),
        (b"goroutine 1 [IO wait, 1 minutes]:", 1),
        (b"goroutine 18446744073709551615 [IO wait, 20571 minutes, locked to thread]:", 20571),
        (b"goroutine 1 [IO wait (scan), 3 minutes]:", 3),
        (b"goroutine 1 gp=0xc000002380 m=0 mp=0x55d0a0 [IO wait, 7 minutes]:", 7),
        (b"goroutine 6 gp=0xc0001ea1c0 m=nil [IO wait]:", None),
        (b"goroutine 1 [runnable]:", None),
        # Go 1.26 (golang/go issue 76349): labels are quoted text of the program's own.
        (b'goroutine 8 [IO wait, 5 minutes labels:{"foobar": "baz"}]:', 5),
        (b'goroutine 8 [IO wait labels:{"x": "]: , 9 minutes"}]:', None),
    ],
)
def test_headers_of_all_go_versions(header, minutes):
    found = parse(header + b"\n" + STREAMING)
    assert found.goroutines == 1
    assert short(found) == [("tcp", "cri-streaming", minutes)]


@pytest.mark.parametrize(
    "header",
    [
        b"goroutine 1:",
        b"goroutine [IO wait]:",
        b"goroutine x [IO wait]:",
        b"goroutine 1 [IO wait]",
        b"goroutine 1 [IO wait] main",
        b"goroutine 123456789012345678901234567890 [IO wait]:",
        b" goroutine 1 [IO wait]:",
        b"\tgoroutine running on other thread; stack unavailable",
        b"[originating from goroutine 1]:",
    ],
)
def test_what_only_looks_like_a_header_is_none(header):
    found = parse(header + b"\n" + STREAMING)
    assert (found.goroutines, found.accepting, found.truncated) == (0, [], False)
    assert "no dump of goroutines" in found.why


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b"\n\n", b"\n"),  # as containerd's log of 2017 has it (containerd issue 1724)
        lambda text: b'time="2026-11-21T18:00:00Z" level=info msg="=== BEGIN goroutine stack dump ===\n' + text,
        lambda text: text + b"\n=== END goroutine stack dump ===\n",
        lambda text: b"\n\n\n" + text + b"\n\n",
        lambda text: text.replace(b"\n\t", b"\n        "),
        lambda text: text.replace(b"(*criService).Run\n", b"(*criService).Run in goroutine 39\n"),
        lambda text: re.sub(rb"( \+0x[0-9a-f]+)\n", rb"\1 fp=0xc00017 sp=0xc00017 pc=0x55b04a\n", text),
        lambda text: re.sub(rb"\([^(]*\)\n\t", b"(...)\n\t", text),
    ],
)  # fmt: skip
def test_other_forms_of_the_same_dump(change):
    text = OTHER + b"\n" + ONE + b"\n" + OTHER
    found = parse(change(text))
    assert (found.goroutines, found.truncated) == (3, False)
    assert found.accepting == parse(text).accepting


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        # Wrappers, with and without the type of the socket on the stack
        (
            [b"net.(*TCPListener).accept", b"net.(*TCPListener).AcceptTCP", b"net/http.tcpKeepAliveListener.Accept", b"net/http.(*Server).Serve", b"main.run"],
            ("tcp", "main.run", "net.(*TCPListener).AcceptTCP"),
        ),
        (
            [LIMITED + b".acquire", LIMITED + b".Accept", b"net/http.(*Server).Serve", b"main.run"],
            ("other", "main.run", (LIMITED + b".Accept").decode()),
        ),
        ([b"crypto/tls.(*listener).Accept", b"main.run"], ("other", "main.run", "crypto/tls.(*listener).Accept")),
        ([b"github.com/soheilhy/cmux.muxListener.Accept", b"main.run"], ("other", "main.run", "github.com/soheilhy/cmux.muxListener.Accept")),
        ([b"internal/poll.(*FD).Accept", b"net.(*netFD).accept", b"main.run"], ("other", "main.run", "internal/poll.(*FD).Accept")),
        ([b"internal/poll.(*FD).Accept", b"net.(*UnixListener).AcceptUnix", b"main.run"], ("unix", "main.run", "net.(*UnixListener).AcceptUnix")),
        # Vendored, escaped as the linker does, generic
        (
            [b"net.(*TCPListener).Accept", b"a.io/b/vendor/gopkg.in/c%2ev2.(*S[...]).Run.func1.2"],
            ("tcp", "a.io/b/vendor/gopkg.in/c.v2.(*S[...]).Run.func1.2", "net.(*TCPListener).Accept"),
        ),
        # gVisor's own TCP is none of the host's sockets.
        ([b"gvisor.dev/gvisor/gonet.(*TCPListener).Accept", b"main.run"], ("other", "main.run", "gvisor.dev/gvisor/gonet.(*TCPListener).Accept")),
    ],
)  # fmt: skip
def test_listeners_of_other_types(stack, expected):
    one = only(HEADER, b"".join(b"%s(0x1)\n\t/a/b.go:1 +0x1\n" % function for function in stack))
    assert (one["network"], one["server"], one["stack"][0]) == expected


@pytest.mark.parametrize(
    "function",
    [
        b"github.com/hashicorp/yamux.(*Session).Accept",
        b"github.com/x/y.(*Visitor).Accept",
        b"net.(*TCPListener).acceptLoop",
        b"main.Accept",
        b"main.(*Listener).AcceptAll",
    ],
)
def test_what_is_no_listener_is_passed_over(function):
    found = parse(HEADER, function + b"(0x1, {0x2, (*FD).Accept(})\n\t/a.go:1\n", CREATED)
    assert (found.goroutines, found.accepting, found.why) == (1, [], "")


def test_the_accepts_of_multiplexed_connections_are_not_even_parsed(monkeypatch):
    monkeypatch.setattr(go_dump, "_accepting", None)
    assert parse(HEADER + b"github.com/hashicorp/yamux.(*Session).Accept(0x1)\n\t/a.go:1\n").goroutines == 1


def test_accept_in_other_places_than_functions_counts_for_nothing():
    for line in (b"\t/src/(*Listener).Accept(0)", b"created by net.(*TCPListener).Accept(0)", b"x (*FD).Accept(0) y"):
        assert parse(OTHER + line + b"\n").accepting == []


def test_frames_that_are_not_told_are_passed_over():
    for mark in (
        b"...additional frames elided...",
        b"...23 frames elided...",
        b"non-Go function\n\tpc=0x55d0a0",
        b"c_function\n\t/usr/src/c.c:5 pc=0x55d0a0",
        b"runtime.goexit",
    ):
        text = ONE.replace(b"created by", mark + b"\ncreated by")
        assert parse(text).accepting == parse(ONE).accepting
    ancestors = (
        b"[originating from goroutine 1]:\nmain.evil(...)\n\t/evil.go:1 +0x1\ncreated by main.evil\n\t/evil.go:2\n"
    )
    assert parse(ONE + ancestors).accepting == parse(ONE).accepting


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9, 0.999])
def test_a_dump_that_was_cut_says_so(cut):
    text = read("kubelet-1.36.txt")
    part = text[: int(len(text) * cut)].rstrip(b"\n")
    found = parse(part)
    assert found.truncated
    assert "take it again" in found.why
    assert 0 < found.goroutines <= 181


@pytest.mark.parametrize("name", [*sorted(DUMPS), "../seed_001/goroutines.txt"])
def test_a_dump_that_was_cut_within_its_last_goroutine_says_so_at_every_line(name):
    """The cut that cannot be seen is the one right behind a goroutine's last line."""
    lines = read(name).splitlines(keepends=True)
    (*_others, begin) = (number for number, line in enumerate(lines) if line.startswith(b"goroutine "))
    for end in range(begin, len(lines)):
        found = parse(b"".join(lines[:end]))
        assert (found.truncated, found.why) == (True, go_dump._CUT), lines[end - 1]
    found = parse(b"".join(lines[: begin - 1]))
    assert not found.truncated
    assert not parse(b"".join(lines)).truncated


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (OTHER, True),
        (b"goroutine 1 [running]:\n\tgoroutine running on other thread; stack unavailable\n", True),
        (b"goroutine 1 [running, locked to thread]:\nmain.main()\n\t/main.go:3 +0x1\nruntime.goexit()\n\t/a.s:3 +0x1\n", True),
        (b"goroutine 17 [syscall, locked to thread]:\nruntime.goexit()\n\t/asm_amd64.s:1337 +0x1\n", True),
        (b"goroutine 1 gp=0xc000002380 m=0 mp=0x55d0a0 [IO wait]:\nmain.a(...)\n\t/a.go:1 +0x1\n...additional frames elided...\n", True),
        (HEADER + b"main.a(...)\n\t/a.go:1 +0x1\n...additional frames elided...\n" + CREATED, True),
        (HEADER + b"main.a(...)\n\t/a.go:1 +0x1\n...additional frames elided...\n", False),
        (HEADER + b"main.a(...)\n\t/a.go:1 +0x1\n...23 frames elided...\n", False),
        (HEADER + b"\tgoroutine running on other thread; stack unavailable\n" + CREATED, True),
        (HEADER + b"\tgoroutine running on other thread; stack unavailable\n", False),
        (HEADER + CREATED + b"[originating from goroutine 7]:\nmain.b(...)\n\t/a.go:1 +0x1\n", False),
        (HEADER + CREATED + b"[originating from goroutine 7]:\nmain.b(...)\n\t/a.go:1 +0x1\n" + CREATED, True),
        (HEADER + CREATED + b"[originating from goroutine 1]:\nmain.main(...)\n\t/a.go:1 +0x1\n", True),
        (b"goroutine 1 [select]:\nmain.a()\n\t/main.go:3 +0x1\n", False),
        (b"goroutine 1 [select]:\nmain.main()\n", False),
        (b"goroutine 10 [select]:\nmain.main()\n\t/main.go:3 +0x1\n", False),
        (HEADER, False),
        (ONE + b"\n", False),
        (ONE + b"\ngoroutine \n", False),
        (ONE + b"\n=== END goroutine stack dump ===\n", True),  # somebody wrote on
        (ONE[: ONE.index(b"created by")] + b"A" * 300_000 + b"\n", False),
        (HEADER + b"created by main.main\n" + b" " * 260_000 + b"\n", False),
    ],
)  # fmt: skip
def test_a_last_goroutine_that_is_whole_and_one_that_is_not(text, whole):
    found = parse(OTHER, b"\n", text)
    assert (not found.truncated, found.why) == (whole, "" if whole else go_dump._CUT)


def test_a_dump_of_the_size_where_pprof_stops_says_so(monkeypatch):
    monkeypatch.setattr(go_dump, "_LIMIT_OF_PPROF", len(OTHER) * 3)
    assert "take it again" in parse(OTHER * 3).why
    assert not parse(OTHER * 2).truncated


def test_a_cut_in_the_middle_of_an_accepting_goroutine_keeps_what_is_there():
    one = only(ONE[: ONE.index(b"created by")][:-40])
    assert (one["network"], one["kind"], one["creator"]) == ("tcp", "cri-streaming", None)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"404 page not found\n",
        b"<html>Accept(</html>",
        b"\0\xff\xfe",
        # debug=1 instead of debug=2
        b"goroutine profile: total 5\n1 @ 0x43\n#\t0x611f87\tnet.(*TCPListener).Accept+0x3d\tnet/tcpsock.go:1\n",
    ],
)
def test_what_is_no_dump_says_so(text):
    assert parse(text) == (0, [], False, go_dump._NONE)


def test_the_deadline_ends_endless_blocks_and_keeps_what_came():
    def endless():
        yield ONE
        while True:
            yield b""

    start = time.monotonic()
    found = go_dump.parse(endless(), Deadline(0.05))
    assert time.monotonic() - start < 60
    assert (found.goroutines, len(found.accepting), found.truncated) == (1, 1, True)
    assert "budget_seconds" in found.why


def test_a_source_that_breaks_is_told():
    def broken():
        yield ONE * 2
        raise ConnectionResetError(104, "Connection\nreset")

    found = go_dump.parse(broken(), Deadline(5))
    assert (found.truncated, found.why) == (True, "reading the dump failed: Connection reset")


def test_more_accepting_goroutines_than_anybody_reads():
    found = parse(*[ONE] * 500)
    assert (found.goroutines, len(found.accepting), found.truncated) == (500, 200, True)
    assert "more than 200" in found.why
    assert not parse(*[ONE] * 200).truncated


def test_hostile_names_are_cut_and_shown_safely():
    evil = b"evil\x1b[2J\x00%1b%00\xff" + b"A" * 100_000
    text = HEADER + b"net.(*TCPListener).Accept(0x1)\n\t/a.go:1\n" + evil + b"(0x1)\n\t/" + evil + b":1 +0x1\n"
    one = only(text + b"created by " + evil + b" in goroutine 1\n\t/x.go:1\n")
    for words in (one["server"], one["file"], one["creator"], *one["stack"]):
        assert words.isprintable()
        assert len(words) <= 300


@pytest.mark.parametrize(
    "block",
    [
        b"\0" * 100_000,
        b"x.(*Listener).Accept(" * 5000,
        b"net.(*TCPListener).Accept(0x1)\n\tx.go:1\n" * 2500,
        b"goroutine 1 [x]:\n" * 6000,
        b"goroutine 1 [\n" * 7000,
        b"goroutine 1 [" + b"]:" * 50_000,
        b"\ngoroutine " * 9000,
        b"goroutine 1 [IO wait]:\nyamux.(*Session).Accept(0x1)\n\n" * 1700,
        b"goroutine 1 [IO wait]:\n" + b"x.(*Listener).Accept(" * 5000 + b"\n",
        b"\r" * 100_000,
        b"(" * 100_000,
    ],
)
def test_hostile_text_costs_little(block):
    start = time.process_time()
    found = parse(*[ONE], *[block] * 50)
    assert time.process_time() - start < 2  # 5 MB; a hundredth of it is usual
    assert found.accepting[0]["kind"] == "cri-streaming"


def test_an_endless_goroutine_is_held_only_in_part():
    reader = go_dump._Reader()
    reader.feed(ONE[: ONE.index(b"created by")])
    for _number in range(20):
        reader.feed(b"main.a(0x1)\n\t/a.go:1 +0x1\n" * 20_000)
        assert len(reader._rest) <= go_dump._LONGEST
    reader.feed(b"main.a(0x1)\n" * 40_000 + ONE[:5])
    reader.feed(ONE[5:])
    found = reader.finish("")
    assert (found.goroutines, len(found.accepting)) == (2, 2)
    assert found.accepting[1]["creator"].endswith("Run")


def test_damaged_dumps_never_raise():
    chance = random.Random(1)  # noqa: S311
    text = read("dockerd-20.10.txt")
    for _number in range(60):
        damaged = bytearray(text)
        for _number in range(chance.randrange(1, 400)):
            damaged[chance.randrange(len(damaged))] = chance.choice(b"\n\r\t ()[]:%\0\xff\x80gA0")
        start = chance.randrange(len(text))
        found = parse(bytes(damaged[start:]))
        assert found.goroutines <= 60
        for one in found.accepting:
            assert one["server"]
