"""What we remember beside a model that we computed: how many photos it has, and which way up they were."""

from __future__ import annotations

from pathlib import Path

import msgspec

RECORD_FILE = "pose_record.json"


class PoseRecord(msgspec.Struct, frozen=True):
    """Written into the model's folder, next to COLMAP's own files."""

    registered: int
    total: int
    unregistered: tuple[str, ...]
    mean_reprojection_error: float  # pixels of the photos that were searched for features
    turned_by_exif: bool  # the intrinsics describe the photos as their EXIF orientation turns them


def read_pose_record(model: Path) -> PoseRecord | None:
    """None for a model that came from elsewhere."""
    try:
        return msgspec.json.decode((model / RECORD_FILE).read_bytes(), type=PoseRecord)
    except (OSError, msgspec.MsgspecError):
        return None
