"""What an imaging session is: one rig in one night, or one directory, and what its frames are."""

from s3plan.rules.sessions.frames import Frame, frame_of, image_type
from s3plan.rules.sessions.nights import NightError, Zone, night_of, observed_at, zone_named
from s3plan.rules.sessions.rigs import GROUP_KEYS, rig_of, session_id

__all__ = [
    "GROUP_KEYS",
    "Frame",
    "NightError",
    "Zone",
    "frame_of",
    "image_type",
    "night_of",
    "observed_at",
    "rig_of",
    "session_id",
    "zone_named",
]
