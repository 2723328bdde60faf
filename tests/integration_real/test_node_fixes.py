# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All fixes of a node, on one that systemd runs, through ssh: shown by --check --diff, done, not done twice, undone byte for byte.

One sequence of runs; the tests look at what each has left.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import clock, fix_sync_clock
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, ad_hoc, diagnose, read, variable
from ansible_collections.kubenode.doctor.tests.support import fix_scene
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi
from ansible_collections.kubenode.doctor.tests.support.fix_scene import FixScene
from ansible_collections.kubenode.doctor.tests.support.stage import CALM
from ansible_collections.kubenode.doctor.tests.support.systemd_node import SystemdNodes

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, fix_scene.COMMANDS)),
    reason=f"a node that systemd runs needs root and {', '.join(fix_scene.COMMANDS)}",
)

UNDONE = ("pin-stream-port", "raise-backlog", "raise-conntrack", "reserve-nodeports")
# As the operator names them: what is drawn anew is not to be a NodePort again.
FIXES = (
    "reserve-nodeports",
    "pin-stream-port",
    "redraw-random-port",
    "raise-backlog",
    "raise-conntrack",
    "restart-leaker",
)
RULES = {
    "accept-queue-overflow",
    "close-wait-leak",
    "conntrack-near-limit",
    "nodeport-range-overlaps-ephemeral",
    "nodeport-shadows-listener",
}
NOT_UNDONE = ("redraw-random-port", "restart-leaker")
PINNED = 10010
SYSCTL_FILES = {f"/etc/sysctl.d/60-{name}.conf" for name in ("conntrack", "nodeports", "somaxconn")}
RESTARTED = {"containerd.service", "kubelet.service", "leaker.service", "web.service"}


class Story(NamedTuple):
    """What was run, by name, and what the node was like after it."""

    scene: FixScene
    inventory: Path
    runs: dict[str, Run]
    states: dict[str, dict[str, Any]]

    def step(self, name: str, playbook: str, *words: str | Path) -> Run:
        """Run a playbook."""
        self.runs[name] = diagnose("-i", self.inventory, *words, name=playbook)
        self.states[name] = self.scene.state()
        return self.runs[name]

    def bundles(self, name: str) -> list[Path]:
        """Those of a run, the first one first."""
        return sorted((self.runs[name].folder / "audits").iterdir())

    def open_rules(self, name: str, number: int) -> set[str]:
        """The rules of RULES that found a fault in one of the bundles of a run."""
        document = read(self.bundles(name)[number] / "findings.json")
        return {finding["rule"] for finding in document["findings"] if finding["status"] == "fail"} & RULES


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    kubeconfig = tmp_path_factory.mktemp("api") / "kubeconfig"
    with SystemdNodes([fix_scene.ETCD]) as nodes, FakeApi() as api:
        scene = FixScene(nodes)
        scene.fill(api)
        api.kubeconfig(kubeconfig)
        told = Story(scene, nodes.inventory({"masters": ["master"]}), {}, {"before": scene.state()})
        thresholds = {**CALM["thresholds"], "close_wait_seconds": 0.1}  # type: ignore[dict-item]
        words = ["-e", f"kubeconfig={kubeconfig}", *variable("thresholds", thresholds)]
        words += [*variable("fix", FIXES), "-e", "restart=web.service"]
        told.step("check", "fix", *words, "--check", "--diff")
        told.step("fix", "fix", *words)
        told.step("again", "fix", *words)
        for fix in UNDONE:
            told.step(f"undo {fix}", "undo", "-e", f"record={told.bundles('fix')[0] / f'undo-{fix}-master.json'}")
        yield told


def test_all_is_shown_and_nothing_is_changed(story: Story):
    run = story.runs["check"]
    assert run.status == 0, run.printed
    assert story.open_rules("check", 0) == RULES
    for fix in FIXES:
        assert f"master: the plan of {fix}" in run.said
    assert "@@ -1 +1 @@ -net.core.somaxconn = 8 +net.core.somaxconn = 4096" in run.said
    assert f'- stream_server_port = "0" + stream_server_port = "{PINNED}"' in run.said
    assert story.states["check"] == story.states["before"]
    assert list(story.bundles("check")[0].glob("undo-*")) == []


def test_all_is_cured(story: Story):
    run = story.runs["fix"]
    assert run.status == 0, run.printed
    assert run.recap("master")["changed"] == len(FIXES)
    assert story.open_rules("fix", 0) == RULES
    left = story.open_rules("fix", 1)
    assert left <= {"nodeport-range-overlaps-ephemeral"}  # numbers that no Service has today
    assert "after: nothing of this is seen any more" in run.said


def test_what_was_asked_for_comes_in_that_order(story: Story):
    said = story.runs["fix"].said
    places = [said.index(f"master: the plan of {fix}") for fix in FIXES]
    assert places == sorted(places)


def test_nothing_but_that_was_changed(story: Story):
    before, after = story.states["before"], story.states["fix"]
    changed = {
        path
        for path in before["files"].keys() | after["files"].keys()
        if before["files"].get(path) != after["files"].get(path)
    }
    kept = {path for path in changed if path.startswith("/var/lib/kubenode.doctor/")}
    assert changed - kept == {fix_scene.CONFIG, *SYSCTL_FILES}
    assert {mode for mode, *_owner in (after["files"][path] for path in kept)} == {"0o100600"}
    assert after["files"][fix_scene.CONFIG][:3] == before["files"][fix_scene.CONFIG][:3]
    units = {name for name, unit in after["units"].items() if before["units"].get(name) != unit}
    assert units == RESTARTED


def test_containerd_streams_on_a_fixed_port(story: Story):
    listeners = [
        (address, port)
        for address, port, _backlog, name, _pid in story.states["fix"]["listeners"]
        if name == "containerd"
    ]
    assert listeners == [("127.0.0.1", PINNED)]


def test_kubelet_has_drawn_another_port(story: Story):
    ports = {
        port
        for address, port, _backlog, name, _pid in story.states["fix"]["listeners"]
        if name == "kubelet" and address == "127.0.0.1"
    }
    (drawn,) = ports - {10248}
    assert drawn not in (story.scene.kubelet_port, story.scene.containerd_port, fix_scene.NODE_PORT)


def test_the_node_ports_are_reserved(story: Story):
    ports = sorted((story.scene.kubelet_port, story.scene.containerd_port, fix_scene.NODE_PORT))
    assert story.states["fix"]["settings"]["net/ipv4/ip_local_reserved_ports"] == ",".join(map(str, ports))


def test_the_backlog_has_grown_where_it_was_asked_for(story: Story):
    assert story.states["fix"]["settings"]["net/core/somaxconn"] == "4096"
    backlogs = {name: backlog for _address, _port, backlog, name, _pid in story.states["fix"]["listeners"]}
    assert backlogs["web"] == 4096
    assert backlogs["etcd"] == fix_scene.SOMAXCONN  # which nobody has restarted


def test_the_table_has_grown(story: Story):
    assert int(story.states["fix"]["settings"]["net/netfilter/nf_conntrack_max"]) > fix_scene.TABLE


def test_nobody_holds_closed_connections(story: Story):
    assert story.states["before"]["close_wait"] >= 60
    assert story.states["fix"]["close_wait"] == 0
    pids = [
        {pid for *_socket, name, pid in story.states[step]["listeners"] if name == "kube-apiserver"}
        for step in ("before", "fix")
    ]
    assert pids[0].isdisjoint(pids[1])
    assert pids[1]


def test_a_second_time_nothing_is_changed(story: Story):
    run = story.runs["again"]
    assert run.status == 0, run.printed
    assert run.recap("master")["changed"] == 0
    assert "no host was seen to have an unwaived finding that this cures. Nothing was changed." in run.said
    assert story.states["again"] == story.states["fix"]


def test_undone_byte_for_byte(story: Story):
    for fix in UNDONE:
        run = story.runs[f"undo {fix}"]
        assert run.status == 0, run.printed
        assert f"master: {fix} is undone" in run.said
        assert read(story.bundles("fix")[0] / f"undo-{fix}-master.json")["state"] == "undone"
    before, after = story.states["before"], story.states[f"undo {UNDONE[-1]}"]
    kept = {path for path in after["files"] if path.startswith("/var/lib/kubenode.doctor/")}
    assert {path: told for path, told in after["files"].items() if path not in kept} == before["files"]
    assert after["settings"] == before["settings"]
    assert kept == set()
    for fix in NOT_UNDONE:
        assert "no_undo" in read(story.bundles("fix")[0] / f"undo-{fix}-master.json")
        assert (
            f"{fix} is done; the diagnosis that follows says whether it helped - it cannot be undone: "
            in story.runs["fix"].said
        )
    listeners = [(address, port) for address, port, _backlog, name, _pid in after["listeners"] if name == "containerd"]
    assert listeners[0][1] != PINNED


def test_no_secret_is_shown_or_kept(story: Story):
    for run in story.runs.values():
        assert "not-to-be-shown" not in run.printed
        assert all(b"not-to-be-shown" not in file.read_bytes() for file in run.folder.rglob("*") if file.is_file())


def test_a_time_service_is_switched_on(story: Story, tmp_path: Path):
    """By itself: of a machine that shares its clock with others, as a container does, the rule offers it to nobody."""
    (tmp_path / "findings.json").write_text("{}", encoding="utf-8")
    asked: dict[str, Any] = {
        "fix": "sync-clock",
        "targets": [fix_sync_clock.target("chrony.service")],
        "bundle": str(tmp_path),
    }
    # A clock that is behind, however long the way to the node takes.
    asked["controller_time"] = time.time() + 60
    _done, planned = ad_hoc(story.inventory, "master", "node_fix", **asked)
    if clock.kernel_clock().synchronized:
        assert planned["state"] == "done"
        return
    assert planned["state"] == "needed", planned
    done, applied = ad_hoc(story.inventory, "master", "node_fix", **asked, state="applied", digest=planned["digest"])
    assert done, applied
    unit = story.scene.state()["units"]["chrony.service"]
    assert (unit["ActiveState"], unit["UnitFileState"]) == ("active", "enabled")
    done, undone = ad_hoc(
        story.inventory, "master", "node_fix", fix="sync-clock", state="undone", change=applied["change"]
    )
    assert done, undone
    assert "chrony.service" not in story.scene.state()["units"]
    assert story.scene.node.run("systemctl", "is-enabled", "chrony", check=False).stdout.strip() == "disabled"
