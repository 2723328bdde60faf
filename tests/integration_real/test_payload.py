# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ansible-core that is installed still prepares a module in the way that payload knows, and the node runs what it made of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "files"])
def test_the_node_is_sent_what_was_compiled(tmp_path: Path, pipelining: bool) -> None:
    command = [str(Path(sys.executable).with_name("ansible")), "localhost", "-c", "local", "-vvv", "--check"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}"]
    command += ["-m", "kubenode.doctor.node_snapshot", "-a", "sections=port_settings"]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / ".collections"),
        "ANSIBLE_PIPELINING": str(pipelining),
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "ANSIBLE_KEEP_REMOTE_FILES": "1",
        "ANSIBLE_REMOTE_TMP": str(tmp_path / "remote"),
    }
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "as Ansible made it" not in done.stdout
    assert '"port_settings": {' in done.stdout
    if pipelining:
        return
    (module,) = (tmp_path / "remote").rglob("AnsiballZ_*.py")
    exploded = subprocess.run([sys.executable, module, "explode"], capture_output=True, text=True, check=True)
    folder = Path(re.findall(r"/\S+", exploded.stdout)[-1])
    compiled = {path.with_suffix(".py") for path in folder.rglob("*.pyc")}
    assert folder / "ansible_collections/kubenode/doctor/plugins/module_utils/snapshot.py" in compiled
    assert all(path.exists() for path in compiled)
