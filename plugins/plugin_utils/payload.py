# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible sends to a node for a module, made so that the node has less to do: sources come with what the controller compiled of them.

Of the time that a big module takes on a node, half goes into compiling its sources, each time, since Python keeps nothing of what it
imports from a zip file. A node that has the controller's version of Python needs not do that; any other takes the sources, as ever.

Ansible has no interface for it, so this looks at what ActionBase._configure_module gives, a private method: a tuple of style, interpreter
line, module and path until ansible-core 2.18, then of an object that holds the first three, and the path. Whatever is not as expected
is left as it is, and told with -vvv.
"""

from __future__ import annotations

import ast
import base64
import binascii
import dataclasses
import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.plugins.plugin_utils import payload_pack

# The zip file in the wrapper that Ansible writes around it (ansible-core lib/ansible/executor/module_common.py): one literal, made by repr().
_LITERAL = re.compile(rb"'([A-Za-z0-9+/]{1000,}={0,2})'")
# In its place: the same text, unpacked on the node by what the wrapper imports there anyway. In lines, which b64decode does not mind: Python reads a
# program from standard input (pipelining) line by line, and one of a megabyte costs it 30 ms.
_EXPRESSION = b"__import__('base64').b64encode(__import__('zlib').decompress(__import__('base64').b64decode('''\n%b'''))).decode()"
_LINE = 6000  # bytes before base64, so 8000 characters
_INTERPRETER = re.compile(rb"#!\S*/python(3\.[0-9]+)\s")
# Where in a line of source what was compiled stands is a third of a .pyc since Python 3.11, and only good for the ^^^^ of tracebacks (PEP 657).
_COMPILER = ("-I", "-S", "-W", "ignore", "-X", "no_debug_ranges", payload_pack.__file__)
_SECONDS = 60  # it takes one


class PayloadError(Exception):
    """Why what Ansible sends is left as it is."""


def lighter(configured: Any, folder: Path) -> Any:
    """What _configure_module gave, with a module that costs the node less; ``folder`` is where all hosts of a run share it.

    Raises PayloadError.
    """
    try:
        first, *others = configured
        if hasattr(first, "b_module_data"):
            return (dataclasses.replace(first, b_module_data=_lighter(first.b_module_data, folder)), *others)
        style, interpreter, module, path = configured
        return style, interpreter, _lighter(module, folder), path
    except (TypeError, ValueError) as error:
        raise PayloadError(f"this ansible-core prepares modules in another way: {error}") from error
    except OSError as error:
        raise PayloadError(str(error)) from error


def _lighter(module: bytes, folder: Path) -> bytes:
    found = list(_LITERAL.finditer(module))
    if len(found) != 1:
        raise PayloadError(f"{len(found)} literals in the module look like its zip file")
    literal = found[0]
    replacement = _shared(module, literal[1], _compiles(module), folder)
    if not replacement:
        raise PayloadError("it was tried for another host, and failed")
    return module[: literal.start()] + replacement + module[literal.end() :]


def _compiles(module: bytes) -> bool:
    """False when the interpreter's name tells that it is of another version, which has no use for what this one compiled."""
    interpreter = _INTERPRETER.match(module)
    return interpreter is None or interpreter[1] == b"%d.%d" % sys.version_info[:2]


def _shared(module: bytes, literal: bytes, bytecode: bool, folder: Path) -> bytes:
    """What replaces a literal, made by the first of a run's processes that needs it. Empty when it could not be made."""
    name = f"kubenode-doctor-{hashlib.sha256(literal).hexdigest()}-{int(bytecode)}"
    path = folder / name
    if not path.exists():
        with open(folder / f"{name}.lock", "ab") as lock:  # closed, hence unlocked, however this ends
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                _write(path, _made_once(module, literal, bytecode, path))
    return path.read_bytes()


def _made_once(module: bytes, literal: bytes, bytecode: bool, path: Path) -> bytes:
    """As _made; a failure is left for the other hosts as an empty file, so that they need not try it again."""
    try:
        return _made(module, literal, bytecode)
    except PayloadError:
        _write(path, b"")
        raise


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and for nobody else."""
    number, name = tempfile.mkstemp(dir=path.parent)
    with open(number, "wb") as file:
        file.write(content)
    os.replace(name, path)


def _made(module: bytes, literal: bytes, bytecode: bool) -> bytes:
    """Raises PayloadError."""
    if not _is_constant(module, literal.decode()):
        raise PayloadError("the zip file is not a constant of the module's program")
    try:
        program = [sys.executable, *_COMPILER, *(["bytecode"] if bytecode else [])]
        archive = base64.b64decode(literal, validate=True)
        done = subprocess.run(program, input=archive, capture_output=True, check=True, timeout=_SECONDS)
    except binascii.Error as error:
        raise PayloadError(f"the zip file cannot be decoded: {error}") from error
    except subprocess.CalledProcessError as error:
        raise PayloadError(
            f"the zip file could not be packed: {error.stderr.decode(errors='replace')[-200:]}"
        ) from error
    except (subprocess.TimeoutExpired, OSError) as error:
        raise PayloadError(f"the zip file could not be packed: {error}") from error
    lines = (base64.b64encode(done.stdout[start : start + _LINE]) for start in range(0, len(done.stdout), _LINE))
    return _EXPRESSION % b"\n".join(lines)


def _is_constant(module: bytes, text: str) -> bool:
    """Whether an expression may stand in the place of the text: as an argument or a value, but not in a pattern, nor within a string."""
    try:
        program = ast.parse(module)
    except (SyntaxError, ValueError):
        return False
    constants = [node for node in ast.walk(program) if isinstance(node, ast.Constant) and node.value == text]
    return len(constants) == 1
