# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which logs of containers a node keeps, and in which files.

kubelet (1.14 and newer) has a folder for each pod and container, in which the runtime writes a file for each attempt::

    /var/log/pods/kube-system_kube-proxy-x7k2p_<uid>/kube-proxy/3.log                      now
                                                                3.log.20261121-101112      rotated by kubelet
                                                                3.log.20261120-091011.gz
                                                                2.log                      the attempt before

With Docker the file is a link to /var/lib/docker/containers/<id>/<id>-json.log, or wherever its data is, beside which Docker keeps
what it has rotated: <id>-json.log.1, <id>-json.log.2.gz. No other link is followed: whoever may write to these folders, and some pods
may, could let root read any file.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.kernel_files import why_refused
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import PodLog
from ansible_collections.kubenode.doctor.plugins.module_utils.log_scope import Told

FOLDER = "/var/log/pods"
WHAT = "pod logs"  # in the gaps
ATTEMPTS = 2  # the newest of each container: what it says, and what the one before it said last
# kubelet runs 110 pods by default and 250 on request; folders of pods that are gone stay for a while.
_PODS_LIMIT = 5000
_ENTRIES_LIMIT = 1000  # of the folder of one pod, and of one container
_POD = re.compile(r"([A-Za-z0-9.-]{1,63})_([A-Za-z0-9.-]{1,253})_([A-Za-z0-9-]{1,64})")
_ATTEMPT = re.compile(r"([0-9]{1,9})\.log")
_DOCKER = re.compile(r"/(?:[^/]+/)*([0-9a-f]{64})/\1-json\.log")
# pkg/kubelet/logs/container_log_manager.go: timestampFormat 20060102-150405; Docker counts, 1 is the newest.
_ROTATED = re.compile(r"\.(?:([0-9]{8}-[0-9]{6})|([0-9]{1,3}))(?:\.gz)?")
# By the conventions of kubeadm, of operators (calico-system) and of OpenShift.
_SYSTEM = re.compile(r"kube-.*|openshift-.*|.*-system")


class Log(NamedTuple):
    """The log of one attempt: the file that is written to, and when it was last written to (epoch seconds)."""

    pod: PodLog
    path: str
    written: float

    @property
    def is_system(self) -> bool:
        """Whether it belongs to what makes the node a node, as far as its namespace tells."""
        return _SYSTEM.fullmatch(self.pod.namespace) is not None

    @property
    def rank(self) -> tuple[bool, float]:
        """Those of system namespaces first, then what was written last."""
        return not self.is_system, -self.written


def logs(root: str, deadline: Deadline, told: Told) -> list[Log]:
    """The newest attempts of each container, the most telling first; what cannot be seen is added to ``told``."""
    tree = _Tree(deadline, told)
    found = sorted(tree.pods(os.path.join(root, FOLDER.lstrip("/"))), key=lambda log: log.rank)
    tree.tell()
    return found


def rotated(path: str) -> list[str]:
    """Files that hold what was in ``path`` before, the newest first. Raises OSError."""
    folder, name = os.path.split(path)
    with os.scandir(folder) as entries:
        names = [entry.name for entry in itertools.islice(entries, _ENTRIES_LIMIT) if entry.name.startswith(name)]
    found = [
        (match, other) for match, other in ((_ROTATED.fullmatch(other[len(name) :]), other) for other in names) if match
    ]
    by_time = sorted((match.group(1), other) for match, other in found if match.group(1))
    by_number = sorted((int(match.group(2)), other) for match, other in found if match.group(2))
    return [os.path.join(folder, other) for _key, other in (*reversed(by_time), *by_number)]


class _Tree:
    """Walks through the folders of pods; counts what it has to leave out."""

    def __init__(self, deadline: Deadline, told: Told) -> None:
        self._deadline = deadline
        self._told = told
        self._links: list[str] = []
        self._odd: list[str] = []
        self._refused: list[str] = []

    def pods(self, folder: str) -> Iterator[Log]:
        try:
            entries = _listed(folder, _PODS_LIMIT + 1)
        except (FileNotFoundError, NotADirectoryError):
            self._told.miss(
                WHAT,
                f"there is no {FOLDER}: kubelet does not run here, or its logs are not mounted into this container",
            )
            return
        except OSError as error:
            self._told.miss(WHAT, f"{FOLDER}: {why_refused(error)}")
            return
        if len(entries) > _PODS_LIMIT:
            self._told.miss(WHAT, f"{FOLDER} has more than {_PODS_LIMIT} entries: the others were not looked at")
        for entry in entries[:_PODS_LIMIT]:
            if self._deadline.passed():
                self._told.miss(WHAT, f"there was no time left to look through {FOLDER}: raise timeout")
                return
            named = _POD.fullmatch(entry.name)
            if named is None:
                self._odd.append(entry.name)
            elif self._is_folder(entry):
                yield from self._containers(entry.path, *named.groups())

    def tell(self) -> None:
        """Add what was left out to the gaps, with one example each."""
        for names, why in (
            (self._odd, "are not named NAMESPACE_POD_UID"),
            (self._links, "are links to something else than a log of Docker, or no files at all, and are not followed"),
            (self._refused, "may not be read: run with become (-b)"),
        ):
            if names:
                self._told.miss(WHAT, f"{len(names)} entries below {FOLDER} {why}, for instance {shown(names[0])}")

    def _containers(self, folder: str, namespace: str, name: str, uid: str) -> Iterator[Log]:
        for entry in self._inside(folder):
            if self._is_folder(entry):
                yield from self._attempts(entry, PodLog(namespace, name, uid, entry.name, None))

    def _attempts(self, container: os.DirEntry[str], pod: PodLog) -> Iterator[Log]:
        found = []
        for entry in self._inside(container.path):
            match = _ATTEMPT.fullmatch(entry.name)
            if match:
                found.append((int(match.group(1)), entry.path))
        for attempt, path in sorted(found, reverse=True)[:ATTEMPTS]:
            log = self._log(pod._replace(attempt=attempt), path)
            if log is not None:
                yield log

    def _log(self, pod: PodLog, path: str) -> Optional[Log]:
        try:
            place = docker_log(path)
            status = os.lstat(place)
        except FileNotFoundError:
            return None  # the container is gone, or was never started
        except OSError:
            self._refused.append(path)
            return None
        if not stat.S_ISREG(status.st_mode):
            self._links.append(path)
            return None
        return Log(pod, place, status.st_mtime)

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            if entry.is_dir(follow_symlinks=False):
                return True
            self._links.append(entry.path)
        except OSError:
            self._refused.append(entry.path)
        return False

    def _inside(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            return _listed(folder, _ENTRIES_LIMIT)
        except FileNotFoundError:
            return []
        except OSError:
            self._refused.append(folder)
            return []


def docker_log(path: str) -> str:
    """Where a link that kubelet made for Docker leads to; any other path as it is. Raises OSError when it is not there."""
    if not stat.S_ISLNK(os.lstat(path).st_mode):
        return path
    target = os.readlink(path)
    return target if _DOCKER.fullmatch(target) else path


def _listed(folder: str, limit: int) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(itertools.islice(entries, limit))


def shown(path: str) -> str:
    """A path for people, whatever characters it holds."""
    return "".join(sign if sign.isprintable() else "?" for sign in path[:300])
