# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pod of several answers, and all of them run the same images: a leader may have been elected, which alone listens."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import Target
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_faults import Fault, by_pod


def looks_like_a_leader(fault: Fault) -> bool:
    """Whether exactly one pod answers on all the ports that others do not answer, and those run what it runs."""
    leaders = by_pod(target for port in fault.ports for target in port.answering)
    if len(leaders) != 1 or fault.is_whole:
        return False
    images = _images(leaders[0])
    deaf = [target for target in fault.targets if target.name != leaders[0].name]
    return bool(images and deaf) and all(_images(target) == images for target in deaf)


def _images(target: Target) -> set[tuple[str, str]]:
    """What a pod's containers run, by name: the image's id, else its name, as the API says it or, where it does not, the node."""
    if target.pod is None:
        return {
            (one.name, one.image) for one in (target.seen.containers if target.seen else ()) if one.name and one.image
        }
    running = [one for one in target.pod["containers"] if one["kind"] != "init"]
    return {(one["name"], (one["status"] or {}).get("image_id") or one["image"] or "") for one in running}
