"""What is remembered beside a COLMAP model that we computed ourselves."""

from __future__ import annotations

from pathlib import Path

import msgspec

RECORD_FILE = "pose_record.json"


class PoseResult(msgspec.Struct, frozen=True):
    """How computing the poses of a folder of photos went; written into the model's folder."""

    registered: int
    total: int
    unregistered: tuple[str, ...]  # names of the photos without a pose
    mean_reprojection_error: float  # pixels of the photos at full size
    turned_by_exif: bool  # the intrinsics describe the photos as their EXIF orientation turns them


def read_pose_record(model: Path) -> PoseResult | None:
    """None for a model that came from elsewhere."""
    try:
        return msgspec.json.decode((model / RECORD_FILE).read_bytes(), type=PoseResult)
    except (OSError, msgspec.MsgspecError):
        return None
