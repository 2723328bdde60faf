# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_health asks a real etcd: one that tells everybody, one that only tells whoever has a certificate, and one that lost its quorum."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import ad_hoc, needs_stage
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT, Node, Stage

pytestmark = [
    needs_stage,
    pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd's health is told by etcd (etcd-server)"),
]

_TLS = PROJECT / "tests" / "fixtures" / "tls"
_METRICS = "http://127.0.0.1:2381"
_CLIENTS = "https://127.0.0.1:2379"
_PEERS = {"a": "http://127.0.0.1:2380", "b": "http://127.0.0.1:3380"}
# Without --listen-metrics-urls, and with client certificates: of a kubespray's kind. Then with kubeadm's flags.
_FLAGS = {
    "a": (
        f"--listen-client-urls={_CLIENTS}",
        f"--cert-file={_TLS / 'client.crt'}",
        f"--key-file={_TLS / 'client.key'}",
        "--client-cert-auth",
        f"--trusted-ca-file={_TLS / 'client.crt'}",
    ),
    "b": ("--listen-client-urls=http://127.0.0.1:3379", f"--listen-metrics-urls={_METRICS}"),
}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as stage:
        yield stage


def _start(node: Node, name: str, folder: Path) -> subprocess.Popen[bytes]:
    words = [f"--name={name}", f"--data-dir={folder / name}", "--log-level=error", "--logger=zap"]
    words += [f"--listen-peer-urls={_PEERS[name]}", f"--initial-advertise-peer-urls={_PEERS[name]}"]
    words += [f"--initial-cluster={','.join(f'{one}={url}' for one, url in _PEERS.items())}"]
    words += [*_FLAGS[name], f"--advertise-client-urls={_FLAGS[name][0].split('=', 1)[1]}"]
    return subprocess.Popen([*node.enter, "etcd", *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def test_a_real_etcd(stage: Stage, tmp_path: Path):
    node = stage.node("master", "192.0.2.2")
    members = {name: _start(node, name, tmp_path) for name in _PEERS}
    try:
        done, told = ad_hoc(stage.inventory(), "master", "node_health", expect=["etcd"], wait_seconds=60)
        assert done, told
        urls = {check["url"]: check["healthy"] for check in told["checks"]}
        assert urls == {f"{_CLIENTS}/health": True, f"{_METRICS}/health": True}
        assert told["healthy"] is True
        assert told["complete"] is True

        members["a"].kill()
        members["a"].wait()
        done, told = ad_hoc(stage.inventory(), "master", "node_health", wait_seconds=0)
        assert done, told
        (check,) = told["checks"]
        assert check["url"] == f"{_METRICS}/health"
        assert check["healthy"] is False
        assert 'answers 503: {"health":"false"' in check["why"]
        assert told["healthy"] is False
    finally:
        for member in members.values():
            member.kill()
            member.wait()
