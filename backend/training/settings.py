"""The settings every training method shares; a method adds its own by inheriting."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from shared_protocol.errors import UserError
from shared_protocol.schema import setting

_HEX_COLOR = re.compile(r"#[0-9a-fA-F]{6}")


class TrainingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Rates are those of a 30,000-step run in a scene whose camera extent is 1; fractions are of the run's steps."""

    seed: Annotated[int, setting("Seed", "The same seed gives the same result.", minimum=0, maximum=2**31 - 1)] = 0
    background: Annotated[
        str,
        setting(
            "Background",
            "What shows where the scene is empty: auto, black, white, random or #rrggbb. "
            "Auto: random for photos with transparency, else black.",
        ),
    ] = "auto"
    sh_degree: Annotated[
        int, setting("SH degree", "How finely colour may vary with the viewing direction.", minimum=0, maximum=4)
    ] = 3
    antialiased: Annotated[
        bool,
        setting("Antialiased", "Small splats fade instead of growing to a pixel; the viewer must do the same."),
    ] = False

    # The picture that is compared, and how.
    ssim_weight: Annotated[
        float, setting("SSIM weight", "Share of 1 - SSIM in the loss; the rest is L1.", minimum=0, maximum=1)
    ] = 0.2
    coarse_fraction: Annotated[
        float,
        setting("Coarse part", "Part of the steps that sees photos at half size.", minimum=0, maximum=0.9, advanced=True),
    ] = 0.12
    sh_interval: Annotated[
        float,
        setting("SH interval", "Part of the steps after which the SH degree rises by one.", minimum=0, maximum=1, advanced=True),
    ] = 0.08
    sh_interval_longest: Annotated[
        int, setting("Longest SH interval", "The SH degree rises after this many steps at the latest.", minimum=1, advanced=True)
    ] = 1000
    near_plane: Annotated[
        float,
        setting("Near plane", "Splats nearer than this are not drawn.", minimum=1e-4, unit="camera extents", advanced=True),
    ] = 0.01

    # What training starts from.
    start_fraction: Annotated[
        float,
        setting("Start from points", "At most this part of the splat budget is taken from points.", minimum=0.01, maximum=1),
    ] = 0.67
    random_fraction: Annotated[
        float,
        setting("Random start", "This part of the splat budget when there are no points.", minimum=0.01, maximum=1),
    ] = 0.33
    start_opacity: Annotated[
        float, setting("Start opacity", "Opacity of the first splats.", minimum=0.01, maximum=0.99, advanced=True)
    ] = 0.5
    start_scale: Annotated[
        float,
        setting(
            "Start size", "Size of the first splats as a multiple of the distance to their neighbours.", minimum=0.01, advanced=True
        ),
    ] = 1.0

    # Learning rates.
    means_rate: Annotated[float, setting("Position rate", "Learning rate of positions.", minimum=0, advanced=True)] = 1.6e-4
    means_rate_end: Annotated[
        float,
        setting("Position rate, end", "The position rate falls to this part of itself.", minimum=1e-6, maximum=1, advanced=True),
    ] = 0.01
    sh0_rate: Annotated[float, setting("Colour rate", "Learning rate of the base colour.", minimum=0, advanced=True)] = 2.5e-3
    shN_rate: Annotated[  # noqa: N815
        float, setting("View colour rate", "Learning rate of view-dependent colour.", minimum=0, advanced=True)
    ] = 2.5e-3 / 20
    opacity_rate: Annotated[float, setting("Opacity rate", "Learning rate of opacity.", minimum=0, advanced=True)] = 5e-2
    scale_rate: Annotated[float, setting("Size rate", "Learning rate of sizes.", minimum=0, advanced=True)] = 5e-3
    quat_rate: Annotated[float, setting("Rotation rate", "Learning rate of rotations.", minimum=0, advanced=True)] = 1e-3
    short_run_means: Annotated[
        float,
        setting(
            "Short runs, positions",
            "With fewer than 30,000 steps positions learn (30,000 / steps) to this power faster.",
            minimum=0,
            maximum=1,
            advanced=True,
        ),
    ] = 0.4
    short_run_colors: Annotated[
        float,
        setting(
            "Short runs, colours",
            "With fewer than 30,000 steps colours learn (30,000 / steps) to this power faster.",
            minimum=0,
            maximum=1,
            advanced=True,
        ),
    ] = 0.3

    # How the run looks after itself.
    evaluation_interval: Annotated[
        float,
        setting("Evaluate every", "Part of the steps between two looks at held-out photos.", minimum=0.01, maximum=1, advanced=True),
    ] = 0.1
    checkpoint_interval: Annotated[
        float,
        setting("Checkpoint every", "Part of the steps between two checkpoints.", minimum=0.01, maximum=1, advanced=True),
    ] = 0.1


def background_color(name: str) -> tuple[float, float, float] | None:
    """The fixed colour that a background setting names, sRGB 0..1; None for auto and random."""
    named = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0)}
    if name in named:
        return named[name]
    if name in ("auto", "random"):
        return None
    if not _HEX_COLOR.fullmatch(name):
        message = f"The background '{name}' is not a colour."
        raise UserError("bad_input", message, "Use auto, black, white, random or a colour such as #80c0ff.")
    red, green, blue = bytes.fromhex(name[1:])
    return red / 255, green / 255, blue / 255
