# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an API server is reached: the options of kubernetes.core.k8s_auth_options, whose code takes them.

That fragment itself cannot be used: Galaxy documents a collection where its dependencies are not installed, and one fragment that is
missing costs the documentation of every module. tests/contract/test_cluster_auth.py compares the two.
"""

from __future__ import annotations


class ModuleDocFragment:
    """Use O(extends_documentation_fragment) with V(kubenode.doctor.cluster_auth) in a module that asks an API server."""

    DOCUMENTATION = r"""
options:
  host:
    description: The URL of the API server. Can also be specified via the E(K8S_AUTH_HOST) environment variable.
    type: str
  api_key:
    description: The token to authenticate with. Can also be specified via the E(K8S_AUTH_API_KEY) environment variable.
    type: str
  kubeconfig:
    description: Path to an existing kubeconfig, or its content as a dictionary. Can also be specified via the E(K8S_AUTH_KUBECONFIG) environment variable.
    type: raw
  context:
    description: The name of a context in the kubeconfig. Can also be specified via the E(K8S_AUTH_CONTEXT) environment variable.
    type: str
  username:
    description:
      - The user of HTTP Basic Auth, where the cluster has it. Can also be specified via the E(K8S_AUTH_USERNAME) environment variable.
    type: str
  password:
    description: The password that goes with O(username). Can also be specified via the E(K8S_AUTH_PASSWORD) environment variable.
    type: str
  client_cert:
    description: Path to a certificate to authenticate with. Can also be specified via the E(K8S_AUTH_CERT_FILE) environment variable.
    type: path
    aliases: [cert_file]
  client_key:
    description: Path to the key of O(client_cert). Can also be specified via the E(K8S_AUTH_KEY_FILE) environment variable.
    type: path
    aliases: [key_file]
  ca_cert:
    description:
      - Path to the certificates that the API server's has to be signed by, the whole chain. Can also be specified via the E(K8S_AUTH_SSL_CA_CERT)
        environment variable.
    type: path
    aliases: [ssl_ca_cert]
  validate_certs:
    description: Whether the API server's certificate is verified. Can also be specified via the E(K8S_AUTH_VERIFY_SSL) environment variable.
    type: bool
    aliases: [verify_ssl]
  proxy:
    description:
      - The URL of an HTTP proxy. Can also be specified via the E(K8S_AUTH_PROXY) environment variable. The usual E(HTTP_PROXY) is not looked at.
    type: str
  no_proxy:
    description:
      - Hosts, domains, addresses and networks that are reached without O(proxy), separated by commas. Can also be specified via the
        E(K8S_AUTH_NO_PROXY) environment variable. The usual E(NO_PROXY) is not looked at.
    type: str
  proxy_headers:
    description: Headers for the HTTP proxy.
    type: dict
    suboptions:
      proxy_basic_auth:
        description:
          - C(USER:PASSWORD) for the proxy. Can also be specified via the E(K8S_AUTH_PROXY_HEADERS_PROXY_BASIC_AUTH) environment variable.
        type: str
      basic_auth:
        description:
          - C(USER:PASSWORD) for what is behind it. Can also be specified via the E(K8S_AUTH_PROXY_HEADERS_BASIC_AUTH) environment variable.
        type: str
      user_agent:
        description: The user agent. Can also be specified via the E(K8S_AUTH_PROXY_HEADERS_USER_AGENT) environment variable.
        type: str
  persist_config:
    description:
      - Whether tokens that were refreshed are written into the kubeconfig. Can also be specified via the E(K8S_AUTH_PERSIST_CONFIG)
        environment variable. The Python library C(kubernetes) does not support V(true) yet.
    type: bool
  impersonate_user:
    description: The user to impersonate. Can also be specified via the E(K8S_AUTH_IMPERSONATE_USER) environment variable.
    type: str
  impersonate_groups:
    description:
      - The groups to impersonate. Can also be specified via the E(K8S_AUTH_IMPERSONATE_GROUPS) environment variable, separated by commas.
    type: list
    elements: str
"""
