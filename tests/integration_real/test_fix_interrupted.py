# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fix that is interrupted half-way leaves the node in the old or in the new state, and the next run says in which.

containerd, real and run by systemd, gets a fixed port; its start waits as long as /run/hold is there, so that the kill, the lost connection
and the end of everything come when its configuration is changed already and it does not run.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_pin_stream_port, fix_reserve_nodeports
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import ad_hoc, diagnose, read
from ansible_collections.kubenode.doctor.tests.support import systemd_node
from ansible_collections.kubenode.doctor.tests.support.systemd_node import SystemdNode, SystemdNodes

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, systemd_node.COMMANDS)),
    reason=f"a node that systemd runs needs root and {', '.join(systemd_node.COMMANDS)}",
)

CONFIG = "/etc/containerd/config.toml"
OLD = 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  stream_server_address = "127.0.0.1"\n  stream_server_port = "0"\n'
PINNED = 10010
NEW = OLD.replace('"0"', f'"{PINNED}"')
HOLD = "/run/hold"
# Without a limit of starts: tests start it more often than systemd lets anybody.
_WAITS = f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStartPre=/bin/sh -c 'while [ -e {HOLD} ]; do sleep 0.1; done'\nTimeoutStartSec=infinity\n"
STORE = "/var/lib/kubenode.doctor"
SYSCTLS = "/etc/sysctl.d"
RANGE = "ip_local_reserved_ports"
PATIENCE = 120  # seconds that nothing needs


class Held:
    """A node whose containerd listens on a random port, and a bundle for what is done to it."""

    def __init__(self, nodes: SystemdNodes, folder: Path) -> None:
        self.node: SystemdNode = nodes.node("worker")
        self.inventory = nodes.inventory({"workers": ["worker"]})
        self.bundle = folder
        (folder / "findings.json").write_text("{}", encoding="utf-8")
        self.node.write(CONFIG, OLD)
        self.node.unit("containerd.service.d/hold.conf", _WAITS)
        self.node.run("systemctl", "start", "containerd")

    def port(self) -> int:
        """Where containerd listens."""
        self.node.wait_for("sh", "-c", "ss -tnHlp | grep containerd")
        (found,) = re.findall(r"127\.0\.0\.1:(\d+) .*containerd", self.node.run("ss", "-tnHlp").stdout)
        return int(found)

    def renew(self) -> None:
        """Let it be as it was in the beginning."""
        self.release()
        self.node.run("rm", "-rf", STORE)
        self.node.write(CONFIG, OLD)
        self.node.run("systemctl", "restart", "containerd")

    def fix(self, **options: object) -> dict[str, Any]:
        """Ask node_fix."""
        options.setdefault("fix", "pin-stream-port")
        _done, told = ad_hoc(self.inventory, "worker", "node_fix", bundle=str(self.bundle), **options)
        return told

    def asked(self) -> dict[str, object]:
        """Plan it, and return what carries the plan out."""
        target = fix_pin_stream_port.target(
            "containerd", "127.0.0.1", self.port(), PINNED, CONFIG, "containerd.service", ()
        )
        planned = self.fix(targets=[target])
        assert planned["state"] == "needed", planned
        return {"targets": [target], "digest": planned["digest"], "state": "applied"}

    def hold(self) -> None:
        """Let containerd's next start wait."""
        self.node.write(HOLD, "")

    def release(self) -> None:
        """Let it go on."""
        self.node.run("rm", "-f", HOLD)

    def wait_until_half_way(self) -> int:
        """The process that changes the node, once its configuration is new and containerd does not run."""
        self.until(lambda: self.active() == "activating" and self.node.read(CONFIG) == NEW)
        return int(self.record()["pid"])

    def record(self) -> dict[str, Any]:
        """What the node keeps of the one change."""
        told = json.loads(self.node.run("sh", "-c", f"cat {STORE}/*.json").stdout)
        assert isinstance(told, dict)
        return told

    def active(self) -> str:
        """What systemd says of containerd."""
        return self.node.run("systemctl", "is-active", "containerd", check=False).stdout.strip()

    def is_kept_nothing(self) -> bool:
        """Whether the node has nothing left of any change."""
        return self.node.run("test", "-e", STORE, check=False).returncode != 0

    def until(self, there: Callable[[], bool]) -> None:
        """Wait until it is so."""
        deadline = time.monotonic() + PATIENCE
        while not there():
            assert time.monotonic() < deadline, self.node.run("journalctl", "--no-pager", "-n", "30").stdout
            time.sleep(0.1)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    with SystemdNodes() as nodes:
        yield Held(nodes, tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def held(started: Held, aside: ThreadPoolExecutor) -> Iterator[Held]:  # noqa: ARG001 - what waits there is let go first
    started.renew()
    yield started
    started.release()


def _half_way(held: Held, aside: ThreadPoolExecutor) -> tuple[Future[dict[str, Any]], int]:
    """Begin the fix, and wait until it is in the middle of it: what it is going to answer, and the process that changes the node."""
    asked = held.asked()
    held.hold()
    answer = aside.submit(held.fix, **asked)
    return answer, held.wait_until_half_way()


def test_the_process_that_changes_the_node_is_killed(held: Held, aside: ThreadPoolExecutor):
    answer, worker = _half_way(held, aside)
    held.node.run("kill", "-9", str(worker))
    held.release()
    told = answer.result(PATIENCE)
    assert told["msg"].startswith("Taken back, everything is as it was: the process that changed the node was killed")
    assert held.node.read(CONFIG) == OLD
    assert held.port() != PINNED
    assert held.is_kept_nothing()


def test_everything_is_killed_and_the_next_run_ends_it(held: Held, aside: ThreadPoolExecutor):
    answer, worker = _half_way(held, aside)
    module = held.node.run("ps", "-o", "ppid=", "-p", str(worker)).stdout.strip()
    held.node.run("kill", "-9", module, str(worker))
    answer.result(PATIENCE)
    held.release()
    held.until(lambda: held.active() == "active")
    assert held.record()["state"] == "acting"

    diagnosed = diagnose("-i", held.inventory)
    (finding,) = diagnosed.findings("worker", "change-interrupted")
    command = next(
        command for remedy in finding["remedies"] for command in remedy["commands"] if "kubenode.doctor.fix" in command
    )
    assert "fix=pin-stream-port" in command

    run = diagnose("-i", held.inventory, "-e", "fix=pin-stream-port", name="fix")
    assert run.status == 0, run.printed
    assert "worker: a fix was interrupted here before" in run.said
    assert "it was interrupted while it was carried out" in run.said
    # systemd went on with the restart that it had been asked for, so nothing was missing but the word that it is done.
    assert "all of its steps had been taken, so it is kept" in run.said
    assert held.node.read(CONFIG) == NEW
    assert held.port() == PINNED
    assert held.record()["state"] == "done"
    last = sorted((run.folder / "audits").iterdir())[-1]
    assert not [
        finding
        for finding in read(last / "findings.json")["findings"]
        if finding["rule"] == "change-interrupted" and finding["status"] == "fail"
    ]


def test_everything_is_killed_before_the_restart(held: Held, aside: ThreadPoolExecutor):
    answer, worker = _half_way(held, aside)
    module = held.node.run("ps", "-o", "ppid=", "-p", str(worker)).stdout.strip()
    held.node.run("kill", "-9", module, str(worker))
    answer.result(PATIENCE)
    # The restart that systemd was asked for comes to nothing.
    held.node.run("systemctl", "stop", "containerd")
    held.release()
    assert "is neither done nor taken back" in held.fix()["recovered"][0]
    assert held.record()["state"] == "acting"  # a plan changes nothing
    told = held.fix(state="recovered")
    assert told["changed"]
    (ended,) = told["recovered"]
    assert ended.startswith("pin-stream-port (")
    assert "is taken back: it was interrupted while it was carried out" in ended
    assert held.node.read(CONFIG) == OLD
    assert held.port() != PINNED
    assert held.is_kept_nothing()


def test_the_connection_is_lost(held: Held, aside: ThreadPoolExecutor):
    answer, worker = _half_way(held, aside)
    held.node.run("pkill", "-9", "-f", "^sshd: root")
    # Ansible connects again by itself (retries), and is told who is at it.
    assert f"process {worker} is carrying out pin-stream-port on this node" in answer.result(PATIENCE)["msg"]
    assert held.active() == "activating"  # the change goes on without anybody who waits for it
    record = held.bundle / "undo-pin-stream-port-worker.json"
    assert read(record)["state"] == "planned"

    held.release()
    held.until(lambda: held.record()["state"] == "done")
    assert held.node.read(CONFIG) == NEW
    assert held.port() == PINNED
    undone = diagnose("-i", held.inventory, "-e", f"record={record}", name="undo")
    assert undone.status == 0, undone.printed
    assert held.node.read(CONFIG) == OLD
    assert held.is_kept_nothing()


@pytest.mark.parametrize("folder", [STORE, SYSCTLS])
def test_the_disk_is_full(held: Held, folder: str):
    target = fix_reserve_nodeports.target([(36527, 36527)], (30000, 40000), (32768, 60999))
    held.node.run("mkdir", "-p", folder)
    held.node.run("mount", "-t", "tmpfs", "-o", "size=8k", "none", folder)
    try:
        planned = held.fix(fix="reserve-nodeports", targets=[target])
        assert planned["state"] == "needed", planned
        held.node.run("sh", "-c", f"cat /dev/zero >{folder}/filler", check=False)
        told = held.fix(fix="reserve-nodeports", targets=[target], digest=planned["digest"], state="applied")
        assert "No space left on device" in told["msg"], told
        left = held.node.run("ls", "-A", STORE, SYSCTLS, check=False).stdout.split()
        assert held.node.run("sysctl", "-n", f"net.ipv4.{RANGE}").stdout.strip() == ""
        assert "60-nodeports.conf" not in left
        assert not [name for name in left if "nodeports" in name]
    finally:
        held.node.run("umount", folder)
