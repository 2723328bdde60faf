# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs behind a listener, against `go version -m`, dpkg-query and ps, which nodes may lack."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import file_package, go_build, owner, procfs

PROGRAMS = ["containerd", "ctr", "dockerd", "runc", "docker", "go", "ss", "mount", "bash", "python3", "ip"]


def said(*command: str) -> str:
    """What a program prints; "" when it fails."""
    run = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    return run.stdout if run.returncode == 0 else ""


def found(name: str) -> str:
    """Where a program is, without links."""
    place = shutil.which(name)
    assert place, name
    return os.path.realpath(place)


@pytest.mark.parametrize("name", PROGRAMS)
def test_go_programs(name: str) -> None:
    path = found(name)
    lines = said("go", "version", "-m", path).splitlines()
    build = go_build.read(path)
    if not lines:
        assert build is None
        return
    assert build is not None
    assert lines[0].split(": ")[1].split()[0] == build.go
    assert f"\tpath\t{build.path}" in lines


@pytest.mark.parametrize("name", PROGRAMS)
def test_packages(name: str) -> None:
    path = found(name)
    # dpkg knows some files by the path that they had before /bin became a link to /usr/bin.
    owners = said("dpkg-query", "-S", path) or said("dpkg-query", "-S", path.replace("/usr/", "/", 1))
    package = owners.partition(": ")[0]
    expected = said("dpkg-query", "-W", "-f", "${Package} ${Version}", package) if package else ""
    assert (file_package.of(path) or "") == expected


def started(program: str) -> subprocess.Popen[bytes]:
    """A process that waits; Popen returns a moment before the kernel gives it its new name."""
    process = subprocess.Popen([program, "60"])
    while procfs.comm(process.pid) != os.path.basename(program):
        time.sleep(0.001)
    return process


def test_a_process_whose_program_is_replaced_while_it_runs(tmp_path: Path) -> None:
    program = tmp_path / "server"
    shutil.copy(found("sleep"), program)
    process = started(str(program))
    try:
        seen = procfs.describe(process.pid)
        before = owner.describe(seen, packages=True)
        began = said("ps", "-o", "lstart=", "-p", str(process.pid)).strip()
        shutil.copy(found("sleep"), tmp_path / "new")
        os.replace(tmp_path / "new", program)
        after = owner.describe(seen, packages=True)
    finally:
        process.kill()
        process.wait()
    assert (before["exe"], before["replaced"], before["package"]) == (str(program), False, None)
    assert (after["exe"], after["replaced"], after["package"]) == (str(program), True, None)
    assert before["parent"] == {"pid": os.getpid(), "name": procfs.comm(os.getpid())}
    assert before["missing"] == []
    told = datetime.fromisoformat(before["started"])
    assert told.utcoffset() is not None
    assert abs(told.timestamp() - time.mktime(time.strptime(began, "%a %b %d %H:%M:%S %Y"))) <= 1
    assert abs(told.timestamp() - time.time()) < 30


def test_a_program_that_only_its_own_mount_namespace_has(tmp_path: Path) -> None:
    script = 'mount -t tmpfs none "$1" && cp "$2" "$1/server" && exec "$1/server" 60'
    process = subprocess.Popen(["unshare", "--mount", "sh", "-c", script, "sh", str(tmp_path), found("sleep")])
    try:
        while procfs.comm(process.pid) != "server":
            time.sleep(0.01)
        told = owner.describe(procfs.describe(process.pid), packages=True)
        os.unlink(f"/proc/{process.pid}/root{tmp_path}/server")
        after = owner.describe(procfs.describe(process.pid), packages=True)
    finally:
        process.kill()
        process.wait()
    assert (told["exe"], told["replaced"]) == (f"{tmp_path}/server", False)
    assert [gap["what"] for gap in told["missing"]] == ["package"]
    assert (after["exe"], after["replaced"]) == (f"{tmp_path}/server", True)


def test_a_process_that_has_ended() -> None:
    process = started(found("sleep"))
    seen = procfs.describe(process.pid)
    process.kill()
    process.wait()
    told = owner.describe(seen, packages=True)
    assert [gap["what"] for gap in told["missing"]] == ["process"]
    assert told["exe"] is None
    assert told["name"] == "sleep"


def test_every_process_of_this_machine_is_described() -> None:
    describer = owner.Describer(packages=False)
    told = [describer.owner(procfs.describe(pid)) for pid in procfs.pids()]
    assert any(one["exe"] and one["parent"] for one in told)
    assert all(one["exe"] or one["missing"] for one in told)
