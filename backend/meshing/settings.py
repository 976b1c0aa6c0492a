"""The settings that all methods share which make a surface: its clean-up and its colours."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from shared_protocol.schema import setting

SMALLEST_TEXTURE, LARGEST_TEXTURE = 64, 8192


class SurfaceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """To be inherited from; a method's own settings follow."""

    views: Annotated[
        int,
        setting("Views", "From how many sides the splats are looked at.", minimum=4, maximum=1000, advanced=True),
    ] = 48
    faces: (
        Annotated[int, setting("Faces", "The most triangles; without a number, all that there are.", minimum=100)]
        | None
    ) = 50_000
    texture: (
        Annotated[
            int,
            setting(
                "Texture",
                "Width and height of the texture; without a number, the vertices have colours and there is no texture.",
                minimum=SMALLEST_TEXTURE,
                maximum=LARGEST_TEXTURE,
                unit="px",
            ),
        ]
        | None
    ) = 2048
    color_from: (
        Annotated[
            Literal["photos", "splats"],
            setting("Colour from", "What the texture shows; photos where there are some, unless chosen."),
        ]
        | None
    ) = None
    least_piece: Annotated[
        float,
        setting(
            "Least piece",
            "Smaller pieces are removed; 0.05 = those with less than a twentieth of the largest piece's triangles.",
            minimum=0,
            maximum=1,
            advanced=True,
        ),
    ] = 0.05
    pieces: (
        Annotated[
            int,
            setting(
                "Pieces", "The most pieces that stay, largest first; without a number, all.", minimum=1, advanced=True
            ),
        ]
        | None
    ) = None
    holes: Annotated[
        int,
        setting("Holes", "Holes with at most so many edges are closed.", minimum=0, maximum=100_000, advanced=True),
    ] = 30
    smooth: Annotated[
        int,
        setting("Smooth", "Rounds of smoothing, which keep the volume.", minimum=0, maximum=200, advanced=True),
    ] = 0
    level: Annotated[
        float,
        setting(
            "Level",
            "The density at which the surface is; lower: farther out.",
            minimum=0.01,
            maximum=0.99,
            advanced=True,
        ),
    ] = 0.05  # 0.3 in the paper, for aligned splats; others lie behind the surface by a part of a pixel
