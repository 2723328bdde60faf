# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three audits in a row over changing faults of two nodes, one of which is silent in the second: the third says what is new, persists and is gone."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import needs_stage, read, variable
from ansible_collections.kubenode.doctor.tests.support.stage import CALM, Node, Stage, playbook

pytestmark = needs_stage

HELD, CLOSED, MADE = 24, 4, 6
# Keeps connections that their other end has closed; at a line on its standard input it closes some of them and gets more.
LEAKER = f"""
import ctypes, socket, sys
ctypes.CDLL(None).prctl(15, b"leaker", 0, 0, 0)  # PR_SET_NAME
listener = socket.create_server(("127.0.0.1", 7777), backlog=64)
held = []
def leak(number):
    for _each in range(number):
        client = socket.create_connection(("127.0.0.1", 7777))
        held.append(listener.accept()[0])
        client.close()
leak({HELD})
print("ready", flush=True)
sys.stdin.readline()
for _each in range({CLOSED}):
    held.pop().close()
leak({MADE})
print("ready", flush=True)
sys.stdin.readline()
"""


class Story(NamedTuple):
    """What was printed by the three audits, and by judging the third again; and what this left of their bundles."""

    printed: list[str]
    first: dict[str, Any]
    second: dict[str, Any]
    third: dict[str, Any]
    again: dict[str, Any]
    left: list[str]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("memory")
    with Stage(folder) as stage, contextlib.ExitStack() as ending:
        a, b = stage.node("a", "10.99.0.1"), stage.node("b", "10.99.0.2")
        inventory, words = stage.inventory(), variable("thresholds", {**CALM["thresholds"], "close_wait_seconds": 0.1})

        def run(name: str, *more: str | Path) -> str:
            done = playbook(name, "-i", str(inventory), *words, *map(str, more), folder=folder)
            assert "Traceback" not in done.stdout + done.stderr
            return done.stdout

        leaker = start(a, LEAKER, ending)
        cured = a.start("cured", "--listen", "0.0.0.0:9101")
        for node in (a, b):
            node.start("stays", "--listen", "0.0.0.0:9102")
        printed = [run("diagnose")]
        entered = b.interpreter.read_text()
        b.interpreter.write_text("#!/bin/sh\nexit 1\n")
        printed.append(run("diagnose"))
        b.interpreter.write_text(entered)
        cured.send_signal(signal.SIGKILL)
        cured.wait()
        for node in (a, b):
            node.start("fresh", "--listen", "0.0.0.0:9103")
        print(file=leaker.stdin, flush=True)
        assert leaker.stdout is not None
        assert leaker.stdout.readline() == "ready\n"
        printed.append(run("diagnose"))
        bundles = folders(folder)
        documents = [read(bundle / "findings.json") for bundle in bundles]
        printed.append(run("judge", "-e", f"bundle={bundles[2]}", "-e", "keep_count=2"))
        again = read(bundles[2] / "findings.json")
        yield Story(printed, *documents, again, [bundle.name for bundle in bundles if bundle.exists()])


def start(node: Node, program: str, ending: contextlib.ExitStack) -> subprocess.Popen[str]:
    words = [*node.enter, sys.executable, "-c", program]
    started = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ending.callback(started.wait)
    ending.callback(started.kill)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def folders(folder: Path) -> list[Path]:
    return sorted((folder / "audits").iterdir())


def named(document: dict[str, Any], entries: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """Those of the families that look at nothing which the nodes share with this machine."""
    families = ("ports", "tcp")
    return {
        (entry["host"], entry["rule"], entry["object"])
        for entry in entries
        if document["rules"][entry["rule"]]["group"] in families
    }


def changed(document: dict[str, Any], change: str | None) -> set[tuple[str, str, str]]:
    return named(
        document,
        [finding for finding in document["findings"] if finding["status"] == "fail" and finding["change"] == change],
    )


LISTENS = "listener-unexplained"
LEAK = ("a", "close-wait-leak", "leaker on port 7777")


def test_the_first_has_nothing_to_compare_with(story: Story) -> None:
    assert story.first["memory"]["why"] == "this is the first audit"
    assert changed(story.first, "new") == changed(story.first, "persists") == set()
    assert "SINCE THE LAST AUDIT: nothing is compared: this is the first audit." in story.printed[0]


def test_the_second_says_what_it_cannot_tell(story: Story) -> None:
    assert changed(story.second, "new") == set()
    memory = story.second["memory"]
    assert named(story.second, memory["gone"]) == set()
    assert ("b", LISTENS, "stays") in named(story.second, memory["unsure"])
    assert {entry["host"] for entry in memory["unsure"]} == {"b"}


def test_the_third_says_exactly_what_is_new_persists_and_is_gone(story: Story) -> None:
    third = story.third
    assert changed(third, "new") == {("a", LISTENS, "fresh"), ("b", LISTENS, "fresh")}
    assert changed(third, "persists") == {("a", LISTENS, "stays"), ("b", LISTENS, "stays"), LEAK}
    assert changed(third, None) == set()
    assert named(third, third["memory"]["gone"]) == {("a", LISTENS, "cured")}
    assert third["memory"]["unsure"] == []
    begun = story.first["audit"]["started"]
    kept = [finding for finding in third["findings"] if finding["change"] == "persists"]
    since = {finding["first_seen"] for finding in kept if named(third, [finding])}
    assert since == {begun}
    assert {audit["hosts"] for audit in third["memory"]["audits"].values()} == {1}
    assert {(entry["line"], *entry["hosts"]) for entry in third["memory"]["closed"]} == {
        ("cured: TCP port 9101 on 0.0.0.0", "a")
    }


def test_the_text_says_it_too(story: Story) -> None:
    said = " ".join(story.printed[2].split())
    memory = said[said.index("SINCE THE LAST AUDIT (each host with the last one in which it answered") :]
    assert "- NEW on a, b: INFO: fresh listens for other machines on TCP port 9103" in memory
    assert "- GONE on a: INFO: cured listens for other machines on TCP port 9101" in memory
    assert "- LISTENER GONE on a: cured: TCP port 9101 on 0.0.0.0" in memory
    assert "- THE SAME CONNECTIONS on a: 20 of 26 of " in memory
    assert "NOT KNOWN THIS TIME" not in memory


def test_connections_that_are_held_are_the_same_ones(story: Story) -> None:
    same = HELD - CLOSED
    (row,) = story.third["memory"]["close_wait"]
    assert (row["host"], row["port"], row["count"], row["same"], row["exact"]) == ("a", 7777, same + MADE, same, True)
    (leak,) = [finding for finding in story.third["findings"] if finding["rule"] == "close-wait-leak"]
    assert (
        f"{same} of these {same + MADE} were in CLOSE-WAIT at the audit of {story.second['audit']['started']} already"
        in leak["evidence"]
    )


def test_judged_again_the_third_says_the_same_and_the_oldest_is_gone(story: Story) -> None:
    assert {**story.again, "judged_at": None} == {**story.third, "judged_at": None}
    assert len(story.left) == 2
    assert story.third["audit"]["earlier"][0] in story.left
