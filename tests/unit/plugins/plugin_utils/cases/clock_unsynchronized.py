# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import (
    BARE,
    FIXTURES,
    Case,
    Scene,
    captured,
    changed,
    gap,
    kubernetes_136,
    live,
    unknowns,
)

CLOCK = "host_pressure.clock"
HIDDEN = "/proc hides others' processes: run with become (-b)"


def kept(synchronized, error, keepers, snapshot=None, more=None, **options):
    """``more`` is what older bundles do not tell of the clock: for how long it is kept, which services are installed."""
    told = {"synchronized": synchronized, "max_error_seconds": error, "keepers": keepers, **(more or {})}
    snapshot = captured("node-a") if snapshot is None else snapshot
    snapshot["sections"]["host_pressure"]["clock"].update(told)
    return live(snapshot=snapshot, **options)


def off(*services, keepers=(), **fields):
    """A clock that nobody keeps, on a machine with these time services."""
    return kept(False, 16.0, list(keepers), more={"kept_seconds": None, "services": list(services)}, **fields)


def hidden():
    return gap(captured("node-a"), "host_pressure", "time daemons", HIDDEN)


CASES = [
    Case(
        "nobody keeps it",
        "fail",
        kept(False, 16.0, []),
        "node-a",
        "warning",
        words=(
            "the clock is not synchronized, and no program that would do it was seen",
            "the kernel (adjtimex): not synchronized, and off by up to 16 s as far as it knows",
            "running: none of chronyd, ntpd, systemd-timesyncd, ptp4l and the like",
            "install chrony",
            "where the clock is ahead of the true time, it goes back",
        ),
        absent=("although", "could be seen"),
        commands=("timedatectl set-ntp true", "timedatectl"),
    ),
    Case(
        "a time service is installed and off",
        "fail",
        off("chrony.service", "systemd-timesyncd.service"),
        "node-a",
        "warning",
        words=("switch on chrony.service, which is installed and does not run",),
        absent=("install chrony",),
        commands=("systemctl enable --now chrony.service", "timedatectl"),
    ),
    Case(
        "none is installed",
        "fail",
        off(),
        "node-a",
        words=("install chrony, switch it on",),
        absent=("switch on the time service that is installed",),
        commands=("timedatectl",),
    ),
    Case(
        "a time service is installed, and not all programs could be seen",
        "fail",
        off("chrony.service", snapshot=hidden()),
        "node-a",
        commands=("timedatectl set-ntp true",),
    ),
    Case(
        "a time service is installed, and the hypervisor may keep the clock",
        "fail",
        off("chrony.service", keepers=["vmtoolsd"]),
        "node-a",
        "info",
        commands=("timedatectl set-ntp true",),
    ),
    Case(
        "a daemon that was just started",
        "unknown",
        kept(False, 16.0, ["chronyd"], more={"kept_seconds": 179.9, "services": ["chrony.service"]}),
        "node-a",
        words=("chronyd runs since 180 s only, which may be too short to find the right time",),
    ),
    Case(
        "a daemon that had time enough",
        "fail",
        kept(False, 16.0, ["chronyd"], more={"kept_seconds": 180.0, "services": ["chrony.service"]}),
        "node-a",
        words=("although chronyd runs",),
        absent=("switch on",),
    ),
    Case(
        "the hypervisor's tools, just started, are none that will find it",
        "fail",
        kept(False, 16.0, ["vmtoolsd"], more={"kept_seconds": 5.0, "services": []}),
        "node-a",
        "info",
    ),
    Case(
        "a daemon that should be quicker",
        "fail",
        kept(
            False,
            16.0,
            ["chronyd"],
            more={"kept_seconds": 100.0, "services": []},
            thresholds={"clock_settle_seconds": 60},
        ),
        "node-a",
    ),
    Case(
        "chronyd reaches no server",
        "fail",
        kept(False, 16.0, ["chronyd"]),
        "node-a",
        "warning",
        words=("although chronyd runs", "running: chronyd", "UDP port 123", "see what chronyd thinks of its servers"),
        absent=("set-ntp", "install chrony"),
        commands=("chronyc -n tracking", "chronyc -n sources"),
    ),
    Case(
        "systemd-timesyncd, whose name the kernel cuts",
        "fail",
        kept(False, 16.0, ["systemd-timesyn"]),
        "node-a",
        words=("although systemd-timesyncd runs",),
        commands=("timedatectl timesync-status",),
    ),
    Case("ntpd", "fail", kept(False, 16.0, ["ntpd"]), "node-a", commands=("ntpq -pn",)),
    Case("one that cannot be asked", "fail", kept(False, 16.0, ["ptp4l"]), "node-a", words=("although ptp4l runs",)),
    Case(
        "the hypervisor's tools alone, which tell the kernel nothing",
        "fail",
        kept(False, 16.0, ["VBoxService", "vmtoolsd"]),
        "node-a",
        "info",
        words=("whether the clock is right is not known: nothing but VBoxService, vmtoolsd", "install chrony"),
    ),
    Case(
        "the hypervisor's tools and a daemon",
        "fail",
        kept(False, 16.0, ["chronyd", "vmtoolsd"]),
        "node-a",
        "warning",
        words=("although chronyd, vmtoolsd run",),
    ),
    Case(
        "who keeps it could not be seen",
        "fail",
        kept(False, 16.0, [], hidden()),
        "node-a",
        "warning",
        words=(
            "the clock is not synchronized\n",
            f"not all of the machine's programs could be seen: time daemons: {HIDDEN}",
        ),
        absent=("no program that would do it", "running: none"),
    ),
    Case(
        "a smaller error was asked for",
        "fail",
        kept(False, 4.0, ["chronyd"], thresholds={"clock_max_error_seconds": 4}),
        "node-a",
        words=("off by up to 4 s",),
    ),
    Case(
        "as the machine was captured, whose clock nobody keeps",
        "fail",
        Scene(
            {
                "bare": changed(
                    captured("bare"),
                    "host_pressure",
                    json.loads((FIXTURES / "bundle" / "host-pressure-quiet.json").read_text(encoding="utf-8")),
                )
            },
            kubernetes_136(),
        ),
        "bare",
        "warning",
    ),
    Case("chronyd without rtcsync", "pass", kept(False, 0.75, ["chronyd"]), "node-a"),
    Case("just below", "pass", kept(False, 15.9, []), "node-a"),
    Case(
        "a larger error was asked for",
        "pass",
        kept(False, 16.0, [], thresholds={"clock_max_error_seconds": 17}),
        "node-a",
    ),
    Case("the kernel says that it is", "pass", kept(True, 16.0, []), "node-a"),
    Case("it is, by whom could not be seen", "pass", kept(True, 0.02, [], hidden()), "node-a"),
    Case("somebody keeps it", "pass", live(), "node-a"),
    Case("on a host that is no node", "pass", BARE, "bare"),
    Case(
        "the kernel was not asked",
        "unknown",
        kept(None, None, [], gap(captured("node-a"), "host_pressure", "clock synchronisation", "adjtimex: no ctypes")),
        "node-a",
        words=("clock synchronisation: adjtimex: no ctypes",),
    ),
    Case(
        "nothing of the clock was seen",
        "unknown",
        live(CLOCK, None),
        "node-a",
        words=("what the kernel knows of its clock was not seen",),
    ),
    *unknowns(("host_pressure",)),
]
