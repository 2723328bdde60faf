# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From which Go module each program of a node is built, by the kernel's name of its process: whoever has the name need not be it."""

from __future__ import annotations

BUILT_FROM = {
    "kubelet": ("k8s.io/kubernetes",),
    "containerd": ("github.com/containerd/containerd",),
    "crio": ("github.com/cri-o/cri-o", "github.com/kubernetes-sigs/cri-o"),
    "cri-dockerd": ("github.com/Mirantis/cri-dockerd",),
    "dockerd": ("github.com/docker/docker", "github.com/moby/moby"),
}


def is_of(module: str, *known: str) -> bool:
    """Whether a module is one of these, or a later major version of it."""
    return any(module == one or module.startswith(f"{one}/") for one in known)
