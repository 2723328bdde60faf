#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes .cache/python/VERSION, an environment with tests/unit/requirements.txt, for each Python that a node may have, and prints their
# bin directories, joined as in PATH. A version that this machine does not have is named on standard error.
set -euo pipefail
cd "$(dirname "$0")/../.."

# What ansible-core 2.19 supports on its targets, oldest first: Python on the node, not on the controller.
versions="3.8 3.9 3.10 3.11 3.12 3.13"
requirements=tests/unit/requirements.txt

path=
for version in $versions; do
    directory=$PWD/.cache/python/$version
    if ! cmp -s "$requirements" "$directory/requirements.txt"; then
        if ! python=$(tests/tools/find-python.sh "$version"); then
            echo "SKIP: no working python$version with venv on this machine: nothing is tested on it" >&2
            continue
        fi
        rm -rf "$directory"
        "$python" -m venv "$directory" >&2
        "$directory/bin/python" -m pip install -qq --disable-pip-version-check -r "$requirements" >&2
        cp "$requirements" "$directory/requirements.txt"
    fi
    path=$path:$directory/bin
done
echo "${path#:}"
