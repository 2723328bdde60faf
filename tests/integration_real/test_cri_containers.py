# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``containers`` on a node with a real containerd: what its files and crictl tell is what containerd tells itself.

crictl is in no package of Debian's; tests/support/crictl.py stands for it and asks the same runtime the same questions.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import stale_names
from ansible_collections.kubenode.doctor.tests.support import containerd_node, crictl
from ansible_collections.kubenode.doctor.tests.support.containerd_node import ContainerdNode
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import Pod

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, containerd_node.COMMANDS)),
    reason=f"a containerd of one's own needs root and {', '.join(containerd_node.COMMANDS)}",
)

STATES = {
    "CONTAINER_CREATED": "created",
    "CONTAINER_RUNNING": "running",
    "CONTAINER_EXITED": "exited",
    "SANDBOX_READY": "running",
    "SANDBOX_NOTREADY": "exited",
}
API = Pod("kube-system", "kube-apiserver-pi-master1", "1403dda53affdfee1130475a6d9609da")
WEB = Pod("shop", "web-0", "909a2aa1-bf6a-4a8c-a274-3180ea640fb1")
CRICTL = "/var/lib/rancher/rke2/bin/crictl"
STATUS = "/var/lib/containerd/io.containerd.grpc.v1.cri/containers/{}/status"
BUNDLE = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/{}/{}"
SECOND = 10**9

Told = dict[str, tuple[str, str, str, "int | None", str, "int | None"]]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ContainerdNode]:
    with ContainerdNode("cri", tmp_path) as running:
        yield running


def told(section: dict[str, Any]) -> Told:
    """``{id: (namespace, pod, container, attempt, state, created)}`` of a section."""
    return {
        one["id"]: (
            group["namespace"],
            group["pod"],
            group["container"],
            one["attempt"],
            one["state"],
            one["created_ns"],
        )
        for group in section["groups"]
        for one in group["instances"]
    }


def truth(node: ContainerdNode) -> Told:
    """The same by containerd's own words."""
    pods = {pod["id"]: pod for pod in node.cri("ListPodSandbox")["items"]}
    found: Told = {}
    for one in [*pods.values(), *node.cri("ListContainers")["containers"]]:
        pod = pods[one.get("podSandboxId", one["id"])]["metadata"]
        container = one["metadata"]["name"] if "podSandboxId" in one else "POD"
        attempt, created = one["metadata"]["attempt"], int(one["createdAt"])
        found[one["id"]] = (pod["namespace"], pod["name"], container, attempt, STATES[one["state"]], created)
    return found


def how(section: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["name"], one["method"]) for one in section["runtimes"]]


def scene(node: ContainerdNode) -> dict[str, str]:
    """Seed 002's API server, and a bystander; ids by name."""
    first = node.sandbox(API, 15)
    dead = node.container(API, "kube-apiserver", 23, first, leave=True)
    node.cri("StopPodSandbox", {"podSandboxId": first})
    second = node.sandbox(API, 17)
    living = node.container(API, "kube-apiserver", 24, second)
    web = node.sandbox(WEB, 0)
    return {
        "stopped sandbox": first,
        "dead": dead,
        "sandbox": second,
        "living": living,
        "web sandbox": web,
        "web": node.container(WEB, "web", 0, web),
        "new": node.create(WEB, "side", 1, web),
    }


def test_what_containerd_tells_is_what_is_told(node: ContainerdNode) -> None:
    ids = scene(node)
    all_of_it = truth(node)
    assert len(all_of_it) == 7

    read = node.section()
    assert how(read) == [("containerd", "files")]
    # What runs, and what ever ran and is no sandbox; what cannot be known of it is not told.
    known = {id_: entry for id_, entry in all_of_it.items() if id_ not in (ids["stopped sandbox"], ids["new"])}
    assert set(told(read)) == set(known)
    for id_, entry in told(read).items():
        if entry[2] == "POD":
            assert entry == (*known[id_][:3], None, known[id_][4], None)
        else:
            assert entry == known[id_]
    assert {(one["id"], one["state"]) for one in read["strangers"]} == {
        (ids["stopped sandbox"], "exited"),
        (ids["new"], "created"),
    }
    assert [gap["what"] for gap in read["missing"]] == ["names", "attempts"]

    crictl.install(node.path(CRICTL))
    asked = node.section()
    assert how(asked) == [("containerd", "crictl")]
    assert told(asked) == all_of_it
    assert (asked["complete"], asked["strangers"]) == (True, [])
    assert asked["runtimes"][0]["version"] == node.cri("Version", {"version": "v1"})["runtimeVersion"]
    # From the files, which crictl's lists do not tell.
    both = [
        {
            one["id"]: (one["started_ns"], one["finished_ns"], one["exit_code"])
            for group in section["groups"]
            for one in group["instances"]
        }
        for section in (read, asked)
    ]
    assert both[0][ids["dead"]] == both[1][ids["dead"]]
    started, finished, code = both[0][ids["dead"]]
    # containerd notes the start when it is told of it: one that ends at once may have ended before.
    assert all_of_it[ids["dead"]][5] < min(started, finished)
    assert max(started, finished) < all_of_it[ids["living"]][5]
    assert code == 0


def test_a_containerd_that_is_down_or_hangs(node: ContainerdNode) -> None:
    ids = scene(node)
    crictl.install(node.path(CRICTL))
    before = told(node.section())
    node.suspend_containerd()
    started = time.monotonic()
    hanging = node.section(6)
    assert time.monotonic() - started < 60  # it hangs until it is resumed
    node.resume_containerd()
    node.stop_containerd()
    down = node.section()
    for section in (hanging, down):
        assert how(section) == [("containerd", "files")]
        assert section["missing"][0]["what"] == "crictl"
        assert told(section)[ids["living"]] == before[ids["living"]]
    assert "crictl version did not come to an end within 5 s" in hanging["missing"][0]["why"]

    # What ends while containerd is down has ended, although its status does not say so yet.
    node.run("kill", "-KILL", node.path(BUNDLE.format(ids["web"], "init.pid")).read_text())
    deadline = time.monotonic() + 30
    while told(node.section())[ids["web"]][4] != "exited":
        assert time.monotonic() < deadline, f"it is said to be {told(node.section())[ids['web']][4]}"
        time.sleep(0.1)
    assert json.loads(node.path(STATUS.format(ids["web"])).read_text())["FinishedAt"] == 0
    node.start_containerd()
    assert told(node.section())[ids["living"]] == before[ids["living"]]


def test_a_containerd_that_only_serves_docker(node: ContainerdNode) -> None:
    """Its CRI plugin is off, as in Docker's own package."""
    node.stop_containerd()
    node.start_containerd(cri=False)
    crictl.install(node.path(CRICTL))
    section = node.section()
    assert (section["runtimes"], section["groups"], section["complete"]) == ([], [], True)


def test_a_pid_that_was_given_to_another(node: ContainerdNode) -> None:
    ids = scene(node)
    node.stop_containerd()
    node.path(BUNDLE.format(ids["living"], "init.pid")).write_text("1")  # which lives, and is no container's
    assert told(node.section())[ids["living"]][4] == "unknown"


def test_the_name_that_kubelet_would_ask_for(node: ContainerdNode) -> None:
    """The clock is set back between attempts 23 and 24: the verdict names the name that containerd then really refuses."""
    ids = scene(node)
    crictl.install(node.path(CRICTL))
    node.stop_containerd()
    path = node.path(STATUS.format(ids["dead"]))
    status = json.loads(path.read_text())
    later = told(node.section())[ids["living"]][5]
    assert later is not None
    path.write_text(json.dumps({**status, "CreatedAt": later + SECOND}))
    node.start_containerd()
    section = node.section()
    assert how(section) == [("containerd", "crictl")]
    verdict = stale_names.verdict(section["groups"], section["strangers"], section["now_ns"] + 3600 * SECOND, 60)
    (conflict,) = verdict["conflicts"]
    assert (conflict["kind"], conflict["holder"]["id"], conflict["newest"]["id"], conflict["remove"]) == (
        "clock-inversion",
        ids["living"],
        ids["dead"],
        [ids["dead"]],
    )
    with pytest.raises(grpc.RpcError) as refused:
        node.create(API, "kube-apiserver", 24, ids["sandbox"])
    said = refused.value.details()
    assert f'failed to reserve container name "{conflict["wanted"]}"' in said
    assert f'name "{conflict["wanted"]}" is reserved for "{ids["living"]}"' in said

    node.cri("RemoveContainer", {"containerId": ids["dead"]})
    after = node.section()
    assert ids["dead"] not in told(after)
    assert told(after)[ids["living"]][4] == "running"
    assert stale_names.verdict(after["groups"], [], after["now_ns"], 60)["conflicts"] == []


def test_a_machine_without_a_runtime(node: ContainerdNode) -> None:
    node.stop_containerd()
    node.run("rm", "-rf", "/run/containerd", "/var/lib/containerd")
    section = node.section()
    assert (section["runtimes"], section["complete"], section["missing"]) == ([], True, [])


def test_nothing_is_left_behind(node: ContainerdNode) -> None:
    """crictl and all that it started have ended when the section is there."""
    crictl.install(node.path(CRICTL))
    node.section()
    assert node.run("pgrep", "-f", CRICTL, check=False).stdout == ""
