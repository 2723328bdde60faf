# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import tcp_scene
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.log_scene import POD, logs, message, missing
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    Scene,
    captured,
    changed,
    kubernetes_136,
    live,
    seed,
    unknowns,
    with_socket,
    without_sockets,
)

FULL = "nf_conntrack: nf_conntrack: table full, dropping packet"
BUSY = "listen tcp4 :36527: bind: address already in use"


def full(**fields):
    return message("conntrack-table-full", FULL, unit=None, **fields)


def logged(*messages, **options):
    return live("logs", logs(*messages), **options)


def bind_failed(port, **fields):
    sample = (
        f'can\'t open "nodePort for default/web" (:{port}/tcp), skipping this nodePort: listen tcp4 :{port}: {BUSY}'
    )
    pod = {**POD, "name": "kube-proxy-62sgn", "container": "kube-proxy", "attempt": 0}
    return message("nodeport-bind-failed", sample, pod=pod, port=str(port), service="default/web", **fields)


def certificate(words, unit="kubelet.service"):
    told = "x509: certificate has expired or is not yet valid: current time 2021-03-12T03:19:06Z is"
    return message("certificate-expired", f"{told} {words}", unit=unit)


BEFORE, AFTER = "before 2026-11-21T07:00:00Z", "after 2020-03-12T00:00:00Z"
STEP_BACK = message("clock-stepped", "System clock was stepped by -3.5 seconds", unit="chronyd.service", seconds="-3.5")
SHADOWED = 31999  # hostnet's, in the captured node, which a Service has as well


def flooded(port):
    flood = message("syn-flooding", f"Possible SYN flooding on port {port}.", unit=None, port=str(port))
    return tcp_scene.alone(changed(tcp_scene.sick(), "logs", logs(flood)))


def no_source(destination):
    sample = f"dial tcp {destination}: connect: cannot assign requested address"
    said = logs(message("cannot-assign-address", sample, destination=destination))
    return tcp_scene.alone(changed(tcp_scene.sick(), "logs", said))


def metrics_failed(port, *taken):
    sample = f"starting metrics server failed: listen tcp 127.0.0.1:{port}: {BUSY}"
    made = with_socket(without_sockets(captured("node-a"), *taken), "java", port=taken[0])
    return live(
        "logs", logs(message("kube-proxy-metrics-bind-failed", sample, address=f"127.0.0.1:{port}")), snapshot=made
    )


def files(sample, *changes, unit="kubelet.service"):
    return live("logs", logs(message("too-many-open-files", sample, unit=unit)), *changes)


MACHINE_FULL = ("host_pressure.files", {"open": 1000, "max": 1000})


def exec_failed(port=36527):
    sample = f"error dialing backend: dial tcp 127.0.0.1:{port}: connect: connection refused"
    return message("exec-dial-refused", sample, port=str(port))


def with_conntrack(*messages):
    return live("logs", logs(*messages), "host_pressure.conntrack", {"count": 262144, "max": 262144})


def bare(*changes):
    return Scene({"bare": changed(captured("bare"), *changes)}, kubernetes_136())


CASES = [
    Case(
        "the kernel drops packets",
        "fail",
        logged(full(count=812, ago=3.0, lasted=600.0)),
        "node-a",
        "critical",
        words=(
            "the table of tracked connections is full: packets of new connections are dropped\n",
            "new connections, also to Services, time out by chance",
            "The wording is known from Linux; with the network namespace since late 2025",
            "the kernel's log, 812 times, 2026-11-21T07:49:57Z to 2026-11-21T07:59:57Z (3 s before the look): nf_conntrack: nf_conntrack: table full",
            "Raise conntrack.min",
        ),
        absent=("not logged lately",),
        causes=(),
    ),
    Case("by a table that is full now", "fail", with_conntrack(full()), "node-a", causes=("conntrack-near-limit",)),
    Case(
        "yesterday",
        "fail",
        logged(full(ago=80_000.0)),
        "node-a",
        "info",
        words=(
            "are dropped (not logged lately)",
            "It was not logged again lately, so it may be over",
            "(22 h before the look)",
        ),
    ),
    Case("ten minutes ago", "fail", logged(full(ago=600.0)), "node-a", "critical"),
    Case("a little longer ago", "fail", logged(full(ago=601.0)), "node-a", "info"),
    Case(
        "what is lately was chosen",
        "fail",
        logged(full(ago=601.0), thresholds={"log_recent_seconds": 3600}),
        "node-a",
        "critical",
    ),
    Case("when it was is not known", "fail", logged(full(ago=None)), "node-a", "critical", words=("was not told",)),
    Case("its time has not come yet", "fail", logged(full(ago=-7200.0)), "node-a", "critical"),
    Case(
        "several ports and places are one fault, as bad as its latest",
        "fail",
        logged(
            bind_failed(30080, ago=5.0),
            bind_failed(30081, ago=90_000.0, count=40),
            message("nodeport-bind-failed", BUSY, unit="k3s.service", ago=7000.0, port="30082", service="shop/cart"),
        ),
        "node-a",
        "warning",
        words=(
            "kube-proxy cannot open the port of a NodePort Service",
            "port 30080, service default/web: the log of kube-system/kube-proxy-62sgn kube-proxy (attempt 0), once,",
            "port 30081, service default/web: the log of kube-system/kube-proxy-62sgn kube-proxy (attempt 0), 40 times,",
            "port 30082, service shop/cart: k3s.service, once,",
        ),
        absent=("not logged lately",),
    ),
    Case(
        "more of them than are told",
        "fail",
        logged(*(bind_failed(30000 + number, count=number) for number in range(1, 10))),
        "node-a",
        words=("port 30006", "and 24 more lines of 3 more kinds or places"),
        absent=("port 30007",),
    ),
    Case(
        "seed 000, as kubelet tells it",
        "fail",
        seed("logs", logs(exec_failed())),
        "sick",
        "warning",
        words=("kubectl exec, attach or port-forward fails on this node", "127.0.0.1:36527"),
        causes=("nodeport-shadows-listener",),
    ),
    Case(
        "of a queue that is seen to overflow",
        "fail",
        tcp_scene.alone(
            changed(
                tcp_scene.sick(),
                "logs",
                logs(message("syn-flooding", "Possible SYN flooding on port 8080.", unit=None, port="8080")),
            )
        ),
        "node-a",
        "warning",
        words=("a listening port gets more new connections than its queue holds",),
        causes=("accept-queue-overflow",),
    ),
    # What explains it names the same
    Case("of another port than the one whose queue overflows", "fail", flooded(8081), "node-a", causes=()),
    Case(
        "of another port than the one that a Service takes",
        "fail",
        logged(exec_failed(37403)),
        "node-a",
        absent=("31999",),
        causes=(),
    ),
    Case(
        "of the port that a Service takes",
        "fail",
        logged(exec_failed(SHADOWED)),
        "node-a",
        causes=("nodeport-shadows-listener",),
    ),
    Case(
        "a certificate that is not yet valid, of a clock that was set back",
        "fail",
        logged(certificate(BEFORE), STEP_BACK),
        "node-a",
        "warning",
        causes=("clock-set-back",),
    ),
    Case(
        "a certificate that is not yet valid, of a clock that nobody keeps right",
        "fail",
        live(
            "logs",
            logs(certificate(BEFORE)),
            "host_pressure.clock.synchronized",
            False,
            "host_pressure.clock.max_error_seconds",
            16.0,
        ),
        "node-a",
        causes=("clock-unsynchronized",),
    ),
    Case(
        "a certificate that has expired, and a clock that was set back",
        "fail",
        logged(certificate(AFTER), STEP_BACK),
        "node-a",
        causes=(),
    ),
    Case(
        "one certificate that has expired, and one that is not yet valid",
        "fail",
        logged(certificate(AFTER), certificate(BEFORE, unit="etcd.service"), STEP_BACK),
        "node-a",
        causes=(),
    ),
    Case(
        "a certificate of which it is not told which of both",
        "fail",
        logged(message("certificate-expired", "certificate has expired or is not yet valid"), STEP_BACK),
        "node-a",
        causes=(),
    ),
    Case(
        "of the metrics port that another program holds",
        "fail",
        metrics_failed(10249, 10249),
        "node-a",
        causes=("component-port-taken",),
    ),
    Case("of another metrics port", "fail", metrics_failed(10349, 10249), "node-a", causes=()),
    Case("of a metrics port that is none", "fail", metrics_failed("x", 10249), "node-a", causes=()),
    Case(
        "of a machine that has opened all files",
        "fail",
        files("accept: too many open files in system", *MACHINE_FULL),
        "node-a",
        causes=("file-handles-near-limit",),
    ),
    Case(
        "of a program that has opened all of its files, on a machine that has as well",
        "fail",
        files("accept4: too many open files", *MACHINE_FULL),
        "node-a",
        causes=(),
    ),
    Case("a note is a note", "fail", logged(message("time-wait-overflow", "x", unit=None)), "node-a", "info"),
    Case(
        "terminal escapes and a long line",
        "fail",
        logged(
            message("bgp-not-established", "BGP not established with \x1b[2J" + "9" * 600, peers="\x1b[31m\u202e" * 100)
        ),
        "node-a",
    ),
    Case("nothing is logged", "pass", live(), "node-a"),
    Case(
        "what other rules look for",
        "pass",
        logged(
            message(
                "clock-stepped", "System clock was stepped by -5.0 seconds", unit="chronyd.service", seconds="-5.0"
            ),
            message("container-not-created", "Error syncing pod", pod_name="web", namespace="shop", ago=5000.0),
        ),
        "node-a",
    ),
    Case(
        "a kind that is not known here",
        "unknown",
        logged(message("moon-phase-wrong", "x")),
        "node-a",
        words=("a kind that this version of the collection does not know",),
    ),
    Case(
        "the journal was not read",
        "unknown",
        live("logs", missing("journal", "there is no journalctl")),
        "node-a",
        words=("journal: there is no journalctl",),
    ),
    *(
        Case(
            f"no log of {what}",
            "unknown",
            live("logs", missing(what, "there is none")),
            "node-a",
            words=(f"{what}: there",),
        )
        for what in ("kubelet", "pod logs")
    ),
    *(
        Case(f"no log of {what} where no kubelet runs", "pass", bare("logs", missing(what, "there is none")), "bare")
        for what in ("kubelet", "pod logs")
    ),
    Case(
        "the journal was not read where no kubelet runs",
        "unknown",
        bare("logs", missing("journal", "there is no journalctl")),
        "bare",
        words=("journal: there is no journalctl",),
    ),
    Case(
        "the journal was not read, and the kernel complains",
        "fail",
        live("logs", missing("journal", "there is no journalctl", full())),
        "node-a",
        "critical",
    ),
    Case(
        "logs of pods were read in part",
        "unknown",
        live("logs", logs(cut=[("pod logs", "budget", 60.0)])),
        "node-a",
        words=("pod logs: less than the last 24 h of it was read, because there was no more time",),
    ),
    Case(
        "more was found than is told",
        "unknown",
        live("logs", logs(other={"entries": 3, "lines": 40})),
        "node-a",
        words=("more different messages were found than are told",),
    ),
    Case("no log is here", "not_applicable", live("logs", logs(scanned=[])), "node-a"),
    Case("junk", "unknown", live("logs.found", [7]), "node-a", words=("the data could not be judged",)),
    *unknowns(("logs",)),
]
