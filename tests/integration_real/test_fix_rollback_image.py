# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix rollback-image against an API server: what it does, and above all when it does not do it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils.deaf_pods import DeafPod
from ansible_collections.kubenode.doctor.plugins.plugin_utils.image_rollback import target_text
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose, read, variable
from ansible_collections.kubenode.doctor.tests.support import (
    answering_node,
    cluster_roles,
    fake_rollout,
    kube_objects,
)
from ansible_collections.kubenode.doctor.tests.support.containerd_node import COMMANDS, ContainerdNode
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi, Handler
from ansible_collections.kubenode.doctor.tests.support.images import Image
from ansible_collections.kubenode.doctor.tests.support.real_cluster import Part, RealCluster
from ansible_collections.kubenode.doctor.tests.support.real_pods import httpd
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

ROLE = "kubenode.doctor.services"
OLD, NEW = "shop/front:v1", "shop/front:v2"
POD = "909a2aa1-bf6a-4a8c-a274-3180ea640fb1"
HELD = "hunter2"
PATHS = "/apis/apps/v1/namespaces/shop/deployments"


def deployment(name: str, image: str = NEW) -> dict[str, Any]:
    """A Deployment in the middle of a rollout, as an API server shows it."""
    containers = [
        {"name": "side", "image": "envoy:1", "env": [{"name": "KEY", "value": HELD}]},
        {"name": "app", "image": image},
    ]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": uid(name), "resourceVersion": "900", "generation": 2},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": template,
        },
        "status": {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "availableReplicas": 2},
    }


def edited() -> dict[str, Any]:
    """A Deployment with the image that was diagnosed, and other arguments since."""
    made = deployment("edited")
    made["metadata"]["generation"] = 57
    made["spec"]["template"]["spec"]["containers"][1]["args"] = ["--port", "9292"]
    return made


def uid(name: str) -> str:
    return f"6c7b6a1e-5b1e-4d2a-9a53-{name}"


def target(name: str, to: str = OLD) -> str:
    """What a rule has named in the matter of a Deployment, of which one pod was seen not to listen."""
    known = {"namespace": "shop", "name": name, "uid": uid(name), "generation": 2, "images": {"app": NEW}}
    host = {"recovered": "works", "silent": "broken", "moved": "nowhere"}.get(name, "deaf")
    return target_text(known, "app", to, [DeafPod(host, "shop", "front-2", POD, "tcp", "10.244.0.19", 9292)])


def seen(*ports: int) -> str:
    """What pod_listeners says of the pod by now."""
    told = [{"protocol": "tcp", "family": "ipv4", "address": "0.0.0.0", "port": port, "v6only": None} for port in ports]
    pod = {"uid": POD, "listeners": told, "unlisted": 0, "redirects": False, "why": None}
    return json.dumps({"changed": False, "pods": [pod]})


def roll_out(api: FakeApi, plural: str, item: dict[str, Any]) -> None:
    """The Deployment controller, which has no luck with "stuck", and somebody who puts the image of "reverted" back."""
    name = item["metadata"]["name"]
    if name == "reverted":
        item = api.put(plural, {**item, "spec": deployment(name)["spec"]})
    if name != "stuck":
        fake_rollout.roll_out(api, plural, item)


def scale(handler: Handler) -> bool:
    """Somebody else changes the Deployment between its reading and its change."""
    api = handler.server_api
    raced = api.get("deployments", "shop", "raced")
    raced["spec"]["replicas"] = 5
    api.put("deployments", raced)
    return False


# By host, which is also the name of a Deployment, what is said of it.
STOPPED = {
    "raced": "Nothing was changed: the API server refused it for Deployment shop/raced, which somebody has changed since it was read",
    "stuck": (
        "Deployment shop/stuck has the image, but its rollout is not finished after 1 s: 1 of 2 pods are new, 2 are available. "
        "Undo it with: kubectl -n shop set image deployment/stuck app=shop/front:v2"
    ),
    "reverted": "Deployment shop/reverted has another image again: who installed it has to change it at its source",
    "changed": (
        "Left alone: Deployment shop/changed: changed since it was diagnosed: its container app has another image by now, "
        "shop/front:v3. Diagnose again"
    ),
    "edited": "Left alone: Deployment shop/edited: changed since it was diagnosed: it is at generation 57 and was at 2. Diagnose again",
    "recovered": (
        "Left alone: Deployment shop/recovered: changed since it was diagnosed: pod shop/front-2 on works listens on 9292/TCP by now. "
        "Diagnose again"
    ),
    "silent": (
        "Left alone: Deployment shop/silent: changed since it was diagnosed: pod shop/front-2 on broken could not be looked at once more"
    ),
    "moved": "Nothing was changed: the inventory lacks hosts on which the pods were seen",
    "hostile": "what is to be rolled back has no usable 'name'",
    "unnamed": "no kubeconfig given: pass the one with which the cluster was asked",
}
BYSTANDER = "bystander"  # offers a fix, and another host carries it out


@pytest.fixture(scope="module")
def api() -> Iterator[FakeApi]:
    held = [
        *map(deployment, ("raced", "stuck", "reverted", "unnamed", "recovered", "silent", "moved", BYSTANDER)),
        edited(),
        deployment("changed", "shop/front:v3"),
    ]
    with FakeApi(holding={"deployments": held}) as api:
        api.after_patch.append(roll_out)
        api.misbehave(f"{PATHS}/raced", scale, method="PATCH")
        yield api


def variables(name: str, folder: Path, kubeconfig: Path) -> dict[str, object]:
    """What a host of the inventory has: a judgement that offers to roll back the Deployment of its name."""
    text = target("{{ 7 * 7 }}" if name == "hostile" else name)
    # Of two images for one Deployment nobody knows the right one; that is no reason to leave the other Deployments alone.
    doubtful = [target("doubtful", image) for image in (OLD, "shop/front:v0")] if name == "stuck" else []
    cluster = {
        "carrier": "raced" if name == BYSTANDER else name,
        "cures": {"rollback-image": [{"__ansible_unsafe": one} for one in (*doubtful, text)]},
    }
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "services_judged": {"file": str(folder / "findings.json"), "cluster": cluster},
        "services_kubeconfig": "" if name == "unnamed" else kubeconfig.name,  # as seen from where it is run
        "services_fix_wait_seconds": 1,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the role is run, and where it keeps how it is undone."""
    return tmp_path_factory.mktemp("rollback")


@pytest.fixture(scope="module")
def printed(api: FakeApi, folder: Path) -> str:
    """What the role's fix prints of all these hosts, folded lines unfolded."""
    kubeconfig = api.kubeconfig(folder / "kubeconfig")
    hosts = {name: variables(name, folder, kubeconfig) for name in (*STOPPED, BYSTANDER)}
    answers = {"deaf": seen(5000), "works": seen(5000, 9292), "broken": "junk"}
    hosts |= {name: answering_node.variables(folder, answer) for name, answer in answers.items()}
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    task = {"ansible.builtin.include_role": {"name": ROLE, "tasks_from": "fix"}}
    (folder / "play.json").write_text(
        json.dumps([{"hosts": "all:!deaf:!works:!broken", "gather_facts": False, "strategy": "free", "tasks": [task]}])
    )
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "play.json", "-i", "inventory.json"]
    settings = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    settings.pop("K8S_AUTH_KUBECONFIG", None)
    done = subprocess.run(
        command, cwd=folder, env=settings, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return " ".join(done.stdout.split())


@pytest.mark.parametrize("host", STOPPED)
def test_it_stops_and_says_why(printed: str, host: str):
    # The last that is said of a host: of one that is rescued, something was said before.
    *_before, said = re.split(rf"fatal: \[{host}(?: -> localhost)?\]: FAILED! => ", printed)
    assert STOPPED[host] in said.partition("fatal: [")[0].partition("PLAY RECAP")[0], printed


def test_what_is_doubtful_is_told_and_does_not_stop_the_others(printed: str, api: FakeApi):
    assert "container app of Deployment shop/doubtful is to have several images at once: choose by hand" in printed
    assert not [request for request in api.requests if "doubtful" in request.path]


def test_only_one_host_does_what_is_done_once(printed: str, api: FakeApi):
    assert f"fatal: [{BYSTANDER}" not in printed
    assert not [request for request in api.requests if BYSTANDER in request.path]


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize(
    ("host", "requests"),
    [
        ("raced", ["GET", "PATCH"]),
        ("changed", ["GET"]),
        ("edited", ["GET"]),
        ("recovered", ["GET"]),
        ("silent", ["GET"]),
        ("moved", []),
        ("unnamed", []),
    ],
)
def test_what_is_stopped_is_left_as_it_is(api: FakeApi, folder: Path, host: str, requests: list[str]):
    methods = [request.method for request in api.requests if request.path == f"{PATHS}/{host}"]
    assert list(dict.fromkeys(methods)) == requests
    assert images(api, host) == ["envoy:1", "shop/front:v3" if host == "changed" else NEW]
    assert not list(folder.glob(f"undo-*-{host}-*"))


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize("host", ["stuck", "reverted"])
def test_of_what_was_changed_the_undo_is_kept(folder: Path, host: str):
    file = folder / f"undo-rollback-image-{uid(host)}-app.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert read(file)["undo"] == f"kubectl -n shop set image deployment/{host} app={NEW}"


def images(api: FakeApi, name: str) -> list[str]:
    containers = api.get("deployments", "shop", name)["spec"]["template"]["spec"]["containers"]
    return [container["image"] for container in containers]


def test_what_a_deployment_holds_beside_is_not_printed(printed: str):
    assert HELD not in printed


# -- the whole playbook, with a real runtime's pods --------------------------------------------------------------------

GOOD, BAD = "registry.example/front:v1", "registry.example/front:v2"
UNDO = f"kubectl -n shop set image deployment/front app={BAD}"
needs_runtime = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, COMMANDS)),
    reason=f"a runtime of one's own needs root and {', '.join(COMMANDS)}",
)


@dataclass
class Shop:
    """A Deployment in the middle of a rollout: the pod of before listens on 9292, that of the wrong image on 5000."""

    cluster: RealCluster
    inventory: Path
    kubeconfig: Path

    def fix(self, *words: str) -> Run:
        asked = ("-e", "fix=rollback-image", "-e", f"kubeconfig={self.kubeconfig}")
        settings = variable("thresholds", {"service_target_start_seconds": 0.1})
        return diagnose("-i", self.inventory, *asked, *settings, *words, name="fix")

    def start(self, name: str, port: str, image: str, replica_set: dict[str, Any]) -> None:
        part = Part(httpd("app", port, image))
        self.cluster.run("node-a", "shop", name, [part], labels={"app": "front"}, owner=replica_set)

    def image(self) -> str:
        return images(self.cluster.api, "front")[0]

    def patches(self) -> list[dict[str, str]]:
        """What was asked of each change until now."""
        return [request.query for request in self.cluster.api.requests if request.method == "PATCH"]


def revision(deployment: dict[str, Any], number: int, image: str) -> dict[str, Any]:
    """One of its ReplicaSets."""
    _deployment, replica_set = kube_objects.workload("shop", f"front-{number}", [kube_objects.container("app", image)])
    replica_set["metadata"]["annotations"] = {fake_rollout.REVISION: str(number)}
    return kube_objects.owned(replica_set, deployment, "Deployment")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    with FakeApi(holding={}) as api, ContainerdNode("node-a", folder) as node:
        shop = Shop(RealCluster(api), node.inventory({}), api.kubeconfig(folder / "kubeconfig"))
        shop.cluster.join(node, "192.0.2.2", [Image((image,), ("sleep", image[-1])) for image in (GOOD, BAD)])
        front, _replica_set = kube_objects.workload("shop", "front", [kube_objects.container("app", BAD)], 2)
        before, now = revision(front, 1, GOOD), revision(front, 2, BAD)
        api.add("deployments", front)
        api.add("replicasets", before, now)
        shop.start("front-1", "9292", GOOD, before)
        shop.start("front-2", "5000", BAD, now)
        shop.cluster.serve(kube_objects.service("shop", "front", {"app": "front"}, {"port": 80, "targetPort": 9292}))
        shop.cluster.wait()
        api.after_patch.append(lambda _api, _plural, item: go_back(shop, item, before))
        yield shop


def go_back(shop: Shop, deployment: dict[str, Any], replica_set: dict[str, Any]) -> None:
    """What the controllers and kubelet do once the image is back."""
    cluster = shop.cluster
    shop.start("front-3", "9292", GOOD, replica_set)
    cluster.stop("shop", "front-2")
    cluster.wait()
    cluster.update_slices("shop", "front")
    replica_set["metadata"]["annotations"] = {fake_rollout.REVISION: "3"}
    cluster.api.put("replicasets", replica_set)
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 2)
    deployment["status"] = {"observedGeneration": deployment["metadata"]["generation"], **counts}
    cluster.api.put("deployments", deployment)


class Runs(NamedTuple):
    """The run with --check, what the API server had then, and the run that is for real."""

    checked: Run
    image: str
    patches: list[dict[str, str]]
    fixed: Run


@pytest.fixture(scope="module")
def runs(shop: Shop) -> Runs:
    return Runs(shop.fix("--check", "--diff"), shop.image(), shop.patches(), shop.fix())


@needs_runtime
def test_a_check_shows_the_plan_and_changes_nothing(runs: Runs):
    checked = runs.checked
    assert checked.status == 0, checked.printed
    for words in (
        "the cluster: the plan is to roll back Deployment shop/front",
        f"container app gets the image {GOOD}, which was seen listening, in place of {BAD}",
        "its 2 pods are replaced step by step (maxUnavailable 25%, maxSurge 25%): connections to them end",
        f"undo: {UNDO}",
    ):
        assert words in checked.said
    assert runs.patches == [{"dryRun": "All"}]
    assert runs.image == BAD
    assert not list(checked.bundle.glob("undo-*"))


@needs_runtime
def test_the_image_goes_back_and_the_service_answers(shop: Shop, runs: Runs):
    fixed = runs.fixed
    assert fixed.status == 0, fixed.printed
    assert shop.image() == GOOD
    _before, told = fixed.said.split("the cluster, before and after rollback-image")
    assert "- before: WARNING: Service shop/front, port 80/TCP" in told
    assert "- after: nothing of this is seen any more PLAY RECAP" in told
    assert "node-a, before and after" not in fixed.said


@needs_runtime
def test_two_bundles_are_left_and_the_undo_in_the_first(runs: Runs):
    fixed = runs.fixed
    first, second = sorted((fixed.folder / "audits").iterdir())
    found = {folder: read(folder / "findings.json")["findings"] for folder in (first, second)}
    of_front = {folder: [one["rule"] for one in found[folder] if one["object"] == "shop/front"] for folder in found}
    assert of_front == {first: ["service-target-not-listening"], second: []}
    (undo,) = first.glob("undo-*")
    assert read(undo)["undo"] == UNDO
    assert f"# ansible-playbook kubenode.doctor.undo -e record={fixed.folder}/audits/" in fixed.said


@needs_runtime
@pytest.mark.usefixtures("runs")
def test_a_second_run_changes_nothing(shop: Shop):
    again = shop.fix()
    assert again.status == 0, again.printed
    assert (
        "rollback-image: neither a host nor the cluster was seen to have an unwaived finding that this cures"
        in again.said
    )
    assert shop.patches() == [{"dryRun": "All"}, {}]
    assert len(list((again.folder / "audits").iterdir())) == 1


@needs_runtime
@pytest.mark.usefixtures("runs")
def test_the_shipped_roles_are_enough(shop: Shop):
    requests = shop.cluster.api.requests
    assert {request.method for request in requests} == {"GET", "PATCH"}
    assert cluster_roles.refused(requests, cluster_roles.READ, cluster_roles.FIXES) == set()
