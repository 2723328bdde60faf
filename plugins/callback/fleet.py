# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's default output for plays over many hosts: a line of progress, equal failures told once, equal ends told together."""

from __future__ import annotations

DOCUMENTATION = """
name: fleet
type: stdout
short_description: Ansible's default output, made for many hosts
version_added: 0.1.0
description:
  - Prints what P(ansible.builtin.default#callback) prints, and obeys its options.
  - While several hosts run a task, a terminal has one line that says how many are through, how many of them failed, and which work longest.
    It is redrawn in its place and is gone when the task is over. Where the output is no terminal, a task that lasts has a line after
    5 seconds, then one at each quarter of the hosts, at least every 30 seconds, and one at its end.
  - Failures of a task that differ in nothing but the host are printed once, followed by the names of the other hosts.
  - In place of Ansible's recap, which has a line for each host, hosts with the same end have one, the worst first, and then it says what the exit status is.
    With C(-v) the line of each host is printed too.
options:
  progress:
    description:
      - V(auto) draws the line on a terminal, and prints lines at steps where there is none.
      - V(log) prints lines at steps on a terminal too, such as for a screen reader, or where ssh asks on the terminal whether a host key is right.
      - V(none) shows no progress.
    type: str
    choices: [auto, log, none]
    default: auto
    env:
      - name: KUBENODE_DOCTOR_PROGRESS
    ini:
      - section: kubenode_doctor
        key: progress
extends_documentation_fragment:
  - default_callback
  - result_format_callback
requirements:
  - to be named as C(stdout_callback) in the configuration
author:
  - the kubenode.doctor authors (@kubenode)
"""

import atexit
import contextlib
import functools
import time
from typing import Any

from ansible import constants as C  # noqa: N812 - as all of Ansible calls it
from ansible import context
from ansible.plugins.callback.default import CallbackModule as Default
from ansible.utils.fqcn import add_internal_fqcns

from ansible_collections.kubenode.doctor.plugins.plugin_utils import endings, progress
from ansible_collections.kubenode.doctor.plugins.plugin_utils.display_door import Said
from ansible_collections.kubenode.doctor.plugins.plugin_utils.progress import Progress
from ansible_collections.kubenode.doctor.plugins.plugin_utils.progress_watch import ProgressWatch
from ansible_collections.kubenode.doctor.plugins.plugin_utils.run_course import RunCourse, title
from ansible_collections.kubenode.doctor.plugins.plugin_utils.same_failures import SameFailures

_ASKS = "kubenode.doctor.node_snapshot"
_SAY_WHY = add_internal_fqcns(("fail", "assert"))
_INCLUDED_HOSTS = 10  # so many are named
_COLOURS = {
    endings.FAILED: "COLOR_ERROR",
    endings.UNREACHABLE: "COLOR_UNREACHABLE",
    endings.STOPPED: "COLOR_WARN",
    endings.NOT_BEGUN: "COLOR_WARN",
    endings.SILENT: "COLOR_WARN",
    endings.OK: "COLOR_OK",
}


class CallbackModule(Default):
    """Everything is printed by the default callback; this one holds back, counts and adds."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "kubenode.doctor.fleet"

    def __init__(self) -> None:
        super().__init__()
        self._failures: SameFailures | None = None
        self._course = RunCourse()
        self._playbooks = 0

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Another playbook of the command line."""
        self._playbooks += 1
        super().v2_playbook_on_start(playbook)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """A play begins, or its next batch."""
        self._task_is_over()
        everything = play.get_variable_manager().get_vars(play=play)
        self._course.play(play, everything.get("ansible_play_batch", []), everything.get("ansible_play_hosts_all", []))
        super().v2_playbook_on_play_start(play)

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """The next task, and with it the end of the last one."""
        self._next_task(task)
        super().v2_playbook_on_task_start(task, is_conditional)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """The same for a handler."""
        self._next_task(task)
        super().v2_playbook_on_handler_task_start(task)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """A host is given to a worker."""
        self._watch.start(host.get_name())
        self._course.goes_on(host.get_name())
        super().v2_runner_on_start(host, task)

    def v2_runner_on_ok(self, result: Any) -> None:
        """It went well; whether a node has answered is what kubenode.doctor.node_snapshot says of it."""
        host, answered = _host(result), True
        if _task(result).action == _ASKS:
            answered = _returned(result).get("answered", True)
            self._course.answered(host, answered)
        self._watch.end(host, progress.DONE if answered else progress.SILENT)
        super().v2_runner_on_ok(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """It had nothing to do."""
        self._watch.end(_host(result), progress.DONE)
        super().v2_runner_on_skipped(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """It failed."""
        self._watch.end(_host(result), progress.FAILED)
        if not ignore_errors:
            self._course.failed(_host(result), _task(result))
        with self._watch.door.held() as said:
            super().v2_runner_on_failed(result, ignore_errors)
        self._tell_failure(result, said)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        """It failed with one item of a loop."""
        with self._watch.door.held() as said:
            super().v2_runner_item_on_failed(result)
        self._tell_failure(result, said, str(self._get_item_label(_returned(result))))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """It could not be reached."""
        self._watch.end(_host(result), progress.UNREACHABLE)
        if not _task(result).ignore_unreachable:
            self._course.failed(_host(result), _task(result))
        with self._watch.door.held() as said:
            super().v2_runner_on_unreachable(result)
        self._tell_failure(result, said)

    def v2_playbook_on_include(self, included_file: Any) -> None:
        """Many hosts are a number."""
        with self._watch.door.held() as said:
            super().v2_playbook_on_include(included_file)
        names = [host.name for host in included_file._hosts]
        few = f"{', '.join(names[:_INCLUDED_HOSTS])} and {len(names) - _INCLUDED_HOSTS} more"
        for line in said:
            short = line.text.replace(", ".join(names), few) if len(names) > _INCLUDED_HOSTS else line.text
            self._watch.door.let_through(line._replace(text=short))

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """Nobody is left for the play."""
        self._task_is_over()
        self._course.ended_early()
        super().v2_playbook_on_no_hosts_remaining()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """The end of a playbook: the groups take the place of the lines of the hosts."""
        self._task_is_over()
        with self._watch.door.held() as said:
            super().v2_playbook_on_stats(stats if self._display.verbosity else _WithoutHosts(stats))
        ends = self._course.endings(stats)
        # The first that the default callback prints is the banner.
        for line in said[:1]:
            self._watch.door.let_through(line)
        self._tell_ends(ends)
        for line in said[1:]:
            self._watch.door.let_through(line)

    def _tell_ends(self, ends: dict[str, endings.Ending]) -> None:
        change = ("change to make", "changes to make") if context.CLIARGS.get("check") else ("change", "changes")
        for word, line in endings.lines(ends, change):
            self._display.display(line, color=getattr(C, _COLOURS[word]))
        status, line = endings.exit_status(ends, self._course.ended_for_all)
        # Where all is well, the next playbook of the command line decides.
        if status or self._playbooks >= len(context.CLIARGS.get("args") or ()):
            self._display.display(line)

    def _next_task(self, task: Any) -> None:
        self._task_is_over()
        if self._course.in_step:
            self._failures = SameFailures(self._watch.door.let_through)
            # A debugger asks on the terminal.
            if task.debugger is None and not C.ENABLE_TASK_DEBUGGER:
                at_once = min(_number(context.CLIARGS.get("forks"), C.DEFAULT_FORKS), _number(task.throttle, 10**9))
                self._watch.watch(Progress(title(task), self._course.expected(), at_once, time.monotonic()))

    def _task_is_over(self) -> None:
        self._watch.over()
        if self._failures is not None:
            self._failures.flush()
            self._failures = None

    def _tell_failure(self, result: Any, said: list[Said], item: str | None = None) -> None:
        if not self._display.verbosity and _task(result).action in _SAY_WHY:
            # From ansible-core 2.19 on, the same words stand in an error with the place in the playbook, where nothing is wrong.
            said = [line for line in said if not line.text.startswith("[ERROR]: ")]
        if self._failures is not None:
            self._failures.add(self.host_label(result), said, item)
            return
        for line in said:
            self._watch.door.let_through(line)

    @functools.cached_property
    def _watch(self) -> ProgressWatch:
        """From the first play on, when the options are known."""
        atexit.register(self._leave)
        return ProgressWatch(self._display, self.get_option("progress"))

    def _leave(self) -> None:
        """Also after Ctrl-C: what was held back is told, and the terminal is left as it was found."""
        self._watch.leave()
        with contextlib.suppress(OSError):  # nobody reads any more
            self._task_is_over()


class _WithoutHosts:
    """What the default callback's end needs of the counts, but for the hosts."""

    def __init__(self, stats: Any) -> None:
        self.processed: dict[str, int] = {}
        self.custom = stats.custom


def _host(result: Any) -> str:
    return str((getattr(result, "host", None) or result._host).get_name())  # _host: before ansible-core 2.19


def _task(result: Any) -> Any:
    return getattr(result, "task", None) or result._task


def _returned(result: Any) -> dict[str, Any]:
    returned: dict[str, Any] = result.result if hasattr(result, "result") else result._result
    return returned


def _number(value: Any, otherwise: int) -> int:
    """A number that is set and is no template."""
    return value if isinstance(value, int) and value > 0 else otherwise
