# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle: the folder of plain files that one audit leaves, and that everything is judged from::

    audit.json           when, by what, who was asked, which audits were before it       (written first)
    cluster.json         what the API server said
    nodes/<host>.json    one answer a host                  (a host without a file never answered)
    findings.json, report.txt                               (written by judge and report)

Files are 0600 in folders 0700, and each is written whole or not at all: a killed audit leaves the answers it had.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import math
import os
import shutil
import stat
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_store, whole_file
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import KINDS
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

SCHEMA = 1
# One node's answer, or a cluster's: far above real ones (a node with 5000 listeners takes 2 MB), below what hurts.
_NODE_BYTES = 64 << 20
_CLUSTER_BYTES = 1 << 30
_NAME_BYTES = 200  # most file systems end at 255
_SLICE = 500  # entries that are written at once
# ASCII only: text from a node then cannot reach a terminal as anything but text. NaN is no JSON: no other reader would take the file.
_json = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


Keep = Callable[[dict[str, Any]], Any]


class BundleError(Exception):
    """A bundle that cannot be used; the text names the file and what to do."""


def create(folder: Path, asked: Sequence[str], about: dict[str, Any]) -> None:
    """Begin a bundle for the hosts that are going to be asked; ``about`` is added to audit.json.

    Raises BundleError when the folder cannot be made or already holds an audit.
    """
    if is_there(folder / "audit.json"):
        raise BundleError(f"{folder} already holds an audit: choose another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        (folder / "nodes").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise BundleError(f"{folder}: {error.strerror}") from error
    write(folder / "audit.json", {"schema": SCHEMA, "asked": list(asked), **about})


def new_folder(audits: Path, name: str) -> Path:
    """Make the folder of a new audit, with a number behind its name where there is one already: two may begin in the same second.

    Raises BundleError.
    """
    path, number = audits / name, 1
    try:
        audits.mkdir(parents=True, exist_ok=True)
        # Whoever makes a folder has it for himself, also among controllers that share a file system.
        while not _made(path):
            number += 1
            path = audits / f"{name}-{number}"
        _made(path / "nodes")
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}") from error
    return path


def _made(path: Path) -> bool:
    """Whether it was not there, and now is. Raises OSError."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return False
    return True


def is_there(path: Path) -> bool:
    """Whether there is such a file or folder. Raises BundleError where nobody can tell: a name that is too long, a folder that is closed."""
    try:
        return path.exists()
    except OSError as error:
        raise BundleError(f"{clean(str(path), 500)} cannot be read: {error.strerror}") from error


def write(path: Path, document: dict[str, Any]) -> None:
    """Write a document as JSON, whole or not at all. Raises BundleError."""
    _write(path, _checked(path, _pieces(document)))


def _checked(path: Path, pieces: Iterable[str]) -> Iterator[str]:
    try:
        yield from pieces
    except (ValueError, TypeError, RecursionError) as error:
        raise BundleError(f"{path}: this is not to be written as JSON: {error}") from error


def _pieces(document: dict[str, Any]) -> Iterator[str]:
    """What json.dumps makes of a document, so that a large one is never in memory as text too: of what is long, a few entries at a time."""
    yield "{"
    for number, (key, value) in enumerate(document.items()):
        yield f"{',' if number else ''}{_json({key: 0})[1:-2]}"  # as JSON writes the key, with its colon
        yield from _long(value) if isinstance(value, (dict, list)) and len(value) > _SLICE else (_json(value),)
    yield "}\n"


def _long(value: dict[str, Any] | list[Any]) -> Iterator[str]:
    is_list = isinstance(value, list)
    entries: Iterator[Any] = iter(value.items() if isinstance(value, dict) else value)
    yield "[" if is_list else "{"
    for start in range(0, len(value), _SLICE):
        piece = itertools.islice(entries, _SLICE)
        yield f"{',' if start else ''}{_json(list(piece) if is_list else dict(piece))[1:-1]}"
    yield "]" if is_list else "}"


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all. Raises BundleError."""
    _write(path, [text])


def _write(path: Path, pieces: Iterable[str]) -> None:
    try:
        whole_file.write(str(path), pieces)
    except OSError as error:
        raise BundleError(f"{path} could not be written: {error.strerror}") from error


def write_over(path: Path, document: dict[str, Any], kept: str) -> None:
    """Write a document where one may be already, which then has the name ``kept``. Raises BundleError.

    There is one at every moment: whoever is killed in between leaves the old one, and two may do it at once.
    """
    if is_there(path):
        spare = path.with_name(f"{whole_file.PREFIX}{uuid.uuid4().hex}")
        try:
            _second_name(path, spare)
            spare.replace(path.with_name(kept))
        except OSError as error:
            with contextlib.suppress(OSError):
                spare.unlink()
            raise BundleError(f"{path.with_name(kept)} could not be written: {error.strerror}") from error
    write(path, document)


def _second_name(path: Path, name: Path) -> None:
    try:
        os.link(path, name)
    except OSError:  # a file system without such names
        shutil.copy(path, name)


def read(path: Path) -> dict[str, Any]:
    """A small document. Raises BundleError."""
    return _read(path, _NODE_BYTES)


def node_file(folder: Path, host: str) -> Path:
    """The file of one host, whatever characters its name in the inventory has."""
    # An inventory may hold bytes that are no UTF-8; Ansible hands them on as surrogates.
    name = urllib.parse.quote(host, safe="", errors="surrogatepass")
    if name.startswith(".") or len(name) > _NAME_BYTES:
        digest = hashlib.sha256(host.encode("utf-8", "surrogatepass")).hexdigest()
        name = f"{name.lstrip('.')[: _NAME_BYTES - len(digest) - 1]}-{digest}"
    return folder / "nodes" / f"{name}.json"


def write_answer(folder: Path, host: str, snapshot: dict[str, Any]) -> Path:
    """Store what a host answered. Raises BundleError."""
    path = node_file(folder, host)
    write(path, {"schema": SCHEMA, "host": host, "answered": True, "why": None, "snapshot": snapshot})
    return path


def write_silence(folder: Path, host: str, why: str) -> Path:
    """Store why a host gave no answer. Raises BundleError."""
    path = node_file(folder, host)
    write(path, {"schema": SCHEMA, "host": host, "answered": False, "why": why, "snapshot": None})
    return path


class Bundle:
    """Reads a bundle. Raises BundleError at once when it is not one, or is of another version.

    ``damaged`` collects, by file name, why files were of no use: what a whole audit would have left readable.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: dict[str, str] = {}
        self.audit = _read(folder / "audit.json", _NODE_BYTES)
        _check_schema(folder / "audit.json", self.audit)
        if not _is_texts(self.audit.get("asked")):
            raise BundleError(f"{folder / 'audit.json'}: 'asked' is no list of hosts")
        # What a join could not use (plugin_utils/join.py).
        lost: Any = self.audit.get("damaged")
        self.damaged.update({f"joined {number}": why for number, why in enumerate(lost)} if _is_texts(lost) else {})

    @property
    def hosts(self) -> list[str]:
        """The hosts that were asked, sorted."""
        return sorted(set(self.audit["asked"]))

    def beside(self, name: str) -> Bundle | None:
        """The bundle in another folder beside this one's; None where there is none. Raises BundleError for one that cannot be used."""
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise BundleError(f"{name!r} is no name of a folder beside {self.folder}")
        folder = self.folder.parent / name
        return Bundle(folder) if is_there(folder / "audit.json") else None

    def cluster(self) -> dict[str, Any]:
        """The cluster's answer, in the form of cluster_snapshot; a missing or damaged one is all unknown and says so."""
        path = self.folder / cluster_store.NAME
        try:
            document = _read(path, _CLUSTER_BYTES)
            _check_schema(path, document)
            _check_cluster(path, document)
        except BundleError as error:
            self.damaged[path.name] = str(error)
            return silent_cluster(str(error))
        return _completed(document)

    def findings(self, keep: Keep | None = None) -> dict[str, Any]:
        """What judge found, of whichever schema. Raises BundleError where it has not judged, or nobody can read it.

        ``keep`` is handed each object in it, inner ones first, and returns what is to be kept of it.
        """
        return _read(self.folder / "findings.json", _CLUSTER_BYTES, keep)

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Yield one document a host that was asked, in order, reading one at a time: ``{host, answered, why, snapshot}``."""
        for host in self.hosts:
            yield self.node(host)

    def node(self, host: str) -> dict[str, Any]:
        """One host's document; no file, a damaged one or one of another version is an answer that is not there."""
        path = node_file(self.folder, host)
        silent = {"host": host, "answered": False, "snapshot": None}
        try:
            if not is_there(path):
                raise BundleError(f"no answer was stored ({path.name} is not in the bundle)")
            document = _read(path, _NODE_BYTES)
            _check_schema(path, document)
            if document.get("answered") and _sections(document) is None:
                raise BundleError(f"{path}: there is no snapshot in it")
            if document.get("answered"):
                _check_schema(path, {"schema": document["snapshot"].get("schema", SCHEMA)})
        except BundleError as error:
            self.damaged[f"nodes/{path.name}"] = str(error)
            return {**silent, "why": str(error)}
        if not document.get("answered"):
            return {**silent, "why": str(document.get("why") or "no reason was stored")}
        return {"host": host, "answered": True, "why": None, "snapshot": document["snapshot"]}


def _check_cluster(path: Path, document: dict[str, Any]) -> None:
    for kind in KINDS:
        if document.get(kind.section) is not None and not _is_mappings(document[kind.section]):
            raise BundleError(f"{path}: {kind.section!r} is no list of objects")
    if document.get("pods_of") is not None and not _is_texts(document["pods_of"]):
        raise BundleError(f"{path}: 'pods_of' is no list of Nodes")
    if not all(isinstance(pod.get("node"), (str, type(None))) for pod in document.get("pods") or ()):
        raise BundleError(f"{path}: a pod's 'node' is no name")
    if not all(isinstance(document.get(key), (str, type(None))) for key in ("server", "server_version")):
        raise BundleError(f"{path}: 'server' or 'server_version' is no text")
    if not all(
        isinstance(node.get("name"), str) and _is_texts(node.get("labels_roles"))
        for node in document.get("nodes") or ()
    ):
        raise BundleError(f"{path}: a Node has no name, or its 'labels_roles' is no list of names")
    if not _is_reasons(document.get("missing")):
        raise BundleError(f"{path}: 'missing' is no list of reasons")


def _completed(document: dict[str, Any]) -> dict[str, Any]:
    """What an older version wrote, with what it did not collect as unknown."""
    unread = [kind.what for kind in KINDS if kind.section not in document]
    why = "this bundle is older than the version of kubenode.doctor that began to read them: collect again"
    for node in document.get("nodes") or ():
        for key, value in (("architecture", None), ("os", None), ("shared_images", [])):
            node.setdefault(key, value)
    for service in document.get("services") or ():
        service.setdefault("created", None)
        service.setdefault("load_balancer_names", None)
    return {
        **silent_cluster(""),
        **document,
        "complete": bool(document.get("complete")) and not unread,
        "missing": [*document["missing"], *({"what": what, "why": why} for what in unread)],
    }


def silent_cluster(why: str) -> dict[str, Any]:
    """The cluster document of an API server that said nothing."""
    return {
        "schema": SCHEMA,
        "complete": False,
        "missing": [{"what": "cluster API", "why": why}],
        "server": None,
        "server_version": None,
        "pods_of": None,
        **{kind.section: None for kind in KINDS},
    }


def _sections(document: dict[str, Any]) -> Any:
    snapshot = document.get("snapshot")
    sections = snapshot.get("sections") if isinstance(snapshot, dict) else None
    return sections if isinstance(sections, dict) else None


def _is_mappings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _is_reasons(value: Any) -> bool:
    return _is_mappings(value) and all(_is_texts([gap.get("what"), gap.get("why")]) for gap in value)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_schema(value: Any, expected: int) -> bool:
    """Whether it is this number; for Python True == 1 == 1.0."""
    return isinstance(value, int) and not isinstance(value, bool) and value == expected


def _check_schema(path: Path, document: dict[str, Any]) -> None:
    schema = document.get("schema")
    if not is_schema(schema, SCHEMA):
        raise BundleError(
            f"{path} has schema {schema!r}, this collection reads {SCHEMA}: "
            "judge it with the version of kubenode.doctor that wrote it, or collect again"
        )


def _read(path: Path, limit: int, keep: Keep | None = None) -> dict[str, Any]:
    try:
        # What moves bundles may carry a named pipe, and to open that waits until somebody writes into it.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BundleError(f"{path} is no regular file")
            # As many bytes as are asked for are set aside, and of 64 MiB for each of ten thousand nodes that takes time.
            asked = min(limit, status.st_size) + 1
            raw = file.read(asked)
            if len(raw) == asked:  # a file system that does not tell sizes, or a file that has grown
                raw += file.read(limit + 1 - asked)
    except FileNotFoundError as error:
        raise BundleError(f"{path} does not exist: this is no bundle, or an unfinished one") from error
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > limit:
        raise BundleError(f"{path} is larger than {limit >> 20} MiB")
    try:
        text = raw.decode(json.detect_encoding(raw), "surrogatepass")
        del raw  # a large document is in memory once as text, not twice
        document = json.loads(text, object_hook=keep, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is damaged or half-written: {error}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{path} holds no JSON object")
    return document


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    """A number that can be written as JSON again: 1e999 is infinite."""
    value = float(text)
    return value if math.isfinite(value) else _no_number(text[:80])
