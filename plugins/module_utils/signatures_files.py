# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits on open files and on watches of files."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, POD
from ansible_collections.kubenode.doctor.plugins.module_utils.signature import Signature, Wording
from ansible_collections.kubenode.doctor.plugins.module_utils.signature_words import KUBERNETES

_WATCHER = r"(?:inotify|(?:fsnotify|file) watcher|directory watch)"

TOO_MANY_OPEN_FILES = Signature(
    id="too-many-open-files",
    level="warning",
    title="A program has used up the files that it may open",
    meaning=(
        "A program could not open a file or accept a connection, because it has as many open as its limit allows (or,"
        ' with the words "in system", the node has). A server in that state leaves new connections waiting.'
    ),
    cure=(
        "See what the program has open (/proc/PID/fd) against its limit (/proc/PID/limits): thousands of sockets in"
        " CLOSE-WAIT are a leak that a restart ends for a while. Raise LimitNOFILE of its unit when the number is as"
        ' it should be; for the words "in system", raise fs.file-max.'
    ),
    sources=(JOURNAL, POD),
    # The same error of inotify is about another limit.
    negatives=(_WATCHER,),
    wordings=(
        Wording(
            anchor="oo many open files",
            pattern=r"(?:: |24: |Errno 2[34]\] )[Tt]oo many open files",
            versions="all programs, in the words of Go, of the C library and of Python",
            link="https://github.com/moby/moby/issues/35961",
        ),
    ),
)

INOTIFY_LIMIT = Signature(
    id="inotify-limit",
    level="warning",
    title="A program cannot watch files: the limit of inotify is reached",
    meaning=(
        '"Too many open files" of inotify is not about open files: the user, mostly root, has as many inotify'
        ' instances as fs.inotify.max_user_instances allows (128 by default). "No space left on device" of inotify'
        " is not about the disk: it is fs.inotify.max_user_watches. kubelet may not start, kubectl logs -f ends, and"
        " configuration is not read again. All pods of the node count together."
    ),
    cure=(
        "Raise fs.inotify.max_user_instances (8192) and fs.inotify.max_user_watches (524288), and see which program"
        " has so many."
    ),
    sources=(JOURNAL, POD),
    wordings=(
        Wording(
            anchor="oo many open files",
            pattern=rf"{_WATCHER}[^\n]{{0,80}}: [Tt]oo many open files",
            versions="programs that watch files, such as kubelet with cAdvisor, systemd and kubectl logs -f",
            link=f"{KUBERNETES}/issues/58081",
        ),
        Wording(
            anchor="o space left on device",
            pattern=rf"{_WATCHER}[^\n]{{0,400}}: [Nn]o space left on device",
            versions="programs that watch files, such as kubelet with cAdvisor and systemd",
            link="https://github.com/google/cadvisor/issues/1581",
        ),
        Wording(
            anchor="limit for number of file watchers reached",
            pattern=r"System limit for number of file watchers reached",
            versions="programs on Node.js",
            link="https://github.com/nodejs/node/blob/main/lib/internal/fs/watchers.js",
        ),
    ),
)

SIGNATURES = (TOO_MANY_OPEN_FILES, INOTIFY_LIMIT)
