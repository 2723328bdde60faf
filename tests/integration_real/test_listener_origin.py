# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""listener_origin on a node with a real containerd: each method names its CRI streaming server, and they agree."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, ad_hoc, ad_hoc_on_all, diagnose
from ansible_collections.kubenode.doctor.tests.support import containerd_node
from ansible_collections.kubenode.doctor.tests.support.containerd_node import ContainerdNode
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT, python_for_nobody

pytestmark = [
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, containerd_node.COMMANDS)),
        reason=f"a containerd of one's own needs root and {', '.join(containerd_node.COMMANDS)}",
    ),
    pytest.mark.skipif(python_for_nobody() is None, reason="no Python that a user without rights may run"),
]

STREAMING, FIXED = "cri-streaming", 10010
OPENER = "github.com/containerd/containerd/pkg/cri/streaming.(*server).Start"
CONFIG = "/etc/containerd/config.toml"
DUMPS = "/run"  # containerd's TMPDIR here
READY_SECONDS = 5.5  # after its start containerd is not signalled for 5 s: it might not handle SIGUSR1 yet
APART_SECONDS = 5.5  # starts are told in whole seconds, and closer ones than 3 s are one: a clock may be corrected
METHODS = ["owner", "configuration", "signature", "goroutines"]
_SNAPSHOT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.kubenode.doctor.plugins.module_utils import snapshot
print(json.dumps(snapshot.collect(["host", "listen_ports", "listener_origin"], [], 20, 0)))
"""


class Told(NamedTuple):
    """What was told of containerd's streaming server, which was started three times: twice on a random port, then on a fixed one."""

    first: int  # the port that it drew at first
    second: int
    checked: Run  # in check mode, with stack_dump
    dumps_before: list[str]
    root: dict[str, Any]  # the answer with all methods, and the audits of both starts
    nobody: dict[str, Any]
    dumps: list[str]
    dump: str  # the text of the first
    pinned: dict[str, Any]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("origin")
    audits = folder / "audits"
    with ContainerdNode("node-a", folder) as node:
        inventory = node.inventory({"nobody": node.interpreter_for_nobody()})
        apart = time.monotonic() + APART_SECONDS
        first = audited(node, audits / "20261120T080000Z", "2026-11-20")
        checked = diagnose(
            *("-i", inventory, "-l", "node-a", "--check", "-e", f"listener_port={first}", "-e", "stack_dump=true"),
            name="whose_port",
        )
        before = dumps(node)
        node.stop_containerd()
        time.sleep(max(0.0, apart - time.monotonic()))
        ready = time.monotonic() + READY_SECONDS
        node.start_containerd(setting='stream_server_port = "0"')
        second = audited(node, audits / "20261121T080000Z", "2026-11-21")
        time.sleep(max(0.0, ready - time.monotonic()))
        asked = {"port": second, "methods": [*METHODS, "stack_dump"], "audits": str(audits)}
        answers = ad_hoc_on_all(inventory, "listener_origin", **asked)
        written = dumps(node)
        dump = node.path(written[0]).read_text("utf-8") if written else ""
        node.stop_containerd()
        node.start_containerd(setting=f'stream_server_port = "{FIXED}"')
        _ok, pinned = ad_hoc(inventory, "node-a", "listener_origin", port=FIXED, audits=str(audits))
    return Told(first, second, checked, before, answers["node-a"][1], answers["nobody"][1], written, dump, pinned)


def audited(node: ContainerdNode, folder: Path, day: str) -> int:
    """Store what a diagnosis sees of the node in an audit of that day, and return the port that was drawn."""
    done = node.run(sys.executable, "-c", _SNAPSHOT, str(PROJECT / ".collections"))
    snapshot = json.loads(done.stdout)
    bundle.create(folder, ["node-a"], {"started": f"{day}T08:00:00+00:00"})
    bundle.write_answer(folder, "node-a", snapshot)
    listener = only(snapshot["sections"]["listener_origin"])
    assert (listener["kind"], listener["agree"], listener["signature"]) == (STREAMING, METHODS[:2], None)
    return int(listener["port"])


def dumps(node: ContainerdNode) -> list[str]:
    return [f"{DUMPS}/{path.name}" for path in node.path(DUMPS).glob("*.stacks.log")]


def only(answer: dict[str, Any]) -> dict[str, Any]:
    (listener,) = answer["listeners"]
    return dict(listener)


def saw(listener: dict[str, Any], method: str) -> str:
    (step,) = [step for step in listener["steps"] if step["method"] == method]
    return str(step["saw"])


def test_four_methods_name_it_and_agree(told: Told) -> None:
    listener = only(told.root)
    assert {step["method"]: step["kind"] for step in listener["steps"] if step["method"] in METHODS} == dict.fromkeys(
        METHODS, STREAMING
    )
    assert (listener["kind"], listener["certain"], listener["agree"], listener["contradict"]) == (
        *(STREAMING, True, METHODS),
        [],
    )
    assert (told.root["complete"], told.root["missing"]) == (True, [])


def test_the_answer_in_words(told: Told) -> None:
    assert only(told.root)["answer"] == (
        "containerd's CRI streaming server; serves kubectl exec, attach and port-forward for kubelet; drawn at random because "
        f'stream_server_port is "0" in {CONFIG}; set it to a fixed port outside 30000-32767 (NodePorts) and 32768-60999 (drawn at random); '
        f"opened by {OPENER}"
    )


def test_what_each_method_saw(told: Told) -> None:
    listener = only(told.root)
    place = f"127.0.0.1:{told.second}"
    for words in (
        f"{place}/tcp is held by containerd (pid {listener['owner']['pid']})",
        "its program is /usr/bin/containerd",
        "on loopback: only programs of this machine reach it",
        "inside the ephemeral range 32768-60999",
    ):
        assert words in saw(listener, "owner")
    assert listener["owner"]["module"] == "github.com/containerd/containerd"
    assert saw(listener, "configuration") == f'Drawn at random because stream_server_port is "0" in {CONFIG}.'
    assert f'GET http://{place}/ is answered with HTTP 404 and "404: Page Not Found"' in saw(listener, "signature")
    assert f"1 of them waiting for TCP connections; this listener's is {OPENER} (" in saw(listener, "goroutines")
    assert "made by github.com/containerd/containerd/pkg/cri/server.(*criService).Run" in saw(listener, "goroutines")


def test_the_whole_dump_was_read(told: Told) -> None:
    seen = only(told.root)["goroutines"]
    assert (seen["count"], seen["truncated"], seen["why"]) == (
        *(sum(line.startswith("goroutine ") for line in told.dump.splitlines()), False),
        "",
    )


def test_earlier_audits_tell_that_each_start_draws_another_port(told: Told) -> None:
    listener = only(told.root)
    assert [one["port"] for one in listener["history"]] == [told.second, told.first]
    assert saw(listener, "history").endswith(": another one at each start.")


def test_it_is_made_to_write_only_when_that_is_asked_for(told: Told) -> None:
    assert told.dumps_before == []
    assert told.root["changed"]
    assert told.dumps == [f"{DUMPS}/containerd.{only(told.root)['owner']['pid']}.stacks.log"]
    assert f"which wrote {told.dumps[0]}: " in saw(only(told.root), "goroutines")
    assert not told.pinned["changed"]
    assert "add the method stack_dump for that" in saw(only(told.pinned), "goroutines")


def test_in_check_mode_nobody_writes_and_the_rest_is_told(told: Told) -> None:
    assert told.checked.status == 0
    assert told.checked.recap("node-a")["changed"] == 0
    assert "Containerd is not asked for its stacks in check mode" in told.checked.said
    assert (
        f"node-a, 127.0.0.1:{told.first}/tcp: containerd's CRI streaming server; serves kubectl exec"
        in told.checked.said
    )


def test_on_a_fixed_port_it_says_so(told: Told) -> None:
    listener = only(told.pinned)
    assert listener["answer"] == (
        "containerd's CRI streaming server; serves kubectl exec, attach and port-forward for kubelet; "
        f'on port {FIXED} because stream_server_port is "{FIXED}" in {CONFIG}'
    )
    assert (listener["certain"], listener["agree"]) == (True, METHODS[:3])
    assert saw(listener, "history").endswith(": it has changed.")


def test_without_root_it_says_what_is_not_seen(told: Told) -> None:
    listener = only(told.nobody)
    assert (listener["kind"], listener["certain"], listener["owner"]) == (None, False, None)
    assert "a process that could not be seen" in saw(listener, "owner")
    assert "run it as root" in saw(listener, "signature")
    assert "no process was seen to hold it" in saw(listener, "goroutines")
    (gap,) = [gap for gap in told.nobody["missing"] if gap["what"] == "processes"]
    assert "run with become" in gap["why"]
    assert (told.nobody["complete"], told.nobody["changed"]) == (False, False)
