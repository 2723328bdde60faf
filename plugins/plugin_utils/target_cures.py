# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cures for Services whose pods do not answer, with their exact commands, and what keeps it from happening again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges
from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import TargetError
from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    image_rollback,
    kubectl,
    target_verdict,
    target_words,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.deaf_pods import DeafPod
from ansible_collections.kubenode.doctor.plugins.plugin_utils.rule import Remedy
from ansible_collections.kubenode.doctor.plugins.plugin_utils.service_path import Target
from ansible_collections.kubenode.doctor.plugins.plugin_utils.target_faults import Fault, FaultyPort
from ansible_collections.kubenode.doctor.plugins.plugin_utils.workloads import Workload, Workloads

Object = dict[str, Any]

_ROLLOUT_RISK = "pods are replaced one after the other; who deploys from a repository has to correct it there, or the next deployment undoes this"
_CLIENTS_RISK = (
    "clients of the Service's other ports are not touched; a manifest or chart that holds the old value brings it back"
)
# Linux' default for net.ipv4.ip_local_port_range: a UDP socket there was given its number by the kernel, and is no service.
_EPHEMERAL = (32768, 60999)


class Cures:
    """The cures for one fault."""

    def __init__(self, fault: Fault, workloads: Workloads) -> None:
        self.fault = fault
        self._workloads = workloads
        self._first = fault.targets[0]
        self.workload = workloads.of(self._first.pod)

    # -- which program is it? ---------------------------------------------------------------------------------------

    def look_first(self) -> Remedy:
        """The log of one pod tells which program runs there."""
        target = self._first.endpoint["target"]
        container = self._container()
        commands: tuple[str, ...] = ()
        if kubectl.is_name(target["namespace"], target["name"]) and (container is None or kubectl.is_name(container)):
            which = ("-c", container) if container else ("--all-containers",)
            commands = (kubectl.command(target["namespace"], "logs", target["name"], *which, "--tail=20"),)
        return Remedy(
            "look which program it is: a glance at the log of one pod shows whether it is the one that the Service is for",
            commands,
        )

    def correct_image(self) -> Remedy:
        """Give the workload the image that it is to have. The right one is known only where another pod of it answers."""
        workload, known = self.workload, self._known_image()
        questions = (
            "if another program is in the image than its name says, correct it where it is built and deployed: which pipeline pushed this "
            "tag, does a step of it name another project's repository (a copied 'docker build -t', 'docker tag' or 'docker push'), "
            "and was the tag pushed again later"
        )
        if workload is None or known is None:
            return Remedy(questions, (), _ROLLOUT_RISK)
        words = ("set", "image", workload.resource, "=".join(known))
        return Remedy(
            f"{questions}; pods of {workload.words} with {known[1]} answer",
            (kubectl.command(workload.namespace, *words),),
            _ROLLOUT_RISK,
            by_hand="what the image is to be, is written where it is deployed from: there it has to be corrected first",
        )

    def roll_back(self) -> Remedy | None:
        """Go back to the pod template before; None where nothing can be rolled back, or pods of the newest template do answer."""
        workload = self.workload
        if workload is None or not workload.is_rolled_out or not self._workloads.is_latest(workload):
            return None
        if self._newest_answers():
            return None
        earlier = self._workloads.earlier(workload)
        if earlier is None:
            return Remedy(
                f"roll {workload.words} back: its history shows the revisions, and --revision=N the image of each; "
                "then kubectl rollout undo with --to-revision",
                (kubectl.command(workload.namespace, "rollout", "history", workload.resource),),
                _ROLLOUT_RISK,
            )
        proven = self._proven(earlier)
        if proven:
            return self._roll_back_to(workload, *proven)
        other = next((one for one in earlier if one["images"] != (workload.replica_set or {})["images"]), None)
        if other is None:
            return None
        images = ", ".join(sorted(set(other["images"].values())))
        there = self._workloads.endpoints_of(other)
        doubt = (
            "not all of its pods were seen to listen"
            if there
            else "whether it listened was not seen: its pods are gone"
        )
        return Remedy(
            f"roll {workload.words} back to revision {other['revision']}, the last one with another image ({images}); {doubt}",
            _undo(workload, other["revision"]),
            _ROLLOUT_RISK,
            by_hand="no pod of that revision was seen to answer, so only a person who knows the image can choose it",
        )

    def _roll_back_to(self, workload: Workload, replica_set: Object, witness: Target) -> Remedy:
        """Back to a revision of which a pod was seen to listen in this very audit.

        That is safe enough to be done automatically where all endpoints of the newest revision were seen, and none of them answers.
        """
        doubt, deaf = self._newest_doubt(workload), self._newest_endpoints(workload)
        targets = () if doubt else _fix_targets(workload, replica_set, deaf)
        return Remedy(
            f"roll {workload.words} back to revision {replica_set['revision']}: its {witness.name} listens on {witness.port}{doubt}",
            _undo(workload, replica_set["revision"]),
            _ROLLOUT_RISK,
            image_rollback.FIX if targets else "",
            targets,
            ""
            if targets
            else "the fix asks for one changed image, and for endpoints of the newest revision that were all seen and are all deaf",
        )

    def _newest_endpoints(self, workload: Workload) -> list[tuple[str, Target]]:
        """The endpoints in use that are pods of the revision at fault, of whatever Service, with their protocols."""
        return self._workloads.endpoints_of(workload.replica_set) if workload.replica_set else []

    def _newest_answers(self) -> bool:
        """Whether a pod of the very revision at fault answers on one of the ports in question: then another image is no cure."""
        own = {target.name for _protocol, target in self._newest_endpoints(self.workload)} if self.workload else set()
        return any(target.name in own for port in self.fault.ports for target in port.answering)

    def _newest_doubt(self, workload: Workload) -> str:
        """Why nobody but a person can say that the newest revision is the wrong one; empty when it is sure."""
        endpoints = [target for _protocol, target in self._newest_endpoints(workload)]
        answering = next((one for one in endpoints if one.verdict.kind == target_verdict.LISTENS), None)
        if answering is not None:
            return f"; but {answering.name}, of the newest revision, listens on {answering.port}, which a Service wants too"
        unseen = sum(one.verdict.kind not in target_verdict.DEAF for one in endpoints)
        count = (
            "1 endpoint of the newest revision answers"
            if unseen == 1
            else f"{unseen} endpoints of the newest revision answer"
        )
        return f"; whether {count} was not seen" if unseen else ""

    def _proven(self, earlier: list[Object]) -> tuple[Object, Target] | None:
        """The latest earlier ReplicaSet with a pod that answers on every port that is refused, and that pod.

        None where pods of the newest one answer there too, and never one of which a pod is refused as well.
        """
        if self._newest_answers():
            return None
        faulty = {target.name for target in self.fault.targets}
        for replica_set in earlier:
            if any(target.name in faulty for _protocol, target in self._workloads.endpoints_of(replica_set)):
                continue
            witnesses = [self._witness(port, replica_set) for port in self.fault.ports]
            first = witnesses[0]
            if first is not None and None not in witnesses:
                return replica_set, first
        return None

    def _witness(self, port: FaultyPort, replica_set: Object) -> Target | None:
        for target in port.answering:
            other = self._workloads.of(target.pod)
            if other and other.replica_set and other.replica_set["uid"] == replica_set["uid"]:
                return target
        return None

    def _known_image(self) -> tuple[str, str] | None:
        """The container and the image with which other pods of the same Deployment answer, where only one container differs."""
        workload = self.workload
        if workload is None or not workload.is_rolled_out:
            return None
        proven = self._proven(self._workloads.earlier(workload) or [])
        known = _single_change(workload, proven[0]) if proven else None
        return known if known and kubectl.is_name(known[0]) else None

    # -- the Service is wrong ---------------------------------------------------------------------------------------

    def correct_port(self) -> list[Remedy]:
        """Bring program and Service together: by a patch where all of these pods answer on one other port, and none as it is."""
        numbers = [self._other_port(port) for port in self.fault.ports]
        if None in numbers:
            return [
                Remedy(
                    f"if it is the right program: let it listen on {target_words.wanted(self.fault)}, or correct the targetPort or the selector of the Service"
                )
            ]
        return [
            Remedy(
                f"if it is the right program and listens where it should: let the Service want {number} in place of {port.entry.port['target_port']}",
                commands,
                _CLIENTS_RISK,
                by_hand="whether the program on the other port is the one that the Service is for, its log tells a person"
                if commands
                else "",
            )
            for port, number in zip(self.fault.ports, numbers, strict=True)
            for commands in (kubectl.service_patch(self.fault.service, port.place, "targetPort", number or 0),)
        ]

    def _other_port(self, port: FaultyPort) -> int | None:
        if len(port.targets) < len(port.entry.targets):
            return None
        taken = {target.port for entry in self.fault.entries for target in entry.targets}
        common = set.intersection(*(_answered(target, port.entry.port["protocol"]) for target in port.targets)) - taken
        return next(iter(common)) if len(common) == 1 else None

    # -- so that it does not happen again ---------------------------------------------------------------------------

    def prevention(self) -> Iterator[Remedy]:
        """The list of seed 004."""
        yield self.probe()
        yield Remedy(
            "so that it does not happen again: name images by their digest (image@sha256:…), and have the registry refuse to move tags; "
            "as long as tags move, imagePullPolicy Always makes a node ask again before each start of a container"
        )
        yield Remedy(
            "so that it does not happen again: build with one parametrised pipeline (APP_NAME) in place of names written into copies of it, and "
            "give each team the right to push to its own repositories only"
        )

    def probe(self) -> Remedy:
        """A readiness probe on what the Service wants."""
        # kubelet asks over TCP.
        port = next((one for one in self.fault.ports if one.entry.port["protocol"] == "TCP"), self.fault.ports[0])
        number, protocol = port.targets[0].port, port.entry.port["protocol"]
        container = self._container(number)
        what = (
            "then pods that do not answer are not ready, get no packets, and stop the rollout while the old version still runs; an httpGet on "
            "a path that only this program has finds even another program on the same port; a livenessProbe restarts one that hangs"
        )
        again = "so that it does not happen again:"
        if protocol != "TCP":
            return Remedy(
                f"{again} give the pods a readinessProbe of type exec that asks {number}/{protocol} (kubelet itself asks over TCP only): {what}"
            )
        if self._is_probed(container):
            return Remedy(f"{again} let the readinessProbe of container {container} ask port {number}: {what}")
        whose = f"container {container}" if container else "the container that is to answer"
        commands = self._probe_command(container, number)
        return Remedy(
            f"{again} give {whose} a readinessProbe on port {number}: {what}",
            commands,
            "the pods are replaced, and those that still do not answer become not ready: correct the fault first",
            by_hand="a probe belongs to the program: how long it takes to start, and which path tells that it works, its authors know"
            if commands
            else "",
        )

    def _probe_command(self, container: str | None, number: int) -> tuple[str, ...]:
        workload = self.workload
        if workload is None or not workload.is_rolled_out or container is None:
            return ()
        fields = {"readinessProbe": {"tcpSocket": {"port": number}, "periodSeconds": 10}}
        return kubectl.container_patch(workload.namespace, workload.kind, workload.name, container, fields)

    def _is_probed(self, container: str | None) -> bool:
        pod = self._first.pod
        return any(one["readiness"] for one in (pod["containers"] if pod else ()) if one["name"] == container)

    def _container(self, number: int | None = None) -> str | None:
        """The container of the pods that is to answer: the only one, the one that declares the port, the one that listens at all."""
        pod, sockets = self._first.pod, self._first.verdict.instead
        if pod is None:
            named = {one.name for one in self._first.seen.containers} if self._first.seen else set()
            return named.pop() if len(named) == 1 else None
        own = [one for one in pod["containers"] if one["kind"] == "container"]
        declaring = [one for one in own if any(port["port"] == number for port in one["ports"])]
        listening = [one for one in own if any(socket.container == one["name"] for socket in sockets)]
        for chosen in (own, declaring, listening):
            if len(chosen) == 1:
                return str(chosen[0]["name"])
        return None


def _answered(target: Target, protocol: str) -> set[int]:
    """The ports on which a pod answers at the endpoint's own address; UDP sockets with the kernel's numbers are no services."""
    sockets = (target.seen.listeners if target.seen else None) or ()
    return {
        one.port
        for one in sockets
        if one.protocol == protocol.lower()
        and not (one.protocol == "udp" and port_ranges.contains((_EPHEMERAL,), one.port))
        and target_verdict.judge(sockets, one.protocol, target.address, one.port).kind == target_verdict.LISTENS
    }


def _single_change(workload: Workload, replica_set: Object) -> tuple[str, str] | None:
    """The one container whose image is another one in an earlier ReplicaSet than in the Deployment, and that image."""
    if workload.deployment is None:
        return None
    now, then = workload.deployment["images"], replica_set["images"]
    changed = [name for name in now if now[name] != then.get(name)]
    if now.keys() != then.keys() or len(changed) != 1 or now != (workload.replica_set or {}).get("images"):
        return None
    return changed[0], then[changed[0]]


def _fix_targets(workload: Workload, replica_set: Object, deaf: list[tuple[str, Target]]) -> tuple[str, ...]:
    """What the automatic fix is to act on; nothing where it would refuse that."""
    change = _single_change(workload, replica_set)
    if change is None or workload.deployment is None:
        return ()
    pods = [_deaf_pod(*one) for one in deaf]
    targets = (image_rollback.target_text(workload.deployment, *change, pods),)
    try:
        image_rollback.read_targets(targets)
    except TargetError:
        return ()
    return targets


def _deaf_pod(protocol: str, target: Target) -> DeafPod:
    pod = target.endpoint["target"]
    host = target.seen.host if target.seen else ""
    return DeafPod(host, pod["namespace"], pod["name"], pod["uid"], protocol.lower(), target.address, target.port)


def _undo(workload: Workload, revision: int) -> tuple[str, ...]:
    rollout = ("rollout", "history", workload.resource, f"--revision={revision}")
    undo = ("rollout", "undo", workload.resource, f"--to-revision={revision}")
    return (kubectl.command(workload.namespace, *rollout), kubectl.command(workload.namespace, *undo))
