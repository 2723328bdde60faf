# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bundle does not hold of the cluster, and commands that no name can break."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_api
from ansible_collections.kubenode.doctor.plugins.plugin_utils import cluster_gaps, kubectl
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import HOSTILE


def cluster(*missing, **kinds):
    every = {kind: [] for kind in cluster_gaps.NAMES}
    gaps = [{"what": what, "why": why} for what, why in missing]
    return {**every, "pods_of": None, "missing": gaps, **kinds}


def test_kinds_are_named_as_the_snapshot_names_them():
    assert {kind.section: kind.what for kind in cluster_api.KINDS} == cluster_gaps.NAMES


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (cluster(), ""),
        (cluster(("Events", "403")), ""),
        (cluster(("Nodes", "403"), ("Pods", "timed out"), pods=None), "Pods: timed out"),
        (cluster(("cluster API", "refused"), pods=None, nodes=None), "cluster API: refused"),
        (cluster(pods=None), "cluster.json does not say why"),
    ],
)
def test_why_a_kind_is_not_known(given, why):
    assert cluster_gaps.gap(given, "services", "pods") == why


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (cluster(), ""),
        (cluster(("Pods", "403"), pods=None), "the pods are not known (Pods: 403)"),
        (cluster(pods_of=["b", "a"], nodes=[{"name": "a"}, {"name": "b"}]), ""),
        (cluster(pods_of=["b", "a"], nodes=[{"name": "a"}, {"name": "c"}]), "only the pods of a, b were asked for"),
        (cluster(pods_of=["a"], nodes=None), "only the pods of a were asked for"),
        (cluster(pods_of=[], nodes=[{"name": "a"}]), "only the pods of no node were asked for"),
    ],
)
def test_why_not_all_pods_are_known(given, why):
    assert cluster_gaps.pods_gap(given) == why


def test_a_command_has_names_only():
    assert kubectl.about("shop", "get", "pod", "a", names=("a",)) == ("kubectl -n shop get pod a",)
    for odd in ("-A", "", "A", "a b", "$(x)", HOSTILE, "a\n"):
        assert kubectl.about(odd, "get", "pods") == ()
        assert kubectl.about("shop", "get", "pod", odd, names=(odd,)) == ()


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"tier": "web", "app": "ui"}, "app=ui,tier=web"),
        ({"app.kubernetes.io/name": "ui"}, "app.kubernetes.io/name=ui"),
        ({"app": ""}, "app="),
        ({}, ""),
        ({"app": "ui,tier=web"}, ""),
        ({"-l": "ui"}, ""),
        ({"app": HOSTILE}, ""),
        ({"app": "ui\n"}, ""),
    ],
)
def test_labels_for_kubectl(selector, text):
    assert kubectl.labels(selector) == text
