# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: that text stays text, nothing is loaded, nothing is left out without a word, and unknown is never green."""

from __future__ import annotations

import base64
import copy
import functools
import hashlib
import html.parser
import json
import re

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import answers, finding_groups, report_html
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import page_scenes
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Scene, captured, no_cluster, seed

VOID = {"meta", "link", "input", "br", "img", "rect"}


class Page(html.parser.HTMLParser):
    """A page taken apart as a browser does; tags that are not closed in their order are an error."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self._open, self.source = [], [], [], text
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        element = (tag, dict(attrs), [])
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag):
        assert self._open[-1][0] == tag, (tag, self._open[-1])
        self._open.pop()

    def handle_data(self, data):
        if self._open:
            for element in self._open:
                element[2].append(data)

    def all(self, tag, **attributes):
        """The attributes and texts of the elements with these attributes."""
        return [
            (own, "".join(texts))
            for name, own, texts in self.elements
            if name == tag and all(own.get(key) == value for key, value in attributes.items())
        ]

    @property
    def text(self):
        """All of it but what scripts and styles are."""
        return "".join(self.all("main")[0][1]) + "".join(self.all("nav")[0][1])

    @property
    def island(self):
        return json.loads(self.all("script", id="data")[0][1])


def page(document):
    return Page(report_html.render(document, "/srv/audits/x"))


def strings(value):
    """All texts of a JSON document."""
    if isinstance(value, str):
        yield value
    for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(entry)


@functools.cache
def rich():
    document = page_scenes.rich()
    return document, page(document)


def said(text):
    return " ".join(text.split())


def test_the_page_is_whole_and_can_be_walked_through():
    _document, made = rich()
    ids = [own["id"] for _tag, own, _texts in made.elements if "id" in own]
    assert len(ids) == len(set(ids))
    targets = {own["href"][1:] for own, _text in made.all("a")}
    assert targets <= set(ids)
    assert len(made.all("h1")) == len(made.all("main")) == 1
    assert made.all("a")[0][0]["href"] == "#main"  # the skip link comes first
    for table, _text in made.all("table"):
        assert "style" not in table
    assert len(made.all("caption")) == len(made.all("table")) > 5
    assert all("scope" in own for own, _text in made.all("th"))


def test_nothing_is_loaded_and_only_what_was_written_runs():
    _document, made = rich()
    policy = dict(
        part.split(" ", 1)
        for part in made.all("meta", **{"http-equiv": "Content-Security-Policy"})[0][0]["content"].split("; ")
    )
    assert policy["default-src"] == "'none'"
    (style,) = made.all("style")
    (script,) = [text for own, text in made.all("script") if not own]
    for name, text in (("style-src", style[1]), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy[name] == f"'sha256-{digest}'"
    for tag, own, _texts in made.elements:
        assert not [name for name in own if name.startswith("on") or name in ("style", "src", "action", "srcset")], tag
        assert own.get("href", "#").startswith(("#", "data:,"))
    assert not re.search(r"https?://(?!www\.gnu\.org/licenses)", script + style[1])
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|Function\(", script)
    assert not re.search(r"url\(|@import", style[1])


def test_texts_that_attack_stay_texts():
    made = page(page_scenes.hostile())
    _document, calm = rich()
    assert {tag for tag, _own, _texts in made.elements} <= {tag for tag, _own, _texts in calm.elements}
    assert [own.get("type") for own, _text in made.all("script")] == ["application/json", None]
    assert made.all("img") == []
    assert not re.search("[\u202e\x1b\x00\u2028\u2029]", made.source)
    assert made.text.count("{{ 7 * 7 }}") > 50
    island = made.all("script", id="data")[0][1]
    assert not set("<>&\u2028\u2029") & set(island)
    assert island.isascii()
    assert made.island["names"][1:] == [clean(host, 250) for host in page_scenes.hostile()["hosts"]]
    made.source.encode("utf-8")  # no lone surrogates
    unsafe = [text for text in strings(made.island) if not text.isprintable()]
    assert not unsafe


@pytest.mark.parametrize(
    ("scene", "state", "words"),
    [
        (seed(), "critical", "1 critical, 3 warnings; 1 answer is unknown"),
        (
            Scene({"healthy": captured("healthy")}, {**seed().cluster_document, "services": [], "pods": []}),
            "pass",
            "No fault found",
        ),
        (
            Scene({"healthy": captured("healthy")}, no_cluster()),
            "unknown",
            "No fault found in what could be seen; 17 answers are unknown",
        ),
        (Scene({"gone": "No route to host"}, no_cluster()), "nothing", "Nobody answered, so nothing was looked at"),
    ],
)
def test_result(scene, state, words):
    made = page(scene.judged())
    assert [text for _own, text in made.all("h1")] == [words]
    assert len(made.all("div", **{"class": f"result s-{state}"})) == 1


def test_every_answer_of_every_host_is_in_the_page():
    document, made = rich()
    island = made.island
    letters = {"pass": "p", "fail": "f", "unknown": "u", "not_applicable": "n", None: "-"}
    told = dict(answers.matrix(document))
    for number, host in enumerate([None, *document["hosts"]]):
        wanted = "".join(letters[told[host].get(rule)] for rule in document["rules"])
        assert island["answers"][island["places"][number]["answers"]] == wanted
    assert island["names"] == [finding_groups.CLUSTER_NAME, *document["hosts"]]


def test_every_finding_is_in_the_page_with_all_that_it_says():
    document, made = rich()
    island = made.island
    groups = finding_groups.groups(document["findings"])
    numbers = {host: number for number, host in enumerate([None, *document["hosts"]])}
    for index, group in enumerate(groups):
        (article,) = made.all("article", id=f"finding-{index + 1}")
        first = group.findings[0]
        for text in (
            first["title"],
            first["explanation"],
            *first["evidence"],
            *(cure["summary"] for cure in first["remedies"]),
        ):
            assert said(clean(text, 2000)) in said(article[1])
        for finding in group.findings:
            rows = [found for found in island["places"][numbers[finding["host"]]]["faults"] if found[0] == index]
            evidence = [[island["texts"][fact] for fact in island["evidence"][row[1]]] for row in rows]
            assert [clean(fact, 2000) for fact in finding["evidence"]] in evidence
            assert {row[4] for row in rows} == {finding["change"] or ""}
            assert [cure["summary"] for cure in finding["remedies"]] in [
                [cure["summary"] for cure in island["remedies"][row[3]]] for row in rows
            ]


def test_unknown_is_no_pass_on_the_map():
    document, made = rich()
    place = made.island["places"][list(document["hosts"]).index("worker-3") + 1]
    assert {kind for kind, _number, _more in made.island["cells"][place["cells"]]} == {"unknown"}
    silent = next(
        own for own, _text in made.all("tr") if own.get("id") == f"node-{list(document['hosts']).index('worker-3') + 1}"
    )
    assert silent


@pytest.mark.parametrize(
    ("told", "faults", "cell"),
    [
        ({"cpu-steal": "pass", "run-queue-long": "unknown"}, [], ("unknown", 1, 0)),
        ({"cpu-steal": "pass", "run-queue-long": "not_applicable"}, [], ("pass", 1, 0)),
        ({"cpu-steal": "fail", "run-queue-long": "unknown"}, ["info"], ("unknown", 1, 0)),
        ({"cpu-steal": "fail", "run-queue-long": "unknown"}, ["warning", "warning"], ("warning", 2, 1)),
        ({"cpu-steal": "fail", "run-queue-long": "pass"}, ["waived"], ("waived", 1, 0)),
        ({"run-queue-long": "not_applicable"}, [], ("not_applicable", 1, 0)),
    ],
)
def test_a_cell_tells_the_worst(told, faults, cell):
    document, _made = rich()
    places = report_html.report_html_places.Places(document, [], report_html.Texts())
    found = [{"rule": "cpu-steal", "severity": kind, "waived": kind == "waived"} for kind in faults]
    assert places._cells(told, found)[places._group_names.index("host")] == cell


def test_what_changed_is_told():
    document, made = rich()
    memory = said(made.all("section", id="memory")[0][1])
    counts = document["memory"]["counts"]
    assert all(counts.values())
    for word, name in (("new", "new"), ("persist", "persists"), ("gone", "gone"), ("not known this time", "unsure")):
        assert re.search(rf"{word} ?{counts[name]}\b", memory)
    for entry in document["memory"]["gone"] + document["memory"]["unsure"]:
        assert said(clean(entry["title"])) in memory
    past = [told for place in made.island["places"] for told in place["past"]]
    assert [told[0] for told in past].count(True) == counts["gone"]
    assert len(past) == counts["gone"] + counts["unsure"]
    chips = {text for own, text in made.all("span") if own.get("class", "").startswith("chip ch-")}
    assert "since 2026-11-20 (3 days)" in chips
    assert any(chip.startswith("new") for chip in chips)
    assert "Nothing is compared" in page(seed().judged()).text


def test_waived_findings_stay_and_expired_waivers_shout():
    document, made = rich()
    waived = [own for own, _text in made.all("article") if own["data-waived"] == "yes"]
    assert len(waived) == 1
    shouts = said(made.all("ul", **{"class": "alarms"})[0][1])
    assert "cpu-steal has expired on" in shouts
    assert len(made.all("span", **{"class": "chip w-expired"})) == 1
    assert sum(bool(finding["waived"]) for finding in document["findings"]) == 1


def test_damage_and_broken_checks_stand_on_top():
    scene = seed()
    scene.damaged = {"nodes/sick.json": "sick.json is damaged"}
    document = scene.judged()
    document["findings"][0]["broken"] = True
    shouts = said(page(document).all("ul", **{"class": "alarms"})[0][1])
    assert "The bundle is damaged: sick.json is damaged" in shouts
    assert "checks broke on data that they could not read" in shouts


def test_what_is_cut_is_told(monkeypatch):
    for module in (report_html.report_html_places, report_html.report_html_survey):
        monkeypatch.setattr(module, "ROWS", 20)
    monkeypatch.setattr(report_html.report_html_places, "_STRIPES", 25)
    document = page_scenes.fleet(45)
    made = page(document)
    rows = [own for own, _text in made.all("tr") if own.get("id", "").startswith("node-")]
    assert len(rows) == 20
    told = re.search(r"20 of (\d+) rows are shown; the other (\d+) are in findings.json", made.text)
    folded = re.search(r"(\d+) of 46 rows are folded", made.text)
    assert int(told[1]) == 20 + int(told[2])
    assert int(told[1]) + (int(folded[1]) if folded else 0) == 46
    assert len(made.island["places"]) == 46
    states = re.search(r"20 of (\d+) hosts are shown; the other (\d+)", made.text)
    assert int(states[1]) == len(document["survey"]["states"]) == 20 + int(states[2])
    assert "a stripe is the worst of 2 hosts" in said(made.text)


def test_hosts_of_which_nothing_is_to_be_told_are_folded():
    hosts = {f"h{number}": captured("healthy") for number in range(5)}
    made = page(Scene(hosts, {**seed().cluster_document, "services": [], "pods": []}).judged())
    assert "6 of 6 rows are folded: nothing but pass and not applicable" in said(made.text)
    (fold,) = made.all("details", id="quiet")
    assert fold[1].split("not applicable")[1].split() == ["the", "cluster", *hosts]
    assert made.all("table", id="heat") == []


@pytest.mark.parametrize(
    ("command", "shown", "exact"),
    [
        ("kubectl get 'a b'", "kubectl get 'a b'", True),
        ("kill \u202e1", "kill \\u202e1", False),
        ("x" * 20_001, "(a command of 20001 characters: see findings.json)", False),
    ],
)
def test_only_a_command_that_is_shown_as_it_is_may_be_copied(command, shown, exact):
    document = seed().judged()
    finding = next(one for one in document["findings"] if one["status"] == "fail")
    finding["remedies"] = [{**finding["remedies"][0], "commands": [command], "fix": ""}]
    found = [own for own, text in page(document).all("pre") if text == shown]
    assert [("data-copy" in own) for own in found] == [exact]


def test_a_fault_hangs_below_its_cause():
    document = seed().judged()
    faults = [finding for finding in document["findings"] if finding["status"] == "fail"]
    # Two causes, of which the second explains two that do not explain each other.
    for finding, cause in zip(faults, (None, None, 1, 1)):
        finding["caused_by"] = [faults[cause]["fingerprint"]] if cause else []
    groups = finding_groups.groups(document["findings"])
    numbers = {group.findings[0]["fingerprint"]: number for number, group in enumerate(groups, 1)}
    told = {}
    for own, text in page(document).all("article"):
        cause = re.search(r"Because of finding (\d+):", said(text))
        told[int(own["id"].removeprefix("finding-"))] = int(cause[1]) if cause else 0
    assert told == {
        numbers[one["fingerprint"]]: numbers[one["caused_by"][0]] if one["caused_by"] else 0 for one in faults
    }
    assert list(told.values()).count(numbers[faults[1]["fingerprint"]]) == 2


def test_bars_are_as_long_as_their_numbers():
    tall, flat, none = (report_html.report_html_survey.length(value, 7520) for value in (7520, 1, 0))
    assert (tall, flat, none) == (100, 1, 0)
    assert all(f".b{size}{{--size:{size}%}}" in rich()[1].source for size in range(101))
    assert report_html.report_html_survey.length(5, 0) == 0
    parts = report_html.report_html_places.parts([("fail", 1), ("unknown", 0), ("pass", 3)])
    assert [(part["kind"], part["start"], part["width"]) for part in parts] == [
        ("fail", 0.0, 25.0),
        ("pass", 25.0, 75.0),
    ]


def test_the_fullest_queues_are_drawn_against_their_limits():
    document = copy.deepcopy(rich()[0])
    document["survey"]["services"]["queues"].update(
        seen=3,
        fullest=[
            {"host": "worker-2", "process": "java", "port": 8080, "pods": False, "length": 65, "backlog": 128},
            {"host": "worker-1", "process": None, "port": 80, "pods": True, "length": 1, "backlog": 128},
        ],
    )
    made = page(document)
    assert ({"class": "num b50"}, "65") in made.all("td")
    assert ({"class": "num b1"}, "1") in made.all("td")
    assert ({"scope": "row"}, "a process that was not seen, port 80 in a pod's network") in made.all("th")
