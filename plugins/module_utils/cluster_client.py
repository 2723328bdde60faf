# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One GET to the API server, with kubernetes.core's authentication options. Runs on the controller.

The options become a configuration by kubernetes.core's own functions, so they mean here what they mean in its modules,
environment variables included. Two things differ on purpose. Without a kubeconfig and without a host nothing is asked:
whatever cluster ~/.kube/config or a pod's service account points to, judging these nodes by it would be a lie. And
kubernetes.core's dynamic client is not used: it asks for every API group first and keeps a cache on disk; three fixed
paths need neither.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import signal
import socket
import ssl
import traceback
from types import FrameType
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple, Type
from urllib.parse import urlsplit

from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_api import Answer, UnreachableError
from ansible_collections.kubenode.doctor.plugins.module_utils.cluster_asked import NO_KUBECONFIG
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

KUBERNETES_ERROR: Optional[str] = None
try:
    import kubernetes
    import urllib3
    import yaml
except ImportError:
    KUBERNETES_ERROR = traceback.format_exc()

CORE_ERROR: Optional[str] = None
AUTH_OPTIONS: Dict[str, Any]
try:
    from ansible_collections.kubernetes.core.plugins.module_utils import args_common
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s import client as core

    AUTH_OPTIONS = args_common.AUTH_ARG_SPEC
except ImportError:
    CORE_ERROR = traceback.format_exc()
    # So that the module can still read its options, and say what is missing instead of "unsupported parameters".
    AUTH_OPTIONS = {
        name: {"type": "raw", "no_log": True}
        for name in (
            *("kubeconfig", "context", "host", "api_key", "username", "password", "validate_certs", "verify_ssl"),
            *("ca_cert", "ssl_ca_cert", "client_cert", "cert_file", "client_key", "key_file", "proxy", "no_proxy"),
            *("proxy_headers", "persist_config", "impersonate_user", "impersonate_groups"),
        )
    }

# Bytes of one answer: 500 EndpointSlices of 100 endpoints each are about 20 MB.
_LARGEST_ANSWER = 64 * 1024 * 1024
# Seconds that the alarm leaves the library's own timeouts, which know better what they waited for.
_GRACE = 0.5


class ConfigError(Exception):
    """The user's mistake: an option, or a file that an option names. The text names it."""


class _Alarm(BaseException):
    """Time is up. No Exception: the kubernetes library swallows those while it runs a credential plugin."""


class Client:
    """GETs paths of one API server; a request ends within ``timeout`` seconds, and within what ``deadline`` leaves."""

    def __init__(self, api_client: Any, timeout: float, deadline: Deadline) -> None:
        self._base = api_client.configuration.host.rstrip("/")
        self._address = _shown(self._base)
        self._pool = api_client.rest_client.pool_manager
        self._headers = api_client.default_headers
        self._timeout = timeout
        self._deadline = deadline

    @property
    def address(self) -> str:
        """The API server's address, without credentials."""
        return self._address

    def fetch(self, path: str, query: Dict[str, str]) -> Answer:
        """Return the answer, whatever its status; redirects are not followed. Raises UnreachableError."""
        seconds = min(self._timeout, self._deadline.left())
        try:
            with _alarm(seconds + _GRACE):
                return self._get(path, query, seconds)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, _Alarm) as error:
            raise UnreachableError(in_words(error, self._address, seconds)) from error

    def _get(self, path: str, query: Dict[str, str], seconds: float) -> Answer:
        response = self._pool.request(
            "GET",
            self._base + path,
            fields=query,
            headers=self._headers,
            timeout=urllib3.Timeout(connect=seconds, read=seconds),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            body = response.read(_LARGEST_ANSWER + 1)
        finally:
            response.release_conn()
        if len(body) > _LARGEST_ANSWER:
            raise UnreachableError(f"the answer of {self._address} is larger than 64 MiB: lower page_size")
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, body)


def connect(params: Dict[str, Any], timeout: float, deadline: Deadline) -> Tuple[Client, List[str]]:
    """Return a client for the API server that the options name, and what was logged while its credentials were read.

    Raises UnreachableError when no API server is named or a credential plugin hangs, ConfigError for the user's
    mistakes.
    """
    auth = core._create_auth_spec(**params)
    if not auth.get("kubeconfig") and not auth.get("host"):
        raise UnreachableError(_no_kubeconfig(auth.get("context")))
    given = _check_kubeconfig(auth) if auth.get("kubeconfig") else "host"
    if not auth.get("kubeconfig"):
        auth.update(kubeconfig=_bare_kubeconfig(auth["host"]), context=None)
    try:
        with _alarm(deadline.left()), _logged() as notes:
            configuration = core._create_configuration(auth)
    except _Alarm as error:
        raise UnreachableError(
            f"{given}: its credential plugin did not finish within {deadline.seconds:g} s"
        ) from error
    except (kubernetes.config.ConfigException, OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{given}: {_one_line(error)}") from error
    _check_configuration(configuration, given)
    try:
        return Client(_api_client(configuration, core._create_headers(**params)), timeout, deadline), notes
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise ConfigError(f"cannot use the connection options: {_one_line(error)}") from error


def public_strings(kubeconfig: Any) -> Set[str]:
    """Return the strings of the option kubeconfig that are no secret: its path, or most of what it holds as a
    dictionary.

    Ansible blots out every string of a no_log option wherever it occurs in the result: the name of the file a message
    must tell, and from a dictionary such words as "default" and "kubernetes", which are also names of namespaces and
    Services.
    """
    if not isinstance(kubeconfig, dict):
        return set(_strings(kubeconfig))
    users = kubeconfig.get("users")
    secrets = {text for user in (users if isinstance(users, list) else []) for text in _secrets(user)}
    return set(_strings(kubeconfig)) - secrets


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _strings(entry)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _secrets(user: Any) -> Iterator[str]:
    """Yield all that a user's entry holds but names of files and the credential plugin's command."""
    entry = user.get("user") if isinstance(user, dict) else None
    for key, value in entry.items() if isinstance(entry, dict) else ():
        if key == "exec" and isinstance(value, dict):
            yield from _strings([variable for variable in value.get("env") or () if isinstance(variable, dict)])
        elif key not in ("client-certificate", "client-key", "tokenFile"):  # paths
            yield from _strings(value)


def _no_kubeconfig(context: Optional[str]) -> str:
    if context:
        return f"no kubeconfig given in which to look up the context {context}: pass kubeconfig=…"
    return NO_KUBECONFIG


def _bare_kubeconfig(host: str) -> Dict[str, Any]:
    """Return a kubeconfig with an address and no credentials: it keeps kubernetes.core away from ~/.kube/config."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "given", "cluster": {"server": host}}],
        "users": [{"name": "given", "user": {}}],
        "contexts": [{"name": "given", "context": {"cluster": "given", "user": "given"}}],
        "current-context": "given",
    }


def _check_kubeconfig(auth: Dict[str, Any]) -> str:
    """Raise ConfigError for a kubeconfig that cannot be used; return how to call it in messages."""
    kubeconfig = auth["kubeconfig"]
    if isinstance(kubeconfig, dict):
        given, contents = "kubeconfig (given as a dictionary)", [kubeconfig]
    elif isinstance(kubeconfig, str):
        given, contents = f"kubeconfig {kubeconfig}", _read_kubeconfigs(kubeconfig)
    else:
        raise ConfigError("kubeconfig must be the path of a file, or a dictionary")
    contexts = [name for content in contents for name in _context_names(content)]
    current = next((content["current-context"] for content in contents if content.get("current-context")), None)
    wanted = auth.get("context") or current
    known = ", ".join(contexts) or "none"
    if not wanted:
        raise ConfigError(f"{given}: it has no current-context: pass context=… (it has: {known})")
    if wanted not in contexts:
        raise ConfigError(f"{given}: it has no context {wanted} (it has: {known})")
    return given


def _read_kubeconfigs(paths: str) -> List[Dict[str, Any]]:
    """Return the contents of the files of a list like kubectl's: those that do not exist are left out, but one must."""
    names = [os.path.expanduser(path) for path in paths.split(os.pathsep) if path]
    contents = [_read_kubeconfig(name) for name in names if os.path.lexists(name)]
    if not contents:
        raise ConfigError(f"kubeconfig {paths}: no such file")
    return contents


def _read_kubeconfig(name: str) -> Dict[str, Any]:
    if os.path.exists(name) and not os.path.isfile(name):
        raise ConfigError(f"kubeconfig {name}: not a file")
    try:
        with open(name, "rb") as file:
            content = yaml.safe_load(file)
    except OSError as error:
        raise ConfigError(f"kubeconfig {name}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # The error's own text quotes the file, which holds secrets: only its place is told.
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ConfigError(f"kubeconfig {name}: not valid YAML{place}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"kubeconfig {name}: no kubeconfig: it does not hold clusters, users and contexts")
    return content


def _context_names(content: Dict[str, Any]) -> List[str]:
    contexts = content.get("contexts")
    entries = contexts if isinstance(contexts, list) else []
    return [str(entry["name"]) for entry in entries if isinstance(entry, dict) and "name" in entry]


def _check_configuration(configuration: Any, given: str) -> None:
    try:
        parts = urlsplit(configuration.host)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # port out of range, broken IPv6 address
        usable = False
    if not usable:
        raise ConfigError(
            f"{given}: the API server's address is no URL like https://10.0.0.1:6443: {_shown(configuration.host)}"
        )
    for option, attribute in (("ca_cert", "ssl_ca_cert"), ("client_cert", "cert_file"), ("client_key", "key_file")):
        path = getattr(configuration, attribute, None)
        if path and not os.access(path, os.R_OK):
            raise ConfigError(f"{option} {path}: no such file, or not readable")


def _api_client(configuration: Any, headers: Dict[str, Any]) -> Any:
    """Return the library's client with every header a request needs: who asks, and for whom (impersonation)."""
    client = kubernetes.client.ApiClient(configuration)
    client.default_headers = {"Accept": "application/json", "User-Agent": "kubenode.doctor"}
    for name, value in headers.items():
        core._set_header(client, name, value)
    for setting in configuration.auth_settings().values():
        client.set_default_header(setting["key"], setting["value"])
    return client


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _Alarm after so many seconds, whatever is waited for: headers sent byte by byte, a credential plugin."""

    def ring(_signal: int, _frame: Optional[FrameType]) -> None:
        raise _Alarm()

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _logged() -> Iterator[List[str]]:
    """Collect what the library only logs: that a credential plugin failed, after which it asks without credentials."""
    notes: List[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: notes.append(_one_line(record.getMessage()))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield notes
    finally:
        logging.getLogger().removeHandler(handler)


def in_words(error: BaseException, address: str, seconds: float) -> str:
    """Return why no answer came; urllib3 wraps the kernel's error, so the whole chain is looked through."""
    chain = _chain(error)
    proxy = any(isinstance(link, urllib3.exceptions.ProxyError) for link in chain)
    for kinds, words in _reasons():
        for link in chain:
            if isinstance(link, kinds):
                through = " (through the proxy)" if proxy else ""
                return words.format(address=address + through, seconds=f"{seconds:g}", said=_said(link))
    return f"no usable answer from {address}: {_one_line(error)}"


def _reasons() -> List[Tuple[Tuple[Type[BaseException], ...], str]]:
    """Return kinds of errors and what they mean; the first one that is found in the chain counts."""
    wrong = urllib3.exceptions
    return [
        ((socket.gaierror,), "the name in {address} cannot be resolved: {said}"),
        (
            (ssl.SSLCertVerificationError,),
            "the certificate of {address} is not accepted: {said}: check ca_cert and host",
        ),
        ((ssl.SSLError, wrong.SSLError), "no TLS connection to {address}: {said}"),
        (
            (ConnectionRefusedError,),
            "nothing listens at {address} (connection refused): the API server is down, or the address is wrong",
        ),
        ((wrong.ConnectTimeoutError,), "{address} cannot be reached: no connection within {seconds} s"),
        ((wrong.TimeoutError, socket.timeout, _Alarm), "{address} gave no complete answer within {seconds} s"),
        ((http.client.IncompleteRead, wrong.IncompleteRead), "the answer of {address} broke off before its end"),
        ((ConnectionError, http.client.RemoteDisconnected), "{address} closed the connection without an answer"),
        ((OSError,), "{address} cannot be reached: {said}"),
    ]


def _said(link: BaseException) -> str:
    """Return the part of an error's text that says what happened, without object addresses and numbers."""
    return _one_line(getattr(link, "verify_message", None) or getattr(link, "strerror", None) or link)


def _chain(error: BaseException) -> List[BaseException]:
    """Return an error and all that it wraps, from the outside in."""
    seen: List[BaseException] = []
    waiting: List[Any] = [error]
    while waiting:
        link = waiting.pop(0)
        if isinstance(link, BaseException) and link not in seen:
            seen.append(link)
            waiting += [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]
    return seen


def _shown(url: str) -> str:
    """Return scheme, host and port of a URL, without user, password and path."""
    try:
        parts = urlsplit(str(url))
    except ValueError:
        return "(unreadable)"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else str(url)[:80]


def _one_line(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= 300 else line[:300] + "…"
