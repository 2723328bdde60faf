# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of known errors in logs: data, in one file for each family. docs/signatures.md is written from it."""

from __future__ import annotations

from typing import Iterable, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import (
    signatures_clock,
    signatures_files,
    signatures_kernel,
    signatures_names,
    signatures_peers,
    signatures_pods,
    signatures_ports,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.signature import LEVELS, Signature, Wording

__all__ = ["IDS", "LEVELS", "SIGNATURES", "Signature", "Wording", "chosen"]

SIGNATURES: Tuple[Signature, ...] = (
    *signatures_names.SIGNATURES,
    *signatures_pods.SIGNATURES,
    *signatures_ports.SIGNATURES,
    *signatures_peers.SIGNATURES,
    *signatures_kernel.SIGNATURES,
    *signatures_files.SIGNATURES,
    *signatures_clock.SIGNATURES,
)
IDS = tuple(signature.id for signature in SIGNATURES)


def chosen(ids: Iterable[str]) -> Tuple[Signature, ...]:
    """The signatures with these ids, in the catalogue's order; all when there are no ids.

    Raises ValueError, for a person, when it does not know one of them.
    """
    wanted = set(ids)
    unknown = sorted(wanted.difference(IDS))
    if unknown:
        raise ValueError(f"unknown signatures: {', '.join(unknown)}; those that are known are {', '.join(sorted(IDS))}")
    return tuple(signature for signature in SIGNATURES if not wanted or signature.id in wanted)
