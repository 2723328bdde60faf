# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""signalled_dump: only what is beyond doubt a runtime is sent SIGUSR1, and only its own file is read.

With real processes; real runtimes write what is read here, see go_dump's fixtures.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import dump_folder, signal_target, signalled_dump
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.go_build import Build
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.dumping_program import DUMP, DumpingProgram

CONTAINERD = b"containerd.%d.stacks.log"
DOCKERD = b"goroutine-stacks-%s.log"
CRIO = b"crio-goroutine-stacks-%s.log"
PATIENCE = 20  # seconds that no test needs
NO_TIME = 0.1


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Make programs that are old enough; they end with the test."""
    monkeypatch.setattr(signal_target.SignalTarget, "age", lambda _self: 1000.0)
    monkeypatch.setattr(signalled_dump, "_SETTLED_SECONDS", 0.03)
    monkeypatch.setattr(signalled_dump, "_POLL_SECONDS", 0.01)
    made = []

    def make(name="containerd", mark=CONTAINERD, **more):
        made.append(DumpingProgram(tmp_path, name, mark, **more))
        return made[-1]

    yield make
    for one in made:
        one.end()


def asked(pid, name="containerd", seconds=PATIENCE):
    """What is read of a dump: where it is from, its bytes, and why there are no more."""
    with signalled_dump.ask(pid, name, Deadline(seconds)) as dumped:
        body = b"".join(dumped.blocks())
    assert dumped.signalled is not any(
        "was not asked" in gap["why"] or "has ended" in gap["why"] for gap in dumped.missing
    )
    assert all(gap["what"] == "goroutines" for gap in dumped.missing)
    return dumped.source, body, [gap["why"] for gap in dumped.missing]


def refused(program, pid, name="containerd", seconds=PATIENCE):
    """Why a process was not asked: it was left alone, and wrote nothing."""
    _source, body, (why,) = asked(pid, name, seconds)
    assert body == b""
    assert program.is_alive()
    return why


def test_containerd(program):
    containerd = program()
    pid = containerd.start()
    file = containerd.dumps / f"containerd.{pid}.stacks.log"
    assert asked(pid) == (f"SIGUSR1 to containerd (pid {pid}), which wrote {file}", DUMP, [])
    assert containerd.is_alive()
    assert file.stat().st_mode & 0o777 == 0o600  # what the stacks say is root's alone to read
    assert asked(pid)[1:] == (DUMP, [])  # the file of an earlier dump is written anew


def test_the_configuration_of_containerd_has_the_last_word(program, tmp_path):
    containerd = program()
    (tmp_path / "config.toml").write_text(f'version = 2\ntemp = "{containerd.dumps}"\n')
    pid = containerd.start("--config", str(tmp_path / "config.toml"), TMPDIR="/nowhere")
    assert asked(pid)[1:] == (DUMP, [])


@pytest.mark.parametrize("by_file", [True, False])
def test_dockerd(program, tmp_path, by_file):
    dockerd = program("dockerd", DOCKERD)
    settings = tmp_path / "daemon.json"
    settings.write_text('{"exec-root": "%s"}' % (dockerd.dumps if by_file else "/nowhere"))
    told = [f"--config-file={settings}"] if by_file else ["--exec-root", str(dockerd.dumps)]
    (dockerd.dumps / "goroutine-stacks-2026-11-21T170000Z.log").write_text("an old one")
    pid = dockerd.start(*told, dump="goroutine-stacks-2026-11-21T180000+0100.log")
    file = dockerd.dumps / "goroutine-stacks-2026-11-21T180000+0100.log"
    assert asked(pid, "dockerd") == (f"SIGUSR1 to dockerd (pid {pid}), which wrote {file}", DUMP, [])


def test_a_dump_that_grows_is_read_when_it_is_whole(program):
    pieces = 'exec 3>"$DUMP"; printf goroutine >&3; sleep 0.15; printf "s 1" >&3; exec 3>&-'
    assert asked(program(reaction=pieces).start())[1:] == (b"goroutines 1", [])


@pytest.mark.parametrize(
    ("name", "program_name", "mark", "why"),
    [
        ("containerd", "k3s", CONTAINERD, "its name or its program is another one"),
        ("k3s-server", "k3s-server", CONTAINERD, "only containerd, dockerd, crio are known to write their goroutines"),
        ("kubelet", "kubelet", CONTAINERD, "only containerd, dockerd, crio are known to write their goroutines"),
        ("containerd", "containerd", b"", "its program does not write a dump to a file"),
        ("dockerd", "dockerd", CONTAINERD, "its program does not write a dump to a file"),
    ],
)
def test_programs_that_are_not_asked(program, name, program_name, mark, why):
    other = program(program_name, mark)
    assert why in refused(other, other.start(), name)
    assert not list(other.dumps.iterdir())


def test_a_process_that_only_calls_itself_containerd(program, monkeypatch):
    other = program("k3s")
    monkeypatch.setattr(signal_target.SignalTarget, "name", lambda _self: "containerd")
    assert "its name or its program is another one" in refused(other, other.start())


def test_a_process_that_has_another_name(program, monkeypatch):
    other = program()
    monkeypatch.setattr(signal_target.SignalTarget, "name", lambda _self: "exe")
    assert "its name or its program is another one" in refused(other, other.start())


def test_without_a_handler_it_would_die(program):
    deaf = program(handler=False)
    assert "has no handler for SIGUSR1" in refused(deaf, deaf.start())


@pytest.mark.parametrize(
    ("name", "mark", "seconds"), [("containerd", CONTAINERD, 5), ("dockerd", DOCKERD, 60), ("crio", CRIO, 300)]
)
def test_it_may_not_be_ready_yet(program, monkeypatch, name, mark, seconds):
    young = program(name, mark)
    pid = young.start()
    monkeypatch.setattr(signal_target.SignalTarget, "age", lambda _self: seconds - 2.0)
    assert refused(young, pid, name).endswith("may not handle SIGUSR1 yet, of which it would die: ask again in 2 s")


def test_how_old_a_process_is(program, monkeypatch):
    monkeypatch.undo()
    young = program()
    with signal_target.SignalTarget(young.start()) as target:
        assert -1 < target.age() < PATIENCE
    with signal_target.SignalTarget(os.getpid()) as target:
        began = target.age()
        time.sleep(0.05)
        assert 0 < target.age() - began < PATIENCE


@pytest.mark.parametrize(
    ("module", "is_asked"),
    [
        ("github.com/containerd/containerd", True),
        ("github.com/containerd/containerd/v2", True),
        ("github.com/containerd/containerd-shim", False),
        ("github.com/k3s-io/k3s", False),
        (None, True),
    ],
)
def test_the_module_that_it_was_built_from(program, monkeypatch, module, is_asked):
    containerd = program()
    monkeypatch.setattr(signalled_dump.go_build, "read", lambda _path: Build("go1.26", module, None, None, None))
    if is_asked:
        assert asked(containerd.start())[1] == DUMP
    else:
        assert f"its program was built from {module}" in refused(containerd, containerd.start())


def test_the_mark_is_found_wherever_it_lies(program, monkeypatch):
    containerd = program()
    with signal_target.SignalTarget(containerd.start()) as target:
        for block in (1 << 10, 1 << 10 | 7, len(CONTAINERD) + 1):
            monkeypatch.setattr(signal_target, "_BLOCK", block)
            assert target.program_holds(CONTAINERD, Deadline(PATIENCE))
            assert not target.program_holds(DOCKERD, Deadline(PATIENCE))
        with pytest.raises(TimeoutError):
            target.program_holds(DOCKERD, Deadline(0))


@pytest.mark.parametrize("trap", ["link", "dangling link", "second name", "folder", "pipe"])
def test_a_trap_under_the_name_of_the_dump(program, tmp_path, trap):
    containerd = program()
    victim = tmp_path / "shadow"
    victim.write_text("root:secret")
    pid = containerd.start()
    file = containerd.dumps / f"containerd.{pid}.stacks.log"
    {
        "link": lambda: file.symlink_to(victim),
        "dangling link": lambda: file.symlink_to("/nowhere"),
        "second name": lambda: os.link(str(victim), str(file)),
        "folder": file.mkdir,
        "pipe": lambda: os.mkfifo(str(file)),
    }[trap]()
    assert "lies where it would write, and is no plain file of its own: a trap?" in refused(containerd, pid)
    assert victim.read_text() == "root:secret"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else(program):
    containerd = program()
    pid = containerd.start()
    file = containerd.dumps / f"containerd.{pid}.stacks.log"
    file.write_text("goroutine 1 [running]: forged")
    os.chown(str(file), 4242, -1)
    assert "is no plain file of its own: a trap?" in refused(containerd, pid)


@pytest.mark.parametrize(("mode", "is_asked"), [(0o777, False), (0o775, False), (0o1777, True), (0o700, True)])
def test_a_folder_in_which_others_may_replace_files(program, mode, is_asked):
    containerd = program()
    containerd.dumps.chmod(mode)
    if is_asked:
        assert asked(containerd.start())[1] == DUMP
    else:
        assert "others may put something else in its place" in refused(containerd, containerd.start())


@pytest.mark.parametrize(("guard", "is_asked"), [("1\n", True), ("0\n", False), (None, False)])
def test_where_the_name_cannot_be_reserved_the_kernel_has_to_guard_links(tmp_path, guard, is_asked):
    dumps = tmp_path / "tmp"
    dumps.mkdir()
    dumps.chmod(0o1777)
    if guard is not None:
        (tmp_path / "proc" / "sys" / "fs").mkdir(parents=True)
        (tmp_path / "proc" / "sys" / "fs" / "protected_symlinks").write_text(guard)
    crio = signalled_dump.PROGRAMS["crio"]
    with dump_folder.DumpFolder(str(tmp_path), crio.folder(None), os.geteuid(), crio.expected(None)) as folder:
        if is_asked:
            folder.prepare(str(tmp_path / "proc"))
            (dumps / "crio-goroutine-stacks-2026-11-21T180000Z.log").write_text("goroutine 1")
            assert folder.written(time.time())[0] == "crio-goroutine-stacks-2026-11-21T180000Z.log"
        else:
            with pytest.raises(dump_folder.DumpError, match=r"set the sysctl fs\.protected_symlinks to 1"):
                folder.prepare(str(tmp_path / "proc"))


def test_a_link_for_the_next_second(program, tmp_path):
    dockerd = program("dockerd", DOCKERD)
    pid = dockerd.start(f"--exec-root={dockerd.dumps}")
    (dockerd.dumps / "goroutine-stacks-2026-11-21T180001Z.log").symlink_to(tmp_path / "x")
    assert "goroutine-stacks-2026-11-21T180001Z.log lies where it would write" in refused(dockerd, pid, "dockerd")


def test_no_file_comes(program):
    silent = program(reaction=":")
    pid = silent.start()
    why = refused(silent, pid, seconds=NO_TIME)
    assert why == (
        f"containerd (pid {pid}) had written no dump {NO_TIME:g} s after it was asked: look into its log, or raise the time limit"
    )


def test_a_file_of_before_is_no_answer(program):
    silent = program(reaction=":")
    pid = silent.start()
    (silent.dumps / f"containerd.{pid}.stacks.log").write_text("goroutine 1 of last year")
    assert "had written no dump" in refused(silent, pid, seconds=NO_TIME)


def test_a_file_that_says_it_is_from_before(program):
    liar = program(reaction='echo goroutine >"$DUMP.new"; touch -d 2020-01-01 "$DUMP.new"; mv "$DUMP.new" "$DUMP"')
    assert "had written no dump" in refused(liar, liar.start(), seconds=NO_TIME)


def test_it_is_still_writing(program):
    slow = program(reaction='exec 3>"$DUMP"; printf goroutine >&3; sleep 5')
    assert "was still writing its dump" in refused(slow, slow.start(), seconds=0.2)


def test_it_ends_of_the_signal(program):
    mortal = program(reaction="exit 3")
    _source, body, (why,) = asked(mortal.start())
    assert body == b""
    assert "ended after it was sent SIGUSR1" in why


def test_a_process_that_has_ended(program):
    gone = program()
    pid = gone.start()
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    why = asked(pid)[2]  # a zombie: it has a name and no program
    assert why == [f"containerd (pid {pid}) has ended: look again who owns the port"]
    assert asked(2**22 + 1)[2] == [f"containerd (pid {2**22 + 1}) has ended: look again who owns the port"]


def test_another_process_got_its_number(program, monkeypatch):
    """Without descriptors of processes, which Python 3.8 has not."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    containerd = program()
    pid = containerd.start()
    assert asked(pid)[1] == DUMP
    with signal_target.SignalTarget(pid) as target:
        target._began += 1
        with pytest.raises(ProcessLookupError):
            target.send(signal.SIGKILL)
    assert containerd.is_alive()


@pytest.mark.parametrize("text", ["", "[]", '{"exec-root": 5}', '{"exec-root": ""}', '{"exec-root": null}'])
def test_odd_settings_of_dockerd(program, tmp_path, text):
    dockerd = program("dockerd", DOCKERD)
    (tmp_path / "daemon.json").write_text(text)
    with signal_target.SignalTarget(dockerd.start("--config-file", str(tmp_path / "daemon.json"))) as target:
        assert signalled_dump._exec_root(target) == "/var/run/docker"


@pytest.mark.parametrize("text", ["{", "[" * 100000, '{"exec-root": "\\u0000"}', '{"exec-root": "/nowhere"}'])
def test_settings_that_lead_nowhere(program, tmp_path, text):
    dockerd = program("dockerd", DOCKERD)
    (tmp_path / "daemon.json").write_text(text)
    why = refused(dockerd, dockerd.start("--config-file", str(tmp_path / "daemon.json")), "dockerd")
    assert "was not asked" in why
    assert "\0" not in why


def test_no_more_is_read_than_is_allowed(program, monkeypatch):
    containerd = program(reaction='printf "%64s" goroutine >"$DUMP"')
    monkeypatch.setattr(dump_folder, "_LARGEST_DUMP", 40)
    monkeypatch.setattr(dump_folder, "_BLOCK", 16)
    _source, body, (why,) = asked(containerd.start())
    assert len(body) == 32
    assert "of which the rest was not read" in why


def test_time_runs_out_while_it_is_read(program):
    containerd = program()
    deadline = Deadline(PATIENCE)
    with signalled_dump.ask(containerd.start(), "containerd", deadline) as dumped:
        deadline._end = 0
        assert b"".join(dumped.blocks()) == b""
    assert "was not read to its end within 20 s" in dumped.missing[0]["why"]


def test_no_time_at_all(program):
    containerd = program()
    assert "had written no dump" in refused(containerd, containerd.start(), seconds=0)


def test_names_for_a_terminal(program):
    _source, _body, (why,) = asked(program().start(), "\x1b[31mcontainerd")
    assert "\x1b" not in why


def test_nothing_stays_open(program):
    containerd = program()
    pid = containerd.start()
    before = os.listdir("/proc/self/fd")
    asked(pid)
    refused(containerd, pid, "dockerd")
    asked(pid, seconds=0)
    dumped = signalled_dump.ask(pid, "containerd", Deadline(PATIENCE))
    with dumped:
        assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    assert len(os.listdir("/proc/self/fd")) == len(before)
