# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waivers: what each has to say, what it covers, until when, and what became of it; and the words on that."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import report_waivers, waivers
from ansible_collections.kubenode.doctor.tests.support.waiving import waiver

RULES = ["host-silent", "nodeport-cannot-open", "nodeport-shadows-listener"]
FINDING = {
    "status": "fail",
    "rule": "nodeport-shadows-listener",
    "host": "node-a",
    "object": "Service shop/orphan, NodePort 31999/TCP against [::]:31999",
    "waived": None,
}


def read(**fields):
    (one,) = waivers.read([{**waiver("nodeport-*"), **fields}])
    return one


def days_ahead(days):
    return waivers.today() + datetime.timedelta(days=days)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "waivers: a list of mappings is expected"),
        ("all", "waivers: a list of mappings is expected"),
        ([waiver("x"), "all"], "waivers[1]: a mapping is expected"),
        ([{"rule": "x"}], "waivers[0]: reason is needed"),
        ([waiver("x", reason="  ")], "waivers[0]: reason is needed"),
        ([waiver("")], "waivers[0]: rule is needed"),
        ([waiver("x", owner="")], "waivers[0]: owner is needed"),
        ([{**waiver("x"), "until": None}], "waivers[0]: until is needed"),
        ([{**waiver("x"), "hots": "a", 1: 2}], "waivers[0]: unknown keys 1, hots"),
        ([{**waiver("x"), "owner": 4711}], "waivers[0]: owner 4711 is no text: put it in quotes"),
        ([{**waiver("x"), "host": ["a", "b"]}], "waivers[0]: host ['a', 'b'] is no text: put it in quotes"),
        ([waiver("x", until="soon")], "waivers[0]: until 'soon' is no date (YYYY-MM-DD)"),
        ([waiver("x", until="2026-13-01")], "waivers[0]: until '2026-13-01' is no date (YYYY-MM-DD)"),
        ([waiver("x", until="20261231")], "waivers[0]: until '20261231' is no date (YYYY-MM-DD)"),
        ([{**waiver("x"), "until": 20261231}], "waivers[0]: until '20261231' is no date (YYYY-MM-DD)"),
        ([waiver("x", until="2\x1b[31m")], "waivers[0]: until '2\\x1b[31m' is no date (YYYY-MM-DD)"),
    ],
)
def test_a_mistake_is_named(value, message):
    with pytest.raises(ValueError, match="waivers") as caught:
        waivers.read(value)
    assert str(caught.value) == message


def test_nothing_is_waived_for_more_than_two_years():
    last = days_ahead(waivers.MOST_DAYS)
    assert read(until=last.isoformat()).until == last
    with pytest.raises(ValueError, match=f"is more than two years ahead: {last} is the last day there is"):
        read(until=(last + datetime.timedelta(days=1)).isoformat())


@pytest.mark.parametrize(
    "until", ["2026-11-21", datetime.date(2026, 11, 21), datetime.datetime(2026, 11, 21, tzinfo=datetime.timezone.utc)]
)
def test_the_last_day_holds_still(until):
    one = read(until=until)
    assert not one.expired(datetime.date(2026, 11, 21))
    assert one.expired(datetime.date(2026, 11, 22))


@pytest.mark.parametrize(
    ("fields", "covered"),
    [
        ({}, True),
        ({"rule": "nodeport-cannot-open"}, False),
        ({"rule": "*"}, True),
        ({"host": "node-?"}, True),
        ({"host": "NODE-A"}, False),
        ({"host": "*", "object": None}, True),
        ({"object": "Service shop/orphan*"}, True),
        ({"object": "Service shop/orphan"}, False),
        ({"object": "*[::]:31999"}, True),  # brackets are those of an address
        ({"object": "*[:]*"}, False),
    ],
)
def test_what_a_waiver_covers(fields, covered):
    assert read(**fields).covers(FINDING) is covered


def test_a_host_pattern_covers_no_finding_of_the_cluster():
    finding = {**FINDING, "host": None}
    assert not read(host="node-*").covers(finding)
    assert read(host="*").covers(finding)


def test_many_stars_take_no_time():
    assert not read(object="*a" * 30 + "b").covers({**FINDING, "object": "a" * 5000})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"rule": "nodeport-shadow-listener"},
            "no rule is named nodeport-shadow-listener; there is nodeport-shadows-listener",
        ),
        ({"rule": "nodeport-open*"}, "no rule is named nodeport-open*; there is nodeport-cannot-open"),
        ({"rule": "weather"}, "no rule is named weather (docs/rules.md lists all)"),
        ({"rule": "*"}, "this waives everything: name a rule, a host or an object"),
        ({"rule": "**", "host": "?*", "object": "*"}, "this waives everything"),
        ({"rule": "*-*"}, "this waives everything"),
    ],
)
def test_of_no_rule_and_of_everything(fields, message):
    with pytest.raises(ValueError, match="waivers") as caught:
        waivers.check_rules(waivers.read([waiver("host-silent"), {**waiver("x"), **fields}]), RULES)
    assert str(caught.value).startswith(f"waivers[1]: {message}")


@pytest.mark.parametrize(
    "fields", [{"rule": "nodeport-*"}, {"rule": "*", "host": "node-a"}, {"rule": "*", "object": "*x"}]
)
def test_what_narrows(fields):
    waivers.check_rules([read(**fields)], RULES)


def finding(rule="nodeport-shadows-listener", host="node-a", status="fail"):
    return {**FINDING, "rule": rule, "host": host, "status": status}


def applied(given, findings, today):
    told = waivers.apply(findings, waivers.read(given), today)
    return [(one["state"], one["findings"], one["days_left"]) for one in told]


def test_what_became_of_each():
    today = waivers.today()
    findings = [
        finding(),
        finding(host="node-b"),
        finding("host-silent", None),
        finding("host-silent", status="unknown"),
    ]
    given = [
        waiver("nodeport-*", days=15),
        waiver("nodeport-*", "the same again", days=14, host="node-a"),
        waiver("nodeport-cannot-open", days=3),
        waiver("nodeport-*", "what another one covers is not back", days=-1),
        waiver("host-silent", "was", days=-2),
    ]
    assert applied(given, findings, today) == [
        ("used", 2, 15),
        ("expiring", 1, 14),
        ("unused", 0, 3),
        ("expired", 0, -1),
        ("expired", 1, -2),
    ]
    assert [one["waived"] and one["waived"]["reason"] for one in findings] == ["known", "known", None, None]
    assert findings[0]["waived"] == {"reason": "known", "owner": "ops", "until": days_ahead(15).isoformat()}


def test_what_findings_json_has_of_one():
    (told,) = waivers.apply([], waivers.read([waiver("host-*", days=1, object="a*")]), waivers.today())
    until = days_ahead(1).isoformat()
    assert told == {
        "rule": "host-*",
        "host": "*",
        "object": "a*",
        "reason": "known",
        "owner": "ops",
        "until": until,
        "days_left": 1,
        "findings": 0,
        "state": "unused",
    }


def became(state, count=0, left=0, **fields):
    one = {"rule": "leak", "host": "*", "object": "*", "reason": "ticket 7", "owner": "ops", "until": "2026-11-30"}
    return {**one, "days_left": left, "findings": count, "state": state, **fields}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([became("used", 3, 40)], []),
        (
            [became("expired", 2, -1), became("expired", 1, -1, host="a*"), became("expired", 0, -9)],
            [
                "!! the waiver of leak has expired on 2026-11-30, and 2 findings that it covered are back: ticket 7 (ops)",
                "!! the waiver of leak, host a* has expired on 2026-11-30, and 1 finding that it covered is back: ticket 7 (ops)",
                "!! the waiver of leak has expired on 2026-11-30, and nothing needs it any more: ticket 7 (ops)",
            ],
        ),
        (
            [became("unused"), became("expiring", 1, 0), became("expiring", 2, 1)],
            [
                "the waiver of leak ends today, on 2026-11-30; it covers 1 finding: ticket 7 (ops)",
                "the waiver of leak ends in 1 day, on 2026-11-30; it covers 2 findings: ticket 7 (ops)",
                "1 waiver covers nothing in this audit: leak",
            ],
        ),
        (
            [became("unused", object=f"o{number}") for number in range(7)],
            [
                "7 waivers cover nothing in this audit: "
                + "; ".join([f"leak, object o{n}" for n in range(5)] + ["2 more"])
            ],
        ),
        (
            [became("expired", 0, -1, reason="\x1b[2J")],
            ["!! the waiver of leak has expired on 2026-11-30, and nothing needs it any more: \\x1b[2J (ops)"],
        ),
    ],
)
def test_the_words(given, told):
    assert report_waivers.told(given) == told
