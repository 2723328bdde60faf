# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator sets for a judgement, checked once and early."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ansible_collections.kubenode.doctor.plugins.module_utils import expected_listeners, port_ranges
from ansible_collections.kubenode.doctor.plugins.module_utils.expected_listeners import Expected
from ansible_collections.kubenode.doctor.plugins.module_utils.service_proxy import MODES
from ansible_collections.kubenode.doctor.plugins.plugin_utils import thresholds, waivers, waivers_file
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import SEVERITIES
from ansible_collections.kubenode.doctor.plugins.plugin_utils.waivers import Waiver

_Read = TypeVar("_Read")


class SettingsError(ValueError):
    """A setting that cannot be right; the text names it."""


@dataclass(frozen=True)
class Settings:
    """Settings of one judgement. ``skew_share`` is the share of automatic port selection, 0 to 1, one port may get.

    ``expected_listeners`` are those that the operator knows. ``thresholds`` are those that were set; ``threshold`` knows the others'
    defaults.
    """

    fail_on: str = "critical"
    nodeport_range: tuple[int, int] | None = None
    proxy_mode: str | None = None
    skew_share: float = 0.1
    waivers: tuple[Waiver, ...] = ()
    expected_listeners: tuple[Expected, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def threshold(self, name: str) -> float:
        """The number in force, in the unit that plugin_utils/thresholds.py tells."""
        return self.thresholds.get(name, thresholds.BY_NAME[name].default)


def read(options: Mapping[str, Any]) -> Settings:
    """Check the options of a task; None and "" mean the default. Raises SettingsError naming what is wrong."""
    given = {key: value for key, value in options.items() if value not in (None, "")}
    return Settings(
        fail_on=_choice("fail_on", given.get("fail_on", "critical"), SEVERITIES),
        nodeport_range=_range(given.get("nodeport_range")),
        proxy_mode=_choice("proxy_mode", given["proxy_mode"], MODES) if "proxy_mode" in given else None,
        skew_share=_share("skew_share", given.get("skew_share", Settings.skew_share)),
        waivers=(
            *_checked(waivers.read, given.get("waivers", ())),
            *_checked(waivers_file.read, given.get("waivers_file")),
        ),
        expected_listeners=_checked(expected_listeners.read, given.get("expected_listeners", ())),
        thresholds=_checked(thresholds.read, given.get("thresholds", {})),
    )


def _choice(name: str, value: Any, choices: Sequence[str]) -> str:
    if value not in choices:
        raise SettingsError(f"{name}: {value!r} is none of {', '.join(choices)}")
    return str(value)


def _range(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        return port_ranges.parse_range(str(value))
    except ValueError as error:
        raise SettingsError(f"nodeport_range: {error}") from error


def _share(name: str, value: Any) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 < share <= 1:
        raise SettingsError(f"{name}: {value!r} is no share above 0 and up to 1")
    return share


def _checked(read_one: Callable[[Any], _Read], value: Any) -> _Read:
    """What ``read_one`` makes of a value, and its ValueError, which names the setting, as ours."""
    try:
        return read_one(value)
    except ValueError as error:
        raise SettingsError(str(error)) from error
