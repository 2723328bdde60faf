# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""go_servers: stacks that people reported or that sources make, and look-alikes that are none of the known servers."""

from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import go_servers
from ansible_collections.kubenode.doctor.plugins.module_utils.go_servers import _KNOWN, kind_of, server_of
from ansible_collections.kubenode.doctor.plugins.module_utils.origin_kinds import KINDS

ACCEPT = "net.(*TCPListener).Accept"
SERVE = "net/http.(*Server).Serve"
GRPC = "google.golang.org/grpc.(*Server).Serve"
STREAMING = "streaming.(*server).Start"
KUBELET = "k8s.io/kubernetes/pkg/kubelet"
CONTAINERD = "github.com/containerd/containerd"
SERVER_2 = f"{CONTAINERD}/v2/cmd/containerd/server.(*Server)"
DOCKER = "github.com/docker/docker"
DOCKERD = "/go/src/github.com/docker/docker/cmd/dockerd/daemon.go:700"

KNOWN = [
    # seed 001 (Kubernetes 1.11, built in the source tree)
    ("cri-streaming", [SERVE, f"{KUBELET}/server/{STREAMING}", f"{KUBELET}/dockershim.(*dockerService).Start.func1"], ""),
    ("cri-streaming", [SERVE, f"{KUBELET}/cri/{STREAMING}", f"{KUBELET}/dockershim.(*dockerService).Start.func1"], ""),
    # kata-containers/tests issue 1851
    ("cri-streaming", [SERVE, f"github.com/containerd/cri/vendor/{KUBELET}/server/{STREAMING}"], ""),
    ("cri-streaming", [SERVE, f"{CONTAINERD}/pkg/cri/{STREAMING}"], ""),
    ("cri-streaming", [SERVE, "net/http.(*Server).ServeTLS", f"k8s.io/kubelet/pkg/cri/{STREAMING}"], ""),
    ("cri-streaming", [SERVE, f"k8s.io/cri-streaming/pkg/{STREAMING}"], ""),
    ("cri-streaming", [SERVE, f"github.com/cri-o/cri-o/vendor/k8s.io/kubelet/pkg/cri/{STREAMING}"], ""),
    ("cri-streaming", [SERVE, f"github.com/Mirantis/cri-dockerd/{STREAMING}"], ""),
    # kubernetes issue 27884, in its form since Go 1.5
    ("kubelet-readonly", [SERVE, "net/http.(*Server).ListenAndServe", f"{KUBELET}/server.ListenAndServeKubeletReadOnlyServer"], ""),
    ("kubelet-api", ["crypto/tls.(*listener).Accept", SERVE, f"{KUBELET}/server.ListenAndServeKubeletServer"], ""),
    (
        "kubelet-healthz",
        [
            "net/http.tcpKeepAliveListener.Accept",
            SERVE,
            "net/http.ListenAndServe",
            "k8s.io/kubernetes/cmd/kubelet/app.run.func2",
            "k8s.io/kubernetes/vendor/k8s.io/apimachinery/pkg/util/wait.JitterUntil.func1",
        ],
        "",
    ),
    # moby issue 35933
    ("containerd-debug", [SERVE, "net/http.Serve", f"{CONTAINERD}/server.(*Server).ServeDebug", f"{CONTAINERD}/server.(*Server).ServeDebug-fm"], ""),
    ("containerd-metrics", [SERVE, f"{CONTAINERD}/services/server.(*Server).ServeMetrics-fm"], ""),
    ("containerd-metrics", [SERVE, f"{SERVER_2}.ServeMetrics"], ""),
    ("containerd-debug", [SERVE, f"{SERVER_2}.ServeDebug"], ""),
    ("containerd-grpc", [f"{CONTAINERD}/vendor/{GRPC}", f"{SERVER_2}.ServeTCP"], ""),
    ("containerd-grpc", [GRPC, f"{CONTAINERD}/v2/plugins/server/internal.Serve.func1"], ""),
    ("containerd-grpc", [GRPC, f"{CONTAINERD}/v2/plugins/server/grpc.tcpServer.Serve-fm"], ""),
    ("containerd-metrics", [SERVE, f"{CONTAINERD}/v2/plugins/server/metrics.(*server).Start.Serve.func1"], ""),
    ("containerd-debug", [SERVE, f"{CONTAINERD}/v2/plugins/server/debug.server.Start.Serve.func1"], ""),
    # docker-archive-public/docker.machine issue 3577; docker/for-linux issue 544
    ("docker-api", ["crypto/tls.(*listener).Accept", SERVE, "github.com/docker/docker/api/server.(*HTTPServer).Serve"], ""),
    ("docker-api", [f"{DOCKER}/cmd/dockerd/hack.(*MalformedHostHeaderOverride).Accept", SERVE, f"{DOCKER}/api/server.(*HTTPServer).Serve"], ""),
    ("docker-api", [SERVE, "github.com/docker/docker/api/server.(*Server).serveAPI.func1"], ""),
    ("docker-api", [SERVE, "main.(*DaemonCli).start.func6"], DOCKERD),
    ("docker-api", [SERVE, "main.(*daemonCLI).start.func6"], DOCKERD),
    ("docker-api", [SERVE, "github.com/moby/moby/v2/daemon/command.(*daemonCLI).start.func6"], ""),
    ("docker-metrics", [SERVE, "main.startMetricsServer.func1"], "github.com/docker/docker/cmd/dockerd/metrics.go:32"),
    ("docker-metrics", [SERVE, "main.(*DaemonCli).start.startMetricsServer.func9"], DOCKERD),
    ("docker-metrics", [SERVE, "github.com/docker/docker/daemon/command.startMetricsServer.func1"], ""),
    ("crio-metrics", [SERVE, "net/http.Serve", "github.com/cri-o/cri-o/server/metrics.(*Metrics).startEndpoint.func1"], ""),
    # cilium issue 3491
    ("gops", ["github.com/cilium/cilium/vendor/github.com/google/gops/agent.listen"], ""),
    ("gops", ["github.com/google/gops/agent.Start.func2"], ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "functions", "file"), KNOWN, ids=[f"{number}-{row[0]}" for number, row in enumerate(KNOWN)]
)
def test_known_servers_are_found_above_what_carries_them(kind, functions, file):
    stack = [ACCEPT, *functions, "main.main"]
    assert kind_of(server_of(stack), stack, file) == kind


def test_every_row_has_a_kind_and_a_case(monkeypatch):
    assert {row.kind for row in _KNOWN} <= set(KINDS)
    for row in _KNOWN:
        others = tuple(other for other in _KNOWN if other is not row)
        monkeypatch.setattr(go_servers, "_KNOWN", others)
        missed = [kind for kind, functions, file in KNOWN if kind_of(server_of(functions), functions, file) != kind]
        assert missed == [row.kind] * len(missed)
        assert missed


@pytest.mark.parametrize(
    ("functions", "file"),
    [
        ([f"example.com/tv/{STREAMING}"], ""),
        ([f"{CONTAINERD}/pkg/cri/streaming.(*server).StartAll"], ""),
        ([f"{CONTAINERD}/pkg/cri/streaming.NewServer.func1"], ""),
        ([f"example.com/fork/{CONTAINERD}/pkg/cri/{STREAMING}"], ""),
        ([f"{KUBELET}/server.ListenAndServePodResources"], ""),
        (["k8s.io/kubernetes/cmd/kubelet/app.runHooks.func1"], ""),
        ([f"{CONTAINERD}/services/server.(*Server).ServeTTRPC"], ""),
        # HTTP of containerd's plugins/server: metrics or profiles, which the stack does not tell.
        ([SERVE, f"{CONTAINERD}/v2/plugins/server/internal.Serve.func1"], ""),
        # Anybody's main package has such a function.
        ([SERVE, "main.startMetricsServer.func1"], "/src/exporter/metrics.go:32"),
        ([SERVE, "main.(*daemonCLI).start.func1"], "/src/mydaemon/daemon.go:1"),
        (["main.main"], ""),
    ],
)
def test_others_are_not_mistaken_for_known_servers(functions, file):
    stack = [ACCEPT, *functions]
    assert kind_of(server_of(stack), stack, file) is None


@pytest.mark.parametrize(
    ("stack", "creator", "server"),
    [
        ([ACCEPT, "main.loop", "main.main"], None, "main.loop"),
        ([ACCEPT, SERVE, "net/http.ListenAndServe", "example.com/a/b.(*S).Run", "main.main"], None, "example.com/a/b.(*S).Run"),
        # Its path only begins like a carrier's.
        ([ACCEPT, "golang.org/x/network.Run", "main.main"], None, "golang.org/x/network.Run"),
        ([ACCEPT, "github.com/soheilhy/cmux.(*cMux).Serve", "main.main.func3"], None, "main.main.func3"),
        ([ACCEPT, SERVE, "golang.org/x/sync/errgroup.(*Group).Go.func1"], "example.com/a.Run", "example.com/a.Run"),
        ([ACCEPT, SERVE, "github.com/emicklei/go-restful/v3.Serve", "example.com/a.Run"], None, "example.com/a.Run"),
        ([ACCEPT, "a.io/b/vendor/golang.org/x/net/netutil.(*limitListener).Accept", SERVE, "a.io/b.Run"], None, "a.io/b.Run"),
        ([ACCEPT, SERVE, "k8s.io/apimachinery/pkg/util/wait.Until", "example.com/a.Run"], None, "example.com/a.Run"),
        # Started by go server.Serve(listener)
        ([ACCEPT, SERVE], "main.main", "main.main"),
        # Nobody but carriers
        ([ACCEPT, SERVE], None, SERVE),
        ([ACCEPT, SERVE], "golang.org/x/sync/errgroup.(*Group).Go", SERVE),
        # A method that is called Accept and one that only begins so
        ([ACCEPT, "main.(*hack).Accept", "main.(*c).acceptClients"], None, "main.(*c).acceptClients"),
        (["noslashordot"], None, "noslashordot"),
        ([], None, None),
        ([], "main.main", "main.main"),
    ],
)  # fmt: skip
def test_the_server_is_who_called_the_libraries(stack, creator, server):
    assert server_of(stack, creator) == server
