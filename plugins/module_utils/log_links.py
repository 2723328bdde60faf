# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The links that kubelet makes to the logs of containers: they name a container long after its runtime has forgotten it.

    /var/log/containers/etcd-master_kube-system_etcd-066268ae….log
        -> /var/log/pods/kube-system_etcd-master_1403dda53affdfee1130475a6d9609da/etcd/4.log

kubelet links when it has started a container, and unlinks when it removes it (kubernetes/kubernetes pkg/kubelet/kuberuntime:
startContainer, legacyLogSymlink; podLogsDir may be another folder). It cuts the name to 255 bytes, so that of a long one the id is cut.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils.kube_container import Identity, parse_containerd_name
from ansible_collections.kubenode.doctor.plugins.module_utils.runtime_files import RuntimeFiles

FOLDER = "/var/log/containers"
_SUFFIX = ".log"
_LONGEST_STEM = 255 - len(_SUFFIX)
_TARGET = re.compile(r"(?:/[^/]+)*/([^/_]+)_([^/_]+)_([^/_]+)/([^/_]+)/([0-9]+)\.log")
_ID = re.compile(r"[0-9a-f]{12,64}")  # 12 digits tell the containers of a node apart, which is what docker ps prints


class LogLink(NamedTuple):
    """A link: ``id_start`` is the container's id, or its first digits where it was cut."""

    id_start: str
    identity: Identity


class LogLinks:
    """All links of a node."""

    def __init__(self, files: RuntimeFiles, folder: str = FOLDER) -> None:
        found = [(name, files.link(f"{folder}/{name}")) for name in files.names(folder) if name.endswith(_SUFFIX)]
        links = [link for link in (parse(name, target or "") for name, target in found) if link]
        self._by_id = {link.id_start: link.identity for link in links if len(link.id_start) == 64}
        self._cut = [link for link in links if len(link.id_start) < 64]

    def identity(self, id_: str) -> Optional[Identity]:
        """Whose container it is, None when no link tells, or several do."""
        if id_ in self._by_id:
            return self._by_id[id_]
        fitting = [link.identity for link in self._cut if id_.startswith(link.id_start)]
        return fitting[0] if len(fitting) == 1 else None


def parse(name: str, target: str) -> Optional[LogLink]:
    """What one link tells, None when it is none of kubelet's."""
    match = _TARGET.fullmatch(target)
    if match is None:
        return None
    namespace, pod, pod_uid, container, attempt = match.groups()
    identity = parse_containerd_name("_".join((container, pod, namespace, pod_uid, attempt)))
    stem, before = name[: -len(_SUFFIX)], f"{pod}_{namespace}_{container}-"
    id_start = stem[len(before) :]
    whole = len(id_start) == 64 or len(stem.encode("utf-8", "surrogateescape")) == _LONGEST_STEM
    if identity is None or not stem.startswith(before) or not whole or not _ID.fullmatch(id_start):
        return None
    return LogLink(id_start, identity)
