# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd_trial: what containerd says of a configuration, by a stand-in that prints the file that it was given."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import containerd_trial
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

PORT = ("plugins", "cri", "stream_server_port")


@pytest.fixture
def program(tmp_path):
    def written(body):
        path = tmp_path / "containerd"
        path.write_text(f'#!/bin/sh\n[ "$1 $3 $4" = "--config config dump" ] || exit 9\n{body}\n')
        path.chmod(0o755)
        return str(path)

    return written


def test_a_text_that_is_in_no_file(program):
    text = "# \u00e4\n[plugins.cri]\nstream_server_port = '10010'\n" + "#" * 300000
    assert containerd_trial.dump_text(program('cat "$2"'), text, Deadline(5))[PORT] == "10010"


@pytest.mark.parametrize("body", ["echo 'a = 1'; exit 1", "exec sleep 9", "head -c 2000000 /dev/zero"])
def test_what_is_no_answer(program, body, tmp_path):
    assert containerd_trial.dump(program(body), str(tmp_path), Deadline(0.05)) is None


def test_no_program(tmp_path):
    assert containerd_trial.dump(str(tmp_path / "gone"), "/x", Deadline(1)) is None


def test_differences():
    before = {("imports",): ["/etc/containerd/config.toml"], ("a",): "1", ("b",): "2"}
    after = {("imports",): ["/proc/7/fd/3"], ("a",): "1", ("b",): "3", ("c",): "4"}
    assert containerd_trial.differences(before, after) == {("b",), ("c",)}
