# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cure of a streaming port: its number, the file and section it names, and what it restarts."""

from __future__ import annotations

import json

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import settings, stream_port
from ansible_collections.kubenode.doctor.plugins.plugin_utils.context import Context
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    captured,
    changed,
    kubernetes_136,
    live,
    with_service,
    with_socket,
    without_sockets,
)

SYSCTL = "port_settings.kernel.sysctl"
LOCAL = f"{SYSCTL}.ip_local_port_range"
RESERVED = f"{SYSCTL}.ip_local_reserved_ports"
RUNTIMES = "port_settings.cri.runtimes"
FILE = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/99-stream-port.toml"
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
    assert remedy.commands[-1] == f"ss -tlnp sport = :{number}"


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


# Without the containerd that was captured, which would have the first choice.
ALONE = without_sockets(
    captured("node-a"),
    *(
        socket["port"]
        for socket in captured("node-a")["sections"]["listen_ports"]["listeners"]
        if socket["known_as"] and socket["known_as"]["role"] == "CRI streaming server"
    ),
)
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
        (
            "containerd",
            [entry(edit={"file": DROP_IN, "section": SECTION, "new": True})],
            f"write the file {DROP_IN}: the line version = 3, then the section {SECTION} with {LINES}",
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
    remedy = pinned(server(component, component, "x.service"), RUNTIMES, settings_seen, snapshot=ALONE)
    assert remedy.summary == f"{told}, then restart x.service"


LOOK = "ss -tlnp sport = :10010"
MICROK8S = "/var/snap/microk8s/current/args/containerd.toml"


@pytest.mark.parametrize(
    ("unit", "file", "known"),
    [
        ("k3s.service", K3S, True),
        ("snap.microk8s.daemon-containerd.service", MICROK8S, True),
        ("containerd.service", FILE, True),
        (None, K3S, False),
        (None, FILE, False),
        ("-H evil", FILE, False),
        ("user@0.service/x.scope", FILE, False),
    ],
)
def test_nothing_is_restarted_without_the_edit(unit, file, known):
    """A restart ends sessions and draws another random port; of what is set already the server's own unit is restarted."""
    edit = {"file": file, "section": SECTION, "new": False}
    remedy = pinned(server(unit=unit), RUNTIMES, [entry(edit=edit)])
    assert remedy.commands == ((LOOK,) if known else ())
    assert ("is generated" in remedy.summary) is (file != FILE)
    remedy = pinned(server(unit=unit), RUNTIMES, [entry(edit=edit, value="10010", fixed=True, file=file)])
    assert remedy.commands == ((f"systemctl restart {unit}", LOOK) if known else ())


def test_each_wish_without_a_fix_says_why():
    for socket in (server(unit=None), server("cri-o", "crio", None), server("cri-dockerd", "cri-dockerd", None)):
        remedy = pinned(socket, snapshot=ALONE)
        assert (remedy.commands, remedy.fix) == ((), "")
        assert remedy.by_hand == "the unit that the server belongs to is not known"


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
    assert ("systemctl restart containerd.service" in remedy.commands) is already


@pytest.mark.parametrize(("component", "name"), [("dockershim", "kubelet"), ("cri-dockerd", "k3s-server")])
def test_a_server_without_such_a_setting(component, name):
    assert pinned(server(component, name)) is None


def target(remedy):
    (text,) = remedy.targets
    return json.loads(text)


UNSET = {"file": None, "section": None, "new": False}
CRI_DOCKERD = {**entry(runtime="cri-dockerd", key="--streaming-bind-addr", address=""), "edit": UNSET}


@pytest.mark.parametrize(
    ("socket", "setting", "file"),
    [
        (server(), entry(), FILE),
        (server(), entry(edit={"file": FILE, "section": SECTION, "new": True}), FILE),
        (
            server("cri-o", "crio", "crio.service"),
            entry(runtime="cri-o", edit={"file": CRIO_FILE, "section": "[crio.api]", "new": True}),
            CRIO_FILE,
        ),
        (server("cri-dockerd", "cri-dockerd", "cri-docker.service", address="::"), CRI_DOCKERD, None),
        # Set already, and not in force: a restart is all, whoever wrote the file.
        (server(), entry(value="10010", fixed=True, file=K3S, edit={**entry()["edit"], "file": K3S}), K3S),
    ],
)
def test_the_fix_is_offered_where_all_is_known(socket, setting, file):
    remedy = pinned(socket, RUNTIMES, [setting], snapshot=ALONE)
    assert (remedy.fix, remedy.by_hand) == ("pin-stream-port", "")
    assert target(remedy) == {
        "runtime": socket["known_as"]["component"],
        "address": socket["address"],
        "port": 46553,
        "to": 10010,
        "file": file,
        "unit": socket["processes"][0]["unit"],
        "node_ports": "30000-32767,35776",
    }


def in_pod(**fields):
    socket = server()
    return {**socket, "processes": [{**socket["processes"][0], **fields}]}


@pytest.mark.parametrize(
    ("socket", "settings_seen", "words"),
    [
        (server(), [], "not known, or there are several"),
        (server(), [entry(), entry()], "not known, or there are several"),
        (
            server(),
            [{key: value for key, value in entry().items() if key != "edit"}],
            "not known, or there are several",
        ),
        (server(unit=None), [entry()], "the unit that the server belongs to is not known"),
        (server(unit="-H evil"), [entry()], "the unit that the server belongs to is not known"),
        (in_pod(pod_uid="1403dda5-3aff-dfee-1130-475a6d9609da"), [entry()], "the unit that the server belongs to"),
        (in_pod(container_id="0" * 64), [entry()], "the unit that the server belongs to is not known"),
        ({**server(), "processes": []}, [entry()], "the unit that the server belongs to is not known"),
        (server(unit="docker.service"), [entry()], "without live-restore"),
        (server(unit="k3s.service"), [entry()], "all of Kubernetes on this node"),
        (
            server(unit="x.service"),
            [entry(edit={"file": K3S, "section": SECTION, "new": False})],
            "generated from a template",
        ),
        (server("cri-o", "crio", "crio.service"), [entry(runtime="cri-o", edit=UNSET)], "from its command line"),
    ],
)
def test_where_something_is_not_known_it_says_why_there_is_no_fix(socket, settings_seen, words):
    remedy = pinned(socket, RUNTIMES, settings_seen)
    assert (remedy.fix, remedy.targets) == ("", ())
    assert words in remedy.by_hand
    assert not any("restart" in command for command in remedy.commands)


def test_without_a_number_there_is_no_target():
    assert pinned(server(), LOCAL, "1024\t65535").targets == ()


def test_two_runtimes_get_two_ports():
    """Debian's Docker comes with a containerd whose CRI plugin is on, beside cri-dockerd."""
    both = [entry(), CRI_DOCKERD]
    containerd, dockerd = server(), server("cri-dockerd", "cri-dockerd", "cri-docker.service", address="::", port=40123)
    node = captured("node-a")
    node["sections"]["listen_ports"]["listeners"] = [containerd, dockerd]
    ports = [target(pinned(socket, RUNTIMES, both, snapshot=node))["to"] for socket in (containerd, dockerd)]
    assert ports == [10010, 10011]


def test_numbers_in_use_outside_of_the_range_are_told():
    assert target(pinned(server(), RUNTIMES, [entry()], cluster=on_10010()))["node_ports"] == "10010,30000-32767,35776"


FOUND = server()
MET = [{"name": "x", "protocol": "TCP", "port": 80, "target_port": 80, "node_port": 46553}]


@pytest.mark.parametrize(
    ("rule", "fields", "cluster", "setting"),
    [
        ("cri-stream-port-random", {}, None, entry()),
        ("cri-stream-port-exposed", {"address": "0.0.0.0"}, None, entry(address="0.0.0.0")),
        ("fixed-port-in-nodeport-range", {"port": 31000}, None, entry(value="31000", fixed=True, file=FILE)),
        ("nodeport-shadows-listener", {}, with_service(kubernetes_136(), "front", ports=MET), entry()),
    ],
)
def test_each_rule_on_a_streaming_server_offers_the_fix(rule, fields, cluster, setting):
    listening = {"port": 46553, "address": "127.0.0.1", **fields}
    seen = with_socket(ALONE, "containerd", processes=FOUND["processes"], known_as=FOUND["known_as"], **listening)
    found = live(RUNTIMES, [setting], snapshot=seen, cluster=cluster).judged()["findings"]
    mine = (finding for finding in found if (finding["rule"], finding["host"]) == (rule, "node-a"))
    (remedy,) = (one for finding in mine for one in finding["remedies"] if one["fix"] == "pin-stream-port")
    (text,) = remedy["targets"]
    told = json.loads(text)
    assert {name: told[name] for name in ("address", "port", "to")} == {
        "address": listening["address"],
        "port": listening["port"],
        "to": 10010,
    }
