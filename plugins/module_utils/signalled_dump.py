# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a container runtime for the stacks of all its goroutines with SIGUSR1, upon which it writes them to a file.

A Go program without a handler dies of that signal, so only a process is asked that is beyond doubt one of these, each known by its
names, by the Go module that it was built from, and by the name of the dump, which its executable holds:

* containerd: cmd/containerd/command/main.go dumpStacks writes os.TempDir()/containerd.PID.stacks.log (older ones, without that name in
  them, only log the stacks). os.TempDir is $TMPDIR, else /tmp, which ``temp`` of the configuration overrides (server/server.go
  CreateTopLevelDirectories).
* dockerd: daemon/debugtrap_unix.go and pkg/stack/stackdump.go, formerly pkg/signal/trap.go, write goroutine-stacks-TIME.log to the
  --exec-root.
* crio: cmd/crio/main.go writeCrioGoroutineStacks writes /tmp/crio-goroutine-stacks-TIME.log.

TIME is RFC 3339 without colons, in the program's own time zone. k3s, RKE2's server, k0s and other programs that hold several of these
are another program by name, and are never asked.
"""

from __future__ import annotations

import json
import signal
import time
from typing import Callable, NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    bounded_read,
    dump_folder,
    go_build,
    go_programs,
    procfs,
    program_arguments,
    rooted_path,
    toml_lines,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import plain
from ansible_collections.kubenode.doctor.plugins.module_utils.dump_folder import DumpFolder, Expected
from ansible_collections.kubenode.doctor.plugins.module_utils.dump_source import Dumped, DumpError
from ansible_collections.kubenode.doctor.plugins.module_utils.signal_target import SignalTarget

_POLL_SECONDS = 0.05
_SETTLED_SECONDS = 0.3  # without growth, and closed by the program
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6}(?:Z|[+-][0-9]{4})"
_TEMPORARY = "/tmp"  # noqa: S108 (os.TempDir of Go, and CRI-O's own choice)
_CONTAINERD_CONFIG = "/etc/containerd/config.toml"
_DOCKER_CONFIG = "/etc/docker/daemon.json"
_EXEC_ROOT = "/var/run/docker"  # moby cmd/dockerd/config_unix.go


class Writer(NamedTuple):
    """A program that writes such a file: what its executable is called and holds; where it writes, and under which name."""

    programs: Tuple[str, ...]
    mark: bytes
    folder: Callable[[SignalTarget], str]
    expected: Callable[[SignalTarget], Expected]
    ready_after: float  # seconds after its start, by when it surely handles the signal


def ask(pid: int, name: str, deadline: Deadline, proc: str = "/proc") -> Dumped:
    """Send SIGUSR1 to process ``pid``, whose name is ``name``, and return what it wrote, or why it was not asked.

    The file stays; where it lies is told.
    """
    whom = f"{plain(name, 40)} (pid {pid})"
    target = SignalTarget(pid, proc)
    try:
        with target:
            writer = _writer(target, name, deadline)
            path = writer.folder(target)
            with DumpFolder(f"{target.folder}/root", path, target.uid(), writer.expected(target)) as folder:
                folder.prepare(proc)
                written = _written(target, folder, deadline)
                file = folder.opened(written)
            place = plain(target.place(f"{path.rstrip('/')}/{written}"), 300)
            dumped = Dumped(
                f"SIGUSR1 to {whom}, which wrote {place}", dump_folder.blocks(file, place, deadline), file.close
            )
    except (DumpError, OSError, LookupError, ValueError, RecursionError) as error:
        dumped = Dumped(f"SIGUSR1 to {whom}", why=f"{whom} {_in_words(error)}")
    dumped.signalled = target.signalled
    return dumped


def _in_words(error: Exception) -> str:
    if isinstance(error, DumpError):
        return str(error)
    if isinstance(error, (FileNotFoundError, ProcessLookupError)):
        return "has ended: look again who owns the port"
    if isinstance(error, PermissionError):
        return f"could not be asked: {procfs.cure_for_refused()}"
    if isinstance(error, TimeoutError):
        return "was not asked, since no time was left: raise the time limit"
    return f"was not asked, since it could not be looked at: {plain(str(error))}"


def _writer(target: SignalTarget, name: str, deadline: Deadline) -> Writer:
    """What the process is, when it is beyond doubt one of these and ready for the signal. Raises DumpError when not."""
    writer = PROGRAMS.get(name)
    if writer is None:
        raise DumpError(
            f"was not asked: only {', '.join(PROGRAMS)} are known to write their goroutines when they are, others die"
        )
    if target.name() != name or target.program() not in writer.programs:
        raise DumpError("was not asked: its name or its program is another one, which may die of SIGUSR1")
    if not target.catches(signal.SIGUSR1):
        raise DumpError("was not asked: it has no handler for SIGUSR1, and would die of it")
    module = _module(f"{target.folder}/exe")
    if module and not go_programs.is_of(module, *go_programs.BUILT_FROM[name]):
        raise DumpError(f"was not asked: its program was built from {plain(module, 100)}, which may die of SIGUSR1")
    if not target.program_holds(writer.mark, deadline):
        raise DumpError(
            "was not asked: its program does not write a dump to a file (old versions only log it: kill -USR1, and look there)"
        )
    wait = writer.ready_after - target.age()
    if wait > 0:
        raise DumpError(
            f"was not asked: it began a short time ago and may not handle SIGUSR1 yet, of which it would die: ask again in {wait:.0f} s"
        )
    return writer


def _written(target: SignalTarget, folder: DumpFolder, deadline: Deadline) -> str:
    """Send the signal, and return the name of the file once it is complete. Raises DumpError."""
    since = time.time()
    target.send(signal.SIGUSR1)
    size, settled = -1, 0.0
    while not deadline.passed():
        time.sleep(min(_POLL_SECONDS, deadline.left()))
        there = target.is_there()
        found = folder.written(since)
        now = time.monotonic()
        if found is None or found[1].st_size != size:
            size, settled = (-1 if found is None else found[1].st_size), now
        elif now - settled >= _SETTLED_SECONDS and not target.has_open(found[1]):
            return found[0]
        if not there:
            raise DumpError("ended after it was sent SIGUSR1: look whether it was started again, and into its log")
    begun = "was still writing its dump" if size >= 0 else "had written no dump"
    raise DumpError(
        f"{begun} {shown(deadline.seconds)} s after it was asked: look into its log, or raise the time limit"
    )


def _containerd_folder(target: SignalTarget) -> str:
    file = program_arguments.flag(target.arguments(), "--config", "-config", "-c") or _CONTAINERD_CONFIG
    temporary = toml_lines.read(_configuration(target, file)).get(("temp",))
    return (temporary if isinstance(temporary, str) else "") or target.variable("TMPDIR") or _TEMPORARY


def _exec_root(target: SignalTarget) -> str:
    arguments = target.arguments()
    told = program_arguments.flag(arguments, "--exec-root")
    if not told:
        text = _configuration(target, program_arguments.flag(arguments, "--config-file") or _DOCKER_CONFIG)
        settings = json.loads(text) if text.strip() else {}
        told = settings.get("exec-root") if isinstance(settings, dict) else None
    return told if isinstance(told, str) and told else _EXEC_ROOT


def _configuration(target: SignalTarget, file: str) -> str:
    """The text of a configuration file of the process, "" when there is none. Raises OSError."""
    try:
        return bounded_read.regular_file(rooted_path.real(f"{target.folder}/root", file))
    except (FileNotFoundError, NotADirectoryError):
        return ""


def _module(executable: str) -> Optional[str]:
    """The Go module that a program was built from, None when it does not tell: Debian's and old ones do not."""
    build = go_build.read(executable)
    return build.module if build is not None else None


PROGRAMS = {
    "containerd": Writer(
        ("containerd",),
        b"containerd.%d.stacks.log",
        _containerd_folder,
        lambda target: Expected(name=f"containerd.{target.own_pid()}.stacks.log"),
        # It does so before it reads its configuration (cmd/containerd/command/main.go, "as soon as we can").
        5.0,
    ),
    "dockerd": Writer(
        ("dockerd", "dockerd-ce"),
        b"goroutine-stacks-%s.log",
        _exec_root,
        lambda _target: Expected(rf"goroutine-stacks-{_TIME}\.log"),
        # daemon.NewDaemon does so, after its containerd has started or 15 s have passed (libcontainerd/supervisor/remote_daemon.go).
        60.0,
    ),
    "crio": Writer(
        ("crio",),
        b"crio-goroutine-stacks-%s.log",
        lambda _target: _TEMPORARY,
        lambda _target: Expected(rf"crio-goroutine-stacks-{_TIME}\.log"),
        # cmd/crio/main.go does so when all is ready (catchShutdown), after its containers were restored one by one.
        300.0,
    ),
}
