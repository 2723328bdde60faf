# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""toml_edit: two strings are set, and every other byte stays."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import toml_edit, toml_lines

FIXTURE = Path(__file__).parents[3] / "fixtures" / "cri" / "containerd-1.6-config-default.toml"
CRI = ("plugins", "io.containerd.grpc.v1.cri")
HEADER = '[plugins."io.containerd.grpc.v1.cri"]'
WANTED = {"stream_server_address": "127.0.0.1", "stream_server_port": "10010"}


def edited(text, section=CRI, header=HEADER, values=None):
    return toml_edit.with_strings(text, section, header, WANTED if values is None else values)


def test_the_configuration_that_containerd_writes():
    before = FIXTURE.read_text().replace('address = "127.0.0.1"', 'address = "0.0.0.0"')
    after = edited(before)
    lines = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[:2] in ("- ", "+ ")]
    assert lines == [
        '-     stream_server_address = "0.0.0.0"',
        '+     stream_server_address = "127.0.0.1"',
        '-     stream_server_port = "0"',
        '+     stream_server_port = "10010"',
    ]
    assert edited(after) == after


SET = '  stream_server_address = "127.0.0.1"\n  stream_server_port = "10010"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", f"{HEADER}\n{SET}"),
        ("version = 2\n", f"version = 2\n\n{HEADER}\n{SET}"),
        ("version = 2", f"version = 2\n\n{HEADER}\n{SET}".rstrip("\n")),
        (HEADER, f"{HEADER}\n{SET}".rstrip("\n")),
        (f"{HEADER}\n", f"{HEADER}\n{SET}"),
        (f"  {HEADER}  # cri\n\n[x]\n", f"  {HEADER}  # cri\n" + SET.replace("  ", "    ") + "\n[x]\n"),
        # Other spellings of the same table.
        (
            "[plugins.'io.containerd.grpc.v1.cri']\na = 1\n",
            "[plugins.'io.containerd.grpc.v1.cri']\n" + SET.replace("  ", "") + "a = 1\n",
        ),
        (f"[ plugins . 'io.containerd.grpc.v1.cri' ]\n{SET}", f"[ plugins . 'io.containerd.grpc.v1.cri' ]\n{SET}"),
        # Values in every form, and what stands behind them.
        (
            f"{HEADER}\n  'stream_server_port'=0# random\n\tstream_server_address\t=\t'''::'''   # all\n",
            f'{HEADER}\n  \'stream_server_port\'="10010"# random\n\tstream_server_address\t=\t"127.0.0.1"   # all\n',
        ),
        # Only one of them is there.
        (
            f'{HEADER}\n\tstream_server_port = "0"',
            f'{HEADER}\n\tstream_server_address = "127.0.0.1"\n\tstream_server_port = "10010"',
        ),
        # A table below it is no part of it, and may stand before it.
        (
            '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "x"\n',
            f'[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "x"\n\n{HEADER}\n{SET}',
        ),
        (
            f'{HEADER}\n[plugins."io.containerd.grpc.v1.cri".cni]\n  stream_server_port = "1"\n',
            f'{HEADER}\n{SET}[plugins."io.containerd.grpc.v1.cri".cni]\n  stream_server_port = "1"\n',
        ),
        (
            f"imports = [] # none\nx = {{ a = [1,'2'] }}\n{HEADER}\n{SET}",
            f"imports = [] # none\nx = {{ a = [1,'2'] }}\n{HEADER}\n{SET}",
        ),
        # Words in comments and in texts are none.
        (
            f'# {HEADER}\na = """\n{HEADER}\nstream_server_port = "0"\n"""\nb = [\n  "[x]", # ]\n]\n',
            f'# {HEADER}\na = """\n{HEADER}\nstream_server_port = "0"\n"""\nb = [\n  "[x]", # ]\n]\n\n{HEADER}\n{SET}',
        ),
    ],
)
def test_every_other_byte_stays(before, after):
    assert edited(before) == after
    assert edited(before.replace("\n", "\r\n")) == after.replace("\n", "\r\n") or "\n" not in before
    assert edited(after) == after


def test_nothing_but_the_values_is_read_otherwise():
    before = FIXTURE.read_text()
    after = toml_lines.read(edited(before))
    assert after == {**toml_lines.read(before), (*CRI, "stream_server_port"): "10010"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('plugins."io.containerd.grpc.v1.cri".stream_server_port = "0"\n', "dotted keys"),
        ('[plugins]\n"io.containerd.grpc.v1.cri".enable_selinux = true\n', "dotted keys"),
        ('[plugins]\n"io.containerd.grpc.v1.cri" = { stream_server_port = "0" }\n', "in one line"),
        ("plugins = { cri = { stream_server_port = '0' } }\n", "in one line"),
        ("plugins = 1\n", "in one line"),
        (f"[[plugins]]\n{HEADER}\n", "arrays of tables"),
        ('[["plugins"."io.containerd.grpc.v1.cri"]]\n', "arrays of tables"),
        (f"{HEADER}\n[x]\n{HEADER}\n", "2 times"),
        (f'{HEADER}\nstream_server_port = "0"\nstream_server_port = "1"\n', "more than once"),
        (f"{HEADER}\nstream_server_port = [0]\n", "no plain value"),
        (f'{HEADER}\nstream_server_port = "0" "1"\n', "line 2 is not understood"),
        (f"{HEADER}\nstream_server_port.x = 1\n", "is a table"),
        (f'{HEADER}\n[plugins."io.containerd.grpc.v1.cri".stream_server_port]\n', "is a table"),
        (f"{HEADER}\npassword: hunter2\n", "line 2 is not understood"),
        (f"{HEADER} password\n", "line 1 is not understood"),
        (f"a = 1\n\n<<<<<<< HEAD\n{HEADER}\n", "line 3 is not understood"),
        (f'{HEADER}\na = "\ufffd"\n', "no text"),
        (f"{HEADER}\na = 1\0\n", "no text"),
        (f"\ufeff{HEADER}\n", "no text"),
        (f"{HEADER}\ra = 1\n", "no text"),
        (f'{HEADER}\na = """open\n', "line 2 is not understood"),
        (f"{HEADER}\na = [1,\n", "line 2 is not understood"),
        (f"{HEADER}\na = 'open\n", "line 2 is not understood"),
        (f"{HEADER}\na = 1 = 2\n", "line 2 is not understood"),
        (f"{HEADER}\na =\nb = 1\n", "line 2 is not understood"),
    ],
)
def test_what_is_not_understood_is_not_edited(text, why):
    with pytest.raises(toml_edit.EditError, match=why) as caught:
        edited(text)
    assert "hunter2" not in str(caught.value)


def test_only_plain_words_are_written():
    with pytest.raises(ValueError, match="plain words"):
        edited("", values={"stream_server_port": '1"\nx = "'})
