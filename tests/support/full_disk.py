# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries a change out on a disk with ever more room, in namespaces of its own, and prints how each one went.

Run with ``unshare --net --mount``: the disk is a small tmpfs, the kernel setting one of the new network namespace. Each run has the whole engine,
with its worker. Then it is done once more and undone while the disk is full.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import change, change_store
from ansible_collections.kubenode.doctor.plugins.module_utils.change_steps import FileText, Sysctl
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import Places

CONFIG, DROP_IN, KEY = "/etc/containerd/config.toml", "/etc/sysctl.d/60-doctor.conf", "net.core.somaxconn"
OLD, NEW = "#" * 9000 + "\n", "#" * 9000 + "\nport = 10010\n"
STEPS = (FileText(CONFIG, NEW), FileText(DROP_IN, f"{KEY} = 8192\n"), Sysctl(KEY, "8192"))
_DIGEST = hashlib.sha256(b"a plan").hexdigest()
_PAGE = 4096


class Disk:
    """A tmpfs as a node's root."""

    def __init__(self, root: Path) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=64", "tmpfs", str(root)], check=True)
        self.root = root
        self.places = Places("/proc", str(root))
        for folder in ("etc/containerd", "var/lib"):
            (root / folder).mkdir(parents=True)
        (root / CONFIG.lstrip("/")).write_text(OLD)

    def leave(self, pages: int) -> None:
        """Fill it but for so many pages."""
        stuffing = self.root / "stuffing"
        stuffing.unlink(missing_ok=True)
        stuffing.write_bytes(b"\0" * (os.statvfs(self.root).f_bfree - pages) * _PAGE)

    def state(self) -> str:
        """Old, new, or what it is else."""
        there = [place for place in self.root.rglob("*") if place.is_file() and place.name != "stuffing"]
        files = {str(place.relative_to(self.root)): place.read_text() for place in there if "var/lib" not in str(place)}
        setting = Path("/proc/sys/net/core/somaxconn").read_text().strip()
        records = [one["state"] for one in change_store.changes(str(self.root))]
        found = (files, setting, records)
        if found == ({CONFIG[1:]: OLD}, "4096", []):
            return "old"
        new = ({CONFIG[1:]: NEW, DROP_IN[1:]: f"{KEY} = 8192\n"}, "8192", ["done"])
        return "new" if found == new else repr(found)

    def carry_out(self) -> dict[str, Any]:
        """How it ended, and what is there then."""
        try:
            prepared = change.prepare(STEPS, self.places)
            outcome = change.carry_out(
                change_store.FOLDER, "pin-stream-port", _DIGEST, prepared, lambda _deadline: "", self.places, 20
            )
            told = {"outcome": outcome.state, "why": outcome.why}
        except change.ChangeError as error:
            told = {"outcome": "stopped", "why": str(error)}
        return {**told, "state": self.state()}

    def undo(self) -> dict[str, Any]:
        """The same of the way back."""
        change_id = f"pin-stream-port-{_DIGEST[:12]}"
        try:
            outcome = change.undo(change_store.FOLDER, change_id, self.places, 20)
            told = {"outcome": outcome.state, "why": outcome.why}
        except change.ChangeError as error:
            told = {"outcome": "stopped", "why": str(error)}
        return {**told, "state": self.state()}


def main(root: Path) -> None:
    disk = Disk(root)
    Path("/proc/sys/net/core/somaxconn").write_text("4096\n")
    acts = {"carry_out": disk.carry_out, "undo": disk.undo}
    told: dict[str, list[dict[str, Any]]] = {}
    for name, act in acts.items():
        told[name] = []
        for pages in range(40):
            disk.leave(pages)
            told[name].append({"pages": pages, **act()})
            if told[name][-1]["outcome"] in ("applied", "undone"):
                break
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
