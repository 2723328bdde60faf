# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import Case
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.service_scene import (
    HOSTILE,
    cluster,
    container,
    digest,
    listens,
    made,
    made_of,
    on_node_a,
    only,
    pod,
    port,
    replica_set,
    seen_of,
    service,
    target_unknowns,
    without,
)

UI = service("ui", port(9292, node_port=32530))
STATIC = "1403dda53affdfee1130475a6d9609da"  # what kubelet makes of a manifest, and the API does not know
WRONG, RIGHT = "docker.io/shop/post:2", "docker.io/shop/ui:1"
PATCH = (
    "kubectl -n shop patch service ui --type=json -p '"
    '[{"op": "test", "path": "/spec/ports/0/targetPort", "value": 9292}, {"op": "replace", "path": "/spec/ports/0/targetPort", "value": 5000}]\''
)
PROBE = (
    'kubectl -n reddit-entry patch deployment ui -p \'{"spec": {"template": {"spec": {"containers": [{"name": "ui", "readinessProbe": '
    '{"tcpSocket": {"port": 9292}, "periodSeconds": 10}}]}}}}\''
)
UNDO_1 = "kubectl -n shop rollout undo deployment/ui --to-revision=1"
HISTORY = "kubectl -n shop rollout history deployment/ui"
QUESTION = "which pipeline pushed this tag"
AGAIN = "so that it does not happen again: "


def ui(**fields):
    """A container of ui that runs what is another program's image for the runtime."""
    return container("ui", **{"image": "docker.io/shop/ui:2", "runtime_image": WRONG, **fields})


def three(*pods, **options):
    """Three pods of ui, of which the last two answer where the Service wants it."""
    return made(UI, *pods, pod("ui-2", listens(9292)), pod("ui-3", listens(9292)), **options)


def rolled_out(*more, change=None):
    """Revision 2 has another image than revision 1, and does not listen."""
    return made(UI, pod("ui-2", listens(5000), revision=2, containers=[container("ui", WRONG)]), *more, change=change)


def with_replica_sets(*more):
    return lambda document: {**document, "replica_sets": [*document["replica_sets"], *more]}


def cannot_read(kind, why="403 Forbidden"):
    return lambda document: without(kind, why, document)


def shown(*names, age=3600.0):
    """What a node shows of a pod of which just these containers have processes."""
    return {"containers": [{"id": "a" * 64, "name": name, "image": None, "age_seconds": age} for name in names]}


def stopped(name, state, reason=None):
    """A container that does not run for the API."""
    made_container = container(name)
    return {**made_container, "status": {**made_container["status"], "state": state, "reason": reason}}


def one_image(pod_name, image, runtime_image):
    """A pod that does not listen, whose image has another name for the runtime."""
    return pod(
        pod_name, listens(5000), containers=[container("ui", image, runtime_image=runtime_image, image_id=digest("x"))]
    )


def local(field, **fields):
    return service("ui", port(9292, node_port=32530), **{field: "Local", **fields})


def owned_by(kind, name="ui"):
    return {"owner": {"kind": kind, "name": name, "uid": "owner"}}


CAPTURED_UI = on_node_a(of=only("ui", "front", "local", of=cluster()))

CASES = [
    # The captured cluster
    Case(
        "seed 004 on the captured cluster: five signals, and one finding",
        "fail",
        CAPTURED_UI,
        None,
        "critical",
        words=(
            "Service reddit-entry/ui, NodePort 32530/TCP refuses connections: its 2 pods listen on 5000, and nobody on 9292, which the Service wants",
            "port 9292/TCP, NodePort 32530 leads to 9292 in the pods: 2 endpoints in use, none of them answers",
            "pod reddit-entry/ui-5b667475f5-7r54x on node-a, 10.244.0.19:9292: it listens on [::]:5000/tcp (process httpd, container ui)",
            "endpoints are complete: the API calls all these pods ready",
            "no container of these pods has a readiness probe",
            "container ui of 2 pods: the spec wants docker.io/reddit/ui:f5393576, the runtime says that it runs docker.io/reddit/post:f5393576",
            "is the same image (sha256:92f0e4a968e6…) that Deployment reddit-entry/post, Deployment shop/front run as docker.io/reddit/post:f5393576",
            "one image under several names on node-a: docker.io/reddit/ui:f5393576 is also docker.io/reddit/post:f5393576",
            "5000/TCP, on which these pods listen (httpd), is what Service shop/front, Service shop/local want; other pods answer there",
            "docker.io/reddit/ui:f5393576 is named by a tag, and imagePullPolicy is IfNotPresent",
            "What was seen of the images speaks for another program in them than their name tells",
            QUESTION,
            f"{AGAIN}give container ui a readinessProbe on port 9292",
            f"{AGAIN}name images by their digest",
            f"{AGAIN}build with one parametrised pipeline (APP_NAME)",
            "the right to push to its own repositories only",
        ),
        absent=("roll Deployment",),
        commands=(
            "kubectl -n reddit-entry logs ui-5b667475f5-7r54x -c ui --tail=20",
            PATCH.replace("shop", "reddit-entry"),
            PROBE,
        ),
        causes=(),
    ),
    Case(
        "UDP and TCP on one NodePort of the captured cluster, and pods that answer other Services",
        "fail",
        on_node_a(of=only("dns", "front")),
        None,
        "critical",
        words=(
            "Service shop/dns, NodePort 30053/UDP and 30053/TCP reaches nobody: its 2 pods listen on 5000/TCP, and nobody on 5353/UDP and 5353/TCP",
            "To UDP packets the pod answers with an ICMP error at best",
            "127.0.0.1:9000/tcp (process httpd, container side)",
            "these pods do answer Service shop/front, port 80/TCP (web), NodePort 30080",
            "the program is rather the right one",
            "container front has a readiness probe, and the pods are ready all the same: what it asks was not read",
            "let it listen on 5353/UDP and 5353/TCP, or correct the targetPort or the selector of the Service",
        ),
        absent=("the spec wants", "same image", QUESTION, "by their digest"),
    ),
    Case("the healthy ones of the captured cluster", "pass", on_node_a(of=only("front", "local")), None),
    Case(
        "the healthy twin of the captured one",
        "pass",
        on_node_a(
            *(
                seen_of(name, listeners=[listens(9292, "::")])
                for name in ("ui-5b667475f5-7r54x", "ui-5b667475f5-dwnb9")
            ),
            of=only("ui"),
        ),
        None,
    ),
    # What fails, and how much of it
    Case(
        "a Service without NodePort",
        "fail",
        made(service("ui", port(80, 9292)), pod("ui-1", listens(5000))),
        None,
        "critical",
        words=(
            "Service shop/ui, port 80/TCP refuses connections: its pod listens on 5000, and nobody on 9292",
            "endpoints are complete: the API calls this pod ready",
        ),
    ),
    Case(
        "UDP",
        "fail",
        made(service("ui", port(53, 5353, protocol="UDP")), pod("ui-1", listens(5354, protocol="udp"), listens(80))),
        None,
        "critical",
        words=(
            "Service shop/ui, port 53/UDP gives no answer: its pod listens on 5354/UDP, and nobody on 5353/UDP",
            "a readinessProbe of type exec that asks 5353/UDP (kubelet itself asks over TCP only)",
        ),
        commands=(PATCH.replace("9292", "5353").replace("5000", "5354"),),
    ),
    Case(
        "a UDP socket that only sends is no place to send packets to",
        "fail",
        made(service("ui", port(53, 5353, protocol="UDP")), pod("ui-1", listens(40000, protocol="udp"))),
        None,
        words=("let it listen on 5353/UDP, or correct the targetPort",),
        absent=("let the Service want",),
    ),
    Case(
        "nobody listens on anything",
        "fail",
        made(UI, pod("ui-1")),
        None,
        "critical",
        words=(
            "its pod listens on no TCP port at all, and the Service wants 9292",
            "10.244.0.10:9292: it listens on no port at all",
        ),
        absent=("let the Service want",),
    ),
    Case(
        "only on another port of loopback",
        "fail",
        made(UI, pod("ui-1", listens(9000, "127.0.0.1"))),
        None,
        words=("its pod listens on 127.0.0.1:9000, and nobody on 9292",),
        absent=("let the Service want",),
    ),
    Case(
        "one of three pods",
        "fail",
        three(pod("ui-1", listens(5000))),
        None,
        "warning",
        words=(
            "Service shop/ui, NodePort 32530/TCP refuses a part of its connections: 1 of its 3 pods listens on 5000, and nobody on 9292",
            "3 endpoints in use, 2 of them answer: where each endpoint gets as many as the next (no session affinity, no topology hints), 33 % of new",
        ),
        absent=("let the Service want",),
    ),
    Case(
        "two of five were seen",
        "fail",
        made(
            UI,
            pod("ui-1", listens(5000)),
            pod("ui-2", listens(5000)),
            *(pod(f"ui-{number}", node="node-b") for number in (3, 4, 5)),
            silent={"node-b": "timed out"},
        ),
        None,
        "critical",
        words=(
            "2 of its 5 pods (2 were seen) listen on 5000",
            "2 of 5 endpoints in use were seen, none of them answers",
        ),
        absent=("let the Service want",),
    ),
    Case(
        "some answer, some do not, one was not seen",
        "fail",
        three(pod("ui-1", listens(5000)), pod("ui-4", node="node-b"), unasked=["node-b"]),
        None,
        "warning",
        words=(
            "1 of its 4 pods (3 were seen) listens",
            "2 of them answer: where each",
            "at least 25 % of new connections fail",
        ),
    ),
    Case(
        "one of two ports",
        "fail",
        made(
            service("ui", port(80, 8080, name="web"), port(9100, name="metrics")),
            pod("ui-1", listens(8080)),
            pod("ui-2", listens(8080)),
        ),
        None,
        "warning",
        words=(
            "Service shop/ui, port 9100/TCP refuses connections",
            "these pods do answer Service shop/ui, port 80/TCP (web)",
        ),
        absent=("let the Service want", "port 80/TCP leads"),
    ),
    Case(
        "many pods",
        "fail",
        made(UI, *(pod(f"ui-{number}", listens(5000)) for number in range(8))),
        None,
        "critical",
        words=("its 8 pods listen on 5000", "and 3 more pods of which the same is true", "container ui of 8 pods"),
    ),
    Case(
        "pods that listen on different ports",
        "fail",
        made(UI, pod("ui-1", listens(5000)), pod("ui-2", listens(6000))),
        None,
        "critical",
        words=("its 2 pods listen on 5000 and 6000, and nobody on 9292",),
        absent=("let the Service want",),
    ),
    Case(
        "a name that stands for different numbers",
        "fail",
        made(
            service("ui", port(80, "web", node_port=32530)),
            pod("ui-1", listens(5000), containers=[container("ui", ports=[("web", 8080)])]),
            pod("ui-2", listens(5000), containers=[container("ui", ports=[("web", 8081)])]),
        ),
        None,
        "critical",
        words=(
            "nobody on 8080 and 8081, which the Service wants",
            "NodePort 32530 leads to 8080, 8081 (web) in the pods",
        ),
        commands=(PATCH.replace("9292", '"web"'),),
    ),
    Case(
        "two families, one fault",
        "fail",
        made(service("ui", port(9292), families=("IPv4", "IPv6")), pod("ui-1", listens(5000, "::"))),
        None,
        "critical",
        words=("its pod listens on 5000, and nobody on 9292", "2 endpoints in use, none of them answers"),
    ),
    Case(
        "a pod that goes away, and is in use because none is ready",
        "unknown",
        made(UI, pod("ui-1", listens(5000), api={"deleting": True})),
        None,
        words=(
            "could not be judged: it is being ended, and what ends closes its ports before it goes (pod shop/ui-1)",
        ),
    ),
    Case(
        "publishNotReadyAddresses",
        "fail",
        made(
            service("ui", port(9292), publish_not_ready_addresses=True),
            pod("ui-1", listens(5000), ready=False, containers=[container("ui", probes=["readiness"])]),
        ),
        None,
        words=(
            "publishNotReadyAddresses is set: the API calls every pod of this Service ready, whatever its probes say",
        ),
        absent=("endpoints are complete",),
    ),
    Case(
        "a readiness probe that asks something else",
        "fail",
        made(UI, pod("ui-1", listens(5000), containers=[container("ui", probes=["readiness"])])),
        None,
        words=(
            "container ui has a readiness probe, and the pods are ready all the same",
            "than this port from outside, or not have failed as often yet as its failureThreshold wants",
            "let the readinessProbe of container ui ask port 9292",
        ),
        absent=("has a readiness probe: kubelet calls",),
    ),
    # Between the API's answer and the node's
    Case(
        "only the sandbox is left",
        "unknown",
        made(UI, pod("ui-1", seen=shown("POD"))),
        None,
        words=("its node shows no process of one of its containers, which may be ended or begun anew at this moment",),
    ),
    Case(
        "only the sandbox is left, and pods may not be read",
        "unknown",
        made(UI, pod("ui-1", seen=shown("POD")), change=cannot_read("pods")),
        None,
        words=("its node shows no process of any of its containers",),
    ),
    Case(
        "only something without a name is left",
        "unknown",
        made(UI, pod("ui-1", seen=shown(None))),
        None,
        words=("not all of its containers have a name on its node",),
    ),
    Case(
        "the container begins anew, and its sidecar runs on",
        "unknown",
        made(UI, pod("ui-1", listens(15090), containers=[container("ui"), container("side")], seen=shown("side"))),
        None,
        words=("its node shows no process of one of its containers",),
    ),
    Case(
        "a native sidecar is not there",
        "unknown",
        made(UI, pod("ui-1", containers=[container("ui"), container("side", kind="sidecar")], seen=shown("ui"))),
        None,
        words=("its node shows no process of one of its containers",),
    ),
    Case(
        "an init container need not be there",
        "fail",
        made(UI, pod("ui-1", containers=[container("ui"), container("init", kind="init")], seen=shown("ui", "POD"))),
        None,
        "critical",
    ),
    *(
        Case(
            f"a container that is {state} for the API, and is in use because its Service publishes it",
            "unknown",
            made(
                service("ui", port(9292), publish_not_ready_addresses=True),
                pod("ui-1", listens(5000), ready=False, containers=[stopped("ui", state)]),
            ),
            None,
            words=("one of its containers did not run when the API was asked (pod shop/ui-1)",),
        )
        for state in ("waiting", "terminated")
    ),
    Case(
        "one that begins anew, and one that does not answer for sure",
        "fail",
        made(UI, pod("ui-1", seen=shown("POD")), pod("ui-2", listens(5000))),
        None,
        "critical",
        words=("1 of its 2 pods (1 were seen) listens on 5000",),
    ),
    Case(
        "a pod that goes away, and answers still",
        "pass",
        made(UI, pod("ui-1", listens(9292), api={"deleting": True})),
        None,
    ),
    Case(
        "a virtual machine has the pod's address",
        "unknown",
        made(UI, pod("ui-1", listens(5000), seen={"addresses": []})),
        None,
        words=("the endpoint's address is none of those in the pod's network as its node shows it",),
    ),
    Case(
        "a virtual machine has the pod's address, and its launcher has another one",
        "unknown",
        made(UI, pod("ui-1", listens(9292), seen={"addresses": ["10.0.2.1"]})),
        None,
        words=("whoever answers is elsewhere (a virtual machine",),
    ),
    # Policies by which not all nodes have all endpoints
    Case(
        "externalTrafficPolicy Local: all that comes to one node fails",
        "fail",
        made(
            local("external_traffic_policy"),
            pod("ui-1", listens(9292)),
            pod("ui-2", listens(5000), node="node-b"),
            pod("ui-3", listens(9292), node="node-c"),
        ),
        None,
        "warning",
        words=(
            "2 of them answer: how many connections fail depends on the node",
            "externalTrafficPolicy Local: a node gives what comes to it from outside to endpoints of its own only, and no endpoint on node-b",
            "on node-b answers: there all of these connections fail",
        ),
        absent=("%",),
    ),
    Case(
        "internalTrafficPolicy Local, and each node has one that answers",
        "fail",
        made(
            service("ui", port(9292), internal_traffic_policy="Local"),
            pod("ui-1", listens(9292)),
            pod("ui-2", listens(5000)),
        ),
        None,
        "warning",
        words=("how many connections fail depends on the node",),
        absent=("%", "a node gives"),
    ),
    Case(
        "internalTrafficPolicy Local, and one node was not seen whole",
        "fail",
        made(
            service("ui", port(9292), internal_traffic_policy="Local"),
            pod("ui-1", listens(9292)),
            pod("ui-2", listens(5000), node="node-b"),
            pod("ui-3", node="node-b", seen=None),
            pod("ui-4", listens(5000), node="node-c"),
        ),
        None,
        words=("a node gives what its own pods send to endpoints of its own only, and no endpoint on node-c answers",),
        absent=("node-b answers", "node-b, node-c"),
    ),
    Case(
        "externalTrafficPolicy Local of a Service that nobody reaches from outside",
        "fail",
        made(
            service("ui", port(9292), external_traffic_policy="Local"),
            pod("ui-1", listens(9292)),
            pod("ui-2", listens(5000)),
        ),
        None,
        words=("50 % of new connections fail",),
    ),
    # A leader
    Case(
        "one of three pods of one image answers",
        "fail",
        made(UI, pod("ui-1", listens(9292)), pod("ui-2", listens(8081)), pod("ui-3", listens(8081))),
        None,
        "warning",
        words=(
            "One pod answers, and the others run the same image: it looks the same where only an elected leader listens",
            "if only an elected leader listens: let the others be not ready",
        ),
    ),
    Case(
        "two of three pods answer: that is no election",
        "fail",
        three(pod("ui-1", listens(5000))),
        None,
        "warning",
        absent=("elected leader",),
    ),
    Case(
        "one pod answers, and the other has another image",
        "fail",
        made(UI, pod("ui-1", listens(9292)), pod("ui-2", containers=[container("ui", "docker.io/shop/ui:2")])),
        None,
        "warning",
        absent=("elected leader",),
    ),
    Case(
        "one pod answers, and pods may not be read",
        "fail",
        made(UI, pod("ui-1", listens(9292)), pod("ui-2", listens(8081)), change=cannot_read("pods")),
        None,
        "warning",
        words=("elected leader",),
    ),
    # Names that a mirror or a promotion gives to one program
    *(
        Case(
            f"one program under two names: {name}",
            "fail",
            made(UI, one_image("ui-1", name, told)),
            None,
            words=(f"the spec wants {name}, the runtime says that it runs {told}",),
            absent=("What was seen of the images",),
        )
        for name, told in (
            ("quay.io/team/ui:1", "mirror.example/team-ui:1"),
            ("gcr.io/shop/ui-prod:1", "gcr.io/shop/ui-dev:1"),
            ("docker.io/rancher/mirrored-ui-ui:1", "docker.io/ui/ui:1"),
        )
    ),
    # Whose network, whose pod
    Case(
        "a pod in its host's network, and nobody of the host listens there either",
        "fail",
        made(UI, pod("ui-1", listens(5000), host_network=True)),
        None,
        "critical",
        words=("pod shop/ui-1 on node-a, in the network of its host, 192.0.2.2:9292: it listens on 0.0.0.0:5000/tcp",),
    ),
    Case(
        "a pod in its host's network that answers",
        "pass",
        made(UI, pod("ui-1", listens(9292), host_network=True)),
        None,
    ),
    Case(
        "a static pod, which has another uid in the API, and answers",
        "pass",
        made(
            UI,
            pod("ui-node-a", listens(9292), app="ui", api={"mirror": True}, seen={"uid": STATIC}),
        ),
        None,
    ),
    Case(
        "a static pod that does not answer",
        "fail",
        made(
            UI,
            pod(
                "ui-node-a",
                listens(5000),
                app="ui",
                api={"mirror": True, "owner": None},
                seen={"uid": STATIC},
            ),
        ),
        None,
        words=(
            "pod shop/ui-node-a on node-a, 10.244.0.10:9292: it listens on 0.0.0.0:5000/tcp (process python3, container ui)",
        ),
        absent=("roll ", "patch deployment"),
    ),
    Case(
        "somebody listens whose process is not seen",
        "fail",
        made(UI, pod("ui-1", listens(5000, process=None, container=None))),
        None,
        words=("it listens on 0.0.0.0:5000/tcp (process not seen)",),
    ),
    Case(
        "a container that has run for long enough, by the operator's choice",
        "fail",
        made(UI, pod("ui-1", listens(5000), age=30.0), thresholds={"service_target_start_seconds": 30}),
        None,
    ),
    # What was not seen of the API
    Case(
        "pods may not be read",
        "fail",
        on_node_a(of=only("ui", of=without("pods"))),
        None,
        "critical",
        words=(
            "its 2 pods listen on 5000, and nobody on 9292",
            "whether these pods have readiness probes was not seen (Pods: pods is forbidden",
            "whether the image is the right one was not seen: the pods' specs are not known (Pods: pods is forbidden",
            "container ui: the runtime says that it runs docker.io/reddit/post:f5393576",
        ),
        absent=("the spec wants", "roll Deployment"),
        commands=("kubectl -n reddit-entry logs ui-5b667475f5-7r54x -c ui --tail=20",),
    ),
    Case(
        "only the pods of some nodes were read",
        "fail",
        on_node_a(of=only("ui", of=cluster(pods_of=["node-a"]))),
        None,
        words=("images were compared among the pods of 1 node only",),
    ),
    # The image
    Case(
        "a mirror has another registry, and the same name: told, but not suspected",
        "fail",
        made(
            UI,
            pod(
                "ui-1",
                listens(5000),
                containers=[container("ui", "mirror.example:5000/shop/ui:1", runtime_image="docker.io/shop/ui:1")],
            ),
        ),
        None,
        words=("the spec wants mirror.example:5000/shop/ui:1, the runtime says that it runs docker.io/shop/ui:1",),
        absent=("What was seen of the images",),
        commands=(PATCH,),
    ),
    Case(
        "a registry with a port, no tag, and names that mean the same",
        "fail",
        made(
            UI,
            pod(
                "ui-1",
                listens(5000),
                containers=[
                    container(
                        "ui", "registry.example:5000/shop/ui", runtime_image="registry.example:5000/shop/ui:latest"
                    ),
                    container("side", "nginx:1", runtime_image="index.docker.io/library/nginx:1"),
                    container("other", "nginx:1", runtime_image=digest("nginx")),
                ],
            ),
        ),
        None,
        absent=("the spec wants", "What was seen of the images"),
        commands=("kubectl -n shop logs ui-1 -c ui --tail=20",),
    ),
    Case(
        "the image of another workload, known by its digest; the runtime tells no name",
        "fail",
        made_of(
            [UI],
            [
                pod(
                    "ui-1",
                    listens(5000),
                    containers=[container("ui", RIGHT, runtime_image=digest("x"), image_id=digest("x"))],
                ),
                pod("post-1", listens(5000), containers=[container("post", WRONG, image_id=digest("x"))]),
            ],
        ),
        None,
        words=(
            f"{RIGHT} is the same image (",
            f"that Deployment shop/post runs as {WRONG}",
            "What was seen of the images speaks",
        ),
    ),
    Case(
        "one tag, two images: the pods that answer have the one, the others the other",
        "fail",
        made(
            UI,
            pod("ui-1", listens(9292), containers=[container("ui", image_id=digest("old"))]),
            pod("ui-2", listens(5000), containers=[container("ui", image_id=digest("new"))], node="node-b"),
        ),
        None,
        "warning",
        words=(
            "docker.io/shop/ui:1 is not one image: sha256:",
            "in pod shop/ui-1",
            "; the pods that answer have another one than those that do not",
            "What was seen of the images speaks",
        ),
    ),
    Case(
        "the process is what another Service of the namespace wants, and the spec says nothing of ports",
        "fail",
        made_of(
            [UI, service("post", port(5000))],
            [pod("ui-1", listens(5000)), pod("post-1", listens(5000))],
        ),
        None,
        words=(
            "5000/TCP, on which these pods listen (python3), is what Service shop/post wants; other pods answer there",
        ),
        absent=("What was seen of the images speaks",),
        commands=(PATCH,),
    ),
    Case(
        "the same, but the spec says that the program listens there: the Service is the first to look at",
        "fail",
        made_of(
            [UI, service("post", port(5000))],
            [
                pod("ui-1", listens(5000), containers=[container("ui", ports=[("http", 5000)])]),
                pod("post-1", listens(5000)),
            ],
        ),
        None,
        words=("is what Service shop/post wants",),
        absent=("What was seen of the images speaks",),
        commands=(PATCH,),
    ),
    Case(
        "a port that everybody wants says nothing",
        "fail",
        made_of(
            [UI, *(service(f"other{number}", port(5000)) for number in range(6))],
            [pod("ui-1", listens(5000)), *(pod(f"other{number}-1", listens(5000)) for number in range(6))],
        ),
        None,
        absent=("on which these pods listen",),
    ),
    Case(
        "an image by its digest, and one that is asked for each time",
        "fail",
        made(
            UI,
            pod(
                "ui-1", listens(5000), containers=[container("ui", f"{RIGHT}@{digest('x')}", runtime_image=digest("x"))]
            ),
            pod("ui-2", listens(5000), containers=[container("ui", pull_policy="Always")]),
        ),
        None,
        absent=("is named by a tag", "the spec wants"),
    ),
    # Rolling back
    Case(
        "a pod of the revision before answers",
        "fail",
        rolled_out(pod("ui-1", listens(9292), containers=[container("ui", RIGHT)])),
        None,
        "warning",
        words=(
            "roll Deployment shop/ui back to revision 1: its pod shop/ui-1 listens on 9292",
            f"pods of Deployment shop/ui with {RIGHT} answer",
        ),
        commands=(UNDO_1, f"{HISTORY} --revision=1", f"kubectl -n shop set image deployment/ui ui={RIGHT}"),
    ),
    Case(
        "the revision before has no pods any more",
        "fail",
        rolled_out(change=with_replica_sets(replica_set("ui", 1, ui=RIGHT))),
        None,
        "critical",
        words=(f"back to revision 1, the last one with another image ({RIGHT}); whether it listened was not seen",),
        absent=("pods of Deployment shop/ui with",),
        commands=(UNDO_1,),
    ),
    Case(
        "the revision before had the same image",
        "fail",
        rolled_out(change=with_replica_sets(replica_set("ui", 1, ui=WRONG))),
        None,
        absent=("roll Deployment",),
    ),
    Case(
        "the new pods answer, an old one does not any more: nothing to roll back",
        "fail",
        made(
            UI,
            pod("ui-1", listens(5000), containers=[container("ui", WRONG)]),
            pod("ui-2", listens(9292), revision=2, containers=[container("ui", RIGHT)]),
        ),
        None,
        "warning",
        absent=("roll Deployment",),
    ),
    Case(
        "ReplicaSets may not be read",
        "fail",
        rolled_out(change=cannot_read("replica_sets")),
        None,
        words=("roll Deployment shop/ui back: its history shows the revisions",),
        commands=(HISTORY,),
    ),
    Case(
        "a StatefulSet",
        "fail",
        made(UI, pod("ui-0", listens(5000), api=owned_by("StatefulSet"))),
        None,
        commands=("kubectl -n shop rollout history statefulset/ui",),
    ),
    Case(
        "a kind that kubectl does not roll out",
        "fail",
        made(UI, pod("ui-0", listens(5000), api=owned_by("Rollout"))),
        None,
        absent=("roll ",),
    ),
    Case(
        "more than one image was changed: back by hand, with both",
        "fail",
        made(
            UI,
            pod("ui-2", listens(5000), revision=2, containers=[container("ui", WRONG), container("side", "side:2")]),
            pod("ui-1", listens(9292), containers=[container("ui", RIGHT), container("side", "side:1")]),
        ),
        None,
        absent=("pods of Deployment shop/ui with",),
        commands=(UNDO_1,),
    ),
    # Hostile data
    Case(
        "hostile names everywhere",
        "fail",
        made_of(
            [
                {
                    **service(HOSTILE, port(9292, node_port=32530, name=HOSTILE), namespace=HOSTILE),
                    "selector": {"app": "ui"},
                }
            ],
            [
                pod(
                    f"ui{HOSTILE}-1",
                    listens(5000, process=HOSTILE),
                    app="ui",
                    namespace=HOSTILE,
                    containers=[container(HOSTILE, HOSTILE, runtime_image=f"x{HOSTILE}", ports=[(HOSTILE, 1)])],
                ),
            ],
        ),
        None,
        "critical",
        absent=("kubectl -n",),
    ),
    Case(
        "names that kubectl would take for options",
        "fail",
        made(
            service("-o", port(9292), selector={"app": "ui"}),
            pod("-ui-1", listens(5000), app="ui", containers=[container("-c")], api=owned_by("Deployment", "--all")),
        ),
        None,
    ),
    *target_unknowns(),
]
