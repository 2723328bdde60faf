# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real files of a journal, written by systemd-journal-remote from what a test wants to have been said."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

WRITER = Path("/lib/systemd/systemd-journal-remote")
_BOOT = "5eed0025" * 4

# A field's value, or its values when an entry has it several times.
Value = str | int | bytes | Sequence[bytes]


def entry(when: float, message: str | bytes | Sequence[bytes], **fields: Value) -> dict[str, Value]:
    """Return an entry that was written at ``when`` (epoch seconds); ``fields`` as _SYSTEMD_UNIT and so on."""
    microseconds = int(when * 1e6)
    return {
        "__REALTIME_TIMESTAMP": microseconds,
        "__MONOTONIC_TIMESTAMP": max(1, microseconds - 1_500_000_000_000_000),
        "_BOOT_ID": _BOOT,
        "MESSAGE": message,
        **fields,
    }


def write(path: Path, entries: Iterable[Mapping[str, Value]]) -> None:
    """Write one file of a journal. ``path`` ends with .journal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = b"".join(_exported(one) for one in entries)
    done = subprocess.run([WRITER, "--output", path, "-"], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")


def _exported(fields: Mapping[str, Value]) -> bytes:
    """An entry in systemd's journal export format: a field a line, and an empty line behind."""
    lines = [_field(name, one) for name, value in fields.items() for one in _values(value)]
    return b"".join(lines) + b"\n"


def _values(value: Value) -> Sequence[bytes]:
    if isinstance(value, str | int):
        return [str(value).encode("utf-8")]
    return [value] if isinstance(value, bytes) else value


def _field(name: str, value: bytes) -> bytes:
    """By its length where it is no text on one line, as `journalctl --output=export` does."""
    if all(byte >= 0x20 or byte == 0x09 for byte in value):
        try:
            value.decode("utf-8")
            return b"%s=%s\n" % (name.encode("ascii"), value)
        except UnicodeDecodeError:
            pass
    return b"%s\n%s%s\n" % (name.encode("ascii"), len(value).to_bytes(8, "little"), value)
