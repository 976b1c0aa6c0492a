"""The settings every training method shares; a method adds its own by inheriting."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from shared_protocol.errors import UserError
from shared_protocol.schema import setting

_HEX_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_HASTE = "Runs of fewer than 30,000 steps learn {} (30,000 / steps) to this power faster."


def part_of_steps(label: str, help: str, *, minimum: float = 0.0, maximum: float = 1.0) -> msgspec.Meta:
    """A setting that is a fraction of the run's steps."""
    return setting(label, help, minimum=minimum, maximum=maximum, unit="of the steps", advanced=True)


def learning_rate(of: str) -> msgspec.Meta:
    return setting(f"{of.capitalize()} rate", f"Learning rate of {of}.", minimum=0, advanced=True)


# Splats that grow to a pixel are learned half a pixel behind the surface that they show, for their rims to fit, so that
# trainings of surfaces have it on.
Antialiased = Annotated[
    bool, setting("Antialiased", "Small splats fade instead of growing to a pixel; the viewer must do the same.")
]

AgreeWeight = Annotated[
    float, setting("Agree weight", "How strongly normals and depth are held together.", minimum=0, advanced=True)
]
PhotoWeight = Annotated[
    float, setting("Photo weight", "How strongly the surface goes where photos agree.", minimum=0, advanced=True)
]
FlatWeight = Annotated[
    float, setting("Flat weight", "How strongly splats lose their thickness.", minimum=0, advanced=True)
]


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
    antialiased: Antialiased = False

    # The picture that is compared, and how.
    ssim_weight: Annotated[
        float, setting("SSIM weight", "Share of 1 - SSIM in the loss; the rest is L1.", minimum=0, maximum=1)
    ] = 0.2
    coarse_until: Annotated[
        float, part_of_steps("Coarse until", "Photos are seen at half size first.", maximum=0.9)
    ] = 0.12
    sh_every: Annotated[float, part_of_steps("SH degree every", "The SH degree rises by one so often.")] = 0.08
    sh_every_longest: Annotated[
        int,
        setting("SH degree every, longest", "... and after this many steps.", minimum=1, unit="steps", advanced=True),
    ] = 1000
    near_plane: Annotated[
        float,
        setting("Near", "Nearer splats are not drawn.", minimum=1e-4, unit="camera extents", advanced=True),
    ] = 0.01

    # What training starts from.
    start_fraction: Annotated[
        float,
        setting("Start from points", "At most this part of the splat budget.", minimum=0.01, maximum=1, advanced=True),
    ] = 0.67
    random_fraction: Annotated[
        float,
        setting("Random start", "This part of the splat budget if there are no points.", minimum=0.01, maximum=1),
    ] = 0.33
    start_opacity: Annotated[
        float, setting("Start opacity", "Opacity of the first splats.", minimum=0.01, maximum=0.99, advanced=True)
    ] = 0.5
    start_scale: Annotated[
        float,
        setting("Start size", "Size of the first splats.", minimum=0.01, unit="neighbour distances", advanced=True),
    ] = 1.0

    # Learning rates.
    means_rate: Annotated[float, learning_rate("positions")] = 1.6e-4
    means_rate_end: Annotated[
        float,
        setting("Positions rate, end", "It falls to this part of itself.", minimum=1e-6, maximum=1, advanced=True),
    ] = 0.01
    sh0_rate: Annotated[float, learning_rate("colours")] = 2.5e-3
    shN_rate: Annotated[float, learning_rate("view-dependent colours")] = 2.5e-3 / 20  # noqa: N815  gsplat's name
    opacity_rate: Annotated[float, learning_rate("opacities")] = 5e-2
    scale_rate: Annotated[float, learning_rate("sizes")] = 5e-3
    quat_rate: Annotated[float, learning_rate("rotations")] = 1e-3
    short_run_means: Annotated[
        float, setting("Haste, positions", _HASTE.format("positions"), minimum=0, maximum=1, advanced=True)
    ] = 0.4
    short_run_colors: Annotated[
        float, setting("Haste, colours", _HASTE.format("colours"), minimum=0, maximum=1, advanced=True)
    ] = 0.3

    # When density control adds and removes splats.
    refine_from: Annotated[float, part_of_steps("Refine from", "No splats are added or removed before.")] = 1 / 15
    refine_from_latest: Annotated[
        int, setting("Refine from, latest", "... or before this step.", minimum=0, unit="steps", advanced=True)
    ] = 500
    refine_every: (
        Annotated[
            int, setting("Refine every", "Empty: a 60th of all, 50 to 100.", minimum=1, unit="steps", advanced=True)
        ]
        | None
    ) = None
    refine_until: Annotated[float, part_of_steps("Refine until", "The number of splats stays afterwards.")] = 0.85

    # How the run looks after itself.
    evaluate_every: Annotated[float, part_of_steps("Evaluate every", "Looks at held-out photos.", minimum=0.01)] = 0.1
    checkpoint_every: Annotated[float, part_of_steps("Checkpoint every", "Saves the training.", minimum=0.01)] = 0.1


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
