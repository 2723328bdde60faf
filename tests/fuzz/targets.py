# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every parser that reads what a kernel, an engine or a program of a node says, with real inputs to begin with and what it may raise.

A parser that raises anything else, or does not come to an end, is broken; what it returns has to be of JSON's types where it goes into an answer, and
of a real input something has to come.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import socket
import struct
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Sequence, Tuple, Type

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
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import LogLine
from ansible_collections.kubenode.doctor.tests.fuzz import mutate
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils import (
    made_up_program,
    signature_lines,
    test_go_symbols,
)

_FIXTURES = Path(__file__).parents[1] / "fixtures"
_SOCK_DIAG = 20
_INET_DIAG = 72  # bytes of struct inet_diag_msg
_LAST_STATE = 12  # TCP_NEW_SYN_RECV
_ENDS = frozenset({2, 3})  # NLMSG_ERROR, NLMSG_DONE


class Target(NamedTuple):
    """``seeds`` are real inputs, ``run`` takes one that was made of them and returns what it found, ``allowed`` is what it may raise."""

    seeds: List[bytes]
    run: Callable[[bytes], Any]
    allowed: Tuple[Type[BaseException], ...] = ()
    is_json: bool = False
    costs: int = 1  # how many of the cheapest inputs one of these takes; of dear ones fewer are made
    understood: int = 1 << 30  # of the first so many seeds something must come, and of the others something may


class Parts(Dict[str, Any]):
    """What several parsers found in one input, by name: of a seed one of them has to find something, and each of them in one of the seeds."""


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


def _is_end(datagram: bytes) -> bool:
    """True for an end of an answer and for a refusal, in which nothing is told."""
    return struct.unpack_from("=IH", datagram)[1] in _ENDS


def _is_no_socket(datagram: bytes) -> bool:
    """True also for the interfaces' addresses, whose messages have the same type as those of sockets."""
    return _is_end(datagram) or _is_address(datagram[16 : struct.unpack_from("=I", datagram)[0]])


def _is_address(payload: bytes) -> bool:
    """By what is the length of a prefix there (struct ifaddrmsg) and the state of a socket here."""
    return len(payload) < _INET_DIAG or payload[1] > _LAST_STATE


def _last(datagrams: List[bytes], mute: Callable[[bytes], bool], run: Callable[[bytes], Any], costs: int = 1) -> Target:
    """A target of netlink's datagrams, those from which nothing comes last."""
    telling = sum(not mute(one) for one in datagrams)
    return Target(sorted(datagrams, key=mute), run, (netlink.NetlinkError,), costs=costs, understood=telling)


def _messages(data: bytes) -> Parts:
    found = Parts(messages=[], attributes=[])
    for kind, _flags, payload in netlink.messages(data):
        found["messages"].append(kind)
        found["attributes"] += netlink.attributes(payload[_INET_DIAG:])
    return found


def _payloads() -> List[bytes]:
    found = []
    for datagram in _datagrams("datagrams") + _datagrams("stuck"):
        found += [bytes(payload) for kind, _flags, payload in netlink.messages(datagram) if kind == _SOCK_DIAG]
    return sorted(found, key=_is_address)


def _entries(data: bytes) -> Parts:
    return Parts({protocol: sock_diag.parse(memoryview(data), protocol) for protocol in ("tcp", "udp")})


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


def _tally(data: bytes) -> Parts:
    found = Parts()
    for inodes in (True, False):
        tally = tcp_tally.Tally([], (32768, 60999), inodes)
        tcp_tally.read(tally, sock_diag.ALL_STATES, _connect(data, _DONE))
        found[f"inodes {inodes}"] = sum(tally.counts().values())
    return found


def _nf_tables(data: bytes) -> Parts:
    ruleset = nf_tables.Ruleset("ipv4", _connect(data, _DONE))
    found = Parts()
    for ask in (ruleset.tables, ruleset.chains, ruleset.all_rules):
        with contextlib.suppress(netlink.NetlinkError):
            found[ask.__name__] = ask()
    with contextlib.suppress(netlink.NetlinkError):
        found["elements"] = ruleset.elements("kube-proxy", "service-nodeports")
    with contextlib.suppress(netlink.NetlinkError):
        ruleset.rules("kube-proxy", "services")  # of which the datagram of another chain has none
    return found


class _Kernel:
    """Answers each request with the datagrams that came of it once; others with none."""

    def __init__(self, answers: Dict[bytes, List[bytes]]) -> None:
        self._answers = answers

    def connect(self, _protocol: int) -> _Link:
        kernel = self

        class Link(_Link):
            def send(self, request: bytes) -> int:
                self._waiting = list(kernel._answers.get(request, [_DONE]))
                return len(request)

        return Link([])


def _nft_rules(data: bytes) -> Any:
    told = json.loads(data)
    if not isinstance(told, dict):
        return None
    kernel = _Kernel(
        {
            _unhex(request): [_unhex(part) for part in parts]
            for request, parts in told.items()
            if isinstance(parts, list)
        }
    )
    return _plain(list(nft_rules.read(nf_tables.Ruleset("ipv4", kernel.connect), "ipv4", Deadline(5))))


def _unhex(text: Any) -> bytes:
    """The bytes of hexadecimal text, without what was put between."""
    digits = "".join(one for one in text if one in "0123456789abcdef") if isinstance(text, str) else ""
    return bytes.fromhex(digits[: len(digits) // 2 * 2])


def _nft_seeds() -> List[bytes]:
    told = _json("kube_proxy/nf_tables.json")
    return [bytes.fromhex(text) for answer in told.values() for text in answer] + [
        _file(f"pods/chains-{name}.bin") for name in ("iptables-nft", "empty-nat")
    ]


def _procfs_net(data: bytes) -> Parts:
    found = Parts()
    for family in ("ipv4", "ipv6"):
        for protocol in ("tcp", "udp"):
            with contextlib.suppress(ValueError):
                lines = iter(_text(data).splitlines(True))
                found[f"{protocol} {family}"] = list(procfs_net.parse(lines, protocol, family))
    return found


def _ipvs(data: bytes) -> Any:
    found = list(ipvs_table.servers(_text(data).splitlines()))
    return _plain(list(ipvs_table.node_ports(found, {"192.0.2.2", "10.0.0.1"})))


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
    b"0-3,5,7-15",  # without the line's end, as KernelFiles hands it on
    b"MemTotal:       24684084 kB\nMemAvailable:  12 kB\n",
)
_PSI = b"some avg10=1.05 avg60=0.79 avg300=0.76 total=1237379922\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
_STAT = (
    b"cpu  10132153 290696 3084719 46828483 16683 0 25195 175628 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\nintr 1 2\nctxt 1990473\n"
    b"btime 1062191376\nprocesses 2915\nprocs_running 3\nprocs_blocked 0\n"
)


def _gauges(data: bytes) -> Parts:
    return _each(
        _text(data),
        kernel_gauges.load,
        kernel_gauges.pressure,
        kernel_gauges.memory,
        kernel_gauges.files,
        kernel_gauges.cpus,
    )


def _cpu_times(data: bytes) -> Parts:
    stat = cpu_times.parse(_text(data))
    shares = _plain(cpu_times.shares(cpu_times.parse(_text(_STAT.replace(b"10132153", b"10132100"))), stat, 1.0))
    return Parts(shares=shares, steal=_plain(cpu_times.steal_since_boot(stat)), waiting=_plain(cpu_times.waiting(stat)))


def _ranges(data: bytes) -> Parts:
    return _each(_text(data), port_ranges.parse_range, port_ranges.parse_local_range, port_ranges.parse_reserved)


def _cgroups(data: bytes) -> Parts:
    path = cgroup.path_of(_text(data))
    parsers = (cgroup.owner, cgroup.member, cgroup.program, cgroup.tells)
    return Parts({parse.__name__: _plain(parse(path)) for parse in parsers})


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

    def sparse(self, name: str, data: bytes, pieces: Sequence[Tuple[int, bytes]]) -> str:
        """Write a file of which only some pieces are there: each gets as much of the data as it has, and the last what is left."""
        place, read = self.path / name, 0
        with place.open("wb") as file:
            for offset, content in pieces:
                file.seek(offset)
                file.write(data[read:] if offset == pieces[-1][0] else data[read : read + len(content)])
                read += len(content)
        return str(place)

    def close(self) -> None:
        """Remove it."""
        self._folder.cleanup()


def _in_files(scratch: Scratch) -> Dict[str, Target]:
    def stat_fields(data: bytes) -> Any:
        return procfs.stat_fields(scratch.file("stat", data))

    def addresses(name: str, other: str) -> Target:
        def run(data: bytes) -> Any:
            scratch.file(f"{name}/{other}", b"")
            scratch.file(f"{name}/{name}", data)
            return _plain(procfs_addresses.addresses(str(scratch.path / name)))

        return Target([_file(f"pods/{name}.txt")], run, (OSError, ValueError), costs=8)

    def build(name: str) -> Target:
        pieces = _pieces(name)

        def run(data: bytes) -> Any:
            found = go_build.read(scratch.sparse("program", data, pieces))
            return _plain(None if found is None else list(found))

        return Target([b"".join(content for _offset, content in pieces)], run, (OSError,), costs=32)

    def symbols(data: bytes) -> Any:
        starts = [test_go_symbols.GO - test_go_symbols.BASE + start for _name, start in test_go_symbols.FUNCTIONS]
        path = scratch.file("program", data)
        _plain(go_symbols.names(path, [0x401000, 0, -1, 1 << 62]))
        return _plain(go_symbols.names(path, starts))

    def container(config: bytes, pid: bytes, status: bytes) -> List[Any]:
        root = scratch.path / "node"
        state, kept = (
            "run/containerd/io.containerd.runtime.v2.task/k8s.io",
            "var/lib/containerd/io.containerd.grpc.v1.cri",
        )
        scratch.file(f"node/{state}/{_ID}/config.json", config)
        scratch.file(f"node/{state}/{_ID}/init.pid", pid)
        scratch.file(f"node/{kept}/containers/{_ID}/status", status)
        found = []
        for runtime in containerd_files.here(str(root)):
            told = runtime.read(ContainerProcesses(str(root / "proc")), Deadline(5))
            _plain([*told.missing, *told.strangers])
            found += _plain([one for _identity, one in told.found])
        return found

    def oci(data: bytes) -> Any:
        return container(data, data[:20], statuses[0])

    def status(data: bytes) -> Any:
        return [one["created_ns"] for one in container(configs[0], b"1", data) if one["created_ns"]]

    captures = [_json(f"containerd/{name}.json") for name in ("containerd-1.6", "containerd-1.7", "containerd-2.1")]
    files = {path: text.encode() for one in captures for path, text in one["files"].items()}
    statuses = [data for path, data in files.items() if path.endswith("status")]
    # That of a container comes first, that of nobody's pod last.
    configs = [data for path, data in files.items() if path.endswith("config.json")]
    configs.sort(key=lambda data: (b"io.kubernetes.cri" not in data, b"container-name" not in data))
    tables = [test_go_symbols.program(test_go_symbols.table(version)) for version in test_go_symbols.FORMATS]
    stat = b"1234 (a) b) S 1 1234 1234 0 -1 4194560 1029 2 0 0 12 3 0 0 20 0 1 0 4242 12345 100 " + b"0 " * 28
    return {
        "proc: stat": Target([stat], stat_fields, (OSError, ValueError), costs=5),
        "proc: addresses, IPv4": addresses("fib_trie", "if_inet6"),
        "proc: addresses, IPv6": addresses("if_inet6", "fib_trie"),
        **{f"go build info: {name}": build(name) for name in _PROGRAMS},
        "go symbols": Target(tables, symbols, costs=4),
        "containerd: OCI config": Target(
            configs, oci, costs=30, understood=sum(b"io.kubernetes.cri" in one for one in configs)
        ),
        "containerd: status": Target(statuses, status, costs=30),
    }


_ID = "0123456789abcdef" * 4


_PROGRAMS = ("inline-amd64", "symbols-amd64", "symbols-386", "pointers-ppc64")


def _pieces(name: str) -> List[Tuple[int, bytes]]:
    """What was kept of a real program, and where it was."""
    return [(offset, base64.b64decode(content)) for offset, content in made_up_program.load(name)["pieces"]]


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


def _docker_http(data: bytes) -> Parts:
    found = Parts()
    for number, answers in enumerate(([data, data], [_PING, data], [_PING, _VERSION, data])):
        engine = _engine(answers)
        with contextlib.suppress(EngineError):
            engine.begin()
            found[f"began {number}"] = True
            found["containers"] = engine.containers()
    return found


def _docker_list(data: bytes) -> Any:
    engine = _engine([_PING, _VERSION, _answered(data), *[_answered(data[1:-1])] * 4])
    engine.begin()
    listing = docker_containers.collect(engine, Deadline(5))
    _plain([listing.missing, list(listing.strangers), list(listing.others)])
    return listing.groups


def _docker_log(data: bytes) -> Parts:
    found = Parts()
    for framed in (True, False):
        with contextlib.suppress(docker_log.LogFormError):
            found[f"framed {framed}"] = docker_log.end([data[:7], data[7:]], framed, 10, 4096)
    return found


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


def _crictl(data: bytes) -> Any:
    told = json.loads(data)
    if not isinstance(told, dict):
        return None
    lists = [
        [one for one in value if isinstance(one, dict)]
        for value in (told.get("ps"), told.get("pods"))
        if isinstance(value, list)
    ]
    found = crictl.understood("containerd", *[*lists, [], []][:2])
    _plain([*found.missing, *found.strangers])
    return _plain([one for _identity, one in found.found])


def _crictl_seeds() -> List[bytes]:
    captures = [_json(f"containerd/{name}.json") for name in ("containerd-1.6", "containerd-1.7", "containerd-2.1")]
    return [json.dumps({"ps": one["ps"]["containers"], "pods": one["pods"]["items"]}).encode() for one in captures]


def _cluster(data: bytes) -> Parts:
    def fetch(path: str, _query: Dict[str, str]) -> cluster_api.Answer:
        return cluster_api.Answer(200, {}, b'{"major": "1", "minor": "36"}' if path == "/version" else data)

    sections = [kind.section for kind in cluster_api.KINDS]
    told = _plain(cluster_api.read_cluster(fetch, sections, 500, Deadline(5), lambda _seconds: None))
    return Parts({section: told[section] for section in sections})


def _http(data: bytes) -> Any:
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
    return signature["looks_like"]


# --- texts


def _log_lines(data: bytes) -> Parts:
    return Parts(
        time=pod_log_lines.time_of(data),
        pieces=pod_log_lines.may_hold_pieces(data),
        lines=list(pod_log_lines.lines(data, lambda _entry: True)),
    )


def _matcher(data: bytes) -> Any:
    matcher = log_matcher.Matcher(signatures.SIGNATURES)
    for origin in _ORIGINS:
        for text in _text(data).splitlines():
            matcher.feed(LogLine(text, 1.0, origin))
    return _plain(matcher.found(200))[0]


# Those in which the first line of each signature was found, and what is none's.
_ORIGINS = list(dict.fromkeys(lines[0].origin for lines in signature_lines.LINES.values()))


def _iptables(data: bytes) -> Any:
    tables = iptables_rules.Tables()
    for line in data.split(b"\n"):
        tables.feed(line)
    return _plain(list(tables.node_ports("ipv4")))


def _trace(reader_of: Callable[[], Any]) -> Callable[[bytes], Any]:
    def run(data: bytes) -> Any:
        reader = reader_of()
        for line in data.split(b"\n"):
            reader.add(line)
        reader.end()
        return _plain(reader.calls.kept)

    return run


def _dump(data: bytes) -> Any:
    return go_dump.parse([data[:100], data[100:]], Deadline(5)).goroutines


def _yaml(data: bytes) -> Any:
    return _plain(yaml_scalars.read(_text(data), ("port", "readOnlyPort", "address", "healthzPort"))).values


def _toml(data: bytes) -> Any:
    return _plain({".".join(path): value for path, value in toml_lines.read(_text(data)).items()})


def _names(data: bytes) -> Parts:
    return _each(
        _text(data),
        kube_container.parse_name,
        kube_container.parse_containerd_name,
        rfc3339.nanoseconds,
        health_probe.quoted,
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _plain(value: Any) -> Any:
    """The value, which can be part of an answer. Raises what json raises."""
    json.dumps(value, allow_nan=False)
    return value


def _each(text: str, *parsers: Callable[[str], Any]) -> Parts:
    """What each of them makes of a text, nothing where it is not its own."""
    found = Parts()
    for parse in parsers:
        found[parse.__name__] = None
        with contextlib.suppress(ValueError):
            found[parse.__name__] = parse(text)
    return found


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
    logs = [b"\n".join(line.text.encode() for line in lines) for lines in signature_lines.LINES.values()]
    logs += [b"\n".join(_lines(f"seed_002/{name}.txt")) for name in ("kubelet", "dmesg", "kube-apiserver")]
    payloads = _payloads()
    sockets = _datagrams("datagrams") + _datagrams("stuck")
    return {
        "netlink: messages": _last(sockets, _is_no_socket, _messages),
        "sock_diag: a socket": Target(
            payloads, _entries, (netlink.NetlinkError,), understood=sum(not _is_address(one) for one in payloads)
        ),
        "sock_diag: tally": _last(sockets, _is_no_socket, _tally, costs=60),
        "nf_tables": _last(_nft_seeds(), _is_end, _nf_tables, costs=8),
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
            [_PING, _VERSION, _answered(_docker_seed()), _answered(b"[]"), _answered(b'{"message":"no"}', "500 No")],
            _docker_http,
            costs=60,
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
            [_file("kube_proxy/iptables-save.txt"), *_lines("kube_proxy/iptables-save.txt")],
            _iptables,
            costs=2,
            understood=1,
        ),
        "logs: of pods": Target([_POD_LOG, _JSON_LOG], _log_lines, costs=4),
        "logs: signatures": Target(logs, _matcher, costs=120, understood=len(signature_lines.LINES)),
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
        "nf_tables: kube-proxy": Target(
            [_file("kube_proxy/nf_tables.json")], _nft_rules, (netlink.NetlinkError,), True, 120
        ),
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
