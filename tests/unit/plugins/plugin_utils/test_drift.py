# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as the same listener from one audit to the next."""

from __future__ import annotations

import time

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import drift
from ansible_collections.kubenode.doctor.plugins.plugin_utils.drift import Change

POD = "/kubepods.slice/kubepods-pod0910f365_967a_40c6_95f0_fa6bc368cd0d.slice"
SOME = "0910f365-967a-40c6-95f0-fa6bc368cd0d"
OTHER = "1910f365-967a-40c6-95f0-fa6bc368cd0d"


def held(name, unit=None, pod_uid=None, container_id=None):
    return {"pid": 7, "name": name, "unit": unit, "pod_uid": pod_uid, "container_id": container_id}


def listener(port, *processes, address="127.0.0.1", hidden=False, cgroup=None, **fields):
    return {
        "protocol": "tcp",
        "family": "ipv4",
        "state": "listen",
        "address": address,
        "port": port,
        "inode": port,
        "ephemeral": 32768 <= port <= 60999,
        "processes": [held(entry) if isinstance(entry, str) else entry for entry in processes],
        "hidden": hidden,
        "cgroup": cgroup,
        "known_as": None,
        **fields,
    }


def unseen(port, **fields):
    return listener(port, hidden=True, **fields)


def between(before, now):
    """What appeared, as {port: change}, and the ports that are not sure."""
    found = drift.between(sections(before), sections(now))
    return {one.socket["port"]: one.change for one in found.appeared}, [one["port"] for one in found.unsure]


def closed(before, now):
    """The ports that are gone."""
    return [one["port"] for one in drift.between(sections(before), sections(now)).closed]


def sections(listeners):
    return {"listen_ports": {"listeners": listeners, "complete": True, "missing": []}}


WEB, EVIL = held("java", "web.service"), held("java", "evil.service")


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (listener(9000, WEB), listener(9000, WEB, held("sh"))),
        (listener(9000, "systemd"), listener(9000, "systemd", held("sshd", "ssh.service"))),
        (listener(9000, held("a", pod_uid=SOME)), listener(9000, held("a", pod_uid=OTHER))),
        (listener(9000, held("a", container_id="a" * 64)), listener(9000, held("a", container_id="b" * 64))),
        (listener(9000, "a", address="0.0.0.0"), listener(9000, "a", address="192.0.2.2")),
        (listener(9000, "a", address="0.0.0.0"), listener(9000, "a", address="::1")),
        (listener(9000, "a", address="192.0.2.2"), listener(9000, "a")),
        (listener(40000, "a"), listener(50000, "a")),
        (listener(40000, "a", address="0.0.0.0"), listener(50000, "a")),
        (listener(40000, WEB), unseen(50000, cgroup="/system.slice/web.service")),
        (unseen(40000, cgroup="/system.slice/web.service"), listener(50000, WEB)),
        (unseen(40000, cgroup=POD), listener(50000, held("a", pod_uid=OTHER))),
        (unseen(9000), listener(9000, EVIL)),
        (listener(9000, EVIL), unseen(9000)),
        (listener(9000, held(None)), listener(9000, "a")),
        (listener(40000), listener(50000)),
        (listener(9000, cgroup="/"), listener(9000)),
        (
            listener(10250, "hyperkube", known_as={"component": "kubelet", "role": "API"}),
            listener(10250, "kubelet", known_as={"component": "kubelet", "role": "API"}),
        ),
    ],
)
def test_the_same(before, now):
    assert between([before], [now]) == ({}, [])
    assert closed([before], [now]) == []


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (listener(9000, WEB), listener(9000, EVIL)),
        (listener(9000, WEB), listener(9000, held("java", pod_uid=SOME))),
        (listener(9000, held("a", pod_uid=SOME)), listener(9000, held("a", container_id="a" * 64))),
        (listener(9000, "a"), listener(9001, "a")),
        (listener(40000, WEB), listener(50000, EVIL)),
        (listener(40000, "a"), listener(50000, "a", protocol="udp", ephemeral=False)),
        (listener(9000), listener(9000, EVIL)),
        (listener(9000, EVIL), listener(9000)),
        (unseen(9000, cgroup="/system.slice/web.service"), listener(9000, EVIL)),
        (unseen(9000, cgroup="/system.slice/web.service"), unseen(9000, cgroup="/system.slice/evil.service")),
        (listener(9000, "a"), unseen(9001)),
        (listener(9000, ""), listener(9000, "a")),
    ],
)
def test_another(before, now):
    assert between([before], [now]) == ({now["port"]: Change.OPENED}, [])


@pytest.mark.parametrize("holder", [(WEB,), ()])
@pytest.mark.parametrize(
    ("before", "now"), [("127.0.0.1", "192.0.2.2"), ("::1", "0.0.0.0"), ("192.0.2.2", "::"), ("127.0.0.1", "::")]
)
def test_wider(before, now, holder):
    for port in (9000, 40000):
        found = between([listener(port, *holder, address=before)], [listener(port, *holder, address=now)])
        assert found == ({port: Change.WIDER}, [])


def test_random_ports_are_counted():
    def drawn(*ports, **fields):
        return [listener(port, WEB, **fields) for port in ports]

    assert between(drawn(40000, 40001), drawn(50000, 50001)) == ({}, [])
    assert between(drawn(40000, 40001), drawn(50000)) == ({}, [])
    assert between(drawn(40000), drawn(40000, 50000)) == ({50000: Change.MORE}, [])
    # Which of the two was drawn anew, and which is one more, cannot be told.
    assert between(drawn(40000), drawn(50000, 50001)) == ({50000: Change.MORE, 50001: Change.MORE}, [])
    assert between([], drawn(50000, 50001)) == ({50000: Change.OPENED, 50001: Change.OPENED}, [])
    # One on all addresses is none of those on loopback.
    everywhere = drawn(50000, address="0.0.0.0")
    assert between(drawn(40000), everywhere) == ({50000: Change.OPENED}, [])
    assert between([*drawn(40000), *drawn(40001, address="::")], [*drawn(50001), *everywhere]) == ({}, [])
    # The widest is the one that was there: what is left is told.
    assert between(drawn(40000, address="::"), [*drawn(50001), *everywhere]) == ({50001: Change.MORE}, [])
    assert between(drawn(40000), [*drawn(50001), *everywhere]) == ({50000: Change.OPENED}, [])


def test_sockets_of_one_port_are_one_listener():
    def pair(port):
        return [listener(port, WEB, address=address) for address in ("0.0.0.0", "::", "::", "127.0.0.1")]

    assert between(pair(40000)[:1], pair(50000)) == ({}, [])
    assert between(pair(40000)[-1:], pair(50000)[::-1]) == ({50000: Change.OPENED}, [])
    assert between(pair(40000), [*pair(50000), *pair(50001)]) == ({50000: Change.MORE, 50001: Change.MORE}, [])


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ([unseen(40000)], [listener(50000, WEB)]),
        ([listener(40000, WEB)], [unseen(50000)]),
        ([unseen(40000)], [unseen(50000)]),
        ([], [listener(50000, WEB, ephemeral=None)]),
        ([listener(9000, WEB, ephemeral=None)], [listener(50000, EVIL)]),
    ],
)
def test_what_cannot_be_told(before, now):
    assert between(before, now) == ({}, [now[0]["port"]])


@pytest.mark.parametrize(
    "before",
    [
        [unseen(50000 + 1)],
        [unseen(40000, protocol="udp", state="unconnected", ephemeral=False)],
        [unseen(9000)],
        [listener(40000, EVIL)],
        [],
    ],
)
def test_what_can_be_told_although_others_were_hidden(before):
    """That which is still there, or never had a random port, was no other's."""
    assert between(before, [*before, listener(50000, WEB, address="::")]) == ({50000: Change.OPENED}, [])


def test_what_is_only_bound_waits_for_nobody():
    assert between([], [listener(9000, WEB, state="bound")]) == ({}, [])


def test_many_are_compared_in_no_time():
    before = [listener(32768 + number, held(f"a{number}", f"{number}.service")) for number in range(4000)]
    before += [listener(37000 + number, WEB) for number in range(4000)]
    now = [listener(41000 + number, held(f"b{number}", f"{number}.service")) for number in range(4000)]
    now += [listener(45000 + number, WEB) for number in range(4000)]
    began = time.monotonic()
    appeared, unsure = between(before, now)
    assert time.monotonic() - began < 60
    assert (len(appeared), unsure) == (4000, [])


@pytest.mark.parametrize(
    ("before", "now", "gone"),
    [
        ([listener(9000, "a")], [], [9000]),
        ([listener(9000, "a"), listener(9001, "a")], [listener(9001, "a")], [9000]),
        ([listener(9000, WEB)], [listener(9000, EVIL)], [9000]),
        ([listener(40000, "a"), listener(40001, "a")], [listener(50000, "a")], [40000]),
        ([listener(40000, "a")], [], [40000]),
        ([listener(9000)], [], [9000]),  # the kernel's own
        ([unseen(9000)], [], []),
        ([listener(9000, "a")], [unseen(9000)], []),
        ([listener(9000, "a")], [unseen(9001)], [9000]),
        ([listener(40000, "a")], [unseen(50000)], []),  # it may be the one
        ([listener(40000, "a")], [listener(50000, "b", protocol="udp", state="unconnected", hidden=True)], [40000]),
        ([listener(9000, "a", ephemeral=None)], [], [9000]),
        ([listener(40000, "a", ephemeral=None), listener(40001, "a")], [], [40000]),
        (
            [listener(40000, "a", protocol="udp", state="unconnected", ephemeral=False)],
            [listener(40000, "a", protocol="udp", state="unconnected", ephemeral=True)],
            [],
        ),
    ],
)
def test_what_is_gone(before, now, gone):
    assert closed(before, now) == gone


@pytest.mark.parametrize("what", ["listeners", "sockets"])
def test_nothing_is_called_gone_where_some_were_left_out(what):
    whole, cut = sections([listener(9000, "a")]), sections([])
    cut["listen_ports"]["missing"] = [{"what": what, "why": "too many"}]
    assert drift.between(whole, cut).closed == []
    whole["listen_ports"]["missing"] = [{"what": what, "why": "too many"}]
    assert drift.between(whole, sections([])).closed == []


def test_of_what_is_gone_it_is_told_whether_its_port_was_drawn():
    fixed, drawn = drift.between(sections([listener(9000, "a"), listener(40000, "a")]), sections([])).closed
    assert (fixed["ephemeral"], drawn["ephemeral"]) == (False, True)
