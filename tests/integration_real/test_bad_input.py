# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator can get wrong: a clear error that names the thing, before any node is asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.contract.plays import run_tasks
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import ad_hoc, diagnose, variable
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT
from ansible_collections.kubenode.doctor.tests.support.waiving import waiver

LOCALHOST = PROJECT / "inventory" / "localhost.yml"


def missing(_path: Path) -> None:
    """Leave nothing there."""


def broken(path: Path) -> None:
    path.write_text("{{{ : nope\n")


def empty(path: Path) -> None:
    path.write_text("")


def folder(path: Path) -> None:
    path.mkdir()


def no_context(path: Path) -> None:
    path.write_text("apiVersion: v1\nkind: Config\ncurrent-context: lost\ncontexts: []\nclusters: []\nusers: []\n")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (missing, "no such file"),
        (broken, "not valid YAML (line 1, column 5)"),
        (empty, "empty"),
        (folder, "not a file"),
        (no_context, "lost"),
    ],
)
def test_kubeconfig(tmp_path: Path, make, message: str):
    path = tmp_path / "the-kubeconfig"
    make(path)
    run = diagnose("-i", LOCALHOST, "-e", f"kubeconfig={path}")
    assert run.status != 0
    assert f"kubeconfig {path}: " in run.said
    assert message in run.said
    assert list((run.bundle / "nodes").iterdir()) == []


@pytest.mark.parametrize("by_variable", [True, False])
def test_relative_kubeconfig_is_seen_from_where_it_was_started(by_variable: bool):
    # The README's own command: -e kubeconfig=admin.conf. Ansible runs modules in the playbook's folder.
    words = ("-e", "kubeconfig=admin.conf") if by_variable else ()
    run = diagnose("-i", LOCALHOST, *words, environment=None if by_variable else {"K8S_AUTH_KUBECONFIG": "admin.conf"})
    assert f"kubeconfig {run.folder / 'admin.conf'}: no such file" in run.said


@pytest.mark.parametrize("name", ["empty.ini", "nosuch.ini"])
def test_an_inventory_that_names_nobody_is_an_error(tmp_path: Path, name: str):
    (tmp_path / "empty.ini").write_text("")
    run = diagnose("-i", tmp_path / name, warnings=["provided hosts list is empty, only localhost is available"])
    assert run.status != 0
    assert "The inventory names no host" in run.said or "Completely failed to parse inventory" in run.said


def here(**more: object) -> dict[str, object]:
    return {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **more}


def test_what_is_wrong_for_one_host_fails_the_run_also_when_no_other_has_a_fault(tmp_path: Path):
    hosts = {"one": here(collect_netns="mars"), "two": here()}
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts}}))
    run = diagnose("-i", tmp_path / "hosts.yml")
    assert run.status != 0
    assert run.recap("one")["failed"] == 1


def test_hosts_whose_names_no_other_play_can_be_told_of_fail_by_these(tmp_path: Path):
    """An inventory script's names are taken as they are; add_host would take a port off them."""
    names = ["web1:2222", "[::2]:22", "{{ 1 }}", "usual"]
    inventory = {"nodes": {"hosts": names}, "_meta": {"hostvars": dict.fromkeys(names, here())}}
    script = tmp_path / "inventory.sh"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(inventory)}\nEND\n")
    script.chmod(0o755)
    run = diagnose("-i", script, "-e", json.dumps({"fail_on": "warning", "thresholds": {"files_share": 1e-6}}))
    assert run.status == 2
    assert [run.recap(name)["failed"] for name in names] == [1, 1, 1, 1]


def test_kubeconfig_without_permission():
    # Mode 0200, which the kernel's sysctl_perm holds against root too.
    path = Path("/proc/sys/net/ipv4/route/flush")
    assert path.exists()
    run = diagnose("-i", LOCALHOST, "-e", f"kubeconfig={path}")
    assert run.status != 0
    assert f"kubeconfig {path}: " in run.said
    assert "Permission denied" in run.said
    assert list((run.bundle / "nodes").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("nodeport_range", "0-70000", "nodeport_range: '0-70000': a port lies between 1 and 65535"),
        ("nodeport_range", "32767-30000", "nodeport_range: '32767-30000'"),
        ("nodeport_range", "many", "nodeport_range: 'many'"),
        ("fail_on", "sometimes", "fail_on: 'sometimes' is none of info, warning, critical"),
        ("proxy_mode", "quantum", "proxy_mode: 'quantum' is none of iptables, ipvs, nftables, userspace, cilium"),
        ("waivers", [{"rule": "reserved-ports-skew"}], "waivers[0]: reason is needed"),
        (
            "waivers",
            [waiver("reserved-port-skew")],
            "waivers[0]: no rule is named reserved-port-skew; there is reserved-ports-skew",
        ),
        ("waivers_file", "/nonexistent/waivers.yml", "/nonexistent/waivers.yml: there is no such file of waivers"),
        (
            "waivers",
            [waiver("x", until="soon")],
            "waivers[0]: until 'soon' is no date (YYYY-MM-DD)",
        ),
        ("waivers", [{"rule": "x", "reason": "y", "untill": 1}], "waivers[0]: unknown keys untill"),
        ("report_skew_share", 2, "skew_share: 2.0 is no share above 0 and up to 1"),
        ("thresholds", {"conntrack": 0.5}, "thresholds: none is named conntrack; there are accept_queue_share,"),
        ("thresholds", {"conntrack_share": 75}, "thresholds: conntrack_share: 75 is no share above 0 and up to 1"),
    ],
)
def test_setting(name: str, value: object, message: str):
    run = diagnose("-i", LOCALHOST, *variable(name, value))
    assert run.status != 0
    assert message in run.said
    assert run.printed.count(message) <= 2  # Ansible's error and the host's result, no chain of causes
    assert not (run.folder / "audits").exists()


def test_audits_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    run = diagnose("-i", LOCALHOST, "-e", f"collect_audits={tmp_path}/file/audits")
    assert run.status != 0
    assert f"{tmp_path}/file/audits/" in run.said
    assert "Not a directory" in run.said


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        ("node_snapshot", {"sections": ["host", "weather"]}, "weather"),
        ("node_snapshot", {"ports": [36527, 70000]}, "ports, port_range: '70000': a port lies between 1 and 65535"),
        ("node_snapshot", {"port_range": "30000-99999"}, "ports, port_range: '30000-99999'"),
        ("node_snapshot", {"answer_seconds": 0}, "answer_seconds: 0 is less than 1"),
        (
            "nodeport_conflict",
            {"node_ports": [{"service": "a", "node_port": 0}]},
            "node_ports[0].node_port: 0 is no port",
        ),
        (
            "nodeport_conflict",
            {"node_ports": [{"service": "a", "node_port": 65536}]},
            "node_ports[0].node_port: 65536 is no port",
        ),
        ("nodeport_conflict", {"node_ports": [{"service": "a"}]}, "node_port, health_check_node_port"),
        ("judge", {"bundle": ""}, "the folder has no name"),
    ],
)
def test_module_option(module: str, options: dict[str, object], message: str):
    succeeded, result = ad_hoc(LOCALHOST, "localhost", module, **options)
    assert not succeeded
    assert message in result["msg"]


def test_wrong_option_is_not_recorded_as_the_nodes_silence(tmp_path: Path):
    """With a bundle, a node's failure is an answer; the operator's mistake is still an error."""
    _began, begun = ad_hoc(LOCALHOST, "localhost", "bundle", audits=str(tmp_path), hosts=["localhost"])
    succeeded, result = ad_hoc(LOCALHOST, "localhost", "node_snapshot", bundle=begun["path"], sections=["weather"])
    assert not succeeded
    assert "weather" in result["msg"]
    assert list((Path(begun["path"]) / "nodes").iterdir()) == []


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("ports", "ports_judged holds no judgement: run the role kubenode.doctor.report first"),
        ("tcp", "tcp_judged holds no judgement: run the role kubenode.doctor.report first"),
        ("host", "host_judged holds no judgement: run the role kubenode.doctor.report first"),
        ("report", "the folder has no name: say which"),
    ],
)
def test_role_alone(tmp_path: Path, role: str, message: str):
    """A role that judges nothing must not look like one that found nothing."""
    *_before, last = run_tasks([{"ansible.builtin.include_role": {"name": f"kubenode.doctor.{role}"}}], {}, tmp_path)
    assert last["failed"]
    assert message in last["msg"]


@pytest.mark.parametrize("role", ["ports", "tcp", "host"])
def test_role_with_a_judgement_of_its_own(tmp_path: Path, role: str):
    judged = {"failing": {"localhost": {name: [f"CRITICAL: the story of {name}"] for name in ("ports", "tcp", "host")}}}
    task = {"ansible.builtin.include_role": {"name": f"kubenode.doctor.{role}"}, "vars": {f"{role}_judged": judged}}
    *_before, last = run_tasks([task], {}, tmp_path)
    assert last["failed"]
    assert last["msg"] == [f"CRITICAL: the story of {role}"]


@pytest.mark.parametrize("role", ["ports", "tcp", "host"])
def test_role_passes_a_host_with_findings_of_others(tmp_path: Path, role: str):
    judged = {"failing": {"localhost": {"other": ["CRITICAL: the story"]}, "another": {role: ["CRITICAL: its story"]}}}
    task = {"ansible.builtin.include_role": {"name": f"kubenode.doctor.{role}"}, "vars": {f"{role}_judged": judged}}
    results = run_tasks([task], {}, tmp_path)
    assert not [result for result in results if result.get("failed")]
    assert results[-1]["skipped"]
