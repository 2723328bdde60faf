# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An audit host as systemd runs it: installed, audited by its timer, locked, timed out and removed. It audits itself through ssh, and in mode pull
without it.

One sequence on one node; the tests look at what each step has left.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kubenode.doctor.tests.integration_real.diagnosis import Run, diagnose
from ansible_collections.kubenode.doctor.tests.support import audit_host, systemd_node
from ansible_collections.kubenode.doctor.tests.support.stage import CALM, PROJECT
from ansible_collections.kubenode.doctor.tests.support.systemd_node import SystemdNode, SystemdNodes

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, systemd_node.COMMANDS)),
    reason=f"a node that systemd runs needs root and {', '.join(systemd_node.COMMANDS)}",
)

SERVICE, TIMER = "kubenode-doctor-audit.service", "kubenode-doctor-audit.timer"
PROGRAM = "/usr/local/bin/kubenode-doctor-audit"
STATE, EXPORTER, SEEN = "/var/lib/kubenode-doctor", "/srv/exporter", "/srv/announced"
MADE = (
    "/etc/kubenode-doctor",
    "/opt/kubenode-doctor",
    PROGRAM,
    f"/etc/systemd/system/{SERVICE}",
    f"/etc/systemd/system/{TIMER}",
)
OLD = "/opt/kubenode-doctor/0123456789ab"  # programs of another time
SECRETS = ("s3cret-path", "t0ken-of-ours")
HOSTILE = "<!all>{{7*7}}"  # a process may call itself anything, in 15 bytes
SECONDS = 60
KEPT = 2
REPOSITORY = "/srv/repository"
PLAYBOOK = "- ansible.builtin.import_playbook: kubenode.doctor.audit\n"
# Who calls git: ansible-pull fetches with one module for each of its names of the machine, and each of them calls it several times.
GIT = '#!/bin/sh\necho $PPID >>/srv/git/calls\nexec /usr/bin/git "$@"\n'


@dataclass
class Story:
    """What was run, by name, and what the node said."""

    node: SystemdNode
    inventory: Path
    playbook: Path
    variables: dict[str, Any]
    runs: dict[str, Run] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)

    def role(self, name: str, *words: str, **more: object) -> Run:
        """Run the role."""
        given = ("-e", json.dumps({**self.variables, **more}), *words)
        self.runs[name] = diagnose("-i", self.inventory, *given, name=str(self.playbook.with_suffix("")))
        assert self.runs[name].status == 0, self.runs[name].printed
        return self.runs[name]

    def sh(self, script: str) -> str:
        """What a shell on the node prints."""
        return self.node.run("sh", "-c", script, check=False).stdout.strip()

    def bundles(self) -> list[str]:
        """The audits that are judged, oldest first."""
        return self.sh(f"cd {STATE}/audits && ls -d */findings.json").split()

    def wait(self, what: str, script: str) -> str:
        """Wait until a script prints something."""
        deadline = time.monotonic() + SECONDS
        while not (found := self.sh(script)):
            assert time.monotonic() < deadline, f"{what}: {self.sh(f'journalctl --no-pager -u {SERVICE} | tail -50')}"
            time.sleep(0.2)
        return found

    def exposure(self) -> str:
        """How far systemd says that the service is exposed: a figure and a word."""
        return self.sh(f"systemd-analyze security --no-pager {SERVICE} | tail -1").split(": ")[1]

    def drop_in(self, unit: str, text: str) -> None:
        """Change a unit."""
        self.node.unit(f"{unit}.d/test.conf", text)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("audit_host")
    with SystemdNodes() as nodes:
        node = nodes.node("audit-host")
        audit_host.bring_wheels(node)
        told = Story(node, nodes.inventory({"auditors": ["audit-host"]}), folder / "play.yml", variables(folder, node))
        play = {"hosts": "auditors", "gather_facts": False, "roles": ["kubenode.doctor.scheduled_audit"]}
        told.playbook.write_text(yaml.safe_dump([play]))
        node.run("mkdir", EXPORTER)
        install(told)
        watch(told)
        collide(told)
        run_out_of_time(told)
        pull(told)
        remove(told)
        yield told


def variables(folder: Path, node: SystemdNode) -> dict[str, Any]:
    """What the role is told."""
    host = {"ansible_host": node.address, "ansible_user": "root", "ansible_python_interpreter": "/usr/bin/python3"}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"self": host}}}))
    key = " ".join(node.read("/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
    (folder / "known_hosts").write_text(f"{node.address} {key}\n")
    return {
        "scheduled_audit_collections": audit_host.collections(folder),
        "scheduled_audit_environment": {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": audit_host.WHEELS},
        "scheduled_audit_inventory": str(folder / "hosts.yml"),
        "scheduled_audit_known_hosts": str(folder / "known_hosts"),
        "scheduled_audit_become": False,
        "scheduled_audit_settings": {**CALM, "announce_seconds": 5},
        "scheduled_audit_keep_count": KEPT,
        "scheduled_audit_metrics_folder": EXPORTER,
        "scheduled_audit_webhook": {"url": f"http://127.0.0.1:10250/{SECRETS[0]}", "token": SECRETS[1]},
    }


def install(told: Story) -> None:
    """In check mode, for real, and once more; then let the key that was made in."""
    # The history of an earlier install, which was removed, is root's.
    told.node.run("mkdir", "-p", "-m", "711", f"{STATE}/audits")
    told.role("check", "--check", "--diff")
    told.said["after check"] = told.sh(f"ls -d {' '.join(MADE)} {STATE}/*; id kubenode-doctor")
    told.node.run("mkdir", "-p", OLD)
    run = told.role("install")
    told.said["old"] = told.sh(f"ls -d {OLD}")
    key = next((line.split("# ", 1)[1] for line in run.stdout.splitlines() if "# restrict ssh-ed25519 " in line), "")
    told.node.write_all(
        {
            "/etc/ssh/audit_keys": f"{told.sh('cat /root/.ssh/authorized_keys')}\n{key}\n",
            "/etc/ssh/sshd_config.d/audit.conf": "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/audit_keys\n",
        }
    )
    told.node.run("systemctl", "reload", "ssh")
    told.role("again")
    told.said["owner"] = told.sh(f"stat -c %U {STATE}/audits")
    told.said["verify"] = told.node.run("systemd-analyze", "verify", SERVICE, TIMER)
    told.said["exposure"] = told.exposure()
    told.said["next"] = told.sh(f"systemctl show -P NextElapseUSecRealtime {TIMER}")


def watch(told: Story) -> None:
    """Let the timer start audits until two have ended: one that can tell nobody, and one that can."""
    # By it the host is a node, on which the webhook's port is kubelet's: a critical fault.
    told.node.start("fake_program.py", "kube-proxy", "--listen", "127.0.0.1:10249")
    told.node.start("webhook.py", HOSTILE, "0.0.0.0:10250", SEEN, "410", "200")
    told.drop_in(TIMER, "[Timer]\nOnCalendar=\nOnCalendar=*-*-* *:*:0/2\nRandomizedDelaySec=0\n")
    told.node.run("systemctl", "restart", TIMER)
    told.wait("no audit was begun", f"ls {STATE}/metrics/kubenode_doctor_run.prom 2>/dev/null")
    told.said["first"] = told.sh(f"cat {EXPORTER}/kubenode_doctor_run.prom")
    told.wait("no second audit", f"grep -h '_success 1' {STATE}/metrics/kubenode_doctor_run.prom")
    told.node.run("systemctl", "stop", TIMER)
    told.wait("it goes on", f"systemctl is-active {SERVICE} | grep -E '^(inactive|failed)'")
    told.said["journal"] = told.sh(f"journalctl --no-pager -o cat -u {SERVICE}")
    told.said["metrics"] = told.sh(f"setpriv --reuid=65534 --clear-groups cat {EXPORTER}/kubenode_doctor.prom")
    told.said["announced"] = [json.loads(line) for line in told.node.read(SEEN).splitlines()]


def collide(told: Story) -> None:
    """Begin an audit by hand, and let systemd begin another one meanwhile."""
    words = [*told.node.command, PROGRAM, "-l", "self"]
    by_hand = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    told.wait("it has no lock", f"flock --nonblock {STATE}/lock true || echo held")
    told.node.run("systemctl", "start", SERVICE, check=False)
    told.said["held"] = told.sh(
        f"systemctl show -P ExecMainStatus {SERVICE}; journalctl --no-pager -o cat -n 20 -u {SERVICE}"
    )
    nobody = told.node.run("setpriv", "--reuid=65534", "--clear-groups", PROGRAM, check=False)
    told.said["nobody"] = (nobody.returncode, nobody.stderr)
    printed, _stderr = by_hand.communicate(timeout=SECONDS)
    told.said["by hand"] = (by_hand.returncode, printed)
    told.said["bundles"] = told.bundles()
    told.said["announced at last"] = told.node.read(SEEN).splitlines()


def run_out_of_time(told: Story) -> None:
    """Give an audit less time than Ansible needs to begin."""
    told.drop_in(SERVICE, "[Service]\nTimeoutStartSec=0.5\n")
    told.node.run("systemctl", "start", SERVICE, check=False)
    told.said["timeout"] = told.sh(f"systemctl show -P Result {SERVICE}; cat {EXPORTER}/kubenode_doctor_run.prom")
    told.said["left"] = told.sh(
        f"pgrep -u kubenode-doctor -f ansible-playbook; flock --nonblock {STATE}/lock echo free"
    )


def pull(told: Story) -> None:
    """Make it a node that audits itself, under the name that it has by itself, and let systemd run that once."""
    told.node.run("rm", "-r", f"/etc/systemd/system/{SERVICE}.d", f"/etc/systemd/system/{TIMER}.d")
    told.node.write_all({f"{REPOSITORY}/site.yml": PLAYBOOK, "/srv/bin/git": GIT})
    git = f"git -C {REPOSITORY} -c user.name=ops -c user.email=ops@example.com"
    commit = told.sh(f"cd {REPOSITORY} && git init -q && git add . && {git} commit -qm 1 && git rev-parse HEAD")
    told.role(
        "pull",
        scheduled_audit_mode="pull",
        scheduled_audit_repository=f"file://{REPOSITORY}",
        scheduled_audit_repository_version=commit,
        scheduled_audit_playbook="site.yml",
    )
    told.said["of the audit host"] = told.sh(
        f"id kubenode-doctor; ls -d /etc/kubenode-doctor/id_*; find {STATE} ! -user root"
    )
    told.node.run("chmod", "755", "/srv/bin/git")
    told.node.run("mkdir", "/srv/git")
    told.drop_in(
        SERVICE, "[Service]\nReadWritePaths=/srv/git\nEnvironment=PATH=/srv/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    )
    told.node.run("systemctl", "start", SERVICE, check=False)
    told.said["pulled"] = told.sh(f"systemctl show -P Result {SERVICE}; cat {EXPORTER}/kubenode_doctor_run.prom")
    told.said["journal of pull"] = told.sh(f"journalctl --no-pager -o cat -n 60 -u {SERVICE}")
    told.said["git"] = told.node.read("/srv/git/calls").split()
    told.said["pulled node"] = json.loads(told.sh(f"cat $(ls -d {STATE}/audits/*/ | tail -1)nodes/audit-host.json"))
    told.node.run("rm", "-r", f"/etc/systemd/system/{SERVICE}.d")
    told.node.run("systemctl", "daemon-reload")
    told.said["exposure of pull"] = told.exposure()


def remove(told: Story) -> None:
    """Everything but the history; then that too."""
    told.role("absent", scheduled_audit_state="absent")
    told.said["after absent"] = told.sh(
        f"ls -d {' '.join(MADE)} {EXPORTER}/*; id kubenode-doctor; systemctl cat {SERVICE}"
    )
    told.said["history"] = told.sh(f"stat -c %U {STATE} {STATE}/audits/*/findings.json | sort | uniq -c")
    told.role("purge", "-e", "scheduled_audit_state=absent", "-e", "scheduled_audit_purge=true")
    told.said["after purge"] = told.sh(f"ls -d {STATE}")


def changed(run: Run) -> int:
    return run.recap("audit-host")["changed"]


def test_check_mode_says_what_would_be_and_does_nothing(story: Story):
    assert changed(story.runs["check"]) > 0
    assert story.said["after check"] == f"{STATE}/audits"  # was there


def test_a_second_run_changes_nothing(story: Story):
    assert changed(story.runs["install"]) > 0
    assert changed(story.runs["again"]) == 0
    assert story.said["owner"] == "kubenode-doctor"


def test_programs_that_nothing_uses_any_more_are_removed(story: Story):
    assert story.said["old"] == ""


def test_systemd_accepts_the_units(story: Story):
    verified = story.said["verify"]
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    scheduling = (PROJECT / "docs" / "scheduling.md").read_text("utf-8")
    assert f"Overall exposure level for {SERVICE}: {story.said['exposure']}" in scheduling
    assert f"`systemd-analyze security` calls it {' '.join(story.said['exposure of pull'].split()[:2])}." in scheduling
    assert story.said["next"].endswith("UTC")


def test_the_timer_fires(story: Story):
    assert "kubenode_doctor_scheduled_run_success 0" in story.said["first"]  # nobody could be told
    assert "1 of 1 hosts answered; critical findings that no waiver accepts: 1" in story.said["journal"]
    assert "server answers with status 410" in " ".join(story.said["journal"].split())
    assert "kubenode_doctor_audit_started_timestamp_seconds" in story.said["metrics"]


def test_what_could_not_be_told_is_told_after_the_next_audit_and_only_then(story: Story):
    refused, taken = story.said["announced"]
    for request in (refused, taken):
        assert request["path"] == f"/{SECRETS[0]}"
        assert request["headers"]["Authorization"] == f"Bearer {SECRETS[1]}"
    said = json.loads(taken["body"])
    assert [(one["rule"], one["host"]) for one in said["findings"]] == [("component-port-taken", "self")]
    assert HOSTILE in said["findings"][0]["title"]
    assert HOSTILE not in said["text"]
    assert said["text"].startswith("kubenode.doctor: 1 new critical finding on self: component-port-taken (audit of ")
    assert len(story.said["announced at last"]) == len(story.said["announced"])


def test_two_audits_exclude_each_other(story: Story):
    status, *lines = story.said["held"].splitlines()
    assert status == "75"
    assert any(line.startswith("An audit is running already: process ") for line in lines), lines
    status, said = story.said["nobody"]
    assert status == 77
    assert said.startswith("Audits run as kubenode-doctor, which root becomes by itself")
    status, printed = story.said["by hand"]
    assert status == 0, printed


def test_the_history_is_kept_short(story: Story):
    assert len(story.said["bundles"]) == KEPT


def test_an_audit_that_hangs_is_ended(story: Story):
    assert story.said["timeout"].splitlines()[0] == "timeout"
    assert "kubenode_doctor_scheduled_run_success 0" in story.said["timeout"]
    assert story.said["left"] == "free"


def test_a_node_audits_itself_with_what_it_has_pulled(story: Story):
    result, *metrics = story.said["pulled"].splitlines()
    assert (result, "kubenode_doctor_scheduled_run_success 1" in metrics) == ("success", True), story.said[
        "journal of pull"
    ]
    assert "1 of 1 hosts answered" in story.said["journal of pull"]
    names = list(dict.fromkeys(story.said["git"]))  # of modules, in the order of their first calls
    assert len(names) == 2, "nothing that could be in another's way: by which names does ansible-pull fetch?"
    assert story.said["git"] == sorted(story.said["git"], key=names.index), "two fetched at a time"
    # Its rights are enough: it sees whose sockets these are.
    listeners = story.said["pulled node"]["snapshot"]["sections"]["listen_ports"]["listeners"]
    assert [[held["name"] for held in one["processes"]] for one in listeners if one["port"] == 10250] == [[HOSTILE]]
    assert story.said["of the audit host"] == ""


def test_no_secret_is_shown(story: Story):
    texts = [story.said["journal"], *(run.printed for run in story.runs.values())]
    assert all(secret not in text for secret in SECRETS for text in texts)


def test_it_is_removed(story: Story):
    assert changed(story.runs["absent"]) > 0
    assert story.said["after absent"] == ""
    assert [line.split()[1] for line in story.said["history"].splitlines()] == ["root"]
    assert changed(story.runs["purge"]) == 1
    assert story.said["after purge"] == ""
