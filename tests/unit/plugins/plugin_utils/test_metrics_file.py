# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file for node_exporter: whole, readable by everyone, and refused early where nobody would read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import metrics_file
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError


def test_everyone_may_read_it_whatever_the_umask(tmp_path):
    path = tmp_path / "doctor.prom"
    path.write_text("of yesterday, and longer")
    before = os.umask(0o077)
    try:
        metrics_file.write(path, "x 1\n")
    finally:
        os.umask(before)
    assert path.read_text() == "x 1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(tmp_path) == ["doctor.prom"]


def test_a_reader_never_sees_half_of_it(tmp_path, monkeypatch):
    """What is there before the name is taken has another ending, since the collector reads every *.prom."""
    path = tmp_path / "doctor.prom"
    path.write_text("old")
    seen = []

    def replace(*_paths):
        seen.append((path.read_text(), [name for name in os.listdir(tmp_path) if name.endswith(".prom")]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(BundleError, match=r"doctor\.prom could not be written: No space left on device"):
        metrics_file.write(path, "new")
    assert seen == [("old", ["doctor.prom"])]
    assert os.listdir(tmp_path) == ["doctor.prom"]


@pytest.mark.parametrize("name", ["doctor.txt", "doctor", ".prom", "doctor.prom.new"])
def test_a_name_that_the_collector_passes_over_is_refused(tmp_path, name):
    with pytest.raises(BundleError, match=r"does not end in \.prom"):
        metrics_file.check(tmp_path / name)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BundleError, match="there is no folder"):
        metrics_file.check(tmp_path / "none" / "doctor.prom")
    metrics_file.check(tmp_path / "doctor.prom")


def test_a_folder_in_its_place_is_one_clear_message(tmp_path):
    (tmp_path / "doctor.prom").mkdir()
    with pytest.raises(BundleError, match="could not be written"):
        metrics_file.write(tmp_path / "doctor.prom", "x")
    with pytest.raises(BundleError, match="is a folder"):
        metrics_file.check(tmp_path / "doctor.prom")
    assert os.listdir(tmp_path) == ["doctor.prom"]


def test_a_folder_that_takes_no_file_is_refused_before_anybody_is_asked():
    with pytest.raises(BundleError, match=r"/proc/doctor\.prom could not be written"):
        metrics_file.check(Path("/proc/doctor.prom"))
