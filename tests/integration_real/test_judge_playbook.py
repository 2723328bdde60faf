# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/judge.yml on a bundle of seed 000, after its nodes and its API server are gone: whole, in slices, and damaged in every way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import (
    Run,
    diagnose,
    needs_stage,
    read,
    variable,
)
from ansible_collections.kubenode.doctor.tests.support import seed_000
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi
from ansible_collections.kubenode.doctor.tests.support.stage import Stage
from ansible_collections.kubenode.doctor.tests.support.waiving import waiver

pytestmark = needs_stage

SHADOWS = "nodeport-shadows-listener"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The diagnosis that left the bundle; its nodes and its API server do not exist any more."""
    folder = tmp_path_factory.mktemp("seed")
    with Stage(folder) as stage, FakeApi() as api:
        seed_000.build(stage)
        seed_000.fill(api, endpoints=False)
        return diagnose("-i", stage.inventory(), "-e", f"kubeconfig={api.kubeconfig(folder / 'kubeconfig')}")


@pytest.fixture
def bundle(first: Run, tmp_path: Path) -> Path:
    """A copy, to be judged and damaged."""
    return Path(shutil.copytree(first.bundle, tmp_path / "bundle"))


def judge(bundle: Path | str, *words: str) -> Run:
    return diagnose("-e", f"bundle={bundle}", *words, name="judge")


def fingerprints(path: Path) -> list[str]:
    return sorted(finding["fingerprint"] for finding in read(path)["findings"])


def failing(run: Run) -> str:
    """What is said of the hosts that fail."""
    return " ".join(run.stdout.partition("fatal: [localhost]: FAILED!")[2].split())


def test_same_findings_and_same_verdict(first: Run, bundle: Path):
    (bundle / "findings.json").unlink()
    run = judge(bundle)
    assert run.status != 0
    assert "sick: ports: - 'CRITICAL: kubectl exec" in failing(run)
    assert "healthy" not in failing(run)
    assert fingerprints(bundle / "findings.json") == fingerprints(first.bundle / "findings.json")
    report = (first.bundle / "report.txt").read_text()
    assert (bundle / "report.txt").read_text() == report.replace(str(first.bundle), str(bundle))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("-e", "fail_on=warning"), [SHADOWS, "nodeport-range-overlaps-ephemeral"]),
        (("-e", "proxy_mode=nftables"), []),
        (("-e", "proxy_mode=nftables", "-e", "fail_on=warning"), ["nodeport-range-overlaps-ephemeral"]),
        (variable("waivers", [waiver(SHADOWS)]), []),
        # Every machine has opened that much.
        (
            ("-e", "fail_on=warning", *variable("thresholds", {"files_share": 1e-9})),
            [SHADOWS, "file-handles-near-limit"],
        ),
    ],
)
def test_other_settings_another_verdict(bundle: Path, words: tuple[str, ...], named: list[str]):
    run = judge(bundle, *words)
    assert (run.status != 0) is bool(named)
    assert all(rule in failing(run) for rule in named)
    assert (SHADOWS in failing(run)) is (SHADOWS in named)


def test_relative_path_is_seen_from_where_it_was_started(first: Run):
    # diagnose() starts each run in a new folder: two steps up from there lies the root of all paths.
    copy = shutil.copytree(first.bundle, first.folder / "copy")
    run = judge("../" + str(copy.relative_to(first.folder.parent)), "-e", "proxy_mode=nftables")
    assert run.status == 0, run.printed


def slice_of(bundle: Path, host: str, path: Path) -> Path:
    """What an audit of this host alone leaves."""
    shutil.copytree(bundle, path)
    audit = read(path / "audit.json")
    (path / "audit.json").write_text(json.dumps({**audit, "asked": [host]}))
    for file in set((path / "nodes").iterdir()) - {path / "nodes" / f"{host}.json"}:
        file.unlink()
    return path


def test_slices_are_judged_as_one(first: Run, bundle: Path, tmp_path: Path):
    for host in ("sick", "healthy"):
        slice_of(bundle, host, tmp_path / "slices" / host)
    run = judge(f"{tmp_path}/slices/sick,{tmp_path}/slices/healthy")
    assert run.status != 0
    assert "sick: ports: - 'CRITICAL: kubectl exec" in failing(run)
    assert fingerprints(run.bundle / "findings.json") == fingerprints(first.bundle / "findings.json")
    assert "joined: from sick (1 answer), healthy (1 answer)" in run.said
    assert {path.stat().st_mode & 0o777 for path in run.bundle.rglob("*.json")} == {0o600}


def test_what_is_missing_of_slices_is_told(bundle: Path, tmp_path: Path):
    slice_of(bundle, "healthy", tmp_path / "slices" / "healthy")
    cut(slice_of(bundle, "sick", tmp_path / "slices" / "sick") / "audit.json")
    (tmp_path / "nodes.ini").write_text("healthy\nsick\nlost\n")
    everybody = variable("expected_hosts", "{{ groups.all }}")
    run = diagnose("-i", tmp_path / "nodes.ini", "-e", f"bundles={tmp_path}/slices/*", *everybody, name="judge")
    assert run.status != 0  # although no finding fails: not everything was judged
    assert f"{tmp_path}/slices/sick/audit.json is damaged or half-written" in failing(run)
    assert [run.document["hosts"][host]["answered"] for host in ("healthy", "lost", "sick")] == [True, False, False]
    assert run.document["hosts"]["lost"]["why"] == "it is in none of the bundles that were joined"


def cut(path: Path) -> None:
    """Leave the first half, as a full disk does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_version_99(path: Path) -> None:
    path.write_text(json.dumps({**read(path), "schema": 99}))


def rubbish(path: Path) -> None:
    path.write_bytes(b"\x00\xff not JSON")


def no_object(path: Path) -> None:
    path.write_text("[]")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "is damaged or half-written"),
        (rubbish, "is damaged or half-written"),
        (no_object, "holds no JSON object"),
        (of_version_99, "has schema 99, this collection reads 1"),
        (Path.unlink, "no answer was stored (sick.json is not in the bundle)"),
    ],
)
def test_damaged_node_is_unknown_and_the_others_are_judged(bundle: Path, damage: Callable[[Path], None], reason: str):
    known = (bundle / "findings.json").read_bytes()
    damage(bundle / "nodes" / "sick.json")
    run = judge(bundle)
    assert run.status != 0  # not everything was judged
    assert "!! the bundle is damaged:" in run.said
    assert (bundle / "findings.previous.json").read_bytes() == known  # nothing lost
    document = read(bundle / "findings.json")
    assert reason in document["hosts"]["sick"]["why"]
    assert reason in run.said
    assert document["hosts"]["healthy"]["answered"]
    assert document["rules"][SHADOWS]["pass"] == document["rules"][SHADOWS]["unknown"] == 1


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "cluster.json is damaged or half-written"),
        (of_version_99, "cluster.json has schema 99, this collection reads 1"),
        (Path.unlink, "cluster.json does not exist"),
    ],
)
def test_damaged_cluster_answer_is_unknown(bundle: Path, damage: Callable[[Path], None], reason: str):
    damage(bundle / "cluster.json")
    run = judge(bundle)
    assert run.status != 0
    assert reason in run.said
    document = read(bundle / "findings.json")
    assert document["rules"][SHADOWS]["unknown"] == 2
    assert document["rules"]["nodeport-range-overlaps-ephemeral"]["fail"] == 1


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "audit.json is damaged or half-written"),
        (of_version_99, "audit.json has schema 99, this collection reads 1: judge it with the version"),
        (Path.unlink, "audit.json does not exist: this is no bundle, or an unfinished one"),
        (no_object, "audit.json holds no JSON object"),
    ],
)
def test_damaged_bundle_is_an_error_that_names_the_file(bundle: Path, damage: Callable[[Path], None], reason: str):
    damage(bundle / "audit.json")
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    run = judge(bundle)
    assert run.status != 0
    assert f"{bundle}/{reason}" in run.said
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before  # nothing is lost


def test_half_written_audit_of_which_nothing_but_the_beginning_is_there(bundle: Path):
    """A run that was killed before any node answered."""
    for path in [*(bundle / "nodes").iterdir(), bundle / "cluster.json", bundle / "findings.json"]:
        path.unlink()
    run = judge(bundle)
    assert run.status != 0
    assert "Nobody answered, so nothing was looked at" in run.said
    assert "no answer was stored (sick.json is not in the bundle)" in run.said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "say which bundle: -e bundle=audits/<time>"),
        (("-e", "bundle="), "the folder has no name"),
        (
            ("-e", "bundles=/nonexistent/*"),
            "/nonexistent/*: there is no such folder, and no folder fits it as a pattern",
        ),
        (("-e", "bundle=/nonexistent"), "/nonexistent/audit.json does not exist: this is no bundle"),
        (("-e", "bundle=/dev/null"), "/dev/null/audit.json cannot be read: Not a directory"),
    ],
)
def test_no_bundle(words: tuple[str, ...], message: str):
    run = diagnose(*words, name="judge")
    assert run.status != 0
    assert message in run.said
