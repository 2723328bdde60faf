# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node as a rule sees it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.earlier_audits import Earlier


class NodeView:
    """A host's name and the sections of its snapshot, by name: ``node["listen_ports"]["listeners"]``."""

    def __init__(self, host: str, sections: dict[str, Any], look_back: Callable[[str], Earlier] | None = None) -> None:
        self.host = host
        self.sections = sections
        self._look_back = look_back

    def __getitem__(self, section: str) -> Any:
        return self.sections[section]

    @cached_property
    def earlier(self) -> Earlier:
        """What the last audit before this one had of the host; read when the first rule asks."""
        return Earlier(why="nobody looked back") if self._look_back is None else self._look_back(self.host)
