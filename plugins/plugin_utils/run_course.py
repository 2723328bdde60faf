# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The course of a run as Ansible tells it to a callback: whose batch has begun, who failed where, for whom a play ended because of another host.

Ansible's own counts say nothing of the last: a host for which the play was ended (any_errors_fatal, max_fail_percentage, or a failure of a task that
runs once) is counted as one without a failure, and one whose batch was never begun is not counted at all.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils.endings import (
    FAILED,
    NOT_BEGUN,
    OK,
    SILENT,
    STOPPED,
    UNREACHABLE,
    Ending,
)


class RunCourse:
    """Of one playbook after another, as Ansible tells it."""

    def __init__(self) -> None:
        self.in_step = False  # all hosts of a play run one task at a time
        self.ended_for_all = False
        self._batch: Collection[str] = ()
        self._waiting: dict[str, None] = {}  # hosts whose batch has not begun
        self._out: set[str] = set()  # who failed and has run nothing since
        self._failed_at: dict[str, str] = {}  # the task each host failed at last, rescued or not
        self._stopped_by: dict[str, str] = {}  # hosts for which the play ended if that other one was not rescued
        self._stopped: set[str] = set()  # hosts for which it ended because too many others failed
        self._silent: dict[str, bool] = {}
        self._play = ""
        self._limited = False

    def play(self, play: Any, batch: Collection[str], everybody: Collection[str]) -> None:
        """A batch of a play begins."""
        self.in_step = str(play.strategy).removeprefix("ansible.builtin.") == "linear"
        self._batch = batch
        self._limited = play.max_fail_percentage is not None
        if play._uuid != self._play:  # not the next batch
            self._play = play._uuid
            self._waiting.update(dict.fromkeys(everybody))
        for host in batch:
            self._waiting.pop(host, None)

    def expected(self) -> Collection[str]:
        """Who may run the next task."""
        return [host for host in self._batch if host not in self._out] if self._out else self._batch

    def goes_on(self, host: str) -> None:
        """A host runs a task; if it failed before, that was rescued, or this is what is done always."""
        self._out.discard(host)

    def answered(self, host: str, well: bool) -> None:
        """Whether the node of a host gave an answer."""
        self._silent[host] = not well

    def failed(self, host: str, task: Any) -> None:
        """A host failed, or could not be reached."""
        self._out.add(host)
        self._failed_at[host] = title(task)
        # Ansible ends the play for all in both cases (plugins/strategy/linear.py).
        if task.any_errors_fatal or task.run_once is True:
            self.ended_for_all = True
            self._stopped_by.update(dict.fromkeys(self._batch, host))

    def ended_early(self) -> None:
        """Nobody is left: too many failed (plugins/strategy/linear.py), or all of them."""
        self.ended_for_all |= self._limited
        self._stopped.update(host for host in self._batch if host not in self._out)

    def endings(self, stats: Any) -> dict[str, Ending]:
        """How it ended for each host, by Ansible's own counts where it has them."""
        found = {host: self._ending(host, stats.summarize(host), stats) for host in stats.processed}
        for host in self._stopped_by.keys() | self._stopped:
            if host not in found and self._is_stopped(host, stats):
                found[host] = Ending(STOPPED)
        for host in self._waiting:
            found.setdefault(host, Ending(NOT_BEGUN))
        return found

    def _ending(self, host: str, counts: dict[str, int], stats: Any) -> Ending:
        numbers = (counts["changed"], counts["ignored"], counts["rescued"])
        if counts["unreachable"]:
            return Ending(UNREACHABLE, self._failed_at.get(host, ""), *numbers)
        if counts["failures"]:
            return Ending(FAILED, self._failed_at.get(host, ""), *numbers)
        if self._is_stopped(host, stats):
            return Ending(STOPPED, "", *numbers)
        return Ending(SILENT if self._silent.get(host) else OK, "", *numbers)

    def _is_stopped(self, host: str, stats: Any) -> bool:
        by = self._stopped_by.get(host)
        return host in self._stopped or (by is not None and bool(stats.failures.get(by) or stats.dark.get(by)))


def title(task: Any) -> str:
    """A task's own name, without that of its role; one without a name is called as its action."""
    return str(task.name or task.get_name()).strip()
