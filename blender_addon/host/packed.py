"""Splats kept inside the .blend, as the packed file of an image that nobody looks at.

Of the places where Blender lets bytes be, a packed file costs least: an undo step does not copy it (1 ms beside 100 MB,
where bytes in a property take 50), saving and loading stream it, it follows its object into other files, and Blender's
own Pack and Unpack Resources know what it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..protocol import errors
from . import copies


def image_of(object: bpy.types.Object) -> Any:
    """The image that holds the object's splats; None = they are not packed."""
    return object.splatwright.packed  # type: ignore[attr-defined]


def is_packed(object: bpy.types.Object) -> bool:
    image = image_of(object)
    return image is not None and image.packed_file is not None


def is_current(object: bpy.types.Object) -> bool:
    """Whether what is packed is the version that the object shows."""
    own: Any = object.splatwright  # type: ignore[attr-defined]
    return is_packed(object) and Path(image_of(object).filepath).stem == copies.stem_of(own.asset, own.version)


def size_of(object: bpy.types.Object) -> int:
    """Bytes."""
    return image_of(object).packed_file.size if is_packed(object) else 0


def pack(objects: list[bpy.types.Object], path: Path) -> None:
    """The objects, which all show the same version, keep this file inside the .blend from now on.

    Raises UserError when it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise errors.UserError("not_found", f"'{path}' cannot be read: {error.strerror or error}.") from error
    image: Any = bpy.data.images.new(path.name, 1, 1)
    image.source = "FILE"
    image.filepath = copies.place_of(bpy.data.filepath or "untitled.blend", path.name)
    image.pack(data=content, data_len=len(content))
    for object in objects:
        before, object.splatwright.packed = image_of(object), image  # type: ignore[attr-defined]
        _drop(before)


def unpack(object: bpy.types.Object) -> Path:
    """Writes what is packed beside the .blend, as the copy of its splats, and takes it out of the .blend.

    Raises UserError when it cannot be written.
    """
    image = image_of(object)
    place = copies.place_of(bpy.data.filepath, Path(image.filepath).name)
    path = Path(bpy.path.abspath(place))
    _write(path, image.packed_file.data)
    for other in bpy.data.objects:
        if image_of(other) == image:
            other.splatwright.file, other.splatwright.packed = place, None  # type: ignore[attr-defined]
    _drop(image)
    return path


def found(object: bpy.types.Object) -> Path | None:
    """What is packed, as a file that lasts as long as this session; None = nothing is packed."""
    image = image_of(object)
    if image is not None and image.packed_file is None:  # Blender's Unpack Resources has written it
        unpacked = Path(bpy.path.abspath(image.filepath, library=image.library))
        return unpacked if unpacked.is_file() else None
    if image is None:
        return None
    path = Path(bpy.app.tempdir, "splats", Path(image.filepath).name)
    if not path.is_file() or path.stat().st_size != image.packed_file.size:
        _write(path, image.packed_file.data)
    return path


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise errors.UserError("disk_full", f"'{path}' could not be written: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def _drop(image: Any) -> None:
    """An image that no object needs any more is not saved either."""
    if image is not None and not image.users:
        bpy.data.images.remove(image)
