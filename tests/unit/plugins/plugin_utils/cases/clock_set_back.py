# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.log_scene import logs, message, missing
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    Case,
    captured,
    captured_section,
    gap,
    live,
    lost,
    unknowns,
)

CLOCK = "host_pressure.clock"
SECOND = 10**9
HOUR = 3600 * SECOND
TOLD = "was created"


def attempts(*told, **changes):
    """The section ``containers`` with a container of these attempts: ``(attempt, state, created, seconds before the look or None)``."""
    section = captured_section("containers-quiet")
    group = next(group for group in section["groups"] if group["container"] == "kube-apiserver")
    like = group["instances"][0]
    group["instances"] = [
        {
            **like,
            "id": f"{attempt:02d}" * 32,
            "attempt": attempt,
            "state": state,
            "created_ns": None if before is None else section["now_ns"] - int(before * SECOND),
            "started_ns": None,
            "finished_ns": None,
            **changes,
        }
        for attempt, state, before in told
    ]
    return section


def containers(*told, **changes):
    return live("containers", attempts(*told, **changes))


def files(*seconds, **options):
    late = [{"path": f"/var/log/pods/{number}", "seconds": by} for number, by in enumerate(seconds)]
    return live(f"{CLOCK}.from_future", late, **options)


def stepped(seconds, **options):
    return live(f"{CLOCK}.step_seconds", seconds, **options)


def chronyd(seconds, **fields):
    sample = f"System clock was stepped by {seconds} seconds"
    return message("clock-stepped", sample, unit="chronyd.service", seconds=seconds, **fields)


def jumped(**fields):
    return message("clock-jumped-back", "Time jumped backwards, rotating.", unit="systemd-journald.service", **fields)


def logged(*messages, **options):
    return live("logs", logs(*messages), **options)


def without(section, *changes):
    """The section was not reached in time."""
    return live(*changes, snapshot=lost(captured("node-a"), section, section, "the budget of 20 s ended before it"))


# Seed 002 does not tell to the second when its two attempts were created; both ten days before it was written down.
SEED_002 = attempts((24, "running", 864_600.0), (23, "exited", 864_000.0))

CASES = [
    Case(
        "seed 002: the living attempt is older than the dead one before it",
        "fail",
        live("containers", SEED_002),
        "node-a",
        "warning",
        words=(
            "the clock was set back\n",
            "It went back by 10 min or more",
            "kubelet takes the container that was created last for the latest attempt",
            (
                "kube-system/kube-apiserver-node-a kube-apiserver attempt 24 (running, 242424242424) was created 2026-11-11T07:50:00Z, "
                "10 min before attempt 23 (exited, 232323232323): the clock was set back between the two"
            ),
            "let kubelet wait until the clock is right",
            "starts no pods for three minutes",
            "makestep 1 3",
            "replace the battery of the hardware clock",
        ),
        absent=("Nothing of it was seen any more", "from now", "while the node was looked at"),
        commands=(
            "systemctl enable chrony-wait.service",
            "mkdir -p /etc/systemd/system/kubelet.service.d",
            "printf '%s\\n' '[Unit]' Wants=time-sync.target After=time-sync.target > /etc/systemd/system/kubelet.service.d/20-time-sync.conf",
            "systemctl daemon-reload",
            "chronyc -n tracking",
            "timedatectl set-local-rtc 0",
            "hwclock --systohc --utc",
        ),
    ),
    Case(
        "another clock daemon",
        "fail",
        live("containers", SEED_002, f"{CLOCK}.keepers", ["systemd-timesyn"]),
        "node-a",
        words=("starts no pods until it does",),
        absent=("three minutes", "makestep", "chronyc"),
        commands=("systemctl enable systemd-time-wait-sync.service",),
    ),
    Case(
        "attempts that are both dead",
        "fail",
        containers((5, "exited", 7300.0), (4, "exited", 100.0)),
        "node-a",
        "warning",
        words=("It went back by 2 h or more", "attempt 5 (exited"),
    ),
    Case("by a tenth of a second", "fail", containers((1, "running", 10.1), (0, "exited", 10.0)), "node-a", "warning"),
    Case(
        "of several attempts the farthest apart",
        "fail",
        containers((4, "running", 500.0), (3, "exited", 300.0), (2, "exited", 100.0), (1, "exited", 900.0)),
        "node-a",
        words=("It went back by 6 min or more", "attempt 4 (running", "before attempt 2"),
        absent=("before attempt 3", "before attempt 1"),
    ),
    Case(
        "created in one tick of a coarse clock", "pass", containers((24, "running", 60), (23, "exited", 60)), "node-a"
    ),
    Case(
        "the same attempt twice, with a suffix",
        "pass",
        containers((3, "running", 500.0), (3, "exited", 100.0), (2, "exited", 900.0)),
        "node-a",
    ),
    Case(
        "kubelet does not take them for its own",
        "pass",
        containers((24, "running", 600.0), (23, "exited", 60.0), own=False),
        "node-a",
    ),
    Case("when one was created is not told", "pass", containers((24, "running", None), (23, "exited", 60)), "node-a"),
    Case(
        "a container that will be created in nine hours",
        "fail",
        containers((0, "running", -32400.0)),
        "node-a",
        "warning",
        words=(
            "It went back by 9 h or more",
            "kube-apiserver attempt 0 (running, 000000000000) created 2026-11-21T17:00:00Z, 9 h from now",
        ),
    ),
    Case(
        "a container that will end",
        "fail",
        containers((0, "exited", 60.0), finished_ns=captured_section("containers-quiet")["now_ns"] + 90 * SECOND),
        "node-a",
        words=("ended 2026-11-21T08:01:30Z, 90 s from now",),
    ),
    Case("a container half a second ahead", "pass", containers((0, "running", -0.5)), "node-a"),
    Case(
        "a date that no calendar has",
        "fail",
        containers((0, "running", -1e12)),
        "node-a",
        words=("created a time that no calendar has",),
    ),
    Case(
        "a file two seconds from now",
        "fail",
        files(2.0),
        "node-a",
        "warning",
        words=("It went back by 2.0 s or more", "/var/log/pods/0 was last written 2.0 s from now"),
    ),
    Case("a file one second from now", "pass", files(1.0), "node-a"),
    Case("a larger step was asked for", "pass", files(2.0, thresholds={"clock_step_seconds": 5}), "node-a"),
    Case(
        "many files",
        "fail",
        files(*(10.0 * number for number in range(1, 9))),
        "node-a",
        words=("/var/log/pods/7 was last written 80 s from now", "and 3 more like the 5 before"),
        absent=("/var/log/pods/0",),
    ),
    Case(
        "back while the node was looked at",
        "fail",
        stepped(-1.5),
        "node-a",
        "warning",
        words=("It went back by 1.5 s or more", "it went back by 1.5 s while the node was looked at"),
    ),
    Case("back by a fifth of a second", "pass", stepped(-0.2), "node-a"),
    Case("a leap second", "pass", stepped(-1.0), "node-a"),
    Case("forward while the node was looked at", "pass", stepped(3600.0), "node-a"),
    Case(
        "chronyd has just set it back",
        "fail",
        logged(chronyd("-32400.283303")),
        "node-a",
        "warning",
        words=(
            "It went back by 9 h or more",
            "chronyd.service, once, 2026-11-21T07:59:30Z (30 s before the look): System clock was stepped by -32400.283303 seconds",
        ),
        absent=("Nothing of it was seen any more",),
    ),
    Case(
        "chronyd has set it back hours ago",
        "fail",
        logged(chronyd("-75.5", ago=20_000.0)),
        "node-a",
        "info",
        words=(
            "It went back by 75 s or more",
            "Nothing of it was seen any more but these lines of the log",
            "(5 h before the look)",
        ),
    ),
    Case(
        "hours ago, and a file shows it still",
        "fail",
        live(
            "logs",
            logs(chronyd("-75.5", ago=20.0e3)),
            f"{CLOCK}.from_future",
            [{"path": "/var/log/wtmp", "seconds": 40}],
        ),
        "node-a",
        "warning",
        words=("/var/log/wtmp", "-75.5 seconds"),
        absent=("Nothing of it was seen any more",),
    ),
    Case(
        "a time that has not come yet",
        "fail",
        logged(chronyd("-75.5", ago=-3600.0)),
        "node-a",
        "warning",
        words=("(60 min after the look)",),
    ),
    Case("chronyd has set it forward", "pass", logged(chronyd("3.000000")), "node-a"),
    Case("chronyd has set it back by little", "pass", logged(chronyd("-0.2")), "node-a"),
    Case("back by little, and journald says so", "pass", logged(chronyd("-0.2"), jumped()), "node-a"),
    Case(
        "journald alone, which does not say how far",
        "fail",
        logged(jumped(count=3, lasted=90.0)),
        "node-a",
        "info",
        words=(
            "the clock was set back\n",
            "systemd-journald.service, 3 times, 2026-11-21T07:58:00Z to 2026-11-21T07:59:30Z (30 s before the look)",
            "(by how much is not told)",
        ),
        absent=("It went back by",),
    ),
    Case("forward, and journald says back", "fail", logged(chronyd("3.0"), jumped()), "node-a", "info"),
    *(Case(f"a step of {text!r}", "pass", logged(chronyd(text)), "node-a") for text in ("-inf", "nan", "", "-", None)),
    Case("nothing shows it", "pass", live(), "node-a"),
    Case("no container runtime is here", "pass", live("containers.runtimes", [], "containers.groups", []), "node-a"),
    Case(
        "containers were not seen, and a file shows it",
        "fail",
        without("containers", f"{CLOCK}.from_future", [{"path": "/run/utmp", "seconds": 61.0}]),
        "node-a",
        "warning",
        words=("/run/utmp",),
    ),
    Case(
        "logs were not seen, and containers show it",
        "fail",
        without("logs", "containers", SEED_002),
        "node-a",
        "warning",
        words=("attempt 24",),
    ),
    Case(
        "containers were not reached",
        "unknown",
        without("containers"),
        "node-a",
        words=("containers: the budget of 20 s ended before it",),
    ),
    Case("logs were not reached", "unknown", without("logs"), "node-a", words=("logs: the budget of 20 s ended",)),
    Case(
        "an engine did not answer",
        "unknown",
        live(snapshot=gap(captured("node-a"), "containers", "docker", "the engine does not answer within 5 s")),
        "node-a",
        words=("docker: the engine does not answer within 5 s",),
    ),
    Case(
        "the journal was not read",
        "unknown",
        live("logs", missing("journal", "Permission denied: run with become (-b)")),
        "node-a",
        words=("journal: Permission denied",),
    ),
    Case(
        "the journal was read in part",
        "unknown",
        live("logs", logs(cut=[("chronyd.service", "budget", 120.0)])),
        "node-a",
        words=("chronyd.service: less than the last 24 h of it was read, because there was no more time",),
    ),
    Case("kubelet's was read in part", "pass", live("logs", logs(cut=[("kubelet.service", "limit", 60.0)])), "node-a"),
    Case("the kernel's log tells nothing of it", "pass", live("logs", missing("kernel ring", "forbidden")), "node-a"),
    Case("logs of pods tell nothing of it", "pass", live("logs", logs(cut=[("pod logs", "budget", None)])), "node-a"),
    Case(
        "a folder was not read",
        "unknown",
        live(snapshot=gap(captured("node-a"), "host_pressure", "/var/log/pods", "Permission denied")),
        "node-a",
        words=("/var/log/pods: Permission denied",),
    ),
    Case(
        "the clock was not seen",
        "unknown",
        live(CLOCK, None, snapshot=gap(captured("node-a"), "host_pressure", "clock synchronisation", "not captured")),
        "node-a",
        words=("clock synchronisation: not captured",),
    ),
    Case("junk", "unknown", live("containers.groups", [7]), "node-a", words=("the data could not be judged",)),
    *unknowns(("host_pressure",)),
]
