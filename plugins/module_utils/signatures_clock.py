# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock was set, or was found to have gone back."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, KERNEL
from ansible_collections.kubenode.doctor.plugins.module_utils.signature import Signature, Wording
from ansible_collections.kubenode.doctor.plugins.module_utils.signature_words import CLOCK

_SYSTEMD = "https://github.com/systemd/systemd/blob/main/src"
_SECONDS = r"(?P<seconds>[+-]?[0-9]{1,12}\.[0-9]{1,9})"

CLOCK_STEPPED = Signature(
    id="clock-stepped",
    level="info",
    title="The clock was set by a jump",
    meaning=(
        "A program that keeps the time set the clock in one jump; less than nothing means back. Jumps are normal at"
        " the start of a machine, and on boards without a battery they are long. A jump back while containers run"
        " makes kubelet take an older container for the newest."
    ),
    cure=(
        "Let kubelet start after the clock is right: order it after time-sync.target and enable chrony-wait.service,"
        " or the wait service of what keeps the time. Give a board a real-time clock, or replace its battery."
    ),
    sources=(JOURNAL,),
    units=CLOCK,
    wordings=(
        Wording(
            anchor="System clock was stepped by ",
            pattern=rf"System clock was stepped by {_SECONDS} seconds",
            versions="chrony",
            link="https://gitlab.com/chrony/chrony/-/blob/master/local.c",
        ),
        Wording(
            anchor=" clock_step ",
            pattern=rf" clock_step {_SECONDS} s\b",
            versions="ntpd 4.2.6 and newer",
            link="https://www.ntp.org/documentation/4.2.8-series/decode/",
        ),
        Wording(
            anchor="time reset ",
            pattern=rf"time reset {_SECONDS} s\b",
            versions="ntpd of older versions, or run once (-q)",
            link="https://github.com/ntp-project/ntp/blob/master-no-authorname/ntpd/ntp_loopfilter.c",
        ),
        Wording(
            anchor="CLOCK: time stepped by ",
            pattern=rf"CLOCK: time stepped by {_SECONDS}",
            versions="ntpsec",
            link="https://gitlab.com/NTPsec/ntpsec/-/blob/master/libntp/systime.c",
        ),
        Wording(
            anchor="step time server ",
            pattern=rf"step time server [^ ]{{1,80}} offset {_SECONDS} sec",
            versions="ntpdate",
            link="https://github.com/ntp-project/ntp/blob/master-no-authorname/ntpdate/ntpdate.c",
        ),
    ),
)

CLOCK_JUMPED_BACK = Signature(
    id="clock-jumped-back",
    level="warning",
    title="The clock was seen to go back",
    meaning=(
        "A program noticed that the clock shows an earlier time than it had shown before. What was created in between"
        " seems to come from the future, and kubelet may take an older container for the newest."
    ),
    cure=(
        "Find out who set the clock: what keeps the time, a hypervisor after a pause, or a person. Boards without a"
        " battery start in the past: let kubelet start after time-sync.target."
    ),
    # journald writes to the kernel's log as well, where it is read again as the kernel's.
    sources=(JOURNAL, KERNEL),
    wordings=(
        Wording(
            anchor="Time jumped backwards, rotating",
            pattern=r"Time jumped backwards, rotating",
            versions="systemd-journald",
            link=f"{_SYSTEMD}/journal/journald-manager.c",
        ),
        Wording(
            anchor="clock jumped backwards relative to last journal entry",
            pattern=r"Realtime clock jumped backwards relative to last journal entry",
            versions="systemd-journald 254 and newer",
            link=f"{_SYSTEMD}/journal/journald-manager.c",
        ),
        Wording(
            anchor="Journal file is from the future",
            pattern=r"Journal file is from the future",
            versions="systemd-journald before 254",
            link="https://github.com/systemd/systemd/blob/v252/src/journal/journald-server.c",
        ),
        Wording(
            anchor="System clock time unset or jumped backwards",
            pattern=r"System clock time unset or jumped backwards",
            versions="systemd-timesyncd, at its start",
            link=f"{_SYSTEMD}/timesync/timesyncd.c",
        ),
        Wording(
            anchor="Backward time jump detected",
            pattern=r"Backward time jump detected",
            versions="chrony",
            link="https://gitlab.com/chrony/chrony/-/blob/master/sched.c",
        ),
    ),
)

SIGNATURES = (CLOCK_STEPPED, CLOCK_JUMPED_BACK)
