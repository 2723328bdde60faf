# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose container it is, from names and labels as runtimes give them."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import kube_container
from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import Identity, UnclearError

# shared seed 002: docker ps --all on pi-master1
UID = "1403dda53affdfee1130475a6d9609da"
APISERVER = f"k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_{UID}_24"
SANDBOX = f"k8s_POD_kube-apiserver-pi-master1_kube-system_{UID}_17"
IDENTITY = Identity(UID, "kube-system", "kube-apiserver-pi-master1", "kube-apiserver", 24)
LABELS = {
    "io.kubernetes.pod.name": "kube-apiserver-pi-master1",
    "io.kubernetes.pod.namespace": "kube-system",
    "io.kubernetes.pod.uid": UID,
    "io.kubernetes.container.name": "kube-apiserver",
}
TYPE = "io.kubernetes.docker.type"
RESTARTS = "annotation.io.kubernetes.container.restartCount"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (APISERVER, IDENTITY),
        (f"/{APISERVER}", IDENTITY),
        (SANDBOX, IDENTITY._replace(container="POD", attempt=17)),
        (f"{APISERVER}_1a2b3c4d", IDENTITY._replace(suffix="1a2b3c4d")),
        (f"{APISERVER}_9", IDENTITY._replace(suffix="9")),  # %08x of a random number, without its zeros in old shims
        (
            "k8s_web_web.0_shop_909a2aa1-bf6a-4a8c-a274-3180ea640fb1_0",
            Identity("909a2aa1-bf6a-4a8c-a274-3180ea640fb1", "shop", "web.0", "web", 0),
        ),
        # of other makers, or lies
        ("web", None),
        ("", None),
        ("k8s_web", None),
        (f"{APISERVER}_1a2b3c4d_5", None),
        (f"{APISERVER}_nothex", None),
        (APISERVER.replace("_24", "_-1"), None),
        (APISERVER.replace("_24", "_٢٤"), None),
        (APISERVER.replace("_24", "_12345678901"), None),
        (APISERVER.replace("_24", "_24\n"), None),
        (APISERVER.replace("kube-system", ""), None),
        (APISERVER.replace("kube-system", "kube system"), None),
        (APISERVER.replace("kube-system", "{{ x }}"), None),
        (APISERVER.replace("k8s_", "K8S_"), None),
        ("k8s_POD.d8dbe16c_pod_ns_uid_f8e36b5c", None),  # of Kubernetes 1.5, whose last part is no attempt
        ("my_k8s_web_web_shop_uid_0", None),
    ],
)
def test_names(name, expected):
    assert kube_container.parse_name(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (APISERVER[len("k8s_") :], IDENTITY),
        (f"kube-apiserver-pi-master1_kube-system_{UID}_17", IDENTITY._replace(container="POD", attempt=17)),
        (APISERVER, None),
        ("web_shop_1", None),
        ("", None),
    ],
)
def test_names_of_containerd(name, expected):
    assert kube_container.parse_containerd_name(name) == expected


@pytest.mark.parametrize("name", [APISERVER, SANDBOX])
def test_a_name_is_made_as_it_is_read(name):
    for runtime in ("docker", "cri-o"):
        assert kube_container.wanted_name(runtime, kube_container.parse_name(name)) == name
    of_containerd = kube_container.wanted_name("containerd", kube_container.parse_name(name))
    assert kube_container.parse_containerd_name(of_containerd) == kube_container.parse_name(name)


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        (APISERVER, LABELS, (IDENTITY, True)),
        (APISERVER, {**LABELS, RESTARTS: "24"}, (IDENTITY, True)),
        (
            SANDBOX,
            {**LABELS, "io.kubernetes.container.name": "POD"},
            (IDENTITY._replace(container="POD", attempt=17), True),
        ),
        (APISERVER, {**LABELS, TYPE: "container"}, (IDENTITY, True)),
        (APISERVER, {**LABELS, TYPE: "podsandbox"}, (IDENTITY, False)),
        (
            SANDBOX,
            {**LABELS, "io.kubernetes.container.name": "POD", TYPE: "container"},
            (IDENTITY._replace(container="POD", attempt=17), False),
        ),
        (APISERVER, {}, (IDENTITY, False)),
        (APISERVER, {"maintainer": "me"}, (IDENTITY, False)),
        ("brave_noether", LABELS, (IDENTITY._replace(attempt=None), False)),
        ("brave_noether", {**LABELS, RESTARTS: "7"}, (IDENTITY._replace(attempt=7), False)),
        ("brave_noether", {}, None),
        ("brave_noether", {"com.docker.compose.project": "x"}, None),
    ],
)
def test_labels_come_first(name, labels, expected):
    assert kube_container.identify(name, labels) == expected


@pytest.mark.parametrize(
    ("name", "labels", "why"),
    [
        (APISERVER, {**LABELS, "io.kubernetes.pod.uid": UID[:-1]}, "contradicts its label io.kubernetes.pod.uid"),
        (
            APISERVER,
            {**LABELS, "io.kubernetes.container.name": "etcd"},
            "contradicts its label io.kubernetes.container.name",
        ),
        (
            APISERVER,
            {**LABELS, "io.kubernetes.pod.namespace": "shop"},
            "contradicts its label io.kubernetes.pod.namespace",
        ),
        (APISERVER, {**LABELS, RESTARTS: "23"}, f"contradicts its label {RESTARTS}"),
        (APISERVER, {**LABELS, RESTARTS: "many"}, f"{RESTARTS} is no number"),
        (
            APISERVER,
            {"io.kubernetes.pod.uid": UID},
            "but not io.kubernetes.container.name, io.kubernetes.pod.name, io.kubernetes.pod.namespace",
        ),
        (
            "web",
            {**LABELS, "io.kubernetes.pod.name": "a\n{{ b }}"},
            "io.kubernetes.pod.name says is no name of Kubernetes",
        ),
        ("web", {**LABELS, "io.kubernetes.pod.namespace": "x" * 65_536}, "is no name of Kubernetes"),
        ("web", {**LABELS, "io.kubernetes.pod.name": ""}, "but not io.kubernetes.pod.name"),
    ],
)
def test_contradictions_are_nobodys(name, labels, why):
    with pytest.raises(UnclearError) as error:
        kube_container.identify(name, labels)
    assert str(error.value).endswith(why)
