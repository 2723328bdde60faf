# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sysctl_files against the programs that set the settings at boot: systemd-sysctl and procps' `sysctl --system`, on made-up folders."""

from __future__ import annotations

import random

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import sysctl_files
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import needs_root
from ansible_collections.kubenode.doctor.tests.support.own_namespaces import OwnNamespaces

KEY = "net.ipv4.ip_local_reserved_ports"
SYSTEMD = "/lib/systemd/systemd-sysctl"
SCENES = 40
UNTOUCHED = "65000"  # what the kernel has before, and nobody sets
# Empty folders over this machine's: what they set of other keys is none of a test's business, since not all is of a namespace.
PREPARE = (
    "mount -t tmpfs none /mnt",
    "cp -a /etc/. /mnt/",
    "mount --move /mnt /etc",
    "rm -rf /etc/sysctl.d /etc/sysctl.conf",
    "mount -t tmpfs none /run",
    "mount -t tmpfs none /usr/lib/sysctl.d",
    "mkdir /etc/sysctl.d /run/sysctl.d",
)
FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/lib/sysctl.d")
NAMES = ("10-a", "60-nodeports", "99-sysctl", "Z", "k8s", "zz-nodeports")
LINES = (
    "net.ipv4.ip_local_reserved_ports = {}",
    "net/ipv4/ip_local_reserved_ports={}",
    "  -net.ipv4.ip_local_reserved_ports\t=  {}  ",
    "net.ipv4.ip_local_reserved_p* = {}",
    "net.ipv4/ip_local_reserved_ports = {}",
    "# net.ipv4.ip_local_reserved_ports = {}",
    "net.ipv4.ip_local_reserved_ports {}",
    "net.*.ip_local_reserved_port[st] = {}",
    "net.ipv4.ip_local_reserved* = {}",
)


def files(chance):
    """Some of the folders' files, and often /etc/sysctl.conf, each with some lines and each with numbers of its own."""
    number = 1000
    for path in [*(f"{folder}/{name}.conf" for folder in FOLDERS for name in NAMES), "/etc/sysctl.conf"]:
        if chance.random() < 0.25:
            lines = chance.choices(LINES, k=chance.randint(0, 2))
            yield path, "".join(f"{line.format(number + place)}\n" for place, line in enumerate(lines))
        number += 10


def answers(namespaces):
    """What each of the programs sets."""
    found = []
    for program in ((SYSTEMD, "--prefix=/net/ipv4"), ("sysctl", "--system")):
        namespaces.run("sysctl", "-qw", f"{KEY}={UNTOUCHED}")
        namespaces.run(*program, check=False)  # a line that is none is an error to some versions
        found.append(namespaces.run("sysctl", "-n", KEY).stdout.strip())
    return found


@pytest.fixture
def namespaces():
    made = OwnNamespaces(PREPARE)
    yield made
    made.end()


@needs_root
def test_they_set_what_is_said_of_them(namespaces):
    chance = random.Random(7)  # noqa: S311 # the same scenes each time
    seen = set()
    for _number in range(SCENES):
        scene = dict(files(chance))
        for path, text in scene.items():
            namespaces.path(path).write_text(text)
        told = sysctl_files.read(KEY, str(namespaces.path("/")), Deadline(30))
        expected = [by.value if by else UNTOUCHED for by in (told.at_boot, told.by_sysctl_system)]
        assert answers(namespaces) == expected, scene
        seen.add((expected[0] == UNTOUCHED, expected[0] == expected[1], bool(told.at_boot and told.at_boot.by_pattern)))
        for path in scene:
            namespaces.path(path).unlink()
    assert len(seen) > 3, "the scenes are too much alike"
