# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role services on a fleet: what fails every host is told once, and every host that it fails says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import failure
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

SHARED = ["CRITICAL: nobody listens behind Service shop/{{ 7 * 7 }} [service-target-not-listening]"]
OWN = ["CRITICAL: kube-proxy lacks NodePort 30080 [nodeport-not-programmed]"]
FLEET = [f"node-{number}" for number in range(5)]
REFERENCE = "the findings of the cluster that are told above"


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the role prints of a fleet, of which the last host did not answer, and of one more that was never judged."""
    folder = tmp_path_factory.mktemp("services")
    failing = {host: {"services": SHARED} for host in FLEET[:-1]} | {"node-1": {"services": [*OWN, *SHARED]}}
    told = {"failing": failing, "cluster": {"failing": {"services": SHARED}}}
    # As what a module has returned: no template.
    judged = json.loads(
        json.dumps(told), object_hook=lambda found: {key: _unsafe(value) for key, value in found.items()}
    )
    hosts = {name: {"ansible_connection": "local"} for name in FLEET}
    groups = {"fleet": {"hosts": {host: {} for host in FLEET}, "vars": {"services_judged": judged}}}
    (folder / "inventory.json").write_text(
        json.dumps({"all": {"hosts": {**hosts, "unjudged": {}}, "children": groups}})
    )
    roles = {"gather_facts": False, "roles": ["kubenode.doctor.services"]}
    (folder / "play.json").write_text(json.dumps([{"hosts": "fleet", **roles}, {"hosts": "unjudged", **roles}]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "play.json", "-i", "inventory.json"]
    settings = {**os.environ, "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        command, cwd=folder, env=settings, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode != 0
    return " ".join(done.stdout.split())


def _unsafe(value: object) -> object:
    return [{"__ansible_unsafe": line} for line in value] if isinstance(value, list) else value


def test_what_is_wrong_in_the_cluster_is_told_once(printed: str):
    heading = "the cluster has findings of the services family, and they fail every host that answered"
    assert printed.count(f"{heading} - {SHARED[0]}") == 1
    assert printed.count(SHARED[0]) == 1


@pytest.mark.parametrize("host", FLEET)
def test_every_host_that_answered_fails(printed: str, host: str):
    assert (REFERENCE in failure(printed, host)) == (host != FLEET[-1])
    assert (OWN[0] in failure(printed, host)) == (host == "node-1")


def test_without_a_judgement_it_fails(printed: str):
    assert "services_judged holds no judgement: run the role kubenode.doctor.report first" in failure(
        printed, "unjudged"
    )
