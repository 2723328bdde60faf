# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms of a report, read back by the parsers of those who read them: a quiet audit, one of everything, and hostile words."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import junitparser
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.kubenode.doctor.plugins.plugin_utils import answers
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_forms import FORMS
from ansible_collections.kubenode.doctor.tests.contract.project import ROOT, module_docs
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import form_scene

Document = dict[str, Any]

_SARIF = jsonschema_rs.Draft202012Validator(
    json.loads((ROOT / "tests" / "fixtures" / "sarif" / "sarif-2.1.0.json").read_text("utf-8")), validate_formats=True
)
AUDITS = [form_scene.judged, form_scene.first_audit, form_scene.nobody]
every_audit = pytest.mark.parametrize("audit", AUDITS)
hostile = pytest.mark.parametrize("text", form_scene.HOSTILE)


def rendered(form: str, document: Document) -> str:
    return FORMS[form].render(document, "audits/x")


def hostile_rendered(form: str, text: str) -> str:
    return rendered(form, form_scene.speaking(text))


def test_documentation_and_code_name_the_same_forms() -> None:
    assert module_docs("report")["doc"]["options"]["forms"]["choices"] == list(FORMS)
    readme = (ROOT / "roles" / "report" / "README.md").read_text("utf-8")
    page = (ROOT / "docs" / "forms.md").read_text("utf-8")
    for name, form in FORMS.items():
        assert name == "text" or f"`{name}`" in readme
        assert f"`{form.file}`" in page


@every_audit
def test_junitparser_reads_junit(audit: Any, tmp_path: Path) -> None:
    document = audit()
    path = tmp_path / "junit.xml"
    path.write_text(rendered("junit", document), "utf-8")
    xml = junitparser.JUnitXml.fromfile(str(path))
    told = Counter(answer for _host, each in answers.matrix(document) for answer in each.values())
    cases = [case for suite in xml for case in suite]
    assert len(cases) == sum(told.values()) + 2
    assert xml.tests == len(cases)
    assert sum(case.is_passed for case in cases if case.classname != "the audit") == told["pass"]
    assert {suite.name for suite in xml} == {"the audit", "the cluster", *document["hosts"]}
    for suite in xml:
        before = (suite.tests, suite.failures, suite.errors, suite.skipped)
        suite.update_statistics()
        assert before == (suite.tests, suite.failures, suite.errors, suite.skipped)
    kinds = {type(result).__name__ for case in cases for result in case.result}
    assert "Skipped" in kinds


@hostile
def test_junitparser_reads_hostile_words(text: str) -> None:
    xml = junitparser.JUnitXml.fromstring(hostile_rendered("junit", text).encode("utf-8"))
    failures = [
        result for suite in xml for case in suite for result in case.result if isinstance(result, junitparser.Failure)
    ]
    assert [failure.message for failure in failures] == [f"CRITICAL: {clean(text)}"]


def sarif_errors(text: str) -> list[str]:
    return [f"{list(error.instance_path)}: {error.message[:200]}" for error in _SARIF.iter_errors(json.loads(text))]


@every_audit
def test_sarif_follows_its_schema(audit: Any) -> None:
    assert sarif_errors(rendered("sarif", audit())) == []


@hostile
def test_sarif_follows_its_schema_with_hostile_words(text: str) -> None:
    assert sarif_errors(hostile_rendered("sarif", text)) == []


def test_the_sarif_schema_refuses_what_is_wrong() -> None:
    log = json.loads(rendered("sarif", form_scene.judged()))
    log["runs"][0]["results"][0]["level"] = "dreadful"
    assert sarif_errors(json.dumps(log))


def metrics(text: str) -> dict[str, list[Any]]:
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation and family.samples for family in families)
    return {family.name: family.samples for family in families}


@every_audit
def test_prometheus_own_parser_reads_metrics(audit: Any) -> None:
    document = audit()
    found = metrics(rendered("prometheus", document))
    states = {sample.labels["state"]: sample.value for sample in found["kubenode_doctor_hosts"]}
    answered = sum(host["answered"] for host in document["hosts"].values())
    assert states == {"answered": answered, "silent": len(document["hosts"]) - answered}
    assert all(
        sample.timestamp is None for samples in found.values() for sample in samples
    )  # node_exporter refuses them


@hostile
def test_prometheus_own_parser_gives_hostile_names_back(text: str) -> None:
    found = metrics(hostile_rendered("prometheus", text))
    assert clean(text)[:480] in {sample.labels["host"] for sample in found["kubenode_doctor_host_findings"]}
    assert all(name.startswith("kubenode_doctor_") for name in found)


def flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from flat(token.children or [])


def marked(text: str) -> list[Token]:
    """What CommonMark makes of a text, with the tables and the crossed out words that trackers add to it."""
    return list(flat(MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)))


_STRUCTURE = {
    "bullet_list_close", "bullet_list_open", "code_inline", "fence", "heading_close", "heading_open", "inline", "list_item_close",
    "list_item_open", "paragraph_close", "paragraph_open", "strong_close", "strong_open", "text",
}  # fmt: skip
# What trackers look for in rendered text outside code: people, tickets, labels, emoji, addresses, commands, HTML.
_REFERENCE = re.compile(r"[@#~&<>{}\[\]\\|`*_$!]|(?<!\w)[%/]\w|:\w+:|://|www\.|\n/")


@every_audit
def test_commonmark_reads_the_ticket(audit: Any) -> None:
    tokens = marked(rendered("markdown", audit()))
    assert {token.type for token in tokens} <= _STRUCTURE
    assert next(token.tag for token in tokens if token.type == "heading_open") == "h2"


@hostile
def test_hostile_words_are_text_in_a_ticket(text: str) -> None:
    tokens = marked(hostile_rendered("markdown", text))
    usual = marked(rendered("markdown", form_scene.judged()))
    assert {token.type for token in tokens} <= _STRUCTURE
    headings = [[token.tag for token in each if token.type == "heading_open"] for each in (tokens, usual)]
    assert headings[0] == headings[1]
    plain = [token.content for token in tokens if token.type == "text"]
    assert not [words for words in plain if _REFERENCE.search(words)]
    shown = "".join(token.content for token in tokens if token.type in ("text", "code_inline"))
    assert "".join(clean(text).split()) in "".join(shown.split())
    assert any(token.type == "fence" and clean(text) in token.content.splitlines() for token in tokens)
