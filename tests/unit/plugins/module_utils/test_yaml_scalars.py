# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""yaml_scalars: documents as kubelet's are written, the ways of YAML that are not followed, and text that is no YAML."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import yaml_scalars

FIXTURES = Path(__file__).parents[3] / "fixtures" / "kubelet"
KEYS = ("port", "address")


def test_a_whole_configuration_in_both_languages():
    """Every scalar of a real one, as YAML and as JSON."""
    document = json.loads((FIXTURES / "config-1.36.json").read_text())
    scalars = {key: value for key, value in document.items() if not isinstance(value, (dict, list))}
    words = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in scalars.items()}
    words["resolvConf"] = None  # '' means the same as null: the default
    written = yaml_scalars.read((FIXTURES / "config-1.36.yaml").read_text(), tuple(scalars))
    assert (written.values, written.unread) == (words, [])
    words["resolvConf"] = ""
    assert yaml_scalars.read(json.dumps(document), tuple(scalars)) == (words, [])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("port: 1\n", {"port": "1"}),
        ("\ufeff---\r\n# port: 2\r\nport: 1 # why\r\n", {"port": "1"}),
        ("%YAML 1.1\n---   # kubelet\nport:   '1'\naddress: \"::\"   # all\n", {"port": "1", "address": "::"}),
        ("  port: 1\n  address: ::\n", {"port": "1", "address": "::"}),
        ("\"port\": 1\n'address': 10.0.0.1", {"port": "1", "address": "10.0.0.1"}),
        ("port:\naddress: ~\n", {"port": None, "address": None}),
        ("port: 1\nport: 2\n", {"port": "2"}),
        ("port : 1\n", {"port": "1"}),
        # Not of the top level, in whatever way it is further in.
        ("logging:\n  port: 2\n", {}),
        ("a:\n- port: 2\n-\n  port: 3\nport: 1\n", {"port": "1"}),
        ("a: |\n  port: 2\n\n  # port: 3\n\n  port: 4\nport: 1\n", {"port": "1"}),
        ("a: >-\n   port: 2\nport: 1", {"port": "1"}),
        ("a: {port: 2}\nb: [port, 1]\nport: 1", {"port": "1"}),
        ("a: {\n  port: 2,\n  }\nport: 1", {"port": "1"}),
        ("a: 'it''s # port: 2' # b\nport: 1", {"port": "1"}),
        ('a: "say \\"port: 2\\""\nport: 1', {"port": "1"}),
        ("a: 1\n  port: 2\n", {}),
        ("port: 1\n---\nport: 2\n", {"port": "1"}),
        ("---\n---\nport: 2\n", {}),
        ("port: 1\n...\nport: 2\n", {"port": "1"}),
        ("myport: 2\nport-: 3\nhttp://port: 4\n", {}),
        ("", {}),
        ("# nothing\n", {}),
        ('{"port": 1, "a": {"address": 2}, "address": null}', {"port": "1", "address": None}),
        ('\n {"port": true, "address": 1.50}', {"port": "true", "address": "1.50"}),
    ],
)
def test_read(text, values):
    assert yaml_scalars.read(text, KEYS) == (values, [])


@pytest.mark.parametrize(
    ("text", "values", "unread"),
    [
        ("port: &p 1\naddress: 2\n", {"address": "2"}, "port is no plain value on its own line"),
        ("port: *p\naddress: 2\n", {"address": "2"}, "port is no plain value on its own line"),
        ("port: !!int '1'\n", {}, "port is no plain value on its own line"),
        ("port: |\n  1\n", {}, "port is no plain value on its own line"),
        ("port:\n  1\naddress: 2", {"address": "2"}, "port is no plain value on its own line"),
        ("port: 1\n  0\n  5\naddress: 2", {"address": "2"}, "port is no plain value on its own line"),
        ("port: [1]\n", {}, "port is no plain value on its own line"),
        ('port: "\\x31"\n', {}, "port is no plain value on its own line"),
        ("<<: *a\nport: 1\n", {"port": "1"}, "a merge key (<<) brings values from elsewhere"),
        ('{"port": [1]}', {}, "port is no single value"),
        # Where it is lost, what came before may be part of something else: nothing of it is told.
        ("port: 1\n? address\n: 2\n", {}, "line 2: it is no plain key with a value"),
        ("port: 1\n&a address: 2\n", {}, "line 2: it is no plain key with a value"),
        ("port: 1\nsome words\n", {}, "line 2: it is no plain key with a value"),
        ('- port: 1\nport: 1\n"a" b: 1', {}, "line 3: it is no plain key with a value"),
        ("a: 'x\nport: 1\n'\n", {}, "line 1: a quote that does not end on its line is not followed"),
        ("a: 'x' y\nport: 1\n", {}, "line 1: a quote that does not end on its line is not followed"),
        ("  port: 1\naddress: 2\n", {}, "line 2: its indentation is not followed"),
        ("port: 1\n\taddress: 2\n", {}, "line 2: its indentation is not followed"),
        ("--- {port: 1}\n", {}, "line 1: a document that begins on the line of its marker is not followed"),
        ("{port: 1}\n", {}, "it begins with a brace and is no JSON"),
        ('{"port": 1} {"port": 2}', {}, "it begins with a brace and is no JSON"),
        ('{"port": ' + "[" * 100000, {}, "it begins with a brace and is no JSON"),
    ],
)
def test_what_is_not_followed_is_told(text, values, unread):
    assert yaml_scalars.read(text, KEYS) == (values, [unread])


def test_as_a_whole_parser_reads_it():
    """Against PyYAML, where it is installed: what is told is never another value."""
    yaml = pytest.importorskip("yaml")
    draw = random.Random(5)  # noqa: S311 # test data, the same every time
    pieces = (
        *("port: 1", "address: 'x'", "a:", "- b", "  port: 2", "  - c: 1", "# d", "e: {f: 1}", "  |", "g: |"),
        *('"h": "i"', "j: [", "]", "'", "---", "", " k", "<<: *l"),
    )
    told = 0
    for _turn in range(2000):
        text = "\n".join(draw.choice(pieces) for _line in range(draw.randint(1, 6))) + "\n"
        try:
            document = next(yaml.safe_load_all(text), None)
        except yaml.YAMLError:
            continue
        document = document if isinstance(document, dict) else {}
        found = yaml_scalars.read(text, KEYS)
        for key in KEYS if not found.unread else ():
            value = document.get(key)
            assert found.values.get(key) == (None if value is None else str(value)), text
            told += value is not None
    assert told > 100


@pytest.mark.parametrize(
    "text",
    [
        "a" + " " * (1 << 20),
        '"' * (1 << 20),
        "a: " + "'" * ((1 << 20) + 1),
        "a: " + " #" * (1 << 19),
        ":" * (1 << 20),
        "a: b\n" * (1 << 15),
        "port: 1\n" + " x\n" * (1 << 15),
        "\x00\ufffd\x1b[31m" * (1 << 17),
    ],
)
def test_a_megabyte_of_noise_ends_in_time(text):
    found = yaml_scalars.read(text, KEYS)
    assert len(found.unread) <= 1
