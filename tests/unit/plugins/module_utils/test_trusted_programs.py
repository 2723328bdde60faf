# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""trusted_programs: which file is run, and which is not."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import trusted_programs

NAME = "iptables-save"


def placed(node, folder="/usr/sbin", name=NAME, mode=0o755):
    place = node.file(f"{folder}/{name}", "")
    place.chmod(mode)
    return place


def found(node):
    return trusted_programs.find(NAME, str(node.root))


def test_the_first_folder_wins(node):
    first, _second = placed(node, "/usr/local/sbin"), placed(node, "/usr/sbin")
    assert found(node) == (str(first), ())


def test_none(node):
    assert found(node) == (None, ())


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o644, 0o4757])
def test_a_file_that_others_may_change_or_nobody_runs(node, mode):
    bad, good = placed(node, "/usr/local/bin", mode=mode), placed(node, "/usr/bin")
    assert found(node) == (str(good), (str(bad),))


@pytest.mark.parametrize("mode", [0o775, 0o777, 0o1777])
def test_a_folder_that_others_may_change(node, mode):
    bad = placed(node, "/usr/local/sbin")
    os.chmod(str(bad.parent), mode)
    assert found(node) == (None, (str(bad),))


def test_a_link_is_followed(node):
    real = placed(node, name="xtables-nft-multi")
    (real.parent / NAME).symlink_to("xtables-nft-multi")
    assert found(node).program == str(real.parent / NAME)


def test_a_link_to_what_others_may_change(node):
    placed(node, "/opt/tools", "xtables", 0o777)
    link = node.root / "usr" / "sbin" / NAME
    link.parent.mkdir(parents=True)
    link.symlink_to(node.root / "opt" / "tools" / "xtables")
    assert found(node) == (None, (str(link),))


def test_neither_folders_nor_broken_links(node):
    (node.root / "usr" / "sbin" / NAME).mkdir(parents=True)
    (node.root / "usr" / "bin").mkdir()
    (node.root / "usr" / "bin" / NAME).symlink_to("nowhere")
    assert found(node) == (None, ())


def test_the_path_is_not_asked(node, monkeypatch):
    monkeypatch.setenv("PATH", str(placed(node, "/home").parent))
    assert found(node).program is None
