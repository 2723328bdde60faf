#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Usage: tests/tools/venv.sh DIRECTORY REQUIREMENTS_FILE
# Makes a virtual environment with the first usable Python and installs the requirements into it; nothing else on the system changes,
# except that root on Debian gets Python's own venv package when it is not there.
set -euo pipefail

directory=$1
requirements=$2

# Those that ansible 12 and the tools of its tests are made for; the last ones are better than none.
find_python() {
    "$(dirname "$0")/find-python.sh" 3.11 3.12 3.13 3.14
}

if ! python=$(find_python); then
    if [ "$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then
        echo "No Python 3.11 or newer with the venv module: installing Debian's python3-venv"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends python3-venv >/dev/null
    fi
    if ! python=$(find_python); then
        echo "Missing: Python 3.11 or newer with its venv and ensurepip modules." >&2
        echo "Debian 12 or newer, Ubuntu 24.04 or newer: apt-get install python3-venv. Fedora: dnf install python3.12." >&2
        echo "RHEL 9 and its relatives: dnf install python3.12. macOS: brew install python@3.12." >&2
        exit 1
    fi
fi

if ! "$directory/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$directory"
    "$python" -m venv "$directory"
fi
echo "Installing $requirements into $directory (the first time takes a minute or two)"
"$directory/bin/python" -m pip install -qq --disable-pip-version-check -r "$requirements"
