#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Usage: tests/tools/release.sh
# The tarball as Galaxy takes it and as the documentation is built from it: neither galaxy-importer nor antsibull-docs may complain or warn.
# ansible-test and ansible-lint are stages of their own; what is in the tarball, and that it works elsewhere, is installed.sh's.
set -euo pipefail
cd "$(dirname "$0")/../.."

tools=$PWD/.cache/release
tests/tools/venv.sh "$tools" tests/tools/release-requirements.txt
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
galaxy_yml=$PWD/galaxy.yml
dependency=$(echo "$PWD"/.venv/lib/python3*/site-packages/ansible_collections/kubernetes) # it comes with the ansible package
.venv/bin/ansible-galaxy collection build --output-path "$temporary" >/dev/null
tarball=$(echo "$temporary"/kubenode-doctor-*.tar.gz)

cd "$temporary"
unset ANSIBLE_CONFIG ANSIBLE_COLLECTIONS_PATH
export PATH=$tools/bin:$PATH HOME=$temporary NO_COLOR=1

echo "--- galaxy-importer"
cat >importer.cfg <<'END'
[galaxy-importer]
check_required_tags = true
require_v1_or_greater = false
run_ansible_doc = true
run_ansible_lint = false
run_ansible_test = false
END
GALAXY_IMPORTER_CONFIG=$temporary/importer.cfg python -m galaxy_importer.main "$(basename "$tarball")" >importer.log 2>&1 || { cat importer.log && exit 1; }
grep -v '^Loading ' importer.log
if grep -E '^(WARNING|ERROR)' importer.log >/dev/null; then exit 1; fi
grep -q 'completed successfully' importer.log

echo "--- antsibull-docs"
export ANSIBLE_COLLECTIONS_PATH=$temporary
ansible-galaxy collection install --no-deps --offline -p "$temporary" "$tarball" >/dev/null 2>&1
collection=$temporary/ansible_collections/kubenode/doctor
cp "$galaxy_yml" "$collection/" # the linter wants a source tree
cp -R "$dependency" "$temporary/ansible_collections/"
antsibull-docs lint-collection-docs --plugin-docs --check-extra-docs-refs --skip-rstcheck "$collection"
mkdir pages
antsibull-docs collection --use-current --squash-hierarchy --fail-on-error --dest-dir pages kubenode.doctor >pages.log 2>&1 || { cat pages.log && exit 1; }
if grep -E 'WARN|ERROR' pages.log; then exit 1; fi
echo "$(find pages -name '*.rst' | wc -l) pages"

echo "--- ansible-doc"
find "$collection/roles" -mindepth 1 -maxdepth 1 -printf 'kubenode.doctor.%f\n' | sort >roles
xargs ansible-doc --type role --json <roles >roles.json
python -c 'import json; print(*sorted(json.load(open("roles.json"))), sep="\n")' | diff roles -
ansible-doc --type callback kubenode.doctor.fleet >/dev/null
echo "$(wc -l <roles) roles and the callback are documented"
