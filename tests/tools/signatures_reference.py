# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/signatures.md from the catalogue of known errors itself.

python tests/tools/signatures_reference.py            write it
python tests/tools/signatures_reference.py --check    say whether it is current; exit status 1 when it is not
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".collections"))

from ansible_collections.kubenode.doctor.plugins.module_utils import signatures
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, KERNEL, POD
from ansible_collections.kubenode.doctor.plugins.module_utils.signatures import Signature
from ansible_collections.kubenode.doctor.tests.tools.written import write_or_check

TARGET = Path(__file__).resolve().parents[2] / "docs" / "signatures.md"
_HEAD = """\
<!--
Copyright (c) 2026 the kubenode.doctor authors
GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX-License-Identifier: GPL-3.0-or-later

Written by tests/tools/signatures_reference.py from plugins/module_utils/signatures*.py: change the signature, then run it.
-->

# Known errors in logs

What the module `log_signatures`, and the section `logs` of a snapshot, look for in the journal, in the kernel's log and in the logs of pods.

A signature has one wording or several, since programs change their words. One that is found in a line counts once for each set of fields, such \
as the container's name or the port; the answer holds how often, when first and last, and the newest line as a sample. A sample has at most 600 \
characters, no control characters, and `[redacted]` in place of what looks like a secret. Of each line the first 64 Ki characters are looked at.

A secret is known by what stands in front of it (a name that holds `password`, `pass`, `token`, `secret`, `credential`, `api_key` and the like, with its \
value, list or object; authorization and cookie headers; signatures in addresses, `user:password@`; the environment as kubelet prints it, `-e NAME=`) or \
by its form (private keys, web tokens, tokens of kubeadm, GitHub, GitLab and Slack, ids of keys of AWS, long base64). That is the best that can be done, \
no promise: a secret that is a word like any other, such as `-p hunter2`, is shown. Treat samples as you treat the logs.

A line that somebody else quotes is not counted: a signature is looked for only where the program that says it writes its log, and not in the Events \
by which kubelet repeats its errors. Signatures that name containers, their holders or etcd are not looked for where kubelet prints the words of a pod: \
output of probes and of lifecycle hooks, commands, specifications. Whoever can name a container or write into a log can still make a line up: a \
signature is a hint, which a rule holds against what else is seen.

In the journal, the units that a signature names are read one by one, back to their last start; what a signature of no unit is about is looked for in all \
other services (the first 250 of them that have ever written) and in systemd's own words as well, through the whole window, with the time and bytes that \
are left. RKE2's kubelet and containerd, and k3s' containerd, write to files below `/var/lib/rancher`, whose ends are read as the logs of the units \
`kubelet` and `containerd`; what was rotated is not.

Not looked for: systemd's "Time has been changed". It is said at each change of the clock, also at that of every start, and tells neither by how much \
nor in which direction; those who set the clock say both.

The level is how bad it is where nothing more is known. Rules that know more (see [rules](rules.md)) may say something else.

"""
_PLACES = {JOURNAL: "the journal", KERNEL: "the kernel's log", POD: "the logs of pods"}


def render(known: Sequence[Signature]) -> str:
    """The whole document."""
    parts = [_HEAD + "| signature | level | what it is |\n|---|---|---|"]
    parts += [f"| [{one.id}](#{one.id}) | {one.level} | {one.title} |" for one in known]
    parts += ["\n".join(_section(one)) for one in known]
    return "\n".join(parts) + "\n"


def _section(one: Signature) -> Iterator[str]:
    yield f"\n## {one.id}\n"
    yield f"**{one.title}.** {one.meaning}\n"
    yield f"What to do: {one.cure}\n"
    yield f"* level: {one.level}"
    if one.fields:
        yield f"* fields: {_listed(one.fields)}"
    yield f"* looked for in: {'; '.join(_place(one, source) for source in one.sources)}"
    yield "* known from:"
    for versions, link in dict.fromkeys((wording.versions, wording.link) for wording in one.wordings):
        yield f"  * {versions}: <{link}>"


def _place(one: Signature, source: str) -> str:
    names = {JOURNAL: one.units, POD: one.containers}.get(source, ())
    what = {JOURNAL: "of the units", POD: "of containers named"}.get(source, "")
    if source == JOURNAL and not names:
        return f"{_PLACES[source]}, of all services and of systemd"
    return f"{_PLACES[source]}, {what} {_listed(names)}" if names else _PLACES[source]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main(words: Sequence[str]) -> int:
    """Write or check. Returns the exit status."""
    outdated = "docs/signatures.md is not what the catalogue says: run python tests/tools/signatures_reference.py"
    return write_or_check(words, str(__doc__), TARGET, render(signatures.SIGNATURES), outdated)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
