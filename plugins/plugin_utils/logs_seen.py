# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``logs`` of one node, as the rules on containers ask it."""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.kubenode.doctor.plugins.plugin_utils import logged, moments, section_gaps
from ansible_collections.kubenode.doctor.plugins.plugin_utils.logged import Entry
from ansible_collections.kubenode.doctor.plugins.plugin_utils.node_view import NodeView
from ansible_collections.kubenode.doctor.plugins.plugin_utils.settings import Settings

# Sources in which kubelet and the runtimes tell no trouble; API servers tell theirs in pod logs.
_BESIDE_JOURNAL = ("kernel", "pod")
BESIDE_PODS = ("kernel",)
_BEFORE = 60  # characters of a message in front of what matters
# kubelet tries again 10 to 15 s after an error (kubernetes pkg/kubelet/kubelet.go, backOffPeriod; pod_workers.go, its jitter).
_TRIED_AGAIN_SECONDS = 60


class Logs:
    """What was seen of a node's logs. ``unseen`` says why nothing was; it is empty where something was."""

    def __init__(self, node: NodeView, settings: Settings) -> None:
        self.unseen = section_gaps.gap(node.sections, "logs")
        self._section: logged.Section = {} if self.unseen else node["logs"]
        self._settings = settings

    def gaps(self, but_not: tuple[str, ...] = _BESIDE_JOURNAL) -> list[str]:
        """Why messages may be missing, one reason each, but for those of some sources."""
        if self.unseen:
            return [self.unseen]
        return list(logged.unread(self._section, but_not))

    def entries(self, *signatures: str) -> list[Entry]:
        """The entries of these signatures, the latest first; none where nothing was seen."""
        return [] if self.unseen else logged.entries(self._section, *signatures)

    def is_recent(self, entry: Entry) -> bool:
        """True when it may still be going on."""
        return logged.is_recent(self._section, entry, self._settings)

    def has_ended(self, entries: Iterable[Entry]) -> bool:
        """True when kubelet, which would have logged it again by now, has not."""
        return self.silence(entries) > _TRIED_AGAIN_SECONDS

    def silence(self, entries: Iterable[Entry]) -> float:
        """For how many seconds none of it was logged; 0 where nobody knows when it was."""
        last = latest(entries)["last"]
        return 0.0 if last is None else float(self._section["now"] - last)

    def told(self, entry: Entry, about: str = "") -> str:
        """One line of evidence: where, when and what it said; of a long message the part around ``about``."""
        begin = max(entry["sample"].find(about) - _BEFORE, 0) if about else 0
        cut = {**entry, "sample": f"…{entry['sample'][begin:]}"} if begin else entry
        return logged.told(self._section, cut)

    def when(self, entry: Entry) -> str:
        """How often, when and how long before the look."""
        return logged.when(self._section, entry)

    def window(self) -> str:
        """How far back they were read at most: ``24 h``."""
        return moments.span(self._section["window_seconds"])


def latest(entries: Iterable[Entry]) -> Entry:
    """The entry that was logged last; one whose time nobody knows is no later than any other."""
    return max(entries, key=lambda entry: entry["last"] or 0.0)
