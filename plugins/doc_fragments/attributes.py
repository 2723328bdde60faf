# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attributes that every module documents in the same words."""

from __future__ import annotations


class ModuleDocFragment:
    """Use O(extends_documentation_fragment) with V(kubenode.doctor.attributes) in a module that leaves nodes and clusters alone."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
    details:
      - This module changes nothing on a node or in a cluster, so check mode makes no difference.
  diff_mode:
    description: Will return details on what has changed, or needs changing in C(check_mode), when in diff mode.
    support: N/A
    details:
      - This module changes nothing on a node or in a cluster.
  action_group:
    description: Use C(group/kubenode.doctor.all) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - kubenode.doctor.all
"""
