#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Builds the collection's tarball of what git keeps: a checkout in use holds an operator's inventory, waivers, keys and audits as well.
set -euo pipefail
cd "$(dirname "$0")/../.."

project=$PWD
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z -- . ':!.collections' | tar -cf - --null -T - | tar -xf - -C "$copy"
cd "$copy"
"$project/.venv/bin/ansible-galaxy" collection build --force --output-path "$project"
