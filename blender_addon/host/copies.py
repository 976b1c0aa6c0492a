"""Copies of splats beside the .blend, by which it finds its splats again on another machine or in another workspace."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy

from ..protocol import things
from . import current, objects, preferences, versions

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

FOLDER_SUFFIX = ".splats"
_BYTES_PER_SPLAT = 248  # of a PLY with all its harmonics: what a version takes whose own size nobody has said


@functools.cache
def _thread() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # Blender starts without it

    return ThreadPoolExecutor(1, thread_name_prefix="splatwright copies")


def path_of(blend: str, asset: str, version: str) -> str:
    """Where the copy of a version belongs, relative to the .blend in Blender's way.

    Others can read a PLY, too; it has no room for what splats are bound to, and for how they want to be drawn.
    """
    return place_of(blend, name_of(asset, version))


def place_of(blend: str, name: str) -> str:
    """Where a file of that name belongs, relative to the .blend in Blender's way."""
    return f"//{Path(blend).stem}{FOLDER_SUFFIX}/{name}"


def stem_of(asset: str, version: str) -> str:
    return f"{asset}-{version}"


def name_of(asset: str, version: str) -> str:
    """What the copy of a version is called."""
    return stem_of(asset, version) + (".safetensors" if _is_more_than_splats(asset, version) else ".ply")


def format_of(path: Path) -> things.FileFormat:
    """What the backend is asked for, by the name of a copy."""
    return path.suffix.lower().removeprefix(".")


def _is_more_than_splats(asset: str, version: str) -> bool:
    """Bound, also where nobody has said yet whether it is, but an object has a mesh to follow; or antialiased."""
    info = versions.find(asset, version)
    if info is not None:
        return info.bound_vertices > 0 or info.antialiased
    shown: list[Any] = [item.splatwright for item in objects.objects_of(asset)]  # type: ignore[attr-defined]
    return any(own.version == version and own.mesh is not None for own in shown)


def found(object: bpy.types.Object) -> Path | None:
    """The copy that the object names, if it is there, else what is packed into the .blend."""
    from . import packed  # it says its files as copies are said

    file = object.splatwright.file  # type: ignore[attr-defined]
    path = Path(bpy.path.abspath(file, library=object.library)) if file else None
    return path if path is not None and path.is_file() else packed.found(object)


def wanted(items: list[bpy.types.Object], blend: str) -> list[tuple[str, str, Path]]:
    """Has the objects name their copies beside the .blend. Returns (asset, version, path) of those that are missing."""
    missing: dict[Path, tuple[str, str, Path]] = {}
    for item in items:
        properties: Any = item.splatwright  # type: ignore[attr-defined]
        if not properties.version or item.library is not None:
            continue  # a job is at work on it, or another file keeps it
        properties.file = path_of(blend, properties.asset, properties.version)
        path = Path(bpy.path.abspath(properties.file, start=str(Path(blend).parent)))
        if not path.is_file():
            missing[path] = (properties.asset, properties.version, path)
    return list(missing.values())


def size_of(asset: str, version: str) -> int:
    """How many bytes a copy takes, about; 0 when the backend does not know the asset."""
    info: things.VersionInfo | things.AssetInfo | None = versions.find(asset, version)
    info = info or current.session().assets.get(asset)
    return 0 if info is None else info.splats * _BYTES_PER_SPLAT


def fetch(backend: Any, asset: str, version: str, path: Path) -> None:
    """Writes one version as a copy, with the asset's own numbers. Any thread, may take long. Raises UserError."""
    info = current.session().assets.get(asset)
    choices = things.AS_STORED if info is None else things.ExportChoices(frame=info.frame)
    backend.fetch_file(asset, version, path, format_of(path), choices=choices)


def write(missing: list[tuple[str, str, Path]], backend: Any) -> list[Path]:
    """Writes copies, each whole or not at all. Any thread, may take long. Raises UserError."""
    for asset, version, path in missing:
        path.parent.mkdir(exist_ok=True)
        fetch(backend, asset, version, path)
    return [path for _, _, path in missing]


@bpy.app.handlers.persistent
def _saving(path: str, *_: object) -> None:
    limit, link = preferences.largest_copy(), current.link()
    if not path or not limit or link is None:
        return
    items = [item for item in bpy.data.objects if objects.is_splats(item)]
    missing = wanted([item for item in items if 0 < _size(item) <= limit], path)
    if not missing:
        return
    if current.is_interactive():
        current.when_done(_thread().submit(write, missing, link.backend), _written)
        return
    try:
        write(missing, link.backend)
    except Exception as error:  # noqa: BLE001  the .blend itself must be saved whatever happens
        current.tell(error)


def _written(result: Any) -> None:
    from . import eyes  # which knows copies

    eyes.mark_stale()  # Blender may have waited for them to draw them
    if isinstance(result, BaseException):
        current.tell(result)


def _size(item: bpy.types.Object) -> int:
    properties: Any = item.splatwright  # type: ignore[attr-defined]
    return size_of(properties.asset, properties.version)


def register() -> None:
    bpy.app.handlers.save_pre.append(_saving)


def unregister() -> None:
    bpy.app.handlers.save_pre.remove(_saving)
