# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands a JSON document to a webhook or to a command. Raises DeliveryError with a reason that holds no address, no token and no argument.

A webhook is described by a file, so that its address, which often is the secret itself, is no Ansible variable and in nobody's output:
``{url, token, headers}``. A command gets the document on its standard input; nothing of it is an argument or in the environment.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import yaml
from ansible.module_utils.urls import ConnectionError as UrlsError
from ansible.module_utils.urls import open_url

from ansible_collections.kubenode.doctor.plugins.module_utils.version import VERSION
from ansible_collections.kubenode.doctor.plugins.plugin_utils.plain_text import clean

TRIES = 3
MOST_SECONDS = 3600.0  # a command may wait for somebody; an audit host ends an audit after an hour
PAUSE = 5.0  # seconds between them: a restart of what is behind a load balancer takes about as long
_TOO_MANY, _SERVER = 429, 500  # what may pass by itself (RFC 6585, 4; RFC 9110, 15.6)
_ERROR_BYTES = 400  # of what a command or a server said
_FILE_BYTES = 1 << 16
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_OTHERS = 0o007


class DeliveryError(Exception):
    """It did not arrive."""


class Webhook(NamedTuple):
    """Where to, and with which headers."""

    url: str
    headers: Mapping[str, str]


def read_webhook(path: Path) -> Webhook:
    """The webhook that a file describes. Raises DeliveryError, which tells nothing of what is in it but names of keys."""
    try:
        with path.open("rb") as file:
            others = os.fstat(file.fileno()).st_mode & _OTHERS
            raw = file.read(_FILE_BYTES)
    except OSError as error:
        raise DeliveryError(f"{path} cannot be read: {error.strerror}") from error
    if others:
        raise DeliveryError(
            f"everybody on this machine may read or write {path}, which holds a secret: chmod 640 {path}"
        )
    try:
        about = yaml.safe_load(raw)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # The error would quote the line.
        raise DeliveryError(f"{path} is no YAML and no JSON") from error
    if not isinstance(about, dict) or set(about) - {"url", "token", "headers"} or "url" not in about:
        raise DeliveryError(f"{path} has to be a mapping of url and, where they are needed, token and headers")
    return Webhook(_url(path, about["url"]), _headers(path, about.get("token"), about.get("headers") or {}))


def _url(path: Path, url: Any) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (AttributeError, TypeError, ValueError):
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise DeliveryError(f"{path}: url has to be an address such as https://chat.example.com/hooks/1")
    return str(url)


def _headers(path: Path, token: Any, headers: Any) -> dict[str, str]:
    if not isinstance(headers, dict):
        raise DeliveryError(f"{path}: headers has to be a mapping of names to texts")
    wanted = {**headers, **({} if token is None else {"Authorization": f"Bearer {token}"})}
    for name, text in wanted.items():
        if not isinstance(name, str) or not _HEADER.fullmatch(name):
            raise DeliveryError(f"{path}: the name of a header is none")
        if not isinstance(text, str) or not text.isascii() or not text.isprintable():
            raise DeliveryError(f"{path}: header {name} has to be a text of printable ASCII characters")
    return {**wanted, "Content-Type": "application/json", "Accept": "*/*"}


def post(
    webhook: Webhook, document: Mapping[str, Any], seconds: float, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Send it, several times where the reason may pass. Raises DeliveryError."""
    body = json.dumps(document, ensure_ascii=True).encode("ascii")
    for number in range(1, TRIES + 1):
        try:
            _in_time(webhook, body, seconds)
            return
        except _ForNowError as error:
            if number == TRIES:
                raise DeliveryError(f"{error} ({TRIES} tries)") from None
            sleep(PAUSE)


class _ForNowError(DeliveryError):
    """Another try may do."""


def _in_time(webhook: Webhook, body: bytes, seconds: float) -> None:
    """One try. A thread makes it, which can be left behind: the time-out of a socket starts anew with each byte that arrives."""
    outcome: list[Exception | None] = []

    def work() -> None:
        try:
            _post(webhook, body, seconds)
            outcome.append(None)
        except Exception as error:  # raised again below
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise _ForNowError(f"the webhook's server has not answered within {seconds:g} seconds")
    if outcome[0] is not None:
        raise outcome[0]


def _post(webhook: Webhook, body: bytes, seconds: float) -> None:
    try:
        # A redirection would carry the token elsewhere, and make a GET of it.
        with open_url(
            webhook.url,
            data=body,
            headers=dict(webhook.headers),
            method="POST",
            timeout=seconds,
            follow_redirects="none",
            # ~/.netrc would replace the token, and tell this server a secret that is not its own.
            use_netrc=False,
            http_agent=f"kubenode.doctor/{VERSION}",
        ):
            return
    except urllib.error.HTTPError as error:
        kind = _ForNowError if error.code == _TOO_MANY or error.code >= _SERVER else DeliveryError
        raise kind(f"the webhook's server answers with status {error.code}{_said(error)}") from None
    except urllib.error.URLError as error:
        raise _ForNowError(f"the webhook's server cannot be reached: {_reason(error.reason)}") from None
    except (OSError, http.client.HTTPException, UrlsError) as error:
        raise _ForNowError(f"the webhook's server cannot be reached: {_reason(error)}") from None
    except (ValueError, TypeError) as error:
        # Such an error may quote the address or a header.
        raise DeliveryError(f"the webhook's address or a header cannot be used ({type(error).__name__})") from None


def _reason(error: object) -> str:
    strerror = getattr(error, "strerror", None)
    return clean(strerror or str(error) or type(error).__name__, _ERROR_BYTES)


def _said(answer: urllib.error.HTTPError) -> str:
    try:
        with answer:
            text = answer.read(_ERROR_BYTES).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException, ValueError):
        text = ""
    return f": {clean(text, _ERROR_BYTES)}" if text else ""


def check_seconds(seconds: float) -> None:
    """Raises DeliveryError where nothing could be told within them, or nobody would see the end of them."""
    if not 0 < seconds <= MOST_SECONDS:
        raise DeliveryError(f"seconds={seconds:g}: a number above 0, and at most {MOST_SECONDS:g}")


def check_command(command: Sequence[str]) -> None:
    """Raises DeliveryError where there is no such program."""
    if shutil.which(command[0]) is None:
        raise DeliveryError(f"{clean(command[0], 100)} is no program that this user may run")


def run(command: Sequence[str], document: Mapping[str, Any], seconds: float) -> None:
    """Run it with the document on standard input. Raises DeliveryError when it does not end with 0 in time."""
    name = clean(os.path.basename(command[0]), 100)
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise DeliveryError(f"{name} cannot be started: {_reason(error)}") from None
        try:
            process.communicate(json.dumps(document, ensure_ascii=True).encode("ascii") + b"\n", timeout=seconds)
        except subprocess.TimeoutExpired:
            _kill(process)
            raise DeliveryError(
                f"{name} has not ended after {seconds:g} seconds, and was killed{_last(said)}"
            ) from None
        if process.returncode != 0:
            raise DeliveryError(f"{name} ended with status {process.returncode}{_last(said)}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """It and what it has started: its session is its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - _ERROR_BYTES))
    text = said.read(_ERROR_BYTES).decode("utf-8", "replace").strip()
    return f": {clean(text, _ERROR_BYTES)}" if text else ""
