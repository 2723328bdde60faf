# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/privileges.md says, measured: what each section needs, and what a user gets by the sudoers file that is shipped.

The table is read from the document. It is measured on a node with a real Docker Engine, pods, rules of both kinds of iptables, a journal and
the kernel's ring, by a user who has exactly some rights. What root itself cannot see there, since the node has a pid namespace of its own, is no part of it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
import zipfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kubenode.doctor.plugins.module_utils import snapshot
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import ad_hoc_on_all
from ansible_collections.kubenode.doctor.tests.support import docker_engine_node, real_pods, systemd_node
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import EngineNode, Pod
from ansible_collections.kubenode.doctor.tests.support.private_node import JOURNAL_WRITER
from ansible_collections.kubenode.doctor.tests.support.real_pods import RealPod, httpd
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT
from ansible_collections.kubenode.doctor.tests.support.systemd_node import SystemdNode, SystemdNodes

COMMANDS = {
    *docker_engine_node.COMMANDS,
    *systemd_node.COMMANDS,
    "iptables-legacy",
    "iptables-nft",
    "setpriv",
    JOURNAL_WRITER,
}
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, COMMANDS)),
    reason=f"nodes with users of few rights need root and {', '.join(sorted(COMMANDS))}",
)

FILES = PROJECT / "roles" / "collect" / "files"
PYTHON = "/usr/local/bin/kubenode-doctor-python"
PLACES = {"sudoers": "/etc/sudoers.d/kubenode-doctor", "kubenode-doctor-python": PYTHON}
NOBODY, ENGINE_GROUP = 65534, 4242
GROUP = "group of the socket"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# How close two samples are is the machine's doing.
NOT_OF_RIGHTS = {("host_pressure", "CPU shares")}

Gaps = set[tuple[str, ...]]


def table() -> tuple[list[str], dict[str, dict[str, set[str]]]]:
    """The rights that the document names, and for each section what is missing without each of them."""
    text = (PROJECT / "docs" / "privileges.md").read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith(("| section |", "| `"))
    ]
    names = [name.strip("`") for name in rows[0][1:]]
    assert names[-1] == GROUP
    needed = {
        row[0].strip("`"): {
            name: set(filter(None, cell.split(", "))) for name, cell in zip(names, row[1:], strict=True)
        }
        for row in rows[1:]
        if row[0].strip("`") in snapshot.SECTIONS
    }
    return names, needed


RIGHTS, NEEDED = table()

# Prints the sections that are named, from the modules in the archive.
LOOK = """
import json, sys
from ansible_collections.kubenode.doctor.plugins.module_utils import snapshot
print(json.dumps(snapshot.collect(sys.argv[1].split(","), range(30000, 32768), 300, 0.2, "all")))
"""


@dataclass
class Scene:
    """A node, and what root sees there."""

    node: EngineNode
    root: dict[str, Any]

    def look(self, rights: Collection[str], sections: Collection[str] = snapshot.SECTIONS) -> dict[str, Any]:
        """The sections as nobody sees them who has these rights."""
        capabilities = ",".join(["-all", *(f"+{name[4:].lower()}" for name in rights if name != GROUP)])
        words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--no-new-privs"]
        words += [f"--groups={ENGINE_GROUP}" if GROUP in rights else "--clear-groups"]
        words += [f"--{name}={capabilities}" for name in ("bounding-set", "inh-caps", "ambient-caps")]
        return look(self.node, words, sections)

    def gaps(self, sections: dict[str, Any]) -> Gaps:
        """What is missing that root sees."""
        return {(name, what) for name, what, _why in gaps_of(sections) - gaps_of(self.root)}


def look(node: EngineNode, words: Collection[str], sections: Collection[str]) -> dict[str, Any]:
    enter = ("env", "PYTHONPATH=/run/modules.zip", *words)
    done = node.run(*enter, "/usr/bin/python3", "-B", "-c", LOOK, ",".join(sections), check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["sections"]


def gaps_of(sections: dict[str, Any]) -> Gaps:
    """(section, what, why), with one word for all files, and without the family of addresses."""
    return {
        (name, "files" if what.startswith("/") else re.sub(r" \(ipv[46]\)$", "", what), why)
        for name, section in sections.items()
        for what, why in ((gap["what"], gap["why"]) for gap in section["missing"])
        if (name, what) not in NOT_OF_RIGHTS
    }


def archive(path: Path) -> None:
    """The code of the node, where a user without rights can read it."""
    package = "ansible_collections/kubenode/doctor/plugins/module_utils"
    with zipfile.ZipFile(path, "w") as file:
        parts = package.split("/")
        for depth in range(1, len(parts)):
            file.writestr(f"{'/'.join(parts[:depth])}/__init__.py", "")
        for module in sorted((PROJECT / "plugins" / "module_utils").glob("*.py")):
            file.write(module, f"{package}/{module.name}")
        if f"{package}/__init__.py" not in file.namelist():
            file.writestr(f"{package}/__init__.py", "")
    path.chmod(0o644)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    own = RealPod(Pod("shop", "front-1", "b24a851f-9d9c-47f3-ac43-f849e4572055", True), (httpd("front", "5000"),))
    hosts = RealPod(Pod("shop", "edge", "0910f365-967a-40c6-95f0-fa6bc368cd0d"), (httpd("edge", "31999"),))
    with EngineNode("node", tmp_path_factory.mktemp("privileges")) as node:
        running = real_pods.start(node, own)
        real_pods.start(node, hosts)
        real_pods.wait(node, own, running)
        node.start("kubelet", "--listen", "127.0.0.1:36527")
        # kube-proxy's rules of both kinds; in the pod as a mesh has them.
        node.run(
            "sh",
            "-ec",
            "for one in iptables-nft iptables-legacy; do $one -t nat -N KUBE-SERVICES; $one -t nat -A KUBE-SERVICES -j RETURN; done",
        )
        redirect = [
            "iptables-legacy",
            "-t",
            "nat",
            "-A",
            "PREROUTING",
            "-p",
            "tcp",
            "-j",
            "REDIRECT",
            "--to-ports",
            "15001",
        ]
        real_pods.inside(node, running, *redirect)
        node.run("umount", "/dev/kmsg")  # the kernel's ring is shown again
        node.add_journal(
            [
                {
                    "__REALTIME_TIMESTAMP": int(time.time() * 1e6),
                    "__MONOTONIC_TIMESTAMP": 1,
                    "_BOOT_ID": BOOT_ID.read_text("ascii").strip().replace("-", ""),
                    "_SYSTEMD_UNIT": "kubelet.service",
                    "MESSAGE": "Started kubelet",
                }
            ]
        )
        # As on a node: logs, the records of fixes, the control plane's manifests and the engine's socket are not for everybody.
        node.run("mkdir", "-p", "/var/lib/kubenode.doctor", "/etc/kubernetes/manifests")
        for path in ("/var/log/journal", "/var/log/pods", "/var/lib/kubenode.doctor", "/etc/kubernetes/manifests"):
            node.run("chmod", "-R", "o-rwx", path)
        node.run("chgrp", str(ENGINE_GROUP), docker_engine_node.SOCKET)
        archive(node.path("/run/modules.zip"))
        yield Scene(node, look(node, (), snapshot.SECTIONS))


def test_the_table_is_about_every_section():
    assert list(NEEDED) == list(snapshot.SECTIONS)


def test_with_all_of_them_a_user_sees_what_root_sees(scene: Scene):
    seen = scene.look(RIGHTS)
    assert scene.gaps(seen) == set()
    assert seen["listen_ports"] == scene.root["listen_ports"]
    assert seen["proxy_rules"]["programs"] == scene.root["proxy_rules"]["programs"]
    (pod,) = [pod for pod in seen["pod_listeners"]["pods"] if pod["name"] == "front-1"]
    assert pod["redirects"] is True
    assert [one["process"] for one in pod["listeners"]] == ["httpd"]
    assert {one["source"] for one in seen["logs"]["scanned"]} >= {
        one["source"] for one in scene.root["logs"]["scanned"]
    }


@pytest.mark.parametrize("right", RIGHTS)
def test_without_one_of_them_what_the_table_says_is_missing(scene: Scene, right: str):
    if right == "CAP_SYSLOG" and Path("/proc/sys/kernel/dmesg_restrict").read_text("ascii").strip() == "0":
        pytest.skip("this kernel shows its ring to everybody (kernel.dmesg_restrict=0)")
    gaps = scene.gaps(scene.look([one for one in RIGHTS if one != right]))
    assert gaps == {(name, what) for name, row in NEEDED.items() for what in row[right]}


@pytest.mark.parametrize(
    "rights", sorted({tuple(name for name, lost in row.items() if lost) for row in NEEDED.values()}), ids=",".join
)
def test_a_section_needs_no_others(scene: Scene, rights: tuple[str, ...]):
    sections = [name for name, row in NEEDED.items() if tuple(one for one, lost in row.items() if lost) == rights]
    assert scene.gaps(scene.look(rights, sections)) == set()


# --- by ssh, with the files that are shipped


class Nodes(SystemdNodes):
    """Nodes whose root has all that the user is to get."""

    def run(self, name, sysctls, options, command):
        return super().run(name, sysctls, [*options, "--cap-add=DAC_READ_SEARCH", "--cap-add=SYSLOG"], command)


@dataclass
class Asked:
    """A node, and what it answered to root and to the user."""

    node: SystemdNode
    answers: dict[str, tuple[bool, dict[str, Any]]]

    def as_user(self, *words: str) -> tuple[int, str]:
        """Run a command on the node as the user; return its status and all that it said."""
        done = self.node.run(
            "setpriv", "--reuid=kubenode-doctor", "--regid=kubenode-doctor", "--init-groups", *words, check=False
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    with Nodes() as nodes:
        node = nodes.node("node")
        node.write_all({path: (FILES / name).read_text("utf-8") for name, path in PLACES.items()})
        node.run(
            "sh",
            "-ec",
            f"chmod 440 /etc/sudoers.d/kubenode-doctor; chmod 755 {PYTHON}; visudo -cq; useradd --create-home --password '*' kubenode-doctor; "
            "cd ~kubenode-doctor; "
            "install -d -o kubenode-doctor -m 700 .ssh; install -o kubenode-doctor /root/.ssh/authorized_keys .ssh/",
        )
        path = nodes.inventory({})
        document = yaml.safe_load(path.read_text("utf-8"))
        mine = yaml.safe_load((FILES / "group_vars.yml").read_text("utf-8"))
        document["all"]["hosts"] = {
            "root": {"ansible_host": node.address},
            "user": {"ansible_host": node.address, **mine},
        }
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        yield Asked(node, ad_hoc_on_all(path, "node_snapshot", sample_seconds=0.2))


def test_the_shipped_files_let_a_user_see_what_root_sees(asked: Asked):
    assert all(good for good, _result in asked.answers.values()), asked.answers
    sections = {name: result["snapshot"]["sections"] for name, (_good, result) in asked.answers.items()}
    assert (sections["root"]["host"]["root"], sections["user"]["host"]["root"]) == (True, False)
    assert gaps_of(sections["user"]) <= gaps_of(sections["root"])
    (door,) = [
        one for one in sections["user"]["listen_ports"]["listeners"] if (one["port"], one["family"]) == (22, "ipv4")
    ]
    assert [process["name"] for process in door["processes"]] == ["sshd"]


def test_sudo_takes_these_words_and_no_others(asked: Asked):
    script = (FILES / "kubenode-doctor-python").read_text("utf-8").replace("\\\n", " ").splitlines()[-1]
    words = script.split()[1:-1]
    assert asked.as_user(*words) == (0, "")  # its standard input is empty
    for others in (
        [*words, "-c", "print(1)"],
        [*words, "/tmp/script"],
        [*words[:2], "/usr/bin/python3"],
        ["sudo", "-n", "sh"],
        [word.replace("+syslog", "+syslog,+dac_override") for word in words],
        [word.replace("--no-new-privs", "--clear-groups") for word in words],
    ):
        status, said = asked.as_user(*others)
        assert (status, "a password is required" in said) == (1, True), (others, said)


def test_what_the_page_says_that_it_could_still_change(asked: Asked):
    """docs/privileges.md names it, so that nobody counts on more. The value is written as it is."""
    path = "/proc/sys/net/ipv4/ip_local_port_range"
    script = f"text = open('{path}').read(); print(open('{path}', 'w').write(text) == len(text))"
    status, said = asked.as_user("sh", "-c", f'echo "$1" | {PYTHON}', "sh", script)
    assert (status, said) == (0, "True\n"), said


def test_what_it_starts_is_the_user_who_may_read_and_not_write(asked: Asked):
    script = (
        "import os; print(os.getuid() > 0, len(open('/etc/shadow').read()) > 0, flush=True); open('/etc/shadow', 'a')"
    )
    status, said = asked.as_user("sh", "-c", f'echo "$1" | {PYTHON}', "sh", script)
    assert status == 1
    assert said.startswith("True True\n")
    assert "PermissionError" in said
