# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import rights
from ansible_collections.kubenode.doctor.plugins.module_utils.rights import ENTER, NETWORK, READ_FILES, TRACE

ALL = (READ_FILES, TRACE, ENTER, NETWORK)


def test_what_this_process_has():
    (line,) = re.findall("^CapEff:\t([0-9a-f]{16})$", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    assert rights.effective() == int(line, 16)


@pytest.mark.parametrize("text", ["", "CapPrm:\t000001ffffffffff\n", "CapEff:\tall\n"])
def test_a_kernel_that_does_not_tell(tmp_path, monkeypatch, text):
    (tmp_path / "status").write_text(text)
    monkeypatch.setattr(rights, "_STATUS", str(tmp_path / "status"))
    assert rights.effective() == 0
    monkeypatch.setattr(rights, "_STATUS", "/nonexistent")
    assert rights.effective() == 0


@pytest.mark.parametrize(
    ("held", "has"),
    [
        (0, set()),
        (1 << 1, {READ_FILES}),  # CAP_DAC_OVERRIDE
        (1 << 2, {READ_FILES}),
        (1 << 12, {NETWORK}),
        (1 << 19, {TRACE}),
        (1 << 21, {ENTER}),
        ((1 << 41) - 1, set(ALL)),
        (~(1 << 1 | 1 << 2 | 1 << 12 | 1 << 19 | 1 << 21), set()),
    ],
)
def test_has(monkeypatch, held, has):
    monkeypatch.setattr(rights, "effective", lambda: held)
    assert {one for one in ALL if rights.has(one)} == has


@pytest.mark.parametrize(
    ("uid", "held", "needed", "cure"),
    [
        (0, 0, (TRACE, READ_FILES), "run as root that has CAP_SYS_PTRACE"),
        (0, 0, (READ_FILES,), "run as root that has CAP_DAC_READ_SEARCH"),
        (0, 0, (ENTER, NETWORK), "run as root that has CAP_SYS_ADMIN and CAP_NET_ADMIN"),
        (1000, 0, (TRACE,), "run with become (-b)"),
        (1000, 1 << 2, (TRACE, READ_FILES), "run with CAP_SYS_PTRACE as well"),
        (1000, 1 << 13, (TRACE, READ_FILES), "run with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH as well"),
        (1000, 1 << 2 | 1 << 19, (TRACE, READ_FILES), "run with become (-b)"),  # something else was in the way
    ],
)
def test_cure(monkeypatch, uid, held, needed, cure):
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(rights, "effective", lambda: held)
    assert rights.cure(*needed) == cure
