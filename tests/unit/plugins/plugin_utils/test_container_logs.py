# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a line as people have posted it, through the catalogue of signatures, to the finding of the rules on containers.

Ids that the posts leave out are made up.
"""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import signatures
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, LogLine, Origin
from ansible_collections.kubenode.doctor.plugins.module_utils.log_matcher import Matcher
from ansible_collections.kubenode.doctor.plugins.plugin_utils import catalogue, judge, name_trouble, not_created
from ansible_collections.kubenode.doctor.plugins.plugin_utils.etcd_refused import SIGNATURE
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.container_scene import (
    API,
    NOW,
    UID,
    attempt,
    group,
    id_of,
    logged,
    refused,
    reserved,
    scene,
    section,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.container_scene import logs as section_logs

# kubernetes/kubernetes issue 97153
DOCKER = (
    "E1017 13:43:54.775638    1537 remote_runtime.go:200] CreateContainer in sandbox "
    '"8d7b000000000000000000000000000000000000000000000000000000000000" from runtime service failed: rpc error: code = Unknown desc = Error '
    'response from daemon: Conflict. The container name "/k8s_kube-flannel_kube-flannel-ds-xrc4r_kube-system_9b1dc1c8-9d2f-4d3b-8a35-7d1c5e2b7a10_10" is '
    'already in use by container "0edb000000000000000000000000000000000000000000000000000000000000". You have to remove (or rename) that container to '
    "be able to reuse that name."
)
# containerd/containerd issue 9545
CONTAINERD = (
    'E1214 17:08:47.303868    5021 remote_runtime.go:319] "CreateContainer in sandbox from runtime service failed" err="rpc error: code = Unknown desc '
    '= failed to reserve container name \\"kube-apiserver_kube-apiserver-kiv-cp-v48fw_kube-system_37b2b42d18b011bd117353a3847450aa_1\\": name '
    '\\"kube-apiserver_kube-apiserver-kiv-cp-v48fw_kube-system_37b2b42d18b011bd117353a3847450aa_1\\" is reserved for '
    '\\"7c54f31e3fc8b87a115f11a214efe060c94e93ae822c9819a472bfb382c2839c\\"" '
    'podSandboxID="f5de5d066682354fa0679cc95a39a5285657f0eb43237f26194426d8fad3636d"'
)
# The same since containerd/containerd pull request 12695.
CONTAINERD_NEW = CONTAINERD.replace(
    '_1\\": name', '_1\\"; check if another CreateContainer request is in progress: name'
)
# containerd/containerd issue 6095
CONTAINERD_SANDBOX = (
    'time="2022-03-24T10:00:00Z" level=error msg="RunPodSandbox failed" error="failed to reserve sandbox name '
    '\\"op-adrm-nvidiagpu-tq6nf_admin_4f4c2774-723d-44e8-ba2d-2629cc23f305_0\\": name '
    '\\"op-adrm-nvidiagpu-tq6nf_admin_4f4c2774-723d-44e8-ba2d-2629cc23f305_0\\" is reserved for '
    '\\"0107b200e53c22ad0fe39ee62a7f61611c740baa186d477f2e885265e39f7d8f\\""'
)
# kubernetes/kubernetes issue 112105
CRIO = (
    "Error: Kubelet may be retrying requests that are timing out in CRI-O due to system load: context deadline exceeded: error reserving ctr name "
    "k8s_minio_data-analytics-prod-pool-0-3_oci-prod-data-analytics_8dec4302-e6b4-4874-9a60-ea305b96347f_0 for id "
    "8424e8fdc1a42daec5810b43a8baf7a9a80f7835a843fc104fe9f621a14983cb: name is reserved"
)
# cri-o/cri-o issue 8906
CRIO_STAGE = (
    'time="2025-04-14 15:00:47.820811741Z" level=info msg="Creation of container '
    "k8s_kube-apiserver_kube-apiserver-redacted_kube-system_b3ee776d3cbb61719d94eb9dbf2093c6_5 not yet finished. Currently at stage container creating. "
    'Waiting up to 5m59.997059992s for it to finish" id=562794f7-a873-4f4e-99a6-8304fc71157f name=/runtime.v1.RuntimeService/CreateContainer'
)
# containers/storage containers.go, ErrDuplicateName, within a message of CRI-O
CRIO_STORAGE = (
    'level=info msg="createCtr: deleting container" error="creating container storage: the container name '
    '\\"k8s_web_web-0_shop_909a2aa1-bf6a-4a8c-a274-3180ea640fb1_0\\" is already in use by '
    "4f4c2774723d44e8ba2d2629cc23f305a69dc1c89d2f4d3b8a357d1c5e2b7a10. You have to remove that container to be able to reuse that name: "
    'that name is already in use"'
)

LINES = [
    ("kubelet.service", DOCKER, "docker", "container-name-conflict", "kube-system/kube-flannel-ds-xrc4r kube-flannel"),
    (
        "kubelet.service",
        CONTAINERD,
        "containerd",
        "container-name-reserved",
        "kube-system/kube-apiserver-kiv-cp-v48fw kube-apiserver",
    ),
    (
        "kubelet.service",
        CONTAINERD_NEW,
        "containerd",
        "container-name-reserved",
        "kube-system/kube-apiserver-kiv-cp-v48fw kube-apiserver",
    ),
    (
        "containerd.service",
        CONTAINERD_SANDBOX,
        "containerd",
        "container-name-reserved",
        "admin/op-adrm-nvidiagpu-tq6nf POD",
    ),
    (
        "kubelet.service",
        CRIO,
        "cri-o",
        "container-name-reserved",
        "oci-prod-data-analytics/data-analytics-prod-pool-0-3 minio",
    ),
    (
        "crio.service",
        CRIO_STAGE,
        "cri-o",
        "container-name-reserved",
        "kube-system/kube-apiserver-redacted kube-apiserver",
    ),
    ("crio.service", CRIO_STORAGE, "cri-o", "container-name-reserved", "shop/web-0 web"),
]


def found(unit, text):
    """What the catalogue makes of a line that was logged every minute for ten minutes."""
    matcher, origin = Matcher(signatures.SIGNATURES), Origin(JOURNAL, unit)
    for ago in range(600, 0, -60):
        matcher.feed(LogLine(text, float(NOW - ago), origin))
    return matcher.found(200)[0]


@pytest.mark.parametrize(("unit", "text", "runtime", "rule", "subject"), LINES)
def test_a_real_line_becomes_a_finding(unit, text, runtime, rule, subject):
    document = scene(section(runtime=runtime), said=section_logs(*found(unit, text))).judged()
    told = [
        (finding["object"], finding["severity"])
        for finding in document["findings"]
        if (finding["rule"], finding["status"]) == (rule, "fail")
    ]
    assert told == [(subject, "critical")]


def test_the_rules_ask_for_signatures_and_fields_that_there_are():
    known = {signature.id: set(signature.fields) for signature in signatures.SIGNATURES}
    assert name_trouble.SIGNATURES.keys() <= known.keys()
    assert all("name" in known[signature] for signature in name_trouble.SIGNATURES)
    assert {"stage", "name"} <= known[name_trouble.STAGE]
    assert {"pod", "namespace", "uid", "container", "reason"} <= known[not_created.CONTAINER]
    assert {"pod", "namespace", "uid"} <= known[not_created.SANDBOX]
    assert "address" in known[SIGNATURE]
    assert {not_created.RULE, *not_created.NAME_RULES} <= {rule.id for rule in catalogue.rules()}


def test_one_chain_from_the_name_of_a_sandbox_to_the_api_server():
    """etcd's sandbox cannot have its name, so etcd does not run, so the API server is refused."""
    etcd, lasting = {"pod": "etcd-node-a"}, {"count": 40, "first": 700, "last": 10}
    containers = section(
        group(API, attempt(24, "running", created=9000), runtime="containerd"),
        group("etcd", attempt(3, created=9000, ended=800), runtime="containerd", **etcd),
        group("POD", attempt(1, created=9001, ended=799), runtime="containerd", **etcd),
        runtime="containerd",
    )
    no_sandbox = logged("sandbox-not-created", {**etcd, "namespace": "kube-system", "uid": UID}, **lasting)
    document = scene(containers, reserved("POD", 2, id_of(55), who=etcd, **lasting), no_sandbox, refused(24)).judged()
    chain = ["container-name-reserved", "container-not-created", "etcd-not-running", "apiserver-cannot-reach-etcd"]
    walked = [
        (depth, finding["rule"]) for depth, finding in judge.walk(document["findings"]) if finding["rule"] in chain
    ]
    assert walked == list(enumerate(chain))
