# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The forms in which findings are told, each by a writer that reads findings.json and computes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    report_html,
    report_junit,
    report_markdown,
    report_prometheus,
    report_sarif,
    report_text,
)


class Form(NamedTuple):
    """A file of the bundle, and who writes it: ``render(document of findings.json, the bundle's path)`` returns all of its text."""

    file: str
    render: Callable[[dict[str, Any], str], str]


TEXT, PROMETHEUS = "text", "prometheus"
FORMS = {
    TEXT: Form("report.txt", report_text.render),
    "html": Form("report.html", report_html.render),
    "junit": Form("junit.xml", report_junit.render),
    "sarif": Form("report.sarif", report_sarif.render),
    PROMETHEUS: Form("metrics.prom", report_prometheus.render),
    "markdown": Form("ticket.md", report_markdown.render),
}
