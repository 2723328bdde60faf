# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""log_files: the logs of RKE2 and k3s that are no journal, and what year and zone their times are of."""

from __future__ import annotations

import calendar
import os
import time

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import log_files
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, Origin
from ansible_collections.kubenode.doctor.plugins.module_utils.log_matcher import Matcher
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import Scanned, Told, Wanted
from ansible_collections.kubenode.doctor.plugins.module_utils.signatures import SIGNATURES

NOW = 1_795_000_000.0  # 2026-11-18 11:06:40
RKE2_KUBELET, RKE2_CONTAINERD, K3S_CONTAINERD = (place.path for place in log_files.PLACES)
NAME = "web_web-0_default_8dec4302-e6b4-4874-9a60-ea305b96347f_2"
RESERVED = (
    rf"failed to reserve container name \"{NAME}\": name \"{NAME}\" is reserved for"
    r" \"d6fc1b513ce3c4840ff93d38dbeefda622afed3b2fd917ab81e25d9a5fadcf50\""
)


def klog(when, text=RESERVED, zone=0):
    """As kubelet writes it where clocks are ``zone`` seconds before Greenwich."""
    return time.strftime("E%m%d %H:%M:%S", time.gmtime(when + zone)) + f".250000    2041 pod_workers.go:1298] {text}\n"


def logrus(when, text=RESERVED):
    return time.strftime('time="%Y-%m-%dT%H:%M:%S', time.gmtime(when)) + f'.250000000Z" level=error msg="{text}"\n'


class Node:
    def __init__(self, root):
        self.root = root
        self.told = Told()

    def write(self, path, *lines, written=NOW):
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("".join(lines))
        os.utime(place, (written, written))

    def runs(self, unit):
        self.told.scanned.append(Scanned(JOURNAL, unit))

    def look(self, since=86400, max_bytes=32 << 20, seconds=60.0, now=NOW):
        matcher = Matcher(SIGNATURES)
        log_files.collect(matcher, Wanted(now, since, max_bytes), Deadline(seconds), self.told, str(self.root))
        return [(one["signature"], one["unit"], one["count"], one["last"]) for one in matcher.found(200)[0]]

    def scanned(self):
        return [(one.name, one.begin, one.end, one.lines, one.stopped) for one in self.told.scanned]


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


@pytest.mark.parametrize(
    ("path", "line", "unit"),
    [
        (RKE2_KUBELET, klog(NOW - 1), "kubelet"),
        (RKE2_CONTAINERD, logrus(NOW - 1), "containerd"),
        (K3S_CONTAINERD, logrus(NOW - 1), "containerd"),
    ],
)
def test_a_file_is_read_as_the_log_of_its_program(node, path, line, unit):
    node.write(path, line)
    assert node.look() == [("containerd-name-reserved", unit, 1, NOW - 0.75)]
    assert node.scanned() == [(path, NOW - 0.75, NOW - 0.75, 1, "beginning")]
    assert node.told.missing == []


@pytest.mark.parametrize("zone", [0, 3600, -5 * 3600, 5 * 3600 + 1800, 14 * 3600, -12 * 3600])
def test_the_zone_is_told_by_when_the_file_was_written(node, zone):
    node.write(RKE2_KUBELET, klog(NOW - 5000, zone=zone), klog(NOW - 1, "fine", zone))
    assert node.look() == [("containerd-name-reserved", "kubelet", 1, NOW - 4999.75)]


@pytest.mark.parametrize("zone", [0, 3600, -3600])
@pytest.mark.parametrize("minute", [-1, 0, 1, 59, 61])
def test_the_turn_of_a_year(node, zone, minute):
    written = calendar.timegm((2027, 1, 1, 0, 0, 0)) + minute * 60.0
    node.write(RKE2_KUBELET, klog(written - 7200, zone=zone), klog(written - 1, "fine", zone), written=written)
    assert node.look(now=written)[0][3] == written - 7199.75


@pytest.mark.parametrize(
    "line",
    [klog(NOW - 400, "x"), "E0230 10:11:12.250000 1 x\n", "E1118 25:11:12.250000 1 x\n", "x\n"],
    ids=["copied", "no such day", "no such hour", "no time"],
)
def test_a_time_that_cannot_be_told_is_none(node, line):
    """A line counts all the same: it may be of now."""
    node.write(RKE2_KUBELET, RESERVED + "\n" if line[:1] == "x" else klog(NOW - 800), line)
    assert node.look(since=1) == [("containerd-name-reserved", "kubelet", 1, None)]


@pytest.mark.parametrize("step", [600, 20 * 86400])
def test_lines_from_before_the_clock_was_set_back(node, step):
    """They are from the future, and not from last year."""
    node.write(RKE2_KUBELET, klog(NOW - 60 + step), klog(NOW - 1, "fine"))
    assert node.look() == [("containerd-name-reserved", "kubelet", 1, NOW - 59.75 + step)]


def test_what_is_older_than_the_window_is_not_read(node):
    node.write(RKE2_KUBELET, klog(NOW - 2000), klog(NOW - 500, "fine"), klog(NOW - 1, "fine"))
    assert node.look(since=1000) == []
    assert node.scanned() == [(RKE2_KUBELET, NOW - 499.75, NOW - 0.75, 2, "window")]
    assert node.told.missing == []


def test_only_the_end_of_a_long_file(node):
    lines = [klog(NOW - 2000 + number / 20, "x" * 200) for number in range(20000)]
    node.write(RKE2_KUBELET, klog(NOW - 2000), *lines, klog(NOW - 1))
    assert node.look(max_bytes=8 << 20) == [("containerd-name-reserved", "kubelet", 1, NOW - 0.75)]
    ((name, begin, _end, _lines, stopped),) = node.scanned()
    assert (name, stopped) == (RKE2_KUBELET, "limit")
    assert NOW - 2000 < begin < NOW
    (gap,) = node.told.missing
    assert gap["what"] == RKE2_KUBELET
    assert gap["why"].startswith("only what is newer than 2026-11-18 10:")
    assert gap["why"].endswith("was read: raise max_bytes")


def test_no_time(node):
    node.write(RKE2_KUBELET, klog(NOW - 1))
    assert node.look(seconds=0) == []
    assert node.told.missing == [{"what": RKE2_KUBELET, "why": "only its end was read: raise timeout"}]


@pytest.mark.parametrize("unit", ["rke2-agent.service", "rke2-server.service"])
def test_rke2_whose_files_are_elsewhere(node, unit):
    """Its unit's entries in the journal are not kubelet's."""
    node.runs(unit)
    assert node.look() == []
    why = "it writes to a file here and not to the journal, but there is no "
    assert node.told.missing == [
        {"what": "kubelet", "why": why + RKE2_KUBELET},
        {"what": "containerd", "why": why + RKE2_CONTAINERD},
    ]


def test_a_journal_from_elsewhere_has_no_files(node):
    node.runs("rke2-agent.service")
    node.runs("k3s.service")
    log_files.left_out(node.told)
    assert node.told.missing == [
        {"what": "kubelet", "why": f"it writes to {RKE2_KUBELET} there and not to the journal"},
        {"what": "containerd", "why": f"it writes to {RKE2_CONTAINERD} there and not to the journal"},
    ]


@pytest.mark.parametrize("unit", ["kubelet.service", "k3s.service"])
def test_others_need_no_files(node, unit):
    node.runs(unit)
    assert node.look() == []
    assert node.told.missing == []


def test_no_file(node):
    (node.root / RKE2_KUBELET.lstrip("/")).mkdir(parents=True)
    assert node.look() == []
    assert node.told.missing == [{"what": "kubelet", "why": f"{RKE2_KUBELET}: not a regular file"}]


def test_what_applies_to_kubelet_only(node):
    """The journal's rules hold: what the API server says is not looked for in kubelet's log."""
    node.write(RKE2_KUBELET, klog(NOW - 1, "dial tcp 127.0.0.1:2379: connect: connection refused"))
    assert node.look() == []
    assert node.scanned()[0][3] == 1


def test_the_origin_is_no_unit():
    assert Origin(JOURNAL, "kubelet").unit == "kubelet"
