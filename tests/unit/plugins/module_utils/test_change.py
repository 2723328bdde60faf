# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""change: steps are taken, verified, taken back and undone, on a made-up node with a made-up systemd."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    change,
    change_file,
    change_process,
    change_store,
    change_worker,
    procfs,
    systemd,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import (
    Enable,
    FileText,
    Restart,
    Sysctl,
    Terminate,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_change import (
    CLOCK,
    CONFIG,
    DIGEST,
    KEY,
    NEW,
    OLD,
    SECONDS,
    STEPS,
    STORE,
    UNIT,
    Scene,
    folder_in_memory,
)


@pytest.fixture
def tmp_path():
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture
def scene(node, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # power is not lost here
    return Scene(node, monkeypatch)


def test_a_change_is_applied_and_undone_byte_for_byte(scene):
    before = scene.files()
    outcome = scene.carry_out(*STEPS)
    assert (outcome.state, outcome.why, outcome.changed) == ("applied", "", True)
    assert scene.config.read_text() == NEW
    assert stat.S_IMODE(scene.config.stat().st_mode) == 0o640
    assert (scene.node.root / "etc/sysctl.d/60-doctor.conf").read_text() == f"{KEY} = 8192\n"
    assert scene.sysctl.read_text().split() == ["8192"]
    assert scene.systemd.state(UNIT) == ("active", "enabled", "2")
    assert scene.systemd.state(CLOCK) == ("active", "enabled", "2")
    assert outcome.id == f"pin-stream-port-{DIGEST[:12]}"
    undone = scene.undo(outcome)
    assert (undone.state, undone.why) == ("undone", "")
    assert undone.told == [
        f"{CLOCK} is stopped and disabled again",
        f"{KEY} is 4096 again",
        "/etc/sysctl.d/60-doctor.conf is gone again",
        f"{CONFIG} is as it was",
        f"{UNIT} was restarted",
    ]
    assert scene.files() == before  # no folder, no record, no temporary file is left
    assert scene.sysctl.read_text().split() == ["4096"]
    assert scene.systemd.state(CLOCK)[:2] == ("inactive", "disabled")
    # What units read is back before they are restarted.
    assert scene.systemd.calls()[-4:] == [
        f"stop -- {CLOCK}",
        f"disable -- {CLOCK}",
        "daemon-reload",
        f"restart -- {UNIT}",
    ]


def test_what_is_kept_is_roots_alone(scene):
    scene.carry_out(FileText(CONFIG, NEW))
    assert {place.name: stat.S_IMODE(place.stat().st_mode) for place in scene.store.iterdir()} == {
        f"pin-stream-port-{DIGEST[:12]}.json": 0o600,
        f"pin-stream-port-{DIGEST[:12]}.0.before": 0o600,
    }
    assert stat.S_IMODE(scene.store.stat().st_mode) == 0o700
    assert "hunter2" not in (scene.store / f"pin-stream-port-{DIGEST[:12]}.json").read_text()


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_a_step_that_fails_takes_all_back(scene, number, monkeypatch):
    before, prepared = scene.files(), scene.prepare(*STEPS)
    kind = type(prepared[number].part)
    real = kind.act
    twice = number == 1  # the second file

    def act(part, deadline):
        if not twice or part.path != CONFIG:
            raise change.ChangeError("the step failed")
        real(part, deadline)

    monkeypatch.setattr(kind, "act", act)
    outcome = scene.carry_out(*STEPS)
    assert outcome.state == "rolled-back"
    assert outcome.why.startswith("the step failed; ")
    assert scene.files() == before
    assert scene.sysctl.read_text().split() == ["4096"]
    assert scene.systemd.state(CLOCK)[:2] == ("inactive", "disabled")
    assert scene.systemd.state(UNIT)[0] == "active"
    # A unit that has not read anything new is not restarted.
    assert scene.systemd.state(UNIT)[2] == ("1" if number < 5 else "3")


@pytest.mark.parametrize("says", ["exec still names port 42311", ZeroDivisionError("division by zero")])
def test_what_did_not_help_is_taken_back(scene, says):
    def verify(_deadline):
        if isinstance(says, Exception):
            raise says
        return says

    before = scene.files()
    outcome = scene.carry_out(FileText(CONFIG, NEW), Restart(UNIT), verify=verify)
    assert outcome.state == "rolled-back"
    assert str(says) in outcome.why
    assert outcome.why.endswith(f"taken back: {CONFIG} is as it was; {UNIT} was restarted")
    assert scene.files() == before
    assert scene.systemd.calls() == [f"restart -- {UNIT}"] * 2


def test_a_restart_alone_is_not_taken_back_by_another(scene):
    outcome = scene.carry_out(Restart(UNIT), verify=lambda _deadline: "it drew 30080 again")
    said = f"it drew 30080 again; cannot be taken back: {UNIT} was restarted"
    assert (outcome.state, outcome.why, outcome.changed) == ("failed", said, True)
    assert scene.systemd.calls() == [f"restart -- {UNIT}"]
    assert not scene.store.exists()  # nothing is left to be done


def test_a_restart_alone_cannot_be_undone(scene, monkeypatch):
    assert not change.can_be_undone(scene.prepare(Restart(UNIT)))
    assert change.can_be_undone(scene.prepare(Restart(UNIT), Sysctl(KEY, "8192")))
    outcome = scene.carry_out(Restart(UNIT))
    assert (outcome.state, scene.store.exists()) == ("applied", False)
    # The module is killed when the change is done.
    monkeypatch.setattr(change_store.Store, "remove", lambda *_words: None)
    scene.systemd.put(UNIT, "invocation", "1")
    outcome = scene.carry_out(Restart(UNIT))
    monkeypatch.undo()
    for check in (True, False):
        with pytest.raises(change.ChangeError, match="pin-stream-port cannot be undone: no restart is taken back"):
            scene.undo(outcome, check)
    assert (scene.recover(), scene.store.exists()) == ([], False)


def test_a_unit_that_stays_down_was_changed(scene):
    scene.config.write_text("broken\n")
    outcome = scene.carry_out(Restart(UNIT))
    assert (outcome.state, outcome.changed) == ("failed", True)
    assert outcome.why.count("toml: line 3: broken") == 1
    assert "; not taken back: it failed again in the same way. Put that right by hand" in outcome.why


def test_a_unit_that_does_not_come_up_again_gets_its_old_configuration(scene):
    outcome = scene.carry_out(FileText(CONFIG, "broken\n"), Restart(UNIT))
    assert outcome.state == "rolled-back"
    assert f"{UNIT} is failed" in outcome.why
    assert "toml: line 3: broken" in outcome.why
    assert "hunter2" not in outcome.why  # a command line of systemctl status
    assert scene.systemd.state(UNIT)[0] == "active"
    assert scene.config.read_text() == OLD


def test_what_cannot_be_taken_back_is_said_and_stays_recorded(scene):
    def verify(_deadline):
        scene.config.write_text("somebody else's\n")
        return "no help"

    outcome = scene.carry_out(FileText(CONFIG, NEW), Sysctl(KEY, "8192"), verify=verify)
    assert outcome.state == "failed"
    assert f"not taken back: {CONFIG} was changed by somebody else meanwhile, and is left as it is" in outcome.why
    assert f"taken back: {KEY} is 4096 again" in outcome.why
    assert outcome.why.endswith(f"or remove {STORE}/{outcome.id}.* to leave all as it is")
    assert scene.config.read_text() == "somebody else's\n"
    [told] = change_store.changes(str(scene.node.root))
    assert (told["state"], told["fix"]) == ("interrupted", "pin-stream-port")
    assert "somebody else" in told["why"]
    with pytest.raises(change.ChangeError, match=r"could not be ended: pin-stream-port: .*somebody else"):
        scene.recover()
    with pytest.raises(change.ChangeError, match="has to be ended first"):
        scene.carry_out(Sysctl(KEY, "8192"))
    scene.config.write_text(OLD)  # put right by hand
    scene.config.chmod(0o640)
    [ended] = scene.recover()
    assert ended["state"] == "rolled-back"
    assert not scene.store.exists()


def test_something_changed_since_it_was_planned(scene):
    prepared = scene.prepare(FileText(CONFIG, NEW))
    scene.config.write_text(OLD + "# a comment\n")
    with pytest.raises(change.ChangeError, match="changed since"):
        change.carry_out(STORE, "pin-stream-port", DIGEST, prepared, lambda _deadline: "", scene.places, SECONDS)
    assert not scene.store.exists()


def test_what_somebody_else_changes_while_it_begins_stays(scene, monkeypatch):
    """It is not ours to be taken back; what was done before it is."""
    real = change_file.FilePart.stage

    def stage(part):
        real(part)
        scene.config.write_text("mine\n")

    monkeypatch.setattr(change_file.FilePart, "stage", stage)
    outcome = scene.carry_out(Sysctl(KEY, "8192"), FileText(CONFIG, NEW))
    said = f"{CONFIG} was changed by somebody else just now; taken back: {KEY} is 4096 again"
    assert (outcome.state, outcome.why) == ("rolled-back", said)
    assert scene.config.read_text() == "mine\n"
    assert not scene.store.exists()


def test_a_second_run_says_who_is_at_it(scene, monkeypatch):
    monkeypatch.setattr(change_store, "_PATIENCE_SECONDS", 0)
    heard = []

    def verify(_deadline):
        with pytest.raises(change.ChangeError) as caught:
            scene.carry_out(Sysctl(KEY, "1024"))
        [told] = change_store.changes(str(scene.node.root))
        with pytest.raises(change.ChangeError, match="by another run"):
            scene.recover(check=True)
        heard.append((str(caught.value), told["state"]))
        return json.dumps(heard)

    outcome = scene.carry_out(FileText(CONFIG, NEW), verify=verify)
    assert "is carrying out pin-stream-port on this node" in outcome.why
    assert '"acting"' in outcome.why


def test_a_lock_without_a_record_is_respected(scene, monkeypatch):
    monkeypatch.setattr(change_store, "_PATIENCE_SECONDS", 0)
    scene.store.mkdir(mode=0o700)
    folder = os.open(str(scene.store), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        with pytest.raises(change.ChangeError, match="another run is at changing this node"):
            scene.carry_out(Sysctl(KEY, "8192"))
    finally:
        os.close(folder)


def test_undo_stops_where_something_was_changed_since(scene):
    outcome = scene.carry_out(FileText(CONFIG, NEW), Sysctl(KEY, "8192"))
    scene.sysctl.write_text("1024\n")
    with pytest.raises(change.ChangeError, match=f"^{KEY} was set to 1024 since$"):
        scene.undo(outcome)
    assert scene.config.read_text() == NEW
    scene.sysctl.write_text("8192\n")
    scene.config.write_text(NEW + "# mine\n")
    with pytest.raises(change.ChangeError, match=f"{CONFIG} was changed since"):
        scene.undo(outcome)


def test_undo_is_told_first(scene):
    outcome = scene.carry_out(*STEPS)
    applied = scene.files()
    would = scene.undo(outcome, check=True)
    assert (would.state, would.changed) == ("needed", True)
    assert f"{CONFIG} gets its old text back" in would.told
    assert would.diff[0]["before"] == '  stream_server_port = "10010"\n'
    assert would.diff[0]["after"] == '  stream_server_port = "0"\n'
    assert scene.files() == applied


@pytest.mark.parametrize("name", ["pin-stream-port-0123456789ab", "../../../etc/passwd", "x"])
def test_undo_of_what_is_not_there(scene, name):
    with pytest.raises(change.ChangeError, match=r"no change|not the id"):
        change.undo(STORE, name, scene.places, SECONDS)


def test_undo_needs_the_unit_that_reads_it(scene):
    outcome = scene.carry_out(FileText(CONFIG, NEW), Restart(UNIT))
    scene.systemd.remove(UNIT)
    with pytest.raises(change.ChangeError, match=f"no usable unit {UNIT}"):
        scene.undo(outcome)
    assert scene.config.read_text() == NEW


def test_undo_twice(scene):
    outcome = scene.carry_out(FileText(CONFIG, NEW))
    assert scene.undo(outcome).state == "undone"
    with pytest.raises(change.ChangeError, match=r"no change .* \(any more\)"):
        scene.undo(outcome)


def test_the_diff_has_no_line_but_those_that_change(scene):
    prepared = scene.prepare(*STEPS)
    diff = change.as_diff(prepared)
    assert "hunter2" not in json.dumps(diff)
    assert "hunter2" not in json.dumps([one.document() for one in prepared])
    assert diff[0] == {
        "before": '  stream_server_port = "0"\n',
        "after": '  stream_server_port = "10010"\n',
        "before_header": f"{CONFIG}, changed lines only",
        "after_header": f"{CONFIG}, changed lines only",
    }
    assert diff[1]["before_header"] == "/etc/sysctl.d/60-doctor.conf (not there), changed lines only"
    assert (diff[2]["before"], diff[2]["after"]) == (f"{KEY} = 4096\n", f"{KEY} = 8192\n")
    assert [(one["before_header"], one["after"]) for one in diff[3:]] == [
        (UNIT, "restarted\n"),
        (CLOCK, "enabled and active\n"),
    ]


class Victim:
    """A process that a change ends; where it is ``stubborn``, when it is let go."""

    def __init__(self, node, stubborn):
        (node.root / "var" / "lib").mkdir(parents=True)
        self.places = Places("/proc", str(node.root))
        deaf = "import signal; signal.signal(signal.SIGTERM, lambda *_all: None); " if stubborn else ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{deaf}print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.process.stdout.readline()
        started = int(procfs.stat_fields(f"/proc/{self.process.pid}/stat")[19])
        self.step = Terminate(self.process.pid, started, "python3")

    @property
    def name(self):
        return f"python3 (process {self.process.pid})"

    def prepare(self):
        return change.prepare([self.step], self.places)

    def carry_out(self, verify=lambda _deadline: "", seconds=SECONDS):
        return change.carry_out(STORE, "restart-leaker", DIGEST, self.prepare(), verify, self.places, seconds)

    def recover(self, seconds=SECONDS):
        return change.recover(STORE, self.places, seconds)

    def records(self):
        return [one["state"] for one in change_store.changes(self.places.root)]

    def let_go(self):
        self.process.communicate()


@pytest.fixture
def victim(node):
    victims = []
    yield lambda stubborn=False: victims.append(Victim(node, stubborn)) or victims[-1]
    for one in victims:
        one.process.kill()
        one.let_go()


def test_a_process_ends_and_nothing_takes_it_back(victim):
    one = victim()
    with pytest.raises(change.ChangeError, match="is another one by now"):
        change.prepare([one.step._replace(started=one.step.started - 1)], one.places)
    assert not change.can_be_undone(one.prepare())
    outcome = one.carry_out()
    assert outcome.state == "applied"
    assert one.process.wait() == -15
    with pytest.raises(change.ChangeError, match="has ended, or is another one by now"):
        one.prepare()
    with pytest.raises(change.ChangeError, match="no change"):
        change.undo(STORE, outcome.id, one.places, SECONDS)


def test_a_process_that_does_not_come_back_is_told(victim):
    one = victim()
    outcome = one.carry_out(lambda _deadline: "it does not listen again")
    said = f"it does not listen again; cannot be taken back: {one.name} has ended"
    assert (outcome.state, outcome.why, outcome.changed) == ("failed", said, True)
    assert one.records() == []


def test_a_process_that_takes_its_time_to_end(victim):
    """From the signal on there is no way back, so it is never said that all is as it was."""
    one = victim(stubborn=True)
    outcome = one.carry_out(seconds=0.3)
    asked = f"{one.name} was asked to end and has not yet; it will"
    assert (outcome.state, outcome.changed, outcome.why.count(asked)) == ("failed", True, 1)
    assert outcome.why.endswith("Run it again when it has ended; where it never does, end it by hand")
    assert one.records() == ["interrupted"]
    with pytest.raises(change.NotEndedError, match="was asked to end and has not yet; it will"):
        one.recover(seconds=0.1)
    assert one.records() == ["interrupted"]
    one.let_go()
    [ended] = one.recover()
    assert ended["state"] == "applied"
    assert "all of its steps had been taken" in ended["why"]


@pytest.mark.parametrize("ends", [True, False])
def test_killed_after_the_signal(victim, ends, monkeypatch):
    """Worker and module are: the next run waits for the end."""
    one = victim(stubborn=True)

    def wait(*_words):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(change_worker, "run", lambda act, _seconds: act())
        patched.setattr(change_process.ProcessPart, "_wait", wait)
        with pytest.raises(KeyboardInterrupt):
            one.carry_out()
    assert one.records() == ["interrupted"]
    if ends:
        monkeypatch.setattr(
            change_process.time, "sleep", lambda _seconds: os.kill(one.step.pid, 9)
        )  # it ends while it is waited for
        [ended] = one.recover()
        assert (ended["state"], one.records()) == ("applied", ["done"])
    else:
        with pytest.raises(change.NotEndedError, match="asked to end and has not yet"):
            one.recover(seconds=0.1)


def test_killed_before_the_signal(victim, monkeypatch):
    one = victim(stubborn=True)

    def begins(*_words):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(change_worker, "run", lambda act, _seconds: act())
        patched.setattr(change_process.ProcessPart, "begins", begins)
        with pytest.raises(KeyboardInterrupt):
            one.carry_out()
    [ended] = one.recover()
    assert ended["state"] == "rolled-back"
    assert ended["why"].endswith("all is as it was before")


@pytest.mark.parametrize("pid", [0, 1, -1, pytest.param(os.getpid(), id="own")])
def test_processes_that_must_not_end(node, pid):
    with pytest.raises(change.ChangeError, match="must not end"):
        change.prepare([Terminate(pid, 1, "init")], Places("/proc", str(node.root)))


REFUSED = (
    (FileText("etc/passwd", "x"), "not plain and absolute"),
    (FileText("/etc/../etc/passwd", "x"), "not plain and absolute"),
    (Sysctl("net..x", "1"), "no usable name"),
    (Sysctl("net.//.//.etc", "1"), "no usable name"),
    (Sysctl("net.ipv4.nothing", "1"), "this kernel has no net.ipv4.nothing"),
    (Sysctl(KEY, "1\n2"), "not one line"),
    (Restart("--force"), "no name of a unit"),
    (Restart("nothing.service"), "no usable unit nothing.service"),
    (Restart(CLOCK), f"{CLOCK} is inactive: it is not restarted"),
    (Enable("with-another.service"), r"enabled and disabled with with-another.service \(Also=\)"),
    (Enable("masked.service"), "can be neither enabled nor disabled: its state is masked"),
)


def test_steps_that_are_refused(scene):
    scene.systemd.unit("masked.service", enabled="masked")
    scene.systemd.unit("with-another.service", also="Also = chrony-wait.service")
    for step, why in REFUSED:
        with pytest.raises(change.ChangeError, match=why):
            scene.prepare(step)


def test_nothing_is_changed_twice(scene):
    with pytest.raises(change.ChangeError, match="would be changed twice"):
        scene.prepare(Sysctl(KEY, "1"), Sysctl(KEY, "2"))


def test_without_systemd(scene):
    (scene.node.root / "run/systemd/system").rmdir()
    with pytest.raises(change.ChangeError, match=f"no systemd here: restart {UNIT} by hand"):
        scene.prepare(Restart(UNIT))


def test_a_systemctl_that_others_may_write_is_not_run(scene):
    scene.systemd.program.chmod(0o757)
    with pytest.raises(change.ChangeError, match=r"no systemctl that may be run .not root's alone: .*systemctl"):
        scene.prepare(Restart(UNIT))


def test_a_restart_that_restarted_nothing(scene, monkeypatch):
    monkeypatch.setattr(systemd.Systemd, "command", lambda *_words: None)
    outcome = scene.carry_out(Restart(UNIT))
    assert (outcome.state, outcome.why.split(";")[0]) == (
        "rolled-back",
        f"{UNIT} is the one of before after systemctl restart",
    )


def test_time_is_up(scene):
    prepared = scene.prepare(FileText(CONFIG, NEW))
    outcome = change.carry_out(STORE, "pin-stream-port", DIGEST, prepared, lambda _deadline: "", scene.places, 0)
    assert (outcome.state, outcome.why) == ("rolled-back", "not done in 0 s; all is as it was before")


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "[]",
        "{}",
        "[" * 100000,
        '"schema": 1',
        '"schema": 2',
        '"id": "other-0123456789ab"',
        '"state": "half"',
        '"pid": true',
    ],
    ids=["empty", "list", "object", "deep", "half", "version", "id", "state", "pid"],
)
def test_a_record_that_cannot_be_read_stops_all(scene, damage):
    outcome = scene.carry_out(FileText(CONFIG, NEW))
    record = scene.store / f"{outcome.id}.json"
    whole = json.loads(record.read_text())
    other = json.loads(f"{{{damage}}}") if damage.startswith('"') else None
    if other is not None:
        damage = json.dumps({**whole, **other} if damage != '"schema": 1' else other)
    record.write_text(damage)
    for act in (scene.recover, lambda: scene.undo(outcome), lambda: scene.carry_out(Sysctl(KEY, "1024"))):
        with pytest.raises(change.ChangeError, match="record"):
            act()
    [told] = change_store.changes(str(scene.node.root))
    assert (told["state"], told["id"], told["fix"]) == ("unreadable", outcome.id, "pin-stream-port")


def test_a_store_of_others_is_not_used(scene):
    scene.store.mkdir()
    scene.store.chmod(0o777)
    with pytest.raises(change.ChangeError, match="others may put something else in its place"):
        scene.carry_out(FileText(CONFIG, NEW))
    assert scene.config.read_text() == OLD


def test_without_the_rights(scene, monkeypatch):
    outcome = scene.carry_out(FileText(CONFIG, NEW))

    def mkdir(path, *_mode, **_folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(change.ChangeError, match=f"^{STORE}: Permission denied: only root may change this node"):
        scene.undo(outcome)


def test_a_damaged_backup_undoes_nothing(scene):
    outcome = scene.carry_out(FileText(CONFIG, NEW))
    (scene.store / f"{outcome.id}.0.before").write_text("half")
    with pytest.raises(change.ChangeError, match=r"is not what was there$"):
        scene.undo(outcome)
    assert scene.config.read_text() == NEW


def test_nothing_is_interrupted_where_nothing_was_done(scene):
    assert (scene.recover(), scene.recover(check=True), change_store.changes(str(scene.node.root))) == ([], [], [])
    scene.carry_out(FileText(CONFIG, NEW))
    assert (scene.recover(), scene.recover(check=True)) == ([], [])
    assert [one["state"] for one in change_store.changes(str(scene.node.root))] == ["done"]


def test_a_module_that_is_killed_does_not_stop_the_change(scene):
    """The connection is lost and the module killed while the change is under way: its worker goes on."""
    prepared = scene.prepare(FileText(CONFIG, NEW), Sysctl(KEY, "8192"))
    reader, writer = os.pipe()
    module = os.fork()
    if module == 0:
        with contextlib.suppress(BaseException):

            def verify(_deadline):
                os.kill(module_pid, 9)  # then, with its steps taken and its parent gone, it has still to finish
                return ""

            module_pid = os.getpid()
            os.set_inheritable(writer, True)
            change.carry_out(STORE, "pin-stream-port", DIGEST, prepared, verify, scene.places, SECONDS)
        os._exit(0)
    os.close(writer)
    assert os.waitpid(module, 0)[1] == 9
    with open(reader, "rb") as ended:
        ended.read()  # until the worker, which has the other end too, is gone
    assert [one["state"] for one in change_store.changes(str(scene.node.root))] == ["done"]
    assert scene.config.read_text() == NEW


def test_who_writes_the_record_is_told(scene):
    outcome = scene.carry_out(FileText(CONFIG, NEW))
    record = json.loads((scene.store / f"{outcome.id}.json").read_text())
    assert record["pid"] != os.getpid()
    assert record["at"][:4] == time.strftime("%Y", time.gmtime())
