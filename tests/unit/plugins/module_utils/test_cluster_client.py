# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cluster_client: which strings of a kubeconfig are secret. The rest of it is tested against a server that answers.

See tests/integration_real/test_cluster_snapshot.py.
"""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_client import public_strings


def kubeconfig(user):
    return {
        "apiVersion": "v1",
        "current-context": "kubernetes",
        "clusters": [{"name": "kubernetes", "cluster": {"server": "https://10.0.0.1:6443", "insecure": True}}],
        "contexts": [{"name": "default", "context": {"cluster": "kubernetes", "user": "admin"}}],
        "users": [{"name": "admin", "user": user}],
    }


@pytest.mark.parametrize(
    ("user", "public", "secret"),
    [
        ({"token": "t0ken"}, set(), {"t0ken"}),
        ({"username": "jane", "password": "pa55"}, set(), {"pa55"}),
        ({"client-key-data": "a2V5", "client-key": "/etc/key.pem"}, {"/etc/key.pem"}, {"a2V5"}),
        ({"auth-provider": {"name": "oidc", "config": {"refresh-token": "r3fresh"}}}, set(), {"r3fresh"}),
        (
            {"exec": {"command": "aws", "args": ["eks", "get-token"], "env": [{"name": "KEY", "value": "s3cret"}]}},
            {"aws", "eks", "get-token"},
            {"s3cret"},
        ),
        ({"a-way-to-log-in-of-the-future": {"x": ["n3w"]}}, set(), {"n3w"}),
    ],
)
def test_names_are_public_and_credentials_are_not(user, public, secret):
    found = public_strings(kubeconfig(user))
    assert {"v1", "kubernetes", "default", "admin", "https://10.0.0.1:6443"} | public <= found
    assert not secret & found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, set()),
        ("/root/.kube/config", {"/root/.kube/config"}),
        ({}, set()),
        ({"users": "nobody"}, {"nobody"}),
        ({"users": [None, {"user": 5}, {"user": {"exec": None}}, {"user": {"exec": {"env": None}}}]}, {"5"}),
    ],
)
def test_strange_kubeconfigs(given, expected):
    assert public_strings(given) == expected
