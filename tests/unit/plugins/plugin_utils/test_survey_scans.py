# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of containers and logs was looked at: added up, bounded, and told so that nothing unseen looks quiet."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_survey
from ansible_collections.kubenode.doctor.plugins.plugin_utils.survey_scans import Scans
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.log_scene import logs, missing
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import captured_section, changed

QUIET = {"containers": captured_section("containers-quiet"), "logs": captured_section("logs-quiet")}
INSTANCES = sum(len(group["instances"]) for group in QUIET["containers"]["groups"])
NOTHING = {
    "containers": {"hosts": 0, "partly": 0, "of_kubernetes": 0, "others": 0, "runtimes": {}},
    "logs": {"hosts": 0, "partly": 0, "sources": {}},
}


def added(*hosts):
    scans = Scans()
    for sections in hosts:
        scans.add(sections)
    return scans.document()


def containers(*changes):
    return {"containers": changed(QUIET["containers"], *changes)}


def test_hosts_are_added_up():
    told = added(QUIET, QUIET, {"containers": {**QUIET["containers"], "runtimes": []}})
    runtime = QUIET["containers"]["runtimes"][0]["name"]
    assert told["containers"] == {
        "hosts": 3,
        "partly": 0,
        "of_kubernetes": 3 * INSTANCES,
        "others": 3 * QUIET["containers"]["others"],
        "runtimes": {runtime: 2},
    }
    assert told["logs"]["hosts"] == 2


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        pytest.param(containers("others", 3, "strangers", [{}, {}]), {"others": 5, "partly": 0}, id="of no Kubernetes"),
        pytest.param(
            containers("truncated.instances", 12), {"of_kubernetes": INSTANCES + 12, "partly": 1}, id="left out"
        ),
        pytest.param(
            containers("missing", [{"what": "docker", "why": "no answer"}]), {"hosts": 1, "partly": 1}, id="a gap"
        ),
    ],
)
def test_containers(sections, expected):
    told = added(sections)["containers"]
    assert {key: told[key] for key in expected} == expected


def test_how_far_logs_were_read_back_is_told_from_least_to_most():
    """Of each host the log of a kind that goes back farthest; one that has no time is there, and tells nothing."""
    names = [log["name"] for log in QUIET["logs"]["scanned"] if log["source"] == "journal"]
    short = logs(cut=[(name, "budget", seconds) for name, seconds in zip(names, (50.0, 100.0, None), strict=False)])
    long = logs(cut=[(name, "window", 7200.0) for name in names])
    assert added({"logs": short}, {"logs": long})["logs"]["sources"]["journal"] == {"hosts": 2, "back": [100.0, 7200.0]}
    nothing = logs(cut=[(name, "beginning", None) for name in names])
    assert added({"logs": nothing})["logs"]["sources"]["journal"] == {"hosts": 1, "back": []}


def test_logs_with_gaps_were_read_in_part():
    assert added({"logs": missing("journal", "no journalctl")})["logs"]["partly"] == 1


JUNK = (None, "x" * 1000, -1, [None], {"a": 1}, True, 1 << 80, float("inf"), float("nan"))


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("path", ["others", "truncated.instances", "runtimes.0.name", "groups.0.instances"])
def test_containers_of_another_form_add_nothing(path, junk):
    odd = changed(QUIET["containers"], path, junk)
    if path != "groups.0.instances" or not hasattr(junk, "__len__"):
        assert added({"containers": odd}) == NOTHING


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("path", ["scanned.0.from", "scanned.0.source", "now"])
def test_logs_of_another_form_add_nothing(path, junk):
    odd = changed(QUIET["logs"], path, junk)
    if (path, junk) != ("scanned.0.from", None) and not (
        path.endswith(("from", "now")) and junk in (-1, True, 1 << 80)
    ):
        assert added({"logs": odd}) == NOTHING


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"containers": None, "logs": []},
        {name: {"complete": False, "missing": [{"what": name, "why": "no time"}]} for name in QUIET},
    ],
)
def test_what_was_not_collected_was_not_looked_at(sections):
    assert added(sections) == NOTHING


def report(*hosts, answered=2):
    lines = report_survey.scans({"answered": answered, "scans": added(*hosts)})
    return " ".join(" ".join(lines).split())


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ([QUIET, QUIET], ["- containers of 2 of 2 hosts: ", "(containerd on 2)", "the journal on 2, 24 h back"]),
        (
            [QUIET],
            ["- logs of 1 of 2 hosts: the journal on 1, 24 h back; the kernel's on 1, 12 h back; those of pods on 1"],
        ),
        (
            [{"logs": missing("journal", "x")}],
            [
                "- containers of 0 of 2 hosts: none were looked at (see UNKNOWN)",
                "; not all of it on 1 host (see UNKNOWN)",
            ],
        ),
        ([containers("runtimes", [])], ["containers of 1 of 2 hosts: no runtime is there"]),
        ([{"logs": logs(scanned=[])}], ["logs of 1 of 2 hosts: there are none"]),
    ],
)
def test_it_is_told_in_two_lines(hosts, words):
    told = report(*hosts)
    for word in words:
        assert word in told


def test_where_nobody_answered_it_is_not_told():
    assert not report(answered=0)
