# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fix raise-conntrack: more room in the kernel's table of tracked connections, now and at each boot.

The hash table in front of the entries (nf_conntrack_buckets) grows with it where a bucket would come to hold more than four of them, as kube-proxy
has it (cmd/kube-proxy/app/conntrack.go, SetMax). At boot sysctl.d can only set what is there by then, so the module has to be loaded before
(sysctl.d(5), examples; modules-load.d(5)).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import conf_folders, procfs, sysctl_setting
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import FileText, Step, Sysctl
from ansible_collections.kubenode.doctor.plugins.module_utils.conf_folders import ConfError
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import (
    AGAIN,
    NEEDED,
    Places,
    Plan,
    TargetError,
    done,
    read_target,
    stopped,
    target_text,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.sysctl_setting import Setting, SettingError

FIX = "raise-conntrack"
KEY = "net.netfilter.nf_conntrack_max"
# struct nf_conn and its extensions, rounded up: 256 to 320 bytes in /proc/slabinfo on x86-64.
ENTRY_BYTES = 320
_BUCKET_BYTES = 8
_COUNT_KEY = "net.netfilter.nf_conntrack_count"
_BUCKETS_KEY = "net.netfilter.nf_conntrack_buckets"
_ENTRIES_A_BUCKET = 4
# kube-proxy lets its own figure grow no further (cmd/kube-proxy/app, getConntrackMax of 1.36).
_PROXY_MOST = 1048576
_MOST = 2**31 - 1  # the setting is an int (net/netfilter/nf_conntrack_standalone.c)
_NAME = "conntrack"
_COMMENTS = (
    "fix raise-conntrack. The table of tracked connections was nearly full; a full one drops new connections.",
    "kube-proxy writes a figure of its own when it starts (conntrack.min, conntrack.maxPerCore).",
)
_MODULE = "nf_conntrack"
_LOADS_IT = ("nf_conntrack", "ip_vs")  # modules whose names begin so are it, or need it
_MODULE_FOLDERS = (
    "/etc/modules-load.d",
    "/run/modules-load.d",
    "/usr/local/lib/modules-load.d",
    "/usr/lib/modules-load.d",
    "/lib/modules-load.d",
)
_MODULE_FILE = "/etc/modules-load.d/60-conntrack.conf"


class _Wish(NamedTuple):
    """``entries`` is the new limit, ``limit`` the one that was diagnosed, ``worth`` how many entries in use are a finding."""

    entries: int
    limit: int
    worth: int


class _Buckets(NamedTuple):
    """How many the hash table has, and is to have."""

    before: int
    after: int


def target(entries: int, limit: int, worth: int) -> str:
    """As the rule writes it: the new limit, today's, and from how many entries in use on that is a finding."""
    return target_text(entries=entries, limit=limit, worth=worth)


def memory_mib(entries: int) -> int:
    """What a table of so many entries takes of the kernel's memory when it is full."""
    return entries * ENTRY_BYTES // 2**20


def in_kube_proxy(entries: int) -> Tuple[str, Tuple[str, ...]]:
    """How kube-proxy's own figure becomes no less, and the commands (kubeadm's names).

    Above the most that it sets, let it set none, which maxPerCore 0 means.
    """
    change = f"set conntrack.min to {entries}"
    if entries > _PROXY_MOST:
        change = f"set conntrack.maxPerCore to 0, so that it leaves the limit as it is (by itself it sets {_PROXY_MOST} at most),"
    return change, (
        "kubectl -n kube-system edit configmap kube-proxy",
        "kubectl -n kube-system rollout restart daemonset/kube-proxy",
    )


def plan(targets: Sequence[str], _choices: Mapping[str, Any], places: Places, deadline: Deadline) -> Plan:
    """Raise the limit to the most that a target asks for."""
    try:
        wish = _joined([_read(text) for text in targets])
        enough = sysctl_setting.at_least(wish.entries)
        setting = sysctl_setting.look(KEY, places, deadline)
        count = _number(_COUNT_KEY, places)
        refusal = _why_not(wish, setting)
        if refusal:
            return stopped(refusal)
        if count < wish.worth and not enough(setting.live):
            return done(f"the table has room now: {count} of {setting.live} entries are in use")
        buckets = _buckets(wish.entries, places)
        beside = {_BUCKETS_KEY: str(buckets.after)} if buckets else {}
        change = sysctl_setting.change(setting, str(wish.entries), enough, _NAME, _COMMENTS, beside)
        module = _module_step(places, deadline) if change.path else None
    except (SettingError, ConfError, TargetError) as error:
        return stopped(str(error))
    if not change.steps:
        return done(f"{KEY} is {setting.live} already{sysctl_setting.but_for_conf(setting, enough)}")
    if enough(setting.live):  # for the boot alone
        buckets = None
    return Plan(
        NEEDED,
        told=(*change.told, *_told(wish, buckets, module, places)),
        undo=(*change.undo, *_undo(buckets, module)),
        steps=tuple(_steps(change.steps, buckets, module)),
        verify=lambda later: sysctl_setting.verify(setting, enough, places, later),
    )


def _steps(steps: Sequence[Step], buckets: Optional[_Buckets], module: Optional[FileText]) -> Iterator[Step]:
    """The hash table grows before the limit, which is set last."""
    *files, last = steps
    if module:
        yield module
    yield from files
    if buckets:
        yield Sysctl(_BUCKETS_KEY, str(buckets.after))
    yield last


def _undo(buckets: Optional[_Buckets], module: Optional[FileText]) -> Iterator[str]:
    if buckets:
        yield f"sysctl -w {_BUCKETS_KEY}={buckets.before}"
    if module:
        yield f"rm {module.path}"


def _read(text: str) -> _Wish:
    fields = read_target(text, {"entries": (int,), "limit": (int,), "worth": (int,)})
    wish = _Wish(fields["entries"], fields["limit"], fields["worth"])
    if not 0 < wish.entries <= _MOST:
        raise TargetError(f"no table can hold {wish.entries} entries")
    return wish


def _joined(wishes: Sequence[_Wish]) -> _Wish:
    """The largest. Raises TargetError where they were diagnosed on different limits, or there is none."""
    if len({wish.limit for wish in wishes}) != 1:
        raise TargetError("the findings tell of different limits" if wishes else "there is nothing to raise")
    return max(wishes)


def _why_not(wish: _Wish, setting: Setting) -> str:
    if setting.live != str(wish.limit) and not sysctl_setting.at_least(wish.entries)(setting.live):
        return f"{KEY} is {sysctl_setting.shown(setting.live)} now, and was {wish.limit}: somebody else sets it, too. {AGAIN}"
    return ""


def _number(key: str, places: Places) -> int:
    text = sysctl_setting.live_value(key, places)
    if not sysctl_setting.at_least(0)(text):
        raise SettingError(f"{key} is no number: {sysctl_setting.shown(text)}")
    return int(text)


def _buckets(entries: int, places: Places) -> Optional[_Buckets]:
    """None where the hash table has enough of them, or cannot be changed (before Linux 4.7).

    The kernel rounds up to whole pages (nf_ct_alloc_hashtable).
    """
    try:
        before = _number(_BUCKETS_KEY, places)
    except SettingError:
        return None
    wanted = -(-entries // _ENTRIES_A_BUCKET)
    if before >= wanted or sysctl_setting.why_read_only(_BUCKETS_KEY, places):
        return None
    in_page = os.sysconf("SC_PAGE_SIZE") // _BUCKET_BYTES
    return _Buckets(before, -(-wanted // in_page) * in_page)


def _module_step(places: Places, deadline: Deadline) -> Optional[FileText]:
    """The file that has the module loaded at boot; None where something else does, or it is no module here. Raises ConfError."""
    try:
        modules = procfs.text(f"{places.proc}/modules", 1 << 20)
    except OSError:  # a kernel without modules
        return None
    if not any(line.split(" ", 1)[0] == _MODULE for line in modules.splitlines()):
        return None
    files = conf_folders.read(places.root, _MODULE_FOLDERS, deadline)
    if any(line.strip().startswith(_LOADS_IT) for file in files for line in file.text.splitlines()):
        return None
    if any(file.path == _MODULE_FILE for file in files):
        raise ConfError(f"{_MODULE_FILE} is there and does not load {_MODULE}: add that line")
    return FileText(
        _MODULE_FILE, f"# kubenode.doctor: {FIX}. sysctl.d can only set {KEY} when this is loaded.\n{_MODULE}\n"
    )


def _told(wish: _Wish, buckets: Optional[_Buckets], module: Optional[FileText], places: Places) -> Iterator[str]:
    yield "nothing is restarted and no connection is cut"
    yield f"the table may take up to {memory_mib(wish.entries)} MiB of kernel memory when it is full ({ENTRY_BYTES} bytes an entry)"
    if buckets:
        memory = buckets.after * _BUCKET_BYTES // 2**20
        yield f"{_BUCKETS_KEY} becomes {buckets.after}, one for {_ENTRIES_A_BUCKET} entries ({memory} MiB): the kernel sorts all entries anew for a moment"
    if module:
        yield f"{module.path} (new) has {_MODULE} loaded before the boot sets it"
    change, commands = in_kube_proxy(wish.entries)
    here = "kube-proxy runs here and" if _runs_kube_proxy(places) else "kube-proxy, where it sets the limit,"
    yield f"{here} writes its own figure again when it starts. To have that be no less, {change} in its configuration, and restart it: {'; '.join(commands)}"


def _runs_kube_proxy(places: Places) -> bool:
    try:
        return any(procfs.comm(pid, places.proc) == "kube-proxy" for pid in procfs.pids(places.proc))
    except OSError:
        return False
