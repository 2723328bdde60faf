# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_pressure: both samples of a made-up machine, and of one whose every file lies."""

from __future__ import annotations

import errno
import json
import os

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import clock, cpu_times, deadline, host_pressure, procfs
from ansible_collections.kubenode.doctor.plugins.module_utils.host_pressure import Pressure

NOW = 4_000_000_000  # after all that is written while this runs
PSI = "some avg10=13.04 avg60=5.23 avg300=3.97 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
STALLS = {
    "some": {"avg10": 13.04, "avg60": 5.23, "avg300": 3.97},
    "full": {"avg10": 0.0, "avg60": 0.0, "avg300": 0.0},
}
# What Linux 6.18 prints.
FILES = {
    "/proc/stat": "cpu  1000 0 500 8000 100 10 20 1200 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 1\n"
    "procs_running 3\nprocs_blocked 1\n",
    "/proc/loadavg": "0.56 0.48 0.65 1/912 18392\n",
    "/proc/pressure/cpu": PSI,
    "/proc/pressure/memory": PSI,
    "/proc/pressure/io": PSI,
    "/proc/meminfo": "MemTotal: 24684084 kB\nMemAvailable: 24276340 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
    "/proc/sys/fs/file-nr": "521\t0\t2466170\n",
    "/proc/sys/net/netfilter/nf_conntrack_count": "8125\n",
    "/proc/sys/net/netfilter/nf_conntrack_max": "262144\n",
    "/proc/sys/kernel/threads-max": "192730\n",
    "/proc/sys/kernel/pid_max": "32768\n",
    "/sys/devices/system/cpu/online": "0-1\n",
    "/sys/devices/system/cpu/present": "0-3\n",
}
LATER = "cpu  1100 0 540 8150 110 10 20 1300 0 0\ncpu0 1\ncpu1 1\nprocs_running 6\nprocs_blocked 0\n"
SECTION = {
    "seconds": 2.0,
    "cpus": {"online": 2, "present": 4},
    "cpu": {"user": 0.25, "system": 0.1, "iowait": 0.025, "irq": 0.0, "steal": 0.25, "idle": 0.375},
    "steal_since_boot": round(1300 / 11230, 4),
    "run_queue": {"samples": [2, 5], "blocked": [1, 0]},
    "load": [0.56, 0.48, 0.65],
    "psi": {"cpu": STALLS, "memory": STALLS, "io": STALLS},
    "memory": {"total": 24684084 * 1024, "available": 24276340 * 1024, "swap_total": 0, "swap_free": 0},
    "files": {"open": 521, "max": 2466170},
    "conntrack": {"count": 8125, "max": 262144},
    "threads": {"count": 912, "threads_max": 192730, "pid_max": 32768},
    "clock": {
        "synchronized": True,
        "offset_seconds": 0.001,
        "max_error_seconds": 0.5,
        "step_seconds": 0.0,
        "keepers": ["chronyd"],
        "kept_seconds": None,
        "services": [],
        "from_future": [],
    },
    "complete": True,
    "missing": [],
}


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self):
        self.passed = 0.0

    def monotonic(self):
        return 100 + self.passed

    def time_ns(self):
        return int((NOW + self.passed) * 1e9)

    def sleep(self, seconds):
        self.passed += seconds


class Machine:
    """A made-up machine: its files may be written, and its clock set by ``step`` seconds."""

    def __init__(self, node, time):
        self.node = node
        self.time = time
        self.step = 0.0
        self.places = {"proc": node.proc, "sys": node.folder / "sys"}
        for path, text in FILES.items():
            self.write(path, text)
        node.process(10, "chronyd", [])

    def place(self, path):
        _empty, where, rest = path.split("/", 2)
        return self.places[where] / rest

    def write(self, path, content):
        self.place(path).parent.mkdir(parents=True, exist_ok=True)
        self.place(path).write_bytes(content if isinstance(content, bytes) else content.encode())

    def begin(self):
        return Pressure(str(self.node.proc), str(self.places["sys"]), str(self.node.root))

    def look(self, meanwhile=lambda: None):
        """The section of a machine in which ``meanwhile()`` happens between the samples, and work is done."""
        pressure = self.begin()
        stat = self.place("/proc/stat")
        if stat.is_file() and stat.read_bytes() == FILES["/proc/stat"].encode():
            stat.write_text(LATER)
        meanwhile()
        self.time.sleep(2)
        return pressure.finish()


@pytest.fixture(autouse=True)
def nothing(monkeypatch):
    """The made-up machine is not the one on which this runs, and uses CPUs for it."""
    monkeypatch.setattr(cpu_times, "own", lambda: cpu_times.Own(1.5, 0.5))


@pytest.fixture
def machine(node, monkeypatch):
    made = Machine(node, Time())
    monkeypatch.setattr(host_pressure, "time", made.time)
    monkeypatch.setattr(deadline, "time", made.time)
    monkeypatch.setattr(clock, "kernel_clock", lambda: clock.KernelClock(True, 0.001, 0.5))
    monkeypatch.setattr(clock, "realtime_ahead", lambda: int((NOW + made.step) * 1e9))
    return made


def test_all(machine):
    assert machine.look() == SECTION


def test_ticks_look_at_the_run_queue_alone(machine):
    pressure = machine.begin()
    for running in (9, 1):
        machine.write("/proc/stat", FILES["/proc/stat"].replace("procs_running 3", f"procs_running {running}"))
        pressure.tick()
    machine.write("/proc/stat", LATER)
    machine.time.sleep(2)
    assert pressure.finish() == {**SECTION, "run_queue": {"samples": [2, 8, 0, 5], "blocked": [1, 1, 1, 0]}}


def test_ticks_without_end_are_bounded(machine, monkeypatch):
    monkeypatch.setattr(host_pressure, "_LOOKS_LIMIT", 5)
    pressure = machine.begin()
    for _number in range(50):
        pressure.tick()
    assert len(pressure.finish()["run_queue"]["samples"]) == 6


@pytest.mark.parametrize(
    ("seconds", "looks"),
    [
        (0, 2),
        (0.05, 2),
        (1, 11),
        (2, 21),
    ],
)
def test_collect_waits_in_slices(machine, monkeypatch, seconds, looks):
    monkeypatch.setattr(host_pressure, "Pressure", machine.begin)
    section = host_pressure.collect(seconds)
    assert section["seconds"] == pytest.approx(seconds)
    assert abs(len(section["run_queue"]["samples"]) - looks) <= 1  # a slice more or less by rounding


@pytest.mark.parametrize("seconds", [0, 2.5, 100])
def test_seconds_that_fit(seconds):
    assert host_pressure.why_not(seconds) == ""


@pytest.mark.parametrize("seconds", [-0.1, 100.5, float("nan"), float("inf")])
def test_seconds_that_do_not_fit(seconds):
    assert host_pressure.why_not(seconds) == f"sample_seconds: {seconds:g}: 0 to 100 expected"


@pytest.mark.parametrize(
    ("gone", "more"),
    [
        # Not in use, or not known to this kernel: nothing is missing.
        (["/proc/pressure/cpu", "/proc/pressure/memory", "/proc/pressure/io"], {"psi": None}),
        (["/proc/pressure/io"], {"psi": {"cpu": STALLS, "memory": STALLS, "io": None}}),
        (
            ["/proc/sys/net/netfilter/nf_conntrack_count", "/proc/sys/net/netfilter/nf_conntrack_max"],
            {"conntrack": None},
        ),
        # A container without /sys: /proc/stat has lines cpu0 and cpu1.
        (
            ["/sys/devices/system/cpu/online", "/sys/devices/system/cpu/present"],
            {"cpus": {"online": 2, "present": None}},
        ),
    ],
)
def test_what_the_kernel_does_not_have(machine, gone, more):
    for path in gone:
        machine.place(path).unlink()
    assert machine.look() == {**SECTION, **more}


def test_psi_that_was_switched_off_at_boot(machine, monkeypatch):
    real = procfs.text

    def text(path, *limit):
        if "/pressure/" in path:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported", path)
        return real(path, *limit)

    monkeypatch.setattr(procfs, "text", text)
    assert machine.look() == {**SECTION, "psi": None}


# What of the section is unknown without a file, and under which names it is missing.
NEEDED = [
    ("/proc/stat", {"cpu": None, "steal_since_boot": None, "run_queue": {"samples": [], "blocked": []}}),
    ("/proc/loadavg", {"load": None, "threads": None}),
    ("/proc/meminfo", {"memory": None}),
    ("/proc/sys/fs/file-nr", {"files": None}),
    ("/proc/sys/kernel/threads-max", {"threads": None}),
    ("/proc/sys/kernel/pid_max", {"threads": None}),
]
ALSO_GARBAGE = [
    ("/proc/pressure/io", {"psi": {"cpu": STALLS, "memory": STALLS, "io": None}}),
    ("/proc/sys/net/netfilter/nf_conntrack_count", {"conntrack": None}),
    ("/proc/sys/net/netfilter/nf_conntrack_max", {"conntrack": None}),
    ("/sys/devices/system/cpu/online", {}),  # /proc/stat tells it too
    ("/sys/devices/system/cpu/present", {"cpus": {"online": 2, "present": None}}),
]


@pytest.mark.parametrize(("path", "more"), NEEDED)
def test_a_file_that_is_gone(machine, path, more):
    machine.place(path).unlink()
    gap = {"what": path, "why": "No such file or directory"}
    assert machine.look() == {**SECTION, **more, "complete": False, "missing": [gap]}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"{{ lookup('pipe', 'id') }}\n", b"-1\n", b"9" * 100000])
@pytest.mark.parametrize(("path", "more"), [*NEEDED, *ALSO_GARBAGE])
def test_a_file_that_holds_garbage(machine, path, more, content):
    machine.write(path, content)
    section = machine.look()
    (gap,) = section["missing"]
    assert gap["what"] == path
    assert gap["why"].startswith("not understood: ")
    assert len(gap["why"]) < 200
    assert section == {**SECTION, **more, "complete": False, "missing": [gap]}


@pytest.mark.parametrize("path", [path for path, _more in [*NEEDED, *ALSO_GARBAGE]])
def test_a_file_that_is_none(machine, path):
    machine.place(path).unlink()
    machine.place(path).mkdir()
    assert machine.look()["missing"] == [{"what": path, "why": "Is a directory"}]


def test_all_at_once(machine):
    for path in FILES:
        machine.write(path, "\x1b]0;pwned\x07\n")
    section = machine.look()
    assert {gap["what"] for gap in section["missing"]} == set(FILES)
    json.dumps(section, allow_nan=False)
    assert "\x1b" not in str([gap["why"] for gap in section["missing"]])
    assert {name for name, value in section.items() if value is None} == {
        *("cpu", "steal_since_boot", "load", "psi", "memory", "files", "conntrack", "threads"),
    }
    assert section["cpus"] == {"online": None, "present": None}


def test_a_first_sample_that_failed(machine):
    """What needs two is unknown; what the second tells is told."""
    machine.write("/proc/stat", "garbage")
    section = machine.look(lambda: machine.write("/proc/stat", LATER))
    assert section["cpu"] is None
    assert (section["steal_since_boot"], section["run_queue"]["samples"]) == (SECTION["steal_since_boot"], [5])
    assert [gap["what"] for gap in section["missing"]] == ["/proc/stat"]


def test_counters_that_make_no_sense(machine):
    """A virtual machine that was moved: the shares are unknown, not zero and not near one."""
    section = machine.look(lambda: machine.write("/proc/stat", LATER.replace(" 1300 ", " 999999 ")))
    why = "9991 s of CPU time in 2.0 s: the machine was paused or moved, sample again"
    assert section["cpu"] is None
    assert section["missing"] == [{"what": "CPU shares", "why": why}]


@pytest.mark.parametrize("step", [-3600.25, -0.001, 0.5, 86400.0])
def test_a_clock_that_was_set_meanwhile(machine, step):
    def set_clock():
        machine.step = step

    assert machine.look(set_clock)["clock"]["step_seconds"] == step


@pytest.mark.parametrize("step", [0.0004, -0.0004])
def test_less_than_a_millisecond_is_no_step(machine, step):
    def set_clock():
        machine.step = step

    # As it is printed: -0.0 would look like a step back.
    assert str(machine.look(set_clock)["clock"]["step_seconds"]) == "0.0"


def test_a_clock_that_was_set_before(machine):
    place = machine.node.file("/var/log/wtmp", "")
    os.utime(str(place), ns=((NOW + 3600) * 10**9,) * 2)
    assert machine.look()["clock"]["from_future"] == [{"path": "/var/log/wtmp", "seconds": 3598.0}]


def test_a_place_that_cannot_be_searched_is_a_gap(machine, monkeypatch):
    def from_future(now_ns, root):
        assert (now_ns, root) == ((NOW + 2) * 10**9, str(machine.node.root))
        return [], [{"what": "/var/lib/chrony", "why": "Permission denied: run with become (-b)"}]

    monkeypatch.setattr(host_pressure.clock_traces, "from_future", from_future)
    section = machine.look()
    gap = {"what": "/var/lib/chrony", "why": "Permission denied: run with become (-b)"}
    assert section == {**SECTION, "complete": False, "missing": [gap]}


def test_a_kernel_clock_that_cannot_be_asked(machine, monkeypatch):
    def refuse():
        raise clock.ClockError("adjtimex cannot be called: No module named '_ctypes'")

    monkeypatch.setattr(clock, "kernel_clock", refuse)
    section = machine.look()
    unknown = dict.fromkeys(("synchronized", "offset_seconds", "max_error_seconds"))
    why = "adjtimex cannot be called: No module named '_ctypes'"
    assert section["clock"] == {**SECTION["clock"], **unknown}
    assert section["missing"] == [{"what": "clock synchronisation", "why": why}]


def without_chronyd(node):
    (node.proc / "10" / "comm").write_text("sshd\n")


def hidden(node):
    node.hidepid()


def contained(node):
    without_chronyd(node)
    os.symlink("pid:[4026532200]", str(node.proc / "self" / "ns" / "pid"))


def contained_with_chronyd(node):
    os.symlink("pid:[4026532200]", str(node.proc / "self" / "ns" / "pid"))


@pytest.mark.parametrize(
    ("change", "keepers", "why"),
    [
        (without_chronyd, [], None),
        (hidden, ["chronyd"], "/proc is mounted with hidepid"),
        (contained, [], "this is a container with its own pid namespace"),
        # It keeps the clock, whatever runs outside.
        (contained_with_chronyd, ["chronyd"], None),
    ],
)
def test_who_keeps_the_clock(machine, change, keepers, why):
    change(machine.node)
    section = machine.look()
    assert section["clock"]["keepers"] == keepers
    assert [gap["what"] for gap in section["missing"]] == (["time daemons"] if why else [])
    assert all(why in gap["why"] for gap in section["missing"])


def test_what_could_keep_the_clock(machine):
    machine.node.file("/usr/lib/systemd/system/chrony.service", "[Service]\n")
    assert machine.look()["clock"]["services"] == ["chrony.service"]


def test_what_could_keep_the_clock_may_not_be_seen(machine, monkeypatch):
    monkeypatch.setattr(host_pressure.time_services, "installed", lambda _root: None)
    section = machine.look()
    assert section["clock"]["services"] is None
    assert [gap["what"] for gap in section["missing"]] == ["time services"]


def test_no_proc_at_all(tmp_path):
    """Whatever is not there, the section says so and nothing is raised."""
    section = Pressure(str(tmp_path / "proc"), str(tmp_path / "sys"), str(tmp_path)).finish()
    assert section["cpus"] == {"online": None, "present": None}
    assert {"/proc/stat", "/proc/loadavg", "/proc/meminfo", "time daemons"} <= {
        gap["what"] for gap in section["missing"]
    }


def test_this_machine():
    section = host_pressure.collect(0.3)
    json.dumps(section, allow_nan=False)
    assert set(section) == set(SECTION)
    assert section["seconds"] >= 0.3
    assert section["memory"]["available"] <= section["memory"]["total"]


def test_what_looking_cost_is_left_out(machine, monkeypatch):
    looks = iter([cpu_times.Own(1.5, 0.5), cpu_times.Own(2.0, 0.9)])
    monkeypatch.setattr(cpu_times, "own", lambda: next(looks))
    told = machine.look()
    assert told["cpu"] == {"user": 0.125, "system": 0.0, "iowait": 0.025, "irq": 0.0, "steal": 0.25, "idle": 0.6}
