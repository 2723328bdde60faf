# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""node_health: nothing that is ill or cannot be asked passes for well, whatever it answers. tests/integration_real has a real etcd."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import node_health, node_parts
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.health_probe import Place
from ansible_collections.kubenode.doctor.plugins.module_utils.node_parts import API_SERVER, ETCD, KUBELET, Program
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_engine import Scripted, answer

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
CERTIFICATE, KEY = str(FIXTURES / "tls" / "client.crt"), str(FIXTURES / "tls" / "client.key")
PATIENCE = 20  # seconds that no test needs
OK = answer(200, b"ok")
# What etcd 3.4.23 answers, and 3.5 to a member that has lost the others.
ETCD_WELL, ETCD_ILL = b'{"health":"true"}', b'{"health":"false","reason":"RAFT NO LEADER"}'
# k8s.io/apiserver pkg/server/healthz: one line a check, and what failed with "[-]".
NOT_READY = b"[+]ping ok\n[-]etcd failed: reason withheld\n[+]etcd-readiness ok\n[-]informer-sync failed: reason withheld\nreadyz check failed\n"


class Secured(Scripted):
    """Answers over TLS; ``ask`` says what it does with those who have no certificate."""

    def __init__(self, *answers, ask=ssl.CERT_OPTIONAL):
        super().__init__(*answers, tcp=True)
        self.users = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(CERTIFICATE, KEY)
        self._context.load_verify_locations(CERTIFICATE)
        self._context.verify_mode = ask

    def serve(self, connection):
        with self._context.wrap_socket(connection.dup(), server_side=True) as secured:
            self.users.append(bool(secured.getpeercert()))
            super().serve(secured)


class Deaf(Scripted):
    """Says its answer, whatever it is told."""

    def serve(self, connection):
        connection.recv(65536)
        connection.sendall(self._answers.pop(0))


def closed_port():
    """A port on which nobody listens."""
    with Scripted(tcp=True) as server:
        return port(server)


def port(server):
    return int(server.host.rsplit(":", 1)[1])


def collect(node, *expect, seconds=PATIENCE):
    return node_health.collect(expect, Deadline(seconds), str(node.proc), str(node.root))


def check(node, *expect):
    """The one check there is, as (what, healthy, why); what is said of all goes with it."""
    told = collect(node, *expect)
    (one,) = told["checks"]
    assert told["healthy"] is one["healthy"]
    assert told["complete"] is (one["healthy"] is not None)
    assert told["missing"] == ([] if one["healthy"] is not None else [{"what": one["what"], "why": one["why"]}])
    return one["what"], one["healthy"], one["why"]


def kubelet(node, server, *more):
    node.process(700, "kubelet", ["/usr/bin/kubelet", f"--healthz-port={port(server)}", *more])


def api_server(node, server, *more):
    node.process(800, "kube-apiserver", ["kube-apiserver", f"--secure-port={port(server)}", *more])


def etcd(node, *flags):
    node.process(900, "etcd", ["etcd", *flags])


def give_certificate(node, certificate, key):
    node.file(certificate, Path(CERTIFICATE).read_text())
    if key != certificate:
        node.file(key, Path(KEY).read_text())
    else:
        node.file(key, Path(KEY).read_text() + Path(CERTIFICATE).read_text())


def test_nothing_runs_here(node):
    node.process(700, "sleep", ["sleep", "1"])
    node.process(701, "kubelet", ["/usr/bin/kubelet"], netns="other")  # a kind node's
    assert collect(node) == {"checks": [], "healthy": True, "complete": True, "missing": []}


def test_what_is_expected_and_does_not_run_is_ill(node):
    assert check(node, KUBELET) == (KUBELET, False, "it does not run here")


def test_what_is_expected_and_hidden_is_not_known(node):
    node.hidepid()
    told = collect(node, ETCD)
    assert told["healthy"] is None
    assert told["checks"] == [{"what": ETCD, "url": None, "healthy": None, "why": told["missing"][0]["why"]}]
    assert "hidepid" in told["missing"][0]["why"]
    assert collect(node)["healthy"] is None  # who knows what runs here


def test_a_kubelet_that_is_well(node):
    with Scripted(OK, tcp=True) as server:
        kubelet(node, server)
        told = collect(node, KUBELET)
    assert server.requests == ["GET /healthz"]
    assert told["checks"] == [
        {"what": KUBELET, "url": f"http://127.0.0.1:{port(server)}/healthz", "healthy": True, "why": ""}
    ]
    assert told["healthy"] is True


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer(500, b"[-]syncloop failed: timed out\n"), "it answers 500: [-]syncloop failed: timed out"),
        (
            answer(200, b"<html>\x1b[2J{{ 7*7 }}</html>"),
            "something else listens there: it answers <html>?[2J{{ 7*7 }}</html>",
        ),
        (answer(200, b""), "something else listens there: it answers nothing"),
        (answer(302, b"", Location="http://192.0.2.1/"), "it answers 302: "),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "what answers there is no HTTP, or too long"),
        (b"", "the connection was closed without an answer"),
        (answer(200, b"x" * 70000), "what answers there is no HTTP, or too long"),
    ],
)
def test_a_kubelet_that_is_not(node, said, why):
    with Scripted(said, tcp=True) as server:
        kubelet(node, server)
        assert check(node) == (KUBELET, False, why)


def test_a_kubelet_whose_port_is_closed(node):
    with Scripted(tcp=True) as server:
        kubelet(node, server)
    assert check(node) == (KUBELET, False, "connection refused: nobody listens there")


def test_a_kubelet_that_says_nothing(node, monkeypatch):
    monkeypatch.setattr(node_health, "_PROBE_SECONDS", 0.1)
    with Scripted(lambda connection: connection.recv(1), tcp=True) as server:
        kubelet(node, server)
        assert check(node) == (KUBELET, False, "no answer within 0.1 s")


def test_without_time_nothing_is_known(node):
    etcd(node)
    told = collect(node, seconds=0)
    assert (told["healthy"], told["checks"][0]["why"]) == (None, "the 0 s for all answers had passed")


def test_where_kubelet_listens(node):
    def places(*argv):
        return node_parts.places(KUBELET, Program(7, "kubelet", ["kubelet", *argv]), str(node.proc), str(node.root))

    node.file(
        "/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\nhealthzPort: 20248\nhealthzBindAddress: 0.0.0.0\n"
    )
    assert places("--config=/var/lib/kubelet/config.yaml") == (Place(False, "127.0.0.1", 20248),)
    assert places("--config", "/var/lib/kubelet/config.yaml", "--healthz-port=0") == ()
    assert places("--config=/gone") == places() == (Place(False, "127.0.0.1", 10248),)
    # Nobody else's machine is asked, and no name server.
    assert places("--healthz-bind-address=203.0.113.7") == places("--healthz-bind-address=kubelet.example") == ()


def test_a_kubelet_that_serves_no_health(node):
    node.process(700, "kubelet", ["kubelet", "--healthz-port=0"])
    assert check(node) == (
        KUBELET,
        None,
        "it was started so that it serves /healthz at no address of this machine: it cannot be asked",
    )


def test_an_api_server_that_lets_everybody_ask(node):
    with Secured(OK) as server:
        api_server(node, server)
        assert check(node) == (API_SERVER, True, "")
    assert (server.requests, server.users) == (["GET /readyz"], [False])


def test_an_api_server_that_is_not_ready(node):
    with Secured(answer(500, NOT_READY)) as server:
        api_server(node, server)
        why = "it answers 500: [-]etcd failed: reason withheld; [-]informer-sync failed: reason withheld"
        assert check(node) == (API_SERVER, False, why)


def test_an_api_server_from_before_readyz(node):
    with Secured(answer(404, b"404 page not found"), OK) as server:
        api_server(node, server)
        assert check(node) == (API_SERVER, True, "")
    assert server.requests == ["GET /readyz", "GET /healthz"]


@pytest.mark.parametrize(
    ("certificate", "key"),
    [
        ("/etc/kubernetes/pki/apiserver-kubelet-client.crt", "/etc/kubernetes/pki/apiserver-kubelet-client.key"),
        ("/var/lib/kubelet/pki/kubelet-client-current.pem", "/var/lib/kubelet/pki/kubelet-client-current.pem"),
    ],
)
def test_an_api_server_that_wants_to_know_who_asks(node, certificate, key):
    with Secured(answer(401, b"Unauthorized"), OK) as server:
        api_server(node, server)
        give_certificate(node, certificate, key)
        assert check(node) == (API_SERVER, True, "")
    assert server.users == [False, True]


def test_an_api_server_that_tells_us_nothing(node):
    with Secured(answer(401, b"Unauthorized")) as server:
        api_server(node, server)
        why = "it tells only who has a client certificate, and none was found on this machine"
        assert check(node) == (API_SERVER, None, why)


def test_an_api_server_that_forbids_it(node):
    files = ["/etc/kubernetes/pki/apiserver-kubelet-client.crt", "/etc/kubernetes/pki/apiserver-kubelet-client.key"]
    with Secured(answer(403), answer(403)) as server:
        api_server(node, server)
        give_certificate(node, *files)
        node.file("/var/lib/kubelet/pki/kubelet-client-current.pem", "no certificate")
        _what, healthy, why = check(node)
    assert healthy is None
    assert why.startswith(
        f"it tells only who has a client certificate, and none of these is accepted: {node.root}{files[0]}"
    )
    assert server.users == [False, True]


def test_an_api_server_without_tls_is_none(node):
    with Deaf(answer(400, b"Client sent an HTTP request"), tcp=True) as server:
        api_server(node, server)
        _what, healthy, why = check(node)
    assert healthy is False
    assert why.startswith("no TLS connection: ")


@pytest.mark.parametrize("port_flag", ["0x50", "70000", "²", "-1"])
def test_an_api_server_on_no_port(node, port_flag):
    node.process(800, "kube-apiserver", ["kube-apiserver", f"--secure-port={port_flag}"])
    assert check(node)[1] is None


@pytest.mark.parametrize("argument", ["--listen-metrics-urls={}", "--listen-client-urls={}", "-listen-client-urls={}"])
def test_an_etcd_that_is_well(node, argument):
    with Scripted(answer(200, ETCD_WELL), tcp=True) as server:
        etcd(node, argument.format(f"http://127.0.0.1:{port(server)}"))
        assert check(node) == (ETCD, True, "")
    assert server.requests == ["GET /health"]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (answer(503, ETCD_ILL), 'it answers 503: {"health":"false","reason":"RAFT NO LEADER"}'),
        (
            answer(200, ETCD_ILL),
            'something else listens there: it answers {"health":"false","reason":"RAFT NO LEADER"}',
        ),
        (answer(200, b"ok"), "something else listens there: it answers ok"),
        (answer(200, b"[" * 60000), "something else listens there: it answers [[["),
        (answer(200, b'["true"]'), 'something else listens there: it answers ["true"]'),
    ],
)
def test_an_etcd_that_is_not(node, said, why):
    with Scripted(said, tcp=True) as server:
        etcd(node, "--listen-metrics-urls", f"http://127.0.0.1:{port(server)}")
        what, healthy, told = check(node)
    assert (what, healthy) == (ETCD, False)
    assert told.startswith(why)


def test_an_etcd_whose_metrics_are_shut_is_asked_where_clients_ask(node):
    metrics = f"http://127.0.0.1:{closed_port()}"
    with Scripted(answer(200, ETCD_WELL), tcp=True) as server:
        etcd(
            node,
            f"--listen-metrics-urls={metrics}",
            f"--listen-client-urls=unix:///run/etcd,http://127.0.0.1:{port(server)}",
        )
        assert check(node) == (ETCD, True, "")


def test_an_etcd_that_is_told_by_its_environment(node):
    with Scripted(answer(200, ETCD_WELL), tcp=True) as server:
        etcd(node)
        text = f"ETCD_ROOT_PASSWORD=secret\0ETCD_LISTEN_CLIENT_URLS=http://127.0.0.1:{port(server)}\0"
        (node.proc / "900" / "environ").write_text(text)
        assert check(node) == (ETCD, True, "")


@pytest.mark.parametrize(
    ("files", "flags"),
    [
        (("/etc/kubernetes/pki/etcd/healthcheck-client.crt", "/etc/kubernetes/pki/etcd/healthcheck-client.key"), ()),
        (
            ("/etc/ssl/etcd/a.pem", "/etc/ssl/etcd/a-key.pem"),
            ("--cert-file=/etc/ssl/etcd/a.pem", "--key-file=/etc/ssl/etcd/a-key.pem"),
        ),
    ],
)
def test_an_etcd_that_speaks_with_nobody_else(node, files, flags):
    with Secured(answer(200, ETCD_WELL), ask=ssl.CERT_REQUIRED) as server:
        etcd(node, f"--listen-client-urls=https://127.0.0.1:{port(server)}", *flags)
        assert check(node) == (
            ETCD,
            None,
            "it tells only who has a client certificate, and none was found on this machine",
        )
        give_certificate(node, *files)
        assert check(node) == (ETCD, True, "")
    assert server.users == [True]


def test_where_etcd_listens_when_nothing_is_told(node):
    etcd(node)
    places = node_parts.places(ETCD, Program(900, "etcd", ["etcd"]), str(node.proc), str(node.root))
    assert [place.url("") for place in places] == [
        "http://127.0.0.1:2381",
        "https://127.0.0.1:2379",
        "http://127.0.0.1:2379",
    ]


@pytest.mark.parametrize(
    "url",
    [
        "https://203.0.113.7:2379",
        "http://etcd.example:2379",
        "http://[::1",
        "unix:///run/etcd",
        "http://127.0.0.1:99999",
        "x" * 9999,
    ],
)
def test_an_etcd_is_asked_on_this_machine_only(node, url):
    etcd(node, f"--listen-client-urls={url}", f"--listen-metrics-urls={','.join([url] * 99)}")
    told = collect(node)
    assert [(check["healthy"], check["url"]) for check in told["checks"]] == [(None, None)]


def test_two_etcds_have_to_be_well_both(node):
    with Scripted(answer(200, ETCD_WELL), tcp=True) as well, Scripted(answer(503, ETCD_ILL), tcp=True) as ill:
        etcd(node, f"--listen-client-urls=http://127.0.0.1:{port(well)}")
        node.process(901, "etcd", ["etcd", f"--listen-client-urls=http://127.0.0.1:{port(ill)}"])
        told = collect(node)
    assert [check["healthy"] for check in told["checks"]] == [True, False]
    assert (told["healthy"], told["complete"]) == (False, True)


def test_ill_outweighs_unknown(node):
    with Scripted(answer(503), tcp=True) as server:
        kubelet(node, server)
        node.process(800, "kube-apiserver", ["kube-apiserver", "--secure-port=none"])
        told = collect(node)
    assert [check["healthy"] for check in told["checks"]] == [False, None]
    assert (told["healthy"], told["complete"]) == (False, False)


def test_hyperkube_names_its_part(node):
    with Scripted(OK, tcp=True) as server:
        node.process(700, "hyperkube", ["/hyperkube", "kubelet", f"--healthz-port={port(server)}"])
        node.process(701, "hyperkube", ["/hyperkube", "proxy"])
        node.process(702, "hyperkube", ["/hyperkube"])
        assert check(node) == (KUBELET, True, "")


def test_a_program_that_contains_everything(node, monkeypatch):
    node.process(600, "k3s-server", ["/usr/local/bin/k3s server"])
    closed = closed_port()
    with Scripted(OK, tcp=True) as server:
        monkeypatch.setattr(node_parts, "_KUBELET_PLACE", ("127.0.0.1", port(server)))
        monkeypatch.setattr(node_parts, "_ETCD_PLACES", [f"http://127.0.0.1:{closed}"])
        monkeypatch.setitem(node_parts._WHOLE, "k3s-server", closed)
        told = collect(node, KUBELET, ETCD)
    # Its API server, which nobody asked for, and which may be elsewhere, is not missed.
    assert [(check["what"], check["healthy"]) for check in told["checks"]] == [(KUBELET, True), (ETCD, False)]


def test_many_programs_of_one_name(node):
    for pid in range(100, 140):
        node.process(pid, "kube-apiserver", ["kube-apiserver", "--secure-port=none"])
    assert len(node_parts.running([], str(node.proc))) == 16
    told = collect(node)
    assert len(told["checks"]) == 1  # all say the same
    assert told["missing"][0] == {
        "what": "processes",
        "why": "40 programs have the names of parts of a node; the first 16 were asked",
    }


def test_it_is_asked_again_until_it_is_well(node, monkeypatch):
    monkeypatch.setattr(node_health, "_PAUSE_SECONDS", 0)
    with Scripted(answer(500), answer(500), OK, tcp=True) as server:
        kubelet(node, server)
        told = node_health.wait([], PATIENCE, str(node.proc), str(node.root))
    assert told["healthy"] is True
    assert len(server.requests) == 3


def test_it_is_not_asked_for_ever(node):
    assert node_health.wait([KUBELET], 0, str(node.proc), str(node.root))["healthy"] is False


@pytest.mark.parametrize("seconds", [-1, 3601, float("nan"), float("inf")])
def test_how_long_to_wait(seconds):
    assert node_health.why_not(seconds).startswith("wait_seconds: ")
    assert not node_health.why_not(0)
