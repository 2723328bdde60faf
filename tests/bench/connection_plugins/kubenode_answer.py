# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that answers at once with what a real one has said, whatever is run on it: then all that a run costs is the controller's."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: kubenode_answer
short_description: answers at once
description:
  - Prints the file that E(KUBENODE_ANSWER) names, with the host's name in place of C(@host@).
author: the kubenode.doctor authors
options: {}
extends_documentation_fragment: [connection_pipelining]
"""


class Connection(ConnectionBase):  # type: ignore[misc]
    """Nothing is sent anywhere."""

    transport = "kubenode_answer"
    has_pipelining = True

    def _connect(self) -> Connection:
        self._connected = True
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Answer."""
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        host = str(self._play_context.remote_addr).encode()
        return 0, Path(os.environ["KUBENODE_ANSWER"]).read_bytes().replace(b"@host@", host), b""

    def put_file(self, in_path: str, out_path: str) -> None:
        """With pipelining no file is sent."""
        raise NotImplementedError

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Nor is one fetched."""
        raise NotImplementedError

    def close(self) -> None:
        """There is nothing to end."""
        self._connected = False
