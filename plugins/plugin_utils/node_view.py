# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node as a rule sees it."""

from __future__ import annotations

from typing import Any


class NodeView:
    """A host's name and the sections of its snapshot, by name: ``node["listen_ports"]["listeners"]``."""

    def __init__(self, host: str, sections: dict[str, Any]) -> None:
        self.host = host
        self.sections = sections

    def __getitem__(self, section: str) -> Any:
        return self.sections[section]
