# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for systemctl on a made-up node: `show` prints what the test says of a unit, whatever properties are asked for."""

from __future__ import annotations

_PROGRAM = """#!/bin/sh
[ "$1" = show ] || exit 7
while [ "$1" != -- ]; do shift; done
shift
first=yes
for unit; do
    [ "$first" ] || echo
    first=
    cat "{folder}/$unit" || exit 4
done
"""


class Units:
    """``add`` a unit with its properties; each is loaded and active unless they say otherwise."""

    def __init__(self, node):
        self._folder = node.root / "units"
        self._folder.mkdir()
        node.file("/usr/bin/systemctl", _PROGRAM.format(folder=self._folder)).chmod(0o755)

    def add(self, unit, **properties):
        told = {
            "Id": unit,
            "LoadState": "loaded",
            "ActiveState": "active",
            "MainPID": 0,
            "ControlGroup": "",
            **properties,
        }
        (self._folder / unit).write_text("".join(f"{name}={value}\n" for name, value in told.items()))
