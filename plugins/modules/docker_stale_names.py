#!/usr/bin/python
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_stale_names
short_description: Find, and remove, the dead container that keeps kubelet from a name
version_added: 0.1.0
author:
  - the kubenode.doctor authors (@kubenode)
description:
  - Lists the containers of a Docker Engine, puts those of Kubernetes together by pod and container, and tells which name conflicts there are
    between them, as in C(Conflict. The container name "/k8s_..._24" is already in use by container "...").
  - The container that is named in such an error is usually the living one. kubelet takes the instance that was I(created) last for the
    latest one; after the clock was set back that is a dead one, and kubelet asks for the name of the living one again and again. What
    ends that is to remove the dead one. This module tells which one that is, and why all others must stay.
  - Asks the Docker Engine API on its socket. Neither the command C(docker) nor a library is needed. A socket of podman will do as well.
  - Removes nothing but what RV(removable) says, by its full id, never by force, and keeps volumes. Before each removal everything is
    looked at again. What began to run, was renamed, was replaced or is gone by then is left alone, and told in RV(left_alone).
  - Sweeps nothing up. Dead containers that are in nobody's way are for kubelet's garbage collection.
  - Nothing brings a removed container back. With O(keep), what it was stays on the node.
extends_documentation_fragment:
  - kubenode.doctor.attributes
attributes:
  check_mode:
    details:
      - In check mode RV(removed) is what would be removed.
  diff_mode:
    support: full
    details:
      - With O(state=absent) the difference is a list of all containers, each with its name and the beginning of its id.
options:
  state:
    description:
      - With V(query) nothing is changed.
      - With V(absent) the containers in RV(removable) are removed, or those of them that O(names) names.
    type: str
    choices: [query, absent]
    default: query
  docker_host:
    description:
      - Where the Docker Engine listens, V(unix:///path) or V(tcp://address:port). The environment variable E(DOCKER_HOST) is not looked at.
      - TLS and SSH are not supported. Run the module on the node itself, where the engine has a Unix socket.
    type: str
    default: unix:///var/run/docker.sock
  keep:
    description:
      - A folder of the node in which it is kept what is removed. Before a container is removed, what C(docker inspect) shows of it is written to
        C(removed-ID.inspect.json), and its log, with the time of each line, to C(removed-ID.log), where C(ID) has the first twelve digits of its id.
        Of a log the last 10000 lines are kept, and of these the last 4 MiB.
      - The folder is made with mode 0700 where it is not there; one into which others get, or that is a symbolic link, is refused. The files have mode
        0600, since environment variables and logs may hold secrets. None of it is returned.
      - A container of which this cannot be written, as when the disk is full, is not removed, and the module fails. One whose log the engine cannot
        read, because its log driver sends it elsewhere, is removed all the same, and RV(removed) says so.
      - Left out, nothing is kept.
    type: path
  min_age:
    description:
      - Seconds. A container that was created, was started or ended less than that long ago is never removable. kubelet looks at
        each pod about once a minute, and may be about to deal with it itself.
    type: float
    default: 60
  names:
    description:
      - Names or full ids of the containers to remove, with O(state=absent) only. Each of them has to be in RV(removable), or must not
        exist any more. Where one must stay, the module fails before it removes anything.
      - Where several have to go to end a conflict, none is removed before those that stand before it in RV(removable).
      - An empty list means none.
    type: list
    elements: str
  timeout:
    description:
      - Seconds for everything that is asked of the engine, altogether. At most 600.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Which container is in kubelet's way?
  kubenode.doctor.docker_stale_names:
  register: stale

- name: Remove it, and nothing else
  kubenode.doctor.docker_stale_names:
    state: absent
    names: "{{ stale.removable | map(attribute='id') | list }}"
"""

RETURN = r"""
groups:
  description: The containers of Kubernetes, by container of a pod.
  returned: always
  type: list
  elements: dict
  contains:
    runtime:
      description: Always V(docker).
      returned: always
      type: str
      sample: docker
    pod_uid: &pod_uid
      description: The uid of the pod. That of a static pod has 32 digits.
      returned: always
      type: str
      sample: 1403dda53affdfee1130475a6d9609da
    namespace: &namespace
      description: The namespace of the pod.
      returned: always
      type: str
      sample: kube-system
    pod: &pod
      description: The name of the pod.
      returned: always
      type: str
      sample: kube-apiserver-pi-master1
    container: &container
      description: The name of the container in the pod. V(POD) is the sandbox, which holds the pod's namespaces.
      returned: always
      type: str
      sample: kube-apiserver
    sandbox:
      description: Whether these are sandboxes.
      returned: always
      type: bool
      sample: false
    instances:
      description: All its containers, living and dead, the highest attempt first.
      returned: always
      type: list
      elements: dict
      contains: &instance
        id:
          description: The full id.
          returned: always
          type: str
          sample: eced8537863007db9a915924785306b26238cabbd3feec0e5226e2ad0710807b
        name:
          description: The name. Null where it has none.
          returned: always
          type: str
          sample: k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_1403dda53affdfee1130475a6d9609da_24
        attempt:
          description: How many instances were created before it. Null where nothing tells that.
          returned: always
          type: int
          sample: 24
        suffix:
          description: What sets a second try with the same attempt apart. Null where there is none.
          returned: always
          type: str
          sample: 1a2b3c4d
        state:
          description: V(created), V(running), V(paused), V(restarting), V(removing), V(exited), V(dead) or V(unknown).
          returned: always
          type: str
          sample: running
        created_ns:
          description:
            - When it was created, by the engine's clock, in nanoseconds since 1970, and null where that was not told.
            - In whole seconds where a container has one instance only.
          returned: always
          type: int
          sample: 1615519743000000000
        started_ns:
          description: When it was started. Null where it was not, and where there is one instance only.
          returned: always
          type: int
          sample: 1615519744000000000
        finished_ns:
          description: When it last ended. Null where it did not, and where there is one instance only.
          returned: always
          type: int
          sample: 1615519744000000000
        exit_code:
          description: The exit code of a dead container. Null otherwise, and where there is one instance only.
          returned: always
          type: int
          sample: 0
        sandbox_id:
          description: The id of the sandbox it lives in. Null for sandboxes, and where it is not known.
          returned: always
          type: str
          sample: 07637544b672de3a1b6c3f3a4bb2e6f5a7c1e0b9f3b5f1d9d1a4c0f2e7a6b8c9
        own:
          description: Whether kubelet takes it for its own, which it does by name and labels.
          returned: always
          type: bool
          sample: true
        image:
          description: The image, as the engine names it. Null where it does not.
          returned: always
          type: str
          sample: k8s.gcr.io/pause:3.2
conflicts:
  description: Names that kubelet wants and cannot have.
  returned: always
  type: list
  elements: dict
  contains:
    runtime:
      description: Always V(docker).
      returned: always
      type: str
      sample: docker
    pod_uid: *pod_uid
    namespace: *namespace
    pod: *pod
    container: *container
    wanted:
      description: The name that kubelet wants.
      returned: always
      type: str
      sample: k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_1403dda53affdfee1130475a6d9609da_24
    holder:
      description: The container that has it. Often the living one.
      returned: always
      type: dict
      contains: *instance
    newest:
      description: The instance that kubelet takes for the latest, because it was created last.
      returned: always
      type: dict
      contains: *instance
    living:
      description: The living instance that kubelet overlooks. Null where no later attempt lives.
      returned: always
      type: dict
      contains: *instance
    kind:
      description:
        - V(clock-inversion) when a living instance was created before a dead one with a lower number, as after the clock was set back.
        - V(dead-holder) when a dead one holds the name, V(stranger) when kubelet does not take the holder for its own.
      returned: always
      type: str
      sample: clock-inversion
    remove:
      description: The ids of what has to be removed, in this order, to end the conflict. Empty where nothing may be.
      returned: always
      type: list
      elements: str
      sample: [8470235abd66ab0aa5dd3a1b6c3f3a4bb2e6f5a7c1e0b9f3b5f1d9d1a4c0f2e7]
    why_not:
      description: Why nothing may be removed. Null otherwise.
      returned: always
      type: str
      sample: attempt 23, 8470235abd66 is only 12 s old, and at least 60 s are asked for
removable:
  description: What may be removed, as it was found before anything was.
  returned: always
  type: list
  elements: dict
  contains: &told
    id:
      description: The full id of the container.
      returned: always
      type: str
      sample: 8470235abd66ab0aa5dd3a1b6c3f3a4bb2e6f5a7c1e0b9f3b5f1d9d1a4c0f2e7
    name:
      description: Its name. Null where it has none.
      returned: always
      type: str
      sample: k8s_kube-apiserver_kube-apiserver-pi-master1_kube-system_1403dda53affdfee1130475a6d9609da_23
    why:
      description: The reason.
      returned: always
      type: str
kept:
  description: All other containers, each with the reason why it must stay.
  returned: always
  type: list
  elements: dict
  contains: *told
removed:
  description: What was removed, in this order, also when the module fails afterwards. Empty with O(state=query).
  returned: always
  type: list
  elements: dict
  contains:
    <<: *told
    kept_in:
      description: The file on the node that has what the engine told of it. Null without O(keep), and in check mode.
      returned: always
      type: str
      sample: /var/lib/kubenode.doctor/removed-8470235abd66.inspect.json
    log_kept_in:
      description: The file on the node that has the end of its log. Null without O(keep), in check mode, and where the engine cannot read the log.
      returned: always
      type: str
      sample: /var/lib/kubenode.doctor/removed-8470235abd66.log
    log_gap:
      description: What of its log is not kept, and why. Null where all of it is, and where nothing was to be kept.
      returned: always
      type: str
      sample: "its beginning is not kept: only 10000 lines, and 4 MiB, are"
left_alone:
  description: What was to be removed and was not, because it was not what it had been when its turn came, or was gone.
  returned: always
  type: list
  elements: dict
  contains: *told
interrupted:
  description:
    - What became of the containers that an earlier run with the same O(keep) was about to remove, when it was interrupted before it could tell. Empty
      when it was not. The next run that removes something takes its place.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The full id of the container.
      returned: always
      type: str
      sample: 8470235abd66ab0aa5dd3a1b6c3f3a4bb2e6f5a7c1e0b9f3b5f1d9d1a4c0f2e7
    at:
      description: When that run began, in UTC.
      returned: always
      type: str
      sample: "2026-11-21T18:00:00+00:00"
    removed:
      description: Whether it is gone. If not, it is as it was.
      returned: always
      type: bool
    kept_in:
      description: The file on the node that has what the engine told of it. Null where the run did not get that far.
      returned: always
      type: str
      sample: /var/lib/kubenode.doctor/removed-8470235abd66.inspect.json
not_found:
  description: Those of O(names) that no container has, such as one that was removed before. A name that was mistyped is among them.
  returned: always
  type: list
  elements: str
  sample: []
engine:
  description: Who was asked.
  returned: always
  type: dict
  contains:
    host:
      description: The O(docker_host).
      returned: always
      type: str
      sample: unix:///var/run/docker.sock
    version:
      description: The engine's version. Null where it does not tell it.
      returned: always
      type: str
      sample: 20.10.24
    api_version:
      description: The version of the API that was spoken.
      returned: always
      type: str
      sample: "1.41"
complete:
  description: Whether everything could be seen. What could not be seen is never removable.
  returned: always
  type: bool
missing:
  description: What could not be seen.
  returned: always
  type: list
  elements: dict
  contains:
    what:
      description: The thing that could not be seen.
      returned: always
      type: str
      sample: containers
    why:
      description: The reason, and what to do about it.
      returned: always
      type: str
"""

import os
from typing import Any, Collection, Optional, Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kubenode.doctor.plugins.module_utils import removal_keep, stale_removal
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.plugins.module_utils.docker_engine import DEFAULT_HOST, Engine, EngineError
from ansible_collections.kubenode.doctor.plugins.module_utils.stale_removal import Outcome, View

_MOST_SECONDS = 600
_NOTHING = Outcome([], [])


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["query", "absent"], "default": "query"},
            "docker_host": {"type": "str", "default": DEFAULT_HOST},
            "keep": {"type": "path"},
            "min_age": {"type": "float", "default": 60},
            "names": {"type": "list", "elements": "str"},
            "timeout": {"type": "float", "default": 30},
        },
        supports_check_mode=True,
    )
    wrong = _wrong(module.params)
    if wrong:
        module.fail_json(msg=wrong)
    try:
        result, diff = _run(module.params, module.check_mode)
        module.exit_json(**result, **({"diff": diff} if module._diff and diff else {}))
    except stale_removal.RemovalError as error:
        outcome = error.outcome
        module.fail_json(msg=str(error), changed=bool(outcome.removed), **outcome._asdict())
    except (EngineError, stale_removal.ChoiceError) as error:
        module.fail_json(msg=str(error), **_NOTHING._asdict())


def _wrong(params: dict[str, Any]) -> Optional[str]:
    if not 0 < params["timeout"] <= _MOST_SECONDS:
        return f"timeout: {params['timeout']:g}: more than 0 and at most {_MOST_SECONDS} expected"
    if not 0 <= params["min_age"] < float("inf"):
        return f"min_age: {params['min_age']:g}: 0 or more expected"
    if params["keep"] is not None and not _is_folder_of_its_own(params["keep"]):
        return f"keep: {params['keep']}: the absolute path of a folder is expected, such as /var/lib/kubenode.doctor"
    if params["names"] is not None and params["state"] != "absent":
        return "names: only with state=absent"
    return None


def _is_folder_of_its_own(path: str) -> bool:
    return os.path.isabs(path) and os.path.basename(path.rstrip("/")) not in ("", ".", "..")


def _run(params: dict[str, Any], check_mode: bool) -> tuple[dict[str, Any], Optional[dict[str, str]]]:
    """The module's answer, and the difference that it made or would make, None for a query."""
    deadline = Deadline(params["timeout"])
    engine = Engine(params["docker_host"], deadline)
    engine.begin()
    view = stale_removal.look(engine, deadline, params["min_age"])
    result = _told(engine, view, params["names"] or (), params["keep"])
    if params["state"] != "absent":
        return {"changed": False, **result, **_NOTHING._asdict()}, None
    chosen = stale_removal.choose(view, params["names"])
    outcome = (
        stale_removal.planned(view, chosen)
        if check_mode
        else stale_removal.remove(engine, deadline, params["min_age"], view, chosen, params["keep"])
    )
    gone = {one["id"] for one in outcome.removed}
    diff = {"before": _lines(view, ()), "after": _lines(view, gone)}
    return {"changed": bool(gone), **result, **outcome._asdict()}, diff


def _told(engine: Engine, view: View, names: Sequence[str], keep: Optional[str]) -> dict[str, Any]:
    missing = list(view.listing.missing)
    interrupted = []
    try:
        interrupted = removal_keep.interrupted(keep, [one["id"] for one in view.all()]) if keep else []
    except removal_keep.KeepError as error:
        missing.append({"what": "keep", "why": f"whether a removal was interrupted is not known: {error}"})
    return {
        "groups": view.listing.groups,
        "conflicts": view.conflicts,
        "removable": view.removable,
        "kept": view.kept,
        "engine": {"host": engine.host, "version": engine.version, "api_version": engine.api_version},
        "complete": not missing,
        "missing": missing,
        "not_found": stale_removal.not_found(view, names),
        "interrupted": interrupted,
    }


def _lines(view: View, without: Collection[str]) -> str:
    """One line for each container, for a person who wants to see which ones go."""
    lines = [f"{one['name'] or '(no name)'} {one['id'][:12]}\n" for one in view.all() if one["id"] not in without]
    return "".join(sorted(lines))


if __name__ == "__main__":
    main()
