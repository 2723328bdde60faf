# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the names and ids of images say: registry, repository, tag and digest.

The grammar is that of the Docker Engine, containerd and CRI-O (github.com/distribution/reference: reference.go, normalize.go).

    registry:5000/team/app:1.2@sha256:…  ->  registry "registry:5000", repository "team/app", tag "1.2", digest "sha256:…"
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

# What a name without a registry means to the Docker Engine and to containerd. CRI-O and Podman ask the registries of
# registries.conf (unqualified-search-registries) instead.
DOCKER_HUB = "docker.io"
_DOCKER_HUB_BEFORE = "index.docker.io"
_OFFICIAL = "library"  # nginx is docker.io/library/nginx
LATEST = "latest"

_LONGEST = 4096  # a repository has 255 characters at most, a tag 128, a sha512 digest 135
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME = re.compile(
    rf"(?P<path>(?:{_HOST}/)?{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>\w+:[0-9a-fA-F]{{32,}}))?",
    re.ASCII,
)
_HEX_ID = re.compile("[0-9a-f]{64}")
_DIGEST = re.compile("sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


class ImageName(NamedTuple):
    """A parsed name. ``registry`` is None where the name does not say it, ``tag`` and ``digest`` likewise."""

    registry: str | None
    repository: str
    tag: str | None
    digest: str | None

    @property
    def asked_tag(self) -> str | None:
        """The tag that a runtime asks for: latest where there is neither tag nor digest; None where a digest decides."""
        return None if self.digest else self.tag or LATEST


class ImageId(NamedTuple):
    """What a container status has as imageID. Digests of different forms cannot be compared.

    ``form`` is "image" for the digest of the image's own configuration, "manifest" for that of what a registry keeps.
    """

    form: str
    digest: str


IMAGE, MANIFEST = "image", "manifest"


@functools.lru_cache(maxsize=10_000)  # thousands of pods run the same images
def parse(reference: str) -> ImageName | None:
    """Parse an image's name; None for what is none (an image's id, junk)."""
    if len(reference) > _LONGEST or _HEX_ID.fullmatch(reference) or _DIGEST.fullmatch(reference):
        return None
    match = _NAME.fullmatch(reference)
    if match is None:
        return None
    first, slash, rest = match["path"].partition("/")
    if not slash or not _is_registry(first):
        return ImageName(None, match["path"], match["tag"], match["digest"])
    registry = DOCKER_HUB if first == _DOCKER_HUB_BEFORE else first
    return ImageName(registry, rest, match["tag"], match["digest"])


def _is_registry(first: str) -> bool:
    """Whether the part before the first slash is a host: it has a dot or a port, or is localhost, or is not all small letters."""
    return first == "localhost" or "." in first or ":" in first or first != first.lower()


def repository(reference: str) -> str | None:
    """The registry and repository in full, ``docker.io/library/nginx``; None for what is no name."""
    name = parse(reference)
    if name is None:
        return None
    registry = name.registry or DOCKER_HUB
    official = registry == DOCKER_HUB and "/" not in name.repository
    return f"{registry}/{_OFFICIAL}/{name.repository}" if official else f"{registry}/{name.repository}"


def same_repository(one: str, other: str) -> bool | None:
    """Whether two names are of one repository; None when one of them is no name.

    A name that does not say its registry is of any: which one it came from is the runtime's setting.
    """
    names = parse(one), parse(other)
    if names[0] is None or names[1] is None:
        return None
    if names[0].registry is None or names[1].registry is None:
        return _short(names[0]) == _short(names[1])
    return repository(one) == repository(other)


def _short(name: ImageName) -> str:
    return name.repository.removeprefix(f"{_OFFICIAL}/")


@functools.lru_cache(maxsize=10_000)
def parse_id(image_id: str) -> ImageId | None:
    """Parse what a container status has as imageID; None for an empty one and for what no runtime writes.

    ``docker-pullable://repo@sha256:…`` (dockershim), ``docker://sha256:…`` (dockershim, of an image that was never pulled),
    ``repo@sha256:…`` (containerd, CRI-O, cri-dockerd), ``sha256:…`` (containerd, of an image without a repository digest) and 64
    hexadecimal digits (CRI-O).
    """
    text = image_id.removeprefix("docker-pullable://").removeprefix("docker://")
    _repository, at, digest = text.rpartition("@")
    if _HEX_ID.fullmatch(digest) and not at:
        digest = f"sha256:{digest}"
    if not _DIGEST.fullmatch(digest):
        return None
    return ImageId(MANIFEST if at else IMAGE, digest)
