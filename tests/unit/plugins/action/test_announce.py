# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""announce's action plugin: two ways that do not know of each other, and what is kept of them from audit to audit."""

from __future__ import annotations

import json
import stat
from types import SimpleNamespace

import pytest

from ansible_collections.kubenode.doctor.plugins.action import announce
from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle, delivery, judge
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import SettingsError

LEAK = {
    "fingerprint": "4bd17f6d05b3ea1a",
    "rule": "leak",
    "host": "a",
    "status": "fail",
    "severity": "critical",
    "object": "java",
    "title": "java leaks",
    "explanation": "it never closes",
    "evidence": [],
    "change": "new",
    "first_seen": None,
    "waived": None,
}


class Action(announce.ActionModule):
    """The plugin without Ansible around it."""

    def __init__(self, check_mode=False):
        self._task = SimpleNamespace(check_mode=check_mode)

    def __call__(self, audit, webhook_file=None, command=(), seconds=5):
        path = audit and str(audit)
        return self.work({"bundle": path, "webhook_file": webhook_file, "command": list(command), "seconds": seconds})


@pytest.fixture
def audit(tmp_path):
    """A judged audit with one critical finding."""
    folder = tmp_path / "audits" / "1"
    bundle.create(folder, ["a"], {"started": "2026-11-22T04:00:00+00:00"})
    document = {
        "schema": judge.SCHEMA,
        "audit": {"started": "2026-11-22T04:00:00+00:00"},
        "rules": {"leak": {"scope": "node"}},
        "hosts": {"a": {"not_applicable": []}},
        "cluster": {"not_applicable": []},
        "findings": [LEAK],
    }
    bundle.write(folder / "findings.json", document)
    return folder


@pytest.fixture
def hook(tmp_path, monkeypatch):
    """A webhook's file, and what was posted; ``fail`` makes it fail."""
    file = tmp_path / "hook.yml"
    file.write_text("url: http://a.example/s3cret")
    file.chmod(0o600)
    there = SimpleNamespace(file=str(file), posted=[], fail=False)

    def post(webhook, document, seconds):
        assert (webhook.url, seconds) == ("http://a.example/s3cret", 5)
        if there.fail:
            raise delivery.DeliveryError("nobody is there")
        there.posted.append(document)

    monkeypatch.setattr(delivery, "post", post)
    return there


def state(audit):
    return json.loads((audit.parent / "announced.json").read_text())["told"]


def test_it_is_told_once(audit, hook):
    assert Action()(audit, hook.file) == {
        "critical": 1,
        "announced": {"webhook": 1},
        "problems": [],
        "file": str(audit.parent / "announced.json"),
    }
    assert Action()(audit, hook.file)["announced"] == {"webhook": 0}
    assert [one["findings"][0]["title"] for one in hook.posted] == ["java leaks"]
    assert stat.S_IMODE((audit.parent / "announced.json").stat().st_mode) == 0o600


def test_what_one_way_cannot_deliver_the_other_does_and_the_next_audit_tries_again(audit, hook, tmp_path):
    out = tmp_path / "out"
    command = ("sh", "-c", f"cat >>{out}")
    hook.fail = True
    told = Action()(audit, hook.file, command)
    assert told["announced"] == {"webhook": 0, "command": 1}
    assert told["problems"] == ["1 critical findings could not be announced (webhook): nobody is there"]
    assert {way: list(of_way) for way, of_way in state(audit).items()} == {
        "webhook": [],
        "command": [LEAK["fingerprint"]],
    }
    hook.fail = False
    assert Action()(audit, hook.file, command)["announced"] == {"webhook": 1, "command": 0}
    assert len(out.read_text().splitlines()) == len(hook.posted) == 1


def test_without_a_way_it_only_counts(audit):
    assert Action()(audit) == {"critical": 1, "announced": {}, "problems": [], "file": None}
    assert not (audit.parent / "announced.json").exists()


def test_check_mode_tells_nobody_and_remembers_nothing(audit, hook):
    assert Action(check_mode=True)(audit, hook.file)["announced"] == {"webhook": 0}
    assert hook.posted == []
    assert not (audit.parent / "announced.json").exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 1, "told": 5}', "[" * 100_000])
def test_a_damaged_memory_is_said_and_all_is_told_again(audit, hook, text):
    (audit.parent / "announced.json").write_text(text)
    told = Action()(audit, hook.file)
    assert told["announced"] == {"webhook": 1}
    (problem,) = told["problems"]
    assert "announced.json cannot be used" in problem
    assert Action()(audit, hook.file)["problems"] == []


def test_mistakes_show_before_an_audit(tmp_path):
    with pytest.raises(SettingsError, match=r"announcements: .*hook.yml cannot be read"):
        Action()(None, str(tmp_path / "hook.yml"))
    with pytest.raises(SettingsError, match="announcements: no-such-program is no program"):
        Action()(None, command=["no-such-program"])
    with pytest.raises(SettingsError, match="announcements: seconds=0: a number above 0"):
        Action()(None, seconds=0)
    assert Action()(None) == {}


def test_a_webhook_that_cannot_be_used_any_more_loses_no_audit(audit, hook):
    told = Action()(audit, hook.file + ".none", ("cat",))
    assert told["announced"] == {"webhook": 0, "command": 1}
    assert "(webhook): " in told["problems"][0]
    with pytest.raises(SettingsError, match="announcements: seconds=-1: "):
        Action()(audit, hook.file, seconds=-1)


def test_a_bundle_that_was_not_judged_is_refused(audit):
    (audit / "findings.json").unlink()
    with pytest.raises(bundle.BundleError, match="judge the bundle first"):
        Action()(audit)
