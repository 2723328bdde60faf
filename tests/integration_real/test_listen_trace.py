# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Delve and strace on a real Go program that opens a known port and, from several goroutines at once, random ones.

That program says itself what it opened and where, which is what the trace has to tell. What the unit of trace_listeners.yml goes through is told by a
systemctl that keeps a diary.
"""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import listen_trace, trace_calls
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import diagnose

SOURCE = Path(__file__).parents[1] / "support" / "go_opener"
TOOLS = ("go", "dlv", "strace")
RANDOM = 12
# Far more than it takes on a busy machine; it ends by itself.
SECONDS = 60.0

pytestmark = [
    pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason=f"a traced Go program needs {', '.join(TOOLS)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="containers and other sandboxes let nobody but root trace"),
]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The program as it is built by default, and as releases are."""
    folder = tmp_path_factory.mktemp("opener")
    for name, flags in (("opener", []), ("stripped", ["-ldflags=-s -w"])):
        words = ["go", "build", "-buildvcs=false", *flags, "-o", str(folder / name), "."]
        subprocess.run(
            words,
            cwd=SOURCE,
            check=True,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOCACHE": str(folder / "cache")},
        )
    return folder


@pytest.fixture
def known():
    """A port that is free, and is not drawn at random meanwhile."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        low = int(file.read().split()[0])
    for port in range(low - 1, 1024, -1):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no port is free")


def trace(program, known, tool, folder, *words, seconds=SECONDS):
    """The trace, and what the program says of itself: (function, address), sorted."""
    report = folder / "report"
    command = [str(program), "--known", str(known), "--random", str(RANDOM), "--report", str(report), *words]
    # Delve shows 64 characters of a path.
    with tempfile.TemporaryDirectory() as short:
        traced = listen_trace.run([*command, "--unix", f"{short}/socket"], tool, seconds)
    said = [tuple(line.split(" ", 1)) for line in report.read_text("utf-8").splitlines()]
    # "listen tcp 127.0.0.1:18080: bind: address already in use" is the kernel's error, told in its words by both tools.
    said = [(how, "Address already in use (EADDRINUSE)" if "in use" in where else where) for how, where in said]
    return traced, sorted(said)


def told(traced):
    return sorted((one["opener"].replace("main.", "").replace("[...]", ""), one["result"]) for one in traced["calls"])


def is_running(program):
    return subprocess.run(["pgrep", "-f", f"^{program}"], capture_output=True, check=False).returncode == 0


def test_delve_names_every_opener_on_every_goroutine(programs, known, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    before = set(glob.glob(f"{tempfile.gettempdir()}/kubenode-doctor-trace-*"))
    traced, said = trace(programs / "opener", known, "dlv", tmp_path)
    assert (traced["tool"], traced["missing"], traced["complete"]) == ("dlv", [], True)
    assert traced["ended"].endswith("with status 0")
    assert told(traced) == said
    random = [one for one in traced["calls"] if one["opener"] == "main.openRandom"]
    assert len({one["goroutine"] for one in random}) == RANDOM
    assert {one["address"] for one in random} == {"localhost:0"}
    # What the program printed is not what Delve says; and Delve left nothing.
    assert "forged" not in repr(traced)
    assert not (tmp_path / ".config").exists()
    assert set(glob.glob(f"{tempfile.gettempdir()}/kubenode-doctor-trace-*")) == before


@pytest.mark.parametrize(("program", "tool"), [("opener", "strace"), ("stripped", "auto")])
def test_strace_names_them_also_in_a_stripped_program(programs, known, tmp_path, program, tool):
    traced, said = trace(programs / program, known, tool, tmp_path)
    assert (traced["tool"], traced["missing"]) == ("strace", [])
    # A listener that is made of another's file is neither bound nor listened on again.
    said.remove(next(one for one in said if one[0] == "viaTCP"))
    assert told(traced) == said
    assert 7 not in {one["thread"] for one in traced["calls"]}
    (serving,) = [one for one in traced["calls"] if one["opener"] == "main.serveKnown"]
    assert "net/http.(*Server).ListenAndServe" in [frame["function"] for frame in serving["stack"]]


def test_a_stripped_program_is_not_delves(programs):
    traced = listen_trace.run([str(programs / "stripped")], "dlv", SECONDS)
    assert (traced["tool"], traced["ended"]) == (None, "it was not started")
    assert "no debug information" in traced["missing"][0]["why"]


@pytest.mark.parametrize("tool", ["dlv", "strace"])
def test_what_neither_ends_nor_wants_to_is_ended(programs, known, tmp_path, tool, monkeypatch):
    monkeypatch.setattr(listen_trace, "GRACE_SECONDS", 0.5)
    traced, said = trace(programs / "opener", known, tool, tmp_path, "--deaf", "--stay", "1h", seconds=4.0)
    assert "it was killed" in traced["ended"]
    assert said[0] in told(traced)
    assert not is_running(programs / "opener")


def test_a_program_that_ends_when_it_is_asked_to(programs, known, tmp_path):
    traced, _said = trace(programs / "opener", known, "strace", tmp_path, "--stay", "1h", seconds=3.0)
    assert traced["ended"] == "it was ended after 3 s, as it was asked for"
    assert not is_running(programs / "opener")


def test_hundreds_of_calls(programs, known, tmp_path):
    traced, _said = trace(programs / "opener", known, "strace", tmp_path, "--many", "490")
    assert len(traced["calls"]) == trace_calls.MOST_CALLS
    (gap,) = traced["missing"]
    assert gap["what"] == "calls"
    assert "calls more than the 500" in gap["why"]


@pytest.mark.parametrize("tool", ["dlv", "strace"])
def test_a_program_that_ends_at_once(tool):
    traced = listen_trace.run(["/bin/false"], tool, SECONDS)
    assert traced["calls"] == []
    assert traced["ended"].endswith("with status 1" if tool == "strace" else "it was not started")


def test_a_script_that_becomes_a_daemon_without_an_environment(tmp_path):
    script = tmp_path / "daemon"
    server = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); time.sleep(1000)"
    script.write_text(
        f"#!/bin/sh\nsetsid env -i {shlex.quote(shutil.which('python3'))} -c {shlex.quote(server)} {tmp_path} &\n"
    )
    script.chmod(0o755)
    traced = listen_trace.run([str(script)], "auto", 3.0)
    assert [one["network"] for one in traced["calls"]] == ["tcp"]
    assert subprocess.run(["pgrep", "-f", f"{tmp_path}$"], capture_output=True, check=False).returncode == 1


@pytest.mark.skipif(shutil.which("containerd") is None, reason="needs containerd")
def test_the_streaming_server_of_containerd(tmp_path):
    """Seed 001 on a program as it is installed: Debian's has symbols and no debug information."""
    words = ["--root", "root", "--state", "state", "--address", "containerd.sock", "--config", "config.toml"]
    words = [word if word.startswith("-") else str(tmp_path / word) for word in words]
    (tmp_path / "config.toml").write_text("version = 2\n")
    traced = listen_trace.run([shutil.which("containerd"), *words], "auto", 4.0)
    (streaming,) = [one for one in traced["calls"] if one["network"] == "tcp"]
    assert streaming["opener"].endswith("/streaming.(*server).Start")
    assert (streaming["address"], traced["missing"]) == ("127.0.0.1:0", [])


HERE = ("-i", "localhost,", "-c", "local", "-e", f"ansible_python_interpreter={sys.executable}")
SYSTEMCTL = """#!/bin/sh
# $1 $2, or --on-active=… systemctl start $UNIT
state={state}
echo "$(basename "$0") $*" >>{diary}
case $1 in
show) echo "LoadState=loaded"; echo "ActiveState=$(cat "$state")" ;;
stop) case $2 in *.timer*) ;; *) echo inactive >"$state" ;; esac ;;
start) echo active >"$state" ;;
esac
"""


@pytest.fixture
def systemd(tmp_path):
    """A systemctl and a systemd-run that keep a diary, and the environment in which they are found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    diary, state = tmp_path / "diary", tmp_path / "state"
    state.write_text("active\n")
    for name in ("systemctl", "systemd-run"):
        (folder / name).write_text(SYSTEMCTL.format(diary=diary, state=state))
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}"}

    class Systemd:
        def state(self):
            return state.read_text().strip()

        def diary(self):
            """What was done: without looks."""
            lines = diary.read_text().splitlines() if diary.exists() else []
            return [
                line for line in lines if not line.startswith(("systemctl show", "systemctl is-", "systemctl list-"))
            ]

        def play(self, *words):
            return diagnose(*words, environment=environment, name="trace_listeners")

    return Systemd()


def test_the_playbook_stops_the_unit_traces_and_starts_it_again(programs, known, systemd):
    program = f"{programs / 'opener'} --known {known} --random 3"
    run = systemd.play(*HERE, "-e", "unit=opener.service", "-e", f'program="{program}"')
    assert run.status == 0, run.printed
    assert "by main.openRandom (goroutine " in run.said
    assert f"127.0.0.1:{known}: net.Listen tcp 127.0.0.1:{known}, by main.serveKnown" in run.said
    assert "seen by dlv; it ended by itself" in run.said
    assert systemd.state() == "active"
    assert [line.replace("'", "") for line in systemd.diary()] == [
        "systemd-run --unit=kubenode-doctor-trace-rescue --on-active=210 systemctl start opener.service",
        "systemctl stop opener.service",
        "systemctl start opener.service",
        "systemctl stop kubenode-doctor-trace-rescue.timer",
    ]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["-e", "program=/bin/true", "--check"], "cannot be done in check mode"),
        (["-e", "program=true"], "absolute path"),
        (["-e", "program=/bin/true", "-e", "unit=--all"], "Say which"),
    ],
)
def test_the_playbook_refuses_before_it_stops_anything(systemd, words, why):
    run = systemd.play(*HERE, "-e", "unit=opener.service", *words)
    assert run.status != 0
    assert why in run.said
    assert systemd.diary() == []


def test_a_unit_is_started_again_when_the_trace_fails(systemd, programs):
    """A stripped program, and a tool that cannot."""
    words = ["-e", f"program={programs / 'stripped'}", "-e", "tool=dlv", "-e", "unit=opener.service"]
    run = systemd.play(*HERE, *words)
    assert run.status != 0
    assert "no debug information" in run.said
    assert systemd.state() == "active"
    assert "systemctl stop opener.service" in " ".join(systemd.diary()).replace("'", "")
