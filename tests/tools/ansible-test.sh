#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Usage: tests/tools/ansible-test.sh sanity|units [ansible-test's own arguments]
# ansible-test works only below a folder named ansible_collections, resolves symlinks, and asks git when a folder above belongs to a
# repository. So it runs in a copy, outside of the checkout, of what git would commit.
set -euo pipefail
cd "$(dirname "$0")/../.."

command=$1
shift
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
collections=$temporary/ansible_collections
copy=$collections/kubenode/doctor
mkdir -p "$copy" "$collections/kubernetes"

tests/tools/files.sh | tar -cf - --null -T - | tar -xf - -C "$copy"

# The one collection that this one depends on comes with the ansible package.
cp -R .venv/lib/python3*/site-packages/ansible_collections/kubernetes/core "$collections/kubernetes/core"

# For sanity, ansible-test downloads a pip of its own from a server that is often unreachable; the standard library has one too.
# The name holds the version that ansible-test of ansible-core 2.19 asks for.
get_pip=$HOME/.ansible/test/cache/get_pip_24_2.py
if [ ! -e "$get_pip" ]; then
    mkdir -p "$(dirname "$get_pip")"
    cp tests/tools/get_pip.py "$get_pip"
    trap 'rm -rf "$temporary" "$get_pip"' EXIT
fi

path=$(tests/tools/pythons.sh)
venv=$PWD/.venv/bin
cd "$copy"
export PATH=$venv:$path:$PATH
if [ "$command" != sanity ] || [ $# -gt 0 ]; then
    ansible-test "$command" --color no "$@"
    exit
fi
# All of sanity takes minutes of one CPU, half of them for importing everything with every Python: that half runs beside the other.
status=0
ansible-test sanity --color no --test import --test compile >"$temporary/imports" 2>&1 &
imports=$!
ansible-test sanity --color no --skip-test import --skip-test compile || status=$?
wait "$imports" || status=$?
cat "$temporary/imports"
exit "$status"
