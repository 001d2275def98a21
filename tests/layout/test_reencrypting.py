"""Another KMS key in place: UpdateObjectEncryption, played by a proxy in front of moto."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from s3plan.engine.handlers import reencrypt as handler
from s3plan.kinds.layout import steps as planning
from s3plan.model.steps import Reencrypt
from tests.engine.scene import Scene
from tests.faults.proxy import Proxy, proxy_to
from tests.kinds.test_layout import planned, row
from tests.layout.kms import Keys, arn
from tests.layout.moving import look, plan

OLD, NEW, THIRD = map(arn, ("old", "new", "third"))
TARGET = f"{{encryption: 'aws:kms', kmsKey: '{NEW}'}}"
AWS = {"endpoint": "https://s3.eu-central-1.amazonaws.com", "region": "eu-central-1"}


@pytest.fixture
def aws(moto_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Scene, Proxy, Keys]]:
    """A scene at an endpoint that counts as AWS's."""
    with proxy_to(moto_scene.server.endpoint) as proxy:
        moto_scene.server = replace(moto_scene.server, endpoint=proxy.endpoint)
        keys = Keys()
        proxy.play(*keys.rules())
        for module in (handler, planning):
            monkeypatch.setattr(module, "is_aws", lambda endpoint: endpoint == proxy.endpoint)
        yield moto_scene, proxy, keys


def test_a_key_alone_changes_in_place(aws: tuple[Scene, Proxy, Keys]) -> None:
    """C6: a KMS-only change copies nothing, and goes back to the key that an object had."""
    scene, proxy, keys = aws
    for name in ("a", "b"):
        scene.put(f"o/{name}", b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=OLD)
    scene.put("o/own", b"x", ServerSideEncryption="AES256")
    scene.put("o/there", b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=NEW)
    before = look(scene)
    made = plan(scene, TARGET, scratch=False).plan
    assert made is not None
    assert [(step.action, step.reversibility) for step in made.steps] == [
        (Reencrypt(NEW, None), "never"),
        (Reencrypt(NEW, OLD), "free"),
    ]
    assert scene.apply().exit_code == 0, scene.problems()
    assert keys.keys == dict.fromkeys(("o/a", "o/b", "o/own"), NEW)
    sent = {asked.method for asked in proxy.asked if asked.key.startswith("o/")}
    assert sent == {"HEAD", "PUT"}, "and every PUT was played"
    assert all(a.fault == "update" for a in proxy.asked if a.method == "PUT")
    assert look(scene) == before
    assert plan(scene, TARGET, scratch=False).plan is None
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0
    assert keys.keys == {"o/a": OLD, "o/b": OLD, "o/own": NEW}


def test_an_object_that_changed_keeps_its_key(aws: tuple[Scene, Proxy, Keys]) -> None:
    """C7."""
    scene, _, keys = aws
    scene.put("o/a", b"x", ServerSideEncryption="AES256")
    plan(scene, TARGET, scratch=False)
    scene.put("o/a", b"another", ServerSideEncryption="AES256")
    assert scene.apply().exit_code == 3
    assert [problem.reason for problem in scene.problems()] == ["source-changed"]
    assert keys.keys == {}


def test_a_key_that_somebody_else_gave_stays(aws: tuple[Scene, Proxy, Keys]) -> None:
    """Invariants 3 and 5: an update of a key leaves ETag and date, so the key is looked at."""
    scene, _, keys = aws
    for name in ("a", "b"):
        scene.put(f"o/{name}", b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=OLD)
    plan(scene, TARGET, scratch=False)
    keys.keys["o/a"] = THIRD
    assert scene.apply().exit_code == 3
    assert [(p.key, p.reason) for p in scene.problems()] == [("o/a", "source-changed")]
    assert keys.keys == {"o/a": THIRD, "o/b": NEW}
    keys.keys["o/b"] = THIRD
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 7
    assert [(p.key, p.reason) for p in scene.problems()] == [("o/b", "not-ours")]
    assert keys.keys == {"o/a": THIRD, "o/b": THIRD}


def test_nowhere_else_is_the_request_sent(
    aws: tuple[Scene, Proxy, Keys], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not know it may store its body as the object."""
    scene, proxy, _ = aws
    scene.put("o/a", b"x", ServerSideEncryption="AES256")
    plan(scene, TARGET, scratch=False)
    monkeypatch.setattr(handler, "is_aws", lambda _: False)
    proxy.asked.clear()
    assert scene.apply().exit_code == 3
    assert [asked for asked in proxy.asked if asked.method == "PUT"] == []


def test_it_is_planned_where_it_is_the_key_alone(tmp_path: Path) -> None:
    """Only at AWS, only by its ARN, and only where nothing else is to change."""
    objects = [
        row("o/a", attributes={"encryption": "AES256"}),
        row("o/archived", storage_class="GLACIER", attributes={"encryption": "AES256"}),
        row("o/dual", attributes={"encryption": "aws:kms:dsse"}),
    ]
    spec = f"select: {{bucket: b}}\ntarget: {TARGET}"
    result = planned(tmp_path, objects, spec, target=AWS)
    assert result.verbs == ["reencrypt"]
    assert result.keys("reencrypt") == ["o/a", "o/archived"], "no restore is needed"
    assert "o/dual" in " ".join(result.file.steps[0].warnings)
    assert planned(tmp_path, objects, spec).verbs == ["stage", "verify-staged", "swap"]
    more = spec.replace("{encryption", "{layoutVersion: 2, encryption")
    assert planned(tmp_path, objects, more, target=AWS).verbs[0] == "stage"
    named = spec.replace(NEW, "alias/new")
    assert planned(tmp_path, objects, named, target=AWS).verbs[0] == "stage"
