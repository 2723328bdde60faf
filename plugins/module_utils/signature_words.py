# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the patterns of several signatures are made of, and in whose logs they are looked for."""

from __future__ import annotations

# A quote, escaped once, or again each time that one program logs what another said: ", \", \\\", \\\\\\\".
QUOTE = r'\\{0,31}"'

# What kubelet names a container: k8s_<container>_<pod>_<namespace>_<uid>_<attempt>, on containerd without "k8s_".
CONTAINER_NAME = r"[A-Za-z0-9_.-]{1,500}"
CONTAINER_ID = r"[0-9a-f]{12,64}"

# Names of Kubernetes' objects; the uid of a static pod has no dashes.
LABEL = r"[a-z0-9-]{1,63}"
POD_NAME = r"[a-z0-9.-]{1,253}"
POD_UID = r"[0-9a-f-]{32,36}"

PORT = r"[0-9]{1,5}"
HOST = r"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Za-z:.%]{2,64}\])"
LOOPBACK = r"(?:127\.0\.0\.1|localhost|\[::1\])"
# What Go says when nobody listens; which system call it names, if any, depends on its age.
REFUSED = r"(?:getsockopt: |connect: )?connection refused"

# kubelet repeats its errors as Events: one failure is not to be counted twice.
EVENT = (r"Event\((?:v1|api)\.ObjectReference", r"Event occurred")

# Where kubelet and runtimes print what a pod said, or what its author wrote: it may hold any words.
QUOTED = (
    # prober.go:107] "Probe failed" probeType="Readiness" pod="default/web" … output="what the probe said"
    r"\bprober\.go:[0-9]",
    r"\b[Pp]robe (?:failed|errored|warning)\b",
    r"\b(?:[Rr]eadiness|[Ll]iveness|[Ss]tartup) probe\b",
    # handlers.go:55] "Exec lifecycle hook for Container in Pod failed" … message="what the hook said"; PostStartHookError: …
    r"\b(?:lifecycle hook|(?:PostStart|PreStop) ?[Hh]ook)",
    # "ExecSync cmd from runtime service failed" err="…" containerID="…" cmd=["what the pod's author wrote"]
    r"\bExecSync\b",
    # container &Container{Name:web,Command:[…],Env:[…]} start failed in pod …: the other lines on it hold the error as well
    r"\bContainer\{Name:",
    # klog (kubernetes/klog internal/serialize) writes what has several lines as output=<, then each behind a tab
    r"^\s",
)
NOT_KUBELETS_WORDS = (*EVENT, *QUOTED)
# exec: "what the pod's author wrote": executable file not found in $PATH
COMMAND = r"\bexec: \\{0,31}\""

# Units by what runs in them. k3s, k0s, MicroK8s, MicroShift and RKE2 run several programs in one.
_SERVERS = ("k0scontroller", "k3s", "microshift", "rke2-server", "snap.microk8s.daemon-kubelite")
_AGENTS = ("k0sworker", "k3s-agent", "rke2-agent")
KUBELET = ("kubelet", "atomic-openshift-node", "origin-node", "snap.microk8s.daemon-kubelet", *_AGENTS, *_SERVERS)
KUBE_PROXY = ("kube-proxy", "snap.kube-proxy.daemon", "snap.microk8s.daemon-proxy", *_AGENTS, *_SERVERS)
API_SERVER = ("kube-apiserver", "snap.kube-apiserver.daemon", "snap.microk8s.daemon-apiserver", *_SERVERS)
DOCKER = ("cri-docker", "cri-dockerd", "docker", "snap.docker.dockerd")
CONTAINERD = ("containerd", "snap.microk8s.daemon-containerd")
CRIO = ("cri-o", "crio")
CLOCK = ("chrony", "chronyd", "ntp", "ntpd", "ntpdate", "ntpsec", "systemd-timesyncd")

KUBERNETES = "https://github.com/kubernetes/kubernetes"
