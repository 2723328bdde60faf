# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which listeners an entry of expected_listeners covers, and that every mistake in one is named."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import expected_listeners


def process(name, unit=None):
    return {"pid": 7, "name": name, "unit": unit, "container_id": None, "pod_uid": None}


LISTENER = {
    "protocol": "tcp",
    "address": "10.1.2.3",
    "port": 9100,
    "processes": [process("node_exporter", "node-exporter.service")],
    "cgroup": None,
    "hidden": False,
}


def covers(entry, host=None, **fields):
    return expected_listeners.matches(expected_listeners.read([entry]), {**LISTENER, **fields}, host)


@pytest.mark.parametrize(
    "entry",
    [
        {"process": "node_exporter"},
        {"process": "node_*"},
        {"process": "node-exporter.service"},
        {"port": 9100},
        {"port": "9100"},
        {"port": "9000-9200"},
        {"address": "10.1.2.3"},
        {"address": "::ffff:10.1.2.3"},
        {"address": "10.0.0.0/8"},
        {"process": "node*", "address": "0.0.0.0/0"},
        {"process": "**", "port": 9100},
        {"process": "node_exporter", "port": "any", "address": "any", "protocol": "TCP", "host": None, "reason": ""},
        {"process": "node_exporter", "port": 9100, "address": "10.1.2.3", "protocol": "tcp", "reason": "Prometheus"},
    ],
)
def test_what_is_covered(entry):
    assert covers(entry)


@pytest.mark.parametrize(
    "entry",
    [
        {"process": "node"},
        {"process": "NODE_EXPORTER"},
        {"process": "node_exporter", "port": 9101},
        {"process": "node_exporter", "protocol": "udp"},
        {"process": "node_exporter", "address": "loopback"},
        {"process": "java", "port": 9100},
        {"port": "9101-9200"},
        {"address": "10.1.2.4"},
        {"address": "192.168.0.0/16"},
        {"process": "node*", "address": "::/0"},
        {"address": "0.0.0.0"},
    ],
)
def test_what_is_not(entry):
    assert not covers(entry)


@pytest.mark.parametrize(
    ("address", "wanted", "expected"),
    [
        ("127.0.0.1", "loopback", True),
        ("127.0.0.53", "loopback", True),
        ("::1", "loopback", True),
        ("::ffff:127.0.0.1", "loopback", True),
        ("0.0.0.0", "loopback", False),
        ("::", "loopback", False),
        ("0.0.0.0", "0.0.0.0", True),
        ("::", "::", True),
        ("::", "0.0.0.0", False),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("fe80::1%eth0", "fe80::/10", True),
        ("fe80::1%eth0", "fe80::1%eth1", True),
        ("junk", "10.0.0.0/8", False),
        ("junk", "loopback", False),
    ],
)
def test_addresses(address, wanted, expected):
    assert covers({"address": wanted}, address=address) is expected


@pytest.mark.parametrize(
    ("fields", "pattern", "expected"),
    [
        ({"processes": [process("systemd"), process("sshd")]}, "sshd", True),
        ({"processes": [process("kube-controller")]}, "kube-controller-manager", True),
        ({"processes": [process("kube-controller")]}, "kube-controller-x*", False),
        ({"processes": [process("kube")]}, "kube-controller-manager", False),
        ({"processes": [process(None)]}, "?*", False),
        ({"processes": []}, "?*", False),
        ({"processes": [], "cgroup": "/system.slice/web.service"}, "web.service", True),
        ({"processes": [], "cgroup": "/"}, "web.service", False),
        ({"processes": [process("java")], "cgroup": "/system.slice/web.service"}, "web.service", False),
        ({"processes": [process("a[1]")]}, "a[[]1]", True),
        ({"processes": []}, "no process", True),
        ({"processes": [], "cgroup": "/"}, "no process", True),
        ({"processes": [], "hidden": True}, "no process", False),
        ({"processes": [], "hidden": None}, "no process", False),
        ({"processes": [], "cgroup": "/system.slice/web.service"}, "no process", False),
        ({"processes": [process("no process")]}, "no process", False),
        ({"processes": [process("\udcff\n")]}, "\udcff\n", True),
    ],
)
def test_names(fields, pattern, expected):
    assert covers({"process": pattern}, **fields) is expected


@pytest.mark.parametrize(("host", "expected"), [("node-a", True), ("node-b", True), ("db-1", False), (None, True)])
def test_hosts(host, expected):
    assert covers({"port": 9100, "host": "node-?"}, host) is expected


def test_any_entry_will_do_and_none_covers_nothing():
    entries = expected_listeners.read([{"port": 1}, {"port": 9100}])
    assert expected_listeners.matches(entries, LISTENER)
    assert not expected_listeners.matches((), LISTENER)
    assert expected_listeners.read(None) == ()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"port": 1}, "expected_listeners: a list of mappings is expected"),
        ("port", "expected_listeners: a list of mappings is expected"),
        (["port"], "expected_listeners[0]: a mapping is expected"),
        ([{"port": 1}, {"prot": 1, 2: 3}], "expected_listeners[1]: unknown keys 2, prot"),
        ([{}], "it would cover everything: at least one of process, port and address is needed"),
        ([{"host": "a", "protocol": "tcp"}], "at least one of process, port and address is needed"),
        ([{"process": "*", "port": "any", "address": "any"}], "at least one of process, port and address is needed"),
        ([{"process": "**"}], "at least one of process, port and address is needed"),
        ([{"port": "1-65535"}], "at least one of process, port and address is needed"),
        ([{"address": "0.0.0.0/0"}], "at least one of process, port and address is needed"),
        ([{"address": "::/0", "port": "1-65535"}], "at least one of process, port and address is needed"),
        ([{"process": " ", "port": None}], "at least one of process, port and address is needed"),
        ([{"process": ["a"]}], "expected_listeners[0]: process ['a'] is no pattern such as node-*"),
        ([{"port": 0}], "port 0 is neither a port, a range like 8000-8100, nor any"),
        ([{"port": True}], "port True is neither a port"),
        ([{"port": "9000-8000"}], "port '9000-8000' is neither a port"),
        ([{"port": [1]}], "port [1] is neither a port"),
        (
            [{"address": "10.0.0.1/8"}],
            "address '10.0.0.1/8' is neither an address, a network like 10.0.0.0/8, loopback nor any",
        ),
        ([{"address": "localhost"}], "address 'localhost' is neither an address"),
        ([{"address": 10}], "address 10 is neither an address"),
        ([{"port": 1, "protocol": "sctp"}], "protocol 'sctp' is none of tcp, udp"),
    ],
)
def test_a_mistake_is_named(value, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at
        expected_listeners.read(value)
    assert message in str(caught.value)


def test_the_option_may_have_another_name():
    with pytest.raises(ValueError, match=r"^expected\[0\]: a mapping is expected$"):
        expected_listeners.read([1], "expected")
