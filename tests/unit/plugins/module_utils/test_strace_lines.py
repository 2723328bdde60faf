# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""strace_lines: what strace printed of real programs, and lines that are cut, mixed up or hostile."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import go_symbols, strace_lines, trace_calls

TRACES = Path(__file__).parents[3] / "fixtures" / "traces"
V4 = '{sa_family=AF_INET, sin_port=htons(%d), sin_addr=inet_addr("127.0.0.1")}, 16'
OPENERS = [
    "main.openRandom",
    "main.openRandom",
    "main.openRandom",
    "main.openRandom",
    "main.serveKnown",
    "main.taken",
    "main.viaConfig",
    "main.viaGeneric[...]",
    "main.viaNil",
    "main.viaPacket",
    "main.viaTCP",
    "main.viaUDP",
    "main.viaUnix",
]


def read(text):
    reader = strace_lines.Reader()
    for line in (text.encode() if isinstance(text, str) else text).split(b"\n"):
        if line:
            reader.add(line)
    reader.end()
    return reader


def rows(text):
    return read(text).calls.kept


def told(text):
    return [(one["call"], one["network"], one["address"], one["result"]) for one in rows(text)]


def test_a_real_trace_of_go():
    reader = read((TRACES / "strace-opener.txt").read_bytes())
    assert sorted(one["opener"] for one in reader.calls.kept) == OPENERS
    assert reader.odd == 0
    by_opener = {one["opener"]: one for one in reader.calls.kept}
    assert by_opener["main.taken"]["result"] == "Address already in use (EADDRINUSE)"
    assert by_opener["main.taken"]["call"] == "bind"
    assert by_opener["main.viaUnix"]["result"] == "/tmp/opener.sock"
    assert by_opener["main.viaNil"]["address"] == "[::]:0"
    assert re.fullmatch(r"\[::\]:[0-9]{4,5}", by_opener["main.viaNil"]["result"])
    assert re.fullmatch(r"127\.0\.0\.1:[0-9]{4,5}", by_opener["main.viaPacket"]["result"])
    assert (by_opener["main.viaPacket"]["call"], by_opener["main.viaPacket"]["network"]) == ("bind", "udp")
    assert all(one["thread"] > 0 and one["goroutine"] is None for one in reader.calls.kept)


def test_the_functions_of_a_stripped_program_come_from_its_own_table(monkeypatch):
    """The two programs have the same code, so that one trace tells the names of the other's offsets."""
    frame = re.compile(rb" > [^(]+\((.+)\+0x[0-9a-f]+\) \[0x([0-9a-f]+)\]")
    known = {
        int(offset, 16): name.decode() for name, offset in frame.findall((TRACES / "strace-opener.txt").read_bytes())
    }
    asked = []

    def names(path, offsets):
        asked.append(path)
        return [known.get(offset, "?") for offset in offsets]

    monkeypatch.setattr(go_symbols, "names", names)
    calls = rows((TRACES / "strace-opener-stripped.txt").read_bytes())
    assert sorted(one["opener"] for one in calls) == OPENERS
    assert len(set(asked)) == 1


def test_without_any_name_no_opener_is_made_up():
    far = " > /bin/x(_cgo_topofstack+0x4ab7a) [0x1]\n > /bin/x() [0x2]\n"
    assert rows(f"7 listen(3<TCP:[127.0.0.1:80]>, 5) = 0\n{far}")[0]["opener"] is None


def test_a_program_in_c():
    calls = rows((TRACES / "strace-python.txt").read_bytes())
    assert [(one["call"], one["address"]) for one in calls] == [("listen", "127.0.0.1:0")]
    assert re.fullmatch(r"127\.0\.0\.1:[0-9]{4,5}", calls[0]["result"])
    assert calls[0]["stack"][0]["function"] in ("listen", "__listen")
    assert calls[0]["opener"] not in (None, "listen", "__listen")


def test_calls_that_other_threads_interrupt_are_joined():
    lines = (
        f"28433 bind(8<TCP:[11]>, {V4 % 18081} <unfinished ...>",
        f"28434 bind(9<TCP:[12]>, {V4 % 0} <unfinished ...>",
        "28433 <... bind resumed>)               = 0",
        "28434 <... bind resumed>)               = 0",
        "28433 listen(8<TCP:[127.0.0.1:18081]>, 4096 <unfinished ...>",
        "28434 listen(9<TCP:[127.0.0.1:40000]>, 4096) = 0",
        " > /bin/x(main.other+0x2a) [0x710ea]",
        "28433 <... listen resumed>)             = 0",
        " > /bin/x(main.one+0x2a) [0x710ea]",
    )
    calls = rows("\n".join(lines))
    assert [(one["opener"], one["address"], one["result"]) for one in calls] == [
        ("main.other", "127.0.0.1:0", "127.0.0.1:40000"),
        ("main.one", "127.0.0.1:18081", "127.0.0.1:18081"),
    ]


def test_a_goroutine_that_goes_on_in_another_thread():
    text = f"1 bind(8<TCP:[11]>, {V4 % 0}) = 0\n2 listen(8<TCP:[127.0.0.1:40000]>, 5) = 0"
    assert told(text) == [("listen", "tcp", "127.0.0.1:0", "127.0.0.1:40000")]


def test_getsockname_tells_what_strace_does_not_know():
    text = f"1 bind(8<socket:[11]>, {V4 % 0}) = 0\n1 listen(8<socket:[11]>, 5) = 0\n"
    assert told(text) == [("listen", None, "127.0.0.1:0", None)]
    name = "1 getsockname(8<socket:[11]>, %s, [112 => 16]) = 0\n" % (V4 % 41000).rsplit(",", 1)[0]
    assert told(text + name) == [("listen", None, "127.0.0.1:0", "127.0.0.1:41000")]
    # One that is asked for later is another socket's.
    assert told(text + name + name.replace("41000", "42000")) == [("listen", None, "127.0.0.1:0", "127.0.0.1:41000")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1 listen(3, 128) = 0", [("listen", None, None, None)]),
        ("1 listen(3<TCPv6:[[::]:8080]>, 128) = 0", [("listen", "tcp6", None, "[::]:8080")]),
        (
            "1 listen(3<TCP:[1]>, 128) = -1 EADDRINUSE (Address already in use)",
            [("listen", "tcp", None, "Address already in use (EADDRINUSE)")],
        ),
        (
            '1 bind(3<TCP:[1]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("10.0.0.1")}, 16) = -1 EACCES (Permission denied)',
            [("bind", "tcp", "10.0.0.1:80", "Permission denied (EACCES)")],
        ),
        (f"1 bind(3<UDP:[1]>, {V4 % 53}) = 0", [("bind", "udp", "127.0.0.1:53", "127.0.0.1:53")]),
        (
            '1 bind(3<UNIX-DGRAM:[1]>, {sa_family=AF_UNIX, sun_path=@"a\\33b"}, 5) = 0',
            [("bind", "unixgram", "@a?b", "@a?b")],
        ),
        # A socket that connects from a chosen port, and families that have no port.
        (f"1 bind(3<TCP:[1]>, {V4 % 0}) = 0", []),
        ("1 bind(3<NETLINK:[1]>, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 0", []),
        (
            "1 bind(3<NETLINK:[1]>, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = -1 EPERM (Operation not permitted)",
            [],
        ),
        ("1 bind(-1, NULL, 0) = -1 EBADF (Bad file descriptor)", []),
    ],
)
def test_lines(line, expected):
    assert told(line) == expected


def test_go_trying_the_kernel_opens_nothing():
    failed = f"1 bind(3<TCPv6:[1]>, {V4 % 0}) = -1 EADDRNOTAVAIL (Cannot assign requested address)\n"
    assert rows(failed + " > /bin/x(net.(*ipStackCapabilities).probe+0x297) [0xd6257]") == []
    assert len(rows(failed + " > /bin/x(main.main+0x297) [0xd6257]")) == 1


@pytest.mark.parametrize(
    ("line", "odd"),
    [
        ("32665 ???( <detached ...>", 0),
        ("32667 ???( <unfinished ...>", 0),
        ("32667 <... listen resumed>) = ?", 0),
        ("garbage", 1),
        ("7 listen(", 1),
        ("7 bind(3, {sa_fam", 1),
        ("7 <... bind resumed>) = 0", 1),
        ("\x00\x1b[31m", 1),
    ],
)
def test_lines_that_are_cut_are_counted(line, odd):
    reader = read(line)
    assert (reader.odd, reader.calls.kept) == (odd, [])


@pytest.mark.parametrize(
    ("printed", "function", "place"),
    [
        (" > /usr/lib/libc.so.6(listen+0x7) [0x10d8a7]", "listen", "/usr/lib/libc.so.6+0x10d8a7"),
        (" > /bin/x(ns::f(int (*)(char))+0x7) [0x1]", "ns::f(int (*)(char))", "/bin/x+0x1"),
        (" > /bin/x() [0x2]", "?", "/bin/x+0x2"),
        (" > unexpected_backtracing_error [0x7ffd]", "?", "unexpected_backtracing_error [0x7ffd]+0x0"),
    ],
)
def test_frames(printed, function, place):
    assert rows(f"7 listen(3, 5) = 0\n{printed}")[0]["stack"] == [{"function": function, "file": place}]


def test_much_of_everything_stays_small_and_fast():
    begun = time.monotonic()
    binds = "".join(f"1 bind({number}<TCP:[{number}]>, {V4 % 0}) = 0\n" for number in range(6000))
    deep = " > /bin/x(f+0x1) [0x1]\n" * 20_000
    reader = read(
        binds
        + "1 listen(3<TCP:[127.0.0.1:1]>, 5) = 0\n" * 2000
        + deep
        + "1 listen("
        + "(" * 50_000
        + "\n"
        + "9" * 50_000
    )
    assert time.monotonic() - begun < 60
    assert (len(reader.calls.kept), reader.calls.more) == (trace_calls.MOST_CALLS, 2000 - trace_calls.MOST_CALLS)
    assert len(reader._bound) <= strace_lines._MOST_SOCKETS


def test_the_program_writes_elsewhere():
    words = strace_lines.command("/usr/bin/strace", ["/bin/x", "--flag"], stacks=True)
    assert words[-2:] == ["/bin/x", "--flag"]
    assert 'exec "$@" >/dev/null 2>&1' in words
    assert "-k" in words
    assert "-k" not in strace_lines.command("/usr/bin/strace", ["/bin/x"], stacks=False)


def test_refusals():
    errors = ["sh: 1: odd", "strace: attach: ptrace(PTRACE_SEIZE, 7): Operation not permitted"]
    assert strace_lines.refusal(errors) == "attach: ptrace(PTRACE_SEIZE, 7): Operation not permitted"
    assert strace_lines.refusal(errors[:1]) is None
    assert strace_lines.lacks_stacks(["strace: Stack traces (-k option) are not supported by this build of strace"])
    assert not strace_lines.lacks_stacks(errors)
