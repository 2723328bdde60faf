# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fresh network, mount and process namespaces of this machine, which end as a whole: also when the tests themselves are killed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.kubenode.doctor.tests.support.stage import run

COMMANDS = ("ip", "mount", "nsenter", "setpriv", "unshare")
# The kernel ends every process of a namespace when its process 1 ends.
_END_SECONDS = 60


class OwnNamespaces:
    """A process that does nothing but be process 1 of new namespaces."""

    def __init__(self, prepare: Sequence[str] = ()) -> None:
        """``prepare``: shell commands that run in the namespaces first; the first that fails ends everything."""
        script = "\n".join(("ip link set lo up", *prepare, "echo ready", "exec sleep infinity"))
        # setpriv: when this process is killed, so is unshare; then process 1 of its namespace; then that namespace's every process.
        # Their mounts and networks go with the namespaces.
        words = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--mount-proc", "--fork"]
        words += ["--kill-child=SIGKILL", "sh", "-ec", script]
        self._unshare = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._unshare.stdout is not None
        said = self._unshare.stdout.readline()
        assert said == "ready\n", f"the namespaces were not made: {said}"
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text("ascii")
        self.pid = int(children)  # of process 1, as this machine counts
        # What goes before a command to run it there.
        self.enter = ("nsenter", "--target", str(self.pid), "--net", "--mount", "--pid", "--")

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespaces."""
        return run(*self.enter, *words, check=check)

    def path(self, path: str | Path) -> Path:
        """A path of the namespaces as this process reaches it."""
        return Path(f"/proc/{self.pid}/root") / str(path).lstrip("/")

    def end(self) -> None:
        """End every process there."""
        if self._unshare.poll() is None:
            # unshare waits for process 1 of the namespace, and the kernel lets that end last.
            os.kill(self.pid, signal.SIGKILL)
            self._unshare.wait(_END_SECONDS)
        assert self._unshare.stdout is not None
        self._unshare.stdout.close()
