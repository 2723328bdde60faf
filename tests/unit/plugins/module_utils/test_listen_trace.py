# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listen_trace: which tool is taken, what is said when none can, and that nothing stays. The tools are made up here.

The real ones, and a real program: tests/integration_real/test_listen_trace.py.
"""

from __future__ import annotations

import glob
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import listen_trace, trace_calls
from ansible_collections.kubenode.doctor.plugins.module_utils.trusted_programs import Search

TRACES = Path(__file__).parents[3] / "fixtures" / "traces"
PROGRAM = "/bin/true"
STRIPPED = (
    "could not launch process: could not open debug info - debuggee must not be built with 'go run' or -ldflags='-s -w'"
)
LISTEN = "7 listen(3<TCP:[127.0.0.1:80]>, 5) = 0\n > /bin/x(serve+0x1) [0x1]"


@pytest.fixture
def tools(tmp_path):
    """Make a tool of a shell script; ``find`` finds those that were made."""

    class Tools:
        def make(self, name, script):
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o700)

        def find(self, name):
            path = tmp_path / name
            return Search(str(path) if path.exists() else None, ())

        def run(self, tool="auto", seconds=5.0):
            return listen_trace.run([PROGRAM], tool, seconds, self.find)

    return Tools()


def shows(name):
    return f"cat {TRACES / name}"


def complains(text, status=1):
    return f"echo {shlex.quote(text)} >&2; exit {status}"


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def whats(traced):
    return [one["what"] for one in traced["missing"]]


def test_delve_is_asked_first(tools):
    tools.make("dlv", shows("dlv-opener.txt"))
    tools.make("strace", shows("strace-opener.txt"))
    traced = tools.run()
    assert (traced["tool"], traced["program"], traced["complete"], traced["missing"]) == ("dlv", PROGRAM, True, [])
    assert len(traced["calls"]) == 14
    assert traced["ended"].startswith("it ended by itself after ")
    assert traced["ended"].endswith(" s, with status 0")
    assert tools.run("strace")["tool"] == "strace"


def test_a_call_has_the_fields_of_its_shape(tools):
    tools.make("strace", f"cat <<'E'\n{LISTEN}\nE")
    assert tools.run()["calls"] == [
        {
            "call": "listen",
            "network": "tcp",
            "address": None,
            "goroutine": None,
            "thread": 7,
            "opener": "serve",
            "stack": [{"function": "serve", "file": "/bin/x+0x1"}],
            "result": "127.0.0.1:80",
        }
    ]


def test_strace_where_delve_cannot(tools):
    tools.make("dlv", complains(STRIPPED))
    tools.make("strace", shows("strace-opener.txt"))
    traced = tools.run()
    assert (traced["tool"], traced["missing"]) == ("strace", [])
    # Asked for by name, it is the only one.
    refused = tools.run("dlv")
    assert (refused["tool"], refused["ended"], whats(refused)) == (None, "it was not started", ["calls"])
    assert "no debug information" in refused["missing"][0]["why"]


def test_why_delve_could_not_is_told_where_names_are_missing(tools):
    tools.make("dlv", complains(STRIPPED))
    tools.make("strace", "echo '7 listen(3, 5) = 0'; echo ' > /bin/x() [0x1]'")
    traced = tools.run()
    assert whats(traced) == ["openers"]
    assert "no debug information" in traced["missing"][0]["why"]


def test_a_program_without_gos_net_is_stopped_and_left_to_strace(tools):
    tools.make("dlv", "echo '/s:9: location \"os.NewSyscallError\" not found'; sleep 20; touch $0.ran")
    tools.make("strace", shows("strace-python.txt"))
    begun = time.monotonic()
    assert tools.run()["tool"] == "strace"
    assert time.monotonic() - begun < 60


def test_no_tool(tools):
    traced = tools.run()
    assert (traced["tool"], traced["complete"], whats(traced)) == (None, False, ["calls"])
    assert "dlv is not installed (Debian package delve)" in traced["missing"][0]["why"]
    assert "strace is not installed (Debian package strace)" in traced["missing"][0]["why"]


def test_a_tool_that_others_may_change():
    traced = listen_trace.run([PROGRAM], "strace", 1.0, lambda name: Search(None, (f"/usr/local/bin/{name}",)))
    assert "/usr/local/bin/strace is not run" in traced["missing"][0]["why"]


def test_tools_that_cannot_be_started(tools, tmp_path):
    for name in ("dlv", "strace"):
        tools.make(name, "")
        (tmp_path / name).write_text("#!/nonexistent/interpreter\n")
    why = tools.run()["missing"][0]["why"]
    assert why.count("could not be started") == 2


def test_a_node_that_forbids_tracing(tools):
    tools.make("strace", complains("strace: attach: ptrace(PTRACE_SEIZE, 7): Operation not permitted"))
    traced = tools.run("strace")
    assert traced["tool"] is None
    assert "Operation not permitted" in traced["missing"][0]["why"]


def test_an_strace_without_stacks(tools):
    refuse = complains("strace: Stack traces (-k option) are not supported by this build of strace")
    tools.make("strace", f'case "$*" in *" -k "*) {refuse};; esac; echo "7 listen(3<TCP:[127.0.0.1:80]>, 5) = 0"')
    traced = tools.run("strace")
    assert [one["result"] for one in traced["calls"]] == ["127.0.0.1:80"]
    assert whats(traced) == ["openers"]


def test_a_program_that_fails_is_told_with_its_status(tools):
    tools.make("strace", "exit 3")
    traced = tools.run("strace")
    assert (traced["tool"], traced["calls"]) == ("strace", [])
    assert traced["ended"].endswith("with status 3")


def test_more_calls_than_are_kept(tools):
    more = trace_calls.MOST_CALLS + 3
    tools.make(
        "strace",
        f"i=0; while [ $i -lt {more} ]; do echo '7 listen(3, 5) = 0'; echo ' > /bin/x(f+0x1) [0x1]'; i=$((i+1)); done",
    )
    traced = tools.run("strace")
    assert (len(traced["calls"]), whats(traced)) == (trace_calls.MOST_CALLS, ["calls"])
    assert "3 calls more" in traced["missing"][0]["why"]


def test_lines_that_are_not_understood_make_it_incomplete(tools):
    tools.make("strace", f"cat <<'E'\n7 listen(3<TC\n{LISTEN}\nE")
    assert whats(tools.run("strace")) == ["calls"]


def test_too_much_output_is_cut_and_said(tools, monkeypatch):
    monkeypatch.setattr(listen_trace, "_MOST_BYTES", 1 << 18)
    tools.make("strace", "yes '7 listen(3, 5) = 0'")
    traced = tools.run("strace")
    assert "it was killed after" in traced["ended"]
    assert not traced["complete"]


def test_what_never_ends_is_ended_daemons_too(tools, tmp_path):
    left = tmp_path / "left"
    daemon = f"import os,time\nos.setsid()\nopen({str(left)!r},'w').write(str(os.getpid()))\ntime.sleep(100)"
    tools.make("strace", f"echo '7 listen(3, 5) = 0'; {sys.executable} -ISc {shlex.quote(daemon)} & sleep 100")
    begun = time.monotonic()
    traced = tools.run("strace", 0.4)
    assert time.monotonic() - begun < 60
    assert traced["ended"] == "it was ended after 0.4 s, as it was asked for"
    assert not lives(int(left.read_text()))


def test_what_does_not_end_when_asked_is_killed(tools, monkeypatch):
    monkeypatch.setattr(listen_trace, "GRACE_SECONDS", 0.3)
    tools.make("strace", "trap '' TERM; echo '7 listen(3, 5) = 0'; while :; do sleep 0.05; done")
    traced = tools.run("strace", 0.2)
    assert "it was killed" in traced["ended"]
    assert traced["calls"]


def test_nothing_stays_of_delve(tools):
    tools.make(
        "dlv", f'touch "${{XDG_CONFIG_HOME:?}}/history" && [ "$PWD" = "$XDG_CONFIG_HOME" ] && {shows("dlv-opener.txt")}'
    )
    before = set(glob.glob(f"{tempfile.gettempdir()}/kubenode-doctor-trace-*"))
    assert tools.run("dlv")["tool"] == "dlv"
    assert set(glob.glob(f"{tempfile.gettempdir()}/kubenode-doctor-trace-*")) == before


def test_a_daemon_of_a_program_that_ended_is_ended_too(tools, tmp_path):
    left = tmp_path / "left"
    tools.make("strace", f"echo '7 listen(3, 5) = 0'; setsid sleep 100 >/dev/null 2>&1 & echo $! >{left}")
    traced = tools.run("strace")
    assert "it ended by itself" in traced["ended"]
    assert not lives(int(left.read_text()))


def test_where_nothing_is_to_be_run_a_tool_is_looked_for(tools):
    told = listen_trace.not_run([PROGRAM], "in check mode nothing is run", tools.find)
    assert (told["tool"], told["ended"], whats(told)) == (None, "it was not started", ["calls", "tool", "tool"])
    tools.make("strace", "touch $0.ran")
    told = listen_trace.not_run([PROGRAM], "in check mode nothing is run", tools.find)
    assert [one["why"] for one in told["missing"]] == ["/bin/true was not traced: in check mode nothing is run"]
    with pytest.raises(ValueError, match="absolute path"):
        listen_trace.not_run(["true"], "", tools.find)


def test_no_argument_is_told(tools):
    tools.make("strace", shows("strace-python.txt"))
    traced = listen_trace.run([PROGRAM, "--token", "s3cret"], "strace", 5.0, tools.find)
    assert "s3cret" not in repr(traced)


@pytest.mark.parametrize(
    ("command", "tool", "seconds", "why"),
    [
        ([], "auto", 1.0, "a program and its arguments expected"),
        (["true"], "auto", 1.0, "absolute path"),
        (["./true"], "auto", 1.0, "absolute path"),
        (["/bin/true\0"], "auto", 1.0, "without NUL"),
        (["/bin/true", "a\0"], "auto", 1.0, "without NUL"),
        (["/nonexistent/\x1b[31m"], "auto", 1.0, "is no program that can be run here"),
        (["/etc"], "auto", 1.0, "is no program that can be run here"),
        (["/etc/passwd"], "auto", 1.0, "is no program that can be run here"),
        (["/bin/true"], "gdb", 1.0, "one of auto, dlv, strace"),
        (["/bin/true"], "auto", 0.0, "more than 0"),
        (["/bin/true"], "auto", float("nan"), "more than 0"),
        (["/bin/true"], "auto", 3601.0, "at most 3600"),
    ],
)
def test_what_is_not_run(command, tool, seconds, why):
    with pytest.raises(ValueError, match=why) as raised:
        listen_trace.run(command, tool, seconds)
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize("which", ["program", "folder"])
def test_a_program_that_others_may_change(tmp_path, which):
    program = tmp_path / "folder" / "program"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o777 if which == "program" else 0o755)
    program.parent.chmod(0o1777 if which == "folder" else 0o755)
    with pytest.raises(ValueError, match="others than its owner"):
        listen_trace.check([str(program)])


def test_a_module_that_is_ended_leaves_no_program(tools, tmp_path):
    """As when its connection breaks."""
    tools.make("strace", f"echo $$ >{tmp_path}/pid; exec sleep 100")
    code = (
        "import sys; sys.path[:0] = %r\n"
        "from ansible_collections.kubenode.doctor.plugins.module_utils import listen_trace, trusted_programs\n"
        "listen_trace.run(['/bin/true'], 'strace', 60.0, lambda name: trusted_programs.Search(%r, ()))"
        % (sys.path, f"{tmp_path}/strace")
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + 20
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 128 + signal.SIGTERM
    assert not lives(int((tmp_path / "pid").read_text()))
