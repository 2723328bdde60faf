# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a Kubernetes node that serve their own health: what of them runs here, where it is asked, and with which client certificates.

A part is told by its process, which is in this network namespace; a kind node's is not this node's. The parts of a program that contains
several (k3s, MicroK8s) cannot be told so: they may be here or not.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator, Sequence
from typing import Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from ansible_collections.kubenode.doctor.plugins.module_utils import kubelet_config, procfs, program_arguments
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import Files
from ansible_collections.kubenode.doctor.plugins.module_utils.configuration import port_number
from ansible_collections.kubenode.doctor.plugins.module_utils.health_probe import Pair, Place
from ansible_collections.kubenode.doctor.plugins.module_utils.program_arguments import flag

KUBELET, API_SERVER, ETCD = "kubelet", "api-server", "etcd"
PARTS = (KUBELET, API_SERVER, ETCD)

# By the kernel's name of the process, at most 15 bytes.
_PROGRAMS = {"kubelet": KUBELET, "kube-apiserver": API_SERVER, "etcd": ETCD, "microshift-etcd": ETCD}
# hyperkube of Kubernetes 1.16 and older names its part by its first argument.
_HYPERKUBE_NAME = "hyperkube"
_HYPERKUBE = {"kubelet": KUBELET, "apiserver": API_SERVER, "kube-apiserver": API_SERVER}
# The API server's port of programs that contain everything: docs.k3s.io/installation/requirements, microk8s.io/docs/services-and-ports,
# MicroShift's 6443. Of k3s, whose servers and agents may be told apart by their names only in some versions, any may have all.
_WHOLE = {"k3s": 6443, "k3s-server": 6443, "k3s-agent": 6443, "kubelite": 16443, "microshift": 6443}
_SECURE_PORT = 6443  # pkg/kubeapiserver/options: --secure-port
_KUBELET_PLACE = ("127.0.0.1", 10248)
_ETCD_METRICS, _ETCD_CLIENTS = "listen-metrics-urls", "listen-client-urls"
# kubeadm and k3s; then what etcd listens on when nothing is set, with a certificate and without.
_ETCD_PLACES = ("http://127.0.0.1:2381", "https://127.0.0.1:2379", "http://127.0.0.1:2379")
_BOTH = ("127.0.0.1", "::1")
_LOOPBACK = {"": _BOTH, "0.0.0.0": _BOTH[:1], "::": _BOTH, "localhost": _BOTH}  # noqa: S104 - compared, not bound

_OF_KUBEADM = "/etc/kubernetes/pki"
_OF_KOPS = "/etc/kubernetes/kube-apiserver-healthcheck/secrets"  # nodeup/pkg/model/kube_apiserver_healthcheck.go
_OF_KUBELET = "/var/lib/kubelet/pki/kubelet-client-current.pem"
_OF_RANCHER = "/var/lib/rancher/%s/server/tls/client-admin"
_API_PAIRS: Tuple[Pair, ...] = (
    (f"{_OF_KUBEADM}/apiserver-kubelet-client.crt", f"{_OF_KUBEADM}/apiserver-kubelet-client.key"),
    (_OF_KUBELET, _OF_KUBELET),
    (f"{_OF_KOPS}/client.crt", f"{_OF_KOPS}/client.key"),
    *((f"{_OF_RANCHER % name}.crt", f"{_OF_RANCHER % name}.key") for name in ("k3s", "rke2")),
)
_ETCD_PAIRS: Tuple[Pair, ...] = (
    (f"{_OF_KUBEADM}/etcd/healthcheck-client.crt", f"{_OF_KUBEADM}/etcd/healthcheck-client.key"),
)

_MOST_URLS = 8
_MOST_PROGRAMS = 16  # kops runs four etcds


class Program(NamedTuple):
    """A running program that is a part, or contains parts."""

    pid: int
    comm: str
    argv: Sequence[str]

    @property
    def whole(self) -> bool:
        """Whether it may contain any part."""
        return self.comm in _WHOLE

    @property
    def part(self) -> Optional[str]:
        """The one part that it is, None where it contains several."""
        if self.comm == _HYPERKUBE_NAME:
            return _HYPERKUBE.get(self.argv[1] if len(self.argv) > 1 else "")
        return _PROGRAMS.get(self.comm)


def running(gaps: List[Dict[str, str]], proc: str = "/proc") -> List[Program]:
    """The programs that are parts or contain them; what keeps some from being seen is noted in ``gaps``."""
    seen, hidden = program_arguments.named({*_PROGRAMS, *_WHOLE, _HYPERKUBE_NAME}, proc)
    # Without a command line it is ending.
    found = [Program(*one) for one in seen if one.argv != [""]]
    why = procfs.why_hidden(hidden, proc)
    if not why and len(found) > _MOST_PROGRAMS:
        why = f"{len(found)} programs have the names of parts of a node; the first {_MOST_PROGRAMS} were asked"
    if why:
        gaps.append({"what": "processes", "why": why})
    return found[:_MOST_PROGRAMS]


def places(part: str, program: Program, proc: str = "/proc", root: str = "/") -> Tuple[Place, ...]:
    """Where a part listens; none where it was told to listen nowhere."""
    if program.whole:
        return tuple(_inside(part, program))
    if part == KUBELET:
        return tuple(_of_kubelet(program, root))
    if part == API_SERVER:
        return tuple(_of_api_server(program.argv))
    told = [_setting(program, name, proc) for name in (_ETCD_METRICS, _ETCD_CLIENTS)]
    urls = [url for text in told if text for url in text.split(",")] or list(_ETCD_PLACES)
    return tuple(place for url in urls[:_MOST_URLS] for place in _of_url(url))


def pairs(part: str, program: Program, proc: str = "/proc", root: str = "/") -> Sequence[Pair]:
    """Client certificates by which a part may let us ask: etcd's own is one too with kubeadm and kubespray."""
    known = _API_PAIRS
    if part == ETCD:
        own = _setting(program, "cert-file", proc), _setting(program, "key-file", proc)
        known = (*_ETCD_PAIRS, *([(own[0], own[1])] if own[0] and own[1] else []))
    return [(_below(root, certificate), _below(root, key)) for certificate, key in known]


def _inside(part: str, program: Program) -> Iterator[Place]:
    if part == KUBELET:
        yield Place(False, *_KUBELET_PLACE)
    elif part == ETCD:
        yield from _of_url(_ETCD_PLACES[0])
    else:
        yield from _near(True, "", _WHOLE[program.comm])


def _of_kubelet(program: Program, root: str) -> Iterator[Place]:
    """Its healthz server; the usual one where its configuration cannot be read."""
    gaps: List[Dict[str, str]] = []
    found = list(kubelet_config.collect([(kubelet_config.PROGRAM, list(program.argv))], Files(root, gaps)))
    for setting in found:
        if setting.kind == "kubelet-healthz" and setting.port:
            yield from _near(False, setting.address, setting.port)
    if gaps and not any(setting.kind == "kubelet-api" for setting in found):
        yield Place(False, *_KUBELET_PLACE)


def _of_api_server(argv: Sequence[str]) -> Iterator[Place]:
    try:
        port = port_number(flag(argv, "--secure-port") or str(_SECURE_PORT))
    except ValueError:  # it would not run
        return
    yield from _near(True, flag(argv, "--bind-address") or "", port)


def _of_url(url: str) -> Iterator[Place]:
    try:
        parts = urlsplit(url.strip())
        if parts.scheme in ("http", "https") and parts.port:
            yield from _near(parts.scheme == "https", parts.hostname or "", parts.port)
    except ValueError:  # no URL that anybody could listen at
        return


def _near(tls: bool, address: str, port: int) -> Iterator[Place]:
    """The same from this machine: who listens on all addresses is asked on loopback. Nobody on another machine is asked."""
    for near in _LOOPBACK.get(address, (address,)):
        if _is_ours(near):
            yield Place(tls, near, port)


def _below(root: str, path: str) -> str:
    return os.path.join(root, path.lstrip("/"))


def _is_ours(address: str) -> bool:
    """Whether it is an address of this machine, in digits: only to such can a socket be bound (bind(2))."""
    try:
        version = ipaddress.ip_address(address).version
        with socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET) as probe:
            probe.bind((address, 0))
    except (OSError, ValueError):
        return False
    return True


def _setting(program: Program, name: str, proc: str) -> Optional[str]:
    """What etcd was told: by a flag, else by a variable of its environment, of which nothing else is taken (pkg/flags/flag.go)."""
    variable = f"ETCD_{name.upper().replace('-', '_')}="
    told = flag(program.argv, f"--{name}", f"-{name}")
    if told is not None:
        return told
    try:
        environment = procfs.text(f"{proc}/{program.pid}/environ", program_arguments.CMDLINE_LIMIT).split("\0")
    except OSError:
        return None
    return next((entry[len(variable) :] for entry in environment if entry.startswith(variable)), None)
