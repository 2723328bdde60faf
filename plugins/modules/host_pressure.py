#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_pressure
short_description: Tell how busy a node is, how near its limits, and whether its clock can be trusted
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Samples the whole machine twice and tells what its CPUs did in between (steal and iowait among it), how many tasks wanted
    one, pressure stall information, memory, file handles, tracked connections and threads beside their limits.
  - Tells whether something keeps the clock right, whether it was set between the samples, and which files are from the future,
    which is what a clock that was set back leaves behind.
  - Needs no tool and no privilege on the node. Without root some places in which files from the future are looked for cannot
    be seen, which RV(missing) then says.
  - In a container most of this is about the machine below it.
extends_documentation_fragment:
  - kubenode.doctor.attributes
options:
  sample_seconds:
    description:
      - Seconds between the two samples. The run queue is looked at ten times a second meanwhile.
      - Steal comes in bursts, so more seconds tell more of it.
      - With V(0) nothing is waited for, and RV(cpu) cannot be told.
      - At most 100.
    type: float
    default: 2
"""

EXAMPLES = r"""
- name: Are the masters starved of CPU?
  kubenode.doctor.host_pressure:
    sample_seconds: 5
  register: result

- name: One look, without waiting
  kubenode.doctor.host_pressure:
    sample_seconds: 0
"""

RETURN = r"""
seconds:
  description: Seconds between the two samples.
  returned: always
  type: float
  sample: 2.001
cpus:
  description: How many CPUs the machine has.
  returned: always
  type: dict
  contains:
    online:
      description: CPUs that run tasks. Null where that could not be read.
      type: int
      returned: always
      sample: 2
    present:
      description: CPUs that are there, switched on or not. Null where that could not be read.
      type: int
      returned: always
      sample: 2
cpu:
  description:
    - What all CPUs did between the samples, as shares from 0 to 1. They add up to 1. What this module itself used counts as idle.
    - Null where that could not be told. RV(missing) says why.
  returned: always
  type: dict
  contains:
    user:
      description: Ran programs, those of virtual machines included.
      type: float
      returned: always
      sample: 0.31
    system:
      description: Ran the kernel.
      type: float
      returned: always
      sample: 0.08
    iowait:
      description: Had nothing to do while a task waited for a disk.
      type: float
      returned: always
      sample: 0.02
    irq:
      description: Served interrupts, soft ones included.
      type: float
      returned: always
      sample: 0.01
    steal:
      description: Wanted to run, and the hypervisor ran something else.
      type: float
      returned: always
      sample: 0.41
    idle:
      description: Had nothing to do.
      type: float
      returned: always
      sample: 0.17
steal_since_boot:
  description: The share of steal, from 0 to 1, since the machine was booted. Null where that could not be told.
  returned: always
  type: float
  sample: 0.12
run_queue:
  description: Looks at the machine's tasks, the first sample first. There are fewer where F(/proc/stat) could not be read.
  returned: always
  type: dict
  contains:
    samples:
      description: Tasks that ran or were ready to run, without the one that looked.
      type: list
      elements: int
      returned: always
      sample: [3, 1, 4]
    blocked:
      description: Tasks that waited for a disk, in the same looks.
      type: list
      elements: int
      returned: always
      sample: [0, 0, 1]
load:
  description: Load averages over 1, 5 and 15 minutes. Null where they could not be read.
  returned: always
  type: list
  elements: float
  sample: [0.56, 0.48, 0.65]
psi:
  description:
    - Pressure stall information. Null where the kernel has none.
    - The averages are percentages over 10, 60 and 300 seconds.
  returned: always
  type: dict
  contains:
    cpu:
      description: Stalls for want of CPU. Null where the kernel does not tell them.
      type: dict
      returned: always
      contains: &stalls
        some:
          description: Time in which at least one task waited.
          type: dict
          returned: always
          contains: &averages
            avg10:
              description: Over 10 seconds.
              type: float
              returned: always
              sample: 13.04
            avg60:
              description: Over 60 seconds.
              type: float
              returned: always
              sample: 5.23
            avg300:
              description: Over 300 seconds.
              type: float
              returned: always
              sample: 3.97
        full:
          description: Time in which all tasks waited, for CPU always 0. Null where the kernel does not tell it.
          type: dict
          returned: always
          contains: *averages
    memory:
      description: Stalls for want of memory. Null where the kernel does not tell them.
      type: dict
      returned: always
      contains: *stalls
    io:
      description: Stalls for want of a disk. Null where the kernel does not tell them.
      type: dict
      returned: always
      contains: *stalls
memory:
  description: Memory in bytes. Null where it could not be read.
  returned: always
  type: dict
  contains:
    total:
      description: All memory that the kernel can use.
      type: int
      returned: always
      sample: 25276502016
    available:
      description: What programs could get without swapping. Null before Linux 3.14.
      type: int
      returned: always
      sample: 24548556800
    swap_total:
      description: All swap space. Null where the kernel does not tell it.
      type: int
      returned: always
      sample: 0
    swap_free:
      description: Unused swap space. Null where the kernel does not tell it.
      type: int
      returned: always
      sample: 0
files:
  description: File handles of the whole machine. Null where they could not be read.
  returned: always
  type: dict
  contains:
    open:
      description: Handles in use.
      type: int
      returned: always
      sample: 516
    max:
      description: The limit C(fs.file-max).
      type: int
      returned: always
      sample: 2466170
conntrack:
  description: Tracked connections of the network namespace. Null where connections are not tracked.
  returned: always
  type: dict
  contains:
    count:
      description: Connections in the table.
      type: int
      returned: always
      sample: 8125
    max:
      description: The limit C(net.netfilter.nf_conntrack_max). V(0) is no limit.
      type: int
      returned: always
      sample: 262144
threads:
  description: Threads of the whole machine. Null where they could not be read.
  returned: always
  type: dict
  contains:
    count:
      description: Threads that exist.
      type: int
      returned: always
      sample: 912
    threads_max:
      description: The limit C(kernel.threads-max) of their number.
      type: int
      returned: always
      sample: 192730
    pid_max:
      description: The limit C(kernel.pid_max) of the numbers that they have.
      type: int
      returned: always
      sample: 32768
clock:
  description: The clock of the machine.
  returned: always
  type: dict
  contains:
    synchronized:
      description: Whether the kernel was told, by something that keeps the clock, that it is right. Null where it could not be asked.
      type: bool
      returned: always
      sample: true
    offset_seconds:
      description:
        - A correction that the kernel still has to make. Null where it could not be asked.
        - V(0) with C(chronyd), which corrects the clock's speed instead.
      type: float
      returned: always
      sample: -0.000079
    max_error_seconds:
      description: The largest error of the clock, as it was told and has grown since, up to 16. Null where the kernel could not be asked.
      type: float
      returned: always
      sample: 0.82
    step_seconds:
      description: By how much the clock was set forward, or back where it is negative, between the samples. Bit by bit corrections do not count.
      type: float
      returned: always
      sample: 0.0
    keepers:
      description: Programs that run and are known to set the clock, by the names that the kernel keeps.
      type: list
      elements: str
      returned: always
      sample: [chronyd]
    kept_seconds:
      description: For how long the last of them to be started has run. Null where none runs, or that could not be seen.
      type: float
      returned: always
      sample: 86400.1
    services:
      description: Units of systemd that would keep the clock and are installed, whether they run or not. Null where that could not be seen.
      type: list
      elements: str
      returned: always
      sample: [chrony.service]
    from_future:
      description:
        - Files that were written at a later time than it is now.
        - Each has its C(path), and in C(seconds) how much later.
      type: list
      elements: dict
      returned: always
      sample:
        - path: /var/log/wtmp
          seconds: 3600.214
complete:
  description: Whether everything could be seen.
  returned: always
  type: bool
missing:
  description: What could not be seen.
  returned: always
  type: list
  elements: dict
  contains:
    what:
      description: The file or thing that could not be seen.
      type: str
      returned: always
      sample: /proc/pressure/io
    why:
      description: The reason, and what to do about it.
      type: str
      returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubenode.doctor.plugins.module_utils import host_pressure


def main() -> None:
    module = AnsibleModule(
        argument_spec={"sample_seconds": {"type": "float", "default": 2}},
        supports_check_mode=True,
    )
    seconds = module.params["sample_seconds"]
    why = host_pressure.why_not(seconds)
    if why:
        module.fail_json(msg=why)
    module.exit_json(changed=False, **host_pressure.collect(seconds))


if __name__ == "__main__":
    main()
