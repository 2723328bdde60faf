# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel setting that a change sets, and sets back. The kernel writes some in words of its own: values are compared by what they mean."""

from __future__ import annotations

import os
import re

from ansible_collections.kubenode.doctor.plugins.module_utils import port_ranges
from ansible_collections.kubenode.doctor.plugins.module_utils.change_part import (
    AFTER,
    BEFORE,
    OTHER,
    ChangeError,
    Document,
    Part,
    UntouchedError,
    field,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.deadline import Deadline

KIND = "sysctl"
_PART = "[A-Za-z0-9_:@-]+"
_KEY = re.compile(rf"{_PART}(\.{_PART}(/{_PART})*)+")
_VALUE = re.compile(r"[\t -~]*")
# As text, with every second port reserved: 32767 numbers of up to 5 digits and a comma. One read(2) and one write(2) each: a second read of
# such a list gives nothing (kernel/sysctl.c, proc_do_large_bitmap).
_LIMIT = 1 << 20
_SHOWN = 200


def look(proc: str, key: str) -> str:
    """The value that is set. Raises ChangeError for one that cannot be changed here."""
    try:
        descriptor = os.open(_path(proc, key), os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _LIMIT).decode("ascii", "replace").rstrip("\n")
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise ChangeError(f"this kernel has no {key} (any more): the module that brings it is not loaded") from error
    except OSError as error:
        raise ChangeError(f"{key} cannot be read: {error.strerror}") from error


def checked(key: str, value: str) -> None:
    """Raises ChangeError for a value that is not one line of plain text."""
    if not _VALUE.fullmatch(value):
        raise ChangeError(f"a value for {key} is not one line of plain text")


def is_same(key: str, one: str, other: str) -> bool:
    """Whether two texts mean the same to the kernel."""
    if key.endswith("reserved_ports"):
        try:
            return port_ranges.parse_reserved(one) == port_ranges.parse_reserved(other)
        except ValueError:  # the kernel says what is wrong with it
            pass
    return one.split() == other.split()


def shown(value: str) -> str:
    """A value for a message."""
    text = " ".join(value.split())
    return (text if len(text) <= _SHOWN else text[:_SHOWN] + "…") or "empty"


class SysctlPart(Part):
    """One setting."""

    READ = True

    def __init__(self, proc: str, document: Document) -> None:
        """Raises ChangeError for a document that is none of a setting."""
        self.key: str = field(document, "key", str)
        self.before: str = field(document.get("before"), "value", str)
        self.after: str = field(document, "after", str)
        self._proc = proc
        self._document = document
        _path(proc, self.key)

    def document(self) -> Document:
        return self._document

    def where(self) -> str:
        value = look(self._proc, self.key)
        if is_same(self.key, value, self.after):
            return AFTER
        return BEFORE if is_same(self.key, value, self.before) else OTHER

    def act(self, _deadline: Deadline) -> None:
        value = look(self._proc, self.key)
        if not is_same(self.key, value, self.before):
            raise UntouchedError(f"{self.key} was set to {shown(value)} by somebody else just now")
        self._set(self.after)

    def take_back(self, _deadline: Deadline) -> str:
        value = look(self._proc, self.key)
        if is_same(self.key, value, self.before):
            return ""
        if not is_same(self.key, value, self.after):
            raise ChangeError(
                f"{self.key} was set to {shown(value)} by somebody else meanwhile, and is left so (it was {shown(self.before)})"
            )
        self._set(self.before)
        return f"{self.key} is {shown(self.before)} again"

    def back(self) -> str:
        same = is_same(self.key, self.before, self.after)
        return "" if same else f"{self.key} is set back to {shown(self.before)}"

    def why_not_back(self) -> str:
        if self.where() != OTHER:
            return ""
        return f"{self.key} was set to {shown(look(self._proc, self.key))} since"

    def _set(self, value: str) -> None:
        """Raises ChangeError when the kernel does not take it, or keeps another."""
        try:
            descriptor = os.open(_path(self._proc, self.key), os.O_WRONLY | os.O_CLOEXEC)
            try:
                # An empty write would not reach the kernel's parser, which an empty line does. Of a long list it takes 4095 bytes at a time
                # (kernel/sysctl.c, proc_do_large_bitmap), and adds what follows on the same descriptor.
                left = value.encode("ascii") + b"\n"
                while left:
                    left = left[os.write(descriptor, left) :]
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ChangeError(f"the kernel refuses {shown(value)} for {self.key}: {error.strerror}") from error
        kept = look(self._proc, self.key)
        if not is_same(self.key, kept, value):
            raise ChangeError(f"the kernel was given {shown(value)} for {self.key} and keeps {shown(kept)}")


def _path(proc: str, key: str) -> str:
    """As sysctl(8) finds it: a "/" of the key is a dot of the name, as in net.ipv4.conf.eth0/100.rp_filter. Raises ChangeError."""
    if not _KEY.fullmatch(key):
        raise ChangeError("a kernel setting is to be changed that has no usable name")
    return "/".join((proc, "sys", key.translate(str.maketrans("./", "/."))))
