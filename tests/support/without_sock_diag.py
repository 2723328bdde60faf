# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command for which the kernel has no sock_diag: a seccomp filter answers what a kernel without CONFIG_INET_DIAG does.

    python tests/support/without_sock_diag.py COMMAND...

Needs root. Numbers are of the kernel's headers: linux/filter.h, linux/seccomp.h, linux/prctl.h, linux/netlink.h, asm/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_SOCKET = {"x86_64": 41, "aarch64": 198}
_AF_NETLINK, _NETLINK_SOCK_DIAG = 16, 4
# struct seccomp_data: nr, arch, instruction_pointer, args[6] of 8 bytes; the lower half of an argument comes first on both machines.
_NUMBER, _FAMILY, _PROTOCOL = 0, 16, 32


def _program() -> bytes:
    """socket(AF_NETLINK, …, NETLINK_SOCK_DIAG) fails; everything else is allowed."""
    wanted = ((_NUMBER, _SOCKET[os.uname().machine]), (_FAMILY, _AF_NETLINK), (_PROTOCOL, _NETLINK_SOCK_DIAG))
    lines: list[tuple[int, int, int, int]] = []
    for position, (offset, value) in enumerate(wanted):
        # Where it differs: past the comparisons that are left, and the refusal.
        lines += [(_LOAD, 0, 0, offset), (_JUMP_IF_EQUAL, 0, 2 * (len(wanted) - position - 1) + 1, value)]
    lines += [(_RETURN, 0, 0, _ERRNO | errno.EPROTONOSUPPORT), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


class _Filter(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_char_p))


def main() -> None:
    """Filter this process, and become the command."""
    text = _program()
    wanted = _Filter(len(text) // 8, text)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(wanted)) != 0:
        sys.exit(f"prctl(PR_SET_SECCOMP): {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606


if __name__ == "__main__":
    main()
