# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import forget_peers, node_protocols
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.checks import check_command

POD = "0d8e6c1a-1f0b-4b2c-9e57-6a0b3d1f2c44"
GONE = ("192.0.2.201", "2001:db8::201")


def node(name, pod_uid):
    return SimpleNamespace(
        sections={"listen_ports": {"listeners": [{"processes": [{"name": name, "pod_uid": pod_uid}]}]}}
    )


def context(namespace="kube-system", pod="weave-net-x7k2q"):
    seen = SimpleNamespace(namespace=namespace, name=pod)
    return SimpleNamespace(pods=SimpleNamespace(find=lambda uid, _namespace, _name: seen if uid == POD else None))


def commands(process, port, here, around=None, addresses=GONE, in_pod=False):
    protocol, around = node_protocols.of(process, port), around or context()
    remedies = [forget_peers.look(protocol, here, around)]
    remedies += forget_peers.cures(protocol, addresses, port, in_pod, here, around)
    found = [command for remedy in remedies for command in remedy.commands]
    for command in found:
        check_command(command)
    return found


IN_POD = "kubectl -n kube-system exec weave-net-x7k2q -c weave -- /home/weave/weave --local"


def test_weave_forgets_just_these_addresses_in_its_pod():
    found = commands("weaver", 6783, node("weaver", POD))
    assert f"{IN_POD} status connections" in found
    assert [one for one in found if " forget " in one] == [f"{IN_POD} forget {address}" for address in GONE]


def test_weave_without_a_pod_forgets_on_the_host():
    found = commands("weaver", 6783, node("weaver", None))
    assert [one for one in found if " forget " in one] == [f"weave forget {address}" for address in GONE]


@pytest.mark.parametrize(
    ("here", "around"),
    [
        (node("other", POD), context()),
        (SimpleNamespace(sections={}), context()),
        (node("weaver", POD), context(pod="x; rm -rf /")),
        (node("weaver", POD), context(namespace="--all")),
    ],
)
def test_where_weave_runs_is_not_guessed(here, around):
    assert not [one for one in commands("weaver", 6783, here, around) if " forget " in one]


def test_what_is_no_address_is_in_no_command():
    found = commands(
        "weaver", 6783, node("weaver", None), addresses=("192.0.2.201; reboot", "$(reboot)", "192.0.2.202")
    )
    assert [one for one in found if " forget " in one] == ["weave forget 192.0.2.202"]


def test_etcd_shows_its_members_and_removes_none():
    found = commands("etcd", 2380, node("etcd", POD), context(pod="etcd-node-a"))
    (told,) = [one for one in found if "member" in one]
    assert told.startswith(
        "kubectl -n kube-system exec etcd-node-a -- etcdctl --endpoints=https://127.0.0.1:2379 --cacert="
    )
    assert told.endswith("/healthcheck-client.key member list -w table")
    cures = forget_peers.cures(node_protocols.ETCD, GONE, 2380, False, node("etcd", POD), context(pod="etcd-node-a"))
    assert list(cures)[-1].by_hand.startswith(
        "only etcd's own list tells the ID that etcdctl member remove has to be given"
    )


PROOF = ["kubectl get nodes -o wide", "ss -tnpo state syn-sent dport = :179"]


def test_two_sources_and_a_day_come_before_a_cure():
    here, around = node("bird", None), context()
    prove, forget = forget_peers.cures(node_protocols.of("bird", 179), GONE, 179, False, here, around)
    assert list(prove.commands) == [*PROOF, "calicoctl node status", "ansible-playbook kubenode.doctor.diagnose"]
    # No audit sees by which name Calico knows an address.
    assert forget.commands == ("calicoctl get nodes -o wide",)
    assert forget.by_hand.startswith(
        "only Calico's own list tells the name that calicoctl delete node has to be given, and"
    )
    in_pod = next(iter(forget_peers.cures(node_protocols.of("bird", 179), GONE, 179, True, here, around)))
    assert PROOF[1] not in in_pod.commands  # of the host's network, which is another one


@pytest.mark.parametrize(("process", "port"), [("protokube", 3999), ("cilium-agent", 4240), ("speaker", 7946)])
def test_what_takes_no_peer_out_of_a_list_needs_no_proof(process, port):
    protocol = node_protocols.of(process, port)
    assert tuple(forget_peers.cures(protocol, GONE, port, False, node(process, None), context())) == protocol.cures


def test_no_fix_forgets_a_peer():
    for protocol in node_protocols.PROTOCOLS:
        remedies = list(forget_peers.cures(protocol, GONE, 179, False, node("weaver", None), context()))
        assert not any(remedy.fix or remedy.targets for remedy in remedies)
        assert not protocol.removes or remedies[-1].by_hand
