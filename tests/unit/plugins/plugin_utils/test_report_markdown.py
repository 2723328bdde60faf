# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown for a ticket: what stands in it, that it fits, and how text becomes Markdown."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import markdown, report_markdown
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import form_scene


def test_what_stands_in_a_ticket():
    text = report_markdown.render(form_scene.judged())
    assert text.startswith("## kubenode.doctor: 1 critical, 2 warnings, 1 note\n")
    for words in (
        ": 2 of 3 hosts answered\n",
        "\n* since the last audit: 3 new, 2 persist, 3 gone, 3 cannot be told this time\n",
        "\n* **expired on 2020-01-01:** the waiver of `cri-stream-*`: the range moves\n",
        "\n* **checks broke** on data that they could not read, and may have missed faults: `sick`\n",
        "### 1. CRITICAL: kubectl exec",
        "`nodeport-shadows-listener` on `sick`, **new**\n",
        "\n**Seen:**\n\n```text\nsocket 127.0.0.1:36527/tcp LISTEN",
        "**Cure 1:** move the Service",
        "\n# or have it done, after a look at the plan:\nansible-playbook kubenode.doctor.fix -e fix=move-nodeport --check --diff\n```",
        "### 2. WARNING (because of 1): kubelet",
        "`service-without-endpoints` on the cluster, since ",
        "### Gone since the last audit\n\n* `nodeport-shadows-listener` on `healthy`: ",
        "### Found before, and not to be told this time\n\n* `nodeport-shadows-listener` on `away`: ",
        "### Waived\n\n* warning: ",
        "### Unknown, because it could not be seen\n\n* on `away`: the host did not answer: Connection timed out",
    ):
        assert words in text, words
    assert "CHECKS" not in text


def test_a_first_audit_and_one_of_nobody():
    assert "\n* compared with nothing: this is the first audit\n" in report_markdown.render(form_scene.first_audit())
    text = report_markdown.render(form_scene.nobody())
    assert "\n* **nobody answered, so nothing was looked at**\n" in text
    assert "\n* **the bundle is damaged:** `nodes/a.json` is half-written\n" in text


@pytest.mark.parametrize(("many", "long"), [(400, 10), (400, 400), (200, 2500)])
def test_what_does_not_fit_is_counted(many, long):
    document = form_scene.judged()
    fault = form_scene.critical(document)
    document["findings"] = [
        {
            **fault,
            "object": str(number),
            "title": f"fault {number}!",
            "fingerprint": f"{number:016x}",
            "evidence": ["e" * long] * 30,
        }
        for number in range(many)
    ]
    text = report_markdown.render(document)
    assert len(text) <= report_markdown.LIMIT
    told = sum(f"fault {number}!" in text for number in range(many))
    assert 0 < told < many
    assert f"**{many - told} more findings did not fit in here**" in text


def test_many_expired_waivers_leave_room_for_the_findings():
    document = form_scene.judged()
    expired = {
        "rule": "cpu-steal",
        "host": "*",
        "object": "*",
        "reason": "r" * 240,
        "owner": "me",
        "until": "2020-01-01",
    }
    document["waivers"] = [{**expired, "days_left": -1, "findings": 0, "state": "expired"}] * 100
    text = report_markdown.render(document)
    assert len(text) <= report_markdown.LIMIT
    assert text.count("**expired on 2020-01-01:**") == 10
    assert "\n* **90 more waivers have expired**\n" in text
    assert form_scene.critical(document)["title"].split()[0] in text


def test_long_lists_say_how_many_more_there_are():
    document = form_scene.judged()
    document["memory"]["gone"] *= 20
    document["findings"] = [
        {**finding, "explanation": f"reason {number}"}
        for number, finding in enumerate(document["findings"])
        if finding["status"] == "unknown"
    ]
    text = report_markdown.render(document)
    assert "* … and 50 more\n" in text
    assert f"* … and {len(document['findings']) - 10} more\n" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words, and (more) of them: 5 of 7, 87%.", "plain words, and (more) of them: 5 of 7, 87%."),
        ('it\'s up-to-date and/or "quoted"!', 'it\'s up-to-date and/or "quoted"!'),
        ("on 10.0.0.1:443, a file /etc/x.", "on `10.0.0.1:443`, a file `/etc/x`."),
        ("two words a=b c=d together", "two words `a=b c=d` together"),
        ("(in a_b, c_d)", "(in `a_b`, `c_d`)"),
        ("see example.com and 10.0.0.1", "see `example.com` and 10.0.0.1"),
        ("a `b` c", "a `` `b` `` c"),
        ("@all #1", "`@all #1`"),
        ("naïve Größe 中文", "naïve Größe 中文"),
        ("a - b", "a `-` b"),
        ("f(x), (g()) and (h).", "`f(x)`, (`g()`) and (h)."),
        ("", ""),
    ],
)
def test_prose(text, expected):
    assert markdown.prose(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", "`a`"), ("`", "`` ` ``"), ("a``b", "```a``b```"), ("", "`  `"), (" a", "`  a `"), ("a\n", "`a\\n`")],
)
def test_code(text, expected):
    assert markdown.code(text) == expected


def test_a_fence_is_longer_than_what_it_holds():
    assert markdown.fenced(["```", "x"], "sh") == ["````sh", "```", "x", "````"]
    assert markdown.fenced([], "text") == ["```text", "```"]
