"""Selections said in words on the command line: `--select "opacity 0 0.1"`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

if TYPE_CHECKING:
    from backend.store.select_steps import SelectStep
    from shared_protocol.selecting import Selector

# Of splats alone; labels, confidence and visibility are known of versions in a workspace only.
_ATTRIBUTES = ("opacity", "size", "elongation", "distance", "sh_energy")
_GO_ON = ("grow", "shrink", "connected", "invert")  # from what is selected already
# How many numbers a word may have after it.
_NUMBERS = dict.fromkeys(_ATTRIBUTES, (2,)) | {
    "color": (3, 4),
    "box": (6, 16),
    "sphere": (4,),
    "floaters": (0, 1),
    "all": (0,),
    "grow": (0, 1),
    "shrink": (0, 1),
    "connected": (0, 1),
    "invert": (0,),
}


def steps_of_words(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[SelectStep, ...]:
    """A step for each text, every one upon what the texts before it selected.

    Raises BadParameter for words that select nothing, and UserError for a mesh that cannot be read and a flat box.
    """
    from backend.store.select_steps import SelectStep
    from shared_protocol.selecting import Mode

    steps: list[SelectStep] = []
    for text in given:
        mode, word, rest = "add" if steps else "set", *_first_word(text)
        if word in get_args(Mode):
            mode, word, rest = word, *_first_word(rest)
        elif word in _GO_ON:
            mode = "set"
        try:
            if word in _GO_ON and not steps:
                raise ValueError(f"'{word}' goes on from a --select before it")
            steps.append(SelectStep(mode=mode, by=_selector(word, rest)))  # type: ignore[arg-type]  is a Mode
        except ValueError as error:
            raise click.BadParameter(f"'{text}': {error}.", ctx, parameter) from error
    return tuple(steps)


def _first_word(text: str) -> tuple[str, str]:
    word, _, rest = text.strip().partition(" ")
    return word, rest.strip()


def _selector(word: str, rest: str) -> Selector:
    """Raises ValueError for words that are none, and for numbers out of their range."""
    import msgspec

    from backend.splats.io.mesh_files import read_mesh
    from shared_protocol.selecting import InMesh, Selector

    if word in ("inside", "outside"):
        if not rest:
            raise ValueError(f"'{word}' needs a mesh file after it")
        mesh = read_mesh(Path(rest))
        return InMesh(vertices=mesh.vertices, faces=mesh.faces, outside=word == "outside")
    if word not in _NUMBERS:
        raise ValueError(f"'{word}' is none of {', '.join((*_NUMBERS, 'inside', 'outside'))}")
    try:
        numbers = [_number(text) for text in rest.replace(",", " ").split()]
    except ValueError as error:
        raise ValueError(f"'{rest}' are not all numbers") from error
    if len(numbers) not in _NUMBERS[word]:
        raise ValueError(f"'{word}' takes {' or '.join(map(str, _NUMBERS[word]))} numbers, not {len(numbers)}")
    return msgspec.convert(_as_data(word, numbers), Selector)


def _number(text: str) -> float:
    """A whole one where it is written so: counts are nothing else. Raises ValueError for what is none."""
    return int(text) if text.lstrip("+-").isdigit() else float(text)


def _as_data(word: str, numbers: list[float]) -> dict[str, Any]:
    """The selector by the names of the protocol, whose ranges are checked when it is made of this."""
    one = numbers[0] if len(numbers) == 1 else None
    match word:
        case "color":
            tolerance = {"tolerance": numbers[3]} if len(numbers) > 3 else {}
            return {"type": "OfColor", "rgb": numbers[:3]} | tolerance
        case "box":
            return {"type": "InBox", "asset_from_box": numbers if len(numbers) == 16 else _between(numbers)}
        case "sphere":
            (x, y, z), radius = numbers[:3], numbers[3]
            rows = [radius, 0, 0, x, 0, radius, 0, y, 0, 0, radius, z, 0, 0, 0, 1]
            return {"type": "InSphere", "asset_from_sphere": rows}
        case "floaters":
            return {"type": "Floaters"} | ({} if one is None else {"most": one})
        case "grow" | "shrink":
            steps = 1 if one is None else one
            return {"type": "Grown", "steps": steps if word == "grow" else -steps}
        case "connected":
            return {"type": "Connected", "distance": one or 0}
        case "all" | "invert":
            return {"type": "Everything" if word == "all" else "Inverted"}
        case _:
            return {"type": "InRange", "attribute": word, "low": numbers[0], "high": numbers[1]}


def _between(corners: list[float]) -> list[float]:
    """The matrix of the box between two corners, row after row. Raises UserError for one that is flat."""
    import numpy as np

    from backend.editing.box import Box

    return Box.between(np.array(corners[:3]), np.array(corners[3:])).asset_from_box.ravel().tolist()
