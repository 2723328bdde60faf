# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""log_matcher, log_sample: counting, samples that may be shown, and what hostile logs may cost."""

from __future__ import annotations

import itertools
import random

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils import log_matcher, log_sample, signatures
from ansible_collections.kubenode.doctor.plugins.module_utils.log_line import (
    JOURNAL,
    KERNEL,
    POD,
    LogLine,
    Origin,
    PodLog,
)
from ansible_collections.kubenode.doctor.plugins.module_utils.log_matcher import Matcher
from ansible_collections.kubenode.doctor.tests.unit.plugins.module_utils.signature_lines import LINES, SEED_002

KUBELET = Origin(JOURNAL, "kubelet.service", None)
KERNEL_RING = Origin(KERNEL, None, None)
CHRONY = Origin(JOURNAL, "chronyd.service", None)
HOLDER = "eced8537863007db9a915924785306b26238cabbd3feec0e5226e2ad0710807b"
NOTHING = {"entries": 0, "lines": 0}
MEBIBYTE = 1 << 20


def pod(number, container="web"):
    return Origin(POD, None, PodLog("default", f"web-{number}", f"uid-{number}", container, 0))


def fed(*lines, ids=()):
    """A matcher that was fed (text, when, origin)."""
    matcher = Matcher(signatures.chosen(ids))
    for text, when, origin in lines:
        matcher.feed(LogLine(text, when, origin))
    return matcher


def stepped(seconds):
    return f"System clock was stepped by {seconds}.000000 seconds"


def sample_of(text, origin=KUBELET):
    (entry,) = fed((text, 1.0, origin), ids=["too-many-open-files"]).found(200)[0]
    return entry["sample"]


def test_an_entry():
    origin = Origin(POD, None, PodLog("kube-system", "kube-apiserver-n1", "1403", "kube-apiserver", 23))
    text = 'Err :connection error: desc = "transport: Error while dialing dial tcp 127.0.0.1:2379: connect: connection refused"'
    matcher = fed((text, 20.0, origin), (text + " newest", 30.0, origin), (text, 10.0, origin))
    assert matcher.found(200) == (
        [
            {
                "signature": "etcd-dial-refused",
                "source": "pod",
                "unit": None,
                "pod": {
                    "namespace": "kube-system",
                    "name": "kube-apiserver-n1",
                    "uid": "1403",
                    "container": "kube-apiserver",
                    "attempt": 23,
                },
                "count": 3,
                "first": 10.0,
                "last": 30.0,
                "sample": text + " newest",
                "fields": {"address": "127.0.0.1:2379"},
            }
        ],
        NOTHING,
    )


def test_one_line_may_say_several_things():
    entries, _other = fed((SEED_002, 1.0, KUBELET)).found(200)
    assert {entry["signature"] for entry in entries} == {"docker-name-conflict", "container-not-created"}
    assert {(entry["source"], entry["unit"], entry["pod"]) for entry in entries} == {
        ("journal", "kubelet.service", None)
    }


def test_one_line_may_say_the_same_of_several():
    text = (
        r'"Error syncing pod, skipping" err="[failed to \"StartContainer\" for \"a\" with CreateContainerError: \"x\", failed to'
        r' \"StartContainer\" for \"b\" with RunContainerError: \"y\", failed to \"StartContainer\" for \"a\" with CreateContainerError: \"x\"]"'
        r' pod="default/web-0" podUID=72f6c363-fa4d-453f-a3d6-394b60bd6e29'
    )
    entries, _other = fed((text, 1.0, KUBELET)).found(200)
    assert sorted((entry["fields"]["container"], entry["count"]) for entry in entries) == [("a", 1), ("b", 1)]


def test_each_origin_and_each_set_of_fields_has_its_entry():
    lines = [
        (stepped(1), 1.0, CHRONY),
        (stepped(1), 2.0, Origin(JOURNAL, "chrony.service", None)),
        (stepped(2), 3.0, CHRONY),
    ]
    entries, _other = fed(*lines, *lines).found(200)
    assert [(entry["unit"], entry["fields"]["seconds"], entry["count"]) for entry in entries] == [
        ("chronyd.service", "2.000000", 2),
        ("chrony.service", "1.000000", 2),
        ("chronyd.service", "1.000000", 2),
    ]


def test_equal_origins_are_one():
    matcher = fed((stepped(1), 1.0, CHRONY), (stepped(1), 2.0, Origin(JOURNAL, "chronyd.service", None)))
    assert [entry["count"] for entry in matcher.found(200)[0]] == [2]


def test_without_a_time():
    matcher = fed(
        (stepped(1), None, CHRONY), (stepped(2), None, CHRONY), (stepped(2), 7.0, CHRONY), (stepped(2), None, CHRONY)
    )
    entries, _other = matcher.found(200)
    assert [(entry["count"], entry["first"], entry["last"]) for entry in entries] == [(3, 7.0, 7.0), (1, None, None)]


def test_only_what_is_wanted():
    assert fed((SEED_002, 1.0, KUBELET), ids=["clock-stepped"]).found(200) == ([], NOTHING)
    wanted = Matcher(signatures.chosen(["clock-stepped"]))
    assert not wanted.interesting(SEED_002.encode())
    assert wanted.interesting(b"\0\xff" + stepped(1).encode())


def test_what_is_beyond_the_limit_is_counted():
    lines = [(stepped(number), float(number), CHRONY) for number in range(10)]
    entries, other = fed(*lines, *lines).found(4)
    assert [entry["last"] for entry in entries] == [9.0, 8.0, 7.0, 6.0]
    assert other == {"entries": 6, "lines": 12}


def test_one_signature_does_not_hide_another():
    """Pods that repeat one thing, newer than everything else, leave room for what kubelet said."""
    noise = [
        (f"dial tcp 10.0.0.{n}:443: connect: cannot assign requested address", 100.0 + n, pod(n)) for n in range(50)
    ]
    entries, other = fed(*noise, (SEED_002, 1.0, KUBELET)).found(10)
    told = [entry["signature"] for entry in entries]
    assert set(told[-2:]) == {"docker-name-conflict", "container-not-created"}
    assert told[:-2] == ["cannot-assign-address"] * 8
    assert other == {"entries": 42, "lines": 42}


# What it costs


def conflict(number):
    return SEED_002.replace("_24", f"_{number}")


def remembered(matcher):
    return list(matcher._memory.entries())


@pytest.mark.parametrize("order", [1, -1], ids=["forward", "newest first"])
def test_a_log_that_names_very_many_containers(order):
    lines = [(conflict(number), float(number), KUBELET) for number in range(3000)][::order]
    matcher = fed(*lines, ids=["docker-name-conflict"])
    assert len(remembered(matcher)) == 100
    entries, other = matcher.found(200)
    assert [entry["last"] for entry in entries] == [float(number) for number in range(2999, 2899, -1)]
    assert other == {"entries": 2900, "lines": 2900}


def test_very_many_pods_leave_room_for_the_journal():
    noise = [
        (f"dial tcp 10.0.{number}.7:443: connect: cannot assign requested address", 1.0, pod(origin))
        for origin in range(30)
        for number in range(90)
    ]
    matcher = fed(*noise, (SEED_002, 2.0, KUBELET))
    assert len(remembered(matcher)) == 1002
    entries, other = matcher.found(10_000)
    assert sum(entry["count"] for entry in entries) + other["lines"] == 2702
    assert {entry["signature"] for entry in entries[:2]} == {"docker-name-conflict", "container-not-created"}


def test_what_was_dropped_is_told_apart_up_to_a_bound(monkeypatch):
    monkeypatch.setattr(log_matcher, "_ENTRIES_LIMIT", 1)
    monkeypatch.setattr(log_matcher, "_DROPPED_LIMIT", 5)
    lines = [(stepped(number), 1.0, CHRONY) for number in range(20)]
    assert fed(*lines).found(200)[1] == {"entries": 5, "lines": 19}


def test_a_field_is_bounded():
    peers = ",".join(["10.0.0.1"] * 200)
    (entry,) = fed((f"BGP not established with {peers}", 1.0, KUBELET)).found(200)[0]
    assert entry["fields"] == {"peers": peers[:500]}


def test_what_is_kept_of_a_line_is_bounded():
    matcher = fed(("x " * 20_000 + SEED_002 + " y" * MEBIBYTE, 1.0, KUBELET))
    assert len(remembered(matcher)) == 2
    assert all(len(entry._piece.text) < 6 * 1024 for _place, _fields, entry in remembered(matcher))


def test_of_a_long_line_only_the_beginning_is_looked_at():
    assert not fed(("x" * (64 * 1024) + SEED_002, 1.0, KUBELET)).found(200)[0]
    assert fed(("x" * (63 * 1024 - len(SEED_002)) + SEED_002, 1.0, KUBELET)).found(200)[0]


def hostile(text):
    """Long lines made of a line that matches: whole, cut off everywhere, and with each kind of filling."""
    yield text * (MEBIBYTE // len(text))
    for part in (text[: len(text) // 3], text[: 2 * len(text) // 3], text[:-1], text[len(text) // 2 :]):
        yield part * (MEBIBYTE // len(part))
    for filling in ("\\", '"', "a", "0", "-", "_", ".", ":", ",", " ", "\x1b[", "\0", "\n", "\u202e"):
        yield text[: len(text) // 2] + filling * MEBIBYTE + text[len(text) // 2 :]


@pytest.mark.parametrize("name", signatures.IDS)
def test_hostile_lines(name):
    """None of them takes the matcher more than a pass over 64 KiB for each expression, nor makes it remember more."""
    line = LINES[name][0]
    matcher = fed(*[(text, float(number), line.origin) for number, text in enumerate(hostile(line.text))])
    entries, other = matcher.found(200)
    assert len(entries) + other["entries"] < 60
    for entry in entries:
        assert len(entry["sample"]) <= log_sample.LIMIT
        assert entry["sample"].isprintable()
        assert all(value.isprintable() and len(value) <= 500 for value in entry["fields"].values())


def test_rubbish():
    """Bytes of any kind, with anchors in between."""
    chance = random.Random(20261121)  # noqa: S311 - the same rubbish each time
    anchors = [wording.anchor for signature in signatures.SIGNATURES for wording in signature.wordings]
    origins = [KUBELET, CHRONY, KERNEL_RING, pod(1), pod(2, "kube-apiserver"), Origin(JOURNAL, None, None)]
    matcher = Matcher(signatures.SIGNATURES)
    for _count in range(500):
        pieces = [
            bytes(chance.randrange(256) for _count in range(chance.randrange(60))).decode("utf-8", "surrogateescape")
        ]
        pieces += [chance.choice(anchors), "\ud800", "".join(chr(chance.randrange(0x10000)) for _count in range(20))]
        chance.shuffle(pieces)
        matcher.feed(LogLine("".join(pieces), chance.choice([None, 1.0]), chance.choice(origins)))
    for entry in matcher.found(10_000)[0]:
        assert entry["sample"].isprintable()


# Samples


def test_a_sample_is_cut_around_the_match():
    sample = sample_of("begin " + "before " * 200 + ": too many open files" + " after" * 200)
    assert len(sample) == log_sample.LIMIT
    assert sample.startswith("...")
    assert sample.endswith("...")
    assert ": too many open files" in sample
    assert "begin" not in sample


def test_a_short_line_is_shown_whole():
    assert (
        sample_of("  accept4: too many open files; retrying in 1s\n") == "accept4: too many open files; retrying in 1s"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31;1maccept: too many open files\x1b[0m", "accept: too many open files"),
        ("\x1b]0;title\x07accept: too many open files", "accept: too many open files"),
        ("\x1b]8;;http://x\x1b\\accept: too many open files", "accept: too many open files"),
        ("\x9b31maccept: too many open files", "accept: too many open files"),
        ("\x1bcaccept: too many open files", "accept: too many open files"),
        ("a\tb\r\nc: too many open files", "a b c: too many open files"),
        ("a\x08\x00b\u200b\u202e: too many open files", "ab: too many open files"),
        ("a\ud800b\u2028c\xa0d: too many open files", "ab c d: too many open files"),
        ("a\ue000b: too many open files", "ab: too many open files"),
        ("größer: too many open files 文件", "größer: too many open files 文件"),
    ],
)
def test_what_moves_the_cursor_is_removed(text, shown):
    assert sample_of(text) == shown


HIDDEN = "Hunter2-correct.horse_battery"
JWT = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJzeXN0ZW06bm9kZSJ9.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"
PEM_BODY = "MIIEowIBAAKCAQEAwJ0b7Zc5y3h1Zk5uY2F0ZWQgZm9yIHRoZSB0ZXN0IG9ubHk="


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {HIDDEN}",
        f"Authorization: Basic {HIDDEN}",
        f'"Authorization":["Bearer {HIDDEN}"]',
        rf"-H \"Authorization: Bearer {HIDDEN}\"",
        f"authorization={HIDDEN}",
        f"Proxy-Authorization: Digest {HIDDEN}",
        f"got bearer {HIDDEN} from",
        f"password={HIDDEN}",
        f"PASSWORD: {HIDDEN}",
        f'"password":"{HIDDEN}"',
        rf"\"password\": \"{HIDDEN}\"",
        rf"\\\"client_secret\\\":\\\"{HIDDEN}\\\"",
        f"password='{HIDDEN} with spaces'",
        f"DB_PASSWORD={HIDDEN}",
        f"passwd={HIDDEN}&x=1",
        f"?access_token={HIDDEN}&x=1",
        f"token = {HIDDEN}",
        f"--token={HIDDEN}",
        f"--bootstrap-token {HIDDEN}",
        f"--kubelet-client-secret {HIDDEN}",
        f"api_key={HIDDEN}",
        f"apikey: {HIDDEN}",
        f"aws_secret_access_key={HIDDEN}",
        f"map[credential:{HIDDEN} user:x]",
        f"https://user:{HIDDEN}@registry.example/v2/",
        f"postgres://{HIDDEN}@10.0.0.1:5432/db",
        f"Env:[]EnvVar{{EnvVar{{Name:ANYTHING,Value:{HIDDEN} more words,ValueFrom:nil,}},}}",
        f"Env:[{{Name:ANYTHING Value:{HIDDEN} more words ValueFrom:nil}}]",
        f"-----BEGIN RSA PRIVATE KEY-----\n{HIDDEN}\n-----END RSA PRIVATE KEY-----",
        rf"key: -----BEGIN PRIVATE KEY-----\n{HIDDEN}\n-----END PRIVATE KEY-----\n",
        f"Bea\x1b[0mrer {HIDDEN}",
        f"pass\u200bword={HIDDEN}",
        f"DB_PASS={HIDDEN}",
        f"dbpass: {HIDDEN}",
        f"PASSWD {HIDDEN}",
        f"password {HIDDEN}",
        f'the password is "{HIDDEN}"',
        f"docker run -e KEY={HIDDEN} -e OTHER={HIDDEN}",
        f"--env='KEY={HIDDEN}'",
        f'{{"password":["{HIDDEN}", "x {HIDDEN}"]}}',
        f'{{"password": {{"value": "{HIDDEN}"}}}}',
        f'{{"secret": {{"data": {{"a": "{HIDDEN}"}}, "b": "{HIDDEN}"}}}}',
        f'{{"tokens": [["{HIDDEN}"], ["{HIDDEN}"]]}}',
        f"Cookie: session={HIDDEN}; other={HIDDEN}",
        f'"Set-Cookie":["sid={HIDDEN}; Path=/"]',
        f"https://h/x?sig={HIDDEN}&se=1",
        f"signature={HIDDEN}",
        f"&X-Amz-Signature={HIDDEN}&X-Amz-Security-Token={HIDDEN}",
        f"client_secret%3D{HIDDEN}%26x",
        f"%22password%22%3A%22{HIDDEN}%22",
        f"psk={HIDDEN}",
        f'{{"auths":{{"r.example":{{"auth":"{HIDDEN}"}}}}}}',
    ],
)
def test_secrets_are_redacted(text):
    sample = sample_of(f"{text} : too many open files")
    for word in ("Hunter2", "correct", "horse", "battery", "spaces", "more words"):
        assert word not in sample
    assert log_sample.REDACTED in sample
    assert sample.endswith(": too many open files")


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        PEM_BODY,
        "abcdef.0123456789abcdef",
        "ghp_" + "aB3d" * 9,
        "gho_" + "aB3d" * 9,
        "github_pat_" + "11ABCDEFG0_" * 4,
        "glpat-" + "aB3d" * 5,
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdef",
    ],
)
def test_secrets_are_known_by_their_form(secret):
    assert sample_of(f"got {secret}: too many open files") == f"got {log_sample.REDACTED}: too many open files"


def test_a_key_without_an_end_hides_the_rest():
    assert sample_of(f"x -----BEGIN PRIVATE KEY----- {HIDDEN} : too many open files") == f"x {log_sample.REDACTED}"


@pytest.mark.parametrize("before", [0, 4000, 4096, 4200, 5000])
def test_a_secret_whose_beginning_is_far_away(before):
    """Wherever the line is cut, no part of a secret remains."""
    text = "x" * before + f" token={HIDDEN * 10}/" + "y" * 4100 + " : too many open files"
    sample = sample_of(text)
    assert "horse" not in sample
    assert ": too many open files" in sample


def test_what_is_no_secret_is_shown():
    """Names and ids that help, though they are long or look odd."""
    text = (
        f'Conflict. The container name "/{"k8s_" + "a" * 60}_kube-system_1403dda53affdfee1130475a6d9609da_24" is already in use by'
        f' container "{HOLDER}". invalid bearer token, token not found, secret "db" not found,'
        " password authentication failed, password is required, all checks passed: 3, bypass=true, kernel -e x,"
        " image sha256:4958a2396b164958a2396b164958a2396b164958a2396b164958a2396b164958: too many open files"
    )
    assert sample_of(text) == text


def test_many_secrets_cost_no_more_than_their_length():
    for piece in (
        "token",
        "eyJ-",
        "x://",
        "-----BEGIN A-----",
        "Name:a,Value:",
        "Authorization:",
        "\x1b]",
        "A" * 59 + "=",
        "password=[",
        "password={",
        "secret={" + "{a}" * 17,
        "Cookie: ",
        "cookie=a;b",
        "--env A=",
        "password is ",
        "x-amz-a",
        "%22" * 16 + "password",
        '"' * 16,
    ):
        text = piece * (5000 // len(piece)) + ": too many open files"
        assert len(sample_of(text)) <= log_sample.LIMIT


def test_every_line_of_the_table_is_shown_with_what_matters():
    for name, line in itertools.chain.from_iterable(zip(itertools.repeat(name), LINES[name]) for name in LINES):
        entries, _other = fed((line.text, 1.0, line.origin), ids=[name]).found(200)
        (entry,) = entries
        for value in line.fields.values():
            assert value in entry["sample"] or len(entry["sample"]) == log_sample.LIMIT
