"""Three textured scenes whose true mesh is known, made and pictured by Blender, for benchmarks of surfaces.

Run as `python -m benchmarks.known_scenes FOLDER` to look at them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.record import REPOSITORY
from building import blender

NAMES = ("sphere_and_box", "thin_figure", "indoor_corner")
_SCRIPT = REPOSITORY / "benchmarks" / "scenes_in_blender.py"


def make_scene(name: str, folder: Path) -> Path:
    """Writes one of NAMES to `folder`: a capture in NeRF's format, and the mesh that it shows, in the same frame.

    `transforms_train.json` with the pictures in `train`, `transforms_test.json` with those of `test`, RGBA of 256
    pixels a side, and `mesh.ply`. Needs Blender as a Python module (`python3 build.py test-blender` makes one); takes
    half a minute. Returns the folder.
    """
    if name not in NAMES:
        raise SystemExit(f"There is no scene '{name}'. There are: {', '.join(NAMES)}.")
    python = blender.python_with("5.2")
    subprocess.run([str(python), str(_SCRIPT), name, str(folder)], check=True, stdout=subprocess.DEVNULL)
    return folder


if __name__ == "__main__":
    for scene in NAMES:
        print(make_scene(scene, Path(sys.argv[1], scene)))
