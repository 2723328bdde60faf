# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit host installs, for nodes of tests that reach no package registry: wheels, and the collections as tarballs.

The wheels are those of the role's requirements, fetched once by this machine's pip into .cache; pip compares each with its digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import yaml
from ansible_collections.kubernetes import core

from ansible_collections.kubenode.doctor.tests.support.docker_nodes import DockerNode
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT, run

REQUIREMENTS = PROJECT / "roles" / "scheduled_audit" / "files" / "requirements.txt"
WHEELS = "/srv/wheels"  # on the node


def wheels(python: str) -> Path:
    """A folder with the wheels for a version of Python, such as "3.11"."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    kept = PROJECT / ".cache" / "wheels" / f"{python}-{digest}"
    if not kept.exists():
        made = kept.with_suffix(f".{os.getpid()}")
        words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        words += ["--python-version", python, "--dest", str(made), "--requirement", str(REQUIREMENTS)]
        done = run(*words, check=False)
        assert done.returncode == 0, done.stderr
        made.rename(kept)
    return kept


def bring_wheels(node: DockerNode) -> None:
    """Put them where WHEELS says."""
    version = node.run("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").stdout.strip()
    run(*node.command[:-2], "cp", f"{wheels(version)}/.", f"{node.name}:{WHEELS}")


def collections(folder: Path) -> list[dict[str, str]]:
    """Build both collections into a folder; return them as scheduled_audit_collections wants them."""
    with tempfile.TemporaryDirectory() as temporary:
        # Of an installed collection ansible-galaxy builds none without galaxy.yml, which says what its manifest does.
        copy = Path(temporary) / "core"
        shutil.copytree(Path(next(iter(core.__path__))), copy)
        about = json.loads((copy / "MANIFEST.json").read_bytes())["collection_info"]
        (copy / "galaxy.yml").write_text(yaml.safe_dump({key: value for key, value in about.items() if value}))
        for source in (PROJECT, copy):
            words = ("collection", "build", "--output-path", str(folder), str(source))
            run(str(Path(sys.executable).with_name("ansible-galaxy")), *words)
    found = []
    for tarball in sorted(folder.glob("*.tar.gz")):
        version = tarball.name.removesuffix(".tar.gz").rsplit("-", 1)[1]
        found.append({"name": str(tarball), "type": "file", "version": version})
    return found
