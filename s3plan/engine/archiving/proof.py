"""Whether the object under a key is the archive that was made, and what that rests on."""

from __future__ import annotations

from s3plan.engine.archiving.sending import Made
from s3plan.errors import ArchivedObjectError
from s3plan.model.objects import Checksum, ObjectHead, Rung, Verdict
from s3plan.rules.integrity import FALLBACK
from s3plan.store import Bucket
from s3plan.store.hashsink import HashSink


async def compared(bucket: Bucket, head: ObjectHead, made: Made) -> tuple[Verdict, Rung]:
    """Compare by what S3 stored of the content; where that tells nothing, by reading it.

    The ETag of a multipart upload is made of the MD5s of its parts: equal it proves the content,
    different it proves nothing, since others may have cut it into other parts. Unverifiable is what
    cannot be read, as it is archived. PreconditionFailedError where it is another one by now.
    """
    if head.size != made.size:
        return "mismatched", "size"
    for stored in head.checksums:
        if stored.kind == made.checksum.kind:
            return _verdict(stored, made.checksum), "full-object"
    if head.etag == made.etag:
        return "verified", "parts-etag"
    sink = HashSink(FALLBACK)
    try:
        await bucket.get_to(head.key, sink, if_match=head.etag, version=head.version_id)
    except ArchivedObjectError:
        return "unverifiable", "size"
    return _verdict(sink.checksum(), made.checksum), "second-read"


def _verdict(theirs: Checksum, ours: Checksum) -> Verdict:
    return "verified" if theirs == ours else "mismatched"
