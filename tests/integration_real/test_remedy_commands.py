# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of all cures, run by a shell with the real programs; docker's are run in test_docker_stale_names.py.

What no finding may hold without a form here, the unit tests say (checks.check_command).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from ansible_collections.kubenode.doctor.tests.support import own_namespaces, remedy_commands
from ansible_collections.kubenode.doctor.tests.support.kubectl_api import KubectlApi
from ansible_collections.kubenode.doctor.tests.support.private_node import JOURNAL_WRITER, PrivateNode
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT, host_variables

LOST = [command for command in ("kubectl", *own_namespaces.COMMANDS, JOURNAL_WRITER) if shutil.which(command) is None]
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a node"),
    pytest.mark.skipif(bool(LOST), reason=f"needs {', '.join(LOST)}"),
]


def of(*programs):
    """The examples of these programs' forms."""
    return [command for program in programs for command in remedy_commands.examples(program)]


def shell(command, **environment):
    """Run a command as an operator does who copies it."""
    return subprocess.run(
        ["sh", "-c", command],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


# -- kubectl -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server():
    with KubectlApi() as api:
        yield api


@pytest.fixture
def api(server):
    """The captured cluster, and what kubeadm has in every one."""
    server.restore()
    server.requests.clear()
    return server


@pytest.fixture(scope="module")
def home(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    server.kubeconfig(folder / "kubeconfig")
    # What the person does in the editor.
    (folder / "editor").write_text('#!/bin/sh\nexec sed -i s/131072/524288/ "$1"\n', encoding="ascii")
    (folder / "editor").chmod(0o755)
    return folder


def gone(kind, namespace, name):
    return lambda api: (
        name
        not in [item["metadata"]["name"] for item in api.objects(kind) if item["metadata"]["namespace"] == namespace]
    )


def holds(kind, namespace, name, value, *path):
    def check(api):
        found = api.get(kind, namespace, name)
        for part in path:
            found = found[part]
        return found == value

    return check


def restarted(kind, namespace, name):
    return lambda api: (
        "kubectl.kubernetes.io/restartedAt"
        in api.get(kind, namespace, name)["spec"]["template"]["metadata"].get("annotations", {})
    )


def probed(api):
    (container,) = api.get("deployments", "reddit-entry", "ui")["spec"]["template"]["spec"]["containers"]
    return container["readinessProbe"]["tcpSocket"] == {"port": 9292} and "image" in container


def image(name):
    def check(api):
        (container,) = api.get("deployments", "reddit-entry", "ui")["spec"]["template"]["spec"]["containers"]
        return container["image"] == name

    return check


def ran(*words):
    """That kubectl asked for just this to be run in the pod."""
    return lambda api: {tuple(one) for one in api.executed} == {words}


# What a command changes, by how it begins.
CHANGED = {
    "kubectl -n shop delete pod hostnet": gone("pods", "shop", "hostnet"),
    "kubectl -n kube-system delete pod -l k8s-app=kube-proxy": gone("pods", "kube-system", "kube-proxy-x7k2q"),
    "kubectl -n shop delete service orphan": gone("services", "shop", "orphan"),
    "kubectl -n kube-system edit configmap": holds(
        "configmaps", "kube-system", "kube-proxy", "conntrack:\n  min: 524288\n", "data", "config.conf"
    ),
    "kubectl -n shop patch service front": holds("services", "shop", "front", 30000, "spec", "ports", 0, "nodePort"),
    "kubectl -n reddit-entry patch deployment ui": probed,
    "kubectl -n shop patch service db": holds("services", "shop", "db", "SingleStack", "spec", "ipFamilyPolicy"),
    "kubectl -n reddit-entry rollout restart": restarted("deployments", "reddit-entry", "post"),
    "kubectl -n kube-system rollout restart": restarted("daemonsets", "kube-system", "kube-proxy"),
    "kubectl -n reddit-entry rollout undo": image("docker.io/reddit/ui:before"),
    "kubectl -n shop scale": holds("deployments", "shop", "front", 1, "spec", "replicas"),
    "kubectl -n reddit-entry set image": image("docker.io/shop/ui:1"),
    "kubectl -n kube-system exec weave-net-x7k2q -c weave -- /home/weave/weave --local forget": ran(
        "/home/weave/weave", "--local", "forget", "192.0.2.201"
    ),
}
# What a command that looks has to show, by how it begins; others only have to end well.
SHOWN = {
    "kubectl -n shop get endpointslices": "front-6l6zd",
    "kubectl -n kube-system get pods": "NAME",
    "kubectl -n kube-system get lease": "holderIdentity: master-1",
    "kubectl -n shop get pods -o wide -l": "front-6559f5d576-ctfs7",
    "kubectl -n shop logs hostnet --all-containers": "line 20 of web",
    "kubectl -n shop logs hostnet -c web --previous": "line 20 of web before",
    "kubectl -n reddit-entry rollout history deployment/ui": "1",
    "kubectl -n reddit-entry rollout history deployment/ui --revision=1": "docker.io/reddit/ui:before",
    "kubectl get --raw /api": "lastUpdated",
    "kubectl get --raw '/readyz": "etcd ok",
    "kubectl get nodes": "node-a",
    "kubectl version": "v1.36.2",
}


@pytest.mark.parametrize("command", of("kubectl"))
def test_kubectl(command, api, home):
    done = shell(command, KUBECONFIG=str(home / "kubeconfig"), HOME=str(home), EDITOR=str(home / "editor"))
    # An upgrade of the connection is no part of the fake server.
    assert (done.returncode != 0) is (" exec " in command), done.stderr
    assert not done.returncode or api.executed, done.stderr
    for begin, words in SHOWN.items():
        if command.startswith(begin):
            assert words in done.stdout
    checks = [check for begin, check in CHANGED.items() if command.startswith(begin)]
    assert bool(checks) is remedy_commands.of(command).changes
    for check in checks:
        assert check(api), done.stdout


# -- on a node ---------------------------------------------------------------------------------------------------------


class Node(PrivateNode):
    """A node on which commands are run as they are."""

    def sh(self, command, check=True):
        """What a command prints."""
        done = self.run("sh", "-c", command, check=check)
        return done.stdout + done.stderr

    def connections(self, *words):
        """Start a program that makes connections, and wait until it has."""
        command = [*self._namespaces.enter, sys.executable, str(PROJECT / "tests/support/tcp_states_maker.py"), *words]
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert program.stdout.readline() == "ready\n"
        self._programs.append(program)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node("node-a", tmp_path_factory.mktemp("node")) as made:
        made.sh("ip route add 192.0.2.0/24 dev lo")
        yield made


KERNEL = {
    "fs.file-max": "200000",
    "net.core.somaxconn": "16384",
    "net.ipv4.ip_local_port_range": "32768 60999",
    "net.ipv4.ip_local_reserved_ports": "10010,10248-10250,35776",
    "net.ipv4.tcp_max_orphans": "262144",
    "net.ipv4.tcp_max_tw_buckets": "262144",
    "net.ipv4.tcp_mem": "575796 767734 1151592",
    "net.netfilter.nf_conntrack_max": "524288",
}
OF_NAMESPACE = {key for key in KERNEL if key.endswith(("somaxconn", "_range", "_reserved_ports", "_tw_buckets"))}


def settings():
    """For each kernel setting: its key and value, the command that writes its file, and the one that loads it."""
    loads = {one.rpartition(" ")[2]: one for one in of("sysctl") if "sysctl.d" in one}
    writes = [one for one in of("printf") if "sysctl.d" in one]
    assert len(loads) == len(writes)
    for write in writes:
        key, value = write.split("'")[3].split(" = ")
        yield key, value, write, loads[write.rpartition(" ")[2]]


def test_kernel_settings(node):
    """Those of the node's network namespace by its kernel; then all of them, in files, since the rest is the whole machine's."""
    assert {key: value for key, value, *_commands in settings()} == KERNEL
    for key, value, write, load in settings():
        if key in OF_NAMESPACE:
            node.sh(f"{write} && {load}")
            assert node.sh(f"sysctl -n {key}").split() == value.split()
    paths = {key: f"/proc/sys/{key.replace('.', '/')}" for key in KERNEL}
    node.sh(
        f"mount -t tmpfs none /proc/sys; for path in {' '.join(paths.values())}; do mkdir -p $(dirname $path); echo 0 >$path; done"
    )
    for key, value, write, load in settings():
        file = write.rpartition(" ")[2]
        node.sh(f"printf '# an operator wrote it, without an end' > {file}")  # and that stays
        assert node.sh(f"{write} && {load}") == f"{key} = {value}\n"
        assert node.sh(f"cat {file}") == f"# an operator wrote it, without an end\n{key} = {value}\n"
        assert node.sh(f"cat {paths[key]}") == f"{value}\n"
    node.sh("umount /proc/sys")


def test_kernel_settings_are_shown(node):
    for command in of("sysctl"):
        if "sysctl.d" not in command:
            said = node.sh(command, check=False)
            # Without the kernel's module the keys of the connections' table are not there.
            assert all(" = " in line or "No such file or directory" in line for line in said.splitlines())


def test_sockets(node):
    node.connections("java", "serve", "127.0.0.1:10255")
    node.connections("curl", "visit", "127.0.0.1:10255")
    node.connections("bird", "dial", "192.0.2.9:179")
    node.connections("apiserver", "hang-up", "127.0.0.1:443")
    node.connections("kubelet", "leak", "127.0.0.1:443")
    node.connections("proxy", "deaf", "127.0.0.1:8080")
    node.connections("curl", "visit", "127.0.0.1:8080")
    shown = {command: node.sh(command) for command in of("ss") if "-K" not in command}
    assert "127.0.0.1:10255" in shown["ss -tln"]
    for command in ("ss -tln sport = :10255", "ss -tlnp sport = :10255"):
        assert "127.0.0.1:10255" in shown[command]
        assert "127.0.0.1:8080" not in shown[command]
    assert '"java"' in shown["ss -tlnp sport = :10255"]
    assert "192.0.2.9:179" in shown["ss -tnpo state syn-sent dport = :179"]
    assert "timer:" in shown["ss -tnpo state syn-sent dport = :179"]
    assert ":10255" in shown["ss -Htn state time-wait"]
    assert "skmem:(" in shown["ss -Htnmp"]
    for command in of("ss"):
        if "-K" in command:
            look = command.replace("ss -K -t", "ss -Htn")
            assert node.sh(look)
            said = node.sh(command)
            assert node.sh(look) == "" or "not supported" in said  # a kernel without CONFIG_INET_DIAG_DESTROY


LINES = [
    ("kubelet.service", "kubelet", "Failed garbage collection required amount of images", {}),
    ("kubelet.service", "kubelet", "Started pod", {}),
    ("kube-proxy.service", "kube-proxy", "can't open port", {}),
    ("systemd-journald.service", "systemd-journald", "Time jumped backwards, rotating.", {}),
    ("chrony.service", "chronyd", "System clock was stepped by -3600 seconds", {}),
    ("init.scope", "systemd", "Time has been changed", {"MESSAGE_ID": "c7a787079b354eaaa9e77b371893cd27"}),
]
TOLD = {
    "journalctl --no-pager -o short-iso MESSAGE_ID": {3, 4, 5},
    "journalctl --no-pager -u kubelet": {0},
    "journalctl --unit=kube-proxy.service": {2},
}


def test_logs(node):
    now = int(time.time() * 1e6)
    stamp = {"__REALTIME_TIMESTAMP": now, "__MONOTONIC_TIMESTAMP": 1_000_000, "_BOOT_ID": "5eed0025" * 4}
    node.add_journal(
        {**stamp, "_SYSTEMD_UNIT": unit, "SYSLOG_IDENTIFIER": name, "MESSAGE": text, **more}
        for unit, name, text, more in LINES
    )
    for command in of("journalctl"):
        (told,) = [numbers for begin, numbers in TOLD.items() if command.startswith(begin)]
        said = node.sh(command)
        assert {number for number, line in enumerate(LINES) if line[2] in said} == told


def test_the_machine(node):
    assert "some avg10=" in node.sh("test ! -e /proc/pressure/io && echo some avg10= || cat /proc/pressure/io")
    assert of("cat") == ["cat /proc/pressure/io"]
    for command in (*of("dmesg"), *of("lscpu"), *of("top")):
        node.sh(command)
    (command,) = of("vmstat")  # which goes on for five minutes
    assert " st" in node.sh(command.replace("5 60", "1 1"))


def test_drop_in_and_units(node):
    """The drop-in is one, and systemctl knows these words. Here no systemd runs; test_node_fixes.py restarts units for real."""
    for command in (*of("mkdir"), *[one for one in of("printf") if "systemd" in one]):
        node.sh(command)
    text = node.sh("cat /etc/systemd/system/kubelet.service.d/20-time-sync.conf")
    assert text == "[Unit]\nWants=time-sync.target\nAfter=time-sync.target\n"
    for unit in ("chrony", "chrony-wait"):
        node.write(f"/etc/systemd/system/{unit}.service", "[Install]\nWantedBy=multi-user.target\n")
    for command in of("systemctl"):
        said = node.sh(f"SYSTEMD_OFFLINE=1 {command}", check=False)  # --now asks the systemd that is not there
        assert "Created symlink" in said if "enable" in command else "ignoring" in said


def test_clocks(node):
    """No clock is touched: none of these reaches a systemd here, and hwclock only tells what it would do."""
    for command in of("timedatectl"):
        assert "not been booted with systemd" in node.sh(command, check=False)
    (command,) = of("hwclock")
    said = node.sh(f"{command} --test", check=False)
    assert "System Time: " in said
    assert "option" not in said


def test_playbooks(tmp_path):
    inventory = tmp_path / "inventory.yml"
    hosts = {name: host_variables(Path(sys.executable)) for name in ("node-a", "node-b")}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")
    for command in of("ansible-playbook"):
        done = shell(
            f"{command} --list-hosts --list-tasks",
            PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            ANSIBLE_INVENTORY=str(inventory),
            ANSIBLE_COLLECTIONS_PATH=str(PROJECT / ".collections"),
        )
        assert done.returncode == 0, done.stderr
        assert ("node-b" in done.stdout) is ("-l node-a" not in command)
        assert "node-a" in done.stdout


def test_every_program_is_tried_here_or_cannot_be():
    """Those that Debian has not, or only as a service of the machine, were read and run by hand (remedy_commands.ELSEWHERE)."""
    here = {
        *(
            "ansible-playbook",
            "cat",
            "dmesg",
            "hwclock",
            "journalctl",
            "kubectl",
            "lscpu",
            "mkdir",
            "printf",
            "ss",
            "sysctl",
        ),
        *("systemctl", "timedatectl", "top", "vmstat"),
    }
    programs = {form.example.split(" ", 1)[0] for form in remedy_commands.forms()}
    assert programs == here | remedy_commands.ELSEWHERE.keys()
