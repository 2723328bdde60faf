# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs that say something: the quiet section ``logs`` with entries in it, and times that are told as seconds before the look."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import captured_section

POD = {"namespace": "kube-system", "name": "etcd-node-a", "uid": "0123456789abcdef", "container": "etcd", "attempt": 3}


def message(signature, sample, *, ago=30.0, unit="kubelet.service", pod=None, count=1, lasted=0.0, **fields):
    """One entry of ``found``, its times still relative: ``ago`` seconds before the look (None: not told), over ``lasted`` seconds."""
    source = "pod" if pod else "journal" if unit else "kernel"
    return {
        "signature": signature,
        "source": source,
        "unit": unit if source == "journal" else None,
        "pod": pod,
        "count": count,
        "first": None if ago is None else -ago - lasted,
        "last": None if ago is None else -ago,
        "sample": sample,
        "fields": fields,
    }


def logs(*messages, cut=(), **changes):
    """The section. ``cut`` are logs, ``(name, stopped, seconds back or None)``, that were not read to the end of their window."""
    section = captured_section("logs-quiet")
    now = section["now"]
    for entry in messages:
        times = {key: None if entry[key] is None else now + entry[key] for key in ("first", "last")}
        section["found"].append({**entry, **times})
    for name, stopped, back in cut:
        (log,) = (entry for entry in section["scanned"] if entry["name"] == name)
        log.update({"stopped": stopped, "from": None if back is None else now - back})
    assert changes.keys() <= section.keys()
    return {**section, **changes}


def missing(what, why, *messages):
    """The section when it says that it could not see something."""
    return logs(*messages, complete=False, missing=[{"what": what, "why": why}])
