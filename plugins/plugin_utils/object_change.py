# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of a few fields of one object of the cluster: as a patch, as the record of its undo, and taken back. Pure.

The record of a change, as undo_record keeps it in the bundle::

    {"schema", "fix", "host": None, "state", "at", "object": {"api_version", "kind", "namespace", "name"}, "uid",
     "around": {JSON pointer: value that tells the place}, "fields": [{"path": JSON pointer, "before", "after"}], "undo": command for a person}
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import AGAIN, DONE, NEEDED, STOPPED
from ansible_collections.kubenode.doctor.plugins.plugin_utils import kubectl
from ansible_collections.kubenode.doctor.plugins.plugin_utils.deaf_pods import UID
from ansible_collections.kubenode.doctor.plugins.plugin_utils.kubectl import NAME
from ansible_collections.kubenode.doctor.plugins.plugin_utils.object_owners import mapping
from ansible_collections.kubenode.doctor.plugins.plugin_utils.undo_record import SCHEMA

# What github.com/distribution/reference lets a reference hold: [2001:db8::1]:5000/team/app:tag@sha256:...
IMAGE = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9._:/@+\[\]-]{0,1023}")
_PROTOCOL = re.compile("TCP|UDP|SCTP")

Value = str | int
Values = re.Pattern[str] | range


class RecordError(Exception):
    """A record that cannot be acted on; the text says why."""


class Field(NamedTuple):
    """One field, by its JSON pointer."""

    path: str
    before: Value
    after: Value


@dataclass(frozen=True)
class Change:
    """Which fields of which object change, and from what to what. ``around`` has the fields that tell that it is the same place still."""

    fix: str
    namespace: str
    name: str
    uid: str
    around: Mapping[str, Value]
    fields: tuple[Field, ...]

    @property
    def place(self) -> dict[str, str]:
        """The object, as kubernetes.core's modules want it."""
        shape = _SHAPES[self.fix]
        return {
            "api_version": shape.api_version,
            "kind": shape.kind,
            "namespace": self.namespace,
            "name": self.name,
        }

    @property
    def subject(self) -> str:
        """``Service shop/front``."""
        return f"{_SHAPES[self.fix].kind} {self.namespace}/{self.name}"

    @property
    def undo(self) -> str:
        """The command with which a person undoes it."""
        return _SHAPES[self.fix].undo(self)

    def entry(self, field: Field) -> dict[str, Value]:
        """What tells the entry of a list that a field is of: ``{"name": "app"}``."""
        start = f"{_entry(field.path)}/"
        return {path[len(start) :]: value for path, value in self.around.items() if path.startswith(start)}

    def record(self) -> dict[str, Any]:
        """What is kept of it, without its state and time."""
        return {
            "schema": SCHEMA,
            "fix": self.fix,
            "host": None,  # undo_record: it concerns no single one
            "object": self.place,
            "uid": self.uid,
            "around": dict(self.around),
            "fields": [field._asdict() for field in self.fields],
            "undo": self.undo,
        }

    def patch(self, metadata: Mapping[str, Any]) -> tuple[dict[str, Value], ...]:
        """A JSON patch that the API server refuses as a whole when anything has changed since the object was read."""
        tests = {
            "/metadata/uid": self.uid,
            "/metadata/resourceVersion": str(metadata.get("resourceVersion")),
            **self.around,
            **{field.path: field.before for field in self.fields},
        }
        return (
            *({"op": "test", "path": path, "value": value} for path, value in tests.items()),
            *({"op": "replace", "path": field.path, "value": field.after} for field in self.fields),
        )


def _set_image(change: Change) -> str:
    images = [f"{change.entry(field)['name']}={field.before}" for field in change.fields]
    return kubectl.command(change.namespace, "set", "image", f"deployment/{change.name}", *images)


def _set_node_port(change: Change) -> str:
    patch = [
        *({"op": "test", "path": field.path, "value": field.after} for field in change.fields),
        *({"op": "replace", "path": field.path, "value": field.before} for field in change.fields),
    ]
    return kubectl.command(change.namespace, "patch", "service", change.name, "--type=json", "-p", json.dumps(patch))


class _Shape(NamedTuple):
    """What a fix changes: in which kind of object, in which list, which field of an entry, and which fields tell the entry."""

    api_version: str
    kind: str
    entries: str
    changed: Mapping[str, Values]
    around: Mapping[str, Values]
    words: str
    undo: Callable[[Change], str]


_PORTS = range(1, 65536)
# A record is a file that anybody may have written: nothing but these fields is ever changed by it.
_SHAPES = {
    "move-nodeport": _Shape(
        api_version="v1",
        kind="Service",
        entries="/spec/ports",
        changed={"nodePort": _PORTS},
        around={"port": _PORTS, "protocol": _PROTOCOL},
        words="the NodePort of port {port}/{protocol}",
        undo=_set_node_port,
    ),
    "rollback-image": _Shape(
        api_version="apps/v1",
        kind="Deployment",
        entries="/spec/template/spec/containers",
        changed={"image": IMAGE},
        around={"name": NAME},
        words="the image of container {name}",
        undo=_set_image,
    ),
}


@dataclass(frozen=True)
class Plan:
    """What is to be done. ``state`` is NEEDED, DONE (nothing is left to do, and ``why``) or STOPPED, for which ``why`` has the reason."""

    state: str
    why: str = ""
    told: tuple[str, ...] = ()
    patch: tuple[dict[str, Value], ...] = ()
    change: Change | None = None

    def document(self) -> dict[str, Any]:
        """The plan for a playbook; of one that is not NEEDED there is nothing to keep."""
        record = self.change.record() if self.change else {}
        return {
            "state": self.state,
            "why": self.why,
            "plan": list(self.told),
            "patch": list(self.patch),
            "record": record,
        }


def needed(change: Change, told: Sequence[str], metadata: Mapping[str, Any]) -> Plan:
    """The plan to make a change in an object that was just read."""
    return Plan(NEEDED, "", tuple(told), change.patch(metadata), change)


def read(record: Mapping[str, Any]) -> Change:
    """The change that a record is of; raises RecordError for what no fix has written."""
    fix = record.get("fix")
    shape = _SHAPES.get(fix) if isinstance(fix, str) else None
    if shape is None or record.get("schema") != SCHEMA:
        raise RecordError(f"this is no record of {' or '.join(_SHAPES)}, or one of another version")
    place = mapping(record.get("object"))
    if (place.get("api_version"), place.get("kind")) != (shape.api_version, shape.kind):
        raise RecordError(f"the record's object is no {shape.kind} of {shape.api_version}")
    for key, value, pattern in (
        ("namespace", place.get("namespace"), NAME),
        ("name", place.get("name"), NAME),
        ("uid", record.get("uid"), UID),
    ):
        if not _fits(value, pattern):
            raise RecordError(f"the record has no usable {key!r}")
    fields, around = _fields(record, shape), _around(record, shape)
    if {_entry(field.path) for field in fields} != {_entry(path) for path in around}:
        raise RecordError("the record does not tell the places of its fields")
    return Change(str(fix), place["namespace"], place["name"], str(record["uid"]), around, fields)


def taken_back(change: Change, found: Sequence[dict[str, Any]]) -> Plan:
    """How a change is undone in its object, as the API server shows it now; ``found`` is empty where there is none any more.

    What somebody has changed since stays: a field is only put back where it still has what the fix gave it.
    """
    if not found:
        return Plan(STOPPED, f"there is no such {change.place['kind']} any more")
    metadata = mapping(found[0].get("metadata"))
    now = {field.path: _at(found[0], field.path) for field in change.fields}
    against = (
        (metadata.get("uid") != change.uid, "it was deleted and made anew since"),
        (metadata.get("deletionTimestamp"), "it is being deleted"),
        (
            any(_at(found[0], path) != value for path, value in change.around.items()),
            f"it has other {_SHAPES[change.fix].entries.rpartition('/')[2]} by now, or in another order",
        ),
    )
    why = next((words for holds, words in against if holds), "")
    if not why and all(now[field.path] == field.before for field in change.fields):
        return Plan(DONE, "it is as it was before")
    others = [field for field in change.fields if now[field.path] != field.after]
    if not why and others:
        why = f"{_words(change, others[0])} is {now[others[0].path]} by now, and not what the fix made it, {others[0].after}"
    if why:
        return Plan(STOPPED, f"changed since the fix: {why}")
    back = replace(change, fields=tuple(Field(field.path, field.after, field.before) for field in change.fields))
    told = [f"{_words(back, field)} becomes {field.after} again, in place of {field.before}" for field in back.fields]
    return needed(
        back, [*told, f"what {change.fix} was for comes back with it, where its cause is still there"], metadata
    )


def diagnosed_anew(words: str) -> str:
    """Why a plan is stopped: the object is not what was diagnosed."""
    return f"changed since it was diagnosed: {words}. {AGAIN}"


def _fields(record: Mapping[str, Any], shape: _Shape) -> tuple[Field, ...]:
    found = record.get("fields")
    if not isinstance(found, list) or not found:
        raise RecordError("the record has no fields")
    fields = []
    for one in map(mapping, found):
        path: Any = one.get("path")
        before: Any = one.get("before")
        after: Any = one.get("after")
        values = _values(path, shape.entries, shape.changed)
        if values is None or not _fits(before, values) or not _fits(after, values) or before == after:
            raise RecordError(
                f"the record has a field that {record['fix']} does not change, or a value that it cannot have: {str(path)[:100]}"
            )
        fields.append(Field(str(path), before, after))
    return tuple(fields)


def _around(record: Mapping[str, Any], shape: _Shape) -> dict[str, Value]:
    found = mapping(record.get("around"))
    for path, value in found.items():
        values = _values(path, shape.entries, shape.around)
        if values is None or not _fits(value, values):
            raise RecordError(
                f"the record tells the place of its fields by what {record['fix']} does not: {str(path)[:100]}"
            )
    wanted = {f"{_entry(path)}/{name}" for path in found for name in shape.around}
    if found.keys() != wanted:
        raise RecordError("the record does not tell the places of its fields")
    return found


def _values(path: Any, entries: str, known: Mapping[str, Values]) -> Values | None:
    """What a field of a list's entry may hold; None for another field."""
    if not isinstance(path, str):
        return None
    parted = re.fullmatch(rf"{re.escape(entries)}/(?:0|[1-9][0-9]{{0,3}})/([A-Za-z]+)", path)
    return known.get(parted[1]) if parted else None


def _fits(value: Any, values: Values) -> bool:
    if isinstance(values, range):
        return isinstance(value, int) and not isinstance(value, bool) and value in values
    return isinstance(value, str) and values.fullmatch(value) is not None


def _words(change: Change, field: Field) -> str:
    return _SHAPES[change.fix].words.format_map(change.entry(field))


def _entry(path: str) -> str:
    return path.rpartition("/")[0]


def _at(document: Any, pointer: str) -> Any:
    """What is at a JSON pointer; None where there is nothing."""
    for part in pointer.split("/")[1:]:
        if isinstance(document, list) and part.isdecimal() and int(part) < len(document):
            document = document[int(part)]
        elif isinstance(document, dict):
            document = document.get(part)
        else:
            return None
    return document
