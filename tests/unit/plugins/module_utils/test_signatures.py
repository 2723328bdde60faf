# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of known errors: each is found in real lines, with its fields, and not in lines that look like it."""

from __future__ import annotations

import re

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import signatures
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, SOURCES, LogLine, Origin
from ansible_collections.kubenode.doctor.plugins.module_utils.log_matcher import Matcher
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils import regex_work
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.signature_lines import (
    K3S,
    LINES,
    MISSES,
    WORDS,
)

BY_ID = {signature.id: signature for signature in signatures.SIGNATURES}
# Rules read these.
FIELDS = {
    "docker-name-conflict": {"name", "holder"},
    "containerd-name-reserved": {"name", "holder"},
    "containerd-sandbox-name-reserved": {"name", "holder"},
    "crio-name-reserved": {"name", "id"},
    "crio-storage-name-in-use": {"name", "holder"},
    "crio-creation-stage": {"stage", "name"},
    "container-not-created": {"pod", "namespace", "uid", "container", "reason"},
    "sandbox-not-created": {"pod", "namespace", "uid"},
    "etcd-dial-refused": {"address"},
    "nodeport-bind-failed": {"port", "service"},
    "kube-proxy-metrics-bind-failed": {"address"},
    "ovn-port-claim-failed": {"port"},
    "exec-dial-refused": {"port"},
    "conntrack-table-full": set(),
    "syn-flooding": {"port"},
    "neighbour-table-overflow": {"table"},
    "tcp-out-of-memory": set(),
    "too-many-orphans": set(),
    "time-wait-overflow": set(),
    "too-many-open-files": set(),
    "inotify-limit": set(),
    "cannot-assign-address": {"destination"},
    "bgp-not-established": {"peers"},
    "certificate-expired": set(),
    "clock-stepped": {"seconds"},
    "clock-jumped-back": set(),
}
WORK_LIMIT = 20_000  # characters looked at from one place of a line, far above what any of them needs


def found(text, origin):
    """{signature: fields} of what the whole catalogue finds in one line."""
    matcher = Matcher(signatures.SIGNATURES)
    matcher.feed(LogLine(text, 1.0, origin))
    entries, other = matcher.found(200)
    assert other == {"entries": 0, "lines": 0}
    assert len({entry["signature"] for entry in entries}) == len(entries)
    return {entry["signature"]: entry["fields"] for entry in entries}


def cases(table):
    return [
        pytest.param(name, case, id=f"{name}-{number}") for name in table for number, case in enumerate(table[name])
    ]


@pytest.mark.parametrize(("name", "line"), cases(LINES))
def test_a_line_of_it(name, line):
    assert found(line.text, line.origin)[name] == line.fields, line.known_from
    assert Matcher([BY_ID[name]]).interesting(line.text.encode())


@pytest.mark.parametrize(("name", "miss"), cases(MISSES))
def test_a_line_that_is_not_it(name, miss):
    assert name not in found(miss.text, miss.origin), miss.known_from


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_words_that_are_no_ones_when_they_are_quoted_are_some_ones_else(words):
    """So that the misses among the tables miss because they are quoted."""
    assert len(found(f'E1121 14:42:00.1     930 remote_runtime.go:394] "failed" err="{words}"', K3S)) == 1


@pytest.mark.parametrize("name", signatures.IDS)
def test_the_tables_are_complete(name):
    """Each wording of each signature is found in some line, and each signature has lines that are not it."""
    assert MISSES[name]
    texts = [line.text for line in LINES[name]]
    for wording in BY_ID[name].wordings:
        needed = [re.compile(expression) for expression in (wording.pattern, *wording.also)]
        # kops' ports differ in nothing but the number.
        ports = [text.replace(":4001", f":{port}") for text in texts for port in (4002, 4004)]
        assert any(all(one.search(text) for one in needed) for text in texts + ports), wording.versions


def test_the_names_are_those_that_rules_read():
    assert {signature.id: set(signature.fields) for signature in signatures.SIGNATURES} == FIELDS
    assert len(signatures.SIGNATURES) == len(FIELDS)
    assert set(LINES) == set(MISSES) == set(FIELDS)


@pytest.mark.parametrize("signature", signatures.SIGNATURES, ids=lambda signature: signature.id)
def test_a_signature_says_enough(signature):
    assert re.fullmatch("[a-z]+(-[a-z]+)+", signature.id)
    assert signature.level in signatures.LEVELS
    assert signature.sources
    assert set(signature.sources) <= set(SOURCES)
    assert not signature.units or JOURNAL in signature.sources
    assert not any(unit.endswith(".service") for unit in signature.units)
    for names in (signature.units, signature.containers):
        assert len(set(names)) == len(names)
    assert 4 < len(signature.title.split()) < 20
    assert not signature.title.endswith(".")
    for text in (signature.meaning, signature.cure):
        assert text.endswith(".")
        assert len(text.split()) > 8
        assert "  " not in text
    for wording in signature.wordings:
        assert wording.versions
        assert wording.link.startswith("https://")
    assert signature.link == signature.wordings[0].link
    assert all(wording.versions in signature.versions for wording in signature.wordings)


@pytest.mark.parametrize("signature", signatures.SIGNATURES, ids=lambda signature: signature.id)
def test_an_anchor_is_in_raw_logs_as_it_is(signature):
    """Blocks are searched for it before JSON is decoded, and journalctl is asked for it."""
    for wording in signature.wordings:
        assert len(wording.anchor) >= 7
        assert re.fullmatch(r"[A-Za-z0-9 ,:.()_-]+", wording.anchor)


@pytest.mark.parametrize("signature", signatures.SIGNATURES, ids=lambda signature: signature.id)
def test_an_expression_costs_no_more_than_the_line_is_long(signature):
    for wording in signature.wordings:
        for expression in (wording.pattern, *wording.also):
            assert regex_work.steps(expression) < WORK_LIMIT
    for negative in signature.negatives:
        assert regex_work.steps(negative) < WORK_LIMIT


@pytest.mark.parametrize(
    ("expression", "most"),
    [
        ("abc", 3),
        ("[a-z]{1,100}-x", 210),
        ("[a-z]{1,100}a", 400),
        ("[a-z]{1,100}[a-m]{1,100}-", 40_000),
        ("(?:ab|cd)?e", 10),
    ],
)
def test_how_work_is_told(expression, most):
    assert most / 2 < regex_work.steps(expression) <= most * 2


@pytest.mark.parametrize("expression", ["a*", "a+b", "(?:ab){1,5}", "(?:a{1,5}){1,5}", r"(a)\1"])
def test_what_has_no_bound_is_refused(expression):
    with pytest.raises(regex_work.UnboundedError):
        regex_work.steps(expression)


def test_all_are_chosen_when_none_is_named():
    assert signatures.chosen([]) == signatures.SIGNATURES


def test_some_are_chosen_in_the_catalogues_order():
    names = [signature.id for signature in signatures.chosen(["clock-stepped", "docker-name-conflict"])]
    assert names == ["docker-name-conflict", "clock-stepped"]


def test_an_unknown_one_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"^unknown signatures: Clock-stepped, x; those that are known are bgp-not-established, "
    ):
        signatures.chosen(["x", "clock-stepped", "Clock-stepped"])


@pytest.mark.parametrize("unit", ["kubelet.service", "kubelet"])
def test_a_unit_is_known_with_and_without_its_suffix(unit):
    line = LINES["docker-name-conflict"][0]
    assert "docker-name-conflict" in found(line.text, Origin(JOURNAL, unit, None))
