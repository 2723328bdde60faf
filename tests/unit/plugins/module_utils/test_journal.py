# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""journal: which units are read, how far back, and what is told of it; journalctl is made up."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    journal,
    journal_files,
    journalctl,
    program_lines,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import (
    JOURNAL,
    KERNEL,
    POD,
    LogLine,
    Origin,
    PodLog,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import Told, Wanted
from ansible_collections.kubenode.doctor.plugins.module_utils.signatures import chosen
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.fake_journalctl import FakeJournalctl
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.log_listener import Listener

NOW = 1_795_000_000.0
SINCE = 1000
BEGIN = NOW - SINCE
UID = "1403dda53affdfee1130475a6d9609da"
NAME = f"k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_{UID}_24"
CONFLICT = (
    f'Conflict. The container name "/{NAME}" is already in use by container '
    '"eced8537863007db9a915924785306b26238cabbd3feec0e5226e2ad0710807b".'
)
BGP = "2026-11-21 10:00:00.000 [INFO][1] health.go: BGP not established with 10.0.0.2"
NEW, OLD = "1" * 32, "0" * 32
STARTED = "39f53479d3a045ac8e11786248231fbf"
DROPPED = "a596d6fe7bfa4994828e72309e95d61e"
NO_KUBELET = {
    "what": "kubelet",
    "why": "no unit that runs kubelet has written to the journal that can be seen here",
}


class Node:
    """A made-up journal, in a folder that has a file of one."""

    def __init__(self, folder):
        self.journalctl = FakeJournalctl(folder)
        self.say = self.journalctl.say
        self.say_about = self.journalctl.say_about
        self.folder = folder / "journal"
        self.folder.mkdir()
        (self.folder / "system.journal").touch()

    def look(self, seconds=60.0, max_bytes=1 << 20, signatures=(), read=journal.collect):
        listener, told = Listener(), Told()
        source = journal.Source(chosen(signatures), listener, Wanted(NOW, SINCE, max_bytes), str(self.folder))
        answer = read(source, Deadline(seconds), told)
        return listener, told, answer


@pytest.fixture
def node(tmp_path, monkeypatch):
    made = Node(tmp_path)
    monkeypatch.setenv("PATH", str(made.journalctl.folder))
    monkeypatch.setattr(journalctl, "Program", made.journalctl.run)
    return made


def scanned(told):
    """What is told of each unit that is read by itself but its numbers of bytes."""
    return {
        one["name"]: (one["from"], one["to"], one["lines"], one["stopped"])
        for one in (entry.told() for entry in told.scanned)
        if one["name"] != journal.OTHERS
    }


def test_the_units_that_wrote_and_no_others(node):
    node.say(BEGIN - 50, "older", unit="cron.service")
    node.say(BEGIN + 10, CONFLICT, run=NEW)
    node.say(BEGIN + 20, "Conflict, is already in use by container", unit="cron.service")
    node.say(BEGIN + 30, CONFLICT, unit="docker.service")
    node.say(BEGIN + 40, "fine", run=NEW)
    node.say(BEGIN + 50, "System clock was stepped by -864000.0 seconds", unit="chrony.service")
    listener, told, _answer = node.look()
    assert listener.lines == [
        LogLine("System clock was stepped by -864000.0 seconds", BEGIN + 50, Origin(JOURNAL, "chrony.service")),
        LogLine(CONFLICT, BEGIN + 10, Origin(JOURNAL, "kubelet.service")),
        LogLine(CONFLICT, BEGIN + 30, Origin(JOURNAL, "docker.service")),
    ]
    assert list(scanned(told)) == ["chrony.service", "kubelet.service", "docker.service"]
    assert told.missing == []


FILES = "accept4: too many open files"


def others(told):
    return [(one.begin, one.end, one.lines, one.stopped) for one in told.scanned if one.name == journal.OTHERS]


def test_what_any_program_may_say_is_looked_for_in_all_services(node):
    """Signatures that are of no unit: beside the units that are known, whoever has written, and systemd itself."""
    node.say(BEGIN - 50, FILES, unit="node-exporter.service")
    node.say(BEGIN + 10, FILES, unit="node-exporter.service")
    node.say(BEGIN + 20, "Failed to allocate directory watch: Too many open files", unit="init.scope", _PID="1")
    node.say(BEGIN + 30, FILES, unit="user@1000.slice")
    node.say(BEGIN + 40, CONFLICT, unit="node-exporter.service")
    node.say(BEGIN + 50, FILES, run=NEW)
    node.say_about(BEGIN + 60, "kubelet.service: " + FILES, "kubelet.service", run=NEW)
    listener, told, _answer = node.look()
    assert [(line.when - BEGIN, line.origin.unit) for line in listener.lines] == [
        (60, "kubelet.service"),
        (50, "kubelet.service"),
        (20, "init.scope"),
        (10, "node-exporter.service"),
    ]
    assert others(told) == [(BEGIN, BEGIN + 60, 2, "window")]
    assert told.missing == []


def test_others_are_not_asked_for_what_is_of_units(node):
    node.say(BEGIN + 10, FILES, unit="node-exporter.service")
    _listener, told, _answer = node.look(signatures=["docker-name-conflict"])
    assert others(told) == []


def test_no_time_is_left_for_others(node, monkeypatch):
    node.say(BEGIN + 10, CONFLICT, run=NEW)
    oldest = journalctl.Journalctl.oldest

    def slow(self, matches):
        self._deadline.__init__(0)
        return oldest(self, matches)

    monkeypatch.setattr(journalctl.Journalctl, "oldest", slow)
    _listener, told, _answer = node.look()
    assert {"what": journal.OTHERS, "why": "there was no time left to ask them: raise timeout"} in told.missing


def test_not_all_of_very_many_services(node):
    for number in range(journal._OTHERS_LIMIT + 3):
        node.journalctl._entries.append(
            {
                "__REALTIME_TIMESTAMP": str(int((BEGIN + 1) * 1e6)),
                "MESSAGE": FILES,
                "_SYSTEMD_UNIT": f"s{number:03d}.service",
            }
        )
    node.say(BEGIN + 10, "fine", run=NEW)
    listener, told, _answer = node.look()
    assert len(listener.lines) == journal._OTHERS_LIMIT
    assert told.missing == [{"what": journal.OTHERS, "why": "3 of 253 were not asked: they are too many"}]


@pytest.mark.parametrize(
    ("slow", "lines", "begin"),
    [
        # The newest part of the window, a sixteenth, is read by itself where nothing was found in time.
        (1, [CONFLICT + " new"], NOW - 5 - SINCE / 16),
        (2, [], None),
    ],
)
def test_the_newest_part_of_a_unit_that_is_too_slow(node, monkeypatch, slow, lines, begin):
    node.say(BEGIN - 10, "first", run=NEW)
    node.say(BEGIN + 10, CONFLICT + " old", run=NEW)
    node.say(NOW - 10, CONFLICT + " new", run=NEW)
    node.say(NOW - 5, "fine", run=NEW)
    read, searches = journalctl.Journalctl.read, []

    def late(self, matches, since, anchors, deadline, max_bytes, reading):
        if "_SYSTEMD_UNIT=kubelet.service" not in matches:
            return
        searches.append(since)
        if len(searches) <= slow:
            reading.stopped = "budget"
        else:
            yield from read(self, matches, since, anchors, deadline, max_bytes, reading)

    monkeypatch.setattr(journalctl.Journalctl, "read", late)
    listener, told, _answer = node.look()
    assert listener.texts == lines
    assert searches == [BEGIN, NOW - 5 - SINCE / 16]
    assert scanned(told)["kubelet.service"] == (begin, NOW - 5, len(lines), "budget")
    (gap,) = told.missing
    assert gap["what"] == "kubelet.service"
    assert ("only what is newer than" in gap["why"]) == bool(lines)
    assert gap["why"].endswith("raise timeout")


def test_lines_of_one_place_share_one_origin(node):
    """The matcher asks what applies to an origin when it meets another object."""
    for when in (10, 20, 30):
        node.say(BEGIN + when, CONFLICT, run=NEW)
    listener, _told, _answer = node.look()
    assert len({id(line.origin) for line in listener.lines}) == 1
    assert [line.when - BEGIN for line in listener.lines] == [30, 20, 10]  # newest first


@pytest.mark.parametrize(
    ("version", "lines"), [("systemd 252\n+PCRE2", 1), ("systemd 252\n-PCRE2", 3), ("systemd 219\n-PCRE2", 3)]
)
def test_not_past_the_last_start_by_the_number_of_the_run(node, version, lines):
    node.journalctl.set(version=version)
    node.say(BEGIN - 100, "first", run=OLD)
    node.say(BEGIN + 100, CONFLICT.replace("_24", "_23"), run=OLD)
    node.say_about(BEGIN + 190, "Stopped kubelet", "kubelet.service", run=OLD)
    node.say_about(BEGIN + 200, "Starting kubelet", "kubelet.service", run=NEW)
    node.say(BEGIN + 210, CONFLICT, run=NEW)
    node.say(BEGIN + 220, "fine", run=NEW)
    listener, told, _answer = node.look()
    assert CONFLICT in listener.texts
    assert CONFLICT.replace("_24", "_23") not in listener.texts
    assert scanned(told) == {"kubelet.service": (BEGIN + 200, BEGIN + 220, lines, "start")}


def test_not_past_the_last_start_by_what_systemd_says(node):
    """systemd before 232 has no numbers of runs."""
    node.say(BEGIN - 100, "first")
    node.say(BEGIN + 100, CONFLICT.replace("_24", "_23"))
    node.say_about(BEGIN + 200, "Started kubelet.", "kubelet.service", MESSAGE_ID=STARTED)
    node.say(BEGIN + 210, CONFLICT)
    listener, told, _answer = node.look()
    assert listener.texts == [CONFLICT]
    assert scanned(told) == {"kubelet.service": (BEGIN + 200, BEGIN + 210, 1, "start")}


def test_what_systemd_says_about_a_unit_is_of_the_unit(node):
    node.say(BEGIN - 100, "first", run=NEW)
    node.say_about(BEGIN + 10, "kubelet.service: too many open files", "kubelet.service", run=NEW)
    listener, _told, _answer = node.look()
    assert listener.lines[0].origin == Origin(JOURNAL, "kubelet.service")


def test_units_that_keep_the_clock_are_read_through_the_window(node):
    """It is stepped right after a start, and the start may be because of it."""
    node.say(BEGIN - 100, "first", unit="chronyd.service", run=OLD)
    node.say(BEGIN - 50, "System clock was stepped by 1.0 seconds", unit="chronyd.service", run=OLD)
    node.say(BEGIN + 50, "System clock was stepped by -99.0 seconds", unit="chronyd.service", run=OLD)
    node.say(BEGIN + 60, "chronyd exiting", unit="chronyd.service", run=OLD)
    node.say(BEGIN + 70, "chronyd version 4.3 starting", unit="chronyd.service", run=NEW)
    listener, told, _answer = node.look()
    assert listener.texts == ["System clock was stepped by -99.0 seconds"]
    assert scanned(told) == {"chronyd.service": (BEGIN, BEGIN + 70, 1, "window")}


@pytest.mark.parametrize(
    ("first", "begin", "stopped"),
    [
        (BEGIN - 1, BEGIN, "window"),
        # Of what is older there is nothing any more: the files were removed.
        (BEGIN + 5, BEGIN + 5, "beginning"),
    ],
)
def test_how_far_the_journal_goes_back(node, first, begin, stopped):
    node.say(first, "the oldest entry that there is", run=NEW)
    node.say(BEGIN + 10, CONFLICT, run=NEW)
    _listener, told, _answer = node.look()
    assert scanned(told)["kubelet.service"] == (begin, BEGIN + 10, 1, stopped)


def test_a_unit_that_said_nothing_in_the_window(node):
    node.say(BEGIN - 20, CONFLICT, run=NEW)
    listener, told, _answer = node.look()
    assert listener.lines == []
    assert scanned(told) == {"kubelet.service": (BEGIN, BEGIN - 20, 0, "window")}
    assert told.missing == []


FUTURE = NOW + 864000


def test_entries_from_the_future_are_read(node):
    """What was written before the clock was set back, bears later times."""
    node.say(BEGIN - 100, "first", run=NEW)
    node.say(FUTURE, CONFLICT, run=NEW)
    node.say(BEGIN + 20, "fine", run=NEW)
    listener, told, _answer = node.look()
    assert listener.texts == [CONFLICT]
    assert scanned(told) == {"kubelet.service": (BEGIN, BEGIN + 20, 1, "window")}


@pytest.mark.parametrize("run", [NEW, None])
@pytest.mark.parametrize(("before", "stopped"), [(BEGIN - 100, "start"), (FUTURE - 20, "start"), (None, "beginning")])
def test_a_unit_that_was_started_before_the_clock_was_set_back(node, run, before, stopped):
    if before is not None:
        node.say(before, "another unit", unit="cron.service", _PID="1")
    node.say_about(FUTURE - 10, "Started kubelet.", "kubelet.service", run=run, MESSAGE_ID=STARTED)
    node.say(FUTURE, CONFLICT + " 1", run=run)
    node.say(BEGIN + 20, CONFLICT + " 2", run=run)
    listener, told, _answer = node.look()
    assert listener.texts == [CONFLICT + " 2", CONFLICT + " 1"]
    # Since when is not told by a clock that was another one.
    assert scanned(told) == {"kubelet.service": (None, BEGIN + 20, 2, stopped)}


def test_no_kubelet(node):
    node.say(BEGIN + 10, "fine", unit="docker.service", run=NEW)
    _listener, told, _answer = node.look()
    assert told.missing == [NO_KUBELET]


@pytest.mark.parametrize("unit", ["k3s.service", "rke2-agent.service", "snap.microk8s.daemon-kubelite.service"])
def test_kubelets_by_other_names(node, unit):
    node.say(BEGIN + 10, CONFLICT, unit=unit, run=NEW)
    listener, told, _answer = node.look()
    assert (listener.texts, told.missing) == ([CONFLICT], [])


def test_an_entry_that_lies_about_its_unit_hides_no_other(node):
    """The match is by what journald added; what a process said of itself names another unit."""
    node.say(BEGIN + 5, CONFLICT, run=NEW)
    node.say(BEGIN + 10, "lie", unit="docker.service", _PID="1", UNIT="evil.service")
    listener, _told, _answer = node.look()
    assert listener.texts == [CONFLICT]


def test_what_containers_say_through_docker_is_theirs(node):
    name = f"k8s_calico-node_calico-node-x_kube-system_{UID}_3"
    node.say(BEGIN + 5, "first", run=NEW)
    node.say(BEGIN + 10, BGP, unit="docker.service", CONTAINER_NAME=name, CONTAINER_ID="4" * 12)
    listener, _told, _answer = node.look()
    assert listener.lines == [
        LogLine(BGP, BEGIN + 10, Origin(POD, None, PodLog("kube-system", "calico-node-x", UID, "calico-node", 3)))
    ]


def test_units_that_no_chosen_signature_is_looked_for_in_are_not_read(node):
    node.say(BEGIN + 10, CONFLICT, run=NEW)
    node.say(BEGIN + 20, "System clock was stepped by -99.0 seconds", unit="chrony.service")
    listener, told, _answer = node.look(signatures=["clock-stepped"])
    assert listener.texts == ["System clock was stepped by -99.0 seconds"]
    assert list(scanned(told)) == ["chrony.service"]


@pytest.mark.parametrize(
    "words", ["Suppressed 7 messages from kubelet.service", "Suppressed 7 messages from /system.slice/kubelet.service"]
)
def test_what_journald_has_dropped_is_told(node, words):
    node.say(BEGIN - 10, words, unit="systemd-journald.service", MESSAGE_ID=DROPPED)  # before the window
    node.say(BEGIN + 10, "fine", run=NEW)
    for _number in range(2):
        node.say(BEGIN + 20, words, unit="systemd-journald.service", MESSAGE_ID=DROPPED)
    node.say(BEGIN + 20, "Suppressed 9 messages from cron.service", unit="systemd-journald.service", MESSAGE_ID=DROPPED)
    _listener, told, _answer = node.look()
    why = "journald has dropped 14 of its messages, which came too fast (RateLimitBurst in journald.conf)"
    assert told.missing == [{"what": "kubelet.service", "why": why}]


def test_a_unit_that_says_much_leaves_something_to_others(node):
    node.journalctl.set(version="systemd 240\n-PCRE2")
    node.say(BEGIN - 10, "first", run=NEW)
    for number in range(1, 3000):
        node.journalctl._entries.append(
            {**node.journalctl._entries[0], "__REALTIME_TIMESTAMP": str(int((BEGIN + number / 10) * 1e6))}
        )
    node.say(BEGIN + 400, CONFLICT, unit="docker.service", run=NEW)
    listener, told, _answer = node.look(max_bytes=200_000)
    begin, _end, lines, stopped = scanned(told)["kubelet.service"]
    assert stopped == "limit"
    assert BEGIN < begin < BEGIN + 300
    assert 100 < lines < 2900
    assert CONFLICT in listener.texts
    when = journal.moment(begin)
    assert {
        "what": "kubelet.service",
        "why": f"only what is newer than {when} was read: raise max_bytes",
    } in told.missing


def test_one_that_hangs_costs_its_time_and_no_more(node, monkeypatch):
    monkeypatch.setattr(journalctl, "Program", program_lines.Program)
    node.say(BEGIN + 10, CONFLICT, run=NEW)
    node.journalctl.set(hang=True)
    listener, told, _answer = node.look(seconds=1.0)
    assert listener.lines == []
    assert all("hangs" in gap["why"] for gap in told.missing)
    assert len(told.missing) == 1


def test_no_journalctl(node, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    _listener, told, _answer = node.look()
    why = "there is no journalctl: this node has no systemd, or is a container without it"
    assert told.missing == [{"what": "journal", "why": why}]


def test_no_journal(node):
    (node.folder / "system.journal").unlink()
    _listener, told, _answer = node.look()
    why = f"there is none in {node.folder}: journald does not run here, or keeps nothing"
    assert told.missing == [{"what": "journal", "why": why}]


def test_an_empty_journal(node):
    listener, told, _answer = node.look()
    assert (listener.lines, told.scanned, told.missing) == ([], [], [NO_KUBELET])


def test_what_the_kernel_said(node):
    text = "nf_conntrack: nf_conntrack: table full, dropping packet"
    node.say(BEGIN - 10, text, _TRANSPORT="kernel")
    node.say(BEGIN + 10, text, _TRANSPORT="kernel")
    node.say(BEGIN + 20, text, _TRANSPORT="stdout")
    listener, told, answer = node.look(read=journal.collect_kernel)
    assert answer is True
    assert listener.lines == [LogLine(text, BEGIN + 10, Origin(KERNEL))]
    assert [one.told()["source"] for one in told.scanned] == ["kernel"]
    assert scanned(told) == {"kernel's journal": (BEGIN, BEGIN + 10, 1, "window")}


def test_nothing_of_the_kernel(node, monkeypatch):
    node.say(BEGIN + 20, "table full", _TRANSPORT="stdout")
    assert node.look(read=journal.collect_kernel)[2] is False
    monkeypatch.setenv("PATH", "/nonexistent")
    assert node.look(read=journal.collect_kernel)[2] is False


class TestFiles:
    """Which files there are, and who may read them."""

    @pytest.fixture
    def folder(self, tmp_path):
        machine = tmp_path / "journal" / "0123456789abcdef"
        machine.mkdir(parents=True)
        return machine

    @pytest.mark.parametrize(
        ("name", "there"),
        [("system.journal", True), ("system@0005-0006.journal~", True), ("system.journal.gz", False), ("fss", False)],
    )
    def test_names(self, folder, name, there):
        (folder / name).touch()
        told = Told()
        assert journal_files.look([str(folder.parent), "/nonexistent"], told) is there
        assert told.missing == []

    def test_files_of_others(self, folder, monkeypatch):
        (folder / "system.journal").touch()
        (folder / "user-1000.journal").touch()
        opened = os.open

        def refuse(path, flags):
            if path.endswith("system.journal"):
                raise PermissionError(13, "Permission denied", path)
            return opened(path, flags)

        monkeypatch.setattr(journal_files.os, "open", refuse)
        told = Told()
        assert journal_files.look([str(folder.parent)], told)
        why = (
            f"1 of 2 files in {folder.parent} may not be read, so that others' entries are left out: "
            "run with become (-b), or as a member of the group systemd-journal"
        )
        assert told.missing == [{"what": "journal", "why": why}]

    def test_a_folder_that_may_not_be_listed(self, folder, monkeypatch):
        def refuse(path):
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr(journal_files.os, "scandir", refuse)
        told = Told()
        assert not journal_files.look([str(folder)], told)
        assert told.missing == [{"what": "journal", "why": f"{folder}: Permission denied: run with become (-b)"}]

    @pytest.mark.parametrize(
        ("there", "expected"),
        [(["var/log/journal"], "var/log/journal"), (["run/log/journal"], "run/log/journal"), ([], "var/log/journal")],
    )
    def test_below_another_root(self, tmp_path, there, expected):
        for place in there:
            (tmp_path / place).mkdir(parents=True)
        assert journal_files.saved(str(tmp_path)) == str(tmp_path / expected)

    def test_of_this_machine(self):
        assert journal_files.saved("/") is None
