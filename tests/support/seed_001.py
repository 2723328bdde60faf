# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of seed 001, staged: a node whose kubelet listens on a random port of 127.0.0.1.

    with Seed001(tmp_path) as node:
        node.random_port                      # what nobody knows
        node.certificate, node.key            # by which kubelet serves its goroutines on 10250; also at kubeadm's place on the node
        node.other_certificate, node.other_key  # of a CA that kubelet does not know
        node.run("curl", …); node.enter       # commands on the node, and what goes before one
        node.inventory()                      # for Ansible
        node.pid                              # kubelet's, as the node counts

See seed_001_kubelet.py for what listens, tests/fixtures/seed_001 for what it serves. Needs what private_node needs.
"""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible_collections.kubenode.doctor.tests.support.private_node import PrivateNode
from ansible_collections.kubenode.doctor.tests.support.stage import PROJECT

HOST = "dev"  # as the seed's prompt says
KUBELET = "/var/lib/bin/kubelet"  # its program on the node, a copy of Python's
FIXED_PORTS = (10248, 10250, 10255)
# Where kubeadm keeps the API server's certificate for kubelets: cmd/kubeadm/app/constants/constants.go, APIServerKubeletClientCertName
CLIENT_CERTIFICATE = "/etc/kubernetes/pki/apiserver-kubelet-client.crt"
CLIENT_KEY = "/etc/kubernetes/pki/apiserver-kubelet-client.key"
DUMP = PROJECT / "tests" / "fixtures" / "seed_001" / "goroutines.txt"
STREAM_ANSWER = PROJECT / "tests" / "fixtures" / "cri" / "stream-port-answer.json"
_PROGRAM = PROJECT / "tests" / "support" / "seed_001_kubelet.py"


class Seed001(PrivateNode):
    """The node, with its kubelet running in the with block."""

    def __init__(self, folder: Path, dump: Path = DUMP) -> None:
        """``folder``: for certificates, the interpreter and the inventory; the node sees it too. ``dump``: what kubelet says of its goroutines."""
        super().__init__(HOST, folder)
        self.certificate, self.key = folder / "client.crt", folder / "client.key"
        self.other_certificate, self.other_key = folder / "other.crt", folder / "other.key"
        self._dump = dump

    def __enter__(self) -> Seed001:
        write_certificates(self.folder)
        super().__enter__()
        try:
            self.enter = self._namespaces.enter
            self.write(CLIENT_CERTIFICATE, self.certificate.read_text("ascii"))
            self.write(CLIENT_KEY, self.key.read_text("ascii"))
            self.path(CLIENT_KEY).chmod(0o600)
            self._start_kubelet()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start_kubelet(self) -> None:
        # Python looks for its library beside its program.
        program = self.path(KUBELET)
        program.parent.mkdir()
        shutil.copy(Path(sys.executable).resolve(), program)
        words = [*self.enter, "env", f"PYTHONHOME={sys.base_prefix}", KUBELET, str(_PROGRAM), str(self.folder)]
        words += ["--dump", str(self._dump), "--stream-answer", str(STREAM_ANSWER)]
        kubelet = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self._programs.append(kubelet)
        assert kubelet.stdout is not None
        said = kubelet.stdout.readline()
        assert said, "kubelet did not start"
        self.random_port, self.pid = map(int, said.split())


def write_certificates(folder: Path) -> None:
    """Write a CA, kubelet's certificate, a client's, and one of another CA; each lasts a day."""
    authority = _issue(folder / "ca", "kubernetes", None)
    _issue(folder / "kubelet", f"system:node:{HOST}", authority)
    _issue(folder / "client", "kube-apiserver-kubelet-client", authority)
    _issue(folder / "other", "kube-apiserver-kubelet-client", _issue(folder / "other-ca", "another", None))


def _issue(path: Path, name: str, authority: Any) -> Any:
    """Write PATH.crt and PATH.key; return what issues further ones. Without ``authority`` it signs itself."""
    # Here, not above: only who starts a node needs it (ansible-core brings it along).
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer, signer = authority or (subject, secret)
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(issuer, subject, secret.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path.with_suffix(".crt").write_bytes(made.public_bytes(pem))
    key = secret.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.with_suffix(".key").write_bytes(key)
    return subject, secret
