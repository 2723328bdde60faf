# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run on a node of molecule's: brings it into the state of its story, and leaves its programs running.

    python3 /tests/support/molecule_node.py <STORY

STORY is JSON:
    programs  lines such as "kubelet fake_program.py --listen 127.0.0.1:10248": a name, a script of this folder, its arguments
    lost      addresses to which nothing arrives
    files     texts by path
    links     where links lead to, by path
    journal   entries by field, beside those in which nothing is wrong
    rules     what iptables-restore is to read, where it may
"""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_PROGRAMS = Path("/usr/local/bin")
_NAMELESS = ("seed_001_kubelet.py",)  # all other scripts take their name as first argument


def start(line: str, number: int) -> None:
    """Start one program, under its name, and wait until it has said something, which is kept in /run/NAME.said."""
    name, script, *arguments = line.split()
    # The file's name too: a program of another name is not believed to be kubelet.
    program = _PROGRAMS / name
    if not program.exists():
        shutil.copy(Path(sys.executable).resolve(), program)
    words = [str(program), str(_HERE / script), *([] if script in _NAMELESS else [name]), *arguments]
    log = Path(f"/run/program-{number}.log")
    with log.open("wb") as errors:
        started = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
        )
    assert started.stdout is not None
    said = started.stdout.readline()
    if not said:
        raise SystemExit(f"did not start: {line}\n{log.read_text('utf-8')}")
    Path(f"/run/{name}.said").write_bytes(said)


def main() -> None:
    """Do what the story says."""
    story = json.load(sys.stdin)
    # As a file: there is no collection on the node.
    runpy.run_path(str(_HERE / "quiet_logs.py"))["write"](Path("/var/log"), Path("/etc/machine-id"), story["journal"])
    for path, text in story["files"].items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch(mode=0o600)
        Path(path).write_text(text, encoding="utf-8")
    for path, target in story["links"].items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).symlink_to(target)
    if story["rules"] and story["has_rules"]:
        subprocess.run(["iptables-restore"], input=story["rules"], check=True, text=True)
    for address in story["lost"]:
        # 02: locally administered (IEEE 802), so never a real card's
        words = f"ip neigh replace {address} lladdr 02:00:00:00:00:01 dev eth0 nud permanent"
        subprocess.run(words.split(), check=True)
    for number, line in enumerate(story["programs"]):
        start(line, number)


if __name__ == "__main__":
    main()
