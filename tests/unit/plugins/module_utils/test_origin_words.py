# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import known_ports, origin_match, origin_words, reach

GROUND = origin_words.Ground((30000, 32767), (32768, 60999))
START = "k8s.io/kubernetes/pkg/kubelet/server/streaming.(*server).Start"
CONTAINERD = {
    "program": "containerd",
    "kind": "cri-streaming",
    "key": "stream_server_port",
    "value": "0",
    "default": "0",
    "file": "/etc/containerd/config.toml",
    "address": "127.0.0.1",
    "port": None,
    "edit": None,
    "modified": "2026-11-20T08:00:00+00:00",
    "fixed_in_code": "",
}
OWNER = {
    "pid": 5854,
    "name": "opener",
    "unit": "opener.service",
    "container_id": None,
    "pod_uid": None,
    "pod": None,
    "exe": "/usr/local/bin/opener",
    "replaced": True,
    "started": "2026-11-21T18:00:00+00:00",
    "parent": {"pid": 1, "name": "systemd"},
    "go": "go1.19.8",
    "module": "example.com/opener",
    "version": None,
    "package": None,
    "missing": [],
}
NOT_FOUND = {
    "asked": "GET http://127.0.0.1:37231/",
    "status": 404,
    "body": "404: Page Not Found",
    "server": None,
    "kind": "cri-streaming",
    "looks_like": "go-restful, as in the streaming server of a CRI runtime",
    "why": "",
}


def goroutine(server, kind=None, network="tcp", creator="main.main"):
    return {
        "network": network,
        "server": server,
        "file": "server.go:267",
        "creator": creator,
        "waits_minutes": 40,
        "kind": kind,
        "stack": [server],
    }


def stacks(*accepting, kind=None, others=(), why=""):
    return {
        "source": "kubelet's /debug/pprof/goroutine",
        "count": 181,
        "accepting": list(accepting),
        "candidates": origin_match.candidates(kind, others, accepting),
        "others": list(others),
        "truncated": False,
        "why": why,
    }


def listener(name="containerd", port=37231, address="127.0.0.1", unit=None, **fields):
    names = [name] if name else []
    known = known_ports.known_as("tcp", address, port, names, 32768 <= port <= 60999)
    process = {"pid": 5854, "name": name, "unit": unit or f"{name}.service", "container_id": None, "pod_uid": None}
    return {
        "protocol": "tcp",
        "family": "ipv6" if ":" in address else "ipv4",
        "state": "listen",
        "address": address,
        "port": port,
        "ephemeral": 32768 <= port <= 60999,
        "processes": [process] if name else [],
        "uid": 0,
        "hidden": False,
        "cgroup": None,
        "known_as": known,
        "reach": reach.of(address),
        "owner": None,
        "configuration": None,
        "signature": None,
        "goroutines": None,
        "history": None,
        **fields,
    }


def earlier(port, clock):
    """What an audit saw of the listener, whose owner was started on the day that OWNER's was."""
    return {"audit": "an audit", "port": port, "started": f"2026-11-21T{clock}+00:00"}


def run_by(name, module, **fields):
    """The owner of such a listener: a program that was built as what its name says."""
    return {**OWNER, "name": name, "exe": f"/usr/bin/{name}", "module": module, "replaced": False, **fields}


BUILT = run_by("containerd", "github.com/containerd/containerd")


def saw(told, method):
    (step,) = (step for step in told["steps"] if step["method"] == method)
    return step["saw"]


def test_all_methods_agree_on_the_streaming_server_of_containerd():
    server = "github.com/containerd/containerd/pkg/cri/streaming.(*server).Start"
    seen = stacks(goroutine("main.serve", network="unix"), goroutine(server, "cri-streaming"), kind="cri-streaming")
    fields = {"configuration": CONTAINERD, "signature": NOT_FOUND, "goroutines": seen}
    told = origin_words.tell(listener(owner=BUILT, **fields), GROUND)
    assert told["answer"] == (
        "containerd's CRI streaming server; serves kubectl exec, attach and port-forward for kubelet; drawn at random because stream_server_port is "
        '"0" in /etc/containerd/config.toml; set it to a fixed port outside 30000-32767 (NodePorts) and 32768-60999 (drawn at random); '
        f"opened by {server}"
    )
    assert told["kind"] == "cri-streaming"
    assert told["certain"]
    assert told["agree"] == ["owner", "configuration", "signature", "goroutines"]
    assert told["contradict"] == []
    assert "127.0.0.1:37231/tcp is held by containerd (pid 5854, containerd.service)" in saw(told, "owner")
    assert "inside the ephemeral range 32768-60999" in saw(told, "owner")
    assert '404 and "404: Page Not Found"' in saw(told, "signature")
    assert "181 goroutines, 1 of them" in saw(told, "goroutines")


def test_dockershim_has_no_setting():
    why = "drawn at random because dockershim listens on localhost:0, whatever is set"
    shim = {**CONTAINERD, "program": "kubelet", "key": None, "value": None, "file": None, "fixed_in_code": why}
    seen = stacks(
        goroutine("kubelet/server.ListenAndServeKubeletServer", "kubelet-api"),
        goroutine(START, "cri-streaming"),
        kind="cri-streaming",
        others=["kubelet-api"],
    )
    owner = run_by("kubelet", "k8s.io/kubernetes")
    told = origin_words.tell(listener("kubelet", configuration=shim, goroutines=seen, owner=owner), GROUND)
    assert told["answer"].startswith("kubelet's CRI streaming server (dockershim); serves kubectl exec")
    assert why in told["answer"]
    assert "set it to" not in told["answer"]
    assert told["answer"].endswith(f"opened by {START}")


SERVER = "github.com/containerd/containerd/pkg/cri/streaming.(*server).Start"
STACK = stacks(goroutine(SERVER, "cri-streaming"), kind="cri-streaming")
CUT = {**STACK, "truncated": True, "why": "the dump ends before its end"}
STRANGE = stacks(goroutine("example.com/other.(*thing).Serve"), kind="cri-streaming")
PINNED = {**CONTAINERD, "value": "37231", "port": 37231}
NEW = {**PINNED, "modified": "2026-11-21T18:00:09+00:00"}  # OWNER was started at 18:00:00
METRICS = {**NOT_FOUND, "kind": None}


@pytest.mark.parametrize(
    ("fields", "certain", "words"),
    [
        ({}, False, "as far as its owner tells"),
        ({"configuration": CONTAINERD}, False, "as far as its owner and configuration tell"),
        ({"signature": NOT_FOUND}, False, "as far as its owner and signature tell"),
        ({"configuration": CONTAINERD, "signature": METRICS}, False, "as far as its owner and configuration tell"),
        ({"configuration": CONTAINERD, "signature": NOT_FOUND}, True, "; serves kubectl exec"),
        ({"configuration": PINNED}, True, "; serves kubectl exec"),
        ({"configuration": NEW}, False, "changed since the process was started"),
        ({"configuration": {**NEW, "modified": None}}, True, "; serves kubectl exec"),
        ({"goroutines": STACK}, True, f"opened by {SERVER}"),
        ({"goroutines": CUT}, False, f"opened by {SERVER}, as far as its stacks were seen"),
        ({"goroutines": STRANGE}, False, "its stacks show example.com/other.(*thing).Serve in its place"),
    ],
)
def test_what_proves_it(fields, certain, words):
    told = origin_words.tell(listener(owner=BUILT, **fields), GROUND)
    assert (told["kind"], told["certain"]) == ("cri-streaming", certain)
    assert words in told["answer"]
    assert certain == ("as far as" not in told["answer"])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"owner": run_by("containerd", None, exe="/usr/bin/python3.11")},
            "its program is /usr/bin/python3.11, which was not built as containerd",
        ),
        ({"owner": run_by("containerd", "example.com/containerd")}, "which was not built as containerd"),
        ({"owner": run_by("containerd", "github.com/containerd/containerdx")}, "which was not built as containerd"),
        ({"owner": BUILT, "uid": 65534}, "it belongs to user 65534, and containerd to root"),
        ({"owner": run_by("containerd", None, exe=None)}, "its program could not be seen"),
        ({"owner": None}, "its program could not be seen"),
    ],
)
def test_whoever_calls_himself_containerd_is_not_believed(fields, words):
    seen = {"configuration": CONTAINERD, "signature": NOT_FOUND, "goroutines": STACK}
    told = origin_words.tell(listener(**seen, **fields), GROUND)
    assert not told["certain"]
    assert words in told["answer"].partition("; which may be wrong: ")[2]


def test_of_several_that_share_a_socket_the_known_one_is_meant():
    known = listener()
    other = {**known["processes"][0], "pid": 17, "name": "zzz-owner", "unit": None}
    told = origin_words.tell({**known, "processes": [other, *known["processes"]]}, GROUND)
    assert told["answer"].startswith("containerd's CRI streaming server")
    assert "held by containerd (pid 5854, containerd.service) and 1 more process" in saw(told, "owner")


@pytest.mark.parametrize(
    ("module", "exe"),
    [
        ("github.com/containerd/containerd/v2", "/usr/local/bin/containerd"),
        ("github.com/k3s-io/k3s", "/var/lib/rancher/k3s/data/current/bin/k3s"),
        (None, "/usr/bin/containerd"),  # stripped
    ],
)
def test_builds_of_containerd(module, exe):
    told = origin_words.tell(listener(owner=run_by("containerd", module, exe=exe), goroutines=STACK), GROUND)
    assert told["certain"]


def test_a_pods_process_of_that_name_is_not_believed():
    inside = {**listener()["processes"][0], "pod_uid": "909a2aa1-bf6a-4a8c-a274-3180ea640fb1"}
    told = origin_words.tell(listener(owner=BUILT, goroutines=STACK, processes=[inside]), GROUND)
    assert "it runs in a pod, and containerd does not" in told["answer"]


def test_a_program_that_nobody_knows_and_two_servers_that_may_be_it():
    seen = stacks(goroutine("main.a"), goroutine("main.b"), goroutine("main.a"))
    told = origin_words.tell(listener("opener", goroutines=seen, owner=OWNER, address="0.0.0.0"), GROUND)
    assert told["kind"] is None
    assert not told["certain"]
    assert told["agree"] == []
    assert "a listener of opener in opener.service, which is none of the well-known ones" in told["answer"]
    assert "its program is /usr/local/bin/opener (built with go1.19.8 of example.com/opener)" in told["answer"]
    assert told["answer"].endswith("opened by one of main.a, main.b")
    assert "pid" not in told["answer"]
    assert "37231" not in told["answer"]
    for words in (
        "/usr/local/bin/opener (built with go1.19.8 of example.com/opener), replaced since it was started",
        "by systemd (pid 1)",
        "others reach it",
    ):
        assert words in saw(told, "owner")


def test_methods_that_contradict_each_other_are_told():
    seen = stacks(goroutine("containerd.serveMetrics", "containerd-metrics"), kind="cri-streaming")
    told = origin_words.tell(listener(configuration=CONTAINERD, goroutines=seen, owner=BUILT), GROUND)
    assert told["kind"] == "containerd-metrics"
    assert not told["certain"]
    assert told["contradict"] == ["configuration"]
    assert "contradict each other: configuration says CRI streaming server" in told["answer"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": None}, "no process: the kernel itself"),
        ({"name": None, "hidden": True}, "a process that could not be seen"),
        ({"name": None, "cgroup": "/system.slice/x.service"}, "a process in /system.slice/x.service"),
        ({"name": None, "hidden": True, "cgroup": "/"}, "a process that could not be seen"),
        ({"name": "x", "port": 9999}, "outside the ephemeral range"),
        ({"name": "x", "port": 30001}, "inside the NodePort range 30000-32767"),
        ({"name": "x", "address": "::", "port": 9999}, "[::]:9999/tcp"),
        ({"name": "x", "address": "10.0.0.7"}, "on one address of the machine"),
    ],
)
def test_the_owner_in_words(fields, words):
    assert words in saw(origin_words.tell(listener(**fields), GROUND), "owner")


def test_an_unread_range_is_said():
    ground = origin_words.Ground((30000, 32767), None)
    assert "could not be read" in saw(origin_words.tell(listener(), ground), "owner")


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ([], "No earlier audit shows this listener"),
        ([{"audit": "yesterday", "port": 37231, "started": None}], "always the same"),
        ([{"audit": "yesterday", "port": 41023, "started": None}], "it has changed"),
        (
            [earlier(41023, "12:00:01"), earlier(41023, "12:00:00"), earlier(40001, "06:00:00")],
            "another one at each start",
        ),
        ([earlier(37231, "18:00:01"), earlier(41023, "12:00:00")], "another one at each start"),
        ([earlier(37231, "12:00:00"), earlier(41023, "06:00:00")], "it has changed"),
        ([earlier(37231, "18:00:01")], "the same, of a process that was not started anew since"),
        ([earlier(37231, "18:00:01"), earlier(37231, "12:00:00")], "the same at each start"),
        ([earlier(41023, "18:00:00")], "it has changed"),
        ([earlier(41023, "no time at all")], "it has changed"),
    ],
)
def test_what_earlier_audits_saw(history, words):
    told = origin_words.tell(listener(history=history, owner=OWNER), GROUND)
    assert words in saw(told, "history")


def test_a_port_that_a_setting_fixes_by_now_has_changed():
    told = listener(port=10010, configuration={**CONTAINERD, "value": "10010", "port": 10010}, owner=OWNER)
    told["history"] = [earlier(37231, "12:00:01"), earlier(41023, "06:00:00")]
    assert saw(origin_words.tell(told, GROUND), "history").endswith(": it has changed.")


def test_an_address_at_the_beginning_of_a_sentence_stays_one():
    seen = {**stacks(goroutine("main.serve")), "source": "https://127.0.0.1:10250/debug/pprof/goroutine?debug=2"}
    assert saw(origin_words.tell(listener(goroutines=seen), GROUND), "goroutines").startswith(
        "https://127.0.0.1:10250/"
    )


def test_why_a_method_saw_nothing_is_its_step():
    signature = {
        **NOT_FOUND,
        "asked": None,
        "status": None,
        "body": "",
        "kind": None,
        "looks_like": "",
        "why": "not asked: it does not listen on loopback",
    }
    told = origin_words.tell(listener(signature=signature, goroutines=stacks(why="kubelet refuses: 403")), GROUND)
    assert saw(told, "signature") == "Not asked: it does not listen on loopback."
    assert saw(told, "goroutines") == "Kubelet refuses: 403."


def test_a_port_that_a_flag_sets():
    setting = {**CONTAINERD, "key": "--streaming-bind-addr", "value": "127.0.0.1:10010", "file": None, "port": 10010}
    told = origin_words.tell(listener("cri-dockerd", port=10010, configuration=setting), GROUND)
    assert 'on port 10010 because --streaming-bind-addr is "127.0.0.1:10010" on the command line' in told["answer"]
    assert "set it to" not in told["answer"]


@pytest.mark.parametrize(
    ("kind", "others", "servers", "left"),
    [
        (None, [], [("a", None), ("a", None)], [0]),
        (None, ["kubelet-api"], [("api", "kubelet-api"), ("b", None)], [1]),
        ("cri-streaming", ["cri-streaming"], [("s", "cri-streaming"), ("b", None)], [0]),
        (None, ["kubelet-api"], [("api", "kubelet-api")], []),
        (None, [], [], []),
    ],
)
def test_what_remains_of_the_servers(kind, others, servers, left):
    assert origin_match.candidates(kind, others, [goroutine(name, its) for name, its in servers]) == left


@pytest.mark.parametrize(
    ("address", "who"),
    [
        *(("127.0.0.1", "loopback"), ("127.9.9.9", "loopback"), ("::1", "loopback"), ("::ffff:127.0.0.1", "loopback")),
        *(
            ("0.0.0.0", "everywhere"),
            ("::", "everywhere"),
            ("10.0.0.7", "address"),
            ("fe80::1%eth0", "address"),
            ("?", "address"),
        ),
    ],
)
def test_who_reaches_an_address(address, who):
    assert reach.of(address) == who
