# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from a Service to a process, for real: pods by containerd on node-a and by Docker on node-b, and one run of diagnose.yml.

The captured cluster runs on node-a with its own uids, addresses and kube-proxy rules; namespace lab adds what it does not have. Each
rule of the group services fires on its sick Service and says nothing of its healthy twin.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose, variable
from ansible_collections.kubenode.doctor.tests.support import (
    containerd_node,
    docker_engine_node,
    images,
    kube_objects,
    kube_proxy_rules,
    real_pods,
)
from ansible_collections.kubenode.doctor.tests.support.containerd_node import ContainerdNode
from ansible_collections.kubenode.doctor.tests.support.docker_engine_node import EngineNode, Pod
from ansible_collections.kubenode.doctor.tests.support.fake_api import CAPTURES, FakeApi
from ansible_collections.kubenode.doctor.tests.support.images import Image
from ansible_collections.kubenode.doctor.tests.support.kube_objects import service
from ansible_collections.kubenode.doctor.tests.support.real_cluster import Part, RealCluster
from ansible_collections.kubenode.doctor.tests.support.real_pods import RealContainer, httpd, program
from ansible_collections.kubenode.doctor.tests.support.stage import CALM, PROJECT

COMMANDS = {*containerd_node.COMMANDS, *docker_engine_node.COMMANDS, "iptables-restore", "ss"}
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, COMMANDS)),
    reason=f"runtimes of one's own need root and {', '.join(sorted(COMMANDS))}",
)

LAB = "lab"
CAPTURED_RULES = PROJECT / "tests" / "fixtures" / "kube_proxy" / "iptables-save.txt"
DISTROLESS = RealContainer("web", images.DISTROLESS.command, images.DISTROLESS.names[0])
MOVED, STEADY = "registry.example/moved:1", "registry.example/steady:1"
# Nothing here was started more than a few seconds ago.
YOUNG = variable("thresholds", {**dict(CALM["thresholds"]), "service_target_start_seconds": 0.01})
PROBE = {"tcpSocket": {"port": 8080}}
STATIC_UID = "7f3c9a1d5b2e4f60889bd4a1c35e7e02"


def web(name: str = "web") -> Part:
    """A healthy container: distroless, listens on 8080 of all addresses, with a probe and a declared port."""
    return Part(DISTROLESS._replace(name=name), ({"name": "http", "containerPort": 8080},), PROBE)


def build(cluster: RealCluster) -> None:
    """What namespace lab has. Each Service has the name of what is wrong with it, or of what it is the healthy twin of."""
    run, serve = cluster.run, cluster.serve

    run("node-a", LAB, "web", [web()])
    serve(service(LAB, "web", {"app": "web"}, {"port": 80, "targetPort": "http"}))

    half = {"app": "half"}
    run("node-a", LAB, "half-good", [Part(httpd("half", "9292"), probe=PROBE)], labels=half)
    run("node-b", LAB, "half-bad", [Part(httpd("half", "5000", images.POST.names[1]), probe=PROBE)], labels=half)
    serve(service(LAB, "half", half, {"port": 9292, "targetPort": 9292}))

    run("node-b", LAB, "twins", [Part(httpd("one", "8080"), probe=PROBE), Part(httpd("two", "9090"), probe=PROBE)])
    serve(
        service(
            LAB,
            "twins",
            {"app": "twins"},
            {"name": "one", "port": 80, "targetPort": 8080},
            {"name": "two", "port": 90, "targetPort": 9090},
        )
    )

    run("node-a", LAB, "loopback", [Part(httpd("app", "127.0.0.1:8080"), probe=PROBE)])
    serve(service(LAB, "loopback", {"app": "loopback"}, {"port": 80, "targetPort": 8080}))

    static = Pod(LAB, "static-node-a", STATIC_UID, qos="burstable")
    run("node-a", LAB, "static-node-a", [Part(httpd("static", "127.0.0.1:7070"), probe=PROBE)], static)
    cluster.mirror(LAB, "static-node-a")
    serve(service(LAB, "static", {"app": "static-node-a"}, {"port": 80, "targetPort": 7070}))
    serve(service("shop", "hostnet", {"app": "hostnet"}, {"port": 80, "targetPort": 31999}))

    only_six = (("net.ipv6.bindv6only", "1"),)
    six = Pod(LAB, "six", str(uuid.uuid4()), own_network=True, sysctls=only_six)
    run("node-a", LAB, "six", [Part(program("six", "--listen", ":::8080"), probe=PROBE)], six)
    run("node-b", LAB, "dual", [Part(program("dual", "--listen", ":::8080"), probe=PROBE)])
    serve(service(LAB, "six", {"app": "six"}, {"port": 80, "targetPort": 8080}))
    both = {"ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "RequireDualStack"}
    serve(service(LAB, "dual", {"app": "dual"}, {"port": 80, "targetPort": 8080}, **both))

    udp = {"port": 53, "targetPort": 5353, "protocol": "UDP"}
    run("node-a", LAB, "tcp-dns", [Part(program("dns", "--listen", "0.0.0.0:5353"), probe=PROBE)])
    run("node-b", LAB, "udp-dns", [Part(program("dns", "--datagrams", "0.0.0.0:5353"), probe=PROBE)])
    serve(service(LAB, "tcp-dns", {"app": "tcp-dns"}, udp), service(LAB, "udp-dns", {"app": "udp-dns"}, udp))

    serve(
        service(LAB, "typo", {"app": "wbe"}, {"port": 80, "targetPort": 8080}),
        service("shop", "crash", {"app": "crash"}, {"port": 80, "targetPort": 8080}),
        service("shop", "pull", {"app": "pull"}, {"port": 80, "targetPort": 8080}),
    )

    run("node-b", LAB, "unready", [web()._replace(ready=False)])
    serve(
        service(LAB, "unready", {"app": "unready"}, {"port": 80, "targetPort": 8080}, publishNotReadyAddresses=True),
        service(LAB, "ready", {"app": "web"}, {"port": 80, "targetPort": 8080}, publishNotReadyAddresses=True),
    )

    run("node-b", LAB, "far", [web()])
    for node in cluster.nodes:
        run(node, LAB, f"near-{node}", [web()], labels={"app": "near"})
    outside = {"type": "NodePort", "externalTrafficPolicy": "Local"}
    serve(
        service(LAB, "far", {"app": "far"}, {"port": 80, "targetPort": 8080, "nodePort": 30091}, **outside),
        service(LAB, "near", {"app": "near"}, {"port": 80, "targetPort": 8080, "nodePort": 30094}, **outside),
        service(
            LAB, "unprogrammed", {"app": "web"}, {"port": 80, "targetPort": 8080, "nodePort": 30092}, type="NodePort"
        ),
        service(
            LAB, "programmed", {"app": "web"}, {"port": 80, "targetPort": 8080, "nodePort": 30093}, type="NodePort"
        ),
    )

    build_moved(cluster)
    build_unseen(cluster)


def build_unseen(cluster: RealCluster) -> None:
    """Services of which nobody can say whether they answer: a redirect inside the pod, and a pod of node-c."""
    mesh = cluster.run("node-a", LAB, "mesh", [Part(httpd("app", "9090"), probe=PROBE)])
    redirect = "iptables -t nat -A PREROUTING -p tcp -j REDIRECT --to-ports 15001"
    real_pods.inside(cluster.nodes["node-a"], mesh, *redirect.split())
    for name in ("mesh", "away"):
        cluster.serve(service(LAB, name, {"app": name}, {"port": 80, "targetPort": 8080}))


def add_silent_node(cluster: RealCluster) -> None:
    """node-c, with two pods: a Node like any other, and no host of the play."""
    cluster.api.add("nodes", kube_objects.node("node-c", "192.0.2.4"))
    where = cluster.api.get("nodes", "", "node-c")
    for number, app in enumerate(("away", "near"), start=2):
        container = kube_objects.container("web", "registry.example/web:1", readinessProbe=PROBE)
        pod = kube_objects.pod(LAB, f"{app}-node-c", str(uuid.uuid4()), where, [container], app=app)
        address = f"10.244.2.{number}"
        pod["status"] |= {"podIP": address, "podIPs": [{"ip": address}]}
        cluster.api.add("pods", pod)


def build_moved(cluster: RealCluster) -> None:
    """A tag that was pushed again between two pods of one Deployment, and one that was not."""
    for name, tag, second in (("moved", MOVED, ("sleep", "2")), ("steady", STEADY, ("sleep", "1"))):
        container = RealContainer(name, ("/bin/httpd", "-f", "-p", "8080"), tag)
        deployment, replica_set = kube_objects.workload(LAB, name, [kube_objects.container(name, tag)], 2)
        cluster.api.add("deployments", deployment)
        cluster.api.add("replicasets", replica_set)
        for number, command in enumerate((("sleep", "1"), second)):
            cluster.nodes["node-a"].load(Image((tag,), command))
            part = Part(container, probe=PROBE)
            cluster.run("node-a", LAB, f"{name}-{number}", [part], labels={"app": name}, owner=replica_set)
        cluster.serve(service(LAB, name, {"app": name}, {"port": 80, "targetPort": 8080}))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("path")
    with (
        FakeApi() as api,
        ContainerdNode("node-a", folder) as node_a,
        EngineNode("node-b", folder, 1) as node_b,
    ):
        cluster = RealCluster(api)
        for node, address in ((node_a, "192.0.2.2"), (node_b, "192.0.2.3")):
            cluster.join(node, address, [images.POST, images.DISTROLESS])
        add_silent_node(cluster)
        cluster.run_captured("node-a")
        build(cluster)
        cluster.wait()
        known = [one for one in api.objects("services") if one["metadata"]["name"] != "unprogrammed"]
        for node in (node_a, node_b):
            kube_proxy_rules.load(node, known, api.objects("endpointslices"))
        inventory = node_a.inventory({"node-b": node_b.interpreter})
        kubeconfig = api.kubeconfig(folder / "kubeconfig")
        yield diagnose("-i", inventory, "-e", f"kubeconfig={kubeconfig}", *YOUNG)


# rule: the Services it has to fire on, by the severity of their findings, and those it has to be silent about
ROWS: dict[str, tuple[dict[str, str], set[str]]] = {
    "service-target-not-listening": (
        {"reddit-entry/ui": "critical", "shop/dns": "critical", "lab/half": "warning"},
        {"shop/front", "shop/local", "shop/hostnet", "lab/web", "lab/twins", "lab/dual", "lab/udp-dns"},
    ),
    "service-target-wrong-address": (
        {"lab/loopback": "critical", "lab/static": "critical"},
        {"lab/web", "shop/hostnet"},
    ),
    "service-target-wrong-family": ({"lab/six": "critical"}, {"lab/dual", "lab/web"}),
    "service-target-wrong-protocol": ({"lab/tcp-dns": "critical"}, {"lab/udp-dns"}),
    "service-named-port-missing": ({"shop/cart": "critical"}, {"shop/front", "lab/web"}),
    "service-without-endpoints": (
        {
            "default/kubernetes": "critical",  # its slice was not captured: that API server wrote none
            "shop/orphan": "warning",
            "lab/typo": "info",
            "shop/crash": "warning",
            "shop/pull": "warning",
        },
        {"lab/web", "shop/front", "lab/unready"},
    ),
    "service-local-policy-without-endpoint": (
        {"lab/far": "info", "shop/local": "info"},  # one node of three has an endpoint, as if it were set apart
        {"lab/near", "lab/programmed"},
    ),
    "service-publishes-not-ready": ({"lab/unready": "warning"}, {"lab/ready"}),
    "image-tag-moved": ({MOVED: "warning"}, {STEADY}),
}


def services_rules(run: Run) -> set[str]:
    return {rule for rule, told in run.document["rules"].items() if told["group"] == "services"}


def test_every_rule_of_the_group_has_its_row(run: Run):
    assert services_rules(run) == {*ROWS, "service-readiness-unproven", "nodeport-not-programmed"}


@pytest.mark.parametrize("rule", ROWS)
def test_a_rule_fires_on_what_is_sick(run: Run, rule: str):
    sick, _healthy = ROWS[rule]
    assert {finding["object"]: finding["severity"] for finding in run.findings(rule=rule)} == sick


@pytest.mark.parametrize("rule", ROWS)
def test_a_rule_says_nothing_of_what_is_healthy(run: Run, rule: str):
    _sick, healthy = ROWS[rule]
    assert not {finding["object"] for finding in run.document["findings"] if finding["rule"] == rule} & healthy


def test_the_wrong_image_is_seen_in_docker_too(run: Run):
    """Docker leaves docker.io out of names; that alone is no difference."""
    (found,) = [one for one in run.findings(rule="service-target-not-listening") if one["object"] == f"{LAB}/half"]
    ui, post = images.POST.names[1], images.POST.names[0].removeprefix("docker.io/")
    assert f"container half: the spec wants {ui}, the runtime says that it runs {post}" in found["evidence"]
    assert "50 %" in " ".join(found["evidence"])


@pytest.mark.parametrize("host", ["node-a", "node-b"])
def test_the_nodeport_that_no_rule_of_a_node_leads_from(run: Run, host: str):
    (found,) = run.findings(host, "nodeport-not-programmed")
    assert (found["object"], "30092/TCP" in found["title"]) == ("lab/unprogrammed", True)


def test_services_without_probes_are_one_finding(run: Run):
    """Of those whose pods answer: worse is told of ui."""
    (found,) = run.findings(rule="service-readiness-unproven")
    assert found["evidence"] == ["Service shop/hostnet: pod shop/hostnet"]


@pytest.mark.parametrize("rule", sorted(rule for rule in ROWS if rule.startswith("service-target-")))
def test_what_nobody_could_see_is_unknown_one_answer_a_reason(run: Run, rule: str):
    told = sorted(finding["explanation"] for finding in run.findings(rule=rule, status="unknown"))
    assert len(told) == 2
    assert "not among the hosts that were asked (node-c)" in told[0] + told[1]
    assert "redirected inside the pod's network" in told[0] + told[1]
    assert "pod lab/mesh" in told[0] + told[1]


def test_all_hosts_fail_by_the_role(run: Run):
    assert run.status == 2
    assert {host: run.recap(host)["failed"] for host in ("node-a", "node-b")} == {"node-a": 1, "node-b": 1}
    critical = {
        finding["object"] for finding in run.findings() if finding["rule"] in ROWS and finding["severity"] == "critical"
    }
    for subject in critical:
        assert run.stdout.count(f"Service {subject}") >= 2, subject  # in the report and by the role


def test_the_rules_of_kube_proxy_are_those_that_were_captured():
    """But for shop/orphan's NodePort, which was moved between the captures, and for what kube-proxy counts."""
    lists = [
        json.loads((CAPTURES / f"{plural}.json").read_text())["items"] for plural in ("services", "endpointslices")
    ]
    made = {line for lines in kube_proxy_rules.rules("node-a", *lists).values() for line in lines}
    captured = re.sub(r" -m nfacct --nfacct-name +\S+", "", CAPTURED_RULES.read_text()).replace("39999", "31999")
    assert made <= set(captured.splitlines())
