# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of containers that are taken: Docker, containerd, CRI-O."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL
from ansible_collections.kubenode.doctor.plugins.module_utils.signature import Signature, Wording
from ansible_collections.kubenode.doctor.plugins.module_utils.signature_words import (
    COMMAND,
    CONTAINER_ID,
    CONTAINER_NAME,
    CONTAINERD,
    CRIO,
    DOCKER,
    KUBELET,
    NOT_KUBELETS_WORDS,
    QUOTE,
)

_HOLDER = rf"(?P<holder>{CONTAINER_ID})\b"
# Docker writes names with a slash in front. Those of other programs on the host are no business of kubelet's.
_DOCKER_NAME = rf"{QUOTE}/?(?P<name>k8s_{CONTAINER_NAME}){QUOTE}"
_RESERVED_FOR = rf"name {QUOTE}{CONTAINER_NAME}{QUOTE} is reserved for {QUOTE}{_HOLDER}"

DOCKER_NAME_CONFLICT = Signature(
    id="docker-name-conflict",
    level="critical",
    title="Docker refuses to create a container of Kubernetes: its name is taken",
    meaning=(
        "kubelet asks Docker to create a container under a name that another container has, and asks again at every"
        " sync. kubelet counts the attempts of a container from the one that was created last. After the clock was"
        " set back, an older attempt that has exited looks like the last one; kubelet then tries to create the"
        " attempt after it, which exists and is often running. The message names the container that holds the name."
    ),
    cure=(
        "Do not remove the container that the message names before you know its state: it is usually the living one."
        " Set the clock right first, then remove the exited container with the lower attempt, by its full id and"
        " without force; kubelet takes up the running one at its next sync. If the named container was only created"
        " or is dead, that one is in the way. If Docker does not know it at all, Docker lost track of the name:"
        " restart Docker, which stops every container unless live-restore is on."
    ),
    sources=(JOURNAL,),
    units=(*KUBELET, *DOCKER),
    negatives=(*NOT_KUBELETS_WORDS, COMMAND),
    wordings=(
        Wording(
            anchor="is already in use by container",
            pattern=rf"The container name {_DOCKER_NAME} is already in use by container (?:{QUOTE})?{_HOLDER}",
            versions="Docker 1.13 and newer",
            link="https://github.com/moby/moby/blob/master/daemon/errors.go",
        ),
        Wording(
            anchor="is already in use by container",
            pattern=rf"The name {_DOCKER_NAME} is already in use by container (?:{QUOTE})?{_HOLDER}",
            versions="Docker up to 1.12",
            link="https://github.com/kubernetes/kubernetes/issues/40443",
        ),
    ),
)

CONTAINERD_NAME_RESERVED = Signature(
    id="containerd-name-reserved",
    level="warning",
    title="containerd refuses to create a container: its name is reserved",
    meaning=(
        "kubelet asks containerd for a container whose name is reserved for another one. Either the first request for"
        " it is still being worked on, usually because the disk is slow or a mount hangs, or it was given up and its"
        " reservation was left behind, or the clock was set back and kubelet counts from the wrong attempt."
    ),
    cure=(
        "Look for slow disks and for mounts that hang; the container comes up by itself once the first request is"
        " done. If the reserved id is not among the containers (crictl ps -a), restart containerd: pods survive that,"
        " and reservations are rebuilt from what exists. If an exited attempt of the container looks newer than a"
        " running one, set the clock right and remove the exited one, never the running one (crictl rm --keep-logs,"
        " which refuses what runs)."
    ),
    sources=(JOURNAL,),
    units=(*KUBELET, *CONTAINERD),
    negatives=(*NOT_KUBELETS_WORDS, COMMAND),
    wordings=(
        Wording(
            anchor="failed to reserve container name",
            pattern=rf"failed to reserve container name {QUOTE}(?P<name>{CONTAINER_NAME}){QUOTE}: {_RESERVED_FOR}",
            versions="containerd 1.0 and newer",
            link="https://github.com/containerd/containerd/issues/4604",
        ),
        Wording(
            anchor="failed to reserve container name",
            pattern=(
                rf"failed to reserve container name {QUOTE}(?P<name>{CONTAINER_NAME}){QUOTE}"
                rf"; check if another CreateContainer request is in progress: {_RESERVED_FOR}"
            ),
            versions="containerd from 2026 on, also 2.2.3",
            link="https://github.com/containerd/containerd/pull/12695",
        ),
    ),
)

CONTAINERD_SANDBOX_NAME_RESERVED = Signature(
    id="containerd-sandbox-name-reserved",
    level="warning",
    title="containerd refuses to create a pod's sandbox: its name is reserved",
    meaning=(
        "kubelet asks containerd for the sandbox of a pod while an earlier request for the same sandbox is still"
        " being worked on, or was given up and left its reservation behind. Nothing of the pod can start before that."
    ),
    cure=(
        "Look at what the first request waits for: the network plugin, the disk, pulling the pause image. If the"
        " reserved id is not among the sandboxes (crictl pods), restart containerd: pods survive that."
    ),
    sources=(JOURNAL,),
    units=(*KUBELET, *CONTAINERD),
    negatives=(*NOT_KUBELETS_WORDS, COMMAND),
    wordings=(
        Wording(
            anchor="failed to reserve sandbox name",
            pattern=(
                rf"failed to reserve sandbox name {QUOTE}(?P<name>{CONTAINER_NAME}){QUOTE}"
                rf"(?:; check if another RunPodSandbox request is in progress)?: {_RESERVED_FOR}"
            ),
            versions="containerd 1.0 and newer",
            link="https://github.com/kubernetes/kubernetes/issues/107561",
        ),
    ),
)

CRIO_NAME_RESERVED = Signature(
    id="crio-name-reserved",
    level="warning",
    title="CRI-O refuses to create a container or a sandbox: its name is reserved",
    meaning=(
        "kubelet asked again for something that CRI-O is still creating: the first request takes longer than kubelet"
        " waits. CRI-O keeps the name reserved until the first request is done or has failed. After the clock was set"
        " back, kubelet may also ask for an attempt that exists."
    ),
    cure=(
        "Find out what the first request waits for: CRI-O logs the stage that it is in. Volumes with very many files"
        " take long to be labelled or chowned (fsGroupChangePolicy: OnRootMismatch, or an SELinux mount option,"
        " avoids it); else look at the disk and at the CPU. If it stays for long after the load is gone, restart"
        " CRI-O: pods survive that."
    ),
    sources=(JOURNAL,),
    units=(*KUBELET, *CRIO),
    negatives=(*NOT_KUBELETS_WORDS, COMMAND),
    wordings=(
        Wording(
            anchor="error reserving ",
            pattern=rf"error reserving (?:ctr|pod) name (?P<name>k8s_{CONTAINER_NAME}) for id (?P<id>{CONTAINER_ID})\b",
            versions="CRI-O 1.9 and newer",
            link="https://github.com/cri-o/cri-o/issues/8884",
        ),
    ),
)

CRIO_STORAGE_NAME_IN_USE = Signature(
    id="crio-storage-name-in-use",
    level="warning",
    title="CRI-O's storage refuses a container: its name is in use there",
    meaning=(
        "The storage below CRI-O holds a container of that name which CRI-O itself does not know, mostly the rest of"
        " a creation or of a removal that was interrupted. kubelet's request fails at every sync."
    ),
    cure=(
        "If crictl ps -a knows the named id, treat it as any other container: never remove it while it runs. If only"
        " the storage knows it, restart CRI-O, which removes what it cannot restore; podman ps --all --external shows"
        " what is left, and podman rm --storage removes it."
    ),
    sources=(JOURNAL,),
    units=(*KUBELET, *CRIO),
    negatives=(*NOT_KUBELETS_WORDS, COMMAND),
    wordings=(
        Wording(
            anchor="You have to remove that container",
            pattern=(
                rf"the container name {QUOTE}(?P<name>k8s_{CONTAINER_NAME}){QUOTE} is already in use by"
                rf" (?:{QUOTE})?{_HOLDER}(?:{QUOTE})?\. You have to remove that container to be able to reuse that name"
            ),
            versions="CRI-O with containers/storage from mid-2018 on",
            link="https://github.com/containers/storage/blob/main/containers.go",
        ),
    ),
)

CRIO_CREATION_STAGE = Signature(
    id="crio-creation-stage",
    level="warning",
    title="CRI-O takes too long to create a container or a sandbox",
    meaning=(
        "kubelet asked for something a second time while CRI-O was still creating it. CRI-O says at which stage it"
        " is: that is what takes the time."
    ),
    cure=(
        "Look at what the stage does: storage means the disk or a full image store; volume configuration means"
        " labelling or chowning very many files; network means the network plugin; runtime creation means the OCI"
        " runtime, systemd or the CPU."
    ),
    sources=(JOURNAL,),
    units=(*KUBELET, *CRIO),
    negatives=(*NOT_KUBELETS_WORDS, COMMAND),
    wordings=(
        Wording(
            anchor="Currently at stage",
            pattern=(
                rf"Creation of [a-z]{{1,20}} (?P<name>k8s_{CONTAINER_NAME}) not yet finished\."
                r" Currently at stage (?P<stage>[a-z][a-z ]{1,60})\."
            ),
            versions="CRI-O 1.21 and newer, from late 2022 on",
            link="https://github.com/cri-o/cri-o/pull/6303",
        ),
        Wording(
            anchor="Currently at stage",
            pattern=(
                r"timing out in CRI-O due to system load\. Currently at stage (?P<stage>[a-z][a-z ]{1,60}):"
                rf"(?: [a-z ]{{1,60}}: error reserving (?:ctr|pod) name (?P<name>k8s_{CONTAINER_NAME}))?"
            ),
            versions="CRI-O 1.21 and newer, from late 2022 on, as kubelet repeats it",
            link="https://github.com/cri-o/cri-o/blob/main/server/utils.go",
        ),
    ),
)

SIGNATURES = (
    DOCKER_NAME_CONFLICT,
    CONTAINERD_NAME_RESERVED,
    CONTAINERD_SANDBOX_NAME_RESERVED,
    CRIO_NAME_RESERVED,
    CRIO_STORAGE_NAME_IN_USE,
    CRIO_CREATION_STAGE,
)
