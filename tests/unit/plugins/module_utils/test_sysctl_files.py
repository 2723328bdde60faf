# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who sets a kernel setting at boot. The programs that do so are asked in tests/integration_real/test_sysctl_files_oracle.py."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import conf_folders, sysctl_files
from ansible_collections.kubenode.doctor.plugins.module_utils.conf_folders import ConfError
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

KEY = "net.ipv4.ip_local_reserved_ports"
LINE = f"{KEY} = 30000-32767\n"  # what KubeKey appends to /etc/sysctl.conf


def read(node, key=KEY):
    return sysctl_files.read(key, str(node.root), Deadline(3600))


def boots(node, key=KEY):
    """What systemd-sysctl sets, and what sysctl --system does."""
    found = read(node, key)
    last = (found.at_boot, found.by_sysctl_system)
    assert all(by is None or by.value is not None for by in last)
    return [by and by.value for by in last]


@pytest.mark.parametrize(
    ("files", "values"),
    [
        ({}, [None, None]),
        ({"/etc/sysctl.d/10-a.conf": LINE}, ["30000-32767"] * 2),
        ({"/etc/sysctl.d/README.sysctl": LINE, "/etc/sysctl.d/sub/x.conf": LINE}, [None, None]),
        # The name decides, whatever folder a file is in; of one name, the first folder's.
        ({"/etc/sysctl.d/10-a.conf": LINE, "/usr/lib/sysctl.d/50-b.conf": f"{KEY}=1\n"}, ["1"] * 2),
        ({"/etc/sysctl.d/50-a.conf": LINE, "/usr/lib/sysctl.d/10-b.conf": f"{KEY}=1\n"}, ["30000-32767"] * 2),
        ({"/etc/sysctl.d/50-a.conf": f"{KEY}=7\n", "/usr/lib/sysctl.d/50-a.conf": LINE}, ["7"] * 2),
        ({"/etc/sysctl.d/50-a.conf": "", "/usr/lib/sysctl.d/50-a.conf": LINE}, [None, None]),
        ({"/run/sysctl.d/50-a.conf": "# off\n", "/usr/local/lib/sysctl.d/50-a.conf": LINE}, [None, None]),
        ({"/etc/sysctl.d/Z.conf": LINE, "/etc/sysctl.d/a.conf": f"{KEY}=1\n"}, ["1"] * 2),  # byte by byte
        ({"/etc/sysctl.d/a.conf": f"{LINE}{KEY}=1\n{KEY} =\n"}, ["", ""]),
        # How a line may look.
        ({"/etc/sysctl.d/a.conf": f"  -{KEY}\t=  8080,9148  \n"}, ["8080,9148"] * 2),
        ({"/etc/sysctl.d/a.conf": "net/ipv4/ip_local_reserved_ports=1"}, ["1"] * 2),
        ({"/etc/sysctl.d/a.conf": f"#{LINE};{LINE}\n=1\n{KEY}\n{KEY}x=1\n"}, [None, None]),
        ({"/etc/sysctl.d/a.conf": f"{KEY}=1\r\n"}, ["1"] * 2),
        ({"/etc/sysctl.d/a.conf": f"{KEY}=a=b # c\n"}, ["a=b # c"] * 2),
        # Patterns set nothing that is set by its name, and nothing that is left out.
        ({"/etc/sysctl.d/a.conf": "net.ipv4.ip_local_reserved_p*=1\n"}, ["1"] * 2),
        ({"/etc/sysctl.d/a.conf": f"{LINE}net.ipv4.ip_local_reserved_p*=1\n"}, ["30000-32767"] * 2),
        ({"/etc/sysctl.d/a.conf": "net.*=1\nnet/*/ip_local_reserved_port[st]=2\n"}, ["2"] * 2),
        ({"/etc/sysctl.d/a.conf": f"net.ipv4.ip_local_reserved_p*=1\n-{KEY}\n"}, [None, None]),
        # /etc/sysctl.conf is for sysctl --system alone.
        ({"/etc/sysctl.conf": LINE}, [None, "30000-32767"]),
        ({"/etc/sysctl.d/zz.conf": f"{KEY}=1\n", "/etc/sysctl.conf": LINE}, ["1", "30000-32767"]),
    ],
)
def test_who_has_the_last_word(node, files, values):
    for path, text in files.items():
        node.file(path, text)
    assert boots(node) == values


def test_a_link_to_sysctl_conf_is_one_of_the_folders_files(node):
    """Debian's /etc/sysctl.d/99-sysctl.conf, where kubespray writes."""
    node.file("/etc/sysctl.d/60-a.conf", f"{KEY}=1\n")
    node.file("/etc/sysctl.conf", LINE)
    (node.root / "etc/sysctl.d/99-sysctl.conf").symlink_to("../sysctl.conf")
    assert boots(node) == ["30000-32767"] * 2
    assert [found.file for found in read(node).assignments] == [
        "/etc/sysctl.d/60-a.conf",
        "/etc/sysctl.d/99-sysctl.conf",
    ]


@pytest.mark.parametrize(("target", "value"), [("/dev/null", None), ("gone", None), ("/etc/x", "2"), ("a.conf", None)])
def test_links_lead_where_they_do_on_the_node(node, target, value):
    """One that leads nowhere hides a file of its name all the same; an absolute one begins at the node's root."""
    node.file("/usr/lib/sysctl.d/a.conf", f"{KEY}=1\n")
    node.file("/etc/x", f"{KEY}=2\n")
    (node.root / "etc/sysctl.d").mkdir()
    (node.root / "etc/sysctl.d/a.conf").symlink_to(target)
    assert boots(node)[0] == value


def fifo(place):
    os.mkfifo(place)


def huge(place):
    with open(place, "wb") as file:
        file.truncate((1 << 20) + 1)


def folder(place):
    place.mkdir()


@pytest.mark.parametrize("make", [fifo, huge, folder])
@pytest.mark.parametrize("path", ["etc/sysctl.d/a.conf", "etc/sysctl.conf"])
def test_what_cannot_be_read_is_no_empty_file(node, make, path):
    (node.root / "etc/sysctl.d").mkdir(parents=True)
    make(node.root / path)
    with pytest.raises(ConfError, match=f"/{path} cannot be read"):
        read(node)


def test_a_name_that_a_terminal_would_obey_is_shown_and_not_obeyed(node):
    (node.root / "etc/sysctl.d").mkdir(parents=True)
    fifo(node.root / "etc/sysctl.d/\x1b[2J.conf")
    with pytest.raises(ConfError, match=r"'/etc/sysctl\.d/\\x1b\[2J\.conf' cannot be read"):
        read(node)


def test_more_files_than_anybody_has(node, monkeypatch):
    monkeypatch.setattr(conf_folders, "_MOST_FILES", 3)
    for number in range(4):
        assert boots(node) == [None, None]
        node.file(f"/etc/sysctl.d/{number}.conf", "")
    with pytest.raises(ConfError, match=r"4 files are in /etc/sysctl\.d, .*: more than 3 are not read"):
        read(node)


def test_no_time_is_left(node):
    node.file("/etc/sysctl.d/a.conf", LINE)
    with pytest.raises(ConfError, match="the time ended"):
        sysctl_files.read(KEY, str(node.root), Deadline(0))


def test_a_pattern_that_would_take_for_ever(node):
    node.file("/etc/sysctl.d/a.conf", f"net.ipv4.{'*a' * 40}=1\n")
    with pytest.raises(ConfError, match=r"/etc/sysctl\.d/a\.conf has a pattern that is not understood"):
        read(node)
    node.file("/etc/sysctl.d/a.conf", f"net.{'*a' * 40}=1\n")  # of another depth
    assert boots(node) == [None, None]


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.core.somaxconn", "net/core/somaxconn"),
        ("net/core/somaxconn", "net/core/somaxconn"),
        ("/net/core/somaxconn", "net/core/somaxconn"),
        ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
        ("kernel", "kernel"),
    ],
)
def test_the_first_separator_decides(key, path):
    assert sysctl_files.proc_path(key) == path


OURS = f"# kubenode.doctor: why.\n# kubenode.doctor: And how.\n{KEY} = 1,2\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", OURS),
        (OURS.replace("1,2", "1").replace("why", "another why"), OURS),
        (LINE, OURS),  # what a person wrote by the finding's command
        ("net.core.somaxconn = 7", f"net.core.somaxconn = 7\n{OURS}"),
        (f"# mine\r\n\n-net/ipv4/ip_local_reserved_ports=9\nx.y = 1\r\n{LINE}\n", f"# mine\r\n\nx.y = 1\r\n\n{OURS}"),
        ("x.y = 1\n# tail\n\n \n\n", f"x.y = 1\n# tail\n\n \n\n{OURS}"),
        (f"\n{OURS}\n\n", f"\n\n\n{OURS}"),
        ("# mine\r\nx.y = 1\r\n", "# mine\r\nx.y = 1\r\n" + OURS.replace("\n", "\r\n")),
        (f"x.y = 1\r\n{KEY}=1", "x.y = 1\r\n" + OURS.replace("\n", "\r\n")),
        ("x.y = 1\r\nx.z = 2", "x.y = 1\r\nx.z = 2\r\n" + OURS.replace("\n", "\r\n")),
        ("x.y = a\x0bb\x85c\u2028d\n", f"x.y = a\x0bb\x85c\u2028d\n{OURS}"),
        # What a person wrote of us.
        ("# kubenode.doctor: not here\nx.y = 1\n", f"# kubenode.doctor: not here\nx.y = 1\n{OURS}"),
        (f"# kubenode.doctor writes below\n{OURS}", f"# kubenode.doctor writes below\n{OURS}"),
        (f"-{KEY}\n", OURS),  # would keep patterns off it, which its name does, too
        (f"#{LINE}", f"#{LINE}{OURS}"),
    ],
)
def test_a_setting_is_put_at_the_end_of_a_file_and_nowhere_else(before, after):
    comments = ("why.", "And how.")
    assert sysctl_files.with_settings(before, {KEY: "1,2"}, comments) == after
    assert sysctl_files.with_settings(after, {KEY: "1,2"}, comments) == after


def test_files_are_read_in_one_order_whatever_the_locale():
    names = ["/x/é.conf", "/y/z.conf", "/a/Z.conf", "/b/10.conf", "/c/9.conf", "/d/\udcff.conf"]
    assert [os.path.basename(path) for path in sorted(names, key=conf_folders.sort_key)] == [
        "10.conf",
        "9.conf",
        "Z.conf",
        "z.conf",
        "é.conf",
        "\udcff.conf",
    ]
