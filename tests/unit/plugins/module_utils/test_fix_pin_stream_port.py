# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of pin-stream-port, on a made-up node: its files, processes and sockets as real ones have them."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    fix_pin_stream_port,
    sockets,
    tcp_reader,
    toml_lines,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import FileText, Reload, Restart
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import DONE, NEEDED, STOPPED, Places, TargetError
from ansible_collections.kubenode.doctor.plugins.module_utils.socket_entry import Entry
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils import systemctl_stand_in

FIXTURE = Path(__file__).parents[3] / "fixtures" / "cri" / "containerd-1.6-config-default.toml"
MAIN = "/etc/containerd/config.toml"
CRIO_DROP_IN = "/etc/crio/crio.conf.d/99-stream-port.conf"
SECTION = '[plugins."io.containerd.grpc.v1.cri"]'
RANDOM = "127.0.0.1", 46553
PIN = '  stream_server_address = "127.0.0.1"\n  stream_server_port = "10010"\n'
V2 = f'version = 2\n{SECTION}\n  stream_server_port = "0"\n'
REGISTRY = '[plugins."io.containerd.grpc.v1.cri".registry.configs.x.auth]\n  password = "hunter2"\n'
# cmd/containerd prints the whole configuration; this one what it was given, and refuses what it does not know.
CONTAINERD = '#!/bin/sh\n[ "$1 $3 $4" = "--config config dump" ] || exit 9\ngrep -q unknown "$2" && exit 1\ncat "$2"\n'
CRI_DOCKERD = "/usr/bin/cri-dockerd --container-runtime-endpoint fd:// --network-plugin="


class Scene:
    """A node on which one runtime runs; ``listeners`` are (address, port, pid)."""

    def __init__(self, node, monkeypatch):
        self.node = node
        self.units = systemctl_stand_in.Units(node)
        self.listeners = []
        self.others = []
        self.proc_file("sys/net/ipv4/ip_local_port_range", "32768\t60999\n")
        self.proc_file("sys/net/ipv4/ip_local_reserved_ports", "\n")
        node.file("/usr/bin/containerd", CONTAINERD).chmod(0o755)
        monkeypatch.setattr(tcp_reader, "first_look", lambda _namespace, _backend: (self._entries(), []))
        monkeypatch.setattr(sockets, "collect", self._collect)

    def proc_file(self, path, text):
        place = self.node.proc / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def run(self, pid, comm, argv, unit, *listeners, **properties):
        """A program in a unit of its own, which listens."""
        self.node.process(pid, comm, argv)
        self.proc_file(f"{pid}/cgroup", f"0::/system.slice/{unit}\n")
        self.proc_file(f"{pid}/net/unix", "Num RefCount Protocol Flags Type St Inode Path\n")
        (self.node.proc / str(pid) / "exe").symlink_to(self.node.root / "usr/bin" / comm)
        self.units.add(
            unit, **{"MainPID": pid, "ControlGroup": f"/system.slice/{unit}", "KillMode": "process", **properties}
        )
        self.listen(pid, *listeners)

    def listen(self, pid, *listeners):
        (self.node.proc / str(pid) / "fd").mkdir(exist_ok=True)
        for address, port in listeners:
            self.listeners.append((address, port, pid))
            link = self.node.proc / str(pid) / "fd" / str(port)
            if not link.is_symlink():
                link.symlink_to(f"socket:[{pid}{port}]")

    def containerd(self, text=V2, *listeners, **properties):
        if text is not None:
            self.node.file(MAIN, text)
        self.run(
            600, "containerd", ["/usr/bin/containerd"], "containerd.service", *(listeners or [RANDOM]), **properties
        )

    def plan(self, *targets):
        places = Places(str(self.node.proc), str(self.node.root))
        return fix_pin_stream_port.plan(targets or [target()], {}, places, Deadline(30))

    def _entries(self):
        return [self._entry(*listener) for listener in self.listeners]

    def _collect(self, _protocols, ports):
        found = [entry for entry in [*self._entries(), *self.others] if entry.port in ports]
        return sockets.Seen(found, "sock_diag", [])

    @staticmethod
    def _entry(address, port, pid, state="listen"):
        family = "ipv6" if ":" in address else "ipv4"
        return Entry("tcp", family, state, address, port, "", 0, 0, 128, 0, int(f"{pid}{port}"))


@pytest.fixture
def scene(node, monkeypatch):
    return Scene(node, monkeypatch)


def target(
    runtime="containerd",
    address=RANDOM[0],
    port=RANDOM[1],
    to=10010,
    file=MAIN,
    unit="containerd.service",
    ports=((30000, 32767),),
):
    return fix_pin_stream_port.target(runtime, address, port, to, file, unit, ports)


def crio(**fields):
    return target(**{"runtime": "cri-o", "file": CRIO_DROP_IN, "unit": "crio.service", **fields})


def cri_dockerd(**fields):
    return target(**{"runtime": "cri-dockerd", "address": "::", "file": None, "unit": "cri-docker.service", **fields})


def test_containerd_with_its_own_default(scene):
    before = FIXTURE.read_text()
    scene.containerd(before)
    plan = scene.plan()
    file, restart = plan.steps
    assert (plan.state, plan.why, restart) == (NEEDED, "", Restart("containerd.service"))
    assert file == FileText(MAIN, before.replace('stream_server_port = "0"', 'stream_server_port = "10010"'))
    first, change, tried, restarted = plan.told
    assert first == "containerd's streaming server moves from 127.0.0.1:46553 to 127.0.0.1:10010"
    assert change == (
        f"in {MAIN}, section {SECTION}: stream_server_address = \"127.0.0.1\" ('127.0.0.1' before), "
        "stream_server_port = \"10010\" ('0' before)"
    )
    assert tried == "containerd has read the changed file and shows this port (containerd config dump)"
    assert restarted.startswith(
        "containerd.service is restarted: running kubectl exec, attach and port-forward sessions"
    )
    assert plan.undo == [f"{MAIN} gets its old text back, byte for byte", "containerd.service is restarted again"]
    assert scene.plan()[:5] == plan[:5]  # the digest is made of it


def test_nothing_of_the_file_is_told_but_the_two_settings(scene):
    scene.containerd(V2 + REGISTRY)
    plan = scene.plan()
    assert (
        plan.steps[0].after
        == V2.replace('port = "0"', 'port = "10010"').replace(
            'cri"]\n', 'cri"]\n  stream_server_address = "127.0.0.1"\n', 1
        )
        + REGISTRY
    )
    assert "hunter2" not in repr(plan._replace(steps=()))


def test_no_file_at_all(scene):
    scene.containerd(None)
    text = scene.plan().steps[0].after
    assert text.endswith(f"\nversion = 2\n\n{SECTION}\n{PIN}")
    assert text.startswith("# Written by kubenode.doctor (pin-stream-port)")


def test_a_drop_in_of_containerd_2(scene):
    path = "/etc/containerd/conf.d/99-stream-port.toml"
    scene.containerd(f'version = 3\nimports = ["/etc/containerd/conf.d/*.toml"]\n{SECTION}\nstream_server_port = "0"\n')
    plan = scene.plan(target(file=path))
    assert plan.steps[0].path == path
    assert plan.steps[0].after.endswith(f"\nversion = 3\n\n{SECTION}\n{PIN}")
    assert plan.undo[0] == f"{path} is removed"


def test_an_imported_file_that_decides(scene):
    scene.node.file("/x.toml", V2)
    scene.containerd('version = 2\nimports = ["/x.toml"]\n')
    assert scene.plan(target(file="/x.toml")).steps[0].path == "/x.toml"


@pytest.mark.parametrize(
    ("old", "flags", "new"),
    [
        (None, [], True),
        ({"10-x.conf": '[crio.api]\nstream_port = "0"\n'}, [], True),
        ({"99-stream-port.conf": '[crio.api]\nstream_port = "31000"\n'}, ["--log-level", "debug"], False),
    ],
)
def test_crio_gets_a_drop_in(scene, old, flags, new):
    for name, text in (old or {}).items():
        scene.node.file(f"/etc/crio/crio.conf.d/{name}", text)
    scene.run(700, "crio", ["/usr/bin/crio", *flags], "crio.service", RANDOM)
    plan = scene.plan(crio())
    file, restart = plan.steps
    assert (file.path, restart) == (CRIO_DROP_IN, Restart("crio.service"))
    assert toml_lines.read(file.after) == {
        ("crio", "api", "stream_address"): "127.0.0.1",
        ("crio", "api", "stream_port"): "10010",
    }
    assert (plan.undo[0] == f"{CRIO_DROP_IN} is removed") is new


def test_cri_dockerd_gets_a_drop_in_of_systemd(scene):
    unit = "/usr/lib/systemd/system/cri-docker.service"
    place = "/etc/systemd/system/cri-docker.service.d/99-stream-port.conf"
    scene.node.file(unit, f"[Service]\nExecStart={CRI_DOCKERD}\n")
    scene.run(
        800,
        "cri-dockerd",
        CRI_DOCKERD.split(),
        "cri-docker.service",
        ("::", 46553),
        FragmentPath=unit,
        NeedDaemonReload="yes",
    )
    plan = scene.plan(cri_dockerd())
    file, reloaded, restart = plan.steps
    assert (file.path, reloaded, restart) == (place, Reload(), Restart("cri-docker.service"))
    assert file.after.endswith(
        f"\n[Service]\nExecStart=\nExecStart={CRI_DOCKERD} --streaming-bind-addr=127.0.0.1:10010\n"
    )
    assert any("what somebody else has changed" in line for line in plan.told)


def test_a_restart_is_all_where_the_file_sets_it_already(scene):
    scene.containerd(V2.replace('"0"', '"10010"'))
    plan = scene.plan()
    assert plan.steps == [Restart("containerd.service")]
    assert f"{MAIN} sets the port 10010 already" in plan.told


def test_what_is_over_holds_no_port(scene):
    scene.containerd()
    scene.others = [scene._entry("127.0.0.1", 10010, 0, "time_wait")]
    assert scene.plan().state == NEEDED


def test_what_systemd_restarts_with_it_is_told(scene):
    scene.containerd(V2, BoundBy="cri-docker.service")
    scene.units.add("cri-docker.service")
    assert any("cri-docker.service" in line for line in scene.plan().told)


def test_two_runtimes_at_once(scene):
    scene.containerd()
    scene.run(700, "crio", ["/usr/bin/crio"], "crio.service", ("127.0.0.1", 46000))
    plan = scene.plan(target(), crio(port=46000, to=10011))
    assert [step.unit for step in plan.steps if isinstance(step, Restart)] == ["containerd.service", "crio.service"]
    assert plan.verify(Deadline(0)) != ""


def test_the_same_target_of_several_findings(scene):
    scene.containerd()
    assert len(scene.plan(target(), target()).steps) == 2


@pytest.mark.parametrize("text", [V2.replace('"0"', '"10010"'), V2.replace('"0"', '" 10010"')])
def test_done(scene, text):
    scene.containerd(text, ("127.0.0.1", 10010))
    plan = scene.plan()
    assert (plan.state, list(plan.steps)) == (DONE, [])
    assert "listens on 127.0.0.1:10010" in plan.why


def test_nothing_to_do(scene):
    assert fix_pin_stream_port.plan([], {}, Places(str(scene.node.proc), "/"), Deadline(1)).state == DONE


def dotted(scene):
    scene.containerd('version = 2\nplugins."io.containerd.grpc.v1.cri".stream_server_port = "0"\n')


def by_flag(scene):
    scene.run(700, "crio", ["/usr/bin/crio", "--stream-port=0"], "crio.service", RANDOM)
    return crio()


def address_by_flag(scene):
    scene.run(700, "crio", ["/usr/bin/crio", "--stream-address=0.0.0.0"], "crio.service", ("0.0.0.0", 46553))
    return crio(address="0.0.0.0")


def another_wins(scene):
    """A later file that repeats the whole section: containerd 1 forgets what an earlier one says."""
    scene.node.file("/x.toml", V2)
    scene.node.file("/y.toml", "<<<")
    scene.containerd('version = 2\nimports = ["/x.toml", "/y.toml", "rel*.toml"]\n')
    return target(file="/x.toml")


def taken(scene):
    scene.containerd()
    scene.node.process(900, "java", [])
    scene.listen(900, ("::", 10010))


def taken_by_a_client(scene):
    scene.containerd()
    scene.others = [scene._entry("127.0.0.1", 10010, 901, "established")]


def on_a_master(scene):
    scene.containerd()
    scene.node.process(910, "kube-apiserver", ["kube-apiserver", "--service-node-port-range=10000-20000"])


def kernel(name, text):
    def changed(scene):
        scene.containerd()
        scene.proc_file(f"sys/net/ipv4/{name}", text)

    return changed


def running(text=V2, **properties):
    return lambda scene: scene.containerd(text, **properties)


def without_systemd(scene):
    scene.containerd()
    (scene.node.root / "usr/bin/systemctl").unlink()


def gone(scene):
    scene.containerd(V2, ("127.0.0.1", 46554))


def of_another_unit(scene):
    scene.node.file(MAIN, V2)
    scene.run(600, "containerd", ["/usr/bin/containerd"], "docker.service", RANDOM)


def in_a_pod(scene):
    scene.containerd()
    scene.proc_file(
        "600/cgroup",
        "0::/kubepods/pod1403dda53affdfee1130475a6d9609da/" + "0" * 64 + "/system.slice/containerd.service\n",
    )


def below_another_machine(scene):
    scene.containerd()
    scene.proc_file("600/cgroup", "0::/machine.slice/x/system.slice/containerd.service\n")


def kills(scene):
    scene.containerd(V2, KillMode="control-group")
    scene.node.process(601, "containerd-shim", [])
    scene.proc_file("601/cgroup", "0::/system.slice/containerd.service\n")


def drop_ins_alone(scene):
    scene.containerd(None)
    scene.node.file("/etc/containerd/conf.d/99-nvidia.toml", "version = 3\n")


def unit_file_gone(scene):
    scene.run(800, "cri-dockerd", CRI_DOCKERD.split(), "cri-docker.service", ("::", 46553), FragmentPath="/gone")
    return cri_dockerd()


CNI = f"{CRI_DOCKERD}cni --pod-infra-container-image=reg/pause:3"
OPERATORS = f"[Service]\nEnvironment=HTTP_PROXY=http://hunter2@p\nExecStart=\nExecStart={CNI}\n"
DROP_IN = "/etc/systemd/system/cri-docker.service.d/99-stream-port.conf"


def dockerd_with(command, drop_in, paths=DROP_IN):
    """cri-dockerd runs with this command line, and there is a drop-in of the name of ours; systemd has read ``paths``."""

    def made(scene):
        scene.node.file("/u", f"[Service]\nExecStart={CRI_DOCKERD}\n")
        scene.node.file(DROP_IN, drop_in)
        listens = ("::", 46553)
        scene.run(
            800,
            "cri-dockerd",
            command.split(),
            "cri-docker.service",
            listens,
            FragmentPath="/u",
            DropInPaths=paths,
        )
        return cri_dockerd()

    return made


def in_a_unit_that_says_otherwise(scene):
    scene.node.file("/u", f"[Service]\nExecStart={CRI_DOCKERD}\n")
    scene.run(800, "cri-dockerd", CNI.split(), "cri-docker.service", ("::", 46553), FragmentPath="/u")
    return cri_dockerd()


def odd_unit_file(scene):
    scene.node.file("/u", "[Service]\nExecStart=/a 'x\n")
    scene.run(800, "cri-dockerd", CRI_DOCKERD.split(), "cri-docker.service", ("::", 46553), FragmentPath="/u")
    return cri_dockerd()


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (gone, "listens on 127.0.0.1:46553 any more. Diagnose again"),
        (of_another_unit, "listens on 127.0.0.1:46553 any more"),
        (in_a_pod, "listens on 127.0.0.1:46553 any more"),
        (below_another_machine, "another machine's inside this one"),
        (taken, "port 10010 is in use now, by java"),
        (taken_by_a_client, "port 10010 is in use now, by a program that was not seen"),
        (on_a_master, "10010 is a NodePort, or may become one"),
        (kernel("ip_local_port_range", "10000\t20000\n"), "in its ephemeral range"),
        (kernel("ip_local_port_range", "rubbish"), "is not known"),
        (kernel("ip_local_reserved_ports", "x"), "is not known"),
        (running(V2.replace("[", "[[").replace("]", "]]")), "arrays of tables: set stream_server_address"),
        (dotted, "dotted keys, not under a header of its own: set stream_server_address"),
        (running(V2 + "password = hunter2 or so\n"), "line 4 is not understood"),
        (running(V2 + "unknown = 1\n"), "containerd refuses its configuration as it is now"),
        (running(V2 + '# \ufffd"\n'), "holds bytes that are no text"),
        (running('disabled_plugins = ["cri"]\n' + V2), "the CRI plugin is disabled"),
        (by_flag, "from its command line, which wins over every file"),
        (address_by_flag, f"{CRIO_DROP_IN} would not decide: the command line sets the address"),
        (another_wins, "imports rel*.toml"),
        (running(ActiveState="failed"), "is not active but failed"),
        (running(MainPID=1), "containerd"),
        (running(LoadState="not-found"), "no unit containerd.service"),
        (kills, "keeps this node's containers alive"),
        (drop_ins_alone, "depends on its version"),
        (without_systemd, "no systemctl"),
        (unit_file_gone, "the unit file /gone could not be read"),
        (dockerd_with(CNI, OPERATORS), "99-stream-port.conf is there, and is not ours"),
        (dockerd_with(CRI_DOCKERD, OPERATORS, ""), "99-stream-port.conf is there, and is not ours"),
        (dockerd_with(CNI, "", ""), "99-stream-port.conf could not be read"),
        (in_a_unit_that_says_otherwise, "its process runs with another command line than its unit files set"),
        (odd_unit_file, "add --streaming-bind-addr=127.0.0.1:10010 to its command line by hand"),
    ],
)
def test_stopped(scene, made, why):
    text = made(scene)
    plan = scene.plan(*([text] if text else []))
    assert (plan.state, list(plan.steps)) == (STOPPED, []), plan
    assert why in plan.why
    assert "hunter2" not in plan.why


def test_the_file_is_another_one_than_diagnosed(scene):
    scene.containerd()
    plan = scene.plan(target(file="/etc/containerd/conf.d/99-stream-port.toml"))
    assert (plan.state, list(plan.steps)) == (STOPPED, [])
    assert f"to be set in {MAIN} now" in plan.why


def test_docker_would_be_restarted_with_it(scene):
    scene.containerd(V2, RequiredBy="docker.service")
    scene.units.add("docker.service")
    plan = scene.plan()
    assert plan.state == STOPPED
    assert "without live-restore" in plan.why


def test_containerd_would_refuse_the_new_file(scene):
    scene.containerd()
    body = CONTAINERD.replace("grep -q unknown", "grep -q 10010")
    scene.node.file("/usr/bin/containerd", body)
    plan = scene.plan()
    assert (plan.state, "as it would be after the change" in plan.why) == (STOPPED, True)


@pytest.mark.parametrize("body", ["sed s/10010/0/ $2", "cat $2; date +x=%N"])
def test_containerd_would_read_it_otherwise(scene, body):
    scene.containerd()
    scene.node.file("/usr/bin/containerd", f"#!/bin/sh\n{body}\n")
    plan = scene.plan()
    assert (plan.state, "otherwise than it is meant" in plan.why) == (STOPPED, True)


def test_a_containerd_that_others_may_change_is_not_run(scene):
    scene.containerd()
    place = scene.node.root / "usr/bin/containerd"
    place.write_text("#!/bin/sh\ntouch $0.run\n")
    place.chmod(0o777)
    plan = scene.plan()
    assert any(line.startswith("not tried with containerd itself: others may change") for line in plan.told)
    assert not Path(f"{place}.run").exists()


def test_a_program_that_was_replaced_is_told(scene):
    scene.containerd()
    link = scene.node.proc / "600" / "exe"
    program = str(link.resolve())
    link.unlink()
    link.symlink_to(f"{program} (deleted)")
    assert any("was replaced since it was started" in line for line in scene.plan().told)


@pytest.mark.parametrize(
    "targets",
    [
        (target(), target(to=10011)),
        (target(), target(port=46554)),
        (target(), crio()),  # one port for two
    ],
)
def test_findings_that_do_not_agree(scene, targets):
    scene.containerd()
    scene.run(700, "crio", ["/usr/bin/crio"], "crio.service", RANDOM)
    plan = scene.plan(*targets)
    assert (plan.state, "do not agree" in plan.why) == (STOPPED, True)


def test_one_that_is_stopped_stops_the_other(scene):
    scene.containerd()
    plan = scene.plan(target(), crio(to=10011))
    assert (plan.state, list(plan.steps)) == (STOPPED, [])
    assert plan.why.startswith("cri-o: no crio of crio.service")


def with_field(**fields):
    return json.dumps({**json.loads(target()), **fields})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[" * 5000,
        with_field(runtime="dockershim"),
        with_field(to=0),
        with_field(to=70000),
        with_field(to=True),
        with_field(unit="-H evil"),
        with_field(unit="{{ 1 }}.service"),
        with_field(more=1),
    ],
)
def test_a_target_that_is_none(scene, text):
    with pytest.raises(TargetError):
        scene.plan(text)


@pytest.mark.parametrize("ports", ["10000-11000", "rubbish"])
def test_a_port_that_became_a_node_port(scene, ports):
    scene.containerd()
    assert scene.plan(with_field(node_ports=ports)).state == STOPPED


def test_verify(scene, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    scene.containerd()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(Path("root/x.sock")))
        scene.proc_file("600/net/unix", "Num\n0: 2 0 00010000 0001 01 77 /x.sock\n")
        (scene.node.proc / "600" / "fd" / "9").symlink_to("socket:[77]")
        plan = scene.plan()

        def amiss(*listeners):
            scene.listeners = []
            scene.listen(600, *listeners)
            return plan.verify(Deadline(0))

        new = "127.0.0.1", 10010
        assert amiss(RANDOM) == "containerd of containerd.service does not listen on 127.0.0.1:10010"
        assert amiss() == "containerd of containerd.service does not listen on 127.0.0.1:10010"
        assert amiss(new, RANDOM) == "containerd of containerd.service still listens on 127.0.0.1:46553"
        assert amiss(new) == "containerd of containerd.service lets nobody in at /x.sock"
        door.listen()
        assert amiss(new) == ""
        scene.proc_file("600/comm", "java\n")
        assert amiss(new) == "containerd of containerd.service does not listen on 127.0.0.1:10010"
