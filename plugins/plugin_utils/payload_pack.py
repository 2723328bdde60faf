# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs the zip file of a module anew, with what this Python compiled beside its sources: a program, started by payload.

It reads the zip file and writes its successor, deflated as a whole: 200 small files have much in common. The sources stay. A node's
zipimport takes NAME.pyc before NAME.py, and NAME.py when another Python has compiled the former (CPython Lib/zipimport.py, _zip_searchorder and
_unmarshal_code; the same from 3.8 to 3.14).
"""

from __future__ import annotations

import importlib.util
import io
import marshal
import sys
import zipfile
import zlib

# Of a .pyc that is told by its source's hash, which is not looked at (PEP 552): with times, those of the zip file would have to agree.
_UNCHECKED_HASH = (0b01).to_bytes(4, "little")


def packed(archive: bytes, bytecode: bool) -> bytes:
    """The same files, stored and deflated as one. Raises zipfile.BadZipFile, and SyntaxError for what cannot be compiled."""
    new = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as sources, zipfile.ZipFile(new, "w", zipfile.ZIP_STORED) as files:
        for entry in sources.infolist():
            content = sources.read(entry)
            files.writestr(zipfile.ZipInfo(entry.filename, entry.date_time), content)
            if bytecode and content and entry.filename.endswith(".py"):
                compiled = zipfile.ZipInfo(f"{entry.filename}c", entry.date_time)
                files.writestr(compiled, _bytecode(entry.filename, content))
    return zlib.compress(new.getvalue())


def _bytecode(name: str, source: bytes) -> bytes:
    """A .pyc file. Asserts and docstrings are kept: somebody may look at them, and a node with another Python has them too."""
    code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    return importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source) + marshal.dumps(code)


if __name__ == "__main__":
    sys.stdout.buffer.write(packed(sys.stdin.buffer.read(), "bytecode" in sys.argv[1:]))
