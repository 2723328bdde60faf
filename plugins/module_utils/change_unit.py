# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units that a change restarts, enables or has read anew."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import (
    AFTER,
    BEFORE,
    OTHER,
    UNSEEN,
    ChangeError,
    Document,
    Part,
    UntouchedError,
    field,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.systemd import ACTIVE, Systemd

RELOAD, RESTART, ENABLE = "reload", "restart", "enable"
_ENABLED, _DISABLED = "enabled", "disabled"


def look_restart(systemd: Systemd, name: str) -> Document:
    """The state of a unit that is to be restarted. Raises ChangeError when it is not active."""
    unit = systemd.loaded(name, f"restart {name} by hand")
    if unit.active != ACTIVE or unit.job:
        raise ChangeError(
            f"{name} is {unit.active}{', with a job of systemd under way' if unit.job else ''}: it is not restarted"
        )
    return unit.document()


def look_enable(systemd: Systemd, name: str) -> Document:
    """The state of a unit that is to be enabled. Raises ChangeError for a state that could not be brought back."""
    unit = systemd.loaded(name, f"enable and start {name} by hand")
    if unit.enabled not in (_ENABLED, _DISABLED):
        raise ChangeError(f"{name} can be neither enabled nor disabled: its state is {unit.enabled or 'not told'}")
    if systemd.has_others(name):
        raise ChangeError(
            f"other units are enabled and disabled with {name} (Also=), which could not be brought back: enable and start {name} by hand"
        )
    return unit.document()


class ReloadPart(Part):
    """systemd reads its units anew."""

    READ = True

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd

    def document(self) -> Document:
        return {"kind": RELOAD}

    def where(self) -> str:
        return UNSEEN

    def act(self, deadline: Deadline) -> None:
        self._systemd.reload(deadline)

    def take_back(self, deadline: Deadline) -> str:
        """When the files are what they were."""
        self._systemd.reload(deadline)
        return ""

    def back(self) -> str:
        return ""

    def why_not_back(self) -> str:
        return ""


class _UnitPart(Part):
    """A change of one unit."""

    def __init__(self, systemd: Systemd, document: Document) -> None:
        """Raises ChangeError for a document that is none of a unit."""
        self.unit: str = field(document, "unit", str)
        self._before = _before(document)
        self._systemd = systemd
        self._document = document

    def document(self) -> Document:
        return self._document


class RestartPart(_UnitPart):
    """A unit that is restarted: again, when what it reads was taken back."""

    def where(self) -> str:
        unit = self._systemd.unit(self.unit)
        if unit.active != ACTIVE or unit.job:
            return OTHER
        return BEFORE if unit.invocation == self._before["invocation"] else AFTER

    def act(self, deadline: Deadline) -> None:
        if self.where() != BEFORE:
            raise UntouchedError(f"{self.unit} was restarted or stopped by somebody else just now")
        unit = self._systemd.run("restart", self.unit, deadline)
        if unit.invocation == self._before["invocation"]:
            raise ChangeError(f"{self.unit} is the one of before after systemctl restart")

    def take_back(self, deadline: Deadline) -> str:
        if self.where() == BEFORE:
            return ""
        self._systemd.run("restart", self.unit, deadline)
        return f"{self.unit} was restarted"

    def revive(self, deadline: Deadline) -> str:
        """Where nothing that it reads was changed, a restart cannot be taken back: it only has to be active."""
        if self.where() == OTHER:
            self._systemd.run("restart", self.unit, deadline)
            return f"{self.unit} was started again"
        return ""

    def lasts(self) -> str:
        return f"{self.unit} was restarted" if self.where() == AFTER else ""

    def back(self) -> str:
        return f"{self.unit} is restarted"

    def why_not_back(self) -> str:
        self._systemd.loaded(self.unit, f"restart {self.unit} by hand")
        return ""


class EnablePart(_UnitPart):
    """A unit that is enabled and started."""

    def where(self) -> str:
        unit = self._systemd.unit(self.unit)
        if unit.job:
            return OTHER
        if (unit.enabled, unit.active) == (_ENABLED, ACTIVE):
            return AFTER
        same = unit.enabled == self._before["enabled"] and (unit.active == ACTIVE) == self._was_active()
        return BEFORE if same else OTHER

    def act(self, deadline: Deadline) -> None:
        self._systemd.command("enable", self.unit, deadline)
        self._systemd.run("start", self.unit, deadline)

    def take_back(self, deadline: Deadline) -> str:
        if self.where() == BEFORE:
            return ""
        done = []
        if not self._was_active():
            self._systemd.command("stop", self.unit, deadline)
            done.append("stopped")
        if self._before["enabled"] != _ENABLED:
            self._systemd.command("disable", self.unit, deadline)
            done.append("disabled")
        return f"{self.unit} is {' and '.join(done)} again" if done else ""

    def back(self) -> str:
        done = [] if self._was_active() else ["stopped"]
        done += [] if self._before["enabled"] == _ENABLED else ["disabled"]
        return f"{self.unit} is {' and '.join(done)}" if done else ""

    def why_not_back(self) -> str:
        state = self._systemd.unit(self.unit, f"stop and disable {self.unit} by hand").enabled
        return "" if state in (_ENABLED, self._before["enabled"]) else f"{self.unit} is {state or 'gone'} by now"

    def state_before(self) -> str:
        """In words."""
        return f"{self._before['enabled']} and {self._before['active']}"

    def _was_active(self) -> bool:
        return bool(self._before["active"] == ACTIVE)


def _before(document: Document) -> Document:
    before: Document = field(document, "before", dict)
    for name in ("active", "enabled", "invocation"):
        field(before, name, str)
    return before
