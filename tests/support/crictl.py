# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A crictl for machines that cannot have the real one: it really asks the runtime, and prints its answer as crictl does.

    crictl --runtime-endpoint unix:///run/containerd/containerd.sock --timeout 4s ps -a -o json

It knows as much of the command line as the collection uses (kubernetes-sigs/cri-tools cmd/crictl: main.go, container.go, sandbox.go,
version.go, util.go protobufObjectToJSON).
"""

from __future__ import annotations

import argparse
import json
import stat
import sys
from pathlib import Path

import grpc

from ansible_collections.kubenode.doctor.tests.support.cri_client import CriClient
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

_CALLS = {("ps", "-a", "-o", "json"): "ListContainers", ("pods", "-o", "json"): "ListPodSandbox"}


def install(path: Path) -> None:
    """Write an executable crictl."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(PROJECT / '.collections')!r})\nfrom {__name__} import main\nmain()\n",
        encoding="utf-8",
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def main() -> None:
    """Answer one command line."""
    parser = argparse.ArgumentParser(prog="crictl", allow_abbrev=False)
    parser.add_argument("--runtime-endpoint", required=True)
    parser.add_argument("--image-endpoint")
    parser.add_argument("--timeout", default="2s")
    chosen, words = parser.parse_known_args()
    with CriClient(chosen.runtime_endpoint.removeprefix("unix://")) as runtime:
        try:
            if words == ["version"]:
                told = runtime.call("Version", {"version": "v1"})
                for title in ("Version", "RuntimeName", "RuntimeVersion", "RuntimeApiVersion"):
                    sys.stdout.write(f"{title}:  {told[title[0].lower() + title[1:]]}\n")
            else:
                sys.stdout.write(json.dumps(runtime.call(_CALLS[tuple(words)]), indent=2) + "\n")
        except grpc.RpcError as error:
            sys.exit(f'time="2026-11-21T08:00:00Z" level=fatal msg="validate service connection: {error.details()}"')
