# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle on disk: written whole or not at all, private, and readable however badly it was treated."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import subprocess
import sys

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import whole_file
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, judge, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle, BundleError
from ansible_collections.kubenode.doctor.tests.support import findings_schema
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import captured, kubernetes_136

HOSTILE = [
    "node-a",
    "node-a.example.com",
    "../../etc/cron.d/x",
    "/etc/passwd",
    "..",
    ".hidden",
    "a b\tc\n",
    "ядро-1",
    "\udcff\udcfe",
    "{{ 7 * 7 }}",
    "$(reboot)",
    "CON",
    "x" * 500,
    "й" * 300,
    "y" * 250 + "/..",
]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "audits" / "20261121T080000Z"
    bundle.create(path, HOSTILE, {"version": "0.1.0"})
    return path


@pytest.fixture
def full(folder):
    bundle.write(folder / "cluster.json", kubernetes_136())
    for host in HOSTILE:
        bundle.write_answer(folder, host, captured("node-a"))
    return folder


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_whatever_a_host_is_called_its_file_lies_in_nodes(full):
    files = [bundle.node_file(full, host) for host in HOSTILE]
    assert len(set(files)) == len(HOSTILE)
    assert {path.parent for path in files} == {full / "nodes"}
    assert sorted(os.listdir(full / "nodes")) == sorted(path.name for path in files)
    for path in files:
        assert len(os.fsencode(path.name)) <= 255
        assert re.fullmatch(r"[A-Za-z0-9_~%-][A-Za-z0-9_.~%-]*\.json", path.name)


def test_two_long_names_with_one_beginning_have_two_files(folder):
    assert bundle.node_file(folder, "x" * 500) != bundle.node_file(folder, "x" * 501)


def test_what_was_written_is_read(full):
    read = Bundle(full)
    assert read.hosts == sorted(HOSTILE)
    assert [node["host"] for node in read.nodes()] == sorted(HOSTILE)
    assert all(node["answered"] and node["snapshot"] == captured("node-a") for node in read.nodes())
    assert read.cluster() == kubernetes_136()


def test_nobody_else_may_read_it(full):
    assert mode(full) == mode(full / "nodes") == 0o700
    assert {mode(path) for path in full.rglob("*.json")} == {0o600}


def test_a_folder_that_was_there_already_is_closed_to_others(tmp_path):
    (tmp_path / "audit").mkdir(mode=0o755)
    bundle.create(tmp_path / "audit", [], {})
    assert mode(tmp_path / "audit") == 0o700


def test_only_plain_text_is_stored(folder):
    path = bundle.write_silence(folder, "node-a", "\x1b[31mred\u202e\udcff")
    assert path.read_bytes().isascii()
    assert b"\x1b" not in path.read_bytes()
    assert Bundle(folder).node("node-a")["why"] == "\x1b[31mred\u202e\udcff"


def test_a_used_folder_is_not_used_again(full):
    before = {path: path.read_bytes() for path in full.rglob("*.json")}
    with pytest.raises(BundleError, match=r"20261121T080000Z already holds an audit: choose another folder"):
        bundle.create(full, ["node-b"], {})
    assert {path: path.read_bytes() for path in full.rglob("*.json")} == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="file/audit: Not a directory"):
        bundle.create(tmp_path / "file" / "audit", [], {})


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), UnicodeError("x")])
def test_a_write_that_fails_leaves_the_old_file_and_no_new_one(full, monkeypatch, error):
    path = bundle.node_file(full, "node-a")
    before, names = path.read_bytes(), sorted(os.listdir(full / "nodes"))

    def fail(*_arguments):
        raise error

    monkeypatch.setattr(whole_file.os, "replace", fail)
    with pytest.raises(BundleError if isinstance(error, OSError) else type(error)) as caught:
        bundle.write_silence(full, "node-a", "late")
    if isinstance(error, OSError):
        assert str(caught.value) == f"{path} could not be written: No space left on device"
    assert path.read_bytes() == before
    assert sorted(os.listdir(full / "nodes")) == names


def test_text_that_has_no_bytes_leaves_nothing_behind(folder):
    with pytest.raises(UnicodeEncodeError):
        bundle.write_text(folder / "report.txt", "\udcff")
    assert sorted(os.listdir(folder)) == ["audit.json", "nodes"]


def test_a_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"gone/cluster\.json could not be written: No such file or directory"):
        bundle.write(tmp_path / "gone" / "cluster.json", {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"audit\.json does not exist: this is no bundle, or an unfinished one"),
        (b"", r"audit\.json is damaged or half-written"),
        (b'{"schema": 1, "asked": ["node-a"', r"audit\.json is damaged or half-written"),
        (b"\xff\xfe", r"audit\.json is damaged or half-written"),
        (b"[" * 100_000, r"audit\.json is damaged or half-written"),
        (b"[]", r"audit\.json holds no JSON object"),
        (b'{"asked": []}', r"audit\.json has schema None, this collection reads 1: judge it with the version"),
        (
            b'{"schema": 2, "asked": []}',
            r"audit\.json has schema 2, this collection reads 1: judge it with the version",
        ),
        (b'{"schema": 1}', r"audit\.json: 'asked' is no list of hosts"),
        (b'{"schema": 1, "asked": [1]}', r"audit\.json: 'asked' is no list of hosts"),
    ],
)
def test_a_folder_that_is_no_bundle(full, content, message):
    (full / "audit.json").unlink()
    if content is not None:
        (full / "audit.json").write_bytes(content)
    with pytest.raises(BundleError, match=message):
        Bundle(full)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "no answer was stored (node-a.json is not in the bundle)"),
        (b'{"schema":1,"host":"node-a","answered":true,"snapsh', "node-a.json is damaged or half-written"),
        (b"null", "node-a.json holds no JSON object"),
        (b'{"schema": 7}', "node-a.json has schema 7, this collection reads 1"),
        (b'{"schema": 1, "answered": true, "snapshot": {}}', "node-a.json: there is no snapshot in it"),
        (b'{"schema": 1, "answered": true, "snapshot": {"sections": []}}', "node-a.json: there is no snapshot in it"),
        (b'{"schema": 1, "answered": false, "why": null}', "no reason was stored"),
        (b'{"schema": 1, "answered": false, "why": {"a": 1}}', "{'a': 1}"),
    ],
)
def test_a_damaged_answer_is_an_unknown_host_and_the_others_stay(full, content, why):
    path = bundle.node_file(full, "node-a")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    damaged = Bundle(full).node("node-a")
    assert not damaged["answered"]
    assert damaged["snapshot"] is None
    assert why in damaged["why"]
    document = judge.judge(Bundle(full), settings.read({}))
    assert not document["hosts"]["node-a"]["answered"]
    assert sum(host["answered"] for host in document["hosts"].values()) == len(HOSTILE) - 1
    assert document["rules"]["component-port-taken"]["unknown"] == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 1),
        ("started", ["\x1b[2J"]),
        ("earlier", [1e308]),
        ("earlier", "20261101T080000Z"),
        ("later", {}),
        ("limits", []),
        ("joined", {"bundles": 5}),
        ("joined", {"bundles": [{"name": "a", "answers": 1}], "more": 0, "told": []}),
        ("joined", {"bundles": [], "more": True, "told": []}),
        ("joined", {"bundles": [], "more": 0, "told": [1]}),
        ("damaged", [1]),
    ],
)
def test_what_an_audit_says_of_itself_is_repeated_where_it_has_the_form(full, key, value):
    bundle.write(full / "audit.json", {**Bundle(full).audit, key: value, "of_a_newer_version": 1})
    document = judge.judge(Bundle(full), settings.read({}))
    findings_schema.check(document)
    assert document["audit"].keys() == {"schema", "version"} - {key}
    why = f"audit.json: {key!r} is not of the form that this collection writes, and was left out"
    assert why in document["damaged"]


def test_a_closed_folder_is_told(full, monkeypatch):
    def refuse(*_arguments, **_named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(bundle.Path, "exists", refuse)
    assert "nodes/node-a.json cannot be read: Permission denied" in Bundle(full).node("node-a")["why"]
    with pytest.raises(BundleError, match=r"audit\.json cannot be read: Permission denied"):
        Bundle(full).beside("x")


def test_a_larger_file_than_any_node_writes_is_not_read(full, monkeypatch):
    monkeypatch.setattr(bundle, "_NODE_BYTES", 1 << 20)
    bundle.node_file(full, "node-a").write_bytes(b" " * ((1 << 20) + 1))
    assert "is larger than 1 MiB" in Bundle(full).node("node-a")["why"]


@pytest.mark.parametrize(("size", "answered"), [(1 << 19, True), ((1 << 20) + 1, False)])
def test_a_file_whose_size_is_not_told_is_read_to_its_end_or_to_what_is_too_large(full, monkeypatch, size, answered):
    path = bundle.node_file(full, "node-a")
    path.write_bytes(path.read_bytes().ljust(size))
    monkeypatch.setattr(bundle, "_NODE_BYTES", 1 << 20)
    fstat = os.fstat
    read = Bundle(full)
    monkeypatch.setattr(os, "fstat", lambda fd: os.stat_result((*fstat(fd)[:6], 0, *fstat(fd)[7:10])))
    node = read.node("node-a")
    assert node["answered"] is answered
    assert answered or "is larger than 1 MiB" in node["why"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (None, "cluster.json does not exist"),
        (lambda text: text[: len(text) // 2], "cluster.json is damaged or half-written"),
        (lambda text: text.replace('"schema":1', '"schema":"1"'), "cluster.json has schema '1'"),
        (lambda text: json.dumps({**json.loads(text), "services": {}}), "'services' is no list of objects"),
        (lambda text: json.dumps({**json.loads(text), "nodes": ["node-a"]}), "'nodes' is no list of objects"),
        (lambda text: json.dumps({**json.loads(text), "pods": 5}), "'pods' is no list of objects"),
        (lambda text: json.dumps({**json.loads(text), "pods_of": [5]}), "'pods_of' is no list of Nodes"),
        (lambda text: json.dumps({**json.loads(text), "pods": [{"node": ["a"]}]}), "a pod's 'node' is no name"),
        (lambda text: json.dumps({**json.loads(text), "missing": [{"what": 1}]}), "'missing' is no list of reasons"),
        (lambda text: json.dumps({**json.loads(text), "missing": None}), "'missing' is no list of reasons"),
        (lambda text: text.replace('"ports":', '"doors":'), "is not of the form that this collection writes: KeyError"),
        (
            lambda text: text.replace('"internal_ips":["192.0.2.2"]', '"internal_ips":5'),
            "is not of the form that this collection writes",
        ),
    ],
)
def test_a_damaged_cluster_is_an_unknown_one_and_the_nodes_are_judged(full, change, why):
    path = full / "cluster.json"
    text = path.read_text()
    path.unlink()
    if change is not None:
        assert change(text) != text
        path.write_text(change(text))
    document = judge.judge(Bundle(full), settings.read({}))
    assert document["cluster"]["services"] is None
    assert why in document["cluster"]["missing"][0]["why"]
    assert document["rules"]["nodeport-shadows-listener"]["unknown"] == len(HOSTILE)
    assert document["rules"]["component-port-taken"]["pass"] == len(HOSTILE)


def test_a_list_that_could_not_be_read_keeps_its_reason(full):
    reason = {"what": "nodes", "why": "403: forbidden"}
    bundle.write(full / "cluster.json", {**kubernetes_136(), "nodes": None, "missing": [reason]})
    assert Bundle(full).cluster()["missing"] == [reason]


def test_an_older_bundle_says_what_it_lacks(full):
    older = kubernetes_136()
    for kind in ("pods", "events", "deployments", "replica_sets", "pods_of"):
        older.pop(kind, None)
    for node in older["nodes"]:
        for key in ("architecture", "os", "shared_images"):
            del node[key]
    for service in older["services"]:
        del service["created"], service["load_balancer_names"]
    bundle.write(full / "cluster.json", {**older, "complete": True, "missing": []})
    cluster = Bundle(full).cluster()
    why = "this bundle is older than the version of kubenode.doctor that began to read them: collect again"
    assert cluster["missing"] == [
        {"what": what, "why": why} for what in ("Pods", "Deployments", "ReplicaSets", "Events")
    ]
    assert (cluster["complete"], cluster["pods"], cluster["pods_of"]) == (False, None, None)
    assert {node["architecture"] for node in cluster["nodes"]} == {None}
    assert [node["shared_images"] for node in cluster["nodes"]] == [[]]
    for key in ("created", "load_balancer_names"):
        assert {service[key] for service in cluster["services"]} == {None}


def test_a_kind_that_is_null_is_no_older_bundle(full):
    reason = {"what": "Pods", "why": "403: forbidden"}
    bundle.write(
        full / "cluster.json", {**bundle.silent_cluster(""), **kubernetes_136(), "pods": None, "missing": [reason]}
    )
    assert Bundle(full).cluster()["missing"] == [reason]


def test_what_is_written_over_is_kept_under_another_name(folder):
    path, kept = folder / "findings.json", folder / "findings.previous.json"
    for number in range(3):
        bundle.write_over(path, {"number": number}, kept.name)
        assert json.loads(path.read_text()) == {"number": number}
    assert json.loads(kept.read_text()) == {"number": 1}
    assert {entry.name for entry in folder.glob("*")} == {"audit.json", "nodes", path.name, kept.name}


def test_without_hard_links_it_is_copied(folder, monkeypatch):
    def refuse(*_names):
        raise OSError(errno.EPERM, "Operation not permitted")

    path = folder / "findings.json"
    bundle.write_over(path, {"number": 0}, "kept.json")
    monkeypatch.setattr(bundle.os, "link", refuse)
    bundle.write_over(path, {"number": 1}, "kept.json")
    assert json.loads((folder / "kept.json").read_text()) == {"number": 0}


def test_what_cannot_be_kept_is_told_and_leaves_all_as_it_was(folder, monkeypatch):
    def refuse(*_names):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = folder / "findings.json"
    bundle.write_over(path, {"number": 0}, "kept.json")
    monkeypatch.setattr(bundle.os, "link", refuse)
    monkeypatch.setattr(bundle.shutil, "copy", refuse)
    with pytest.raises(bundle.BundleError, match=r"kept\.json could not be written: No space left on device"):
        bundle.write_over(path, {"number": 1}, "kept.json")
    assert {entry.name for entry in folder.glob("*")} == {"audit.json", "nodes", path.name}


_WRITERS = """
import itertools, sys
from pathlib import Path
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle
folder = Path(sys.argv[1])
print("ready", flush=True)
for number in itertools.count():
    bundle.write_answer(folder, f"host-{number % 7}", {"sections": {}, "text": "x" * (number % 50) * 1000})
    bundle.write_over(folder / "findings.json", {"number": number}, "findings.previous.json")
"""


def test_two_writers_that_are_killed_leave_nothing_half(folder):
    # Each runs until it is killed, wherever it is then; a file is whole, or has the name of one that never was.
    (folder / "nodes").mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _time in range(3):
        command = [sys.executable, "-c", _WRITERS, str(folder)]
        writers = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
            for _one in range(2)
        ]
        for writer in writers:
            assert writer.stdout.readline() == b"ready\n", writer.communicate()[1]
        while not (folder / "findings.previous.json").exists():
            assert [writer.communicate()[1] for writer in writers if writer.poll() is not None] == []
        for writer in writers:
            writer.kill()
            assert writer.communicate()[1] == b""
        for path in [*folder.glob("*.json"), *folder.glob("nodes/*.json")]:
            json.loads(path.read_text())
        assert (folder / "findings.json").exists()
        (folder / "findings.previous.json").unlink()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_no_json_has_are_damage(full, number):
    path = bundle.node_file(full, "a")
    path.write_text(
        '{"schema": 1, "host": "a", "answered": true, "why": null, "snapshot": {"sections": {"host": {"x": %s}}}}'
        % number
    )
    told = bundle.Bundle(full).node("a")
    assert told["answered"] is False
    assert f"{number} is no JSON" in told["why"]


def test_a_snapshot_of_another_version_is_an_answer_that_is_not_there(full):
    path = bundle.node_file(full, "a")
    path.write_text(
        '{"schema": 1, "host": "a", "answered": true, "why": null, "snapshot": {"schema": 2, "sections": {}}}'
    )
    told = bundle.Bundle(full).node("a")
    assert told["answered"] is False
    assert "has schema 2, this collection reads 1" in told["why"]


@pytest.mark.parametrize("length", [0, 1, 2, bundle._SLICE, bundle._SLICE + 1, 2 * bundle._SLICE + 3])
def test_a_long_document_is_written_as_a_short_one_is(tmp_path, length):
    entries = [{"é": number, "of": [number]} for number in range(length)]
    document = {"first": entries, "none": None, 'a "key"': dict.fromkeys(map(str, entries), "\x1b"), "last": [[]]}
    bundle.write(tmp_path / "long.json", document)
    assert (tmp_path / "long.json").read_text("ascii") == json.dumps(document, separators=(",", ":")) + "\n"


def test_what_is_no_json_in_the_midst_of_a_long_document_leaves_no_file(tmp_path):
    with pytest.raises(bundle.BundleError, match="not to be written as JSON"):
        bundle.write(tmp_path / "long.json", {"all": [*range(2 * bundle._SLICE), float("nan")]})
    assert os.listdir(tmp_path) == []
