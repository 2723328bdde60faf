#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Unit tests on every supported Python that is here. What a language adds the oldest lacks, and what it takes away the newest lacks: these
# two run all tests of the node's code, and those between run the modules only, which tests/integration_real/test_old_nodes.py does for real
# on each. The controller's code is run by the Python of this checkout and by the newest. pytest alone runs the tests, in half the time that
# ansible-test needs, which gives each test a process of its own; on the oldest Python that runs those of the modules, so that it is known to
# accept this collection's tests.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

path=$(tests/tools/pythons.sh) || exit
IFS=: read -ra directories <<<"$path"
versions=()
for directory in "${directories[@]}"; do
    versions+=("$(basename "$(dirname "$directory")")")
done
own=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# As on a node: Ansible's own code, and none of the libraries of its environment.
library=$(mktemp -d)
trap 'rm -rf "$library"' EXIT
ln -s "$(echo "$PWD"/.venv/lib/python3*/site-packages/ansible)" "$library/ansible"

# What Python warns of fails a test, but for this: pytest's workers have a thread of pytest's own, from which a module that forks knows nothing.
warnings=(-W error -W 'ignore:This process:DeprecationWarning')

status=0
for number in "${!versions[@]}"; do
    version=${versions[number]}
    folders=(tests/unit/plugins/modules)
    if [ "$version" = "${versions[-1]}" ]; then
        folders=(tests/unit)
    else
        [ "$number" != 0 ] || folders+=(tests/unit/plugins/module_utils)
        [ "$version" != "$own" ] || folders+=(tests/unit/plugins/{action,callback,plugin_utils})
    fi
    if [ "$number" = 0 ]; then
        tests/tools/ansible-test.sh units --python "$version" tests/unit/plugins/modules/ || status=1
    fi
    printf '\nUnit tests with Python %s: %s\n' "$version" "${folders[*]}"
    PYTHONPATH=$PWD/.collections:$library "${directories[number]}/python" -B -m pytest -q -n 2 -p no:cacheprovider "${warnings[@]}" \
        "${folders[@]}" || status=1
done
exit $status
