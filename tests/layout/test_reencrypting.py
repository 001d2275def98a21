"""Another KMS key in place: UpdateObjectEncryption, played by a proxy in front of moto."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from s3plan.engine.handlers import reencrypt as handler
from s3plan.kinds.layout import steps as planning
from s3plan.model.steps import Reencrypt
from tests.engine.scene import Scene
from tests.faults.proxy import Exchange, Proxy, Rule, proxy_to
from tests.kinds.test_layout import planned, row
from tests.layout.moving import look, plan

OLD, NEW = (f"arn:aws:kms:us-east-1:123456789012:key/{name}" for name in ("old", "new"))
TARGET = f"{{encryption: 'aws:kms', kmsKey: '{NEW}'}}"
AWS = {"endpoint": "https://s3.eu-central-1.amazonaws.com", "region": "eu-central-1"}


class Keys:
    """What S3 does with the request: the object's key is another, and nothing else of it."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}

    async def update(self, exchange: Exchange) -> None:
        found = re.search(rb"<KMSKeyArn>([^<]*)</KMSKeyArn>", exchange.asked.body)
        assert found
        self.keys[exchange.asked.key] = found[1].decode()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def tell(self, exchange: Exchange) -> None:
        reply = await exchange.served()
        key = self.keys[exchange.asked.key].encode()
        lines = [
            line
            for line in reply.head.raw.rstrip(b"\r\n").split(b"\r\n")
            if not line.lower().startswith(b"x-amz-server-side-encryption")
        ]
        lines.append(b"x-amz-server-side-encryption: aws:kms")
        lines.append(b"x-amz-server-side-encryption-aws-kms-key-id: " + key)
        exchange.send(b"\r\n".join(lines) + b"\r\n\r\n")

    def rules(self) -> tuple[Rule, ...]:
        return (
            Rule("update", self.update, method="PUT", query="encryption"),
            Rule("tell", self.tell, method="HEAD", when=lambda asked: asked.key in self.keys),
        )


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
