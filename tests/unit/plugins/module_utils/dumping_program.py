# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that writes a dump when it is sent SIGUSR1: this machine's shell under a runtime's name, with the name of the dump in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

DUMP = b"goroutine 1 [running]:\nmain.main()\n"
_SHELL = os.path.realpath("/bin/sh")


class DumpingProgram:
    """Runs ``name`` in ``folder``; on SIGUSR1 it does ``reaction``, shell commands with $DUMP, the file that is to be written."""

    def __init__(
        self, folder, name, mark, reaction='printf "goroutine 1 [running]:\\nmain.main()\\n" >"$DUMP"', handler=True
    ):
        self.folder = folder
        self.dumps = folder / "dumps"
        self.dumps.mkdir(mode=0o755)
        self.reaction = reaction
        self.handler = handler
        self.program = folder / name
        shutil.copyfile(_SHELL, str(self.program))
        with self.program.open("ab") as file:
            file.write(mark)
        self.program.chmod(0o755)

    def start(self, *arguments, dump="containerd.$$.stacks.log", **variables):
        """Start it, and wait until it would react."""
        script = self.folder / "script"
        dump = f"{self.dumps}/{dump}"
        trap = f"trap '{self.reaction}' USR1\n" if self.handler else ""
        # A shell runs a trap when what it waits for ends; only "wait" itself is interrupted.
        script.write_text(f'DUMP={dump}\n{trap}sleep 600 &\necho ready\nwhile :; do wait "$!"; done\n')
        self.process = subprocess.Popen(
            [str(self.program), str(script), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.dumps), **variables},
            start_new_session=True,
        )
        assert self.process.stdout.readline() == b"ready\n"
        return self.process.pid

    def is_alive(self):
        """Whether it still runs."""
        return self.process.poll() is None

    def end(self):
        """End it, and what it started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
