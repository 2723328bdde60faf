# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd that keeps its units in files, and a systemctl that runs in this process: what it shows and does, as far as a change asks it."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.module_utils import systemd


class MadeUpSystemd:
    """Below the root of a made-up node. Properties, words and exit statuses as systemctl 252 has them.

    A unit fails to start while its configuration has the word "broken" in it.
    """

    def __init__(self, node, monkeypatch):
        self._units = node.folder / "units"
        self._units.mkdir()
        (node.root / "run" / "systemd" / "system").mkdir(parents=True)
        self.program = node.file("/usr/bin/systemctl", "")
        self.program.chmod(0o755)
        monkeypatch.setattr(systemd, "_STAYS_SECONDS", 0)
        monkeypatch.setattr(systemd, "Program", lambda command, *_limits: _Program(self.run(command[1:])))

    def unit(self, name, config="", active="active", enabled="enabled", also=""):
        """A unit that is there; ``config`` is a path on this machine."""
        (self._units / name).mkdir()
        for key, value in (
            ("config", config),
            ("active", active),
            ("enabled", enabled),
            ("invocation", "1"),
            ("also", also),
        ):
            self.put(name, key, value)

    def remove(self, name):
        """Its package is gone."""
        (self._units / name).rename(self._units / f"{name}.gone")

    def put(self, name, key, value):
        """Let it be so."""
        (self._units / name / key).write_text(f"{value}\n")

    def get(self, name, key):
        """How it is."""
        return (self._units / name / key).read_text().strip()

    def state(self, name):
        """``(active, enabled, invocation)``."""
        return tuple(self.get(name, key) for key in ("active", "enabled", "invocation"))

    def calls(self):
        """What systemctl was asked to do, without the questions."""
        return (self._units / "calls").read_text().splitlines()

    def run(self, words):
        """``(status, output, errors)``."""
        verb, unit = words[0], words[-1]
        if verb == "show":
            return 0, "\n".join(self._shown(unit)), ""
        if verb == "cat":
            also = self.get(unit, "also")
            return 0, f"[Service]\nExecStart=/usr/bin/x --password=hunter2\n[Install]\n{also}\nAlias=x.service", ""
        if verb == "status":
            log = "Nov 21 18:00:00 node-a x[12]: toml: line 3: broken"
            return 3, f"* {unit}\n   Process: 12 ExecStart=/usr/bin/x --password=hunter2\n\n{log}", ""
        with open(str(self._units / "calls"), "a") as calls:
            calls.write(" ".join(words) + "\n")
        acts = {
            "disable": lambda: self.put(unit, "enabled", "disabled"),
            "enable": lambda: self.put(unit, "enabled", "enabled"),
            "stop": lambda: self.put(unit, "active", "inactive"),
            "restart": lambda: self._start(unit),
            "start": lambda: self.get(unit, "active") != "active" and self._start(unit),
            "daemon-reload": lambda: None,
        }
        said = acts[verb]()
        return (1, "", said) if said else (0, "", "")

    def _shown(self, unit):
        if not (self._units / unit).is_dir():
            return ["LoadState=not-found", "ActiveState=inactive"]
        active, enabled, invocation = self.state(unit)
        shown = [f"ActiveState={active}", f"UnitFileState={enabled}", f"InvocationID={invocation}"]
        return ["LoadState=loaded", *shown]

    def _start(self, unit):
        try:
            with open(self.get(unit, "config")) as config:
                broken = "broken" in config.read()
        except OSError:
            broken = False
        if broken:
            self.put(unit, "active", "failed")
            return f"Job for {unit} failed because the control process exited with error code."
        self.put(unit, "invocation", int(self.get(unit, "invocation")) + 1)
        self.put(unit, "active", "active")
        return ""


class _Program:
    """As program_lines.Program of a run that is over."""

    def __init__(self, answer):
        self.status, self._output, self._errors = answer

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        return None

    def lines(self):
        return iter(self._output.encode().split(b"\n"))

    def errors(self):
        return [self._errors] if self._errors else []
