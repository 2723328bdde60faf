# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A document on its way to a real server and to real commands."""

from __future__ import annotations

import json
import os
import select
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ansible_collections.kubenode.doctor.plugins.plugin_utils import delivery
from ansible_collections.kubenode.doctor.plugins.plugin_utils.delivery import DeliveryError, Webhook

DOCUMENT = {"title": '{{ 7 * 7 }} $(id) "\u202e'}
SECRET = "s3cret"  # noqa: S105 - it is none


class Server(HTTPServer):
    """Answers with these statuses, one after the other, and keeps what it got."""

    def __init__(self, *statuses, handler=None):
        super().__init__(("127.0.0.1", 0), handler or Handler)
        self.statuses = list(statuses)
        self.got = []
        self.over = threading.Event()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self.over.set()
        self.shutdown()
        self.server_close()

    @property
    def hook(self):
        return Webhook(f"http://127.0.0.1:{self.server_port}/{SECRET}", {"Authorization": f"Bearer {SECRET}"})


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.headers, json.loads(body)))
        status = self.server.statuses.pop(0)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(b"because \x1b[2K of it")

    do_GET = do_POST  # noqa: N815 - the library wants this name

    def log_message(self, *_arguments):
        """Stay silent."""


@pytest.mark.parametrize(
    ("statuses", "waits"), [((200,), 0), ((204,), 0), ((503, 200), 1), ((429, 500, 200), 2)], ids=str
)
def test_it_arrives_whole(statuses, waits):
    slept = []
    with Server(*statuses) as server:
        delivery.post(server.hook, DOCUMENT, 5, slept.append)
    headers, body = server.got[-1]
    assert body == DOCUMENT
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert len(slept) == waits


def test_what_the_home_folder_knows_of_the_server_is_not_sent(tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login other password s3cret-of-another\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Server(200) as server:
        delivery.post(server.hook, DOCUMENT, 5)
    ((headers, _body),) = server.got
    assert headers["Authorization"] == f"Bearer {SECRET}"


class Slow(Handler):
    """Sends a header that never ends, a byte at a time."""

    def do_POST(self):
        self.send_response(200)
        self.flush_headers()
        for _byte in range(100):
            if self.server.over.wait(0.02):
                break
            self.wfile.write(b"x")


def test_a_server_that_sends_on_and_on_has_no_more_time_than_another():
    with Server(handler=Slow) as server, pytest.raises(DeliveryError) as caught:
        delivery.post(server.hook, DOCUMENT, 0.1, lambda _seconds: None)
    assert str(caught.value) == "the webhook's server has not answered within 0.1 seconds (3 tries)"


@pytest.mark.parametrize("seconds", [0, -1, 3601, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds):
    with pytest.raises(DeliveryError, match=r"^seconds=.*: a number above 0, and at most 3600$"):
        delivery.check_seconds(seconds)


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        ((404,), r"the webhook's server answers with status 404: because \x1b[2K of it"),
        ((302,), "the webhook's server answers with status 302"),
        ((500, 500, 500), r"status 500: because \x1b[2K of it (3 tries)"),
    ],
)
def test_what_the_server_refuses_is_said(statuses, said):
    with Server(*statuses) as server, pytest.raises(DeliveryError) as caught:
        delivery.post(server.hook, DOCUMENT, 5, lambda _seconds: None)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(server.got) == len(statuses)


def test_nobody_is_there():
    with Server() as server:
        hook = server.hook
    with pytest.raises(DeliveryError) as caught:
        delivery.post(hook, DOCUMENT, 5, lambda _seconds: None)
    assert "cannot be reached: Connection refused (3 tries)" in str(caught.value)
    assert SECRET not in str(caught.value)


def webhook_file(folder, text, mode=0o640):
    path = folder / "hook.yml"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("url: https://chat.example.com/x", {}),
        ('{"url": "https://chat.example.com/x", "token": "abc"}', {"Authorization": "Bearer abc"}),
        ("url: https://chat.example.com/x\nheaders: {X-Key: abc}", {"X-Key": "abc"}),
    ],
)
def test_a_webhook_is_read(tmp_path, text, headers):
    hook = delivery.read_webhook(webhook_file(tmp_path, text))
    assert hook.url == "https://chat.example.com/x"
    assert {**hook.headers, **headers} == hook.headers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has to be a mapping"),
        ("- s3cret", "has to be a mapping"),
        ("url: [s3cret", "is no YAML"),
        ("url: !!python/object:s3cret.x {}", "is no YAML"),
        ("token: s3cret", "has to be a mapping of url"),
        ("url: s3cret", "url has to be an address"),
        ("url: file:///etc/s3cret", "url has to be an address"),
        ("url: ftp://s3cret/x", "url has to be an address"),
        ("url: http://s3cret:99999/", "url has to be an address"),
        ("url: 'http://a/s3cret x'", "url has to be an address"),
        ("url: 'http://[s3cret'", "url has to be an address"),
        ("url: 7", "url has to be an address"),
        ('url: http://a/\ntoken: "s3cret\\r\\nX: y"', "header Authorization has to be a text"),
        ("url: http://a/\nheaders: s3cret", "headers has to be a mapping"),
        ("url: http://a/\nheaders: {'a b': s3cret}", "the name of a header is none"),
        ("url: http://a/\nheaders: {a: [s3cret]}", "header a has to be a text"),
        ("url: http://a/\nproxy: s3cret", "has to be a mapping of url"),
    ],
)
def test_a_file_that_describes_none_is_refused_without_telling_what_is_in_it(tmp_path, text, said):
    with pytest.raises(DeliveryError) as caught:
        delivery.read_webhook(webhook_file(tmp_path, text))
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_file_that_everybody_may_read_is_refused(tmp_path):
    with pytest.raises(DeliveryError, match=r"which holds a secret: chmod 640 "):
        delivery.read_webhook(webhook_file(tmp_path, "url: http://a/", 0o644))
    with pytest.raises(DeliveryError, match="cannot be read: No such file"):
        delivery.read_webhook(tmp_path / "none")


def test_a_command_gets_it_on_its_input_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    script = "import sys, os; open(sys.argv[1], 'w').write(repr((sys.argv[2:], sorted(os.environ))) + sys.stdin.read())"
    delivery.run([sys.executable, "-S", "-c", script, str(out), "$(id)"], DOCUMENT, 20)
    said = out.read_text()
    assert said.startswith("(['$(id)'], [")
    assert json.loads(said[said.index("{") :]) == DOCUMENT
    assert "7 * 7" not in said[: said.index("{")]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["/nowhere/none", SECRET], "none cannot be started: No such file or directory"),
        (["sh", "-c", "exec 0<&-; printf 'no\\033[2K'; exit 3", SECRET], r"sh ended with status 3: no\x1b[2K"),
        (["sh", "-c", "kill $$", SECRET], "sh ended with status -15"),
        (["sh", "-c", "yes x | head -c 1000000; exit 1"], "sh ended with status 1: x\\nx"),
    ],
)
def test_a_command_that_fails_is_told_without_its_arguments(command, said):
    with pytest.raises(DeliveryError) as caught:
        delivery.run(command, DOCUMENT, 20)
    assert said in str(caught.value)
    assert SECRET not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(DeliveryError, match=r"^sh has not ended after 0.3 seconds, and was killed: waiting$"):
            delivery.run(["sh", "-c", f"sleep 600 >{pipe} & echo waiting; wait"], DOCUMENT, 0.3)
        # The pipe ends with its last writer.
        ended = select.poll()
        ended.register(reader, select.POLLHUP)
        assert ended.poll(20_000) == [(reader, select.POLLHUP)]
    finally:
        os.close(reader)


def test_a_command_that_is_not_there_is_known_before_an_audit():
    delivery.check_command(["sh"])
    with pytest.raises(DeliveryError, match="no-such-program is no program"):
        delivery.check_command(["no-such-program"])
