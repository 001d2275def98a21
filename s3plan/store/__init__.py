"""S3 by two doors: the wire (libcurl, hot verbs) and the control plane (botocore, everything rare).

What others need is here; the modules behind it are this package's own business.
"""

from s3plan.store.bucket import Bucket, PutResult, Sink
from s3plan.store.control import Control
from s3plan.store.copying import LARGEST_COPY, CopyOptions, CopyResult, CopySource
from s3plan.store.deletion import DeleteResult, DeleteTarget
from s3plan.store.dividing import HANDS, SeamError
from s3plan.store.hashsink import HashSink
from s3plan.store.incomplete import Activity, IncompleteUpload
from s3plan.store.leases import LeaseObject
from s3plan.store.listing import ListPage
from s3plan.store.multipart import Part, Upload, part_size
from s3plan.store.retry import Patience
from s3plan.store.store import Store
from s3plan.store.transfer import ChunkedSource, Source
from s3plan.store.versions import VersionPage

__all__ = [
    "HANDS",
    "LARGEST_COPY",
    "Activity",
    "Bucket",
    "ChunkedSource",
    "Control",
    "CopyOptions",
    "CopyResult",
    "CopySource",
    "DeleteResult",
    "DeleteTarget",
    "HashSink",
    "IncompleteUpload",
    "LeaseObject",
    "ListPage",
    "Part",
    "Patience",
    "PutResult",
    "SeamError",
    "Sink",
    "Source",
    "Store",
    "Upload",
    "VersionPage",
    "part_size",
]
