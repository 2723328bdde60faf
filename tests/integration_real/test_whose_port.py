# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""whose_port.yml as an operator runs it: what is printed for a port, what is sent to it, and what is said where nothing can be.

One run for five nodes, which differ by what listens on the port and by the variables that an operator else gives with -e.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose
from ansible_collections.kubenode.doctor.tests.support import own_namespaces
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi
from ansible_collections.kubenode.doctor.tests.support.private_node import PrivateNode
from ansible_collections.kubenode.doctor.tests.support.stage import host_variables

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, own_namespaces.COMMANDS)),
    reason=f"a node of one's own needs root and {', '.join(own_namespaces.COMMANDS)}",
)

PORT = 10250
OPENER = "k8s.io/kubernetes/pkg/kubelet/server.ListenAndServeKubeletServer"
DOUBT = "which may be wrong: its program is "  # the stand-in's, which is Python's
HOSTILE_NAME = "{{7*7}}\n\x1b[31mX"  # the kernel keeps 15 bytes
FORGED = "RESULT: 0 critical"
MARK = "/run/kd-forged"
# Listens under that name, answers with more of it, and writes down what it is sent.
_RECORDER = f"""
import ctypes, socket, sys
ctypes.CDLL(None).prctl(15, {HOSTILE_NAME.encode()!r}, 0, 0, 0)  # PR_SET_NAME
body = b"{{{{ lookup('pipe', 'touch {MARK}') }}}}\\r\\n\\x1b[2J{FORGED}\\n"
answer = b"HTTP/1.1 200 OK\\r\\nServer: {{{{ 7*7 }}}}\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body)
with socket.create_server(("127.0.0.1", {PORT}), backlog=5) as listener, open(sys.argv[1], "ab", 0) as record:
    print("ready", flush=True)
    while True:
        with listener.accept()[0] as connection:
            record.write(b"connected: " + connection.recv(4096))
            connection.sendall(answer)
"""


class Node(PrivateNode):
    """A node on which the recorder may run."""

    @property
    def sent(self) -> Path:
        """What the recorder was sent."""
        return self.folder / f"sent-{self.name}"

    def record(self) -> None:
        """Start the recorder, which ends with the node."""
        words = [*self._namespaces.enter, sys.executable, "-c", _RECORDER, str(self.sent)]
        self._programs.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True))
        stdout = self._programs[-1].stdout
        assert stdout is not None
        assert stdout.readline() == "ready\n"


class Told(NamedTuple):
    """The run that names the port, what the recorders were sent, and whether a template was run; and the run that names none."""

    run: Run
    sent: dict[str, bytes]
    forged: bool
    without_port: Run
    other_name: Run

    def of(self, host: str) -> str:
        """What was printed for one host, with every run of blanks as one space."""
        lines = self.run.stdout.splitlines()
        (first,) = [number for number, line in enumerate(lines) if line.startswith((f"{host}, ", f"{host}: "))]
        end = next(number for number in range(first + 1, len(lines)) if not lines[number].startswith("  "))
        return " ".join(" ".join(lines[first:end]).split())


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("whose-port")
    kubelets = ("admins", "readers")
    users = {"token-1": "admin", "token-2": "reader"}
    held = {"nodes": [{"metadata": {"name": name}, "spec": {}, "status": {}} for name in kubelets]}
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(FakeApi(holding=held, tokens=users, without_proxy={"reader"}))
        nodes = {
            name: stack.enter_context(Node(name, folder)) for name in ("asked", "left-alone", "nobodys", *kubelets)
        }
        nodes["asked"].record()
        nodes["left-alone"].record()
        for name in kubelets:
            nodes[name].start("kubelet", "--listen", f"0.0.0.0:{PORT}", "--listen", "127.0.0.1:10248")
        variables = {
            "left-alone": {"signature": "false"},
            **{
                name: {"kubeconfig": str(api.kubeconfig(folder / f"{name}.conf", token))}
                for name, token in zip(kubelets, users, strict=True)
            },
        }
        hosts = {name: {**host_variables(node.interpreter), **variables.get(name, {})} for name, node in nodes.items()}
        inventory = folder / "inventory.yml"
        inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}), "utf-8")
        run = diagnose("-i", inventory, "-e", f"listener_port={PORT}", name="whose_port")
        yield Told(
            run,
            {name: nodes[name].sent.read_bytes() for name in ("asked", "left-alone")},
            Path(MARK).exists() or any(node.path(MARK).exists() for node in nodes.values()),
            diagnose("-i", inventory, "-l", "nobodys", name="whose_port"),
            diagnose(
                "-i",
                inventory,
                "-l",
                "nobodys",
                "-e",
                f"port={PORT}",
                name="whose_port",
                warnings=["reserved name 'port'"],
            ),
        )


def test_it_prints_the_answer_and_what_each_method_saw(told: Told) -> None:
    said = told.of("admins")
    assert said.startswith(
        f"admins, 0.0.0.0:{PORT}/tcp: kubelet's API, as far as its owner, configuration and goroutines tell; {DOUBT}"
    )
    assert "; serves logs, exec, metrics and stats " in said
    for words in (
        f" - 0.0.0.0:{PORT}/tcp is held by kubelet (pid ",
        "on all addresses: others reach it",
        " - On port 10250 because ",
        f' - GET http://127.0.0.1:{PORT}/ is answered with HTTP 404 and "404: Page Not Found"',
        " - No earlier audit shows this listener.",
    ):
        assert words in said
    assert told.run.status == 0
    assert told.run.recap("admins")["changed"] == 0


def test_kubelets_stacks_come_through_the_api_server_where_the_node_has_no_certificate(told: Told) -> None:
    said = told.of("admins")
    assert f"; opened by {OPENER} - " in said
    assert f"181 goroutines, 3 of them waiting for TCP connections; this listener's is {OPENER} (" in said
    assert "The API server's proxy to kubelet of Node admins" in said


def test_a_refusal_says_which_right_is_missing(told: Told) -> None:
    said = told.of("readers")
    assert said.startswith(
        f"readers, 0.0.0.0:{PORT}/tcp: kubelet's API, as far as its owner and configuration tell; {DOUBT}"
    )
    assert "opened by" not in said
    for words in (
        "There is no client certificate /etc/kubernetes/pki/apiserver-kubelet-client.crt",
        'the API server forbids it (403: nodes "readers" is forbidden: User "reader" cannot get resource "nodes/proxy"',
        'grant it the verb "get" on the resource "nodes/proxy"',
        "it is a strong right",
    ):
        assert words in said


def test_one_harmless_question_is_sent(told: Told) -> None:
    start, *headers = told.sent["asked"].decode("ascii").split("\r\n")
    assert start == "connected: GET / HTTP/1.1"
    assert headers == [
        f"Host: 127.0.0.1:{PORT}",
        *("User-Agent: kubenode.doctor", "Accept: */*", "Connection: close", "", ""),
    ]


def test_nothing_is_sent_where_the_operator_does_not_want_it(told: Told) -> None:
    assert told.sent["left-alone"] == b""
    assert "GET" not in told.of("left-alone")
    assert "is held by" in told.of("left-alone")


def test_what_comes_from_a_node_stays_text(told: Told) -> None:
    said = told.of("asked")
    assert "a listener of {{7*7}}\\n\\x1b[31mX, which is none of the well-known ones" in said
    assert f"\"{{{{ lookup('pipe', 'touch {MARK}') }}}}" in said
    assert FORGED in said
    assert not told.forged
    assert "\x1b" not in told.run.printed
    assert not [line for line in told.run.stdout.splitlines() if line.startswith(FORGED)]


def test_a_port_on_which_nobody_listens(told: Told) -> None:
    assert told.of("nobodys").startswith(f"nobodys: nothing listens on port {PORT} in the host's network")


def test_the_name_that_ansible_warns_of_works_too(told: Told) -> None:
    assert f"nobodys: nothing listens on port {PORT} in the host's network" in told.other_name.said


def test_a_port_has_to_be_named(told: Told) -> None:
    assert told.without_port.status != 0
    assert "Say which port: -e listener_port=37231" in told.without_port.said
