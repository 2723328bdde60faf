# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""local_end with a real kernel: rules that hand a connection on are noticed, as those of a NodePort."""

from __future__ import annotations

import socket
import subprocess

from ansible_collections.kubenode.doctor.plugins.module_utils import http_signature, local_end
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline
from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import in_fresh_netns, needs_root


def _before_and_after_a_rule():
    with socket.create_server(("127.0.0.1", 37231)), socket.create_server(("127.0.0.1", 8080)):
        seen = []
        for rule in ([], ["-p", "tcp", "--dport", "37231", "-j", "REDIRECT", "--to-ports", "8080"]):
            if rule:
                subprocess.run(["iptables", "-t", "nat", "-A", "OUTPUT", *rule], check=True, stdin=subprocess.DEVNULL)
            with socket.create_connection(("127.0.0.1", 37231), 5) as connection:
                seen.append(local_end.is_here(connection))
        shape = {"protocol": "tcp", "state": "listen", "address": "127.0.0.1", "port": 37231, "backlog": 128}
        answer = http_signature.ask({**shape, "processes": [{"name": "kubelet"}]}, Deadline(5))
        return seen, answer


@needs_root
def test_a_rule_that_takes_the_connection_away_is_noticed():
    seen, answer = in_fresh_netns(_before_and_after_a_rule)
    assert seen == [True, False]
    assert answer["asked"] is None
    assert answer["why"].startswith("not asked: a connection to it ends elsewhere")
