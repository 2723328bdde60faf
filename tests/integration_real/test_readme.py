# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's example is what a run really prints."""

from __future__ import annotations

import shutil

import pytest

from ansible_collections.kubenode.doctor.tests.integration_real.fresh_netns import needs_root
from ansible_collections.kubenode.doctor.tests.tools import readme_demo


@needs_root
@pytest.mark.skipif(not shutil.which("iptables"), reason="kube-proxy's rules need iptables")
def test_example_is_a_real_run():
    assert not readme_demo.differences(readme_demo.report())
