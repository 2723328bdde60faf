# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scenario of molecule's needs beside its nodes: an API server whose objects name them, containers, and what lies on each node.

    python tests/support/molecule_scene.py SCENARIO FOLDER '{"seed-000-sick": "192.0.2.2", …}'

Writes to FOLDER a kubeconfig, and for each node scene-NODE.json, which molecule_node reads. Prints "ready" then, and serves until it is killed.
Containers have the label kubenode-doctor.scenario, by which they are removed.
"""

from __future__ import annotations

import datetime
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.tests.support import (
    kube_objects,
    kube_proxy_rules,
    seed_001,
    seed_002_node,
)
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import container_labels, sandbox_labels
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi, seed_000_service, seed_000_slice
from ansible_collections.kubenode.doctor.tests.support.seed_002_node import APISERVER, WANTED
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT, run

Object = dict[str, Any]
Addresses = Mapping[str, str]

_IMAGE = "kubenode-doctor/molecule-node:1"
_PREFIX = "kubenode-doctor-"  # of all containers' names, as in molecule/shared/inventory
_SYNC_SECONDS = 12  # as in seed_002_node
_SYNCS = 20
# Seed 004: the image of post has the name of ui too; ui is to listen on 9292, post listens on 5000.
_SHOP, _UI_PORT, _POST_PORT, _NODE_PORT = "reddit-entry", 9292, 5000, 32530


class Scene:
    """What there is: API objects by plural, and for each node what molecule_node is to do."""

    def __init__(self, scenario: str, folder: Path, addresses: Addresses) -> None:
        self.scenario, self.folder, self.addresses = scenario, folder, addresses
        nodes = [kube_objects.node(name, address) for name, address in addresses.items()]
        self.objects: dict[str, list[Object]] = {"nodes": nodes, "services": [], "endpointslices": [], "pods": []}
        self.nodes: dict[str, Object] = {name: {"files": {}, "links": {}, "journal": []} for name in addresses}

    def container(self, name: str, *options: str, command: tuple[str, ...]) -> str:
        """Start a container and return its id."""
        words = ["run", "--detach", "--pull", "never", "--name", name, "--init"]
        words += ["--label", f"kubenode-doctor.scenario={self.scenario}", *options]
        return run("docker", *words, _IMAGE, *command).stdout.strip()

    def write(self) -> None:
        """Write scene-NODE.json for each node, with kube-proxy's rules."""
        for name, scene in self.nodes.items():
            rules = kube_proxy_rules.restorable(name, self.objects["services"], self.objects["endpointslices"])
            path = self.folder / f"scene-{name}.json"
            path.write_text(json.dumps({"rules": rules, **scene}), encoding="utf-8")


def build_seed_000(scene: Scene) -> None:
    """A Service whose NodePort is also the port of a kubelet; it has no endpoints."""
    scene.objects["services"] = [seed_000_service()]
    scene.objects["endpointslices"] = [seed_000_slice()]


def build_seed_001(scene: Scene) -> None:
    """kubelet's certificates, and where kubeadm keeps that of the API server for kubelets."""
    seed_001.write_certificates(scene.folder)
    read = {name: (scene.folder / name).read_text("ascii") for name in ("ca.crt", "kubelet.crt", "kubelet.key")}
    files = {f"/run/seed/{name}": text for name, text in read.items()}
    files[seed_001.CLIENT_CERTIFICATE] = (scene.folder / "client.crt").read_text("ascii")
    files[seed_001.CLIENT_KEY] = (scene.folder / "client.key").read_text("ascii")
    for node in scene.nodes.values():
        node["files"] = files


def build_seed_002(scene: Scene) -> None:
    """A living kube-apiserver that was created before a dead one of a lower attempt, and what kubelet says of it."""
    (node,) = scene.nodes.values()
    stay = ("sleep", "infinity")
    sandbox = scene.container(APISERVER.container_name("POD", 17), *_labels(sandbox_labels(APISERVER)), command=stay)
    name = "kube-apiserver"
    living, dead = (_labels(container_labels(APISERVER, name, attempt, sandbox)) for attempt in (24, 23))
    scene.container(WANTED, *living, command=stay)
    last_words = ("printf", "%s\\n", *seed_002_node.LAST_WORDS)
    ended = scene.container(APISERVER.container_name(name, 23), *dead, command=last_words)
    run("docker", "wait", ended)
    refused = run("docker", "create", "--pull", "never", "--name", WANTED, _IMAGE, "true", check=False)
    said = refused.stderr.partition("Error response from daemon: ")[2].split("\nSee ")[0].strip()
    assert said, refused
    now = time.time()
    times = [now - syncs_ago * _SYNC_SECONDS for syncs_ago in range(_SYNCS, 0, -1)]
    node["journal"] = [seed_002_node.started(), *(seed_002_node.complaint(said, when) for when in times)]
    node["files"][f"{APISERVER.logs}/{name}/23.log"] = "".join(_logged(seed_002_node.LAST_WORDS))


def build_seed_004(scene: Scene) -> None:
    """Pods of ui that run the image of post, as siblings of the node with its processes in the node's; post's own pod is well."""
    ((name, node),) = scene.nodes.items()
    images = {app: f"kubenode-doctor/reddit-{app}:1" for app in ("post", "ui")}
    for app, port in (("ui", _UI_PORT), ("post", _POST_PORT)):
        probe: Object = {} if app == "ui" else {"readinessProbe": {"tcpSocket": {"port": port}}}
        container = kube_objects.container(app, images[app], **probe)
        deployment, replica_set = kube_objects.workload(_SHOP, app, [container], 1)
        scene.objects.setdefault("deployments", []).append(deployment)
        scene.objects.setdefault("replicasets", []).append(replica_set)
        number = {"port": port, "targetPort": port}
        outside: Object = {"type": "NodePort"} if app == "ui" else {}
        if outside:
            number["nodePort"] = _NODE_PORT
        service = kube_objects.service(_SHOP, app, {"app": app}, number, **outside)
        pod = _run_pod(
            scene,
            name,
            kube_objects.pod(
                _SHOP, f"{app}-5b667475f5-x7k2p", str(uuid.uuid4()), scene.objects["nodes"][0], [container], app=app
            ),
            images["post"],
        )
        kube_objects.owned(pod, replica_set, "ReplicaSet")
        scene.objects["services"].append(service)
        scene.objects["pods"].append(pod)
        scene.objects["endpointslices"] += kube_objects.endpoint_slices(service, [pod])
        _name_pod(node, pod)


def _name_pod(node: Object, pod: Object) -> None:
    """Where kubelet keeps a pod's log, and its link for those who collect logs (pkg/kubelet/kuberuntime/legacy.go): they have its name."""
    metadata, (container,) = pod["metadata"], pod["status"]["containerStatuses"]
    who = f"{metadata['name']}_{metadata['namespace']}"
    id_ = container["containerID"].rpartition("/")[2]
    log = f"/var/log/pods/{metadata['namespace']}_{metadata['name']}_{metadata['uid']}/{container['name']}/0.log"
    node["files"][log] = ""
    node["links"][f"/var/log/containers/{who}_{container['name']}-{id_}.log"] = log


def _run_pod(scene: Scene, node: str, pod: Object, image: str) -> Object:
    """Run the program of post in a network of its own, and let the pod's status tell of it."""
    uid, (container,) = pod["metadata"]["uid"], pod["spec"]["containers"]
    words: tuple[str, ...] = ("--pid", f"container:{_PREFIX}{node}", "--cgroup-parent", _cgroup(uid))
    words += ("--volume", f"{PROJECT / 'tests'}:/tests:ro", "--env", "PYTHONDONTWRITEBYTECODE=1")
    program = ("python3", "/tests/support/fake_program.py", "post", "--listen", f"0.0.0.0:{_POST_PORT}")
    name = f"{_PREFIX}{scene.scenario}-{container['name']}"
    id_ = scene.container(name, *words, command=program)
    _wait_until_ready(id_)
    form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}} {{.Image}}"
    address, digest = run("docker", "inspect", "--format", form, id_).stdout.split()
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    pod["status"] |= {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    pod["status"]["containerStatuses"] = [
        {
            "name": container["name"],
            "image": image,
            "imageID": f"docker://{digest}",
            "containerID": f"docker://{id_}",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": now}},
            "lastState": {},
        }
    ]
    return pod


def _wait_until_ready(container: str) -> None:
    with subprocess.Popen(["docker", "logs", "--follow", container], stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "ready\n", container
        following.kill()


def _cgroup(uid: str) -> str:
    """A pod's cgroup by kubelet's two drivers (kubernetes/kubernetes pkg/kubelet/cm/cgroup_manager_linux.go)."""
    if run("docker", "info", "--format", "{{.CgroupDriver}}").stdout.strip() == "systemd":
        return f"kubepods-besteffort-pod{uid.replace('-', '_')}.slice"
    own = os.environ.get("KUBENODE_MOLECULE_CGROUP", "")
    return f"{own}/kubepods/besteffort/pod{uid}"


def _labels(labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(word for key, value in labels.items() for word in ("--label", f"{key}={value}"))


def _logged(lines: tuple[str, ...]) -> Iterator[str]:
    """As Docker keeps what containers print (json-file)."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    for line in lines:
        yield json.dumps({"log": f"{line}\n", "stream": "stderr", "time": now}) + "\n"


_BUILD: dict[str, Callable[[Scene], None]] = {
    "fix": build_seed_000,
    "mixed": build_seed_000,
    "seed_000": build_seed_000,
    "seed_001": build_seed_001,
    "seed_002": build_seed_002,
    "seed_004": build_seed_004,
}


def main() -> None:
    """Build, write, serve."""
    scene = Scene(sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]))
    if scene.scenario in _BUILD:
        _BUILD[scene.scenario](scene)
    scene.write()
    with FakeApi(holding=scene.objects) as api:
        api.kubeconfig(scene.folder / "kubeconfig")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    main()
