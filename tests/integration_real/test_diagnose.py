# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/diagnose.yml as an operator runs it: who fails, with which exit status, and what is said of what was not seen.

One fleet is staged for all tests: ``sick`` and ``healthy`` of seed 000; ``worker``, whose findings need no API server; ``nft``,
which has the sockets of ``sick`` under a kube-proxy in nftables mode; and ``gone``, the first in the inventory, where no sshd is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import (
    Run,
    diagnose,
    needs_ssh,
    needs_stage,
    variable,
)
from ansible_collections.kubenode.doctor.tests.support import fake_api, kube_proxy_rules, seed_000
from ansible_collections.kubenode.doctor.tests.support.fake_api import FakeApi
from ansible_collections.kubenode.doctor.tests.support.kube_objects import captured
from ansible_collections.kubenode.doctor.tests.support.seed_000 import PORT
from ansible_collections.kubenode.doctor.tests.support.stage import Node, Stage
from ansible_collections.kubenode.doctor.tests.support.waiving import waiver

pytestmark = [needs_stage, needs_ssh]

SHADOWS = "nodeport-shadows-listener"
ADDRESSES = {"sick": "192.0.2.2", "healthy": "192.0.2.3", "worker": "192.0.2.4", "nft": "192.0.2.5"}
KUBELET = ("kubelet", "--listen", "127.0.0.1:10248", "--listen", "0.0.0.0:10250")
KUBE_PROXY = ("kube-proxy", "--listen", "127.0.0.1:10249", "--listen", "0.0.0.0:10256")
GONE = {"ansible_host": "127.0.0.1", "ansible_port": 1}  # tcpmux: refused
SERVICES, SLICES = "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"


class Fleet(NamedTuple):
    """The staged nodes, their inventory and their API server."""

    stage: Stage
    inventory: Path
    api: FakeApi
    kubeconfig: Path

    def diagnose(self, *words: str, api: bool = True, environment: Mapping[str, str] | None = None) -> Run:
        given = ("-e", f"kubeconfig={self.kubeconfig}") if api else ()
        return diagnose("-i", self.inventory, *given, *words, environment=environment)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with Stage(folder) as stage, FakeApi() as api:
        seed_000.build(stage)
        add_worker(stage.node("worker", ADDRESSES["worker"]))
        add_kubelet_under_nftables(stage.node("nft", ADDRESSES["nft"]), folder)
        seed_000.fill(api, endpoints=False)
        api.replace("nodes", [seed_000._node(name, address) for name, address in ADDRESSES.items()])
        inventory = stage.inventory(groups={"masters": ["gone", "healthy"]}, extra={"gone": GONE})
        assert inventory.read_text().index("gone") < inventory.read_text().index("healthy")
        yield Fleet(stage, inventory, api, api.kubeconfig(folder / "kubeconfig"))


def add_worker(node: Node) -> None:
    """A node with two warnings that no API server is needed for: half of its range reserved, etcd's port taken."""
    node.start(*KUBELET)
    node.start(*KUBE_PROXY, *seed_000._kube_proxy_answers())
    node.start("squatter", "--listen", "127.0.0.1:2379")
    node.sysctl("net.ipv4.ip_local_reserved_ports", "40001-50000")
    node.sysctl("net.ipv4.ip_local_port_range", "40001 60999")


def add_kubelet_under_nftables(node: Node, folder: Path) -> None:
    (folder / "proxyMode").write_text("nftables")
    node.start(*KUBELET, "--listen", f"127.0.0.1:{PORT}")
    # Of an option that is given twice, the last one counts.
    node.start(*KUBE_PROXY, *seed_000._kube_proxy_answers(), "--answer", f"/proxyMode={folder / 'proxyMode'}")


def settings_of(node: Node) -> str:
    return node.run("sysctl", "net.ipv4", "net.core").stdout


def rules(run: Run, host: str) -> set[str]:
    """The rules that found a fault on a host."""
    return {finding["rule"] for finding in run.findings(host)}


def fingerprints(run: Run) -> list[str]:
    return sorted(finding["fingerprint"] for finding in run.document["findings"])


def failed_hosts(run: Run, hosts: Sequence[str] = ("gone", *ADDRESSES)) -> set[str]:
    return {host for host in hosts if run.recap(host)["failed"]}


@pytest.fixture(scope="module")
def whole(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Everything in one run: the whole fleet, with its API server, and a home folder that shows what was written there."""
    home = tmp_path_factory.mktemp("home")
    run = fleet.diagnose(environment={"HOME": str(home), "PWD": "/elsewhere"})
    assert [path for path in home.rglob("*") if path.is_file()] == []  # nothing was copied to a node
    return run


def test_only_the_host_with_a_critical_finding_fails(whole: Run):
    assert whole.status != 0
    assert failed_hosts(whole) == {"sick"}
    assert rules(whole, "sick") == {SHADOWS, "nodeport-range-overlaps-ephemeral", "cri-stream-port-random"}
    assert rules(whole, "healthy") == set()


def test_one_request_a_kind_and_one_report(whole: Run):
    assert whole.printed.count("RESULT: ") == 1
    assert "hosts:        4 of 5 answered" in whole.stdout
    assert (whole.bundle / "report.txt").read_text() in whole.stdout
    page = whole.bundle / "report.html"
    assert f"\nwritten too: {page}\n" in whole.stdout
    assert page.stat().st_mode & 0o777 == 0o600


def test_nothing_but_the_report_and_the_failure_is_printed(whole: Run):
    assert "[WARNING]" not in whole.printed
    assert "DEPRECAT" not in whole.printed
    assert whole.stderr == ""


def test_unreachable_is_unknown_with_its_reason_and_the_others_are_judged(whole: Run):
    assert whole.document["hosts"]["gone"]["answered"] is False
    assert "Connection refused" in whole.document["hosts"]["gone"]["why"]
    unknown = {finding["rule"] for finding in whole.findings("gone", status="unknown")}
    assert unknown >= rules(whole, "sick") | rules(whole, "worker") | {"nodeport-cannot-open"}
    assert whole.findings("gone") == []
    assert "gone: no answer: Failed to connect to the host via ssh" in whole.said
    assert whole.recap("gone")["unreachable"] == 0
    assert sorted(path.stem for path in (whole.bundle / "nodes").iterdir()) == sorted(["gone", *ADDRESSES])


def test_bundle_is_the_owners_alone_and_lies_where_the_playbook_was_started(whole: Run):
    assert whole.bundle.parent == whole.folder / "audits"
    for path in [whole.bundle, *whole.bundle.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_nftables_leaves_the_loopback_listener_alone(whole: Run):
    assert whole.node("nft")["snapshot"]["sections"]["nodeport_conflict"]["proxy"]["mode"] == "nftables"
    (kubelet,) = whole.node("nft")["snapshot"]["sections"]["nodeport_conflict"]["sockets"]
    assert (kubelet["address"], kubelet["port"]) == ("127.0.0.1", PORT)
    assert whole.findings("nft", SHADOWS) == []
    assert whole.findings("nft", SHADOWS, status="unknown") == []


def test_told_proxy_mode_overrules_what_nodes_tell(fleet: Fleet):
    run = fleet.diagnose("-e", "proxy_mode=nftables")
    assert run.status == 0
    assert run.findings(rule=SHADOWS) == []


def test_told_nodeport_range_and_a_finding_of_the_cluster(fleet: Fleet):
    run = fleet.diagnose("-e", "nodeport_range=30000-32767", "-e", "fail_on=warning")
    assert "NodePorts: 30000-32767 (the variable nodeport_range)" in run.said
    (outside,) = run.findings(None, "nodeport-outside-range")
    assert "Service default/kube-processor-service, NodePort 36527/TCP" in outside["evidence"]
    assert SHADOWS in rules(run, "sick")  # a collision is one, whatever the range
    assert failed_hosts(run) == set(ADDRESSES)  # every host that answered carries it, healthy too


def test_check_mode_sees_the_same_and_changes_nothing(fleet: Fleet, whole: Run):
    before = {name: settings_of(node) for name, node in fleet.stage.nodes.items()}
    run = fleet.diagnose("--check", "--diff")
    assert run.status == whole.status
    assert fingerprints(run) == fingerprints(whole)
    assert {run.recap(host)["changed"] for host in ("gone", *ADDRESSES)} == {0}
    assert {name: settings_of(node) for name, node in fleet.stage.nodes.items()} == before


def test_fail_on_warning(fleet: Fleet):
    accepted = waiver("service-without-endpoints", "it would fail every host")
    run = fleet.diagnose("-e", "fail_on=warning", *variable("waivers", [accepted]))
    assert run.status != 0
    assert failed_hosts(run) == {"sick", "worker", "nft"}
    names = run.stdout.partition("fatal: [worker]: FAILED!")[2].partition("fatal: ")[0]
    assert "WARNING: squatter holds 127.0.0.1:2379/tcp, the port of etcd" in " ".join(names.split())
    assert "[reserved-ports-skew]" in names


def test_waived_finding_fails_nothing_and_stays_visible(fleet: Fleet):
    accepted = waiver(SHADOWS, "moved on Monday, ticket 4711", host="si*")
    run = fleet.diagnose(*variable("waivers", [accepted]))
    assert run.status == 0
    (finding,) = run.findings("sick", SHADOWS)
    assert finding["waived"]["reason"] == accepted["reason"]
    assert "CRITICAL (waived): kubectl exec, attach and port-forward fail" in run.said
    assert " by ops: moved on Monday, ticket 4711" in run.said


def test_expired_waiver_waives_nothing(fleet: Fleet):
    expired = waiver("*", "moved on Monday", host="sick", until="2020-01-01")
    run = fleet.diagnose(*variable("waivers", [expired]), "-l", "sick")
    assert failed_hosts(run, ["sick"]) == {"sick"}
    assert run.findings("sick", SHADOWS)[0]["waived"] is None


def test_limit_to_a_group_whose_first_host_is_unreachable_still_asks_the_cluster(fleet: Fleet):
    asked = len(fleet.api.requests)
    run = fleet.diagnose("-l", "masters")
    assert run.status == 0
    assert sorted(run.document["hosts"]) == ["gone", "healthy"]
    assert run.document["hosts"]["healthy"]["answered"]
    assert run.document["cluster"]["services"] == 1
    assert [request.path for request in fleet.api.requests[asked:]].count(SERVICES) == 1
    assert run.printed.count("RESULT: ") == 1


def test_nobody_answered(fleet: Fleet):
    run = fleet.diagnose("-l", "gone")
    assert run.status != 0
    assert "RESULT: 0 critical" in run.stdout
    assert "hosts:        0 of 1 answered" in run.stdout
    assert "No host answered: Failed to connect to the host via ssh" in run.said


def dead(_fleet: Fleet, tmp_path: Path) -> tuple[str, ...]:
    with FakeApi() as api:
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
    return "-e", f"kubeconfig={kubeconfig}"


def no_kubeconfig(_fleet: Fleet, _tmp_path: Path) -> tuple[str, ...]:
    return ()


def answered_by(act: fake_api.Act, path: str = "/"):
    def prepare(fleet: Fleet, _tmp_path: Path) -> tuple[str, ...]:
        fleet.api.misbehave(path, act)
        return "-e", f"kubeconfig={fleet.kubeconfig}", "-e", "collect_api_timeout=1"

    return prepare


@pytest.fixture
def well_behaved_again(fleet: Fleet) -> Iterator[None]:
    yield
    fleet.api._faults.clear()


@pytest.mark.usefixtures("well_behaved_again")
@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        pytest.param(no_kubeconfig, "no kubeconfig given", id="no kubeconfig"),
        pytest.param(dead, "(connection refused): the API server is down, or the address is wrong", id="dead"),
        pytest.param(answered_by(fake_api.hang), "gave no complete answer within 1 s", id="hanging"),
        pytest.param(answered_by(fake_api.unauthorized), "does not accept these credentials (401", id="401"),
        pytest.param(
            answered_by(fake_api.forbidden, SERVICES),
            'grant it the verb "list" on the resource "services"',
            id="403 on Services",
        ),
    ],
)
def test_without_services_the_rest_is_judged(fleet: Fleet, tmp_path: Path, prepare, reason: str):
    run = fleet.diagnose(*prepare(fleet, tmp_path), "-l", "sick,worker", api=False)
    assert run.status == 0, run.printed
    assert rules(run, "worker") == {"component-port-taken", "reserved-ports-skew"}
    assert {"nodeport-range-overlaps-ephemeral", "cri-stream-port-random"} <= rules(run, "sick")
    for host in ("sick", "worker"):
        (unknown,) = run.findings(host, SHADOWS, status="unknown")
        assert reason in unknown["explanation"]
    assert run.document["rules"][SHADOWS]["pass"] == 0
    assert reason in run.said
    assert run.document["cluster"]["services"] is None


@pytest.mark.usefixtures("well_behaved_again")
def test_forbidden_endpoints_leave_open_only_what_rests_on_them(fleet: Fleet):
    fleet.api.misbehave(SLICES, fake_api.forbidden)
    run = fleet.diagnose("-l", "sick")
    (finding,) = run.findings("sick", SHADOWS)
    assert "whether it has endpoints is not known" in finding["evidence"][1]
    assert "reach the Service's pods or are refused, never this listener" in finding["explanation"]
    assert "EndpointSlices not seen" in run.said
    assert failed_hosts(run, ["sick"]) == {"sick"}


def test_health_check_node_port(tmp_path: Path):
    """Service shop/local of the captured cluster: kube-proxy opens its healthCheckNodePort, where nobody else has it."""
    held = {plural: [captured(plural, "shop", "local")] for plural in ("services", "endpointslices")}
    with Stage(tmp_path) as stage, FakeApi(holding=held) as api:
        for name, address, holder in (("robbed", "192.0.2.2", "squatter"), ("fine", "192.0.2.3", "kube-proxy")):
            node = stage.node(name, address)
            listen = {"kube-proxy": ["127.0.0.1:10249", "0.0.0.0:10256"]}
            listen[holder] = [*listen.get(holder, []), "0.0.0.0:30787"]
            for program, places in listen.items():
                words = [word for place in places for word in ("--listen", place)]
                node.start(program, *words, *(seed_000._kube_proxy_answers() if program == "kube-proxy" else ()))
            api.add("nodes", seed_000._node(name, address))
            kube_proxy_rules.load(node, api.objects("services"), api.objects("endpointslices"))
        kubeconfig = api.kubeconfig(tmp_path / "kubeconfig")
        run = diagnose("-i", stage.inventory(), "-e", f"kubeconfig={kubeconfig}", "-e", "nodeport_range=30000-40000")
    rule = "health-check-nodeport-cannot-open"
    (finding,) = run.findings("robbed", rule)
    assert finding["severity"] == "critical"
    service = "Service shop/local, healthCheckNodePort 30787/TCP"
    assert finding["title"] == f"kube-proxy cannot open {service}: squatter has the port"
    assert run.findings("fine", rule) == run.findings("fine", rule, status="unknown") == []
    assert failed_hosts(run, ["robbed", "fine"]) == {"robbed"}
