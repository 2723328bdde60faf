# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who can reach a listener, told by the address that it is bound to."""

from __future__ import annotations

import ipaddress

LOOPBACK, ADDRESS, EVERYWHERE = "loopback", "address", "everywhere"


def of(address: str) -> str:
    """LOOPBACK: programs of this machine; ADDRESS: whoever reaches this one address; EVERYWHERE: any address of the machine.

    An IPv4 address mapped to IPv6 counts as the IPv4 one. What is no address is ADDRESS: nothing says that it is less.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ADDRESS
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    if plain.is_loopback:
        return LOOPBACK
    return EVERYWHERE if plain.is_unspecified else ADDRESS
