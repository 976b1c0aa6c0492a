"""Photos, poses and points: everything that is known before training starts."""

from __future__ import annotations

from backend.captures.capture import Capture, MaskUse, Photo, PointCloud, View
from backend.captures.load import has_poses, load_capture
from backend.captures.made_capture import make_capture
from backend.captures.masks import choose_mask_use
from backend.captures.mesh_poses import POSES_FILE, MeshPoses, read_mesh_poses
from backend.captures.photos import photo_size, pixels_for_longer_side, read_photos
from backend.captures.pose_record import PoseResult
from backend.captures.structure_from_motion import pose_photos
from backend.captures.triangulation import triangulate_points

__all__ = [
    "POSES_FILE",
    "Capture",
    "MaskUse",
    "MeshPoses",
    "Photo",
    "PointCloud",
    "PoseResult",
    "View",
    "choose_mask_use",
    "has_poses",
    "load_capture",
    "make_capture",
    "photo_size",
    "pixels_for_longer_side",
    "pose_photos",
    "read_mesh_poses",
    "read_photos",
    "triangulate_points",
]
