# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records of changes on the node itself: what was there before each step, so that a later run can bring it back.

A record ``ID.json`` beside the old texts, ``ID.N.before``, all readable by root alone: a configuration may hold secrets. Its ``state`` is ACTING from
before the first step on; the version that says DONE is written by then, and put in place by a rename, which needs no room on the disk. A change that
is taken back, or undone, leaves no record. One that says ACTING while nobody holds the lock, which the kernel drops with its last holder, was
interrupted.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Dict, List, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import bounded_read, folder_lock, rooted_path
from ansible_collections.kubenode.doctor.plugins.module_utils.change_file import Owner, opened, write_new
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import ChangeError, Document, field
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

FOLDER = "/var/lib/kubenode.doctor"
SCHEMA = 1
ACTING, DONE = "acting", "done"
INTERRUPTED, UNREADABLE = "interrupted", "unreadable"  # as others are told of a record
_ID = re.compile(r"([a-z][a-z0-9-]{0,60})-[0-9a-f]{12}")
_DIGITS = 12  # of a plan's digest
_RECORD = re.compile(rf"(?P<id>{_ID.pattern})\.json")
_BESIDE = re.compile(rf"\.?(?P<id>{_ID.pattern})\.([0-9]{{1,3}}\.before|json|json\.done)(\.new)?")
_FIELDS = {
    "schema": int,
    "id": str,
    "fix": str,
    "state": str,
    "undoing": bool,
    "at": str,
    "pid": int,
    "why": str,
    "parts": list,
}
_MOST = 50  # records that are told of
_PATIENCE_SECONDS = 1.0  # for who only looks whether somebody holds the lock
_AGAIN_SECONDS = 0.05
_SHOWN = 300


def new_id(fix: str, digest: str) -> str:
    """The name of a change's record. Raises ChangeError for what would be none."""
    return checked(f"{fix}-{digest[:_DIGITS]}")


def checked(change: str) -> str:
    """The same. Raises ChangeError for what is no record's name."""
    if not _ID.fullmatch(change):
        raise ChangeError("not the id of a change: the name of a fix and twelve hexadecimal digits are expected")
    return change


class Store:
    """The folder, while this process alone changes the node."""

    def __init__(self, folder: int, path: str) -> None:
        self.path = path
        self._folder = folder

    def ids(self) -> List[str]:
        """Of all records."""
        found = (_RECORD.fullmatch(name) for name in sorted(os.listdir(self._folder)))
        return [match["id"] for match in found if match]

    def read(self, change: str) -> Document:
        """A record. Raises ChangeError when there is none, or none that can be used."""
        return _read(self._folder, checked(change))

    def begin(self, change: str, fix: str, parts: Sequence[Document], backups: Mapping[int, bytes]) -> None:
        """Keep what is there before; what brings it back is on the disk when this returns. Raises OSError."""
        for number, content in backups.items():
            self._put(_backup(change, number), content)
        record = {"schema": SCHEMA, "id": change, "fix": fix, "undoing": False, "why": "", "parts": list(parts)}
        self._act({**record, "at": _now(), "pid": os.getpid()})

    def begin_undo(self, record: Document) -> None:
        """A change that is done is being taken back."""
        self._act({**record, "undoing": True, "pid": os.getpid()})

    def _act(self, record: Document) -> None:
        self._put(_done(record["id"]), _text({**record, "state": DONE, "undoing": False}))
        self._put(_record(record["id"]), _text({**record, "state": ACTING}))

    def finish(self, change: str) -> None:
        """It is done."""
        os.rename(_done(change), _record(change), src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.fsync(self._folder)

    def keep(self, change: str, parts: Sequence[Document]) -> None:
        """Keep what parts of it say now. Raises ChangeError and OSError."""
        self._put(_record(change), _text({**self.read(change), "parts": list(parts)}))

    def note(self, change: str, why: str) -> None:
        """Keep why it could be neither finished nor taken back, if there is room for it."""
        with contextlib.suppress(OSError, ChangeError):
            self._put(_record(change), _text({**self.read(change), "why": why}))

    def remove(self, change: str) -> None:
        """Nothing is left to be taken back."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_record(change), dir_fd=self._folder)
        os.fsync(self._folder)
        self.tidy()

    def tidy(self) -> None:
        """Remove what belongs to no record, and what a killed run has left half written."""
        ids = set(self.ids())
        for name in os.listdir(self._folder):
            found = _BESIDE.fullmatch(name)
            if found and (found["id"] not in ids or name.endswith(".new")):
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._folder)

    def backup(self, change: str, number: int) -> bytes:
        """A text of before. Raises OSError."""
        return _content(self._folder, _backup(change, number))

    def _put(self, name: str, content: bytes) -> None:
        new = f"{name}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new, dir_fd=self._folder)
        write_new(self._folder, new, content, Owner(0o600, os.geteuid(), os.getegid()), {})
        os.rename(new, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.fsync(self._folder)


def is_there(root: str, path: str) -> bool:
    """Whether this node has records. Raises OSError."""
    try:
        rooted_path.real(root, path)
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def locked(root: str, path: str) -> Iterator[Store]:
    """The store, for this process and those that it forks alone. It is made where there is none, and goes when nothing is in it.

    Raises ChangeError, which says who holds it, and OSError.
    """
    deadline = Deadline(_PATIENCE_SECONDS)
    folder = None
    while folder is None:
        try:
            folder = _locked(root, path, deadline)
        except PermissionError as error:
            raise ChangeError(
                f"{path}: {error.strerror}: only root may change this node (run it with --become)"
            ) from error
        except FileNotFoundError:
            if deadline.passed():  # it is not only that somebody has just removed it
                raise
    try:
        try:
            yield Store(folder, path)
        finally:
            with contextlib.suppress(OSError), opened(root, os.path.dirname(path)) as above:
                os.rmdir(os.path.basename(path), dir_fd=above)  # refused by the kernel while something is in it
    finally:
        os.close(folder)


def _locked(root: str, path: str, deadline: Deadline) -> Optional[int]:
    """A descriptor of the locked folder; None when somebody removed it meanwhile."""
    with opened(root, os.path.dirname(path)) as above, contextlib.suppress(FileExistsError):
        os.mkdir(os.path.basename(path), 0o700, dir_fd=above)
    folder = rooted_path.open_folder(root, path, os.geteuid())
    try:
        while not folder_lock.take(folder, folder_lock.ALONE):
            if deadline.passed():
                raise ChangeError(_holder(folder))
            time.sleep(_AGAIN_SECONDS)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(rooted_path.real(root, path)), os.fstat(folder)):
                return folder
    except BaseException:
        os.close(folder)
        raise
    os.close(folder)
    return None


def _holder(folder: int) -> str:
    for name in os.listdir(folder):
        with contextlib.suppress(ChangeError, OSError):
            record = _read(folder, name[: -len(".json")]) if _RECORD.fullmatch(name) else {}
            if record.get("state") == ACTING:
                doing = "undoing" if record["undoing"] else "carrying out"
                return f"process {record['pid']} is {doing} {record['fix']} on this node (begun {record['at']}): wait for it, then run again"
    return "another run is at changing this node: wait for it, then run again"


def changes(root: str = "/", path: str = FOLDER) -> List[Dict[str, Optional[str]]]:
    """``[{id, fix, state, at, why}]`` of this node's records, the newest first, at most the first 50. Raises OSError.

    ``state`` is DONE (it can be undone), ACTING (somebody is at it), INTERRUPTED, or UNREADABLE, of which ``at`` is None. Changes nothing.
    """
    try:
        folder = rooted_path.open_folder(root, path, os.geteuid())
    except FileNotFoundError:
        return []
    try:
        found = [_told(folder, name) for name in os.listdir(folder) if _RECORD.fullmatch(name)]
    finally:
        os.close(folder)
    return sorted(found, key=lambda one: one["at"] or "", reverse=True)[:_MOST]


def _told(folder: int, name: str) -> Dict[str, Optional[str]]:
    change = name[: -len(".json")]
    told: Dict[str, Optional[str]] = {"id": change, "fix": change[: -_DIGITS - 1], "state": UNREADABLE, "at": None}
    try:
        record = _read(folder, change)
    except (ChangeError, OSError) as error:
        return {**told, "why": str(error)[:_SHOWN]}
    state = INTERRUPTED if record["state"] == ACTING and not _is_held(folder) else record["state"]
    return {**told, "fix": record["fix"], "state": state, "at": record["at"], "why": record["why"][:_SHOWN]}


def _is_held(folder: int) -> bool:
    """Whether somebody has the lock. A shared one is taken for a moment, which who wants it waits for."""
    if not folder_lock.take(folder, folder_lock.SHARED):
        return True
    folder_lock.drop(folder)
    return False


def _read(folder: int, change: str) -> Document:
    """Raises ChangeError."""
    try:
        record = json.loads(_content(folder, _record(change)))
    except FileNotFoundError as error:
        raise ChangeError(f"there is no change {change} on this node (any more)") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ChangeError(f"the record {_record(change)} cannot be read: {error}") from error
    for name, kind in _FIELDS.items():
        field(record, name, kind)
    if record["schema"] != SCHEMA or record["id"] != change or record["state"] not in (ACTING, DONE):
        raise ChangeError(f"the record {_record(change)} is of another version of this collection")
    return dict(record)


def _content(folder: int, name: str) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", name)
        content = file.read(2 * bounded_read.LIMIT + 1)
    if len(content) > 2 * bounded_read.LIMIT:
        raise OSError(errno.EFBIG, "too large", name)
    return content


def _text(record: Document) -> bytes:
    return json.dumps(record, sort_keys=True).encode("ascii")


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _record(change: str) -> str:
    return f"{change}.json"


def _done(change: str) -> str:
    return f".{change}.json.done"


def _backup(change: str, number: int) -> str:
    return f"{change}.{number}.before"
