"""The bindings that versions are stored with."""

from __future__ import annotations

from backend.rigging.binding import Binding
from backend.store.assets import AssetStore
from backend.store.cards import VersionCard
from backend.store.payload import Arrays
from shared_protocol.errors import UserError


def stored_binding(assets: AssetStore, version: VersionCard) -> Binding | None:
    """What the version's splats hang on; None = nothing. Raises UserError when its file is damaged."""
    arrays = assets.binding(version)
    return None if arrays is None else checked_binding(arrays, str(assets.payload_path(version)))


def checked_binding(arrays: Arrays, where: str) -> Binding:
    """where: the file, for the error, should the arrays be no binding."""
    try:
        return Binding.from_arrays(arrays)
    except (KeyError, ValueError, IndexError) as error:
        raise UserError("bad_input", f"The binding in '{where}' is damaged.", "Bind the splats again.") from error
