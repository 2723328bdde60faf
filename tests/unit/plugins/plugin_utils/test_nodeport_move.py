# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of move-nodeport: whom it is offered to, what it refuses, what it changes and what it says of that."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_trim
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import DONE, NEEDED, STOPPED, TargetError
from ansible_collections.kubenode.doctor.plugins.plugin_utils import fix_offers, node_hosts, nodeport_move
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import BundleError
from ansible_collections.kubenode.doctor.plugins.plugin_utils.nodeport_move import Asked
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT
from ansible_collections.kubenode.doctor.tests.support.waiving import waiver
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Scene,
    captured,
    changed,
    kubernetes_136,
    live,
    seed,
    seed_000,
    with_socket,
)

_SERVICES = json.loads((PROJECT / "tests" / "fixtures" / "api" / "services.json").read_text("utf-8"))["items"]
UID = "94ff9a5c-d0b2-437a-a303-853100725f3c"
NAMES = {
    "namespace": "shop",
    "name": "dns",
    "uid": UID,
    "from": 30053,
    "to": 30000,
    "ports": [["UDP", 53], ["TCP", 53]],
    "host": "node-a",
    "protocol": "tcp",
    "address": "127.0.0.1",
}
PAIR = ["/spec/ports/0", "/spec/ports/1"]
AGAIN = "Diagnose again"
ASKED = Asked(("node-a", "node-b"))


def target(**fields):
    return json.dumps({**NAMES, **fields}, sort_keys=True)


def move(*texts):
    (found,), doubtful = nodeport_move.read_targets(texts or [target()])
    assert doubtful == []
    return found


def service(*changes, name="dns"):
    """One that was captured, with changes."""
    found = copy.deepcopy(next(item for item in _SERVICES if item["metadata"]["name"] == name))
    found["metadata"].update(labels=None, deletionTimestamp=None)
    return changed(found, *changes)


def held(port=30053, **fields):
    """A socket as nodeport_conflict tells of it."""
    listener = next(
        entry for entry in captured("node-a")["sections"]["nodeport_conflict"]["sockets"] if entry["state"] == "listen"
    )
    return {**listener, "protocol": "tcp", "address": "127.0.0.1", "port": port, **fields}


def answer(*sockets, missing=()):
    return {"sockets": list(sockets), "missing": [{"what": what, "why": "it is hidden"} for what in missing]}


def plan(found=None, asked=ASKED, one=None, **answers):
    told = {"node-a": answer(held()), "node-b": answer(), **{host.replace("_", "-"): answers[host] for host in answers}}
    return nodeport_move.plan(one or move(), [service()] if found is None else found, asked, told)


# -- what is to be moved -----------------------------------------------------------------------------------------------


def test_the_targets_of_several_hosts_are_one_move():
    texts = [target(), target(host="node-b", address="::1"), target(), target(ports=[["TCP", 53], ["UDP", 53]])]
    (found,), doubtful = nodeport_move.read_targets(texts)
    assert (found.service, found.number, found.to, doubtful) == ("shop/dns", 30053, 30000, [])
    assert found.ports == (("TCP", 53), ("UDP", 53))
    assert [meeting[:] for meeting in found.meetings][:2] == [("node-a", "tcp", "127.0.0.1"), ("node-b", "tcp", "::1")]
    assert found.targets[0] == texts[0]


@pytest.mark.parametrize(
    ("texts", "services"),
    [
        ([target(), target(to=30001)], []),
        ([target(), target(ports=[["TCP", 53]])], []),
        ([target(), target(name="front", uid="other", **{"from": 30080})], []),  # one number for two
        ([target(), target(to=30001), target(name="front", uid="other", to=30002)], ["shop/front"]),
    ],
)
def test_what_contradicts_itself_is_left_alone(texts, services):
    moves, doubtful = nodeport_move.read_targets(texts)
    assert [one.service for one in moves] == services
    assert doubtful[0] == "Service shop/dns: NodePort 30053 is to become 30000, which another finding contradicts"
    assert len(doubtful) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        "{}",
        target(more=1),
        target(namespace="../kube-system"),
        target(name="--all"),
        target(name="{{ 7 * 7 }}"),
        target(uid=None),
        target(host="a b"),
        target(host="x\n"),
        target(protocol="sctp"),
        target(address="localhost"),
        target(to=30053),
        target(to=0),
        target(to=65536),
        target(to=True),
        target(to="30000"),
        target(ports=[]),
        target(ports=[["TCP"]]),
        target(ports=["TCP"]),
        target(ports=[["ICMP", 53]]),
        target(ports=[["TCP", "53"]]),
        target(ports=[[["TCP"], 53]]),
    ],
    ids=range(24),
)
def test_what_no_rule_writes_is_refused(text):
    with pytest.raises(TargetError):
        nodeport_move.read_targets([text])


def test_who_is_named():
    assert nodeport_move.read_names(["shop/dns", "shop/dns", "a/b"]) == ["shop/dns", "a/b"]
    for name in ("dns", "shop/", "/dns", "shop/dns/x", "shop/--all", "{{ x }}/y", "Shop/dns", ""):
        with pytest.raises(TargetError, match="is no NAMESPACE/NAME"):
            nodeport_move.read_names([name])
    assert nodeport_move.candidate(move()).endswith("-e move=shop/dns")


def offered(scene):
    return fix_offers.cures(scene.judged()).get(fix_offers.CLUSTER, {}).get(nodeport_move.FIX, [])


def test_a_rule_offers_it_for_what_was_seen():
    (found,) = nodeport_move.read_targets(offered(seed()))[0]
    assert (found.service, found.number, found.to) == ("default/kube-processor-service", 36527, 30000)
    assert found.ports == (("TCP", 8080),)
    assert [tuple(meeting) for meeting in found.meetings] == [("sick", "tcp", "127.0.0.1")]


@pytest.mark.parametrize(
    "scene",
    [
        seed(cluster=changed(seed_000(), "nodes", [])),  # the host may be another cluster's
        seed(cluster=changed(seed_000(), "services.0.uid", None)),
        seed("port_settings.kernel.sysctl.ip_local_port_range", "1024\t65535"),  # no number is free
        seed(waivers=[waiver("nodeport-shadows-listener")]),
    ],
    ids=["stranger", "no uid", "nothing is free", "waived"],
)
def test_no_rule_offers_it(scene):
    found = [one for one in scene.judged()["findings"] if one["rule"] == "nodeport-shadows-listener"]
    assert [one["status"] for one in found if one["host"] == "sick"][:1] == ["fail"]
    assert offered(scene) == []


# -- whom to ask -------------------------------------------------------------------------------------------------------


def nodes(*names):
    return [{**kubernetes_136()["nodes"][0], "name": name, "hostname": name, "internal_ips": []} for name in names]


@pytest.mark.parametrize(
    ("snapshots", "cluster", "hosts", "others"),
    [
        ({"node-a": captured("node-a")}, kubernetes_136(), ["node-a"], []),
        # By its address, whatever the inventory calls it; a host that is no Node may use the number.
        ({"x": captured("node-a"), "bare": captured("bare")}, kubernetes_136(), ["x"], []),
        ({"node-a": captured("node-a")}, changed(kubernetes_136(), "nodes", nodes("node-a", "c", "b")), ["node-a"], ["b", "c"]),
        # Who did not answer may be a Node, and when the Nodes are not known, so may everybody.
        ({"node-a": captured("node-a"), "dead": "no route"}, kubernetes_136(), ["dead", "node-a"], []),
        ({"bare": captured("bare")}, changed(kubernetes_136(), "nodes", None), ["bare"], []),
    ],
    ids=["one", "a stranger", "others", "silent", "no Nodes"],
)  # fmt: skip
def test_who_is_asked(snapshots, cluster, hosts, others):
    assert node_hosts.of(Scene(snapshots, cluster)) == (hosts, others, [])


def test_which_ports_of_nodes_lead_into_pods():
    ports = [{"containerPort": 80, "hostPort": 30000}, {"containerPort": 81}]
    raw = {"metadata": {"namespace": "shop", "name": "a"}, "spec": {"containers": [{"name": "web", "ports": ports}]}}
    cluster = changed(kubernetes_136(), "pods", [cluster_trim.pod(raw)])
    assert node_hosts.of(Scene({"node-a": captured("node-a")}, cluster))[2] == [30000]


def test_a_bundle_of_another_form_is_none():
    with pytest.raises(BundleError, match="collect again"):
        node_hosts.of(Scene({"node-a": changed(captured("node-a"), "host", ["junk"])}, kubernetes_136()))


def test_each_host_is_asked_for_the_new_number_and_that_of_the_meeting_for_the_old_one_too():
    questions = nodeport_move.questions(move(), ASKED)
    assert [
        (one["host"], [(port["node_port"], port["protocol"]) for port in one["node_ports"]]) for one in questions
    ] == [
        ("node-a", [(30000, "TCP"), (30000, "UDP"), (30053, "TCP"), (30053, "UDP")]),
        ("node-b", [(30000, "TCP"), (30000, "UDP")]),
    ]
    assert [one["host"] for one in nodeport_move.questions(move(), Asked(()))] == ["node-a"]


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_what_is_changed_and_what_has_to_be_as_it_was():
    made = plan()
    assert (made.state, made.why) == (NEEDED, "")
    assert made.patch == (
        {"op": "test", "path": "/metadata/uid", "value": UID},
        {"op": "test", "path": "/metadata/resourceVersion", "value": "1173"},
        {"op": "test", "path": "/spec/ports/0/port", "value": 53},
        {"op": "test", "path": "/spec/ports/0/protocol", "value": "UDP"},
        {"op": "test", "path": "/spec/ports/1/port", "value": 53},
        {"op": "test", "path": "/spec/ports/1/protocol", "value": "TCP"},
        *({"op": "test", "path": f"{path}/nodePort", "value": 30053} for path in PAIR),
        *({"op": "replace", "path": f"{path}/nodePort", "value": 30000} for path in PAIR),
    )


def test_what_is_said_of_it():
    undo = nodeport_move.plan(move(), [service()], ASKED, {"node-a": answer(held()), "node-b": answer()}).change.undo
    assert plan().told == (
        "ports 53/TCP and 53/UDP, which share a NodePort, get NodePort 30000 in place of 30053, on every node",
        "no socket has the number 30000, in whatever state, on the 2 hosts that were asked just now",
        (
            "whoever uses 30053 is not led to the Service any more: clients, firewalls and load balancers that name it have to name 30000, "
            "and connections through it may end"
        ),
        "the manifest that kubectl apply was given names 30053, and its next run brings that back: change it there too",
        f"undo: {undo}",
    )
    assert undo.startswith("kubectl -n shop patch service dns --type=json -p '[")
    patch = json.loads(undo.split("'")[1])
    assert [(one["op"], one["value"]) for one in patch] == [("test", 30000)] * 2 + [("replace", 30053)] * 2


@pytest.mark.parametrize(
    ("changes", "asked", "words", "absent"),
    [
        (("spec.type", "LoadBalancer"), ASKED, "its load balancer has to send to the new number", ""),
        (("metadata.labels", {"argocd.argoproj.io/instance": "shop"}), ASKED, "Argo CD installed it and will put the old number back", ""),
        (("metadata.annotations", None), ASKED, "1", "kubectl apply"),
        (("metadata.annotations", {nodeport_move._APPLIED: '{"spec": {"ports": [{"nodePort": 30999}]}}'}), ASKED, "1", "kubectl apply"),
        (("metadata.annotations", {nodeport_move._APPLIED: "[" * 100_000}), ASKED, "1", "kubectl apply"),
        ((), Asked(("node-a",), ("c",)), "a Node of the cluster was not asked, so whether 30000 is free there is not known: c", ""),
        ((), Asked(("node-a",), ("b", "c")), "2 Nodes of the cluster were not asked", "2 hosts"),
    ],
    ids=range(7),
)  # fmt: skip
def test_what_else_is_said(changes, asked, words, absent):
    told = " ".join(plan([service(*changes)], asked).told)
    assert words in told
    assert not absent or absent not in told


@pytest.mark.parametrize(
    ("found", "state", "why"),
    [
        ([], STOPPED, "there is no such Service any more"),
        ([service("metadata.uid", "other")], STOPPED, f"it was deleted and made anew since it was diagnosed. {AGAIN}"),
        ([service("metadata.deletionTimestamp", "2026-11-21T00:00:00Z")], STOPPED, "it is being deleted"),
        ([service("spec.ports.0.nodePort", 30099, "spec.ports.1.nodePort", 30099)], STOPPED, f"it has no NodePort 30053 any more. {AGAIN}"),
        ([service("spec.ports.0.nodePort", 30099)], STOPPED, f"other ports of it have NodePort 30053 by now. {AGAIN}"),
        ([service("spec.ports.0.port", 54)], STOPPED, f"other ports of it have NodePort 30053 by now. {AGAIN}"),
        ([service("spec.ports", None)], STOPPED, f"it has no NodePort 30053 any more. {AGAIN}"),
        ([service("spec", "junk")], STOPPED, f"it has no NodePort 30053 any more. {AGAIN}"),
        ([service("spec.ports.0.nodePort", 30000, "spec.ports.1.nodePort", 30000)], DONE, "it has NodePort 30000 already"),
        (
            [service("metadata.uid", "other", "spec.ports.0.nodePort", 30000, "spec.ports.1.nodePort", 30000)],
            STOPPED,
            f"it was deleted and made anew since it was diagnosed. {AGAIN}",
        ),
        # Half of it is neither the old state nor the new one.
        ([service("spec.ports.1.nodePort", 30000)], STOPPED, f"other ports of it have NodePort 30053 by now. {AGAIN}"),
    ],
    ids=range(11),
)  # fmt: skip
def test_whether_it_is_still_what_was_diagnosed(found, state, why):
    made = plan(found)
    assert (made.state, made.why.removeprefix("changed since it was diagnosed: ")) == (state, why)
    assert (made.patch, made.told, made.change) == ((), (), None)


UNKNOWN = "whether 30000 is free on node-b is not known"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (answer(held(30000)), "30000 is not free any more, on node-b: socket 127.0.0.1:30000/tcp LISTEN"),
        (answer(held(30000, state="time_wait", peer="192.0.2.9", peer_port=443)), "TIME-WAIT to 192.0.2.9 port 443"),
        (answer(held(30000, protocol="udp", state="bound")), "30000/udp bound, not listening"),
        ({"unreachable": True, "msg": "No route to host"}, f"{UNKNOWN}: No route to host. Leave the host out with -l"),
        ({"failed": True}, f"{UNKNOWN}: no answer"),
        (None, f"{UNKNOWN}: no answer"),
        ("junk", f"{UNKNOWN}: no answer"),
        ({"sockets": "junk"}, f"{UNKNOWN}: no answer"),
        ({"sockets": []}, f"{UNKNOWN}: it answered in another form than expected"),
        (answer(*["junk"]), f"{UNKNOWN}: it answered in another form than expected"),
        (answer({"port": 30000}), f"{UNKNOWN}: it answered in another form than expected"),
        (answer(missing=["sockets"]), f"{UNKNOWN}: sockets: it is hidden"),
    ],
    ids=range(12),
)
def test_where_the_number_is_not_known_to_be_free(told, why):
    made = plan(node_b=told)
    assert made.state == STOPPED
    assert why in made.why
    assert made.patch == ()


def test_a_hostport_of_a_pod_has_no_socket_and_is_not_free():
    made = plan(asked=Asked(ASKED.hosts, host_ports=(8080, 30000)))
    assert (made.state, made.patch) == (STOPPED, ())
    assert "30000 is the hostPort of a pod" in made.why
    assert plan(asked=Asked(ASKED.hosts, host_ports=(30001, 30053))).state == NEEDED


def test_what_does_not_matter_to_the_number():
    assert plan(node_b=answer(held(30053), missing=["processes", "sctp sockets"])).state == NEEDED
    sctp = move(target(ports=[["SCTP", 53]]))
    found = service("spec.ports", [{"port": 53, "protocol": "SCTP", "nodePort": 30053}])
    assert plan([found], one=sctp).state == NEEDED
    assert "sctp sockets: it is hidden" in plan([found], one=sctp, node_b=answer(missing=["sctp sockets"])).why


@pytest.mark.parametrize(
    ("sockets", "state"),
    [
        ([held()], NEEDED),
        (
            [held(processes=[], hidden=True)],
            NEEDED,
        ),  # another program has it by now: the NodePort takes it all the same
        ([held(30053, state="listen", address="::1")], DONE),
        ([held(30053, protocol="udp")], DONE),
        ([], DONE),
    ],
)
def test_whether_the_number_still_meets_a_socket(sockets, state):
    made = plan(node_a=answer(*sockets))
    assert made.state == state
    if state == DONE:
        assert made.why == "no socket meets its NodePort 30053 any more, on no host on which one did"
    # It is enough that one of several hosts has it still.
    both = move(target(), target(host="node-b"))
    assert plan(one=both, node_a=answer(*sockets), node_b=answer(held())).state == NEEDED


def test_a_socket_of_a_new_number_is_no_candidate_any_more():
    """What a node listens on, whose Services these are, no cure proposes."""
    scene = live(snapshot=with_socket(captured("node-a"), port=30000))
    assert {one.to for one in nodeport_move.read_targets(offered(scene))[0]} == {30001}
