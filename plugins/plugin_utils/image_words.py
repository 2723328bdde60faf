# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two names under which one image is known are those of two programs, told by the words in them.

user-10-ui               user-10-post                   two programs
quay.io/team/ui          mirror.local/team-ui           one: a mirror that writes folders into the name
rancher/mirrored-coredns-coredns    coredns/coredns     one
ui-dev                   ui-prod                        one: promoted from one repository to the next
"""

from __future__ import annotations

import re

from ansible_collections.kubenode.doctor.plugins.plugin_utils import image_names

_SEPARATORS = re.compile(r"[-_.:/]+")
# What tells where, for what, how and in which version a program was built, and not which one it is.
_NO_PROGRAM = re.compile(
    "v?[0-9]+|"
    "dev|devel|develop|development|tests?|testing|tst|qa|uat|int|integration|stage|staging|stg|preprod|pre|prod|production|prd|live|"
    "canary|alpha|beta|rc|releases?|snapshot|nightly|stable|latest|main|master|"
    "mirrors?|mirrored|cache|cached|copy|fork|internal|external|public|private|"
    "amd64|arm|arm64|ppc64le|s390x|riscv64|linux|alpine|debian|slim|distroless|debug"
)


def is_other_program(one: str, other: str) -> bool:
    """Whether the last part of each name has a word that tells a program, and that the other name has nowhere; False for what is no name."""
    names = image_names.parse(one), image_names.parse(other)
    if names[0] is None or names[1] is None:
        return False
    own = [_words(name.repository.rpartition("/")[2]) for name in names if name]
    whole = [_words(f"{name.registry or ''}/{name.repository}") for name in names if name]
    return bool(own[0] - whole[1] and own[1] - whole[0])


def _words(text: str) -> set[str]:
    return {word for word in _SEPARATORS.split(text) if word and not _NO_PROGRAM.fullmatch(word)}
