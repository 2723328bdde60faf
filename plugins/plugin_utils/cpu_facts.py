# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host's pressure section tells about its CPUs, in words: evidence that several rules share."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import tcp_words


def median_run_queue(section: dict[str, Any]) -> float | None:
    """How many processes wanted to run in the middle one of the samples; None without samples."""
    samples = (section["run_queue"] or {}).get("samples")
    return statistics.median(samples) if samples else None


def busy_share(section: Any) -> float | None:
    """The share of the CPU time in the sample in which something ran, here or (steal) elsewhere; None where it was not seen."""
    cpu = section.get("cpu") if isinstance(section, dict) else None
    return None if cpu is None else round(1.0 - float(cpu["idle"]) - float(cpu["iowait"]), 6)


def facts(section: dict[str, Any]) -> Iterator[str]:
    """All that was seen of what the CPUs are asked for, and of what the hypervisor takes; nothing where nothing was."""
    yield from _cpus(section)
    yield from _steal(section)
    yield from _run_queue(section)
    if section["load"]:
        yield f"load averages over 1, 5 and 15 minutes: {', '.join(f'{value:g}' for value in section['load'])}"
    pressure = ((section["psi"] or {}).get("cpu") or {}).get("some")
    if pressure:
        yield (
            f"CPU pressure: some process waited for a CPU {pressure['avg10']:g} % of the last 10 s, {pressure['avg60']:g} % of the last "
            f"minute, {pressure['avg300']:g} % of the last 5 minutes"
        )


def _cpus(section: dict[str, Any]) -> Iterator[str]:
    cpus = section["cpus"] or {}
    if cpus.get("online"):
        present = cpus.get("present")
        off = f" of {present} that are present" if present and present != cpus["online"] else ""
        yield f"CPUs online: {cpus['online']}{off}"


def _steal(section: dict[str, Any]) -> Iterator[str]:
    if section["cpu"]:
        yield f"steal during the {round(section['seconds'], 1):g} s sample: {tcp_words.share(section['cpu']['steal'])} of the CPU time"
    if section["steal_since_boot"] is not None:
        yield f"steal since boot: {tcp_words.share(section['steal_since_boot'])} of the CPU time"


def _run_queue(section: dict[str, Any]) -> Iterator[str]:
    middle = median_run_queue(section)
    if middle is not None:
        samples = section["run_queue"]["samples"]
        yield f"processes that wanted to run, over {len(samples)} samples: {middle:g} in the middle one, {max(samples)} at most"
