# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""undo_record, and the action of that name: a record is there before a fix acts, says how it ended, and whether it can be undone."""

from __future__ import annotations

import json
import stat

import pytest
from ansible.errors import AnsibleActionFail

from ansible_collections.kubenode.doctor.plugins.action.undo_record import ActionModule
from ansible_collections.kubenode.doctor.plugins.plugin_utils import undo_record
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError

FIX = "container-name-conflict"
NO_UNDO = "no removed container comes back; what it was is kept on the node, in /var/lib/kubenode.doctor"
DOCUMENT = {"fix": FIX, "host": "master-1", "no_undo": NO_UNDO}


def act(**arguments):
    """What the action returns."""
    given = dict.fromkeys(("file", "hosts", "state", "bundle", "subject", "document"))
    return ActionModule.work(
        None, {**given, **{key: str(value) if key in ("file", "bundle") else value for key, value in arguments.items()}}
    )


def test_begun_ended_and_read(tmp_path):
    begun = act(bundle=tmp_path, document={"fix": "sync-clock", "host": "master-1", "change": "x", "store": "/s"})
    assert begun["file"] == str(tmp_path / "undo-sync-clock-master-1.json")
    assert stat.S_IMODE((tmp_path / "undo-sync-clock-master-1.json").stat().st_mode) == 0o600
    assert (
        begun["record"].items()
        >= {"schema": 1, "fix": "sync-clock", "host": "master-1", "change": "x", "state": "planned"}.items()
    )
    ended = act(file=begun["file"], state="applied", document={"removed": [1]})
    assert ended["record"] == {**begun["record"], "state": "applied", "removed": [1]}
    assert act(file=begun["file"], hosts=["master-1"]) == ended
    act(file=begun["file"], state="undone")
    with pytest.raises(AnsibleActionFail, match="it was undone already"):
        act(file=begun["file"])


def test_where_nothing_was_changed_there_is_no_record(tmp_path):
    begun = act(bundle=tmp_path, document=DOCUMENT)
    assert act(file=begun["file"], state="unchanged") == {"record": None, "file": None}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("state", "more"), [(None, "; whether all of it was carried out is not known"), ("applied", ""), ("failed", "")]
)
def test_what_cannot_be_undone(tmp_path, state, more):
    begun = act(bundle=tmp_path, document=DOCUMENT)
    if state:
        act(file=begun["file"], state=state)
    with pytest.raises(AnsibleActionFail) as caught:
        act(file=begun["file"], hosts=["master-1"])
    assert str(caught.value) == f"{begun['file']}: {FIX} on master-1 cannot be undone: {NO_UNDO}{more}"


def test_a_reason_moves_no_cursor(tmp_path):
    begun = act(bundle=tmp_path, document={**DOCUMENT, "no_undo": "\x1b[2J"})
    with pytest.raises(AnsibleActionFail, match=r"cannot be undone: \\x1b\[2J"):
        act(file=begun["file"])


def test_one_of_a_foreign_host(tmp_path):
    begun = act(bundle=tmp_path, document={"fix": "sync-clock", "host": "master-1"})
    with pytest.raises(AnsibleActionFail, match="is of host master-1, which is not among the hosts of this run"):
        act(file=begun["file"], hosts=["master-2"])


@pytest.mark.parametrize("more", [{}, {"change": "x"}, {"change": "x", "store": None}])
def test_one_that_does_not_say_what_to_bring_back(tmp_path, more):
    begun = act(bundle=tmp_path, document={"fix": "sync-clock", "host": "master-1", **more})
    with pytest.raises(AnsibleActionFail, match="does not say where the node keeps what was before"):
        act(file=begun["file"], hosts=["master-1"])


def test_one_of_the_cluster_has_a_subject(tmp_path):
    begun = act(bundle=tmp_path, document={"fix": "rollback-image", "host": None}, subject="1-2-app")
    assert begun["file"] == str(tmp_path / "undo-rollback-image-1-2-app.json")
    assert act(file=begun["file"], hosts=[])["record"]["host"] is None


def test_the_older_one_is_kept(tmp_path):
    first = act(bundle=tmp_path, document={**DOCUMENT, "number": 1})
    act(bundle=tmp_path, document={**DOCUMENT, "number": 2})
    assert json.loads((tmp_path / f"undo-{FIX}-master-1.previous.json").read_text("utf-8")) == first["record"]


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"fix": FIX},
        {"host": "a"},
        {"fix": "../x", "host": "a"},
        {"fix": 5, "host": "a"},
        {"fix": FIX, "host": None},
    ],
)
def test_a_record_of_nothing(tmp_path, document):
    with pytest.raises(BundleError, match="names the fix and its host"):
        act(bundle=tmp_path, document=document)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [{}, {"file": "a", "bundle": "b"}])
def test_what_it_is_to_do_is_said_once(arguments):
    with pytest.raises(AnsibleActionFail, match="either file or bundle is required"):
        act(**arguments)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2, "fix": "a", "host": "a", "state": "planned"}',
        '{"schema": 1, "fix": "a", "host": "a"}',
    ],
)
def test_what_is_no_record(tmp_path, text):
    file = tmp_path / "undo-a-a.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BundleError):
        act(file=file)


def test_what_undoes_it(tmp_path):
    assert undo_record.command(tmp_path / "a b").startswith("ansible-playbook kubenode.doctor.undo -e 'record=")
