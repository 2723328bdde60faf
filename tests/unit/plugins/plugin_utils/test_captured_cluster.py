# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The captured cluster (tests/fixtures/api, Kubernetes 1.36) judged as a whole: exactly the faults that it has, each with its reason."""

from __future__ import annotations

import functools

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import catalogue
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import service_scene
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import captured_section

# (rule, object, host or None for the cluster): severity. Above each the reason why it is a fault, as the captures show it.
FAULTS = {
    # The image of post has the name of ui: both its pods listen on 5000 (pod-proc-net-tcp6.txt, args httpd -f -p 5000), the Service
    # wants 9292. No probe, so they are ready and the endpoints complete; connections were refused. Seed 004.
    ("service-target-not-listening", "reddit-entry/ui", None): "critical",
    # UDP and TCP 5353 of the pods of front, which listen on 5000, and on 127.0.0.1:9000, and on nothing else.
    ("service-target-not-listening", "shop/dns", None): "critical",
    # targetPort "web", and its pod's container declares no port: the slice has the address and ports null, iptables a REJECT.
    ("service-named-port-missing", "shop/cart", None): "critical",
    # Its selector app=missing matches nothing; iptables rejects its NodePort on every address of the node …
    ("service-without-endpoints", "shop/orphan", None): "warning",
    # … and with it what the hostNetwork pod hostnet listens on: 31999, the same number. Seed 000.
    ("nodeport-shadows-listener", "Service shop/orphan, NodePort 31999/TCP against hostnet", "node-a"): "critical",
    # It has no EndpointSlice at all, and iptables rejects 10.96.0.1:443: this API server was told to write no endpoints of its own.
    ("service-without-endpoints", "default/kubernetes", None): "critical",
    # --service-node-port-range=30000-40000 and the kernel's default range 32768-60999 have 7233 ports in common …
    ("nodeport-range-overlaps-ephemeral", "NodePorts in the ephemeral range", "node-a"): "warning",
    # … from which containerd's CRI streaming server draws one whenever it starts (stream_server_port is not set).
    ("cri-stream-port-random", "containerd CRI streaming server", "node-a"): "warning",
    # A program that no table knows, for others to reach. The stand-in is no pod, so no pod declares its ports. What hostnet listens on is told above.
    ("listener-unexplained", "agent", "node-a"): "info",
}
# Services that are sound, or that nobody here can call sick.
SOUND = {
    "shop/front": "its pods listen on 5000, which targetPort http stands for, and have a probe",
    "shop/local": "externalTrafficPolicy Local, and the only node has endpoints that listen",
    "shop/db": "headless, and its one endpoint is no pod",
}
# Of what looks like a fault and is none.
NO_FAULT = {
    "image-tag-moved": "each tag stands for one image everywhere: that two tags stand for the same one is evidence, no fault",
    "service-readiness-unproven": "only the pods of ui and cart have no probe, and worse is told of both",
    "nodeport-not-programmed": "kube-proxy had every NodePort that has endpoints, with these endpoints, in iptables-save.txt",
    "service-target-wrong-address": "side listens on 127.0.0.1:9000 only, which no Service wants",
    "service-target-wrong-family": "all sockets on [::] take IPv4 too, and all Services are IPv4 only",
    "service-target-wrong-protocol": "UDP 5353 of shop/dns is no TCP 5353 in disguise: nobody listens there for either",
    "service-publishes-not-ready": "no Service asks for it",
    "service-local-policy-without-endpoint": "there is one node, and it has endpoints",
}


@functools.cache
def judged():
    snapshot = service_scene.node_a()
    snapshot["sections"]["proxy_rules"] = captured_section("proxy-rules-node-a")
    return service_scene.on_node_a(snapshot=snapshot).judged()


def test_exactly_these_faults():
    found = {
        (finding["rule"], finding["object"], finding["host"]): finding["severity"] for finding in judged()["findings"]
    }
    assert found == FAULTS


def test_nothing_is_unknown():
    assert [finding["title"] for finding in judged()["findings"] if finding["status"] != "fail"] == []


@pytest.mark.parametrize("service", SOUND)
def test_sound_services_are_not_told_of(service):
    assert not [finding for finding in judged()["findings"] if service in finding["object"]]


@pytest.mark.parametrize("rule", NO_FAULT)
def test_rules_that_looked_and_found_nothing(rule):
    told = judged()["rules"][rule]
    assert (told["fail"], told["unknown"]) == (0, 0)


def test_every_rule_on_services_has_its_word_here():
    known = {rule.id for rule in catalogue.rules() if rule.group == "services"}
    assert known <= {rule for rule, _object, _host in FAULTS} | NO_FAULT.keys()


def test_seed_004_is_one_finding():
    about = [finding for finding in judged()["findings"] if "reddit-entry" in finding["object"]]
    assert [finding["rule"] for finding in about] == ["service-target-not-listening"]
