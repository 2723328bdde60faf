# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fixes of kernel settings with a real kernel, in a network namespace: planned, carried out, done, undone byte for byte."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    fix_raise_backlog,
    fix_raise_conntrack,
    fix_reserve_nodeports,
    node_fix,
    port_ranges,
    procfs,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import (
    in_fresh_netns,
    needs_root,
    sysctl_net,
)

LOCAL, SPAN = (32768, 60999), (30000, 40000)
CONF = "# the administrator's\nnet.ipv4.ip_local_reserved_ports = 9100\n"
OLD = "8080,30000-30010"
SECONDS = 60


class Run:
    """One fix on a made-up root, with the kernel of this namespace."""

    def __init__(self, folder, fix, target, **choices):
        self.root = Path(folder)
        self.arguments = {
            "fix": fix,
            "targets": [target],
            "choices": choices,
            "digest": None,
            "change": None,
            "controller_time": None,
            "seconds": SECONDS,
            "store": "/var/lib/kubenode.doctor",
        }
        for made in ("etc/sysctl.d", "var/lib"):
            (self.root / made).mkdir(parents=True)

    def go(self, state, check=False, **arguments):
        answer = node_fix.run({**self.arguments, "state": state, **arguments}, check, Places("/proc", str(self.root)))
        return {key: value for key, value in answer.items() if isinstance(value, (str, bool, list, type(None)))}

    def files(self):
        return {path.name: path.read_text() for path in sorted((self.root / "etc").rglob("*")) if path.is_file()}


def _value(name):
    """A long list is printed in full to one large read alone."""
    return procfs.text(f"/proc/sys/net/{name}", 1 << 20).strip()


def _there_and_back(folder, fix, name, target, before, choices):
    run = Run(folder, fix, target, **choices)
    sysctl_net(name.replace("/", "."), before)
    (run.root / "etc/sysctl.d/10-own.conf").write_text(CONF)
    seen = {"before": [_value(name), run.files()]}
    seen["checked"] = run.go("planned", check=True)
    seen["unchanged"] = [_value(name), run.files()] == seen["before"]
    digest = run.go("planned")["digest"]
    seen["applied"] = run.go("applied", digest=digest)
    assert seen["applied"]["state"] == "applied", seen["applied"]
    seen["after"] = [_value(name), run.files()]
    seen["again"] = run.go("planned")
    seen["undone"] = run.go("undone", change=seen["applied"]["change"])
    seen["restored"] = [_value(name), run.files()] == seen["before"]
    return seen


def there_and_back(folder, fix, name, target, before, **choices):
    seen = in_fresh_netns(_there_and_back, str(folder), fix, name, target, before, choices)
    assert (seen["checked"]["state"], seen["unchanged"]) == ("needed", True)
    assert (seen["applied"]["state"], seen["applied"]["why"]) == ("applied", "")
    assert (seen["again"]["state"], seen["again"]["changed"]) == ("done", False)
    assert (seen["undone"]["state"], seen["restored"]) == ("undone", True)
    return seen["after"]


RESERVED = "ipv4/ip_local_reserved_ports"


@needs_root
def test_reserved_ports(tmp_path):
    target = fix_reserve_nodeports.target(((35776, 35776), (36527, 36528)), SPAN, LOCAL)
    value, files = there_and_back(tmp_path, fix_reserve_nodeports.FIX, RESERVED, target, OLD)
    assert value == "8080,9100,30000-30010,35776,36527-36528"
    assert files.pop("10-own.conf") == CONF
    ((name, text),) = files.items()
    assert name == "60-nodeports.conf"
    assert text.endswith(f"net.ipv4.ip_local_reserved_ports = {value}\n")


@needs_root
def test_the_whole_overlap(tmp_path):
    target = fix_reserve_nodeports.target(((35776, 35776),), SPAN, LOCAL)
    value, _files = there_and_back(tmp_path, fix_reserve_nodeports.FIX, RESERVED, target, OLD, reserve="overlap")
    assert value == "8080,9100,30000-30010,32768-40000"


@needs_root
def test_a_list_that_is_longer_than_one_write(tmp_path):
    """The kernel takes 4095 bytes a write; what was reserved before must not be lost for it."""
    chance = random.Random(11)  # noqa: S311 # the same ports each time
    many = port_ranges.of_numbers(chance.sample(range(41000, 60000), 3000))
    target = fix_reserve_nodeports.target(((35776, 35776),), SPAN, LOCAL)
    before = port_ranges.format_ports(many)
    value, _files = there_and_back(tmp_path, fix_reserve_nodeports.FIX, RESERVED, target, before)
    assert len(value) > 4 * 4095
    assert value == f"9100,35776,{before}"


def _backlog(folder, fix, target):
    with socket.create_server(("127.0.0.1", 10250), backlog=511):
        return _there_and_back(folder, fix, "core/somaxconn", target, "128", {})


@needs_root
def test_somaxconn(tmp_path):
    """Nobody is restarted, which is told; the listener keeps what it has (min(511, 128))."""
    target = fix_raise_backlog.target(4096, 128, "java", None, "127.0.0.1", 10250, 511)
    seen = in_fresh_netns(_backlog, str(tmp_path), fix_raise_backlog.FIX, target)
    assert (seen["applied"]["state"], seen["after"][0]) == ("applied", "4096")
    assert seen["again"]["state"] == "done"
    assert (
        "java on port 10250 keeps its backlog of 511 until it is restarted: by hand, since it has no unit of its own"
        in seen["again"]["why"]
    )
    assert seen["restored"]


def _conntrack(folder, target):
    run = Run(folder, fix_raise_conntrack.FIX, target)
    if not Path("/proc/sys/net/netfilter/nf_conntrack_max").exists():
        return None
    return run.go("planned")


@needs_root
def test_the_conntrack_table_is_the_machines(tmp_path):
    answer = in_fresh_netns(_conntrack, str(tmp_path), fix_raise_conntrack.target(2**30, 1, 0))
    if answer is None:
        pytest.skip("this kernel tracks no connections")
    assert answer["state"] == "stopped"
    assert answer["why"].startswith(
        "the kernel lets net.netfilter.nf_conntrack_max be set in the first network namespace"
    )
