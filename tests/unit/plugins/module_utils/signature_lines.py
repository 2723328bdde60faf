# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of real logs, and what the catalogue says of them. Each names where it is from.

k#N is an issue or pull request of kubernetes/kubernetes; "made" is a line that was made from the wording in the source named, because
nobody quotes a whole one. Addresses and ids that the quoting person left out were filled in.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple

from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import JOURNAL, KERNEL, POD, Origin, PodLog


class Line(NamedTuple):
    known_from: str
    origin: Origin
    text: str
    fields: Dict[str, str]


class Miss(NamedTuple):
    """A line in which the signature must not be found."""

    known_from: str
    origin: Origin
    text: str


def unit(name):
    return Origin(JOURNAL, f"{name}.service", None)


def pod(container, namespace="kube-system"):
    return Origin(POD, None, PodLog(namespace, f"{container}-n1", "1403dda53affdfee1130475a6d9609da", container, 3))


KUBELET = unit("kubelet")
K3S = unit("k3s")
DOCKERD = unit("docker")
CONTAINERD = unit("containerd")
CRIO = unit("crio")
CHRONY = unit("chronyd")
NTP = unit("ntpd")
KERNEL_RING = Origin(KERNEL, None, None)
API_SERVER = pod("kube-apiserver")
KUBE_PROXY = pod("kube-proxy")
APPLICATION = pod("web", "default")

APISERVER_24 = "k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_1403dda53affdfee1130475a6d9609da_24"
SEED_002 = (
    r"E0322 21:05:33.780814 1115805 pod_workers.go:191] Error syncing pod 1403dda53affdfee1130475a6d9609da"
    r' ("kube-apiserver-pi-master1_kube-system(1403dda53affdfee1130475a6d9609da)"), skipping: failed to "StartContainer" for'
    r' "kube-apiserver" with CreateContainerError: "Error response from daemon: Conflict. The container name'
    r" \"/k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_1403dda53affdfee1130475a6d9609da_24\" is already in use by"
    r" container \"eced8537863007db9a915924785306b26238cabbd3feec0e5226e2ad0710807b\". You have to remove (or rename) that container"
    r' to be able to reuse that name."'
)
K3S_4844 = (
    r'E1228 08:04:40.994582       1 pod_workers.go:190] "Error syncing pod, skipping" err="failed to \"StartContainer\" for'
    r" \"hello-member1\" with CreateContainerError: \"failed to reserve container name"
    r" \\\"hello-member1_hello-member1-745df6ffb6-vrjk7_kubeocean-system_e143907b-c961-41b5-b1d0-78efdc1f1446_33\\\": name"
    r" \\\"hello-member1_hello-member1-745df6ffb6-vrjk7_kubeocean-system_e143907b-c961-41b5-b1d0-78efdc1f1446_33\\\" is reserved for"
    r' \\\"6598ce4487b2e9e5a44de6fa53f5bbcdd4a4f7bd90ba592a0cb633bd5ecf358a\\\"\"" pod="kubeocean-system/hello-member1-745df6ffb6-vrjk7"'
    r" podUID=e143907b-c961-41b5-b1d0-78efdc1f1446"
)
HELLO = {
    "pod": "hello-member1-745df6ffb6-vrjk7",
    "namespace": "kubeocean-system",
    "uid": "e143907b-c961-41b5-b1d0-78efdc1f1446",
    "container": "hello-member1",
    "reason": "CreateContainerError",
}
# The same as JSON, keys in the order in which zapr writes them, by KEP 1602 and what k#98778 shows.
K3S_4844_JSON = (
    r'{"ts":1640678680994.582,"caller":"kubelet/pod_workers.go:190","msg":"Error syncing pod, skipping",'
    r'"pod":{"name":"hello-member1-745df6ffb6-vrjk7","namespace":"kubeocean-system"},"podUID":"e143907b-c961-41b5-b1d0-78efdc1f1446",'
    r'"err":"failed to \"StartContainer\" for \"hello-member1\" with CreateContainerError: \"failed to reserve container name'
    r" \\\"hello-member1_hello-member1-745df6ffb6-vrjk7_kubeocean-system_e143907b-c961-41b5-b1d0-78efdc1f1446_33\\\": name"
    r" \\\"hello-member1_hello-member1-745df6ffb6-vrjk7_kubeocean-system_e143907b-c961-41b5-b1d0-78efdc1f1446_33\\\" is reserved for"
    r' \\\"6598ce4487b2e9e5a44de6fa53f5bbcdd4a4f7bd90ba592a0cb633bd5ecf358a\\\"\""}'
)
HELLO_RESERVED = {
    "name": "hello-member1_hello-member1-745df6ffb6-vrjk7_kubeocean-system_e143907b-c961-41b5-b1d0-78efdc1f1446_33",
    "holder": "6598ce4487b2e9e5a44de6fa53f5bbcdd4a4f7bd90ba592a0cb633bd5ecf358a",
}
K_107561 = (
    r'E0105 22:28:07.341035    2984 pod_workers.go:918] "Error syncing pod, skipping" err="failed to \"CreatePodSandbox\" for'
    r" \"ss2-1_statefulset-8250(f1c4daf1-6df3-453a-9e79-ba00655a2b14)\" with CreatePodSandboxError: \"Failed to create sandbox for pod"
    r" \\\"ss2-1_statefulset-8250(f1c4daf1-6df3-453a-9e79-ba00655a2b14)\\\": rpc error: code = Unknown desc = failed to reserve sandbox"
    r" name \\\"ss2-1_statefulset-8250_f1c4daf1-6df3-453a-9e79-ba00655a2b14_0\\\": name"
    r" \\\"ss2-1_statefulset-8250_f1c4daf1-6df3-453a-9e79-ba00655a2b14_0\\\" is reserved for"
    r' \\\"16cf6835c15b84166615c6b321e96e87119a1ea7aa6124eac28b44c898a0074d\\\"\"" pod="statefulset-8250/ss2-1"'
    r" podUID=f1c4daf1-6df3-453a-9e79-ba00655a2b14"
)
WINDOWS_984 = (
    r"E1012 15:04:12.224733    1580 pod_workers.go:191] Error syncing pod 4f009c6c-e195-41d7-9b12-47d8be0f240b"
    r' ("win-webserver-blfzf_default(4f009c6c-e195-41d7-9b12-47d8be0f240b)"), skipping: failed to "CreatePodSandbox" for'
    r' "win-webserver-blfzf_default(4f009c6c-e195-41d7-9b12-47d8be0f240b)" with CreatePodSandboxError: "CreatePodSandbox for pod'
    r" \"win-webserver-blfzf_default(4f009c6c-e195-41d7-9b12-47d8be0f240b)\" failed: rpc error: code = Unknown desc = failed to create"
    r" a sandbox for pod \"win-webserver-blfzf\": Error response from daemon: Conflict. The container name"
    r" \"/k8s_POD_win-webserver-blfzf_default_4f009c6c-e195-41d7-9b12-47d8be0f240b_0\" is already in use by container"
    r" \"9af4c411f7d70f4dfd9157c069628cb925e5c9bb27c711be92ffc2055922ac48\". You have to remove (or rename) that container to be able to"
    r' reuse that name."'
)
CRIO_8884_RESERVED = (
    r'time="2025-07-03 11:47:21.835307774Z" level=warning msg="error reserving ctr name'
    r" k8s_install-cni-binaries_cilium-hpfzl_kube-system_69560d92-4c82-4739-bc31-1b223a394c21_0 for id"
    r' 924e0f70d4462e0b6e4b8ec1da5bfce9baf9c751c9d79e01b5260d92bc456544: name is reserved"'
)
CRIO_8884_STAGE = (
    r'time="2025-07-03 11:47:21.835330088Z" level=info msg="Creation of container'
    r" k8s_install-cni-binaries_cilium-hpfzl_kube-system_69560d92-4c82-4739-bc31-1b223a394c21_0 not yet finished. Currently at stage"
    r' container runtime creation. Waiting up to 5m59.999828597s for it to finish" id=ffd543f5-11ff-4071-a707-75f8ea20424e'
)
CRIO_LOADED = (
    r'E0829 10:11:12.131415    2041 remote_runtime.go:319] "CreateContainer in sandbox from runtime service failed" err="rpc error: code ='
    r" Unknown desc = kubelet may be retrying requests that are timing out in CRI-O due to system load. Currently at stage container volume"
    r" configuration: context deadline exceeded: error reserving ctr name"
    r" k8s_minio_data-analytics-prod-pool-0-3_oci-prod-data-analytics_8dec4302-e6b4-4874-9a60-ea305b96347f_0 for id"
    r' 8424e8fdc1a42daec5810b43a8baf7a9a80f7835a843fc104fe9f621a14983cb: name is reserved" podSandboxID="0b5ebae0c325"'
)
MINIO = "k8s_minio_data-analytics-prod-pool-0-3_oci-prod-data-analytics_8dec4302-e6b4-4874-9a60-ea305b96347f_0"
INOTIFY_INSTANCES = (
    "F0110 21:30:25.764493   42304 kubelet.go:1230] Failed to start cAdvisor inotify_init: too many open files"
)
DOCKER_FILES = "http: Accept error: accept unix /var/run/docker.sock: accept4: too many open files; retrying in 1s"
ETCD_CANCELED = (
    r"W0910 08:22:21.422053       1 logging.go:55] [core] [Channel #669 SubChannel #670]grpc: addrConn.createTransport failed to connect to"
    r' {Addr: "localhost:2379", ServerName: "localhost:2379", BalancerAttributes: {"<%!p(pickfirstleaf.managedByPickfirstKeyType={})>":'
    r' "<%!p(bool=true)>" }}. Err: connection error: desc = "transport: Error while dialing: dial tcp: lookup localhost: operation was'
    r' canceled"'
)

# k0s logs in logfmt what kubelet said, one more level of quotes; a line of k0sproject/k0s#4680 around that of k3s-io/k3s#4844.
K0S = unit("k0sworker")


def wrapped(line):
    """As k0s writes a line of kubelet."""
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    return f'time="2024-07-08 08:46:26" level=info msg="{escaped}" component=kubelet stream=stderr'


# Words of a pod, each quoted as kubelet or a runtime quotes them.
QUOTED = {
    "a probe": r'I1121 14:42:00.1     930 prober.go:107] "Probe failed" probeType="Readiness" pod="default/evil" podUID="x" output="%s"',
    "a probe that is JSON": r'{"caller":"prober/prober.go:107","msg":"Probe failed","pod":{"name":"evil"},"output":"%s"}',
    "a probe before 1.21": 'I1121 14:42:00.1     930 prober.go:116] Readiness probe for "evil_default(x):web" failed (failure): %s',
    "a probe's second line": "\t%s",
    "a hook": r'E1121 14:42:00.1     930 handlers.go:55] "Exec lifecycle hook for Container in Pod failed" err="x" message="%s"',
    "a hook before 1.21": 'W1121 14:42:00.1     930 handlers.go:60] Exec lifecycle hook ([x]) for Container "web" failed, message: "%s"',
    "a hook as a pod's error": r'E1121 14:42:00.1 930 pod_workers.go:1298] "Error syncing pod, skipping" err="failed to \"StartContainer\" for'
    r' \"web\" with PostStartHookError: \"%s\""',
    "a command": r'E1121 14:42:00.1     930 remote_runtime.go:496] "ExecSync cmd from runtime service failed" err="x" cmd=["%s"]',
    "a specification": "E1121 14:42:00.1     930 kuberuntime_manager.go:1256] container &Container{Name:web,Command:[%s],} start failed",
}
STARTED = r'E1121 14:42:00.1 930 remote_runtime.go:343] "StartContainer failed" err="OCI runtime create failed: exec: \"%s\": not found"'


RESERVED = r"failed to reserve %s name \"a_b_default_x_3\": name \"a_b_default_x_3\" is reserved for \"eced85378630\""
WORDS = {
    "docker": r"Conflict. The container name \"/k8s_a_b_default_x_3\" is already in use by container \"eced85378630\".",
    "container": RESERVED % "container",
    "sandbox": RESERVED % "sandbox",
    "ctr": "error reserving ctr name k8s_a_b_default_x_3 for id eced85378630: name is reserved",
    "storage": r"the container name \"k8s_a_b_default_x_3\" is already in use by eced85378630. You have to remove that container to be"
    " able to reuse that name",
    "stage": "Creation of container k8s_a_b_default_x_3 not yet finished. Currently at stage container storage creation. Waiting",
    "etcd": "dial tcp 127.0.0.1:2379: connect: connection refused",
}


def quoted(words, how=None):
    return [Miss(name, KUBELET, text % words) for name, text in (how or QUOTED).items()]


LINES: Dict[str, List[Line]] = {
    "docker-name-conflict": [
        Line(
            "seed 002, in k0s",
            K0S,
            wrapped(SEED_002),
            {"name": APISERVER_24, "holder": "eced8537863007db9a915924785306b26238cabbd3feec0e5226e2ad0710807b"},
        ),
        Line(
            "seed 002",
            KUBELET,
            SEED_002,
            {"name": APISERVER_24, "holder": "eced8537863007db9a915924785306b26238cabbd3feec0e5226e2ad0710807b"},
        ),
        Line(
            "projectcalico/calico#6687, structured",
            KUBELET,
            r'E0911 08:56:05.161266     930 remote_runtime.go:394] "CreateContainer in sandbox from runtime service failed" err="rpc error:'
            r" code = Unknown desc = Error response from daemon: Conflict. The container name"
            r" \"/k8s_piraeus-operator_piraeus-op-operator-7c9bcdcf85-jw7rc_linstor_55f1efa5-ee79-4ca9-9aa6-27a8a1b79d59_5\" is already in"
            r" use by container \"11482b9af97944398f3446f86b8e85c5e7acaa96e33b8e637a543a074a4bf814\". You have to remove (or rename) that"
            r' container to be able to reuse that name." podSandboxID="6c0d77e91e02f43daaf4b8cddcf0a20acfbf76deecfe73df2d04791d75627d23"',
            {
                "name": "k8s_piraeus-operator_piraeus-op-operator-7c9bcdcf85-jw7rc_linstor_55f1efa5-ee79-4ca9-9aa6-27a8a1b79d59_5",
                "holder": "11482b9af97944398f3446f86b8e85c5e7acaa96e33b8e637a543a074a4bf814",
            },
        ),
        Line(
            "MicrosoftDocs/Virtualization-Documentation#984, a sandbox",
            KUBELET,
            WINDOWS_984,
            {
                "name": "k8s_POD_win-webserver-blfzf_default_4f009c6c-e195-41d7-9b12-47d8be0f240b_0",
                "holder": "9af4c411f7d70f4dfd9157c069628cb925e5c9bb27c711be92ffc2055922ac48",
            },
        ),
        Line(
            "k#94557, quotes as Docker sends them",
            unit("cri-docker"),
            r"E0608 20:22:04.227708    3818 remote_runtime.go:200] CreateContainer in sandbox"
            r' "7ae6b14089ca17bb2a995b564effb2fb9d993832fb7bfee63a59ad4b243eec58" from runtime service failed: rpc error: code = Unknown'
            r" desc = Error response from daemon: Conflict. The container name"
            r' "/k8s_harbor-redis_harbor-master3-bg4tz_kube-system_1b086090-d37b-40f4-99b3-57046033770e_2" is already in use by container'
            r' "94ffec110c0342db864efad67c8ca47661266677b921a98131e4b0b09434cc05". You have to remove (or rename) that container',
            {
                "name": "k8s_harbor-redis_harbor-master3-bg4tz_kube-system_1b086090-d37b-40f4-99b3-57046033770e_2",
                "holder": "94ffec110c0342db864efad67c8ca47661266677b921a98131e4b0b09434cc05",
            },
        ),
        Line(
            "made from k#40443, Docker 1.11: other words, and the id without quotes",
            DOCKERD,
            r'time="2017-01-25T10:00:00Z" level=error msg="Handler for POST /v1.23/containers/create returned error: Conflict. The name'
            r" \"/k8s_foo.d41d8cd9_bar-1_default_0e5ee5b4-e2fa-11e6-8d91-42010a800002_1\" is already in use by container"
            r" 3f7fae9d56619c67cf1baa85bab8e649ef344931ccae385b3cec809bf79fe829. You have to remove (or rename) that container to be able to"
            r' reuse that name."',
            {
                "name": "k8s_foo.d41d8cd9_bar-1_default_0e5ee5b4-e2fa-11e6-8d91-42010a800002_1",
                "holder": "3f7fae9d56619c67cf1baa85bab8e649ef344931ccae385b3cec809bf79fe829",
            },
        ),
        Line(
            "made: kubelet with JSON logging over cri-dockerd, three levels of quotes",
            KUBELET,
            r'{"ts":1640678680994.582,"msg":"Error syncing pod, skipping","err":"failed to \"StartContainer\" for \"a\" with'
            r" CreateContainerError: \"Error response from daemon: Conflict. The container name \\\"/k8s_a_b_default_"
            r'1403dda53affdfee1130475a6d9609da_7\\\" is already in use by container \\\\\\\"eced85378630\\\\\\\". You have to remove"}',
            {"name": "k8s_a_b_default_1403dda53affdfee1130475a6d9609da_7", "holder": "eced85378630"},
        ),
    ],
    "containerd-name-reserved": [
        Line("k3s-io/k3s#4844, in k0s", K0S, wrapped(K3S_4844), HELLO_RESERVED),
        Line("k3s-io/k3s#4844", K3S, K3S_4844, HELLO_RESERVED),
        Line("the same as JSON", KUBELET, K3S_4844_JSON, HELLO_RESERVED),
        Line(
            "containerd/containerd#9545",
            KUBELET,
            r'E1214 17:08:47.303868    5021 remote_runtime.go:319] "CreateContainer in sandbox from runtime service failed" err="rpc error:'
            r" code = Unknown desc = failed to reserve container name"
            r" \"kube-apiserver_kube-apiserver-kiv-cp-v48fw_kube-system_37b2b42d18b011bd117353a3847450aa_1\": name"
            r" \"kube-apiserver_kube-apiserver-kiv-cp-v48fw_kube-system_37b2b42d18b011bd117353a3847450aa_1\" is reserved for"
            r' \"7c54f31e3fc8b87a115f11a214efe060c94e93ae822c9819a472bfb382c2839c\""'
            r' podSandboxID="f5de5d066682354fa0679cc95a39a5285657f0eb43237f26194426d8fad3636d"',
            {
                "name": "kube-apiserver_kube-apiserver-kiv-cp-v48fw_kube-system_37b2b42d18b011bd117353a3847450aa_1",
                "holder": "7c54f31e3fc8b87a115f11a214efe060c94e93ae822c9819a472bfb382c2839c",
            },
        ),
        Line(
            "amazonlinux/amazon-linux-2023#1097, containerd 2.2.3, with names filled in",
            CONTAINERD,
            r'time="2026-05-26T09:00:00Z" level=error msg="CreateContainer within sandbox \"a79cd1ac7ca0\" failed" error="failed to reserve'
            r" container name \"web_web-0_default_8dec4302-e6b4-4874-9a60-ea305b96347f_2\"; check if another CreateContainer request is in"
            r" progress: name \"web_web-0_default_8dec4302-e6b4-4874-9a60-ea305b96347f_2\" is reserved for"
            r' \"d6fc1b513ce3c4840ff93d38dbeefda622afed3b2fd917ab81e25d9a5fadcf50\""',
            {
                "name": "web_web-0_default_8dec4302-e6b4-4874-9a60-ea305b96347f_2",
                "holder": "d6fc1b513ce3c4840ff93d38dbeefda622afed3b2fd917ab81e25d9a5fadcf50",
            },
        ),
    ],
    "containerd-sandbox-name-reserved": [
        Line(
            "k#107561",
            KUBELET,
            K_107561,
            {
                "name": "ss2-1_statefulset-8250_f1c4daf1-6df3-453a-9e79-ba00655a2b14_0",
                "holder": "16cf6835c15b84166615c6b321e96e87119a1ea7aa6124eac28b44c898a0074d",
            },
        ),
    ],
    "crio-name-reserved": [
        Line(
            "cri-o/cri-o#8884",
            CRIO,
            CRIO_8884_RESERVED,
            {
                "name": "k8s_install-cni-binaries_cilium-hpfzl_kube-system_69560d92-4c82-4739-bc31-1b223a394c21_0",
                "id": "924e0f70d4462e0b6e4b8ec1da5bfce9baf9c751c9d79e01b5260d92bc456544",
            },
        ),
        Line(
            "cri-o/cri-o#8884, a pod",
            CRIO,
            r'time="2025-07-15 05:58:58.371496964Z" level=warning msg="error reserving pod name'
            r" k8s_mux-agent-hzpwt_gcp-us-east4-vop1-infra_cb2eb967-adc1-4430-8eac-da6a8de300a0_0 for id"
            r' a8866e680f49caf6e9a88a1628fcdd7e0bd06c81391933fbe28f601a0811cad2: name is reserved"',
            {
                "name": "k8s_mux-agent-hzpwt_gcp-us-east4-vop1-infra_cb2eb967-adc1-4430-8eac-da6a8de300a0_0",
                "id": "a8866e680f49caf6e9a88a1628fcdd7e0bd06c81391933fbe28f601a0811cad2",
            },
        ),
        Line(
            "k#112105 and cri-o server/utils.go, as kubelet logs it",
            KUBELET,
            CRIO_LOADED,
            {"name": MINIO, "id": "8424e8fdc1a42daec5810b43a8baf7a9a80f7835a843fc104fe9f621a14983cb"},
        ),
    ],
    "crio-storage-name-in-use": [
        Line(
            "made from containers/storage containers.go",
            CRIO,
            r'time="2024-09-28 22:29:50.063205936+08:00" level=error msg="Failed to create pod storage: the container name'
            r" \"k8s_POD_web-0_default_8dec4302-e6b4-4874-9a60-ea305b96347f_0\" is already in use by"
            r" 51b6fdc6c8dd8be0eb0ba3b526e04b13e96622628cb04c07d53341b1a4620a1b. You have to remove that container to be able to reuse that"
            r' name: that name is already in use"',
            {
                "name": "k8s_POD_web-0_default_8dec4302-e6b4-4874-9a60-ea305b96347f_0",
                "holder": "51b6fdc6c8dd8be0eb0ba3b526e04b13e96622628cb04c07d53341b1a4620a1b",
            },
        ),
        Line(
            "made: the older wording, the id in quotes, as podman-container-tools/podman#2240 has it",
            KUBELET,
            r'err="rpc error: code = Unknown desc = error creating pod sandbox: the container name'
            r" \"k8s_POD_web-0_default_8dec4302-e6b4-4874-9a60-ea305b96347f_0\" is already in use by"
            r" \"04dfc7232d5bda23990c441c825ec56d138c1ff87f34082134c23bb8fd887324\". You have to remove that container to be able to reuse"
            r' that name.: that name is already in use"',
            {
                "name": "k8s_POD_web-0_default_8dec4302-e6b4-4874-9a60-ea305b96347f_0",
                "holder": "04dfc7232d5bda23990c441c825ec56d138c1ff87f34082134c23bb8fd887324",
            },
        ),
    ],
    "crio-creation-stage": [
        Line(
            "cri-o/cri-o#8884",
            CRIO,
            CRIO_8884_STAGE,
            {
                "name": "k8s_install-cni-binaries_cilium-hpfzl_kube-system_69560d92-4c82-4739-bc31-1b223a394c21_0",
                "stage": "container runtime creation",
            },
        ),
        Line(
            "k#112105 and cri-o server/utils.go, as kubelet logs it",
            KUBELET,
            CRIO_LOADED,
            {"name": MINIO, "stage": "container volume configuration"},
        ),
        Line(
            "made: the same with another error, and no name",
            KUBELET,
            "kubelet may be retrying requests that are timing out in CRI-O due to system load. Currently at stage sandbox network creation:"
            " context canceled",
            {"stage": "sandbox network creation"},
        ),
    ],
    "container-not-created": [
        Line("k3s-io/k3s#4844, in k0s", K0S, wrapped(K3S_4844), HELLO),
        Line(
            "seed 002, in k0s",
            K0S,
            wrapped(SEED_002),
            {
                "pod": "kube-apiserver-pi-master1",
                "namespace": "kube-system",
                "uid": "1403dda53affdfee1130475a6d9609da",
                "container": "kube-apiserver",
                "reason": "CreateContainerError",
            },
        ),
        Line(
            "made from the last: a command that is not there is no quotation here",
            KUBELET,
            K3S_4844.replace("CreateContainerError", "RunContainerError").replace(
                "failed to reserve", r"exec: \\\"x\\\": failed to reserve"
            ),
            {**HELLO, "reason": "RunContainerError"},
        ),
        Line(
            "seed 002",
            KUBELET,
            SEED_002,
            {
                "pod": "kube-apiserver-pi-master1",
                "namespace": "kube-system",
                "uid": "1403dda53affdfee1130475a6d9609da",
                "container": "kube-apiserver",
                "reason": "CreateContainerError",
            },
        ),
        Line("k3s-io/k3s#4844", K3S, K3S_4844, HELLO),
        Line("the same as JSON", KUBELET, K3S_4844_JSON, HELLO),
        Line(
            "kubernetes/minikube#7102",
            KUBELET,
            r"E0319 21:13:29.405088    2217 pod_workers.go:191] Error syncing pod 58eab7f3-6e3b-4042-8e5b-5e2b8d0df2d2"
            r' ("coredns-66bff467f8-n7xsm_kube-system(58eab7f3-6e3b-4042-8e5b-5e2b8d0df2d2)"), skipping: failed to "StartContainer" for'
            r' "coredns" with RunContainerError: "failed to start container'
            r' \"c0f8e07b8193f104b60ea2052f4032711d3efa2cf272ff0f10e1c19272584bf4\": Error response from daemon: OCI runtime create failed"',
            {
                "pod": "coredns-66bff467f8-n7xsm",
                "namespace": "kube-system",
                "uid": "58eab7f3-6e3b-4042-8e5b-5e2b8d0df2d2",
                "container": "coredns",
                "reason": "RunContainerError",
            },
        ),
        Line(
            "made from pod_workers.go: the second of two containers, the uid in quotes as newer versions write it",
            KUBELET,
            r'E1005 07:52:09.236089   77740 pod_workers.go:1324] "Error syncing pod, skipping" err="[failed to \"StartContainer\" for'
            r" \"sidecar\" with CrashLoopBackOff: \"back-off 5m0s restarting failed container\", failed to \"StartContainer\" for \"web\" with"
            r' CreateContainerConfigError: \"secret \\\"db\\\" not found\"]" logger="UnhandledError" pod="default/web-0"'
            r' podUID="72f6c363-fa4d-453f-a3d6-394b60bd6e29"',
            {
                "pod": "web-0",
                "namespace": "default",
                "uid": "72f6c363-fa4d-453f-a3d6-394b60bd6e29",
                "container": "web",
                "reason": "CreateContainerConfigError",
            },
        ),
    ],
    "sandbox-not-created": [
        Line(
            "k#107561",
            KUBELET,
            K_107561,
            {"pod": "ss2-1", "namespace": "statefulset-8250", "uid": "f1c4daf1-6df3-453a-9e79-ba00655a2b14"},
        ),
        Line(
            "MicrosoftDocs/Virtualization-Documentation#984",
            KUBELET,
            WINDOWS_984,
            {"pod": "win-webserver-blfzf", "namespace": "default", "uid": "4f009c6c-e195-41d7-9b12-47d8be0f240b"},
        ),
    ],
    "etcd-dial-refused": [
        Line(
            "seed 002",
            API_SERVER,
            "W0312 03:48:55.984001       1 clientconn.go:1223] grpc: addrConn.createTransport failed to connect to {https://127.0.0.1:2379"
            '  <nil> 0 <nil>}. Err :connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:2379: connect: connection'
            ' refused". Reconnecting...',
            {"address": "127.0.0.1:2379"},
        ),
        Line(
            "k#107491",
            API_SERVER,
            "W0112 21:16:43.831033       1 clientconn.go:1331] [core] grpc: addrConn.createTransport failed to connect to {127.0.0.1:2379"
            ' 127.0.0.1 <nil> 0 <nil>}. Err: connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:2379: connect:'
            ' connection refused". Reconnecting...',
            {"address": "127.0.0.1:2379"},
        ),
        Line(
            "made from k#134080, as 1.34 says that it is refused",
            API_SERVER,
            "W0714 18:48:26.871908       1 logging.go:55] [core] [Channel #2 SubChannel #4]grpc: addrConn.createTransport failed to connect"
            ' to {Addr: "[::1]:2379", ServerName: "localhost:2379", BalancerAttributes: {"<%!p(pickfirstleaf.managedByPickfirstKeyType={})>"'
            ': "<%!p(bool=true)>" }}. Err: connection error: desc = "transport: Error while dialing: dial tcp [::1]:2379: connect: connection'
            ' refused"',
            {"address": "[::1]:2379"},
        ),
        Line(
            "k3s-io/k3s#3415",
            K3S,
            r'{"level":"warn","ts":"2021-06-04T19:50:26.083-0400","caller":"clientv3/retry_interceptor.go:62","msg":"retrying of unary invoker'
            r' failed","target":"passthrough:///https://127.0.0.1:2379","attempt":0,"error":"rpc error: code = DeadlineExceeded desc = latest'
            r" balancer error: connection error: desc = \"transport: Error while dialing dial tcp 127.0.0.1:2379: connect: connection"
            r' refused\""}',
            {"address": "127.0.0.1:2379"},
        ),
        Line(
            "made from grpc's older wording, Go before 1.11",
            unit("kube-apiserver"),
            'grpc: addrConn.resetTransport failed to create client transport: connection error: desc = "transport: dial tcp 10.0.2.32:2379:'
            ' getsockopt: connection refused"; Reconnecting to {10.0.2.32:2379 <nil>}',
            {"address": "10.0.2.32:2379"},
        ),
        Line(
            "made from k#98720 (kops) and k#107491",
            API_SERVER,
            "W0203 10:14:19.900720       1 clientconn.go:1223] grpc: addrConn.createTransport failed to connect to {https://127.0.0.1:4001"
            '  <nil> 0 <nil>}. Err :connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:4001: connect: connection'
            ' refused". Reconnecting...',
            {"address": "127.0.0.1:4001"},
        ),
    ],
    "nodeport-bind-failed": [
        Line(
            'made from kube-proxy 1.23.0\'s openPort, and a log of it that says "Opened local port"',
            KUBE_PROXY,
            """E1214 18:44:12.395807   98073 proxier.go:1464] "can't open port, skipping it" err="listen tcp4 :30082: bind: address already in"""
            """ use" port={Description:nodePort for istio-system/istio-ingressgateway:status-port IP: IPFamily:4 Port:30082 Protocol:TCP}""",
            {"port": "30082", "service": "istio-system/istio-ingressgateway"},
        ),
        Line(
            "seed 000",
            KUBE_PROXY,
            """E0924 07:38:31.536854       1 proxier.go:1254] can't open "nodePort for default/kube-processor-service" (:36527/tcp), skipping"""
            " this nodePort: listen tcp4 :36527: bind: address already in use",
            {"port": "36527", "service": "default/kube-processor-service"},
        ),
        Line(
            "k#35641, with the port's name",
            unit("kube-proxy"),
            """E0112 09:36:38.030714    5712 proxier.go:1061] can't open "nodePort for common/a-analysis175:8008" (:45102/tcp), skipping this"""
            " nodePort: listen tcp :45102: bind: address already in use",
            {"port": "45102", "service": "common/a-analysis175"},
        ),
        Line(
            "openshift's runbook for router ports, with a Service filled in",
            pod("sdn", "openshift-sdn"),
            """E0228 16:22:00.629556    5050 proxier.go:1303] "can't open port, skipping it" err="listen tcp4 :32634: bind: address already in"""
            r""" use" port="\"nodePort for openshift-ingress/router:https\" (:32634/tcp4)\"""",
            {"port": "32634", "service": "openshift-ingress/router"},
        ),
        Line(
            "made: the same as JSON, on one address",
            KUBE_PROXY,
            r"""{"ts":1646065320629.556,"msg":"can't open port, skipping it","port":"\"nodePort for a/b\" ([fd00::1]:32634/udp6)","err":"listen"""
            r""" udp6 [fd00::1]:32634: bind: address already in use"}""",
            {"port": "32634", "service": "a/b"},
        ),
    ],
    "kube-proxy-metrics-bind-failed": [
        Line(
            "kubernetes/kops#4549",
            KUBE_PROXY,
            "E0301 20:46:18.831790       5 server.go:480] starting metrics server failed: listen tcp 127.0.0.1:10249: bind: address already in use",
            {"address": "127.0.0.1:10249"},
        ),
        Line(
            "made from cmd/kube-proxy/app/server.go and apimachinery's runtime.HandleError, 1.31 and newer",
            KUBE_PROXY,
            'E0301 20:46:18.831790       1 server.go:632] "Unhandled Error" err="starting metrics server failed: listen tcp :10249: bind: address'
            ' already in use" logger="UnhandledError"',
            {"address": ":10249"},
        ),
    ],
    "ovn-port-claim-failed": [
        Line(
            "openshift's runbook for router ports, with a Service filled in",
            pod("ovnkube-node", "openshift-ovn-kubernetes"),
            "W0301 17:17:48.060076    5734 port_claim.go:119] PortClaim for svc: openshift-ingress/router on port: 32634, err: listen tcp"
            " :32634: bind: address already in use",
            {"port": "32634"},
        ),
        Line(
            "the same runbook, the line after it",
            pod("ovnkube-node", "openshift-ovn-kubernetes"),
            "E0301 17:17:48.060097    5734 port_claim.go:145] Error claiming port for service: openshift-ingress/router: listen tcp :32634:"
            " bind: address already in use",
            {"port": "32634"},
        ),
    ],
    "exec-dial-refused": [
        Line(
            "made from seed 000 and kubelet's server.go",
            KUBELET,
            'E0924 07:38:31.536854    1105 server.go:1012] "Error while proxying request" err="error dialing backend: dial tcp 127.0.0.1:36527:'
            ' connect: connection refused"',
            {"port": "36527"},
        ),
        Line(
            "Kubernetes 1.36, seen",
            KUBELET,
            r'E1121 07:30:00.000000    1105 server.go:1012] "Error while proxying request" err="error sending request: Post'
            r' \"http://127.0.0.1:37403/exec/x8ZmGuUK\": dial tcp 127.0.0.1:37403: connect: connection refused"',
            {"port": "37403"},
        ),
        Line(
            "made from k#85418: the timeout that a NodePort with endpoints gives",
            unit("k3s-agent"),
            "error dialing backend: dial tcp [::1]:36527: connect: connection timed out",
            {"port": "36527"},
        ),
    ],
    "conntrack-table-full": [
        Line(
            "dmesg, as many quote it",
            KERNEL_RING,
            "nf_conntrack: nf_conntrack: table full, dropping packet",
            {},
        ),
        Line(
            "Linux, net/netfilter/nf_conntrack_core.c since 2025",
            KERNEL_RING,
            "nf_conntrack: table full in netns 4026531840, dropping packet",
            {},
        ),
        Line("Linux before 2.6.20", KERNEL_RING, "ip_conntrack: table full, dropping packet.", {}),
    ],
    "syn-flooding": [
        Line("many", KERNEL_RING, "TCP: Possible SYN flooding on port 443. Sending cookies.", {"port": "443"}),
        Line(
            "a quoted dmesg, tcp_v6",
            KERNEL_RING,
            "TCP: request_sock_TCPv6: Possible SYN flooding on port 34391. Dropping request.  Check SNMP counters.",
            {"port": "34391"},
        ),
        Line(
            "the kernel's mailing list, 6.x",
            KERNEL_RING,
            "TCP: request_sock_TCP: Possible SYN flooding on port 0.0.0.0:7070. Sending cookies.",
            {"port": "7070"},
        ),
        Line(
            "commit 4dabcdf58121 of Linux",
            KERNEL_RING,
            "TCP: request_sock_subflow_v4: Possible SYN flooding on port [::]:20002. Sending cookies.",
            {"port": "20002"},
        ),
        Line("Linux 2.6", KERNEL_RING, "possible SYN flooding on port 4671. Sending cookies.", {"port": "4671"}),
    ],
    "neighbour-table-overflow": [
        Line("many, Linux 2.6", KERNEL_RING, "Neighbour table overflow.", {}),
        Line("Linux 2.6, net/ipv6/route.c", KERNEL_RING, "ipv6: Neighbour table overflow.", {}),
        Line("many", KERNEL_RING, "neighbour: arp_cache: neighbor table overflow!", {"table": "arp_cache"}),
        Line("many", KERNEL_RING, "neighbour: ndisc_cache: neighbor table overflow!", {"table": "ndisc_cache"}),
    ],
    "tcp-out-of-memory": [
        Line("Linux, net/ipv4/tcp.c", KERNEL_RING, "TCP: out of memory -- consider tuning tcp_mem", {})
    ],
    "too-many-orphans": [Line("Linux, net/ipv4/tcp.c", KERNEL_RING, "TCP: too many orphaned sockets", {})],
    "time-wait-overflow": [
        Line("Linux 2.6.32, net/ipv4/tcp_minisocks.c", KERNEL_RING, "TCP: time wait bucket table overflow", {}),
    ],
    "too-many-open-files": [
        Line("moby/moby#35961", DOCKERD, DOCKER_FILES, {}),
        Line(
            "canonical/microk8s#206",
            APPLICATION,
            "2018/11/24 14:26:34 [crit] 6#6: accept4() failed (24: Too many open files)",
            {},
        ),
        Line(
            "k#26246: the whole node's",
            KUBELET,
            "Cannot start container f0a2b72747555228: [8] System error: too many open files in system",
            {},
        ),
        Line("Python", APPLICATION, "OSError: [Errno 24] Too many open files: '/tmp/x'", {}),
    ],
    "inotify-limit": [
        Line("k#58081", KUBELET, INOTIFY_INSTANCES, {}),
        Line(
            "Argo CD, quoted in a fleet's notes",
            APPLICATION,
            "failed to create fsnotify watcher: too many open files",
            {},
        ),
        Line("systemctl, quoted by many", unit("init"), "Failed to allocate directory watch: Too many open files", {}),
        Line(
            "google/cadvisor#1581",
            KUBELET,
            'Failed to watch directory "/sys/fs/cgroup/memory/system.slice": inotify_add_watch'
            " /sys/fs/cgroup/memory/system.slice/run-docker-netns-c6d57b04b0f8.mount: no space left on device",
            {},
        ),
        Line(
            "systemd 249 of Ubuntu",
            unit("init"),
            "app-gnome-synaptic-4759.scope: Failed to add control inotify watch descriptor for control group"
            " /user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-synaptic-4759.scope: No space left on device",
            {},
        ),
        Line(
            "Node.js",
            APPLICATION,
            "Error: ENOSPC: System limit for number of file watchers reached, watch '/app'",
            {},
        ),
    ],
    "cannot-assign-address": [
        Line(
            "psf/requests#4664 and many",
            APPLICATION,
            "urllib3.exceptions.NewConnectionError: <urllib3.connection.HTTPConnection object at 0x7f>: Failed to establish a new connection:"
            " [Errno 99] Cannot assign requested address",
            {},
        ),
        Line(
            "many, Java",
            APPLICATION,
            "Caused by: java.net.ConnectException: Cannot assign requested address (connect failed)",
            {},
        ),
        Line(
            "many, Java 11 and newer",
            APPLICATION,
            "java.net.NoRouteToHostException: Cannot assign requested address (Address not available)",
            {},
        ),
        Line(
            "many, Node.js",
            APPLICATION,
            "Error: connect EADDRNOTAVAIL 10.96.0.10:3011 - Local (0.0.0.0:0)",
            {"destination": "10.96.0.10:3011"},
        ),
        Line(
            "k#6788, Go before 1.4",
            APPLICATION,
            "Error: Get http://127.0.0.1:4001/v2/keys/registry/namespaces?quorum=false: dial tcp 127.0.0.1:4001: cannot assign requested address",
            {"destination": "127.0.0.1:4001"},
        ),
        Line(
            "made from k#6788: newer Go, from a chosen source address",
            KUBELET,
            'err="dial tcp 10.0.0.7:0->10.96.0.1:443: bind: cannot assign requested address"',
            {"destination": "10.96.0.1:443"},
        ),
        Line(
            "nginx, a quoted log",
            pod("controller", "ingress-nginx"),
            "2016/03/18 09:08:37 [crit] 1888#1888: *13 connect() to 10.2.2.77:8081 failed (99: Cannot assign requested address) while"
            " connecting to upstream",
            {"destination": "10.2.2.77:8081"},
        ),
        Line(
            "projectcalico/calicoctl#819, musl's words",
            pod("calico-node"),
            "bird: Mesh_10_0_5_102: Socket error: bind: Address not available",
            {"destination": "Mesh_10_0_5_102"},
        ),
        Line(
            "the same in glibc's words",
            pod("calico-node"),
            "bird: Global_10_0_5_1: Socket error: bind: Cannot assign requested address",
            {"destination": "Global_10_0_5_1"},
        ),
    ],
    "bgp-not-established": [
        Line(
            "kubesphere/kubekey#134, the second line of the probe's output",
            KUBELET,
            "calico/node is not ready: BIRD is not ready: BGP not established with 172.17.0.1",
            {"peers": "172.17.0.1"},
        ),
        Line(
            "a quoted probe with three peers, in one line",
            KUBELET,
            r'"Probe failed" probeType="Readiness" pod="kube-system/calico-node-x" output="calico/node is not ready: BIRD is not ready: BGP not'
            r' established with 10.0.0.5,10.0.76.88,10.0.66.239\n"',
            {"peers": "10.0.0.5,10.0.76.88,10.0.66.239"},
        ),
        Line(
            "made: IPv6",
            KUBELET,
            "calico/node is not ready: BIRD6 is not ready: BGP not established with fd00:10::5",
            {"peers": "fd00:10::5"},
        ),
    ],
    "certificate-expired": [
        Line(
            "a quoted log of the API server",
            API_SERVER,
            'E0515 05:20:00.976949 1 authentication.go:63] "Unable to authenticate the request" err="[x509: certificate has expired or is not yet'
            ' valid: current time 2023-05-15T05:20:00Z is after 2023-05-14T05:49:22Z, verifying certificate SN=7385935559219004232"',
            {},
        ),
        Line(
            "kubernetes/minikube#11966",
            KUBELET,
            "E0713 12:37:13.644332   30147 bootstrap.go:263] Part of the existing bootstrap client certificate is expired: 2021-07-11 05:22:03"
            " +0000 UTC",
            {},
        ),
        Line(
            "kubelet since k#98230",
            KUBELET,
            "E1203 10:01:21.970450   11127 bootstrap.go:265] part of the existing bootstrap client certificate in /etc/kubernetes/kubelet.conf is"
            " expired: 2024-06-11 17:17:20 +0000 UTC",
            {},
        ),
        Line(
            "k#96256",
            KUBELET,
            "E1111 00:15:53.851634   66610 transport.go:113] The currently active client certificate has expired, but the server is not"
            " responsive. A restart may be necessary to retrieve new initial credentials.",
            {},
        ),
        Line(
            "made from Go's crypto/tls",
            pod("etcd"),
            '{"level":"warn","msg":"rejected connection","remote-addr":"10.0.0.7:51234","error":"remote error: tls: expired certificate"}',
            {},
        ),
    ],
    "clock-stepped": [
        Line(
            "chronyd of AlmaLinux, a quoted journal",
            CHRONY,
            "System clock was stepped by -32400.283303 seconds",
            {"seconds": "-32400.283303"},
        ),
        Line(
            "chronyd with its own time stamp",
            unit("chrony"),
            "2022-01-03T14:32:43Z System clock was stepped by -1.707730 seconds",
            {"seconds": "-1.707730"},
        ),
        Line("ntpd 4.2.6, a quoted log", NTP, "0.0.0.0 c61c 0c clock_step +0.965607 s", {"seconds": "+0.965607"}),
        Line("ntpd 4.2.6, back", NTP, "0.0.0.0 c61c 0c clock_step -28798.353463 s", {"seconds": "-28798.353463"}),
        Line("ntpd, ntp_loopfilter.c", unit("ntp"), "time reset -1.234567 s", {"seconds": "-1.234567"}),
        Line("ntpsec, quoted", unit("ntpsec"), "CLOCK: time stepped by -1016.824290", {"seconds": "-1016.824290"}),
        Line(
            "ntpdate, quoted",
            unit("ntpdate"),
            "step time server 192.168.177.131 offset 7264060.505383 sec",
            {"seconds": "7264060.505383"},
        ),
    ],
    "clock-jumped-back": [
        Line(
            "systemd, journald-server.c",
            unit("systemd-journald"),
            "Time jumped backwards, rotating.",
            {},
        ),
        Line(
            "systemd 254 and newer, as the kernel's log has it",
            KERNEL_RING,
            "systemd-journald[345]: /var/log/journal/03a85d255d294a3393e4506cc89d2e69/system.journal: Realtime clock jumped backwards relative to"
            " last journal entry, rotating.",
            {},
        ),
        Line(
            "systemd 252 of RHEL 9",
            unit("systemd-journald"),
            "/var/log/journal/03a85d255d294a3393e4506cc89d2e69/system.journal: Journal file is from the future, rotating.",
            {},
        ),
        Line(
            "systemd-timesyncd of a Raspberry Pi",
            unit("systemd-timesyncd"),
            "System clock time unset or jumped backwards, restored from recorded timestamp: Fri 2026-08-07 16:40:38 UTC",
            {},
        ),
        Line("chronyd of balenaOS", CHRONY, "2017-03-23T12:00:04Z Backward time jump detected!", {}),
    ],
}

MISSES: Dict[str, List[Miss]] = {
    "docker-name-conflict": [
        *quoted(WORDS["docker"]),
        Miss("a command that is not there", KUBELET, STARTED % WORDS["docker"]),
        Miss(
            "a person's docker run",
            DOCKERD,
            'Conflict. The container name "/myjenkins" is already in use by container'
            ' "e4c7f088c941063dfbea65c65ec683978dab2d309fa252a9f735594f6bb481d9". You have to remove (or rename) that container',
        ),
        Miss(
            "k#97153: the attempt to remove it",
            KUBELET,
            'Failed to remove the conflicting container "0edb": Error response from daemon: You cannot remove a running container 0edb',
        ),
        Miss(
            "said again as an Event", KUBELET, 'I0322 21:05:33.7 1 event.go:291] "Event occurred" message=' + SEED_002
        ),
        Miss("quoted by another component", pod("event-exporter"), SEED_002),
        Miss("quoted by another unit", unit("rsyslog"), SEED_002),
        Miss("an unknown unit", Origin(JOURNAL, None, None), SEED_002),
    ],
    "containerd-name-reserved": [
        *quoted(WORDS["container"]),
        Miss("a command that is not there", KUBELET, STARTED % WORDS["container"]),
        Miss(
            "containerd's registrar",
            CONTAINERD,
            'failed to reserve container name "": invalid name "" or key "7c54f31e3fc8"',
        ),
        Miss("a sandbox's name", KUBELET, K_107561),
        Miss(
            "an Event of an old kubelet",
            KUBELET,
            "Event(v1.ObjectReference{Kind:\"Pod\"}): type: 'Warning' reason: 'Failed' " + K3S_4844,
        ),
    ],
    "containerd-sandbox-name-reserved": [
        *quoted(WORDS["sandbox"]),
        Miss("a command that is not there", KUBELET, STARTED % WORDS["sandbox"]),
        Miss(
            "containerd's registrar",
            CONTAINERD,
            'failed to reserve sandbox name "": invalid name "" or key "7c54f31e3fc8"',
        ),
        Miss("a container's name", K3S, K3S_4844),
    ],
    "crio-name-reserved": [
        *quoted(WORDS["ctr"]),
        Miss("a command that is not there", KUBELET, STARTED % WORDS["ctr"]),
        Miss("the line after it", CRIO, CRIO_8884_STAGE),
        Miss("no name of Kubernetes", CRIO, "error reserving ctr name web for id 924e0f70d446: name is reserved"),
    ],
    "crio-storage-name-in-use": [
        *quoted(WORDS["storage"]),
        Miss("a command that is not there", KUBELET, STARTED % WORDS["storage"]),
        Miss(
            "podman's own container",
            CRIO,
            'creating container storage: the container name "nginx_1" is already in use by e5cb59c823f439abd19eda4d54b40411. You have to remove'
            " that container to be able to reuse that name: that name is already in use",
        ),
        Miss("Docker's", KUBELET, SEED_002),
    ],
    "crio-creation-stage": [
        *quoted(WORDS["stage"]),
        Miss("a command that is not there", KUBELET, STARTED % WORDS["stage"]),
        Miss(
            "CRI-O before late 2022",
            CRIO,
            "Creation of container k8s_a_b_default_1403dda53affdfee1130475a6d9609da_0 not yet finished. Waiting up to 6m0s for it to finish",
        ),
        Miss("somebody else's stages", CRIO, "Currently at stage two of three."),
    ],
    "container-not-created": [
        *quoted(K3S_4844.replace('"', r"\"")),
        *quoted(K3S_4844),
        Miss(
            "k3s-io/k3s#11362: it was created, and fails",
            KUBELET,
            r'E1124 18:55:51.317739    4698 pod_workers.go:1298] "Error syncing pod, skipping" err="failed to \"StartContainer\" for'
            r' \"metrics-server\" with CrashLoopBackOff: \"back-off 5m0s restarting failed container=metrics-server\""'
            r' pod="kube-system/metrics-server-6587897fdb-zhfg2" podUID="8181fac7-efc2-46fa-91df-66610623cf7e"',
        ),
        Miss("no pod is named", KUBELET, K3S_4844.partition(" pod=")[0]),
        Miss("a sandbox", KUBELET, K_107561),
        Miss(
            "a pod that is named inside of the error only",
            KUBELET,
            K3S_4844.replace('" pod="', r"\" pod=\""),
        ),
        Miss("said again as an Event", KUBELET, 'event.go:291] "Event occurred" ' + K3S_4844),
    ],
    "sandbox-not-created": [
        *quoted(K_107561.replace('"', r"\"")),
        Miss(
            "a sandbox that cannot be stopped",
            KUBELET,
            r'E1213 09:16:06.799816     685 pod_workers.go:1324] "Error syncing pod, skipping" err="failed to \"KillPodSandbox\" for'
            r' \"6dcc1e47-5e55-4c36-9130-d73aa97415b1\" with KillPodSandboxError: \"rpc error: code = Unknown\""',
        ),
        Miss("a container", K3S, K3S_4844),
    ],
    "etcd-dial-refused": [
        *[miss._replace(origin=K3S) for miss in quoted(WORDS["etcd"])],
        Miss("k#134080: noise of grpc", API_SERVER, ETCD_CANCELED),
        Miss("the same with an address", API_SERVER, "dial tcp 127.0.0.1:2379: operation was canceled"),
        Miss("another port that ends so", API_SERVER, "dial tcp 127.0.0.1:12379: connect: connection refused"),
        Miss("another port that begins so", API_SERVER, "dial tcp 127.0.0.1:23790: connect: connection refused"),
        Miss("k3s-io/k3s#4728: k3s while it starts", K3S, "dial tcp 127.0.0.1:2399: connect: connection refused"),
        Miss("another error", API_SERVER, "dial tcp 10.1.2.3:2379: connect: no route to host"),
        Miss(
            "another certificate",
            API_SERVER,
            "failed to connect to {https://127.0.0.1:2379 0  <nil>}. Err :connection error: x509",
        ),
        Miss("another program's etcd", pod("apisix", "default"), "dial tcp 10.1.2.3:2379: connect: connection refused"),
        Miss("kubelet, which never talks to etcd", KUBELET, "dial tcp 127.0.0.1:2379: connect: connection refused"),
    ],
    "nodeport-bind-failed": [
        Miss(
            "an external IP",
            KUBE_PROXY,
            """can't open "externalIP for default/web" (10.0.0.1:80/tcp), skipping this externalIP: listen tcp4 10.0.0.1:80: bind: address"""
            " already in use",
        ),
        Miss(
            "kubernetes/kops#4549: kube-proxy's health port",
            KUBE_PROXY,
            "Failed to start node healthz on 0.0.0.0:10256: listen tcp 0.0.0.0:10256: bind: address already in use",
        ),
        Miss(
            "another reason",
            KUBE_PROXY,
            """can't open "nodePort for default/web" (:36527/tcp), skipping this nodePort: listen tcp4 :36527: bind: permission denied""",
        ),
    ],
    "kube-proxy-metrics-bind-failed": [
        Miss(
            "k#53754",
            KUBE_PROXY,
            "starting metrics server failed: listen tcp: address 0.0.0.0: missing port in address",
        ),
        Miss(
            "another program's",
            pod("ovnkube-node"),
            "starting metrics server failed: listen tcp 127.0.0.1:29103: bind: address already in use",
        ),
    ],
    "ovn-port-claim-failed": [
        Miss(
            "another reason", pod("ovnkube-node"), "PortClaim for svc: a/b on port: 32634, err: unknown protocol SCTP"
        ),
        Miss("another reason", pod("ovnkube-node"), "Error claiming port for service: a/b: port 32634 is closed"),
    ],
    "exec-dial-refused": [
        Miss(
            "k#62511: kubelet is not reached",
            API_SERVER,
            "error dialing backend: dial tcp 192.168.1.14:10250: getsockopt: no route to host",
        ),
        Miss(
            "kubelet on the same node",
            API_SERVER,
            "error dialing backend: dial tcp 127.0.0.1:10250: connect: connection refused",
        ),
        Miss(
            "another node's kubelet",
            API_SERVER,
            "error dialing backend: dial tcp 10.0.0.7:36527: connect: connection refused",
        ),
        Miss(
            "another request",
            KUBELET,
            'error sending request: Post "http://127.0.0.1:37403/v1/x": dial tcp 127.0.0.1:37403: connect: connection refused',
        ),
    ],
    "conntrack-table-full": [
        Miss("the kernel's start", KERNEL_RING, "nf_conntrack version 0.5.0 (16384 buckets, 65536 max)"),
        Miss("quoted by a pod", APPLICATION, "nf_conntrack: table full, dropping packet"),
    ],
    "syn-flooding": [
        Miss("another message", KERNEL_RING, "TCP: drop open request from 10.0.0.1/80"),
        Miss("no port", KERNEL_RING, "TCP: Possible SYN flooding on port web."),
    ],
    "neighbour-table-overflow": [
        Miss("no table", KERNEL_RING, "neighbor table overflow!"),
        Miss("quoted by a pod", APPLICATION, "neighbour: arp_cache: neighbor table overflow!"),
    ],
    "tcp-out-of-memory": [
        Miss("the OOM killer", KERNEL_RING, "Out of memory: Killed process 1234 (java) total-vm:4096kB")
    ],
    "too-many-orphans": [
        Miss("the kernel's start", KERNEL_RING, "TCP: Hash tables configured (established 65536 bind 65536)")
    ],
    "time-wait-overflow": [Miss("another table", KERNEL_RING, "TCP: bind bucket table overflow")],
    "too-many-open-files": [
        Miss("inotify's", KUBELET, INOTIFY_INSTANCES),
        Miss("a hint", APPLICATION, "Raise the limit when you see too many open files"),
        Miss("systemctl's", unit("init"), "Failed to allocate directory watch: Too many open files"),
    ],
    "inotify-limit": [
        Miss("a full disk", KUBELET, "write /var/lib/kubelet/pods/x: no space left on device"),
        Miss("open files", DOCKERD, DOCKER_FILES),
    ],
    "cannot-assign-address": [
        Miss("no IPv6, Node.js", APPLICATION, "Error: connect EADDRNOTAVAIL ::1:5432 - Local (:::0)"),
        Miss(
            "no IPv6, asyncio",
            APPLICATION,
            "OSError: Multiple exceptions: [Errno 111] Connect call failed ('127.0.0.1', 5432), [Errno 99] Cannot assign requested address",
        ),
        Miss("Java's listener", APPLICATION, "java.net.BindException: Cannot assign requested address (Bind failed)"),
        Miss("no IPv6", KUBELET, "dial tcp [::1]:443: connect: cannot assign requested address"),
        Miss("no IPv6, with a source", KUBELET, "dial udp [::]:0->[::1]:53: connect: cannot assign requested address"),
        Miss("a listener", APPLICATION, "listen tcp 10.0.0.7:80: bind: cannot assign requested address"),
        Miss(
            "nginx's listener",
            APPLICATION,
            "nginx: [emerg] bind() to 10.1.2.3:8444 failed (99: Cannot assign requested address)",
        ),
        Miss(
            "projectcalico/node#522", pod("calico-node"), "bird: Mesh_10_250_10_60: Socket error: bind: Address in use"
        ),
    ],
    "bgp-not-established": [
        Miss("the line before it", KUBELET, "confd/health.go 180: Number of node(s) with BGP peering established = 0"),
        Miss(
            "BIRD does not run",
            KUBELET,
            "calico/node is not ready: BIRD is not ready: Error querying BIRD: unable to connect to BIRDv4 socket",
        ),
        Miss("no peer", KUBELET, "BGP not established with <ips>"),
    ],
    "certificate-expired": [
        Miss("another authority", KUBELET, "x509: certificate signed by unknown authority"),
        Miss("another refusal", pod("etcd"), "remote error: tls: bad certificate"),
        Miss(
            "rotation",
            KUBELET,
            "Certificate expiration is 2027-01-01 00:00:00 +0000 UTC, rotation deadline is 2026-11-01",
        ),
        Miss("an application's peers", APPLICATION, "x509: certificate has expired or is not yet valid"),
    ],
    "clock-stepped": [
        Miss("the line before it", CHRONY, "System clock wrong by -32400.283303 seconds"),
        Miss("another setting", CHRONY, "System clock TAI offset set to 37 seconds"),
        Miss("adjusted slowly", unit("ntpdate"), "adjust time server 192.168.177.131 offset 0.005383 sec"),
        Miss("quoted by a pod", APPLICATION, "System clock was stepped by -32400.283303 seconds"),
    ],
    "clock-jumped-back": [
        Miss(
            "the time since the start",
            unit("systemd-journald"),
            "/var/log/journal/c4d5/user-1000.journal: Monotonic clock jumped backwards relative to last journal entry, rotating.",
        ),
        Miss("no direction", unit("init"), "Time has been changed"),
        Miss("the other direction", CHRONY, "Forward time jump detected!"),
    ],
}
