# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks for the pods of a private node: a CNI plugin of the tests' own, which is a shell script.

Each pod gets an interface eth0, an address of each family (10.244.S.N and fd00:10:244:S::N, where S is its node's ``subnet``), and a
way to the node and to the node's other pods through the bridge cni0, as with CNI's plugin "bridge". containerd calls the plugin itself,
and another one for the interface lo; for Docker ``attach`` calls it as cri-dockerd does.
"""

from __future__ import annotations

import ipaddress

from ansible_collections.kubenode.doctor.tests.support.private_node import PrivateNode

PLUGINS = "/run/cni/bin"
CONFIGURATION = "/etc/cni/net.d"
_ADDRESSES = "/run/cni/addresses"  # a folder a number, and in it the sandbox that has it
_NEXT = "/run/cni/next"  # the number from which on a free one is taken
_LIST = '{"cniVersion": "0.4.0", "name": "pods", "plugins": [{"type": "kd-bridge"}]}\n'
# CNI specification 0.4.0: ADD, DEL, CHECK, VERSION by environment, the result on standard output. A number is taken by making its folder.
# The node's own address in its subnet is that of the bridge.
_PLUGIN = f"""#!/bin/sh
set -eu
four=10.244.SUBNET six=fd00:10:244:SUBNET:
bridge() {{
    ip link show cni0 >/dev/null 2>&1 && return
    ip link add name cni0 type bridge
    ip addr add $four.1/24 dev cni0
    ip -6 addr add $six:1/64 dev cni0 nodad
    ip link set cni0 up
}}
add() {{
    bridge
    number=$(cat {_NEXT})
    while ! mkdir {_ADDRESSES}/$number 2>/dev/null; do number=$((number + 1)); done
    ip link add name pod$number type veth peer name peer$number
    ip link set pod$number up master cni0
    ip link set peer$number netns "$CNI_NETNS"
    nsenter --net="$CNI_NETNS" sh -eu -c '
        echo 0 >/proc/sys/net/ipv6/conf/all/disable_ipv6  # Docker sets it
        ip link set lo up
        ip link set "$2" name "$1"
        ip addr add $3.$5/24 dev "$1"
        ip -6 addr add $4:$5/64 dev "$1" nodad
        ip link set "$1" up
        ip route add default via $3.1
    ' sh "$CNI_IFNAME" peer$number $four $six $number
    echo "$CNI_CONTAINERID" >{_ADDRESSES}/$number/sandbox
    printf '{{"cniVersion": "0.4.0", "ips": [{{"version": "4", "address": "%s/24"}}, ' $four.$number
    printf '{{"version": "6", "address": "%s/64"}}]}}' $six:$number
}}
case $CNI_COMMAND:$0 in
VERSION:*) echo '{{"cniVersion": "0.4.0", "supportedVersions": ["0.3.1", "0.4.0"]}}' ;;
ADD:*/loopback) nsenter --net="$CNI_NETNS" ip link set lo up && echo '{{"cniVersion": "0.4.0"}}' ;;
ADD:*) add ;;
esac
"""


def install(node: PrivateNode) -> None:
    """Write the plugin and its configuration; the bridge is made for the first pod."""
    for name in ("kd-bridge", "loopback"):
        node.write(f"{PLUGINS}/{name}", _PLUGIN.replace("SUBNET", str(node.subnet)))
        node.path(f"{PLUGINS}/{name}").chmod(0o755)
    node.write(f"{CONFIGURATION}/10-pods.conflist", _LIST)
    node.path(_ADDRESSES).mkdir(parents=True)
    node.write(_NEXT, "2")


def give_next(node: PrivateNode, address: str) -> None:
    """Let the next pod have this IPv4 address, which nobody has yet."""
    subnet, _dot, number = address.rpartition(".")
    assert subnet == f"10.244.{node.subnet}", address
    node.write(_NEXT, number)


def attach(node: PrivateNode, sandbox: str, pid: int) -> None:
    """Give the network namespace of a process its interface; ``pid`` as the node counts."""
    settings = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": sandbox,
        "CNI_NETNS": f"/proc/{pid}/ns/net",
        "CNI_IFNAME": "eth0",
    }
    node.run("env", *(f"{name}={value}" for name, value in settings.items()), f"{PLUGINS}/kd-bridge")


def addresses(node: PrivateNode, sandbox: str) -> tuple[str, str]:
    """The IPv4 and the IPv6 address of a sandbox."""
    for folder in node.path(_ADDRESSES).iterdir():
        if (folder / "sandbox").read_text("ascii").strip() == sandbox:
            six = ipaddress.ip_address(f"fd00:10:244:{node.subnet}::{folder.name}")
            return f"10.244.{node.subnet}.{folder.name}", str(six)
    raise LookupError(sandbox)
