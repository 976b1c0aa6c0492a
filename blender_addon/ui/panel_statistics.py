# pyright: reportAttributeAccessIssue=false
"""What is known of the active splats, in the data tab of the Properties editor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ..core import sample, wording
from ..host import current, file_formats, objects, packed, samples, versions
from ..protocol import things
from .paragraphs import figures, paragraph

_IMPORTED = "imported from "  # begins the label of a version that came out of a file


class SPLATWRIGHT_PT_statistics(bpy.types.Panel):
    bl_label = "Splats"
    bl_space_type = "PROPERTIES"
    bl_region_type = "WINDOW"
    bl_context = "data"

    @classmethod
    def poll(cls, context: Any) -> bool:
        return context.object is not None and objects.is_splats(context.object)

    def draw(self, context: Any) -> None:
        splats: Any = context.object
        info = current.session().assets.get(splats.splatwright.asset)
        if packed.is_packed(splats):
            how = "" if packed.is_current(splats) else ", of an earlier version"
            figures(self.layout, ("Packed", wording.size(packed.size_of(splats)) + how))
        if info is None:
            paragraph(self.layout, context, "More is known of these splats while the backend has them.", "INFO")
            return
        known = versions.of(info.asset)
        shown = next((one for one in known if one.version == splats.splatwright.version), None)
        figures(self.layout, *_of_version(info, shown))
        figures(self.layout, *_of_asset(info, known))
        found = samples.of(info.asset)
        if found is not None and shown is not None and found.version == shown.version:
            figures(self.layout, *_of_sample(found))
        for note in info.notes:
            paragraph(self.layout, context, note, "INFO")


def _of_version(info: things.AssetInfo, shown: things.VersionInfo | None) -> list[tuple[str, str]]:
    bounds = shown.bounds if shown is not None else info.bounds
    rows = [("Splats", wording.count(shown.splats if shown is not None else info.splats))]
    if shown is not None:
        rows += [("Harmonics", f"Degree {shown.sh_degree}"), ("Made", wording.sentence(shown.label) or "Unnamed")]
        rows += [("Antialiased", "Yes")] if shown.antialiased else []
    if bounds is not None:
        sides = (high - low for low, high in zip(bounds[:3], bounds[3:], strict=True))
        rows.append(("Box", " x ".join(f"{side:.3g}" for side in sides)))
    return rows


def _of_asset(info: things.AssetInfo, known: tuple[things.VersionInfo, ...]) -> list[tuple[str, str]]:
    rows = [("On disk", wording.size(info.bytes)), ("Axes", file_formats.frame_label(info.frame))]
    source = next((one.label for one in known if one.label.startswith(_IMPORTED)), "")
    form = file_formats.format_named(Path(source.removeprefix(_IMPORTED))) if source else None
    return rows if form is None else [*rows, ("Format", form.label)]


def _of_sample(found: sample.Sample) -> list[tuple[str, str]]:
    """Between which values nine of ten splats lie, and the middle."""
    low, middle, high = found.opacities
    small, usual, large = found.sizes
    return [
        ("Opacity", f"{low:.2f} to {high:.2f}, half below {middle:.2f}"),
        ("Size", f"{small:.3g} to {large:.3g}, half below {usual:.3g}"),
    ]


CLASSES = (SPLATWRIGHT_PT_statistics,)
