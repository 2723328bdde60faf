# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix reserve-nodeports on a made-up node. Ranges and ports are those of the captured cluster (tests/fixtures/bundle/README.md)."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_reserve_nodeports as fix
from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import FileText, Sysctl
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import DONE, NEEDED, STOPPED, Places

LOCAL = (32768, 60999)  # the kernel's default
SPAN = (30000, 40000)
FILE = "/etc/sysctl.d/60-nodeports.conf"
PORTS = ((35776, 35776), (36527, 36527))


def wish(ports=PORTS, span=SPAN, drawn_from=LOCAL):
    return fix.target(ports, span, drawn_from)


class Node:
    """``reserved`` is what its kernel has."""

    def __init__(self, made_up, reserved="", local="32768\t60999"):
        self.made_up = made_up
        self.places = Places(str(made_up.proc), str(made_up.root))
        (made_up.proc / "sys/net/ipv4").mkdir(parents=True)
        self.set("ip_local_port_range", local)
        self.set("ip_local_reserved_ports", reserved)

    def set(self, name, value):
        (self.made_up.proc / "sys/net/ipv4" / name).write_text(f"{value}\n")

    def plan(self, *targets, **choices):
        return fix.plan(targets or [wish()], choices, self.places, Deadline(3600))

    def carry_out(self, plan):
        for step in plan.steps:
            if isinstance(step, FileText):
                self.made_up.file(step.path, step.after)
            else:
                assert step.key == fix.KEY
                self.set("ip_local_reserved_ports", step.after)


@pytest.fixture
def kernel(node):
    return Node(node)


def line(value):
    return f"{fix.KEY} = {value}\n"


def test_exactly_these_ports_now_and_at_boot(kernel):
    plan = kernel.plan()
    file, live = plan.steps
    assert plan.state == NEEDED
    assert live == Sysctl(fix.KEY, "35776,36527")
    assert (file.path, file.mode) == (FILE, 0o644)
    *comments, setting = file.after.splitlines()
    assert setting == line("35776,36527").strip()
    assert len(comments) == 2
    assert all(comment.startswith("# kubenode.doctor: ") for comment in comments)
    assert plan.undo == ("printf '\\n' > /proc/sys/net/ipv4/ip_local_reserved_ports", f"rm {FILE}")
    told = "\n".join(plan.told)
    assert f"{fix.KEY}, empty, becomes 35776,36527 at once" in told
    assert f"{FILE} (new) sets it at each boot: 35776,36527" in told
    assert "nothing is restarted and no connection is cut" in told
    assert "28230 of the ephemeral range's 28232 ports are left" in told
    assert "7231 numbers of the NodePort range, which no Service has today, may still be drawn" in told
    assert "gets" not in told  # two single ports make no favourite that is worth a word


def test_carried_out_it_is_done(kernel):
    plan = kernel.plan()
    assert plan.verify(Deadline(0)) == "net.ipv4.ip_local_reserved_ports was set, and is empty all the same"
    kernel.carry_out(plan)
    assert plan.verify(Deadline(0)) == ""
    again = kernel.plan()
    assert (again.state, again.steps) == (DONE, ())
    assert again.why == f"{fix.KEY} holds all of these ports, now and at each boot"


def test_what_the_boot_would_undo_is_not_verified(kernel):
    plan = kernel.plan()
    kernel.carry_out(plan)
    kernel.made_up.file("/etc/sysctl.d/61-late.conf", line("8080"))
    assert plan.verify(Deadline(0)) == f"at the next boot {fix.KEY} would be 8080 all the same"
    assert [type(step) for step in kernel.plan().steps] == [FileText]  # the kernel has them


@pytest.mark.parametrize(
    ("live", "files", "after"),
    [
        ("8080,9148", {}, "8080,9148,35776,36527"),
        ("35770-35775", {}, "35770-35776,36527"),
        ("8080", {"/etc/sysctl.d/10-a.conf": line("9100")}, "8080,9100,35776,36527"),
        (
            "8080",
            {"/usr/lib/sysctl.d/10-a.conf": line("9100"), "/run/sysctl.d/20-b.conf": line("7000")},
            "7000,8080,9100,35776,36527",
        ),
        ("", {"/etc/sysctl.conf": line("30000-32767")}, "30000-32767,35776,36527"),
        ("", {"/etc/sysctl.d/10-a.conf": "net/ipv4/ip_local_reserved_p*=9\n"}, "9,35776,36527"),
    ],
)
def test_the_list_is_the_union_of_what_is_there(node, live, files, after):
    kernel = Node(node, live)
    for path, text in files.items():
        node.file(path, text)
    file, step = kernel.plan().steps
    assert step.after == after
    assert file.after.endswith(line(after))


def test_what_only_a_file_has_is_told(node):
    kernel = Node(node, "8080")
    node.file("/etc/sysctl.d/10-a.conf", line("9100"))
    node.file("/etc/sysctl.d/11-b.conf", line("30000:32767"))
    told = kernel.plan().told
    assert "9100 is in it because a file sets it, though the kernel has it not now" in told
    assert "what /etc/sysctl.d/11-b.conf sets is no list of ports, which the kernel refuses: 30000:32767" in told


@pytest.mark.parametrize(
    ("files", "path"),
    [
        (["/etc/sysctl.d/10-a.conf"], FILE),
        (["/usr/lib/sysctl.d/60-a.conf"], FILE),
        (["/usr/lib/sysctl.d/60-z.conf"], "/etc/sysctl.d/99-nodeports.conf"),
        (["/etc/sysctl.d/99-sysctl.conf"], "/etc/sysctl.d/zz-nodeports.conf"),
        (["/etc/sysctl.d/k8s.conf"], "/etc/sysctl.d/zz-nodeports.conf"),
        (["/run/sysctl.d/zzz.conf"], "/etc/sysctl.d/zzz.zz-nodeports.conf"),
        # Ours of an earlier time is written anew where it is still the last.
        ([FILE], FILE),
        ([FILE, "/etc/sysctl.d/60-z.conf"], "/etc/sysctl.d/99-nodeports.conf"),
        (["/etc/sysctl.d/99-nodeports.conf"], "/etc/sysctl.d/99-nodeports.conf"),
        (["/etc/sysctl.d/zzz.conf", "/etc/sysctl.d/zzz.zz-nodeports.conf"], "/etc/sysctl.d/zzz.zz-nodeports.conf"),
        # Ours would hide another file of its name, with all that it sets.
        (["/usr/lib/sysctl.d/60-nodeports.conf"], "/etc/sysctl.d/99-nodeports.conf"),
    ],
)
def test_ours_is_the_file_that_is_read_last(kernel, files, path):
    for file in files:
        kernel.made_up.file(file, line("8080"))
    plan = kernel.plan()
    assert plan.steps[0].path == path
    kernel.carry_out(plan)
    assert plan.verify(Deadline(0)) == ""
    assert kernel.plan().state == DONE


def test_no_file_of_another_matter_is_hidden(kernel):
    kernel.made_up.file("/usr/lib/sysctl.d/60-nodeports.conf", "vm.swappiness = 10\n")
    assert kernel.plan().steps[0].path == "/etc/sysctl.d/99-nodeports.conf"
    kernel.made_up.file(FILE, "")  # somebody has hidden it already
    assert kernel.plan().steps[0].path == FILE


def test_no_name_is_known_that_comes_last(kernel):
    kernel.made_up.file("/etc/sysctl.d/\u00ff\x1b.conf", line("8080"))
    plan = kernel.plan()
    assert (plan.state, plan.steps) == (STOPPED, ())
    assert plan.why == "no name is known that is read after '/etc/sysctl.d/ÿ\\x1b.conf', which sets it"


def test_what_else_a_file_of_our_name_sets_stays(kernel):
    kernel.made_up.file(FILE, f"# mine\nvm.swappiness = 10\n{line('35776')}")
    plan = kernel.plan()
    assert plan.steps[0].after.startswith("# mine\nvm.swappiness = 10\n# kubenode.doctor: ")
    assert plan.steps[0].after.count(fix.KEY) == 1
    assert plan.undo[1] == f"{FILE} holds again what it holds now"
    assert f"{FILE} (changed) sets it at each boot: 35776,36527" in plan.told


@pytest.mark.parametrize(
    ("systemd", "words"),
    [
        (True, "this machine's boot does not (systemd-sysctl), whoever runs that by hand does"),
        (False, "and this machine's boot, which is not systemd's, may do so"),
    ],
)
def test_sysctl_conf_has_the_last_word_with_sysctl_system(kernel, systemd, words):
    kernel.made_up.file("/etc/sysctl.conf", line("30000-32767"))
    if systemd:
        (kernel.made_up.root / "run/systemd/system").mkdir(parents=True)
    said = f"/etc/sysctl.conf sets 30000-32767, and sysctl --system reads it after all others: {words}; take the line out there"
    assert said in kernel.plan().told
    kernel.made_up.file("/etc/sysctl.conf", line("30000-40000"))
    assert not any("sysctl --system reads it" in sentence for sentence in kernel.plan().told)
    kernel.carry_out(kernel.plan())
    assert kernel.plan().why == f"{fix.KEY} holds all of these ports, now and at each boot"
    kernel.made_up.file("/etc/sysctl.conf", line("30000-32767"))
    again = kernel.plan()
    assert (again.state, again.steps) == (DONE, ())
    assert again.why == f"{fix.KEY} holds all of these ports, now, and the files of sysctl.d set them; {said}"


def test_the_whole_overlap_when_it_is_asked_for_and_what_that_costs(kernel):
    plan = kernel.plan(reserve="overlap")
    assert plan.steps[1].after == "32768-40000"
    told = "\n".join(plan.told)
    # tests/integration_real/test_port_selection_kernel.py measures such shares.
    worst = port_ranges.selection_skew(LOCAL, [(32768, 40000)])[0]
    assert f"port {worst['port']} then gets {worst['share']:.0%} of the ports that are drawn for" in told
    assert "behind 32768-40000" in told
    assert "20999 of the ephemeral range's 28232 ports are left" in told
    assert "may still be drawn" not in told
    kernel.carry_out(plan)
    assert kernel.plan(reserve="overlap").state == DONE
    assert kernel.plan().state == DONE


def test_after_the_ports_in_use_the_overlap_may_still_be_asked_for(kernel):
    kernel.carry_out(kernel.plan())
    assert kernel.plan(reserve="overlap").steps[1].after == "32768-40000"


@pytest.mark.parametrize(
    ("target", "choices", "why"),
    [
        (wish(span=None), {"reserve": "overlap"}, "how far the NodePort range goes is not known: diagnose again with -e nodeport_range=LOW-HIGH"),
        (wish(), {"reserve": "all"}, "reserve is in-use or overlap, and not 'all'"),
        (wish(((32768, 60999),)), {}, "no port would be left that the kernel may draw: nothing on this node could open a connection"),
        (wish(drawn_from=(1024, 65535)), {}, "the ephemeral range is 32768 to 60999 now, and was 1024 to 65535. Diagnose again"),
    ],
)  # fmt: skip
def test_what_stands_against_it(kernel, target, choices, why):
    plan = kernel.plan(target, **choices)
    assert (plan.state, plan.why, plan.steps) == (STOPPED, why, ())


def test_nothing_is_left_to_do_when_the_range_has_moved_away(node):
    plan = Node(node, local="40001\t60999").plan()
    assert plan.state == DONE
    assert plan.why == "none of these ports lies in the ephemeral range, which is 40001 to 60999 now"


def test_several_findings_are_one_list(kernel):
    plan = kernel.plan(wish(((35776, 35776),)), wish(((36527, 36527), (35776, 35776))))
    assert plan.steps[1].after == "35776,36527"


@pytest.mark.parametrize(
    ("targets", "why"),
    [
        ([], "nothing is to be reserved"),
        ([wish(), wish(span=(30000, 32767))], "the findings tell of different ranges of ports"),
        ([wish(), wish(drawn_from=(1024, 65535))], "the findings tell of different ranges of ports"),
        (["{}"], "what is to be cured has other fields than drawn_from, ports, span: {}"),
        ([json.dumps({"ports": "x", "span": "", "drawn_from": "1-2"})], "what is to be reserved is not understood: 'x' is neither"),
        ([json.dumps({"ports": "1", "span": "", "drawn_from": ""})], "what is to be reserved is not understood"),
        ([json.dumps({"ports": 1, "span": "", "drawn_from": "1-2"})], "what is to be cured has no usable 'ports'"),
    ],
)  # fmt: skip
def test_targets_that_are_none(kernel, targets, why):
    plan = fix.plan(targets, {}, kernel.places, Deadline(3600))
    assert plan.state == STOPPED
    assert plan.why.startswith(why)


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("ip_local_reserved_ports", None, f"this kernel has no {fix.KEY}"),
        ("ip_local_reserved_ports", "0,8080", "the kernel's own setting is not understood: '0': a port lies between"),
        ("ip_local_reserved_ports", "x" * (1 << 20), f"{fix.KEY} is longer than"),
        ("ip_local_port_range", "lots", "the kernel's own setting is not understood: 'lots' is not two port numbers"),
        ("ip_local_port_range", None, "this kernel has no net.ipv4.ip_local_port_range"),
    ],
)
def test_a_kernel_that_says_something_else(kernel, name, text, why):
    if text is None:
        (kernel.made_up.proc / "sys/net/ipv4" / name).unlink()
    else:
        kernel.set(name, text)
    plan = kernel.plan()
    assert plan.state == STOPPED
    assert plan.why.startswith(why)
    assert len(plan.why) < 300


def test_a_file_that_cannot_be_read_may_hold_a_list(kernel):
    (kernel.made_up.root / "etc/sysctl.d").mkdir(parents=True)
    os.mkfifo(kernel.made_up.root / "etc/sysctl.d/50-a.conf")
    plan = kernel.plan()
    assert plan.state == STOPPED
    assert (
        plan.why
        == f"what sets {fix.KEY} at boot is not known: /etc/sysctl.d/50-a.conf cannot be read: not a regular file"
    )


def test_a_file_of_our_name_that_is_no_text(kernel):
    kernel.made_up.file(FILE, "").write_bytes(b"# caf\xe9\n")
    assert kernel.plan().why == f"{FILE} holds bytes that are no text"


def test_a_mounted_proc_sys_that_is_read_only(kernel, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    plan = kernel.plan()
    assert plan.state == STOPPED
    assert plan.why.startswith(
        f"{fix.KEY} cannot be written here: run with become (-b), and where /proc/sys is mounted read-only"
    )


def test_a_list_that_procps_would_cut_is_told(node):
    many = [(port, port) for port in range(33001, 35001, 2)]
    kernel = Node(node, port_ranges.format_ports(many))
    plan = kernel.plan()
    assert plan.undo[0].startswith(f"{fix.KEY} becomes what it is now: 33001,33003,")
    assert len(plan.steps[1].after) > 4095
    assert any(
        sentence.startswith("sysctl -p and sysctl --system set only the first 4095 bytes") for sentence in plan.told
    )
    assert all(len(sentence) < 900 for sentence in (*plan.told, *plan.undo))
