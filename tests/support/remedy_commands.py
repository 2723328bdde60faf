# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command that a cure may hold, as a form with an example.

The unit tests find each command of each finding of each case among these forms (checks.py), and test_remedy_commands.py runs the example
of each form with the real program. So a new command is written here first, and tried.

A form is a command for a shell with ``<kind:example>`` where a value stands. Its quoting is shlex.join's; the one thing that may follow is
a redirection to a file of this form's own.
"""

from __future__ import annotations

import functools
import json
import re
import shlex
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges

_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"  # RFC 1123, as the API server takes names
_LABEL = r"(?:[a-z0-9.-]+/)?[A-Za-z0-9._-]+=[A-Za-z0-9._-]*"


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except ValueError:
        return False


def _is_ports(text: str) -> bool:
    try:
        return bool(port_ranges.parse_reserved(text))
    except ValueError:
        return False


def _is_port(text: str) -> bool:
    return 1 <= int(text) <= port_ranges.HIGHEST


# What a value may be: its characters, and what else must hold of it.
_KINDS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "name": (_NAME, bool),
    "kind": ("deployment|statefulset|daemonset", bool),
    "labels": (f"{_LABEL}(?:,{_LABEL})*", bool),
    "json": (r"[\[{].*[\]}]", _is_json),
    "image": (r"[A-Za-z0-9][A-Za-z0-9._/:@-]*", bool),
    "port": ("[0-9]{1,5}", _is_port),
    "ports": ("[0-9,-]+", _is_ports),
    "number": ("[0-9]{1,12}", bool),
    "id": ("[0-9a-f]{64}", bool),
    "short": ("[0-9a-f]{12}", bool),
    "uid": ("[0-9a-f-]{32,36}", bool),
    "unit": (r"[A-Za-z0-9:_.\\@-]+", lambda text: not text.startswith("-")),
    "socket": (r"/[A-Za-z0-9._/-]+", bool),
    "address": (r"[0-9a-fA-F:.]+", bool),
    "host": (r"[^\s-]\S*", bool),
    "fix": ("[a-z]+(?:-[a-z]+)*", bool),
}
# Programs that no test runs with all of their forms' examples, and what is known of them instead.
ELSEWHERE = {
    "calicoctl": "docs.tigera.io/calico/latest/reference/calicoctl: get, node status",
    "chronyc": "chrony 4.3 of Debian, run by hand against chronyd -x in namespaces; its package would replace the machine's time service",
    "crictl": "kubernetes-sigs/cri-tools cmd/crictl: main.go, container.go, sandbox.go, logs.go (test_remedy_forms.py parses as they do)",
    "docker": "tests/integration_real/test_docker_stale_names.py, against a real engine",
    "ntpq": "ntpsec 1.2.2 of Debian, run by hand; its package would replace the machine's time service",
    "weave": "weaveworks/weave site/kubernetes/kube-addon.md and the script weave: status connections, forget",
}
_VALUE = re.compile("<([a-z]+):([^>]+)>")
_TAIL = re.compile(r"(.*?)((?: >>? /\S+)?(?: 2>&1)?)", re.DOTALL)

_ID = "<id:000000000023aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa>"
_FILE = "/root/<short:000000000023>"
_LABEL_OF_POD = "io.kubernetes.pod.uid=<uid:909a2aa1-bf6a-4a8c-a274-3180ea640fb1>"


def _crictl(*verbs: str) -> tuple[str, ...]:
    """With the runtime's endpoint, and without where it is not known."""
    ways = ("crictl", "crictl --runtime-endpoint unix://<socket:/run/containerd/containerd.sock>")
    return tuple(f"{way} {verb}" for way in ways for verb in verbs)


# -- what only looks ---------------------------------------------------------------------------------------------------

_FROM_CLOCKS = "".join(
    f" + SYSLOG_IDENTIFIER={name}" for name in ("chronyd", "ntpd", "systemd-timesyncd", "systemd-journald")
)
_PKI = "/etc/kubernetes/pki/etcd"
_MEMBERS = (
    f"etcdctl --endpoints=https://127.0.0.1:2379 --cacert={_PKI}/ca.crt --cert={_PKI}/healthcheck-client.crt "
    f"--key={_PKI}/healthcheck-client.key member list -w table"
)
LOOKING = (
    "ansible-playbook kubenode.doctor.diagnose",
    "ansible-playbook kubenode.doctor.whose_port -e listener_port=<port:10250> -l <host:node-a>",
    "calicoctl get bgppeers -o wide",
    "calicoctl get nodes -o wide",
    "calicoctl node status",
    "cat /proc/pressure/io",
    "chronyc -n sources",
    "chronyc -n tracking",
    *_crictl(
        f"inspect {_ID}",
        f"inspect {_ID} > {_FILE}.json",
        f"inspectp {_ID}",
        f"inspectp {_ID} > {_FILE}.json",
        f"logs --tail 50 {_ID}",
        f"logs {_ID} > {_FILE}.log 2>&1",
        f"pods --no-trunc --label {_LABEL_OF_POD}",
        f"ps --all --no-trunc --label {_LABEL_OF_POD}",
    ),
    "dmesg --ctime --level err,warn",
    "docker info",
    f"docker inspect {_ID}",
    f"docker inspect {_ID} > {_FILE}.json",
    f"docker logs --tail 50 {_ID}",
    f"docker logs {_ID} > {_FILE}.log 2>&1",
    f"docker ps --all --no-trunc --filter label={_LABEL_OF_POD}",
    f"journalctl --no-pager -o short-iso MESSAGE_ID=c7a787079b354eaaa9e77b371893cd27{_FROM_CLOCKS}",
    "journalctl --no-pager -u kubelet --since -1h -g 'garbage collection|[Rr]emove ?[Cc]ontainer|DeadlineExceeded'",
    "journalctl --unit=<unit:kube-proxy.service> --lines=20 --no-pager",
    "kubectl -n <name:reddit-entry> describe deployment <name:ui>",
    "kubectl -n <name:shop> describe pod <name:hostnet>",
    f"kubectl -n <name:kube-system> exec <name:etcd-node-a> -- {_MEMBERS}",
    "kubectl -n <name:kube-system> exec <name:weave-net-x7k2q> -c weave -- /home/weave/weave --local status connections",
    "kubectl -n <name:shop> get endpointslices -l kubernetes.io/service-name=<name:front>",
    "kubectl -n <name:shop> get endpointslices -l kubernetes.io/service-name=<name:front> -o yaml",
    "kubectl -n <name:shop> get events --field-selector reason=FailedCreate",
    "kubectl -n kube-system get lease kube-controller-manager -o yaml",
    "kubectl -n <name:shop> get pods --show-labels",
    "kubectl -n <name:shop> get pods -o wide -l <labels:app=front>",
    "kubectl -n kube-system get pods -l component=etcd -o wide",
    "kubectl -n kube-system get pods -l k8s-app=kube-proxy --field-selector spec.nodeName=<name:node-a> -o wide",
    "kubectl -n kube-system get pods -l k8s-app=kube-proxy -o wide",
    "kubectl -n <name:shop> get service <name:front> -o yaml",
    "kubectl -n <name:shop> get statefulsets,daemonsets,deployments,jobs,cronjobs -o wide",
    "kubectl -n <name:shop> logs <name:hostnet> --all-containers --tail=20",
    "kubectl -n <name:shop> logs <name:hostnet> -c <name:web> --tail=20",
    "kubectl -n <name:shop> logs <name:hostnet> -c <name:web> --previous --tail=20",
    "kubectl -n <name:reddit-entry> rollout history <kind:deployment>/<name:ui>",
    "kubectl -n <name:reddit-entry> rollout history <kind:deployment>/<name:ui> --revision=<number:1>",
    "kubectl get --raw /api/v1/nodes/<name:node-a>:10256/proxy/healthz",
    "kubectl get --raw '/readyz?verbose'",
    "kubectl get networkpolicies --all-namespaces",
    "kubectl get nodes -o wide",
    "kubectl get pods --all-namespaces -o wide",
    "kubectl version",
    "lscpu -e",
    "ntpq -pn",
    "ss -Htn state fin-wait-1",
    "ss -Htn state time-wait",
    "ss -Htnmp",
    "ss -tln",
    "ss -tln sport = :<port:10255>",
    "ss -tlnp sport = :<port:10255>",
    "ss -tnpo state syn-sent dport = :<port:179>",
    "sysctl net.core.somaxconn",
    "sysctl net.netfilter.nf_conntrack_tcp_timeout_established net.netfilter.nf_conntrack_udp_timeout",
    "timedatectl",
    "timedatectl timesync-status",
    "top -b -n 1",
    "vmstat 5 60",
    "weave status connections",
)

# -- what changes something --------------------------------------------------------------------------------------------

_MOVED = '[{"op": "test", "path": "/spec/ports/0/nodePort", "value": 30080}, {"op": "replace", "path": "/spec/ports/0/nodePort", "value": 30000}]'
_PROBED = '{"spec": {"template": {"spec": {"containers": [{"name": "ui", "readinessProbe": {"tcpSocket": {"port": 9292}, "periodSeconds": 10}}]}}}}'


def _set_at_boot(key: str, value: str, file: str) -> tuple[str, str]:
    return f"printf '\\n%s\\n' '{key} = {value}' >> /etc/sysctl.d/{file}", f"sysctl -p /etc/sysctl.d/{file}"


CHANGING = (
    "ansible-playbook kubenode.doctor.fix -e fix=<fix:pin-stream-port> -l <host:node-a>",
    *_crictl(f"rm --keep-logs {_ID}", f"rmp {_ID}"),
    f"docker rename {_ID} kept-<short:000000000023>",
    f"docker rm {_ID}",
    "hwclock --systohc --utc",
    "kubectl -n <name:shop> delete pod <name:hostnet>",
    "kubectl -n kube-system delete pod -l k8s-app=kube-proxy --field-selector spec.nodeName=<name:node-a>",
    "kubectl -n <name:shop> delete service <name:orphan>",
    "kubectl -n kube-system edit configmap kube-proxy",
    "kubectl -n <name:kube-system> exec <name:weave-net-x7k2q> -c weave -- /home/weave/weave --local forget <address:192.0.2.201>",
    f"kubectl -n <name:shop> patch service <name:front> --type=json -p '<json:{_MOVED}>'",
    f"kubectl -n <name:reddit-entry> patch <kind:deployment> <name:ui> -p '<json:{_PROBED}>'",
    'kubectl -n <name:shop> patch service <name:db> --type=merge -p \'{"spec": {"ipFamilyPolicy": "SingleStack"}}\'',
    "kubectl -n <name:reddit-entry> rollout restart <kind:deployment>/<name:post>",
    "kubectl -n kube-system rollout restart daemonset/kube-proxy",
    "kubectl -n <name:reddit-entry> rollout undo <kind:deployment>/<name:ui> --to-revision=<number:1>",
    "kubectl -n <name:shop> scale deployment/<name:front> --replicas=1",
    "kubectl -n <name:reddit-entry> set image deployment/<name:ui> <name:ui>=<image:docker.io/shop/ui:1>",
    "mkdir -p /etc/systemd/system/kubelet.service.d",
    "printf '%s\\n' '[Unit]' Wants=time-sync.target After=time-sync.target > /etc/systemd/system/kubelet.service.d/20-time-sync.conf",
    *_set_at_boot("fs.file-max", "<number:200000>", "60-file-max.conf"),
    *_set_at_boot("net.core.somaxconn", "<number:16384>", "60-somaxconn.conf"),
    *_set_at_boot("net.ipv4.ip_local_port_range", "<port:32768> <port:60999>", "60-port-range.conf"),
    *_set_at_boot("net.ipv4.ip_local_reserved_ports", "<ports:10010,10248-10250,35776>", "60-nodeports.conf"),
    *_set_at_boot("net.ipv4.tcp_max_orphans", "<number:262144>", "60-tcp-orphans.conf"),
    *_set_at_boot("net.ipv4.tcp_max_tw_buckets", "<number:262144>", "60-time-wait.conf"),
    *_set_at_boot("net.ipv4.tcp_mem", "<number:575796> <number:767734> <number:1151592>", "60-tcp-memory.conf"),
    *_set_at_boot("net.netfilter.nf_conntrack_max", "<number:524288>", "60-conntrack.conf"),
    "ss -K -t state close-wait dport = :<port:443>",
    "ss -K -t state close-wait sport = :<port:8080>",
    "systemctl daemon-reload",
    "systemctl enable --now <unit:chrony.service>",
    "systemctl enable chrony-wait.service",
    "systemctl enable systemd-time-wait-sync.service",
    "systemctl restart <unit:kubelet.service>",
    "systemctl start kubelet",
    "timedatectl set-local-rtc 0",
    "timedatectl set-ntp true",
    "weave forget <address:192.0.2.201>",
)


class Form(NamedTuple):
    """A form as it was read: a pattern with the values' kinds for each word, and the redirection after them."""

    text: str
    changes: bool
    words: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]
    tail: str

    @property
    def example(self) -> str:
        """The command with its examples' values."""
        body, tail = _split(self.text)
        return shlex.join(_VALUE.sub(lambda value: value[2], word) for word in shlex.split(body)) + _VALUE.sub(
            lambda value: value[2], tail
        )

    def fits(self, words: list[str], tail: str) -> bool:
        """Whether a command has this form."""
        if len(words) != len(self.words) or not re.fullmatch(self.tail, tail):
            return False
        return all(_fits(pattern, kinds, word) for (pattern, kinds), word in zip(self.words, words, strict=True))


def _fits(pattern: re.Pattern[str], kinds: tuple[str, ...], word: str) -> bool:
    found = pattern.fullmatch(word)
    return found is not None and all(_KINDS[kind][1](value) for kind, value in zip(kinds, found.groups(), strict=True))


def _split(command: str) -> tuple[str, str]:
    """A command and what is redirected after it."""
    found = _TAIL.fullmatch(command)
    assert found, command
    return found[1], found[2]


def _pattern(word: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    kinds = tuple(value[1] for value in _VALUE.finditer(word))
    literal = re.split("<[a-z]+:[^>]+>", word)
    parts = [re.escape(literal[0])]
    for kind, after in zip(kinds, literal[1:], strict=True):
        parts += [f"({_KINDS[kind][0]})", re.escape(after)]
    return re.compile("".join(parts)), kinds


@functools.cache
def forms() -> tuple[Form, ...]:
    """All of them."""
    return tuple(_form(text, text in CHANGING) for text in (*LOOKING, *CHANGING))


def _form(text: str, changes: bool) -> Form:
    body, tail = _split(text)
    return Form(text, changes, tuple(map(_pattern, shlex.split(body))), _pattern(tail)[0].pattern)


def of(command: str) -> Form:
    """The form of a command; an AssertionError says what is wrong with one that has none."""
    body, tail = _split(command)
    words = shlex.split(body)
    assert body == shlex.join(words), f"not quoted as shlex.join quotes: {command}"
    found = [form for form in forms() if form.fits(words, tail)]
    assert found, f"a command of no form of tests/support/remedy_commands.py, where its program is tried: {command}"
    return found[0]


def examples(program: str) -> Iterator[str]:
    """The examples of all commands of a program."""
    return (form.example for form in forms() if form.example.split(" ", 1)[0] == program)
