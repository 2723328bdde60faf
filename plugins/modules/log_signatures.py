#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: log_signatures
short_description: Find known errors in the logs of a node
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Looks for the errors of a catalogue in the journal (kubelet, container runtimes, what keeps the clock), in the kernel's ring of
    messages and in the logs of containers, newest first, within limits of age, bytes and time.
  - Tells of each how often, when first and last, with one line as it was said, and with what was named in it. What each means and
    what to do about it is in docs/signatures.md.
  - A unit's entries in the journal are looked at back to its last start, those of units that keep the clock through the whole window.
    Of each container the logs of the newest two attempts are looked at, those of system namespaces first; their window counts
    back from each log's last line, since a dead container's last words matter however old they are.
  - Errors that any program may have are looked for in all other services and in what systemd says as well, through the whole window.
  - Where RKE2 or k3s let kubelet or containerd write to files of their own, the ends of these are read as the logs of V(kubelet) and
    V(containerd).
  - Secrets in lines are blackened, as far as they can be told, and control characters are taken out.
  - Starts C(journalctl), which reads the journal, and no other program. Without root only what may be read is looked at, which
    RV(missing) then says.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  signatures:
    description: The ids of the errors to look for. All of the catalogue when left out.
    type: list
    elements: str
  since:
    description: How many seconds to look back.
    type: int
    default: 86400
  sources:
    description:
      - Which logs to look at. V(journal) is what units wrote to it, or to the files that RKE2 and k3s have instead, V(kernel) the kernel's
        ring, V(pods) the logs of containers.
    type: list
    elements: str
    choices: [kernel, journal, pods]
    default: [kernel, journal, pods]
  journal:
    description:
      - A folder with files of a journal that was saved, or that is another machine's. The node's own journal when left out.
      - With it, no files of RKE2 and k3s are read.
      - Where the kernel's ring cannot be read, its messages are taken from there as well.
    type: path
  max_bytes:
    description:
      - At most so many bytes are taken from the journal, and as many from the logs of containers.
      - One unit gets half of what is left, a file of RKE2 or k3s an eighth of all, the log of one attempt of a container a 64th (by default
        512 KiB), or less where there are many, so that all are looked at.
      - Where C(journalctl) itself can search (systemd 237 and newer, built with PCRE2), only what it finds counts.
    type: int
    default: 33554432
  timeout:
    description: Seconds after which no more is read, at most 300. The journal gets half of them at most.
    type: float
    default: 10
"""

EXAMPLES = r"""
- name: Which known errors are in the logs of the last day?
  kubenode.doctor.log_signatures:
  register: result

- name: Are container names in the way, since an hour ago?
  kubenode.doctor.log_signatures:
    signatures: [docker-name-conflict, containerd-name-reserved, crio-name-reserved]
    sources: [journal]
    since: 3600

- name: Look through the journal of a machine that does not boot any more
  kubenode.doctor.log_signatures:
    sources: [journal]
    journal: /mnt/var/log/journal
    since: 2592000
"""

RETURN = r"""
now:
  description: When it was looked, in seconds since 1970 by the node's clock.
  returned: always
  type: float
  sample: 1795248000.25
window_seconds:
  description: How many seconds were looked back.
  returned: always
  type: int
  sample: 86400
found:
  description:
    - What was found, one entry for each error, place and set of fields, newest first. At most 200.
    - Each error has its newest entries among them, however often another was found.
  returned: always
  type: list
  elements: dict
  contains:
    signature:
      description: The id of the error.
      type: str
      returned: always
      sample: docker-name-conflict
    title:
      description: What it is, in some words.
      type: str
      returned: always
    level:
      description: How bad it is where nothing more is known, V(info), V(warning) or V(critical).
      type: str
      returned: always
      sample: warning
    source:
      description: The log, V(journal), V(kernel) or V(pod).
      type: str
      returned: always
      sample: journal
    unit:
      description:
        - The unit that wrote it to the journal, or of which systemd wrote it. Null elsewhere.
        - V(kubelet) or V(containerd) for what these wrote to a file of RKE2 or k3s.
      type: str
      returned: always
      sample: kubelet.service
    pod:
      description: The container that said it. Null elsewhere.
      type: dict
      returned: always
      contains:
        namespace:
          description: The namespace of its pod.
          type: str
          returned: always
          sample: kube-system
        name:
          description: The name of its pod.
          type: str
          returned: always
          sample: kube-apiserver-pi-master1
        uid:
          description: The uid of its pod.
          type: str
          returned: always
          sample: 1403dda53affdfee1130475a6d9609da
        container:
          description: The name of the container.
          type: str
          returned: always
          sample: kube-apiserver
        attempt:
          description: How often kubelet had started it before. Null where the log does not tell.
          type: int
          returned: always
          sample: 23
    count:
      description: How many lines.
      type: int
      returned: always
      sample: 1311
    first:
      description: When it was said first, in seconds since 1970 by the node's clock of that time. Null where the log does not tell.
      type: float
      returned: always
      sample: 1795240000.5
    last:
      description: When it was said last. Null where the log does not tell.
      type: float
      returned: always
      sample: 1795247990.5
    sample:
      description: What was said last, at most 600 characters, without control characters and secrets.
      type: str
      returned: always
    fields:
      description: What was named in it, by the names that docs/signatures.md has.
      type: dict
      returned: always
      sample:
        name: k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_1403dda53affdfee1130475a6d9609da_24
        holder: eced8537863007db9a915924785306b26238cabbd3feec0e5226e2ad0710807b
other:
  description: What was found beyond the 200 entries.
  returned: always
  type: dict
  contains:
    entries:
      description: How many entries there would be more, at least.
      type: int
      returned: always
      sample: 0
    lines:
      description: How many lines are in them.
      type: int
      returned: always
      sample: 0
scanned:
  description: What was looked at.
  returned: always
  type: list
  elements: dict
  contains:
    source:
      description: V(journal), V(kernel) or V(pod).
      type: str
      returned: always
      sample: journal
    name:
      description:
        - The unit, the path of a file of RKE2 or k3s, V(other services) for all that are not read by themselves, V(kernel ring), or V(pod logs)
          for all logs of containers together.
        - V(kernel's journal) is what journald took over from the kernel, where the ring itself cannot be read.
      type: str
      returned: always
      sample: kubelet.service
    from:
      description: The oldest moment that was looked at, in seconds since 1970. Null where that is not known, as when the clock was set back since.
      type: float
      returned: always
      sample: 1795161600.25
    to:
      description: When the newest line was written. Null where there is none.
      type: float
      returned: always
      sample: 1795247999.25
    bytes:
      description: How many bytes were read, of what C(journalctl) found where it can search.
      type: int
      returned: always
      sample: 82011
    lines:
      description: How many lines were read, of what C(journalctl) found where it can search.
      type: int
      returned: always
      sample: 212
    stopped:
      description:
        - What ended the look back. V(window) is O(since), V(start) the unit's last start, V(beginning) the log's own.
        - V(limit) is O(max_bytes), V(budget) is O(timeout). For containers it is the worst that has ended one.
      type: str
      returned: always
      sample: window
complete:
  description: Whether everything could be looked at. That only the end of a container's long log was is no gap.
  returned: always
  type: bool
missing:
  description: What could not be looked at.
  returned: always
  type: list
  elements: dict
  contains:
    what:
      description: The log, or the unit.
      type: str
      returned: always
      sample: kernel ring
    why:
      description: The reason, and what to do about it.
      type: str
      returned: always
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubenode.doctor.plugins.module_utils import log_scan, signatures
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

ARGUMENTS: dict[str, dict[str, Any]] = {
    "signatures": {"type": "list", "elements": "str"},
    "since": {"type": "int", "default": log_scan.SINCE},
    "sources": {
        "type": "list",
        "elements": "str",
        "choices": list(log_scan.SOURCES),
        "default": list(log_scan.SOURCES),
    },
    "journal": {"type": "path"},
    "max_bytes": {"type": "int", "default": log_scan.MAX_BYTES},
    "timeout": {"type": "float", "default": log_scan.TIMEOUT},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    wanted = module.params
    why = log_scan.why_not(wanted["since"], wanted["max_bytes"], wanted["timeout"])
    if why:
        module.fail_json(msg=why)
    try:
        known = {signature.id: signature for signature in signatures.chosen(wanted["signatures"] or ())}
    except ValueError as error:
        module.fail_json(msg=f"signatures: {error}")
    section = log_scan.collect(
        Deadline(wanted["timeout"]),
        since=wanted["since"],
        signatures=list(known),
        sources=wanted["sources"],
        journal=wanted["journal"],
        max_bytes=wanted["max_bytes"],
    )
    for entry in section["found"]:
        signature = known[entry["signature"]]
        entry.update(title=signature.title, level=signature.level)
    module.exit_json(changed=False, **section)


if __name__ == "__main__":
    main()
