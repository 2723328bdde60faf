# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""snapshot: sections that break, that come too late, that miss something."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    host_identity,
    listeners,
    nodeport_sockets,
    port_settings,
    snapshot,
    sockets,
)

FINE = {"complete": True, "missing": []}


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    """Let every collector answer; returns what nodeport_sockets was asked for."""
    ports = []
    monkeypatch.setattr(host_identity, "collect", lambda: dict(FINE))
    monkeypatch.setattr(port_settings, "collect", lambda: dict(FINE))
    monkeypatch.setattr(listeners, "collect", lambda _deadline: dict(FINE))
    monkeypatch.setattr(nodeport_sockets, "collect", lambda _deadline, wanted: ports.append(wanted) or dict(FINE))
    return ports


def test_all(asked):
    told = snapshot.collect(snapshot.SECTIONS, [36527], 20)
    assert list(told["sections"]) == list(snapshot.SECTIONS)
    assert (told["schema"], told["complete"], told["missing"]) == (1, True, [])
    assert asked == [[36527]]
    assert 0 <= told["seconds"] < 20


def test_chosen_sections_come_in_their_own_order():
    assert list(snapshot.collect(["listen_ports", "host"], [], 20)["sections"]) == ["host", "listen_ports"]


def breaks(error):
    def collect(*_arguments):
        raise error

    return collect


@pytest.mark.parametrize(
    ("error", "gap"),
    [
        (sockets.SocketsError("sock_diag: no; procfs: no"), {"what": "sockets", "why": "sock_diag: no; procfs: no"}),
        (KeyError("inode"), {"what": "listen_ports", "why": "KeyError: 'inode'"}),
        (MemoryError(), {"what": "listen_ports", "why": "MemoryError: "}),
    ],
)
def test_a_section_that_breaks_leaves_the_others(monkeypatch, error, gap):
    monkeypatch.setattr(listeners, "collect", breaks(error))
    told = snapshot.collect(snapshot.SECTIONS, [], 20)
    assert told["sections"]["listen_ports"] == {"complete": False, "missing": [gap]}
    assert [told["sections"][name] for name in ("host", "port_settings", "nodeport_conflict")] == [FINE] * 3
    assert told["missing"] == [{"what": f"listen_ports: {gap['what']}", "why": gap["why"]}]
    assert told["complete"] is False


@pytest.mark.parametrize("budget", [0, -1, float("nan")])
def test_no_time(budget):
    told = snapshot.collect(["host", "listen_ports"], [], budget)
    assert [gap["what"] for gap in told["missing"]] == ["host: host", "listen_ports: listen_ports"]
    assert all("raise budget_seconds" in gap["why"] for gap in told["missing"])


def test_what_a_section_misses_is_told_with_its_name(monkeypatch):
    gap = {"what": "local addresses", "why": "no"}
    monkeypatch.setattr(host_identity, "collect", lambda: {"complete": False, "missing": [gap]})
    assert snapshot.collect(["host"], [], 20)["missing"] == [{"what": "host: local addresses", "why": "no"}]
