# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_logs: how much of which log is read, and what is handed to the matcher."""

from __future__ import annotations

import datetime
import gzip
import json
import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import pod_log_tree, pod_logs
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import POD, LogLine, Origin, PodLog
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import Told, Wanted
from ansible_collections.kubenode.doctor.plugins.module_utils.signatures import chosen
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.log_listener import Listener

NOW = 1_795_000_000.0
UID = "1403dda53affdfee1130475a6d9609da"
ERROR = "open /etc/x: too many open files"
MUCH = 64 << 20
BOUND = MUCH // 64


def stamp(when):
    return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def cri(text, when, tag="F"):
    return f"{stamp(when)} stderr {tag} {text}\n".encode()


def docker(text, when):
    return (
        json.dumps({"log": text + "\n", "stream": "stderr", "time": stamp(when)}, separators=(",", ":")).encode()
        + b"\n"
    )


class Node:
    def __init__(self, folder):
        self.root = folder
        self.pods = folder / "var/log/pods"
        self.pods.mkdir(parents=True)

    def log(self, data, name="0.log", pod="web-0", namespace="shop", container="web"):
        place = self.pods / f"{namespace}_{pod}_{UID}" / container / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place

    def look(self, since=1000, max_bytes=MUCH, seconds=60.0, signatures=()):
        listener, told = Listener(), Told()
        pod_logs.collect(
            chosen(signatures), listener, Wanted(NOW, since, max_bytes), Deadline(seconds), told, str(self.root)
        )
        return listener, told

    def stopped(self, **how):
        return self.look(**how)[1].scanned[0].stopped


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


@pytest.mark.parametrize("line", [cri, docker])
def test_interesting_lines_newest_first(node, line):
    data = line("fine", NOW - 30) + line(ERROR + " 1", NOW - 20) + line("fine", NOW - 15) + line(ERROR + " 2", NOW - 10)
    node.log(data, "3.log")
    listener, told = node.look()
    origin = Origin(POD, None, PodLog("shop", "web-0", UID, "web", 3))
    assert listener.lines == [LogLine(ERROR + " 2", NOW - 10, origin), LogLine(ERROR + " 1", NOW - 20, origin)]
    assert [one.told() for one in told.scanned] == [
        {
            "source": "pod",
            "name": "pod logs",
            "from": NOW - 30,
            "to": NOW - 10,
            "bytes": len(data),
            "lines": 4,
            "stopped": "beginning",
        }
    ]
    assert told.missing == []


def test_the_window_counts_back_from_the_last_line(node):
    """A dead container's last words matter, however old."""
    long_ago = NOW - 400 * 86400
    node.log(cri(ERROR + " before", long_ago - 1001) + cri(ERROR + " within", long_ago - 999) + cri("died", long_ago))
    listener, told = node.look(since=1000)
    assert listener.texts == [ERROR + " within"]
    assert told.scanned[0].stopped == "window"


def test_both_attempts_are_read(node):
    node.log(cri(ERROR + " 2", NOW), "2.log")
    node.log(cri(ERROR + " 1", NOW - 5000), "1.log")
    node.log(cri(ERROR + " 0", NOW - 9000), "0.log")
    assert sorted(node.look()[0].texts) == [ERROR + " 1", ERROR + " 2"]


def test_signatures_of_other_containers_are_not_looked_for(node):
    text = "BGP not established with 10.0.0.2"
    for container in ("web", "calico-node"):
        node.log(cri(text, NOW), container=container)
    listener, _told = node.look()
    assert [line.origin.pod.container for line in listener.lines] == ["calico-node"]


def test_only_what_was_chosen(node):
    node.log(cri(ERROR, NOW))
    assert node.look(signatures=["bgp-not-established"])[0].lines == []


def quiet(begin, end, step=30.0):
    """A line of a kilobyte twice a minute, in all of which there is nothing to find."""
    return b"".join(cri("fine " + "x" * 1000, begin + number * step) for number in range(int((end - begin) / step)))


def test_a_large_log_is_read_to_its_bound(node):
    node.log(cri(ERROR + " old", NOW - 99000) + quiet(NOW - 90000, NOW - 10) + cri(ERROR + " new", NOW))
    listener, told = node.look(since=100000)
    assert listener.texts == [ERROR + " new"]
    assert told.scanned[0].stopped == "limit"
    assert BOUND <= told.scanned[0].bytes <= BOUND + pod_logs._GLANCE
    assert told.scanned[0].begin > NOW - 90000
    assert told.missing == []  # that it is the end that is looked at is what was asked for


def test_a_glance_is_enough_for_a_small_window(node):
    node.log(quiet(NOW - 90000, NOW))
    told = node.look(since=60)[1]
    assert (told.scanned[0].stopped, told.scanned[0].bytes) == ("window", pod_logs._GLANCE)


@pytest.mark.parametrize("compressed", [False, True])
def test_rotated_files_are_part_of_a_log(node, compressed):
    pack = gzip.compress if compressed else bytes
    suffix = ".gz" if compressed else ""
    node.log(cri("fine", NOW - 10))
    node.log(pack(cri(ERROR + " 1", NOW - 30)), f"0.log.20261118-100000{suffix}")
    node.log(pack(cri(ERROR + " 2", NOW - 2000) + cri(ERROR + " 3", NOW - 500)), f"0.log.20261118-090000{suffix}")
    node.log(pack(cri(ERROR + " 4", NOW - 500)), f"0.log.20261118-080000{suffix}")  # behind the window: never opened
    listener, told = node.look()
    assert listener.texts == [ERROR + " 1", ERROR + " 3"]
    assert told.scanned[0].stopped == "window"


def test_a_log_that_was_just_rotated(node):
    node.log(b"")
    node.log(cri(ERROR, NOW - 10), "0.log.20261118-100000")
    assert node.look()[0].texts == [ERROR]


def test_a_file_that_is_rotated_while_it_is_read_counts_once(node, monkeypatch):
    place = node.log(cri(ERROR, NOW - 10))
    real = pod_log_tree.rotated

    def rotate(path):
        place.rename(place.with_name("0.log.20261118-100000"))
        place.write_bytes(b"")
        return real(path)

    monkeypatch.setattr(pod_log_tree, "rotated", rotate)
    assert node.look()[0].texts == [ERROR]


def test_a_file_that_goes_before_it_is_read(node, monkeypatch):
    place = node.log(cri(ERROR, NOW - 10))
    real = pod_log_tree.logs

    def gone(*arguments):
        found = real(*arguments)
        place.unlink()
        return found

    monkeypatch.setattr(pod_log_tree, "logs", gone)
    listener, told = node.look()
    assert (listener.lines, told.missing) == ([], [])


def test_dockers_rotated_files_lie_beside_dockers_file(node, tmp_path):
    folder = tmp_path / "docker" / ("4" * 64)
    folder.mkdir(parents=True)
    name = f"{'4' * 64}-json.log"
    (folder / name).write_bytes(docker("fine", NOW))
    (folder / f"{name}.1").write_bytes(docker(ERROR, NOW - 10))
    place = node.log(b"")
    place.unlink()
    place.symlink_to(folder / name)
    assert node.look()[0].texts == [ERROR]


def test_system_namespaces_get_their_bound_and_others_a_fair_share(node):
    data = quiet(NOW - 20000, NOW)
    node.log(data, namespace="kube-system")
    for number in range(20):
        node.log(data, pod=f"web-{number}")
    max_bytes = 8 << 20
    _listener, told = node.look(since=100000, max_bytes=max_bytes)
    assert told.missing == []
    assert told.scanned[0].bytes <= max_bytes + 21 * pod_logs._GLANCE
    assert told.scanned[0].bytes > 20 * (max_bytes // 64)


def test_more_logs_than_may_be_read(node):
    for number in range(20):
        node.log(quiet(NOW - 1000, NOW, 10), pod=f"web-{number}")
    _listener, told = node.look(max_bytes=10 * pod_logs._GLANCE)
    (gap,) = told.missing
    assert gap["what"] == "pod logs"
    assert gap["why"].endswith(" of 20 logs were not looked at: raise max_bytes")
    assert told.scanned[0].stopped == "limit"


def test_no_time_is_left(node, monkeypatch):
    node.log(cri(ERROR, NOW))
    node.log(cri(ERROR, NOW), pod="web-1")
    real = pod_log_tree.logs

    def slowly(root, deadline, told):
        found = real(root, deadline, told)
        deadline._end = 0
        return found

    monkeypatch.setattr(pod_log_tree, "logs", slowly)
    listener, told = node.look()
    assert listener.lines == []
    assert told.missing == [{"what": "pod logs", "why": "2 of 2 logs were not looked at: raise timeout"}]
    assert told.scanned[0].stopped == "budget"


def test_the_time_is_over_in_the_middle_of_a_log(node):
    data = b"".join(cri(f"{ERROR} {number} " + "x" * 1000, NOW - number) for number in range(100, 0, -1))
    place = node.log(data)
    deadline = Deadline(60)
    listener, told = Listener(), Told()
    listener.feed = lambda line: (listener.lines.append(line), setattr(deadline, "_end", 0))
    pod_logs.collect(chosen(()), listener, Wanted(NOW, 1000, MUCH), deadline, told, str(node.root))
    # The block that was begun is ended; it holds the newest lines.
    assert 0 < len(listener.lines) < 20
    assert listener.texts[0].startswith(ERROR + " 1 ")
    assert told.scanned[0].stopped == "budget"
    assert told.missing == [{"what": "pod logs", "why": f"there was no time to read {place} in full: raise timeout"}]


RUBBISH = bytes(range(256)) * 40


ODD = {
    "rubbish": RUBBISH + b"\n" + cri(ERROR, NOW) + RUBBISH,
    "empty lines": b"\n\n\n" + cri(ERROR, NOW) + b"\n",
    "zeros": b"\0" * (1 << 20) + b"\n" + cri(ERROR, NOW),
    "terminal escapes": cri("\x1b[31m" + ERROR + "\x1b[0m", NOW),
    "long lines": cri("x" * 300_000, NOW - 1) + cri(ERROR, NOW) + cri("y" * 300_000, NOW),
    # As containerd cuts it; the error is cut in two.
    "pieces": b"".join(cri("x" * 16384, NOW, "P") for _number in range(30))
    + cri("too many op", NOW, "P")
    + cri("en files", NOW),
    "being written": cri(ERROR, NOW).rstrip(b"\n"),
    "cut off": cri(ERROR, NOW) + b'{"log":"cut o',
    "no UTF-8": b"%s stderr F %s \xff\xfe\n" % (stamp(NOW).encode(), ERROR.encode()),
}


@pytest.mark.parametrize("data", list(ODD.values()), ids=list(ODD))
def test_odd_logs(node, data):
    node.log(data)
    listener, told = node.look()
    assert any("too many open files" in text for text in listener.texts)
    assert told.missing == []


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", RUBBISH, b"x" * (3 << 20), b"\xff" * (3 << 20) + b"\n"],
    ids=["empty", "an empty line", "rubbish", "no end of line", "one line"],
)
def test_logs_of_which_nothing_can_be_made(node, data):
    node.log(data)
    listener, told = node.look()
    assert listener.lines == []
    assert told.missing == []


def test_lines_without_a_time_are_handed_over(node):
    node.log(ERROR.encode() + b"\n")
    assert [(line.text, line.when) for line in node.look()[0].lines] == [(ERROR, None)]


def test_files_that_cannot_be_read_cost_no_others(node):
    node.log(cri("fine", NOW), pod="a")
    damaged = node.log(b"no gzip", "0.log.20261118-100000.gz", pod="a")
    node.log(cri(ERROR, NOW), pod="b")
    listener, told = node.look()
    assert listener.texts == [ERROR]
    (gap,) = told.missing
    assert gap["what"] == "pod logs"
    assert gap["why"].startswith(f"1 files could not be read, for instance {damaged}: cannot be unpacked: ")


def test_not_permitted(node, monkeypatch):
    place = node.log(cri("fine", NOW))

    def refuse(path, _flags):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    _listener, told = node.look()
    why = f"1 files could not be read, for instance {place}: Permission denied: run with become (-b)"
    assert told.missing == [{"what": "pod logs", "why": why}]


def test_no_logs_at_all(node):
    listener, told = node.look()
    assert listener.lines == []
    assert told.scanned[0].told()["from"] is None
    assert told.missing == []
