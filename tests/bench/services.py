# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what the service path of a big cluster costs: reading it from an API server, and judging it: docs/performance.md.

    python tests/bench/services.py

Exit status 0: every limit was kept; 1: one was missed; 2: it could not be measured.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.plugins.plugin_utils import bundle
from ansible_collections.kubenode.doctor.tests.bench import big_answers, big_cluster, timing

JUDGED_SECONDS = 60
PEAK_MIB = 600
_CHECKOUT = Path(__file__).resolve().parents[2]
_LONGEST = 900.0  # seconds after which a run has failed

# What the module does, without Ansible around it; fails unless it reads exactly what there is.
_READ = """
import sys, time
from ansible_collections.kubenode.doctor.plugins.module_utils import cluster_api, cluster_client, cluster_store
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.bench import big_cluster
kubeconfig, folder = sys.argv[1:]
deadline = Deadline(600)
params = {**dict.fromkeys(cluster_client.AUTH_OPTIONS), "kubeconfig": kubeconfig}
client, _notes = cluster_client.connect(params, 60, deadline)
cluster = cluster_api.read_cluster(client.fetch, cluster_api.SECTIONS, 500, deadline, time.sleep)
if not cluster["complete"]:
    sys.exit(f"not all was read: {cluster['missing']}")
endpoints = sum(len(piece["endpoints"]) for piece in cluster["endpoint_slices"])
read = [len(cluster["services"]), len(cluster["pods"]), endpoints]
if read != [big_cluster.SERVICES, big_cluster.PODS, big_cluster.ENDPOINTS]:
    sys.exit(f"Services, pods, endpoints: {read} is not what there is")
cluster_store.store(folder, cluster)
"""
# What the module judge does; fails unless it finds exactly the faults there are.
_JUDGE = """
import collections, pathlib, sys
from ansible_collections.kubenode.doctor.plugins.plugin_utils import judge, settings
from ansible_collections.kubenode.doctor.plugins.plugin_utils.bundle import Bundle
folder, expected = pathlib.Path(sys.argv[1]), int(sys.argv[2])
document = judge.judge(Bundle(folder), settings.read({}))
failed = collections.Counter(finding["rule"] for finding in document["findings"] if finding["status"] == "fail")
sys.stderr.write(f"bench: judged, {len(document['findings'])} findings, {dict(failed)}\\n")
if failed["service-target-not-listening"] != expected or document["damaged"]:
    sys.exit(f"not what there is: {expected} Services want a port on which nobody listens; {document['damaged'][:3]}")
"""


class Step(NamedTuple):
    """What was measured, and how long it may take at most (None: as long as it takes)."""

    what: str
    run: timing.Run
    seconds: float | None

    @property
    def kept(self) -> bool:
        """Whether it is within its limits."""
        return self.mib <= PEAK_MIB and (self.seconds is None or self.run.seconds <= self.seconds)

    @property
    def mib(self) -> float:
        """The peak of its largest process."""
        return self.run.peak_bytes / (1 << 20)


def measure(folder: Path) -> list[Step]:
    """Read the big cluster twice, without and with Ansible, and judge it with the answers of its Nodes."""
    audit = folder / "audit"
    bundle.create(audit, big_answers.hosts(), {"started": "2026-11-21T08:00:00+00:00"})
    kubeconfig = folder / "kubeconfig"
    options = {"kubeconfig": str(kubeconfig), "bundle": str(audit), "timeout": 60, "budget_seconds": 600}
    task = (_beside("ansible"), "localhost", "-m", "kubenode.doctor.cluster_snapshot", "-a", json.dumps(options))
    with subprocess.Popen(
        [sys.executable, str(_CHECKOUT / "tests" / "bench" / "big_cluster.py"), str(kubeconfig)]
    ) as api:
        try:
            _wait_for(kubeconfig)
            read = _run((sys.executable, "-c", _READ, str(kubeconfig), str(audit)), "reading")
            ansible = _run(task, "reading with Ansible")
        finally:
            api.terminate()
    big_answers.write(audit)
    judged = _run((sys.executable, "-c", _JUDGE, str(audit), str(big_answers.faulty_services())), "judging")
    sys.stderr.write(f"bench: cluster.json has {(audit / 'cluster.json').stat().st_size >> 20} MiB\n")
    return [
        Step("read and stored by the module's code", read, None),
        Step("the same, as a task of Ansible", ansible, None),
        Step("judged", judged, JUDGED_SECONDS),
    ]


def _beside(program: str) -> str:
    return str(Path(sys.executable).parent / program)


def _wait_for(file: Path) -> None:
    for _time in range(200):
        if file.exists() and file.stat().st_size:
            return
        time.sleep(0.05)
    raise RuntimeError("the API server did not start")


def _run(command: Sequence[str], what: str) -> timing.Run:
    sys.stderr.write(f"bench: {what}\n")
    return timing.run(command, _LONGEST)


def _figures(steps: Sequence[Step]) -> str:
    title = (
        f"{big_cluster.SERVICES:,} Services, {big_cluster.PODS:,} pods, {big_cluster.ENDPOINTS:,} endpoints, "
        f"{big_cluster.NODES} Nodes:\n"
    )
    rows = [f"{'':40}{'seconds':>9}{'peak MiB':>10}\n"]
    rows += [f"{step.what:40}{step.run.seconds:9.1f}{step.mib:10.0f}\n" for step in steps]
    limits = [
        f"{'ok' if step.kept else 'MISSED':8}{step.what}: at most {PEAK_MIB} MiB"
        f"{f', {step.seconds:g} s' if step.seconds else ''}\n"
        for step in steps
    ]
    return "".join([title, *rows, "\n", *limits])


def main() -> int:
    """Measure, print, and tell by the exit status whether the limits were kept."""
    os.chdir(_CHECKOUT)
    os.environ.update(PYTHONPATH=str(_CHECKOUT / ".collections"), ANSIBLE_CONFIG=str(_CHECKOUT / "ansible.cfg"))
    load = os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory(prefix="services-") as folder:
            steps = measure(Path(folder))
    except (RuntimeError, TimeoutError, OSError, bundle.BundleError) as error:
        sys.stderr.write(f"bench: could not be measured: {error}\n")
        return 2
    system = (
        f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs, load average {load:.1f} before the start"
    )
    sys.stdout.write(f"{system},\nPython {platform.python_version()}.\n\n{_figures(steps)}")
    return 0 if all(step.kept for step in steps) else 1


if __name__ == "__main__":
    sys.exit(main())
