# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""log_scan: the section, and that no source costs another its results."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import journalctl, kernel_ring, log_files, log_scan
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import KERNEL, LogLine, Origin
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.fake_journalctl import FakeJournalctl

NOW = 1_795_000_000.0
UID = "1403dda53affdfee1130475a6d9609da"
NAME = f"k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_{UID}_24"
HOLDER = "eced8537863007db9a915924785306b26238cabbd3feec0e5226e2ad0710807b"
CONFLICT = f'Conflict. The container name "/{NAME}" is already in use by container "{HOLDER}".'
REFUSED = (
    "W0312 03:48:55.984001       1 clientconn.go:1223] grpc: addrConn.createTransport failed to connect to {https://127.0.0.1:2379  <nil> 0 <nil>}. "
    'Err :connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:2379: connect: connection refused". Reconnecting...'
)
FULL = "nf_conntrack: nf_conntrack: table full, dropping packet"


class Node:
    """A made-up node that has something to find in each source."""

    def __init__(self, folder):
        self.root = folder / "root"
        self.journalctl = FakeJournalctl(folder)
        (self.root / "var/log/journal").mkdir(parents=True)
        (self.root / "var/log/journal/system.journal").touch()
        self.journalctl.say(NOW - 100000, "first", run="1" * 32)
        self.journalctl.say(NOW - 100, CONFLICT, run="1" * 32)
        place = self.root / f"var/log/pods/kube-system_kube-apiserver-pi-master1_{UID}/kube-apiserver"
        place.mkdir(parents=True)
        (place / "23.log").write_text(f"2021-03-12T03:48:55.984001000Z stderr F {REFUSED}\n")

    def look(self, seconds=60.0, **how):
        return log_scan.collect(Deadline(seconds), root=str(self.root), **how)


def ring(matcher, _wanted, _deadline, _told, _root):
    matcher.feed(LogLine(FULL, NOW - 50, Origin(KERNEL)))


@pytest.fixture
def node(tmp_path, monkeypatch):
    made = Node(tmp_path)
    monkeypatch.setenv("PATH", str(made.journalctl.folder))
    monkeypatch.setattr(journalctl, "Program", made.journalctl.run)
    monkeypatch.setattr(log_scan.time, "time", lambda: NOW)
    monkeypatch.setattr(kernel_ring, "collect", ring)
    return made


def brief(section):
    return [(entry["signature"], entry["source"], entry["count"]) for entry in section["found"]]


EVERYTHING = [
    ("conntrack-table-full", "kernel", 1),
    ("docker-name-conflict", "journal", 1),
    ("etcd-dial-refused", "pod", 1),
]


def test_the_section(node):
    section = node.look()
    assert brief(section) == EVERYTHING
    assert section["found"][1]["fields"] == {"name": NAME, "holder": HOLDER}
    assert section["found"][2]["pod"]["attempt"] == 23
    assert {key: section[key] for key in ("now", "window_seconds", "other", "complete", "missing")} == {
        "now": NOW,
        "window_seconds": 86400,
        "other": {"entries": 0, "lines": 0},
        "complete": True,
        "missing": [],
    }
    assert [one["name"] for one in section["scanned"]] == ["kubelet.service", "pod logs"]


@pytest.mark.parametrize("source", log_scan.SOURCES)
def test_one_source_by_itself(node, source):
    expected = {"kernel": EVERYTHING[:1], "journal": EVERYTHING[1:2], "pods": EVERYTHING[2:]}
    assert brief(node.look(sources=[source])) == expected[source]


def test_chosen_signatures(node):
    assert brief(node.look(signatures=["etcd-dial-refused"])) == EVERYTHING[2:]
    with pytest.raises(ValueError, match="unknown signatures: nonsense"):
        node.look(signatures=["nonsense"])


def test_a_journal_of_somewhere_else(node, tmp_path):
    (node.root / "var/log/journal/system.journal").rename(tmp_path / "system.journal")
    assert brief(node.look(sources=["journal"])) == []
    assert brief(node.look(sources=["journal"], journal=str(tmp_path))) == EVERYTHING[1:2]


def test_files_that_take_the_journals_place(node):
    """Of RKE2 and k3s; they are this node's, and say nothing of a journal that is from elsewhere."""
    place = node.root / log_files.PLACES[1].path.lstrip("/")
    place.parent.mkdir(parents=True)
    name = f"etcd_etcd-a_kube-system_{UID}_2"
    said = rf"failed to reserve container name \"{name}\": name \"{name}\" is reserved for \"{HOLDER}\""
    place.write_text(f'time="2026-11-18T11:00:00.5Z" level=error msg="CreateContainer failed" error="{said}"\n')
    section = node.look(sources=["journal"])
    assert brief(section) == [EVERYTHING[1], ("containerd-name-reserved", "journal", 1)]
    assert section["found"][1]["unit"] == "containerd"
    assert [one["name"] for one in section["scanned"]] == ["kubelet.service", log_files.PLACES[1].path]
    assert section["missing"] == []
    elsewhere = str(node.root / "var/log/journal")
    assert brief(node.look(sources=["journal"], journal=elsewhere)) == EVERYTHING[1:2]


@pytest.mark.parametrize(
    ("module", "name", "left"),
    [
        (log_scan.kernel_ring, "kernel", EVERYTHING[1:]),
        (log_scan.journal_source, "journal", [EVERYTHING[0], EVERYTHING[2]]),
        (log_scan.pod_logs, "pods", EVERYTHING[:2]),
    ],
)
def test_one_that_breaks_costs_the_others_nothing(node, monkeypatch, module, name, left):
    def broken(*_arguments):
        raise RuntimeError("odd data")

    monkeypatch.setattr(module, "collect", broken)
    section = node.look()
    assert brief(section) == left
    assert (section["complete"], section["missing"]) == (False, [{"what": name, "why": "RuntimeError: odd data"}])


def test_a_journal_that_hangs_leaves_time_to_the_logs(node, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(node.journalctl.folder))
    node.journalctl.set(hang=True)
    section = node.look(seconds=2.0, sources=["journal", "pods"])
    assert brief(section) == EVERYTHING[2:]
    assert [gap["what"] for gap in section["missing"]] == ["journal"]


def test_no_time_at_all(node):
    section = node.look(seconds=0)
    assert section["found"] == []
    why = "there was no time left to read it: raise timeout"
    assert section["missing"] == [{"what": name, "why": why} for name in log_scan.SOURCES]


def no_ring(*_arguments):
    raise kernel_ring.RingError("there is no /dev/kmsg")


def test_the_journal_stands_in_for_the_ring(node, monkeypatch):
    monkeypatch.setattr(kernel_ring, "collect", no_ring)
    node.journalctl.say(NOW - 50, FULL, unit=None, _TRANSPORT="kernel")
    section = node.look()
    assert brief(section) == EVERYTHING
    assert section["missing"] == []
    assert "kernel's journal" in [one["name"] for one in section["scanned"]]


def test_neither_ring_nor_journal(node, monkeypatch):
    monkeypatch.setattr(kernel_ring, "collect", no_ring)
    section = node.look(sources=["kernel"])
    why = "there is no /dev/kmsg; the journal has nothing of the kernel either"
    assert section["missing"] == [{"what": "kernel ring", "why": why}]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((86400, 1 << 20, 10.0), ""),
        ((1, 1 << 40, 300.0), ""),
        ((0, 1 << 20, 10.0), "since: 0: more than 0 seconds expected"),
        ((-5, 1 << 20, 10.0), "since: -5: more than 0 seconds expected"),
        ((1, 1000, 10.0), "max_bytes: 1000: at least 1048576 expected"),
        ((1, 1 << 20, 0.0), "timeout: 0: more than 0, at most 300 seconds expected"),
        ((1, 1 << 20, 301.0), "timeout: 301: more than 0, at most 300 seconds expected"),
        ((1, 1 << 20, float("nan")), "timeout: nan: more than 0, at most 300 seconds expected"),
    ],
)
def test_options(options, why):
    assert log_scan.why_not(*options) == why
