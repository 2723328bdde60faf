# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which function of a Go program serves a listener, told by the stack of the goroutine that accepts there; and which known server that is.

    net.(*TCPListener).Accept                                       waits for a connection
    net/http.(*Server).Serve                                        carries it
    github.com/containerd/containerd/pkg/cri/streaming.(*server).Start     serves it: a CRI streaming server
    github.com/containerd/containerd/pkg/cri/server.(*criService).Run.func3

Functions are named as Go prints them (runtime/traceback.go): import path, receiver, name, and func1, func1.2, gowrap1 or -fm for what has none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Optional, Pattern

from ansible_collections.kubenode.doctor.plugins.module_utils import go_names
from ansible_collections.kubenode.doctor.plugins.module_utils.origin_kinds import STREAMING

# Libraries that accept, or run functions, for whoever calls them. They and what is below them serve nothing of their own.
_CARRIERS = (
    "github.com/cockroachdb/cmux",
    "github.com/containerd/ttrpc",
    "github.com/docker/docker/pkg/listenbuffer",
    "github.com/emicklei/go-restful",
    "github.com/gin-gonic/gin",
    "github.com/labstack/echo",
    "github.com/miekg/dns",
    "github.com/oklog/run",
    "github.com/pires/go-proxyproto",
    "github.com/prometheus/exporter-toolkit/web",
    "github.com/soheilhy/cmux",
    "github.com/valyala/fasthttp",
    "golang.org/x/net",
    "golang.org/x/sync",
    "google.golang.org/grpc",
    "gopkg.in/tomb",
    "k8s.io/apimachinery/pkg/util/wait",
    "k8s.io/kubernetes/pkg/util/wait",
)
# A listener that wraps another one: kubernetes' tcpKeepAliveListener, Docker's MalformedHostHeaderOverride.
_WRAPPER = ".Accept"


class _Server(NamedTuple):
    """A known server: its function; where the name alone could be another program's, also its file; or what its stack must hold."""

    kind: str
    function: Pattern[str]
    file: str = ""
    through: str = ""


def _server(kind: str, function: str, file: str = "", through: str = "") -> _Server:
    return _Server(kind, re.compile(rf"(?:{function})(?![A-Za-z0-9_])"), file, through)


_KUBELET = r"k8s\.io/kubernetes/pkg/kubelet"
_CONTAINERD = r"github\.com/containerd/containerd(?:/v2)?"
# server (moby issue 35933, of 2017), services/server (1.2 to 1.7), then cmd/containerd/server (containerd cmd/containerd/command/main.go)
_CONTAINERD_SERVER = rf"{_CONTAINERD}/(?:services/|cmd/containerd/)?server\.\(\*Server\)"
# dockerd is a main package (cmd/dockerd), in later versions a package of its own (moby daemon/command)
_DOCKER_COMMAND = r"github\.com/(?:docker/docker|moby/moby)(?:/v2)?/daemon/command"
_DOCKER_START = r"\(\*(?:DaemonCli|daemonCLI)\)\.start"

# The first row that fits tells. Sources: the file of each function in its project.
_KNOWN = (
    # kubernetes pkg/kubelet/server/server.go, 1.11 to 1.36; the captured dump of 1.36
    _server("kubelet-api", rf"{_KUBELET}/server\.ListenAndServeKubeletServer"),
    _server("kubelet-readonly", rf"{_KUBELET}/server\.ListenAndServeKubeletReadOnlyServer"),
    # kubernetes cmd/kubelet/app/server.go: http.ListenAndServe in a function inside of run
    _server("kubelet-healthz", r"k8s\.io/kubernetes/cmd/kubelet/app\.run\.(?:func|gowrap)[0-9]+"),
    # dockershim, first in server (seed 001), then in cri; also vendored by containerd/cri (kata-containers/tests issue 1851) and CRI-O
    _server(STREAMING, rf"{_KUBELET}/(?:server|cri)/streaming\.\(\*server\)\.Start"),
    # kubernetes staging/src: containerd 2 (internal/cri/server/streaming.go), CRI-O, cri-dockerd; cri-streaming is their successor
    _server(STREAMING, r"k8s\.io/(?:kubelet/pkg/cri|cri-streaming/pkg)/streaming\.\(\*server\)\.Start"),
    # copies: containerd 1.5 to 1.7 (the captured dump of 1.6); cri-dockerd streaming/server.go
    _server(STREAMING, rf"{_CONTAINERD}/pkg/cri/streaming\.\(\*server\)\.Start"),
    _server(STREAMING, r"github\.com/Mirantis/cri-dockerd/streaming\.\(\*server\)\.Start"),
    _server("containerd-metrics", rf"{_CONTAINERD_SERVER}\.ServeMetrics"),
    _server("containerd-debug", rf"{_CONTAINERD_SERVER}\.ServeDebug"),
    _server("containerd-grpc", rf"{_CONTAINERD_SERVER}\.Serve(?:TCP|GRPC)"),
    # containerd's main branch of 2026: plugins/server/*/plugin.go, which hand a function to plugins/server/internal/serve.go. That one serves HTTP, metrics
    # or profiles, or gRPC, of which only the latter shows.
    _server("containerd-metrics", rf"{_CONTAINERD}/plugins/server/metrics\.[^/]+"),
    _server("containerd-debug", rf"{_CONTAINERD}/plugins/server/debug\.[^/]+"),
    _server("containerd-grpc", rf"{_CONTAINERD}/plugins/server/grpc\.[^/]+"),
    _server(
        "containerd-grpc",
        rf"{_CONTAINERD}/plugins/server/internal\.Serve",
        through="google.golang.org/grpc.(*Server).Serve",
    ),
    # moby cmd/dockerd/metrics.go, daemon/command/metrics.go; the dump of 20.10 in tests/fixtures/go_dumps
    _server("docker-metrics", rf"main\.(?:{_DOCKER_START}\.)?startMetricsServer", file="/cmd/dockerd/"),
    _server("docker-metrics", rf"{_DOCKER_COMMAND}\.(?:{_DOCKER_START}\.)?startMetricsServer"),
    # moby api/server/server.go (20.10 and older); cmd/dockerd/daemon.go and daemon/command/daemon.go serve by themselves
    _server("docker-api", r"github\.com/docker/docker/api/server\.\(\*(?:HTTPServer\)\.Serve|Server\)\.serveAPI)"),
    _server("docker-api", rf"main\.{_DOCKER_START}", file="/cmd/dockerd/"),
    _server("docker-api", rf"{_DOCKER_COMMAND}\.{_DOCKER_START}"),
    # cri-o server/metrics/metrics.go
    _server("crio-metrics", r"github\.com/cri-o/cri-o/server/metrics\.\(\*Metrics\)\.startEndpoint"),
    # gops agent/agent.go: listen, once Start
    _server("gops", r"github\.com/google/gops/agent\.(?:listen|Listen|Start)"),
)


def server_of(stack: Sequence[str], creator: Optional[str] = None) -> Optional[str]:
    """The function that serves: of a stack, innermost first, the first that is neither the standard library nor carries for others.

    ``go server.Serve(listener)`` leaves nothing but the standard library on the stack: then it is who started the goroutine.
    """
    for function in (*stack, *([creator] if creator else [])):
        if not _carries(function):
            return function
    return stack[-1] if stack else None


def kind_of(server: str, stack: Sequence[str], file: str = "") -> Optional[str]:
    """The kind (origin_kinds) of the server whose function lies in ``file``, None when it is not a known one."""
    function = _bare(server)
    functions = [_bare(one) for one in stack]
    for known in _KNOWN:
        if known.function.match(function) and known.file in file and (not known.through or known.through in functions):
            return known.kind
    return None


def _carries(function: str) -> bool:
    bare = _bare(function)
    if bare.endswith(_WRAPPER) or go_names.is_standard(bare):
        return True
    package = bare[: bare.find(".", bare.rfind("/") + 1)]
    return any(package == carrier or package.startswith(f"{carrier}/") for carrier in _CARRIERS)


def _bare(function: str) -> str:
    """The name without the folder of vendored code that it was built from."""
    return function.rpartition("/vendor/")[2]
