# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seed 004 for real: a Service with complete endpoints behind which nobody listens, since the image of post has the name of ui.

The captured namespace reddit-entry runs in a real containerd, with kube-proxy's rules: a connection to NodePort 32530 is really
refused. One finding tells all of it. Then the image is corrected, somebody answers, and nothing is found any more.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose, variable
from ansible_collections.kubenode.doctor.tests.support import containerd_node, images, kube_objects, kube_proxy_rules
from ansible_collections.kubenode.doctor.tests.support.containerd_node import ContainerdNode
from ansible_collections.kubenode.doctor.tests.support.fake_api import CAPTURES, FakeApi
from ansible_collections.kubenode.doctor.tests.support.real_cluster import Part, RealCluster
from ansible_collections.kubenode.doctor.tests.support.real_pods import RealContainer
from ansible_collections.kubenode.doctor.tests.support.stage import CALM

COMMANDS = (*containerd_node.COMMANDS, "iptables-restore", "ss")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, COMMANDS)),
    reason=f"a containerd of one's own needs root and {', '.join(COMMANDS)}",
)

NAMESPACE, RULE = "reddit-entry", "service-target-not-listening"
ADDRESS, NODE_PORT = "192.0.2.2", 32530
POST, UI = images.POST.names
CORRECTED = images.Image(("docker.io/reddit/ui:a1b2c3d4",), ("/bin/httpd", "-f", "-p", "9292"))
# Nothing here was started more than a few seconds ago.
YOUNG = variable("thresholds", {**dict(CALM["thresholds"]), "service_target_start_seconds": 0.01})
_CONNECT = f"import socket; socket.create_connection(('{ADDRESS}', {NODE_PORT}), 5)"


class Acts(NamedTuple):
    """What was diagnosed before and after the correction, and what a connection from the node came to each time."""

    sick: Run
    refused: str
    cured: Run
    refused_after: str


@pytest.fixture(scope="module")
def acts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acts]:
    folder = tmp_path_factory.mktemp("seed-004")
    with FakeApi(holding=dict(map(captured, KINDS))) as api, ContainerdNode("node-a", folder) as node:
        cluster = RealCluster(api)
        cluster.join(node, ADDRESS, [images.POST, CORRECTED])
        cluster.run_captured("node-a")
        sick, refused = look(cluster, node, folder)
        correct(cluster)
        yield Acts(sick, refused, *look(cluster, node, folder))


KINDS = ("services", "endpointslices", "nodes", "pods", "deployments", "replicasets", "events")


def captured(plural: str) -> tuple[str, list[dict[str, Any]]]:
    """The captured objects of the namespace, and of none."""
    items = json.loads((CAPTURES / f"{plural}.json").read_text("utf-8"))["items"]
    return plural, [item for item in items if item["metadata"].get("namespace", NAMESPACE) == NAMESPACE]


def look(cluster: RealCluster, node: ContainerdNode, folder: Path) -> tuple[Run, str]:
    """Diagnose once all listen, and connect to the NodePort: what that fails with."""
    cluster.wait()
    kube_proxy_rules.load(node, cluster.api.objects("services"), cluster.api.objects("endpointslices"))
    kubeconfig = cluster.api.kubeconfig(folder / "kubeconfig")
    run = diagnose("-i", node.inventory(), "-e", f"kubeconfig={kubeconfig}", *YOUNG)
    return run, node.run(sys.executable, "-c", _CONNECT, check=False).stderr


def correct(cluster: RealCluster) -> None:
    """A rollout of Deployment ui with the right image, by digest, and a probe."""
    image, probe = CORRECTED.names[0], {"tcpSocket": {"port": 9292}}
    deployment, replica_set = kube_objects.workload(
        NAMESPACE, "ui", [kube_objects.container("ui", image, readinessProbe=probe)], 2
    )
    cluster.api.put("deployments", deployment)
    cluster.api.add("replicasets", replica_set)
    for namespace, name in list(cluster.pods):
        if name.startswith("ui-"):
            cluster.stop(namespace, name)
            part = Part(RealContainer("ui", CORRECTED.command, image), probe=probe)
            cluster.run(
                "node-a", namespace, name.replace("ui-5", "ui-6"), [part], labels={"app": "ui"}, owner=replica_set
            )
    cluster.update_slices(NAMESPACE, "ui")


def of_services(run: Run, status: str = "fail") -> list[dict[str, Any]]:
    return [
        finding
        for finding in run.findings(status=status)
        if run.document["rules"][finding["rule"]]["group"] == "services"
    ]


def test_the_connection_is_really_refused_and_then_it_is_not(acts: Acts):
    assert "ConnectionRefusedError" in acts.refused
    assert acts.refused_after == ""


def test_it_is_one_finding(acts: Acts):
    (found,) = of_services(acts.sick)
    assert (found["rule"], found["object"], found["severity"]) == (RULE, f"{NAMESPACE}/ui", "critical")
    assert of_services(acts.sick, "unknown") == []


def test_it_names_the_port_that_is_listened_on_and_the_one_that_is_wanted(acts: Acts):
    (found,) = of_services(acts.sick)
    for words in ("listen on 5000", "9292, which the Service wants", f"NodePort {NODE_PORT}"):
        assert words in found["title"]
    pods = [line for line in found["evidence"] if "it listens on [::]:5000/tcp (process httpd, container ui)" in line]
    assert len(pods) == 2


def test_the_wrong_image_is_its_evidence(acts: Acts):
    (found,) = of_services(acts.sick)
    said = " ".join(found["evidence"])
    assert UI in said
    assert POST in said
    assert "probe" in said


@pytest.mark.parametrize("word", ["readinessProbe", "digest", "imagePullPolicy", "push"])
def test_it_says_how_it_does_not_happen_again(acts: Acts, word: str):
    (found,) = of_services(acts.sick)
    assert word in json.dumps(found["remedies"])


def test_the_host_fails_and_says_why(acts: Acts):
    assert acts.sick.recap("node-a")["failed"] == 1
    assert f"[{RULE}]" in acts.sick.stdout


def test_nothing_is_found_once_the_image_is_right(acts: Acts):
    assert of_services(acts.cured) == of_services(acts.cured, "unknown") == []
    assert acts.cured.recap("node-a")["failed"] == 0
