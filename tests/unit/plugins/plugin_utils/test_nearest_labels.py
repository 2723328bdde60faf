# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a selector matches, and what is nearest where it matches nothing."""

from __future__ import annotations

import time

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils.nearest_labels import Labels


def pod(called, namespace="shop", /, **labels):
    return {"namespace": namespace, "name": called, "labels": labels}


def labels(*pods, deployments=()):
    return Labels({"pods": list(pods), "deployments": list(deployments)})


UI = {"namespace": "shop", "name": "ui", "template_labels": {"app": "ui"}}


def test_what_a_selector_matches():
    found = labels(pod("a", app="ui", tier="web"), pod("b", app="ui"), pod("c", "other", app="ui"), deployments=[UI])
    assert [one.words for one in found.matching("shop", {"app": "ui"})] == [
        "Deployment shop/ui",
        "pod shop/a",
        "pod shop/b",
    ]
    assert [one.words for one in found.matching("shop", {"app": "ui", "tier": "web"})] == ["pod shop/a"]
    assert found.matching("shop", {"app": "ui", "tier": "db"}) == []
    assert found.matching("shop", {}) == []
    assert found.elsewhere("shop", {"app": "ui"}) == ["other"]
    assert found.elsewhere("nowhere", {"app": "ui"}) == ["other", "shop"]
    assert found.elsewhere("shop", {"app": "ui", "tier": "web"}) == []


@pytest.mark.parametrize("kind", ["pods", "deployments"])
def test_a_kind_that_was_not_read_matches_nothing(kind):
    cluster = {"pods": [pod("a", app="ui")], "deployments": [UI], kind: None}
    assert len(Labels(cluster).matching("shop", {"app": "ui"})) == 1


@pytest.mark.parametrize(
    ("there", "wanted", "told"),
    [
        ({"app": "frontend"}, {"app": "front"}, "did you mean app=frontend? pod shop/x has it"),
        ({"app": "ui-v2"}, {"app": "ui"}, "did you mean app=ui-v2?"),
        ({"app": "ui"}, {"app": "reddit-ui"}, "did you mean app=ui?"),
        ({"app": "UI"}, {"app": "ui"}, "did you mean app=UI?"),
        ({"app": "kube_processor"}, {"app": "kube-processor"}, "did you mean app=kube_processor?"),
        ({"app": "procesor"}, {"app": "processor"}, "did you mean app=procesor?"),
        ({"app": "proecssor"}, {"app": "processor"}, "did you mean app=proecssor?"),
        ({"name": "ui"}, {"app": "ui"}, "pod shop/x has name=ui, not app=ui"),
        ({"app": "cart"}, {"app": "missing"}, "values of app in namespace shop: cart"),
        ({"app": "web"}, {"app": "wbe"}, "did you mean app=web?"),
        ({"app": "build"}, {"app": "ui"}, "values of app in namespace shop: build"),
        (
            {"app": "ui", "tier": "front"},
            {"app": "ui", "tier": "web"},
            "pod shop/x has app=ui, but tier=front instead of tier=web",
        ),
        ({"app": "ui"}, {"app": "ui", "tier": "web"}, "pod shop/x has app=ui, but no label tier (wanted tier=web)"),
    ],
)
def test_what_is_nearest(there, wanted, told):
    assert told in labels(pod("x", **there)).nearest("shop", wanted)[0]


def test_values_are_listed_the_nearest_first():
    found = labels(*(pod(f"p{number}", app=f"{chr(97 + number)}-app") for number in range(20)), pod("web", app="zwbq"))
    assert found.nearest("shop", {"app": "web"}) == [
        "values of app in namespace shop: zwbq, b-app, e-app, a-app, c-app, d-app, f-app, g-app, h-app, i-app and 11 more"
    ]


def test_a_slip_is_found_among_many():
    found = labels(*(pod(f"p{number}", app=f"app-{number:04}") for number in range(500)), pod("web", app="zookeeper"))
    assert found.nearest("shop", {"app": "zokeeper"}) == ["did you mean app=zookeeper? pod shop/web has it"]


def test_nothing_is_near_in_an_empty_namespace():
    assert labels(pod("x", "other", app="front")).nearest("shop", {"app": "front"}) == []


def test_the_most_labels_win_and_each_difference_is_told_once():
    found = labels(
        pod("a", app="ui", tier="web", stage="test"),
        pod("b", app="ui", tier="web", stage="test"),
        pod("c", app="ui", tier="api", stage="live"),
        pod("d", app="ui"),
    )
    told = found.nearest("shop", {"app": "ui", "tier": "web", "stage": "live"})
    assert told == [
        "pod shop/a has app=ui, tier=web, but stage=test instead of stage=live",
        "pod shop/c has app=ui, stage=live, but tier=api instead of tier=web",
    ]


def test_it_is_bounded():
    """Many Services that match nothing, in one namespace of many pods, each of which has labels of its own."""
    found = labels(*(pod(f"p{number}", app=f"app-{number}", one=str(number), team="a") for number in range(2000)))
    begin = time.process_time()
    for number in range(100):
        told = found.nearest("shop", {"team": "a", "app": f"gone-{number}-x"})
        assert len(told) < 10
        assert max(map(len, told)) < 1000
    assert time.process_time() - begin < 5
