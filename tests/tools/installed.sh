#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Usage: tests/tools/installed.sh CORE:PYTHON...     (2.16:3.11 and the like, the newest last)
# The collection as its users get it: built, checked for what is in it, installed elsewhere, then documented and run from there with each of
# these versions of ansible-core. Whatever Ansible warns of is a failure, and so is a newest version that is not the newest there is.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$PWD/.cache/installed
rm -rf "$work"
mkdir -p "$work"

echo "--- tarball"
.venv/bin/ansible-galaxy collection build --output-path "$work"
tarball=$(echo "$work"/kubenode-doctor-*.tar.gz)
# What git has, less what galaxy.yml's build_ignore is meant to leave out, plus the two files that describe the tarball.
tests/tools/files.sh | tr '\0' '\n' |
    grep -vE '^(\.|tests/|inventory/|molecule/|changelogs/fragments/|Makefile$|ansible\.cfg$|execution-environment\.yml$|galaxy\.yml$|pyproject\.toml$|requirements)' |
    cat - <(printf '%s\n' FILES.json MANIFEST.json) | sort >"$work/expected"
tar -tzf "$tarball" | grep -v '/$' | sort >"$work/packed"
diff "$work/expected" "$work/packed"
echo "$(wc -l <"$work/packed") files, as expected"

# Forced, since the symlink in .collections counts as installed. The one dependency comes with the ansible package: Galaxy is not asked.
.venv/bin/ansible-galaxy collection install --force --no-deps --offline -p "$work" "$tarball" 2>/dev/null
cp -R .venv/lib/python3*/site-packages/ansible_collections/kubernetes "$work/ansible_collections/"
find plugins/modules -name '*.py' -printf 'kubenode.doctor.%f\n' | sed 's/\.py$//' | sort >"$work/modules"

# Fails when there is a newer ansible-core for this Python than the one that is in its environment.
is_newest() {
    local newest
    newest=$("$1/bin/pip" --disable-pip-version-check index versions ansible-core 2>/dev/null | sed -n '1s/.*(\(.*\))$/\1/p')
    if [ -z "$newest" ]; then
        echo "The registry did not say which ansible-core is the newest: nothing is compared"
    elif [ "${newest%.*}" != "$2" ]; then
        echo "ansible-core $newest is there: try it in place of $2 (.ci/run, docs/callback.md)" >&2
        return 1
    fi
}

# Fails when it wants other Pythons on nodes than README.md says.
wants_what_is_said() {
    local oldest
    oldest=$("$1/bin/python" -c 'from ansible_test._util.target.common import constants; print(constants.REMOTE_ONLY_PYTHON_VERSIONS[0])')
    if ! grep -qF "($oldest with ansible-core " README.md; then
        echo "ansible-core $2 wants Python $oldest on nodes: README.md says otherwise" >&2
        return 1
    fi
}

# Fails when Ansible has printed a warning.
no_warning() {
    if grep -E '\[(DEPRECATION )?WARNING\]' "$@"; then return 1; fi
}

# try_with CORE PYTHON
try_with() {
    local venv=$work/core-$1
    echo "--- ansible-core $1 on Python $2"
    "$(tests/tools/find-python.sh "$2")" -m venv "$venv"
    "$venv/bin/pip" install -qq --disable-pip-version-check "ansible-core==$1.*" "kubernetes>=31"
    mkdir "$venv/elsewhere"
    cd "$venv/elsewhere"
    "$venv/bin/ansible" --version | sed -n 1p
    # ansible-doc only warns of a module that it cannot find.
    xargs "$venv/bin/ansible-doc" --json <"$work/modules" >docs.json 2>errors || { cat errors >&2 && return 1; }
    no_warning errors
    "$venv/bin/python" -c 'import json; print(*sorted(json.load(open("docs.json"))), sep="\n")' | diff "$work/modules" -
    "$venv/bin/ansible-doc" -t callback kubenode.doctor.fleet >/dev/null
    ANSIBLE_STDOUT_CALLBACK=kubenode.doctor.fleet "$venv/bin/ansible-playbook" kubenode.doctor.diagnose -i one,two, \
        -e ansible_connection=local -e '{"ansible_python_interpreter": "{{ ansible_playbook_python }}"}' 2>&1 | tee output
    grep 'exit status  0: no host failed' output
    no_warning output
    # What a callback does wrong is a warning only.
    if grep -E 'Callback dispatch|callback plugin' output; then return 1; fi
    ls -l audits/*/findings.json audits/*/report.html
}

unset ANSIBLE_CONFIG
export ANSIBLE_COLLECTIONS_PATH=$work ANSIBLE_DEPRECATION_WARNINGS=True
for pair in "$@"; do
    (try_with "${pair%:*}" "${pair#*:}")
done
wants_what_is_said "$work/core-${pair%:*}" "${pair%:*}"
is_newest "$work/core-${pair%:*}" "${pair%:*}"
