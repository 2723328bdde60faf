# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/signatures.md says what the catalogue of known errors says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import signatures
from ansible_collections.kubenode.doctor.plugins.module_utils.signatures import Signature
from ansible_collections.kubenode.doctor.tests.tools import signatures_reference


def test_it_is_current() -> None:
    assert signatures_reference.main(["--check"]) == 0


def test_a_changed_signature_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tuple(signature._replace(cure="Do something else.") for signature in signatures.SIGNATURES)
    monkeypatch.setattr(signatures, "SIGNATURES", changed)
    assert signatures_reference.main(["--check"]) == 1
    assert "is not what the catalogue says" in capsys.readouterr().err
    monkeypatch.setattr(signatures_reference, "TARGET", tmp_path / "signatures.md")
    assert signatures_reference.main(["--check"]) == 1
    assert signatures_reference.main([]) == 0
    assert signatures_reference.main(["--check"]) == 0


def test_a_wrong_word_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert signatures_reference.main(["--chekc"]) == 2
    assert "--check" in capsys.readouterr().err


@pytest.mark.parametrize("signature", signatures.SIGNATURES, ids=lambda signature: signature.id)
def test_each_signature_is_told(signature: Signature) -> None:
    text = signatures_reference.TARGET.read_text(encoding="utf-8")
    (section,) = (part for part in text.split("\n## ") if part.startswith(f"{signature.id}\n"))
    assert signature.meaning in section
    assert signature.cure in section
    for wording in signature.wordings:
        assert wording.versions in section
        assert wording.link in section
    for name in (*signature.fields, *signature.units, *signature.containers):
        assert f"`{name}`" in section
