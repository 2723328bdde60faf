# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every parser that reads what a kernel, an engine or a program of a node says, with real inputs to begin with and what it may raise.

A parser that raises anything else, or does not come to an end, is broken; what it returns has to be of JSON's types where it goes into an answer.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import struct
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Tuple, Type

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    cgroup,
    cluster_api,
    containerd_files,
    cpu_times,
    crictl,
    dlv_trace,
    docker_containers,
    docker_log,
    go_build,
    go_dump,
    go_symbols,
    health_probe,
    http_signature,
    iptables_rules,
    ipvs_table,
    journal_entry,
    kernel_gauges,
    kernel_ring,
    kube_container,
    log_matcher,
    netlink,
    nf_tables,
    nft_rules,
    pod_log_lines,
    port_ranges,
    procfs,
    procfs_addresses,
    procfs_net,
    rfc3339,
    signatures,
    sock_diag,
    strace_lines,
    tcp_tally,
    toml_lines,
    yaml_scalars,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.container_processes import ContainerProcesses
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import Engine, EngineError
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import LogLine, Origin
from ansible_collections.kubenode.doctor.tests.fuzz import mutate
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils import made_up_program

_FIXTURES = Path(__file__).parents[1] / "fixtures"
_SOCK_DIAG = 20


class Target(NamedTuple):
    """``seeds`` are real inputs, ``run`` takes one that was made of them, ``allowed`` is what it may raise."""

    seeds: List[bytes]
    run: Callable[[bytes], Any]
    allowed: Tuple[Type[BaseException], ...] = ()
    is_json: bool = False
    costs: int = 1  # how many of the cheapest inputs one of these takes; of dear ones fewer are made


def _file(path: str) -> bytes:
    return (_FIXTURES / path).read_bytes()


def _lines(path: str) -> List[bytes]:
    return [line for line in _file(path).splitlines() if line]


def _json(path: str) -> Any:
    return json.loads(_file(path))


# --- the kernel


def _datagrams(name: str) -> List[bytes]:
    told = _json(f"sock_diag/{name}.json")
    told = told.get("datagrams", told)
    return [bytes.fromhex(text) for part in told.values() for text in part]


def _messages(data: bytes) -> None:
    for _kind, _flags, payload in netlink.messages(data):
        list(netlink.attributes(payload[72:]))  # behind struct inet_diag_msg


def _payloads() -> List[bytes]:
    found = []
    for datagram in _datagrams("datagrams") + _datagrams("stuck"):
        found += [bytes(payload) for kind, _flags, payload in netlink.messages(datagram) if kind == _SOCK_DIAG]
    return found


def _entries(data: bytes) -> None:
    for protocol in ("tcp", "udp"):
        sock_diag.parse(memoryview(data), protocol)


class _Link:
    """A kernel's end of a netlink socket, which answers everything with these datagrams."""

    def __init__(self, waiting: Iterable[bytes]) -> None:
        self._waiting = list(waiting)

    def __enter__(self) -> _Link:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def settimeout(self, _seconds: float) -> None:
        pass

    def send(self, request: bytes) -> int:
        return len(request)

    def recvmsg_into(self, buffers: List[bytearray]) -> Tuple[int, list[Any], int, None]:
        if not self._waiting:
            raise socket.timeout("timed out")
        datagram = self._waiting.pop(0)
        buffers[0][: len(datagram)] = datagram
        return len(datagram), [], 0, None


_DONE = struct.pack("=IHHIIi", 20, 3, 2, 1, 0, 0)


def _connect(*datagrams: bytes) -> Any:
    return lambda _protocol: _Link(datagrams)


def _tally(data: bytes) -> None:
    for inodes in (True, False):
        tally = tcp_tally.Tally([], (32768, 60999), inodes)
        tcp_tally.read(tally, sock_diag.ALL_STATES, _connect(data, _DONE))
        tally.counts()


def _nf_tables(data: bytes) -> None:
    ruleset = nf_tables.Ruleset("ipv4", _connect(data, _DONE))
    for ask in (ruleset.tables, ruleset.chains, ruleset.all_rules):
        try:
            ask()
        except netlink.NetlinkError:
            continue
    ruleset.rules("kube-proxy", "services")
    ruleset.elements("kube-proxy", "service-nodeports")


def _nft_rules(data: bytes) -> None:
    _plain(list(nft_rules.read(nf_tables.Ruleset("ipv4", _connect(data, _DONE)), "ipv4", Deadline(5))))


def _nft_seeds() -> List[bytes]:
    told = _json("kube_proxy/nf_tables.json")
    return [bytes.fromhex(text) for answer in told.values() for text in answer] + [
        _file(f"pods/chains-{name}.bin") for name in ("iptables-nft", "empty-nat")
    ]


def _procfs_net(data: bytes) -> None:
    for family in ("ipv4", "ipv6"):
        for protocol in ("tcp", "udp"):
            try:
                list(procfs_net.parse(iter(_text(data).splitlines(True)), protocol, family))
            except ValueError:
                continue


def _ipvs(data: bytes) -> None:
    found = list(ipvs_table.servers(_text(data).splitlines()))
    _plain(list(ipvs_table.node_ports(found, {"192.0.2.2", "10.0.0.1"})))


_IPVS = b"""IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0000202:7918 rr
  -> 0AF40105:1388      Masq    1      0          0
UDP  [20010db8000000000000000000000001]:7918 rr persistent 10800 FFFFFFFF
  -> [fd000000000000000000000000000005]:0035      Masq    1      0          0
FWM  00000001 rr
"""
_GAUGES = (
    b"0.07 0.14 0.69 1/91 18392\n",
    b"521\t0\t2466170\n",
    b"0-3,5,7-15\n",
    b"MemTotal:       24684084 kB\nMemAvailable:  12 kB\n",
)
_PSI = b"some avg10=1.05 avg60=0.79 avg300=0.76 total=1237379922\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
_STAT = (
    b"cpu  10132153 290696 3084719 46828483 16683 0 25195 175628 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\nintr 1 2\nctxt 1990473\n"
    b"btime 1062191376\nprocesses 2915\nprocs_running 1\nprocs_blocked 0\n"
)


def _gauges(data: bytes) -> None:
    text = _text(data)
    for parse in (
        kernel_gauges.load,
        kernel_gauges.pressure,
        kernel_gauges.memory,
        kernel_gauges.files,
        kernel_gauges.cpus,
    ):
        try:
            parse(text)
        except ValueError:
            continue


def _cpu_times(data: bytes) -> None:
    stat = cpu_times.parse(_text(data))
    _plain(cpu_times.shares(cpu_times.parse(_text(_STAT.replace(b"10132153", b"10132100"))), stat, 1.0))
    _plain([cpu_times.steal_since_boot(stat), cpu_times.waiting(stat)])


def _ranges(data: bytes) -> None:
    text = _text(data)
    for parse in (port_ranges.parse_range, port_ranges.parse_local_range, port_ranges.parse_reserved):
        try:
            parse(text)
        except ValueError:
            continue


def _cgroups(data: bytes) -> None:
    path = cgroup.path_of(_text(data))
    _plain([cgroup.owner(path), cgroup.member(path), cgroup.program(path), cgroup.tells(path)])


class Scratch:
    """A folder in memory where there is one, for parsers that read files."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        self._folder = tempfile.TemporaryDirectory(
            prefix="kubenode-doctor-fuzz-", dir=str(memory) if memory.is_dir() else None
        )
        self.path = Path(self._folder.name)

    def file(self, name: str, data: bytes) -> str:
        """Write a file there."""
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return str(place)

    def close(self) -> None:
        """Remove it."""
        self._folder.cleanup()


def _in_files(scratch: Scratch) -> Dict[str, Target]:
    def stat_fields(data: bytes) -> None:
        procfs.stat_fields(scratch.file("stat", data))

    def addresses(data: bytes) -> None:
        for name in ("fib_trie", "if_inet6"):
            scratch.file(f"net/{name}", data)
        _plain(procfs_addresses.addresses(str(scratch.path / "net")))

    def build(data: bytes) -> None:
        found = go_build.read(scratch.file("program", data))
        _plain(None if found is None else list(found))

    def symbols(data: bytes) -> None:
        _plain(go_symbols.names(scratch.file("program", data), [0x401000, 0, -1, 1 << 62]))

    def oci(data: bytes) -> None:
        root = scratch.path / "node"
        state, kept = (
            "run/containerd/io.containerd.runtime.v2.task/k8s.io",
            "var/lib/containerd/io.containerd.grpc.v1.cri",
        )
        scratch.file(f"node/{state}/{_ID}/config.json", data)
        scratch.file(f"node/{state}/{_ID}/init.pid", data[:20])
        scratch.file(f"node/{kept}/containers/{_ID}/status", data)
        for runtime in containerd_files.here(str(root)):
            told = runtime.read(ContainerProcesses(str(root / "proc")), Deadline(5))
            _plain([list(told.missing), [one for _identity, one in told.found], list(told.strangers)])

    captures = [_json(f"containerd/{name}.json") for name in ("containerd-1.6", "containerd-1.7", "containerd-2.1")]
    files = [
        text.encode()
        for one in captures
        for path, text in one["files"].items()
        if path.endswith(("config.json", "status"))
    ]
    programs = [_elf(name) for name in ("inline-amd64", "symbols-amd64", "symbols-386", "pointers-ppc64")]
    stat = b"1234 (a) b) S 1 1234 1234 0 -1 4194560 1029 2 0 0 12 3 0 0 20 0 1 0 4242 12345 100 " + b"0 " * 28
    return {
        "proc: stat": Target([stat], stat_fields, (OSError, ValueError), costs=5),
        "proc: addresses": Target(
            [_file("pods/fib_trie.txt"), _file("pods/if_inet6.txt")], addresses, (OSError, ValueError), costs=8
        ),
        "go build info": Target(programs, build, (OSError,), costs=8),
        "go symbols": Target(programs, symbols, costs=4),
        "OCI config, containerd's files": Target(files, oci, costs=30),
    }


_ID = "0123456789abcdef" * 4


def _elf(name: str) -> bytes:
    """The beginning of a real program, put together from what was kept of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(made_up_program.make(name, Path(folder) / "program"))
        with path.open("rb") as file:
            return file.read(1 << 16)


# --- engines and runtimes


def _answered(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nDate: Sun, 22 Nov 2026 08:00:00 GMT\r\n{headers}"
    return head.encode("ascii") + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _filled(data: bytes) -> socket.socket:
    """A connection whose other end has said this and hung up."""
    here, there = socket.socketpair()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    there.setblocking(False)
    with contextlib.suppress(OSError):
        there.sendall(data)
    there.shutdown(socket.SHUT_WR)
    return _Held(here, there)


class _Held(socket.socket):
    """Keeps the other end open for as long as it is."""

    def __init__(self, here: socket.socket, there: socket.socket) -> None:
        super().__init__(here.family, here.type, here.proto, here.detach())
        self._there = there

    def close(self) -> None:
        self._there.close()
        super().close()


def _engine(answers: List[bytes]) -> Engine:
    engine = Engine("unix:///run/docker.sock", Deadline(5))
    left = list(answers)
    engine._connect = lambda _deadline: _filled(left.pop(0) if left else b"")
    return engine


_PING = _answered(b"OK")
_VERSION = _answered(b'{"Version": "20.10.24", "ApiVersion": "1.41"}')


def _docker_http(data: bytes) -> None:
    for answers in ([data, data], [_PING, data], [_PING, _VERSION, data]):
        engine = _engine(answers)
        try:
            engine.begin()
            engine.containers()
        except EngineError:
            continue


def _docker_list(data: bytes) -> None:
    engine = _engine([_PING, _VERSION, _answered(data), *[_answered(data[1:-1])] * 4])
    engine.begin()
    listing = docker_containers.collect(engine, Deadline(5))
    _plain([listing.missing, list(listing.strangers), list(listing.others)])


def _docker_log(data: bytes) -> None:
    for framed in (True, False):
        try:
            docker_log.end([data[:7], data[7:]], framed, 10, 4096)
        except docker_log.LogFormError:
            continue


def _docker_seed() -> bytes:
    labels = {
        "io.kubernetes.container.name": "etcd",
        "io.kubernetes.pod.name": "etcd-m",
        "io.kubernetes.pod.namespace": "kube-system",
        "io.kubernetes.pod.uid": "1403dda5-3aff-dfee-1130-475a6d960911",
        "io.kubernetes.docker.type": "container",
        "io.kubernetes.sandbox.id": "f" * 64,
        "annotation.io.kubernetes.container.restartCount": "3",
    }
    name = "/k8s_etcd_etcd-m_kube-system_1403dda5-3aff-dfee-1130-475a6d960911_3"
    entry = {
        "Id": _ID,
        "Names": [name],
        "Labels": labels,
        "State": "exited",
        "Created": 1700000000,
        "Image": "etcd:3.5",
    }
    other = {**entry, "Id": "e" * 64, "Names": [f"{name}_deadbeef"]}
    told = {
        **entry,
        "Name": name,
        "State": {
            "Status": "exited",
            "StartedAt": "2026-11-21T08:00:00.5Z",
            "FinishedAt": "2026-11-21T08:00:01Z",
            "ExitCode": 137,
        },
        "Created": "2026-11-21T08:00:00.123456789Z",
        "Config": {"Labels": labels, "Image": "etcd:3.5"},
        "HostConfig": {"NetworkMode": f"container:{'f' * 64}"},
    }
    return json.dumps([{**told, **entry}, {**told, **other}]).encode()


def _crictl(data: bytes) -> None:
    told = json.loads(data)
    if not isinstance(told, dict):
        return
    lists = [
        [one for one in value if isinstance(one, dict)]
        for value in (told.get("ps"), told.get("pods"))
        if isinstance(value, list)
    ]
    found = crictl.understood("containerd", *[*lists, [], []][:2])
    _plain([list(found.missing), [one for _identity, one in found.found], list(found.strangers)])


def _crictl_seeds() -> List[bytes]:
    captures = [_json(f"containerd/{name}.json") for name in ("containerd-1.6", "containerd-1.7", "containerd-2.1")]
    return [json.dumps({"ps": one["ps"]["containers"], "pods": one["pods"]["items"]}).encode() for one in captures]


def _cluster(data: bytes) -> None:
    def fetch(path: str, _query: Dict[str, str]) -> cluster_api.Answer:
        return cluster_api.Answer(200, {}, b'{"major": "1", "minor": "36"}' if path == "/version" else data)

    sections = [kind.section for kind in cluster_api.KINDS]
    _plain(cluster_api.read_cluster(fetch, sections, 500, Deadline(5), lambda _seconds: None))


def _http(data: bytes) -> None:
    listener = {
        "protocol": "tcp",
        "state": "listen",
        "address": "127.0.0.1",
        "port": 10010,
        "processes": [{"name": "containerd", "pid": 1}],
        "cgroup": None,
    }
    signature: Dict[str, Any] = dict.fromkeys(("asked", "status", "server", "kind"))
    signature.update(body="", looks_like="", why="")
    with _filled(data) as connection:
        try:
            http_signature._converse(connection, "127.0.0.1", listener, Deadline(5), signature)
        finally:
            _plain(signature)


# --- texts


def _log_lines(data: bytes) -> None:
    pod_log_lines.time_of(data)
    pod_log_lines.may_hold_pieces(data)
    list(pod_log_lines.lines(data, lambda _entry: True))


def _matcher(data: bytes) -> None:
    matcher = log_matcher.Matcher(signatures.SIGNATURES)
    for source in ("pod", "journal", "kernel"):
        origin = Origin(source, None, None)
        for text in _text(data).splitlines():
            matcher.feed(LogLine(text, 1.0, origin))
    _plain(matcher.found(10))


def _iptables(data: bytes) -> None:
    tables = iptables_rules.Tables()
    for line in data.split(b"\n"):
        tables.feed(line)
    _plain(list(tables.node_ports("ipv4")))


def _trace(reader_of: Callable[[], Any]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        reader = reader_of()
        for line in data.split(b"\n"):
            reader.add(line)
        reader.end()
        _plain(reader.calls.kept)

    return run


def _dump(data: bytes) -> None:
    go_dump.parse([data[:100], data[100:]], Deadline(5))


def _yaml(data: bytes) -> None:
    _plain(yaml_scalars.read(_text(data), ("port", "readOnlyPort", "address", "healthzPort")))


def _toml(data: bytes) -> None:
    _plain({".".join(path): value for path, value in toml_lines.read(_text(data)).items()})


def _names(data: bytes) -> None:
    text = _text(data)
    for parse in (
        kube_container.parse_name,
        kube_container.parse_containerd_name,
        rfc3339.nanoseconds,
        health_probe.quoted,
    ):
        parse(text)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _plain(value: Any) -> None:
    """Whether it can be part of an answer. Raises what json raises."""
    json.dumps(value, allow_nan=False)


_NAMES = [
    b"/k8s_etcd_etcd-m_kube-system_1403dda53affdfee1130475a6d9609da_3",
    b"etcd_etcd-m_kube-system_1403dda53affdfee1130475a6d9609da_3",
    b"2026-11-21T08:00:00.123456789+01:00",
]
_RING = b"6,339,5140900,-;NET: Registered PF_INET6 protocol family\n SUBSYSTEM=net\n"
_RING_2 = b"4,1024,98765432,-;nf_conntrack: nf_conntrack: table full, dropping packet \\x1b[0m\n"
_JOURNAL = json.dumps(
    {
        "__REALTIME_TIMESTAMP": "1700000000000000",
        "_PID": "1",
        "_SYSTEMD_UNIT": "kubelet.service",
        "_SYSTEMD_INVOCATION_ID": "a" * 32,
        "MESSAGE": "E1121 listen tcp 0.0.0.0:10250: bind: address already in use",
        "UNIT": "kubelet.service",
    }
).encode()
_POD_LOG = b"2026-11-21T08:00:00.123456789Z stderr F listen tcp :2379: bind: address already in use\n2026-11-21T08:00:01Z stdout P half\n"
_JSON_LOG = b'{"log":"dial tcp 127.0.0.1:2379: connect: connection refused\\n","stream":"stderr","time":"2026-11-21T08:00:00.1Z"}\n'


def every(scratch: Scratch) -> Dict[str, Target]:
    """All of them, by name. ``scratch`` is for those that read files."""
    return {**_of_bytes(scratch), **_of_json()}


def _of_bytes(scratch: Scratch) -> Dict[str, Target]:
    error = netlink.NetlinkError
    logs = [b"\n".join(_lines(f"seed_002/{name}.txt")) for name in ("kubelet", "dmesg", "kube-apiserver")]
    sockets = _datagrams("datagrams") + _datagrams("stuck")
    return {
        "netlink: messages": Target(sockets, _messages, (error,)),
        "sock_diag: a socket": Target(_payloads(), _entries, (error,)),
        "sock_diag: tally": Target(sockets, _tally, (error,), costs=60),
        "nf_tables": Target(_nft_seeds(), _nf_tables, (error,), costs=8),
        "nf_tables: kube-proxy": Target(_nft_seeds(), _nft_rules, (error,), costs=5),
        "proc: net": Target(
            [_file(f"sock_diag/proc-net-{name}.txt") for name in ("tcp", "tcp6", "udp", "udp6")], _procfs_net, costs=8
        ),
        "proc: ip_vs": Target([_IPVS], _ipvs, costs=5),
        "proc: gauges": Target([*_GAUGES, _PSI], _gauges),
        "proc: cpu times": Target([_STAT], _cpu_times, (ValueError,)),
        "proc: port ranges": Target([b"32768\t60999\n", b"30000-32767,10250", b"1-65535"], _ranges),
        "proc: cgroup": Target(
            [_file("procfs/pod-proc-cgroup.txt"), b"0::/system.slice/kubelet.service\n"], _cgroups, costs=40
        ),
        **_in_files(scratch),
        "Docker API: HTTP": Target(
            [_PING, _VERSION, _answered(b"[]"), _answered(b'{"message":"no"}', "500 No")], _docker_http, costs=60
        ),
        "Docker API: log": Target(
            [b"\1\0\0\0\0\0\0\5hello\2\0\0\0\0\0\0\1\n", b"2026-11-21T08:00:00Z text\n"], _docker_log
        ),
        "HTTP signature": Target(
            [
                _answered(b"404: Page Not Found", "404 Not Found"),
                _answered(b'{"message":"page not found"}', "404 Not Found", "Server: Docker/20.10\r\n"),
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
                b"\x15\x03\x01\x00\x02\x02\x46",
                b"SSH-2.0-OpenSSH_9.2\r\n",
            ],
            _http,
            # All of them are caught by ask().
            (OSError, http_signature.http.client.HTTPException, ValueError),
            costs=15,
        ),
        "iptables-save": Target(
            [_file("kube_proxy/iptables-save.txt"), *_lines("kube_proxy/iptables-save.txt")], _iptables, costs=2
        ),
        "logs: of pods": Target([_POD_LOG, _JSON_LOG], _log_lines, costs=4),
        "logs: signatures": Target([*logs, _POD_LOG], _matcher, costs=60),
        "logs: the kernel's ring": Target([_RING, _RING_2], kernel_ring.parse),
        "journal": Target([_JOURNAL], journal_entry.parse, (ValueError,)),
        "goroutine dump": Target(
            [_file("go_dumps/kubelet-1.36.txt")[:20000], _file("go_dumps/go-1.19.txt")[:20000]], _dump, costs=30
        ),
        "strace": Target([_file("traces/strace-opener.txt")], _trace(strace_lines.Reader), costs=15),
        "dlv": Target([_file("traces/dlv-opener.txt")], _trace(dlv_trace.Reader), costs=15),
        "TOML": Target(
            [_file("cri/containerd-1.6-config-default.toml"), b'[crio.api]\nstream_port = "0"\nx = [1, "a"]\n'],
            _toml,
            costs=15,
        ),
        "YAML": Target([_file("kubelet/config-1.36.yaml"), _file("kubelet/config-1.36.json")], _yaml, costs=8),
        "names and times": Target(_NAMES, _names),
    }


def _of_json() -> Dict[str, Target]:
    api = [
        _file(f"api/{name}.json")
        for name in ("services", "endpointslices", "nodes", "pods", "events", "deployments", "replicasets")
    ]
    return {
        "Docker API: containers": Target([_docker_seed()], _docker_list, (EngineError,), True, 15),
        "CRI: crictl's lists": Target(_crictl_seeds(), _crictl, (), True, 20),
        "Kubernetes API": Target(api, _cluster, (), True, 60),
        "journal: values": Target([_JOURNAL], journal_entry.parse, (ValueError,), True, 3),
    }


def made(chance: random.Random, target: Target) -> bytes:
    """An input for a target; seeds of JSON are changed value by value."""
    seed = chance.choice(target.seeds)
    if not target.is_json:
        return mutate.of_bytes(chance, target.seeds)
    return json.dumps(mutate.of_json(chance, json.loads(seed))).encode("ascii")
