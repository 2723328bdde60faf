# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""journalctl: how it is asked, by version, and what becomes of what it complains of."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import journalctl
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.journalctl import Journalctl, JournalctlError, Reading
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import Told
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.fake_journalctl import FakeJournalctl

SECONDS = 60.0
KUBELET = ["_SYSTEMD_UNIT=kubelet.service"]
OLD = "systemd 219\n+PAM -PCRE2"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    made = FakeJournalctl(tmp_path)
    monkeypatch.setenv("PATH", str(made.folder))
    return made


def read(asked, anchors=("taken",), since=0, seconds=SECONDS, max_bytes=1 << 20):
    """The messages of the entries that are read, and how that ended."""
    reading = Reading()
    entries = list(asked.read(KUBELET, since, anchors, Deadline(seconds), max_bytes, reading))
    return [entry.message for entry in entries], reading


def begin(seconds=SECONDS, **what):
    told = Told()
    return Journalctl(Deadline(seconds), told, **what), told


@pytest.mark.parametrize(
    ("version", "fields", "search"),
    [
        (OLD, False, False),
        ("systemd 235\n+PCRE2", False, False),
        ("systemd 236\n+PCRE2", True, False),
        ("systemd 237\n-PCRE2", True, False),
        ("systemd 237\n+PCRE2", True, True),
        ("systemd 252 (252.38-1~deb12u1)\n+PAM +PCRE2", True, True),
        ("systemd 257~rc1-1.fc42\n+PAM +PCRE2", True, True),
    ],
)
def test_what_a_version_can_is_used(fake, version, fields, search):
    fake.say(10, "name is taken")
    fake.say(20, "nothing")
    fake.set(version=version)
    asked, told = begin()
    messages, reading = read(asked)
    assert messages == (["name is taken"] if search else ["nothing", "name is taken"])
    assert (reading.stopped, told.missing) == (None, [])
    assert reading.bytes > 0
    options = fake.calls()[-1]
    assert any(option.startswith("--output-fields=MESSAGE,") for option in options) == fields
    assert any(option.startswith("--grep=") for option in options) == search
    assert {"--output=json", "--all", "--reverse", "--no-pager", "--quiet", "--since=@0", *KUBELET} <= set(options)


@pytest.mark.parametrize(
    "refusal",
    ["Compiled without pattern matching support", "PCRE2 support is not installed: libpcre2-8.so.0: cannot open"],
)
def test_a_search_that_is_refused_is_done_here(fake, refusal):
    """Later builds load the library when it is needed: that it can search is promised, and then it cannot."""
    fake.say(10, "nothing")
    fake.set(no_grep=refusal)
    asked, told = begin()
    assert read(asked)[0] == ["nothing"]
    assert read(asked)[0] == ["nothing"]
    assert told.missing == []
    searches = [call for call in fake.calls() if any(option.startswith("--grep") for option in call)]
    assert len(searches) == 1  # it is not asked twice


def test_the_window_is_journalctls_business(fake):
    for when in (100, 200, 300):
        fake.say(when, f"taken at {when}")
    asked, _told = begin()
    assert read(asked, since=200.7)[0] == ["taken at 300", "taken at 200"]


def test_newest_and_oldest(fake):
    for when in (100, 200, 300):
        fake.say(when, f"at {when}", run=f"{when:032x}")
    fake.say(400, "another", unit="cron.service")
    asked, told = begin()
    assert asked.newest(KUBELET).message == "at 300"
    assert asked.oldest(KUBELET).message == "at 100"
    assert asked.newest(["_SYSTEMD_UNIT=docker.service"]) is None
    assert asked.oldest(["_SYSTEMD_UNIT=docker.service"]) is None
    assert told.missing == []


def test_files_of_a_folder(fake, tmp_path):
    asked, _told = begin(folder=str(tmp_path / "x; touch y"))
    assert asked.newest(KUBELET) is None
    assert f"--directory={tmp_path}/x; touch y" in fake.calls()[-1]


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (
            {"complaint": "Journal file /var/log/journal/x/system.journal corrupted, ignoring file.\n"},
            ["Journal file /var/log/journal/x/system.journal corrupted, ignoring file."],
        ),
        (
            {"complaint": "No journal files were opened due to insufficient permissions.\n", "status": 1},
            ["its files may not be read: run with become (-b)"],
        ),
        ({"complaint": "\x1b[0;1;31mred\n"}, ["?[0;1;31mred"]),
        (
            {"complaint": "".join(f"complaint {number}\n" for number in range(50))},
            [f"complaint {number}" for number in range(10)],
        ),
        ({"complaint": "x" * 5000}, ["x" * 300]),
        ({"status": 7}, ["journalctl ended with status 7 and gave no reason"]),
        ({"before": "-- Logs begin at Mon --\n\n{}\n[1]\n"}, ["2 lines of what journalctl printed are no entries"]),
        ({"before": '{"MESSAGE": "cut of'}, ["1 lines of what journalctl printed are no entries"]),
    ],
)
def test_what_it_says_instead(fake, what, why):
    fake.say(10, "name is taken")
    # Without a search its status tells something.
    fake.set(version=OLD, **what)
    asked, told = begin()
    read(asked)
    read(asked)  # the same again is no news
    assert told.missing == [{"what": "journal", "why": text} for text in why]


def test_a_search_without_a_result_is_no_failure(fake):
    fake.say(10, "nothing")
    asked, told = begin()
    assert read(asked)[0] == []
    assert told.missing == []


def test_garbage_loses_nothing_else(fake):
    fake.say(10, "name is taken")
    fake.set(before="garbage\n\x00\xff\n")
    asked, told = begin()
    assert read(asked)[0] == ["name is taken"]
    assert len(told.missing) == 1


def test_an_entry_without_end_is_left_out(fake, monkeypatch):
    monkeypatch.setattr(journalctl, "_LONGEST_ENTRY", 1 << 20)
    fake.say(10, "name is taken" + "x" * (3 << 20))
    fake.say(20, "taken too")
    asked, told = begin()
    assert read(asked, max_bytes=1 << 30)[0] == ["taken too"]
    assert told.missing == [{"what": "journal", "why": "1 entries of more than 1 MiB were left out"}]


def test_bytes_and_time_are_bounded(fake):
    for _number in range(2000):
        fake._entries.append(
            {"__REALTIME_TIMESTAMP": "1", "MESSAGE": "taken" * 100, "_SYSTEMD_UNIT": "kubelet.service"}
        )
    fake.write()
    asked, _told = begin()
    messages, reading = read(asked, max_bytes=300_000)
    assert reading.stopped == "limit"
    assert 100 < len(messages) < 2000
    _messages, reading = read(asked, seconds=0)
    assert reading.stopped == "budget"


def test_one_that_hangs(fake):
    fake.say(10, "name is taken")
    fake.set(hang=True)
    asked, told = begin(seconds=0.7)
    assert asked.newest(KUBELET) is None
    why = "journalctl has said nothing in the time that it was given: it hangs, or the disk is slow"
    assert told.missing == [{"what": "journal", "why": why}]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ('yes \'{"MESSAGE":"x"}\'', "journalctl prints more than the one entry that it was asked for"),
        ("cat /dev/zero", "journalctl prints more than 1 MiB when it is asked for one entry"),
    ],
)
def test_one_that_floods(tmp_path, monkeypatch, script, why):
    """That is no hang, and no empty journal either."""
    monkeypatch.setattr(journalctl, "_ONE_ENTRY", 1 << 20)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    version = 'case "$*" in *--version*) echo "systemd 252"; echo +PCRE2; exit 0;; esac'
    (tmp_path / "journalctl").write_text(f"#!/bin/sh\n{version}\n{script}\n")
    (tmp_path / "journalctl").chmod(0o755)
    asked, _told = begin()
    with pytest.raises(JournalctlError, match=f"^{why}$"):
        asked.newest(KUBELET)


def test_no_time_is_not_a_hang(fake):
    fake.say(10, "name is taken")
    asked, told = begin(seconds=60.0)
    asked._deadline = Deadline(0)
    assert asked.newest(KUBELET) is None
    why = "there was no time left to ask for all that is needed: raise timeout"
    assert told.missing == [{"what": "journal", "why": why}]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (None, "there is no journalctl: this node has no systemd, or is a container without it"),
        ("exit 0", "journalctl does not tell its version: it says nothing"),
        (r"printf 'BusyBox \033[1m'", "journalctl does not tell its version: BusyBox ?[1m"),
        ("sleep 1000", "journalctl --version has not ended in time: it hangs"),
    ],
)
def test_none_that_is_of_use(tmp_path, monkeypatch, script, why):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if script else str(tmp_path))
    if script:
        (tmp_path / "journalctl").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "journalctl").chmod(0o755)
    with pytest.raises(JournalctlError) as caught:
        begin(seconds=0.7)
    assert str(caught.value) == why


def test_one_that_cannot_be_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "journalctl").write_text("#!/nonexistent/interpreter\n")
    (tmp_path / "journalctl").chmod(0o755)
    with pytest.raises(JournalctlError, match="journalctl cannot be run: No such file or directory"):
        begin()


def test_without_a_path(fake, monkeypatch):
    """Some ways to run a module leave no environment."""
    monkeypatch.delenv("PATH")
    monkeypatch.setattr(journalctl.program_lines, "PATH", str(fake.folder))
    assert begin()[0].newest(KUBELET) is None
