# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one HTML file: nothing is loaded, nothing is sent, and text from a node is text.

Jinja2, which ansible-core has, renders ``html/`` with autoescape on; what scripts need is JSON in the page, read with JSON.parse and shown
through textContent. The page's own Content-Security-Policy (https://www.w3.org/TR/CSP3/) allows the one style sheet and the one script by
their digests, and no style attribute: so bars are table cells with one of 101 classes and SVG with sizes as attributes, and not charts.css,
whose sizes are style attributes. Tables that are drawn as charts are read by screen readers as what they are.

What is a row or an article stands in the page, for readers without scripts, up to limits that the page tells; pages of single hosts are made
when they are opened. Reads findings.json and computes nothing.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ansible_collections.kubenode.doctor.plugins.plugin_utils import (
    finding_groups,
    report_html_findings,
    report_html_places,
    report_html_summary,
    report_html_survey,
)
from ansible_collections.kubenode.doctor.plugins.plugin_utils.html_texts import Texts

_FOLDER = Path(__file__).parent / "html"
_BARS = "".join(f".b{size}{{--size:{size}%}}" for size in range(101))


def render(document: dict[str, Any], bundle: str = "") -> str:
    """Render the document of findings.json as a page."""
    texts = Texts()
    groups = finding_groups.groups(document["findings"])
    places = report_html_places.Places(document, groups, texts)
    survey = document["survey"]
    return _template().render(
        summary=report_html_summary.of(document, bundle, groups),
        memory=report_html_findings.memory(document, places),
        fleet=places.fleet(),
        findings=report_html_findings.faults(document, groups, places),
        waivers=report_html_findings.waivers(document["waivers"]),
        unknowns=report_html_findings.unknowns(document, places),
        origins=report_html_findings.origins(document["origins"], places),
        survey=report_html_survey.of(survey, places),
        checks=report_html_findings.checks(document["rules"]),
        island=places.island(),
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Above U+007F nothing but escapes: U+2028 ends a line for some parsers. tojson escapes < > & ' itself.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": True, "separators": (",", ":")}
    script, style = _file("report.js"), _file("report.css") + _BARS
    environment.globals.update(
        style=Markup(style),  # noqa: S704 - files of this collection, and nothing else
        script=Markup(script),  # noqa: S704
        style_digest=_digest(style),
        script_digest=_digest(script),
    )
    return environment.get_template("report.html.j2")


def _file(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
