# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the shipped ClusterRoles grant, and which requests to an API server they would not have let through."""

from __future__ import annotations

from collections.abc import Iterable

import yaml

from ansible_collections.kubenode.doctor.tests.support.fake_api import Request
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

FILES = PROJECT / "roles" / "collect" / "files"
READ, FIXES = "cluster-role.yml", "cluster-role-fixes.yml"
# (API group, resource, verb)
Right = tuple[str, str, str]
# What ClusterRole system:discovery opens to everybody who has authenticated (plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go).
_DISCOVERY = {"api", "apis", "healthz", "livez", "openapi", "readyz", "version"}
_VERBS = {"DELETE": "delete", "PATCH": "patch", "POST": "create", "PUT": "update"}


def granted(*names: str) -> set[Right]:
    """The rights of these files."""
    roles = [yaml.safe_load((FILES / name).read_text("utf-8"))["items"][0] for name in names]
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def refused(requests: Iterable[Request], *names: str) -> set[Right]:
    """The rights that these requests need and the files do not give."""
    needed = {right for right in map(_right, requests) if right is not None}
    return needed - granted(*names)


def _right(request: Request) -> Right | None:
    """Which right a request needs; None for what anybody may ask (kubernetes/apiserver pkg/endpoints/request/requestinfo.go)."""
    parts = request.path.strip("/").split("/")
    group = parts[1] if parts[0] == "apis" and len(parts) > 1 else ""
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    if parts[0] not in ("api", "apis") or not rest:
        assert parts[0] in _DISCOVERY, request.path
        return None
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    resource = "/".join([rest[0], *rest[2:3]])
    return group, resource, _VERBS.get(request.method) or ("get" if len(rest) > 1 else "list")
