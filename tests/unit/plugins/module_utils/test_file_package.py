# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""file_package: the files of dpkg as Debian 12 has them, and all that others make of them."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import file_package
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.file_package import UnknownPackageError

# Of a Debian 12, cut to what is looked at here
STATUS = """\
Package: bash
Essential: yes
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b8
Description: GNU Bourne Again SHell
 Bash is an sh-compatible command language interpreter.

Package: containerd
Status: install ok installed
Architecture: amd64
Version: 1.6.20~ds1-1+deb12u3
Conffiles:
 /etc/containerd/config.toml f41bab61fb9f48c1c9ae4bd6b3a5e0d6

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.36-9

Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u10
"""
LISTS = {
    "bash": ["/.", "/bin", "/bin/bash", "/etc/bash.bashrc"],
    "containerd": ["/.", "/usr", "/usr/bin", "/usr/bin/containerd", "/usr/bin/containerd-shim"],
    "libc6:amd64": ["/.", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"],
    "libc6:i386": ["/.", "/lib/i386-linux-gnu/ld-linux.so.2"],
    "gone": ["/.", "/usr/bin/gone"],
    "diverted": ["/.", "/usr/bin/pg_config"],
}
DIVERSIONS = "/usr/bin/pg_config\n/usr/bin/pg_config.libpq-dev\npostgresql-common\n"


@pytest.fixture
def debian(node):
    node.file("/var/lib/dpkg/status", STATUS)
    node.file("/var/lib/dpkg/diversions", DIVERSIONS)
    for name, paths in LISTS.items():
        listed = node.file(f"/var/lib/dpkg/info/{name}.list", "\n".join(paths) + "\n")
        os.utime(str(listed), (2_000_000_000, 2_000_000_000))
        node.file(f"/var/lib/dpkg/info/{name}.md5sums", "")
    for folder in ("bin", "lib"):
        (node.root / "usr" / folder).mkdir(parents=True)
        os.symlink(f"usr/{folder}", str(node.root / folder))
    return node


def of(node, path, written=1_700_000_000, **options):
    """The package of a file that is there, and was last written to at that time."""
    place = node.file(path, "ELF")
    os.utime(str(place), (written, written))
    return file_package.of(path, str(node.root), **options)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/usr/bin/containerd", "containerd 1.6.20~ds1-1+deb12u3"),
        ("/usr/bin/containerd-shim", "containerd 1.6.20~ds1-1+deb12u3"),
        ("/usr/bin/bash", "bash 5.2.15-2+b8"),  # listed as /bin/bash
        ("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "libc6 2.36-9+deb12u10"),
        ("/usr/lib/i386-linux-gnu/ld-linux.so.2", "libc6 2.36-9"),
        ("/usr/bin/containerd-shim-runc-v2", None),
        ("/usr/local/bin/containerd", None),
        ("/opt/x/usr/bin/containerd", None),
        ("/etc/bash", None),
        ("/usr/bin/bash.bashrc", None),
    ],
)
def test_of(debian, path, expected):
    assert of(debian, path) == expected


def test_where_bin_is_a_folder_of_its_own_files_there_are_others(debian):
    (debian.root / "bin").unlink()
    assert of(debian, "/usr/bin/bash") is None
    assert of(debian, "/bin/bash") == "bash 5.2.15-2+b8"


def why(node, path, **options):
    with pytest.raises(UnknownPackageError) as caught:
        of(node, path, **options)
    return str(caught.value)


def test_a_program_that_was_put_over_the_packages(debian):
    told = why(debian, "/usr/bin/containerd", written=2_000_000_001)
    assert told.startswith("containerd 1.6.20~ds1-1+deb12u3 was installed with a file of this path")


def test_other_package_managers(node):
    assert "rpm -qf '/usr/bin/my server'" in why(node, "/usr/bin/my server")


@pytest.mark.parametrize("path", ["/usr/bin/pg_config", "/usr/bin/pg_config.libpq-dev"])
def test_diverted(debian, path):
    assert "dpkg -S" in why(debian, path)


def test_no_diversions(debian):
    (debian.root / "var/lib/dpkg/diversions").unlink()
    assert of(debian, "/usr/bin/containerd") == "containerd 1.6.20~ds1-1+deb12u3"


def test_a_package_without_a_status(debian):
    assert "dpkg -l gone" in why(debian, "/usr/bin/gone")


@pytest.mark.parametrize("version", ["", "1.6 \x1b[31m", "1" * 101])
def test_an_odd_version(debian, version):
    debian.file("/var/lib/dpkg/status", STATUS.replace("1.6.20~ds1-1+deb12u3", version))
    assert "dpkg -l containerd" in why(debian, "/usr/bin/containerd")


def test_a_list_of_one_line(debian):
    debian.file("/var/lib/dpkg/info/containerd.list", "/usr/bin/containerd\n")
    assert of(debian, "/usr/bin/containerd") == "containerd 1.6.20~ds1-1+deb12u3"


def test_no_time(debian):
    assert "no time" in why(debian, "/usr/bin/containerd", deadline=Deadline(0))


def test_an_odd_name(debian):
    assert "unprintable" in why(debian, "/usr/bin/x\n/usr/bin/containerd")


@pytest.mark.parametrize("name", ["status", "info/containerd.list"])
def test_a_file_that_is_none(debian, name):
    place = debian.root / "var/lib/dpkg" / name
    place.unlink()
    os.mkfifo(str(place))
    assert "not a regular file" in why(debian, "/usr/bin/containerd")


def test_more_lists_than_are_looked_at(debian, monkeypatch):
    monkeypatch.setattr(file_package, "_MOST_LISTS", 1)
    assert of(debian, "/usr/bin/containerd") == "containerd 1.6.20~ds1-1+deb12u3"  # it is looked at first
    assert "more than 1" in why(debian, "/usr/bin/other")


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ("containerd 1.6.20~ds1-1+deb12u3", "1.6.20"),
        ("docker.io 20.10.24+dfsg1-1+deb12u1+b6", "20.10.24"),
        ("docker-ce 5:24.0.5-1~ubuntu.22.04~jammy", "24.0.5"),
        ("kubelet 1.30.1-1.1", "1.30.1"),
        ("bash 5.2.15-2+b8", "5.2.15"),
        ("base-files 12.4+deb12u11", "12.4+deb12u11"),
        ("x 1.0~rc1-1", "1.0~rc1"),
    ],
)
def test_upstream(package, expected):
    assert file_package.upstream(package) == expected
