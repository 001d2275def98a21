"""The KMS keys of objects, played by a proxy: an endpoint that can update them in place."""

from __future__ import annotations

import re

from tests.faults.proxy import Exchange, Rule


def arn(name: str) -> str:
    """A key, as AWS wants it named."""
    return f"arn:aws:kms:us-east-1:123456789012:key/{name}"


class Keys:
    """What S3 does with the request: the object's key is another, and nothing else of it.

    ``keys`` are those of objects that were updated, or are said to have one; None is S3's own
    encryption. Of every other object the server itself tells.
    """

    def __init__(self) -> None:
        self.keys: dict[str, str | None] = {}

    async def update(self, exchange: Exchange) -> None:
        """UpdateObjectEncryption."""
        found = re.search(rb"<KMSKeyArn>([^<]*)</KMSKeyArn>", exchange.asked.body)
        assert found
        self.keys[exchange.asked.key] = found[1].decode()
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def tell(self, exchange: Exchange) -> None:
        """HEAD of an object whose key is known here."""
        reply = await exchange.served()
        name = b"x-amz-server-side-encryption"
        lines = [
            line
            for line in reply.head.raw.rstrip(b"\r\n").split(b"\r\n")
            if not line.lower().startswith(name)
        ]
        key = self.keys[exchange.asked.key]
        if key is None:
            lines.append(name + b": AES256")
        else:
            lines += [name + b": aws:kms", name + b"-aws-kms-key-id: " + key.encode()]
        exchange.send(b"\r\n".join(lines) + b"\r\n\r\n")

    def rules(self) -> tuple[Rule, ...]:
        """For a proxy."""
        return (
            Rule("update", self.update, method="PUT", query="encryption"),
            Rule("tell", self.tell, method="HEAD", when=lambda asked: asked.key in self.keys),
        )
