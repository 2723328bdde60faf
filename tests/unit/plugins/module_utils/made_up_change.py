# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up node on which a fix has something to change: a configuration, a setting, and units of a made-up systemd."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import stat
import tempfile

from ansible_collections.kubenode.doctor.plugins.module_utils import change, change_store
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import (
    Enable,
    FileText,
    Reload,
    Restart,
    Sysctl,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.made_up_systemd import MadeUpSystemd

STORE = change_store.FOLDER
DIGEST = hashlib.sha256(b"a plan").hexdigest()
CONFIG = "/etc/containerd/config.toml"
OLD = 'version = 2\n[registry]\n  password = "hunter2"\n[cri]\n  stream_server_port = "0"\n'
NEW = OLD.replace('"0"', '"10010"')
KEY = "net.core.somaxconn"
UNIT = "containerd.service"
CLOCK = "chrony.service"
SECONDS = 20


@contextlib.contextmanager
def folder_in_memory():
    """Where this machine has it: hundreds of changes take seconds on a disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        yield pathlib.Path(folder)


class Scene:
    """A node with a configuration, a setting and units."""

    def __init__(self, node, monkeypatch):
        (node.root / "var" / "lib").mkdir(parents=True)
        self.node = node
        self.places = Places(str(node.proc), str(node.root))
        self.config = node.file(CONFIG, OLD)
        self.config.chmod(0o640)
        self.sysctl = node.proc / "sys" / "net" / "core" / "somaxconn"
        self.sysctl.parent.mkdir(parents=True)
        self.sysctl.write_text("4096\n")
        self.systemd = MadeUpSystemd(node, monkeypatch)
        self.systemd.unit(UNIT, str(self.config))
        self.systemd.unit(CLOCK, active="inactive", enabled="disabled")
        self.store = node.root / STORE.lstrip("/")

    def prepare(self, *steps):
        return change.prepare(steps, self.places)

    def carry_out(self, *steps, verify=lambda _deadline: "", digest=DIGEST):
        return change.carry_out(STORE, "pin-stream-port", digest, self.prepare(*steps), verify, self.places, SECONDS)

    def undo(self, outcome, check=False):
        return change.undo(STORE, outcome.id, self.places, SECONDS, check)

    def recover(self, check=False):
        return change.recover(STORE, self.places, SECONDS, check)

    def files(self):
        """All that is on the made-up disk, but for the programs: path, content, mode."""
        places = (place for top in ("etc", "var") for place in sorted((self.node.root / top).rglob("*")))
        return [
            (str(place), place.read_bytes() if place.is_file() else None, stat.S_IMODE(place.stat().st_mode))
            for place in places
        ]


STEPS = (
    FileText(CONFIG, NEW),
    FileText("/etc/sysctl.d/60-doctor.conf", f"{KEY} = 8192\n"),
    Sysctl(KEY, "8192"),
    Reload(),
    Restart(UNIT),
    Enable(CLOCK),
)
