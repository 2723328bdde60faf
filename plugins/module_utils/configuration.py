# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One setting that decides a port: what it is, where it is set, and the address and port that it comes to."""

from __future__ import annotations

import re
from typing import Any, Dict, NamedTuple, Optional

from ansible_collections.kubenode.doctor.plugins.module_utils import toml_lines

Values = Dict[toml_lines.Path, toml_lines.Value]

LONGEST_VALUE = 100  # of what a file or a flag holds; a host name has 253, but none of these is told one
# Go's net.Listen takes the name of a service too; nobody writes that into these settings, and it is told as a gap.
_PORT = re.compile(r"(?:0|[1-9][0-9]{0,4})\Z")  # with a 0 in front it is octal to some and decimal to others
_HIGHEST_PORT = 65535


class Edit(NamedTuple):
    """Where a port is to be set: a file and the section's header in it; both None for a command line.

    ``new`` is True for a file that is not there yet.
    """

    file: Optional[str] = None
    section: Optional[str] = None
    new: bool = False


class Setting(NamedTuple):
    """What is set: the port and address as text, None where nothing is, and the file that sets the port."""

    port: Optional[str] = None
    address: Optional[str] = None
    file: Optional[str] = None
    edit: Edit = Edit()

    def overridden(
        self, values: Values, section: toml_lines.Path, port_key: str, address_key: str, file: str
    ) -> Setting:
        """This setting as a further file changes it."""
        port, address = (scalar(values.get((*section, key))) for key in (port_key, address_key))
        return Setting(
            self.port if port is None else port,
            self.address if address is None else address,
            self.file if port is None else file,
            self.edit if port is None and address is None else self.edit._replace(file=file, new=False),
        )


class Configuration(NamedTuple):
    """``value`` is what is set, None when nothing is and ``default`` holds; ``file`` None for a flag too.

    ``address`` is "" where the program chooses it. ``port`` is None when it is drawn at random at every start.
    ``fixed_in_code`` says why there is nothing to set. ``modified`` is when the file was last changed, see listen_settings.
    """

    program: str
    kind: str
    key: Optional[str]
    value: Optional[str]
    default: str
    file: Optional[str]
    address: str
    port: Optional[int]
    edit: Optional[Edit]
    fixed_in_code: str = ""
    modified: Optional[str] = None

    def told(self) -> dict[str, Any]:
        """As JSON."""
        return {**self._asdict(), "edit": self.edit and self.edit._asdict()}


def port_number(text: str) -> int:
    """A port as daemons write it, 0 for one that is drawn; an empty text draws one too. Raises ValueError."""
    text = text.strip()
    if not text:
        return 0
    found = _PORT.match(text)
    if not found or int(found[0]) > _HIGHEST_PORT:
        raise ValueError("it is no port number")
    return int(found[0])


def host_and_port(text: str) -> tuple[str, int]:
    """Go's "127.0.0.1:1338", ":0" or "[::1]:1338"; no host means all addresses. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError("it is no address with a port")
    return host.strip("[]") or "0.0.0.0", port_number(port)  # noqa: S104 # an address that is told, not listened on


def scalar(value: Optional[toml_lines.Value]) -> Optional[str]:
    """A value that is no list, cut."""
    return value[:LONGEST_VALUE] if isinstance(value, str) else None
