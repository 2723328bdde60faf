# Copyright (c) 2026 the kubenode.doctor authors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a change in the cluster, and its undo: nothing but what the fix has changed, and only where that still is so."""

from __future__ import annotations

import copy
import json

import pytest

from ansible_collections.kubenode.doctor.plugins.module_utils.fix_plan import DONE, NEEDED, STOPPED
from ansible_collections.kubenode.doctor.plugins.plugin_utils import object_change
from ansible_collections.kubenode.doctor.plugins.plugin_utils.object_change import Change, Field, RecordError
from ansible_collections.kubenode.doctor.tests.support import json_patch
from ansible_collections.kubenode.doctor.tests.unit.plugins.plugin_utils.scene import changed

IMAGES = "/spec/template/spec/containers"
MOVE = Change(
    "move-nodeport",
    "shop",
    "dns",
    "1-2",
    {
        "/spec/ports/0/port": 53,
        "/spec/ports/0/protocol": "UDP",
        "/spec/ports/2/port": 53,
        "/spec/ports/2/protocol": "TCP",
    },
    (Field("/spec/ports/0/nodePort", 30053, 30000), Field("/spec/ports/2/nodePort", 30053, 30000)),
)
ROLLBACK = Change(
    "rollback-image",
    "shop",
    "front",
    "3-4",
    {f"{IMAGES}/1/name": "app"},
    (Field(f"{IMAGES}/1/image", "front:v2", "front:v1"),),
)
SERVICE = {
    "metadata": {"namespace": "shop", "name": "dns", "uid": "1-2", "resourceVersion": "7", "deletionTimestamp": None},
    "spec": {
        "ports": [
            {"port": 53, "protocol": "UDP", "nodePort": 30053},
            {"port": 80, "protocol": "TCP", "nodePort": 30080},
            {"port": 53, "protocol": "TCP", "nodePort": 30053},
        ]
    },
}
DEPLOYMENT = {
    "metadata": {"namespace": "shop", "name": "front", "uid": "3-4", "resourceVersion": "9"},
    "spec": {
        "template": {"spec": {"containers": [{"name": "side", "image": "x"}, {"name": "app", "image": "front:v2"}]}}
    },
}
BOTH = [(MOVE, SERVICE), (ROLLBACK, DEPLOYMENT)]


def made(change, document):
    """The object when the API server has taken the change."""
    return json_patch.patched(document, list(change.patch(document["metadata"])))


@pytest.mark.parametrize(("change", "document"), BOTH, ids=["move", "rollback"])
def test_a_change_and_its_undo_leave_nothing(change, document):
    after = made(change, document)
    assert after != document
    # As a file, with what the role adds.
    record = json.loads(json.dumps({**change.record(), "state": "done", "at": "2026-11-21T08:00:00Z"}))
    plan = object_change.taken_back(object_change.read(record), [after])
    assert (plan.state, plan.why) == (NEEDED, "")
    assert json_patch.patched(after, list(plan.patch)) == document
    assert object_change.taken_back(object_change.read(record), [document]) == object_change.Plan(
        DONE, "it is as it was before"
    )


def test_what_is_said():
    told = object_change.taken_back(MOVE, [made(MOVE, SERVICE)]).told
    assert told == (
        "the NodePort of port 53/UDP becomes 30053 again, in place of 30000",
        "the NodePort of port 53/TCP becomes 30053 again, in place of 30000",
        "what move-nodeport was for comes back with it, where its cause is still there",
    )
    assert object_change.taken_back(ROLLBACK, [made(ROLLBACK, DEPLOYMENT)]).told[0] == (
        "the image of container app becomes front:v2 again, in place of front:v1"
    )
    assert ROLLBACK.undo == "kubectl -n shop set image deployment/front app=front:v2"
    assert (MOVE.subject, ROLLBACK.subject) == ("Service shop/dns", "Deployment shop/front")


@pytest.mark.parametrize(("change", "document"), BOTH, ids=["move", "rollback"])
@pytest.mark.parametrize("field", ["uid", "resourceVersion"])
def test_the_api_server_refuses_what_has_changed(change, document, field):
    with pytest.raises(json_patch.PatchError):
        json_patch.patched(changed(document, f"metadata.{field}", "99"), list(change.patch(document["metadata"])))


MOVED = made(MOVE, SERVICE)
OTHER_PORTS = "it has other ports by now, or in another order"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ([], "there is no such Service any more"),
        ([changed(MOVED, "metadata.uid", "other")], "it was deleted and made anew since"),
        ([changed(MOVED, "metadata.deletionTimestamp", "now")], "it is being deleted"),
        ([changed(MOVED, "spec.ports", MOVED["spec"]["ports"][::-1])], OTHER_PORTS),
        ([changed(MOVED, "spec.ports", MOVED["spec"]["ports"][:2])], OTHER_PORTS),
        ([changed(MOVED, "spec.ports", "junk")], OTHER_PORTS),
        ([changed(MOVED, "spec", None)], OTHER_PORTS),
        (
            [changed(MOVED, "spec.ports.2.nodePort", 30999)],
            "the NodePort of port 53/TCP is 30999 by now, and not what the fix made it, 30000",
        ),
        (
            [changed(MOVED, "spec.ports.0.nodePort", 30053)],
            "the NodePort of port 53/UDP is 30053 by now, and not what the fix made it, 30000",
        ),
    ],
    ids=range(9),
)
def test_what_somebody_has_changed_since_stays(found, why):
    plan = object_change.taken_back(MOVE, found)
    assert (plan.state, plan.why.removeprefix("changed since the fix: "), plan.patch) == (STOPPED, why, ())


def record(**fields):
    return {**copy.deepcopy(MOVE.record()), "state": "done", **fields}


def place(**fields):
    return record(object={**MOVE.place, **fields})


def field(**fields):
    one = {"path": "/spec/ports/0/nodePort", "before": 30053, "after": 30000}
    return record(fields=[{**one, **fields}], around={"/spec/ports/0/port": 53, "/spec/ports/0/protocol": "UDP"})


@pytest.mark.parametrize(
    "document",
    [
        {},
        record(schema=2),
        record(fix="reserve-nodeports"),
        record(fix=["move-nodeport"]),
        record(fix="rollback-image"),
        record(object="junk"),
        place(kind="Secret"),
        place(api_version="v2"),
        place(namespace="../x"),
        place(name="--all"),
        place(name="{{ 7 * 7 }}"),
        record(uid=None),
        record(uid="../../x"),
        record(fields=[]),
        record(fields="junk"),
        record(fields=["junk"]),
        field(path="/spec/type"),
        field(path="/spec/ports/0/targetPort"),
        field(path="/spec/ports/-/nodePort"),
        field(path="/spec/ports/0/nodePort/x"),
        field(path="/spec/ports/00/nodePort"),
        field(path="/metadata/../spec/ports/0/nodePort"),
        field(path="/spec/ports/99999/nodePort"),
        field(path=None),
        field(before="30053"),
        field(before=True),
        field(after=0),
        field(after=65536),
        field(after=30053),
        field(path="/spec/ports/1/nodePort"),  # a place that is not told
        record(around={}),
        record(around={"/spec/ports/0/port": 53, "/spec/ports/2/port": 53}),
        record(around={**MOVE.around, "/spec/ports/5/port": 53, "/spec/ports/5/protocol": "TCP"}),
        record(around={**MOVE.around, "/spec/type": "NodePort"}),
        record(around={**MOVE.around, "/spec/ports/0/protocol": "ICMP"}),
    ],
    ids=range(35),
)
def test_a_record_that_no_fix_writes_is_refused(document):
    with pytest.raises(RecordError):
        object_change.read(document)


@pytest.mark.parametrize("image", ["v1; reboot", "{% raw %}", "v1\n", "", None, 7])
def test_an_image_that_is_none_is_refused(image):
    fields = [{"path": f"{IMAGES}/1/image", "before": image, "after": "front:v1"}]
    with pytest.raises(RecordError, match="a value that it cannot have"):
        object_change.read({**ROLLBACK.record(), "fields": fields})
