# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs as they are: journal files that systemd wrote and journalctl reads, the kernel's own ring, large and rotated logs of containers."""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import journalctl, kernel_ring, log_scan
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import Told, Wanted
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import needs_root
from ansible_collections.kubenode.doctor.tests.integration_real.real_process import NOBODY, answer_of, become
from ansible_collections.kubenode.doctor.tests.support.journal_maker import WRITER, entry, write

needs_journal = pytest.mark.skipif(
    not WRITER.exists() or shutil.which("journalctl") is None, reason="real journals need systemd-journal-remote"
)
needs_ring = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/kmsg", os.W_OK), reason="writing to the kernel's ring needs root"
)

NOW = time.time()
SECONDS = 30.0
UID = "1403dda53affdfee1130475a6d9609da"
HOLDER = "eced8537863007db9a915924785306b26238cabbd3feec0e5226e2ad0710807b"
OLD, NEW = "0" * 31 + "1", "0" * 31 + "2"
DROPPED = "a596d6fe7bfa4994828e72309e95d61e"


def name(attempt):
    return f"k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_{UID}_{attempt}"


def conflict(attempt):
    """Kubelet's words of seed 002."""
    return (
        f'E0322 21:05:33.780814 1115805 pod_workers.go:191] Error syncing pod {UID} ("kube-apiserver-pi-master1_kube-system({UID})"), skipping: '
        f'failed to "StartContainer" for "kube-apiserver" with CreateContainerError: "Error response from daemon: Conflict. The container name '
        f'\\"/{name(attempt)}\\" is already in use by container \\"{HOLDER}\\". You have to remove (or rename) that container to be able to reuse that name."'
    )


def kubelet(when, message, run=NEW):
    return entry(when, message, _SYSTEMD_UNIT="kubelet.service", _SYSTEMD_INVOCATION_ID=run, _PID=812)


def systemd(when, message, run, **fields):
    about = {"_PID": 1, "_SYSTEMD_UNIT": "init.scope", "UNIT": "kubelet.service", "INVOCATION_ID": run}
    return entry(when, message, **{**about, **fields})


def look(folder, since=None, seconds=SECONDS, sources=("journal",), **how):
    """``since`` is from an hour before NOW on, however long ago that is, unless it is given."""
    since = 3600 + int(time.time() - NOW) if since is None else since
    return log_scan.collect(Deadline(seconds), since=since, sources=sources, journal=str(folder), **how)


def counts(section):
    """How often each signature was found, by the name that it names, if any."""
    return {(one["signature"], one["fields"].get("name")): one["count"] for one in section["found"]}


def scanned(section):
    return {one["name"]: one for one in section["scanned"]}


# What a node's journal may be made of, in two files: what was rotated, and what is written to.
ROTATED = [
    entry(NOW - 90000, "before", _SYSTEMD_UNIT="cron.service", _PID=7),
    kubelet(NOW - 80000, conflict(20), OLD),  # before the window
    kubelet(NOW - 3000, conflict(21), OLD),  # of the run before
    entry(
        NOW - 2900,
        "System clock was stepped by -1140.5 seconds",
        _SYSTEMD_UNIT="chrony.service",
        _PID=5,
        _SYSTEMD_INVOCATION_ID=OLD,
    ),
    systemd(NOW - 2501, "Stopped kubelet.", OLD),
    systemd(NOW - 2500, "Starting kubelet...", NEW),
    kubelet(NOW - 2400, conflict(24)),
]
CURRENT = [
    entry(NOW - 2300, "chronyd exiting", _SYSTEMD_UNIT="chrony.service", _PID=5, _SYSTEMD_INVOCATION_ID=NEW),
    kubelet(NOW - 2200, conflict(24).encode() + b" \xff\xfe \x00 rubbish"),
    kubelet(NOW - 2100, b"\x1b[31m" + conflict(24).encode() + b"\x1b[0m"),
    kubelet(NOW - 2000, "the first line\n" + conflict(24)),
    kubelet(NOW - 1900, [b"one message", conflict(24).encode()]),  # the field twice
    kubelet(NOW - 1800, "x" * 200_000),
    kubelet(NOW - 1700, b"\x00\x01\x02" * 50_000),
    kubelet(NOW - 1600, ""),
    kubelet(NOW - 1500, '"SyncLoop (PLEG): event for pod" pod="kube-system/coredns-7db6d8ff4d-abcde"'),
    entry(NOW - 1400, conflict(99), _SYSTEMD_UNIT="cron.service", _PID=7),  # somebody else says so
    # What any program may have is looked for in all services, and in what systemd says of itself.
    entry(NOW - 1390, "accept4: too many open files", _SYSTEMD_UNIT="node-exporter.service", _PID=8),
    entry(NOW - 1380, "Failed to allocate directory watch: Too many open files", _SYSTEMD_UNIT="init.scope", _PID=1),
    entry(
        NOW - 1300,
        "2026-11-21 10:00:00.000 [INFO][1] health.go: BGP not established with 10.0.0.2",
        _SYSTEMD_UNIT="docker.service",
        _PID=9,
        CONTAINER_NAME=f"k8s_calico-node_calico-node-x_kube-system_{UID}_3",
    ),
]
FOUND = {
    # Of a field that is there twice the first counts, in which alone journalctl searches.
    ("docker-name-conflict", name(24)): 4,
    ("container-not-created", None): 4,
    ("clock-stepped", None): 1,
    ("inotify-limit", None): 1,
    ("too-many-open-files", None): 1,
    ("bgp-not-established", None): 1,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("journal")
    write(made / "system@rotated.journal", ROTATED)
    write(made / "system.journal", CURRENT)
    return made


def as_old_as(monkeypatch, version, features):
    monkeypatch.setattr(journalctl.Journalctl, "_version", lambda _self: (version, features))


@needs_journal
class TestJournal:
    @pytest.mark.parametrize(
        ("version", "features"),
        [(None, None), (240, "-PCRE2"), (219, "")],
        ids=["as it is", "cannot search", "cannot leave out fields"],
    )
    def test_what_is_found(self, folder, monkeypatch, version, features):
        if version is not None:
            as_old_as(monkeypatch, version, features)
        section = look(folder)
        assert counts(section) == FOUND
        assert section["missing"] == []

    def test_the_name_and_its_holder(self, folder):
        (one,) = (found for found in look(folder)["found"] if found["signature"] == "docker-name-conflict")
        assert one["fields"] == {"name": name(24), "holder": HOLDER}
        assert (one["unit"], one["pod"]) == ("kubelet.service", None)
        assert (one["first"], one["last"]) == pytest.approx((NOW - 2400, NOW - 2000), abs=1e-5)
        assert "\x1b" not in json.dumps(section := look(folder), ensure_ascii=False)
        assert section["complete"]

    def test_how_far_back(self, folder):
        seen = scanned(look(folder))
        assert set(seen) == {"chrony.service", "kubelet.service", "docker.service", "other services"}
        assert (seen["kubelet.service"]["stopped"], seen["chrony.service"]["stopped"]) == ("start", "window")
        assert seen["kubelet.service"]["from"] == pytest.approx(NOW - 2500, abs=1e-5)
        assert seen["kubelet.service"]["to"] == pytest.approx(NOW - 1500, abs=1e-5)

    def test_a_window_that_ends_within_the_run(self, folder):
        section = look(folder, since=int(time.time() - NOW) + 2150)
        assert counts(section)["docker-name-conflict", name(24)] == 2
        assert scanned(section)["kubelet.service"]["stopped"] == "window"

    def test_what_containers_said_through_docker(self, folder):
        (one,) = (found for found in look(folder)["found"] if found["signature"] == "bgp-not-established")
        assert one["source"] == "pod"
        assert one["pod"]["container"] == "calico-node"

    def test_what_journald_dropped(self, tmp_path):
        said = entry(
            NOW - 10,
            "Suppressed 2034 messages from kubelet.service",
            MESSAGE_ID=DROPPED,
            _SYSTEMD_UNIT="systemd-journald.service",
            _PID=3,
        )
        write(tmp_path / "system.journal", [kubelet(NOW - 20, "fine"), said])
        (gap,) = look(tmp_path)["missing"]
        assert gap["what"] == "kubelet.service"
        assert gap["why"].startswith("journald has dropped 2034 of its messages")

    def test_entries_from_before_the_clock_was_set_back(self, tmp_path):
        """journald begins another file then; by their numbers its entries are younger, by their times older."""
        later = NOW + 86400
        before = [systemd(later - 20, "Starting kubelet...", NEW), kubelet(later, conflict(24))]
        after = [kubelet(NOW - 50, conflict(24)), kubelet(NOW - 5, "fine")]
        for seconds, one in enumerate((*before, *after), 1000):
            one["__MONOTONIC_TIMESTAMP"] = seconds * 1_000_000
        write(tmp_path / "system@before.journal", before)
        write(tmp_path / "system.journal", after)
        section = look(tmp_path)
        for one in section["found"]:
            assert (one["count"], one["first"], one["last"]) == pytest.approx((2, NOW - 50, later), abs=1e-5)
        assert len(section["found"]) == 2
        assert scanned(section)["kubelet.service"]["from"] is None
        assert section["complete"]

    def test_files_that_are_none(self, folder, tmp_path):
        """Cut off, of zeros, no journal at all: what is whole is still read."""
        for file in folder.iterdir():
            shutil.copy(file, tmp_path)
        (tmp_path / "cut.journal").write_bytes((folder / "system.journal").read_bytes()[:5000])
        (tmp_path / "zeros.journal").write_bytes(bytes(100_000))
        (tmp_path / "text.journal").write_text("no journal\n" * 1000)
        (tmp_path / "empty.journal").touch()
        section = look(tmp_path)
        assert counts(section) == FOUND
        # journalctl names one file for each kind of damage.
        assert {gap["what"] for gap in section["missing"]} == {"journal"}
        assert all("ignoring file" in gap["why"] for gap in section["missing"])

    def test_an_empty_folder_and_none(self, tmp_path):
        for place in (tmp_path, tmp_path / "nonexistent"):
            why = f"there is none in {place}: journald does not run here, or keeps nothing"
            assert look(place)["missing"] == [{"what": "journal", "why": why}]

    def test_a_machine_that_is_no_node(self, tmp_path):
        write(tmp_path / "system.journal", [entry(NOW - 5, "fine", _TRANSPORT="kernel")])
        why = "no unit that runs kubelet has written to the journal that can be seen here"
        assert look(tmp_path)["missing"] == [{"what": "kubelet", "why": why}]

    def test_a_large_one_is_bounded(self, tmp_path, monkeypatch):
        as_old_as(monkeypatch, 240, "-PCRE2")
        write(
            tmp_path / "system.journal", (kubelet(NOW - 1000 + number / 100, "fine " * 40) for number in range(20000))
        )
        section = look(tmp_path, max_bytes=1 << 20)
        kubelets = scanned(section)["kubelet.service"]
        assert kubelets["stopped"] == "limit"
        assert 500 < kubelets["lines"] < 4000
        assert NOW - 1000 < kubelets["from"] < NOW
        assert [gap["what"] for gap in section["missing"]] == ["kubelet.service"]
        began = time.monotonic()
        section = look(tmp_path, seconds=0.2)
        assert time.monotonic() - began < SECONDS
        assert section["missing"]
        with pytest.raises(ChildProcessError):  # no journalctl is left, not even as a zombie
            os.waitpid(-1, os.WNOHANG)

    @needs_root
    def test_somebody_who_may_not_read_it(self, folder, tmp_path):
        tmp_path.chmod(0o755)
        for parent in list(tmp_path.parents)[:2]:
            parent.chmod(0o755)
        for file in folder.iterdir():
            shutil.copy(file, tmp_path)
            (tmp_path / file.name).chmod(0o640)

        def as_nobody():
            become(NOBODY)
            return look(tmp_path)

        def half_of_it():
            (tmp_path / "system.journal").chmod(0o644)
            return as_nobody()

        section = answer_of(as_nobody)
        assert section["found"] == []
        assert "2 of 2 files" in section["missing"][0]["why"]
        assert all("run with become" in gap["why"] for gap in section["missing"] if gap["what"] == "journal")
        section = answer_of(half_of_it)
        assert counts(section)["docker-name-conflict", name(24)] == 3
        assert "1 of 2 files" in section["missing"][0]["why"]


class Listener:
    def __init__(self):
        self.lines = []

    def feed(self, line):
        self.lines.append(line)


def ring(since=3600.0):
    listener, told = Listener(), Told()
    kernel_ring.collect(listener, Wanted(time.time(), since, 64 << 20), Deadline(SECONDS), told)
    return listener.lines, told


class TestRing:
    @needs_ring
    def test_what_is_said_now_is_said_now(self):
        """The clock of printk() drifts, by far less than 200 millionths."""
        mark = f"kubenode-doctor test {uuid.uuid4()} \x1b[1m \\ ä"
        said = time.time()
        Path("/dev/kmsg").write_bytes(f"<14>{mark}\n".encode())
        lines, told = ring()
        (line,) = (one for one in lines if "kubenode-doctor test" in one.text and mark in one.text)
        assert line.when == pytest.approx(said, abs=2 + time.monotonic() * 2e-4)
        assert told.scanned[0].lines == len(lines)

    @needs_ring
    def test_newest_first_and_bounded_by_the_window(self):
        whole, _told = ring(since=1e9)
        times = [line.when for line in whole]
        assert times == sorted(times, reverse=True)
        cut = times[len(times) // 2]
        window, _told = ring(since=time.time() - cut)
        assert 0 < len(window) <= len(whole)
        assert min(line.when for line in window) >= cut - 1

    @needs_root
    def test_somebody_else_is_told_why_or_reads_it(self):
        def as_nobody():
            become(NOBODY)
            return log_scan.collect(Deadline(SECONDS), sources=["kernel"])

        section = answer_of(as_nobody)
        names = [one["name"] for one in section["scanned"]]
        assert names or section["missing"][0]["what"] == "kernel ring"


def stamp(when):
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def cri(text, when):
    return f"{stamp(when)} stderr F {text}\n".encode()


def docker(text, when):
    return (
        json.dumps({"log": text + "\n", "stream": "stderr", "time": stamp(when)}, separators=(",", ":")).encode()
        + b"\n"
    )


REFUSED = (
    "W0312 03:48:55.984001       1 clientconn.go:1223] grpc: addrConn.createTransport failed to connect to {https://127.0.0.1:2379  <nil> 0 <nil>}. "
    'Err :connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:2379: connect: connection refused". Reconnecting...'
)
FINE = "I0312 03:29:08.642808       1 plugins.go:158] Loaded 12 mutating admission controller(s) successfully: NamespaceLifecycle"


class Node:
    """A folder to be taken for the root of a node."""

    def __init__(self, root):
        self.root = root
        self.container = root / f"var/log/pods/kube-system_kube-apiserver-pi-master1_{UID}/kube-apiserver"
        self.container.mkdir(parents=True)

    def look(self, since=86400, seconds=SECONDS):
        return log_scan.collect(Deadline(seconds), since=since, sources=["pods"], root=str(self.root))


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


def refusals(section):
    return [
        (one["pod"]["attempt"], one["count"]) for one in section["found"] if one["signature"] == "etcd-dial-refused"
    ]


class TestPodLogs:
    def test_a_hundred_megabytes(self, node):
        """The end is what is read, in memory and time that do not depend on the rest."""
        with (node.container / "23.log").open("wb") as file:
            file.write(cri(REFUSED, NOW - 9000))  # further back than what is read
            block = cri(FINE, NOW - 5000) * 5000
            while file.tell() < 100 << 20:
                file.write(block)
            file.write(cri(REFUSED, NOW - 20) * 3 + cri(FINE, NOW - 10))

        def measured():
            began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            section = node.look()
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return section, time.process_time() - began, after - before

        section, seconds, kibibytes = answer_of(measured)
        assert refusals(section) == [(23, 3)]
        assert section["scanned"][0]["stopped"] == "limit"
        assert section["scanned"][0]["bytes"] < 1 << 20
        assert seconds < 2
        assert kibibytes < 20 << 10

    def test_rotated_and_compressed(self, node):
        (node.container / "23.log").write_bytes(cri(FINE, NOW - 10))
        (node.container / "23.log.20261121-101112").write_bytes(cri(REFUSED, NOW - 100))
        with gzip.open(node.container / "23.log.20261120-101112.gz", "wb") as file:
            file.write(cri(FINE, NOW - 300) * 1000 + cri(REFUSED, NOW - 200) * 2)
        (node.container / "22.log").write_bytes(cri(REFUSED, NOW - 8640000) * 5)
        section = node.look()
        assert sorted(refusals(section)) == [(22, 5), (23, 3)]
        assert section["complete"]

    def test_docker(self, node):
        container = node.root / "docker" / HOLDER
        container.mkdir(parents=True)
        (container / f"{HOLDER}-json.log").write_bytes(docker(FINE, NOW - 20) * 100 + docker(REFUSED, NOW - 10))
        (container / f"{HOLDER}-json.log.1").write_bytes(docker(REFUSED, NOW - 30))
        (node.container / "23.log").symlink_to(container / f"{HOLDER}-json.log")
        assert refusals(node.look()) == [(23, 2)]

    def test_rubbish_and_terminal_escapes(self, node):
        rubbish = os.urandom(200_000)
        text = f"\x1b]0;owned\x07\x1b[2J{REFUSED}\x1b[0m"
        (node.container / "23.log").write_bytes(rubbish + b"\n" + cri(text, NOW - 10) + rubbish)
        section = node.look()
        assert refusals(section) == [(23, 1)]
        assert not [sign for sign in section["found"][0]["sample"] if ord(sign) < 32 or ord(sign) == 127]
        assert section["complete"]

    def test_while_it_is_written_rotated_and_cut_off(self, node):
        """Whatever falls between two looks, nothing breaks, and nothing is told to be missing that is not."""
        done = threading.Event()
        (node.container / "23.log").write_bytes(cri(REFUSED, NOW))

        def write_and_rotate():
            number = 0
            while not done.is_set():
                number += 1
                with (node.container / "23.log").open("ab") as file:
                    file.write(cri(REFUSED, time.time()) * 200)
                if number % 3 == 0:
                    (node.container / "23.log").rename(node.container / f"23.log.20261121-{number % 10:06}")
                if number % 7 == 0:
                    (node.container / "23.log").write_bytes(b"")

        writer = threading.Thread(target=write_and_rotate)
        writer.start()
        try:
            sections = [node.look() for _number in range(30)]
        finally:
            done.set()
            writer.join()
        assert [section["missing"] for section in sections] == [[]] * 30
        assert any(refusals(section) for section in sections)

    @needs_root
    def test_somebody_who_may_not_read_them(self, node):
        (node.container / "23.log").write_bytes(cri(REFUSED, NOW))
        for place in (*list(node.root.parents)[:2], node.root):
            place.chmod(0o755)
        node.container.parents[1].chmod(0o700)

        def as_nobody():
            become(NOBODY)
            return node.look()

        why = "/var/log/pods: Permission denied: run with become (-b)"
        assert answer_of(as_nobody)["missing"] == [{"what": "pod logs", "why": why}]
