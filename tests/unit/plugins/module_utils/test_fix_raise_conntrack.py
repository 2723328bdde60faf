# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix raise-conntrack on a made-up node. The figures are those of a node with kernel 6.18: 262144 entries and as many buckets."""

from __future__ import annotations

import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import fix_raise_conntrack as fix
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import FileText, Sysctl
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import DONE, NEEDED, STOPPED, Places

FILE = "/etc/sysctl.d/60-conntrack.conf"
MODULE_FILE = "/etc/modules-load.d/60-conntrack.conf"
WISH = fix.target(524288, 262144, 196608)
IN_PAGE = os.sysconf("SC_PAGE_SIZE") // 8


class Node:
    """Its kernel's settings are files, as on a node."""

    def __init__(self, made_up, **settings):
        self.made_up = made_up
        self.places = Places(str(made_up.proc), str(made_up.root))
        self.folder = made_up.proc / "sys/net/netfilter"
        self.folder.mkdir(parents=True)
        for name, value in {"max": 262144, "count": 235930, "buckets": 262144, **settings}.items():
            self.set(name, value)

    def set(self, name, value):
        (self.folder / f"nf_conntrack_{name}").write_text(f"{value}\n")

    def modules(self, *names):
        text = "".join(f"{name} 176128 1 - Live 0x0000000000000000\n" for name in names)
        (self.made_up.proc / "modules").write_text(text)

    def plan(self, *targets):
        return fix.plan(targets or [WISH], {}, self.places, Deadline(3600))

    def carry_out(self, plan):
        for step in plan.steps:
            if isinstance(step, FileText):
                self.made_up.file(step.path, step.after)
            else:
                self.set(step.key.rpartition("nf_conntrack_")[2], step.after)


@pytest.fixture
def kernel(node):
    return Node(node)


def test_more_room_now_and_at_boot(kernel):
    plan = kernel.plan()
    file, live = plan.steps
    assert plan.state == NEEDED
    assert live == Sysctl(fix.KEY, "524288")
    assert file.path == FILE
    assert file.after.splitlines()[-1] == "net.netfilter.nf_conntrack_max = 524288"
    assert plan.undo == ("sysctl -w net.netfilter.nf_conntrack_max=262144", f"rm {FILE}")
    assert plan.told == (
        "net.netfilter.nf_conntrack_max, 262144, becomes 524288 at once",
        f"{FILE} (new) sets it at each boot: 524288",
        "nothing is restarted and no connection is cut",
        "the table may take up to 160 MiB of kernel memory when it is full (320 bytes an entry)",
        (
            "kube-proxy, where it sets the limit, writes its own figure again when it starts. To have that be no less, set conntrack.min to 524288 in its "
            "configuration, and restart it: kubectl -n kube-system edit configmap kube-proxy; kubectl -n kube-system rollout restart daemonset/kube-proxy"
        ),
    )


def test_carried_out_it_is_done(kernel):
    plan = kernel.plan()
    assert plan.verify(Deadline(0)) == f"{fix.KEY} was set, and is 262144 all the same"
    kernel.carry_out(plan)
    assert plan.verify(Deadline(0)) == ""
    again = kernel.plan()
    assert (again.state, again.why, again.steps) == (DONE, f"{fix.KEY} is 524288 already", ())


def test_that_kube_proxy_runs_here_is_told(kernel):
    kernel.made_up.process(812, "kube-proxy", ["kube-proxy"])
    assert kernel.plan().told[-1].startswith("kube-proxy runs here and writes its own figure again when it starts")


def test_a_figure_that_kube_proxy_does_not_set(node):
    told = Node(node, max=1048576, count=1000000).plan(fix.target(2097152, 1048576, 786432)).told[-1]
    assert "set conntrack.maxPerCore to 0, so that it leaves the limit as it is" in told


@pytest.mark.parametrize(
    ("buckets", "after"),
    [(65536, 131072), (131071, 131072), (131072, None), (1024, 131072)],
)
def test_no_bucket_comes_to_hold_more_than_four(node, buckets, after):
    """Older kernels begin with one for four entries (nf_conntrack_core.c, nf_conntrack_init_start: max_factor)."""
    kernel = Node(node, buckets=buckets)
    plan = kernel.plan()
    if after is None:
        assert [type(step) for step in plan.steps] == [FileText, Sysctl]
        return
    file, table, limit = plan.steps
    assert table == Sysctl("net.netfilter.nf_conntrack_buckets", str(after))
    assert limit.key == fix.KEY
    assert file.after.endswith(f"nf_conntrack_max = 524288\nnet.netfilter.nf_conntrack_buckets = {after}\n")
    assert plan.undo[-1] == f"sysctl -w net.netfilter.nf_conntrack_buckets={buckets}"
    assert any("becomes 131072, one for 4 entries (1 MiB)" in sentence for sentence in plan.told)
    kernel.carry_out(plan)
    assert kernel.plan().state == DONE


def test_the_kernel_rounds_buckets_up_to_whole_pages(node):
    (_file, table, _limit) = Node(node, max=300001, buckets=75008).plan(fix.target(600002, 300001, 1)).steps
    assert int(table.after) % IN_PAGE == 0
    assert 0 <= int(table.after) - 150001 < IN_PAGE


@pytest.mark.parametrize("text", [None, "x"])
def test_buckets_that_cannot_be_seen_are_left_alone(kernel, text):
    place = kernel.folder / "nf_conntrack_buckets"
    place.unlink() if text is None else place.write_text(text)
    assert [type(step) for step in kernel.plan().steps] == [FileText, Sysctl]


def test_buckets_that_may_only_be_read_are_left_alone(node):
    """Linux before 4.7."""
    kernel = Node(node, buckets=65536)
    (kernel.folder / "nf_conntrack_buckets").chmod(0o444)
    assert [type(step) for step in kernel.plan().steps] == [FileText, Sysctl]


@pytest.mark.parametrize(
    ("loaded", "files", "needed"),
    [
        (["nf_conntrack", "overlay"], {}, True),
        (["nf_conntrack"], {"/etc/modules-load.d/k8s.conf": "overlay\nbr_netfilter\n"}, True),
        (["nf_conntrack"], {"/etc/modules-load.d/k8s.conf": "# x\n nf_conntrack\n"}, False),
        (["nf_conntrack"], {"/usr/lib/modules-load.d/ipvs.conf": "ip_vs_rr\n"}, False),  # which needs it
        (["nf_conntrack"], {"/etc/modules-load.d/k8s.conf": "#nf_conntrack\n"}, True),
        (["overlay", "nf_conntrack_netlink"], {}, False),  # built into the kernel
    ],
)
def test_the_module_is_there_before_the_boot_sets_it(kernel, loaded, files, needed):
    kernel.modules(*loaded)
    for path, text in files.items():
        kernel.made_up.file(path, text)
    plan = kernel.plan()
    own = [step for step in plan.steps if getattr(step, "path", "") == MODULE_FILE]
    assert bool(own) is needed
    assert (f"rm {MODULE_FILE}" in plan.undo) is needed
    assert (f"{MODULE_FILE} (new) has nf_conntrack loaded before the boot sets it" in plan.told) is needed
    if needed:
        assert own[0].after.splitlines()[1:] == ["nf_conntrack"]
        kernel.carry_out(plan)
        assert kernel.plan().state == DONE


def test_a_file_of_our_name_that_loads_something_else(kernel):
    kernel.modules("nf_conntrack")
    kernel.made_up.file(MODULE_FILE, "overlay\n")
    plan = kernel.plan()
    assert (plan.state, plan.why) == (STOPPED, f"{MODULE_FILE} is there and does not load nf_conntrack: add that line")


def test_the_boot_alone_where_the_kernel_has_it_already(node):
    node.file("/etc/sysctl.d/90-tuning.conf", f"{fix.KEY} = 131072\n")
    plan = Node(node, max=524288, buckets=65536).plan()
    (file,) = plan.steps
    assert file.path == "/etc/sysctl.d/99-conntrack.conf"
    assert plan.undo == (f"rm {file.path}",)
    assert "/etc/sysctl.d/90-tuning.conf sets 131072 and is read before it" in plan.told


def test_the_kernel_alone_where_the_boot_sets_it_already(node):
    """kube-proxy has written less since."""
    node.file("/etc/sysctl.d/90-tuning.conf", f"{fix.KEY} = 1048576\n")
    kernel = Node(node)
    kernel.modules("nf_conntrack")
    plan = kernel.plan()
    assert plan.steps == (Sysctl(fix.KEY, "524288"),)
    assert "at boot it is set to 1048576 already, by /etc/sysctl.d/90-tuning.conf" in plan.told


@pytest.mark.parametrize(
    ("settings", "state", "why"),
    [
        ({"count": 196607}, DONE, "the table has room now: 196607 of 262144 entries are in use"),
        ({"max": 1048576}, DONE, f"{fix.KEY} is 1048576 already"),
        ({"max": 131072}, STOPPED, f"{fix.KEY} is 131072 now, and was 262144: somebody else sets it, too. Diagnose again"),
        ({"max": "many"}, STOPPED, f"{fix.KEY} is many now, and was 262144: somebody else sets it, too. Diagnose again"),
        ({"count": "many"}, STOPPED, "net.netfilter.nf_conntrack_count is no number: many"),
    ],
)  # fmt: skip
def test_evidence_that_has_changed(node, settings, state, why):
    plan = Node(node, **settings).plan()
    assert (plan.state, plan.why, plan.steps) == (state, why, ())


def test_a_namespace_in_which_the_kernel_refuses_it(kernel):
    """As a container shows it (Linux 6.18): -r--r--r-- root root."""
    (kernel.folder / "nf_conntrack_max").chmod(0o444)
    plan = kernel.plan()
    assert plan.state == STOPPED
    assert plan.why == (
        f"the kernel lets {fix.KEY} be set in the first network namespace of the machine alone, and this is another one (a container's): set it on "
        "the machine itself"
    )


def test_nobody_tracks_connections_any_more(kernel):
    (kernel.folder / "nf_conntrack_max").unlink()
    assert kernel.plan().why == f"this kernel has no {fix.KEY}"


def test_of_several_findings_the_largest(kernel):
    assert kernel.plan(WISH, fix.target(600000, 262144, 196608)).steps[1].after == "600000"


@pytest.mark.parametrize(
    ("targets", "why"),
    [
        ([], "there is nothing to raise"),
        ([WISH, fix.target(524288, 131072, 1)], "the findings tell of different limits"),
        ([fix.target(0, 262144, 1)], "no table can hold 0 entries"),
        ([fix.target(2**31, 262144, 1)], "no table can hold 2147483648 entries"),
        ([fix.target(True, 262144, 1)], "what is to be cured has no usable 'entries'"),
        (["["], "what is to be cured is no JSON text: ["),
    ],
)
def test_targets_that_are_none(kernel, targets, why):
    plan = fix.plan(targets, {}, kernel.places, Deadline(3600))
    assert plan.state == STOPPED
    assert plan.why.startswith(why)
