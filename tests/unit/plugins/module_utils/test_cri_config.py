# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cri_config: configurations of containerd, CRI-O and cri-dockerd as distributions write them, on a made-up root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import cri_config, program_arguments

FIXTURE = Path(__file__).parents[3] / "fixtures" / "cri" / "containerd-1.6-config-default.toml"

MAIN = "/etc/containerd/config.toml"
CRIO_DROP_IN = "/etc/crio/crio.conf.d/99-stream-port.conf"
V2 = 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  stream_server_port = "{}"\n'
SECTION = '[plugins."io.containerd.grpc.v1.cri"]'
REGISTRY = '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n'


def collect(node):
    found = cri_config.collect(str(node.proc), str(node.root))
    assert found["complete"] is not bool(found["missing"])
    return found


def only(node):
    (runtime,) = collect(node)["runtimes"]
    return runtime


def test_no_runtime(node):
    assert collect(node) == {"runtimes": [], "complete": True, "missing": []}


def test_containerd_as_it_ships(node):
    """`containerd config default` writes the default out: set, and random."""
    node.file(MAIN, FIXTURE.read_text())
    assert only(node) == {
        "runtime": "containerd",
        "key": "stream_server_port",
        "value": "0",
        "default": "0",
        "address": "127.0.0.1",
        "file": MAIN,
        "fixed": False,
        "edit": {"file": MAIN, "section": SECTION, "new": False},
    }


def test_containerd_without_any_file(node):
    node.process(600, "containerd", ["/usr/bin/containerd"])
    found = only(node)
    assert (found["value"], found["file"], found["fixed"], found["address"]) == (None, None, False, "127.0.0.1")


@pytest.mark.parametrize(
    "text",
    [
        '[plugins.cri]\nstream_server_port = "10010"\n',
        '[plugins]\n  [plugins.cri]\n    stream_server_address = "127.0.0.1"\n    stream_server_port = "10010"\n',
        V2.format("10010"),
        'version = 2\nplugins."io.containerd.grpc.v1.cri".stream_server_port = "10010"\n',
        'version = 2\n[plugins]\n"io.containerd.grpc.v1.cri" = { stream_server_port = "10010" }\n',
        "version = 3\n[plugins.'io.containerd.grpc.v1.cri']\n  stream_server_port = '10010'\n",
        V2.format("10010") + REGISTRY,
        "# stream_server_port = 1\n" + V2.format("10010") + '  # stream_server_port = "1"\n',
    ],
)
def test_every_version_and_style(node, text):
    node.file(MAIN, text)
    found = only(node)
    assert (found["value"], found["fixed"], found["file"]) == ("10010", True, MAIN)
    assert collect(node)["complete"]


def test_the_same_key_elsewhere_is_not_it(node):
    node.file(
        MAIN,
        'version = 2\nstream_server_port = "1"\n[plugins."io.containerd.cri.v1.runtime"]\nstream_server_port = "2"\n',
    )
    assert only(node)["value"] is None


def test_address_of_all_interfaces(node):
    node.file(MAIN, V2.format("0") + '  stream_server_address = "0.0.0.0"\n')
    assert only(node)["address"] == "0.0.0.0"


@pytest.mark.parametrize("argv", [["--config", "/opt/c.toml"], ["--config=/opt/c.toml"], ["-c", "/opt/c.toml"]])
def test_the_file_of_the_running_containerd(node, argv):
    node.process(600, "containerd", ["containerd", "--log-level", "info", *argv])
    node.file(MAIN, V2.format("1"))
    node.file("/opt/c.toml", V2.format("10010"))
    found = only(node)
    assert (found["value"], found["file"]) == ("10010", "/opt/c.toml")


@pytest.mark.parametrize(
    ("files", "edit"),
    [
        ({}, (MAIN, SECTION, True)),
        ({MAIN: "version = 2\n"}, (MAIN, SECTION, False)),
        ({MAIN: "version = 3\n"}, (MAIN, SECTION, False)),
        ({MAIN: ""}, (MAIN, "[plugins.cri]", False)),
        ({MAIN: '[plugins.cri]\nsandbox_image = "x"\n'}, (MAIN, "[plugins.cri]", False)),
        # A file that is imported and has the section goes before; one without it does not count.
        ({MAIN: 'version = 2\nimports = ["/x.toml"]\n', "/x.toml": V2.format("1")}, ("/x.toml", SECTION, False)),
        ({MAIN: 'imports = ["/x.toml"]\n' + V2.format("1"), "/x.toml": "version = 2\n"}, (MAIN, SECTION, False)),
    ],
)
def test_the_file_of_containerd_to_edit(node, files, edit):
    node.process(600, "containerd", ["containerd"])
    for path, text in files.items():
        node.file(path, text)
    assert tuple(only(node)["edit"].values()) == edit


V3 = 'version = 3\nimports = ["{}"]\n[plugins."io.containerd.grpc.v1.cri"]\n  stream_server_port = "0"\n'
FOLDER = "/etc/containerd/conf.d"
DROP_IN = f"{FOLDER}/99-stream-port.toml"
NVIDIA = f"version = 3\n{SECTION}\nenable_selinux = false\n"


@pytest.mark.parametrize(
    ("files", "edit"),
    [
        # As `containerd config default` of 2.2 writes it (containerd pull 12323).
        ({MAIN: V3.format(f"{FOLDER}/*.toml")}, (DROP_IN, True)),
        ({MAIN: V3.format("/etc/containerd//config.d/*.toml")}, ("/etc/containerd/config.d/99-stream-port.toml", True)),
        ({MAIN: V3.format(f"{FOLDER}/*.toml"), DROP_IN: V2.format("1")}, (DROP_IN, False)),
        ({MAIN: V3.format(f"{FOLDER}/*.toml"), f"{FOLDER}/99-nvidia.toml": NVIDIA}, (DROP_IN, True)),
        # One that is read later wins.
        ({MAIN: V3.format(f"{FOLDER}/*.toml"), f"{FOLDER}/zz.toml": NVIDIA}, (f"{FOLDER}/zz.toml", False)),
        ({MAIN: V3.format(f'{FOLDER}/*.toml", "/z.toml'), "/z.toml": NVIDIA}, ("/z.toml", False)),
        # containerd 1 may read it, which replaces whole sections.
        ({MAIN: V3.format(f"{FOLDER}/*.toml").replace("3", "2")}, (MAIN, False)),
        # No such name is read there, or the folder is none of the administrator's.
        ({MAIN: V3.format(f"{FOLDER}/runtime_*.toml")}, (MAIN, False)),
        ({MAIN: V3.format(f"{FOLDER}/nvidia.toml")}, (MAIN, False)),
        ({MAIN: V3.format("conf.d/*.toml")}, (MAIN, False)),
        ({MAIN: V3.format("/etc/containerd/*/99-stream-port.toml")}, (MAIN, False)),
        ({MAIN: V3.format("/var/lib/rancher/k3s/agent/etc/containerd/config-v3.toml.d/*.toml")}, (MAIN, False)),
    ],
)
def test_the_drop_in_that_containerd_2_reads(node, files, edit):
    for path, text in files.items():
        node.file(path, text)
    assert tuple(only(node)["edit"].values()) == (edit[0], SECTION, edit[1])
    assert collect(node)["complete"] is ("/*/" not in files[MAIN])


@pytest.mark.parametrize(
    ("argv", "files", "edit"),
    [
        ([], {"10.conf": '[crio.api]\nstream_port = "0"\n'}, (CRIO_DROP_IN, True)),
        ([], {"10.conf": '[crio.api]\nstream_port = "0"\n', "99-stream-port.conf": ""}, (CRIO_DROP_IN, False)),
        ([], {"99-z.conf": '[crio.api]\nstream_port = "0"\n'}, ("/etc/crio/crio.conf.d/99-z.conf", False)),
        ([], {"99-z.conf": '[crio.api]\nstream_address = "::"\n'}, ("/etc/crio/crio.conf.d/99-z.conf", False)),
        (["--config-dir=/etc/x.d"], {}, ("/etc/x.d/99-stream-port.conf", True)),
        ([], {"10.conf": '[crio.api]\ngrpc_max_send_msg_size = "0"\n'}, (CRIO_DROP_IN, True)),
        ([], {"99-stream-port.conf": ""}, (CRIO_DROP_IN, False)),
        (["--stream-port", "0"], {}, (None, False)),
    ],
)
def test_the_file_of_crio_to_edit(node, argv, files, edit):
    node.process(600, "crio", ["crio", *argv])
    for name, text in files.items():
        node.file(f"/etc/crio/crio.conf.d/{name}", text)
    found = only(node)["edit"]
    assert (found["file"], found["new"]) == edit
    assert found["section"] == ("[crio.api]" if found["file"] else None)


def test_two_containerds_and_the_one_of_docker(node):
    node.process(600, "containerd", ["containerd"])
    node.process(601, "containerd", ["containerd", "--config", "/var/run/docker/containerd/containerd.toml"])
    node.process(602, "containerd", ["containerd", "-c", "/kind.toml"], netns="other")
    node.file(
        "/var/run/docker/containerd/containerd.toml", 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
    )
    node.file("/kind.toml", V2.format("5"))
    assert only(node)["file"] is None


def test_containerd_from_docker_packages_has_no_cri(node):
    node.file(MAIN, 'disabled_plugins = ["cri"]\n')
    assert collect(node)["runtimes"] == []


def test_imports_override_in_order(node):
    node.file(MAIN, 'imports = ["/etc/containerd/conf.d/*.toml", "/opt/last.toml"]\n' + V2.format("1"))
    node.file("/etc/containerd/conf.d/20.toml", V2.format("20"))
    node.file("/etc/containerd/conf.d/10.toml", V2.format("10"))
    assert only(node)["value"] == "20"
    node.file("/opt/last.toml", V2.format("30"))
    found = only(node)
    assert (found["value"], found["file"]) == ("30", "/opt/last.toml")


@pytest.mark.parametrize(("version", "told"), [("2", True), ("3", False)])
def test_a_relative_pattern_means_two_things(node, version, told):
    """Seen with containerd 1.6.20: "conf.d/*.toml" is looked for in the working directory, "conf.d/x.toml" is not."""
    node.file(MAIN, f'version = {version}\nimports = ["conf.d/*.toml", "plain.toml"]\n')
    node.file("/etc/containerd/conf.d/10.toml", V2.format("10"))
    node.file("/etc/containerd/plain.toml", "version = 2\n")
    assert only(node)["value"] == "10"
    assert [gap["what"] for gap in collect(node)["missing"]] == [f"{MAIN}: imports conf.d/*.toml"] * told


def test_imports_in_circles_end(node):
    node.file(MAIN, 'imports = ["/etc/containerd/config.toml", "other.toml"]\n' + V2.format("1"))
    node.file("/etc/containerd/other.toml", f'imports = ["{MAIN}", "last.toml"]\n')
    node.file("/etc/containerd/last.toml", V2.format("2"))
    assert only(node)["value"] == "2"


def test_endless_imports_are_cut_and_told(node):
    node.file(MAIN, 'imports = ["/etc/containerd/many/*.toml"]\n' + V2.format("1"))
    for number in range(70):
        node.file(f"/etc/containerd/many/{number:02}.toml", V2.format(number))
    found = collect(node)
    assert found["runtimes"][0]["value"] == "62"
    assert found["missing"] == [{"what": "/etc/containerd/many/63.toml", "why": "more than 64 files are imported"}]


def test_a_drop_in_that_loses_the_port_under_containerd_1(node):
    """Seen with containerd 1.6.20: config dump says "0" after a drop-in that only names a registry."""
    node.file(MAIN, 'imports = ["/etc/containerd/conf.d/*.toml"]\n' + V2.format("10010"))
    node.file("/etc/containerd/conf.d/mirror.toml", "version = 2\n" + REGISTRY)
    found = collect(node)
    assert found["runtimes"][0]["value"] == "10010"
    (gap,) = found["missing"]
    assert gap["what"] == "/etc/containerd/conf.d/mirror.toml"
    assert "without stream_server_port: containerd 1 then forgets the 10010 of an earlier file" in gap["why"]


def test_a_drop_in_that_loses_the_address_under_containerd_1(node):
    node.file(MAIN, 'imports = ["/opt/x.toml"]\n' + V2.format("1") + 'stream_server_address = "10.0.0.4"\n')
    node.file("/opt/x.toml", V2.format("10010"))
    found = collect(node)
    assert found["runtimes"][0]["address"] == "10.0.0.4"
    assert "without stream_server_address: containerd 1 then forgets the 10.0.0.4" in found["missing"][0]["why"]


def test_containerd_2_merges_drop_ins(node):
    node.file(MAIN, 'imports = ["/etc/containerd/conf.d/*.toml"]\n' + V2.format("10010").replace("= 2", "= 3"))
    node.file("/etc/containerd/conf.d/mirror.toml", "version = 3\n" + REGISTRY)
    assert only(node)["value"] == "10010"
    assert collect(node)["complete"]


@pytest.mark.parametrize(
    "path",
    [
        "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
        "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
        "/var/snap/microk8s/current/args/containerd.toml",
    ],
)
def test_generated_configurations(node, path):
    node.file(path, V2.format("10010"))
    found = only(node)
    assert (found["value"], found["file"]) == ("10010", path)


def test_crio(node):
    node.process(600, "crio", ["/usr/bin/crio"])
    assert only(node) == {
        "runtime": "cri-o",
        "key": "stream_port",
        "value": None,
        "default": "0",
        "address": "127.0.0.1",
        "file": None,
        "fixed": False,
        "edit": {"file": "/etc/crio/crio.conf.d/99-stream-port.conf", "section": "[crio.api]", "new": True},
    }
    node.file(
        "/etc/crio/crio.conf", '[crio.api]\n# stream_port = "1"\nstream_port = "2"\n[crio.runtime]\nstream_port = "3"\n'
    )
    assert only(node)["value"] == "2"
    node.file("/etc/crio/crio.conf.d/00-default.conf", '[crio.api]\nstream_address = ""\nstream_port = "10010"\n')
    node.file("/etc/crio/crio.conf.d/10-crun.conf", '[crio.runtime]\ndefault_runtime = "crun"\n')
    found = only(node)
    assert (found["value"], found["address"], found["fixed"]) == ("10010", "", True)
    assert found["file"] == "/etc/crio/crio.conf.d/00-default.conf"


def test_crio_flags_win(node):
    node.process(
        600, "crio", ["/usr/bin/crio", "--config", "/o.conf", "--stream-port=10011", "--stream-address", "::1"]
    )
    node.file("/o.conf", '[crio.api]\nstream_port = "2"\n')
    found = only(node)
    assert (found["value"], found["address"], found["file"]) == ("10011", "::1", None)


def test_crio_that_is_configured_but_does_not_run(node):
    node.file("/etc/crio/crio.conf.d/00-default.conf", '[crio.api]\nstream_port = "10010"\n')
    assert only(node)["value"] == "10010"


@pytest.mark.parametrize(
    ("argv", "value", "address", "fixed"),
    [
        ([], None, "", False),
        (["--streaming-bind-addr", "127.0.0.1:10010"], "10010", "127.0.0.1", True),
        (["--streaming-bind-addr=127.0.0.1:0"], "0", "127.0.0.1", False),
        (["--streaming-bind-addr=[::1]:10010"], "10010", "::1", True),
        (["--streaming-bind-addr=:10010"], "10010", "", True),
        (["--streaming-bind-addr="], None, "", False),
    ],
)
def test_cri_dockerd(node, argv, value, address, fixed):
    node.process(600, "cri-dockerd", ["cri-dockerd", "--container-runtime-endpoint", "fd://", *argv])
    found = only(node)
    assert (found["value"], found["address"], found["fixed"], found["file"]) == (value, address, fixed, None)
    assert found["edit"] == {"file": None, "section": None, "new": False}


def test_files_that_cannot_be_read_are_told(node):
    place = node.file(MAIN, "")
    place.unlink()
    os.mkfifo(str(place))
    found = collect(node)
    assert found["missing"] == [{"what": MAIN, "why": "not a regular file"}]
    assert found["runtimes"] == []  # not: "the port is not set"


def test_a_drop_in_that_cannot_be_read_is_told(node):
    node.file(MAIN, 'imports = ["/etc/containerd/conf.d/*.toml", "/etc/containerd/*/x.toml"]\n' + V2.format("10010"))
    node.file("/etc/containerd/conf.d/10.toml/folder", "")
    found = collect(node)
    assert found["runtimes"][0]["value"] == "10010"
    assert [gap["what"] for gap in found["missing"]] == ["/etc/containerd/*/x.toml", "/etc/containerd/conf.d/10.toml"]


def test_a_relative_path_is_told(node):
    node.process(600, "containerd", ["containerd", "-c", "x.toml"])
    found = collect(node)
    assert found["runtimes"] == []
    assert found["missing"] == [{"what": "containerd's configuration x.toml", "why": "its path is relative"}]


def test_a_relative_path_hides_no_other(node):
    node.process(600, "containerd", ["containerd", "-c", "../x.toml"])
    node.process(601, "containerd", ["containerd"])
    assert only(node)["runtime"] == "containerd"


def test_hidden_processes_are_told(node, monkeypatch):
    real = program_arguments.procfs.text

    def text(path, *limit):
        if "/900/" in path:
            raise PermissionError(13, "Permission denied", path)
        return real(path, *limit)

    monkeypatch.setattr(program_arguments.procfs, "text", text)
    node.process(900, "containerd", ["containerd"])
    assert collect(node)["missing"][0]["why"] == "1 processes are hidden (hidepid): run with become (-b)"


def test_processes_that_are_not_shown_at_all_are_told(node):
    node.hidepid()
    found = collect(node)
    assert (found["runtimes"], [gap["what"] for gap in found["missing"]]) == ([], ["CRI runtime processes"])
    assert "run with become (-b)" in found["missing"][0]["why"]


def test_a_private_pid_namespace_is_told_unless_a_runtime_was_seen(node):
    os.symlink("pid:[4026532200]", str(node.proc / "self" / "ns" / "pid"))
    assert "own pid namespace" in collect(node)["missing"][0]["why"]
    node.process(600, "containerd", ["containerd"])
    assert collect(node)["missing"] == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("31000", {("containerd", 31000)}),
        (" 31000 ", {("containerd", 31000)}),
        ("0", set()),
        ("", set()),
        ("stream", set()),
        ("\u0663\u0661", set()),  # digits, and no port for containerd
        ("9" * 5000, set()),
    ],
)
def test_pinned(node, value, expected):
    node.file(MAIN, V2.format(value))
    assert cri_config.pinned(str(node.proc), str(node.root)) == (expected, [])


def test_pinned_by_others(node):
    node.file("/etc/crio/crio.conf", '[crio.api]\nstream_port = "31001"\n')
    node.process(700, "cri-dockerd", ["cri-dockerd", "--streaming-bind-addr=:31002"])
    assert cri_config.pinned(str(node.proc), str(node.root))[0] == {("cri-o", 31001), ("cri-dockerd", 31002)}


def test_settings_that_break_cost_nobody_the_sockets(node):
    gone = str(node.proc / "gone")
    ports, gaps = cri_config.pinned(gone, str(node.root))
    assert ports == set()
    assert [gap["what"] for gap in gaps] == ["CRI settings"]
    assert "FileNotFoundError" in gaps[0]["why"]


def test_an_endless_value_is_cut(node):
    node.file(MAIN, V2.format("9" * 100000))
    assert len(only(node)["value"]) == 100
