"""Versions of hostile keys on RGW, which stores every key and lists them in their order."""

from __future__ import annotations

from contextlib import suppress

from s3plan.store import Bucket, DeleteTarget, SeamError
from tests.servers import Server
from tests.store.keys import HOSTILE_KEYS
from tests.store.test_servers import put
from tests.store.test_versions import divided, entries, in_versioned_bucket


def test_versions_of_hostile_keys_are_told_apart_and_deleted(rgw: Server) -> None:
    async def act(bucket: Bucket) -> None:
        for key in HOSTILE_KEYS:
            await put(bucket, key, b"old")
            await bucket.delete_many([DeleteTarget(key, None)])
            await put(bucket, key, b"new", if_none_match=False)
        found = await entries(bucket, max_keys=5)
        keys = sorted(HOSTILE_KEYS, key=str.encode)
        assert [(k, n, m) for k, _, n, m in found] == [
            (key, newer, newer == 1) for key in keys for newer in (0, 1, 2)
        ]
        # Among keys such as these RGW was seen not to begin where it is told. Then nothing of it
        # counts, and one hand lists all.
        with suppress(SeamError):
            assert sorted(await divided(bucket, 5)) == sorted(found)
        for key, version, newer, marker in found:
            if not marker:
                body = (await bucket.get(key, if_match=None, version=version))[1]
                assert body == (b"old" if newer else b"new")
        results = await bucket.delete_many([DeleteTarget(k, None, v) for k, v, *_ in found])
        assert not any(one.error for one in results)
        assert await entries(bucket) == []

    in_versioned_bucket(rgw, act)
