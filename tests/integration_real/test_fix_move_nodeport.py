# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix move-nodeport and its undo against an API server: what they do, and above all when they do not do it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle
from ansible_collections.kubenode.doctor.plugins.plugin_utils.nodeport_move import Meeting, target_text
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import (
    Run,
    diagnose,
    needs_stage,
    read,
    variable,
)
from ansible_collections.kubenode.doctor.tests.support import answering_node, cluster_roles, fake_api
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi, Handler
from ansible_collections.kubenode.doctor.tests.support.stage import CALM, PROJECT, Stage

ROLE = "kubenode.doctor.services"
PATHS = "/api/v1/namespaces/shop/services"
# By host, which is also the name of a Service, what is said of it.
STOPPED = {
    "raced": "Nothing was changed: the API server refused it for Service shop/raced, which somebody has changed since it was read",
    "taken": "Nothing was changed: the API server refused it for Service shop/taken: Failed to patch existing object",
    "unsure": "Whether Service shop/unsure was changed is not known",
    "reverted": "Service shop/reverted does not have NodePort 30003 any more: who installed it has to change it at its source",
    "busy": "Left alone: Service shop/busy: 30004 is not free any more, on other: socket 127.0.0.1:30004/tcp TIME-WAIT to 192.0.2.9 port 443",
    "silent": "Left alone: Service shop/silent: whether 30005 is free on broken is not known",
    "absent": "Nothing was changed: the inventory lacks hosts that were diagnosed",
    "hostile": "what is to be moved has no usable 'name'",
    "unnamed": "no kubeconfig given: pass the one with which the cluster was asked",
    "undo-changed": (
        "Left alone: Service shop/undo-changed: changed since the fix: the NodePort of port 80/TCP is 31009 by now, and not what the fix made it, 30009"
    ),
    "undo-hostile": "Nothing was changed: the record has a field that move-nodeport does not change",
    "undo-unnamed": "no kubeconfig given: pass the one with which the cluster was changed",
}
# Nothing is to be done, and that is no fault.
QUIET = ("gone", "bystander", "candidate")
NAMES = (*STOPPED, *QUIET)
ASKED = {"silent": ["meets", "broken"], "absent": ["meets", "elsewhere"], "busy": ["meets", "other"]}


def old(name: str) -> int:
    return 31000 + NAMES.index(name)


def new(name: str) -> int:
    return 30000 + NAMES.index(name)


def uid(name: str) -> str:
    return f"8c87747e-0989-4db9-93e2-{name}"


def service(name: str) -> dict[str, Any]:
    """One with a NodePort that meets a socket of the host "meets"."""
    port = {"name": "web", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": old(name)}
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": uid(name), "resourceVersion": "900"},
        "spec": {"type": "NodePort", "clusterIP": "10.96.0.9", "ports": [port]},
        "status": {"loadBalancer": {}},
    }


def target(name: str) -> str:
    """What a rule has named."""
    known = "{{ 7 * 7 }}" if name == "hostile" else name
    port = {"protocol": "TCP", "port": 80, "node_port": old(name)}
    found = {"namespace": "shop", "name": known, "uid": uid(name), "ports": [port]}
    return target_text(found, old(name), new(name), Meeting("meets", "tcp", "127.0.0.1"))


def record(name: str) -> dict[str, Any]:
    """What the fix has left in a bundle."""
    port = "/spec/ports/0"
    path = "/spec/selector" if name == "undo-hostile" else f"{port}/nodePort"
    return {
        "schema": 1,
        "fix": "move-nodeport",
        "host": None,
        "state": "applied",
        "object": {"api_version": "v1", "kind": "Service", "namespace": "shop", "name": name},
        "uid": uid(name),
        "around": {f"{port}/port": 80, f"{port}/protocol": "TCP"},
        "fields": [{"path": path, "before": old(name) + (name == "undo-changed"), "after": new(name)}],
        "undo": "reboot",
    }


def told(*sockets: dict[str, Any]) -> str:
    """What nodeport_conflict says."""
    return json.dumps({"changed": False, "sockets": sockets, "missing": []})


def held(port: int, **fields: object) -> dict[str, Any]:
    names = {"protocol": "tcp", "family": "ipv4", "address": "127.0.0.1", "port": port, "state": "listen", "peer": None}
    return {**names, "processes": [], "hidden": False, "cgroup": None, "known_as": None, **fields}


def change(handler: Handler) -> bool:
    """Somebody else changes the Service between its reading and its change."""
    api = handler.server_api
    raced = api.get("services", "shop", "raced")
    raced["spec"]["sessionAffinity"] = "ClientIP"
    api.put("services", raced)
    return False


def take(handler: Handler) -> bool:
    """Somebody else takes the number."""
    other = service("taken")
    other["metadata"].update(name="faster", uid=uid("faster"))
    other["spec"]["ports"][0]["nodePort"] = new("taken")
    handler.server_api.put("services", other)
    return False


def put_back(api: FakeApi, _plural: str, item: dict[str, Any]) -> None:
    if item["metadata"]["name"] == "reverted":
        item["spec"]["ports"][0]["nodePort"] = old("reverted")
        api.put("services", item)


@pytest.fixture(scope="module")
def api() -> Iterator[FakeApi]:
    with FakeApi(holding={"services": [service(name) for name in NAMES]}) as api:
        api.after_patch.append(put_back)
        for name, act in (("raced", change), ("taken", take), ("unsure", fake_api.reset)):
            api.misbehave(f"{PATHS}/{name}", act, method="PATCH")
        yield api


def variables(name: str, folder: Path, kubeconfig: Path) -> dict[str, object]:
    """What a host of the inventory has: a judgement that offers to move the Service of its name, or a record of that."""
    audit = folder / name
    bundle.create(audit, ASKED.get(name, ["meets"]), {})
    cluster = {
        "carrier": "raced" if name == "bystander" else name,
        "cures": {"move-nodeport": [{"__ansible_unsafe": target(name)}]},
    }
    return {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "services_judged": {"file": str(audit / "findings.json"), "cluster": cluster},
        "services_kubeconfig": "" if name.endswith("unnamed") else kubeconfig.name,  # as seen from where it is run
        "services_move": ["shop/other"] if name == "candidate" else [f"shop/{name}"],
        "services_undo_record": record(name),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the role is run; a bundle a host."""
    return tmp_path_factory.mktemp("move")


@pytest.fixture(scope="module")
def printed(api: FakeApi, folder: Path) -> str:
    """What the role prints of all these hosts, folded lines unfolded."""
    kubeconfig = api.kubeconfig(folder / "kubeconfig")
    hosts: dict[str, dict[str, Any]] = {name: variables(name, folder, kubeconfig) for name in NAMES}
    answers = {
        "meets": told(*(held(old(name)) for name in NAMES if name != "gone")),
        "other": told(held(new("busy"), state="time_wait", peer="192.0.2.9", peer_port=443)),
        "broken": "junk",
    }
    hosts |= {name: answering_node.variables(folder, answer) for name, answer in answers.items()}
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}))
    tasks = [
        {
            "ansible.builtin.include_role": {"name": ROLE, "tasks_from": tasks},
            "when": f"{'' if tasks == 'undo' else 'not '}inventory_hostname.startswith('undo')",
        }
        for tasks in ("undo", "move_nodeports")
    ]
    play = {"hosts": ",".join(NAMES), "gather_facts": False, "strategy": "free", "tasks": tasks}
    (folder / "play.json").write_text(json.dumps([play]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "play.json", "-i", "inventory.json", "-f", "8"]
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


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("gone", "Service shop/gone: no socket meets its NodePort 31012 any more, on no host on which one did. Nothing was changed."),
        ("candidate", "NodePort 31014 could become 30014; to have it done, name it: -e move=shop/candidate"),
        ("candidate", "named, but no finding says that it has to be moved - shop/other"),
        ("bystander", ""),
    ],
    ids=range(4),
)  # fmt: skip
def test_where_nothing_is_to_be_done_it_says_so(printed: str, host: str, words: str):
    assert words in printed
    assert f"fatal: [{host}" not in printed


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize(
    ("host", "requests"),
    [
        ("raced", ["GET", "PATCH"]),
        ("taken", ["GET", "PATCH"]),
        ("busy", ["GET"]),
        ("silent", ["GET"]),
        ("gone", ["GET"]),
        ("absent", []),
        ("unnamed", []),
        ("bystander", []),
        ("candidate", []),
        ("undo-changed", ["GET"]),
        ("undo-hostile", []),
    ],
)
def test_what_is_stopped_is_left_as_it_is(api: FakeApi, folder: Path, host: str, requests: list[str]):
    methods = [request.method for request in api.requests if request.path == f"{PATHS}/{host}"]
    assert list(dict.fromkeys(methods)) == requests
    assert api.get("services", "shop", host)["spec"]["ports"] == service(host)["spec"]["ports"]
    assert not list((folder / host).glob("undo-*"))


@pytest.mark.usefixtures("printed")
@pytest.mark.parametrize(("host", "state"), [("unsure", "planned"), ("reverted", "applied")])
def test_of_what_was_or_may_have_been_changed_the_undo_is_kept(folder: Path, host: str, state: str):
    file = folder / host / f"undo-move-nodeport-{uid(host)}-{old(host)}.json"
    assert file.stat().st_mode & 0o777 == 0o600
    kept = read(file)
    assert (kept["state"], kept["host"], kept["uid"]) == (state, None, uid(host))
    assert kept["fields"] == [{"path": "/spec/ports/0/nodePort", "before": old(host), "after": new(host)}]
    assert kept["undo"].startswith(f"kubectl -n shop patch service {host} --type=json -p ")


# -- the whole playbook, with sockets that a NodePort meets ---------------------------------------------------------------

WEB, LEFT = "shop/web", "shop/left"


@pytest.mark.usefixtures("printed")
def test_the_shipped_role_is_enough(api: FakeApi):
    assert {request.method for request in api.requests} == {"GET", "PATCH"}
    assert cluster_roles.refused(api.requests, cluster_roles.READ, cluster_roles.FIXES) == set()


PROXY_MODE = PROJECT / "tests" / "fixtures" / "kube_proxy" / "proxyMode.txt"
MOVE = ("-e", "fix=move-nodeport", "-e", f"move={WEB}")


class Runs(NamedTuple):
    """The Service before, the runs, and the Service after each."""

    before: dict[str, Any]
    checked: Run
    after_check: dict[str, Any]
    fixed: Run
    moved: dict[str, Any]
    again: Run
    undone: Run
    after_undo: dict[str, Any]
    patches: list[dict[str, str]]


def meeting(namespace: str, name: str, number: int) -> dict[str, Any]:
    """A Service without endpoints, whose NodePort a program on the node listens on."""
    found = fake_api.seed_000_service()
    found["metadata"].update(namespace=namespace, name=name, uid=uid(name))
    found["spec"]["ports"][0]["nodePort"] = number
    return found


def build(stage: Stage) -> None:
    """One node, on which programs have two NodePorts."""
    node = stage.node("node-a", "192.0.2.2")
    node.start("kubelet", "--listen", "127.0.0.1:36527", "--listen", "127.0.0.1:10248")
    node.start("agent", "--listen", "127.0.0.1:36528")
    node.start("kube-proxy", "--listen", "127.0.0.1:10249", "--answer", f"/proxyMode={PROXY_MODE}")
    node.start("kube-apiserver", "--listen", "0.0.0.0:6443", "--", "--service-node-port-range=30000-40000")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("seed")
    address = {"type": "InternalIP", "address": "192.0.2.2"}
    held = {
        "nodes": [{"metadata": {"name": "node-a"}, "spec": {}, "status": {"addresses": [address]}}],
        "services": [meeting("shop", "web", 36527), meeting("shop", "left", 36528)],
    }
    with Stage(folder) as stage, FakeApi(holding=held) as api:
        build(stage)
        inventory, kubeconfig = stage.inventory(), api.kubeconfig(folder / "kubeconfig")
        common = (
            "-i",
            inventory,
            "-e",
            f"kubeconfig={kubeconfig}",
            *(word for pair in CALM.items() for word in variable(*pair)),
        )

        def now() -> dict[str, Any]:
            return api.get("services", "shop", "web")

        before = now()
        checked = diagnose(*common, *MOVE, "--check", "--diff", name="fix")
        after_check = now()
        fixed = diagnose(*common, *MOVE, name="fix")
        moved = now()
        again = diagnose(*common, *MOVE, name="fix")
        (record,) = (fixed.folder / "audits").glob("*/undo-*")
        undone = diagnose(*common, "-e", f"record={record}", name="undo")
        patches = [request.query for request in api.requests if request.method == "PATCH"]
        yield Runs(before, checked, after_check, fixed, moved, again, undone, now(), patches)


@needs_stage
def test_a_check_shows_the_plan_and_changes_nothing(runs: Runs):
    checked = runs.checked
    assert checked.status == 0, checked.printed
    for words in (
        f"the cluster: the plan is to move Service {WEB} from NodePort 36527 to 30001",
        "port 8080/TCP gets NodePort 30001 in place of 36527, on every node",
        "no socket has the number 30001, in whatever state, on the 1 host that was asked just now",
        "undo: kubectl -n shop patch service web --type=json -p",
        f"not named, and therefore left as it is - Service {LEFT}: NodePort 36528 could become 30000",
    ):
        assert words in checked.said
    assert runs.after_check == runs.before
    assert not list(checked.bundle.glob("undo-*"))


@needs_stage
def test_the_number_is_another_one_and_the_listener_is_reached(runs: Runs):
    fixed = runs.fixed
    assert fixed.status == 0, fixed.printed
    assert [port["nodePort"] for port in runs.moved["spec"]["ports"]] == [30001]
    first, second = sorted((fixed.folder / "audits").iterdir())
    of_web = [
        [
            one["status"]
            for one in read(folder / "findings.json")["findings"]
            if WEB in (one["object"] or "") and one["host"] == "node-a"
        ]
        for folder in (first, second)
    ]
    assert "fail" in of_web[0]
    assert not of_web[1]
    assert f"# ansible-playbook kubenode.doctor.undo -e record={fixed.folder}/audits/" in fixed.said
    (kept,) = first.glob("undo-*")
    assert read(kept)["uid"] == uid("web")


@needs_stage
def test_a_second_run_changes_nothing(runs: Runs):
    assert runs.again.status == 0, runs.again.printed
    assert f"named, but no finding says that it has to be moved - {WEB}" in runs.again.said
    # The check's, the fix's, the undo's.
    assert runs.patches == [{"dryRun": "All"}, {}, {}]


@needs_stage
def test_the_undo_leaves_nothing(runs: Runs):
    assert runs.undone.status == 0, runs.undone.printed
    assert "the NodePort of port 8080/TCP becomes 36527 again, in place of 30001" in runs.undone.said
    version = {"resourceVersion": runs.after_undo["metadata"]["resourceVersion"]}
    assert runs.after_undo == {**runs.before, "metadata": {**runs.before["metadata"], **version}}
    (record,) = (runs.fixed.folder / "audits").glob("*/undo-*")
    assert read(record)["state"] == "undone"
