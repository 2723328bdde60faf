# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/awx.yml, with the real modules of awx.awx against a stand-in for AWX: what is made, that it fits together, and that a second run is quiet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose
from ansible_collections.kubenode.doctor.tests.support.fake_awx import FakeAwx
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

PINNED = ("-e", "awx_project_version=0.1.0", "-e", "awx_image=registry.example.com/kubenode-doctor:0.1.0")


@pytest.fixture(scope="module")
def awx() -> Iterator[FakeAwx]:
    with FakeAwx() as awx:
        yield awx


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "key").write_text("-----BEGIN the key-----\n")
    (folder / "kubeconfig").write_text("a: kubeconfig {{ not a template }}\n")
    files = {"awx_ssh_key_file": folder / "key", "awx_kubeconfig_file": folder / "kubeconfig"}
    return [
        *PINNED,
        "-e",
        "awx_volume_claim=audits",
        "-e",
        json.dumps({name: str(path) for name, path in files.items()}),
    ]


@pytest.fixture(scope="module")
def made(awx: FakeAwx, words: list[str]) -> Run:
    run = diagnose(*words, name="awx", environment=awx.environment)
    assert run.status == 0, run.printed
    assert "BEGIN the key" not in run.printed
    return run


def template(awx: FakeAwx, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A job template, and its variables."""
    found = awx.one("job_templates", name)
    return found, json.loads(found["extra_vars"])


@pytest.mark.usefixtures("made")
def test_slices_leave_their_bundles_where_the_judge_looks(awx: FakeAwx):
    slices, of_slices = template(awx, "kubenode.doctor slices")
    judge, of_judge = template(awx, "kubenode.doctor judge")
    assert (slices["job_slice_count"], judge["job_slice_count"]) == (4, 1)
    assert all((PROJECT / one["playbook"]).is_file() for one in (slices, judge))
    assert of_judge["bundles"] == f"{of_slices['collect_audits']}/*"
    assert of_judge["audits"] == "/audits/judged"  # not a folder in which that of the slices lies
    assert of_judge["expected_hosts"] == "{{ groups['all'] }}"  # a template for the job
    for one in (slices, judge):
        credentials = awx.names("job_templates", one["id"], "credentials")
        assert sorted(credentials) == ["kubenode.doctor cluster", "kubenode.doctor nodes"]
        assert awx.names("job_templates", one["id"], "instance_groups") == ["kubenode.doctor"]


@pytest.mark.usefixtures("made")
def test_the_pods_of_all_jobs_mount_one_volume(awx: FakeAwx):
    pod = yaml.safe_load(awx.one("instance_groups", "kubenode.doctor")["pod_spec_override"])
    (worker,) = pod["spec"]["containers"]
    _slices, of_slices = template(awx, "kubenode.doctor slices")
    (mount,) = worker["volumeMounts"]
    assert of_slices["collect_audits"].startswith(mount["mountPath"] + "/")
    assert pod["spec"]["volumes"] == [{"name": mount["name"], "persistentVolumeClaim": {"claimName": "audits"}}]
    assert pod["spec"]["securityContext"] == {"runAsUser": 1000, "fsGroup": 1000}
    assert worker["name"] == "worker"  # AWX looks for it by this name


@pytest.mark.usefixtures("made")
def test_the_judge_runs_whatever_became_of_a_slice(awx: FakeAwx):
    first = awx.one("workflow_job_template_nodes", "slices")
    assert first["unified_job_template"] == awx.one("job_templates", "kubenode.doctor slices")["id"]
    assert awx.names("workflow_job_template_nodes", first["id"], "always_nodes") == ["judge"]
    last = awx.one("workflow_job_template_nodes", "judge")
    assert last["unified_job_template"] == awx.one("job_templates", "kubenode.doctor judge")["id"]
    schedule = awx.one("schedules", "kubenode.doctor audit")
    assert schedule["unified_job_template"] == awx.one("workflow_job_templates", "kubenode.doctor audit")["id"]


@pytest.mark.usefixtures("made")
def test_the_kubeconfig_reaches_the_audit_as_a_file(awx: FakeAwx):
    kind = awx.one("credential_types", "kubenode.doctor kubeconfig")
    assert kind["injectors"] == {
        "file": {"template": "{{ kubeconfig }}"},
        "env": {"K8S_AUTH_KUBECONFIG": "{{ tower.filename }}"},
    }
    assert awx.one("credentials", "kubenode.doctor cluster")["inputs"] == {
        "kubeconfig": "a: kubeconfig {{ not a template }}\n"
    }
    assert awx.one("credentials", "kubenode.doctor nodes")["inputs"] == {"ssh_key_data": "-----BEGIN the key-----\n"}


@pytest.mark.usefixtures("made")
def test_a_second_run_changes_nothing(awx: FakeAwx, words: list[str]):
    before = awx.writes
    run = diagnose(*words, name="awx", environment=awx.environment)
    assert run.status == 0, run.printed
    assert awx.writes == before


def test_what_would_not_work_is_refused_before_anything_is_made(awx: FakeAwx):
    before = awx.writes
    run = diagnose("-e", "awx_slices=many", name="awx", environment=awx.environment)
    assert run.status != 0
    assert awx.writes == before
    for message in (
        "awx_project_version: say which tag or commit of",
        "awx_image: say which image",
        "awx_volume_claim: say which claim all jobs can mount",
        "awx_credentials or awx_ssh_key_file: jobs need a key",
        "awx_slices=many: a whole number from 1 on",
    ):
        assert message in run.said
