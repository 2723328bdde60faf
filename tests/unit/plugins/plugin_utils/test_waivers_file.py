# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of waivers: both of its shapes, and every mistake with its line."""

from __future__ import annotations

import datetime
import os

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import waivers_file

GOOD = """\
# moved with the next reboot
- rule: nodeport-*
  host: node-a
  reason: "{{ lookup('pipe', 'id') }} stays text"
  owner: ops
  until: 2026-12-31
- {rule: host-silent, reason: a b, owner: '4711', until: '2026-12-31', object: }
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "waivers.yml"

    def write(text):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


@pytest.mark.parametrize(
    "shape", [GOOD, "waivers:\n" + GOOD, "\ufeff---\nwaivers:\n" + GOOD, GOOD.replace("\n", "\r\n")]
)
def test_both_shapes(file, shape):
    first, second = waivers_file.read(file(shape))
    assert (first.rule, first.host, first.object, first.owner) == ("nodeport-*", "node-a", "*", "ops")
    assert first.reason == "{{ lookup('pipe', 'id') }} stays text"
    assert first.until == second.until == datetime.date(2026, 12, 31)
    assert (second.owner, second.object) == ("4711", "*")
    assert first.place.endswith("waivers.yml, line 2" if shape in (GOOD, GOOD.replace("\n", "\r\n")) else first.place)


@pytest.mark.parametrize("text", ["[]", "waivers: []\n"])
def test_nothing_is_waived(file, text):
    assert waivers_file.read(file(text)) == ()
    assert waivers_file.read(None) == ()


def with_line(line):
    """The good one with another line 4."""
    lines = GOOD.splitlines()
    return "\n".join([*lines[:3], line, *lines[4:]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", " is empty: write [] when nothing is waived"),
        ("# nothing\n---\n", " is empty: write [] when nothing is waived"),
        ("x\n", ", line 1: a list of waivers is expected, or a mapping with the one key waivers"),
        ("rule: x\n", ", line 1: unknown key rule: a list of waivers is expected, or the one key waivers"),
        ("{}\n", ", line 1: the key waivers is missing"),
        (
            "waivers: []\nmore: []\n",
            ", line 2: unknown key more: a list of waivers is expected, or the one key waivers",
        ),
        ("waivers: []\nwaivers: []\n", ", line 2: waivers is here twice, first in line 1"),
        ("waivers:\n  rule: x\n", ", line 2: a list of waivers is expected, or a mapping with the one key waivers"),
        ("- x\n", ", line 1: a mapping is expected"),
        (with_line("  host: node-b"), ", line 4: host is here twice, first in line 3"),
        (
            with_line("\treason: x"),
            ", line 4: this is no YAML: found character '\\t' that cannot start any token (YAML is indented with blanks, not with tabs)",
        ),
        (with_line("  reason: [x]"), ", line 4: reason: a text is expected, no list and no mapping"),
        (with_line("  reason: 12"), ", line 4: reason 12 is no text: put it in quotes"),
        (with_line("  reason: yes"), ", line 4: reason yes is no text: put it in quotes"),
        (
            with_line("  reason: !!python/object/apply:os.system [id]"),
            ", line 4: reason: a text is expected, no list and no mapping",
        ),
        (with_line("  reason: !!python/name:os.system x"), ", line 4: reason x is no text: put it in quotes"),
        (with_line("  reason: "), ", line 4: reason is needed"),
        (with_line("  raeson: x"), ", line 4: unknown keys raeson"),
        (with_line("  <<: {reason: x}"), ", line 4: a key that is a word is expected"),
        (with_line("  ? [a]\n  : b"), ", line 4: a key that is a word is expected"),
        (with_line("  reason: *other"), ", line 4: this is no YAML: found undefined alias 'other'"),
        (with_line("  reason: 'x"), None),
        (with_line("# gone"), ", line 2: reason is needed"),
        (GOOD.replace("2026-12-31", "2026-02-30", 1), ", line 6: until '2026-02-30' is no date (YYYY-MM-DD)"),
        (
            GOOD.replace("2026-12-31", "2026-12-31T00:00:00", 1),
            ", line 6: until '2026-12-31T00:00:00' is no date (YYYY-MM-DD)",
        ),
        (GOOD.replace("2026-12-31", "soon", 1), ", line 6: until 'soon' is no date (YYYY-MM-DD)"),
        (GOOD + "---\n- x\n", ", line 8: this is no YAML: but found another document"),
        (with_line("  reason: \x07"), ", line 4: there is a character that YAML does not allow"),
        (GOOD.encode() + b"# \xff\n", ", line 8: this is no UTF-8 text"),
        ("[" * 600, ": this is no list of waivers: it is nested too deeply"),
        (
            "- &a {rule: b}\n" + "- *a\n" * 10_000,
            ": these are 10001 waivers, and 10000 is the most there may be",
        ),
        ("#" * ((1 << 20) + 1), " is larger than 1 MiB: this is no file of waivers"),
    ],
)
def test_a_mistake_is_named_with_its_line(file, text, message):
    with pytest.raises(ValueError, match="waivers") as caught:
        waivers_file.read(file(text))
    said = str(caught.value)
    assert said.startswith(file(text))
    assert message is None or said == file(text) + message


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.yml", ": there is no such file of waivers"), ("", " cannot be read: Is a directory")],
)
def test_no_file(tmp_path, name, message):
    with pytest.raises(ValueError, match=r"no such file|cannot be read") as caught:
        waivers_file.read(str(tmp_path / name))
    assert str(caught.value) == str(tmp_path / name).rstrip("/") + message


def test_relative_to_where_it_was_started(file, tmp_path, monkeypatch):
    file("[]")
    monkeypatch.chdir(tmp_path)
    assert waivers_file.read("waivers.yml") == ()


def test_a_pipe_into_which_nobody_writes_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "waivers.yml")
    with pytest.raises(ValueError, match="is no regular file: this is no file of waivers"):
        waivers_file.read(str(tmp_path / "waivers.yml"))
