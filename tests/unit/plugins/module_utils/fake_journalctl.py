# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up journalctl: a program on the PATH that answers from made-up entries, as one of any version does, or does something odd.

What real ones answer is compared with real files in tests/integration_real/test_log_signatures.py.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Runs on its own: the first line names the Python of the tests, and all it knows is in the file beside it.
SCRIPT = r"""
import json, os, re, sys, time
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "told.json")) as file:
    told = json.load(file)
arguments = sys.argv[1:]
with open(told["calls"], "a") as calls:
    calls.write(json.dumps(arguments) + "\n")
if "--version" in arguments:
    print(told["version"])
    sys.exit(0)
release = int(re.search("[0-9]+", told["version"]).group())
options = {part.split("=", 1)[0]: part.split("=", 1)[-1] for part in arguments if part.startswith("--")}
for option, since in (("--output-fields", 236), ("--grep", 237), ("--case-sensitive", 237)):
    if option in options and release < since:
        sys.exit("journalctl: unrecognized option '%s'" % option)
if "--grep" in options and told["no_grep"]:
    sys.exit(told["no_grep"])
sys.stdout.write(told["before"])
sys.stdout.flush()
sys.stderr.write(told["complaint"])
if told["hang"]:
    time.sleep(1000)
if "--field" in options:
    for value in {entry.get(options["--field"]) for entry in told["entries"]} - {None}:
        print(value)
    sys.exit(0)
groups, group = [], []
terms = [part for part in arguments if not part.startswith("-")]
if "+" in terms[:1] + terms[-1:]:
    sys.exit('"+" can only be used between terms')
for part in terms + ["+"]:
    if part != "+":
        group.append(part.split("=", 1))
    elif group:
        groups.append(group)
        group = []
def holds(entry, group):
    names = {name for name, _value in group}
    return all(any(entry.get(name) == value for other, value in group if other == name) for name in names)
found = [entry for entry in told["entries"] if not groups or any(holds(entry, group) for group in groups)]
if "--since" in options:
    found = [entry for entry in found if int(entry["__REALTIME_TIMESTAMP"]) >= int(options["--since"][1:]) * 1000000]
if "--lines" in options:
    found = found[-int(options["--lines"]):]
if "--reverse" in options:
    found = found[::-1]
if "--grep" in options:
    found = [entry for entry in found if re.search(options["--grep"], str(entry.get("MESSAGE")))]
for entry in found:
    print(json.dumps(entry))
sys.exit(told["status"] or (1 if "--grep" in options and not found else 0))
"""


class FakeJournalctl:
    """``folder`` is for the PATH; what is set or said before a run decides what it answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.folder.mkdir()
        self._calls = folder / "calls"
        self._entries: list[dict[str, Any]] = []
        self.told: dict[str, Any] = {
            "version": "systemd 252 (252.38-1)\n+PAM +PCRE2 +ZSTD",
            "no_grep": "",
            "before": "",
            "complaint": "",
            "hang": False,
            "status": 0,
        }
        program = self.folder / "journalctl"
        program.write_text(f"#!{sys.executable} -IS\n{SCRIPT}")
        program.chmod(0o755)
        self.write()

    def set(self, **what: Any) -> None:
        assert set(what) <= set(self.told)
        self.told.update(what)
        self.write()

    def say(
        self, when: float, message: str, unit: str | None = "kubelet.service", run: str | None = None, **fields: str
    ) -> None:
        """An entry by a unit; entries are said in the order of a journal."""
        entry = {"__REALTIME_TIMESTAMP": str(int(when * 1e6)), "MESSAGE": message, "_PID": "812", "_SYSTEMD_UNIT": unit}
        if run is not None:
            entry["_SYSTEMD_INVOCATION_ID"] = run
        self._entries.append({**entry, **fields})
        self.write()

    def say_about(self, when: float, message: str, unit: str, run: str | None = None, **fields: str) -> None:
        """An entry by systemd about a unit."""
        about = {"_PID": "1", "UNIT": unit, "INVOCATION_ID": run or ""}
        self.say(when, message, "init.scope", **{**about, **fields})

    def write(self) -> None:
        told = {**self.told, "entries": self._entries, "calls": str(self._calls)}
        (self.folder / "told.json").write_text(json.dumps(told))

    def run(self, command: list[str], _deadline: object, max_bytes: int, _longest_line: int) -> _Run:
        """What to use instead of program_lines.Program, for tests that ask often: the same program, run in this process."""
        return _Run(str(self.folder / "journalctl"), command[1:], max_bytes)

    def calls(self) -> list[list[str]]:
        """The arguments of each run so far."""
        return [json.loads(line) for line in self._calls.read_text().splitlines()]


class _Run:
    """As much of a program_lines.Program as journalctl uses."""

    def __init__(self, path: str, arguments: list[str], max_bytes: int) -> None:
        self._path = path
        self._arguments = arguments
        self._max_bytes = max_bytes
        self.bytes = self.long_lines = 0
        self.stopped: str | None = None
        self.status: Any = None

    def __enter__(self) -> _Run:
        said, complained = io.StringIO(), io.StringIO()
        kept, sys.argv = sys.argv, [self._path, *self._arguments]
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
                exec(compile(SCRIPT, self._path, "exec"), {"__file__": self._path})  # noqa: S102
        except SystemExit as end:
            self.status = end.code
        finally:
            sys.argv = kept
        self._said, self._complained = said.getvalue().encode(), complained.getvalue()
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def lines(self) -> Iterator[bytes]:
        for line in self._said.splitlines():
            self.bytes += len(line) + 1
            yield line
            if self.bytes >= self._max_bytes:
                self.stopped, self.status = "limit", None
                return

    def errors(self) -> list[str]:
        return self._complained.splitlines()
