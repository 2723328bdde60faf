# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent to a node runs as before, whatever its Python, and anything unknown is left alone."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import re
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import payload, payload_pack

_LOADED_FROM = "import shop.till\nprint(shop.till.TOTAL, shop.till.__spec__.cached, shop.till.__doc__)\n"
_NOISE = b"".join(
    hashlib.sha256(bytes([number])).digest() for number in range(60)
)  # what deflates to less than the least literal is no module
_TILL = b'"""Counts."""\nassert 1\nTOTAL = 42\n'


def _archive(files: dict[str, bytes]) -> bytes:
    new = io.BytesIO()
    with zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, "noise": _NOISE}.items():
            archive.writestr(name, content)
    return new.getvalue()


def _module(files: dict[str, bytes], interpreter: str = "/usr/bin/python3", use: str = "ZIP = %r") -> bytes:
    """As Ansible wraps a zip file: written to a file, imported from there, and only then run."""
    literal = base64.b64encode(_archive(files)).decode()
    lines = [
        f"#!{interpreter}",
        "import base64, os, sys, tempfile",
        use % literal,
        "path = os.path.join(tempfile.mkdtemp(), 'payload.zip')",
        "open(path, 'wb').write(base64.b64decode(ZIP))",
        "sys.path.insert(0, path)",
        _LOADED_FROM,
    ]
    return "\n".join(lines).encode()


def _shop() -> bytes:
    return _module({"shop/__init__.py": b"", "shop/till.py": _TILL})


def _old(module: bytes) -> tuple[Any, ...]:
    return ("new", "#!/usr/bin/python3", module, "/modules/shop.py")


def _unpacked(module: bytes) -> zipfile.ZipFile:
    """The zip file of a module, as Ansible made it or lighter."""
    (literal,) = re.findall(rb"'([A-Za-z0-9+/=\n]{1000,})'", module)
    content = base64.b64decode(literal)
    return zipfile.ZipFile(io.BytesIO(content if content.startswith(b"PK") else zlib.decompress(content)))


def _lighter(module: bytes, folder: Path) -> bytes:
    light = payload.lighter(_old(module), folder)[2]
    assert isinstance(light, bytes)
    return light


def _said(module: bytes, folder: Path) -> str:
    """What a node prints when it is handed the module, as with pipelining."""
    environment = {"TMPDIR": str(folder)}
    done = subprocess.run([sys.executable], input=module, env=environment, capture_output=True, check=True)
    return done.stdout.decode()


def test_the_module_says_the_same(tmp_path: Path) -> None:
    said = _said(_lighter(_shop(), tmp_path), tmp_path)
    assert said.split()[0] == "42"
    assert "Counts." in said


def test_the_node_takes_what_was_compiled(tmp_path: Path) -> None:
    """Shown by a source that was changed after it was compiled."""
    light = _lighter(_shop(), tmp_path)
    files = {entry.filename: _unpacked(light).read(entry) for entry in _unpacked(light).infolist()}
    files["shop/till.py"] = b"TOTAL = 'compiled on the node'\n"
    assert _said(_module(files), tmp_path).split()[0] == "42"


def test_another_python_takes_the_source(tmp_path: Path) -> None:
    light = _lighter(_shop(), tmp_path)
    files = {entry.filename: _unpacked(light).read(entry) for entry in _unpacked(light).infolist()}
    files["shop/till.pyc"] = b"\0\0\r\n" + files["shop/till.pyc"][4:]
    assert _said(_module(files), tmp_path).split()[0] == "42"


def test_sources_stay_as_they_are(tmp_path: Path) -> None:
    before, after = _unpacked(_shop()), _unpacked(_lighter(_shop(), tmp_path))
    assert {name: before.read(name) for name in before.namelist()}.items() <= {
        name: after.read(name) for name in after.namelist()
    }.items()
    assert set(after.namelist()) - set(before.namelist()) == {"shop/till.pyc"}


def test_the_hash_in_bytecode_is_its_sources(tmp_path: Path) -> None:
    """So that also a Python that is told to check each (--check-hash-based-pycs always) takes it."""
    command = [sys.executable, "--check-hash-based-pycs", "always"]
    environment = {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, input=_lighter(_shop(), tmp_path), env=environment, capture_output=True, check=True)
    assert done.stdout.split()[0] == b"42"


@pytest.mark.parametrize(
    ("interpreter", "compiled"),
    [
        ("/usr/bin/python3", True),
        ("/usr/bin/env python3", True),
        (f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}", True),
        ("/usr/bin/python3.7", False),
        ("/opt/python3.99 -B", False),
    ],
)
def test_what_the_node_cannot_use_is_not_sent(tmp_path: Path, interpreter: str, compiled: bool) -> None:
    module = _module({"shop/__init__.py": b"", "shop/till.py": _TILL}, interpreter)
    assert ("shop/till.pyc" in _unpacked(_lighter(module, tmp_path)).namelist()) is compiled


@dataclasses.dataclass(frozen=True)
class _Built:
    b_module_data: bytes
    module_style: str = "new"


def test_both_forms_of_ansible_core(tmp_path: Path) -> None:
    module = _shop()
    light = _lighter(module, tmp_path)
    assert light != module
    assert payload.lighter((_Built(module), "/modules/shop.py"), tmp_path) == (_Built(light), "/modules/shop.py")
    assert payload.lighter(_old(module), tmp_path) == _old(light)


def test_it_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    light = _lighter(_shop(), tmp_path)
    monkeypatch.setattr(payload, "_made", None)
    assert _lighter(_shop(), tmp_path) == light
    assert _lighter(_shop().replace(b"import base64", b"import json, base64"), tmp_path) != light


def test_nobody_else_may_read_or_change_it(tmp_path: Path) -> None:
    _lighter(_shop(), tmp_path)
    (made,) = [path for path in tmp_path.iterdir() if path.stat().st_size]
    assert made.stat().st_mode & 0o777 == 0o600


def test_a_failure_is_not_tried_for_each_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = _module({"shop/__init__.py": b"", "shop/till.py": b"TOTAL ="})
    with pytest.raises(payload.PayloadError, match=r"could not be packed: (.|\n)*SyntaxError"):
        payload.lighter(_old(broken), tmp_path)
    monkeypatch.setattr(payload, "_made", None)
    with pytest.raises(payload.PayloadError, match="it was tried for another host, and failed"):
        payload.lighter(_old(broken), tmp_path)


_NOT_A_ZIP = base64.b64encode(_NOISE)


@pytest.mark.parametrize(
    ("configured", "why"),
    [
        (None, "prepares modules in another way"),
        ((), "prepares modules in another way"),
        (("new", _shop()), "prepares modules in another way"),
        (_old(b"#!/usr/bin/python3\nprint(1)\n"), "0 literals"),
        (_old(_shop() + b"\n'" + _NOT_A_ZIP + b"'\n"), "2 literals"),
        (_old(b"#!/usr/bin/python3\nZIP = '" + _NOT_A_ZIP + b"'\n"), "BadZipFile"),
        (_old(b"#!/usr/bin/python3\nZIP = '" + _NOT_A_ZIP[:-3] + b"'\n"), "cannot be decoded"),
        (_old(_module({}, use='ZIP = """x\'%s\'"""')), "not a constant"),
        (_old(b"#!/bin/sh\nexec '" + _NOT_A_ZIP + b"'\n"), "not a constant"),
    ],
)
def test_what_is_not_as_expected_is_told(tmp_path: Path, configured: Any, why: str) -> None:
    with pytest.raises(payload.PayloadError, match=why):
        payload.lighter(configured, tmp_path)


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(payload.PayloadError, match="No such file"):
        payload.lighter(_old(_shop()), tmp_path / "gone")


def test_bytecode_names_the_file_of_a_traceback() -> None:
    archive = _archive({"shop/till.py": b"def pay():\n    return 1 / 0\n"})
    assert b"shop/till.py" in payload_pack._bytecode("shop/till.py", b"1\n")
    assert len(payload_pack.packed(archive, True)) > len(payload_pack.packed(archive, False))
