# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node as a rule sees it."""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import drift, section_gaps
from ansible_collections.kubenode.doctor.plugins.plugin_utils.drift import Drift
from ansible_collections.kubenode.doctor.plugins.plugin_utils.earlier_audits import Earlier, EarlierAudits
from ansible_collections.kubenode.doctor.plugins.plugin_utils.kept_ports import KeptPorts


class NodeView:
    """A host's name and the sections of its snapshot, by name: ``node["listen_ports"]["listeners"]``."""

    def __init__(self, host: str, sections: dict[str, Any], before: EarlierAudits | None = None) -> None:
        self.host = host
        self.sections = sections
        self._gaps: dict[str, str] = {}
        self._audits = iter((Earlier(why="nobody looked back"),)) if before is None else before.all_of(host)

    def gap(self, section: str) -> str:
        """Why a section cannot be judged (section_gaps.gap); nearly every rule asks."""
        if section not in self._gaps:
            self._gaps[section] = section_gaps.gap(self.sections, section)
        return self._gaps[section]

    def __getitem__(self, section: str) -> Any:
        return self.sections[section]

    @cached_property
    def earlier(self) -> Earlier:
        """What the last audit before this one had of the host; read when the first rule asks."""
        return next(self._audits)

    @cached_property
    def drift(self) -> Drift:
        """What has changed of its listeners since then; only for a host of which ``earlier`` has something."""
        return drift.between(self.earlier.sections, self.sections)

    @cached_property
    def kept_ports(self) -> KeptPorts:
        """Which of its listeners come back on the same port; the audits before ``earlier`` are read when a listener needs them."""
        first = (self.earlier,)
        return KeptPorts(self.sections, (one.sections for one in chain(first, self._audits) if not one.why))
