# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One node, looked at in many ways: every module by each Python that a node may have, and a snapshot on kernels that lack something.

The node has its own processes, sockets, logs and settings, a Docker Engine with a name conflict, and a pod in each kind of cgroup. Unit
tests run on these Pythons too, but import what a module needs from a folder: here it comes as Ansible sends it, in a zip.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kubenode.doctor.plugins.module_utils.snapshot_request import SECTIONS
from ansible_collections.kubenode.doctor.tests.contract.conftest import conflicting_containers
from ansible_collections.kubenode.doctor.tests.contract.project import MODULES, ROOT
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import needs_stage
from ansible_collections.kubenode.doctor.tests.support import own_namespaces, pod_cgroup, private_node, pythons
from ansible_collections.kubenode.doctor.tests.support.pod_cgroup import PodCgroups
from ansible_collections.kubenode.doctor.tests.support.private_node import PrivateNode
from ansible_collections.kubenode.doctor.tests.support.stage import (
    NOBODY,
    host_variables,
    python_for_nobody,
    write_interpreter,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_engine import MadeUpEngine

_NEEDS = (*own_namespaces.COMMANDS, private_node.JOURNAL_WRITER)
pytestmark = [
    needs_stage,
    pytest.mark.skipif(
        not all(map(shutil.which, _NEEDS)) or pod_cgroup.V2 is None or not pod_cgroup.V1.is_dir(),
        reason=f"a node with pods in cgroups of v1 and v2 needs both, {', '.join(_NEEDS)}",
    ),
    pytest.mark.skipif(python_for_nobody() is None, reason="no Python that nobody can run"),
]

PYTHONS = pythons.versions()
V1_POD, V2_POD = "909a2aa1-bf6a-4a8c-a274-3180ea640fb1", "b24a851f-9d9c-47f3-ac43-f849e4572055"
PODS = {V1_POD: 8081, V2_POD: 8082}
# Listens, has a connection, and one that its peer has closed (CLOSE-WAIT). It is in the cgroup before it opens a socket.
_POD = """
import socket, sys
with open(sys.argv[1], "w") as members:
    members.write("0")
server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
open_one, left = (socket.create_connection(server.getsockname()) for _number in range(2))
kept = server.accept()[0]
server.accept()[0].close()
print("ready", flush=True)
input()
"""
_LOGGED = 'Conflict. The container name "/k8s_web_1" is already in use by container "%s".' % ("4" * 64)
_TARGET = json.dumps({"drawn_from": "32768-60999", "ports": "36527", "span": "30000-40000"})
# What these keys hold is of the moment at which it was read, and compared by its kind.
_OF_THE_MOMENT = {
    "age_seconds",
    "clock",
    "controller_time",
    "counters",
    "cpu",
    "files",
    "growth",
    "load",
    "memory",
    "now",
    "now_ns",
    "oldest_seconds",
    "psi",
    "python",
    "run_queue",
    "seconds",
    "steal_since_boot",
    "threads",
}

_NOTHING = "(nothing)"  # in place of a key or an element that only the other has

Answers = dict[str, dict[str, Any]]  # by host


def asked(docker_host: str) -> dict[str, dict[str, Any]]:
    """The options of each module that runs on nodes."""
    return {
        "tcp_states": {"sample_seconds": 0.3},
        "listen_ports": {},
        "pod_listeners": {},
        "host_pressure": {"sample_seconds": 0.3},
        "log_signatures": {},
        "docker_stale_names": {"docker_host": docker_host},
        "cluster_snapshot": {},
        "node_fix": {"fix": "reserve-nodeports", "targets": [_TARGET]},
        "nodeport_conflict": {"node_ports": [{"service": "shop/front", "node_port": 36527, "has_endpoints": False}]},
        "node_snapshot": {"ports": [36527], "sample_seconds": 0.3},
        "node_health": {"expect": ["kubelet"]},
        "listener_origin": {"port": 36527},
    }


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Answers]]:
    """What each module said on each host. Each but one host is the same node, entered in another way."""
    folder = tmp_path_factory.mktemp("old")
    with ExitStack() as stack:
        engine = stack.enter_context(MadeUpEngine(*conflicting_containers()))
        cgroups = {uid: stack.enter_context(PodCgroups(uid[:4], kind)) for uid, kind in hierarchies().items()}
        node = stack.enter_context(PrivateNode("node", folder))
        arrange(node, cgroups)
        by_python = {f"python-{version}": interpreter(version) for version in PYTHONS}
        modules = asked(engine.host)
        answers = play(folder, node, by_python, modules)
        hard = {name: (*words, python) for name, (words, python) in lacking().items()}
        answers["hard"] = play(folder, node, hard, {"node_snapshot": modules["node_snapshot"]})["node_snapshot"]
        yield answers


def hierarchies() -> dict[str, Path | None]:
    return {V1_POD: pod_cgroup.V1, V2_POD: pod_cgroup.V2}


def arrange(node: PrivateNode, cgroups: Mapping[str, PodCgroups]) -> None:
    """Let something be there for each module."""
    # What modules ask the node's programs would be counted as TIME-WAIT by those that come after them.
    node.run("sysctl", "-qw", "net.ipv4.tcp_max_tw_buckets=0")
    node.start("kubelet", "--listen", "127.0.0.1:36527", "--listen", "127.0.0.1:10248")
    node.start("kube-proxy", "--listen", "127.0.0.1:10249")
    times = {"__REALTIME_TIMESTAMP": int(time.time() - 60) * 1_000_000, "__MONOTONIC_TIMESTAMP": 1_000_000}
    node.add_journal([{**times, "_BOOT_ID": "0" * 32, "_SYSTEMD_UNIT": "kubelet.service", "MESSAGE": _LOGGED}])
    for number, (uid, port) in enumerate(PODS.items()):
        # Connections in CLOSE-WAIT are told by their age, in tenths of a second: of the same tenth now and not then, they would change places.
        time.sleep(number / 2)
        words = [sys.executable, "-c", _POD, str(cgroups[uid].add(uid, f"{number}c" * 32)), str(port)]
        pod = subprocess.Popen([*node.enter, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        node._programs.append(pod)
        assert pod.stdout is not None
        assert pod.stdout.readline() == "ready\n", f"the pod {uid} did not start"


def interpreter(version: str) -> tuple[str, ...]:
    """A Python for which what it warns of is an error."""
    python = pythons.find(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    return ("env", "PYTHONWARNINGS=error", python)


def lacking() -> dict[str, tuple[Sequence[str], str]]:
    """What goes before a Python, and which, to have something less there."""
    here, hidden = sys.executable, ("unshare", "--mount", "sh", "-ec")
    without = str(ROOT / "tests" / "support" / "without_sock_diag.py")
    return {
        "nothing": ((), here),
        "sock_diag": ((here, without), here),
        # A kernel that was booted with psi=0 has no such folder.
        "psi": ((*hidden, 'mount -t tmpfs none /proc/pressure; exec "$@"', "sh"), here),
        "root": (NOBODY, str(python_for_nobody())),
        # A container with the host's network: its /proc has its own processes only.
        "proc": (("unshare", "--mount", "--pid", "--fork", "--mount-proc"), here),
        "proc and cgroup v2": (
            (
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--mount-proc",
                "sh",
                "-ec",
                f'umount {pod_cgroup.V2}; exec "$@"',
                "sh",
            ),
            here,
        ),
    }


def play(
    folder: Path, node: PrivateNode, hosts: Mapping[str, Iterable[str]], modules: Mapping[str, dict[str, Any]]
) -> dict[str, Answers]:
    """Run each module by each of these ways to a Python; return its answers by module."""
    variables = {
        name: host_variables(write_interpreter(folder / name.replace(" ", "-"), (*node.enter, *words), python))
        for name, (*words, python) in hosts.items()
    }
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": variables}}), encoding="utf-8")
    tasks = [{f"kubenode.doctor.{name}": options} for name, options in modules.items()]
    (folder / "play.json").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    environment = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    # One at a time: all are the same node, and see the connection with which another one asks kube-proxy for its mode.
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "play.json", "-i", "inventory.yml", "-f", "1"],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr, done.stderr
    (ran,) = json.loads(done.stdout)["plays"]
    return {name: task["hosts"] for name, task in zip(modules, ran["tasks"], strict=True)}


def steady(value: Any, moment: bool = False) -> Any:
    """A value with kinds in place of what is of the moment."""
    if isinstance(value, dict):
        return {key: steady(inner, moment or key in _OF_THE_MOMENT) for key, inner in value.items()}
    if isinstance(value, list):
        # How many samples there are is of the moment too.
        return sorted({repr(steady(inner, moment)) for inner in value}) if moment else [steady(one) for one in value]
    return type(value).__name__ if moment else value


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where two values are not the same: the path, the value of one, the value of the other."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys((*one, *other)):
            yield from differences(one.get(key, _NOTHING), other.get(key, _NOTHING), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list):
        for number, pair in enumerate(itertools.zip_longest(one, other, fillvalue=_NOTHING)):
            yield from differences(*pair, f"{path}[{number}]")
    elif one != other:
        yield f"{path}: {one!r} against {other!r}"


def test_each_host_ran_the_python_that_it_is_named_after(told: dict[str, Answers]) -> None:
    """Otherwise one Python is compared with itself."""
    ran = {host: answer["snapshot"]["sections"]["host"]["python"] for host, answer in told["node_snapshot"].items()}
    assert {host: ".".join(python.split(".")[:2]) for host, python in ran.items()} == {
        f"python-{version}": version for version in PYTHONS
    }


def test_every_module_that_has_code_for_nodes_is_run() -> None:
    with_code = {
        module
        for module in MODULES
        if "\ndef main" in (ROOT / "plugins" / "modules" / f"{module}.py").read_text("utf-8")
    }
    assert with_code == set(asked(""))


@pytest.mark.parametrize("module", asked(""))
def test_every_python_gives_the_same_answer(told: dict[str, Answers], module: str) -> None:
    answers = {host: steady(answer) for host, answer in told[module].items()}
    assert len(answers) == len(PYTHONS)
    newest = answers[f"python-{PYTHONS[-1]}"]
    differ = [f"{host}{path}" for host, answer in answers.items() for path in differences(answer, newest)]
    assert not differ, "\n".join(("against the newest Python:", *differ))
    assert {host: answer["warnings"] for host, answer in answers.items() if answer.get("warnings")} == {}


def test_every_module_had_something_to_see(told: dict[str, Answers]) -> None:
    """Otherwise nothing is compared with nothing."""
    answer = {module: hosts[f"python-{PYTHONS[0]}"] for module, hosts in told.items() if module != "hard"}
    assert {entry["port"] for entry in answer["listen_ports"]["listeners"]} == {*PODS.values(), 10248, 10249, 36527}
    assert {pod["uid"] for pod in answer["pod_listeners"]["pods"]} == set(PODS)
    assert {group["state"] for group in answer["tcp_states"]["groups"]} == {"established", "close_wait"}
    assert [len(answer["docker_stale_names"][key]) for key in ("conflicts", "removable", "kept")] == [2, 2, 3]
    assert answer["log_signatures"]["found"]
    assert answer["node_fix"]["state"] == "needed"
    assert answer["nodeport_conflict"]["conflicts"]
    assert set(answer["node_snapshot"]["snapshot"]["sections"]) == set(SECTIONS)


# --- what a kernel, a container or a user may lack: what can be seen is told, and the rest is said to be missing


def lacks(told: dict[str, Answers], host: str) -> dict[str, str]:
    """What is missing for this host and not for one that lacks nothing: what, and why."""
    usual = {gap["what"] for gap in told["hard"]["nothing"]["snapshot"]["missing"]}
    return {gap["what"]: gap["why"] for gap in told["hard"][host]["snapshot"]["missing"] if gap["what"] not in usual}


def section(told: dict[str, Answers], host: str, name: str) -> dict[str, Any]:
    return dict(told["hard"][host]["snapshot"]["sections"][name])


def listening(told: dict[str, Answers], host: str) -> dict[int, dict[str, Any]]:
    return {entry["port"]: entry for entry in section(told, host, "listen_ports")["listeners"]}


def test_pods_are_known_in_both_kinds_of_cgroups(told: dict[str, Answers]) -> None:
    listeners = listening(told, "nothing")
    for uid, port in PODS.items():
        assert [process["pod_uid"] for process in listeners[port]["processes"]] == [uid]
    assert {pod["uid"] for pod in section(told, "nothing", "pod_listeners")["pods"]} == set(PODS)


def test_without_sock_diag_proc_tells_and_what_it_cannot_is_named(told: dict[str, Answers]) -> None:
    gaps = lacks(told, "sock_diag")
    assert set(gaps) == {
        "tcp_states: backlog",
        "tcp_states: age of close_wait",
        "listen_ports: backlog, v6only",
        "listen_ports: bound sockets",
        "nodeport_conflict: backlog, v6only",
        "nodeport_conflict: bound sockets",
        "pod_listeners: v6only",
    }
    assert "no netlink socket of protocol 4: Protocol not supported" in gaps["listen_ports: backlog, v6only"]
    for name in ("listen_ports", "nodeport_conflict", "tcp_states"):
        assert section(told, "nothing", name)["backend"] == "sock_diag"
        assert section(told, "sock_diag", name)["backend"] == "procfs"
    seen = {port: (entry["backlog"], entry["processes"]) for port, entry in listening(told, "sock_diag").items()}
    assert seen == {port: (None, entry["processes"]) for port, entry in listening(told, "nothing").items()}
    states = [section(told, host, "tcp_states")["states"] for host in ("nothing", "sock_diag")]
    assert states[0] == states[1]


def test_without_psi_there_is_none_and_nothing_is_missing(told: dict[str, Answers]) -> None:
    assert section(told, "nothing", "host_pressure")["psi"] is not None
    assert section(told, "psi", "host_pressure")["psi"] is None
    assert lacks(told, "psi") == {}


def test_without_root_each_section_says_what_it_could_not_see(told: dict[str, Answers]) -> None:
    gaps = lacks(told, "root")
    sections = {"tcp_states", "listen_ports", "nodeport_conflict", "proxy_rules", "pod_listeners", "logs"}
    assert {what.partition(":")[0] for what in gaps} == sections
    for what in ("processes", "service rules", "journal"):
        assert all("run with become (-b)" in why for name, why in gaps.items() if name.endswith(f": {what}")), gaps
    hidden = listening(told, "root")
    assert set(hidden) == set(listening(told, "nothing"))
    assert all(entry["hidden"] for entry in hidden.values())


@pytest.mark.parametrize("host", ["proc", "proc and cgroup v2"])
def test_in_a_container_of_its_own_owners_are_hidden_and_not_absent(told: dict[str, Answers], host: str) -> None:
    gaps = lacks(told, host)
    for name in ("tcp_states", "listen_ports", "nodeport_conflict"):
        assert gaps[f"{name}: processes"].endswith("this is a container with its own pid namespace: run on the host")
    listeners = listening(told, host)
    assert set(listeners) == set(listening(told, "nothing"))
    assert all(entry["hidden"] and not entry["processes"] for entry in listeners.values())
    assert section(told, host, "pod_listeners")["complete"] is False


def test_the_socket_names_its_cgroup_where_v2_is_mounted(told: dict[str, Answers]) -> None:
    """The kernel knows cgroups of v2 alone by number; those of v1 are known by their processes only."""
    for host in ("proc", "root"):
        listeners = listening(told, host)
        assert f"/pod{V2_POD}/" in listeners[PODS[V2_POD]]["cgroup"]
        assert listeners[PODS[V1_POD]]["cgroup"] == "/"
    assert {entry["cgroup"] for entry in listening(told, "proc and cgroup v2").values()} == {None}
