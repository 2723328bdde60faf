# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what it costs to judge and report a saved bundle of 10,000 nodes, with playbooks/judge.yml as anybody runs it: docs/performance.md.

    python tests/bench/big_bundle.py [--nodes N]

Once as the first audit and once with an earlier one of the same nodes beside it, each also with a quarter of the nodes. Then the forms of a report
that are not made unless they are asked for. Exit status 0: every limit was kept; 1: one was missed; 2: it could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_forms import FORMS
from ansible_collections.kubenode.doctor.tests.bench import big_bundle_nodes
from ansible_collections.kubenode.doctor.tests.bench.family_cost import Cost, cost

_CHECKOUT = Path(__file__).resolve().parents[2]
NODES, QUARTER = 10_000, 4
SECONDS, PEAK_MIB = 60, 400
GROWTH = 1.15  # linear: CPU time of a node among all of them, to that of one among a quarter, Ansible's own start left out of both
_FEW = 20  # nodes: what is left is Ansible's start
_DEFAULTS = ("text", "html")
_THEN, _NOW = "then", "now"
_FAILED = 2  # the exit status of a play in which hosts failed, and some of these nodes are at fault
_FORM = """
import pathlib, sys
from ansible_collections.kubenode.doctor.plugins.plugin_utils import findings_file
from ansible_collections.kubenode.doctor.plugins.plugin_utils.report_forms import FORMS
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
FORMS[name].render(findings_file.read(folder), str(folder))
"""


class Judged(NamedTuple):
    """A bundle that was judged and reported."""

    nodes: int
    cost: Cost
    findings: int

    @property
    def mib(self) -> float:
        """The peak of all processes together."""
        return self.cost.peak_bytes / (1 << 20)

    def each(self, start: Judged) -> float:
        """CPU seconds of a node, without those of the start."""
        return (self.cost.cpu_seconds - start.cost.cpu_seconds) / (self.nodes - start.nodes)


def measure(folder: Path, nodes: int) -> dict[str, list[Judged]]:
    """Judge the first audit and the second, each of a few nodes, a quarter and all of them."""
    found: dict[str, list[Judged]] = {_THEN: [], _NOW: []}
    for count in (_FEW, nodes // QUARTER, nodes):
        audits = folder / str(count)
        audits.mkdir()
        _say(f"making two bundles of {count:,} nodes")
        big_bundle_nodes.write(audits / _THEN, count, "2026-11-20T08:00:00+00:00")
        big_bundle_nodes.write(audits / _NOW, count, "2026-11-21T08:00:00+00:00", _THEN)
        for name, judged in found.items():
            _say(f"judging and reporting {'the second' if name == _NOW else 'the first'}")
            judged.append(_judged(audits / name, count))
    return found


def _judged(audit: Path, nodes: int) -> Judged:
    playbook = (_beside("ansible-playbook"), str(_CHECKOUT / "playbooks" / "judge.yml"), "-e", f"bundle={audit}")
    spent = _cost(("sh", "-c", f"{shlex.join(playbook)}; test $? -eq {_FAILED}"), audit.parent)
    document = json.loads((audit / "findings.json").read_bytes())
    answered = sum(state["answered"] for state in document["hosts"].values())
    memory = document["memory"]
    read = (len(document["hosts"]), answered, document["damaged"], bool(memory["why"]))
    if read != (nodes, nodes - big_bundle_nodes.silent(nodes), [], audit.name == _THEN):
        raise RuntimeError(f"hosts, answered, damaged, not compared: {read} is not what there is")
    if not all((audit / FORMS[form].file).is_file() for form in _DEFAULTS):
        raise RuntimeError(f"not all reports are in {audit}")
    return Judged(nodes, spent, len(document["findings"]))


def _cost(command: Sequence[str], folder: Path) -> Cost:
    collections = str(_CHECKOUT / ".collections")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(_CHECKOUT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": collections,
        "PYTHONPATH": collections,
    }
    return cost(command, environment, folder)


def _beside(program: str) -> str:
    return str(Path(sys.executable).parent / program)


def _say(what: str) -> None:
    sys.stderr.write(f"bench: {what}\n")


def _figures(found: dict[str, list[Judged]]) -> Iterator[str]:
    yield f"{'':28}{'nodes':>8}{'findings':>10}{'seconds':>9}{'CPU s':>8}{'peak MiB':>10}{'CPU ms a node':>15}\n"
    for name, judged in found.items():
        for one in judged:
            each = f"{one.each(judged[0]) * 1000:15.2f}" if one is not judged[0] else ""
            yield (
                f"{'judge.yml' if name == _THEN else 'judge.yml, one audit before':28}{one.nodes:8,}{one.findings:10,}"
                f"{one.cost.seconds:9.1f}{one.cost.cpu_seconds:8.1f}{one.mib:10.0f}{each}\n"
            )
    yield "\n"


def _limits(found: dict[str, list[Judged]]) -> Iterator[tuple[bool, str]]:
    for name, (start, quarter, whole) in found.items():
        what = "judged and reported" if name == _THEN else "the same beside an earlier audit"
        growth = whole.each(start) / quarter.each(start)
        yield whole.cost.seconds <= SECONDS, f"{whole.cost.seconds:7.1f}, limit {SECONDS:<6}seconds, {what}"
        yield whole.mib <= PEAK_MIB, f"{whole.mib:7.0f}, limit {PEAK_MIB:<6}peak memory of all processes, MiB, {what}"
        yield (
            growth <= GROWTH,
            f"{growth:7.2f}, limit {GROWTH:<6}CPU time of a node, to that among a quarter of them, {what}",
        )


def _forms(folder: Path) -> Iterator[str]:
    """What each other form costs by itself, its reading of findings.json included."""
    for form in FORMS:
        if form not in _DEFAULTS:
            spent = _cost((sys.executable, "-c", _FORM, str(folder), form), folder.parent)
            yield f"{form:28}{spent.seconds:35.1f}{spent.peak_bytes / (1 << 20):18.0f}\n"


def main() -> int:
    """Measure, print, and tell by the exit status whether the limits were kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--nodes", type=int, default=NODES, help=f"how many nodes (default {NODES}, for which the limits are)"
    )
    nodes = parser.parse_args().nodes
    load = os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory(prefix="big-bundle-") as folder:
            found = measure(Path(folder), nodes)
            forms = list(_forms(Path(folder) / str(nodes) / _NOW))
    except (RuntimeError, OSError) as error:
        _say(f"could not be measured: {error}")
        return 2
    limits = list(_limits(found))
    sys.stdout.write(
        f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs, load average {load:.1f} before the start,\n"
        f"Python {platform.python_version()}.\n\n"
    )
    sys.stdout.writelines([*_figures(found), *forms, "\n"])
    sys.stdout.writelines(f"{'ok' if kept else 'MISSED':7}{text}\n" for kept, text in limits)
    return 0 if all(kept for kept, _text in limits) else 1


if __name__ == "__main__":
    sys.exit(main())
