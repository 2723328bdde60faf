# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prometheus makes of the metrics: promtool and node_exporter read them, the alerts fire when they are to, the dashboard asks for what there is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest
import yaml

from ansible_collections.kubenode.doctor.plugins.plugin_utils import metrics_file, report_prometheus
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils import form_scene

PROMTOOL, EXPORTER = shutil.which("promtool"), shutil.which("prometheus-node-exporter")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="the oracle is promtool (Debian package prometheus)")
needs_exporter = pytest.mark.skipif(EXPORTER is None, reason="who reads the metrics is prometheus-node-exporter")

FILES = PROJECT / "roles" / "scheduled_audit" / "files"
RULES = FILES / "kubenode-doctor.rules.yml"
ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
DASHBOARD = json.loads((FILES / "kubenode-doctor.dashboard.json").read_text())
HOUR = 3600
LABELS = {"instance": "audit-host", "job": "node"}
NEW = "KubenodeDoctorNewCriticalFindings"


def quiet():
    """An audit in which everybody answered and nothing was found."""
    document = form_scene.judged()
    document["findings"], document["waivers"] = [], []
    document["hosts"]["away"]["answered"] = True
    return document


def first_of_quiet():
    document = quiet()
    document["memory"]["why"] = "this is the first audit"
    return document


def promtool(*words, text=None):
    return subprocess.run([PROMTOOL, *map(str, words)], input=text, check=False, capture_output=True, text=True)


@needs_promtool
@pytest.mark.parametrize(
    "text", [None, *(text for text in form_scene.HOSTILE if "evil_metric" in text or "\\" in text or "\x1b" in text)]
)
def test_promtool_accepts_the_metrics(text):
    document = form_scene.judged() if text is None else form_scene.speaking(text)
    done = promtool("check", "metrics", text=report_prometheus.render(document))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_promtool
def test_promtool_refuses_what_is_wrong():
    assert promtool("check", "metrics", text='a{b="c} 1\n').returncode != 0


@needs_promtool
def test_promtool_accepts_the_rules():
    done = promtool("check", "rules", RULES)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"SUCCESS: {len(ALERTS)} rules found" in done.stdout


def series(document, **more):
    """The metrics of an audit that ended when time began, of an audit host, as promtool takes them; for two days."""
    values = {}
    for line in report_prometheus.render(document).splitlines():
        if not line.startswith("#"):
            name, _space, value = line.rpartition(" ")
            values[name] = value
    values = {**values, "kubenode_doctor_audit_finished_timestamp_seconds": 0, **more}
    own = ",".join(f'{key}="{value}"' for key, value in LABELS.items())
    return [
        {"series": _with(name, own), "values": f"{float(value)}x600"}
        for name, value in values.items()
        if value is not None
    ]


def _with(name, labels):
    return f"{name[:-1]},{labels}}}" if name.endswith("}") else f"{name}{{{labels}}}"


def fired(name, value, labels=None):
    """What Alertmanager gets of an alert."""
    rule = ALERTS[name]
    words = {
        "{{ $labels.instance }}": LABELS["instance"],
        "{{ $value }}": value,
        "{{ $value | humanizeDuration }}": value,
    }
    text = json.dumps(rule["annotations"])
    for template, word in words.items():
        text = text.replace(template, word)
    assert "{{" not in text
    return {
        "exp_labels": {**(LABELS if labels is None else labels), **rule["labels"]},
        "exp_annotations": json.loads(text),
    }


def one(name, value, **labels):
    return {name: [fired(name, value, {**LABELS, **labels})]}


def situations():
    """Yield ``(name, series, hour, what fires)``; what is not named must be silent."""
    judged, waived = form_scene.judged(), {"waived": "false"}
    for finding in judged["findings"]:
        finding["broken"] = False
    judged["waivers"] = []
    judged["hosts"]["away"]["answered"] = True
    first = json.loads(json.dumps(judged))
    first["memory"]["why"] = "this is the first audit"
    persisting = json.loads(json.dumps(judged))
    for finding in persisting["findings"]:
        finding["change"] = finding["change"] and "persists"
    critical = one("KubenodeDoctorCriticalFindings", "1", **waived)
    expired = quiet()
    expired["waivers"] = form_scene.judged()["waivers"]
    silent = quiet()
    silent["hosts"]["away"]["answered"] = False
    failed = one("KubenodeDoctorAuditFailed", "0")
    yield "all is well", series(quiet()), 29, {}
    yield "a first audit without findings", series(first_of_quiet()), 2, {}
    yield "no audit for 31 hours", series(quiet()), 31, one("KubenodeDoctorAuditStale", "1d 7h 0m 0s")
    yield "a new critical finding", series(judged), 2, {**one(NEW, "1"), **critical}
    yield "a critical finding of a first audit", series(first), 2, {**one(NEW, "1", **waived), **critical}
    yield "one that persists", series(persisting), 2, critical
    yield "a waiver has expired", series(expired), 2, one("KubenodeDoctorWaiversExpired", "1", state="expired")
    yield "a host is silent", series(silent), 2, one("KubenodeDoctorHostsSilent", "1", state="silent")
    yield (
        "nobody answered",
        series(form_scene.nobody()),
        2,
        {**failed, **one("KubenodeDoctorHostsSilent", "2", state="silent")},
    )
    yield "the run ended before its end", series(quiet(), kubenode_doctor_scheduled_run_success=0), 2, failed
    yield "a run without fault", series(quiet(), kubenode_doctor_scheduled_run_success=1), 2, {}
    yield "nothing at all", [], 2, {"KubenodeDoctorAuditAbsent": [fired("KubenodeDoctorAuditAbsent", "1", {})]}


@needs_promtool
def test_alerts_fire_when_they_are_to_and_only_then(tmp_path):
    tests, all_fired = [], set()
    for name, given, hour, expected in situations():
        all_fired.update(expected)
        told = [
            {"eval_time": f"{hour}h", "alertname": alert, "exp_alerts": expected.get(alert, [])} for alert in ALERTS
        ]
        tests.append({"name": name, "interval": "5m", "input_series": given, "alert_rule_test": told})
    assert all_fired == set(ALERTS)
    document = {"rule_files": [str(RULES)], "evaluation_interval": "5m", "tests": tests}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(document))
    done = promtool("test", "rules", tmp_path / "test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def asked(dashboard):
    """All queries of a dashboard."""
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return found + [entry["expr"] for entry in dashboard["annotations"]["list"] if "expr" in entry]


@needs_promtool
def test_promtool_accepts_the_queries_of_the_dashboard(tmp_path):
    queries = [query.replace("$instance", ".*") for query in asked(DASHBOARD)]
    assert len(queries) > 10
    rules = [{"record": f"kubenode:query{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", tmp_path / "rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def metric_names(text):
    return set(re.findall(r"\bkubenode_doctor_\w+", text))


def test_alerts_and_dashboard_ask_for_what_is_written():
    written = metric_names(report_prometheus.render(form_scene.judged()))
    templates = "".join(path.read_text() for path in (PROJECT / "roles" / "scheduled_audit" / "templates").iterdir())
    expressions = [rule["expr"] for rule in ALERTS.values()] + asked(DASHBOARD)
    wanted = metric_names("\n".join(expressions))
    assert len(wanted) > 10
    assert wanted <= written | metric_names(templates)
    variables = metric_names(json.dumps(DASHBOARD["templating"]))
    assert variables <= written


def test_the_panels_of_the_dashboard_lie_beside_each_other():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    places = [
        (x, y)
        for box in (panel["gridPos"] for panel in panels)
        for x in range(box["x"], box["x"] + box["w"])
        for y in range(box["y"], box["y"] + box["h"])
    ]
    assert len(set(places)) == len(places)
    assert max(x for x, _y in places) < 24  # Grafana's grid
    assert all(panel["description"] and panel["datasource"]["uid"] == "${datasource}" for panel in panels)


@pytest.fixture
def folder():
    """A folder that other users may look into, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="kubenode-doctor-metrics-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@needs_exporter
def test_node_exporter_hands_the_metrics_on(folder):
    """As another user, whom a bundle's files are closed to."""
    text = report_prometheus.render(form_scene.speaking('x"} 1\nevil_metric 1'))
    metrics_file.write(folder / "kubenode_doctor.prom", text)
    command = [EXPORTER, "--collector.disable-defaults", "--collector.textfile", "--web.disable-exporter-metrics"]
    command += [f"--collector.textfile.directory={folder}", "--web.listen-address=127.0.0.1:0"]
    other = {"user": "nobody"} if os.geteuid() == 0 else {}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd="/", **other) as exporter:
        try:
            said = iter(exporter.stderr.readline, "")
            port = next(
                found[1] for found in (re.search(r"address=127\.0\.0\.1:(\d+)", line) for line in said) if found
            )
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                handed = answer.read().decode()
        finally:
            exporter.kill()
    assert "node_textfile_scrape_error 0" in handed
    lines = set(handed.splitlines())
    for line in text.splitlines():
        if "timestamp" not in line and not line.startswith("#"):  # large numbers are written another way
            name, _space, value = line.rpartition(" ")
            assert sum(_same(other, name, value) for other in lines) == 1, line


def _same(line, name, value):
    """Whether a line is this sample; the order of labels is another one there."""
    other, _space, number = line.rpartition(" ")
    labels = re.compile(r'\w+="(?:[^"\\]|\\.)*"')
    return (
        other.partition("{")[0] == name.partition("{")[0]
        and sorted(labels.findall(other)) == sorted(labels.findall(name))
        and float(number) == float(value)
    )
