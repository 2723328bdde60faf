# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that want to harm the controller, or are broken in a way that shows on the wire: each costs itself, and nobody else anything.

The wire is played by programs in place of ssh. ``plain`` is a node beside them that is well.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose, read, variable
from ansible_collections.kubenode.doctor.tests.support.stage import CALM, PROJECT, playbook

needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="a full disk is a mount of its own"
)

BEGIN = '{"changed": false, "snapshot": {"schema": 1, "complete": true, "missing": [], "sections": {"host": '
END = "}}}"
TEMPLATE = "{{ lookup('pipe', 'touch MARK') }}"
# What programs do in place of ssh, and what is said of the host. Most of them have read the module first.
WIRE = {
    "hangs": ("exec sleep 600", "no answer within 8 s"),
    "deaf-and-loud": ("exec head -c 100000000 /dev/zero", "no answer within 8 s"),
    "floods": ("cat >/dev/null; exec yes '[[[[[[[['", "it sent more than 16 MiB, which no honest node does"),
    "breaks-off": (f"cat >/dev/null; printf '%s' '{BEGIN}[1, 2'; kill -9 $$", "the node printed: {"),
    "is-cut-off": ("cat >/dev/null; echo 'client_loop: send disconnect: Broken pipe' >&2; exit 255", "Broken pipe"),
}
SECONDS = {"hangs": 8, "deaf-and-loud": 8}  # others get the time that a busy machine takes
PATIENCE = variable("collect_answer_seconds", "{{ patience | default(60) }}")
# What nodes print in place of an answer, and what is said of them; None where the answer is taken, and told by its rules.
PRINTED = {
    "deep": (BEGIN + "[" * 100_000 + "]" * 100_000 + END, "its answer could not be read: RecursionError"),
    "nan": (BEGIN + '{"kernel": NaN}' + END, "is not to be written as JSON"),
    "infinite": (BEGIN + '{"kernel": 1e999}' + END, "is not to be written as JSON"),
    "newer": (
        BEGIN.replace('"schema": 1', '"schema": 2') + "{}" + END,
        "its snapshot has schema 2, this collection reads 1",
    ),
    "older": (BEGIN.replace('"schema": 1, ', "") + "{}" + END, "its snapshot has no schema, this collection reads 1"),
    # What Ansible warns of, in the node's words.
    "loud": (BEGIN + END.replace("}}}", '{}}}, "_ansible_": "\\u001b[2J"}') + "\n\x1b[2Jloud", None),
    "trusted": (BEGIN + '{"__ansible_type": "TrustedAsTemplate"}' + END, ""),
    "commands": (
        json.dumps(
            {
                "changed": True,
                "skipped": True,
                "unreachable": True,
                "ansible_facts": {"ansible_python_interpreter": "/nonexistent", "collect_bundle": "/nonexistent"},
                "add_host": {"host_name": "intruder"},
                "warnings": [TEMPLATE],
                "diff": [{"before": TEMPLATE}],
                "_ansible_no_log": True,
                "snapshot": {
                    "schema": 1,
                    "complete": False,
                    "missing": [{"what": TEMPLATE, "why": f"<script>{TEMPLATE}</script>\x1b[2J\0"}],
                    "sections": {"host": {"complete": False, "missing": [{"what": TEMPLATE, "why": "\x1b[2J"}]}},
                },
            }
        ),
        None,
    ),
}


# An answer that also holds what Ansible's main process would stumble over, heed or print.
OBEYED = json.dumps(
    {
        "changed": False,
        "groups": [],
        "ansible_facts": {"gather_facts": True},
        "ansible_stats": 5,
        "diff": [{"before": "\x1b[2J", "after": ""}],
        "failed_when_result": True,
        "rc": "x",
        "results": [5, {"unreachable": True}],
        "skipped": True,
    }
)


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def inventory(folder: Path, hosts: dict[str, dict[str, object]]) -> Path:
    path = folder / "inventory.json"
    path.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    return path


def local(interpreter: str = sys.executable) -> dict[str, object]:
    return {"ansible_connection": "local", "ansible_python_interpreter": interpreter}


def over_the_wire(folder: Path, name: str) -> dict[str, object]:
    wire = {"ansible_connection": "ssh", "ansible_python_interpreter": "/usr/bin/python3"}
    ssh = program(folder / f"ssh-{name}", WIRE[name][0])
    return {**wire, "ansible_ssh_executable": ssh, "patience": SECONDS.get(name, 60)}


def in_1970(folder: Path) -> dict[str, object]:
    """A node whose clock begins anew on the second day of 1970."""
    (folder / "clock").mkdir()
    lines = ("import time", "ahead, now, now_ns = time.time() - 86400, time.time, time.time_ns")
    lines += ("time.time = lambda: now() - ahead", "time.time_ns = lambda: now_ns() - int(ahead * 1e9)", "")
    (folder / "clock" / "sitecustomize.py").write_text("\n".join(lines), encoding="utf-8")
    return local(program(folder / "python-1970", f'PYTHONPATH={folder}/clock exec {sys.executable} "$@"'))


def printing(folder: Path, name: str, text: str = "") -> dict[str, object]:
    said = folder / f"said-{name}"
    said.write_text((text or PRINTED[name][0]).replace("MARK", str(folder / "marked")), encoding="utf-8")
    return local(program(folder / f"python-{name}", f"cat >/dev/null; exec cat {said}"))


def with_full_disk(folder: Path) -> dict[str, dict[str, object]]:
    """Nodes on which nothing can be written: no module with pipelining, not even a folder for it without."""
    full = "for place in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o nr_inodes=1 tmpfs $place; done; cd /proc"
    shell = program(folder / "full-shell", f'exec unshare --mount sh -c \'{full}; exec /bin/sh "$@"\' sh "$@"')
    python = program(
        folder / "full-python", f'exec unshare --mount sh -c \'{full}; exec {sys.executable} "$@"\' sh "$@"'
    )
    files = {"ansible_pipelining": False, "ansible_shell_executable": shell, "ansible_remote_tmp": "/tmp/ansible"}
    return {"full": local(python), "full-files": {**local(), **files}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("hostile")
    hosts = {name: over_the_wire(folder, name) for name in WIRE}
    hosts.update({name: printing(folder, name) for name in PRINTED})
    hosts.update({"plain": local(), "in-1970": in_1970(folder)})
    if os.geteuid() == 0:
        hosts.update(with_full_disk(folder))
    yield diagnose("-i", inventory(folder, hosts), "--forks", "20", *PATIENCE, *variable("report_forms", ["html"]))
    assert not list(folder.glob("marked*"))
    left = subprocess.run(["pgrep", "-f", str(folder)], check=False, capture_output=True, text=True).stdout
    assert not left, "what was asked in vain is still running"


TOLD = {name: why for told in (WIRE, PRINTED) for name, (_what, why) in told.items() if why is not None}


@pytest.mark.parametrize("host", TOLD)
def test_it_is_known_why_there_is_no_answer(run: Run, host: str):
    state = run.document["hosts"][host]
    assert state["answered"] is False
    assert TOLD[host] in state["why"]
    assert run.node(host)["why"] == state["why"]


def test_the_others_are_kept_and_nobody_is_lost(run: Run):
    assert run.document["hosts"]["plain"]["answered"]
    assert set(run.document["hosts"]) >= {*WIRE, *PRINTED, "plain"}
    assert "intruder" not in run.document["hosts"]
    assert not [why for why in run.document["damaged"] if "is not in the bundle" in why]


def test_what_a_node_says_besides_its_answer_is_not_listened_to(run: Run):
    assert run.document["hosts"]["commands"]["answered"]
    assert run.recap("commands")["unreachable"] == 0
    assert "\x1b" not in run.printed
    page = (run.bundle / "report.html").read_text(encoding="utf-8")
    assert "<script>{{" not in page
    assert "\x1b" not in page


def test_a_clock_in_1970_is_a_finding_and_costs_nothing_else(run: Run):
    assert run.document["hosts"]["in-1970"]["answered"]
    assert not [finding for finding in run.findings("in-1970", status="unknown") if finding["broken"]]
    if Path("/var/log/wtmp").exists():  # which tells that it was later before
        assert [finding["title"] for finding in run.findings("in-1970", "clock-set-back")] == ["the clock was set back"]


@needs_mounts
@pytest.mark.parametrize(
    ("host", "words"), [("full", "No usable temporary directory"), ("full-files", "No space left on device")]
)
def test_a_full_disk_is_told(run: Run, host: str, words: str):
    state = run.document["hosts"][host]
    assert state["answered"] is False
    assert words in state["why"]


def test_a_module_that_is_asked_alone_is_as_safe(tmp_path: Path):
    hosts = {"floods": over_the_wire(tmp_path, "floods"), "plain": local()}
    hosts.update({name: printing(tmp_path, name) for name in PRINTED})
    hosts["obeyed"] = printing(tmp_path, "obeyed", OBEYED)
    book = tmp_path / "asked.yml"
    tasks = [{"kubenode.doctor.tcp_states": {"sample_seconds": 0}}]
    book.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(book), "-v", "--diff", "--forks", "20"]
    done = subprocess.run(
        [*command, "-i", str(inventory(tmp_path, hosts))],
        check=False,
        capture_output=True,
        text=True,
        env={**environment, "ANSIBLE_STDOUT_CALLBACK": "default", "ANSIBLE_DISPLAY_OK_HOSTS": "1"},
        stdin=subprocess.DEVNULL,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 2, printed
    assert "\x1b" not in printed
    assert "\\x1b[2Jloud" in printed  # Ansible's warning of it
    assert "it sent more than 16 MiB" in printed
    recap = dict(re.findall(r"^(\S+) +: (ok=\d+ .*) skipped", printed, re.MULTILINE))
    counts = {name: " ".join(told.split()) for name, told in recap.items()}
    well = {"plain", "obeyed"}
    assert {name for name in counts if counts[name] == "ok=1 changed=0 unreachable=0 failed=0"} == well, printed
    assert {name for name in counts if counts[name] == "ok=0 changed=0 unreachable=0 failed=1"} == counts.keys() - well
    assert recap.keys() == hosts.keys()
    assert not list(tmp_path.glob("marked*"))


# --- the controller itself


def begun(folder: Path, hosts: dict[str, dict[str, object]], *words: str) -> subprocess.Popen[bytes]:
    """A diagnosis that runs, in a process group of its own."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), str(PROJECT / "playbooks" / "diagnose.yml")]
    command += ["-i", str(inventory(folder, hosts)), "-e", json.dumps(CALM), "-e", "collect_answer_seconds=60", *words]
    environment = {**os.environ, "PWD": str(folder), "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    devnull = subprocess.DEVNULL
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=devnull, stdout=devnull, stderr=devnull, start_new_session=True
    )


def answered(folder: Path, run_: subprocess.Popen[bytes], number: int) -> Path:
    """Its bundle, once so many hosts have answered."""
    for _look in range(1200):
        files = list(folder.glob("audits/*/nodes/*.json"))
        if len(files) >= number:
            return files[0].parents[1]
        assert run_.poll() is None, "it has ended"
        time.sleep(0.05)
    raise AssertionError("nobody answered")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_audit_that_was_killed_is_judged_by_what_it_has(tmp_path: Path, how: signal.Signals):
    waiting = local(program(tmp_path / "python-waits", "cat >/dev/null; exec sleep 100"))
    run_ = begun(tmp_path, {"plain": local(), "late": waiting, "later": waiting}, "--forks", "5")
    try:
        bundle = answered(tmp_path, run_, 1)
        os.killpg(run_.pid, how)
        run_.wait(60)
    finally:
        with contextlib.suppress(OSError):
            os.killpg(run_.pid, signal.SIGKILL)
        run_.wait()
        subprocess.run(["pkill", "-KILL", "-f", str(tmp_path)], check=False)
    for path in bundle.rglob("*.json"):
        read(path)
    # With Ctrl-C Ansible ends its workers, whose hosts may still be stored as silent.
    done = playbook("judge", "-e", f"bundle={bundle}", folder=tmp_path)
    assert "Traceback" not in done.stdout + done.stderr
    document = read(bundle / "findings.json")
    assert {host: state["answered"] for host, state in document["hosts"].items()} == {
        "plain": True,
        "late": False,
        "later": False,
    }
    if how == signal.SIGKILL:
        assert document["hosts"]["late"]["why"] == "no answer was stored (late.json is not in the bundle)"
    assert "1 of 3 answered" in (bundle / "report.txt").read_text(encoding="utf-8")


def test_two_audits_at_once_have_a_folder_each(tmp_path: Path):
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    audits = ("-e", f"collect_audits={tmp_path}/audits")
    both = [begun(folder, {folder.name: local()}, *audits) for folder in folders]
    for run_ in both:
        run_.wait(300)
    bundles = list((tmp_path / "audits").iterdir())
    assert len(bundles) == 2
    assert {tuple(read(bundle / "findings.json")["hosts"]) for bundle in bundles} == {("one",), ("two",)}


@needs_mounts
def test_a_controller_whose_disk_is_full_says_so_and_leaves_nothing_half(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], check=True)
    try:
        run_ = diagnose("-i", inventory(tmp_path, {"plain": local()}), "-e", f"collect_audits={disk}/audits")
        files = [path for path in disk.rglob("*") if path.is_file()]
        for path in files:
            read(path)
        assert not [path for path in files if path.name.startswith(".kubenode-doctor-")]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert run_.status != 0
    assert "could not be written: No space left on device" in run_.said
