# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where CRI-O listens: what its flags and its configuration say.

``stream_port`` and ``stream_address`` in [crio.api]; ``enable_metrics``, ``metrics_port`` and ``metrics_host`` in
[crio.metrics]: crio.conf first, then crio.conf.d by name (crio.conf.d(5)), then the flags (crio(8)).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import toml_lines
from ansible_collections.kubenode.doctor.plugins.module_utils.bounded_read import Files
from ansible_collections.kubenode.doctor.plugins.module_utils.configuration import (
    Configuration,
    Edit,
    Setting,
    port_number,
    scalar,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.program_arguments import flag, switch

PROGRAM = "cri-o"
COMM = "crio"
PORT_KEY = "stream_port"
ADDRESS_KEY = "stream_address"

_CONFIG = "/etc/crio/crio.conf"
_FOLDER = "/etc/crio/crio.conf.d"
# Names that come after the distributions' own: the last file wins.
_DROP_IN = "99-stream-port.conf"
_METRICS_DROP_IN = "99-metrics-port.conf"
_STREAMING = ("crio", "api")
_METRICS = ("crio", "metrics")
_METRICS_PORT = "9090"  # DefaultConfig, pkg/config/config.go


class Crio(NamedTuple):
    """``metrics`` is None where they are off, which is the default."""

    streaming: Setting
    metrics: Optional[Configuration]


def collect(running: Sequence[tuple[str, list[str]]], files: Files, metrics_gaps: list[dict[str, str]]) -> Crio | None:
    """None when CRI-O neither runs nor is configured here. ``metrics_gaps`` get what is wrong with the metrics' settings."""
    processes = [argv for comm, argv in running if comm == COMM]
    argv = processes[0] if processes else []
    config = flag(argv, "--config", "-c") or _CONFIG
    folder = flag(argv, "--config-dir", "-d") or _FOLDER
    paths = [path for path in (config, *files.matching(folder + "/*")) if files.may_be_there(path)]
    if not processes and not paths:
        return None
    streaming = _unset(os.path.join(folder, _DROP_IN), "[crio.api]", files)
    metrics = _unset(os.path.join(folder, _METRICS_DROP_IN), "[crio.metrics]", files)
    enabled = "false"
    for path in paths:
        values = toml_lines.read(files.text(path) or "")
        streaming = streaming.overridden(values, _STREAMING, PORT_KEY, ADDRESS_KEY, path)
        metrics = metrics.overridden(values, _METRICS, "metrics_port", "metrics_host", path)
        enabled = scalar(values.get((*_METRICS, "enable_metrics"))) or enabled
    streaming = _last(streaming, folder, files)
    streaming = _flagged(streaming, flag(argv, "--stream-port"), flag(argv, "--stream-address"))
    metrics = _flagged(metrics, flag(argv, "--metrics-port"), flag(argv, "--metrics-host"))
    enabled = switch(argv, "--enable-metrics") or enabled
    return Crio(streaming, _metrics(metrics, metrics_gaps) if enabled == "true" else None)


def _unset(drop_in: str, section: str, files: Files) -> Setting:
    return Setting(edit=Edit(drop_in, section, new=not files.may_be_there(drop_in)))


def _last(streaming: Setting, folder: str, files: Files) -> Setting:
    """The file to edit is the drop-in of our own, unless a later one sets the port or the address."""
    drop_in = os.path.join(folder, _DROP_IN)
    if os.path.dirname(streaming.edit.file or "") == folder and str(streaming.edit.file) > drop_in:
        return streaming
    return streaming._replace(edit=_unset(drop_in, "[crio.api]", files).edit)


def _flagged(found: Setting, port: str | None, address: str | None) -> Setting:
    port, address = scalar(port), scalar(address)
    if port is not None:
        found = found._replace(port=port, file=None, edit=Edit())
    return found if address is None else found._replace(address=address)


def _metrics(found: Setting, gaps: list[dict[str, str]]) -> Configuration | None:
    """The metrics' server. Where no host is set, old versions listen everywhere, those with metrics_host on 127.0.0.1.

    metrics_host came with 1.30 and was brought to earlier ones (cri-o pulls 7677 and 7747).
    """
    key = "metrics_port" if found.file or found.port is None else "--metrics-port"
    try:
        port = port_number(_METRICS_PORT if found.port is None else found.port)
    except ValueError as error:
        gaps.append({"what": f"{found.file or 'CRI-O'}: {key}", "why": str(error)})
        return None
    return Configuration(
        PROGRAM,
        "crio-metrics",
        key,
        found.port,
        _METRICS_PORT,
        found.file,
        found.address or "",
        port or None,
        found.edit,
    )
