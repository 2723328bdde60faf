# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that may be sent a signal of which others would die, and that is certainly still the same when it is sent.

Fields of /proc/PID/stat and /proc/PID/status: proc(5).
"""

from __future__ import annotations

import contextlib
import os
import signal
from types import TracebackType
from typing import Dict, List, Optional, Type

from ansible_collections.kubenode.doctor.plugins.module_utils import procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

_STARTED = 19  # of procfs.stat_fields: in clock ticks since boot
_ARGUMENTS_LIMIT = 128 << 10
_ENVIRONMENT_LIMIT = 2 << 20
_BLOCK = 1 << 20
_DELETED = " (deleted)"  # what the kernel adds to the name of a program that was replaced while it runs


class SignalTarget:
    """One process, held by a descriptor where the kernel (5.3) and Python (3.9) have these: its number may be given to another one.

    ``signalled`` is True once it was sent a signal. All methods raise OSError when it is gone or hidden.
    """

    def __init__(self, pid: int, proc: str = "/proc") -> None:
        self.pid = pid
        self.folder = f"{proc}/{pid}"
        self._proc = proc
        self._descriptor: Optional[int] = None
        self.signalled = False

    def __enter__(self) -> SignalTarget:
        with contextlib.suppress(AttributeError):  # Python 3.8
            try:
                self._descriptor = os.pidfd_open(self.pid)  # type: ignore[attr-defined,unused-ignore]
            except ProcessLookupError:
                raise
            except OSError:  # an older kernel, or a sandbox
                self._descriptor = None
        try:
            self._began = self._started()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._close()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process and no other. Raises ProcessLookupError when it has ended."""
        if self._descriptor is not None:
            signal.pidfd_send_signal(self._descriptor, number)  # type: ignore[attr-defined,unused-ignore]
        elif self.is_there():
            os.kill(self.pid, number)
        else:
            raise ProcessLookupError
        self.signalled = True

    def is_there(self) -> bool:
        """Whether it still runs."""
        try:
            return self._started() == self._began and self._fields()[0] not in ("Z", "X")
        except OSError:
            return False

    def age(self) -> float:
        """Seconds since it started."""
        uptime = float(procfs.text(f"{self._proc}/uptime").split()[0])
        return uptime - self._began / os.sysconf("SC_CLK_TCK")

    def name(self) -> str:
        """The kernel's name of it."""
        return procfs.text(f"{self.folder}/comm").rstrip("\n")

    def program(self) -> str:
        """The base name of the file that it runs."""
        path = os.readlink(f"{self.folder}/exe")
        return os.path.basename(path[: -len(_DELETED)] if path.endswith(_DELETED) else path)

    def program_holds(self, text: bytes, deadline: Deadline) -> bool:
        """Whether these bytes are in the file that it runs. Raises TimeoutError."""
        kept = b""
        with open(f"{self.folder}/exe", "rb") as file:
            for block in iter(lambda: file.read(_BLOCK), b""):
                if text in kept + block:
                    return True
                if deadline.passed():
                    raise TimeoutError
                kept = block[-len(text) :]
        return False

    def catches(self, number: signal.Signals) -> bool:
        """Whether it has a handler for a signal."""
        return bool(int(self._status()["SigCgt"], 16) >> (number - 1) & 1)

    def uid(self) -> int:
        """Whose the files are that it makes."""
        return int(self._status()["Uid"].split()[3])

    def own_pid(self) -> int:
        """Its number in its own pid namespace (Linux 4.1 and newer tell)."""
        return int(self._status().get("NSpid", str(self.pid)).split()[-1])

    def arguments(self) -> List[str]:
        """What it was started with."""
        return procfs.text(f"{self.folder}/cmdline", _ARGUMENTS_LIMIT).rstrip("\0").split("\0")

    def variable(self, name: str) -> Optional[str]:
        """A variable of the environment that it was started with."""
        for entry in procfs.text(f"{self.folder}/environ", _ENVIRONMENT_LIMIT).split("\0"):
            if entry.startswith(f"{name}="):
                return entry[len(name) + 1 :]
        return None

    def has_open(self, found: os.stat_result) -> bool:
        """Whether it has a file open."""
        for entry in os.listdir(f"{self.folder}/fd"):
            with contextlib.suppress(OSError):  # closed under our eyes
                its = os.stat(f"{self.folder}/fd/{entry}")
                if (its.st_dev, its.st_ino) == (found.st_dev, found.st_ino):
                    return True
        return False

    def place(self, path: str) -> str:
        """How a path of the process is reached from here."""
        try:
            same = os.readlink(f"{self.folder}/ns/mnt") == os.readlink(f"{self._proc}/self/ns/mnt")
            return path if same and os.readlink(f"{self.folder}/root") == "/" else f"{self.folder}/root{path}"
        except OSError:
            return path

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _started(self) -> int:
        return int(self._fields()[_STARTED])

    def _fields(self) -> List[str]:
        fields = procfs.stat_fields(f"{self.folder}/stat")
        if len(fields) <= _STARTED:
            raise ProcessLookupError
        return fields

    def _status(self) -> Dict[str, str]:
        lines = procfs.text(f"{self.folder}/status").splitlines()
        return {name: value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
