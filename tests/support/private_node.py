# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node for tests that shares its programs with this machine and nothing else: no process, socket, log, state or setting.

/etc is a copy; /run, /var/lib and /var/log are empty, and so is the kernel's ring. Ansible reaches it by an interpreter that enters
it, so no sshd is needed. Needs root and own_namespaces.COMMANDS; a journal needs JOURNAL_WRITER.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

import yaml

from ansible_collections.kubenode.doctor.tests.support.own_namespaces import OwnNamespaces
from ansible_collections.kubenode.doctor.tests.support.stage import (
    NOBODY,
    host_variables,
    python_for_nobody,
    start_program,
    write_interpreter,
)

JOURNAL_WRITER = "/lib/systemd/systemd-journal-remote"
MACHINE_ID = "5eed0025eed0025eed0025eed0025eed"
_PREPARE = (
    "mount -t tmpfs none /mnt",
    "cp -a /etc/. /mnt/",
    "mount --move /mnt /etc",
    "mount -t tmpfs -o mode=755 none /run",
    "mount -t tmpfs -o mode=755 none /var/lib",
    "mount -t tmpfs -o mode=755 none /var/log",
    "for ring in /dev/kmsg /proc/kmsg; do if [ -e $ring ]; then mount --bind /dev/null $ring; fi; done",
    f"echo {MACHINE_ID} >/etc/machine-id",
)


class PrivateNode:
    """Namespaces with private folders; gone at the end of the with block."""

    def __init__(self, name: str, folder: Path, subnet: int = 0) -> None:
        """``folder``: where the interpreter and the inventory are written, for this process only. ``subnet``: see pod_network."""
        self.name = name
        self.folder = folder
        self.subnet = subnet
        self._programs: list[subprocess.Popen[str]] = []

    def __enter__(self) -> PrivateNode:
        self._namespaces = OwnNamespaces(_PREPARE)
        self.enter = self._namespaces.enter  # what goes before a command to run it on the node
        self.interpreter = write_interpreter(self.folder / f"python-{self.name}", self.enter)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._namespaces.end()
        for program in self._programs:
            program.wait()
            assert program.stdout is not None
            program.stdout.close()

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command on the node."""
        return self._namespaces.run(*words, check=check)

    def path(self, path: str | Path) -> Path:
        """A file of the node as this process reaches it."""
        return self._namespaces.path(path)

    def write(self, path: str, text: str) -> None:
        """Write a file on the node, and make its folders. Only below the private folders, since all others are this machine's."""
        assert path.startswith(("/etc/", "/run/", "/var/lib/", "/var/log/")), path
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text, encoding="utf-8")

    def start(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a fake program, and wait until it listens."""
        self._programs.append(start_program(self.enter, name, *arguments))
        return self._programs[-1]

    def interpreter_for_nobody(self) -> Path:
        """Write an interpreter by which Ansible has no rights on the node."""
        enter = (*self.enter, *NOBODY)
        return write_interpreter(self.folder / f"python-{self.name}-as-nobody", enter, str(python_for_nobody()))

    def inventory(self, extra: Mapping[str, Path] | None = None) -> Path:
        """Write an inventory of the node, and of ``extra`` hosts by their interpreters."""
        hosts = {self.name: self.interpreter, **(extra or {})}
        path = self.folder / f"inventory-{self.name}.yml"
        document = {"all": {"hosts": {name: host_variables(file) for name, file in hosts.items()}}}
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    def add_journal(self, entries: Iterable[Mapping[str, str | int]], file: str = "system.journal") -> Path:
        """Write a journal file with these entries: fields by name, as ``journalctl -o export`` prints them. Return its path.

        Each needs ``__REALTIME_TIMESTAMP`` (microseconds since the epoch), ``__MONOTONIC_TIMESTAMP`` and ``_BOOT_ID``.
        """
        folder = f"/var/log/journal/{MACHINE_ID}"
        self.run("mkdir", "-p", folder)
        done = subprocess.run(
            [*self.enter, JOURNAL_WRITER, "--output", f"{folder}/{file}", "-"],
            input=b"\n".join(b"".join(_exported(*field) for field in entry.items()) for entry in entries) + b"\n",
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return self.path(f"{folder}/{file}")


def _exported(name: str, value: str | int) -> bytes:
    """A field in systemd's journal export format; with a newline in its value it is written by its length."""
    data = str(value).encode("utf-8")
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode("ascii"), data)
    return b"%s\n%s%s\n" % (name.encode("ascii"), len(data).to_bytes(8, "little"), data)
