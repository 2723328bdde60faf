# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cure of a streaming port: its number, the file and section it names, and what it restarts."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import settings, stream_port
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    captured,
    changed,
    kubernetes_136,
    with_service,
    with_socket,
)

SYSCTL = "port_settings.kernel.sysctl"
LOCAL = f"{SYSCTL}.ip_local_port_range"
RESERVED = f"{SYSCTL}.ip_local_reserved_ports"
RUNTIMES = "port_settings.cri.runtimes"
FILE = "/etc/containerd/config.toml"
K3S = "/var/lib/rancher/k3s/agent/etc/containerd/config.toml"
SECTION = '[plugins."io.containerd.grpc.v1.cri"]'


def entry(**fields):
    """A runtime as cri_config.collect describes it: containerd whose file does not set the port."""
    edit = {"file": FILE, "section": SECTION, "new": False}
    unset = {"key": "stream_server_port", "value": None, "default": "0", "address": "127.0.0.1", "file": None}
    return {"runtime": "containerd", **unset, "fixed": False, "edit": edit, **fields}


def server(component="containerd", name="containerd", unit="containerd.service", **fields):
    node = captured("node-a")["sections"]["listen_ports"]["listeners"]
    known = {"component": component, "role": "CRI streaming server", "source": "x"}
    process = {"pid": 7, "name": name, "unit": unit, "container_id": None, "pod_uid": None}
    return {**node[0], "address": "127.0.0.1", "port": 46553, "known_as": known, "processes": [process], **fields}


def pinned(socket, *changes, snapshot=None, cluster=None, span="30000-32767"):
    node = changed(captured("node-a") if snapshot is None else snapshot, *changes)
    made = Context(settings.read({"nodeport_range": span}), cluster or kubernetes_136())
    return stream_port.pin(socket, node["sections"], made)


def on_10010():
    cluster = kubernetes_136()
    ports = [{"name": "x", "protocol": "TCP", "port": 80, "target_port": 80, "node_port": 10010}]
    return with_service(cluster, "front", ports=ports)


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        (lambda: pinned(server()), 10010),
        (lambda: pinned(server(), cluster=on_10010()), 10011),
        (lambda: pinned(server(), span="10000-10050"), 10051),
        (lambda: pinned(server(), LOCAL, "10000\t65535", RESERVED, "10013"), 10013),
        (lambda: pinned(server(), snapshot=with_socket(captured("node-a"), port=10010, address="192.0.2.2")), 10011),
        # Another runtime's streaming server.
        (lambda: pinned(server(), snapshot=with_socket(captured("node-a"), "crio", port=10010)), 10011),
        # Its own port, when only its address is at fault.
        (lambda: pinned(server(port=10200, address="0.0.0.0")), 10200),
        # A number that somebody chose already, when it is a good one.
        (lambda: pinned(server(port=40000, address="0.0.0.0"), RUNTIMES, [entry(value="20000", address="")]), 20000),
        (lambda: pinned(server(), RUNTIMES, [entry(value="31000", fixed=True)]), 10010),
        (lambda: pinned(server(), RUNTIMES, [entry(value="\uff19\uff19", fixed=True)]), 10010),
    ],
)
def test_the_number_is_nobody_elses(asked, number):
    remedy = asked()
    assert f'stream_server_port = "{number}"' in remedy.summary
    assert remedy.commands == ("systemctl restart containerd.service", f"ss -tlnp sport = :{number}")


@pytest.mark.parametrize("changes", [(LOCAL, "1024\t65535"), (LOCAL, None), ("port_settings.kernel.sysctl", None)])
def test_without_a_number_that_is_known_to_be_free_there_is_none(changes):
    if changes[1] is None and changes[0] != LOCAL:
        node = captured("node-a")
        node["sections"]["port_settings"] = {"complete": False, "missing": []}
        remedy = pinned(server(), snapshot=node)
    else:
        remedy = pinned(server(), *changes)
    assert remedy.commands == ()
    assert "outside the NodePort range and the ephemeral range" in remedy.summary
    assert not any(character.isdigit() for character in remedy.summary.replace("127.0.0.1", ""))


LINES = 'stream_server_address = "127.0.0.1" and stream_server_port = "10010"'
CRIO = 'stream_address = "127.0.0.1" and stream_port = "10010"'
CRIO_FILE = "/etc/crio/crio.conf.d/99-stream-port.conf"


@pytest.mark.parametrize(
    ("component", "settings_seen", "told"),
    [
        ("containerd", [entry()], f"in {FILE}, section {SECTION}, set {LINES}"),
        (
            "containerd",
            [entry(edit={"file": FILE, "section": SECTION, "new": True})],
            f"write the file {FILE}: the line version = 2, then the section {SECTION} with {LINES}",
        ),
        ("containerd", [], f"set {LINES} in the CRI plugin's section of containerd's configuration"),
        ("containerd", [entry(), entry()], f"set {LINES} in the CRI plugin's section of containerd's configuration"),
        (
            "cri-o",
            [entry(runtime="cri-o", edit={"file": CRIO_FILE, "section": "[crio.api]", "new": True})],
            f"write the file {CRIO_FILE}: the section [crio.api] with {CRIO}",
        ),
        (
            "cri-o",
            [entry(runtime="cri-o", edit={"file": None, "section": None, "new": False})],
            "add --stream-address=127.0.0.1 --stream-port=10010 to the command line of cri-o, in its unit",
        ),
        ("cri-o", [], f"set {CRIO} in [crio.api] of cri-o's configuration"),
        (
            "cri-dockerd",
            [],
            "add --streaming-bind-addr=127.0.0.1:10010 to the command line of cri-dockerd, in its unit",
        ),
    ],
)
def test_the_file_and_the_section_are_named(component, settings_seen, told):
    remedy = pinned(server(component, component, "x.service"), RUNTIMES, settings_seen)
    assert remedy.summary == f"{told}, then restart x.service"


@pytest.mark.parametrize(
    ("unit", "file", "restart"),
    [
        ("k3s.service", K3S, ("systemctl restart k3s.service", "ss -tlnp sport = :10010")),
        (None, K3S, ()),
        (None, FILE, ("systemctl restart containerd", "ss -tlnp sport = :10010")),
        (
            "snap.microk8s.daemon-containerd.service",
            "/var/snap/microk8s/current/args/containerd.toml",
            ("systemctl restart snap.microk8s.daemon-containerd.service", "ss -tlnp sport = :10010"),
        ),
        ("-H evil", FILE, ("systemctl restart -- '-H evil'", "ss -tlnp sport = :10010")),
    ],
)
def test_the_servers_own_unit_is_restarted(unit, file, restart):
    seen = [entry(edit={"file": file, "section": SECTION, "new": False})]
    remedy = pinned(server(unit=unit), RUNTIMES, seen)
    assert remedy.commands == restart
    assert ("is generated" in remedy.summary) is (file != FILE)


def test_a_generated_configuration_has_a_template():
    seen = [entry(edit={"file": K3S, "section": SECTION, "new": False})]
    assert "config.toml.tmpl" in pinned(server(unit="k3s.service"), RUNTIMES, seen).summary


@pytest.mark.parametrize(
    ("socket", "fields", "already"),
    [
        ({}, {"value": "10010"}, True),
        ({}, {"value": "10010", "address": ""}, False),
        ({}, {"value": "10010", "address": "localhost"}, True),
        ({"address": "0.0.0.0", "port": 10010}, {"value": "10010"}, True),
        ({"address": "0.0.0.0", "port": 10010}, {"value": "10010", "address": "0.0.0.0"}, False),
        ({}, {"value": "31000"}, False),
    ],
)
def test_what_is_set_and_not_in_force_needs_a_restart_only(socket, fields, already):
    remedy = pinned(server(**socket), RUNTIMES, [entry(**{"fixed": True, "file": FILE, **fields})])
    told = f"{FILE} already sets stream_server_port to 10010: restart containerd.service so that it takes effect"
    assert (remedy.summary == told) is already
    assert remedy.commands[0] == "systemctl restart containerd.service"


@pytest.mark.parametrize(("component", "name"), [("dockershim", "kubelet"), ("cri-dockerd", "k3s-server")])
def test_a_server_without_such_a_setting(component, name):
    assert pinned(server(component, name)) is None
