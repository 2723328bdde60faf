#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Installs what debian-packages.txt lists (root on Debian), or names what is missing (everyone else).
set -euo pipefail

PATH=$PATH:/usr/sbin:/sbin
list=$(dirname "$0")/debian-packages.txt

# Prints "command package" for each command that is not there.
missing() {
    local command package _
    while read -r command package _; do
        case $command in '' | '#'*) continue ;; esac
        command -v "$command" >/dev/null || echo "$command $package"
    done <"$list"
}

packages=$(missing | cut -d' ' -f2 | sort -u)
if [ -n "$packages" ] && [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then
    apt-get update -qq
    # shellcheck disable=SC2086  # one word for each package
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $packages >/dev/null
fi
missing | while read -r command package; do
    echo "SKIP: no $command (Debian package $package): the tests that need it are skipped"
done
