# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kubelet says when it cannot bring up a container or the sandbox of a pod."""

from __future__ import annotations

from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL
from ansible_collections.kubenode.doctor.plugins.module_utils.signature import Signature, Wording
from ansible_collections.kubenode.doctor.plugins.module_utils.signature_words import (
    KUBELET,
    KUBERNETES,
    LABEL,
    NOT_KUBELETS_WORDS,
    POD_NAME,
    POD_UID,
    QUOTE,
)

_K0S = "https://github.com/k0sproject/k0s/blob/main/pkg/supervisor/supervisor.go"

# One line may tell of several containers of the pod.
_CONTAINER = (
    rf"failed to {QUOTE}StartContainer{QUOTE} for {QUOTE}(?P<container>{LABEL}){QUOTE}"
    r" with (?P<reason>CreateContainerError|CreateContainerConfigError|RunContainerError)\b"
)
# Which pod it is stands in the line as well, before the error or behind it.
_POD_IN_TEXT = (
    rf'Error syncing pod (?P<uid>{POD_UID}) \("(?P<pod>{POD_NAME})_(?P<namespace>{LABEL})\({POD_UID}\)"\), skipping: '
)
_POD_IN_FIELDS = rf'" pod="(?P<namespace>{LABEL})/(?P<pod>{POD_NAME})" podUID="?(?P<uid>{POD_UID})'
# k0s logs in logfmt what kubelet said: msg="E0619 … err=\"…\" pod=\"default/web-0\" podUID=\"…\"" component=kubelet
_ESCAPED = r'\\{1,31}"'
_POD_IN_WRAPPED_FIELDS = (
    rf"{_ESCAPED} pod={_ESCAPED}(?P<namespace>{LABEL})/(?P<pod>{POD_NAME}){_ESCAPED}"
    rf" podUID=(?:{_ESCAPED})?(?P<uid>{POD_UID})"
)
_POD_IN_WRAPPED_TEXT = (
    rf"Error syncing pod (?P<uid>{POD_UID})"
    rf" \({_ESCAPED}(?P<pod>{POD_NAME})_(?P<namespace>{LABEL})\({POD_UID}\){_ESCAPED}\), skipping: "
)
_POD_IN_JSON = (
    rf'"pod":\{{"name":"(?P<pod>{POD_NAME})","namespace":"(?P<namespace>{LABEL})"\}}',
    rf'"podUID":"(?P<uid>{POD_UID})"',
)

CONTAINER_NOT_CREATED = Signature(
    id="container-not-created",
    level="warning",
    title="kubelet cannot create or start a container",
    meaning=(
        "kubelet tries again at every sync. CreateContainerConfigError: something that the container's configuration"
        " names is missing, such as a Secret or a key of a ConfigMap. CreateContainerError: the container runtime"
        " refused to create it. RunContainerError: it was created and could not be started. While it lasts, kubectl"
        " logs shows the previous instance, whose errors may have nothing to do with this one."
    ),
    cure="Read the rest of the message: it holds the container runtime's own words.",
    sources=(JOURNAL,),
    units=KUBELET,
    negatives=NOT_KUBELETS_WORDS,
    wordings=(
        Wording(
            anchor="Error syncing pod",
            pattern=_CONTAINER,
            also=(_POD_IN_FIELDS,),
            versions="kubelet 1.21 and newer",
            link=f"{KUBERNETES}/blob/master/pkg/kubelet/pod_workers.go",
        ),
        Wording(
            anchor="Error syncing pod",
            pattern=_CONTAINER,
            also=_POD_IN_JSON,
            versions="kubelet 1.21 and newer with --logging-format=json",
            link="https://github.com/kubernetes/enhancements/issues/1602",
        ),
        Wording(
            anchor="Error syncing pod",
            pattern=_CONTAINER,
            also=(_POD_IN_TEXT,),
            versions="kubelet 1.6 to 1.20",
            link=f"{KUBERNETES}/pull/37680",
        ),
        Wording(
            anchor="Error syncing pod",
            pattern=_CONTAINER,
            also=(_POD_IN_WRAPPED_FIELDS,),
            versions="k0s with kubelet 1.21 and newer",
            link=_K0S,
        ),
        Wording(
            anchor="Error syncing pod",
            pattern=_CONTAINER,
            also=(_POD_IN_WRAPPED_TEXT,),
            versions="k0s with kubelet 1.20",
            link=_K0S,
        ),
    ),
)

SANDBOX_NOT_CREATED = Signature(
    id="sandbox-not-created",
    level="warning",
    title="kubelet cannot create the sandbox of a pod",
    meaning=(
        "The sandbox holds the pod's network, and comes before all of its containers. kubelet tries again at every"
        " sync. Mostly the network plugin failed, or the container runtime was too slow, or the sandbox's name is"
        " taken."
    ),
    cure=(
        "Read the rest of the message: it holds the container runtime's own words. For a network plugin that fails,"
        " look at its own pod on this node and at /etc/cni/net.d."
    ),
    sources=(JOURNAL,),
    units=KUBELET,
    negatives=NOT_KUBELETS_WORDS,
    wordings=(
        Wording(
            anchor="with CreatePodSandboxError",
            pattern=(
                rf"failed to {QUOTE}CreatePodSandbox{QUOTE} for {QUOTE}(?P<pod>{POD_NAME})_(?P<namespace>{LABEL})"
                rf"\((?P<uid>{POD_UID})\){QUOTE} with CreatePodSandboxError"
            ),
            versions="kubelet 1.6 and newer",
            link=f"{KUBERNETES}/issues/107561",
        ),
    ),
)

SIGNATURES = (CONTAINER_NOT_CREATED, SANDBOX_NOT_CREATED)
