# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a socket has been in SYN-SENT or CLOSE-WAIT, from what the kernel keeps about it.

The kernel keeps no such time. It is computed for SYN-SENT from the retransmissions, and is for CLOSE-WAIT the time since the
other end was last heard: its FIN, or an answer to a later keepalive probe, so "at least".

Fields of struct tcp_info that are read here (include/uapi/linux/tcp.h; the struct grows from kernel to kernel)::

    retransmits u8 @2 | backoff u8 @4 | rto u32 @8 (microseconds) | last_ack_recv u32 @56 (milliseconds)
"""

from __future__ import annotations

import struct
from typing import Optional

_RETRANSMITS = 2
_BACKOFF = 4
_RTO = struct.Struct("=I")
_RTO_AT = 8
_LAST_ACK_RECV_AT = 56
_NEEDED_BYTES = 60
# TCP_TIMEOUT_INIT, include/net/tcp.h: the first SYN is repeated after a second.
_FIRST_RTO_MS = 1000
_LINEAR = 4  # net.ipv4.tcp_syn_linear_timeouts, its default since Linux 6.5
_MOST_DOUBLINGS = 255  # tcpi_backoff is a byte


def from_tcp_info(state: str, info: memoryview, expires_ms: int) -> tuple[Optional[int], Optional[int]]:
    """Return ``(age in ms, retransmissions)``, None for what a state does not have or a short struct does not tell.

    ``expires_ms`` is the time to the next retransmission (inet_diag_msg.expires).
    """
    if len(info) < _NEEDED_BYTES:
        return None, None
    retransmits = info[_RETRANSMITS]
    if state == "close_wait":
        return int(_RTO.unpack_from(info, _LAST_ACK_RECV_AT)[0]), retransmits
    if state != "syn_sent":
        return None, retransmits
    rto_ms = _RTO.unpack_from(info, _RTO_AT)[0] // 1000
    return syn_sent_ms(retransmits, info[_BACKOFF], rto_ms, expires_ms), retransmits


def syn_sent_ms(retransmits: int, backoff: int, rto_ms: int, expires_ms: int) -> int:
    """The age of a SYN-SENT socket, in milliseconds.

    Its retransmission timeout doubled ``backoff`` times, to ``rto_ms``; the other retransmissions came at the first timeout (Linux
    6.5 and newer begin with four of these, net.ipv4.tcp_syn_linear_timeouts). ``expires_ms`` is left of the current one.

    No timeout is longer than TCP_RTO_MAX, 120 s (net.ipv4.tcp_rto_max_ms since Linux 6.15): one that is less than a second doubled
    so often has reached that limit.
    """
    doublings = min(backoff, _MOST_DOUBLINGS)
    first = max(rto_ms >> doublings, min(_FIRST_RTO_MS, rto_ms))
    before = max(retransmits - doublings, 0) * first + sum(min(first << number, rto_ms) for number in range(doublings))
    return before + max(rto_ms - expires_ms, 0)


def backoff_of(retransmits: int, rto_ms: int) -> int:
    """How often the first timeout was doubled to become ``rto_ms``: for /proc/net/tcp, which shows no backoff.

    At least so often where the timeout has reached its limit: then the kernel is taken for one that did not double at first.
    """
    doublings = max(-(-rto_ms // _FIRST_RTO_MS) - 1, 0).bit_length()
    limited = rto_ms != _FIRST_RTO_MS << min(doublings, _MOST_DOUBLINGS)
    return max(doublings, retransmits - _LINEAR) if limited else doublings
