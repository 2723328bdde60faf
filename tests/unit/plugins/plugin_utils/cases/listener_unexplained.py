# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import service_scene
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    BARE,
    Case,
    Scene,
    captured,
    changed,
    gap,
    kubernetes_136,
    live,
    lost,
    no_cluster,
    service,
    unknowns,
    with_socket,
    without_sockets,
)

# The captured node without the two programs that no table knows.
QUIET = without_sockets(captured("node-a"), 30080, 31999)
HOSTNET = "0910f365-967a-40c6-95f0-fa6bc368cd0d"
RANGE = "port_settings.api_server.range"


def node(name="java", snapshot=QUIET, **fields):
    return with_socket(snapshot, name, **{"port": 9876, **fields})


def process(name="java", **fields):
    return [{"pid": 4242, "name": name, "unit": None, "container_id": None, "pod_uid": None, **fields}]


def listening(name="java", **fields):
    return live(snapshot=node(name, **fields))


def since(*snapshots):
    """A node now, the last one, and what earlier audits had of it, on a day each until 20 November."""
    *before, now = snapshots
    earlier = {
        f"202611{20 - number}T080000Z": Scene({"node-a": snapshot}, kubernetes_136())
        for number, snapshot in enumerate(reversed(before))
    }
    return Scene({"node-a": now}, kubernetes_136(), earlier=earlier)


def last_owner(snapshot, **fields):
    snapshot["sections"]["listener_origin"]["listeners"][-1]["owner"].update(fields)
    return snapshot


def booted(snapshot, boot_id):
    snapshot["sections"]["host"]["boot_id"] = boot_id
    return snapshot


def started(snapshot, day):
    """The last listener's process was started on a day of November."""
    return last_owner(snapshot, started=f"2026-11-{day}T07:00:00+00:00")


def many(count):
    snapshot = QUIET
    for number in range(count):
        snapshot = node(snapshot=snapshot, port=9000 + number)
    return snapshot


def in_pod(port, cluster=None, **fields):
    """The node with a listener of the captured hostNetwork pod shop/hostnet, which declares 31999/TCP."""
    snapshot = node(port=port, processes=process("httpd", pod_uid=HOSTNET, container_id="c" * 64), **fields)
    return live(snapshot=snapshot, cluster=service_scene.cluster() if cluster is None else cluster)


OWN_NETWORK = service_scene.cluster()
for entry in OWN_NETWORK["pods"]:
    entry["host_network"] = False
# The Service shop/orphan has the very number that hostnet listens on, which nodeport-shadows-listener tells.
UNHARMED = service_scene.cluster()
for document in (OWN_NETWORK, UNHARMED):
    service(document, "orphan")["ports"][0]["node_port"] = 31990


CASES = [
    Case(
        "a program that no table knows, on all addresses",
        "fail",
        listening(processes=process(unit="web.service")),
        "node-a",
        "info",
        words=(
            "java (web.service) listens for other machines on TCP port 9876, and nothing accounts for it",
            "socket 0.0.0.0:9876/tcp LISTEN, held by java (pid 4242, web.service)",
            "Whoever reaches any address of this machine can talk to it.",
            'add to the variable expected_listeners: [{"process": "java", "port": 9876, "protocol": "tcp"}]',
        ),
        absent=("drawn at random", "NodePort", "its pod"),
        commands=("ansible-playbook kubenode.doctor.whose_port -e listener_port=9876 -l node-a",),
    ),
    Case(
        "what is known of its program",
        "fail",
        live(
            snapshot=last_owner(
                node(),
                started="2026-11-20T10:00:00+00:00",
                replaced=True,
            )
        ),
        "node-a",
        "info",
        words=(
            "it is a listener of java",
            "its process was started 2026-11-20T10:00:00+00:00; its program was replaced since",
        ),
    ),
    Case(
        "on a port that was drawn, for others to reach",
        "fail",
        listening(port=45678, address="192.0.2.2"),
        "node-a",
        "warning",
        words=(
            "java listens for other machines on a random TCP port",
            "Whoever reaches 192.0.2.2 can talk to it",
            "most likely drawn at random",
            '[{"process": "java", "address": "192.0.2.2", "protocol": "tcp"}]',
        ),
        commands=("ansible-playbook kubenode.doctor.whose_port -e listener_port=45678 -l node-a",),
    ),
    Case(
        "a UDP server",
        "fail",
        listening(protocol="udp", state="unconnected"),
        "node-a",
        "info",
        words=("java listens for other machines on UDP port 9876",),
    ),
    Case(
        "one program, several sockets, one of them harmless",
        "fail",
        live(snapshot=node(snapshot=node(snapshot=node(family="ipv6", address="::")), port=9877, address="127.0.0.1")),
        "node-a",
        "info",
        words=("on TCP port 9876, and", "socket [::]:9876/tcp", "socket 0.0.0.0:9876/tcp", "socket 127.0.0.1:9877/tcp"),
    ),
    Case(
        "inside the NodePort range, on loopback",
        "fail",
        listening(port=31000, address="127.0.0.1"),
        "node-a",
        "warning",
        words=(
            "java listens on TCP port 31000 inside NodePort range 30000-40000",
            "may give a number of the NodePort range to a Service",
            "give it a port outside NodePort range 30000-40000",
            "NodePort range 30000-40000 (",
        ),
        absent=("Whoever reaches", "127.0.0.1, in its own"),
    ),
    Case(
        "no process, although all could be seen",
        "fail",
        listening(None, hidden=False, address="127.0.0.1"),
        "node-a",
        "warning",
        words=(
            "TCP port 9876 is open, and no process holds it",
            "the kernel opened it itself",
            '[{"process": "no process", "port": 9876, ',
        ),
    ),
    Case(
        "a hostNetwork pod that declares another port",
        "fail",
        in_pod(9876),
        "node-a",
        "info",
        words=("httpd (pod shop/hostnet) listens", "declare its ports in the pod (hostNetwork: containerPort), or add"),
        absent=("whether its pod",),
    ),
    Case(
        "a pod of which the API told nothing",
        "fail",
        in_pod(31998, service_scene.without("pods")),
        "node-a",
        "warning",
        words=(
            "httpd (pod shop/hostnet) listens",
            "whether its pod declares the port is not known (Pods: pods is forbidden",
        ),
    ),
    Case(
        "the pod declares the same number of another protocol",
        "fail",
        in_pod(31999, protocol="udp", state="unconnected"),
        "node-a",
        "info",
        words=("on UDP port 31999", "hostNetwork: containerPort"),
    ),
    Case(
        "a pod whose ports are those of a network of its own",
        "fail",
        in_pod(31999, OWN_NETWORK),
        "node-a",
        "warning",
        words=("httpd (pod shop/hostnet) listens",),
    ),
    Case(
        "a process in a container that is no pod's",
        "fail",
        listening(processes=process(container_id="c" * 64)),
        "node-a",
        "info",
        words=("java (a container) listens",),
    ),
    Case(
        "hidden, and its cgroup tells the unit",
        "fail",
        listening(None, hidden=True, cgroup="/system.slice/web.service"),
        "node-a",
        "info",
        words=("a process of web.service listens for other machines",),
    ),
    Case(
        "hostile names",
        "fail",
        listening("\x1b[31m*'$(reboot)", processes=process("\x1b[31m*'$(reboot)")),
        "node-a",
        "info",
        words=('{"process": "\\u001b[[]31m[*]\'$(reboot)", "port": 9876',),
    ),
    Case(
        "a machine without Kubernetes, where a NodePort is nothing",
        "fail",
        Scene({"bare": changed(node(port=31000), "host.components", [])}, no_cluster()),
        "bare",
        "info",
        absent=("NodePort",),
    ),
    Case(
        "a component's port is nobody's where no component runs",
        "fail",
        Scene({"bare": changed(node(port=10257), "host.components", [])}, no_cluster()),
        "bare",
        "info",
    ),
    Case(
        "an expected one",
        "pass",
        live(snapshot=node(), expected_listeners=[{"process": "java", "port": 9876}]),
        "node-a",
    ),
    Case(
        "expected on another host",
        "fail",
        live(snapshot=node(), expected_listeners=[{"process": "java", "host": "node-b"}]),
        "node-a",
        "info",
    ),
    Case("a hostNetwork pod that declares it", "pass", in_pod(31999, UNHARMED), "node-a"),
    Case(
        "a Service took its number, of which nodeport-shadows-listener tells",
        "pass",
        listening(port=32530),
        "node-a",
    ),
    Case(
        "a Service has its number, and nobody could see what becomes of it",
        "fail",
        live(snapshot=lost(node(port=32530), "nodeport_conflict", "x", "y")),
        "node-a",
        "info",
        words=("java listens for other machines on TCP port 32530",),
    ),
    Case(
        "a Service's number of the other protocol",
        "fail",
        listening(port=32530, protocol="udp", state="unconnected"),
        "node-a",
        "info",
    ),
    Case(
        "a UDP socket of the ephemeral range is a client's",
        "pass",
        listening(port=45000, protocol="udp", state="unconnected"),
        "node-a",
    ),
    Case(
        "it did not listen before",
        "fail",
        since(QUIET, node()),
        "node-a",
        "info",
        words=("\nit did not listen at the last audit that saw this host, 20261120T080000Z",),
    ),
    Case(
        "it did so before on loopback",
        "fail",
        since(node(address="127.0.0.1"), node()),
        "node-a",
        "info",
        words=("\nit listened on fewer addresses at the last audit that saw this host, 20261120T080000Z",),
    ),
    Case(
        "one of its ports is new",
        "fail",
        since(node(), node(snapshot=node(), port=9877)),
        "node-a",
        "info",
        words=("\non TCP port 9877 it did not listen at the last audit that saw this host, 20261120T080000Z",),
    ),
    Case(
        "one more random port",
        "fail",
        since(node(port=45000), node(snapshot=node(port=45000), port=45001)),
        "node-a",
        "warning",
        words=("\nit had fewer random ports at the last audit that saw this host, 20261120T080000Z",),
    ),
    Case(
        "on a port of the ephemeral range that it had at an earlier start too",
        "fail",
        since(started(node(port=45678), 19), started(node(port=45678), 20), started(node(port=45678), 20)),
        "node-a",
        "info",
        words=(
            "java listens for other machines on TCP port 45678",
            "earlier audits saw the same port at an earlier start",
            '[{"process": "java", "port": 45678, "protocol": "tcp"}]',
        ),
        absent=("drawn at random",),
    ),
    Case(
        "on another one at the start before, whatever it was on long ago",
        "fail",
        since(started(node(port=45678), 18), started(node(port=45679), 19), started(node(port=45678), 20)),
        "node-a",
        "warning",
        words=("java listens for other machines on a random TCP port", "most likely drawn at random"),
    ),
    Case(
        "not started since the first audit",
        "fail",
        since(started(node(port=45678), 20), started(node(port=45678), 20)),
        "node-a",
        "warning",
        words=("on a random TCP port",),
    ),
    Case(
        "the kernel's own, on the same port after a boot",
        "fail",
        since(
            booted(node(None, port=45678, hidden=False), "7a2c"),
            booted(node(None, port=45678, hidden=False), "91d0"),
        ),
        "node-a",
        "warning",
        words=("TCP port 45678 is open, and no process holds it", '[{"process": "no process", "port": 45678, '),
    ),
    Case(
        "the kernel's own, and no boot in between",
        "fail",
        since(
            booted(node(None, port=45678, hidden=False), "7a2c"),
            booted(node(None, port=45678, hidden=False), "7a2c"),
        ),
        "node-a",
        "warning",
        words=("a random TCP port is open", '[{"process": "no process", "address": "0.0.0.0", "protocol": "tcp"}]'),
    ),
    Case(
        "its process ended while it was looked at",
        "unknown",
        listening(processes=process(None)),
        "node-a",
        words=("who holds 0.0.0.0:9876/tcp could not be seen",),
    ),
    Case(
        "a process that calls itself by an empty name",
        "fail",
        listening(processes=process("")),
        "node-a",
        "info",
        words=("? listens for other machines on TCP port 9876",),
    ),
    Case(
        "more ports than the report can propose entries for",
        "fail",
        live(snapshot=many(12)),
        "node-a",
        "info",
        words=(', "port": 9009, "protocol": "tcp"}] and 2 more of this form, for the other ports',),
    ),
    Case("it did so before", "fail", since(node(), node()), "node-a", "info", absent=("the last audit",)),
    Case(
        "an earlier audit that cannot be read",
        "fail",
        since(changed(QUIET, "listen_ports.listeners", [{}]), node()),
        "node-a",
        "info",
        absent=("the last audit",),
    ),
    Case("on loopback", "pass", listening(address="127.0.0.1"), "node-a"),
    Case(
        "on loopback, on a port that was drawn", "pass", listening(port=45678, address="::1", family="ipv6"), "node-a"
    ),
    Case("containerd's streaming server and nobody else", "pass", live(snapshot=QUIET), "node-a"),
    Case(
        "a streaming server that others reach has a rule of its own",
        "pass",
        live(snapshot=node("containerd", port=45678)),
        "node-a",
    ),
    Case("a number that a Service has", "pass", listening(port=32530, address="127.0.0.1"), "node-a"),
    Case("nodeport-range-overlaps-ephemeral tells of it", "pass", listening(port=39000, address="127.0.0.1"), "node-a"),
    Case(
        "a fixed port, since the kernel may not draw it",
        "fail",
        live(
            "port_settings.kernel.sysctl.ip_local_reserved_ports",
            "39000",
            snapshot=node(port=39000, address="127.0.0.1"),
        ),
        "node-a",
        "warning",
        words=("inside NodePort range 30000-40000",),
    ),
    Case(
        "nftables mode leaves loopback alone",
        "pass",
        live("nodeport_conflict.proxy.mode", "nftables", snapshot=node(port=31000, address="127.0.0.1")),
        "node-a",
    ),
    Case(
        "a host that the cluster does not have: its NodePort range is another's",
        "pass",
        live(snapshot=node(port=31000, address="127.0.0.1"), cluster={**kubernetes_136(), "nodes": []}),
        "node-a",
    ),
    Case("a component's port is another rule's", "pass", listening(port=10257), "node-a"),
    Case(
        "nothing told the NodePort range",
        "unknown",
        live(RANGE, None, snapshot=node(port=31000, address="127.0.0.1")),
        "node-a",
        words=("the NodePort range is not known (at least",),
    ),
    Case("nor is it needed", "pass", live(RANGE, None, snapshot=node(address="127.0.0.1")), "node-a"),
    Case("without root", "unknown", BARE, "bare", words=("processes: 1 sockets have no visible process",)),
    Case(
        "hidden, and nothing says why",
        "unknown",
        listening(None, hidden=None),
        "node-a",
        words=("who holds 0.0.0.0:9876/tcp could not be seen",),
    ),
    Case(
        "without root, and expected by its port",
        "pass",
        Scene({"bare": captured("bare")}, kubernetes_136(), {"expected_listeners": [{"port": 2024}]}),
        "bare",
    ),
    Case(
        "listeners were cut off",
        "unknown",
        live(snapshot=gap(QUIET, "listen_ports", "listeners", "6000 found, the first 5000 kept")),
        "node-a",
        words=("6000 found",),
    ),
    Case(
        "too many to explain",
        "unknown",
        live(snapshot=gap(QUIET, "listener_origin", "listeners", "250 need an explanation")),
        "node-a",
        words=("250 need",),
    ),
    Case(
        "what concerns no listener",
        "pass",
        live(snapshot=gap(QUIET, "listener_origin", "/etc/containerd/config.toml", "it cannot be read")),
        "node-a",
    ),
    *unknowns(("host", "listen_ports", "listener_origin")),
]
