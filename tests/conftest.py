# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests: KUBENODE_NO_SKIP=1 turns a skip into a failure of the whole session."""

from __future__ import annotations

import os

import pytest


def _forbidden_skips(config: pytest.Config) -> int:
    """How many tests were skipped although none may be; 0 in the workers of xdist, which report to the session."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or os.environ.get("KUBENODE_NO_SKIP") != "1":
        return 0
    return len(reporter.stats.get("skipped", []))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _forbidden_skips(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = _forbidden_skips(terminalreporter.config)
    if skipped:
        terminalreporter.write_line(f"KUBENODE_NO_SKIP=1: {skipped} skipped, which is a failure here", red=True)
