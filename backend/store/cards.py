"""What is written beside every payload: small JSON files, which are the truth that the catalogue only repeats."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np

from backend.splats.io.atomic import write_bytes
from shared_protocol.errors import UserError
from shared_protocol.things import Matrix

_FORMAT = 1
VersionKind = Literal["whole", "delta"]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """format: rises when the meaning of something changes; new fields have defaults."""

    id: str
    created: float  # seconds since 1970
    format: int = _FORMAT

    @property
    def owner(self) -> str:
        """The id of what this belongs to; "" = nothing."""
        return ""


class AssetCard(Card, frozen=True, tag="asset"):
    name: str
    representation: Literal["cloud"] = "cloud"
    job: str = ""  # that made it
    deleted: bool = False  # not listed any more; its versions stay while something reaches them
    up: tuple[float, float, float] = (0.0, 0.0, 0.0)  # in the asset's frame; zeros = unknown
    frame: str = "opencv"  # which way the axes of its numbers point; see backend/splats/io/frames.py
    notes: tuple[str, ...] = ()  # a sentence each: what its file had that was left out, or what was assumed


class VersionCard(Card, frozen=True, tag="version"):
    asset: str
    kind: VersionKind
    parent: str = ""  # the version it was made from
    base: str = ""  # the version that a delta changes; it must stay
    label: str = ""  # what made it, in a few words
    job: str = ""
    splats: int = 0
    sh_degree: int = 0
    antialiased: bool = False  # how it wants to be drawn
    bounds: tuple[float, float, float, float, float, float] | None = None  # lowest and highest corner; None = unknown
    bound_vertices: int = 0  # of the mesh that it is bound to; 0 = it is not bound
    mesh_bounds: tuple[float, float, float, float, float, float] | None = None  # of that mesh at rest
    bound_splats: int | None = None  # how many hang on it; None = unknown
    far_splats: int | None = None  # of these, how many are too far from it to be stretched with it
    extra: tuple[str, ...] = ()  # names of further numbers that each splat has
    edited_from: str = ""  # the version that it was edited from, over all edits in between; "" = it was not edited
    # The rounds of edits that the photos went through which it was trained on, as versions before and after each.
    photo_edits: tuple[tuple[str, str], ...] = ()
    moved: Matrix | None = None  # what carried the frame that it was made in to its own; None = nothing did
    asked: dict[str, Any] | None = None  # the edit that made it, by the names of `RunMethod`; None = it was no edit
    bytes: int = 0  # of the payload
    sha256: str = ""  # of the payload

    @property
    def owner(self) -> str:
        return self.asset

    @property
    def edits(self) -> tuple[tuple[str, str], ...]:
        """All rounds of edits since the first training, as versions before and after each."""
        return (*self.photo_edits, *(((self.edited_from, self.id),) if self.edited_from else ()))

    @property
    def frame_from_made(self) -> np.ndarray:
        """[4, 4]: carries the frame that it was made in, that of its capture, to its own."""
        return np.eye(4) if self.moved is None else np.array(self.moved).reshape(4, 4)


class CaptureCard(Card, frozen=True, tag="capture"):
    name: str
    files: int = 0
    bytes: int = 0


class HolderCard(Card, frozen=True, tag="holder"):
    """Who can still reach which versions: a saved file, or an open session by undo."""

    kind: Literal["file", "session"]
    name: str
    versions: tuple[str, ...]
    seen: float  # seconds since 1970; when it was last reported


class JobCard(Card, frozen=True, tag="job"):
    """A job as it can be taken up again after its process died."""

    name: str
    method: str
    status: str
    asset: str
    request: msgspec.Raw  # JSON of what was asked
    category: str = "training"  # of the method
    version: str = ""  # that it made
    apart: str = ""  # an asset of its own that it made of a part
    selection: str = ""  # of that version: what is selected in it
    hidden: str = ""  # of that version: what is hidden in it
    stage: str = ""
    step: int = 0
    steps: int = 0
    figures: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    failure: dict[str, str] | None = None
    starts: int = 0  # since it last got further than before
    reached: str = ""  # the newest checkpoint when it was last started
    resumed: int = 0  # how often it went on after its process had died
    keep_now: bool = False  # end at once and keep what there is

    @property
    def owner(self) -> str:
        return self.asset


AnyCard = AssetCard | VersionCard | CaptureCard | HolderCard | JobCard
CardType = TypeVar("CardType", bound=Card)


def new_id() -> str:
    return secrets.token_hex(8)


def is_id(text: str) -> bool:
    """Whether a text that came from outside may be part of a path."""
    return 0 < len(text) <= 64 and text.isascii() and text.isalnum()


def encode(card: Card) -> bytes:
    return msgspec.json.encode(card)


def decode(content: bytes) -> AnyCard:
    """Raises msgspec.DecodeError for what is no card."""
    return msgspec.json.decode(content, type=AnyCard)


def write_card(path: Path, card: Card) -> None:
    write_bytes(path, msgspec.json.format(encode(card)) + b"\n")


def read_card(path: Path) -> AnyCard:
    """Raises UserError when the file is damaged or was written by a newer version."""
    try:
        card = decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(
            "bad_input", f"'{path}' is damaged.", "Remove the file, or restore it from a backup."
        ) from error
    except OSError as error:
        raise UserError("bad_input", f"'{path}' could not be read: {error.strerror or error}.") from error
    if card.format > _FORMAT:
        raise UserError("unsupported", f"'{path}' was written by a newer version.", "Update Splatwright.")
    return card


def damaged(folder: Path, pattern: str) -> Iterator[tuple[Path, UserError]]:
    """The cards of a folder that cannot be read, and why."""
    for path in sorted(folder.glob(pattern)):
        try:
            read_card(path)
        except UserError as error:
            yield path, error
