# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.container_scene import (
    API,
    HOSTILE,
    SUBJECT,
    attempt,
    conflict,
    group,
    id_of,
    inversion,
    logs,
    lost,
    no_node,
    no_runtime,
    not_created,
    on_node,
    pod_log,
    refused,
    reserved,
    sandbox_not_created,
    scene,
    section,
    snapshot,
)
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    Scene,
    captured,
    changed,
    kubernetes_136,
    live,
    unknowns,
    with_socket,
)

HOST = "node-a"
REFUSES = "etcd refuses connections of kube-apiserver"
LIVES_ON = "etcd refused connections of kube-apiserver, which lives on"
LAST_WORDS = "kube-apiserver does not run, and its last words were that etcd refused it"
NOT_KNOWN = "Whether other addresses of --etcd-servers answered is not known."
ECHO = '"connection refused" by etcd in the log of kube-apiserver is an echo of an instance that is gone, and not the cause'
NOBODY = "127.0.0.1:2379: nothing listens there now"
RUNS = attempt(24, "running", created=9000)
BEFORE = attempt(23, created=20000, ended=10000)
ETCD = {"pod": "etcd-node-a"}
DEAD_ETCD = group("etcd", attempt(3, created=900, ended=400), **ETCD)


def api(*instances, others=()):
    return section(group(API, *instances), *others)


def beside(*entries):
    """node-a, and node-b, which has another address."""
    names = ("host.hostname", "node-b", "host.addresses.0.address", "192.0.2.3")
    return Scene({HOST: snapshot(api(RUNS), *entries), "node-b": changed(captured("node-a"), *names)}, kubernetes_136())


def listening(containers, *entries, **fields):
    """The same, and etcd listens."""
    socket = {"address": "127.0.0.1", "port": 2379, "state": "listen", **fields}
    return on_node(with_socket(snapshot(containers, *entries), "etcd", **socket))


# The dead attempt 24 was created before the dead attempt 23, which kubelet takes for the latest.
NAME_TAKEN = api(attempt(23, created=900, ended=300), attempt(24, created=1200, ended=1000))

CASES = [
    # It goes on
    Case(
        "by the instance that runs now",
        "fail",
        scene(api(RUNS), refused(24, count=80, first=300)),
        HOST,
        "critical",
        words=(
            REFUSES,
            NOBODY,
            NOT_KNOWN,
            f"the log of {SUBJECT} (attempt 24), 80 times, 2026-11-21T07:55:00Z to 2026-11-21T07:59:30Z (30 s before the look)",
            f"said by: attempt 24, {id_of(24)}, running since",
            "compare --etcd-servers",
        ),
        absent=("runs now:", "echo"),
        commands=("ss -tlnp sport = :2379",),
        causes=(),
    ),
    Case(
        "because etcd has ended",
        "fail",
        scene(api(RUNS, others=[DEAD_ETCD]), refused(24)),
        HOST,
        "critical",
        causes=("etcd-not-running",),
    ),
    Case(
        "because etcd cannot be created",
        "fail",
        scene(
            api(RUNS, others=[group("etcd", attempt(4, "created", created=200), attempt(3, created=150), **ETCD)]),
            refused(24),
            conflict("etcd", 4, who=ETCD),
            not_created("etcd", who=ETCD),
        ),
        HOST,
        causes=("etcd-not-running",),
    ),
    Case(
        "an etcd of another machine",
        "fail",
        scene(api(RUNS, others=[DEAD_ETCD]), refused(24, "192.0.2.77:2379")),
        HOST,
        "warning",
        words=(
            REFUSES,
            "Connections to 1 address (192.0.2.77:2379) were refused",
            NOT_KNOWN,
            "192.0.2.77:2379: 192.0.2.77 is no address of this host: look there",
            "look on the machine that has 192.0.2.77 who listens on port 2379",
        ),
        absent=("on this host",),
        causes=(),
    ),
    Case(
        "an etcd of another audited host",
        "fail",
        beside(refused(24, "192.0.2.3:2379")),
        HOST,
        "warning",
        words=("(it is an address of node-b)", "look on node-b who listens on port 2379"),
        absent=("that has 192.0.2.3",),
    ),
    Case(
        "several etcds of other machines",
        "fail",
        scene(api(RUNS), *(refused(24, f"192.0.2.{number}:2379") for number in (77, 78, 79, 80))),
        HOST,
        "critical",
        words=(
            "Connections to 4 addresses (192.0.2.77:2379, 192.0.2.78:2379, 192.0.2.79:2379 and 1 more) were refused",
        ),
        causes=(),
    ),
    Case(
        "one of several members was refused a while ago, and the API server lives on",
        "fail",
        scene(api(RUNS), refused(24, "192.0.2.77:2379", last=200, count=3)),
        HOST,
        "warning",
        words=(LIVES_ON, "It has lived on for 3 min since, longer than a start without etcd takes", NOT_KNOWN),
    ),
    Case(
        "just longer than a start", "fail", scene(api(RUNS), refused(24, last=61)), HOST, "warning", words=(LIVES_ON,)
    ),
    Case("just a start", "fail", scene(api(RUNS), refused(24, last=60)), HOST, "critical", words=(REFUSES,)),
    Case(
        "the only etcd of kops, which listens on another port",
        "fail",
        scene(api(RUNS, others=[DEAD_ETCD]), refused(24, "127.0.0.1:4001")),
        HOST,
        "critical",
        words=("look on this host who listens on port 4001",),
        commands=("ss -tlnp sport = :4001",),
        absent=("2379",),
        causes=(),
    ),
    Case(
        "the etcd of kops for events",
        "fail",
        scene(api(RUNS), refused(24, "127.0.0.1:4002")),
        HOST,
        "warning",
        words=("the etcd for events refuses connections of kube-apiserver", "Meanwhile events are not stored"),
        absent=("answers nothing",),
        commands=("ss -tlnp sport = :4002",),
    ),
    Case(
        "the etcd for events, and the other one",
        "fail",
        scene(api(RUNS), refused(24, "127.0.0.1:4002"), refused(24, "127.0.0.1:4001")),
        HOST,
        "critical",
        words=(REFUSES, "to 2 addresses (127.0.0.1:4002, 127.0.0.1:4001) were"),
        commands=("ss -tlnp sport = :4001", "ss -tlnp sport = :4002"),
    ),
    Case(
        "because the sandbox of etcd cannot be created",
        "fail",
        scene(
            section(
                group(API, RUNS, runtime="containerd"),
                group("etcd", attempt(3, created=9000, ended=800), runtime="containerd", **ETCD),
                group("POD", attempt(1, created=9001, ended=799), runtime="containerd", **ETCD),
                runtime="containerd",
            ),
            reserved("POD", 2, id_of(55), who=ETCD, count=40, first=700, last=10),
            refused(24),
        ),
        HOST,
        causes=("etcd-not-running",),
    ),
    Case(
        "an address of the node",
        "fail",
        scene(api(RUNS, others=[DEAD_ETCD]), refused(24, "192.0.2.2:2379")),
        HOST,
        words=("192.0.2.2:2379: nothing listens there now",),
        causes=("etcd-not-running",),
    ),
    Case(
        "IPv6",
        "fail",
        scene(api(RUNS), refused(24, "[::1]:2379")),
        HOST,
        words=("[::1]:2379: nothing listens there now",),
    ),
    Case(
        "something listens on IPv6 only",
        "fail",
        listening(api(RUNS), refused(24), address="::1", family="ipv6"),
        HOST,
        "critical",
        words=(NOBODY,),
    ),
    Case(
        "something listens on all addresses of IPv6 and on none of IPv4",
        "fail",
        listening(api(RUNS), refused(24), address="::", family="ipv6", v6only=True),
        HOST,
        "critical",
    ),
    Case(
        "by a program in k3s",
        "fail",
        scene(api(), refused(0, log=None, unit="k3s.service")),
        HOST,
        "critical",
        words=(REFUSES, "k3s.service, once"),
        causes=(),
    ),
    Case(
        "the listeners were not collected",
        "fail",
        on_node(changed(snapshot(api(RUNS, others=[DEAD_ETCD]), refused(24)), "listen_ports", lost("listeners"))),
        HOST,
        "critical",
        words=("whether something listens there now could not be seen (listeners: the budget",),
        causes=("etcd-not-running",),
    ),
    Case(
        "the containers were not collected",
        "fail",
        scene(lost("containers"), refused(24)),
        HOST,
        "critical",
        words=(REFUSES, NOBODY),
        absent=("said by",),
    ),
    Case(
        "of a pod that is not among the containers",
        "fail",
        scene(section(truncated=1), refused(24)),
        HOST,
        "critical",
    ),
    Case(
        "a name instead of an address",
        "fail",
        scene(api(RUNS), refused(24, "etcd.example.org:2379")),
        HOST,
        words=("etcd.example.org is no address of this host",),
    ),
    # It may be over
    Case(
        "something listens there by now",
        "fail",
        listening(api(RUNS), refused(24)),
        HOST,
        "info",
        words=(
            "etcd refused connections of kube-apiserver, and something listens there now",
            "127.0.0.1:2379: something listens there now: socket 127.0.0.1:2379/tcp LISTEN, held by etcd",
        ),
    ),
    Case("on all addresses", "fail", listening(api(RUNS), refused(24), address="0.0.0.0"), HOST, "info"),
    Case(
        "on all addresses of both families",
        "fail",
        listening(api(RUNS), refused(24), address="::", family="ipv6", v6only=False),
        HOST,
        "info",
    ),
    Case("localhost", "fail", listening(api(RUNS), refused(24, "localhost:2379")), HOST, "info"),
    Case(
        "one of two answers",
        "fail",
        listening(api(RUNS), refused(24), refused(24, "192.0.2.2:2379")),
        HOST,
        "critical",
        words=("192.0.2.2:2379: nothing listens there now",),
    ),
    Case("by the instance that runs, and not lately", "pass", scene(api(RUNS), refused(24, last=700)), HOST),
    Case(
        "a longer time was chosen",
        "fail",
        scene(api(RUNS), refused(24, last=700), thresholds={"log_recent_seconds": 700}),
        HOST,
        "warning",
        words=(LIVES_ON,),
    ),
    # No instance runs
    Case(
        "the last words of the last instance, lately",
        "fail",
        scene(api(attempt(24, created=300, ended=20)), refused(24)),
        HOST,
        "critical",
        words=(LAST_WORDS, "kubelet starts it anew after a pause"),
        absent=("refuses", "where something listens"),
        causes=(),
    ),
    Case(
        "the last words of the last instance, lately, of an etcd that has ended",
        "fail",
        scene(api(attempt(24, created=300, ended=20), others=[DEAD_ETCD]), refused(24)),
        HOST,
        "critical",
        words=(LAST_WORDS,),
        causes=("etcd-not-running",),
    ),
    Case(
        "the last words of five minutes ago, while the name of the next instance is taken",
        "fail",
        scene(NAME_TAKEN, conflict(API, 24), not_created(), refused(23, last=301)),
        HOST,
        "warning",
        words=(LAST_WORDS, "is a finding by itself"),
        causes=("container-not-created",),
    ),
    Case(
        "the same, and etcd listens",
        "fail",
        listening(NAME_TAKEN, conflict(API, 24), not_created(), refused(23, last=301)),
        HOST,
        "info",
        words=(f"{LAST_WORDS}, where something listens now",),
        causes=("container-not-created",),
    ),
    Case(
        "the last words, while the sandbox of the next instance is not created",
        "fail",
        scene(api(attempt(24, created=9000, ended=400)), sandbox_not_created(), refused(24, last=401)),
        HOST,
        "warning",
        words=(LAST_WORDS,),
        causes=("container-not-created",),
    ),
    Case(
        "the last words, while the sandbox's name is taken",
        "fail",
        scene(
            api(attempt(24, created=9000, ended=400), others=[group("POD", attempt(1, created=9001, ended=399))]),
            conflict("POD", 2, id_of(55)),
            refused(24, last=401),
        ),
        HOST,
        "warning",
        causes=("container-name-conflict",),
    ),
    Case(
        "an instance that is restarted",
        "fail",
        scene(api(attempt(24, "restarting", created=300)), refused(24)),
        HOST,
        "critical",
        words=(REFUSES,),
    ),
    Case(
        "the last words of the last instance, long ago",
        "fail",
        scene(api(attempt(24, created=9000, ended=8000)), refused(24, last=8000)),
        HOST,
        "warning",
        words=(LAST_WORDS,),
    ),
    Case(
        "the last words of an instance that cannot be followed by another",
        "fail",
        scene(
            api(attempt(24, created=8000, ended=7000), attempt(23, created=9000, ended=8000)),
            refused(24, last=7000),
            not_created(),
        ),
        HOST,
        causes=("container-not-created",),
    ),
    Case(
        "an instance before the last one that said so as well",
        "fail",
        scene(api(attempt(24, created=300, ended=20), attempt(23, created=900)), refused(24), refused(23, last=500)),
        HOST,
        "critical",
        absent=("attempt 23",),
    ),
    # An echo
    Case(
        "an echo, while kubelet overlooks the living instance",
        "fail",
        scene(section(inversion()), conflict(API, 24), not_created(), refused(23, last=862100)),
        HOST,
        "info",
        words=(
            ECHO,
            "These words are of attempt 23, exited (0) 2026-11-11T08:33:20Z.",
            "Now attempt 24 runs, which has said no such thing in what was read of its log.",
            NOBODY,
            f"said by: attempt 23, {id_of(23)}",
            f"runs now: attempt 24, {id_of(24)}",
        ),
        causes=("container-not-created",),
    ),
    Case(
        "an echo below a conflict that only the containers show",
        "fail",
        scene(section(inversion()), refused(23, last=862100)),
        HOST,
        "info",
        causes=("container-name-conflict",),
    ),
    Case(
        "an echo below a reserved name",
        "fail",
        scene(
            section(inversion(runtime="containerd"), runtime="containerd"),
            reserved(API, 24, count=9),
            refused(23, last=862100),
        ),
        HOST,
        "info",
        causes=("container-name-reserved",),
    ),
    Case(
        "an echo below a name that is refused again and again",
        "fail",
        scene(
            section(group(API, RUNS, BEFORE, runtime="containerd"), runtime="containerd"),
            reserved(API, 24, count=9, first=900),
            refused(23, last=10000),
        ),
        HOST,
        "info",
        causes=("container-name-reserved",),
    ),
    Case(
        "an echo, and a name that was refused once",
        "pass",
        scene(
            section(group(API, RUNS, BEFORE, runtime="containerd"), runtime="containerd"),
            reserved(API, 24),
            refused(23, last=10000),
        ),
        HOST,
    ),
    Case(
        "an echo from before the last start of the instance that runs",
        "fail",
        scene(api(attempt(24, "running", created=100, started=50)), refused(24, last=70), not_created(last=10)),
        HOST,
        "info",
        words=(ECHO, "These words are older than the instance that runs."),
        causes=("container-not-created",),
    ),
    Case(
        "an echo, and not all logs of pods were read",
        "fail",
        scene(
            section(inversion()),
            said=logs(refused(23, last=862100), gaps=[("pod logs", "permission denied")]),
        ),
        HOST,
        "info",
        absent=("has said no such thing",),
    ),
    Case("an old echo, and nothing is wrong", "pass", scene(api(RUNS, BEFORE), refused(23, last=10000)), HOST),
    Case("a recent echo, and nothing is wrong", "pass", scene(api(RUNS, BEFORE), refused(23)), HOST),
    Case(
        "an echo, and another container's name is taken",
        "pass",
        scene(api(RUNS, others=[inversion("etcd", **ETCD)]), refused(23)),
        HOST,
    ),
    # Other voices
    Case(
        "a log of a pod on a machine that is no node",
        "not_applicable",
        on_node(changed(snapshot(no_runtime(), refused(24)), "host.components", [])),
        HOST,
    ),
    Case(
        "an API server that is a unit, on a machine that is no node",
        "fail",
        on_node(
            changed(
                snapshot(no_runtime(), refused(0, log=None, unit="kube-apiserver.service")),
                "host.components",
                ["kube-apiserver"],
            )
        ),
        HOST,
        "critical",
    ),
    Case("another program's log", "pass", scene(api(RUNS), refused(24, log=pod_log("calico", 24))), HOST),
    Case("another unit", "pass", scene(api(RUNS), refused(24, log=None, unit="kubelet.service")), HOST),
    Case("no unit", "pass", scene(api(RUNS), refused(24, log=None, unit=None)), HOST),
    Case("nothing was said", "pass", live(), HOST),
    Case(
        "not lately, and the containers were not collected",
        "unknown",
        scene(lost("containers"), refused(24, last=700)),
        HOST,
        words=("containers: the budget of 20 s ended before it",),
    ),
    Case(
        "the logs of pods could not be read",
        "unknown",
        scene(api(RUNS), said=logs(gaps=[("pod logs", "permission denied")])),
        HOST,
        words=("pod logs: permission denied",),
    ),
    Case(
        "hostile words",
        "fail",
        scene(
            api(RUNS),
            refused(24, HOSTILE, sample=HOSTILE),
            refused(24, "[::1:2379"),
            refused(24, "127.0.0.1:99999999999"),
            refused(24, ":2379"),
        ),
        HOST,
        "critical",
    ),
    Case("no node at all: neither a kubelet nor a runtime, and no log of them", "not_applicable", no_node(), HOST),
    Case(
        "a kubelet runs, and nothing of it could be seen",
        "unknown",
        no_node(components=["kubelet"]),
        HOST,
        words=("there is n",),
    ),
    *unknowns(("logs",)),
]
