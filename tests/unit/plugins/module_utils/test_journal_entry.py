# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""journal_entry: what a line of `journalctl --output=json` says, whoever wrote it."""

from __future__ import annotations

import json

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import journal_entry
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, KERNEL, POD, Origin, PodLog

RUN = "0123456789abcdef0123456789abcdef"
UID = "1403dda53affdfee1130475a6d9609da"
# As systemd 252 printed it.
REAL = (
    b'{"__CURSOR":"s=517d;i=6cb;b=1e2f;m=46e3;t=7fff;x=cdfc","__REALTIME_TIMESTAMP":"1616418333780814","__MONOTONIC_TIMESTAMP":"4871526224000",'
    b'"_BOOT_ID":"1e2feb89414c343c1027c4d1c386bbc4","_PID":"812","_SYSTEMD_UNIT":"kubelet.service",'
    b'"_SYSTEMD_INVOCATION_ID":"0123456789abcdef0123456789abcdef","MESSAGE":"Error syncing pod \\"x\\""}'
)


def parsed(**fields):
    return journal_entry.parse(json.dumps(fields).encode())


def test_a_real_line():
    assert journal_entry.parse(REAL) == journal_entry.Entry(
        when=1616418333.780814,
        unit="kubelet.service",
        invocation=RUN,
        message='Error syncing pod "x"',
        origin=Origin(JOURNAL, "kubelet.service"),
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("text", "text"),
        (None, ""),
        (17, ""),
        ({"a": 1}, ""),
        # Bytes that are no text: terminal escapes, and what is no UTF-8.
        ([27, 91, 51, 49, 109, 114, 101, 100], "\x1b[31mred"),
        ([255, 65], "\ufffdA"),
        ([], ""),
        # The field several times, each in any of the forms: the first counts, with and without journalctl's search.
        (["one", "two"], "one"),
        ([[50, 10], "one"], "2\n"),
        ([None, "x", [[1]], 300], ""),
        # Half a character of UTF-16 is none in UTF-8.
        ("\ud800x", "?x"),
    ],
)
def test_message(message, expected):
    entry = parsed(MESSAGE=message)
    assert entry.message == expected
    entry.message.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1616418333000000", 1616418333.0),
        ("0", 0.0),
        (1616418333, None),
        ("-5", None),
        ("9" * 40, None),
        (None, None),
        ("x", None),
    ],
)
def test_time(value, expected):
    assert parsed(__REALTIME_TIMESTAMP=value).when == expected


@pytest.mark.parametrize(
    ("fields", "unit", "invocation"),
    [
        ({"_SYSTEMD_UNIT": "kubelet.service", "_SYSTEMD_INVOCATION_ID": RUN}, "kubelet.service", RUN),
        # systemd about a unit, with and without a run.
        (
            {"_PID": "1", "_SYSTEMD_UNIT": "init.scope", "UNIT": "kubelet.service", "INVOCATION_ID": RUN},
            "kubelet.service",
            RUN,
        ),
        (
            {"_PID": "1", "_SYSTEMD_UNIT": "init.scope", "UNIT": "kubelet.service", "INVOCATION_ID": ""},
            "kubelet.service",
            None,
        ),
        # systemd about nothing, and of a version that does not name itself.
        ({"_PID": "1", "_SYSTEMD_UNIT": "init.scope", "_SYSTEMD_INVOCATION_ID": RUN}, "init.scope", None),
        ({"_PID": "1"}, "init.scope", None),
        # Anybody can say UNIT and INVOCATION_ID.
        (
            {"_PID": "812", "_SYSTEMD_UNIT": "evil.service", "UNIT": "kubelet.service", "INVOCATION_ID": RUN},
            "evil.service",
            None,
        ),
        ({"_SYSTEMD_UNIT": ["a", "b"], "_SYSTEMD_INVOCATION_ID": "short"}, None, None),
        ({}, None, None),
    ],
)
def test_unit_and_run(fields, unit, invocation):
    entry = parsed(**fields)
    assert (entry.unit, entry.invocation) == (unit, invocation)


@pytest.mark.parametrize(
    ("fields", "origin"),
    [
        ({"_SYSTEMD_UNIT": "docker.service"}, Origin(JOURNAL, "docker.service")),
        ({"_TRANSPORT": "kernel"}, Origin(KERNEL)),
        # What a container says is not what Docker says.
        (
            {
                "_SYSTEMD_UNIT": "docker.service",
                "CONTAINER_NAME": f"k8s_kube-apiserver_kube-apiserver-a_kube-system_{UID}_23",
            },
            Origin(POD, None, PodLog("kube-system", "kube-apiserver-a", UID, "kube-apiserver", 23)),
        ),
        ({"_SYSTEMD_UNIT": "docker.service", "CONTAINER_NAME": "postgres"}, Origin(JOURNAL)),
        ({"_SYSTEMD_UNIT": "docker.service", "CONTAINER_NAME": ["a"]}, Origin(JOURNAL, "docker.service")),
    ],
)
def test_origin(fields, origin):
    assert parsed(**fields).origin == origin


@pytest.mark.parametrize(
    "line", [b"", b"-- No entries --", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100000, b'{"a": 1} x']
)
def test_what_is_no_entry(line):
    with pytest.raises(ValueError, match=r"."):
        journal_entry.parse(line)
