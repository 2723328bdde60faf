# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dlv_trace: what Delve printed of a real program, and output that is cut, mixed up or hostile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import dlv_trace, trace_calls

TRACES = Path(__file__).parents[3] / "fixtures" / "traces"
# Call, network, address, opener, and whether the result is an address (else an error).
SAID = {
    ("net.Listen", "tcp", "127.0.0.1:18080", "main.serveKnown"),
    ("net.Listen", "tcp", "localhost:0", "main.openRandom"),
    ("net.(*ListenConfig).Listen", "tcp", "127.0.0.1:0", "main.viaConfig"),
    ("net.ListenTCP", "tcp4", "127.0.0.1:0", "main.viaTCP"),
    ("net.FileListener", None, None, "main.viaTCP"),
    ("net.ListenTCP", "tcp", ":0", "main.viaNil"),
    ("net.ListenPacket", "udp", "127.0.0.1:0", "main.viaPacket"),
    ("net.ListenUDP", "udp6", "[::1]:0", "main.viaUDP"),
    ("net.Listen", "tcp", "127.0.0.1:0", "main.viaGeneric[...]"),
    ("net.Listen", "tcp", "127.0.0.1:18080", "main.taken"),
    ("net.ListenUnix", "unix", "/tmp/opener.sock", "main.viaUnix"),
}


def _tabs(text):
    """Delve indents by tabs, and places by blanks too."""
    return text.replace("→", "\t")


HIT = _tabs(
    """> goroutine(7): [Listen] net.(*ListenConfig).Listen((*net.ListenConfig)(0xc0), "tcp", "x:0")

→network: "tcp"
→address: "%s"
→Stack:
→→0  0x00000000004d15cf in net.(*ListenConfig).Listen
→→     at net/dial.go:624
→→1  0x00000000004d21eb in net.Listen
→→     at net/dial.go:711
→→2  0x00000000004d21ff in main.main
→→     at main.go:7
→→(truncated)
"""
)
BOUND = _tabs(
    """> goroutine(7): [Tcp] net.sockaddrToTCP(syscall.Sockaddr(*syscall.SockaddrInet4) 0xbeef000000000008)

→sa: syscall.Sockaddr(*syscall.SockaddrInet4) *{
→→Port: 4321,
→→Addr: [4]uint8 [127,0,0,1],}
→Stack:
→→0  0x00000000004d15cf in net.sockaddrToTCP
→→     at net/tcpsock_posix.go:16
→→1  0x00000000004d21eb in %s
→→     at net/sock_posix.go:203
"""
)


def read(text):
    reader = dlv_trace.Reader()
    for line in text.encode().split(b"\n") if isinstance(text, str) else text.split(b"\n"):
        reader.add(line)
    reader.end()
    return reader


def rows(text):
    return read(text).calls.kept


@pytest.mark.parametrize("name", ["opener", "opener-noopt"])
def test_a_real_trace_names_every_opener_on_every_goroutine(name):
    reader = read((TRACES / f"dlv-{name}.txt").read_bytes())
    calls = reader.calls.kept
    assert {(one["call"], one["network"], one["address"], one["opener"]) for one in calls} == SAID
    assert len(calls) == 14
    random = [one for one in calls if one["opener"] == "main.openRandom"]
    assert len({one["goroutine"] for one in random}) == len({one["result"] for one in random}) == 4
    by_opener = {one["opener"]: one["result"] for one in calls if one["call"] != "net.FileListener"}
    assert by_opener["main.taken"] == "Address already in use (EADDRINUSE)"
    assert by_opener["main.viaUnix"] == "/tmp/opener.sock"
    assert by_opener["main.viaNil"].startswith("[::]:")
    assert by_opener["main.viaUDP"].startswith("[::1]:")
    assert by_opener["main.serveKnown"] == "127.0.0.1:18080"
    # The listener that was made of the other's file.
    assert [one["result"] for one in calls if one["opener"] == "main.viaTCP"] == [by_opener["main.viaTCP"]] * 2
    assert (reader.ready, reader.exited, reader.unread) == (True, 0, 0)
    assert "Listen" in reader.points


def test_the_stack_has_functions_and_places():
    calls = read((TRACES / "dlv-opener.txt").read_bytes()).calls.kept
    known = next(one for one in calls if one["opener"] == "main.serveKnown")
    assert [one["function"] for one in known["stack"]][:3] == [
        "net.(*ListenConfig).Listen",
        "net.Listen",
        "net/http.(*Server).ListenAndServe",
    ]
    assert known["stack"][0]["file"] == "net/dial.go:624"


def test_the_port_of_a_connection_on_the_same_goroutine_is_no_listeners():
    assert rows(HIT % "x:0" + BOUND % "net.(*netFD).accept")[0]["result"] is None
    assert rows(HIT % "x:0" + BOUND % "net.(*netFD).dial")[0]["result"] is None
    assert rows(HIT % "x:0" + BOUND % "net.(*netFD).listenStream")[0]["result"] == "127.0.0.1:4321"


def test_results_go_to_their_own_goroutine():
    other = (HIT % "y:0").replace("(7)", "(8)")
    told = rows(HIT % "x:0" + other + BOUND % "net.(*netFD).listenStream")
    assert [(one["goroutine"], one["result"]) for one in told] == [(7, "127.0.0.1:4321"), (8, None)]


def test_a_result_that_cannot_be_read_is_counted():
    broken = (BOUND % "net.(*netFD).listenStream").replace("*{", "(unreadable)").replace("Port: 4321,", "")
    reader = read(HIT % "x:0" + broken)
    assert (reader.calls.kept[0]["result"], reader.unread) == (None, 1)


@pytest.mark.parametrize(
    ("printed", "address"),
    [
        (r"a\x1b[31m\nb", "a?[31m b"),
        (r"say \"hi\":0", 'say "hi":0'),
        ("é" * 500, "é" * 119 + "…"),
        ("/run/long...+6 more", "/run/long…"),
        ("", ""),
    ],
)
def test_addresses_are_plain(printed, address):
    assert rows(HIT % printed)[0]["address"] == address


def test_arguments_that_cannot_be_read():
    told = rows(
        (HIT % "x").replace('network: "tcp"', "network: (unreadable could not read)").replace("\taddress", "\todd")
    )
    assert (told[0]["network"], told[0]["address"], told[0]["opener"]) == (None, None, "main.main")


@pytest.mark.parametrize(
    ("printed", "address"),
    [
        ("*net.TCPAddr nil", ":0"),
        ('*net.TCPAddr {IP: net.IP len: 0, cap: 0, nil,Port: 80,Zone: "",}', ":80"),
        ('*net.TCPAddr {IP: net.IP len: 4, cap: 4, [10,0,0,1],Port: 80,Zone: "",}', "10.0.0.1:80"),
        ("*net.UDPAddr {IP: net.IP len: 16, cap: 16, [0,0,0,0,0,0,0,0,0,0,255,255,127,0,0,1],Port: 0,}", "127.0.0.1:0"),
        ("*net.TCPAddr {IP: net.IP len: 3, cap: 3, [1,2,3],Port: 5,}", ":5"),
        ("*net.TCPAddr {IP: net.IP len: 4, cap: 4, [1,2,3,999],Port: 5,}", ":5"),
        ("*net.TCPAddr {IP: net.IP len: 4, cap: 4, [,,],Port: 5,}", ":5"),
        ("(*net.TCPAddr)(0xc000)", None),
        ("(unreadable)", None),
    ],
)
def test_structures(printed, address):
    text = HIT.replace("[Listen]", "[ListenTCP]").replace('address: "%s"', f"laddr: {printed}")
    assert rows(text)[0]["address"] == address


def test_a_trace_that_breaks_off_anywhere_keeps_what_was_whole():
    whole = HIT % "x:0" + BOUND % "net.(*netFD).listenStream"
    for end in range(len(whole)):
        told = rows(whole[:end])
        assert len(told) <= 1
        assert all(
            one["result"] in (None, "127.0.0.1:4321", "127.0.0.1:432", "127.0.0.1:43", "127.0.0.1:4") for one in told
        )


def test_lines_that_are_none_of_delves():
    assert rows("\x00\xff\n\t\t\t\n> goroutine(9999999999999999999999): [Nothing] x\n\tStack:\nProcess x\n") == []
    assert rows('\tnetwork: "tcp"\n\tStack:\n\t\t0  0x1 in f\n') == []


def test_many_calls_and_endless_stacks_stay_small_and_fast():
    endless = HIT % "x:0" + "\t\t9  0x00000000004d15cf in f\n\t\t     at f.go:1\n" * 20_000
    begun = time.monotonic()
    reader = read(endless + (HIT % "x:0") * 2000)
    assert time.monotonic() - begun < 60
    assert (len(reader.calls.kept), reader.calls.more) == (trace_calls.MOST_CALLS, 2001 - trace_calls.MOST_CALLS)
    assert len(reader.calls.kept[0]["stack"]) <= trace_calls.DEEPEST


def test_what_follows_a_hit_without_end_is_not_kept():
    reader = dlv_trace.Reader()
    for line in (HIT % "x:0" + "\t\todd\n" * 5000).encode().split(b"\n"):
        reader.add(line)
    assert len(reader._lines) < 500


def test_a_program_without_any_of_it_is_ready_with_no_point():
    lines = [
        f'/tmp/trace/s:3: location "{name}" not found' for name in ("net.(*ListenConfig).Listen", "os.NewSyscallError")
    ]
    reader = dlv_trace.Reader()
    reader.add(lines[0].encode())
    assert not reader.ready
    reader.add(lines[1].encode())
    assert (reader.ready, reader.points) == (True, [])


def test_the_script_sets_a_point_on_each_way_to_listen_and_then_runs():
    lines = dlv_trace.script().split("\n")
    assert "trace Listen net.(*ListenConfig).Listen" in lines
    assert f"on Listen stack {trace_calls.DEEPEST}" in lines
    assert lines[-4:] == ["condition Error err != nil", "continue", "exit", ""]
    # What makes the reader ready.
    assert [line for line in lines if line.startswith("trace ")][-1] == "trace Error os.NewSyscallError"


def test_the_program_gets_its_arguments_and_no_stream_of_delves():
    words = dlv_trace.command("/usr/bin/dlv", "/tmp/s", ["/bin/x", "--flag", "-r"])
    assert words[-4:] == ["/bin/x", "--", "--flag", "-r"]
    assert [words[number + 1] for number, word in enumerate(words[:-4]) if word == "--redirect"] == [
        "stdin:/dev/null",
        "stdout:/dev/null",
        "stderr:/dev/null",
    ]


@pytest.mark.parametrize(
    ("errors", "why"),
    [
        (
            ["could not launch process: could not open debug info - debuggee must not be built with 'go run' or …"],
            "no debug information",
        ),
        (["could not launch process: not an executable file"], "cannot run"),
        (["Error: unknown flag: --redirect"], "unknown flag: --redirect"),
        ([], "it said nothing"),
    ],
)
def test_refusals(errors, why):
    assert why in dlv_trace.refusal(errors)
