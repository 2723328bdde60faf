# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a function in a network namespace of its own, in a forked child, so that nothing is left behind."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import traceback

import pytest

CLONE_NEWNET = 0x40000000

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="making a network namespace needs root")


def in_fresh_netns(function, *arguments):
    """What ``function(*arguments)`` returns (JSON types) when only it and ``lo`` are in its network namespace."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _child(write_end, function, arguments)
    os.close(write_end)
    with os.fdopen(read_end, encoding="utf-8") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    assert answer, "the child in the namespace died without a word"
    result = json.loads(answer)
    assert "error" not in result, result["error"]
    return result["value"]


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, stdin=subprocess.DEVNULL)


def sysctl_net(name, value=None):
    """Read, or write and read back, net.<name> of the namespace the caller is in."""
    path = "/proc/sys/net/" + name.replace(".", "/")
    if value is not None:
        with open(path, "w", encoding="ascii") as stream:
            stream.write(value)
    with open(path, encoding="ascii") as stream:
        return stream.read()


def _child(write_end, function, arguments):
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNET)")
        ip("link", "set", "lo", "up")
        result = {"value": function(*arguments)}
    except BaseException:  # pylint: disable=broad-except # whatever happened, the parent must hear it
        result = {"error": traceback.format_exc()}
    with os.fdopen(write_end, "w", encoding="utf-8") as stream:
        json.dump(result, stream)
    os._exit(0)
