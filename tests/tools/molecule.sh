#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Usage: tests/tools/molecule.sh [ARGUMENTS OF molecule]     (test --all when there are none)
# Runs molecule from this checkout. Where no Docker daemon answers, root gets one of this run's own, in namespaces that end with it.
set -euo pipefail
cd "$(dirname "$0")/../.."

project=$PWD
export PATH=$project/.venv/bin:$PATH:/usr/sbin:/sbin
export PWD
# The scenarios lie where the collection's design wants them, and not in extensions/.
export MOLECULE_GLOB="molecule/*/molecule.yml"
# All scenarios have one state, and molecule warns when their files are not of one time.
touch -r molecule/default/molecule.yml molecule/*/molecule.yml
[ $# -gt 0 ] || set -- test --all

# own_docker FOLDER COMMAND...: runs the command with a daemon of its own. Process 1 of the new namespaces, so all ends with it.
own_docker() {
    local folder=$1 tries
    shift
    ip link set lo up
    # dockerd would take the containerd of the machine, which knows nothing of these namespaces.
    if [ -e /run/containerd ]; then mount -t tmpfs none /run/containerd; fi
    # A Unix socket's address has 107 bytes at most, so the folder has to be a short one.
    # kubelet's cgroups are below the daemon's own too, so that they go with it.
    export DOCKER_HOST=unix://$folder/socket KUBENODE_MOLECULE_CGROUP=/${folder##*/}
    dockerd --host "$DOCKER_HOST" --pidfile "$folder/pid" --data-root "$folder/data" --exec-root "$folder/exec" \
        --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/${folder##*/}" --bip 192.0.2.1/24 \
        --iptables=false --ip-forward=false --userland-proxy=false >"$folder/log" 2>&1 </dev/null &
    for ((tries = 600; tries > 0; tries--)); do
        if docker version >/dev/null 2>&1; then break; fi
        kill -0 $! 2>/dev/null || { tail -n 50 "$folder/log" >&2; return 1; }
        sleep 0.1
    done
    "$@"
}

if [ "$1" = --own-docker ]; then
    own_docker "${@:2}"
    exit
fi

# without_warnings COMMAND...: runs the command; what Ansible warns of is a failure too.
without_warnings() {
    local log status=0
    log=$(mktemp)
    "$@" 2>&1 | tee "$log" || status=$?
    if grep -E '\[(DEPRECATION )?WARNING\]' "$log" >&2; then status=1; fi
    rm "$log"
    return "$status"
}

if docker version >/dev/null 2>&1; then
    status=0
    without_warnings molecule "$@" || status=$?
    exit "$status"
fi
if [ "$(id -u)" != 0 ] || ! command -v dockerd >/dev/null; then
    echo "SKIP: no Docker daemon answers, and only root with dockerd (Debian package docker.io) can have one started here"
    exit 0
fi

# Inside there is no way out to a mirror of Debian.
python tests/support/molecule_image.py >/dev/null
folder=$(mktemp -d /tmp/kd-molecule-XXXXXX)
status=0
export MOLECULE_EPHEMERAL_DIRECTORY=$folder/state
without_warnings setpriv --pdeathsig KILL unshare --net --mount --pid --mount-proc --fork --kill-child=SIGKILL \
    "$0" --own-docker "$folder" molecule "$@" || status=$?
find /sys/fs/cgroup -depth -type d -path "*/${folder##*/}*" -exec rmdir {} + 2>/dev/null || true
rm -rf "$folder"
exit $status
