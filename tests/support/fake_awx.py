# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of AWX' REST API as the modules of awx.awx use to make things: /api/v2/, with objects in memory.

    with FakeAwx() as awx:
        run(environment=awx.environment)
        awx.one("job_templates", "kubenode.doctor slices")["job_slice_count"]

Faithful in: lists with count, next and results; filters by field; related URLs; POST, PATCH and associations (204); secrets that are told as
$encrypted$; 401 without the token; 400 for a field that is missing, for a reference to what is not there, and for a name that is taken.
Without: permissions, and everything that runs jobs.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "of the fake"  # noqa: S105 - nobody else takes it
# What AWX 24.6.1 demands of each kind (its serializers, awx/api/serializers.py), and to which kinds the fields refer.
NEEDED = {
    "organizations": ["name"],
    "execution_environments": ["name", "image"],
    "projects": ["name"],
    "inventories": ["name", "organization"],
    "credential_types": ["name", "kind"],
    "credentials": ["name", "credential_type"],
    "instance_groups": ["name"],
    "job_templates": ["name", "inventory", "project", "playbook"],
    "workflow_job_templates": ["name"],
    "workflow_job_template_nodes": ["workflow_job_template", "unified_job_template"],
    "schedules": ["name", "rrule", "unified_job_template"],
}
REFERS = {
    "organization": ("organizations",),
    "project": ("projects",),
    "inventory": ("inventories",),
    "execution_environment": ("execution_environments",),
    "default_environment": ("execution_environments",),
    "credential_type": ("credential_types",),
    "workflow_job_template": ("workflow_job_templates",),
    "unified_job_template": ("job_templates", "workflow_job_templates"),
}
# What AWX adds: a project whose update has ended.
OWN: dict[str, dict[str, Any]] = {"projects": {"scm_revision": "0" * 40, "summary_fields": {}}}
ASSOCIATIONS = ("credentials", "instance_groups", "labels", "always_nodes", "success_nodes", "failure_nodes")


class BadRequestError(Exception):
    """What AWX would answer with 400; the text says why."""


class FakeAwx:
    """The server. ``objects`` has what was made, by kind and id; ``writes`` how many requests have changed something."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[int, dict[str, Any]]] = {
            kind: {} for kind in [*NEEDED, "unified_job_templates", "labels"]
        }
        self.related: dict[tuple[str, int, str], list[int]] = {}
        self.writes = 0
        self._last = 0
        # AWX brings this one itself.
        self.make("credential_types", {"name": "Machine", "kind": "ssh"})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> FakeAwx:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def environment(self) -> dict[str, str]:
        """What tells the modules of awx.awx where it is."""
        return {"CONTROLLER_HOST": f"http://127.0.0.1:{self._server.server_port}", "CONTROLLER_OAUTH_TOKEN": TOKEN}

    def one(self, kind: str, name: str) -> dict[str, Any]:
        """The object of this name."""
        (found,) = [one for one in self.objects[kind].values() if one.get("name", one.get("identifier")) == name]
        return found

    def names(self, kind: str, number: int, association: str) -> list[Any]:
        """The names of what is associated with an object."""
        return [one.get("name", one.get("identifier")) for one in self.associated(kind, number, association)]

    def associated(self, kind: str, number: int, association: str) -> list[dict[str, Any]]:
        """What is associated with an object."""
        return [self._anything(association, other) for other in self.related.get((kind, number, association), [])]

    def _anything(self, association: str, number: int) -> dict[str, Any]:
        kind = "workflow_job_template_nodes" if association.endswith("_nodes") else association
        if number not in self.objects[kind]:
            raise BadRequestError(f"{association}: there is no {kind} {number}")
        return self.objects[kind][number]

    def make(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Create an object. Raises BadRequestError."""
        for field in NEEDED[kind]:
            if fields.get(field) in (None, ""):
                raise BadRequestError(f"{kind}: {field}: This field is required.")
        self._check(kind, fields)
        if any(one.get("name") == fields.get("name") for one in self.objects[kind].values() if "name" in fields):
            raise BadRequestError(f"{kind} with this name already exists.")
        self._last += 1
        url = f"/api/v2/{kind}/{self._last}/"
        related = {name: f"{url}{name}/" for name in ASSOCIATIONS}
        self.objects[kind][self._last] = {
            **OWN.get(kind, {}),
            **fields,
            "id": self._last,
            "type": kind.removesuffix("s"),
            "url": url,
            "related": related,
        }
        return self.objects[kind][self._last]

    def change(self, kind: str, number: int, fields: dict[str, Any]) -> dict[str, Any]:
        """Change an object. Raises BadRequestError."""
        self._check(kind, fields)
        self.objects[kind][number].update(fields)
        return self.objects[kind][number]

    def _check(self, kind: str, fields: dict[str, Any]) -> None:
        for field, kinds in REFERS.items():
            if field in fields and not any(fields[field] in self.objects[other] for other in kinds):
                raise BadRequestError(f"{kind}: {field}: there is no {fields[field]!r}")
        if "extra_vars" in fields and not isinstance(json.loads(fields["extra_vars"]), dict):
            raise BadRequestError(f"{kind}: extra_vars: no mapping")

    def told(self, kind: str, one: dict[str, Any]) -> dict[str, Any]:
        """An object as a client sees it."""
        if kind == "credentials":
            return {
                **one,
                "inputs": {
                    name: "$encrypted$" if name != "username" else value
                    for name, value in one.get("inputs", {}).items()
                },
            }
        return one

    def listed(self, kind: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """The objects of a kind that fit the filters."""
        kinds = ("job_templates", "workflow_job_templates", "projects") if kind == "unified_job_templates" else (kind,)
        return [
            self.told(one_kind, one)
            for one_kind in kinds
            for one in self.objects[one_kind].values()
            if all(
                str(one.get(field)) == value
                for field, value in query.items()
                if field in ("name", "identifier", "organization", "workflow_job_template")
            )
        ]


def _handler(awx: FakeAwx) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(self._read)

        def do_POST(self) -> None:
            self._answer(self._write)

        def do_PATCH(self) -> None:
            self._answer(self._write)

        def _answer(self, act: Any) -> None:
            url = urlsplit(self.path)
            parts = url.path.strip("/").split("/")[2:]
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, document = 401, {"detail": "Authentication credentials were not provided."}
            else:
                try:
                    status, document = act(parts, json.loads(raw) if raw else dict(parse_qsl(url.query)))
                except BadRequestError as error:
                    status, document = 400, {"detail": str(error)}
                except KeyError:
                    status, document = 404, {"detail": "Not found."}
            body = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-API-Product-Name", "AWX")
            self.send_header("X-API-Product-Version", "24.6.1")
            self.end_headers()
            self.wfile.write(body)

        def _read(self, parts: list[str], query: dict[str, str]) -> tuple[int, Any]:
            if len(parts) == 1:
                found = awx.listed(parts[0], query)
            elif len(parts) == 2:
                return 200, awx.told(parts[0], awx.objects[parts[0]][int(parts[1])])
            else:
                found = awx.associated(parts[0], int(parts[1]), parts[2])
            return 200, {"count": len(found), "next": None, "previous": None, "results": found}

        def _write(self, parts: list[str], fields: dict[str, Any]) -> tuple[int, Any]:
            awx.writes += 1
            if len(parts) == 1:
                return 201, awx.told(parts[0], awx.make(parts[0], fields))
            if len(parts) == 2:
                return 200, awx.told(parts[0], awx.change(parts[0], int(parts[1]), fields))
            kind, number, association = parts[0], int(parts[1]), parts[2]
            others = awx.related.setdefault((kind, number, association), [])
            if fields.get("disassociate"):
                others.remove(fields["id"])
            else:
                awx._anything(association, fields["id"])
                others.append(fields["id"])
            return 204, None

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    return Handler
