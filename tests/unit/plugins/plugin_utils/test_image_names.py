# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and ids of images as people and runtimes write them."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import image_names
from ansible_collections.kubenode.doctor.plugins.plugin_utils.image_names import IMAGE, MANIFEST, ImageId, ImageName

HEX = "92f0e4a968e672a3a7f794f10560187c4fb70f836a6f5d5b939f384d8248c199"
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nginx", ImageName(None, "nginx", None, None)),
        ("nginx:1.27", ImageName(None, "nginx", "1.27", None)),
        ("docker.io/reddit/ui:f5393576", ImageName("docker.io", "reddit/ui", "f5393576", None)),
        ("index.docker.io/library/nginx", ImageName("docker.io", "library/nginx", None, None)),
        # The port of a registry is no tag.
        ("registry:5000/app", ImageName("registry:5000", "app", None, None)),
        ("registry:5000/app:2", ImageName("registry:5000", "app", "2", None)),
        ("localhost/app", ImageName("localhost", "app", None, None)),
        ("team/app", ImageName(None, "team/app", None, None)),
        ("Build/app", ImageName("Build", "app", None, None)),
        ("[2001:db8::1]:5000/app:v1", ImageName("[2001:db8::1]:5000", "app", "v1", None)),
        ("gcr.io/a/b/c:1@" + DIGEST, ImageName("gcr.io", "a/b/c", "1", DIGEST)),
        ("registry.k8s.io/pause@" + DIGEST, ImageName("registry.k8s.io", "pause", None, DIGEST)),
        ("app_one/b--c.d:_x", ImageName(None, "app_one/b--c.d", "_x", None)),
        (DIGEST, None),
        (HEX, None),
        ("", None),
        ("UI", None),
        ("app:", None),
        ("app:a b", None),
        ("app\n", None),
        ("app:тег", None),
        ("$(reboot)", None),
        ("app@sha256:short", None),
        ("a/" * 5000, None),
    ],
)
def test_a_name_is_parsed(text, name):
    assert image_names.parse(text) == name


def test_a_hostile_name_takes_no_time():
    """Matching is of one pass: nothing that can be read in many ways."""
    assert image_names.parse("a-" * 2000 + "!") is None
    assert image_names.parse("a" * 4000 + "!") is None


@pytest.mark.parametrize(
    ("text", "tag"), [("app", "latest"), ("app:1", "1"), (f"app@{DIGEST}", None), (f"app:1@{DIGEST}", None)]
)
def test_the_tag_that_a_runtime_asks_for(text, tag):
    assert image_names.parse(text).asked_tag == tag


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("team/app:1", "docker.io/team/app"),
        (f"quay.io/app@{DIGEST}", "quay.io/app"),
        (DIGEST, None),
    ],
)
def test_a_repository_in_full(text, whole):
    assert image_names.repository(text) == whole


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("nginx", "docker.io/library/nginx:1", True),
        ("docker.io/nginx", "docker.io/library/nginx", True),
        ("index.docker.io/team/app", "docker.io/team/app:2", True),
        # CRI-O looks for short names in the registries of its settings.
        ("nginx", "quay.io/library/nginx", True),
        ("nginx", "quay.io/nginx", True),
        ("team/app", "registry:5000/team/app", True),
        ("docker.io/team/app", "quay.io/team/app", False),
        ("docker.io/reddit/ui:f5393576", "docker.io/reddit/post:f5393576", False),
        ("team/app", "app", False),
        ("nginx", DIGEST, None),
        ("", "nginx", None),
    ],
)
def test_one_repository(one, other, same):
    for names in ((one, other), (other, one)):
        assert image_names.same_repository(*names) is same


@pytest.mark.parametrize(
    ("text", "image_id"),
    [
        (f"docker-pullable://gcr.io/a/b@{DIGEST}", ImageId(MANIFEST, DIGEST)),
        (f"registry:5000/b@{DIGEST}", ImageId(MANIFEST, DIGEST)),
        (f"docker://{DIGEST}", ImageId(IMAGE, DIGEST)),
        (DIGEST, ImageId(IMAGE, DIGEST)),
        (HEX, ImageId(IMAGE, DIGEST)),
        ("", None),
        ("docker://", None),
        ("sha256:123", None),
        (f"app@{HEX}", None),
        ("app:1", None),
    ],
)
def test_an_image_id_is_parsed(text, image_id):
    assert image_names.parse_id(text) == image_id
