"""Hands features, cameras and matches to COLMAP through its database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pycolmap

from backend.captures.features import Features

# COLMAP writes to the console by itself; what matters comes back as a result or an exception.
pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value

_CALIBRATED = int(pycolmap.TwoViewGeometryConfiguration.CALIBRATED)


def write_features(
    path: Path, names: Sequence[str], cameras: Sequence[pycolmap.Camera], features: Sequence[Features]
) -> None:
    """A new database whose image i + 1 is photo i, taken by `cameras[i]`; photos may share one camera object."""
    with pycolmap.Database.open(path) as database, pycolmap.DatabaseTransaction(database):
        rigs: dict[int, pycolmap.Rig] = {}
        for i, (name, camera, found) in enumerate(zip(names, cameras, features, strict=True), start=1):
            if camera.camera_id not in rigs:
                database.write_camera(camera, use_camera_id=True)
                rig = pycolmap.Rig(rig_id=camera.camera_id)
                rig.add_ref_sensor(camera.sensor_id)
                database.write_rig(rig, use_rig_id=True)
                rigs[camera.camera_id] = rig
            image = pycolmap.Image(name=name, camera_id=camera.camera_id, image_id=i)
            database.write_image(image, use_image_id=True)
            frame = pycolmap.Frame(frame_id=i, rig_id=camera.camera_id)
            frame.add_data_id(image.data_id)
            database.write_frame(frame, use_frame_id=True)
            database.write_keypoints(i, found.keypoints)
            descriptors = pycolmap.FeatureDescriptors(pycolmap.FeatureExtractorType.SIFT, found.descriptors)
            database.write_descriptors(i, descriptors)


def write_matches(path: Path, matches: Iterable[tuple[int, int, np.ndarray]]) -> None:
    """Adds matches that need no further check: photos i and j, and [M, 2] indices into their features."""
    with pycolmap.Database.open(path) as database, pycolmap.DatabaseTransaction(database):
        for i, j, pairs in matches:
            geometry = pycolmap.TwoViewGeometry(config=_CALIBRATED, inlier_matches=pairs.astype(np.uint32))
            database.write_two_view_geometry(i + 1, j + 1, geometry)
