# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How rules put an instance of a container into words, the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import moments

RUNTIMES: Mapping[str, str] = {"docker": "Docker", "containerd": "containerd", "cri-o": "CRI-O"}


def instance(one: Mapping[str, Any]) -> str:
    """``attempt 24, <full id>, running since 2021-03-12T03:20:31Z, created 2021-03-12T03:20:30Z``."""
    created = "" if one.get("created_ns") is None else f", created {moments.utc_ns(one['created_ns'])}"
    return f"{short(one)}, {state(one)}{created}"


def named(one: Mapping[str, Any]) -> str:
    """The same with the name, where the runtime tells it: what somebody needs who is to remove it."""
    name = f" ({one['name']})" if one["name"] else ""
    return f"{short(one)}{name}, {state(one)}"


def short(one: Mapping[str, Any]) -> str:
    """``attempt 24, <full id>``."""
    return f"{attempt(one)}, {one['id']}" if one.get("attempt") is not None else str(one["id"])


def attempt(one: Mapping[str, Any]) -> str:
    """``attempt 24``; of one that has no number, what is known of it."""
    return "an instance without a number" if one.get("attempt") is None else f"attempt {one['attempt']}"


def state(one: Mapping[str, Any]) -> str:
    """``running since …``, ``exited (0) …`` or just the state."""
    if one["state"] == "running" and one.get("started_ns") is not None:
        return f"running since {moments.utc_ns(one['started_ns'])}"
    if one["state"] == "exited":
        code = "" if one.get("exit_code") is None else f" ({one['exit_code']})"
        return f"exited{code}" + ("" if one.get("finished_ns") is None else f" {moments.utc_ns(one['finished_ns'])}")
    return str(one["state"])


def later(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """When one was created, seen from another, of which both times are known: ``8 min after attempt 24``."""
    seconds = (one["created_ns"] - other["created_ns"]) / 1e9
    by = (
        "at the same time as"
        if seconds == 0
        else f"{moments.span(abs(seconds))} {'after' if seconds > 0 else 'before'}"
    )
    return f"{by} {attempt(other)}"
