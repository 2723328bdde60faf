# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that answer badly, slowly, without root or with hostile text: each is known by its reason, and costs nobody else anything.

One run holds them all, beside ``sick`` and ``healthy`` of seed 000.
"""

from __future__ import annotations

import json
import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose, needs_stage, variable
from ansible_collections.kubenode.doctor.tests.support import seed_000
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi, seed_000_service
from ansible_collections.kubenode.doctor.tests.support.stage import (
    NOBODY,
    Stage,
    host_variables,
    python_for_nobody,
    write_interpreter,
)

SHADOWS = "nodeport-shadows-listener"

pytestmark = [
    needs_stage,
    pytest.mark.skipif(python_for_nobody() is None, reason="no setpriv (util-linux) or no Python that nobody can run"),
]

# 60481729 appears where this was templated.
BRACES = "{{7777*7777}}"
TEMPLATED = str(7777 * 7777)
# What these interpreters do in place of the module, and the reason that is reported.
BROKEN = {
    "rubbish": ("printf 'Welcome \\033[31m{{7777*7777}}\\007\\n'", "the node printed: Welcome"),
    "half": ("""printf '{"changed": false, "snapshot": {"sections": {'""", "the node printed: {"),
    "mute": ("exit 3", "the node printed nothing"),
    "noisy": ("echo 'sh: out of memory' >&2; exit 1", "the node's last words: sh: out of memory"),
    "absent": (None, "The module interpreter '/nonexistent/python' was not found."),
    "asleep": ("exec sleep 60", "no answer within 10 s"),
    "other": ("""printf '{"changed": false, "ping": "pong"}'""", "the node's answer held no snapshot"),
}
# JSON of the right outline, with values of the wrong kinds and templates in it.
WRONG_KINDS = {
    "changed": False,
    "snapshot": {
        "schema": 1,
        "sections": {
            "host": 3,
            "listen_ports": {"listeners": BRACES, "complete": True, "missing": []},
            "port_settings": {
                "complete": False,
                "missing": [{"what": BRACES, "why": "{{ lookup('pipe', 'touch MARK') }}"}],
            },
        },
    },
}


def interpreter(folder: Path, name: str, script: str) -> dict[str, str]:
    """An inventory entry whose interpreter takes the module and then does something else."""
    path = folder / f"interpreter-{name}"
    path.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return {"ansible_connection": "local", "ansible_python_interpreter": str(path)}


def without_rights(stage: Stage, folder: Path) -> dict[str, str]:
    """The node ``sick``, asked by user nobody."""
    enter = (*stage.nodes["sick"].enter, *NOBODY)
    return host_variables(write_interpreter(folder / "interpreter-nobody", enter, str(python_for_nobody())))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("bad")
    with Stage(folder) as stage, FakeApi() as api:
        seed_000.build(stage)
        hostile = stage.node("hostile", "192.0.2.4")
        # At most 15 bytes: braces and the beginning of an escape sequence.
        hostile.start(f"{BRACES}\x1b[", "--listen", "0.0.0.0:36000")
        hostile.start("kube-proxy", "--listen", "127.0.0.1:10249", *seed_000._kube_proxy_answers())
        seed_000.fill(api, endpoints=False)
        api.add("services", hostile_service(folder))
        api.add("nodes", seed_000._node("hostile", "192.0.2.4"))
        extra = {
            name: interpreter(folder, name, script) if script else absent() for name, (script, _why) in BROKEN.items()
        }
        kinds = json.dumps(WRONG_KINDS).replace("MARK", str(folder / "marked-by-node"))
        extra["kinds"] = interpreter(folder, "kinds", f"printf %s {shlex.quote(kinds)}")
        extra["nobody"] = without_rights(stage, folder)
        extra["asleep"]["patience"] = "10"  # others get the time that a busy machine takes
        patience = variable("collect_answer_seconds", "{{ patience | default(60) }}")
        words = ("-e", f"kubeconfig={api.kubeconfig(folder / 'kubeconfig')}", *patience)
        yield diagnose("-i", stage.inventory(extra=extra), *words)
    assert not list(folder.glob("marked-by-*"))  # nothing of what nodes and API said was ever run


def absent() -> dict[str, str]:
    return {"ansible_connection": "local", "ansible_python_interpreter": "/nonexistent/python"}


def hostile_service(folder: Path) -> dict[str, object]:
    """A Service of which no API server would accept the name: whoever answers need not be one."""
    service = seed_000_service()
    template = "{{ lookup('pipe', 'touch MARK-api') }}"
    service["metadata"]["name"] = f"x'; touch MARK-shell {template}".replace("MARK", f"{folder}/marked-by")
    service["spec"]["ports"][0]["nodePort"] = 36000
    return service


@pytest.mark.parametrize("host", BROKEN)
def test_broken_answer_is_unknown_with_its_reason(run: Run, host: str):
    state = run.document["hosts"][host]
    assert state["answered"] is False
    assert BROKEN[host][1] in state["why"]
    assert run.findings(host) == []
    assert {finding["explanation"] for finding in run.findings(host, status="unknown")} == {
        f"the host did not answer: {state['why']}"
    }
    assert run.recap(host)["failed"] == run.recap(host)["unreachable"] == 0


def test_others_are_judged_all_the_same(run: Run):
    assert [finding["severity"] for finding in run.findings("sick", SHADOWS)] == ["critical"]
    assert run.document["hosts"]["healthy"]["answered"]
    assert [finding for finding in run.document["findings"] if finding["host"] == "healthy"] == []
    assert run.status != 0
    assert run.recap("sick")["failed"] == 1


def test_values_of_wrong_kinds_are_unknown_not_fine(run: Run):
    assert run.document["hosts"]["kinds"]["answered"]
    assert run.findings("kinds") == []
    unknown = {finding["rule"] for finding in run.findings("kinds", status="unknown")}
    assert unknown == {finding["rule"] for finding in run.findings("mute", status="unknown")}


def test_texts_of_nodes_and_api_are_never_templated(run: Run):
    assert TEMPLATED not in run.printed
    assert TEMPLATED not in json.dumps(run.document)
    (finding,) = run.findings("hostile", SHADOWS)
    assert BRACES in finding["title"]
    assert BRACES in run.stdout.partition("fatal: [hostile]: FAILED!")[2]
    # No API server accepts such a name, so nobody is told to type it.
    assert [command for remedy in finding["remedies"] for command in remedy["commands"] if "touch" in command] == []


def test_nothing_moves_the_cursor(run: Run):
    found = {character for character in run.printed if unicodedata.category(character) == "Cc"}
    assert found == {"\n"}
    assert "\\x1b[" in run.stdout  # what was there is shown, as text
    assert (run.bundle / "findings.json").read_bytes().isascii()


def test_without_root_what_can_be_seen_is_judged(run: Run):
    assert run.document["hosts"]["nobody"]["picture"]["root"] is False
    assert [finding["rule"] for finding in run.findings("nobody")] == ["nodeport-range-overlaps-ephemeral"]
    unknown = {finding["rule"]: finding["explanation"] for finding in run.findings("nobody", status="unknown")}
    assert {SHADOWS, "component-port-taken", "cri-stream-port-random"} <= set(unknown)
    assert all("become" in unknown[rule] for rule in ("component-port-taken", "cri-stream-port-random"))  # what to do
    assert "run with become (-b)" in run.said
    assert run.recap("nobody")["failed"] == 0
