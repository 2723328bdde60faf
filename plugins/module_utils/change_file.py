# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that a change replaces: whole, at once, and back again byte for byte.

The new text, and a copy of the old one, are written and synced as temporary files first. The step itself is a rename, which needs no room on the disk; so does
taking it back. Nothing is written through a name that others could lead elsewhere: folders are held open, links are not followed.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from typing import Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import bounded_read, procfs, rooted_path
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import (
    AFTER,
    BEFORE,
    OTHER,
    Backup,
    ChangeError,
    Document,
    Part,
    UntouchedError,
    field,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

KIND = "file"
_ABSENT: Document = {"absent": True}
_COMPARED = ("absent", "sha256", "mode", "uid", "gid")  # a label may be set anew in between
# The kernel makes these of the content itself (security/integrity), and lets nobody copy them.
_OF_THE_KERNEL = frozenset({"security.ima", "security.evm"})
_LABEL = "security.selinux"
_NEW, _OLD = ".kubenode-doctor", ".kubenode-doctor-before"
_FOLDER_MODE = 0o755
_GONE = (FileNotFoundError, NotADirectoryError)


class Found(NamedTuple):
    """A file's state, as JSON, and its content; None where it is not there."""

    state: Document
    content: Optional[bytes]


class _Places(NamedTuple):
    """Where a file is, and where its temporary files are: both on the same file system, as rename(2) needs it."""

    folder: str
    name: str
    staged_in: str
    staged_as: str


@contextlib.contextmanager
def opened(root: str, folder: str) -> Iterator[int]:
    """A descriptor of a folder that nobody but root and we can lead elsewhere. Raises OSError."""
    descriptor = rooted_path.open_folder(root, folder, os.geteuid())
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def look(root: str, path: str) -> Found:
    """What is there. Raises ChangeError for what is no plain file of root's, and OSError."""
    try:
        with opened(root, os.path.dirname(path)) as folder:
            descriptor = os.open(
                os.path.basename(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
            )
    except _GONE:
        return Found(dict(_ABSENT), None)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ChangeError(f"{path} is a symbolic link: change by hand what it leads to") from error
        raise
    try:
        seen = os.fstat(descriptor)
        if not stat.S_ISREG(seen.st_mode):
            raise ChangeError(f"{path} is no file")
        if seen.st_uid not in (0, os.geteuid()):
            raise ChangeError(f"{path} belongs to user {seen.st_uid}, not to root: it is not changed in his place")
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(bounded_read.LIMIT + 1)
        if len(content) > bounded_read.LIMIT:
            raise ChangeError(f"{path} has more than {bounded_read.LIMIT} bytes")
        return Found(_state_of(seen, content, _attributes(descriptor)), content)
    finally:
        os.close(descriptor)


def _state_of(seen: os.stat_result, content: bytes, attributes: Dict[str, str]) -> Document:
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "mode": stat.S_IMODE(seen.st_mode),
        "uid": seen.st_uid,
        "gid": seen.st_gid,
        "xattrs": attributes,
    }


def missing_folders(root: str, path: str) -> List[str]:
    """The folders on the way to a file that are not there, the outermost first. Raises OSError."""
    missing: List[str] = []
    folder = os.path.dirname(path)
    while folder not in ("/", ""):
        try:
            rooted_path.real(root, folder)
            break
        except FileNotFoundError:
            missing.insert(0, folder)
            folder = os.path.dirname(folder)
    return missing


def new_state(before: Document, after: Optional[bytes], mode: int) -> Document:
    """The state that a new text gives a file: it keeps what is not its content."""
    if after is None:
        return dict(_ABSENT)
    digest = hashlib.sha256(after).hexdigest()
    if "absent" in before:
        return {"sha256": digest, "mode": mode, "uid": os.geteuid(), "gid": os.getegid(), "xattrs": {}}
    return {**before, "sha256": digest}


class FilePart(Part):
    """``new`` is the text to come, None where there is to be no file or where the part is read from a record; ``old`` gives the one of before."""

    READ = True

    def __init__(self, root: str, document: Document, old: Backup, new: Optional[bytes] = None) -> None:
        """Raises ChangeError for a document that is none of a file."""
        self.path: str = field(document, "path", str)
        self.before = _state(document, "before")
        self.after = _state(document, "after")
        self._made: List[str] = field(document, "made", list)
        self._root = root
        self._document = document
        self._old = old
        self._new = new
        in_, as_ = field(document, "staged_in", str), field(document, "staged_as", str)
        self._places = _Places(os.path.dirname(self.path), os.path.basename(self.path), in_, as_)

    def document(self) -> Document:
        return self._document

    def old(self) -> Optional[bytes]:
        """The text of before; None when there was no file. Raises OSError."""
        return None if "absent" in self.before else self._old()

    def stage(self) -> None:
        for folder in self._made:
            with opened(self._root, os.path.dirname(folder)) as above:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(os.path.basename(folder), dir_fd=above)
                    os.chmod(os.path.basename(folder), _FOLDER_MODE, dir_fd=above)
                os.fsync(above)
        if self._new is not None:
            self._write(_NEW, self._new, self.after, label_from_folder="absent" in self.before)
        self.stage_back()

    def stage_back(self) -> None:
        if "absent" not in self.before:
            self._write(_OLD, self._old(), self.before)

    def unstage(self) -> None:
        for kind in (_NEW, _OLD):
            with contextlib.suppress(*_GONE), opened(self._root, self._places.staged_in) as folder:
                os.unlink(self._places.staged_as + kind, dir_fd=folder)

    def where(self) -> str:
        try:
            state = look(self._root, self.path).state
        except ChangeError:
            return OTHER
        if _same(state, self.after):
            return AFTER
        return BEFORE if _same(state, self.before) else OTHER

    def act(self, _deadline: Deadline) -> None:
        if not _same(look(self._root, self.path).state, self.before):
            raise UntouchedError(f"{self.path} was changed by somebody else just now")
        self._put(_NEW, self.after)
        with opened(self._root, self._places.folder) as folder:
            os.fsync(folder)

    def take_back(self, _deadline: Deadline) -> str:
        state = look(self._root, self.path).state
        if _same(state, self.before):
            return ""
        if not _same(state, self.after):
            raise ChangeError(f"{self.path} was changed by somebody else meanwhile, and is left as it is")
        if "absent" not in self.before and not self._is_staged(_OLD):
            self.stage_back()
        self._put(_OLD, self.before)
        with contextlib.suppress(OSError), opened(self._root, self._places.folder) as folder:
            os.fsync(folder)  # a disk that fails here has the old text all the same, for all who ask
        return f"{self.path} is gone again" if "absent" in self.before else f"{self.path} is as it was"

    def back(self) -> str:
        if _same(self.before, self.after):
            return ""
        return f"{self.path} is removed" if "absent" in self.before else f"{self.path} gets its old text back"

    def why_not_back(self) -> str:
        return f"{self.path} was changed since" if self.where() == OTHER else ""

    def tidy_back(self) -> None:
        """Folders that were made go, unless something else is in them by now."""
        for folder in reversed(self._made):
            with contextlib.suppress(OSError), opened(self._root, os.path.dirname(folder)) as above:
                os.rmdir(os.path.basename(folder), dir_fd=above)

    def _put(self, kind: str, state: Document) -> None:
        """Let the file be what was staged, or not be there."""
        places = self._places
        with opened(self._root, places.folder) as folder:
            if "absent" in state:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(places.name, dir_fd=folder)
            else:
                with opened(self._root, places.staged_in) as staged:
                    os.rename(places.staged_as + kind, places.name, src_dir_fd=staged, dst_dir_fd=folder)

    def _is_staged(self, kind: str) -> bool:
        try:
            with opened(self._root, self._places.staged_in) as folder:
                os.stat(self._places.staged_as + kind, dir_fd=folder, follow_symlinks=False)
        except _GONE:
            return False
        return True

    def _write(self, kind: str, content: bytes, state: Document, label_from_folder: bool = False) -> None:
        if hashlib.sha256(content).hexdigest() != state["sha256"]:
            raise ChangeError(f"what is kept of {self.path} is not what was there")
        attributes = {name: base64.b64decode(value) for name, value in state["xattrs"].items()}
        if label_from_folder:  # what the kernel gives a file that is made in the folder itself (unless the policy has an own rule for its name)
            with opened(self._root, self._places.folder) as folder, contextlib.suppress(OSError):
                attributes[_LABEL] = os.getxattr(folder, _LABEL)
        name = self._places.staged_as + kind
        with opened(self._root, self._places.staged_in) as folder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)  # of a run whose record somebody has removed
            write_new(folder, name, content, Owner(state["mode"], state["uid"], state["gid"]), attributes)
            os.fsync(folder)


class Owner(NamedTuple):
    """Who may do what with a file."""

    mode: int
    uid: int
    gid: int


def write_new(folder: int, name: str, content: bytes, owner: Owner, attributes: Dict[str, bytes]) -> None:
    """Write a file that is not there yet, whole and on the disk, or not at all. Raises OSError."""
    descriptor = os.open(
        name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    try:
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fchown(descriptor, owner.uid, owner.gid)
            os.fchmod(descriptor, owner.mode)
            for attribute, value in attributes.items():
                os.setxattr(descriptor, attribute, value)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
        raise


def staging(root: str, path: str) -> Document:
    """Where the temporary files of a file are: ``{staged_in, staged_as}``. Raises OSError.

    Beside it; of a folder of drop-ins in the folder above, where that is of the same file system: CRI-O reads every file of crio.conf.d, whatever its name
    (cri-o pkg/config/config.go, UpdateFromPath).
    """
    folder, name = os.path.split(path)
    above, own = os.path.split(folder)
    if own.endswith(".d") and above != "/" and _is_one_mount(root, above, folder):
        return {"staged_in": above, "staged_as": f".{own}.{name}"}
    return {"staged_in": folder, "staged_as": f".{name}"}


def _is_one_mount(root: str, above: str, folder: str) -> bool:
    try:
        with opened(root, above) as one, opened(root, folder) as other:
            return _mount(one) == _mount(other)
    except FileNotFoundError:  # made later, inside of that one
        return True


def _mount(folder: int) -> Tuple[int, str]:
    """What two folders must share for a rename between them: the file system, and the mount (proc_pid_fdinfo(5))."""
    lines = procfs.text(f"/proc/self/fdinfo/{folder}").splitlines()
    return os.fstat(folder).st_dev, next((line for line in lines if line.startswith("mnt_id:")), "")


def _attributes(descriptor: int) -> Dict[str, str]:
    try:
        names = sorted(set(os.listxattr(descriptor)) - _OF_THE_KERNEL)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    return {name: base64.b64encode(os.getxattr(descriptor, name)).decode("ascii") for name in names}


def _same(one: Document, other: Document) -> bool:
    return all(one.get(key) == other.get(key) for key in _COMPARED)


def _state(document: Document, name: str) -> Document:
    """A state of a record. Raises ChangeError."""
    state: Document = field(document, name, dict)
    if state == _ABSENT:
        return state
    for key, kind in (("sha256", str), ("mode", int), ("uid", int), ("gid", int), ("xattrs", dict)):
        field(state, key, kind)
    return state
