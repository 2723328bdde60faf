# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""crictl: a real containerd's answers, and a crictl that lies, fails, hangs or is not to be trusted."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import crictl
from ansible_collections.kubenode.doctor.plugins.module_utils.crictl import CrictlError, NoCriError
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_runtime import (
    CONTAINERDS,
    ID,
    UID,
    Crictl,
    answers,
    captured,
    told,
)

SANDBOX = "f" * 64
SOCKET = "/run/containerd/containerd.sock"
LABELS = {
    "io.kubernetes.container.name": "etcd",
    "io.kubernetes.pod.name": "etcd-m",
    "io.kubernetes.pod.namespace": "kube-system",
    "io.kubernetes.pod.uid": UID,
}


def pod(**changes):
    metadata = {"name": "etcd-m", "uid": UID, "namespace": "kube-system", "attempt": 2}
    labels = {key: text for key, text in LABELS.items() if key != "io.kubernetes.container.name"}
    return {
        "id": SANDBOX,
        "metadata": metadata,
        "state": "SANDBOX_READY",
        "createdAt": "5",
        "labels": labels,
        **changes,
    }


def container(**changes):
    return {
        "id": ID,
        "podSandboxId": SANDBOX,
        "metadata": {"name": "etcd", "attempt": 4},
        "image": {"image": "registry.k8s.io/etcd:3.5"},
        "state": "CONTAINER_RUNNING",
        "createdAt": "1795270070411037247",
        "labels": LABELS,
        **changes,
    }


def understood(*containers, pods=None):
    return crictl.understood("containerd", containers, [pod()] if pods is None else pods)


@pytest.mark.parametrize("version", CONTAINERDS)
def test_a_real_containerd(node, version):
    capture = captured(f"containerd-{version}.json")
    program = str(Crictl(node, answers(capture)).program)
    answered = crictl.version(program, SOCKET, Deadline(60))
    assert answered.runtime == "containerd"
    assert answered.version.startswith(version)
    found = crictl.read(program, SOCKET, "containerd", Deadline(60))
    assert sorted(entry[:3:2] + entry[3:] for entry in told(found.found).values()) == [
        ("POD", 0, "running"),
        ("POD", 15, "exited"),
        ("POD", 17, "running"),
        ("kube-apiserver", 23, "exited"),
        ("kube-apiserver", 24, "running"),
        ("side", 1, "created"),
        ("web", 0, "running"),
    ]
    assert (found.strangers, found.others, found.missing) == ([], 0, [])
    sandboxes = {one["id"] for identity, one in found.found if identity.container == "POD"}
    for identity, one in found.found:
        assert (one["sandbox_id"] in sandboxes) is (identity.container != "POD")
        assert one["created_ns"] > 1795270000 * 10**9
        assert one["name"] is None


def test_how_it_is_called(node, monkeypatch):
    monkeypatch.setenv("CONTAINER_RUNTIME_ENDPOINT", "unix:///elsewhere.sock")
    monkeypatch.setenv("SECRET", "s3cret")
    fake = Crictl(node, answers(captured("containerd-1.6.json")))
    crictl.read(str(fake.program), "/run/a b;c.sock", "containerd", Deadline(60))
    for argv, environment, stdin in fake.calls:
        assert argv[1:6] == [
            "--runtime-endpoint",
            "unix:///run/a b;c.sock",
            "--image-endpoint",
            "unix:///run/a b;c.sock",
            "--timeout",
        ]
        assert argv[6] == "4.000s"
        assert not {"SECRET", "CONTAINER_RUNTIME_ENDPOINT"} & set(environment)
        assert stdin == ""
    assert [argv[7] for argv, _environment, _stdin in fake.calls] == ["ps", "pods"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Version:  0.1.0\nRuntimeName:  cri-o\nRuntimeVersion:  1.30.1\n", ("cri-o", "1.30.1")),
        ("RuntimeName:  docker\nRuntimeVersion:  28.2.2\n", ("docker", "28.2.2")),
        ("RuntimeName:  frakti\nRuntimeVersion:  1\n", (None, "1")),
        ("RuntimeName:\nRuntimeVersion:  \x1b[2J" + "9" * 500, (None, "?[2J" + "9" * 75 + "…")),
        ("", (None, None)),
        ("crictl version 1.26", (None, None)),
        ("\udcff\udcff", (None, None)),
    ],
)
def test_version(node, text, expected):
    program = Crictl(node, {"version": text.encode("utf-8", "replace").decode()}).program
    assert crictl.version(str(program), SOCKET, Deadline(60)) == expected


def test_one_of_each():
    found = understood(container())
    assert told(found.found) == {SANDBOX: ("POD", "etcd-m", 2, "running"), ID: ("etcd", "etcd-m", 4, "running")}
    one = found.found[1][1]
    assert (one["created_ns"], one["sandbox_id"], one["image"]) == (
        1795270070411037247,
        SANDBOX,
        "registry.k8s.io/etcd:3.5",
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("CONTAINER_CREATED", "created"),
        ("CONTAINER_EXITED", "exited"),
        ("CONTAINER_UNKNOWN", "unknown"),
        ("CONTAINER_PAUSED", "unknown"),
        (1, "unknown"),
        (None, "unknown"),
        ([], "unknown"),
    ],
)
def test_states(state, expected):
    assert understood(container(state=state)).found[1][1]["state"] == expected


@pytest.mark.parametrize("created", ["0", 0, "-5", "x", None, True, 1.5, str(1 << 63), "9" * 5000, [], "\u0661"])
def test_no_time(created):
    assert understood(container(createdAt=created)).found[1][1]["created_ns"] is None


def test_a_default_may_be_left_out():
    """So protobuf's JSON has it where defaults are not asked for."""
    found = understood({**container(), "metadata": {"name": "etcd"}})
    assert found.found[1][0].attempt == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"podSandboxId": "0" * 64}, "its sandbox is not in the list"),
        ({"podSandboxId": None}, "its sandbox is not in the list"),
        ({"podSandboxId": ["a"]}, "its sandbox is not in the list"),
        ({"metadata": {}}, "its metadata is none that kubelet makes"),
        ({"metadata": None}, "its metadata is none that kubelet makes"),
        ({"metadata": {"name": "et_cd", "attempt": 4}}, "its metadata is none that kubelet makes"),
        ({"metadata": {"name": "etcd\n", "attempt": 4}}, "its metadata is none that kubelet makes"),
        ({"metadata": {"name": "etcd", "attempt": -1}}, "its metadata is none that kubelet makes"),
        ({"metadata": {"name": "etcd", "attempt": "4"}}, "its metadata is none that kubelet makes"),
        ({"metadata": {"name": "etcd", "attempt": 1 << 40}}, "its metadata is none that kubelet makes"),
        ({"metadata": {"name": "etcd", "attempt": True}}, "its metadata is none that kubelet makes"),
        ({"labels": {}}, "it lacks kubelet's labels, so that kubelet does not know it"),
        ({"labels": None}, "it lacks kubelet's labels, so that kubelet does not know it"),
        (
            {"labels": {**LABELS, "io.kubernetes.pod.uid": "u"}},
            "its metadata contradicts its label io.kubernetes.pod.uid",
        ),
        (
            {"labels": {**LABELS, "io.kubernetes.container.name": "x"}},
            "its metadata contradicts its label io.kubernetes.container.name",
        ),
    ],
)
def test_strangers(changes, why):
    found = understood(container(**changes))
    (one,) = found.strangers
    assert (one["id"], one["state"], one["why"], one["runtime"], one["name"]) == (
        ID,
        "running",
        why,
        "containerd",
        None,
    )
    assert list(told(found.found)) == [SANDBOX]


def test_a_stranger_among_sandboxes():
    found = understood(container(), pods=[pod(metadata={"name": "x y", "uid": UID, "namespace": "n"})])
    assert [one["why"] for one in found.strangers] == ["its metadata is none that kubelet makes"] * 2
    assert found.found == []


def test_entries_without_an_id():
    found = understood({}, {"id": ID[:12]}, {"id": 7}, {"id": ID.upper()}, pods=[{}, {"id": "../../etc"}])
    assert (found.found, found.strangers) == ([], [])
    assert found.missing == [{"what": "containers", "why": "6 entries of the lists are no containers of CRI"}]


def fatal(text):
    quoted = text.replace('"', '\\"')
    return (
        f'time="2026-11-21T08:00:00Z" level=warning msg="odd"\ntime="2026-11-21T08:00:00Z" level=fatal msg="{quoted}"\n'
    )


NOT_IMPLEMENTED = (
    'validate service connection: CRI v1 runtime API is not implemented for endpoint "unix:///run/containerd/containerd.sock": '
    "rpc error: code = Unimplemented desc = unknown service runtime.v1.RuntimeService"
)


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [
        ("", CrictlError, "crictl ps -a -o json printed no JSON"),
        ("CONTAINER   IMAGE   CREATED", CrictlError, "crictl ps -a -o json printed no JSON"),
        ("[" * 100_000, CrictlError, "crictl ps -a -o json printed no JSON"),
        ("\x00\x1b[2J", CrictlError, "crictl ps -a -o json printed no JSON"),
        ("[]", CrictlError, "crictl ps -a -o json printed JSON without a list of containers"),
        ("{}", CrictlError, "crictl ps -a -o json printed JSON without a list of containers"),
        ('{"containers": {}}', CrictlError, "crictl ps -a -o json printed JSON without a list of containers"),
        ('{"containers": [null]}', CrictlError, "crictl ps -a -o json printed JSON without a list of containers"),
        ({"status": 1}, CrictlError, "crictl ps -a -o json failed with status 1: it said nothing"),
        ({"status": 3, "errors": "a\nlast \x1b[2Jline"}, CrictlError, "failed with status 3: last ?[2Jline"),
        ({"status": 1, "errors": fatal('say "no"')}, CrictlError, 'failed with status 1: say "no"'),
        (
            {"status": 1, "errors": fatal(NOT_IMPLEMENTED)},
            NoCriError,
            "crictl ps -a -o json: validate service connection",
        ),
        ({"code": "os.kill(os.getpid(), 9)"}, CrictlError, "failed with status -9"),
        ({"code": "while True: print('x' * 65536)"}, CrictlError, "did not come to an end within 16 MiB"),
        ({"code": "while True: sys.stdout.write('x' * 65536)"}, CrictlError, "did not come to an end within 16 MiB"),
        ('{"containers":\n"' + "x" * (2 << 20) + '"\n,"a":[]}', CrictlError, "printed a line of more than 1 MiB"),
    ],
)
def test_what_goes_wrong(node, answer, error, why):
    program = Crictl(node, answers(captured("containerd-1.6.json"), **{"ps -a -o json": answer})).program
    with pytest.raises(CrictlError) as caught:
        crictl.read(str(program), SOCKET, "containerd", Deadline(60))
    assert isinstance(caught.value, NoCriError) == (error is NoCriError)
    assert why in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


CHILD = "import time; print('', flush=True); time.sleep(600)"


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(600)",
        # It ends, and leaves a child that keeps its output open.
        f"subprocess.Popen([sys.executable, '-c', {CHILD!r}]); sys.exit(0)",
        # It closes its output, and goes on.
        "os.close(1); os.close(2); time.sleep(600)",
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)",
    ],
)
def test_one_that_hangs_is_killed_with_all_its_children(node, code):
    fake = Crictl(
        node, {"version": {"code": f"open({str(node.folder / 'group')!r}, 'w').write(str(os.getpgid(0))); {code}"}}
    )
    started = time.monotonic()
    with pytest.raises(CrictlError, match="crictl version did not come to an end within 1 s"):
        crictl.version(str(fake.program), SOCKET, Deadline(1))
    assert time.monotonic() - started < 60
    group = int((node.folder / "group").read_text())
    assert group != os.getpgid(0)
    deadline = time.monotonic() + 10
    while any(group == group_of(process) for process in Path("/proc").iterdir()):
        assert time.monotonic() < deadline, "something of it is left"
        time.sleep(0.05)


def group_of(process):
    """The process group of a living process, None for anything else."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    return None if fields[0] in "ZX" else int(fields[2])


def test_no_time_left(node):
    fake = Crictl(node, {})
    with pytest.raises(CrictlError, match="raise budget_seconds"):
        crictl.version(str(fake.program), SOCKET, Deadline(0))
    assert not (node.folder / "calls").exists()


def test_one_that_cannot_be_started(node):
    program = node.file("/usr/bin/crictl", "\x7fELF nonsense")
    program.chmod(0o755)
    with pytest.raises(CrictlError, match="could not be started: Exec format error"):
        crictl.version(str(program), SOCKET, Deadline(60))


def test_which_is_run(tmp_path):
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
        (folder / "crictl").write_text("#!/bin/sh\n")
        (folder / "crictl").chmod(0o755)
    path = f"relative:.::{first}"
    assert crictl.find([str(second)], path) == str(first / "crictl")
    (first / "crictl").chmod(0o775)  # others may write it
    assert crictl.find([str(second)], path) == str(second / "crictl")
    (second / "crictl").chmod(0o644)  # no program
    assert crictl.find([str(second)], path) is None
    (second / "crictl").unlink()
    (second / "crictl").mkdir()
    assert crictl.find([str(second)], path) is None
    (second / "crictl").rmdir()
    (second / "crictl").symlink_to("crictl")  # a link to itself
    assert crictl.find([str(second)], path) is None


def test_another_users_program_is_not_run(tmp_path, monkeypatch):
    program = tmp_path / "crictl"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(str(program), 65534, 65534)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert crictl.find([str(tmp_path)], "") is None


def test_the_path_is_looked_at_by_default(tmp_path, monkeypatch):
    (tmp_path / "crictl").write_text("#!/bin/sh\n")
    (tmp_path / "crictl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert crictl.find([]) == str(tmp_path / "crictl")
    monkeypatch.delenv("PATH")
    assert crictl.find([]) is None


def test_json_that_is_huge_but_fits(node):
    """A thousand containers, as a node has that is in trouble."""
    many = [container(id=f"{number:064x}", metadata={"name": "etcd", "attempt": number}) for number in range(1000)]
    program = Crictl(
        node, {"ps -a -o json": json.dumps({"containers": many}), "pods -o json": json.dumps({"items": [pod()]})}
    )
    found = crictl.read(str(program.program), SOCKET, "containerd", Deadline(60))
    assert len(found.found) == 1001
