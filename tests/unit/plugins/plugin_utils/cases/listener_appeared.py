# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    Scene,
    captured,
    changed,
    gap,
    kubernetes_136,
    lost,
    unknowns,
    with_socket,
    without_sockets,
)

NODE = captured("node-a")
YESTERDAY = "20261120T080000Z"
DRAWN = next(socket["port"] for socket in NODE["sections"]["listen_ports"]["listeners"] if socket["ephemeral"])


def audit(snapshot, host="node-a", started="2026-11-20T08:00:00+00:00", **fields):
    return Scene({host: snapshot}, kubernetes_136(), audit={"schema": 1, "started": started}, **fields)


def since(before, now=NODE, **options):
    """A node now, and what the last audit had of it."""
    return among({YESTERDAY: audit(before)}, now, **options)


def among(earlier, now=NODE, **options):
    """The same with these earlier audits, by folder."""
    return Scene({"node-a": now}, kubernetes_136(), options, earlier=earlier)


def hidden(snapshot, *ports):
    """The owners of these sockets were not seen, as without root."""
    snapshot = changed(snapshot)
    for listener in snapshot["sections"]["listen_ports"]["listeners"]:
        if listener["port"] in ports:
            listener.update(processes=[], hidden=True, known_as=None)
    return gap(snapshot, "listen_ports", "processes", "run as root")


def pinned(port):
    """containerd, whose port is set to a number of the ephemeral range."""
    setting = {"runtime": "containerd", "key": "stream_server_port", "value": str(port), "default": "0", "fixed": True}
    place = {"file": "/etc/containerd/config.toml", "address": "127.0.0.1", "edit": None}
    return changed(redrawn(port), "port_settings.cri.runtimes", [{**setting, **place}])


def redrawn(port, snapshot=NODE):
    """containerd was started again."""
    return with_socket(without_sockets(snapshot, DRAWN), "containerd", port=port, address="127.0.0.1")


def java(snapshot=NODE, name="java", **fields):
    """With a program that no table knows, which only this machine reaches: no risk, so it is this rule's to tell."""
    return with_socket(snapshot, name, **{"port": 9876, "address": "127.0.0.1", **fields})


def held(name="java", **fields):
    return [{"pid": 4242, "name": name, "unit": None, "container_id": None, "pod_uid": None, **fields}]


JAVA = java()

CASES = [
    Case(
        "a new program",
        "fail",
        since(NODE, JAVA),
        "node-a",
        "info",
        words=(
            "java listens on TCP port 9876, and did not at the last audit",
            "Only programs of this machine reach it. It is told once",
            "the last audit that saw this host was 20261120T080000Z, begun 2026-11-20T08:00:00+00:00",
            "it is a listener of java",
            '[{"process": "java", "port": 9876, "protocol": "tcp"}]',
        ),
        absent=("booted",),
        commands=("ansible-playbook kubenode.doctor.whose_port -e listener_port=9876 -l node-a",),
    ),
    Case(
        "a known program on another port, after an update",
        "fail",
        since(
            changed(NODE, "host.kernel", "6.1.0-1-amd64"),
            with_socket(changed(NODE, "host.kernel", "6.1.0-9-amd64"), "kubelet", port=10255),
        ),
        "node-a",
        "info",
        words=(
            "kubelet read-only API listens on TCP port 10255, and did not at the last audit",
            "Other machines reach it.",
            "the kernel was 6.1.0-1-amd64 then and is 6.1.0-9-amd64 now",
        ),
    ),
    Case(
        "several sockets of one program, on loopback",
        "fail",
        since(NODE, java(JAVA, port=45678)),
        "node-a",
        "info",
        words=("java listens on TCP port 9876, a random TCP port, and", "Only programs of this machine reach it."),
    ),
    Case("another program on the same port", "fail", since(java(name="nginx"), JAVA), "node-a", "info"),
    Case(
        "a program of the same name in another unit",
        "fail",
        since(java(processes=held(unit="web.service")), java(processes=held(unit="evil.service"))),
        "node-a",
        "info",
        words=("java (evil.service) listens on TCP port 9876, and did not at the last audit",),
    ),
    Case(
        "a known program's name in another unit",
        "fail",
        since(
            with_socket(NODE, port=10255, processes=held("kubelet", unit="kubelet.service")),
            with_socket(NODE, port=10255, processes=held("kubelet", unit="evil.service")),
        ),
        "node-a",
        "info",
        words=("kubelet read-only API, evil.service listens on TCP port 10255, and did not",),
    ),
    Case(
        "a second random port of one program",
        "fail",
        since(java(port=45000), java(java(port=45000), port=45001)),
        "node-a",
        "info",
        words=("java listens on more random ports than at the last audit", "socket 127.0.0.1:45001/tcp"),
        absent=("45000",),
    ),
    Case(
        "from loopback to all addresses",
        "fail",
        since(with_socket(NODE, "kubelet", port=10255, address="127.0.0.1"), with_socket(NODE, "kubelet", port=10255)),
        "node-a",
        "info",
        words=(
            "kubelet read-only API listens on TCP port 10255 of more addresses than at the last audit",
            "Other machines reach it.",
        ),
    ),
    Case(
        "hidden, on a port where nothing was",
        "fail",
        since(NODE, java(name=None, hidden=True)),
        "node-a",
        "info",
        words=("TCP port 9876 is open, held by a process that could not be seen, and was not at the last audit",),
        absent=("no process",),
    ),
    Case(
        "hidden, and from loopback to all addresses",
        "fail",
        since(java(name=None, hidden=True), java(name=None, hidden=True, address="0.0.0.0")),
        "node-a",
        "info",
        words=("held by a process that could not be seen, and on more addresses than at the last audit",),
    ),
    Case(
        "the kernel's own, where no table can be asked for what accounts for it",
        "fail",
        since(NODE, lost(java(name=None, hidden=False), "listener_origin", "x", "y")),
        "node-a",
        "info",
        words=("TCP port 9876 is open, and was not at the last audit, and no process holds it",),
    ),
    Case(
        "a risk that listener-unexplained tells, where it cannot",
        "fail",
        since(NODE, lost(java(address="0.0.0.0"), "listener_origin", "x", "y")),
        "node-a",
        words=("java listens on TCP port 9876, and did not", "Other machines reach it."),
    ),
    Case("a risk that listener-unexplained tells", "pass", since(NODE, java(address="0.0.0.0")), "node-a"),
    Case(
        "from all addresses to one",
        "pass",
        since(with_socket(NODE, "kubelet", port=10255), with_socket(NODE, "kubelet", port=10255, address="192.0.2.2")),
        "node-a",
    ),
    Case("from all addresses to loopback", "pass", since(java(address="0.0.0.0"), JAVA), "node-a"),
    Case(
        "the section listener_origin is not there",
        "fail",
        since(NODE, lost(JAVA, "listener_origin", "x", "y")),
        "node-a",
    ),
    Case(
        "an older audit, since the last did not see the host",
        "fail",
        among(
            {
                YESTERDAY: audit("No route to host"),
                "20261119T080000Z": None,
                "20261118T080000Z": "it is damaged",
                "20261117T200000Z": audit(changed(NODE, "listen_ports.listeners", [{"protocol": "tcp"}])),
                "20261117T080000Z": audit(NODE, host="node-b"),
                "20261116T080000Z": audit(NODE, started="2026-11-16T08:00:00+00:00"),
            },
            JAVA,
        ),
        "node-a",
        words=("the last audit that saw this host was 20261116T080000Z, begun 2026-11-16T08:00:00+00:00",),
    ),
    Case("nothing has changed", "pass", since(NODE), "node-a"),
    Case("something is gone", "pass", since(JAVA), "node-a"),
    Case("containerd drew another port", "pass", since(NODE, redrawn(41999)), "node-a"),
    Case(
        "the ephemeral range was changed",
        "pass",
        since(changed(NODE, "listen_ports.listeners.9.ephemeral", False)),
        "node-a",
    ),
    Case(
        "the ephemeral range was changed, and the port was drawn before",
        "pass",
        since(NODE, changed(NODE, "listen_ports.listeners.9.ephemeral", False)),
        "node-a",
    ),
    Case(
        "a port of the ephemeral range that is set, to another number now",
        "fail",
        since(pinned(41998), pinned(41999)),
        "node-a",
        words=(
            "containerd CRI streaming server listens on TCP port 41999, and did not",
            '[{"process": "containerd", "port": 41999, "protocol": "tcp"}]',
        ),
    ),
    Case(
        "which ports are drawn is not known",
        "unknown",
        since(NODE, changed(JAVA, "listen_ports.listeners.11.ephemeral", None)),
        "node-a",
        words=("was not seen, or from which ports the kernel draws",),
    ),
    Case("expected", "pass", since(NODE, JAVA, expected_listeners=[{"port": "9800-9900"}]), "node-a"),
    Case(
        "a NodePort of a Service, which kube-proxy holds",
        "pass",
        since(NODE, with_socket(NODE, "kube-proxy", port=31999)),
        "node-a",
    ),
    Case(
        "a client's socket",
        "pass",
        since(NODE, with_socket(NODE, "java", port=45678, protocol="udp", state="unconnected")),
        "node-a",
    ),
    Case("who holds a port was hidden then", "pass", since(hidden(JAVA, 9876), JAVA), "node-a"),
    Case("who holds a port is hidden now", "pass", since(JAVA, hidden(JAVA, 9876)), "node-a"),
    Case(
        "who drew a port was hidden then",
        "unknown",
        since(hidden(NODE, DRAWN), redrawn(41999)),
        "node-a",
        words=("cannot be told: audit 20261120T080000Z: processes: run as root",),
    ),
    Case(
        "who drew a port is hidden now",
        "unknown",
        since(NODE, hidden(redrawn(41999), 41999)),
        "node-a",
        words=("cannot be told: processes: run as root",),
    ),
    Case(
        "the last audit had not all listeners",
        "unknown",
        since(gap(NODE, "listen_ports", "listeners", "6000 found"), JAVA),
        "node-a",
        words=("audit 20261120T080000Z: listeners: 6000 found",),
    ),
    Case(
        "this audit has not all listeners",
        "unknown",
        since(NODE, gap(NODE, "listen_ports", "listeners", "6000 found")),
        "node-a",
        words=("listeners: 6000 found",),
    ),
    Case(
        "the host was asked before, and never answered",
        "unknown",
        among({YESTERDAY: audit("No route to host"), "20261119T080000Z": audit("Permission denied")}),
        "node-a",
        words=(
            "no earlier audit (nor the 1 before it) tells what listened on this host: 20261120T080000Z: the host did not answer: No route to host",
        ),
    ),
    Case(
        "what listened was not collected then",
        "unknown",
        since(lost(NODE, "listen_ports", "listen_ports", "the budget of 20 s ended before it")),
        "node-a",
        words=("the budget of 20 s ended before it",),
    ),
    Case("a bundle that says nothing of earlier ones", "not_applicable", audit(NODE), "node-a"),
    Case("the first audit of this host", "not_applicable", among({YESTERDAY: audit(NODE, host="node-b")}), "node-a"),
    Case("all earlier audits are gone", "not_applicable", among({YESTERDAY: None}), "node-a"),
    Case("an earlier audit of another version", "not_applicable", among({YESTERDAY: "it has schema 99"}), "node-a"),
    *unknowns(("host", "listen_ports")),
]
