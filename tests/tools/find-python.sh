#!/usr/bin/env bash
# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Usage: tests/tools/find-python.sh VERSION...     (3.11 and the like)
# Prints the first interpreter of the first of these versions that works and can make virtual environments; fails when there is none.
# A version manager keeps interpreters off the PATH, behind shims that answer for one chosen version only: so its own folder counts too.
set -euo pipefail

for version in "$@"; do
    for candidate in "python$version" "/usr/bin/python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/"python$version"; do
        if "$candidate" -c 'import venv, ensurepip' 2>/dev/null; then
            echo "$candidate"
            exit 0
        fi
    done
done
exit 1
