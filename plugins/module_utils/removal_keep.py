# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays on the node of containers that are removed, since nothing brings them back::

    removed-8470235abd66.inspect.json   what the engine told of it
    removed-8470235abd66.log            the end of its log
    removal.json                        {schema, at, ids} while a removal is under way, and after one that was interrupted

All of it is readable by its owner alone, in a folder where nobody else gets: environment variables hold secrets, and so do logs. It is on the disk before
the container is removed. What cannot be kept ends the removal.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import bounded_read, folder_lock, rooted_path, whole_file
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import Engine, EngineError
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_log import LogFormError
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import is_id

ENTRIES = 10_000  # lines of a log's end: a failure is told in far fewer, and they are read within a second
BYTES = 4 << 20
_SCHEMA = 1
_UNDER_WAY = "removal.json"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MOST_BYTES = 1 << 20  # of removal.json: ids of ten thousand containers

Ended = Dict[str, Any]  # {id, at, removed, kept_in}


class KeepError(Exception):
    """Nothing can be kept; the text says why."""


class Kept(NamedTuple):
    """Where it is; what of the log is not there, and why, None where all of it is."""

    kept_in: Optional[str] = None
    log_kept_in: Optional[str] = None
    log_gap: Optional[str] = None


class Keeper:
    """The folder, while this process alone removes containers by it. Whatever it is asked to write raises KeepError when that fails."""

    def __init__(self, path: str, folder: int) -> None:
        self._path = path
        self._folder = folder

    def begin(self, ids: Sequence[str]) -> None:
        """Note what is going to be removed."""
        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        self._write(_UNDER_WAY, json.dumps({"schema": _SCHEMA, "at": now, "ids": list(ids)}) + "\n")

    def end(self) -> None:
        """What became of them is told."""
        self._unlink(_UNDER_WAY)

    def keep(self, engine: Engine, container_id: str) -> Kept:
        """Keep what is told of a container, nothing when it is gone. Raises EngineError as well, where the engine fails to answer.

        A log that the engine cannot read, since its driver sends it elsewhere or it is damaged, is nobody's to lose: the gap says so.
        """
        told = engine.inspect(container_id)
        if told is None:
            return Kept()
        config = told.get("Config")
        try:
            log = engine.log(container_id, not (isinstance(config, dict) and config.get("Tty")), ENTRIES, BYTES)
            gap = (
                f"its beginning is not kept: only {ENTRIES} lines, and {BYTES >> 20} MiB, are"
                if log and log.cut
                else None
            )
        except EngineError as error:
            if error.status is None:
                raise EngineError(f"{error} ({container_id} was not removed: its log is to be kept before)") from error
            log, gap = None, f"the engine cannot read it: {error}"
        except LogFormError:
            log, gap = None, "the engine sends it in a form that is not known"
        name = _name(container_id)
        self._write(f"{name}.inspect.json", json.dumps(told, indent=2) + "\n")
        if log:
            self._write(f"{name}.log", log.content.decode("utf-8", "backslashreplace"))
        else:
            self._unlink(f"{name}.log")  # of an earlier run that was interrupted
        return Kept(self._place(f"{name}.inspect.json"), self._place(f"{name}.log") if log else None, gap)

    def forget(self, container_id: str) -> None:
        """It was not removed in the end."""
        for name in _names(container_id):
            self._unlink(name)

    def _place(self, name: str) -> str:
        return os.path.join(self._path, name)

    def _write(self, name: str, text: str) -> None:
        try:
            # By the folder's descriptor: its path may lead elsewhere by now.
            whole_file.write(f"/proc/self/fd/{self._folder}/{name}", [text])
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.fsync(self._folder)
        except OSError as error:
            raise KeepError(f"keep: {self._place(name)} could not be written: {_words(error)}") from error

    def _unlink(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._folder)


@contextlib.contextmanager
def opened(path: str) -> Iterator[Keeper]:
    """The folder, made where it is not there yet. Raises KeepError."""
    try:
        folder = _open(path, make=True)
    except OSError as error:
        raise KeepError(f"keep: {path}: {_words(error)}") from error
    try:
        # node_fix locks its store in the same way, which may be the same folder.
        if not folder_lock.take(folder, folder_lock.ALONE):
            raise KeepError(f"keep: {path}: another run is at changing this node: wait for it, then run again")
        yield Keeper(path, folder)
    finally:
        os.close(folder)


def interrupted(path: str, there: Iterable[str]) -> List[Ended]:
    """What became of the containers of a removal that was interrupted; ``there`` are the ids of those that there are now. Raises KeepError."""
    try:
        folder = _open(path, make=False)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise KeepError(f"{path}: {_words(error)}") from error
    try:
        return _left(path, folder, set(there)) if folder_lock.take(folder, folder_lock.SHARED) else []
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        said = _words(error) if isinstance(error, OSError) else "it is not what a removal writes"
        raise KeepError(f"{os.path.join(path, _UNDER_WAY)}: {said}") from error
    finally:
        os.close(folder)


def _left(path: str, folder: int, there: set[str]) -> List[Ended]:
    begun = json.loads(bounded_read.regular_file(f"/proc/self/fd/{folder}/{_UNDER_WAY}", _MOST_BYTES))
    ids, at = (begun.get("ids"), begun.get("at")) if isinstance(begun, dict) else (None, None)
    if not isinstance(ids, list) or not isinstance(at, str) or not all(map(is_id, ids)):
        raise ValueError
    names = set(os.listdir(folder))
    return [
        {
            "id": id_,
            "at": at,
            "removed": id_ not in there,
            "kept_in": os.path.join(path, _names(id_)[0]) if _names(id_)[0] in names else None,
        }
        for id_ in ids
    ]


def _open(path: str, make: bool) -> int:
    """A descriptor of the folder, which is no link, and into which nobody else gets. Raises OSError."""
    above, name = os.path.split(path.rstrip("/"))
    parent = rooted_path.open_folder("/", above, os.geteuid())
    try:
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=parent)
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)
    found = os.fstat(folder)
    if found.st_uid == os.geteuid() and not found.st_mode & _OTHERS:
        return folder
    os.close(folder)
    raise OSError(errno.EPERM, "others may look into it: a folder of one's own with mode 0700 is expected", path)


def _name(container_id: str) -> str:
    return f"removed-{container_id[:12]}"


def _names(container_id: str) -> Sequence[str]:
    return f"{_name(container_id)}.inspect.json", f"{_name(container_id)}.log"


def _words(error: OSError) -> str:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "no folder, or a symbolic link, which is not followed"
    return error.strerror or str(error)
