# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""toml_lines against tomllib, which nodes with an older Python lack, on a real configuration."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ansible_collections.kubenode.doctor.plugins.module_utils import toml_lines

FIXTURE = Path(__file__).parents[1] / "fixtures" / "cri" / "containerd-1.6-config-default.toml"


def flat(table, path=()):
    """tomllib's answer in the reader's form."""
    for key, value in table.items():
        here = (*path, key)
        if isinstance(value, dict):
            yield from flat(value, here)
        elif isinstance(value, list):
            yield here, [str(item) for item in value]
        else:
            yield here, str(value).lower() if isinstance(value, bool) else str(value)


def test_containerds_own_configuration_is_read_as_tomllib_reads_it():
    text = FIXTURE.read_text()
    found = toml_lines.read(text)
    assert len(found) > 60
    assert found == dict(flat(tomllib.loads(text)))


def test_strings_are_read_as_tomllib_reads_them():
    text = r"""
a = '''45681'''
b = '''
it''s \t
[no.header]
c = 1''''
d = "\u0034\U0001F600\t\"\\"
e = ['''x],''', 'y']
[s]
f = { "g" = '''1''' }
"""
    text += 'h = """"x\\"""y""z"""""\ni = """\r\n\\\n  one \\  \n\n two\\tthree\n"""\nj = """"""\nk = 1\n'
    assert toml_lines.read(text) == dict(flat(tomllib.loads(text)))
