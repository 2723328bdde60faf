# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the forms of commands let through, and what crictl, which no test can have, makes of them."""

from __future__ import annotations

import argparse
import shlex

import pytest

from ansible_collections.kubenode.doctor.tests.support import remedy_commands
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.checks import check_command, check_remedy

EXAMPLES = [form.example for form in remedy_commands.forms()]


@pytest.mark.parametrize("command", EXAMPLES)
def test_each_example_is_of_a_form(command):
    check_command(command)


@pytest.mark.parametrize(
    "command",
    [
        "reboot",
        "systemctl restart kubelet; reboot",
        "systemctl restart $(reboot)",
        "systemctl restart kubelet && reboot",
        "systemctl restart '-f'",
        "systemctl restart 'a b.service'",
        "systemctl restart '\x1b[2J.service'",
        "systemctl stop kubelet.service",
        "ss -tln sport = :0",
        "ss -tln sport = :65536",
        "ss  -tln",
        "kubectl -n SHOP get pods --show-labels",
        "kubectl -n '?' describe pod '?'",
        "kubectl -n shop describe pod NAME",
        "kubectl -n shop describe pod '<name>'",
        "kubectl -n shop delete pod --all",
        "kubectl -n shop delete service web --force",
        "docker rm -f 000000000023aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "docker rm 000000000023",
        "docker inspect 000000000023aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa > /etc/passwd",
        "docker inspect 000000000023aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa > /root/000000000023.json; reboot",
        "printf '\\n%s\\n' 'net.ipv4.ip_local_reserved_ports = ' >> /etc/sysctl.d/60-nodeports.conf",
        "printf '\\n%s\\n' 'net.ipv4.ip_local_reserved_ports = 1-0' >> /etc/sysctl.d/60-nodeports.conf",
        "printf '\\n%s\\n' 'kernel.sysrq = 1' >> /etc/sysctl.d/60-nodeports.conf",
        "printf '\\n%s\\n' 'fs.file-max = 200' >> /etc/sysctl.d/60-nodeports.conf",
        "kubectl -n shop patch service front --type=json -p '[{'",
        "weave forget 192.0.2.1/24",
    ],
)
def test_what_is_no_command_of_a_cure(command):
    with pytest.raises(AssertionError):
        check_command(command)


def remedy(*commands, **fields):
    return {
        "summary": "do it",
        "commands": list(commands),
        "risk": "",
        "fix": "",
        "targets": [],
        "by_hand": "",
        **fields,
    }


WHY = "nobody but its owner knows whether it is needed"


@pytest.mark.parametrize(
    "told",
    [
        remedy(),
        remedy("ss -tln"),
        remedy("systemctl daemon-reload", by_hand=WHY),
        remedy("systemctl daemon-reload", fix="sync-clock"),
        remedy(by_hand=WHY),
    ],
)
def test_a_remedy_that_is_whole(told):
    check_remedy(told)


@pytest.mark.parametrize(
    "told",
    [
        remedy("systemctl daemon-reload"),
        remedy("ss -tln", "systemctl daemon-reload"),
        remedy("systemctl daemon-reload", fix="sync-clock", by_hand=WHY),
        remedy("systemctl daemon-reload", by_hand="no"),
        remedy("systemctl daemon-reload", by_hand=f"{WHY}."),
        remedy("systemctl daemon-reload", by_hand="Nobody but its owner knows it"),
    ],
)
def test_a_remedy_that_says_not_why_no_fix_does_it(told):
    with pytest.raises(AssertionError):
        check_remedy(told)


def crictl():
    """What crictl takes of its command line (kubernetes-sigs/cri-tools cmd/crictl: main.go, container.go, sandbox.go, logs.go).

    As urfave/cli has it: options of the program before the verb, options of the verb before its arguments.
    """
    parser = argparse.ArgumentParser(prog="crictl", allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--runtime-endpoint")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("inspect", "inspectp", "rmp"):
        verbs.add_parser(verb).add_argument("id", nargs=1)
    logs = verbs.add_parser("logs")
    logs.add_argument("--tail", type=int)
    logs.add_argument("id", nargs=1)
    remove = verbs.add_parser("rm")  # --keep-logs: crictl 1.30 and newer
    remove.add_argument("--keep-logs", action="store_true")
    remove.add_argument("id", nargs=1)
    for verb in ("pods", "ps"):
        listing = verbs.add_parser(verb)
        listing.add_argument("--no-trunc", action="store_true")
        listing.add_argument("--label", action="append")
        if verb == "ps":
            listing.add_argument("--all", action="store_true")
    return parser


@pytest.mark.parametrize("command", [one for one in EXAMPLES if one.startswith("crictl ")])
def test_crictl_knows_these_words(command):
    words = shlex.split(command.partition(" > ")[0])[1:]
    told = crictl().parse_args(words)
    assert told.runtime_endpoint in (None, "unix:///run/containerd/containerd.sock")
    last = [word for word in words if len(word) == 64]
    assert words[-len(last) :] == last or not last  # an option behind the id would be another id
