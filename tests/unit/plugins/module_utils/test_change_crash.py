# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""change: killed before each thing that it does to the node, and refused each: the node is old or new in all its parts afterwards."""

from __future__ import annotations

import contextlib
import errno
import os
import signal

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import change, change_store, change_worker, systemd
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import FileText, Reload, Restart, Sysctl
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_change import (
    CONFIG,
    DIGEST,
    KEY,
    NEW,
    OLD,
    SECONDS,
    STORE,
    UNIT,
    Scene,
    folder_in_memory,
)

DROP_IN = "/etc/crio/crio.conf.d/60-doctor.conf"
STEPS = (FileText(CONFIG, NEW), FileText(DROP_IN, "port = 1\n"), Sysctl(KEY, "8192"), Restart(UNIT))
# All by which the engine changes anything.
CALLS = ("chmod", "fchmod", "fchown", "fsync", "mkdir", "open", "rename", "rmdir", "setxattr", "unlink", "write")
NEED_ROOM = ("create", "fsync", "mkdir", "write")


class KilledError(BaseException):
    """What nobody catches."""


class Watched:
    """Counts what is done to the node in the processes that it is meant for, and does something else before one of them."""

    def __init__(self, monkeypatch, scene):
        self._root, self._proc = scene.places.root, scene.places.proc
        self.log = []
        self.at = None
        self.asked = ""  # what is about to be done
        self.instead = lambda: None
        self.is_meant = lambda: True
        self._killed = False
        for name in CALLS:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))
        monkeypatch.setattr(systemd.Systemd, "_lines", self._wrapped("systemctl", systemd.Systemd._lines))

    def _wrapped(self, name, real):
        def call(*arguments, **named):
            what = self.asked = self._what(name, arguments)
            if what and self._killed:
                raise KilledError
            if what and self.is_meant():
                self.log.append(what)
                if self.at is not None and len(self.log) == self.at:
                    self.instead()
            return None if name == "fsync" else real(*arguments, **named)

        return call

    def _what(self, name, arguments):
        """What is about to be done; empty for what leaves the node as it is."""
        if name == "open":
            return "create" if arguments[1] & os.O_CREAT else ""
        if name == "write":
            place = os.readlink(f"/proc/self/fd/{arguments[0]}")
            return "write" if place.startswith(self._root) else "set" if place.startswith(self._proc) else ""
        return "" if name == "systemctl" and arguments[1][0] == "show" else name

    def reset(self, at=None):
        """Begin to count anew."""
        self.log.clear()
        self.at = at
        self._killed = False

    def kill(self):
        """As SIGKILL does: nothing more happens to the node, whatever wants to clean up."""
        self._killed = True
        raise KilledError


@pytest.fixture
def tmp_path():
    with folder_in_memory() as folder:
        yield folder


@pytest.fixture
def scene(monkeypatch, node):
    return Scene(node, monkeypatch)


@pytest.fixture
def watched(monkeypatch, scene):
    return Watched(monkeypatch, scene)


class Seen:
    """The old and the new state of a node, to be compared with."""

    def __init__(self, scene):
        self._scene = scene
        self.old = self.now()
        scene.carry_out(*STEPS)
        self.new = self.now()
        self.reset()

    def now(self):
        """What is on the node, but for the records; what was restarted has read it."""
        records = str(self._scene.store)
        files = [entry for entry in self._scene.files() if not entry[0].startswith(records)]
        return files, self._scene.sysctl.read_text().split()

    def reset(self):
        """Let all be old again, however it is now."""
        with contextlib.suppress(change.ChangeError):
            change.undo(STORE, f"pin-stream-port-{DIGEST[:12]}", self._scene.places, SECONDS)
        assert self.now() == self.old
        assert not self._scene.store.exists()
        self._scene.systemd.put(UNIT, "invocation", "1")

    def check(self, recovered):
        """Old or new in all parts, and told as which; nothing between, nothing left over."""
        states = [one["state"] for one in recovered]
        records = [one["state"] for one in change_store.changes(str(self._scene.node.root))]
        if self.now() == self.new:
            assert records == ["done"]
            assert states in ([], ["applied"])
        else:
            assert self.now() == self.old
            assert (records, self._scene.store.exists()) == ([], False)
            assert states in ([], ["rolled-back"])
        assert self._scene.systemd.state(UNIT)[0] == "active"


@pytest.fixture
def no_worker(monkeypatch):
    """All in one process, as a module and a worker that are killed together."""
    monkeypatch.setattr(change_worker, "run", lambda act, _seconds: act())


@pytest.mark.usefixtures("no_worker")
def test_killed_before_everything_that_it_does(scene, watched):
    seen = Seen(scene)
    watched.reset()
    scene.carry_out(*STEPS)
    length = len(watched.log)
    assert length > 40
    watched.instead = watched.kill
    for number in range(1, length + 1):
        seen.reset()
        watched.reset(number)
        with pytest.raises(KilledError):
            scene.carry_out(*STEPS)
        watched.reset()
        interrupted = scene.recover(check=True)
        recovered = scene.recover()
        assert [one["id"] for one in recovered] == [one["id"] for one in interrupted]
        seen.check(recovered)


@pytest.mark.usefixtures("no_worker")
def test_undo_is_killed_before_everything_that_it_does(scene, watched):
    seen = Seen(scene)
    done = scene.carry_out(*STEPS)
    watched.reset()
    scene.undo(done)
    length = len(watched.log)
    watched.instead = watched.kill
    for number in range(1, length + 1):
        done = scene.carry_out(*STEPS)
        watched.reset(number)
        with pytest.raises(KilledError):
            scene.undo(done)
        watched.reset()
        seen.check(scene.recover())
        seen.reset()


@pytest.mark.usefixtures("no_worker")
def test_recovery_is_killed_before_everything_that_it_does(scene, watched):
    seen = Seen(scene)

    def interrupt():
        """All steps but the last have been taken."""
        watched.reset()
        scene.carry_out(*STEPS)
        number = watched.log.index("systemctl") + 1
        seen.reset()
        watched.reset(number)
        watched.instead = watched.kill
        with pytest.raises(KilledError):
            scene.carry_out(*STEPS)
        watched.reset()

    interrupt()
    scene.recover()
    length = len(watched.log)
    for number in range(1, length + 1):
        interrupt()
        watched.reset(number)
        with pytest.raises(KilledError):
            scene.recover()
        watched.reset()
        seen.check(scene.recover())
        seen.reset()


@pytest.mark.usefixtures("no_worker")
def test_a_last_step_that_leaves_no_trace_is_not_taken_for_done(scene, watched):
    watched.reset()
    watched.instead = watched.kill
    steps = (FileText(CONFIG, NEW), Reload())
    watched.at = 1
    watched.is_meant = lambda: watched.asked == "systemctl"
    with pytest.raises(KilledError):
        scene.carry_out(*steps)
    watched.reset()
    assert [one["state"] for one in scene.recover()] == ["rolled-back"]
    assert scene.config.read_text() == OLD


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.6, 0.8, 0.99])
def test_the_worker_alone_is_killed(scene, watched, fraction):
    """The module takes back, or finds that all is done, and says so."""
    seen = Seen(scene)
    test = os.getpid()
    once = scene.node.folder / "once"

    def instead():
        if once.exists():
            once.rmdir()  # not the one that takes it back
            os.kill(os.getpid(), signal.SIGKILL)

    watched.instead = instead
    watched.is_meant = lambda: os.getpid() != test
    watched.reset(1 + int(fraction * 45))
    once.mkdir()
    outcome = scene.carry_out(*STEPS)
    assert not once.exists()
    watched.reset()
    assert outcome.state in ("applied", "rolled-back")
    assert outcome.why.startswith("the process that changed the node was killed")
    assert (seen.now() == seen.new) is (outcome.state == "applied")
    seen.check([])


def _state(scene):
    """How it ended, or why it was not begun: the store could not even be made."""
    try:
        return scene.carry_out(*STEPS).state
    except change.ChangeError as error:
        return str(error).rpartition(": ")[2]


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_refused_everything_that_it_does(scene, watched, lasting):
    """The disk is full, or fails: once, or from some moment on with all that needs room."""
    seen = Seen(scene)
    watched.reset()
    scene.carry_out(*STEPS)
    names = list(watched.log)

    def instead():
        if lasting:
            watched.at = len(watched.log) + 1
        if not lasting or watched.log[-1] in NEED_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    watched.instead = instead
    for number in range(1, len(names) + 1):
        seen.reset()
        watched.reset(number)
        state = _state(scene)
        watched.reset()
        assert state in ("applied", "rolled-back", os.strerror(errno.ENOSPC)), (number, names[number - 1], state)
        seen.check(scene.recover())


@pytest.mark.usefixtures("no_worker")
def test_the_disk_is_full_when_it_is_taken_back(scene, watched):
    """What did not help is taken back without room for anything."""
    seen = Seen(scene)

    def refuse():
        watched.at = len(watched.log) + 1
        if watched.log[-1] in NEED_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def verify(_deadline):
        watched.reset(1)
        watched.instead = refuse
        return "no help"

    outcome = scene.carry_out(*STEPS, verify=verify)
    watched.reset()
    assert outcome.state == "rolled-back", outcome
    assert scene.config.read_text() == OLD
    seen.check(scene.recover())
