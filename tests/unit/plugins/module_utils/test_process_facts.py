# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""process_facts: a made-up /proc for what cannot be made to happen, and this very process."""

from __future__ import annotations

import os
import time
from datetime import datetime

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import process_facts
from ansible_collections.kubenode.doctor.plugins.module_utils.process_facts import Parent, UnseenError

# /proc/2936/stat of a containerd and the beginning of /proc/stat (Debian 12, Linux 6.1)
STAT = (
    "2936 (containerd) S 1 2936 2936 0 -1 1077936384 12480 0 12 0 412 265 0 0 20 0 11 0 8742 1811181568 12288"
    " 18446744073709551615 4194304 30253685 140728 0 0 0 1006249984 0 2143420159 0 0 0 17 1 0 0 0 0 0"
)
BOOT = "cpu  9 0 9 9 0 0 0 0 0 0\ncpu0 9 0 9 9 0 0 0 0 0 0\nintr 9 0\nctxt 9\nbtime 1795255113\nprocesses 9\n"


@pytest.fixture
def containerd(node):
    """Process 2936 of a made-up node, which runs a file of it."""
    return add(node, str(node.file("/usr/bin/containerd", "ELF")))


def add(node, link, stat=STAT, boot=BOOT):
    node.process(2936, "containerd", [])
    (node.proc / "2936" / "stat").write_text(stat)
    os.symlink(link, str(node.proc / "2936" / "exe"))
    os.symlink("/", str(node.proc / "2936" / "root"))
    (node.proc / "stat").write_text(boot)
    return node


def read(node, pid=2936):
    return process_facts.read(pid, str(node.proc))


def test_all_is_told(containerd):
    started = datetime.fromtimestamp(1795255113 + 8742 // os.sysconf("SC_CLK_TCK")).astimezone()
    facts = read(containerd)
    assert facts._replace(started=None) == (
        str(containerd.root / "usr/bin/containerd"),
        False,
        None,
        Parent(1, "systemd"),
        [],
    )
    assert facts.started.endswith("+00:00")
    assert datetime.fromisoformat(facts.started) == started


def test_this_process():
    facts = process_facts.read(os.getpid())
    assert facts.missing == []
    assert facts.replaced is False
    assert os.path.samefile(facts.exe, "/proc/self/exe")
    assert facts.parent.pid == os.getppid()
    assert abs(datetime.fromisoformat(facts.started).timestamp() - time.time()) < 86400


def test_replaced_by_another_file(node):
    path = node.file("/usr/bin/containerd", "ELF, newer")
    facts = read(add(node, f"{path} (deleted)"))
    assert (facts.exe, facts.replaced, facts.missing) == (str(path), True, [])


def test_a_name_that_ends_like_that_of_a_removed_file(node):
    path = node.file("/usr/bin/containerd (deleted)", "ELF")
    facts = read(add(node, str(path)))
    assert (facts.exe, facts.replaced) == (str(path), False)


def test_made_in_memory(node):
    facts = read(add(node, "/memfd:runc_cloned:/proc/self/exe (deleted)"))
    assert (facts.exe, facts.replaced, facts.missing) == ("/memfd:runc_cloned:/proc/self/exe", None, [])


def test_a_path_that_leads_nowhere(node):
    facts = read(add(node, "/nowhere/server"))
    assert (facts.exe, facts.replaced) == ("/nowhere/server", None)
    assert [gap["what"] for gap in facts.missing] == ["program"]


def test_names_are_text_whatever_bytes_they_have(node):
    facts = read(add(node, b"/usr/bin/\xff\x1b (deleted)".decode("utf-8", "surrogateescape")))
    assert facts.exe == "/usr/bin/\N{REPLACEMENT CHARACTER}\x1b"
    assert facts.replaced is True


def test_a_part_of_the_kernel(node):
    add(node, "/usr/bin/containerd")
    (node.proc / "2936" / "exe").unlink()
    facts = read(node)
    assert (facts.exe, facts.replaced) == (None, None)
    assert facts.started is not None
    assert ["kernel" in gap["why"] for gap in facts.missing] == [True]


def test_a_link_that_may_not_be_read(containerd, monkeypatch):
    monkeypatch.setattr(os, "readlink", refused)
    facts = read(containerd)
    assert facts.exe is None
    assert [gap["what"] for gap in facts.missing] == ["program"]
    assert "run " in facts.missing[0]["why"]


def refused(*_path, **_options):
    raise PermissionError(13, "Permission denied")


def test_a_process_that_may_not_be_read(containerd, monkeypatch):
    monkeypatch.setattr(process_facts.procfs, "text", refused)
    with pytest.raises(UnseenError, match="may not be read: run "):
        read(containerd)


@pytest.mark.parametrize("pid", [2937, 2**40])
def test_nobody(containerd, pid):
    with pytest.raises(UnseenError, match="ended"):
        read(containerd, pid)


@pytest.mark.parametrize(
    "stat",
    [
        "",
        "2936",
        "2936 (containerd) S",
        "2936 (containerd) S x y",
        STAT.replace(") S", ") Z"),
        STAT.replace("8742", "x"),
    ],
)
def test_about_to_end(node, stat):
    with pytest.raises(UnseenError, match="ended"):
        read(add(node, "/usr/bin/containerd", stat=stat))


def test_a_number_that_is_given_to_another_process_meanwhile(containerd, monkeypatch):
    """The second look at the start of the process finds another one."""
    place = containerd.proc / "2936" / "stat"

    def comm(*_arguments):
        place.write_text(STAT.replace("8742", "8743"))
        return "systemd"

    monkeypatch.setattr(process_facts.procfs, "comm", comm)
    with pytest.raises(UnseenError, match="ended"):
        read(containerd)


def test_a_name_like_a_line_of_stat(node):
    facts = read(add(node, "/x", stat=STAT.replace("(containerd)", "(a) Z 7 (b\n) S 9 9)")))
    assert facts.parent.pid == 1


def test_no_parent(node):
    assert read(add(node, "/x", stat=STAT.replace(" S 1 ", " S 0 "))).parent is None


def test_a_hidden_parent(node):
    assert read(add(node, "/x", stat=STAT.replace(" S 1 ", " S 77 "))).parent == Parent(77, None)


@pytest.mark.parametrize("boot", ["", "cpu 1\n", "btime\n", "btime x\n", f"btime {2**70}\n"])
def test_a_machine_that_does_not_tell_when_it_was_started(node, boot):
    facts = read(add(node, str(node.file("/x", "")), boot=boot))
    assert facts.started is None
    assert [gap["what"] for gap in facts.missing] == ["start"]


def test_is_file(containerd):
    path = str(containerd.root / "usr/bin/containerd")
    other = str(containerd.file("/usr/bin/other", "ELF"))
    assert process_facts.is_file(2936, path, str(containerd.proc)) is True
    assert process_facts.is_file(2936, other, str(containerd.proc)) is False
    assert process_facts.is_file(2937, path, str(containerd.proc)) is False
    assert process_facts.is_file(2936, "/a\0b", str(containerd.proc)) is False
