# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""clock_traces: files that were written later than now."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import clock_traces

NOW = 4_000_000_000 * 10**9  # after all that is written while this runs
HOUR = 3600 * 10**9
POD = "/var/log/pods/kube-system_etcd-n1_0123456789abcdef0123456789abcdef"


def written(node, path, at):
    place = node.file(path, "")
    os.utime(str(place), ns=(at, at))
    return place


def look(node):
    return clock_traces.from_future(NOW, str(node.root))


@pytest.mark.parametrize(
    "path",
    [
        "/var/lib/systemd/timesync/clock",
        "/var/lib/systemd/timers/stamp-logrotate.timer",
        "/var/log/wtmp",
        "/run/utmp",
        "/var/lib/chrony/drift",
        "/var/lib/chrony/chrony.drift",
        "/var/lib/ntp/ntp.drift",
        "/var/lib/ntp/drift",
        "/var/lib/ntpsec/ntp.drift",
        POD,
        "/var/log/containers/etcd-n1_kube-system_etcd-0123.log",
    ],
)
def test_where_it_looks(node, path):
    written(node, path, NOW + HOUR)
    assert look(node) == ([{"path": path, "seconds": 3600.0}], [])


@pytest.mark.parametrize("path", ["/var/lib/chrony/chrony.keys", "/var/log/syslog", f"{POD}/etcd/0.log"])
def test_where_it_does_not_look(node, path):
    written(node, path, NOW + HOUR)
    assert look(node) == ([], [])


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (-HOUR, []),
        (0, []),
        (10**9, []),
        (10**9 + 10**6, [{"path": "/var/log/wtmp", "seconds": 1.001}]),
        (10**18, [{"path": "/var/log/wtmp", "seconds": 1e9}]),
    ],
)
def test_how_much_later(node, later, expected):
    written(node, "/var/log/wtmp", NOW + later)
    assert look(node)[0] == expected


def test_only_the_newest_of_a_folder(node):
    for minutes in range(5):
        written(node, f"/var/log/pods/pod-{minutes}", NOW + minutes * 60 * 10**9)
    written(node, "/var/log/containers/old.log", NOW - HOUR)
    assert look(node) == ([{"path": "/var/log/pods/pod-4", "seconds": 240.0}], [])


def test_a_link_is_not_followed(node):
    target = written(node, "/elsewhere", NOW - HOUR)
    link = node.root / "var" / "log" / "containers" / "etcd.log"
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    os.utime(str(link), ns=(NOW + HOUR, NOW + HOUR), follow_symlinks=False)
    assert look(node) == ([{"path": "/var/log/containers/etcd.log", "seconds": 3600.0}], [])
    link.unlink()
    link.symlink_to("/nowhere/to/be/found")
    os.utime(str(link), ns=(NOW + HOUR, NOW + HOUR), follow_symlinks=False)
    assert look(node) == ([{"path": "/var/log/containers/etcd.log", "seconds": 3600.0}], [])


def test_nothing_there_is_no_gap(node):
    assert look(node) == ([], [])
    node.file("/var/log", "not a folder")
    assert look(node) == ([], [])


def test_a_name_that_is_no_text(node):
    folder = os.fsencode(str(node.root)) + b"/var/log/pods"
    os.makedirs(folder)
    with open(folder + b"/\xff\x1b", "wb"):
        pass
    os.utime(folder + b"/\xff\x1b", ns=(NOW + HOUR, NOW + HOUR))
    assert look(node)[0] == [{"path": "/var/log/pods/\N{REPLACEMENT CHARACTER}\x1b", "seconds": 3600.0}]


def test_a_folder_that_is_too_large(node, monkeypatch):
    monkeypatch.setattr(clock_traces, "_ENTRIES_LIMIT", 3)
    for number in range(4):
        written(node, f"/var/log/pods/pod-{number}", NOW + HOUR)
        if number < 3:
            written(node, f"/var/log/containers/{number}.log", NOW)
    found, gaps = look(node)
    assert [entry["seconds"] for entry in found] == [3600.0]
    assert gaps == [{"what": "/var/log/pods", "why": "has more than 3 entries: the others were not looked at"}]


@pytest.mark.parametrize("function", ["scandir", "lstat"])
def test_a_folder_that_refuses(node, monkeypatch, function):
    """By its own mode it does not list its entries, by the lack of x it lists them and tells nothing of them."""
    for number in range(3):
        written(node, f"/var/lib/chrony/{number}.drift", NOW + HOUR)
    written(node, "/var/log/wtmp", NOW + HOUR)
    real = getattr(os, function)

    def refusing(path):
        if "/chrony" in str(path):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(clock_traces.os, function, refusing)
    found, gaps = look(node)
    assert [entry["path"] for entry in found] == ["/var/log/wtmp"]
    assert gaps == [{"what": "/var/lib/chrony", "why": "Permission denied: run with become (-b)"}]
