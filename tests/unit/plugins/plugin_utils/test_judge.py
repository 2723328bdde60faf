# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge itself: four answers, identities, causes, waivers, levels, and data that is not what it should be."""

from __future__ import annotations

import copy
import functools
import json
import math
import operator
import shlex

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import unit_state
from ansible_collections.kubenode.doctor.plugins.plugin_utils import catalogue, judge, report_text, settings, verdicts
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Fail, NotApplicable, Remedy, Rule, Unknown
from ansible_collections.kubenode.doctor.tests.support.waiving import waiver
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.checks import (
    check_command,
    check_report,
    commands,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Scene,
    captured,
    changed,
    kubernetes_136,
    live,
    no_cluster,
    seed,
    with_service,
    with_socket,
    without_sockets,
)

NODE_RULES = [rule.id for rule in catalogue.rules() if rule.scope == "node"]


def of_rule(document, rule, status="fail"):
    return [finding for finding in document["findings"] if (finding["rule"], finding["status"]) == (rule, status)]


def made_up(answers, scope="node", name="made-up", severity="warning"):
    """A rule that gives these answers; an exception among them is raised."""

    def say(*_arguments):
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
            yield answer

    return Rule(name, "ports", severity, "it holds", "it matters", (), say, scope=scope)


def fault(subject, **fields):
    return Fail(
        subject,
        **{
            "title": f"{subject} is at fault",
            "explanation": "why",
            "evidence": (f"saw {subject}",),
            "remedies": (),
            **fields,
        },
    )


def judged_by(*rules, hosts=("node-a",)):
    scene = Scene(dict.fromkeys(hosts, captured("node-a")), kubernetes_136())
    return judge.judge(scene, settings.read({}), rules)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], "pass"),
        ([NotApplicable("x")], "not_applicable"),
        ([Unknown("x")], "unknown"),
        ([NotApplicable("x"), Unknown("x")], "unknown"),
        ([Unknown("x"), fault("a")], "fail"),
        ([fault("a"), fault("b")], "fail"),
        ([KeyError("listeners")], "unknown"),
        ([fault("a"), KeyError("listeners")], "fail"),
    ],
)
def test_one_answer_is_counted_for_each_rule_and_host(answers, expected):
    tally = judged_by(made_up(answers))["rules"]["made-up"]
    counts = {name: tally[name] for name in ("pass", "fail", "unknown", "not_applicable")}
    assert counts == {"pass": 0, "fail": 0, "unknown": 0, "not_applicable": 0, expected: 1}


def test_a_rule_that_breaks_is_unknown_with_the_reason_and_keeps_what_it_had_found():
    document = judged_by(made_up([fault("a"), TypeError("junk"), fault("b")]), made_up([fault("c")], name="other"))
    assert [finding["object"] for finding in of_rule(document, "made-up")] == ["a"]
    (unknown,) = of_rule(document, "made-up", "unknown")
    assert unknown["explanation"] == "the data could not be judged: TypeError: junk"
    assert [finding["object"] for finding in of_rule(document, "other")] == ["c"]


def test_a_silent_host_is_unknown_to_every_rule():
    document = Scene({"node-a": captured("node-a"), "node-b": "No route to host"}, kubernetes_136()).judged()
    silent = [finding for finding in document["findings"] if finding["host"] == "node-b"]
    assert sorted(finding["rule"] for finding in silent) == sorted(NODE_RULES)
    assert {finding["explanation"] for finding in silent} == {"the host did not answer: No route to host"}
    assert all(document["rules"][rule]["unknown"] == 1 for rule in NODE_RULES)


def test_without_an_api_everything_that_needs_none_is_judged():
    tally = live(cluster=no_cluster())
    rules = tally.judged()["rules"]
    needs_api = {
        "external-ip-shadows-listener",
        "health-check-nodeport-cannot-open",
        "host-not-in-cluster",
        "nodeport-cannot-open",
        "nodeport-outside-range",
        "nodeport-shadows-listener",
        *(rule.id for rule in catalogue.rules() if rule.group == "services"),
    }
    assert {name for name, rule in rules.items() if rule["unknown"]} == needs_api


def test_a_program_on_both_families_is_one_fault_with_both_sockets_as_evidence():
    quiet = without_sockets(captured("node-a"), 31999)
    both = with_socket(with_socket(quiet, port=31999), port=31999, family="ipv6", address="::", v6only=True)
    cluster = with_service(kubernetes_136(), "orphan", ip_families=["IPv4", "IPv6"])
    (finding,) = of_rule(live(snapshot=both, cluster=cluster).judged(), "nodeport-shadows-listener")
    sockets = [fact for fact in finding["evidence"] if fact.startswith("socket ")]
    assert [fact.split()[1] for fact in sockets] == ["0.0.0.0:31999/tcp", "[::]:31999/tcp"]


def test_the_worst_of_equal_faults_is_told():
    document = judged_by(
        made_up([fault("a", severity="info", evidence=("1",)), fault("a", severity="critical", evidence=("2", "1"))])
    )
    (finding,) = document["findings"]
    assert (finding["severity"], finding["evidence"]) == ("critical", ["2", "1"])


def test_a_host_has_so_many_findings_of_a_rule_and_the_rest_are_counted():
    faults = [*map(fault, map(str, range(verdicts.MOST_FINDINGS + 2))), fault("worst", severity="critical")]
    *told, rest = judged_by(made_up(faults))["findings"]
    assert (len(told), told[0]["object"], rest["status"]) == (verdicts.MOST_FINDINGS, "worst", "unknown")
    assert rest["explanation"].startswith("3 more findings of this rule on this host are left out")


def test_a_finding_has_so_much_evidence_and_the_rest_is_counted():
    facts = tuple(map(str, range(verdicts.MOST_FACTS + 3)))
    (finding,) = judged_by(made_up([fault("a", evidence=facts[:5]), fault("a", evidence=facts)]))["findings"]
    assert finding["evidence"] == [*facts[: verdicts.MOST_FACTS], "and 3 more like these"]


def test_different_reasons_for_not_knowing_are_all_told_once():
    document = judged_by(made_up([Unknown("a"), Unknown("b"), Unknown("a")]))
    assert [finding["explanation"] for finding in document["findings"]] == ["a", "b"]


def test_another_random_port_of_the_same_server_is_the_same_finding():
    node = captured("node-a")
    ports = [socket["port"] for socket in node["sections"]["listen_ports"]["listeners"] if socket["ephemeral"]]
    other = json.loads(json.dumps(node).replace(str(ports[0]), "51113"))
    prints = [
        of_rule(live(snapshot=snapshot).judged(), "cri-stream-port-random")[0]["fingerprint"]
        for snapshot in (node, other)
    ]
    assert prints[0] == prints[1]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda scene: scene.snapshots.pop("healthy"), True),
        (lambda scene: scene.snapshots.update(other=scene.snapshots.pop("sick")), False),
        (lambda scene: scene.cluster_document["services"][0].update(name="another"), False),
    ],
)
def test_what_identifies_a_collision(change, same):
    scene = seed()
    (before,) = of_rule(scene.judged(), "nodeport-shadows-listener")
    change(scene)
    (after,) = of_rule(scene.judged(), "nodeport-shadows-listener")
    assert (before["fingerprint"] == after["fingerprint"]) is same


def test_a_cause_of_the_same_object_goes_before_others_of_its_rule():
    below = made_up([fault("a", caused_by=("above",)), fault("c", caused_by=("above",))], name="below")
    document = judged_by(made_up([fault("a"), fault("b")], name="above"), below)
    above = {finding["object"]: finding["fingerprint"] for finding in of_rule(document, "above")}
    causes = {finding["object"]: finding["caused_by"] for finding in of_rule(document, "below")}
    assert causes == {"a": [above["a"]], "c": [above["a"], above["b"]]}


def test_a_rule_may_name_the_object_of_its_cause():
    below = made_up([fault("x", caused_by=(("above", "b"),)), fault("y", caused_by=(("above", "z"),))], name="below")
    document = judged_by(made_up([fault("a"), fault("b")], name="above"), below)
    above = {finding["object"]: finding["fingerprint"] for finding in of_rule(document, "above")}
    causes = {finding["object"]: finding["caused_by"] for finding in of_rule(document, "below")}
    assert causes == {"x": [above["b"]], "y": []}


def test_a_cause_lies_on_the_same_host_or_on_the_cluster():
    below = made_up([fault("a", caused_by=("on-node", "on-cluster", "nowhere"))], name="below")
    above = made_up([fault("n")], name="on-node"), made_up([fault("c")], name="on-cluster", scope="cluster")
    document = judged_by(*above, below, hosts=("node-a", "node-b"))
    places = {finding["fingerprint"]: finding["host"] for finding in document["findings"]}
    for finding in of_rule(document, "below"):
        assert [places[cause] for cause in finding["caused_by"]] == [finding["host"], None]


def on_hosts(answers):
    """A rule that answers each host as told, by the host's name."""

    def say(node, _context):
        yield from answers[node.host]

    return Rule("made-up", "tcp", "warning", "it holds", "it matters", (), say)


FEW = {"least_hosts": 3}


@pytest.mark.parametrize(
    ("answers", "found", "counts"),
    [
        ("a a a", "aaa", {"fail": 3}),
        ("a a -", "", {"pass": 3}),
        ("a a b", "", {"pass": 3}),
        ("a ab a", "aaa", {"fail": 3}),
        ("aB a -", "B", {"fail": 1, "pass": 2}),
        ("a? a -", "", {"unknown": 1, "pass": 2}),
        ("an a -", "", {"not_applicable": 1, "pass": 2}),
        ("an? aB ?", "B", {"unknown": 2, "fail": 1}),
        ("aa aa -", "", {"pass": 3}),
        ("A - -", "A", {"fail": 1, "pass": 2}),
        ("aA a -", "a", {"fail": 1, "pass": 2}),
    ],
)
def test_what_is_benign_on_few_hosts_is_not_told(answers, found, counts):
    """Small letters are faults that three hosts must share, capital ones are faults anywhere, of the same names."""
    kinds = {"?": Unknown("x"), "n": NotApplicable("x"), "A": fault("a", severity="info"), "B": fault("b")}
    kinds.update({name: fault(name, **FEW) for name in "ab"})
    by_host = {
        f"node-{number}": [kinds[letter] for letter in letters if letter != "-"]
        for number, letters in enumerate(answers.split())
    }
    document = judged_by(on_hosts(by_host), hosts=by_host)
    told = of_rule(document, "made-up")
    assert "".join(sorted(finding["object"] for finding in told)) == found.lower()
    tally = document["rules"]["made-up"]
    assert {name: tally[name] for name in ("pass", "fail", "unknown", "not_applicable") if tally[name]} == counts
    assert not any({"least_hosts", "if_benign"} & finding.keys() for finding in document["findings"])


@pytest.mark.parametrize(
    ("demanded", "of_hosts", "is_told"),
    [
        ({"least_share": 0.5}, 6, True),
        ({"least_share": 0.5}, 7, False),
        ({"least_share": math.inf}, 3, False),
        ({"least_share": math.inf, "marks": frozenset({"10.0.0.1"})}, 100, True),
        ({"least_share": 0.5, "least_hosts": 4}, 3, False),
        ({"least_share": 0.5, "least_hosts": 1}, 100, True),
    ],
)
def test_how_many_hosts_of_a_fleet_must_share_a_fault(demanded, of_hosts, is_told):
    """Three have it, of so many."""
    names = [f"node-{number:03}" for number in range(of_hosts)]
    answers = {name: [fault("a", **{**FEW, **demanded})] if name < "node-003" else [] for name in names}
    document = judged_by(on_hosts(answers), hosts=names)
    assert len(of_rule(document, "made-up")) == (3 if is_told else 0)
    assert document["rules"]["made-up"]["pass"] == (of_hosts - 3 if is_told else of_hosts)
    assert not any({"least_share", "marks"} & finding.keys() for finding in document["findings"])


def test_hosts_share_a_mark_only_where_it_is_the_same():
    answers = {
        f"node-{number}": [fault("a", **FEW, least_share=math.inf, marks=frozenset(marks))]
        for number, marks in enumerate(["ab", "bc", "bd", "c"])
    }
    told = of_rule(judged_by(on_hosts(answers), hosts=answers), "made-up")
    assert [finding["host"] for finding in told] == ["node-0", "node-1", "node-2"]


def test_equal_findings_of_a_host_demand_what_the_mildest_does():
    two = [fault("a", **FEW, least_share=math.inf, marks={"x"}), fault("a", **FEW, least_share=0.5, marks={"y"})]
    answers = {f"node-{number}": two for number in range(3)}
    assert len(of_rule(judged_by(on_hosts(answers), hosts=answers), "made-up")) == 3


@pytest.mark.parametrize(
    ("networks", "claim"),
    [
        (("host", "host"), "it holds, in the hosts' own network (those of pods were not looked at)"),
        (("host", "all"), "it holds, in the network namespaces that were looked at"),
        (("all", "all"), "it holds"),
    ],
)
def test_a_claim_on_networks_says_which_were_looked_at(networks, claim):
    snapshots = {
        f"node-{number}": changed(captured("node-a"), "tcp_states.netns", netns)
        for number, netns in enumerate(networks)
    }
    limited = Rule("limited", "tcp", "warning", "it holds", "it matters", (), lambda *_: iter(()), by_network=True)
    other = Rule("other", "tcp", "warning", "it holds", "it matters", (), lambda *_: iter(()))
    document = judge.judge(Scene(snapshots, kubernetes_136()), settings.Settings(), [limited, other])
    assert document["rules"]["limited"]["claim"] == claim
    assert document["rules"]["other"]["claim"] == "it holds"
    (fine,) = [entry["text"] for entry in document["survey"]["conclusions"] if entry["kind"] == "fine"]
    assert fine == f"no fault found in limited, other{claim.replace('it holds, ', '; TCP ').replace('it holds', '')}"


def test_what_is_benign_explains_nothing():
    below = made_up([fault("b", caused_by=("above",))], name="below")
    document = judged_by(made_up([fault("a", **FEW)], name="above"), below, hosts=("node-a", "node-b"))
    assert [finding["caused_by"] for finding in document["findings"]] == [[], []]


def test_a_finding_of_the_cluster_needs_no_hosts():
    assert of_rule(judged_by(made_up([fault("c", **FEW)], scope="cluster")), "made-up")


@pytest.mark.parametrize(
    ("causes", "walked"),
    [
        ({"a": [], "b": ["a"], "c": ["b"]}, [(0, "a"), (1, "b"), (2, "c")]),
        ({"c": ["b"], "b": ["a"], "a": []}, [(0, "a"), (1, "b"), (2, "c")]),
        ({"a": [], "b": [], "c": ["b", "a"]}, [(0, "a"), (0, "b"), (1, "c")]),
        ({"a": ["gone"], "b": ["gone", "a"]}, [(0, "a"), (1, "b")]),
        ({"a": ["b"], "b": ["a"]}, [(0, "b"), (1, "a")]),
        ({"a": ["a"]}, [(0, "a")]),
        ({"a": ["c"], "b": ["a"], "c": ["b"], "d": ["b"]}, [(0, "c"), (1, "a"), (2, "b"), (3, "d")]),
    ],
)
def test_walk(causes, walked):
    findings = [{"fingerprint": name, "caused_by": above} for name, above in causes.items()]
    assert [(depth, finding["fingerprint"]) for depth, finding in judge.walk(findings)] == walked


LEVELS = {"info": ["i", "w", "c"], "warning": ["w", "c"], "critical": ["c"]}


@pytest.mark.parametrize("fail_on", LEVELS)
def test_fail_on(fail_on):
    faults = [fault(severity[0], severity=severity) for severity in LEVELS]
    scene = Scene({"node-a": captured("node-a")}, kubernetes_136())
    document = judge.judge(scene, settings.read({"fail_on": fail_on}), [made_up(faults)])
    failing = judge.failing(document)
    assert failing.keys() <= {"node-a"}
    assert sorted(finding["object"] for finding in failing["node-a"]) == sorted(LEVELS[fail_on])


def test_a_finding_of_the_cluster_fails_by_itself():
    document = judged_by(made_up([fault("c", severity="critical")], scope="cluster"), hosts=("node-a", "node-b"))
    assert {host: len(found) for host, found in judge.failing(document).items()} == {judge.CLUSTER: 1}


def test_unknown_fails_nobody():
    scene = seed(sick="sick-as-nobody")
    document = scene.judged()
    assert of_rule(document, "nodeport-shadows-listener", "unknown")
    assert "sick" not in judge.failing({**document, "fail_on": "critical"})


@pytest.mark.parametrize(
    ("fields", "waived"),
    [
        ({}, True),
        ({"until": "2020-01-01"}, False),
        ({"host": "healthy"}, False),
        ({"object": "Service default/*"}, True),
    ],
)
def test_waivers(fields, waived):
    given = waiver("nodeport-shadows-listener", "moved next week", **fields)
    document = seed(waivers=[given]).judged()
    (finding,) = of_rule(document, "nodeport-shadows-listener")
    told = {"reason": "moved next week", "owner": "ops", "until": given["until"]}
    assert finding["waived"] == (told if waived else None)
    assert document["waivers"][0]["findings"] == (0 if "host" in fields else 1)
    assert ("sick" in judge.failing(document)) is not waived
    assert document["rules"]["nodeport-shadows-listener"]["fail"] == 1  # still counted
    report = report_text.render(document)
    assert ("CRITICAL (waived): kubectl exec" in report) is waived
    assert (f"waived until {given['until']} by ops: moved next week" in report) is waived
    assert (
        "has expired on 2020-01-01, and 1 finding that it covered is back: moved next week" in " ".join(report.split())
    ) is ("until" in fields)
    assert ("!! sick" in report) is not waived


def test_judging_changes_nothing_in_what_is_judged():
    scene = seed()
    before = copy.deepcopy(scene)
    first, second = scene.judged(), scene.judged()
    assert scene == before
    assert {**first, "judged_at": None} == {**second, "judged_at": None}


HOSTILE = "\x1b[31m\u202e$(reboot)`'\""
JUNK = (None, [], {}, HOSTILE, -1, 1e308, [None], {"a": 1}, True)
JUNK_IN_PLACE_OF_A_VALUE = (None, HOSTILE, 0.5, 10**400, [None])


def places(value, way=()):
    """The paths of everything in a snapshot, of a list's entries only the first's."""
    if way:
        yield way
    entries = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, entry in entries:
        yield from places(entry, (*way, key))


def swaps(sections, section):
    """What to put where in a section: every kind of junk in place of what has parts."""
    for way in places(sections[section], (section,)):
        value = functools.reduce(operator.getitem, way, sections)
        for junk in JUNK if isinstance(value, (dict, list)) else JUNK_IN_PLACE_OF_A_VALUE:
            yield way, junk


@pytest.mark.parametrize("section", sorted(captured("node-a")["sections"]))
def test_no_junk_from_a_node_stops_the_judge_or_breaks_out_of_the_report(section):
    good = captured("node-a")
    rendered = set()  # most junk leaves nothing but the same unknown answers
    for way, junk in swaps(good["sections"], section):
        broken = copy.deepcopy(good)
        place = broken["sections"]
        for part in way[:-1]:
            place = place[part]
        place[way[-1]] = junk
        document = Scene({"node-a": broken}, kubernetes_136()).judged()
        assert sum(
            rule["pass"] + rule["fail"] + rule["unknown"] + rule["not_applicable"]
            for rule in document["rules"].values()
        ) == len(catalogue.rules())
        # What one node tells costs nobody else anything.
        assert [found["rule"] for found in document["findings"] if found["broken"] and found["host"] is None] == []
        told = json.dumps({**document, "judged_at": None})
        if told not in rendered:
            rendered.add(told)
            check_report(report_text.render(document))


# Each section proves something alone, so none is needed; without one of them nothing passes.
REST_ON_BOTH = ("clock-set-back", "container-name-conflict", "container-name-reserved")


@pytest.mark.parametrize(
    "path",
    [
        "host.addresses",
        "host.components",
        "listen_ports.listeners",
        "nodeport_conflict.sockets",
        "tcp_states.groups",
        "tcp_states.accept_queues",
        "tcp_states.stuck",
        "host.missing",
        "host_pressure.missing",
        "containers.groups",
        "logs.found",
    ],
)
@pytest.mark.parametrize("junk", [{}, "", 0, False])
def test_a_list_that_is_none_is_not_an_empty_one(path, junk):
    section, key = path.split(".")
    document = live(path, junk).judged()
    for rule in catalogue.rules():
        if section in rule.needs or (rule.id in REST_ON_BOTH and section in ("containers", "logs")):
            assert document["rules"][rule.id]["unknown"] == 1
            assert any(repr(key) in finding["explanation"] for finding in of_rule(document, rule.id, "unknown"))


HOSTILE_NAMES = [
    "a'b\"c",
    "$(reboot)",
    "`id`",
    "a;b&c|d>e",
    "a\nb",
    "{{ 7*7 }}",
    "{x}",
    "%s%n",
    "\x1b[2J\x9b0m",
    "\u202egnp.exe",
    "</pre><script>",
    "-o",
    "ä" * 300,
    "\udcff",
    "a\\b",
    "!!",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_stay_in_their_quotes(name):
    cluster = kubernetes_136()
    for service in cluster["services"]:
        if service["name"] == "orphan":
            service.update(name=name, namespace=name)
            service["ports"][0]["name"] = name
    cluster["endpoint_slices"] = [piece for piece in cluster["endpoint_slices"] if piece["service"] != "orphan"]
    process = {"pid": 1, "name": name, "unit": f"{name}.service", "container_id": None, "pod_uid": None}
    sysctl = "port_settings.kernel.sysctl"
    wide = changed(
        captured("node-a"),
        f"{sysctl}.ip_local_port_range",
        "1024\t65535",
        f"{sysctl}.ip_local_reserved_ports",
        "30000-30009",
    )
    node = with_socket(without_sockets(wide, 31999), name, port=31999, cgroup=name, processes=[process])
    scene = Scene({name: changed(node, "host.hostname", name, "host.kernel", name)}, cluster)
    document = scene.judged()
    (finding,) = of_rule(document, "nodeport-shadows-listener")
    assert "{{ 7*7 }}" not in name or name in finding["title"]  # told as it is, not evaluated
    for command in commands(finding):
        check_command(command)
    told = [shlex.split(command) for command in commands(finding)]
    # No API server lets an object be called so, and systemd hardly any unit: no command is told about such a thing.
    told_of = {words[0] for words in told}
    assert "kubectl" not in told_of
    assert ("systemctl" in told_of) is unit_state.is_service(f"{name}.service")
    check_report(report_text.render(document))


def test_a_rule_id_is_given_once(monkeypatch):
    catalogue.rules.cache_clear()
    monkeypatch.setattr(catalogue.importlib, "import_module", lambda _name: made_up)
    made_up.RULE = made_up([])
    with pytest.raises(LookupError, match="the same id"):
        catalogue.rules()
    catalogue.rules.cache_clear()


def test_remedies_are_plain_data():
    (finding,) = judged_by(made_up([fault("a", remedies=(Remedy("do", ("x",), "none"),))]))["findings"]
    expected = {"summary": "do", "commands": ["x"], "risk": "none", "fix": "", "targets": [], "by_hand": ""}
    assert finding["remedies"] == [expected]
