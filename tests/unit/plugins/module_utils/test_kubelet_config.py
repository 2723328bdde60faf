# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubelet_config: flags, files and drop-ins as kubelet weighs them, on a made-up root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import kubelet_config
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import Files
from ansible_collections.kubenode.doctor.plugins.module_utils.configuration import Edit

FIXTURES = Path(__file__).parents[3] / "fixtures" / "kubelet"
CONFIG = "/var/lib/kubelet/config.yaml"
DROP_INS = "/etc/kubernetes/kubelet.conf.d"
CONTAINERD = "--container-runtime-endpoint=unix:///run/containerd/containerd.sock"
WITH_FILE = (f"--config={CONFIG}", CONTAINERD)


def collect(node, *flags):
    gaps = []
    running = [("kubelet", ["/usr/bin/kubelet", *flags])]
    return list(kubelet_config.collect(running, Files(str(node.root), gaps))), gaps


def ports(node, *flags):
    """{kind: (address, port)} of what this kubelet opens; nothing is missing."""
    found, gaps = collect(node, *flags)
    assert gaps == []
    return {one.kind: (one.address, one.port) for one in found}


def one(node, kind, *flags):
    return next(setting for setting in collect(node, *flags)[0] if setting.kind == kind)


DEFAULTS = {"kubelet-api": ("0.0.0.0", 10250), "kubelet-healthz": ("127.0.0.1", 10248)}
READ_ONLY = {"kubelet-readonly": ("0.0.0.0", 10255)}


def test_flags_alone_open_the_read_only_port(node):
    """As the kubelet 1.36 of the capture, which was given no port at all."""
    assert ports(node, CONTAINERD) == {**DEFAULTS, **READ_ONLY}
    found = one(node, "kubelet-readonly", CONTAINERD)
    assert (found.key, found.value, found.default, found.file) == ("--read-only-port", None, "10255", None)


def test_a_file_without_ports(node):
    node.file(CONFIG, "kind: KubeletConfiguration\nclusterDNS:\n- 10.96.0.10\n")
    assert ports(node, *WITH_FILE) == DEFAULTS
    found = one(node, "kubelet-api", *WITH_FILE)
    assert (found.key, found.value, found.default, found.file) == ("port", None, "10250", None)
    assert found.edit == Edit(CONFIG)


@pytest.mark.parametrize("name", ["config-1.36.yaml", "config-1.36.json"])
def test_a_whole_configuration(node, name):
    node.file(CONFIG, (FIXTURES / name).read_text())
    assert ports(node, *WITH_FILE) == {**DEFAULTS, **READ_ONLY}
    found = one(node, "kubelet-readonly", *WITH_FILE)
    assert (found.key, found.value, found.file) == ("readOnlyPort", "10255", CONFIG)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("port: 11250\naddress: 10.0.0.4\n", {"kubelet-api": ("10.0.0.4", 11250)}),
        ("port: 0\n", {}),  # 0 is no port here, but the default
        ("healthzPort: 0\n", {"kubelet-healthz": None}),
        ("healthzBindAddress: '::'\nhealthzPort: 1\n", {"kubelet-healthz": ("::", 1)}),
        ("readOnlyPort: 10255\n", READ_ONLY),
        ("readOnlyPort: 10255\naddress: ::1\n", {"kubelet-api": ("::1", 10250), "kubelet-readonly": ("::1", 10255)}),
        ("enableServer: false\nreadOnlyPort: 10255\n", {"kubelet-api": None, **READ_ONLY}),
        ("authentication:\n  port: 1\nport: null\n", {}),
    ],
)
def test_files(node, text, expected):
    node.file(CONFIG, text)
    assert ports(node, *WITH_FILE) == {kind: at for kind, at in {**DEFAULTS, **expected}.items() if at}


def test_flags_win_over_files(node):
    node.file(CONFIG, "port: 1\nreadOnlyPort: 2\nhealthzPort: 3\naddress: 10.0.0.4\n")
    flags = ("--port", "11", "--read-only-port=0", "--healthz_bind_address=::1", "--address=10.0.0.5", "--port=12")
    assert ports(node, *WITH_FILE, *flags) == {"kubelet-api": ("10.0.0.5", 12), "kubelet-healthz": ("::1", 3)}
    found = one(node, "kubelet-api", *WITH_FILE, *flags)
    assert (found.key, found.value, found.file, found.edit) == ("--port", "12", None, Edit())


@pytest.mark.parametrize(("flag", "there"), [("--enable-server", True), ("--enable-server=false", False)])
def test_a_switch_takes_no_value_from_the_next_argument(node, flag, there):
    node.file(CONFIG, "enableServer: false\n")
    assert ("kubelet-api" in ports(node, *WITH_FILE, flag, "false")) is there


def test_drop_ins_win_in_their_order(node):
    node.file(CONFIG, "port: 1\nhealthzPort: 2\nreadOnlyPort: 3\n")
    node.file(f"{DROP_INS}/10.conf", "port: 10\nhealthzPort: 20\n")
    node.file(f"{DROP_INS}/20/x.conf", "port: 11\n")  # folders too
    node.file(f"{DROP_INS}/30.conf", '{"healthzPort": null, "readOnlyPort": 0}')
    node.file(f"{DROP_INS}/40.yaml", "port: 12\n")  # not a *.conf
    flags = (*WITH_FILE, f"--config-dir={DROP_INS}")
    assert ports(node, *flags) == {"kubelet-api": ("0.0.0.0", 11), "kubelet-healthz": ("127.0.0.1", 10248)}
    found = one(node, "kubelet-api", *flags)
    assert (found.file, found.edit) == (f"{DROP_INS}/20/x.conf", Edit(f"{DROP_INS}/20/x.conf"))


def test_drop_ins_alone_leave_the_flags_defaults(node):
    node.file(f"{DROP_INS}/10.conf", "port: 10\n")
    assert ports(node, CONTAINERD, f"--config-dir={DROP_INS}")["kubelet-readonly"] == ("0.0.0.0", 10255)


def test_a_linked_folder_of_drop_ins_is_not_followed(node):
    node.file("/elsewhere/10.conf", "port: 10\n")
    node.file(f"{DROP_INS}/00.conf", "port: 9\n")
    os.symlink(str(node.root / "elsewhere"), str(node.root / DROP_INS[1:] / "99"))
    assert ports(node, CONTAINERD, f"--config-dir={DROP_INS}")["kubelet-api"] == ("0.0.0.0", 9)


def test_endless_drop_ins_are_cut_and_told(node):
    for number in range(70):
        node.file(f"{DROP_INS}/{number:02}.conf", f"port: {number + 1}\n")
    found, gaps = collect(node, CONTAINERD, f"--config-dir={DROP_INS}")
    assert found[0].port == 64
    assert gaps == [{"what": DROP_INS, "why": "more than 64 files or 64 folders: not all were read"}]


def test_folders_without_an_end_are_told(node):
    node.file(DROP_INS + "/a" * 100 + "/10.conf", "port: 1\n")
    assert len(collect(node, CONTAINERD, f"--config-dir={DROP_INS}")[1]) == 1


@pytest.mark.parametrize(
    ("flags", "there"),
    [
        ((), True),  # Docker was the default up to 1.23
        (("--container-runtime=docker",), True),
        (("--container-runtime-endpoint=unix:///var/run/dockershim.sock",), True),
        (("--container-runtime=remote", CONTAINERD), False),
        ((CONTAINERD,), False),
    ],
)
def test_dockershim_has_no_setting(node, flags, there):
    found = [setting for setting in collect(node, *flags)[0] if setting.kind == "cri-streaming"]
    assert len(found) == there
    for setting in found:
        assert (setting.key, setting.value, setting.address, setting.port) == (None, None, "localhost", None)
        assert "localhost:0" in setting.fixed_in_code


def test_an_endpoint_in_the_file_rules_dockershim_out(node):
    node.file(CONFIG, "containerRuntimeEndpoint: unix:///run/crio/crio.sock\n")
    assert ports(node, f"--config={CONFIG}") == DEFAULTS


@pytest.mark.parametrize(
    ("text", "what", "why"),
    [
        (None, CONFIG, "it is not there any more, or empty: kubelet was started with it"),
        ("", CONFIG, "it is not there any more, or empty: kubelet was started with it"),
        ("? x\n", CONFIG, "line 1: it is no plain key with a value"),
        ("{port: 1}\n", CONFIG, "it begins with a brace and is no JSON"),
    ],
)
def test_a_file_that_is_not_understood_tells_nothing(node, text, what, why):
    if text is not None:
        node.file(CONFIG, text)
    assert collect(node, *WITH_FILE) == ([], [{"what": what, "why": why}])


def test_what_is_no_file_is_told(node):
    os.mkfifo(str(node.root / "pipe"))
    assert collect(node, "--config=/pipe", CONTAINERD) == ([], [{"what": "/pipe", "why": "not a regular file"}])


@pytest.mark.parametrize("flags", [("--config=kubelet.yaml",), ("--config-dir", "conf.d")])
def test_a_relative_path_is_told(node, flags):
    found, gaps = collect(node, CONTAINERD, *flags)
    assert found == []
    assert gaps[0]["why"] == "its path is relative"


@pytest.mark.parametrize("value", ["10_250", "0x280A", "010250", "65536", "-1", "ten", "\u0661"])
def test_a_value_that_is_no_port_is_told(node, value):
    node.file(CONFIG, f"port: {value}\nhealthzPort: &h 1\n")
    found, gaps = collect(node, *WITH_FILE)
    assert [setting.kind for setting in found] == ["kubelet-healthz"]
    assert gaps == [
        {"what": CONFIG, "why": "healthzPort is no plain value on its own line"},
        {"what": f"{CONFIG}: port", "why": "it is no port number"},
    ]


def test_a_configuration_from_the_api_is_told(node):
    gaps = collect(node, CONTAINERD, "--dynamic-config-dir=/var/lib/kubelet/dynamic")[1]
    assert [gap["what"] for gap in gaps] == ["kubelet: --dynamic-config-dir"]


def test_other_programs_are_not_asked(node):
    assert list(kubelet_config.collect([("containerd", ["kubelet"])], Files(str(node.root), []))) == []


def test_a_drop_in_that_cannot_be_read_hides_no_other(node):
    node.file(f"{DROP_INS}/10.conf", "")
    (node.root / DROP_INS[1:] / "15.conf").symlink_to("/nowhere")
    node.file(f"{DROP_INS}/20.conf", "port: 10\n")
    assert ports(node, CONTAINERD, f"--config-dir={DROP_INS}")["kubelet-api"] == ("0.0.0.0", 10)
