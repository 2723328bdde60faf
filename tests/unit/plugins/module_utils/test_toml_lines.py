# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""toml_lines: what daemon configurations look like, and input that is no TOML."""

from __future__ import annotations

import random

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import toml_lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a = "x"\n', {("a",): "x"}),
        ("a='x'", {("a",): "x"}),
        ("a = 10010 # why\n", {("a",): "10010"}),
        ('a = "x # y" # z\n', {("a",): "x # y"}),
        ('a = "say \\"x\\" \\\\"\n', {("a",): 'say "x" \\'}),
        ('# a = "x"\n\n\t# b = 1\n', {}),
        ("[s]\na = 1\n[t.u]\r\nb = 2\r\n", {("s", "a"): "1", ("t", "u", "b"): "2"}),
        ('[plugins."io.containerd.grpc.v1.cri"]\na = 1\n', {("plugins", "io.containerd.grpc.v1.cri", "a"): "1"}),
        ("  [ plugins . 'x.y' ] # c\n  a = 1\n", {("plugins", "x.y", "a"): "1"}),
        ('plugins."x.y".a = 1\n', {("plugins", "x.y", "a"): "1"}),
        ("[[s]]\na = 1\n[[s]]\na = 2\n", {("s", "a"): "2"}),
        ("a = [\"x\", 'y']\n", {("a",): ["x", "y"]}),
        ('a = [ # c\n  "x]", # "z"\n  "y",\n]\nb = 1\n', {("a",): ["x]", "y"], ("b",): "1"}),
        ("a = []\n", {("a",): []}),
        ('[plugins]\n"x.y" = { a = "1", b = 2 }\n', {("plugins", "x.y", "a"): "1", ("plugins", "x.y", "b"): "2"}),
        ('a = """\nb = 1\n"""\nc = 2\n', {("a",): "b = 1\n", ("c",): "2"}),
        ("a = '''\r\n[s]\nb = 1\n'''\nc = 2\n", {("a",): "[s]\nb = 1\n", ("c",): "2"}),
        ("'a' = '''45681''' # why\nc = 2\n", {("a",): "45681", ("c",): "2"}),
        ('a = """45681""" # why\nc = 2\n', {("a",): "45681", ("c",): "2"}),
        ("a = '''\\d'e''f'''''\n", {("a",): "\\d'e''f''"}),
        ('a = """d\\"""e""f"""""\n', {("a",): 'd"""e""f""'}),
        ('a = """d \\ \n\n  e"""\n', {("a",): "d e"}),
        ("a = ''''''\nb = \"\"\"\"\"\"\n", {("a",): "", ("b",): ""}),
        ("a = ['''x]''', \"\"\"\ny\"\"\"]\n", {("a",): ["x]", "y"]}),
        ("s = { a = '''1''', b = \"\"\"2\"\"\" }\n", {("s", "a"): "1", ("s", "b"): "2"}),
        ('a = "\\t\\u0034\\U0001F600\\\\u0034"\n', {("a",): "\t4\U0001f600\\u0034"}),
        ("", {}),
    ],
)
def test_read(text, expected):
    assert toml_lines.read(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "[a",
        "a =",
        "= 1",
        "a = [",
        'a = "x',
        "a = 'x\nb = 1",
        "a b c",
        "[[[[",
        "]]]]",
        "a = {",
        '"',
        '"""',
        "a = '''x",
        'a = """x',
        "\x00\ufffd",
    ],
)
def test_broken_lines_are_passed_over(text):
    found = toml_lines.read(text + "\n")
    assert all(isinstance(value, (str, list)) for value in found.values())


def test_a_string_without_an_end_is_passed_over():
    for quotes in ('"""', "'''"):
        assert toml_lines.read(f"a = {quotes}1\nb = 2\n") == {("b",): "2"}


def test_what_no_path_may_hold_is_in_no_value():
    found = toml_lines.read('a = "x\\u0000\\ud800\\U00000000"\nb = "\0"\n')
    assert found == {("a",): "x\ufffd\ufffd\ufffd", ("b",): "\ufffd"}


def test_a_broken_line_does_not_hide_the_next():
    assert toml_lines.read("a = 'x\nb = 1\n???\nc = 2\n") == {("a",): "x", ("b",): "1", ("c",): "2"}


def test_noise_ends_in_time():
    """A quarter of a megabyte of what the reader cares about, in no order."""
    draw = random.Random(7)  # noqa: S311 # test data, the same every time
    text = "".join(draw.choice("[]{}\"'#=.,\\\n ab1") for _character in range(1 << 18))
    toml_lines.read(text)
    for endless in (
        'a = """' + '\\"""' * (1 << 16),
        "a = {" + 'b = """x\\' * (1 << 15),
        "a = {" + "b = '''" * (1 << 15),
        'a = """' + "\\\n" * (1 << 16) + '"""',
        'a = """\\' + " " * (1 << 18) + '"""',
        '"' * (1 << 18),
        "a = " + "[" * (1 << 18),
        "a." * (1 << 17),
        'a = "' + "\\" * (1 << 18),
    ):
        toml_lines.read(endless)
