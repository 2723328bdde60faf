# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold of every command and every report, whatever was in the audit."""

from __future__ import annotations

import json
import re
import shlex

from ansible_collections.kubenode.doctor.tests.support import remedy_commands

# What kubectl rolls out; and what the API server takes for a name (RFC 1123).
WORKLOADS = ("deployment", "statefulset", "daemonset")
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def commands(finding):
    """All commands of a finding's cures."""
    return [command for remedy in finding["remedies"] for command in remedy["commands"]]


def check_command(command):
    """It has a form that is tried with the real program, every value of it is of its kind, and quoting is the usual one."""
    remedy_commands.of(command)
    words = shlex.split(command)
    if words[:2] == ["kubectl", "-n"]:
        _check_kubectl(words)
    if words[0] in ("crictl", "docker"):
        _check_container_command(words)


def check_remedy(remedy):
    """What changes something has a fix, or says in one sentence why it has none."""
    changes = any(remedy_commands.of(command).changes for command in remedy["commands"])
    by_hand = remedy["by_hand"]
    assert by_hand or remedy["fix"] or not changes, f"changes something, and says not why no fix does: {remedy}"
    assert not (by_hand and remedy["fix"]), remedy
    assert not by_hand or (len(by_hand.split()) >= 5 and not by_hand.endswith(".") and not by_hand[0].isupper()), (
        by_hand
    )


def _check_kubectl(words):
    """The namespace and what is acted on are names, changes are of known fields, and nothing is rolled back blindly."""
    namespace, verb, rest = words[2], words[3], words[4:]
    assert NAME.fullmatch(namespace)
    if verb == "patch":
        assert NAME.fullmatch(rest[1])
        _check_patch(rest[0], rest[2:-2], json.loads(rest[-1]))
        assert rest[-2] == "-p"
    if verb == "rollout":
        kind, _slash, name = rest[1].partition("/")
        assert kind in WORKLOADS
        assert NAME.fullmatch(name)
        assert rest[0] in ("history", "restart") or (
            rest[0] == "undo" and re.fullmatch("--to-revision=[0-9]+", rest[2])
        )
    if verb == "set":
        kind, _slash, name = rest[1].partition("/")
        container, _equals, image = rest[2].partition("=")
        assert (rest[0], kind, len(rest)) == ("image", "deployment", 3)
        assert NAME.fullmatch(name)
        assert NAME.fullmatch(container)
        assert image
    if verb == "logs":
        assert NAME.fullmatch(rest[0])
        assert re.fullmatch("--tail=[0-9]+", rest[-1])
        assert rest[1:-1] in ([], ["--all-containers"]) or (rest[1] == "-c" and NAME.fullmatch(rest[2]))


def _check_patch(kind, options, patch):
    """A JSON patch that tests what it replaces, or a merge of single fields into one container."""
    if kind != "service":
        assert kind in WORKLOADS
        assert options == []
        ((kind, (container,)),) = patch["spec"]["template"]["spec"].items()
        assert kind in ("containers", "initContainers")
        assert NAME.fullmatch(container["name"])
        assert patch == {"spec": {"template": {"spec": {kind: [container]}}}}
        assert container.keys() in ({"name", "readinessProbe"}, {"name", "ports"})
    elif options == ["--type=merge"]:
        assert patch == {"spec": {"ipFamilyPolicy": "SingleStack"}}
    else:
        assert options == ["--type=json"]
        half = len(patch) // 2
        assert half == 1 or all(one["path"].endswith("/nodePort") for one in patch)
        for test, replace in zip(patch[:half], patch[half:], strict=True):
            assert (test["op"], replace["op"]) == ("test", "replace")
            assert test["path"] == replace["path"]
            assert re.fullmatch(
                "/spec/(ports/[0-9]+/(nodePort|targetPort|protocol)|externalTrafficPolicy|internalTrafficPolicy)",
                test["path"],
            )
            assert None not in (test["value"], replace["value"])
            assert test["value"] != replace["value"]


def _check_container_command(words):
    """Whole ids only, nothing by force, no volumes, and no log is lost."""
    words = words[: words.index(">")] if ">" in words else words
    assert not {"-f", "--force", "-v", "--volumes", "-a", "prune", "kill", "stop"} & set(words)
    verb = next(word for word in words[1:] if not word.startswith(("-", "unix:")))
    if verb in ("inspect", "inspectp", "logs", "rm", "rmp", "rename"):
        assert any(re.fullmatch("[0-9a-f]{64}", word) for word in words)
    if verb in ("rm", "rmp"):
        assert re.fullmatch("[0-9a-f]{64}", words[-1])
        assert sum(bool(re.fullmatch("[0-9a-f]{12,}", word)) for word in words) == 1
    if (words[0], verb) == ("crictl", "rm"):
        assert "--keep-logs" in words


def check_report(report):
    """Nothing that moves a cursor or reorders a line, and no line but a command or a path longer than 110 columns."""
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", report)
    for line in report.splitlines():
        assert len(line) <= 110 or line.lstrip().startswith(("# ", "bundle: ")), line
