# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of waivers: a list, or a mapping whose one key ``waivers`` holds it, so that a file of variables will do.

YAML's nodes are read, not what they would be made into: a node knows its line, keeps what a mapping with equal keys would lose, and a date stays the
text that was written. Nothing in it is templated, and no tag makes an object.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.kubenode.doctor.plugins.plugin_utils import waivers
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.waivers import Waiver

_BYTES = 1 << 20  # thousands of waivers
_MOST = 10_000  # more than fit in; by YAML's aliases a small file can hold millions
_TEXT, _NULL, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"


def read(name: str | None) -> tuple[Waiver, ...]:
    """Read a file, seen from where the playbook was started; without a name there is none. Raises ValueError that names file and line."""
    if name is None:
        return ()
    path = Path(name).expanduser().absolute()
    root = _root(path)
    if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == _NULL):
        raise ValueError(f"{path} is empty: write [] when nothing is waived")
    if isinstance(root, yaml.MappingNode):
        root = _of_key(path, root)
    if not isinstance(root, yaml.SequenceNode):
        raise ValueError(f"{_at(path, root)}: a list of waivers is expected, or a mapping with the one key waivers")
    if len(root.value) > _MOST:
        raise ValueError(f"{path}: these are {len(root.value)} waivers, and {_MOST} is the most there may be")
    return tuple(_waiver(path, node) for node in root.value)


def _root(path: Path) -> yaml.Node | None:
    text = _text(path)
    try:
        # Not the faster loader in C, which a deep nesting brings down with the whole program.
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        tab = " (YAML is indented with blanks, not with tabs)" if "\\t" in str(error.problem) else ""
        raise ValueError(f"{path}{line}: this is no YAML: {error.problem or error.context}{tab}") from error
    except yaml.reader.ReaderError as error:
        line = f", line {text.count(chr(10), 0, error.position) + 1}"
        raise ValueError(f"{path}{line}: there is a character that YAML does not allow") from error
    except RecursionError as error:
        raise ValueError(f"{path}: this is no list of waivers: it is nested too deeply") from error
    return root


def _text(path: Path) -> str:
    try:
        # To open a named pipe waits until somebody writes into it.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError(f"{path} is no regular file: this is no file of waivers")
            raw = file.read(_BYTES + 1)
    except FileNotFoundError as error:
        raise ValueError(f"{path}: there is no such file of waivers") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > _BYTES:
        raise ValueError(f"{path} is larger than {_BYTES >> 20} MiB: this is no file of waivers")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: this is no UTF-8 text") from error


def _of_key(path: Path, root: yaml.MappingNode) -> yaml.Node:
    """What stands under the key ``waivers``."""
    found = dict(_pairs(path, root))
    for key, node in found.items():
        if key != "waivers":
            place = _at(path, node)
            raise ValueError(
                f"{place}: unknown key {clean(key, 100)}: a list of waivers is expected, or the one key waivers"
            )
    if not found:
        raise ValueError(f"{_at(path, root)}: the key waivers is missing")
    return found["waivers"]


def _waiver(path: Path, entry: yaml.Node) -> Waiver:
    if not isinstance(entry, yaml.MappingNode):
        raise ValueError(f"{_at(path, entry)}: a mapping is expected")
    values: dict[str, Any] = {}
    lines = {"": _at(path, entry)}
    for key, node in _pairs(path, entry):
        lines[key] = _at(path, node)
        values[key] = _value(lines[key], key, node)
    return waivers.read_one(values, lambda key: lines.get(key, lines[""]))


def _pairs(path: Path, mapping: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
    """Yield the keys, with their values. Raises ValueError for a key that is there twice, and for one that is no text."""
    seen: dict[str, str] = {}
    for key, node in mapping.value:
        place = _at(path, key)
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            raise ValueError(f"{place}: a key that is a word is expected")
        if key.value in seen:
            raise ValueError(
                f"{place}: {clean(key.value, 100)} is here twice, first in {seen[key.value].rpartition(', ')[2]}"
            )
        seen[key.value] = place
        yield key.value, node


def _value(place: str, key: str, node: yaml.Node) -> str | None:
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError(f"{place}: {clean(key, 100)}: a text is expected, no list and no mapping")
    if node.tag == _NULL:
        return None
    if key != "until" and key in waivers.KEYS and node.tag != _TEXT:
        raise ValueError(f"{place}: {key} {clean(node.value, 100)} is no text: put it in quotes")
    return str(node.value)


def _at(path: Path, node: yaml.Node) -> str:
    return f"{path}, line {node.start_mark.line + 1}"
