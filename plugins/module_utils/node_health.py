# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether kubelet, the API server and etcd of this node say that they are well: what a fix must not have broken.

kubelet     GET /healthz (pkg/kubelet/server/server.go)
API server  GET /readyz, before 1.16 /healthz; it covers the server's own way to etcd. Everybody may ask where anonymous requests are
            allowed, and every user may (bootstrappolicy/policy.go, system:public-info-viewer), a node's certificate included
etcd        GET /health, a read that needs a leader and a quorum; it is "false" while there is an alarm (api/etcdhttp/health.go checkHealth)
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ansible_collections.kubenode.doctor.plugins.module_utils import health_probe, node_parts
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline, shown
from ansible_collections.kubenode.doctor.plugins.module_utils.health_probe import Pair, Place, Said
from ansible_collections.kubenode.doctor.plugins.module_utils.node_parts import (
    API_SERVER,
    ETCD,
    KUBELET,
    PARTS,
    Program,
)

_PATHS = {KUBELET: ("/healthz",), API_SERVER: ("/readyz", "/healthz"), ETCD: ("/health",)}
_PROBE_SECONDS = 10.0  # for one answer; kubeadm gives its probes 15
_PAUSE_SECONDS = 1.0
_LONGEST_WAIT = 3600.0


class Check(NamedTuple):
    """What one part says; ``healthy`` is None where that cannot be known, ``closed`` where nobody listens."""

    what: str
    url: Optional[str]
    healthy: Optional[bool]
    why: str = ""
    closed: bool = False

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {"what": self.what, "url": self.url, "healthy": self.healthy, "why": self.why}


def why_not(wait_seconds: float) -> str:
    """What is wrong with a number of seconds to wait; empty when nothing is."""
    fits = 0 <= wait_seconds <= _LONGEST_WAIT  # False for nan
    return "" if fits else f"wait_seconds: {wait_seconds:g}: 0 to {_LONGEST_WAIT:g} expected"


def wait(expect: Sequence[str], wait_seconds: float, proc: str = "/proc", root: str = "/") -> dict[str, Any]:
    """``collect`` again and again, until all is well or the time has passed."""
    end = Deadline(wait_seconds)
    while True:
        answer = collect(expect, Deadline(_PROBE_SECONDS * len(PARTS)), proc, root)
        if answer["healthy"] or end.passed():
            return answer
        time.sleep(min(_PAUSE_SECONDS, end.left()))


def collect(expect: Sequence[str], deadline: Deadline, proc: str = "/proc", root: str = "/") -> dict[str, Any]:
    """Return ``{checks, healthy, complete, missing}``; the fields are node_health's RETURN.

    ``expect`` are PARTS that have to be here. Without any part there is nothing that could be ill.
    """
    gaps: List[Dict[str, str]] = []
    programs = node_parts.running(gaps, proc)
    checks: List[Check] = []
    for part in PARTS:
        found = [_asked(part, program, deadline, proc, root) for program in programs if program.part == part]
        inside = [_asked(part, program, deadline, proc, root) for program in programs if program.whole]
        found += [check for check in inside if not check.closed]
        if not found and part in expect:
            # What is hidden may well be it.
            found = [Check(part, None, None if gaps else False, gaps[0]["why"] if gaps else "it does not run here")]
        checks += dict.fromkeys(found)
    gaps += [{"what": check.what, "why": check.why} for check in checks if check.healthy is None]
    said = {check.healthy for check in checks}
    return {
        "checks": [check.told() for check in checks],
        "healthy": False if False in said else None if gaps else True,
        "complete": not gaps,
        "missing": gaps,
    }


def _asked(part: str, program: Program, deadline: Deadline, proc: str, root: str) -> Check:
    """What a part says at the first of its places that anybody listens at; of several that keep it to themselves the first."""
    pairs = node_parts.pairs(part, program, proc, root)
    checks = []
    for place in node_parts.places(part, program, proc, root):
        checks.append(_at(part, place, pairs, deadline))
        if not checks[-1].closed and checks[-1].healthy is not None:
            return checks[-1]
    if not checks:
        return Check(
            part,
            None,
            None,
            f"it was started so that it serves {_PATHS[part][0]} at no address of this machine: it cannot be asked",
        )
    return next((check for check in checks if check.healthy is None), checks[0])


def _at(part: str, place: Place, pairs: Sequence[Pair], deadline: Deadline) -> Check:
    for path in _PATHS[part]:
        if deadline.passed():
            return Check(part, place.url(path), None, f"the {shown(deadline.seconds)} s for all answers had passed")
        said = health_probe.ask(place, path, pairs, Deadline(min(_PROBE_SECONDS, deadline.left())))
        if said.status != 404 or path == _PATHS[part][-1]:
            break
    return Check(part, place.url(path), *_judged(part, said, pairs), closed=said.closed)


def _judged(part: str, said: Said, pairs: Sequence[Pair]) -> Tuple[Optional[bool], str]:
    if said.locked:
        there = [pair[0] for pair in pairs if os.path.exists(pair[0])]
        tried = f"none of these is accepted: {', '.join(there)}" if there else "none was found on this machine"
        return None, f"it tells only who has a client certificate, and {tried}"
    if said.status is None:
        return False, said.text
    if said.status != 200:
        return False, f"it answers {said.status}: {health_probe.quoted(said.text)}"
    if _well(part, said.text):
        return True, ""
    return False, f"something else listens there: it answers {health_probe.quoted(said.text) or 'nothing'}"


def _well(part: str, text: str) -> bool:
    """The bodies of k8s.io/apiserver's healthz, and of etcd's health."""
    if part != ETCD:
        return text.strip() == "ok"
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(answer, dict) and answer.get("health") in ("true", True)
