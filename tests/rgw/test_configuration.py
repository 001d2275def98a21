"""What RGW answers about a bucket's configuration, and what must be made of it."""

from __future__ import annotations

import asyncio

from s3plan.model.connection import Connection
from s3plan.rules.bucketdocuments import is_default
from s3plan.store import Store
from tests.servers import Server
from tests.store.test_servers import put


def test_a_listing_in_place_of_a_document_is_no_document(rgw: Server) -> None:
    """RGW ignores subresources it does not know; control characters make that unparsable."""

    async def main() -> set[str]:
        async with Store(Connection(endpoint=rgw.endpoint), environ=rgw.environ) as store:
            await asyncio.to_thread(store.control.create_bucket, "configured", "us-east-1")
            await put(store.bucket("configured"), "bell\x07")
            facts = await asyncio.to_thread(store.control.facts, "configured")
            return {
                name for name, found in facts.configuration.items() if not is_default(name, found)
            }

    found = asyncio.run(main())
    assert found == set()
