# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_pressure beside other witnesses (psutil, the C library), on a machine that others use too: nothing here counts on quiet.

What grows by itself is read by the witness before and after; what is caused here is caused in amounts that others cannot undo.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import clock, cpu_times, host_pressure
from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import needs_iptables
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import in_fresh_netns, needs_root
from ansible_collections.kubenode.doctor.tests.integration_real.real_process import NOBODY, answer_of, become, running
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

CPUS = os.cpu_count() or 1
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
THREADS = 200


@contextlib.contextmanager
def burners(count):
    """Processes that do nothing but compute; they have begun."""
    burning = [
        subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE)
        for _number in range(count)
    ]
    try:
        for process in burning:
            process.stdout.readline()
        yield
    finally:
        for process in burning:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def busy():
    """The section of a machine with twice as much to do as it has CPUs."""
    with burners(2 * CPUS):
        return host_pressure.collect(3)


def test_burners_take_the_cpus(busy):
    shares = busy["cpu"]
    assert sum(shares.values()) == pytest.approx(1, abs=0.001)
    # What a hypervisor or an interrupt takes of it is no idleness either.
    assert shares["idle"] + shares["iowait"] < 0.3
    assert shares["user"] + shares["steal"] > 0.4


def test_burners_stand_in_the_run_queue(busy):
    samples = busy["run_queue"]["samples"]
    assert len(samples) == len(busy["run_queue"]["blocked"]) > 10
    # All of them are always ready; on one side of it only, since others may be as well.
    assert statistics.median(samples) >= 2 * CPUS


def test_burners_stall_each_other(busy):
    if not Path("/proc/pressure/cpu").exists():
        assert busy["psi"] is None
        return
    assert busy["psi"]["cpu"]["some"]["avg10"] > 0
    for stalls in busy["psi"].values():
        assert all(0 <= average <= 100 for average in stalls["some"].values())


def test_whoever_reads_the_file_is_counted_in_it():
    # So one is taken off each look.
    assert min(cpu_times.parse(Path("/proc/stat").read_text("ascii")).running for _number in range(200)) >= 1


def test_cpu_times_lie_between_what_psutil_reads_before_and_after():
    before = psutil.cpu_times()
    ticks = cpu_times.parse(Path("/proc/stat").read_text("ascii")).ticks
    after = psutil.cpu_times()
    for name in ("user", "nice", "system", "irq", "softirq", "steal"):  # idle and iowait may go backwards
        seconds = ticks[name] / TICKS_A_SECOND
        assert getattr(before, name) <= seconds <= getattr(after, name), name


def test_shares_are_those_that_psutil_computes():
    with burners(CPUS):
        before = psutil.cpu_times()
        section = host_pressure.collect(1)
        after = psutil.cpu_times()
    witness = {name: getattr(after, name) - getattr(before, name) for name in before._fields}
    # psutil leaves guest time in user, as the kernel does.
    total = sum(witness[name] for name in cpu_times._COLUMNS)
    assert section["cpu"]["user"] == pytest.approx((witness["user"] + witness["nice"]) / total, abs=0.15)
    assert section["cpu"]["idle"] == pytest.approx(witness["idle"] / total, abs=0.15)


def test_numbers_of_cpus():
    section = host_pressure.collect(0)
    assert section["cpus"]["online"] == os.sysconf("SC_NPROCESSORS_ONLN")
    assert section["cpus"]["present"] >= section["cpus"]["online"]
    # The list, and what stands in for it where there is no /sys.
    assert cpu_times.parse(Path("/proc/stat").read_text("ascii")).cpus == section["cpus"]["online"]


def test_memory_is_what_psutil_sees():
    told, memory, swap = host_pressure.collect(0)["memory"], psutil.virtual_memory(), psutil.swap_memory()
    assert (told["total"], told["swap_total"]) == (memory.total, swap.total)
    assert 0.5 < told["available"] / memory.available < 2


def test_load_averages():
    before = os.getloadavg()
    told = host_pressure.collect(0)["load"]
    assert told in [[pytest.approx(average, abs=0.01) for average in seen] for seen in (before, os.getloadavg())]


def test_open_files_are_counted():
    held = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
    with contextlib.ExitStack() as stack:
        for _number in range(held):
            stack.enter_context(open("/dev/null", "rb"))
        files = host_pressure.collect(0)["files"]
    assert held < files["open"] < files["max"]


def test_threads_are_counted():
    end = threading.Event()
    threads = [threading.Thread(target=end.wait) for _number in range(THREADS)]
    try:
        for thread in threads:
            thread.start()
        told = host_pressure.collect(0)["threads"]
        witness = sum(process.info["num_threads"] or 0 for process in psutil.process_iter(["num_threads"]))
    finally:
        end.set()
        for thread in threads:
            thread.join()
    assert told["count"] > THREADS
    assert 0.5 < told["count"] / witness < 2
    assert told["count"] < told["threads_max"]


class Timex(ctypes.Structure):
    """The whole of struct timex (include/uapi/linux/timex.h), laid out by ctypes."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", ctypes.c_long * 2),
        ("tick", ctypes.c_long),
        ("more", ctypes.c_long * 8),
        ("tai", ctypes.c_int),
        ("padding", ctypes.c_int * 11),
    ]


def test_the_kernels_clock_is_what_the_c_library_tells():
    timex = Timex()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    assert ctypes.sizeof(Timex) <= clock._BUFFER_BYTES
    told = clock.kernel_clock()
    assert told.synchronized is (state != 5 and not timex.status & 0x40)
    # It grows by 500 ppm, while nobody keeps the clock, and shrinks when somebody does.
    assert told.max_error_seconds == pytest.approx(timex.maxerror / 1e6, abs=0.5)
    assert abs(told.offset_seconds) <= 0.5  # MAXPHASE


def test_a_clock_that_nobody_sets_has_no_step():
    # Busy, so that readings are interrupted.
    with burners(2 * CPUS):
        steps = [host_pressure.collect(0.2)["clock"]["step_seconds"] for _number in range(5)]
    assert statistics.median(map(abs, steps)) <= 0.001


def test_a_time_daemon_is_seen():
    before = host_pressure.collect(0)["clock"]["keepers"]
    name = min(clock.KEEPERS.difference(before))
    with running(lambda: None, name=name.encode()):
        assert host_pressure.collect(0)["clock"]["keepers"] == sorted([*before, name])
    assert host_pressure.collect(0)["clock"]["keepers"] == before


@needs_root
def test_a_time_daemon_out_of_sight_is_not_said_to_be_missing():
    """In a pid namespace of its own, as in a container."""
    script = (
        "import json\n"
        "from ansible_collections.kubenode.doctor.plugins.module_utils import host_pressure\n"
        "print(json.dumps(host_pressure.collect(0)))\n"
    )
    command = ["unshare", "--fork", "--pid", "--mount-proc", sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / ".collections")}
    with running(lambda: None, name=b"chronyd"):
        printed = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    section = json.loads(printed)
    assert section["clock"]["keepers"] == []
    assert "time daemons" in [gap["what"] for gap in section["missing"]]


@needs_root
def test_nobody_in_particular_sees_nearly_all():
    def look():
        become(NOBODY)
        return host_pressure.collect(0.3)

    section = answer_of(look)
    assert section["cpu"] is not None
    assert None not in (
        section["load"],
        section["memory"],
        section["files"],
        section["threads"],
        section["cpus"]["online"],
    )
    assert section["clock"]["synchronized"] is not None
    assert all(gap["what"].startswith("/var/") for gap in section["missing"])


def tracked(connections):
    """The table of a network namespace in which so many connections were opened, from its firewall on."""
    rule = ["iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"]
    subprocess.run(rule, check=True, stdin=subprocess.DEVNULL)
    before = host_pressure.collect(0)["conntrack"]
    listener = socket.create_server(("127.0.0.1", 0), backlog=connections)
    clients = [socket.create_connection(listener.getsockname()) for _number in range(connections)]
    during = host_pressure.collect(0)["conntrack"]
    del clients
    return [before, during]


@needs_root
@needs_iptables
def test_tracked_connections_are_those_of_the_network_namespace():
    before, during = in_fresh_netns(tracked, 50)
    assert (before["count"], during["count"]) == (0, 50)
    assert during["max"] == before["max"] > 50
