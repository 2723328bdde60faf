# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pin-stream-port does to a configuration of containerd, read by a real one: exec's port moves, pods stay, and the old text brings it back."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import containerd_config, containerd_trial, toml_edit
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.support import containerd_node
from ansible_collections.kubenode.doctor.tests.support.containerd_node import CONFIGURATION, ContainerdNode
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import Pod
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, containerd_node.COMMANDS)),
        reason=f"a containerd of one's own needs root and {', '.join(containerd_node.COMMANDS)}",
    ),
]

POD = Pod("kube-system", "etcd-master", "1403dda53affdfee1130475a6d9609da")
SECTION = '[plugins."io.containerd.grpc.v1.cri"]'
# What the plan's part on files says of the running containerd, on the node.
_CHANGE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.kubenode.doctor.plugins.module_utils import program_arguments, procfs, stream_port_change, unix_doors
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places
((_comm, argv),) = program_arguments.running({"containerd"}, "", [])
(pid,) = (pid for pid in procfs.pids() if procfs.comm(pid) == "containerd")
told = stream_port_change.read("containerd", argv, Places())
answer = {"doors": unix_doors.of(pid), "says": told.says(int(sys.argv[2]))}
try:
    change = stream_port_change.to(told, int(sys.argv[2]), sys.argv[3], "containerd.service", pid, Places(), Deadline(20))
    answer.update(file=change.steps[0].path, after=change.steps[0].after, told=list(change.told))
except stream_port_change.ChangeRefusedError as error:
    answer.update(refused=str(error))
print(json.dumps(answer))
"""


class Machine:
    """The node, and its one container."""

    def __init__(self, node: ContainerdNode) -> None:
        self.node = node
        self.container = node.container(POD, "etcd", 0, node.sandbox(POD, 0))

    def change(self, port: int, file: str = CONFIGURATION) -> Any:
        """What is planned for a file."""
        done = self.node.run(sys.executable, "-c", _CHANGE, str(PROJECT / ".collections"), str(port), file)
        assert done.stderr == "", done.stderr
        return json.loads(done.stdout)

    def exec_port(self) -> int:
        """Where kubelet would be sent for `kubectl exec`; the container has outlived all restarts, or there is no such answer."""
        url = urlsplit(
            str(self.node.cri("Exec", {"containerId": self.container, "cmd": ["true"], "stdout": True})["url"])
        )
        assert url.hostname == "127.0.0.1"
        assert url.port is not None
        return url.port

    def apply(self, planned: Any) -> bytes:
        """Write the new text and restart; return the old one."""
        place = self.node.path(planned["file"])
        before = place.read_bytes()
        place.write_bytes(planned["after"].encode())
        self.node.restart_containerd()
        return before


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with ContainerdNode("node-a", tmp_path_factory.mktemp("pin")) as node:
        yield Machine(node)


def test_the_port_moves_and_comes_back(machine: Machine) -> None:
    drawn = machine.exec_port()
    assert drawn >= 32768
    planned = machine.change(10010)
    assert not planned["says"]
    assert "/run/containerd/containerd.sock" in planned["doors"]
    assert "containerd has read the changed file and shows this port (containerd config dump)" in planned["told"]
    before = machine.apply(planned)
    assert machine.exec_port() == 10010
    assert machine.change(10010)["says"]
    again = machine.change(10011)
    assert machine.apply(again).decode() == planned["after"]
    assert machine.exec_port() == 10011
    machine.node.path(CONFIGURATION).write_bytes(before)
    machine.node.restart_containerd()
    assert machine.exec_port() >= 32768


def test_the_drop_in_that_decides_is_edited(machine: Machine) -> None:
    """containerd 1 replaces the whole section by that of an imported file: what the first one sets is forgotten."""
    whole = machine.node.path(CONFIGURATION).read_text()
    top, section, rest = whole.partition(SECTION)
    machine.node.write(
        CONFIGURATION, f'imports = ["/etc/containerd/cri.toml"]\n{top}{section}\n  stream_server_port = "10015"\n'
    )
    machine.node.write(
        "/etc/containerd/cri.toml", f"version = 2\r\n{section}{rest}".replace("\n", "\r\n").replace("\r\r", "\r")
    )
    machine.node.restart_containerd()
    assert machine.exec_port() >= 32768
    assert "is to be set in /etc/containerd/cri.toml now" in machine.change(10012)["refused"]
    planned = machine.change(10012, "/etc/containerd/cri.toml")
    machine.apply(planned)
    assert machine.exec_port() == 10012


def test_a_configuration_that_containerd_would_not_start_with_is_left_alone(machine: Machine) -> None:
    kept = machine.node.path(CONFIGURATION).read_text()
    machine.node.write(CONFIGURATION, kept + f"{SECTION}\n")
    try:
        assert (
            "containerd refuses its configuration as it is now"
            in machine.change(10013, "/etc/containerd/cri.toml")["refused"]
        )
    finally:
        machine.node.write(CONFIGURATION, kept)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version = 2",
        f"version = 2\n{SECTION[:-1]}.registry]\n  config_path = '/etc/containerd/certs.d'\n",
        "version = 2\r\n[plugins.'io.containerd.grpc.v1.cri']\r\n'stream_server_port'='0'# drawn\r\n",
        f'version = 2\n[plugins]\n  {SECTION}\n    stream_server_port = """0"""\n',
        '[plugins.cri]\n  enable_selinux = false\n[plugins.cri.cni]\n  bin_dir = "/x"',
        (PROJECT / "tests/fixtures/cri/containerd-1.6-config-default.toml").read_text(),
    ],
)
def test_containerd_reads_what_was_edited(text: str) -> None:
    path, header = containerd_config.section_in(text, SECTION if "version" in text else "[plugins.cri]")
    wanted = {containerd_config.ADDRESS_KEY: "127.0.0.2", containerd_config.PORT_KEY: "10010"}
    program = str(shutil.which("containerd"))
    before = containerd_trial.dump_text(program, text, Deadline(20))
    after = containerd_trial.dump_text(program, toml_edit.with_strings(text, path, header, wanted), Deadline(20))
    assert before is not None
    assert after is not None
    assert {key[-1]: after[key] for key in containerd_trial.differences(before, after)} == wanted
