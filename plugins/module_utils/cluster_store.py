# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster.json of a bundle, and the summary that remains of a cluster when it is stored there.

A big cluster takes 100 MB. As a module's result it would be held by the module, by Ansible's worker and by its main process,
each time several times over, so the module that read it writes the file itself.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Iterator

from ansible_collections.kubenode.doctor.plugins.module_utils import nodeport_verdict, whole_file
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_shape import Object

NAME = "cluster.json"
_LISTED_AT_ONCE = 500


def store(folder: str, cluster: Object) -> str:
    """Write a cluster's snapshot into a bundle and return the file's path. Raises OSError."""
    path = os.path.join(folder, NAME)
    whole_file.write(path, _pieces(cluster))
    return path


def unwritten(folder: str, error: OSError) -> str:
    """Return what to tell when the file could not be written."""
    return f"{os.path.join(folder, NAME)} could not be written: {error.strerror}"


def summary(result: Dict[str, Any], file: str) -> Dict[str, Any]:
    """Return what is left of the module's result when the cluster is stored in ``file``."""
    ports = result["node_ports"]
    return {
        "changed": False,
        "file": file,
        "ports": None if ports is None else sorted({nodeport_verdict.number(port) for port in ports}),
        "complete": result["complete"],
        "missing": result["missing"],
    }


def _pieces(cluster: Object) -> Iterator[str]:
    """Yield the JSON text in pieces of some hundred objects."""
    before = "{"
    for key, value in cluster.items():
        yield f"{before}{_json(key)}:"
        before = ","
        if isinstance(value, list):
            yield from _list(value)
        else:
            yield _json(value)
    yield "}\n"


def _list(values: Any) -> Iterator[str]:
    yield "["
    for start in range(0, len(values), _LISTED_AT_ONCE):
        yield ("," if start else "") + _json(values[start : start + _LISTED_AT_ONCE])[1:-1]
    yield "]"


def _json(value: Any) -> str:
    # ASCII only: text from a cluster then cannot reach a terminal as anything but text.
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
