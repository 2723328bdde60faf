# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of containers and logs was looked at, over the fleet: what was not scanned must not look like what was quiet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import section_gaps
from ansible_collections.kubenode.doctor.plugins.plugin_utils.misshapen import MISSHAPEN

_RUNTIMES = ("docker", "containerd", "cri-o")
_SOURCES = ("journal", "kernel", "pod")
_MOST = 1 << 30  # containers: more are nonsense

Section = Mapping[str, Any]


class Scans:
    """Adds up the sections ``containers`` and ``logs``; it keeps a few numbers in all."""

    def __init__(self) -> None:
        self._containers: Counter[str] = Counter()
        self._runtimes: Counter[str] = Counter()
        self._logs: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()
        self._back: dict[str, tuple[float, float]] = {}  # of a source: seconds, on the host where it is least and most

    def add(self, sections: Mapping[str, Any]) -> None:
        """Count a host that answered. A section that was not collected, or that cannot be read, was not looked at."""
        for name, count in (("containers", self._count_containers), ("logs", self._count_logs)):
            if section_gaps.gap(sections, name):
                continue
            try:
                count(sections[name])
            except MISSHAPEN:
                continue  # the rules tell why

    def document(self) -> dict[str, Any]:
        """Return what Survey.document has as ``scans``."""
        return {
            "containers": {
                **{key: self._containers[key] for key in ("hosts", "partly", "of_kubernetes", "others")},
                "runtimes": {name: self._runtimes[name] for name in _RUNTIMES if self._runtimes[name]},
            },
            "logs": {
                **{key: self._logs[key] for key in ("hosts", "partly")},
                "sources": {
                    name: {"hosts": self._sources[name], "back": list(self._back.get(name, ()))}
                    for name in _SOURCES
                    if self._sources[name]
                },
            },
        }

    def _count_containers(self, section: Section) -> None:
        left_out = _whole(section["truncated"]["instances"])
        told = sum(len(group["instances"]) for group in section["groups"])
        others = _whole(section["others"]) + len(section["strangers"])
        runtimes = {_one_of(_RUNTIMES, runtime["name"]) for runtime in section["runtimes"]}
        self._containers.update(of_kubernetes=told + left_out, others=others)
        self._containers.update(hosts=1, partly=int(bool(section["missing"]) or left_out > 0))
        self._runtimes.update(runtimes)

    def _count_logs(self, section: Section) -> None:
        back: dict[str, float] = {}
        for log in section["scanned"]:
            source, begin = _one_of(_SOURCES, log["source"]), log["from"]
            seconds = 0.0 if begin is None else _seconds(section["now"] - begin)
            back[source] = max(back.get(source, 0.0), seconds)
        self._logs.update(hosts=1, partly=int(bool(section["missing"])))
        self._sources.update(back.keys())
        for source, seconds in back.items():
            if seconds:
                least, most = self._back.get(source, (seconds, seconds))
                self._back[source] = (min(least, seconds), max(most, seconds))


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST:
        raise ValueError(f"{value!r} is no number of anything")
    return value


def _seconds(value: Any) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is no time")
    return max(0.0, float(value))


def _one_of(names: tuple[str, ...], value: Any) -> str:
    if value not in names:
        raise ValueError(f"{value!r} is none of {', '.join(names)}")
    return str(value)
