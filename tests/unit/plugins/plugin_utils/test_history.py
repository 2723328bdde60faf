# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which audits go, which stay and why; nothing that this collection did not make is ever touched."""

from __future__ import annotations

import datetime
import os
import shutil
from types import SimpleNamespace

import pytest

from ansible_collections.kubenode.doctor.plugins.action import history as action
from ansible_collections.kubenode.doctor.plugins.module_utils import whole_file
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, history, report_forms, undo_record
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import SettingsError

NOW = datetime.datetime(2026, 11, 22, 9, 0, tzinfo=datetime.timezone.utc)


def name(day):
    return f"202611{day:02}T080000Z"


def store(folder, day, *files):
    """An audit of a day with all that one may leave, and more ``files``."""
    path = folder / name(day)
    bundle.create(path, ["node-a"], {"started": f"2026-11-{day:02}T08:00:00+00:00"})
    bundle.write_silence(path, "node-a", "No route to host")
    written = [form.file for form in report_forms.FORMS.values()]
    for file in (
        "cluster.json",
        "findings.json",
        "findings.previous.json",
        "announced.json",
        *written,
        *files,
    ):
        (path / file).write_text("{}")
    for place in (path, path / "nodes"):
        write_and_be_killed(place / "x.json")
    return path


def write_and_be_killed(path):
    """Leave what a write leaves that nothing could tidy up after."""

    def be_killed(*_paths):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_file.os, "replace", be_killed)
        patch.setattr(whole_file.os, "unlink", lambda _path: None)
        with pytest.raises(KeyboardInterrupt):
            whole_file.write(str(path), ["half"])


def prune(current, count=0, days=0, dry=False):
    pruned = history.prune(current, count, days, NOW, dry)
    return pruned.removed, pruned.kept


def left(folder):
    return sorted(os.listdir(folder))


@pytest.fixture
def audits(tmp_path):
    """Audits of five days; the last one is the current."""
    for day in (18, 19, 20, 21, 22):
        store(tmp_path, day)
    return tmp_path


@pytest.mark.parametrize(
    ("count", "days", "gone"),
    [
        (0, 0, []),
        (5, 0, []),
        (9, 0, []),
        (4, 0, [18]),
        (2, 0, [18, 19, 20]),
        (1, 0, [18, 19, 20, 21]),
        (0, 1, [18, 19, 20, 21]),
        (0, 2, [18, 19, 20]),
        (0, 5, []),
        (4, 2, [18, 19, 20]),
        (2, 9, [18, 19, 20]),
    ],
)
def test_by_count_and_by_age(audits, count, days, gone):
    current = audits / name(22)
    assert prune(current, count, days, dry=True) == ([name(day) for day in gone], {})
    assert len(left(audits)) == 5
    assert prune(current, count, days) == ([name(day) for day in gone], {})
    assert left(audits) == [name(day) for day in range(18, 23) if day not in gone]


def test_this_audit_and_later_ones_stay(audits):
    assert prune(audits / name(19), count=1, days=1) == ([name(18)], {})
    assert left(audits) == [name(day) for day in (19, 20, 21, 22)]


@pytest.mark.parametrize(
    "file",
    [
        "notes.txt",
        ".htpasswd",
        ".my_notes",
        "audit.json.bak",
        "undo.json",
        "nodes/notes.txt",
        "nodes/mine.json",
        "nodes/undo-a-b.json",
    ],
)
def test_an_audit_in_which_somebody_put_something_stays(audits, file):
    (audits / name(18) / file).write_text("mine")
    removed, kept = prune(audits / name(22), count=1)
    assert removed == [name(day) for day in (19, 20, 21)]
    assert kept == {
        name(18): f"{os.path.basename(file)!r} in it is of nobody known: move it away to have the audit removed"
    }
    assert (audits / name(18) / file).read_text() == "mine"


@pytest.mark.parametrize("place", ["more", "nodes/more", "nodes/more.json"])
def test_an_audit_with_another_folder_in_it_stays(audits, place):
    (audits / name(18) / place).mkdir()
    assert list(prune(audits / name(22), count=1)[1]) == [name(18)]


@pytest.mark.parametrize("place", ["findings.json", "nodes/node-b.json", "nodes"])
def test_nothing_is_removed_through_a_link(audits, tmp_path_factory, place):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "kept.json").write_text("{}")
    link = audits / name(18) / place
    if link.is_dir():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)
    link.symlink_to(outside)
    assert list(prune(audits / name(22), count=1)[1]) == [name(18)]
    assert left(outside) == ["kept.json"]


def test_a_link_to_an_audit_is_left_alone(audits, tmp_path_factory):
    elsewhere = store(tmp_path_factory.mktemp("elsewhere"), 17)
    (audits / name(17)).symlink_to(elsewhere)
    assert prune(audits / name(22), count=1)[0] == [name(day) for day in (18, 19, 20, 21)]
    assert elsewhere.is_dir()
    assert (audits / name(17)).is_symlink()


def test_what_is_no_audit_stays_and_is_told(audits):
    (audits / "backup").mkdir()
    (audits / "backup" / "precious").write_text("")
    (audits / "notes.txt").write_text("")
    (audits / name(18) / "audit.json").write_text('{"schema": 1, "asked": []}')
    _removed, kept = prune(audits / name(22), count=1)
    assert sorted(kept) == [name(18), "backup"]
    assert "precious" in left(audits / "backup")
    assert "notes.txt" in left(audits)


@pytest.mark.parametrize(
    ("record", "stays"),
    [
        ({"state": "applied"}, True),
        ({"state": "planned"}, True),
        ({"state": "failed"}, True),
        ({"state": "undone"}, False),
        ({"state": "applied", "no_undo": "nothing brings it back"}, False),
        ({"state": "planned", "no_undo": "nothing brings it back"}, True),
    ],
)
def test_the_way_back_of_a_fix_stays(audits, record, stays):
    document = {"schema": 1, "fix": "sync-clock", "host": "node-a", **record}
    file = undo_record.path(audits / name(18), "sync-clock", "node-a")
    bundle.write(file, document)
    removed, kept = prune(audits / name(22), count=1)
    assert (name(18) in kept, name(18) in removed) == (stays, not stays)
    if stays:
        assert (
            kept[name(18)] == f"it holds the way back of a fix: ansible-playbook kubenode.doctor.undo -e record={file}"
        )


def test_an_older_record_of_the_same_fix_counts_too(audits):
    document = {"fix": "sync-clock", "host": "node-a"}
    undo_record.begin(audits / name(18), document)
    file = undo_record.begin(audits / name(18), document)
    undo_record.end(file, "undone")
    assert list(prune(audits / name(22), count=1)[1]) == [name(18)]


def test_a_record_that_cannot_be_read_is_no_reason_to_remove_it(audits):
    (audits / name(18) / "undo-sync-clock-node-a.json").write_text("half")
    assert "cannot be read" in prune(audits / name(22), count=1)[1][name(18)]


def test_an_audit_that_may_still_be_running_stays(tmp_path):
    running, dead, current = store(tmp_path, 21), store(tmp_path, 20), store(tmp_path, 22)
    for path in (running, dead):
        (path / "findings.json").unlink()
    bundle.write(
        running / "audit.json", {**bundle.read(running / "audit.json"), "started": "2026-11-22T07:00:00+00:00"}
    )
    judged = store(tmp_path, 19)
    bundle.write(judged / "audit.json", {**bundle.read(judged / "audit.json"), "started": "2026-11-22T07:30:00+00:00"})
    removed, kept = prune(current, count=1)
    assert removed == [dead.name, judged.name]
    assert kept == {running.name: "it was not judged and began less than a day ago, so it may still be running"}


@pytest.mark.parametrize("gone", [0, 1, 5, -1])
def test_what_a_killed_run_left_is_removed(audits, monkeypatch, gone):
    """Whenever it is killed: what is left still says that it is an audit."""
    unlink, count = history.Path.unlink, iter(range(gone)) if gone >= 0 else None

    def until_killed(path):
        if count is None or next(count, None) is not None:
            return unlink(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(history.Path, "unlink", until_killed)
    monkeypatch.setattr(history.Path, "rmdir", until_killed)
    with pytest.raises(KeyboardInterrupt) if gone >= 0 else pytest.raises(IsADirectoryError):
        history._delete((audits / name(18)).rename(audits / f".{name(18)}.removed"))
    monkeypatch.undo()
    assert prune(audits / name(22), count=9) == ([], {})
    assert left(audits) == [name(day) for day in (19, 20, 21, 22)]


def a_key_and_no_audit(path):
    shutil.rmtree(path)
    (path / "nodes").mkdir(parents=True)
    (path / "nodes" / "cluster-ca.json").write_text("{}")
    (path / ".htpasswd").write_text("")


def a_fix_that_can_be_undone(path):
    bundle.write(
        undo_record.path(path, "sync-clock", "node-a"),
        {"schema": 1, "fix": "sync-clock", "host": "node-a", "state": "applied"},
    )


def something_of_somebody(path):
    (path / "thesis").write_text("")


@pytest.mark.parametrize(
    ("hide", "why"),
    [
        (a_key_and_no_audit, "it is no audit: "),
        (a_fix_that_can_be_undone, "it holds the way back of a fix: "),
        (something_of_somebody, "'thesis' in it is of nobody known"),
    ],
)
def test_what_only_has_such_a_name_stays_and_is_told(audits, hide, why):
    hide(audits / name(18))
    (audits / name(18)).rename(audits / ".18.removed")
    before = sorted(audits.rglob("*"))
    removed, kept = prune(audits / name(22), count=9)
    assert removed == []
    assert kept[".18.removed"].startswith(why)
    assert sorted(audits.rglob("*")) == before


def test_a_way_back_that_is_stored_meanwhile_stays(audits, monkeypatch):
    """A fix stores its record after the audit was looked at, and before it is taken away."""
    way_back, calls = history._way_back, []

    def meanwhile(folder):
        why = way_back(folder)
        if not calls:
            a_fix_that_can_be_undone(folder)
        calls.append(folder)
        return why

    monkeypatch.setattr(history, "_way_back", meanwhile)
    removed, kept = prune(audits / name(22), count=4)
    assert (removed, list(kept)) == ([], [name(18)])
    assert f"record={audits / name(18)}/undo-" in kept[name(18)]
    assert left(audits) == [name(day) for day in (18, 19, 20, 21, 22)]


def test_two_runs_at_once(audits, monkeypatch):
    """Another run removes one that this one has chosen."""
    foreign = history._foreign

    def meanwhile(folder):
        if folder.name == name(19):
            shutil.rmtree(folder)
        return foreign(folder)

    monkeypatch.setattr(history, "_foreign", meanwhile)
    assert prune(audits / name(22), count=2) == ([name(18), name(20)], {})
    assert left(audits) == [name(21), name(22)]


def test_what_cannot_be_removed_is_told(audits, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(history.shutil, "rmtree", refuse)
    assert prune(audits / name(22), count=4) == ([], {name(18): "it could not be removed: Permission denied"})


def test_what_is_no_audit_has_no_history(tmp_path):
    with pytest.raises(BundleError, match="this is no bundle"):
        history.prune(tmp_path, 1, 0, NOW)
    bundle.create(tmp_path / "x", [], {})
    with pytest.raises(BundleError, match="does not say when it began"):
        history.prune(tmp_path / "x", 1, 0, NOW)


def run(check=False, **arguments):
    plugin = object.__new__(action.ActionModule)
    plugin._task = SimpleNamespace(check_mode=check)
    return plugin.work({"keep_count": 0, "keep_days": 0, **arguments})


def test_the_action(audits):
    (audits / "backup").mkdir()
    current = str(audits / name(22))
    assert run(bundle=current) == {"changed": False, "removed": [], "kept_because": {}}
    foreseen, done = run(True, bundle=current, keep_count=4), run(bundle=current, keep_count=4)
    assert foreseen == done
    assert (done["changed"], done["removed"], list(done["kept_because"])) == (True, [name(18)], ["backup"])
    assert done["warnings"] == [f"backup is kept beside the audits: {done['kept_because']['backup']}"]


@pytest.mark.parametrize("wrong", [{"keep_count": -1}, {"keep_days": -1}, {"keep_days": 10**9}])
def test_numbers_that_cannot_be(audits, wrong):
    with pytest.raises(SettingsError, match="is no number from 0"):
        run(bundle=str(audits / name(22)), **wrong)
